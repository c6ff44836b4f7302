#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "plane/segment_file.hpp"

namespace heddle::plane {

/// Room on the disk for what must be written when there is none otherwise: the file `reserve` of a
/// journal, which becomes a segment then. Holds its descriptor, so that using it needs none.
class JournalReserve {
 public:
  static constexpr std::uint64_t kBytes = 64 << 10;

  JournalReserve(FilePort& files, std::string dir);
  JournalReserve(const JournalReserve&) = delete;
  JournalReserve& operator=(const JournalReserve&) = delete;
  ~JournalReserve();

  /// Takes the room, where it is not taken yet and the disk has it.
  void fill();
  [[nodiscard]] bool filled() const noexcept { return filled_; }
  /// The segment that it becomes; then it is not filled any more.
  [[nodiscard]] Result<SegmentFile> become(const SegmentHead& head);

 private:
  FilePort& files_;
  std::string dir_;
  std::string path_;
  int fd_ = -1;
  bool filled_ = false;
};

}  // namespace heddle::plane
