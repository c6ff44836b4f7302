#pragma once

#include "base/result.hpp"
#include "model/scorer.hpp"
#include "stats/task.hpp"

namespace heddle::model {

/// Whether the model's margins mean what the task makes of them: as many of a row as the task has
/// outputs, the link that the task applies, and its classes in their order where the file names
/// any. Any other model would be served as something that it never said. kInvalid `score-outputs`,
/// `score-link`, `score-classes`.
[[nodiscard]] Result<void> check_task(const Scorer& scorer, const stats::Task& task);

}  // namespace heddle::model
