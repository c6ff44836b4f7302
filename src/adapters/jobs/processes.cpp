#include "adapters/jobs/processes.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <future>
#include <mutex>
#include <thread>

namespace heddle::adapters {
namespace {

using SteadyClock = std::chrono::steady_clock;

/// What the child reports through the pipe when it cannot become the program.
struct StartFailure {
  int step = 0;  ///< 1 chdir, 2 output, 3 exec
  int code = 0;
};

/// In the child, between fork and exec: async-signal-safe calls only.
[[noreturn]] void become(char* const* argv, const char* directory, const char* output, int report,
                         pid_t parent) {
  StartFailure failure;
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);  // it died before the signal was asked for
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  const int null = open("/dev/null", O_RDWR);
  dup2(null, 0);
  if (*directory != '\0' && chdir(directory) != 0) {
    failure = {1, errno};
  } else {
    int out = -1;
    if (*output != '\0') out = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (*output != '\0' && out < 0) {
      failure = {2, errno};
    } else {
      if (out >= 0) dup2(out, 1), dup2(out, 2);
      execv(argv[0], argv);
      failure = {3, errno};
    }
  }
  [[maybe_unused]] const auto written = write(report, &failure, sizeof failure);
  _exit(127);
}

/// Every job has one thread that started it and waits for it: PR_SET_PDEATHSIG is about the thread
/// that forked, so that thread must live as long as its child.
class ProcessRunner final : public jobs::Runner {
 public:
  ~ProcessRunner() override {
    std::unique_lock lock(mutex_);
    for (auto& [handle, job] : jobs_) {
      if (!job->finished) kill(-job->pid, SIGKILL);
    }
    auto jobs = std::move(jobs_);
    lock.unlock();
    for (auto& [handle, job] : jobs) {
      if (job->thread.joinable()) job->thread.join();
    }
  }

  Result<std::int64_t> start(const jobs::Job& job) override {
    if (job.argv.empty())
      return Error{ErrorKind::kInvalid, "job-empty",
                   fmt::format("job `{}` has no program", job.name)};
    auto running = std::make_shared<Running>();
    std::promise<Result<void>> started;
    auto ready = started.get_future();
    running->thread = std::thread([this, job, running, &started] { body(job, *running, started); });
    if (auto result = ready.get(); !result.ok()) {
      running->thread.join();
      return result.error();
    }
    const std::lock_guard lock(mutex_);
    const std::int64_t handle = next_++;
    jobs_.emplace(handle, std::move(running));
    return handle;
  }

  Result<jobs::Outcome> wait(std::int64_t handle) override {
    std::unique_lock lock(mutex_);
    const auto found = jobs_.find(handle);
    if (found == jobs_.end()) return unknown(handle);
    const auto job = found->second;
    changed_.wait(lock, [&] { return job->finished; });
    jobs_.erase(handle);
    const bool joins = job->thread.joinable();
    std::thread thread = joins ? std::move(job->thread) : std::thread();
    lock.unlock();
    if (thread.joinable()) thread.join();
    return job->outcome;
  }

  Result<bool> finished(std::int64_t handle) override {
    const std::lock_guard lock(mutex_);
    const auto found = jobs_.find(handle);
    if (found == jobs_.end()) return unknown(handle);
    return found->second->finished;
  }

  void stop(std::int64_t handle) override {
    const std::lock_guard lock(mutex_);
    const auto found = jobs_.find(handle);
    if (found != jobs_.end() && !found->second->finished) kill(-found->second->pid, SIGKILL);
  }

 private:
  struct Running {
    pid_t pid = 0;
    bool finished = false;
    jobs::Outcome outcome{};
    std::thread thread{};
  };

  static Error unknown(std::int64_t handle) {
    return Error{ErrorKind::kNotFound, "job-unknown", fmt::format("there is no job {}", handle),
                 "a job is waited for once"};
  }

  void body(const jobs::Job& job, Running& running, std::promise<Result<void>>& started) {
    std::vector<char*> argv;
    for (const auto& word : job.argv) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC) != 0) {
      started.set_value(
          Error{ErrorKind::kUnavailable, "job-start",
                fmt::format("cannot start job `{}`: {}", job.name, std::strerror(errno))});
      return;
    }
    const auto begin = SteadyClock::now();
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid == 0)
      become(argv.data(), job.directory.c_str(), job.output_path.c_str(), pipe_fds[1], parent);
    const int fork_errno = errno;
    close(pipe_fds[1]);
    StartFailure failure;
    const bool failed = pid > 0 && read(pipe_fds[0], &failure, sizeof failure) == sizeof failure;
    close(pipe_fds[0]);
    if (pid < 0 || failed) {
      if (failed) waitpid(pid, nullptr, 0);
      const char* what = failure.step == 1   ? "its folder"
                         : failure.step == 2 ? "its output file"
                                             : job.argv[0].c_str();
      started.set_value(
          Error{ErrorKind::kUnavailable, "job-start",
                fmt::format("cannot start job `{}`: {}: {}", job.name, pid < 0 ? "fork" : what,
                            std::strerror(pid < 0 ? fork_errno : failure.code)),
                "check that the program is there and may be run"});
      return;
    }
    {
      const std::lock_guard lock(mutex_);
      running.pid = pid;
    }
    started.set_value({});  // `started` may be gone after this
    wait_for(job, pid, begin, running);
  }

  void wait_for(const jobs::Job& job, pid_t pid, SteadyClock::time_point begin, Running& running) {
    std::thread watchdog;
    std::mutex guard;
    std::condition_variable over;
    bool ended = false;
    bool timed_out = false;
    if (job.timeout_ms > 0) {
      watchdog = std::thread([&] {
        std::unique_lock lock(guard);
        if (!over.wait_for(lock, std::chrono::milliseconds(job.timeout_ms),
                           [&] { return ended; })) {
          timed_out = true;
          kill(-pid, SIGKILL);
        }
      });
    }
    // WNOWAIT first: the process stays a zombie, and its id its own, until nobody can kill by that
    // id any more.
    siginfo_t info{};
    while (waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
    }
    if (watchdog.joinable()) {
      {
        const std::lock_guard lock(guard);
        ended = true;
      }
      over.notify_one();
      watchdog.join();
    }
    const std::lock_guard lock(mutex_);
    kill(-pid, SIGKILL);  // what it left behind in its group
    int status = 0;
    rusage usage{};
    while (wait4(pid, &status, 0, &usage) < 0 && errno == EINTR) {
    }
    running.outcome.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    running.outcome.timed_out = timed_out;
    running.outcome.seconds = std::chrono::duration<double>(SteadyClock::now() - begin).count();
    running.outcome.peak_bytes = usage.ru_maxrss * 1024;
    running.finished = true;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::int64_t, std::shared_ptr<Running>> jobs_;
  std::int64_t next_ = 1;
};

}  // namespace

std::unique_ptr<jobs::Runner> make_process_runner() { return std::make_unique<ProcessRunner>(); }

}  // namespace heddle::adapters
