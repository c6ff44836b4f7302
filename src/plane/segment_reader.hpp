#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file_port.hpp"
#include "plane/segment.hpp"

namespace heddle::plane {

/// Reads the records of one segment, which may be growing. Move-only; one thread.
class SegmentReader {
 public:
  enum class Opened {
    kReady,
    kGone,     ///< there is no such file
    kUnbegun,  ///< its head is not whole yet
    kDamaged   ///< its head cannot be read, and nothing behind it without it
  };
  /// Opens the file and reads its head, unless it is open.
  [[nodiscard]] static Result<std::pair<Opened, std::optional<SegmentReader>>> open(
      FilePort& files, const std::string& dir, std::uint64_t segment);
  SegmentReader(SegmentReader&& other) noexcept;
  SegmentReader& operator=(SegmentReader&& other) noexcept;
  ~SegmentReader();

  [[nodiscard]] const SegmentHead& head() const noexcept { return head_; }
  /// Everything before it has been read.
  [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }
  /// Goes on from there; not before the first record.
  void seek(std::uint64_t offset);

  struct Step {
    enum class Kind { kRecord, kDamage, kNotYet } kind = Kind::kNotYet;
    std::string_view payload{};  ///< of a record; borrowed until the next call
    std::uint64_t from = 0;      ///< of damage: where it begins
    std::uint64_t bytes = 0;     ///< of damage
  };
  /// The next record, the damage before it, or what there is not yet: then the end of the file has
  /// been reached.
  [[nodiscard]] Result<Step> next();
  /// Whether what stands at the end, behind the last record, is as a power loss leaves it: shorter
  /// than `expected`, or blank.
  [[nodiscard]] Result<bool> lost_its_end(std::uint64_t expected);

 private:
  SegmentReader(FilePort& files, int fd, std::string path, SegmentHead head, std::size_t head_bytes)
      : files_(&files),
        fd_(fd),
        path_(std::move(path)),
        head_(std::move(head)),
        head_bytes_(head_bytes),
        offset_(head_bytes) {}
  [[nodiscard]] std::string_view rest() const noexcept {
    return std::string_view(window_).substr(used_);
  }
  [[nodiscard]] Result<bool> fill();
  [[nodiscard]] Result<Framed> read_on();
  [[nodiscard]] Result<Step> look_for_damage();
  [[nodiscard]] Step take(const Framed& frame);

  FilePort* files_;
  int fd_;
  std::string path_;
  SegmentHead head_;
  std::size_t head_bytes_;
  std::uint64_t offset_;
  std::string window_;  ///< bytes of the file from `offset_ - used_` on
  std::size_t used_ = 0;
  std::uint64_t looked_ = 0;  ///< the size of the file when it was last looked through for a record
};

}  // namespace heddle::plane
