#include "plane/journal_reserve.hpp"

#include <fcntl.h>

#include <cerrno>

namespace heddle::plane {

JournalReserve::JournalReserve(FilePort& files, std::string dir)
    : files_(files), dir_(std::move(dir)), path_(dir_ + "/reserve") {}

JournalReserve::~JournalReserve() {
  if (fd_ >= 0) files_.close(fd_);
}

void JournalReserve::fill() {
  if (filled_) return;
  if (fd_ < 0) fd_ = files_.open(path_.c_str(), O_RDWR | O_CREAT, 0600);
  // Blocks past the end of the file: its length stays 0 until it is used.
  filled_ = fd_ >= 0 && files_.allocate(fd_, kBytes) == 0;
}

Result<SegmentFile> JournalReserve::become(const SegmentHead& head) {
  if (!filled_) {
    errno = ENOSPC;
    return journal_error("write to", path_);
  }
  auto segment = SegmentFile::rename(files_, dir_, head, fd_, path_);
  if (!segment.ok()) return segment;
  fd_ = -1;
  filled_ = false;
  return segment;
}

}  // namespace heddle::plane
