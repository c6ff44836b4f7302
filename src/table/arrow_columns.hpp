#pragma once

#include <memory>
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

/// The column type an Arrow type is read as; kDyn when there is none. Private to this module.
[[nodiscard]] Type type_of(const arrow::DataType& type) noexcept;

/// The Arrow type a column is written as. Private to this module.
[[nodiscard]] std::shared_ptr<arrow::DataType> arrow_type(Type type);
/// Rows [begin, end) of a column. Strings are written as such, not as codes: the order of a dictionary must not reach the file.
[[nodiscard]] arrow::Result<std::shared_ptr<arrow::Array>> array_of(const Column& column, std::int64_t begin, std::int64_t end);

/// Grows one column from Arrow arrays. Private to this module; one thread.
class ColumnReader {
 public:
  ColumnReader(std::string name, Type type) { column_.name = std::move(name), column_.type = type; }
  /// Appends the rows of `array` whose indexes are in `chosen`, or all when `all`. kInvalid on a value that does not fit.
  [[nodiscard]] Result<void> append(const arrow::Array& array, std::span<const std::int64_t> chosen, bool all);
  [[nodiscard]] Column finish();

 private:
  template <class To, class From>
  Result<void> append_values(const arrow::Array& array, std::span<const std::int64_t> chosen, bool all, std::vector<To>& out, const From& from);
  template <class StringArray>
  Result<void> append_strings(const StringArray& array, std::span<const std::int64_t> chosen, bool all);
  Result<void> append_dictionary(const arrow::Array& array, std::span<const std::int64_t> chosen, bool all);

  Column column_;
  StringIndex strings_;
};

}  // namespace heddle::table
