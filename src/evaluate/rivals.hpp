#pragma once

#include <span>

#include "base/clock.hpp"
#include "evaluate/evaluate.hpp"
#include "table/matrix.hpp"

namespace heddle::evaluate {

/// What simple answers are made from. Rows in the order of the split: those to train on first,
/// those to test on last. Borrowed.
struct RivalInput {
  const stats::Task* task = nullptr;
  std::span<const double> labels{};  ///< codes, one a row
  std::size_t train_end = 0;
  std::size_t test_begin = 0;
  std::span<const Micros> times{};  ///< one a row, ascending; empty: the rows have no order
  const table::Matrix* train_features = nullptr;
  const table::Matrix* test_features = nullptr;
};

/// Whether a gate names one of them.
[[nodiscard]] bool reads_rivals(const spec::Evaluation& definition);

/// The task's metrics on the test rows of three answers that need no model worth the name, fitted
/// to the training rows. `constant.NAME`: the share of each class, of a regression the median, and
/// for `rmse` and `r2` the mean.
/// `last.NAME`, where rows have an order: the label of the newest row of an earlier time, of
/// classes how often each followed that one. `one_feature.NAME`: means (of a regression medians) in
/// 32 bins of the one feature that fits the training rows best.
[[nodiscard]] Numbers rivals(const RivalInput& input);

}  // namespace heddle::evaluate
