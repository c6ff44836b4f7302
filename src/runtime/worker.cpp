#include "runtime/worker.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.hpp"
#include "base/digest.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "runtime/client.hpp"
#include "runtime/process.hpp"
#include "runtime/spec.hpp"
#include "runtime/tar.hpp"

namespace heddle::runtime {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kGraceMs = 3000;
constexpr std::int64_t kProbeEveryMs = 20;
constexpr std::int64_t kProbeMs = 1000;
constexpr std::int64_t kFirstDelayMs = 100, kLongestDelayMs = 10'000;
constexpr std::int64_t kStableMs = 60'000;
constexpr int kMostEnds = 8;
constexpr std::size_t kMostLine = 500;
constexpr int kMostLinesASecond = 50;

/// A worker's output as lines of the log: cut, printable, bounded a second. Keeps the last ones,
/// for the message of an early end.
class Output {
 public:
  void read(int fd) {
    char buffer[4096];
    while (true) {
      const ssize_t n = ::read(fd, buffer, sizeof buffer);
      if (n <= 0) return;
      for (ssize_t i = 0; i < n; ++i) take(buffer[i]);
    }
  }
  void flush() {
    if (!line_.empty()) end_line();
  }
  [[nodiscard]] std::string last_words() const {
    return words_.empty() ? "it said nothing" : words_;
  }

 private:
  void take(char c) {
    if (c == '\n') return end_line();
    if (line_.size() < kMostLine) line_ += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  void end_line() {
    const std::int64_t second = system_clock().mono_ns() / 1'000'000'000;
    if (second != second_) {
      if (dropped_ > 0) log::warn("worker: {} lines of output were dropped", dropped_);
      second_ = second;
      lines_ = dropped_ = 0;
    }
    if (!line_.empty()) words_ = line_;
    if (lines_++ < kMostLinesASecond)
      log::info("worker: {}", line_);
    else
      ++dropped_;
    line_.clear();
  }

  std::string line_, words_;
  std::int64_t second_ = 0;
  int lines_ = 0, dropped_ = 0;
};

/// `PREFIX-PID-N` folders of processes that are gone.
void sweep(const std::string& directory) {
  for (const std::string& name : list_dir(directory)) {
    const std::size_t last = name.rfind('-');
    const std::size_t before =
        last == std::string::npos || last == 0 ? last : name.rfind('-', last - 1);
    if (before == std::string::npos) continue;
    int pid = 0;
    const auto parsed = std::from_chars(name.data() + before + 1, name.data() + last, pid);
    if (parsed.ptr != name.data() + last || pid <= 0 || ::kill(pid, 0) == 0 || errno != ESRCH)
      continue;
    std::error_code ignored;
    fs::remove_all(directory + "/" + name, ignored);
  }
}

/// Folders that a program needs for itself: of `/opt/env/bin/python` all of `/opt/env`, of each
/// link on the way to it too.
std::vector<std::string> homes_of(std::string program, const std::string& hidden) {
  std::vector<std::string> homes;
  for (int links = 0; links < 16; ++links) {
    const fs::path folder = fs::path(program).parent_path();
    const fs::path home =
        folder.filename() == "bin" || folder.filename() == "shims" ? folder.parent_path() : folder;
    // Never a folder that holds what is hidden, and never everything.
    const bool too_wide = home == home.root_path() ||
                          (!hidden.empty() && (hidden + "/").starts_with(home.string() + "/"));
    homes.push_back(too_wide ? folder.string() : home.string());
    std::error_code error;
    const fs::path target = fs::read_symlink(program, error);
    if (error) break;
    program = (target.is_absolute() ? target : folder / target).lexically_normal().string();
  }
  return homes;
}

class Supervised final : public Worker {
 public:
  explicit Supervised(const Options& options) : options_(options) { options_.files = {}; }
  ~Supervised() override {
    stop();
    std::error_code ignored;
    if (!instance_.empty()) fs::remove_all(instance_, ignored);
  }

  Result<void> open(std::string_view files);
  const std::string& socket() const noexcept override { return socket_; }
  bool ready() const noexcept override { return ready_.load(std::memory_order_relaxed); }
  std::uint64_t restarts() const noexcept override {
    return restarts_.load(std::memory_order_relaxed);
  }

 private:
  Result<void> prepare(std::string_view files);
  void stop();
  void supervise();
  /// Until the child ended or we are to stop; true when it had been ready.
  bool watch(Process& process, std::string& how);
  void probe();
  void settle(Result<void> started);
  [[nodiscard]] bool sleep_unless_stopped(std::int64_t ms) const;

  Options options_;
  std::string instance_, socket_;
  std::unique_ptr<Sandbox> sandbox_;
  ProcessOptions process_;
  int wake_ = -1;
  std::atomic<bool> ready_{false}, ending_{false};
  std::atomic<std::uint64_t> restarts_{0};
  Output output_;
  std::mutex mutex_;
  std::condition_variable settled_;
  bool is_settled_ = false;
  Result<void> started_{};
  std::thread thread_;
};

Result<void> Supervised::prepare(std::string_view files) {
  static std::atomic<int> count{0};
  std::error_code error;
  if (!options_.hidden.empty()) options_.hidden = fs::canonical(options_.hidden, error).string();
  if (options_.directory.empty()) {
    // A name that nobody can have taken before in a folder that others write to as well.
    std::string made = (fs::temp_directory_path(error) / "heddle-runtime-XXXXXX").string();
    if (::mkdtemp(made.data()) == nullptr)
      return Error{ErrorKind::kIo, "runtime-unpack", fmt::format("cannot make `{}`", made),
                   "check the temporary folder"};
    instance_ = fs::canonical(made, error).string();
  } else {
    HEDDLE_TRY(make_dirs(options_.directory));
    const std::string directory = fs::canonical(options_.directory, error).string();
    sweep(directory);
    instance_ =
        fmt::format("{}/{}-{}-{}", directory, sha256(files).short_str(), ::getpid(), ++count);
    HEDDLE_TRY(make_dirs(instance_));
  }
  const std::string folder = instance_ + "/files";
  const std::string run = instance_ + "/run";
  HEDDLE_TRY(unpack(files, folder));
  HEDDLE_TRY(make_dirs(run));
  socket_ = run + "/worker.sock";
  for (const std::string& word : options_.command) {
    HEDDLE_ASSIGN_OR_RETURN(auto resolved, resolve(word));
    process_.arguments.push_back(std::move(resolved));
  }
  HEDDLE_ASSIGN_OR_RETURN(process_.program, find_program(process_.arguments[0], folder));
  const char* path = std::getenv("PATH");
  process_.environment = {
      fmt::format("PATH={}", path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path),
      "HOME=" + run,
      "TMPDIR=" + run,
      "LANG=C.UTF-8",
      "HEDDLE_WORKER_SOCKET=" + socket_,
      "HEDDLE_WORKER_MODEL=" + options_.model};
  process_.directory = folder;
  process_.memory_bytes = options_.memory_bytes;
  Sandbox::Options sandbox{.readable = homes_of(process_.program, options_.hidden),
                           .run = run,
                           .instance = instance_,
                           .hidden = options_.hidden};
  sandbox.readable.push_back(folder);
  sandbox_ = std::make_unique<Sandbox>(std::move(sandbox));
  return {};
}

Result<void> Supervised::open(std::string_view files) {
  HEDDLE_TRY(prepare(files));
  wake_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  thread_ = std::thread([this] { supervise(); });
  std::unique_lock lock(mutex_);
  settled_.wait(lock, [this] { return is_settled_; });
  return started_;
}

void Supervised::stop() {
  ending_ = true;
  const std::uint64_t one = 1;
  if (wake_ >= 0) (void)!::write(wake_, &one, sizeof one);
  if (thread_.joinable()) thread_.join();
  if (wake_ >= 0) ::close(wake_);
  wake_ = -1;
}

/// The first start's outcome; later ones say nothing to anybody who waits.
void Supervised::settle(Result<void> started) {
  {
    const std::lock_guard lock(mutex_);
    if (is_settled_) return;
    is_settled_ = true;
    started_ = std::move(started);
    options_.ending = nullptr;  // it is about the start alone, and may be gone after it
  }
  settled_.notify_all();
}

bool Supervised::sleep_unless_stopped(std::int64_t ms) const {
  pollfd fd{wake_, POLLIN, 0};
  ::poll(&fd, 1, static_cast<int>(ms));
  return !ending_;
}

void Supervised::probe() {
  auto client =
      Client::open({.unix_path = socket_, .model = options_.model}, Runtime::Kind::kProcess);
  if (!client.ok() || !client->probe(kProbeMs).ok()) return;
  ready_ = true;
  settle({});
}

bool Supervised::watch(Process& process, std::string& how) {
  const std::int64_t begin = system_clock().mono_ns();
  while (!ending_) {
    pollfd fds[3] = {{wake_, POLLIN, 0}, {process.output, POLLIN, 0}, {process.pid_fd, POLLIN, 0}};
    ::poll(fds, 3, static_cast<int>(ready_ && process.pid_fd >= 0 ? 60'000 : kProbeEveryMs));
    output_.read(process.output);
    // Output that ended is no reason to wake up for ever: a worker may close it.
    if ((fds[1].revents & POLLHUP) != 0 && (fds[1].revents & POLLIN) == 0) {
      ::close(process.output);
      process.output = -1;
    }
    const bool was_ready = ready_;
    if (auto ended = reap(process); ended.has_value()) {
      ready_ = false;
      output_.flush();
      how = *ended;
      return was_ready;
    }
    if (ready_) continue;
    if (options_.ending != nullptr && *options_.ending) {
      end(process, 0);
      settle(Error{ErrorKind::kCancelled, "runtime-closed", "the start was given up"});
      return false;
    }
    probe();
    if (ready_) {
      log::info("worker: ready after {} ms", (system_clock().mono_ns() - begin) / kMs);
    } else if (system_clock().mono_ns() - begin > options_.start_timeout_ms * kMs) {
      end(process, kGraceMs);
      how = fmt::format("not ready after {} ms", options_.start_timeout_ms);
      settle(Error{ErrorKind::kTimeout, "runtime-start",
                   fmt::format("the worker was not ready after {} ms: {}",
                               options_.start_timeout_ms, output_.last_words()),
                   "see its lines in the log, or raise `start_timeout_ms`"});
      return false;
    }
  }
  ready_ = false;
  end(process, kGraceMs);
  return true;
}

void Supervised::supervise() {
  int ends = 0;
  std::int64_t delay = kFirstDelayMs;
  bool said = false;
  while (!ending_) {
    ::unlink(socket_.c_str());
    const std::int64_t begin = system_clock().mono_ns();
    auto process = spawn(process_, *sandbox_);
    std::string how;
    if (process.ok()) {
      const Sandbox::Entered& in = process->entered;
      if (!said && !(in.network && in.files && (in.hidden || options_.hidden.empty()))) {
        log::warn(
            "worker: this kernel or user does not allow all of the sandbox: network namespace {}, "
            "hidden state folder {}, Landlock {}",
            in.network ? "yes" : "no", in.hidden ? "yes" : "no",
            in.files ? fmt::format("version {}", in.landlock_abi) : "no");
      }
      said = true;
      (void)watch(*process, how);
    } else {
      how = process.error().message;
    }
    if (ending_) return;
    settle(Error{
        ErrorKind::kUnavailable, "runtime-exited",
        fmt::format("the worker ended before it was ready ({}): {}", how, output_.last_words()),
        "see its lines in the log"});
    if (!started_.ok()) return;
    if (system_clock().mono_ns() - begin > kStableMs * kMs) ends = 0, delay = kFirstDelayMs;
    if (++ends >= kMostEnds) {
      log::error(
          "worker: ended {} times in a row ({}); it stays down until its bundle is loaded again",
          ends, how);
      return;
    }
    log::error("worker: ended ({}), is started again in {} ms", how, delay);
    if (!sleep_unless_stopped(delay)) return;
    delay = std::min(2 * delay, kLongestDelayMs);
    restarts_.fetch_add(1, std::memory_order_relaxed);
  }
}

}  // namespace

Result<std::unique_ptr<Worker>> Worker::start(const Options& options) {
  auto worker = std::make_unique<Supervised>(options);
  HEDDLE_TRY(worker->open(options.files));
  return std::unique_ptr<Worker>(std::move(worker));
}

}  // namespace heddle::runtime
