#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace heddle {

/// The system's calls on files, as the journal and the ledger make them: each does what the call of
/// its name does, and on failure returns -1 and sets `errno`. The base class is the real thing;
/// tests put a disk in its place that fails where they say (base/file_fixture.hpp). Thread-safe.
class FilePort {
 public:
  FilePort() = default;
  virtual ~FilePort() = default;
  FilePort(const FilePort&) = delete;
  FilePort& operator=(const FilePort&) = delete;

  [[nodiscard]] virtual int open(const char* path, int flags, unsigned mode = 0);
  virtual int close(int fd);
  [[nodiscard]] virtual int duplicate(int fd);
  [[nodiscard]] virtual ssize_t read(int fd, char* to, std::size_t most);
  [[nodiscard]] virtual ssize_t pread(int fd, char* to, std::size_t most, std::int64_t at);
  [[nodiscard]] virtual ssize_t write(int fd, const char* from, std::size_t bytes);
  [[nodiscard]] virtual ssize_t pwrite(int fd, const char* from, std::size_t bytes,
                                       std::int64_t at);
  /// Takes room from the file's beginning up to `bytes`, and leaves its length as it is.
  [[nodiscard]] virtual int allocate(int fd, std::int64_t bytes);
  [[nodiscard]] virtual int ftruncate(int fd, std::int64_t size);
  [[nodiscard]] virtual int truncate(const char* path, std::int64_t size);
  [[nodiscard]] virtual int fsync(int fd);
  [[nodiscard]] virtual int fdatasync(int fd);
  [[nodiscard]] virtual std::int64_t size(const char* path);
  [[nodiscard]] virtual std::int64_t fsize(int fd);
  /// What a user without privileges may still take of the disk that `path` is on.
  [[nodiscard]] virtual std::int64_t free_bytes(const char* path);
  [[nodiscard]] virtual int rename(const char* from, const char* to);
  [[nodiscard]] virtual int unlink(const char* path);
  [[nodiscard]] virtual int rmdir(const char* path);
  [[nodiscard]] virtual int mkdir(const char* path, unsigned mode);
  /// Names in a folder, in no order.
  [[nodiscard]] virtual int list(const char* path, std::vector<std::string>& names);
};

/// The machine's own files.
[[nodiscard]] FilePort& system_files();

/// What base/file.hpp has, over a port. `list_dir` is an error where the folder cannot be read, and
/// empty where there is none.
[[nodiscard]] Result<std::string> read_file(FilePort& files, const std::string& path);
[[nodiscard]] Result<void> write_file_atomic(FilePort& files, const std::string& path,
                                             std::string_view bytes, int mode = 0644);
[[nodiscard]] Result<void> make_dirs(FilePort& files, const std::string& path);
[[nodiscard]] bool path_exists(FilePort& files, const std::string& path);
[[nodiscard]] Result<std::vector<std::string>> list_dir(FilePort& files, const std::string& path);
[[nodiscard]] Result<void> fsync_dir(FilePort& files, const std::string& path);

/// Writes all of `bytes` at `at`, in as many calls as it takes; -1 and `errno` on failure. A write
/// that takes nothing is ENOSPC.
[[nodiscard]] int write_all(FilePort& files, int fd, std::string_view bytes, std::int64_t at);

/// The error of a call that has just failed: `errno` in words, and what a person can do about it.
[[nodiscard]] Error file_error(std::string_view what, const std::string& path);

}  // namespace heddle
