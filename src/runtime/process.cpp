#include "runtime/process.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/launcher.hpp"

namespace heddle::runtime {
namespace {

/// A descriptor that is closed when it goes out of sight.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor() { reset(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  void reset(int fd = -1) noexcept {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_;
};

bool write_text(const char* path, const std::string& text) noexcept {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  return written;
}

/// A mount namespace of its own. An ordinary user has one in a user namespace, where it is nobody
/// but itself; root needs none, and becomes another user later. Between fork and exec.
bool own_mounts(const std::string& uid_map, const std::string& gid_map) noexcept {
  if (::unshare(CLONE_NEWNS) == 0) return true;
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
  (void)::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);  // else the files below are root's
  (void)write_text("/proc/self/setgroups", "deny");
  if (!write_text("/proc/self/uid_map", uid_map) || !write_text("/proc/self/gid_map", gid_map))
    return false;
  // The launcher needs its rights within this namespace for the other ones, and loses what is not
  // ambient when it is started. Init gives them up before the worker is.
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct rights[2] = {};
  (void)::syscall(SYS_capget, &header, rights);
  for (__user_cap_data_struct& half : rights) half.inheritable = half.permitted;
  (void)::syscall(SYS_capset, &header, rights);
  for (unsigned long right = 0; right < 64; ++right)
    (void)::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, right, 0, 0);
  return true;
}

/// Becomes the launcher. Between fork and exec: async-signal-safe calls only.
[[noreturn]] void become_launcher(int launch, int output, int channel, pid_t parent,
                                  char* const* environment, const std::string& uid_map,
                                  const std::string& gid_map) noexcept {
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // it died before the signal was asked for
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int each : {SIGPIPE, SIGTERM, SIGINT, SIGHUP, SIGCHLD}) ::signal(each, SIG_DFL);
  // Out of the way of the numbers that they get.
  const int null = ::fcntl(::open("/dev/null", O_RDONLY | O_CLOEXEC), F_DUPFD_CLOEXEC, 10);
  launch = ::fcntl(launch, F_DUPFD_CLOEXEC, 10);
  output = ::fcntl(output, F_DUPFD_CLOEXEC, 10);
  channel = ::fcntl(channel, F_DUPFD_CLOEXEC, 10);
  ::dup2(null, 0);
  ::dup2(output, 1);
  ::dup2(output, 2);
  ::dup2(channel, kChannelFd);
  ::dup2(launch, kLaunchFd);
  (void)::syscall(SYS_close_range, 5u, ~0u, 0u);  // nothing of ours is left open in it
  char name[16];
  char mounts[16] = "";
  std::strcpy(name, kLauncher);
  if (own_mounts(uid_map, gid_map)) std::strcpy(mounts, kOwnMounts);
  char* const argv[] = {name, mounts, nullptr};
  ::execve("/proc/self/exe", argv, environment);
  ::_exit(127);
}

/// The bytes of a launch in a file that is nowhere.
int write_launch(const Launch& launch) {
  const std::string bytes = encode(launch, ::getpid());
  Descriptor file(::memfd_create("launch", MFD_CLOEXEC));
  if (file.get() < 0 ||
      ::write(file.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
    return -1;
  return file.release();
}

Error cannot(const std::string& program, int why) {
  return Error{ErrorKind::kUnavailable, "runtime-start",
               fmt::format("cannot start `{}`: {}", program, std::strerror(why)),
               "check that the program is there and may be run"};
}

void close_all(Process& process) {
  for (int* fd : {&process.output, &process.scratch}) {
    if (*fd >= 0) ::close(*fd);
    *fd = -1;
  }
}

}  // namespace

Result<Process> spawn(const Launch& launch) {
  const Descriptor file(write_launch(launch));
  int output[2];
  int channel[2];
  if (file.get() < 0 || ::pipe2(output, O_CLOEXEC) != 0) return cannot(launch.program, errno);
  Descriptor read_end(output[0]);
  Descriptor write_end(output[1]);
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) != 0)
    return cannot(launch.program, errno);
  const Descriptor ours(channel[0]);
  Descriptor theirs(channel[1]);
  // Of our environment only what finds our libraries.
  const char* libraries = std::getenv("LD_LIBRARY_PATH");
  std::string word = fmt::format("LD_LIBRARY_PATH={}", libraries == nullptr ? "" : libraries);
  char* const environment[] = {libraries == nullptr ? nullptr : word.data(), nullptr};
  const std::string uid_map = fmt::format("{0} {0} 1", ::geteuid());
  const std::string gid_map = fmt::format("{0} {0} 1", ::getegid());
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0)
    become_launcher(file.get(), write_end.get(), theirs.get(), parent, environment, uid_map,
                    gid_map);
  if (pid < 0) return cannot(launch.program, errno);
  ChildProcess launcher = ChildProcess::adopt(pid, true);
  write_end.reset();
  theirs.reset();
  LaunchReport report;
  int scratch = -1;
  const bool said = receive_message(ours.get(), &report, sizeof report, &scratch, 1);
  if (!said || report.failed != 0 || scratch < 0) {
    if (scratch >= 0) ::close(scratch);
    return cannot(launch.program, said ? report.failed : ECHILD);
  }
  ::fcntl(read_end.get(), F_SETFL, O_NONBLOCK);
  return Process{std::move(launcher), read_end.release(), scratch, report.layers};
}

std::optional<std::string> reap(Process& process) {
  const auto exit = process.launcher.ended();
  if (!exit) return std::nullopt;
  close_all(process);
  return exit->str();
}

void end(Process& process, std::int64_t grace_ms) {
  (void)process.launcher.stop(SIGTERM, grace_ms);
  close_all(process);
}

Result<std::string> find_program(const std::string& name, const std::string& directory) {
  const auto usable = [](const std::string& path) { return ::access(path.c_str(), X_OK) == 0; };
  // A Python environment stands for its interpreter.
  if (struct stat status{};
      name.starts_with('/') && ::stat(name.c_str(), &status) == 0 && S_ISDIR(status.st_mode))
    return find_program(name + "/bin/python", directory);
  if (name.starts_with('/')) {
    if (usable(name)) return name;
  } else if (name.find('/') != std::string::npos) {
    if (usable(directory + "/" + name)) return directory + "/" + name;
  } else {
    const char* path = std::getenv("PATH");
    std::string_view rest = path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path;
    while (true) {
      const std::size_t colon = rest.find(':');
      const std::string folder(rest.substr(0, colon));
      if (folder.starts_with('/') && usable(folder + "/" + name)) return folder + "/" + name;
      if (colon == std::string_view::npos) break;
      rest.remove_prefix(colon + 1);
    }
  }
  return Error{ErrorKind::kNotFound, "runtime-program",
               fmt::format("there is no program `{}`", name),
               "give its path in `command`, or put its folder on PATH"};
}

}  // namespace heddle::runtime
