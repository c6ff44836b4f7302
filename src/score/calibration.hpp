#pragma once

#include <optional>
#include <vector>

#include "doc/schema.hpp"
#include "stats/conformal.hpp"
#include "stats/task.hpp"

namespace heddle::score {

using stats::Conformal;

/// `calibration.json` of a bundle: what is added to the margins of each row, one number an output
/// (of classes the first is 0), and the interval.
struct Calibration {
  std::vector<double> offsets{};
  std::optional<Conformal> interval{};

  bool operator==(const Calibration&) const = default;
};

/// As a model is trained: nothing is added.
[[nodiscard]] Calibration uncalibrated(const stats::Task& task,
                                       std::optional<Conformal> interval = {});

/// `heddle.calibration/1`.
[[nodiscard]] const doc::Schema<Calibration>& calibration_schema();

/// kCorrupt where the offsets are not those of the task, or binary has an interval.
[[nodiscard]] Result<void> check_calibration(const Calibration& calibration,
                                             const stats::Task& task);

}  // namespace heddle::score
