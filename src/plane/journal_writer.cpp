#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "plane/journal.hpp"
#include "plane/segment.hpp"
#include "plane/shares.hpp"

namespace heddle::plane {
namespace {

constexpr std::uint64_t kReserveBytes = 64 << 10;
constexpr std::size_t kMostPending = 8 << 20;
constexpr std::int64_t kRetryNs = 200'000'000;
/// Of the reserve on a full disk: for acts and stops alone, whatever ticks and gaps have taken.
constexpr std::uint64_t kLastOfReserve = 8 << 10;

constexpr std::string_view kPastMost = "journal-past-most";

/// fsyncs files on a thread of its own.
class Syncer {
 public:
  Syncer() : thread_([this] { run(); }) {}
  ~Syncer() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      ending_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }
  /// Takes over `fd`.
  void sync_and_close(int fd) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      files_.push_back(fd);
    }
    wake_.notify_one();
  }
  [[nodiscard]] bool busy() const noexcept { return busy_.load(std::memory_order_relaxed); }

 private:
  void run() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
      wake_.wait(lock, [this] { return ending_ || !files_.empty(); });
      if (files_.empty()) return;
      std::vector<int> files;
      files.swap(files_);
      busy_.store(true, std::memory_order_relaxed);
      lock.unlock();
      for (const int fd : files) {
        ::fdatasync(fd);
        ::close(fd);
      }
      busy_.store(false, std::memory_order_relaxed);
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<int> files_;
  bool ending_ = false;
  std::atomic<bool> busy_{false};
  std::thread thread_;
};

Error disk_error(std::string_view what, const std::string& path) {
  return Error{ErrorKind::kIo, "journal-write",
               fmt::format("cannot {} `{}`: {}", what, path, std::strerror(errno)),
               "make room on the disk: requests go on being answered, their records are dropped "
               "and counted"};
}

/// Where the whole records of a segment end.
std::uint64_t clean_end(const std::string& path) {
  const auto bytes = read_file(path);
  if (!bytes.ok() || !bytes->starts_with(kSegmentMagic)) return 0;
  std::size_t at = kSegmentMagic.size();
  while (true) {
    const Framed frame = read_frame(std::string_view(*bytes).substr(at), true);
    if (frame.state != Framed::State::kWhole) return at;
    at += frame.bytes;
  }
}

/// Counts by account of what went unrecorded, or would if the disk did not take it.
class Tally {
 public:
  void add(RecordKind kind, std::size_t account) {
    if (counts_.size() <= account) counts_.resize(account + 1);
    ++(kind == RecordKind::kRows ? counts_[account].requests : counts_[account].labels);
    any_ = true;
  }
  void add(const Tally& other) {
    for (std::size_t i = 0; other.any_ && i < other.counts_.size(); ++i) {
      if (counts_.size() <= i) counts_.resize(i + 1);
      counts_[i].requests += other.counts_[i].requests;
      counts_[i].labels += other.counts_[i].labels;
      any_ = true;
    }
  }
  void clear() {
    if (any_) std::fill(counts_.begin(), counts_.end(), Unrecorded{});
    any_ = false;
  }
  [[nodiscard]] bool any() const noexcept { return any_; }
  [[nodiscard]] const std::vector<Unrecorded>& counts() const noexcept { return counts_; }

 private:
  std::vector<Unrecorded> counts_;  ///< by account
  bool any_ = false;
};

class Writer final : public JournalWriter {
 public:
  explicit Writer(Options options) : options_(std::move(options)), shares_(options_.max_bytes) {
    // Small journals have small segments, so that space comes back in small pieces.
    options_.segment_bytes =
        std::min(options_.segment_bytes, std::max<std::uint64_t>(options_.max_bytes / 8, 4096));
  }
  ~Writer() override {
    (void)commit();
    if (fd_ >= 0) syncer_.sync_and_close(fd_);
    if (reserve_ >= 0) ::close(reserve_);
  }

  Result<void> open() {
    HEDDLE_TRY(make_dirs(options_.dir));
    const auto segments = list_segments(options_.dir);
    if (!segments.empty()) {
      segment_ = segments.back();
      const std::string last = segment_path(options_.dir, segment_);
      previous_end_ = clean_end(last);
      // What was allocated past its end goes back to the disk; its bytes stay as they are.
      struct stat info{};
      if (::stat(last.c_str(), &info) == 0) (void)!::truncate(last.c_str(), info.st_size);
    }
    reserve_ = ::open(reserve_path().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (reserve_ >= 0) fill_reserve();
    measure();
    // Also on a disk that only reads: what was released answers there too.
    begin_or_become_full();
    return {};
  }

  void append(const Record& record) override {
    if (const auto* request = std::get_if<RequestRecord>(&record)) {
      append_of(RecordKind::kRows, request->account, [&] { append_record(record, pending_); });
      return;
    }
    if (const auto* label = std::get_if<LabelRecord>(&record)) {
      append_of(RecordKind::kLabels, label->account, [&] { append_record(record, pending_); });
      return;
    }
    // What is said again soon must not take what a stop will need.
    const bool said_again =
        std::holds_alternative<TickRecord>(record) || std::holds_alternative<GapRecord>(record);
    if (disk_full_ && said_again && offset_ + pending_.size() > kReserveBytes - kLastOfReserve)
      return;
    if (!std::holds_alternative<GapRecord>(record)) note_gap();
    keep(record);
  }

  void append(const RequestView& request) override {
    append_of(RecordKind::kRows, request.account, [&] { append_request(request, pending_); });
  }

  void set_fields(std::vector<std::string> fields) override {
    if (fields == options_.fields) return;
    (void)commit();
    options_.fields = std::move(fields);
    if (!full_) begin_or_become_full();
  }

  Result<void> commit() override {
    if (pending_.empty() && !gap_.any()) return {};
    if (full_) try_to_recover();
    if (!full_ && gap_.any() && system_clock().mono_ns() >= say_ns_) note_gap();
    if (pending_.empty()) return {};
    if (!full_ && offset_ > head_end_ && offset_ + pending_.size() > options_.segment_bytes)
      begin_or_become_full();
    if (pending_.empty()) return {};
    auto written = write_pending();
    if (!written.ok() && !full_) {
      become_full(written.error());
      if (pending_.empty()) return {};
      written = write_pending();
    }
    return written;
  }

  Result<void> sync() override {
    HEDDLE_TRY(commit());
    if (fd_ >= 0 && ::fdatasync(fd_) != 0)
      return disk_error("sync", segment_path(options_.dir, segment_));
    return {};
  }

  void sync_soon() override {
    if (fd_ < 0 || synced_ == position() || syncer_.busy()) return;
    const int copy = ::fcntl(fd_, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) return;
    synced_ = position();
    syncer_.sync_and_close(copy);
  }

  [[nodiscard]] JournalPosition position() const override { return {segment_, offset_}; }

  Room room(RecordKind kind, std::string_view account) override {
    if (full_ && kind != RecordKind::kOthers) return Room::kFull;
    const std::size_t who = kind == RecordKind::kOthers ? 0 : shares_.account(account);
    if (shares_.takes(kind, who)) return Room::kYes;
    return look_again() && shares_.takes(kind, who) ? Room::kYes : Room::kShareUsed;
  }

  [[nodiscard]] std::map<std::string, Unrecorded> unrecorded() const override {
    std::map<std::string, Unrecorded> all;
    for (std::size_t i = 0; i < dropped_.counts().size(); ++i) {
      const Unrecorded& count = dropped_.counts()[i];
      if (count.requests + count.labels > 0) all.emplace(shares_.name(i), count);
    }
    return all;
  }
  [[nodiscard]] std::uint64_t bytes() const override { return shares_.held(); }

 private:
  struct Extent {
    std::size_t begin;
    std::size_t end;
  };

  /// Appends a request or label, or counts it as unrecorded.
  template <class Write>
  void append_of(RecordKind kind, std::string_view account, Write write) {
    const std::size_t who = shares_.account(account);
    if (pending_.size() > kMostPending) (void)commit();  // many large ones in one turn
    // Labels were asked about, those of a request together: what was said to be taken is.
    const bool has_share = kind == RecordKind::kLabels || shares_.takes(kind, who) ||
                           (look_again() && shares_.takes(kind, who));
    const bool taken = !full_ && pending_.size() <= kMostPending && has_share;
    if (!taken) {
      gap_.add(kind, who);
      dropped_.add(kind, who);
      return;
    }
    const std::size_t before = pending_.size();
    write();
    shares_.add(kind, who, pending_.size() - before);
    droppable_pending_.add(kind, who);
  }

  /// Appends what must not be dropped.
  void keep(const Record& record) {
    const std::size_t at = pending_.size();
    append_record(record, pending_);
    shares_.add(RecordKind::kOthers, 0, pending_.size() - at);
    kept_.push_back({at, pending_.size()});
  }

  /// Looks what the readers have done since, a few times a second.
  bool look_again() {
    if (system_clock().mono_ns() < look_ns_) return false;
    measure();
    return true;
  }

  [[nodiscard]] std::string reserve_path() const { return options_.dir + "/reserve"; }
  /// What the segments take; those that the control plane took away free their room.
  void measure() {
    look_ns_ = system_clock().mono_ns() + kRetryNs;
    std::vector<Shares::Segment> there;
    total_ = 0;
    for (const std::uint64_t number : list_segments(options_.dir)) {
      struct stat info{};
      if (number == segment_ || ::stat(segment_path(options_.dir, number).c_str(), &info) != 0)
        continue;
      there.push_back({number, static_cast<std::uint64_t>(info.st_size)});
      total_ += there.back().bytes;
    }
    const auto text = read_file(consumed_path(options_.dir));
    shares_.measure(there, text.ok() ? std::strtoull(text->c_str(), nullptr, 10) : 0);
  }

  void fill_reserve() {
    // Blocks past the end of the file: its length stays 0 until it is used.
    has_reserve_ = ::fallocate(reserve_, FALLOC_FL_KEEP_SIZE, 0, kReserveBytes) == 0;
  }

  /// The current segment ends, the next one begins.
  Result<void> begin_segment() {
    const std::uint64_t next = segment_ + 1;
    if (fd_ >= 0) previous_end_ = offset_;
    const auto past_most = [&] {
      return total_ + (fd_ >= 0 ? offset_ : 0) + options_.segment_bytes > options_.max_bytes;
    };
    if (past_most()) measure();
    if (past_most()) {
      return Error{ErrorKind::kIo, std::string(kPastMost),
                   fmt::format("`{}` would go past its {} bytes", segment_path(options_.dir, next),
                               options_.max_bytes),
                   "the control plane makes room as it reads: see `heddle status`; requests go on "
                   "being answered, their records are dropped and counted"};
    }
    const std::string path = segment_path(options_.dir, next);
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return disk_error("create", path);
    // Allocated ahead, a record never meets a full disk in the middle of a segment.
    if (::fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(options_.segment_bytes)) != 0 &&
        errno == ENOSPC) {
      Error error = disk_error("allocate", path);
      ::close(fd);
      ::unlink(path.c_str());
      return error;
    }
    if (auto begun = write_head(fd, next); !begun.ok()) {
      ::close(fd);
      ::unlink(path.c_str());
      return begun;
    }
    take_over(fd, next);
    return {};
  }

  Result<void> write_head(int fd, std::uint64_t number) {
    std::string head(kSegmentMagic);
    append_head({number, previous_end_, options_.fields}, head);
    if (::pwrite(fd, head.data(), head.size(), 0) != static_cast<ssize_t>(head.size()))
      return disk_error("begin", segment_path(options_.dir, number));
    head_end_ = head.size();
    return {};
  }

  void take_over(int fd, std::uint64_t number) {
    if (fd_ >= 0) {
      (void)!::ftruncate(fd_, static_cast<off_t>(offset_));
      syncer_.sync_and_close(fd_);
    }
    fd_ = fd;
    segment_ = number;
    offset_ = head_end_;
    shares_.begin_segment(number);
    measure();
  }

  void begin_or_become_full() {
    if (const auto begun = begin_segment(); !begun.ok()) become_full(begun.error());
  }

  /// From now on requests and labels are dropped; what must not be lost goes into what was
  /// allocated before.
  void become_full(const Error& why) {
    if (!full_)
      log::warn("the journal `{}` takes nothing more: {}; {}", options_.dir, why.message, why.hint);
    full_ = true;
    disk_full_ = why.id != kPastMost;
    retry_ns_ = system_clock().mono_ns() + kRetryNs;
    gap_.add(droppable_pending_);
    dropped_.add(droppable_pending_);
    droppable_pending_.clear();
    std::string kept;
    for (Extent& extent : kept_) {
      const std::size_t at = kept.size();
      kept.append(pending_, extent.begin, extent.end - extent.begin);
      extent = {at, kept.size()};
    }
    pending_ = std::move(kept);
    (void)take_reserve();
  }

  bool take_reserve() {
    if (!has_reserve_) return false;
    const std::uint64_t next = segment_ + 1;
    if (fd_ >= 0) previous_end_ = offset_;
    if (!write_head(reserve_, next).ok() ||
        ::rename(reserve_path().c_str(), segment_path(options_.dir, next).c_str()) != 0)
      return false;
    const int fd = reserve_;
    reserve_ = -1;
    has_reserve_ = false;
    full_ = true;
    take_over(fd, next);
    return true;
  }

  void try_to_recover() {
    if (system_clock().mono_ns() < retry_ns_) return;
    retry_ns_ = system_clock().mono_ns() + kRetryNs;
    if (!begin_segment().ok()) return;
    full_ = disk_full_ = false;
    log::info("the journal `{}` has room again", options_.dir);
    if (reserve_ < 0) reserve_ = ::open(reserve_path().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (reserve_ >= 0 && !has_reserve_) fill_reserve();
    note_gap();
  }

  /// One record for each account that has lost something since the last ones.
  void note_gap() {
    if (!gap_.any()) return;
    const char* why =
        full_ ? "the journal is full" : "the journal was full, or the account held its share of it";
    for (std::size_t i = 0; i < gap_.counts().size(); ++i) {
      const Unrecorded lost = gap_.counts()[i];
      if (lost.requests + lost.labels > 0)
        keep(GapRecord{lost.requests, why, lost.labels, shares_.name(i)});
    }
    gap_.clear();
    say_ns_ = system_clock().mono_ns() + kRetryNs;
  }

  Result<void> write_pending() {
    if (fd_ < 0) {
      errno = ENOSPC;
      return disk_error("write to", options_.dir);
    }
    std::size_t done = 0;
    while (done < pending_.size()) {
      const ssize_t n = ::pwrite(fd_, pending_.data() + done, pending_.size() - done,
                                 static_cast<off_t>(offset_ + done));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {
        Error error = disk_error("write to", segment_path(options_.dir, segment_));
        (void)!::ftruncate(fd_, static_cast<off_t>(offset_));
        return error;
      }
      done += static_cast<std::size_t>(n);
    }
    offset_ += pending_.size();
    pending_.clear();
    kept_.clear();
    droppable_pending_.clear();
    return {};
  }

  Options options_;
  Syncer syncer_;
  int fd_ = -1;
  int reserve_ = -1;
  bool has_reserve_ = false;
  bool full_ = false;
  std::uint64_t segment_ = 0;
  std::uint64_t offset_ = 0;
  std::uint64_t head_end_ = 0;
  std::uint64_t previous_end_ = 0;
  std::uint64_t total_ = 0;  ///< of all segments but this one
  bool disk_full_ = false;   ///< `full_` not by `max_bytes`
  Shares shares_;
  Tally gap_;      ///< dropped and not yet said
  Tally dropped_;  ///< since it was opened
  Tally droppable_pending_;
  std::int64_t retry_ns_ = 0;
  std::int64_t look_ns_ = 0;
  std::int64_t say_ns_ = 0;  ///< not before, while records come
  std::string pending_;
  std::vector<Extent> kept_;  ///< of `pending_`: what must not be dropped
  JournalPosition synced_;
};

}  // namespace

Result<std::unique_ptr<JournalWriter>> JournalWriter::open(Options options) {
  auto writer = std::make_unique<Writer>(std::move(options));
  HEDDLE_TRY(writer->open());
  return std::unique_ptr<JournalWriter>(std::move(writer));
}

}  // namespace heddle::plane
