#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "expr/datum.hpp"
#include "table/input.hpp"

namespace heddle::table {

using expr::Type;  ///< kBool, kInt, kDouble, kString, kTimestamp are column types

/// The distinct strings of a column, shared between the tables that were cut from one. Immutable.
class Dictionary {
 public:
  explicit Dictionary(std::vector<std::string> values);
  [[nodiscard]] const std::vector<std::string_view>& views() const noexcept { return views_; }

 private:
  std::vector<std::string> values_;
  std::vector<std::string_view> views_;
};

/// One column, whole in memory. Bools, ints and timestamps (microseconds) are in `ints`; strings
/// are dictionary codes.
struct Column {
  std::string name;
  Type type = Type::kInt;
  std::vector<std::int64_t> ints{};
  std::vector<double> doubles{};
  std::vector<std::int32_t> codes{};
  std::shared_ptr<const Dictionary> dictionary{};
  std::vector<std::uint8_t> valid{};  ///< one byte a row; empty when every row has a value
  /// Rows without a value in which something stood that is none of the type: 1 + the index of its
  /// text, else 0. Empty when there is no such row.
  std::vector<std::uint32_t> malformed{};
  std::shared_ptr<const Dictionary> malformed_texts{};

  [[nodiscard]] std::int64_t length() const noexcept;
  [[nodiscard]] expr::ColumnView view() const noexcept;  ///< borrowed from this column
  [[nodiscard]] std::int64_t null_count() const noexcept;
  /// The text of a malformed cell; nullopt when the row has a value, or nothing.
  [[nodiscard]] std::optional<std::string_view> malformed_text(std::size_t row) const noexcept {
    if (malformed.empty() || malformed[row] == 0) return std::nullopt;
    return malformed_texts->views()[malformed[row] - 1];
  }
  /// What the row has, by a view of this column: kError when its cell is malformed.
  [[nodiscard]] expr::Datum cell(const expr::ColumnView& view, std::int64_t row) const noexcept {
    if (!malformed.empty() && malformed[static_cast<std::size_t>(row)] != 0)
      return expr::Datum::error();
    return view.at(row);
  }
  /// The same before anybody takes it for a type: of a malformed cell its text. In a column of
  /// strings such a cell is no text, and kError as well.
  [[nodiscard]] expr::Datum received(const expr::ColumnView& view,
                                     std::int64_t row) const noexcept {
    const auto text = malformed_text(static_cast<std::size_t>(row));
    if (!text) return view.at(row);
    return type == Type::kString ? expr::Datum::error() : expr::Datum::string(*text);
  }
};

/// Columns of one length. A value type (copying copies the rows); reading is thread-safe.
class Table {
 public:
  Table() = default;
  /// kInvalid when lengths differ or a name appears twice.
  [[nodiscard]] static Result<Table> make(std::vector<Column> columns);

  [[nodiscard]] std::int64_t rows() const noexcept { return rows_; }
  [[nodiscard]] std::span<const Column> columns() const noexcept { return columns_; }
  [[nodiscard]] const Column* find(std::string_view name) const noexcept;
  /// Like `find`; kNotFound names the columns there are, nearest first.
  [[nodiscard]] Result<const Column*> column(std::string_view name) const;
  [[nodiscard]] std::vector<expr::ColumnView> views() const;

  [[nodiscard]] Table slice(std::int64_t begin, std::int64_t end) const;
  [[nodiscard]] Table take(std::span<const std::int64_t> rows) const;
  [[nodiscard]] Result<Table> with_column(Column column) const;  ///< replaces one of the same name
  /// Rows of `tables` one after the other; columns by name, types must agree.
  [[nodiscard]] static Result<Table> concat(std::span<const Table> tables);
  /// SHA-256 over names, types and values, the same for equal content however it was built. What a
  /// malformed cell says does not count.
  [[nodiscard]] Digest content_digest() const;

 private:
  std::vector<Column> columns_;
  std::int64_t rows_ = 0;
};

struct ReadOptions {
  std::vector<std::string> columns{};  ///< empty: all that can be read
  /// What columns are to hold, as a contract says it. In a CSV every other column is text.
  std::map<std::string, Type, std::less<>> types{};
  /// Keep a CSV's cells as the text that stands there, whatever `types` says: whoever reads them
  /// applies `cell_of_text`.
  bool as_written = false;
  /// Columns whose texts stay texts, whatever `types` says: the repairs of a contract read them. A
  /// column that holds no texts is read by `types`; one of NDJSON that holds some has them as
  /// malformed cells.
  std::set<std::string, std::less<>> as_text{};
  /// Keep rows with `time_from <= time_column < time_to`, and those whose time is missing or
  /// malformed; no filter when `time_column` is empty.
  std::string time_column{};
  Micros time_from = INT64_MIN;
  Micros time_to = INT64_MAX;
};

/// Reads Parquet, Arrow IPC, CSV or NDJSON (by extension or declaration): one file, or several as
/// one table, in the order of `parts_of`. The names of a file's columns are checked first,
/// whichever are read: `table-column-twice`, `-unnamed`, `-case`, `-spaces`, `-encoding`. Narrow
/// ints widen, floats become doubles, dates and timestamps of any unit become microseconds, a
/// decimal is what its text says; another type that is asked for is `table-type`. No conversion
/// wraps: a value that does not fit is a malformed cell in a column of `types`, else the error
/// `table-value-range`, which names column and row. Of several files a column that `columns` or
/// `types` name is in all or in none (`table-columns-differ`); without either all have the same. A
/// partition's column is text unless `types` says otherwise. kNotFound, kCorrupt and kInvalid say
/// what to do.
[[nodiscard]] Result<Table> read_table(const Input& input, const ReadOptions& options = {});

struct ColumnInfo {
  std::string name;
  Type type;  ///< kDyn: not read
};
/// The columns of an input without reading its rows; a CSV's are text. Of several files, those that
/// any has.
[[nodiscard]] Result<std::vector<ColumnInfo>> read_schema(const Input& input);

/// Parquet, zstd, the same bytes for the same rows. Written beside and renamed: never half a file.
[[nodiscard]] Result<void> write_parquet(const Table& table, const std::string& path);

}  // namespace heddle::table
