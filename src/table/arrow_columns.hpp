#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "table/lookup.hpp"
#include "table/table.hpp"

namespace arrow {
class Array;
class DataType;
template <class T>
class Result;
}  // namespace arrow

namespace heddle::table {

/// How a column of an Arrow schema is read. Private to this module.
struct Target {
  Type type = Type::kDyn;  ///< kDyn: it is not read
  bool strict = true;      ///< a value that does not fit is an error, else a malformed cell
  char decimal = '.';      ///< of numbers that are text
};
/// `wanted`: what a contract says of the column; `csv`: binary values are the cells of a CSV.
[[nodiscard]] Target target_of(const arrow::DataType& type, std::optional<Type> wanted, bool csv,
                               bool as_written) noexcept;

/// The Arrow type a column is written as. Private to this module.
[[nodiscard]] std::shared_ptr<arrow::DataType> arrow_type(Type type);
/// Rows [begin, end) of a column. Strings are written as such, not as codes: the order of a
/// dictionary must not reach the file. A malformed cell is its text in a string column, else null.
[[nodiscard]] arrow::Result<std::shared_ptr<arrow::Array>> array_of(const Column& column,
                                                                    std::int64_t begin,
                                                                    std::int64_t end);

/// Rows of one Arrow array.
struct Selection {
  std::span<const std::int64_t> chosen{};  ///< indexes, unless `all`
  bool all = true;
  std::int64_t first_row = -1;  ///< the array's place in the file; -1 when it is not known
};

/// What an Arrow array has for a row of a column.
enum class Cell : std::uint8_t { kMissing, kValue, kMalformed };

/// Grows one column from Arrow arrays. Private to this module; one thread.
class ColumnReader {
 public:
  ColumnReader(std::string name, Target target) : target_(target) {
    column_.name = std::move(name);
    column_.type = target.type;
  }
  [[nodiscard]] Type type() const noexcept { return column_.type; }
  /// Appends rows of `array`. `table-value-range` on a value that does not fit, when the target is
  /// strict.
  [[nodiscard]] Result<void> append(const arrow::Array& array, const Selection& rows);
  [[nodiscard]] Column finish();

 private:
  template <class To, class From, class Text>
  Result<void> fill(const arrow::Array& array, const Selection& rows, std::vector<To>& out,
                    const From& from, const Text& text);
  template <class To, class From>
  Result<void> fill(const arrow::Array& array, const Selection& rows, std::vector<To>& out,
                    const From& from);
  template <class Array>
  Result<void> append_integers(const Array& array, const Selection& rows);
  template <class Array>
  Result<void> append_texts(const Array& array, const Selection& rows);
  template <class Array>
  Result<void> append_decimals(const Array& array, const Selection& rows);
  template <class Text>
  Result<void> append_cells(const arrow::Array& array, const Selection& rows, const Text& text);
  template <class Value>
  Result<void> append_reals(const arrow::Array& array, const Selection& rows, const Value& value);
  Result<void> append_number(const arrow::Array& array, const Selection& rows);
  Result<void> append_real(const arrow::Array& array, const Selection& rows);
  Result<void> append_decimal(const arrow::Array& array, const Selection& rows);
  Result<void> append_missing(const arrow::Array& array, const Selection& rows);
  Result<void> append_times(const arrow::Array& array, const Selection& rows);
  Result<void> append_dictionary(const arrow::Array& array, const Selection& rows);
  Result<void> append_runs(const arrow::Array& array, const Selection& rows);
  template <class IndexOf>
  Result<void> append_indexed(const arrow::Array& array, const arrow::Array& values,
                              const Selection& rows, const IndexOf& index_of);
  Result<void> append_clock(const arrow::Array& array, const Selection& rows);
  Result<void> append_durations(const arrow::Array& array, const Selection& rows);
  Result<void> append_uuids(const arrow::Array& array, const Selection& rows);
  [[nodiscard]] Error out_of_range(std::string_view what, const Selection& rows,
                                   std::int64_t row) const;
  Cell string_cell(std::string_view text, std::int32_t& code);

  Target target_;
  Column column_;
  StringIndex strings_;
  std::vector<std::uint8_t> utf8_;  ///< whether each string of `strings_` is UTF-8
  StringIndex malformed_texts_;
};

}  // namespace heddle::table
