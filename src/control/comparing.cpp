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

Result<std::optional<doc::Value>> Comparing::result(const Digest& base, const Digest& candidate) {
  const auto now = Clock::now();
  const bool same = job_ && base_ == base && candidate_ == candidate;
  const bool waited_for = job_ && now - asked_ < kAskedFor;
  // Somebody else's comes first; one that was left alone is of a while ago and starts anew.
  if (!same && waited_for) return std::optional<doc::Value>();
  if (!waited_for) {
    job_.reset();
    HEDDLE_TRY(start(base, candidate));
  }
  asked_ = now;
  const auto ended = job_->has_ended();
  if (ended.ok() && !*ended) return std::optional<doc::Value>();
  auto compared = ended.ok() ? read_result() : Result<doc::Value>(ended.error());
  job_.reset();
  HEDDLE_TRY(compared);
  return std::optional(*std::move(compared));
}

Result<void> Comparing::start(const Digest& base, const Digest& candidate) {
  HEDDLE_ASSIGN_OR_RETURN(
      job_,
      WorkJob::begin(
          parts_,
          {"compare", "compare-" + parts_.service,
           doc::to_json(ComparisonRequest::schema().print({parts_.service, base, candidate})),
           parts_.home->comparison(parts_.service), kTimeout}));
  base_ = base;
  candidate_ = candidate;
  return {};
}

/// A comparison that ended without a result never stands in the way of a release: that it failed is
/// what it says.
Result<doc::Value> Comparing::read_result() {
  HEDDLE_ASSIGN_OR_RETURN(const auto end, job_->take());
  if (end.result) return doc::parse_json(*end.result);
  const std::string log = parts_.home->comparison(parts_.service) + "/log";
  HEDDLE_TRY(write_file_atomic(log, end.log));
  return not_compared(base_, candidate_,
                      fmt::format("the comparison ended with exit code {}{}; its log is `{}`",
                                  end.exit_code, end.timed_out ? " after its time was over" : "",
                                  log));
}

doc::Value Comparing::progress() const {
  const auto text = job_ ? job_->peek(kWorkProgress)
                         : Result<std::string>(Error{ErrorKind::kNotFound, "work-output", ""});
  const auto value = text.ok() ? doc::parse_json(*text) : Result<doc::Value>(text.error());
  return value.ok() ? *value : doc::Value::object({{"read", 0}, {"of", 0}, {"rows", 0}});
}

}  // namespace heddle::control
