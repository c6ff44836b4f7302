#include "base/disk_reserve.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

namespace heddle {

DiskReserve::~DiskReserve() {
  if (fd_ >= 0) ::close(fd_);
}

void DiskReserve::fill() {
  if (filled_) return;
  if (fd_ < 0) fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd_ < 0) return;
  // Allocated and not merely sized: a sparse file would reserve nothing.
  filled_ = ::posix_fallocate(fd_, 0, static_cast<off_t>(bytes_)) == 0;
  // What came of it on a full disk is given back: others need it more than a part of a reserve.
  if (!filled_) (void)!::ftruncate(fd_, 0);
}

bool DiskReserve::release() { return std::exchange(filled_, false) && ::ftruncate(fd_, 0) == 0; }

}  // namespace heddle
