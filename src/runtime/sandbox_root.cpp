// The mount layer: an empty root folder in which what a worker may read is bound, read-only.
#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/sandbox.hpp"

namespace heddle::runtime {
namespace {

// Of Linux 5.12; the C library's header has it only from 2.36.
struct MountAttributes {
  std::uint64_t set = 0;
  std::uint64_t clear = 0;
  std::uint64_t propagation = 0;
  std::uint64_t user_namespace = 0;
};
constexpr long kMountSetAttr = 442;
constexpr std::uint64_t kReadOnly = 1, kNoSetuid = 2, kNoDevices = 4;
constexpr unsigned kRecursive = 0x8000;

bool set_attributes(const std::string& path, std::uint64_t set, unsigned flags) {
  const MountAttributes attributes{.set = set};
  return ::syscall(kMountSetAttr, AT_FDCWD, path.c_str(), flags, &attributes, sizeof attributes) ==
         0;
}

/// Where the first link on `path` ends, and what it says; npos: there is none.
std::size_t first_link(const std::string& path, std::string& target) {
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    char text[PATH_MAX];
    const ssize_t size = ::readlink(path.substr(0, end).c_str(), text, sizeof text);
    if (size > 0) {
      target.assign(text, static_cast<std::size_t>(size));
      return std::min(end, path.size());
    }
    if (end == std::string::npos) return end;
  }
}

bool is_below(const std::string& path, const std::string& folder) {
  return path == folder || path.starts_with(folder + "/");
}

/// Everything below `base`, where the new root is made.
class Root {
 public:
  explicit Root(const std::string& base) : base_(base) {}

  /// A folder with its parents. Never by way of a link: that could lead out of `base`.
  bool folder(const std::string& path) const {
    for (std::size_t at = path.find('/', 1);; at = path.find('/', at + 1)) {
      const std::string part = base_ + path.substr(0, at);
      struct stat status{};
      if (::mkdir(part.c_str(), 0755) != 0 && errno != EEXIST) return false;
      if (::lstat(part.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) return false;
      if (at == std::string::npos) return true;
    }
  }
  bool file(const std::string& path, std::string_view text) const {
    if (!folder(path.substr(0, path.rfind('/')))) return false;
    const int fd =
        ::open((base_ + path).c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0) return false;
    const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    ::close(fd);
    return written;
  }
  bool link(const std::string& path, const std::string& target) const {
    return folder(path.substr(0, path.rfind('/'))) &&
           (::symlink(target.c_str(), (base_ + path).c_str()) == 0 || errno == EEXIST);
  }

  /// A folder or file of the machine at its own place. A link on the way to it is made again, and
  /// what it leads to comes with it. What is not there is left out.
  bool readable(std::string path) {
    if (::access(path.c_str(), F_OK) != 0) return true;
    for (int links = 0; links < 40; ++links) {
      std::string target;
      const std::size_t end = first_link(path, target);
      if (end == std::string::npos) return bind(path);
      const std::string at = path.substr(0, end);
      if (!is_there(at) && !link(at, target)) return false;
      const std::string folder = at.substr(0, at.rfind('/') + 1);
      path = std::filesystem::path((target.starts_with('/') ? target : folder + target) +
                                   path.substr(end))
                 .lexically_normal()
                 .string();
    }
    return false;
  }

  /// Binds `path` read-only.
  bool bind(const std::string& path) {
    if (is_there(path)) return true;
    if (!bind_plain(path, path) ||
        !set_attributes(base_ + path, kReadOnly | kNoSetuid | kNoDevices, kRecursive))
      return false;
    bound_.push_back(path);
    return true;
  }
  bool bind_plain(const std::string& from, const std::string& path) const {
    struct stat status{};
    if (::stat(from.c_str(), &status) != 0) return false;
    if (S_ISDIR(status.st_mode) ? !folder(path) : !file(path, "")) return false;
    return ::mount(from.c_str(), (base_ + path).c_str(), nullptr, MS_BIND | MS_REC, nullptr) == 0;
  }
  bool memory(const std::string& path, std::string_view options) const {
    return folder(path) && ::mount("tmpfs", (base_ + path).c_str(), "tmpfs", MS_NOSUID | MS_NODEV,
                                   std::string(options).c_str()) == 0;
  }
  /// `path` is part of a folder that is bound already.
  [[nodiscard]] bool is_there(const std::string& path) const {
    for (const std::string& folder : bound_)
      if (is_below(path, folder)) return true;
    return false;
  }
  /// Something is bound at or below `path`.
  [[nodiscard]] bool is_used(const std::string& path) const {
    struct stat status{};
    return ::lstat((base_ + path).c_str(), &status) == 0;
  }
  [[nodiscard]] std::string at(const std::string& path) const { return base_ + path; }

 private:
  std::string base_;
  std::vector<std::string> bound_;
};

/// The few devices that are no door to anything.
bool add_devices(Root& root) {
  for (const char* path : {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"})
    if (!root.bind_plain(path, path)) return false;
  return root.link("/dev/fd", "/proc/self/fd") && root.link("/dev/stdin", "/proc/self/fd/0") &&
         root.link("/dev/stdout", "/proc/self/fd/1") && root.link("/dev/stderr", "/proc/self/fd/2");
}

/// Names for the two users that a program may ask for; nobody else of the machine is named.
bool add_users(Root& root, std::uint32_t owner, const std::string& home) {
  return root.file("/etc/passwd", fmt::format("root:x:0:0:root:/:/usr/sbin/nologin\n"
                                              "worker:x:{0}:{0}:worker:{1}:/usr/sbin/nologin\n",
                                              owner, home)) &&
         root.file("/etc/group", fmt::format("root:x:0:\nworker:x:{}:\n", owner));
}

/// One file system in memory, bounded, is all that can be written: also as /tmp and /dev/shm.
bool add_scratch(Root& root, const Launch& launch, std::uint32_t owner) {
  const std::int64_t bytes = launch.memory_bytes / 4;
  if (!root.memory(launch.scratch, fmt::format("mode=700,nr_inodes=65536,size={}", bytes)))
    return false;
  const std::string place = root.at(launch.scratch);
  // Where there is no such user, nobody becomes it.
  if (::geteuid() == 0) (void)!::chown(place.c_str(), owner, owner);
  for (const char* other : {"/tmp", "/dev/shm"}) {
    // What is bound below it would be out of sight.
    if (root.is_used(other)) continue;
    if (!root.folder(other) ||
        ::mount(place.c_str(), root.at(other).c_str(), nullptr, MS_BIND, nullptr) != 0)
      return false;
  }
  return root.link("/var/tmp", "/tmp");
}

bool fill(Root& root, const Launch& launch, std::uint32_t owner) {
  for (const std::string_view path : kSystemFolders)
    if (!root.readable(std::string(path))) return false;
  for (const std::string& path : launch.readable)
    if (!root.readable(path)) return false;
  const bool covered = !launch.hidden.empty() && root.is_there(launch.hidden);
  if (covered && !root.memory(launch.hidden, "mode=755,size=64k")) return false;
  // Below a folder that is covered it is not there any more.
  if (!root.bind_plain(launch.directory, launch.directory) ||
      !set_attributes(root.at(launch.directory), kReadOnly | kNoSetuid | kNoDevices, kRecursive))
    return false;
  if (!add_devices(root) || !add_users(root, owner, launch.scratch) ||
      !add_scratch(root, launch, owner) || !root.folder("/proc"))
    return false;
  return !covered || set_attributes(root.at(launch.hidden), kReadOnly, 0);
}

}  // namespace

bool enter_root(const Launch& launch, std::uint32_t owner, bool own_processes) {
  const mode_t before = ::umask(0);
  const char* base = launch.base.c_str();
  bool made = ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
              ::mount("tmpfs", base, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=1m") == 0;
  if (made) {
    Root root(launch.base);
    made = fill(root, launch, owner);
    // A container that masks parts of /proc does not let it be mounted anew: an empty one it is.
    if (made && own_processes) {
      (void)::mount("proc", root.at("/proc").c_str(), "proc",
                    MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, nullptr);
    }
    made = made && set_attributes(launch.base, kReadOnly | kNoSetuid, 0) && ::chdir(base) == 0 &&
           ::syscall(SYS_pivot_root, ".", ".") == 0 && ::umount2(".", MNT_DETACH) == 0 &&
           ::chdir("/") == 0;
    if (!made) (void)::umount2(base, MNT_DETACH);
  }
  ::umask(before);
  return made;
}

}  // namespace heddle::runtime
