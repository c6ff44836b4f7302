#include "adapters/jobs/processes.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "adapters/jobs/job_folder.hpp"
#include "base/process.hpp"

namespace heddle::adapters {
namespace {

using SteadyClock = std::chrono::steady_clock;

/// Every job has one thread that started it and waits for it: PR_SET_PDEATHSIG is about the thread
/// that forked, so that thread must live as long as its child.
class ProcessRunner final : public jobs::Runner {
 public:
  explicit ProcessRunner(ProcessRunnerOptions options) : options_(std::move(options)) {}
  ~ProcessRunner() override {
    std::unique_lock lock(mutex_);
    for (auto& [handle, job] : jobs_) {
      if (!job->finished) job->child->kill();
    }
    // Without the lock, which each thread takes at its end.
    auto jobs = std::move(jobs_);
    lock.unlock();
    for (auto& [handle, job] : jobs) {
      if (job->thread.joinable()) job->thread.join();
    }
  }

  Result<std::int64_t> start(const jobs::Job& job, store::Objects& objects) override {
    HEDDLE_TRY(jobs::check(job));
    HEDDLE_ASSIGN_OR_RETURN(const auto root, root_of_jobs());
    HEDDLE_ASSIGN_OR_RETURN(auto folder, JobFolder::make(root, job, objects));
    HEDDLE_ASSIGN_OR_RETURN(const auto program, program_of(job, folder, objects));
    auto running = std::make_shared<Running>(Running{job, std::move(folder), &objects});
    std::promise<Result<void>> started;
    auto ready = started.get_future();
    running->thread =
        std::thread([this, program, running, &started] { body(program, *running, started); });
    if (auto result = ready.get(); !result.ok()) {
      // It has ended, for nothing was started.
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
    // Two may have waited: the second one finds nothing.
    if (jobs_.erase(handle) == 0) return unknown(handle);
    lock.unlock();
    job->thread.join();
    // Without the lock: outputs may be large.
    HEDDLE_ASSIGN_OR_RETURN(job->outcome.outputs, job->folder.take(job->job, *job->objects));
    return std::move(job->outcome);
  }

  Result<bool> finished(std::int64_t handle) override {
    const std::lock_guard lock(mutex_);
    const auto found = jobs_.find(handle);
    if (found == jobs_.end()) return unknown(handle);
    return found->second->finished;
  }

  Result<std::string> peek(std::int64_t handle, std::string_view output) override {
    std::shared_ptr<Running> job;
    {
      const std::lock_guard lock(mutex_);
      const auto found = jobs_.find(handle);
      if (found == jobs_.end()) return unknown(handle);
      job = found->second;
    }
    return job->folder.peek(output);
  }

  void stop(std::int64_t handle) override {
    const std::lock_guard lock(mutex_);
    const auto found = jobs_.find(handle);
    if (found != jobs_.end() && !found->second->finished) found->second->child->kill();
  }

 private:
  struct Running {
    jobs::Job job;
    JobFolder folder;
    store::Objects* objects = nullptr;
    std::optional<ChildProcess> child{};
    bool finished = false;
    jobs::Outcome outcome{};
    std::thread thread{};
  };

  static Error unknown(std::int64_t handle) {
    return Error{ErrorKind::kNotFound, "job-unknown", fmt::format("there is no job {}", handle),
                 "a job is waited for once"};
  }

  /// Made when the first job comes: most commands have none.
  Result<std::string> root_of_jobs() {
    const std::lock_guard lock(mutex_);
    if (!root_) {
      HEDDLE_ASSIGN_OR_RETURN(auto root, JobRoot::make(options_.state + "/jobs"));
      root_.emplace(std::move(root));
    }
    return root_->path();
  }

  /// The path of what the job runs.
  Result<std::string> program_of(const jobs::Job& job, JobFolder& folder, store::Objects& objects) {
    // By its bytes: the same name may be another version.
    for (const std::string& path : options_.programs) {
      const auto digest = jobs::program_digest(path);
      if (digest.ok() && *digest == job.program) return path;
    }
    if (objects.has(job.program)) return folder.place_program(job.program, objects);
    return Error{ErrorKind::kUnavailable, "job-program",
                 fmt::format("job `{}`: this machine does not have the program {}", job.name,
                             job.program.short_str()),
                 "the job is of another version of the program: install the same one on each "
                 "machine, or start again what asked for the job"};
  }

  void body(const std::string& program, Running& running, std::promise<Result<void>>& started) {
    ProcessOptions options;
    options.argv.push_back(program);
    options.argv.insert(options.argv.end(), running.job.arguments.begin(),
                        running.job.arguments.end());
    options.directory = running.folder.path();
    options.environment.emplace_back(jobs::kStateVariable, options_.state);
    options.in = StandardStream::null();
    options.out = StandardStream::write(running.folder.log());
    options.err = StandardStream::output();
    options.leads_group = true;
    const auto begin = SteadyClock::now();
    auto child = ChildProcess::start(options);
    if (!child.ok()) {
      Error error = child.error();
      error.id = "job-start";
      error.message = fmt::format("job `{}`: {}", running.job.name, error.message);
      started.set_value(std::move(error));
      return;
    }
    const std::int64_t timeout_ms = running.job.timeout_ms > 0 ? running.job.timeout_ms : -1;
    {
      const std::lock_guard lock(mutex_);
      running.child.emplace(std::move(*child));
    }
    started.set_value({});  // `started` may be gone after this
    const bool timed_out = !running.child->wait(timeout_ms);
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

  ProcessRunnerOptions options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<JobRoot> root_{};
  std::map<std::int64_t, std::shared_ptr<Running>> jobs_;
  std::int64_t next_ = 1;
};

}  // namespace

std::unique_ptr<jobs::Runner> make_process_runner(ProcessRunnerOptions options) {
  // Jobs have other working folders than this process.
  const auto make_absolute = [](std::string& path) {
    path = std::filesystem::absolute(path).string();
  };
  make_absolute(options.state);
  std::for_each(options.programs.begin(), options.programs.end(), make_absolute);
  return std::make_unique<ProcessRunner>(std::move(options));
}

}  // namespace heddle::adapters
