// The Landlock layer: what of the files that a worker sees it may read and write.
#include <cerrno>
#include <cstdint>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/sandbox.hpp"

namespace heddle::runtime {
namespace {

// The kernel's ABI, of which the distribution's header knows an older part
// (include/uapi/linux/landlock.h, ABI 6).
struct RulesetAttributes {
  std::uint64_t fs = 0;
  std::uint64_t net = 0;
  std::uint64_t scoped = 0;
};
struct __attribute__((packed)) PathBeneath {
  std::uint64_t allowed = 0;
  std::int32_t parent = -1;
};
constexpr int kRulePathBeneath = 1;
constexpr unsigned kVersion = 1;
constexpr std::uint64_t kExecute = 1, kWriteFile = 2, kReadFile = 4, kReadDir = 8,
                        kTruncate = 1ull << 14;
constexpr std::uint64_t kReads = kExecute | kReadFile | kReadDir;
constexpr std::uint64_t kOfFiles = kExecute | kWriteFile | kReadFile | kTruncate | (1ull << 15);

std::uint64_t all_of(int abi) {
  std::uint64_t bits = (1ull << 13) - 1;
  if (abi >= 2) bits |= 1ull << 13;  // REFER
  if (abi >= 3) bits |= kTruncate;
  if (abi >= 5) bits |= 1ull << 15;  // IOCTL_DEV
  return bits;
}

void allow(int ruleset, int abi, const std::string& path, std::uint64_t rights) {
  const int fd = ::open(path.c_str(), O_PATH | O_CLOEXEC);
  if (fd < 0) return;  // what is not there needs no right
  struct stat status{};
  if (::fstat(fd, &status) == 0) {
    PathBeneath rule;
    rule.allowed = rights & all_of(abi) & (S_ISDIR(status.st_mode) ? ~0ull : kOfFiles);
    rule.parent = fd;
    (void)::syscall(SYS_landlock_add_rule, ruleset, kRulePathBeneath, &rule, 0);
  }
  ::close(fd);
}

}  // namespace

int restrict_files(const Launch& launch, bool own_root) {
  const int abi = static_cast<int>(::syscall(SYS_landlock_create_ruleset, nullptr, 0, kVersion));
  if (abi <= 0) return 0;
  RulesetAttributes attributes;
  attributes.fs = all_of(abi);
  attributes.net = abi >= 4 ? 3 : 0;     // BIND_TCP, CONNECT_TCP
  attributes.scoped = abi >= 6 ? 3 : 0;  // abstract Unix sockets, signals
  const std::size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
  const int ruleset =
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, size, 0));
  if (ruleset < 0) return 0;
  if (own_root) {
    allow(ruleset, abi, "/", kReads);  // nothing else is there
  } else {
    for (const std::string_view path : kSystemFolders)
      allow(ruleset, abi, std::string(path), kReads);
    for (const char* path :
         {"/proc", "/etc/passwd", "/etc/group", "/dev/urandom", "/dev/random", "/dev/zero"})
      allow(ruleset, abi, path, kReads);
    for (const std::string& path : launch.readable) allow(ruleset, abi, path, kReads);
    allow(ruleset, abi, launch.directory, kReads);
  }
  allow(ruleset, abi, "/dev/null", kReads | kWriteFile | kTruncate);
  allow(ruleset, abi, launch.scratch, ~0ull);
  const bool entered = ::syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
  ::close(ruleset);
  return entered ? abi : 0;
}

}  // namespace heddle::runtime
