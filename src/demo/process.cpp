#include "demo/process.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.hpp"

namespace heddle::demo {
namespace {

Error cannot(std::string_view what, const Command& command) {
  return Error{ErrorKind::kUnavailable, "demo-process",
               fmt::format("cannot {} `{}`: {}", what, command.argv.front(), std::strerror(errno)),
               "check that it is installed (scripts/install_deps.sh)"};
}

[[noreturn]] void become(const Command& command, int in, int out, int err, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(127);
  ::dup2(in, 0);
  ::dup2(out, 1);
  ::dup2(err, 2);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGINT, SIG_DFL);
  ::signal(SIGPIPE, SIG_DFL);
  if (!command.directory.empty() && ::chdir(command.directory.c_str()) != 0) ::_exit(127);
  for (const auto& [name, value] : command.environment) ::setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> argv;
  for (const std::string& word : command.argv) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  ::execvp(argv[0], argv.data());
  ::_exit(127);
}

int exit_code_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

struct Pipe {
  int read = -1;
  int write = -1;
  bool open() {
    int both[2];
    if (::pipe2(both, O_CLOEXEC) != 0) return false;
    read = both[0];
    write = both[1];
    return true;
  }
  void close_read() {
    if (read >= 0) ::close(std::exchange(read, -1));
  }
  void close_write() {
    if (write >= 0) ::close(std::exchange(write, -1));
  }
  ~Pipe() {
    close_read();
    close_write();
  }
};

}  // namespace

Result<Finished> run_command(const Command& command,
                             const std::function<void(std::string_view)>& on_message) {
  const std::int64_t begin = system_clock().mono_ns();
  Pipe in, out, err;
  if (!in.open() || !out.open() || !err.open()) return cannot("make pipes for", command);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return cannot("start", command);
  if (pid == 0) become(command, in.read, out.write, err.write, parent);
  in.close_read();
  out.close_write();
  err.close_write();
  // What is given as input is small: it fits the pipe.
  if (!command.input.empty()) (void)!::write(in.write, command.input.data(), command.input.size());
  in.close_write();

  Finished finished;
  std::size_t told = 0;
  while (out.read >= 0 || err.read >= 0) {
    pollfd both[2] = {{out.read, POLLIN, 0}, {err.read, POLLIN, 0}};
    if (::poll(both, 2, -1) < 0) {
      if (errno == EINTR) continue;
      break;
    }
    char buffer[16384];
    if ((both[0].revents & (POLLIN | POLLHUP)) != 0) {
      const ssize_t n = ::read(out.read, buffer, sizeof buffer);
      if (n > 0) finished.out.append(buffer, static_cast<std::size_t>(n));
      if (n == 0) out.close_read();
    }
    if ((both[1].revents & (POLLIN | POLLHUP)) != 0) {
      const ssize_t n = ::read(err.read, buffer, sizeof buffer);
      if (n > 0) finished.err.append(buffer, static_cast<std::size_t>(n));
      if (n == 0) err.close_read();
      for (std::size_t end;
           on_message && (end = finished.err.find('\n', told)) != std::string::npos;
           told = end + 1) {
        on_message(std::string_view(finished.err).substr(told, end - told));
      }
    }
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  finished.exit_code = exit_code_of(status);
  finished.seconds = static_cast<double>(system_clock().mono_ns() - begin) * 1e-9;
  return finished;
}

Result<Finished> must_run(const Command& command,
                          const std::function<void(std::string_view)>& on_message) {
  HEDDLE_ASSIGN_OR_RETURN(Finished finished, run_command(command, on_message));
  if (finished.exit_code == 0) return finished;
  const std::string& said = finished.err.empty() ? finished.out : finished.err;
  return Error{
      ErrorKind::kInternal, "demo-step-failed",
      fmt::format("`{}` ended with {}: {}", fmt::join(command.argv, " "), finished.exit_code,
                  said.substr(said.size() > 2000 ? said.size() - 2000 : 0)),
      "the line above says why; `--fresh` forgets what earlier runs left"};
}

Result<Background> Background::start(const Command& command, const std::string& log) {
  const int in = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (in < 0 || out < 0) return cannot("open the log of", command);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) become(command, in, out, out, parent);
  ::close(in);
  ::close(out);
  if (pid < 0) return cannot("start", command);
  return Background(pid);
}

Background::Background(Background&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), exit_code_(other.exit_code_) {}
Background& Background::operator=(Background&& other) noexcept {
  if (this != &other) {
    stop();
    pid_ = std::exchange(other.pid_, -1);
    exit_code_ = other.exit_code_;
  }
  return *this;
}
Background::~Background() { stop(); }

bool Background::alive() {
  if (pid_ <= 0) return false;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return true;
  exit_code_ = exit_code_of(status);
  pid_ = -1;
  return false;
}

int Background::stop(int patience_ms) {
  if (!alive()) return exit_code_;
  ::kill(pid_, SIGINT);
  for (int waited = 0; alive(); waited += 10) {
    if (waited >= patience_ms) ::kill(pid_, SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return exit_code_;
}

std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> out;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const std::string name = entry.path().filename();
    if (name.empty() || name[0] < '0' || name[0] > '9') continue;
    std::ifstream stat(entry.path() / "stat");
    std::string line;
    std::getline(stat, line);
    // `pid (name) state ppid ...`; the name may hold anything, its last parenthesis ends it.
    const std::size_t close = line.rfind(')');
    if (close == std::string::npos || close + 4 > line.size()) continue;
    if (std::atoi(line.c_str() + close + 4) == parent) out.push_back(std::atoi(name.c_str()));
  }
  return out;
}

std::string command_line(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/cmdline", pid));
  std::string text((std::istreambuf_iterator<char>(file)), {});
  for (char& c : text) {
    if (c == '\0') c = ' ';
  }
  return text;
}

std::int64_t peak_bytes(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/status", pid));
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with("VmHWM:")) return std::atoll(line.c_str() + 6) * 1024;
  }
  return 0;
}

}  // namespace heddle::demo
