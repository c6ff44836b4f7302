#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/io/file.h>
#include <arrow/record_batch.h>
#include <parquet/arrow/writer.h>

#include "base/file.hpp"
#include "table/arrow_columns.hpp"
#include "table/stream.hpp"

namespace heddle::table {
namespace {

constexpr std::int64_t kGroupRows = 1 << 18;
constexpr std::size_t kBufferBytes = 1 << 20;

Error cannot_write(const std::string& path, const std::string& why) {
  return Error{ErrorKind::kIo, "table-write", fmt::format("`{}` cannot be written: {}", path, why),
               "free space, or write elsewhere"};
}

/// The file beside, held by a lock for as long as it is written.
class Part {
 public:
  ~Part() {
    if (fd_ < 0) return;
    // While the lock is held: no other writer can have taken the file for its own by then.
    if (!published_) ::unlink(part_.c_str());
    ::close(fd_);
  }

  Result<void> open(const std::string& path) {
    if (std::error_code failed; std::filesystem::is_directory(path, failed)) {
      return Error{ErrorKind::kInvalid, "table-no-file", fmt::format("`{}` is a folder", path),
                   "name a file in it"};
    }
    path_ = path;
    part_ = path + ".part";
    // Not emptied yet: until the lock is ours it may be another writer's.
    fd_ = ::open(part_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd_ < 0) return cannot_write(path_, std::strerror(errno));
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      ::close(fd_);
      fd_ = -1;  // it is not ours to remove
      return Error{ErrorKind::kConflict, "table-being-written",
                   fmt::format("another process writes `{}`", path_),
                   "wait for it, or write elsewhere"};
    }
    if (::ftruncate(fd_, 0) != 0) return cannot_write(path_, std::strerror(errno));
    return {};
  }

  Result<Digest> finish() const {
    // Before the rename: after a power loss there is the old file or all of the new one.
    if (::fsync(fd_) != 0) return cannot_write(path_, std::strerror(errno));
    return sha256_file(part_);
  }

  Result<void> publish() {
    if (::rename(part_.c_str(), path_.c_str()) != 0)
      return cannot_write(path_, std::strerror(errno));
    published_ = true;
    const std::string folder = std::filesystem::path(path_).parent_path().string();
    return fsync_dir(folder.empty() ? "." : folder);
  }

  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
  std::string part_;
  int fd_ = -1;
  bool published_ = false;
};

class ParquetWriter final : public TableWriter {
 public:
  Result<void> open(const std::string& path, const std::vector<ColumnInfo>& columns) {
    HEDDLE_TRY(part_.open(path));
    arrow::FieldVector fields;
    for (const auto& column : columns)
      fields.push_back(arrow::field(column.name, arrow_type(column.type)));
    schema_ = arrow::schema(std::move(fields));
    const auto opened = [&]() -> arrow::Status {
      ARROW_ASSIGN_OR_RAISE(
          // Arrow closes the descriptor that it is given; the lock lives as long as ours is open.
          file_, arrow::io::FileOutputStream::Open(::fcntl(part_.fd(), F_DUPFD_CLOEXEC, 0)));
      const auto properties = parquet::WriterProperties::Builder()
                                  .compression(parquet::Compression::ZSTD)
                                  ->compression_level(1)
                                  ->max_row_group_length(kGroupRows)
                                  ->build();
      ARROW_ASSIGN_OR_RAISE(
          writer_, parquet::arrow::FileWriter::Open(*schema_, arrow::default_memory_pool(), file_,
                                                    properties));
      return {};
    };
    return checked(opened);
  }

  Result<void> append(const Table& rows) override {
    return checked([&]() -> arrow::Status {
      arrow::ArrayVector arrays;
      for (const Column& column : rows.columns()) {
        ARROW_ASSIGN_OR_RAISE(auto array, array_of(column, 0, rows.rows()));
        arrays.push_back(std::move(array));
      }
      return writer_->WriteRecordBatch(
          *arrow::RecordBatch::Make(schema_, rows.rows(), std::move(arrays)));
    });
  }

  Result<Digest> finish() override {
    HEDDLE_TRY(checked([&]() -> arrow::Status {
      ARROW_RETURN_NOT_OK(writer_->Close());
      return file_->Close();
    }));
    return part_.finish();
  }

  Result<void> publish() override { return part_.publish(); }

 private:
  template <class F>
  Result<void> checked(const F& act) {
    try {
      const arrow::Status status = act();
      if (!status.ok()) return cannot_write(part_.path(), status.message());
      return {};
      // Parquet throws where Arrow returns a status.
    } catch (const std::exception& exception) {
      return cannot_write(part_.path(), exception.what());
    }
  }

  Part part_;
  std::shared_ptr<arrow::Schema> schema_;
  std::shared_ptr<arrow::io::FileOutputStream> file_;
  std::unique_ptr<parquet::arrow::FileWriter> writer_;
};

/// RFC 4180. A text that our reader would take for null, and the empty one, is quoted: quoted is
/// never null.
void put_text(std::string_view text, std::string& out) {
  const bool plain = !text.empty() && text != "NULL" && text != "null" &&
                     text.find_first_of(",\"\r\n") == std::string_view::npos;
  if (plain) {
    out.append(text);
    return;
  }
  out.push_back('"');
  for (const char c : text) {
    if (c == '"') out.push_back('"');
    out.push_back(c);
  }
  out.push_back('"');
}

class CsvWriter final : public TableWriter {
 public:
  Result<void> open(const std::string& path, const std::vector<ColumnInfo>& columns) {
    HEDDLE_TRY(part_.open(path));
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (i > 0) buffer_.push_back(',');
      put_text(columns[i].name, buffer_);
    }
    buffer_.push_back('\n');
    return {};
  }

  Result<void> append(const Table& rows) override {
    const auto views = rows.views();
    for (std::int64_t row = 0; row < rows.rows(); ++row) {
      for (std::size_t i = 0; i < views.size(); ++i) {
        if (i > 0) buffer_.push_back(',');
        // What was refused is written as it came: somebody has to correct it.
        if (const auto text = rows.columns()[i].malformed_text(static_cast<std::size_t>(row)))
          put_text(*text, buffer_);
        else
          put(views[i].at(row));
      }
      buffer_.push_back('\n');
      if (buffer_.size() > kBufferBytes) HEDDLE_TRY(flush());
    }
    return {};
  }

  Result<Digest> finish() override {
    HEDDLE_TRY(flush());
    return part_.finish();
  }

  Result<void> publish() override { return part_.publish(); }

 private:
  void put(const expr::Datum& value) {
    using Kind = expr::Datum::Kind;
    switch (value.kind) {
      case Kind::kBool: buffer_.append(value.b ? "true" : "false"); break;
      case Kind::kInt: fmt::format_to(std::back_inserter(buffer_), "{}", value.i); break;
      case Kind::kDouble: fmt::format_to(std::back_inserter(buffer_), "{}", value.d); break;
      case Kind::kTimestamp: buffer_.append(format_time(value.i)); break;
      case Kind::kString: put_text(value.str(), buffer_); break;
      default: break;
    }
  }

  Result<void> flush() {
    std::string_view rest = buffer_;
    while (!rest.empty()) {
      const ssize_t n = ::write(part_.fd(), rest.data(), rest.size());
      // A short write is no error: the rest follows, or says why not.
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return cannot_write(part_.path(), std::strerror(errno));
      rest.remove_prefix(static_cast<std::size_t>(n));
    }
    buffer_.clear();
    return {};
  }

  Part part_;
  std::string buffer_;
};

template <class Writer>
Result<std::unique_ptr<TableWriter>> opened(const std::string& path,
                                            const std::vector<ColumnInfo>& columns) {
  auto writer = std::make_unique<Writer>();
  HEDDLE_TRY(writer->open(path, columns));
  return std::unique_ptr<TableWriter>(std::move(writer));
}

}  // namespace

Result<std::unique_ptr<TableWriter>> TableWriter::open(const std::string& path,
                                                       std::vector<ColumnInfo> columns) {
  if (columns.empty()) {
    return Error{ErrorKind::kInvalid, "table-no-columns",
                 fmt::format("a table without columns cannot be written to `{}`", path),
                 "give it a column"};
  }
  if (path.ends_with(".parquet") || path.ends_with(".pq"))
    return opened<ParquetWriter>(path, columns);
  if (path.ends_with(".csv")) return opened<CsvWriter>(path, columns);
  return Error{ErrorKind::kInvalid, "table-extension",
               fmt::format("`{}` has an extension that says neither Parquet nor CSV", path),
               "let it end in `.parquet` or `.csv`"};
}

}  // namespace heddle::table
