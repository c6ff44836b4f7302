#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/file_port.hpp"

namespace heddle::fixture {

/// A folder that this process may not read while it lives. Root may read any: it is then nobody
/// meanwhile, so that the folders above must be open to all.
class ClosedFolder {
 public:
  explicit ClosedFolder(std::string path) : path_(std::move(path)) {
    ::chmod(path_.c_str(), 0);
    is_root_ = ::geteuid() == 0 && ::seteuid(65534) == 0;
  }
  ~ClosedFolder() {
    if (is_root_ && ::seteuid(0) != 0) std::abort();
    ::chmod(path_.c_str(), 0755);
  }
  ClosedFolder(const ClosedFolder&) = delete;
  ClosedFolder& operator=(const ClosedFolder&) = delete;

 private:
  std::string path_;
  bool is_root_ = false;
};

/// How a disk fails.
struct Fault {
  int code = EIO;
  bool stays = false;         ///< every call from there on
  bool short_writes = false;  ///< a write takes half of its bytes first
};

inline const std::vector<Fault>& all_faults() {
  static const std::vector<Fault> all{{EIO, false, false},    {EIO, true, false},
                                      {ENOSPC, false, false}, {ENOSPC, true, false},
                                      {ENOSPC, false, true},  {ENOSPC, true, true}};
  return all;
}
inline std::string to_string(const Fault& fault) {
  return fmt::format("{}{}{}", fault.code == EIO ? "EIO" : "ENOSPC", fault.stays ? ", stays" : "",
                     fault.short_writes ? ", short writes" : "");
}

/// The machine's files on a disk that fails at a call that is chosen beforehand, and that forgets
/// at `lose_power` what no fsync made durable: bytes of files by their own, names by their
/// folder's. Closing never fails: the descriptor is gone in any case.
class FaultyFiles final : public FilePort {
 public:
  /// What stands below `root` now is durable.
  explicit FaultyFiles(const std::string& root) : root_(std::filesystem::canonical(root).string()) {
    remember(root_);
  }

  /// The `call`th call from now fails, counted from 1.
  void arm(std::uint64_t call, const Fault& fault) {
    const std::lock_guard lock(mutex_);
    fault_ = fault;
    until_ = call;
    armed_ = true;
    struck_ = false;
  }
  void disarm() {
    const std::lock_guard lock(mutex_);
    armed_ = false;
  }
  /// Whether the fault came to pass since `arm`.
  [[nodiscard]] bool struck() const {
    const std::lock_guard lock(mutex_);
    return struck_;
  }

  /// Puts everything below the root back as it would be found after a power loss.
  void lose_power() {
    const std::lock_guard lock(mutex_);
    restore(root_);
    files_.clear();
    folders_.clear();
    remember(root_);
  }

  int open(const char* path, int flags, unsigned mode) override {
    return fails() ? -1 : FilePort::open(path, flags, mode);
  }
  int duplicate(int fd) override { return fails() ? -1 : FilePort::duplicate(fd); }
  ssize_t read(int fd, char* to, std::size_t most) override {
    return fails() ? -1 : FilePort::read(fd, to, most);
  }
  ssize_t pread(int fd, char* to, std::size_t most, std::int64_t at) override {
    return fails() ? -1 : FilePort::pread(fd, to, most, at);
  }
  ssize_t write(int fd, const char* from, std::size_t bytes) override {
    if (!fails()) return FilePort::write(fd, from, bytes);
    return half() && bytes > 1 ? FilePort::write(fd, from, bytes / 2) : -1;
  }
  ssize_t pwrite(int fd, const char* from, std::size_t bytes, std::int64_t at) override {
    if (!fails()) return FilePort::pwrite(fd, from, bytes, at);
    return half() && bytes > 1 ? FilePort::pwrite(fd, from, bytes / 2, at) : -1;
  }
  int allocate(int fd, std::int64_t bytes) override {
    return fails() ? -1 : FilePort::allocate(fd, bytes);
  }
  int ftruncate(int fd, std::int64_t size) override {
    return fails() ? -1 : FilePort::ftruncate(fd, size);
  }
  int truncate(const char* path, std::int64_t size) override {
    return fails() ? -1 : FilePort::truncate(path, size);
  }
  int fsync(int fd) override { return fails() ? -1 : synced(fd); }
  int fdatasync(int fd) override { return fails() ? -1 : synced(fd); }
  std::int64_t size(const char* path) override { return fails(EIO) ? -1 : FilePort::size(path); }
  std::int64_t fsize(int fd) override { return fails(EIO) ? -1 : FilePort::fsize(fd); }
  std::int64_t free_bytes(const char* path) override {
    return fails(EIO) ? -1 : FilePort::free_bytes(path);
  }
  int rename(const char* from, const char* to) override {
    if (fails()) return -1;
    forget(to);
    return FilePort::rename(from, to);
  }
  int unlink(const char* path) override {
    if (fails()) return -1;
    forget(path);
    return FilePort::unlink(path);
  }
  int rmdir(const char* path) override { return fails() ? -1 : FilePort::rmdir(path); }
  int mkdir(const char* path, unsigned mode) override {
    return fails() ? -1 : FilePort::mkdir(path, mode);
  }
  int list(const char* path, std::vector<std::string>& names) override {
    return fails() ? -1 : FilePort::list(path, names);
  }

 private:
  /// A file as it is on the disk itself.
  struct Durable {
    std::string bytes;
  };
  using Names = std::map<std::string, std::shared_ptr<Durable>>;  ///< nullptr: a folder

  /// `code`: of a call that cannot fail for want of room.
  bool fails(int code = 0) {
    const std::lock_guard lock(mutex_);
    if (!armed_) return false;
    if (until_ > 0 && --until_ > 0) return false;
    if (struck_ && !fault_.stays) return false;
    first_ = !struck_;
    struck_ = true;
    errno = code != 0 ? code : fault_.code;
    return true;
  }
  bool half() {
    const std::lock_guard lock(mutex_);
    return fault_.short_writes && first_;
  }

  static ino_t inode(const std::string& path) {
    struct stat info{};
    return ::stat(path.c_str(), &info) == 0 ? info.st_ino : 0;
  }
  static std::string bytes_of(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::shared_ptr<Durable>& file_of(const std::string& path) {
    auto& file = files_[inode(path)];
    if (!file) file = std::make_shared<Durable>();
    return file;
  }
  /// The number of a file that goes may come again for another one.
  void forget(const std::string& path) {
    const std::lock_guard lock(mutex_);
    files_.erase(inode(path));
  }
  void remember_names(const std::string& folder) {
    Names names;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      const std::string path = entry.path().string();
      names[entry.path().filename().string()] = entry.is_directory() ? nullptr : file_of(path);
    }
    folders_[folder] = std::move(names);
  }
  void remember(const std::string& folder) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.is_directory())
        remember(entry.path().string());
      else
        file_of(entry.path().string())->bytes = bytes_of(entry.path().string());
    }
    remember_names(folder);
  }
  /// Nothing is asked of the real disk: what is durable is known here.
  int synced(int fd) {
    const std::lock_guard lock(mutex_);
    const std::string link = fmt::format("/proc/self/fd/{}", fd);
    const std::string path = std::filesystem::read_symlink(link).string();
    if (std::filesystem::is_directory(link))
      remember_names(path);
    else
      file_of(link)->bytes = bytes_of(link);
    return 0;
  }
  void restore(const std::string& folder) {
    const auto known = folders_.find(folder);
    const Names names = known == folders_.end() ? Names{} : known->second;
    std::vector<std::filesystem::path> there;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      there.push_back(entry.path());
    for (const auto& path : there) {
      const auto name = names.find(path.filename().string());
      if (name == names.end() || (name->second != nullptr) == std::filesystem::is_directory(path))
        std::filesystem::remove_all(path);
    }
    for (const auto& [name, file] : names) {
      const std::string path = folder + "/" + name;
      if (file == nullptr) {
        std::filesystem::create_directory(path);
        restore(path);
      } else if (!std::filesystem::exists(path) || bytes_of(path) != file->bytes) {
        std::ofstream(path, std::ios::binary | std::ios::trunc) << file->bytes;
      }
    }
  }

  std::string root_;
  mutable std::mutex mutex_;
  Fault fault_;
  std::uint64_t until_ = 0;
  bool armed_ = false;
  bool struck_ = false;
  bool first_ = false;  ///< the call that fails now is the first one
  std::map<ino_t, std::shared_ptr<Durable>> files_;
  std::map<std::string, Names> folders_;
};

/// Calls `work(fault, call)` for every fault and every call, until `work` says that no fault came
/// to pass. False: it never did.
template <class Work>
bool with_each_fault(Work work) {
  constexpr std::uint64_t kMostCalls = 20'000;
  for (const Fault& fault : all_faults()) {
    std::uint64_t call = 1;
    while (call < kMostCalls && work(fault, call)) ++call;
    if (call == kMostCalls || call == 1) return false;
  }
  return true;
}

}  // namespace heddle::fixture
