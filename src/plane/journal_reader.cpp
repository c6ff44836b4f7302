#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.hpp"
#include "plane/journal.hpp"
#include "plane/segment.hpp"

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

constexpr std::size_t kWindow = 256 << 10;

class Reader final : public JournalReader {
 public:
  Reader(std::string dir, JournalPosition from) : dir_(std::move(dir)), position_(from) {}
  ~Reader() override {
    if (fd_ >= 0) ::close(fd_);
  }

  Result<std::optional<Record>> next() override {
    HEDDLE_ASSIGN_OR_RETURN(const std::optional<std::string_view> payload, next_payload());
    if (lost_.has_value()) {
      std::optional<Record> gap{GapRecord{0, std::move(*lost_)}};
      lost_.reset();
      return gap;
    }
    if (!payload.has_value()) return std::optional<Record>{};
    std::optional<Record> record = decode_record(*payload);
    if (!record.has_value()) return corrupt("a record of unknown form");
    return record;
  }

  /// The payload of the next record; borrowed until the next call. Empty too when `lost_` is set.
  Result<std::optional<std::string_view>> next_payload() {
    while (true) {
      if (fd_ < 0) {
        HEDDLE_ASSIGN_OR_RETURN(const bool opened, open_segment());
        if (!opened) return std::optional<std::string_view>{};
      }
      // Asked before the last look at this segment: when there is a next one, this one is complete.
      bool followed = false;
      Framed frame = read_frame(rest(), false);
      if (frame.state != Framed::State::kWhole) {
        followed = path_exists(segment_path(dir_, position_.segment + 1));
        HEDDLE_ASSIGN_OR_RETURN(const bool whole_file, fill());
        frame = read_frame(rest(), whole_file);
        while (frame.state == Framed::State::kTorn && !whole_file) {
          HEDDLE_ASSIGN_OR_RETURN(const bool at_end, fill());
          frame = read_frame(rest(), at_end);
          if (at_end) break;
        }
      }
      if (frame.state == Framed::State::kCorrupt)
        return corrupt("a record that does not match its checksum");
      if (frame.state == Framed::State::kWhole) {
        used_ += frame.bytes;
        position_.offset += frame.bytes;
        return std::optional<std::string_view>{frame.payload};
      }
      if (!followed) return std::optional<std::string_view>{};
      HEDDLE_ASSIGN_OR_RETURN(const bool moved, go_on_to_next());
      if (!moved || lost_.has_value()) return std::optional<std::string_view>{};
    }
  }

  [[nodiscard]] JournalPosition position() const override { return position_; }
  [[nodiscard]] const std::vector<std::string>& fields() const override { return head_.fields; }
  [[nodiscard]] std::optional<std::string>& lost() noexcept { return lost_; }

 private:
  [[nodiscard]] std::string_view rest() const noexcept {
    return std::string_view(window_).substr(used_);
  }
  [[nodiscard]] Error corrupt(std::string_view what) const {
    return Error{ErrorKind::kCorrupt, "journal-corrupt", fmt::format("the journal has {}", what),
                 "restore the segment from a copy, or move it away: its records are lost then",
                 fmt::format("{}:{}", segment_path(dir_, position_.segment), position_.offset)};
  }

  /// Reads on; true when the window reaches the end of the file as it is now.
  Result<bool> fill() {
    window_.erase(0, used_);
    used_ = 0;
    const std::size_t had = window_.size();
    window_.resize(had + kWindow);
    ssize_t n = 0;
    do {
      n = ::pread(fd_, window_.data() + had, kWindow, static_cast<off_t>(position_.offset + had));
    } while (n < 0 && errno == EINTR);
    window_.resize(had + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    if (n < 0) {
      return Error{ErrorKind::kIo, "journal-read",
                   fmt::format("cannot read `{}`: {}", segment_path(dir_, position_.segment),
                               std::strerror(errno)),
                   "see the system's message"};
    }
    return static_cast<std::size_t>(n) < kWindow;
  }

  /// Opens the segment of `position_`, or the first one there is. False: not there yet.
  Result<bool> open_segment() {
    if (position_.segment == 0) {
      const auto segments = list_segments(dir_);
      if (segments.empty()) return false;
      position_ = {segments.front(), 0};
    }
    const std::string path = segment_path(dir_, position_.segment);
    fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd_ < 0) {
      if (errno == ENOENT) {
        const auto segments = list_segments(dir_);
        if (!segments.empty() && segments.back() > position_.segment) {
          return Error{ErrorKind::kNotFound, "journal-segment-gone",
                       fmt::format("the journal segment `{}` is not there any more", path),
                       "begin again from the oldest segment"};
        }
        return false;
      }
      return Error{ErrorKind::kIo, "journal-read",
                   fmt::format("cannot open `{}`: {}", path, std::strerror(errno)),
                   "see the system's message"};
    }
    HEDDLE_ASSIGN_OR_RETURN(const std::optional<Head> head,
                            read_segment_head(fd_, position_.segment));
    if (!head.has_value()) {
      ::close(fd_);
      fd_ = -1;
      return skip_unbegun();
    }
    enter(*head, std::max<std::uint64_t>(position_.offset, head->bytes));
    return true;
  }

  /// The segment of `position_` has no whole head. When there is a next one, its writer was killed
  /// before it wrote a record, and the next writer found that out; anything else is damage.
  Result<bool> skip_unbegun() {
    const std::uint64_t number = position_.segment + 1;
    const int fd = ::open(segment_path(dir_, number).c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    const auto next = read_segment_head(fd, number);
    ::close(fd);
    if (!next.ok()) return next.error();
    if (next->has_value() && (*next)->head.previous_end != 0) return corrupt("a damaged head");
    position_ = {number, 0};
    return open_segment();
  }

  struct Head {
    SegmentHead head;
    std::size_t bytes = 0;
  };

  /// Nothing when the head is not whole yet.
  Result<std::optional<Head>> read_segment_head(int fd, std::uint64_t segment) const {
    std::string bytes(64 << 10, '\0');
    const ssize_t n = ::pread(fd, bytes.data(), bytes.size(), 0);
    bytes.resize(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    const std::string_view magic = std::string_view(bytes).substr(0, kSegmentMagic.size());
    if (!kSegmentMagic.starts_with(magic)) {
      return Error{ErrorKind::kCorrupt, "journal-corrupt",
                   fmt::format("`{}` is no journal segment", segment_path(dir_, segment)),
                   "move the file away"};
    }
    if (bytes.size() <= kSegmentMagic.size()) return std::optional<Head>{};
    const Framed frame = read_frame(std::string_view(bytes).substr(kSegmentMagic.size()), true);
    if (frame.state == Framed::State::kTorn) return std::optional<Head>{};
    auto head = frame.state == Framed::State::kWhole ? decode_head(frame.payload) : std::nullopt;
    if (!head.has_value() || head->segment != segment) {
      return Error{ErrorKind::kCorrupt, "journal-corrupt",
                   fmt::format("the head of `{}` is damaged", segment_path(dir_, segment)),
                   "restore the segment from a copy, or move it away"};
    }
    return std::optional<Head>{Head{std::move(*head), kSegmentMagic.size() + frame.bytes}};
  }

  void enter(Head head, std::uint64_t offset) {
    position_.offset = offset;
    head_ = std::move(head.head);
    window_.clear();
    used_ = 0;
  }

  /// This segment has no more whole record and there is a next one. False: that one has not begun
  /// yet.
  Result<bool> go_on_to_next() {
    const std::uint64_t number = position_.segment + 1;
    const int fd = ::open(segment_path(dir_, number).c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    auto head = read_segment_head(fd, number);
    if (!head.ok() || !head->has_value()) {
      ::close(fd);
      if (!head.ok()) return head.error();
      if (!path_exists(segment_path(dir_, number + 1))) return false;
      ::close(fd_);
      fd_ = -1;
      position_ = {number, 0};
      return skip_unbegun();
    }
    const std::uint64_t expected = (*head)->head.previous_end;
    if (position_.offset < expected) {
      struct stat info{};
      const bool shorter =
          ::fstat(fd_, &info) == 0 && static_cast<std::uint64_t>(info.st_size) < expected;
      const bool blank =
          rest().empty() || rest().back() == 0;  // a length of file without its bytes
      if (!shorter && !blank) {
        ::close(fd);
        return corrupt("records that cannot be read");
      }
      lost_ = fmt::format("segment {} lost {} bytes at its end, as after a power loss",
                          position_.segment, expected - position_.offset);
    }
    ::close(fd_);
    fd_ = fd;
    position_.segment = number;
    const std::size_t bytes = (*head)->bytes;
    enter(std::move(**head), bytes);
    return true;
  }

  std::string dir_;
  JournalPosition position_;
  int fd_ = -1;
  SegmentHead head_;
  std::string window_;  ///< bytes of the file from `position_.offset - used_` on
  std::size_t used_ = 0;
  std::optional<std::string> lost_;
};

}  // namespace

Result<std::unique_ptr<JournalReader>> JournalReader::open(const std::string& dir,
                                                           JournalPosition from) {
  return std::unique_ptr<JournalReader>(std::make_unique<Reader>(dir, from));
}

Result<Standing> standing_acts(const std::string& dir) {
  Reader reader(dir, {});
  Standing standing;
  while (true) {
    HEDDLE_ASSIGN_OR_RETURN(const auto payload, reader.next_payload());
    if (reader.lost().has_value()) {
      reader.lost().reset();
      continue;
    }
    if (!payload.has_value()) return standing;
    const auto type = static_cast<PayloadType>(payload->front());
    if (type != PayloadType::kApplied && type != PayloadType::kAct && type != PayloadType::kStop &&
        type != PayloadType::kTick)
      continue;
    std::optional<Record> record = decode_record(*payload);
    if (!record.has_value()) continue;
    if (const auto* tick = std::get_if<TickRecord>(&*record)) {
      if (is_event_time(tick->event_time))
        standing.last_tick = std::max(standing.last_tick, tick->event_time);
    } else if (const auto* applied = std::get_if<AppliedRecord>(&*record)) {
      standing.route_version = applied->route_version;
      std::erase_if(standing.acts, [&](const Record& item) {
        const auto* act = std::get_if<ActRecord>(&item);
        const std::string& id = act != nullptr ? act->id : std::get<StopRecord>(item).id;
        return std::find(applied->standing.begin(), applied->standing.end(), id) ==
               applied->standing.end();
      });
    } else if (const auto* act = std::get_if<ActRecord>(&*record);
               act != nullptr && act->act == "clock-set") {
      // Event time may have gone back with it: ticks before it do not count any more.
      if (is_event_time(act->event_time)) standing.last_tick = act->event_time;
      std::erase_if(standing.acts, [](const Record& item) {
        const auto* before = std::get_if<ActRecord>(&item);
        return before != nullptr && before->act == "clock-jump";
      });
    } else {
      standing.acts.push_back(std::move(*record));
    }
  }
}

}  // namespace heddle::plane
