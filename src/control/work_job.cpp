#include "control/work_job.hpp"

#include <chrono>
#include <filesystem>

#include <fmt/format.h>

#include "base/failpoint.hpp"
#include "base/file.hpp"

namespace heddle::control {
namespace {

namespace fs = std::filesystem;

/// A journal that is hashed in less than the time of a tick is not worth a thread.
constexpr std::uint64_t kAtOnce = 4 << 20;

}  // namespace

Result<std::unique_ptr<WorkJob>> WorkJob::begin(const WorkParts& parts, Ask ask) {
  std::unique_ptr<WorkJob> job(new WorkJob(parts, std::move(ask)));
  HEDDLE_TRY(job->gather());
  return job;
}

WorkJob::~WorkJob() {
  // What was put off is not begun for that.
  if (gathered_.valid() &&
      gathered_.wait_for(std::chrono::seconds(0)) != std::future_status::deferred)
    gathered_.wait();
  if (handle_) {
    parts_.runner->stop(*handle_);
    (void)parts_.runner->wait(*handle_);
  }
  objects_.reset();
  std::error_code ignored;
  fs::remove_all(exchange(), ignored);
}

Result<void> WorkJob::gather() {
  HEDDLE_ASSIGN_OR_RETURN(const auto needs, needs_of(ask_.command, ask_.request));
  std::error_code ignored;
  fs::remove_all(exchange(), ignored);  // of one that a crash ended
  HEDDLE_TRY(make_dirs(exchange()));
  HEDDLE_ASSIGN_OR_RETURN(objects_, parts_.open_objects(exchange() + "/objects"));
  WorkInputs inputs(*objects_);
  HEDDLE_TRY(inputs.add(kWorkRequest, ask_.request));
  // Git is this thread's alone.
  if (parts_.git != nullptr && !needs.commit.empty())
    HEDDLE_TRY(inputs.add_definitions(*parts_.git, parts_.home->root(), needs.commit));
  const std::string spool = parts_.home->spool(parts_.service);
  const auto how =
      journal_bytes(spool, needs) > kAtOnce ? std::launch::async : std::launch::deferred;
  gathered_ = std::async(
      how,
      [from = parts_.objects, folder = exchange(), needs, spool](WorkInputs all) -> Result<Inputs> {
        for (const Digest& bundle : needs.bundles) HEDDLE_TRY(all.add_bundle(*from, bundle));
        HEDDLE_TRY(all.add_journal(spool, needs, folder));
        return std::move(all).take();
      },
      std::move(inputs));
  return {};
}

Result<void> WorkJob::start(Inputs inputs) {
  jobs::Job job;
  job.name = ask_.name;
  job.program = parts_.program;
  job.arguments = {"worker", ask_.command, "."};
  job.inputs = std::move(inputs);
  job.outputs = {kWorkResult, kWorkProgress, fmt::format("{}/", kWorkBlobs)};
  job.timeout_ms = ask_.timeout_ms;
  HEDDLE_ASSIGN_OR_RETURN(handle_, parts_.runner->start(job, *objects_));
  failpoint("control-" + ask_.command + "-started");
  return {};
}

Result<bool> WorkJob::has_ended() {
  if (gathered_.valid()) {
    // A deferred one is never ready by itself: `get` below does it.
    if (gathered_.wait_for(std::chrono::seconds(0)) == std::future_status::timeout) return false;
    HEDDLE_ASSIGN_OR_RETURN(auto inputs, gathered_.get());
    HEDDLE_TRY(start(std::move(inputs)));
  }
  return parts_.runner->finished(*handle_);
}

Result<WorkJob::End> WorkJob::take() {
  HEDDLE_ASSIGN_OR_RETURN(const auto outcome, parts_.runner->wait(*handle_));
  // Waited for once: the destructor must not stop it.
  handle_.reset();
  End end{outcome.exit_code, outcome.timed_out};
  const std::string blobs = fmt::format("{}/", kWorkBlobs);
  for (const auto& [path, digest] : outcome.outputs) {
    if (path == kWorkProgress) continue;
    HEDDLE_ASSIGN_OR_RETURN(auto bytes, objects_->get(digest));
    if (path.starts_with(blobs)) {
      // What it made goes to the project's objects, under the digest that it has there as well.
      HEDDLE_TRY(parts_.objects->put(bytes));
    } else if (path == kWorkResult) {
      end.result = std::move(bytes);
    } else {
      end.log = std::move(bytes);
    }
  }
  return end;
}

Result<std::string> WorkJob::peek(std::string_view output) {
  if (handle_) return parts_.runner->peek(*handle_, output);
  return Error{ErrorKind::kNotFound, "work-output", "it has not begun"};
}

}  // namespace heddle::control
