#include <algorithm>
#include <cerrno>

#include "plane/journal_files.hpp"
#include "plane/segment.hpp"
#include "plane/segment_reader.hpp"

namespace heddle::plane {

expr::Datum FieldValue::datum() const noexcept {
  using Kind = expr::Datum::Kind;
  switch (kind) {
    case Kind::kBool: return expr::Datum::boolean(i != 0);
    case Kind::kInt: return expr::Datum::integer(i);
    case Kind::kTimestamp: return expr::Datum::timestamp(i);
    case Kind::kDuration: return expr::Datum::duration(i);
    case Kind::kDouble: return expr::Datum::real(d);
    case Kind::kString: return expr::Datum::string(s);
    default: return expr::Datum::null();
  }
}

namespace {

/// What a reader meets: a record, or a gap in its place; neither: not yet.
struct Item {
  std::optional<std::string_view> payload{};  ///< borrowed until the next call
  std::optional<GapRecord> gap{};
};

Item gap_of(std::string reason) { return {std::nullopt, GapRecord{0, std::move(reason)}}; }

/// Reads one segment after the other, and says what lies between.
class Reader final : public JournalReader {
 public:
  Reader(std::string dir, JournalPosition from, FilePort& files)
      : files_(files), dir_(std::move(dir)), position_(from) {}

  Result<std::optional<Record>> next() override {
    HEDDLE_ASSIGN_OR_RETURN(Item item, next_item());
    if (item.gap.has_value()) return std::optional<Record>{std::move(*item.gap)};
    if (!item.payload.has_value()) return std::optional<Record>{};
    std::optional<Record> record = decode_record(*item.payload);
    if (record.has_value()) return record;
    return std::optional<Record>{
        GapRecord{0, fmt::format("segment {} has a record before byte {} whose form is not known",
                                 position_.segment, position_.offset)}};
  }

  /// The same without taking the record apart.
  Result<Item> next_item() {
    if (!segment_.has_value()) {
      HEDDLE_ASSIGN_OR_RETURN(Item item, begin());
      if (!segment_.has_value() || item.gap.has_value() || item.payload.has_value()) return item;
    }
    HEDDLE_ASSIGN_OR_RETURN(SegmentReader::Step step, segment_->next());
    if (step.kind == SegmentReader::Step::Kind::kNotYet) {
      // Asked before the last look at this segment: when there is a next one, this one is complete.
      HEDDLE_ASSIGN_OR_RETURN(const std::optional<std::uint64_t> following, after(position_));
      if (!following.has_value()) return Item{};
      HEDDLE_ASSIGN_OR_RETURN(step, segment_->next());
      if (step.kind == SegmentReader::Step::Kind::kNotYet) return go_on_to(*following);
    }
    position_.offset = segment_->offset();
    if (step.kind == SegmentReader::Step::Kind::kDamage)
      return gap_of(fmt::format("segment {} has {} bytes from byte {} on that cannot be read",
                                position_.segment, step.bytes, step.from));
    return Item{step.payload, std::nullopt};
  }

  [[nodiscard]] JournalPosition position() const override { return position_; }
  [[nodiscard]] const std::vector<std::string>& fields() const override { return fields_; }

 private:
  /// The segment that follows. Numbers are given without holes, so that the next one is asked for
  /// first; only now and then is looked whether it was removed.
  Result<std::optional<std::uint64_t>> after(const JournalPosition& position) {
    constexpr int kLooksBetween = 64;
    const std::uint64_t next = position.segment + 1;
    if (files_.size(segment_path(dir_, next).c_str()) >= 0) return std::optional{next};
    if (errno != ENOENT) return file_error("read", segment_path(dir_, next));
    if (looks_++ % kLooksBetween != 0) return std::optional<std::uint64_t>{};
    HEDDLE_ASSIGN_OR_RETURN(const auto segments, list_segments(dir_, files_));
    const auto found = std::upper_bound(segments.begin(), segments.end(), position.segment);
    if (found == segments.end()) return std::optional<std::uint64_t>{};
    return std::optional{*found};
  }

  /// Opens the segment of `position_`, or the first one there is. Without a segment and without a
  /// gap: it is not there yet.
  Result<Item> begin() {
    if (position_.segment == 0) {
      HEDDLE_ASSIGN_OR_RETURN(const auto segments, list_segments(dir_, files_));
      if (segments.empty()) return Item{};
      position_ = {segments.front(), 0};
    }
    HEDDLE_ASSIGN_OR_RETURN(auto opened, SegmentReader::open(files_, dir_, position_.segment));
    if (opened.first == SegmentReader::Opened::kReady) {
      enter(std::move(*opened.second), position_.offset);
      return Item{};
    }
    if (opened.first == SegmentReader::Opened::kGone) return not_there();
    HEDDLE_ASSIGN_OR_RETURN(const std::optional<std::uint64_t> following, after(position_));
    if (!following.has_value()) return Item{};
    return leave_unread(position_.segment, opened.first, *following);
  }

  Result<Item> not_there() {
    HEDDLE_ASSIGN_OR_RETURN(const auto segments, list_segments(dir_, files_));
    if (segments.empty() || segments.back() <= position_.segment) return Item{};
    return Error{ErrorKind::kNotFound, "journal-segment-gone",
                 fmt::format("the journal segment `{}` is not there any more",
                             segment_path(dir_, position_.segment)),
                 "begin again from the oldest segment"};
  }

  void enter(SegmentReader segment, std::uint64_t offset) {
    segment_ = std::move(segment);
    segment_->seek(offset);
    position_ = {segment_->head().segment, segment_->offset()};
    fields_ = segment_->head().fields;
    looks_ = 0;
  }

  /// `segment` has no head that can be read and another one follows. When that one says that there
  /// was nothing, its writer was killed before it began; anything else is lost.
  Result<Item> leave_unread(std::uint64_t segment, SegmentReader::Opened why,
                            std::uint64_t following) {
    HEDDLE_ASSIGN_OR_RETURN(auto next, SegmentReader::open(files_, dir_, following));
    const bool nothing_in_it = next.first == SegmentReader::Opened::kReady &&
                               following == segment + 1 && next.second->head().previous_end == 0 &&
                               why == SegmentReader::Opened::kUnbegun;
    if (next.first == SegmentReader::Opened::kReady) {
      enter(std::move(*next.second), 0);
    } else {
      segment_.reset();
      position_ = {following, 0};
    }
    if (!nothing_in_it)
      return gap_of(fmt::format("segment {} cannot be read: its head is damaged", segment));
    return next_item();
  }

  /// This segment has no more whole record and `following` is there.
  Result<Item> go_on_to(std::uint64_t following) {
    HEDDLE_ASSIGN_OR_RETURN(auto next, SegmentReader::open(files_, dir_, following));
    if (next.first != SegmentReader::Opened::kReady) {
      HEDDLE_ASSIGN_OR_RETURN(const auto then, after({following, 0}));
      if (!then.has_value()) return Item{};  // it is being begun
      return leave_unread(following, next.first, *then);
    }
    const std::uint64_t left = position_.segment;
    std::string reason;
    if (following != left + 1) {
      reason = fmt::format("segments {} to {} are gone", left + 1, following - 1);
    } else if (const std::uint64_t end = next.second->head().previous_end; position_.offset < end) {
      HEDDLE_ASSIGN_OR_RETURN(const bool lost, segment_->lost_its_end(end));
      const std::uint64_t bytes = end - position_.offset;
      reason =
          lost ? fmt::format("segment {} lost {} bytes at its end, as after a power loss", left,
                             bytes)
               : fmt::format("segment {} has {} bytes at its end that cannot be read", left, bytes);
    }
    enter(std::move(*next.second), 0);
    if (!reason.empty()) return gap_of(std::move(reason));
    return next_item();
  }

  FilePort& files_;
  std::string dir_;
  JournalPosition position_;
  std::optional<SegmentReader> segment_;
  std::vector<std::string> fields_;
  unsigned looks_ = 0;
};

}  // namespace

Result<std::unique_ptr<JournalReader>> read_journal(const std::string& dir, JournalPosition from,
                                                    FilePort& files) {
  return std::unique_ptr<JournalReader>(std::make_unique<Reader>(dir, from, files));
}

Result<void> check_version(const std::string& dir, const std::vector<std::uint64_t>& segments,
                           FilePort& files) {
  if (segments.empty()) return {};
  for (const std::uint64_t segment : {segments.front(), segments.back()}) {
    const auto opened = SegmentReader::open(files, dir, segment);
    if (!opened.ok() && opened.error().kind == ErrorKind::kConflict) return opened.error();
  }
  return {};
}

Result<std::unique_ptr<JournalReader>> JournalReader::open(const std::string& dir,
                                                           JournalPosition from) {
  if (const auto segments = list_segments(dir); segments.ok())
    HEDDLE_TRY(check_version(dir, *segments, system_files()));
  return read_journal(dir, from, system_files());
}

namespace {

/// Types of records that say what stands; the others, most of a journal, need no decoding.
bool is_standing(PayloadType type) {
  return type == PayloadType::kApplied || type == PayloadType::kAct || type == PayloadType::kStop ||
         type == PayloadType::kTick;
}

/// Acts that a route table does not list any more are acknowledged.
void follow_applied(const AppliedRecord& applied, Standing& standing) {
  standing.route_version = applied.route_version;
  std::erase_if(standing.acts, [&](const Record& item) {
    const auto* act = std::get_if<ActRecord>(&item);
    const std::string& id = act != nullptr ? act->id : std::get<StopRecord>(item).id;
    return std::find(applied.standing.begin(), applied.standing.end(), id) ==
           applied.standing.end();
  });
}

/// Event time may have gone back with it: ticks before it do not count any more.
void follow_clock(const ActRecord& set, Standing& standing) {
  if (is_event_time(set.event_time)) standing.last_tick = set.event_time;
  std::erase_if(standing.acts, [](const Record& item) {
    const auto* before = std::get_if<ActRecord>(&item);
    return before != nullptr && before->act == "clock-jump";
  });
}

/// What stands after one more record.
void follow(Record record, Standing& standing) {
  if (const auto* tick = std::get_if<TickRecord>(&record)) {
    if (is_event_time(tick->event_time))
      standing.last_tick = std::max(standing.last_tick, tick->event_time);
    return;
  }
  if (const auto* applied = std::get_if<AppliedRecord>(&record))
    return follow_applied(*applied, standing);
  const auto* act = std::get_if<ActRecord>(&record);
  if (act != nullptr && act->act == "clock-set") return follow_clock(*act, standing);
  standing.acts.push_back(std::move(record));
}

}  // namespace

Result<Standing> standing_acts(const std::string& dir) {
  std::vector<std::string> gaps;
  return standing_acts(dir, system_files(), gaps);
}

Result<Standing> standing_acts(const std::string& dir, FilePort& files,
                               std::vector<std::string>& gaps) {
  Reader reader(dir, {}, files);
  Standing standing;
  while (true) {
    HEDDLE_ASSIGN_OR_RETURN(const Item met, reader.next_item());
    if (met.gap.has_value()) {
      gaps.push_back(met.gap->reason);
      continue;
    }
    if (!met.payload.has_value()) return standing;
    if (!is_standing(static_cast<PayloadType>(met.payload->front()))) continue;
    std::optional<Record> record = decode_record(*met.payload);
    if (!record.has_value()) {
      gaps.push_back(fmt::format("segment {} has a record before byte {} whose form is not known",
                                 reader.position().segment, reader.position().offset));
      continue;
    }
    follow(std::move(*record), standing);
  }
}

}  // namespace heddle::plane
