#include "base/process.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstring>
#include <thread>
#include <variant>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace heddle {
namespace {

/// A descriptor that is closed when it goes out of sight.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { reset(); }
  [[nodiscard]] int get() const noexcept { return fd_; }
  void reset() noexcept {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

struct Pipe {
  Descriptor read{};
  Descriptor write{};
  [[nodiscard]] bool open() {
    int both[2];
    if (::pipe2(both, O_CLOEXEC) != 0) return false;
    read = Descriptor(both[0]);
    write = Descriptor(both[1]);
    return true;
  }
};

Error cannot(const ProcessOptions& options, std::string_view what, int why) {
  return Error{ErrorKind::kUnavailable, "process-start",
               fmt::format("cannot start `{}`: {}{}{}", options.argv.front(), what,
                           what.empty() ? "" : ": ", std::strerror(why)),
               "check that the program is there and may be run"};
}

constexpr int kMostTries = 500;
constexpr auto kBusy = std::chrono::milliseconds(1);

/// What the child says through the pipe when it cannot become the options.
struct Failure {
  bool folder = false;  ///< it could not enter its working folder
  int code = 0;
};

/// All that the child needs, made before the fork: another thread of the caller may hold the
/// allocator's locks at that moment.
struct Prepared {
  explicit Prepared(const ProcessOptions& options) : directory(options.directory.c_str()) {
    for (const std::string& word : options.argv) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    for (const auto& [name, value] : options.environment) {
      added.push_back(name + "=" + value);
      names.push_back(name + "=");
    }
    for (char** at = environ; *at != nullptr; ++at) {
      const std::string_view entry = *at;
      if (std::none_of(names.begin(), names.end(),
                       [&](const std::string& name) { return entry.starts_with(name); }))
        environment.push_back(*at);
    }
    for (std::string& entry : added) environment.push_back(entry.data());
    environment.push_back(nullptr);
  }
  const char* directory;
  std::vector<char*> argv;
  std::vector<std::string> added;
  std::vector<std::string> names;
  std::vector<char*> environment;
};

/// Makes them descriptors 0 to 2; one of -1 stays the caller's own. Async-signal-safe calls only.
void place_streams(std::array<int, 3> streams) noexcept {
  // Out of the way first: the place of one may be where another has to go.
  for (int& fd : streams)
    if (fd >= 0) fd = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
  for (int i = 0; i < 3; ++i)
    if (streams[static_cast<std::size_t>(i)] >= 0) ::dup2(streams[static_cast<std::size_t>(i)], i);
}

/// Between fork and exec: async-signal-safe calls only.
[[noreturn]] void become(const ProcessOptions& options, const Prepared& prepared,
                         std::array<int, 3> streams, int report, pid_t parent) noexcept {
  if (options.leads_group) ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, options.signal_at_orphaning);
  if (::getppid() != parent) ::_exit(127);  // it died before the signal was asked for
  for (const int number : options.default_signals) ::signal(number, SIG_DFL);
  for (const int number : options.ignored_signals) ::signal(number, SIG_IGN);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  report = ::fcntl(report, F_DUPFD_CLOEXEC, 3);
  place_streams(streams);
  Failure failure;
  if (*prepared.directory != '\0' && ::chdir(prepared.directory) != 0) {
    failure = {true, errno};
  } else {
    // Of a path, execvpe would let a shell read a file that is no program.
    const bool is_path = std::strchr(prepared.argv[0], '/') != nullptr;
    (is_path ? ::execve : ::execvpe)(prepared.argv[0], prepared.argv.data(),
                                     prepared.environment.data());
    failure = {false, errno};
  }
  (void)!::write(report, &failure, sizeof failure);
  ::_exit(127);
}

/// The descriptor of a stream; one of -1 is inherited.
Result<Descriptor> open_stream(const ProcessOptions& options, const StandardStream& stream) {
  const auto open = [&](const char* path, int flags) -> Result<Descriptor> {
    Descriptor file(::open(path, flags | O_CLOEXEC, 0644));
    if (file.get() < 0) return cannot(options, fmt::format("`{}`", path), errno);
    return file;
  };
  switch (stream.kind) {
    case StandardStream::Kind::kNull: return open("/dev/null", O_RDWR);
    case StandardStream::Kind::kRead: return open(stream.path.c_str(), O_RDONLY);
    case StandardStream::Kind::kTruncate:
      return open(stream.path.c_str(), O_WRONLY | O_CREAT | O_TRUNC);
    case StandardStream::Kind::kAppend:
      return open(stream.path.c_str(), O_WRONLY | O_CREAT | O_APPEND);
    case StandardStream::Kind::kInherit:
    case StandardStream::Kind::kOutput:
    case StandardStream::Kind::kCapture: break;
  }
  return Descriptor();
}

/// The program's id, or why there is none.
std::variant<pid_t, Failure> launch_once(const ProcessOptions& options, const Prepared& prepared,
                                         std::array<int, 3> streams) {
  Pipe report;
  if (!report.open()) return Failure{false, errno};
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) become(options, prepared, streams, report.write.get(), parent);
  if (pid < 0) return Failure{false, errno};
  report.write.reset();
  // Nothing comes when the program was started: the child's end of the pipe is closed then.
  Failure failure;
  ssize_t got = 0;
  do got = ::read(report.read.get(), &failure, sizeof failure);
  while (got < 0 && errno == EINTR);
  if (got != static_cast<ssize_t>(sizeof failure)) return pid;
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return failure;
}

/// `streams`: the program's three standard ones; -1: the caller's own.
Result<pid_t> launch(const ProcessOptions& options, std::array<int, 3> streams) {
  const Prepared prepared(options);
  for (int tries = 1;; ++tries) {
    const auto launched = launch_once(options, prepared, streams);
    if (const pid_t* const pid = std::get_if<pid_t>(&launched)) return *pid;
    const auto& failure = std::get<Failure>(launched);
    // A program that this process has just written is busy as long as a child of another thread,
    // forked meanwhile, has not become its own program. Nothing tells when that is over.
    if (failure.code != ETXTBSY || tries == kMostTries)
      return cannot(options, failure.folder ? fmt::format("`{}`", options.directory) : "",
                    failure.code);
    std::this_thread::sleep_for(kBusy);
  }
}

/// `text` in a file that is nowhere, to be read from its beginning.
Descriptor file_of(std::string_view text) {
  Descriptor file(::memfd_create("input", MFD_CLOEXEC));
  while (file.get() >= 0 && !text.empty()) {
    const ssize_t n = ::write(file.get(), text.data(), text.size());
    if (n <= 0 && errno != EINTR) return Descriptor();
    if (n > 0) text.remove_prefix(static_cast<std::size_t>(n));
  }
  if (file.get() >= 0) (void)::lseek(file.get(), 0, SEEK_SET);
  return file;
}

/// One captured stream, up to its bound.
class Captured {
 public:
  Captured(Descriptor from, std::size_t most) : from_(std::move(from)), most_(most) {}
  [[nodiscard]] int descriptor() const noexcept { return from_.get(); }
  [[nodiscard]] bool is_cut() const noexcept { return is_cut_; }
  [[nodiscard]] std::string take() { return std::move(text_); }
  void read() {
    char buffer[16384];
    const ssize_t n = ::read(from_.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) return;
    if (n <= 0) return from_.reset();
    const std::size_t kept = std::min(static_cast<std::size_t>(n), most_ - text_.size());
    is_cut_ = is_cut_ || kept < static_cast<std::size_t>(n);
    text_.append(buffer, kept);
  }
  /// Each whole line once.
  void tell(const std::function<void(std::string_view)>& told) {
    if (!told) return;
    for (std::size_t end; (end = text_.find('\n', told_)) != std::string::npos; told_ = end + 1)
      told(std::string_view(text_).substr(told_, end - told_));
  }

 private:
  Descriptor from_;
  std::size_t most_;
  std::string text_;
  std::size_t told_ = 0;
  bool is_cut_ = false;
};

/// To the end of both streams: whoever else holds them (a child of the program) is waited for.
void read_to_end(Captured& out, Captured& err,
                 const std::function<void(std::string_view)>& on_error_line) {
  while (out.descriptor() >= 0 || err.descriptor() >= 0) {
    pollfd both[2] = {{out.descriptor(), POLLIN, 0}, {err.descriptor(), POLLIN, 0}};
    if (::poll(both, 2, -1) < 0 && errno != EINTR) break;
    if ((both[0].revents & (POLLIN | POLLHUP)) != 0) out.read();
    if ((both[1].revents & (POLLIN | POLLHUP)) != 0) err.read();
    err.tell(on_error_line);
  }
}

/// Whether the child has ended, or is no child of ours any more. It stays a zombie, and its id its
/// own, until it is reaped: nobody else is killed by that id.
bool is_over(pid_t child) {
  siginfo_t info{};
  const int done = ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT);
  return info.si_pid == child || (done != 0 && errno == ECHILD);
}

}  // namespace

std::string ExitStatus::str() const {
  return signal != 0 ? fmt::format("signal {}", signal) : fmt::format("exit code {}", code);
}

ChildProcess::ChildProcess(pid_t pid, bool leads_group)
    : pid_(pid),
      leads_group_(leads_group),
      descriptor_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {}
ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      leads_group_(other.leads_group_),
      descriptor_(std::exchange(other.descriptor_, -1)),
      exit_(other.exit_) {}
ChildProcess::~ChildProcess() {
  if (pid_ > 0 && !exit_) (void)stop(SIGKILL, 0);
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<ChildProcess> ChildProcess::start(const ProcessOptions& options) {
  HEDDLE_CHECK(!options.argv.empty(), "a process without a program");
  HEDDLE_ASSIGN_OR_RETURN(const Descriptor in, open_stream(options, options.in));
  HEDDLE_ASSIGN_OR_RETURN(const Descriptor out, open_stream(options, options.out));
  HEDDLE_ASSIGN_OR_RETURN(const Descriptor err, open_stream(options, options.err));
  const bool shared = options.err.kind == StandardStream::Kind::kOutput;
  // Inherited, stdout is 1: what stderr of the child goes to then.
  const int error = !shared ? err.get() : out.get() >= 0 ? out.get() : STDOUT_FILENO;
  HEDDLE_ASSIGN_OR_RETURN(const pid_t pid, launch(options, {in.get(), out.get(), error}));
  return ChildProcess(pid, options.leads_group);
}

ChildProcess ChildProcess::adopt(pid_t pid, bool leads_group) {
  return ChildProcess(pid, leads_group);
}

bool ChildProcess::wait(std::int64_t timeout_ms) const {
  if (exit_ || pid_ <= 0) return true;
  using Steady = std::chrono::steady_clock;
  const auto begin = Steady::now();
  for (;;) {
    if (is_over(pid_)) return true;
    const auto waited =
        std::chrono::duration_cast<std::chrono::milliseconds>(Steady::now() - begin).count();
    if (timeout_ms >= 0 && waited >= timeout_ms) return false;
    const std::int64_t left = timeout_ms < 0 ? INT_MAX : timeout_ms - waited;
    pollfd fd{descriptor_, POLLIN, 0};
    // Without a descriptor to wait for, it is looked at each 10 ms.
    (void)::poll(&fd, descriptor_ >= 0 ? 1 : 0,
                 static_cast<int>(std::min<std::int64_t>(left, descriptor_ >= 0 ? INT_MAX : 10)));
  }
}

std::optional<ExitStatus> ChildProcess::ended() {
  if (exit_ || pid_ <= 0 || !wait(0)) return exit_;
  if (leads_group_) ::kill(-pid_, SIGKILL);  // what it left behind
  int status = 0;
  rusage usage{};
  pid_t reaped = 0;
  do reaped = ::wait4(pid_, &status, 0, &usage);
  while (reaped < 0 && errno == EINTR);
  exit_ = ExitStatus{};
  exit_->peak_bytes = usage.ru_maxrss * 1024;
  if (reaped != pid_) {
    exit_->code = 127;  // somebody else took it: nobody knows how it ended
  } else if (WIFSIGNALED(status)) {
    exit_->signal = WTERMSIG(status);
  } else {
    exit_->code = WEXITSTATUS(status);
  }
  return exit_;
}

void ChildProcess::signal(int number) const {
  if (pid_ > 0 && !exit_) ::kill(leads_group_ ? -pid_ : pid_, number);
}

ExitStatus ChildProcess::stop(int number, std::int64_t grace_ms) {
  signal(number);
  if (!wait(grace_ms)) kill();
  (void)wait();
  return ended().value_or(ExitStatus{});
}

Result<FinishedProcess> run_process(ProcessOptions options, const ProcessCapture& capture) {
  const auto begin = std::chrono::steady_clock::now();
  HEDDLE_CHECK(!options.argv.empty(), "a process without a program");
  Descriptor in;
  if (capture.input.empty()) {
    HEDDLE_ASSIGN_OR_RETURN(in, open_stream(options, options.in));
  } else {
    in = file_of(capture.input);
    if (in.get() < 0) return cannot(options, "its input", errno);
  }
  Pipe pipes[2];
  Descriptor files[2];
  const StandardStream* streams[2] = {&options.out, &options.err};
  for (int i = 0; i < 2; ++i) {
    if (streams[i]->kind == StandardStream::Kind::kCapture) {
      if (!pipes[i].open()) return cannot(options, "", errno);
      files[i] = std::move(pipes[i].write);
    } else {
      HEDDLE_ASSIGN_OR_RETURN(files[i], open_stream(options, *streams[i]));
    }
  }
  const bool shared = options.err.kind == StandardStream::Kind::kOutput;
  const int error = !shared ? files[1].get() : files[0].get() >= 0 ? files[0].get() : STDOUT_FILENO;
  HEDDLE_ASSIGN_OR_RETURN(const pid_t pid, launch(options, {in.get(), files[0].get(), error}));
  ChildProcess child = ChildProcess::adopt(pid, options.leads_group);
  in.reset();
  for (Descriptor& file : files) file.reset();

  Captured out(std::move(pipes[0].read), capture.most_bytes);
  Captured err(std::move(pipes[1].read), capture.most_bytes);
  read_to_end(out, err, capture.on_error_line);
  (void)child.wait();
  FinishedProcess finished;
  finished.exit = *child.ended();
  finished.is_cut = out.is_cut() || err.is_cut();
  finished.out = out.take();
  finished.err = err.take();
  finished.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return finished;
}

}  // namespace heddle
