#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "table/table.hpp"

namespace heddle::table {

/// Files read a chunk after the other: memory is bounded by a chunk, however long they are (of
/// Arrow IPC by a batch as it was written). One thread.
class TableReader {
 public:
  /// The errors of `read_table`.
  [[nodiscard]] static Result<std::unique_ptr<TableReader>> open(const Input& input,
                                                                 const ReadOptions& options = {});
  virtual ~TableReader() = default;

  [[nodiscard]] virtual const std::vector<ColumnInfo>& columns() const noexcept = 0;
  /// Columns that nobody named and that are not read: no column type can hold them (nested, binary,
  /// durations), or not every file has them alike.
  [[nodiscard]] virtual const std::vector<std::string>& left_out() const noexcept = 0;
  /// The file is CSV: its cells are texts, which `cell_of_text` reads, with `decimal`.
  [[nodiscard]] virtual bool text() const noexcept = 0;
  [[nodiscard]] virtual char decimal() const noexcept { return '.'; }
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
