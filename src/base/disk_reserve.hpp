#pragma once

#include <cstdint>
#include <string>

namespace heddle {

/// Room on a disk, held by a file, for what must be written when there is none otherwise: a stop,
/// for one. The descriptor is kept too, so that giving the room back needs none. One thread.
class DiskReserve {
 public:
  DiskReserve(std::string path, std::uint64_t bytes) : path_(std::move(path)), bytes_(bytes) {}
  ~DiskReserve();
  DiskReserve(const DiskReserve&) = delete;
  DiskReserve& operator=(const DiskReserve&) = delete;

  /// Takes the room where it is not taken yet and the disk has it. Cheap when it has it already.
  void fill();
  /// Gives it to whoever writes next; false: there was none.
  bool release();

 private:
  std::string path_;
  std::uint64_t bytes_;
  int fd_ = -1;
  bool filled_ = false;
};

}  // namespace heddle
