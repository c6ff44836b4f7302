#include "plane/segment_file.hpp"

#include <fcntl.h>

#include <cerrno>
#include <cstring>

namespace heddle::plane {

Error journal_error(std::string_view what, const std::string& path) {
  const int code = errno;
  const bool is_full = code == ENOSPC || code == EDQUOT;
  return Error{ErrorKind::kIo, "journal-write",
               fmt::format("cannot {} `{}`: {}", what, path, std::strerror(code)),
               fmt::format("{}: requests go on being answered, their records are dropped and "
                           "counted",
                           is_full ? "make room on the disk"
                                   : "see what the system's log says of that disk")};
}

SegmentFile::SegmentFile(SegmentFile&& other) noexcept
    : files_(other.files_),
      fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      number_(other.number_),
      end_(other.end_),
      head_end_(other.head_end_) {}

SegmentFile& SegmentFile::operator=(SegmentFile&& other) noexcept {
  files_ = other.files_;
  std::swap(fd_, other.fd_);
  path_ = std::move(other.path_);
  number_ = other.number_;
  end_ = other.end_;
  head_end_ = other.head_end_;
  return *this;
}

SegmentFile::~SegmentFile() {
  if (fd_ >= 0) files_->close(fd_);
}

Result<SegmentFile> SegmentFile::create(FilePort& files, const std::string& dir,
                                        const SegmentHead& head, std::uint64_t room) {
  const std::string path = segment_path(dir, head.segment);
  const int fd = files.open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0600);
  if (fd < 0) {
    const int code = errno;
    Error error = journal_error("create", path);
    if (code == EEXIST) error.id = kSegmentThere;
    return error;
  }
  std::string bytes(kSegmentMagic);
  append_head(head, bytes);
  const auto give_up = [&](std::string_view what) {
    Error error = journal_error(what, path);
    files.close(fd);
    (void)files.unlink(path.c_str());
    return error;
  };
  // Some file systems cannot take room beforehand: then a write says when there is none.
  if (files.allocate(fd, static_cast<std::int64_t>(room)) != 0 &&
      (errno == ENOSPC || errno == EDQUOT || errno == EIO))
    return give_up("allocate");
  if (write_all(files, fd, bytes, 0) != 0) return give_up("begin");
  return SegmentFile(files, fd, path, head.segment, bytes.size());
}

Result<SegmentFile> SegmentFile::rename(FilePort& files, const std::string& dir,
                                        const SegmentHead& head, int fd, const std::string& from) {
  const std::string path = segment_path(dir, head.segment);
  std::string bytes(kSegmentMagic);
  append_head(head, bytes);
  if (write_all(files, fd, bytes, 0) != 0) return journal_error("begin", path);
  if (files.rename(from.c_str(), path.c_str()) != 0) return journal_error("begin", path);
  return SegmentFile(files, fd, path, head.segment, bytes.size());
}

Result<void> SegmentFile::append(std::string_view bytes) {
  if (write_all(*files_, fd_, bytes, static_cast<std::int64_t>(end_)) != 0) {
    Error error = journal_error("write to", path_);
    // A part of a record must not stand where the next one is looked for.
    (void)files_->ftruncate(fd_, static_cast<std::int64_t>(end_));
    return error;
  }
  end_ += bytes.size();
  return {};
}

Result<void> SegmentFile::sync() {
  if (files_->fdatasync(fd_) != 0) return journal_error("sync", path_);
  return {};
}

int SegmentFile::finish() && {
  (void)files_->ftruncate(fd_, static_cast<std::int64_t>(end_));
  return std::exchange(fd_, -1);
}

}  // namespace heddle::plane
