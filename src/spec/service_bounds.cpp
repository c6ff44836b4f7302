#include "spec/service_bounds.hpp"

#include <algorithm>
#include <optional>

namespace heddle::spec {
namespace {

/// The smaller of the two; what is not stated narrows nothing.
template <class T>
void narrow(std::optional<T>& into, const std::optional<T>& stated) {
  if (stated) into = std::min(into.value_or(*stated), *stated);
}

}  // namespace

ServiceBounds bounds_of(const Project& project, std::string_view service) {
  ServiceBounds bounds;
  std::optional<double> step, sum;
  std::optional<std::int64_t> good_rows, max_rows;
  for (const auto& [name, policy] : project.policies) {
    if (!policy.is_for(service)) continue;
    // Not allowed unless a policy says so; of several that do, the first has the numbers.
    if (policy.fail_over_allowed && !bounds.fail_over_allowed) {
      bounds.fail_over_allowed = true;
      bounds.fail_over = policy.fail_over;
    }
    if (policy.retrain_max_rows > 0)
      narrow(max_rows, std::optional<std::int64_t>(policy.retrain_max_rows));
    bounds.retrain_event_time_cost =
        std::max(bounds.retrain_event_time_cost, policy.retrain_event_time_cost);
    narrow(step, policy.recalibrate_step);
    narrow(sum, policy.recalibrate_sum);
    narrow(good_rows, policy.quarantine_good_rows);
  }
  bounds.retrain_max_rows = max_rows.value_or(0);
  bounds.recalibrate.step = step.value_or(bounds.recalibrate.step);
  bounds.recalibrate.sum = sum.value_or(bounds.recalibrate.sum);
  bounds.quarantine_good_rows = good_rows.value_or(bounds.quarantine_good_rows);
  return bounds;
}

}  // namespace heddle::spec
