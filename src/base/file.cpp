#include "base/file.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

namespace heddle {
namespace {

/// What a person can do about a failed call on a file.
const char* hint_of(int code) {
  switch (code) {
    case EACCES:
    case EPERM:
      return "it belongs to another user, or its folder does: run as that user (`ls -ld` names it)";
    case EROFS: return "that disk is mounted for reading only";
    case ENOTDIR:
    case EISDIR:
      return "a file stands where a folder is meant, or the other way round: move it away";
    case EMFILE:
    case ENFILE: return "too many files are open: raise `ulimit -n`";
    default: return "see what the system's log says of that disk";
  }
}

Error io_error(std::string_view what, const std::string& path) {
  const int code = errno;
  Error error{ErrorKind::kIo, "file-io-failed",
              fmt::format("cannot {} `{}`: {}", what, path, std::strerror(code)), hint_of(code)};
  if (code == ENOENT)
    error = {ErrorKind::kNotFound, "file-not-found", fmt::format("no such file: `{}`", path)};
  if (code == ENOSPC || code == EDQUOT) {
    error.id = "disk-full";
    error.hint =
        "free space on that disk, then run the same command again: nothing was half-written";
  }
  return error;
}

std::string parent_of(const std::string& path) {
  const auto slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Result<std::string> read_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return io_error("open", path);
  std::string bytes;
  struct stat info{};
  if (::fstat(fd, &info) == 0 && info.st_size > 0)
    bytes.reserve(static_cast<std::size_t>(info.st_size));
  std::string buffer(1 << 16, '\0');
  for (;;) {
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      auto error = io_error("read", path);
      ::close(fd);
      return error;
    }
    if (n == 0) break;
    bytes.append(buffer.data(), static_cast<std::size_t>(n));
  }
  ::close(fd);
  return bytes;
}

Result<void> fsync_dir(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return io_error("open", path);
  const int failed = ::fsync(fd);
  ::close(fd);
  if (failed != 0) return io_error("fsync", path);
  return {};
}

Result<void> write_file_atomic(const std::string& path, std::string_view bytes, int mode) {
  static std::atomic<unsigned> counter{0};
  const std::string temporary = fmt::format("{}.tmp.{}.{}", path, ::getpid(), counter++);
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  if (fd < 0) return io_error("create", temporary);
  const auto fail = [&](std::string_view what) {
    auto error = io_error(what, path);
    ::close(fd);
    ::unlink(temporary.c_str());
    return error;
  };
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail("write");
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  if (::fsync(fd) != 0) return fail("fsync");
  ::close(fd);
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    auto error = io_error("rename to", path);
    ::unlink(temporary.c_str());
    return error;
  }
  return fsync_dir(parent_of(path));
}

Result<void> make_dirs(const std::string& path) {
  if (path.empty() || path_exists(path)) return {};
  HEDDLE_TRY(make_dirs(parent_of(path)));
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return io_error("create folder", path);
  return {};
}

bool path_exists(const std::string& path) {
  struct stat info{};
  // A disk that does not say what is there is no proof that it is gone: keys are made anew where
  // there are none. Who reads it gets the error.
  return ::stat(path.c_str(), &info) == 0 || errno == EIO;
}

std::vector<std::string> list_dir(const std::string& path) {
  std::vector<std::string> names;
  DIR* dir = ::opendir(path.c_str());
  if (dir == nullptr) return names;
  while (const dirent* entry = ::readdir(dir)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  ::closedir(dir);
  std::sort(names.begin(), names.end());
  return names;
}

Result<FileLock> FileLock::acquire(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return io_error("open", path);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int code = errno;
    ::close(fd);
    errno = code;
    if (code != EWOULDBLOCK) return io_error("lock", path);
    return Error{ErrorKind::kConflict, "lock-held",
                 fmt::format("another process holds `{}`", path)};
  }
  return FileLock(fd);
}

FileLock::FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}
FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace heddle
