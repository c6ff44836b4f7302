#include "adapters/jobs/processes.hpp"

#include <chrono>
#include <condition_variable>
#include <future>
#include <map>
#include <mutex>
#include <thread>

#include "base/process.hpp"

namespace heddle::adapters {
namespace {

using SteadyClock = std::chrono::steady_clock;

/// Every job has one thread that started it and waits for it: PR_SET_PDEATHSIG is about the thread
/// that forked, so that thread must live as long as its child.
class ProcessRunner final : public jobs::Runner {
 public:
  ~ProcessRunner() override {
    std::unique_lock lock(mutex_);
    for (auto& [handle, job] : jobs_) {
      if (!job->finished) job->child->kill();
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
    if (found != jobs_.end() && !found->second->finished) found->second->child->kill();
  }

 private:
  struct Running {
    std::optional<ChildProcess> child{};
    bool finished = false;
    jobs::Outcome outcome{};
    std::thread thread{};
  };

  static Error unknown(std::int64_t handle) {
    return Error{ErrorKind::kNotFound, "job-unknown", fmt::format("there is no job {}", handle),
                 "a job is waited for once"};
  }

  void body(const jobs::Job& job, Running& running, std::promise<Result<void>>& started) {
    ProcessOptions options;
    options.argv = job.argv;
    options.directory = job.directory;
    options.in = StandardStream::null();
    if (!job.output_path.empty()) {
      options.out = StandardStream::write(job.output_path);
      options.err = StandardStream::output();
    }
    options.leads_group = true;
    const auto begin = SteadyClock::now();
    auto child = ChildProcess::start(options);
    if (!child.ok()) {
      Error error = child.error();
      error.id = "job-start";
      error.message = fmt::format("job `{}`: {}", job.name, error.message);
      started.set_value(std::move(error));
      return;
    }
    {
      const std::lock_guard lock(mutex_);
      running.child.emplace(std::move(*child));
    }
    started.set_value({});  // `started` may be gone after this
    const bool timed_out = !running.child->wait(job.timeout_ms > 0 ? job.timeout_ms : -1);
    if (timed_out) {
      running.child->kill();
      (void)running.child->wait();
    }
    const std::lock_guard lock(mutex_);  // nobody kills by its id while that is given back
    const ExitStatus exit = *running.child->ended();
    running.outcome.exit_code = exit.status();
    running.outcome.timed_out = timed_out;
    running.outcome.seconds = std::chrono::duration<double>(SteadyClock::now() - begin).count();
    running.outcome.peak_bytes = exit.peak_bytes;
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
