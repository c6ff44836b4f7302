#include "control/comparable.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

namespace heddle::control {

Result<void> keep_comparable(release::Releases& next, const Digest& before, const TaskOf& task_of) {
  const auto task = task_of(next.primary());
  if (!task) return {};
  const auto differs = [&](const Digest& bundle) {
    const auto other = task_of(bundle);
    return other && *other != *task;
  };
  // A new primary decides what it can be compared with, and empties
  // the other slots; another slot that does not fit is refused.
  if (next.primary() != before) {
    next.leave_only([&](const Digest& bundle) { return !differs(bundle); });
    return {};
  }
  for (const Digest& bundle : {next.standby(), next.canary().canary.bundle, next.shadow()}) {
    if (!differs(bundle)) continue;
    const auto other = task_of(bundle);
    return Error{
        ErrorKind::kConflict, "release-task-differs",
        other->kind == task->kind
            ? fmt::format("bundle {} has other classes than the primary", bundle.short_str())
            : fmt::format("the task of bundle {} is {}, the primary's is {}", bundle.short_str(),
                          stats::task_name(other->kind), stats::task_name(task->kind)),
        "the two cannot be compared: release it to the primary, which empties the slots "
        "of the task before"};
  }
  return {};
}

std::string emptied_by(const Digest& primary, const release::Releases& serving,
                       const TaskOf& task_of) {
  const auto task = task_of(primary);
  std::vector<std::string_view> slots;
  for (const auto& [slot, bundle] : {std::pair{"standby", serving.standby()},
                                     std::pair{"canary", serving.canary().canary.bundle},
                                     std::pair{"shadow", serving.shadow()}}) {
    const auto other = task_of(bundle);
    if (task && other && *other != *task) slots.emplace_back(slot);
  }
  if (slots.empty()) return {};
  return fmt::format("; it has another task or other classes than what serves, so this empties {}",
                     fmt::join(slots, ", "));
}

}  // namespace heddle::control
