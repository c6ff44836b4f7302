#include "base/file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/file_port.hpp"

namespace heddle {

Result<std::string> read_file(const std::string& path) { return read_file(system_files(), path); }

Result<void> fsync_dir(const std::string& path) { return fsync_dir(system_files(), path); }

Result<void> write_file_atomic(const std::string& path, std::string_view bytes, int mode) {
  return write_file_atomic(system_files(), path, bytes, mode);
}

Result<void> make_dirs(const std::string& path) { return make_dirs(system_files(), path); }

bool path_exists(const std::string& path) { return path_exists(system_files(), path); }

std::vector<std::string> list_dir(const std::string& path) {
  auto names = list_dir(system_files(), path);
  return names.ok() ? std::move(*names) : std::vector<std::string>{};
}

Result<FileLock> FileLock::acquire(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return file_error("open", path);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int code = errno;
    ::close(fd);
    errno = code;
    if (code != EWOULDBLOCK) return file_error("lock", path);
    return Error{ErrorKind::kConflict, "lock-held",
                 fmt::format("another process holds `{}`", path)};
  }
  return FileLock(fd);
}

FileLock::FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace heddle
