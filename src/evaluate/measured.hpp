#pragma once

#include <span>
#include <string>
#include <vector>

#include "evaluate/evaluate.hpp"
#include "stats/metric.hpp"

namespace heddle::evaluate {

/// Rows ready to be measured, whole or in part: predictions and, for each metric of the
/// definition's own, its value a row (NaN: left out). Built once, sliced many times.
struct Measured {
  const stats::Task* task = nullptr;
  std::vector<float> margins{};
  std::vector<float> predictions{};
  std::vector<double> labels{};
  std::optional<stats::Conformal> interval{};
  struct Own {
    std::string name;
    bool mean = true;  ///< else sum
    std::vector<double> values{};
  };
  std::vector<Own> own{};
};

[[nodiscard]] Result<Measured> measure(const spec::Evaluation& definition,
                                       const Predictions& predictions);
[[nodiscard]] stats::Answers answers_of(const Measured& measured);
/// The numbers of the rows named, or of all when `rows` is nullptr.
[[nodiscard]] Numbers numbers_of(const Measured& measured, const std::vector<std::int64_t>* rows);

}  // namespace heddle::evaluate
