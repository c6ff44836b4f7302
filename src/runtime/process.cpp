#include "runtime/process.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace heddle::runtime {
namespace {

constexpr rlim_t kFiles = 1024;
constexpr rlim_t kProcesses = 1024;  // of the user, its threads included

/// What the child says through a pipe before it becomes the program: once when the sandbox is
/// entered, once more when exec failed.
struct Report {
  Sandbox::Entered entered{};
  int failed = 0;  ///< errno
};

void limit(int what, rlim_t value) noexcept {
  rlimit now{};
  if (::getrlimit(static_cast<__rlimit_resource>(what), &now) != 0) return;
  const rlim_t most = now.rlim_max == RLIM_INFINITY ? value : std::min(value, now.rlim_max);
  const rlimit set{most, most};
  (void)::setrlimit(static_cast<__rlimit_resource>(what), &set);
}

/// Between fork and exec: async-signal-safe calls only.
[[noreturn]] void become(const char* program, char* const* argv, char* const* envp,
                         const char* directory, std::int64_t memory, const Sandbox& sandbox,
                         int output, int report, pid_t parent) noexcept {
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // it died before the signal was asked for
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int each : {SIGPIPE, SIGTERM, SIGINT, SIGHUP, SIGCHLD}) ::signal(each, SIG_DFL);
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::dup2(null, 0);
  ::dup2(output, 1);
  ::dup2(output, 2);
  (void)::syscall(SYS_close_range, 3u, ~0u,
                  4u);  // CLOSE_RANGE_CLOEXEC: nothing of ours is left open in the program
  ::umask(0077);
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_NOFILE, kFiles);
  limit(RLIMIT_NPROC, kProcesses);
  if (memory > 0) limit(RLIMIT_DATA, static_cast<rlim_t>(memory));
  Report message;
  message.entered = sandbox.enter();
  if (::chdir(directory) != 0) message.failed = errno;
  (void)!::write(report, &message, sizeof message);
  if (message.failed != 0) ::_exit(127);
  ::execve(program, argv, envp);
  message.failed = errno;
  (void)!::write(report, &message, sizeof message);
  ::_exit(127);
}

bool read_report(int fd, Report& out) {
  std::size_t got = 0;
  while (got < sizeof out) {
    const ssize_t n = ::read(fd, reinterpret_cast<char*>(&out) + got, sizeof out - got);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    got += static_cast<std::size_t>(n);
  }
  return true;
}

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> out;
  for (const std::string& word : words) out.push_back(const_cast<char*>(word.c_str()));
  out.push_back(nullptr);
  return out;
}

Error cannot(const std::string& program, int why) {
  return Error{ErrorKind::kUnavailable, "runtime-start",
               fmt::format("cannot start `{}`: {}", program, std::strerror(why)),
               "check that the program is there and may be run"};
}

void close_all(Process& process) {
  for (int* fd : {&process.pid_fd, &process.output}) {
    if (*fd >= 0) ::close(*fd);
    *fd = -1;
  }
}

}  // namespace

Result<Process> spawn(const ProcessOptions& options, const Sandbox& sandbox) {
  const std::vector<char*> argv = pointers(options.arguments);
  const std::vector<char*> envp = pointers(options.environment);
  int output[2];
  int report[2];
  if (::pipe2(output, O_CLOEXEC) != 0) return cannot(options.program, errno);
  if (::pipe2(report, O_CLOEXEC) != 0) {
    const Error error = cannot(options.program, errno);
    ::close(output[0]);
    ::close(output[1]);
    return error;
  }
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0)
    become(options.program.c_str(), argv.data(), envp.data(), options.directory.c_str(),
           options.memory_bytes, sandbox, output[1], report[1], parent);
  const int why = errno;
  ::close(output[1]);
  ::close(report[1]);
  Report first;
  Report second;
  const bool entered = pid > 0 && read_report(report[0], first);
  const bool failed = entered && read_report(report[0], second);
  ::close(report[0]);
  if (pid < 0 || !entered || first.failed != 0 || failed) {
    if (pid > 0) ::waitpid(pid, nullptr, 0);
    ::close(output[0]);
    return cannot(options.program, pid < 0             ? why
                                   : first.failed != 0 ? first.failed
                                                       : second.failed);
  }
  ::fcntl(output[0], F_SETFL, O_NONBLOCK);
  return Process{pid, static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)), output[0],
                 first.entered};
}

std::optional<std::string> reap(Process& process) {
  siginfo_t info{};
  // WNOWAIT first: the process stays a zombie, and its id its own, until nobody can kill by that id
  // any more.
  if (::waitid(P_PID, static_cast<id_t>(process.pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
      info.si_pid == 0)
    return std::nullopt;
  ::kill(-process.pid, SIGKILL);
  int status = 0;
  while (::waitpid(process.pid, &status, 0) < 0 && errno == EINTR) {
  }
  process.pid = -1;
  close_all(process);
  return WIFSIGNALED(status) ? fmt::format("signal {}", WTERMSIG(status))
                             : fmt::format("exit code {}", WEXITSTATUS(status));
}

void end(Process& process, std::int64_t grace_ms) {
  if (process.pid <= 0) return;
  ::kill(-process.pid, SIGTERM);
  for (std::int64_t waited = 0; waited < grace_ms; waited += 10) {
    pollfd fd{process.pid_fd, POLLIN, 0};
    ::poll(&fd, process.pid_fd >= 0 ? 1 : 0, 10);
    if (reap(process).has_value()) return;
  }
  ::kill(-process.pid, SIGKILL);
  while (!reap(process).has_value()) {
    pollfd fd{process.pid_fd, POLLIN, 0};
    ::poll(&fd, process.pid_fd >= 0 ? 1 : 0, 10);
  }
}

Result<std::string> find_program(const std::string& name, const std::string& directory) {
  const auto usable = [](const std::string& path) { return ::access(path.c_str(), X_OK) == 0; };
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
