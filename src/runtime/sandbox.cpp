#include "runtime/sandbox.hpp"

#include <cerrno>
#include <cstdint>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

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
constexpr int kInstance = 200;  // a descriptor whose path is known without formatting
constexpr const char* kInstancePath = "/proc/self/fd/200";
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

bool write_all(const char* path, const std::string& text) noexcept {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  return written;
}

}  // namespace

Sandbox::Sandbox(Options options) : options_(std::move(options)) {
  uid_map_ = fmt::format("{0} {0} 1", ::geteuid());
  gid_map_ = fmt::format("{0} {0} 1", ::getegid());
  if (!options_.hidden.empty() && options_.instance.starts_with(options_.hidden + "/")) {
    for (std::size_t at = options_.hidden.size(); at != std::string::npos;) {
      at = options_.instance.find('/', at + 1);
      folders_.push_back(options_.instance.substr(0, at));
    }
  }
  abi_ = static_cast<int>(::syscall(SYS_landlock_create_ruleset, nullptr, 0, kVersion));
  if (abi_ <= 0) {
    abi_ = 0;
    return;
  }
  RulesetAttributes attributes;
  attributes.fs = all_of(abi_);
  attributes.net = abi_ >= 4 ? 3 : 0;     // BIND_TCP, CONNECT_TCP
  attributes.scoped = abi_ >= 6 ? 3 : 0;  // abstract Unix sockets, signals
  const std::size_t size = abi_ >= 6 ? 24 : abi_ >= 4 ? 16 : 8;
  ruleset_ = static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, size, 0));
  if (ruleset_ < 0) return;
  for (const char* path : {"/usr",
                           "/lib",
                           "/lib64",
                           "/lib32",
                           "/bin",
                           "/sbin",
                           "/opt",
                           "/proc",
                           "/sys",
                           "/etc/ld.so.cache",
                           "/etc/ld.so.conf",
                           "/etc/ld.so.conf.d",
                           "/etc/localtime",
                           "/etc/alternatives",
                           "/etc/ssl",
                           "/etc/nsswitch.conf",
                           "/etc/passwd",
                           "/etc/group",
                           "/etc/mime.types",
                           "/dev/urandom",
                           "/dev/random",
                           "/dev/zero"}) {
    allow(ruleset_, abi_, path, kReads);
  }
  allow(ruleset_, abi_, "/dev/null", kReads | kWriteFile | kTruncate);
  for (const std::string& path : options_.readable) allow(ruleset_, abi_, path, kReads);
  allow(ruleset_, abi_, options_.run, ~0ull);
}

Sandbox::~Sandbox() {
  if (ruleset_ >= 0) ::close(ruleset_);
}

Sandbox::Entered Sandbox::enter() const noexcept {
  Entered entered;
  entered.landlock_abi = abi_;
  bool apart = ::unshare(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWIPC) == 0;
  if (!apart && ::unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWIPC) == 0) {
    // Its own user, mapped to itself: files keep their owner.
    (void)write_all("/proc/self/setgroups", "deny");
    (void)write_all("/proc/self/uid_map", uid_map_);
    (void)write_all("/proc/self/gid_map", gid_map_);
    apart = true;
  }
  entered.network = apart;
  if (apart && !folders_.empty()) {
    (void)::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    // Opened here, not before: only what is of this namespace can be bound in it.
    const int found = ::open(options_.instance.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    ::dup3(found, kInstance, O_CLOEXEC);
    ::close(found);
    if (::mount("tmpfs", options_.hidden.c_str(), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                "size=64k,mode=700") == 0) {
      for (const std::string& folder : folders_) (void)::mkdir(folder.c_str(), 0700);
      entered.hidden =
          ::mount(kInstancePath, options_.instance.c_str(), nullptr, MS_BIND, nullptr) == 0;
      if (!entered.hidden) (void)::umount2(options_.hidden.c_str(), MNT_DETACH);
    }
    ::close(kInstance);
  }
  (void)::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  for (unsigned long capability = 0; capability < 64; ++capability)
    (void)::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  entered.files = ruleset_ >= 0 && ::syscall(SYS_landlock_restrict_self, ruleset_, 0) == 0;
  return entered;
}

}  // namespace heddle::runtime
