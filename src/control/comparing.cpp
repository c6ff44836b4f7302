#include "control/comparing.hpp"

#include <fmt/format.h>

#include "base/file.hpp"
#include "control/compare.hpp"
#include "doc/json.hpp"

namespace heddle::control {
namespace {

constexpr auto kAskedFor = std::chrono::seconds(30);  ///< without a question: who asked has gone
constexpr std::int64_t kTimeout = 10 * 60 * 1000;

}  // namespace

Result<std::optional<Comparison>> Comparing::result(const Digest& base, const Digest& candidate) {
  const auto now = Clock::now();
  const bool same = job_ && base_ == base && candidate_ == candidate;
  const bool waited_for = job_ && now - asked_ < kAskedFor;
  // Somebody else's comes first; one that was left alone is of a while ago and starts anew.
  if (!same && waited_for) return std::optional<Comparison>();
  if (!waited_for) {
    job_.reset();
    HEDDLE_TRY(start(base, candidate));
  }
  asked_ = now;
  // An error here is one of the job itself: it is dropped, and the next question starts it anew.
  const auto ended = job_->has_ended();
  if (ended.ok() && !*ended) return std::optional<Comparison>();
  auto compared = ended.ok() ? read_result() : Result<Comparison>(ended.error());
  // Whatever came of it: a result is handed out once, and a failed job must not answer for ever.
  job_.reset();
  HEDDLE_TRY(compared);
  return std::optional(*std::move(compared));
}

Result<void> Comparing::start(const Digest& base, const Digest& candidate) {
  HEDDLE_ASSIGN_OR_RETURN(
      job_, WorkJob::begin(
                parts_,
                {"compare", "compare-" + parts_.service,
                 doc::to_json(ComparisonRequest::schema().print({parts_.service, base, candidate})),
                 parts_.home->comparison(parts_.service), kTimeout}));
  base_ = base;
  candidate_ = candidate;
  return {};
}

/// A comparison that ended without a result, or with one that cannot be read, never stands in the
/// way of a release: that is what it says.
Result<Comparison> Comparing::read_result() {
  HEDDLE_ASSIGN_OR_RETURN(const auto end, job_->take());
  if (end.result) {
    auto compared = comparison_schema().parse_text(*end.result);
    return compared.ok() ? *std::move(compared)
                         : not_compared(base_, candidate_, compared.error().message);
  }
  const std::string log = parts_.home->comparison(parts_.service) + "/log";
  HEDDLE_TRY(write_file_atomic(log, end.log));
  return not_compared(
      base_, candidate_,
      fmt::format("the comparison ended with exit code {}{}; its log is `{}`", end.exit_code,
                  end.timed_out ? " after its time was over" : "", log));
}

ComparisonProgress Comparing::progress() const {
  if (!job_) return {};
  // Before the first rows are read there is no such file: that is 0 of 0.
  const auto text = job_->peek(kWorkProgress);
  if (!text.ok()) return {};
  const auto value = comparison_progress_schema().parse_text(*text);
  return value.ok() ? *value : ComparisonProgress{};
}

}  // namespace heddle::control
