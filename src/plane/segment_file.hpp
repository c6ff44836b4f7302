#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/file_port.hpp"
#include "plane/segment.hpp"

namespace heddle::plane {

/// What a failed call on a journal's file is called; `errno` says why.
[[nodiscard]] Error journal_error(std::string_view what, const std::string& path);
/// The id of the error that a segment of this number is there already.
inline constexpr const char* kSegmentThere = "journal-segment-there";

/// The file of the segment that is being written: bytes behind a head. Knows no records.
/// Move-only; closes its file.
class SegmentFile {
 public:
  /// Makes the segment and takes `room` bytes for it beforehand, so that a record does not meet a
  /// full disk in the middle of it. Leaves nothing behind on failure.
  [[nodiscard]] static Result<SegmentFile> create(FilePort& files, const std::string& dir,
                                                  const SegmentHead& head, std::uint64_t room);
  /// Makes it of the file `from`, which has its room already. On failure the file stays what it is.
  [[nodiscard]] static Result<SegmentFile> rename(FilePort& files, const std::string& dir,
                                                  const SegmentHead& head, int fd,
                                                  const std::string& from);
  SegmentFile(SegmentFile&& other) noexcept;
  SegmentFile& operator=(SegmentFile&& other) noexcept;
  ~SegmentFile();

  [[nodiscard]] std::uint64_t number() const noexcept { return number_; }
  [[nodiscard]] std::uint64_t end() const noexcept { return end_; }
  [[nodiscard]] bool empty() const noexcept { return end_ == head_end_; }

  /// All of `bytes`, or none of them.
  [[nodiscard]] Result<void> append(std::string_view bytes);
  [[nodiscard]] Result<void> sync();
  /// A descriptor more of the same file; -1: there is none.
  [[nodiscard]] int duplicate() { return files_->duplicate(fd_); }
  /// Gives back what was taken beforehand and not used, and the descriptor.
  [[nodiscard]] int finish() &&;

 private:
  SegmentFile(FilePort& files, int fd, std::string path, std::uint64_t number, std::uint64_t end)
      : files_(&files), fd_(fd), path_(std::move(path)), number_(number), end_(end) {
    head_end_ = end;
  }

  FilePort* files_;
  int fd_;
  std::string path_;
  std::uint64_t number_;
  std::uint64_t end_;
  std::uint64_t head_end_ = 0;
};

}  // namespace heddle::plane
