#include "table/read_ahead.hpp"

#include <condition_variable>
#include <mutex>
#include <thread>

namespace heddle::table {
namespace {

class ReadAhead final : public TableReader {
 public:
  explicit ReadAhead(std::unique_ptr<TableReader> reader)
      : reader_(std::move(reader)),
        columns_(reader_->columns()),
        left_out_(reader_->left_out()),
        text_(reader_->text()),
        decimal_(reader_->decimal()) {}

  ~ReadAhead() override {
    {
      const std::lock_guard lock(mutex_);
      is_over_ = true;
    }
    changed_.notify_all();
    // The thread ends with the chunk that it reads; `thread_` is joined first of all members.
  }

  [[nodiscard]] const std::vector<ColumnInfo>& columns() const noexcept override {
    return columns_;
  }
  [[nodiscard]] const std::vector<std::string>& left_out() const noexcept override {
    return left_out_;
  }
  [[nodiscard]] bool text() const noexcept override { return text_; }
  [[nodiscard]] char decimal() const noexcept override { return decimal_; }

  Result<std::optional<Table>> next() override {
    if (!thread_.joinable()) thread_ = std::jthread([this] { read(); });
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return chunk_.has_value(); });
    // The end and an error are the last that is said, as often as it is asked for.
    if (!chunk_->ok() || !**chunk_) {
      if (!chunk_->ok()) return chunk_->error();
      return std::optional<Table>{};
    }
    auto out = std::move(*chunk_);
    chunk_.reset();
    lock.unlock();
    changed_.notify_all();
    return out;
  }

 private:
  void read() {
    for (bool more = true; more;) {
      auto chunk = reader_->next();
      more = chunk.ok() && chunk->has_value();
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return is_over_ || !chunk_.has_value(); });
      if (is_over_) return;
      chunk_.emplace(std::move(chunk));
      lock.unlock();
      changed_.notify_all();
    }
  }

  std::unique_ptr<TableReader> reader_;  ///< of the thread, once that is there
  std::vector<ColumnInfo> columns_;
  std::vector<std::string> left_out_;
  bool text_;
  char decimal_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Result<std::optional<Table>>> chunk_;  ///< read and not yet asked for
  bool is_over_ = false;
  std::jthread thread_;  ///< last, so that it ends before what it uses
};

}  // namespace

std::unique_ptr<TableReader> read_ahead(std::unique_ptr<TableReader> reader) {
  return std::make_unique<ReadAhead>(std::move(reader));
}

}  // namespace heddle::table
