#include "runtime/worker.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "runtime/client.hpp"
#include "runtime/place.hpp"
#include "runtime/process.hpp"

namespace heddle::runtime {
namespace {

constexpr std::int64_t kGraceMs = 3000;
constexpr std::int64_t kProbeEveryMs = 20;
constexpr std::int64_t kProbeMs = 1000;
constexpr std::int64_t kFirstDelayMs = 100, kLongestDelayMs = 10'000;
constexpr std::int64_t kStableMs = 60'000;
constexpr int kMostEnds = 8;
constexpr std::size_t kMostLine = 500;
constexpr int kMostLinesASecond = 50;
constexpr const char* kSocket = "worker.sock";  // in the scratch folder

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

/// The worker's socket, which lies in a root folder that is not ours: a descriptor of ours that
/// stands for it, and can be connected to by a path that stays the same when the worker is started
/// again. No path that the worker could bend is followed.
class Door {
 public:
  Door()
      : closed_(::open("/dev/null", O_PATH | O_CLOEXEC)),
        fd_(::fcntl(closed_, F_DUPFD_CLOEXEC, 0)) {}
  ~Door() {
    ::close(closed_);
    ::close(fd_);
  }
  Door(const Door&) = delete;
  Door& operator=(const Door&) = delete;

  /// Nobody answers any more, at once.
  void shut() const { (void)::dup3(closed_, fd_, O_CLOEXEC); }
  /// True when there is a socket `name` in `folder`.
  [[nodiscard]] bool open(int folder, const char* name) const {
    const int found = ::openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (found < 0) return false;
    struct stat status{};
    const bool is_socket = ::fstat(found, &status) == 0 && S_ISSOCK(status.st_mode);
    if (is_socket) (void)::dup3(found, fd_, O_CLOEXEC);
    ::close(found);
    return is_socket;
  }
  [[nodiscard]] std::string path() const { return fmt::format("/proc/self/fd/{}", fd_); }

 private:
  int closed_, fd_;
};

class Supervised final : public Worker {
 public:
  explicit Supervised(const Options& options) : options_(options) { options_.files = {}; }
  ~Supervised() override { stop(); }

  Result<void> open(std::string_view files);
  const std::string& socket() const noexcept override { return socket_; }
  bool ready() const noexcept override { return ready_.load(std::memory_order_relaxed); }
  Layers layers() const override {
    const std::lock_guard lock(mutex_);
    return layers_;
  }
  std::uint64_t restarts() const noexcept override {
    return restarts_.load(std::memory_order_relaxed);
  }

 private:
  Result<void> prepare(std::string_view files);
  void stop();
  void supervise();
  /// Until the child ended or we are to stop; true when it had been ready.
  bool watch(Process& process, std::string& how);
  void probe(int scratch);
  [[nodiscard]] Result<void> admit(const Layers& layers);
  void settle(Result<void> started);
  [[nodiscard]] bool sleep_unless_stopped(std::int64_t ms) const;

  Options options_;
  Place place_;
  Door door_;
  std::string socket_ = door_.path();
  int wake_ = -1;
  std::atomic<bool> ready_{false}, ending_{false};
  std::atomic<std::uint64_t> restarts_{0};
  Output output_;
  mutable std::mutex mutex_;
  std::condition_variable settled_;
  bool is_settled_ = false;
  bool said_ = false;  ///< what is missing of the sandbox
  Layers layers_{};
  Result<void> started_{};
  std::thread thread_;
};

Result<void> Supervised::prepare(std::string_view files) {
  HEDDLE_ASSIGN_OR_RETURN(place_, Place::make({.command = options_.command,
                                               .files = files,
                                               .directory = options_.directory,
                                               .hidden = options_.hidden,
                                               .memory_bytes = options_.memory_bytes}));
  auto& environment = place_.launch().environment;
  environment.push_back(
      fmt::format("HEDDLE_WORKER_SOCKET={}/{}", place_.launch().scratch, kSocket));
  environment.push_back("HEDDLE_WORKER_MODEL=" + options_.model);
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

void Supervised::probe(int scratch) {
  if (!door_.open(scratch, kSocket)) return;
  auto client =
      Client::open({.unix_path = socket_, .model = options_.model}, Runtime::Kind::kProcess);
  if (!client.ok() || !client->probe(kProbeMs).ok()) return;
  ready_ = true;
  settle({});
}

bool Supervised::watch(Process& process, std::string& how) {
  const std::int64_t begin = system_clock().mono_ns();
  while (!ending_) {
    pollfd fds[3] = {{wake_, POLLIN, 0},
                     {process.output, POLLIN, 0},
                     {process.launcher.descriptor(), POLLIN, 0}};
    ::poll(fds, 3,
           static_cast<int>(ready_ && process.launcher.descriptor() >= 0 ? 60'000 : kProbeEveryMs));
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
    probe(process.scratch);
    if (ready_) {
      log::info("worker: ready after {} ms", (system_clock().mono_ns() - begin) / kNanosPerMs);
    } else if (system_clock().mono_ns() - begin > options_.start_timeout_ms * kNanosPerMs) {
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

/// Says what of the sandbox this machine does not give; an error where all of it is demanded.
Result<void> Supervised::admit(const Layers& layers) {
  {
    const std::lock_guard lock(mutex_);
    layers_ = layers;
  }
  if (layers.whole()) return {};
  if (options_.whole_sandbox) {
    return Error{
        ErrorKind::kUnavailable, "runtime-sandbox",
        fmt::format("the model demands the whole sandbox, and this machine lacks of it: {}",
                    missing_of(layers)),
        "see SECURITY.md for what each layer needs; or set `sandbox: available` in the "
        "model's runtime"};
  }
  if (!said_)
    log::warn("worker: this machine lacks of the sandbox: {}; in force: {}", missing_of(layers),
              text_of(layers));
  said_ = true;
  return {};
}

void Supervised::supervise() {
  int ends = 0;
  std::int64_t delay = kFirstDelayMs;
  while (!ending_) {
    // One of before, where the scratch folder is one of the machine.
    ::unlink(fmt::format("{}/{}", place_.launch().scratch, kSocket).c_str());
    const std::int64_t begin = system_clock().mono_ns();
    auto process = spawn(place_.launch());
    std::string how;
    if (process.ok()) {
      if (auto admitted = admit(process->layers); !admitted.ok()) {
        end(*process, 0);
        settle(admitted.error());
        if (!started_.ok()) return;
        how = admitted.error().message;
      } else {
        (void)watch(*process, how);
      }
      door_.shut();
    } else {
      how = process.error().message;
    }
    if (ending_) return;
    settle(Error{
        ErrorKind::kUnavailable, "runtime-exited",
        fmt::format("the worker ended before it was ready ({}): {}", how, output_.last_words()),
        "see its lines in the log"});
    if (!started_.ok()) return;
    if (system_clock().mono_ns() - begin > kStableMs * kNanosPerMs) ends = 0, delay = kFirstDelayMs;
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
