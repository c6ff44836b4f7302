#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "table/table.hpp"

namespace heddle::table {

/// A file read a chunk after the other: memory is bounded by a chunk, however long the file. One
/// thread.
class TableReader {
 public:
  /// Parquet, CSV or NDJSON, by extension. The errors of `read_table`.
  [[nodiscard]] static Result<std::unique_ptr<TableReader>> open(const std::string& path,
                                                                 const ReadOptions& options = {});
  virtual ~TableReader() = default;

  [[nodiscard]] virtual const std::vector<ColumnInfo>& columns() const noexcept = 0;
  /// Columns that no column type can hold, and that nobody named: nested, binary, times of day.
  [[nodiscard]] virtual const std::vector<std::string>& left_out() const noexcept = 0;
  /// The file is CSV, in which null is a cell that is empty, `NULL` or `null` without quotes.
  [[nodiscard]] virtual bool text() const noexcept = 0;
  /// The next rows, at most 131,072 of Parquet and about 4 MiB of CSV; nullopt after the last.
  [[nodiscard]] virtual Result<std::optional<Table>> next() = 0;
};

/// Writes rows as they come into `path` + `.part`, which `publish` renames: there is never half a
/// file at `path`. Another writer of the same path is kConflict (`table-being-written`); what a
/// killed one left is written over. Without `publish` the part is removed. The same chunks give the
/// same bytes. One thread.
class TableWriter {
 public:
  /// Parquet (zstd) or CSV (RFC 4180, a line feed after each row; null is nothing, an empty text is
  /// `""`), by extension.
  [[nodiscard]] static Result<std::unique_ptr<TableWriter>> open(const std::string& path,
                                                                 std::vector<ColumnInfo> columns);
  virtual ~TableWriter() = default;

  /// Rows with the columns of `open`, in that order. kIo with the system's words on a full disk.
  [[nodiscard]] virtual Result<void> append(const Table& rows) = 0;
  /// Every byte is on the disk, under the other name; its digest.
  [[nodiscard]] virtual Result<Digest> finish() = 0;
  /// After `finish`: the file is there.
  [[nodiscard]] virtual Result<void> publish() = 0;
};

}  // namespace heddle::table
