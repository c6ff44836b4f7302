#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "evaluate/difference.hpp"
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

/// Every metric but `rows`, by name. Errors as `metrics`.
[[nodiscard]] Result<std::vector<Difference>> compare(const spec::Evaluation& definition,
                                                      const Pair& pair);

/// What the loss of the task says of the candidate: `better` or `worse` where the whole confidence
/// interval of its difference is on one side of zero, else `unclear`.
[[nodiscard]] std::string_view verdict(std::span<const Difference> differences) noexcept;

}  // namespace heddle::evaluate
