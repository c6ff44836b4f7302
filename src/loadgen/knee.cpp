#include "loadgen/knee.hpp"

#include <array>

#include <fmt/format.h>

namespace heddle::loadgen {
namespace {

// Finer where servers stop keeping up; the last one shows what too much does.
constexpr std::array<double, 11> kShares{0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0, 1.2};
constexpr int kMisses = 2;

}  // namespace

std::string why_not_held(const Outcome& outcome, std::int64_t p99_limit_ns) {
  if (outcome.failed() > 0) return fmt::format("{} failed", outcome.failed());
  if (static_cast<double>(outcome.served) < 0.99 * static_cast<double>(outcome.scheduled)) {
    return fmt::format("served {:.1f} % of what was offered",
                       100.0 * static_cast<double>(outcome.served) /
                           static_cast<double>(std::max<std::uint64_t>(outcome.scheduled, 1)));
  }
  const std::uint64_t p99 = outcome.served_ns.quantile(0.99);
  if (p99 > static_cast<std::uint64_t>(p99_limit_ns)) {
    return fmt::format("p99 {:.2f} ms is over {:.2f} ms", static_cast<double>(p99) / 1e6,
                       static_cast<double>(p99_limit_ns) / 1e6);
  }
  return {};
}

Result<Knee> find_knee(Options options, std::int64_t p99_limit_ns,
                       const std::function<void(const Step&)>& progress) {
  Knee knee;
  options.closed = true;
  HEDDLE_ASSIGN_OR_RETURN(knee.closed, run(options));
  knee.capacity = knee.closed.served_rate();
  if (knee.closed.served == 0) {
    return Error{
        ErrorKind::kUnavailable, "loadgen-nothing-served",
        fmt::format("of {} requests of the closed loop none was served", knee.closed.scheduled),
        "look at one answer first: run it with `--closed`"};
  }
  if (progress) progress({knee.capacity, knee.closed, true, {}});
  options.closed = false;
  int missed = 0;
  bool held = true;
  for (const double share : kShares) {
    options.rate = share * knee.capacity;
    Step step;
    step.rate = options.rate;
    HEDDLE_ASSIGN_OR_RETURN(step.outcome, run(options));
    step.why = why_not_held(step.outcome, p99_limit_ns);
    step.holds = step.why.empty();
    // A step that holds above one that does not is luck.
    held = held && step.holds;
    if (held) knee.knee = step.rate;
    missed = step.holds ? 0 : missed + 1;
    if (progress) progress(step);
    knee.steps.push_back(std::move(step));
    if (missed == kMisses) break;
  }
  return knee;
}

}  // namespace heddle::loadgen
