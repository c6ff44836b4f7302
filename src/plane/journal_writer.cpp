#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/signature.hpp"
#include "plane/journal_files.hpp"
#include "plane/journal_reserve.hpp"
#include "plane/journal_syncer.hpp"
#include "plane/segment.hpp"
#include "plane/segment_file.hpp"
#include "plane/shares.hpp"
#include "plane/tally.hpp"

namespace heddle::plane {
namespace {

constexpr std::size_t kMostPending = 8 << 20;
constexpr std::int64_t kRetryNs = 200'000'000;
/// Of the reserve on a full disk: for acts and stops alone, whatever ticks and gaps have taken.
constexpr std::uint64_t kLastOfReserve = 8 << 10;

constexpr std::string_view kPastMost = "journal-past-most";

/// Of the checksums; never 0, and no byte of it is, since a record that ends in zeros looks like
/// one that a power loss took.
std::uint32_t draw_seed() {
  std::uint32_t seed = 0;
  const auto has_zero = [&] {
    return (seed & 0xff) == 0 || (seed >> 8 & 0xff) == 0 || (seed >> 16 & 0xff) == 0 ||
           seed >> 24 == 0;
  };
  while (has_zero()) {
    const std::string bytes = random_bytes(sizeof seed);
    std::memcpy(&seed, bytes.data(), sizeof seed);
  }
  return seed;
}

/// Decides what is recorded, where it goes and what is said of the rest: shares, segments one after
/// the other, the full disk. Bytes, the reserve and syncing are others'.
class Writer final : public JournalWriter {
 public:
  Writer(Options options, FilePort& files, const Clock& clock)
      : options_(std::move(options)),
        files_(files),
        clock_(clock),
        syncer_(files_, options_.dir),
        reserve_(files_, options_.dir),
        shares_(options_.max_bytes),
        seed_(draw_seed()) {
    // Small journals have small segments, so that space comes back in small pieces.
    options_.segment_bytes =
        std::min(options_.segment_bytes, std::max<std::uint64_t>(options_.max_bytes / 8, 4096));
  }
  ~Writer() override {
    (void)commit();
    hand_over();
  }

  Result<void> open() {
    HEDDLE_TRY(make_dirs(files_, options_.dir));
    HEDDLE_ASSIGN_OR_RETURN(const auto segments, list_segments(options_.dir, files_));
    HEDDLE_TRY(check_version(options_.dir, segments, files_));
    if (!segments.empty()) look_at_last(segments.back());
    reserve_.fill();
    measure();
    // Also on a disk that only reads: what was released answers there too.
    begin_or_become_full();
    return {};
  }

  void append(const Record& record) override {
    const auto write = [&] { append_record(record, pending_, seed_); };
    if (const auto* request = std::get_if<RequestRecord>(&record))
      return append_of(RecordKind::kRows, request->account, write);
    if (const auto* label = std::get_if<LabelRecord>(&record))
      return append_of(RecordKind::kLabels, label->account, write);
    // What is said again soon must not take what a stop will need.
    const bool said_again =
        std::holds_alternative<TickRecord>(record) || std::holds_alternative<GapRecord>(record);
    if (disk_full_ && said_again &&
        position().offset + pending_.size() > JournalReserve::kBytes - kLastOfReserve)
      return;
    if (!std::holds_alternative<GapRecord>(record)) note_gap();
    keep(record);
  }

  void append(const RequestView& request) override {
    append_of(RecordKind::kRows, request.account,
              [&] { append_request(request, pending_, seed_); });
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
    if (!full_ && gap_is_due()) note_gap();
    if (pending_.empty()) return {};
    if (!full_ && segment_is_over()) begin_or_become_full();
    return pending_.empty() ? Result<void>{} : write_or_make_room();
  }

  Result<void> sync() override {
    HEDDLE_TRY(commit());
    const auto before = syncer_.finish();
    Result<void> now;
    if (segment_.has_value()) now = segment_->sync();
    if (now.ok() && new_name_) {
      now = fsync_dir(files_, options_.dir);
      new_name_ = !now.ok();
    }
    if (!now.ok() && !full_) begin_or_become_full();
    HEDDLE_TRY(before);
    return now;
  }

  void sync_soon() override {
    if (!segment_.has_value() || synced_ == position() || syncer_.busy()) return;
    const int copy = segment_->duplicate();
    if (copy < 0) return;
    synced_ = position();
    syncer_.sync_and_close(copy, std::exchange(new_name_, false));
  }

  [[nodiscard]] JournalPosition position() const override {
    return {last_, segment_.has_value() ? segment_->end() : 0};
  }

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
    append_record(record, pending_, seed_);
    shares_.add(RecordKind::kOthers, 0, pending_.size() - at);
    kept_.push_back({at, pending_.size()});
  }

  /// Looks what the readers have done since, a few times a second.
  bool look_again() {
    if (clock_.mono_ns() < look_ns_) return false;
    measure();
    return true;
  }

  /// What the segments take; those that the control plane took away free their room.
  void measure() {
    look_ns_ = clock_.mono_ns() + kRetryNs;
    const auto segments = list_segments(options_.dir, files_);
    if (!segments.ok()) return;  // as it was known
    std::vector<Shares::Segment> there;
    total_ = 0;
    for (const std::uint64_t number : *segments) {
      if (number == last_ && segment_.has_value()) continue;
      const std::int64_t size = files_.size(segment_path(options_.dir, number).c_str());
      if (size < 0) continue;
      there.push_back({number, static_cast<std::uint64_t>(size)});
      total_ += there.back().bytes;
    }
    const auto text = read_file(files_, consumed_path(options_.dir));
    shares_.measure(there, text.ok() ? std::strtoull(text->c_str(), nullptr, 10) : 0);
  }

  /// Of the writer before this one.
  void look_at_last(std::uint64_t number) {
    last_ = number;
    const std::string path = segment_path(options_.dir, number);
    const std::int64_t size = files_.size(path.c_str());
    const auto end = records_end(files_, path, number);
    // Where it cannot be read, all that stands there counts: a reader tells what it misses.
    previous_end_ = end.ok() ? *end : static_cast<std::uint64_t>(std::max<std::int64_t>(size, 1));
    if (!end.ok()) log::warn("{}; the journal goes on in the next segment", end.error().str());
    // What was allocated past its end goes back to the disk; its bytes stay as they are.
    if (size >= 0) (void)files_.truncate(path.c_str(), size);
  }

  [[nodiscard]] bool gap_is_due() const { return gap_.any() && clock_.mono_ns() >= say_ns_; }
  [[nodiscard]] bool segment_is_over() { return segment_ends() || syncer_.take_failed(); }

  /// A write that fails is tried once more, in the room that is given up for it.
  Result<void> write_or_make_room() {
    auto written = write_pending();
    if (written.ok()) return written;
    if (full_) return take_reserve() ? write_pending() : written;
    become_full(written.error());
    return pending_.empty() ? Result<void>{} : write_pending();
  }

  [[nodiscard]] bool segment_ends() const {
    return segment_.has_value() && !segment_->empty() &&
           segment_->end() + pending_.size() > options_.segment_bytes;
  }
  [[nodiscard]] SegmentHead next_head() const {
    return {last_ + 1, segment_.has_value() ? segment_->end() : previous_end_, options_.fields,
            seed_};
  }

  /// The current segment ends, the next one begins.
  Result<void> begin_segment() {
    const auto past_most = [&] {
      return total_ + position().offset + options_.segment_bytes > options_.max_bytes;
    };
    if (past_most()) measure();
    if (past_most()) {
      return Error{ErrorKind::kIo, std::string(kPastMost),
                   fmt::format("`{}` would go past its {} bytes",
                               segment_path(options_.dir, last_ + 1), options_.max_bytes),
                   "the control plane makes room as it reads: see `heddle status`; requests go on "
                   "being answered, their records are dropped and counted"};
    }
    auto next = SegmentFile::create(files_, options_.dir, next_head(), options_.segment_bytes);
    if (!next.ok() && next.error().id == kSegmentThere) {
      // Begun before on a disk that then took neither its head nor its name away.
      hand_over();
      ++last_;
      previous_end_ = 0;
      next = SegmentFile::create(files_, options_.dir, next_head(), options_.segment_bytes);
    }
    if (!next.ok()) return next.error();
    take_over(std::move(*next));
    reserve_.fill();  // where the disk had no room for it before
    return {};
  }

  /// The current segment is finished; its sync is another thread's.
  void hand_over() {
    if (!segment_.has_value()) return;
    previous_end_ = segment_->end();
    syncer_.sync_and_close(std::move(*segment_).finish(), std::exchange(new_name_, false));
    segment_.reset();
  }

  void take_over(SegmentFile next) {
    hand_over();
    segment_ = std::move(next);
    last_ = segment_->number();
    new_name_ = true;
    shares_.begin_segment(last_);
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
    retry_ns_ = clock_.mono_ns() + kRetryNs;
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
    if (!reserve_.filled()) return false;
    auto next = reserve_.become(next_head());
    if (!next.ok()) return false;
    take_over(std::move(*next));
    return true;
  }

  void try_to_recover() {
    if (clock_.mono_ns() < retry_ns_) return;
    retry_ns_ = clock_.mono_ns() + kRetryNs;
    if (!begin_segment().ok()) return;
    full_ = disk_full_ = false;
    log::info("the journal `{}` has room again", options_.dir);
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
    say_ns_ = clock_.mono_ns() + kRetryNs;
  }

  Result<void> write_pending() {
    if (!segment_.has_value()) {
      errno = ENOSPC;
      return journal_error("write to", options_.dir);
    }
    HEDDLE_TRY(segment_->append(pending_));
    pending_.clear();
    kept_.clear();
    droppable_pending_.clear();
    return {};
  }

  Options options_;
  FilePort& files_;
  const Clock& clock_;
  JournalSyncer syncer_;
  JournalReserve reserve_;
  std::optional<SegmentFile> segment_;  ///< the newest one; none: none could be begun yet
  std::uint64_t last_ = 0;              ///< number of the newest one there is
  std::uint64_t previous_end_ = 0;      ///< of it, where it is not `segment_`
  bool new_name_ = false;  ///< no sync of the folder has covered the name of `segment_`
  bool full_ = false;
  bool disk_full_ = false;   ///< `full_` not by `max_bytes`
  std::uint64_t total_ = 0;  ///< of all segments but this one
  Shares shares_;
  std::uint32_t seed_;
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

Result<std::unique_ptr<JournalWriter>> open_journal(JournalWriter::Options options, FilePort& files,
                                                    const Clock& clock) {
  auto writer = std::make_unique<Writer>(std::move(options), files, clock);
  HEDDLE_TRY(writer->open());
  return std::unique_ptr<JournalWriter>(std::move(writer));
}

Result<std::unique_ptr<JournalWriter>> JournalWriter::open(Options options) {
  return open_journal(std::move(options), system_files(), system_clock());
}

}  // namespace heddle::plane
