#pragma once

#include <string>
#include <vector>

#include "report/counting.hpp"
#include "report/report.hpp"

namespace heddle::report {

/// A column that both files have, after it was counted.
struct Pair {
  const CountingPlan& plan;
  const Counted& reference;
  const Counted& file;
  double chance = 0;  ///< of each comparison
};

/// What changed, for people: the share of missing values, the mean and spread, values that came or
/// went, the range.
[[nodiscard]] std::vector<std::string> sentences_of(const ColumnReport& column, const Pair& pair);

/// A number with as many digits as people read.
[[nodiscard]] std::string number_text(double number);

}  // namespace heddle::report
