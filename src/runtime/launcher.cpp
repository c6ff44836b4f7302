#include "runtime/launcher.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <initializer_list>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace heddle::runtime {
namespace {

constexpr rlim_t kFiles = 1024;
constexpr rlim_t kProcesses = 1024;  // threads included
constexpr long kLookEveryNs = 100'000'000;
constexpr int kFailed = 127;

// ---- what both do

bool write_text(const char* path, const std::string& text) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  return written;
}

void limit(int what, rlim_t value) {
  rlimit now{};
  if (::getrlimit(static_cast<__rlimit_resource>(what), &now) != 0) return;
  const rlim_t most = now.rlim_max == RLIM_INFINITY ? value : std::min(value, now.rlim_max);
  const rlimit set{most, most};
  (void)::setrlimit(static_cast<__rlimit_resource>(what), &set);
}

// ---- init, in the namespaces

/// Whom root becomes: one of the users that systemd keeps for services which have none of their own
/// (`DynamicUser`), by process id, so that two workers are two users.
std::uint32_t unprivileged_user(pid_t launcher) {
  constexpr std::uint32_t kFirst = 61184, kCount = 65519 - 61184 + 1;
  return kFirst + static_cast<std::uint32_t>(launcher) % kCount;
}

/// Gives up user and capabilities, for good. True: what runs now is no root.
bool become_user(std::uint32_t user) {
  (void)::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  for (unsigned long capability = 0; capability < 64; ++capability)
    (void)::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  (void)::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  if (::geteuid() == 0 && user != 0) {
    (void)::setgroups(0, nullptr);
    if (::setresgid(user, user, user) != 0 || ::setresuid(user, user, user) != 0) user = 0;
  }
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[2] = {};
  const bool dropped = ::syscall(SYS_capset, &header, none) == 0;
  return dropped && ::geteuid() != 0;
}

void set_limits(const Launch& launch) {
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_NOFILE, kFiles);
  limit(RLIMIT_MSGQUEUE, 0);
  if (launch.memory_bytes > 0) {
    limit(RLIMIT_DATA, static_cast<rlim_t>(launch.memory_bytes));
    limit(RLIMIT_FSIZE, static_cast<rlim_t>(launch.memory_bytes / 4));
  }
  // Last: of the user that we are by now, and counted in our user namespace where there is one.
  limit(RLIMIT_NPROC, kProcesses);
}

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> out;
  for (const std::string& word : words) out.push_back(const_cast<char*>(word.c_str()));
  out.push_back(nullptr);
  return out;
}

[[noreturn]] void become_program(const Launch& launch, char* const* argv, char* const* envp,
                                 int started) {
  (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::setsid();
  for (const int each : {SIGPIPE, SIGTERM, SIGINT, SIGHUP, SIGCHLD}) ::signal(each, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (::chdir(launch.directory.c_str()) == 0) {
    set_limits(launch);  // of the program: what is left of us here may hold more already
    ::execve(launch.program.c_str(), argv, envp);
  }
  const int why = errno;
  (void)!::write(started, &why, sizeof why);
  ::_exit(kFailed);
}

/// Waits for the worker and reaps what it left behind.
int wait_for(pid_t worker) {
  sigset_t all;
  sigfillset(&all);
  while (true) {
    int status = 0;
    for (pid_t ended; (ended = ::waitpid(-1, &status, WNOHANG)) > 0;)
      if (ended == worker) return status;
    int signal = 0;
    if (::sigwait(&all, &signal) == 0 && signal == SIGTERM) ::kill(-worker, SIGTERM);
  }
}

[[noreturn]] void be_init(const Launch& launch, Layers layers, bool own_mounts, int channel,
                          pid_t launcher) {
  // Where the machine runs out of memory a worker goes before the planes.
  (void)write_text("/proc/self/oom_score_adj", "500");
  const std::uint32_t user = own_mounts ? unprivileged_user(launcher) : 0;
  layers.mount = own_mounts && enter_root(launch, user, layers.pid);
  std::array<int, 2> fds{::open(launch.scratch.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC), -1};
  if (layers.mount && layers.pid) {
    fds[1] = ::open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    layers.proc = ::faccessat(fds[1], "1", F_OK, 0) == 0;
  }
  if (layers.ipc) (void)::sethostname("worker", 6);
  // In the root of the machine another user would not reach the worker's files.
  layers.user = become_user(layers.mount ? user : 0);
  // Forgotten whenever the user changes: asked for here. That the launcher is there still is seen
  // when it takes the report.
  (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
  (void)::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);  // the worker is the same user
  layers.landlock = restrict_files(launch, layers.mount);
  layers.seccomp = restrict_calls(layers.mount);
  ::umask(0077);

  const std::vector<char*> argv = pointers(launch.arguments);
  const std::vector<char*> envp = pointers(launch.environment);
  int started[2];
  LaunchReport report{layers, 0};
  pid_t worker = -1;
  if (::pipe2(started, O_CLOEXEC) == 0) {
    worker = ::fork();
    if (worker == 0) become_program(launch, argv.data(), envp.data(), started[1]);
    if (worker < 0) report.failed = errno;
    ::close(started[1]);
    // Nothing comes when the program was started: its end of the pipe is closed then.
    (void)!::read(started[0], &report.failed, sizeof report.failed);
  } else {
    report.failed = errno;
  }
  if (!send_message(channel, &report, sizeof report, fds.data(), 2) || report.failed != 0)
    ::_exit(kFailed);
  const int status = wait_for(worker);
  (void)send_message(channel, &status, sizeof status, nullptr, 0);
  ::_exit(0);
}

// ---- the launcher, outside

/// The namespaces beside those of mounts and users, as many as there may be.
void separate(Layers& layers) {
  layers.pid = ::unshare(CLONE_NEWPID) == 0;
  layers.network = ::unshare(CLONE_NEWNET) == 0;
  layers.ipc = ::unshare(CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP) == 0;
}

std::int64_t mono_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

std::string read_at(int folder, const std::string& path) {
  std::string text;
  const int fd = ::openat(folder, path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return text;
  char buffer[4096];
  for (ssize_t n; (n = ::read(fd, buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(n));
  ::close(fd);
  return text;
}

std::int64_t number_after(std::string_view text, std::string_view label) {
  const std::size_t found = text.find(label);
  if (found == std::string_view::npos) return -1;
  const std::size_t digit = text.find_first_of("0123456789", found + label.size());
  std::int64_t value = -1;
  if (digit != std::string_view::npos)
    (void)std::from_chars(text.data() + digit, text.data() + text.size(), value);
  return value;
}

std::int64_t sum_after(std::string_view text, std::initializer_list<std::string_view> labels) {
  std::int64_t sum = 0;
  for (const std::string_view label : labels)
    sum += std::max<std::int64_t>(0, number_after(text, label));
  return sum * 1024;
}

/// What a process holds of memory, pages of files on disk apart. `exact`: what it shares with
/// others is divided among them; takes the time of looking at each page. A process that hides its
/// pages (PR_SET_DUMPABLE) is counted as if it shared none, one that ended meanwhile as nothing.
std::int64_t memory_of(int proc, const std::string& pid, bool exact) {
  const std::string status = read_at(proc, pid + "/status");
  const std::string rollup = exact ? read_at(proc, pid + "/smaps_rollup") : std::string();
  // A pipe's buffer is nobody's memory either: two pages where a user has many of them.
  const std::int64_t many_files = std::max<std::int64_t>(0, number_after(status, "FDSize:") - 256);
  return many_files * 4096 + sum_after(status, {"VmPTE:", "HugetlbPages:"}) +
         (rollup.empty() ? sum_after(status, {"RssAnon:", "RssShmem:"})
                         : sum_after(rollup, {"Pss_Anon:", "Pss_Shmem:"}));
}

/// What all of them hold, what waits in their sockets included: each at most `socket_bytes`.
std::int64_t memory_of_all(int proc, std::int64_t socket_bytes, bool exact) {
  DIR* folder = ::fdopendir(::openat(proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder == nullptr) return 0;
  std::int64_t sum =
      std::max<std::int64_t>(0, number_after(read_at(proc, "1/net/sockstat"), "used")) *
      socket_bytes;
  while (const dirent* entry = ::readdir(folder)) {
    const std::string name = entry->d_name;
    if (name[0] >= '1' && name[0] <= '9' && name != "1") sum += memory_of(proc, name, exact);
  }
  ::closedir(folder);
  return sum;
}

/// Waits until init has ended; ends it when its processes hold more than they may.
void supervise(pid_t init, int proc, std::int64_t most, std::int64_t socket_bytes) {
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  std::int64_t pause_ns = kLookEveryNs;
  while (::waitpid(init, nullptr, WNOHANG) == 0) {
    const timespec pause{pause_ns / 1'000'000'000, pause_ns % 1'000'000'000};
    (void)::sigtimedwait(&child, nullptr, proc >= 0 && most > 0 ? &pause : nullptr);
    if (proc < 0 || most <= 0) continue;
    // The quick sum counts what is shared once for each process: only when it is too much it is
    // worth the exact one.
    const std::int64_t begin = mono_ns();
    std::int64_t held = memory_of_all(proc, socket_bytes, false);
    if (held > most) held = memory_of_all(proc, socket_bytes, true);
    // Who has many processes does not thereby get a core of the machine.
    pause_ns = std::max<std::int64_t>(kLookEveryNs, 20 * (mono_ns() - begin));
    if (held <= most) continue;
    ::kill(init, SIGKILL);
    const std::string why =
        fmt::format("its processes held {} MiB of memory, more than `memory_bytes` ({} MiB)\n",
                    held >> 20, most >> 20);
    (void)!::write(STDERR_FILENO, why.data(), why.size());
  }
}

/// Ends as the worker did, so that who waits for the launcher learns it.
[[noreturn]] void end_as(int status) {
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    limit(RLIMIT_CORE, 0);
    ::signal(signal, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::kill(::getpid(), signal);
  }
  ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : kFailed);
}

std::string read_all(int fd) {
  std::string bytes;
  char buffer[4096];
  for (ssize_t n; (n = ::pread(fd, buffer, sizeof buffer, static_cast<off_t>(bytes.size()))) > 0;)
    bytes.append(buffer, static_cast<std::size_t>(n));
  return bytes;
}

[[noreturn]] void be_launcher(bool own_mounts) {
  const auto launched = decode_launch(read_all(kLaunchFd));
  ::close(kLaunchFd);
  // Killed with its parent; that one may have ended before this was asked for.
  (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (!launched.has_value() || ::getppid() != launched->parent) ::_exit(kFailed);
  const Launch& launch = launched->launch;
  (void)::prctl(PR_SET_NAME, kLauncher, 0, 0, 0);
  sigset_t all;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  // Of the machine: it is not seen from another network namespace.
  const std::int64_t socket_bytes = std::max<std::int64_t>(
      1, number_after("=" + read_at(AT_FDCWD, "/proc/sys/net/core/wmem_default"), "="));
  Layers layers;
  separate(layers);
  int inner[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, inner) != 0) ::_exit(kFailed);
  const pid_t self = ::getpid();
  const pid_t init = ::fork();
  if (init == 0) {
    ::close(inner[0]);
    ::close(kChannelFd);
    be_init(launch, layers, own_mounts, inner[1], self);
  }
  ::close(inner[1]);
  LaunchReport report;
  std::array<int, 2> fds{-1, -1};
  if (init < 0) {
    report.failed = errno;
  } else if (!receive_message(inner[0], &report, sizeof report, fds.data(), 2)) {
    report.failed = ECHILD;
  }
  (void)send_message(kChannelFd, &report, sizeof report, fds.data(), fds[0] >= 0 ? 1 : 0);
  ::close(kChannelFd);
  ::close(fds[0]);
  if (report.failed != 0) ::_exit(kFailed);
  supervise(init, report.layers.proc ? fds[1] : -1, launch.memory_bytes, socket_bytes);
  int status = SIGKILL;  // init was killed
  (void)receive_message(inner[0], &status, sizeof status, nullptr, 0);
  end_as(status);
}

/// Before `main`: whatever program this is, under this name it is a launcher (as runc does it). So
/// there is no second program to install, find and keep in step.
__attribute__((constructor)) void launch_when_asked(int argc, char** argv, char** /*environment*/) {
  if (argc == 2 && std::strcmp(argv[0], kLauncher) == 0)
    be_launcher(std::strcmp(argv[1], kOwnMounts) == 0);
}

}  // namespace

// ---- messages

std::string encode(const Launch& launch, pid_t parent) {
  std::string out;
  const auto text = [&](std::string_view value) { out.append(value).push_back('\0'); };
  const auto number = [&](std::int64_t value) { text(fmt::format("{}", value)); };
  const auto list = [&](const std::vector<std::string>& values) {
    number(static_cast<std::int64_t>(values.size()));
    for (const std::string& value : values) text(value);
  };
  number(parent);
  number(launch.memory_bytes);
  text(launch.program);
  text(launch.directory);
  text(launch.scratch);
  text(launch.base);
  text(launch.hidden);
  list(launch.arguments);
  list(launch.environment);
  list(launch.readable);
  return out;
}

std::optional<Launched> decode_launch(std::string_view bytes) {
  bool good = true;
  const auto text = [&]() -> std::string {
    const std::size_t end = bytes.find('\0');
    good = good && end != std::string_view::npos;
    if (!good) return {};
    std::string value(bytes.substr(0, end));
    bytes.remove_prefix(end + 1);
    return value;
  };
  const auto number = [&]() -> std::int64_t {
    const std::string value = text();
    std::int64_t out = 0;
    good =
        good && std::from_chars(value.data(), value.data() + value.size(), out).ec == std::errc{};
    return out;
  };
  const auto list = [&] {
    std::vector<std::string> values;
    for (std::int64_t left = number(); good && left > 0; --left) values.push_back(text());
    return values;
  };
  Launched out;
  out.parent = static_cast<pid_t>(number());
  out.launch.memory_bytes = number();
  out.launch.program = text();
  out.launch.directory = text();
  out.launch.scratch = text();
  out.launch.base = text();
  out.launch.hidden = text();
  out.launch.arguments = list();
  out.launch.environment = list();
  out.launch.readable = list();
  if (!good || !bytes.empty()) return std::nullopt;
  return out;
}

bool send_message(int channel, const void* bytes, std::size_t size, const int* fds, int count) {
  iovec part{const_cast<void*>(bytes), size};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(2 * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  std::vector<int> open;
  for (int i = 0; i < count; ++i)
    if (fds[i] >= 0) open.push_back(fds[i]);
  if (!open.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(open.size() * sizeof(int));
    cmsghdr* head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(open.size() * sizeof(int));
    std::memcpy(CMSG_DATA(head), open.data(), open.size() * sizeof(int));
  }
  return ::sendmsg(channel, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(size);
}

bool receive_message(int channel, void* bytes, std::size_t size, int* fds, int count) {
  iovec part{bytes, size};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(2 * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got = 0;
  do got = ::recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
  while (got < 0 && errno == EINTR);
  const cmsghdr* head = CMSG_FIRSTHDR(&message);
  if (got > 0 && head != nullptr && head->cmsg_type == SCM_RIGHTS) {
    const auto sent = static_cast<int>((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    std::memcpy(fds, CMSG_DATA(head), sizeof(int) * static_cast<unsigned>(std::min(sent, count)));
  }
  return got == static_cast<ssize_t>(size);
}

}  // namespace heddle::runtime
