#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "doc/value.hpp"
#include "evaluate/evaluate.hpp"

namespace heddle::evaluate {

/// The answers of two models of one task to the same rows: margins, calibration included, rows x
/// task outputs. Borrowed.
struct Pair {
  const stats::Task* task = nullptr;
  const table::Table* rows = nullptr;
  std::span<const float> base{};
  std::span<const float> candidate{};
  std::span<const double> labels{};
  std::optional<stats::Conformal> base_interval{};
  std::optional<stats::Conformal> candidate_interval{};
};

/// One metric of both. The standard error is of the difference and paired by row: what is hard for
/// both cancels. Rows count as independent of one another. Of means and sums over rows it is that
/// of the differences, of `auc` DeLong's, of `calibration_error` that of a paired bootstrap.
struct Difference {
  std::string metric;
  bool is_loss = false;  ///< of the task: what a verdict rests on
  double base = 0;
  double candidate = 0;
  std::optional<double> standard_error{};

  [[nodiscard]] double difference() const noexcept { return candidate - base; }
  /// Half the width of the 95 % confidence interval (normal approximation); nullopt: not known.
  [[nodiscard]] std::optional<double> margin_of_error() const noexcept;
  /// {"name", "base", "candidate", "difference", "standard_error", "low", "high"}: the ends of the
  /// confidence interval of the difference; null where not known.
  [[nodiscard]] doc::Value to_value() const;
};

/// Every metric but `rows`, by name. Errors as `metrics`.
[[nodiscard]] Result<std::vector<Difference>> compare(const spec::Evaluation& definition,
                                                      const Pair& pair);

/// What the loss of the task says of the candidate: `better` or `worse` where the whole confidence
/// interval of its difference is on one side of zero, else `unclear`.
[[nodiscard]] std::string_view verdict(std::span<const Difference> differences) noexcept;

}  // namespace heddle::evaluate
