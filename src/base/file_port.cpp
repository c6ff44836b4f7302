#include "base/file_port.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

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

std::string parent_of(const std::string& path) {
  const auto slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

/// Closes its descriptor at the end of a scope, and leaves `errno` as it is.
class Closing {
 public:
  Closing(FilePort& files, int fd) : files_(files), fd_(fd) {}
  Closing(const Closing&) = delete;
  Closing& operator=(const Closing&) = delete;
  ~Closing() {
    const int code = errno;
    files_.close(fd_);
    errno = code;
  }

 private:
  FilePort& files_;
  int fd_;
};

int sync_folder(FilePort& files, const std::string& path) {
  const int fd = files.open(path.c_str(), O_RDONLY | O_DIRECTORY);
  if (fd < 0) return -1;
  const Closing closing(files, fd);
  return files.fsync(fd);
}

}  // namespace

int FilePort::open(const char* path, int flags, unsigned mode) {
  return ::open(path, flags | O_CLOEXEC, mode);
}
int FilePort::close(int fd) { return ::close(fd); }
int FilePort::duplicate(int fd) { return ::fcntl(fd, F_DUPFD_CLOEXEC, 0); }
ssize_t FilePort::read(int fd, char* to, std::size_t most) { return ::read(fd, to, most); }
ssize_t FilePort::pread(int fd, char* to, std::size_t most, std::int64_t at) {
  return ::pread(fd, to, most, at);
}
ssize_t FilePort::write(int fd, const char* from, std::size_t bytes) {
  return ::write(fd, from, bytes);
}
ssize_t FilePort::pwrite(int fd, const char* from, std::size_t bytes, std::int64_t at) {
  return ::pwrite(fd, from, bytes, at);
}
int FilePort::allocate(int fd, std::int64_t bytes) {
  return ::fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, bytes);
}
int FilePort::ftruncate(int fd, std::int64_t size) { return ::ftruncate(fd, size); }
int FilePort::truncate(const char* path, std::int64_t size) { return ::truncate(path, size); }
int FilePort::fsync(int fd) { return ::fsync(fd); }
int FilePort::fdatasync(int fd) { return ::fdatasync(fd); }
std::int64_t FilePort::size(const char* path) {
  struct stat info{};
  return ::stat(path, &info) == 0 ? info.st_size : -1;
}
std::int64_t FilePort::fsize(int fd) {
  struct stat info{};
  return ::fstat(fd, &info) == 0 ? info.st_size : -1;
}
std::int64_t FilePort::free_bytes(const char* path) {
  struct statvfs disk{};
  if (::statvfs(path, &disk) != 0) return -1;
  return static_cast<std::int64_t>(std::uint64_t{disk.f_bavail} * disk.f_frsize);
}
int FilePort::rename(const char* from, const char* to) { return std::rename(from, to); }
int FilePort::unlink(const char* path) { return ::unlink(path); }
int FilePort::rmdir(const char* path) { return ::rmdir(path); }
int FilePort::mkdir(const char* path, unsigned mode) { return ::mkdir(path, mode); }
int FilePort::list(const char* path, std::vector<std::string>& names) {
  DIR* dir = ::opendir(path);
  if (dir == nullptr) return -1;
  errno = 0;
  while (const dirent* entry = ::readdir(dir)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  // The end of a folder and a failure look the same but for `errno`.
  const int code = errno;
  ::closedir(dir);
  errno = code;
  return code == 0 ? 0 : -1;
}

FilePort& system_files() {
  static FilePort files;
  return files;
}

Error file_error(std::string_view what, const std::string& path) {
  const int code = errno;
  Error error{ErrorKind::kIo, "file-io-failed",
              fmt::format("cannot {} `{}`: {}", what, path, std::strerror(code)), hint_of(code)};
  if (code == ENOENT)
    error = {ErrorKind::kNotFound, "file-not-found", fmt::format("no such file: `{}`", path)};
  // A quota that is used up is a full disk to whoever writes.
  if (code == ENOSPC || code == EDQUOT) {
    error.id = "disk-full";
    error.hint =
        "free space on that disk, then run the same command again: nothing was half-written";
  }
  return error;
}

Result<std::string> read_file(FilePort& files, const std::string& path) {
  const int fd = files.open(path.c_str(), O_RDONLY);
  if (fd < 0) return file_error("open", path);
  const Closing closing(files, fd);
  std::string bytes;
  if (const std::int64_t size = files.fsize(fd); size > 0)
    // A hint only: files of the kernel have the size 0, and others may grow.
    bytes.reserve(static_cast<std::size_t>(size));
  std::string buffer(1 << 16, '\0');
  for (;;) {
    const ssize_t n = files.read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return file_error("read", path);
    if (n == 0) return bytes;
    bytes.append(buffer.data(), static_cast<std::size_t>(n));
  }
}

Result<void> fsync_dir(FilePort& files, const std::string& path) {
  if (sync_folder(files, path) != 0) return file_error("fsync", path);
  return {};
}

int write_all(FilePort& files, int fd, std::string_view bytes, std::int64_t at) {
  while (!bytes.empty()) {
    const ssize_t n = files.pwrite(fd, bytes.data(), bytes.size(), at);
    if (n < 0 && errno == EINTR) continue;
    // Nothing written and no reason: without one the loop would not end.
    if (n == 0) errno = ENOSPC;
    if (n <= 0) return -1;
    bytes.remove_prefix(static_cast<std::size_t>(n));
    at += n;
  }
  return 0;
}

Result<void> write_file_atomic(FilePort& files, const std::string& path, std::string_view bytes,
                               int mode) {
  static std::atomic<unsigned> counter{0};
  // Beside the file, since a rename does not cross disks; by process and count, since two may write
  // one file.
  const std::string temporary = fmt::format("{}.tmp.{}.{}", path, ::getpid(), counter++);
  const int fd =
      files.open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC, static_cast<unsigned>(mode));
  if (fd < 0) {
    const bool has_no_folder = errno == ENOENT;
    Error error = file_error("create", path);
    if (has_no_folder) {
      error.message = fmt::format("there is no folder `{}` for `{}`", parent_of(path), path);
      error.hint = "make it first, or name another place";
    }
    return error;
  }
  const auto fail = [&](std::string_view what) {
    auto error = file_error(what, path);
    (void)files.unlink(temporary.c_str());
    return error;
  };
  {
    const Closing closing(files, fd);
    if (write_all(files, fd, bytes, 0) != 0) return fail("write");
    // Before the rename: a name that came back after a power loss must not lead to an empty file.
    if (files.fsync(fd) != 0) return fail("fsync");
  }
  if (files.rename(temporary.c_str(), path.c_str()) != 0) return fail("rename to");
  // The rename itself is durable only with its folder.
  return fsync_dir(files, parent_of(path));
}

Result<void> make_dirs(FilePort& files, const std::string& path) {
  if (path.empty() || files.size(path.c_str()) >= 0) return {};
  const std::string parent = parent_of(path);
  int made = files.mkdir(path.c_str(), 0700);
  if (made != 0 && errno == ENOENT) {
    HEDDLE_TRY(make_dirs(files, parent));
    made = files.mkdir(path.c_str(), 0700);
  }
  if (made != 0) {
    // Another process made it meanwhile.
    if (errno == EEXIST) return {};
    return file_error("create folder", path);
  }
  // What is made durable inside is not there after a power loss unless the folder is. A parent that
  // may be passed through and not read cannot be synced.
  if (sync_folder(files, parent) != 0 && errno != EACCES) {
    Error error = file_error("fsync", parent);
    // The next try must not find the folder and take it for durable.
    (void)files.rmdir(path.c_str());
    return error;
  }
  return {};
}

bool path_exists(FilePort& files, const std::string& path) {
  // A disk that does not say what is there is no proof that it is gone: keys are made anew where
  // there are none. Who reads it gets the error.
  return files.size(path.c_str()) >= 0 || errno == EIO;
}

Result<std::vector<std::string>> list_dir(FilePort& files, const std::string& path) {
  std::vector<std::string> names;
  if (files.list(path.c_str(), names) != 0) {
    if (errno == ENOENT) return std::vector<std::string>{};
    return file_error("list", path);
  }
  // A folder has no order of its own, and callers read files in theirs.
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace heddle
