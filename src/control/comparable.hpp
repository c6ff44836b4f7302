#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "release/release.hpp"
#include "stats/task.hpp"

namespace heddle::control {

/// What a bundle predicts; none: there is no bundle, or it cannot be read, which is told elsewhere.
using TaskOf = std::function<std::optional<stats::Task>(const Digest&)>;

/// Slots of `next` that hold another task, or other classes, than its primary: refused
/// (kConflict `release-task-differs`), or emptied where the primary is another than `before`.
[[nodiscard]] Result<void> keep_comparable(release::Releases& next, const Digest& before,
                                           const TaskOf& task_of);

/// For the one who is asked: the slots of `serving` that a release of `primary` would empty, as a
/// sentence's end; empty: none.
[[nodiscard]] std::string emptied_by(const Digest& primary, const release::Releases& serving,
                                     const TaskOf& task_of);

}  // namespace heddle::control
