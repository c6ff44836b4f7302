#include <algorithm>

#include <arrow/buffer.h>
#include <arrow/io/file.h>
#include <arrow/ipc/options.h>
#include <arrow/ipc/reader.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "table/batch_file.hpp"

namespace heddle::table {
namespace {

constexpr std::int64_t kChunkRows = 1 << 17;  ///< as of Parquet

/// Arrow's IPC format, which Feather of version 2 is too: a file with its table of batches at the
/// end, or a stream. Memory: a batch, as its writer cut it.
class ArrowFile final : public BatchFile {
 public:
  explicit ArrowFile(std::string path) : BatchFile(std::move(path), Format::kArrow) {}

  Result<void> open() {
    is_stream_ = !head_of(path_).starts_with("ARROW1");
    if (is_stream_) HEDDLE_TRY(check_end());
    HEDDLE_TRY(open_with({}));
    const auto schema = is_stream_ ? stream_->schema() : file_->schema();
    names_ = schema->field_names();
    for (const auto& field : schema->fields()) types_.push_back(field->type());
    return {};
  }

  Result<void> begin(const Wanted& wanted) override {
    std::vector<int> sorted = wanted.fields;
    std::sort(sorted.begin(), sorted.end());
    sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
    for (const int field : wanted.fields)
      place_.push_back(
          static_cast<int>(std::find(sorted.begin(), sorted.end(), field) - sorted.begin()));
    auto options = arrow::ipc::IpcReadOptions::Defaults();
    options.included_fields = std::move(sorted);  // empty: all of them, of which none is looked at
    return open_with(options);
  }

  Result<std::shared_ptr<arrow::RecordBatch>> next() override {
    while (batch_ == nullptr || at_ >= batch_->num_rows()) {
      HEDDLE_ASSIGN_OR_RETURN(batch_, read());
      if (batch_ == nullptr) return batch_;
      at_ = 0;
    }
    // A writer may have put the whole table into one batch.
    const auto rows = std::min(kChunkRows, batch_->num_rows() - at_);
    auto chunk = rows == batch_->num_rows() ? batch_ : batch_->Slice(at_, rows);
    at_ += rows;
    return chunk;
  }

 private:
  /// A stream says that it is over. Arrow takes the end of the file for it too, and reads what was
  /// cut off between two batches as a whole.
  Result<void> check_end() const {
    const auto bytes = arrow::io::ReadableFile::Open(path_);
    if (!bytes.ok()) return unreadable(path_, format_, bytes.status().message());
    const auto size = (*bytes)->GetSize();
    if (!size.ok()) return unreadable(path_, format_, size.status().message());
    const auto length = std::min<std::int64_t>(*size, 8);
    const auto end = (*bytes)->ReadAt(*size - length, length);
    if (!end.ok()) return unreadable(path_, format_, end.status().message());
    if ((*end)->ToString() == std::string("\xff\xff\xff\xff\0\0\0\0", 8)) return {};
    return Error{ErrorKind::kCorrupt, "table-cut",
                 fmt::format("`{}` is an Arrow stream without its end: it is cut off", path_),
                 "copy the file again from where it came, or write it anew"};
  }

  Result<void> open_with(const arrow::ipc::IpcReadOptions& options) {
    auto bytes = arrow::io::ReadableFile::Open(path_);
    if (!bytes.ok()) return unreadable(path_, format_, bytes.status().message());
    if (is_stream_) {
      auto opened = arrow::ipc::RecordBatchStreamReader::Open(*bytes, options);
      if (!opened.ok()) return unreadable(path_, format_, opened.status().message());
      stream_ = std::move(*opened);
    } else {
      auto opened = arrow::ipc::RecordBatchFileReader::Open(*bytes, options);
      if (!opened.ok()) return unreadable(path_, format_, opened.status().message());
      file_ = std::move(*opened);
    }
    return {};
  }

  Result<std::shared_ptr<arrow::RecordBatch>> read() {
    std::shared_ptr<arrow::RecordBatch> batch;
    if (is_stream_) {
      if (const auto status = stream_->ReadNext(&batch); !status.ok())
        return unreadable(path_, format_, status.message());
    } else if (group_ < file_->num_record_batches()) {
      auto read = file_->ReadRecordBatch(group_++);
      if (!read.ok()) return unreadable(path_, format_, read.status().message());
      batch = std::move(*read);
    }
    // Arrow believes the file: an offset past its buffer would be followed.
    if (batch != nullptr) {
      if (const auto status = batch->ValidateFull(); !status.ok())
        return unreadable(path_, format_, status.message());
    }
    return batch;
  }

  bool is_stream_ = false;
  int group_ = 0;
  std::int64_t at_ = 0;
  std::shared_ptr<arrow::RecordBatch> batch_{};
  std::shared_ptr<arrow::ipc::RecordBatchStreamReader> stream_{};
  std::shared_ptr<arrow::ipc::RecordBatchFileReader> file_{};
};

}  // namespace

Result<std::unique_ptr<BatchFile>> open_arrow(const std::string& path) {
  auto file = std::make_unique<ArrowFile>(path);
  HEDDLE_TRY(file->open());
  return std::unique_ptr<BatchFile>(std::move(file));
}

}  // namespace heddle::table
