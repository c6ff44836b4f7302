#pragma once

#include <optional>
#include <string>

namespace heddle::evaluate {

/// One metric of both. The standard error is of the difference and paired by row: what is hard for
/// both cancels. Rows count as independent of one another. Of means and sums over rows it is that
/// of the differences, of `auc` DeLong's, of `calibration_error` that of a paired bootstrap.
struct Difference {
  std::string metric;
  bool is_loss = false;  ///< of the task: what a verdict rests on; not part of what is stored
  double base = 0;
  double candidate = 0;
  std::optional<double> standard_error{};

  [[nodiscard]] double difference() const noexcept { return candidate - base; }
  /// Half the width of the 95 % confidence interval (normal approximation); nullopt: not known.
  [[nodiscard]] std::optional<double> margin_of_error() const noexcept;
};

}  // namespace heddle::evaluate
