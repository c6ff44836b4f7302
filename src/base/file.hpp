#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace heddle {

[[nodiscard]] Result<std::string> read_file(const std::string& path);
/// Writes beside, fsyncs, renames over `path`, fsyncs the folder: after a crash there is the old
/// file or the new one. kIo with the path and the system's words on failure (a full disk included);
/// the temporary file is removed.
[[nodiscard]] Result<void> write_file_atomic(const std::string& path, std::string_view bytes,
                                             int mode = 0644);
[[nodiscard]] Result<void> make_dirs(
    const std::string& path);  ///< with parents, mode 0700 for what it makes
[[nodiscard]] bool path_exists(const std::string& path);
/// Names (not paths) in `path`, sorted; empty when there is no such folder.
[[nodiscard]] std::vector<std::string> list_dir(const std::string& path);
[[nodiscard]] Result<void> fsync_dir(const std::string& path);

/// An exclusive lock on a file, held until destruction or death of the process (flock). Movable.
class FileLock {
 public:
  /// kConflict when another process holds it.
  [[nodiscard]] static Result<FileLock> acquire(const std::string& path);
  FileLock(FileLock&& other) noexcept;
  ~FileLock();

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace heddle
