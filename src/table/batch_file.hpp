#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "table/arrow_columns.hpp"
#include "table/file_kind.hpp"
#include "table/input.hpp"
#include "table/table.hpp"

namespace arrow {
class DataType;
class RecordBatch;
}  // namespace arrow

namespace heddle::table {

/// An open file whose rows come as Arrow's batches: CSV, Parquet, Arrow IPC. Private to this
/// module; one thread.
class BatchFile {
 public:
  virtual ~BatchFile() = default;

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] Format format() const noexcept { return format_; }
  [[nodiscard]] const std::vector<std::string>& names() const noexcept { return names_; }
  /// As Arrow has them; binary for every column of a CSV.
  [[nodiscard]] const std::vector<std::shared_ptr<arrow::DataType>>& types() const noexcept {
    return types_;
  }
  [[nodiscard]] char decimal() const noexcept { return decimal_; }
  /// How a column would be read.
  [[nodiscard]] Target target(std::size_t index, const ReadOptions& options) const;

  /// The columns that are read, by their indexes, before the first `next`. `time_field`: the one
  /// that chooses rows; -1: every row is read.
  struct Wanted {
    std::vector<int> fields{};
    int time_field = -1;
    const ReadOptions* options = nullptr;
    bool whole = false;  ///< every row will be wanted at once
  };
  [[nodiscard]] virtual Result<void> begin(const Wanted& wanted) = 0;
  /// Null after the last.
  [[nodiscard]] virtual Result<std::shared_ptr<arrow::RecordBatch>> next() = 0;
  /// Where the columns of `Wanted::fields` are in a batch.
  [[nodiscard]] const std::vector<int>& place() const noexcept { return place_; }
  /// False when rows of the file were left out, so that nobody knows a row's number.
  [[nodiscard]] virtual bool knows_rows() const noexcept { return true; }

 protected:
  BatchFile(std::string path, Format format) : path_(std::move(path)), format_(format) {}

  std::string path_;
  Format format_;
  std::vector<std::string> names_{};
  std::vector<std::shared_ptr<arrow::DataType>> types_{};
  char decimal_ = '.';  ///< of the numbers of a CSV
  std::vector<int> place_{};
};

[[nodiscard]] Result<std::unique_ptr<BatchFile>> open_csv(
    const std::string& path, const Form& form,
    const std::map<std::string, Type, std::less<>>& types);
[[nodiscard]] Result<std::unique_ptr<BatchFile>> open_parquet(const std::string& path, bool whole);
[[nodiscard]] Result<std::unique_ptr<BatchFile>> open_arrow(const std::string& path);

/// What Arrow says of a file that it cannot read, in our words.
[[nodiscard]] Error unreadable(const std::string& path, Format format, const std::string& why);

}  // namespace heddle::table
