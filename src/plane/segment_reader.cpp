#include "plane/segment_reader.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace heddle::plane {
namespace {

constexpr std::size_t kWindow = 256 << 10;
constexpr std::size_t kMostHead = 64 << 10;

Error read_error(std::string_view what, const std::string& path) {
  return Error{ErrorKind::kIo, "journal-read",
               fmt::format("cannot {} `{}`: {}", what, path, std::strerror(errno)),
               "see what the system's log says of that disk; nothing is left out"};
}

ssize_t read_at(FilePort& files, int fd, char* to, std::size_t most, std::uint64_t at) {
  ssize_t n = 0;
  do {
    n = files.pread(fd, to, most, static_cast<std::int64_t>(at));
  } while (n < 0 && errno == EINTR);
  return n;
}

}  // namespace

SegmentReader::SegmentReader(SegmentReader&& other) noexcept
    : files_(other.files_),
      fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      head_(std::move(other.head_)),
      head_bytes_(other.head_bytes_),
      offset_(other.offset_),
      window_(std::move(other.window_)),
      used_(other.used_),
      looked_(other.looked_) {}

SegmentReader& SegmentReader::operator=(SegmentReader&& other) noexcept {
  files_ = other.files_;
  std::swap(fd_, other.fd_);
  path_ = std::move(other.path_);
  head_ = std::move(other.head_);
  head_bytes_ = other.head_bytes_;
  offset_ = other.offset_;
  window_ = std::move(other.window_);
  used_ = other.used_;
  looked_ = other.looked_;
  return *this;
}

SegmentReader::~SegmentReader() {
  if (fd_ >= 0) files_->close(fd_);
}

Result<std::pair<SegmentReader::Opened, std::optional<SegmentReader>>> SegmentReader::open(
    FilePort& files, const std::string& dir, std::uint64_t segment) {
  using Answer = std::pair<Opened, std::optional<SegmentReader>>;
  const std::string path = segment_path(dir, segment);
  const int fd = files.open(path.c_str(), O_RDONLY);
  if (fd < 0) {
    if (errno == ENOENT) return Answer{Opened::kGone, std::nullopt};
    return read_error("open", path);
  }
  SegmentReader reader(files, fd, path, {}, 0);
  std::string bytes(kMostHead, '\0');
  const ssize_t n = read_at(files, fd, bytes.data(), bytes.size(), 0);
  if (n < 0) return read_error("read", path);
  bytes.resize(static_cast<std::size_t>(n));
  HeadFound found = read_head(bytes, segment);
  if (found.state == HeadFound::State::kTorn) return Answer{Opened::kUnbegun, std::nullopt};
  if (found.state == HeadFound::State::kOtherVersion) return other_version(dir);
  if (found.state == HeadFound::State::kDamaged) return Answer{Opened::kDamaged, std::nullopt};
  reader.head_ = std::move(found.head);
  reader.head_bytes_ = found.bytes;
  reader.offset_ = found.bytes;
  return Answer{Opened::kReady, std::move(reader)};
}

void SegmentReader::seek(std::uint64_t offset) {
  offset_ = std::max<std::uint64_t>(offset, head_bytes_);
  window_.clear();
  used_ = 0;
}

/// Reads on; true when the window reaches the end of the file as it is now.
Result<bool> SegmentReader::fill() {
  window_.erase(0, used_);
  used_ = 0;
  const std::size_t had = window_.size();
  window_.resize(had + kWindow);
  const ssize_t n = read_at(*files_, fd_, window_.data() + had, kWindow, offset_ + had);
  window_.resize(had + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
  if (n < 0) return read_error("read", path_);
  return static_cast<std::size_t>(n) < kWindow;
}

/// What stands at the front, with as much of the file as it takes to say so.
Result<Framed> SegmentReader::read_on() {
  while (true) {
    HEDDLE_ASSIGN_OR_RETURN(const bool at_end, fill());
    const Framed frame = read_frame(rest(), at_end, head_.seed);
    if (at_end || frame.state != Framed::State::kTorn) return frame;
  }
}

SegmentReader::Step SegmentReader::take(const Framed& frame) {
  used_ += frame.bytes;
  offset_ += frame.bytes;
  return {Step::Kind::kRecord, frame.payload, 0, 0};
}

Result<SegmentReader::Step> SegmentReader::next() {
  Framed frame = read_frame(rest(), false, head_.seed);
  if (frame.state == Framed::State::kWhole) return take(frame);
  HEDDLE_ASSIGN_OR_RETURN(frame, read_on());
  if (frame.state == Framed::State::kWhole) return take(frame);
  if (rest().empty()) return Step{};
  return look_for_damage();
}

/// No whole record stands at the front: when there is one further on, what lies between is damage,
/// since a writer appends.
Result<SegmentReader::Step> SegmentReader::look_for_damage() {
  const std::int64_t size = files_->fsize(fd_);
  if (size < 0) return read_error("read", path_);
  if (static_cast<std::uint64_t>(size) == looked_) return Step{};
  // What was read before may have been taken back since: a write that failed is cut off.
  window_.clear();
  used_ = 0;
  for (bool at_end = false; !at_end;) {
    HEDDLE_ASSIGN_OR_RETURN(at_end, fill());
  }
  const Framed frame = read_frame(rest(), true, head_.seed);
  if (frame.state == Framed::State::kWhole) return take(frame);
  const std::size_t bytes = find_record(rest(), head_.seed);
  if (bytes == std::string_view::npos) {
    looked_ = static_cast<std::uint64_t>(size);
    return Step{};
  }
  const Step damage{Step::Kind::kDamage, {}, offset_, bytes};
  used_ += bytes;
  offset_ += bytes;
  return damage;
}

Result<bool> SegmentReader::lost_its_end(std::uint64_t expected) {
  const std::int64_t size = files_->fsize(fd_);
  if (size < 0) return read_error("read", path_);
  // A length of file without its bytes.
  return static_cast<std::uint64_t>(size) < expected || rest().empty() || rest().back() == 0;
}

}  // namespace heddle::plane
