#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "expr/datum.hpp"

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

/// One column, whole in memory. Bools, ints and timestamps (microseconds) are in `ints`; strings are dictionary codes.
struct Column {
  std::string name;
  Type type = Type::kInt;
  std::vector<std::int64_t> ints{};
  std::vector<double> doubles{};
  std::vector<std::int32_t> codes{};
  std::shared_ptr<const Dictionary> dictionary{};
  std::vector<std::uint8_t> valid{};  ///< one byte a row; empty when every row has a value

  [[nodiscard]] std::int64_t length() const noexcept;
  [[nodiscard]] expr::ColumnView view() const noexcept;  ///< borrowed from this column
  [[nodiscard]] std::int64_t null_count() const noexcept;
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
  /// SHA-256 over names, types and values, the same for equal content however it was built.
  [[nodiscard]] Digest content_digest() const;

 private:
  std::vector<Column> columns_;
  std::int64_t rows_ = 0;
};

struct ReadOptions {
  std::vector<std::string> columns{};  ///< empty: all
  /// Keep rows with `time_from <= time_column < time_to`; no filter when `time_column` is empty.
  std::string time_column{};
  Micros time_from = INT64_MIN;
  Micros time_to = INT64_MAX;
};

/// Reads Parquet or CSV (by extension). Narrow ints widen, floats become doubles, dates and timestamps of any unit become
/// microseconds; any other type is kInvalid naming column and type. kNotFound, kCorrupt and kInvalid say what to do.
[[nodiscard]] Result<Table> read_table(const std::string& path, const ReadOptions& options = {});

struct ColumnInfo {
  std::string name;
  Type type;
};
/// The columns of a file without reading its rows.
[[nodiscard]] Result<std::vector<ColumnInfo>> read_schema(const std::string& path);

/// Parquet, zstd, the same bytes for the same rows. Written beside and renamed: never half a file.
[[nodiscard]] Result<void> write_parquet(const Table& table, const std::string& path);

}  // namespace heddle::table
