#include "control/comparing.hpp"

#include <filesystem>

#include <fmt/format.h>

#include "base/file.hpp"
#include "control/compare.hpp"
#include "control/work_files.hpp"
#include "doc/json.hpp"

namespace heddle::control {
namespace {

constexpr auto kAskedFor = std::chrono::seconds(30);  ///< without a question: who asked has gone
constexpr std::int64_t kTimeout = 10 * 60 * 1000;

}  // namespace

Result<std::optional<Comparison>> Comparing::result(const Digest& base, const Digest& candidate) {
  const auto now = Clock::now();
  const bool same = handle_ && base_ == base && candidate_ == candidate;
  const bool waited_for = handle_ && now - asked_ < kAskedFor;
  // Somebody else's comes first; one that was left alone is of a while ago and starts anew.
  if (!same && waited_for) return std::optional<Comparison>();
  if (!waited_for) {
    stop();
    HEDDLE_TRY(start(base, candidate));
  }
  asked_ = now;
  HEDDLE_ASSIGN_OR_RETURN(const bool finished, runner_->finished(*handle_));
  if (!finished) return std::optional<Comparison>();
  HEDDLE_ASSIGN_OR_RETURN(auto compared, read_result());
  return std::optional(std::move(compared));
}

Result<void> Comparing::start(const Digest& base, const Digest& candidate) {
  const std::string dir = home_.comparison(service_);
  std::error_code failed;
  std::filesystem::remove_all(dir, failed);
  HEDDLE_TRY(make_dirs(dir));
  HEDDLE_TRY(write_file_atomic(
      dir + "/request.json",
      doc::to_json(ComparisonRequest::schema().print({service_, base, candidate}))));
  jobs::Job job;
  job.name = "compare-" + service_;
  job.argv = {executable_, "--project", home_.root(), "worker", "compare", dir};
  job.output_path = dir + "/log";
  job.timeout_ms = kTimeout;
  HEDDLE_ASSIGN_OR_RETURN(handle_, runner_->start(job));
  base_ = base;
  candidate_ = candidate;
  return {};
}

/// A comparison that ended without a result, or with one that cannot be read, never stands in the
/// way of a release: that is what it says.
Result<Comparison> Comparing::read_result() {
  const std::string dir = home_.comparison(service_);
  HEDDLE_ASSIGN_OR_RETURN(const auto outcome, runner_->wait(*handle_));
  handle_.reset();
  const auto text = read_file(dir + "/result.json");
  if (text.ok()) {
    auto compared = comparison_schema().parse_text(*text);
    return compared.ok() ? *std::move(compared)
                         : not_compared(base_, candidate_, compared.error().message);
  }
  return not_compared(
      base_, candidate_,
      fmt::format("the comparison ended with exit code {}{}; its log is `{}/log`",
                  outcome.exit_code, outcome.timed_out ? " after its time was over" : "", dir));
}

ComparisonProgress Comparing::progress() const {
  const auto text = read_file(home_.comparison(service_) + "/progress.json");
  if (!text.ok()) return {};
  const auto value = comparison_progress_schema().parse_text(*text);
  return value.ok() ? *value : ComparisonProgress{};
}

void Comparing::stop() {
  if (!handle_) return;
  runner_->stop(*handle_);
  (void)runner_->wait(*handle_);
  handle_.reset();
}

}  // namespace heddle::control
