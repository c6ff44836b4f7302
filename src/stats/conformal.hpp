#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "stats/task.hpp"

namespace heddle::stats {

/// Split-conformal intervals and sets. `predictions` are `task.outputs()` numbers a row, row-major,
/// none of them NaN; `codes` one label a row (`Task::code_of`). For regression and classes: a
/// probability of true or false has no interval.

/// How badly a label conforms to its prediction: the distance from the value (Lei, G'Sell, Rinaldo,
/// Tibshirani, Wasserman 2018, algorithm 2); 1 less the probability of the class (least ambiguous
/// sets: Sadinle, Lei, Wasserman 2019).
[[nodiscard]] double conformal_score(const Task& task, std::span<const float> prediction,
                                     double code);
[[nodiscard]] std::vector<double> conformal_scores(const Task& task,
                                                   std::span<const float> predictions,
                                                   std::span<const double> codes);

/// Rows that a quantile at this coverage needs: with fewer, ceil((n + 1) * coverage) is above n.
[[nodiscard]] std::size_t least_conformal_rows(double coverage);

/// The ceil((n + 1) * coverage)-th smallest of the scores (Lei et al. 2018, algorithm 2): one more
/// exchangeable row scores no worse with a probability of at least `coverage`. kInvalid:
/// `interval-coverage` outside (0, 1); `interval-few-rows`; `interval-score` of NaN.
[[nodiscard]] Result<double> conformal_quantile(std::vector<double> scores, double coverage);

/// The interval of a bundle: fixed from its calibration rows, refitted by a recalibration.
struct Conformal {
  double coverage = 0;  ///< the share of true values that intervals or sets are to hold, in (0, 1)
  double quantile = 0;
  bool operator==(const Conformal&) const = default;
};

/// What an interval costs a row of this conformal score: the quantile loss at its coverage, which
/// is least in mean where the quantile is that of the scores (Koenker, Bassett 1978). In the unit
/// of the score: that of the label, or a probability.
[[nodiscard]] double interval_loss(double score, const Conformal& interval) noexcept;

/// How far `to` lies from `from`, for bounds: of a regression in units of `scale`, of classes in
/// logits of the probability from which a class is left out. Above 0: more is let in.
[[nodiscard]] double quantile_change(TaskKind task, double from, double to, double scale);

/// value - quantile and value + quantile.
struct Interval {
  double lower = 0;
  double upper = 0;
};
[[nodiscard]] Interval conformal_interval(float value, double quantile) noexcept;
/// Positions of the classes whose probability is at least 1 - quantile, ascending. May be empty:
/// then the model tells that it has seen no such row.
[[nodiscard]] std::vector<std::size_t> conformal_set(std::span<const float> probabilities,
                                                     double quantile);

/// Whether the interval or the set of this quantile holds the label.
[[nodiscard]] bool holds(const Task& task, std::span<const float> prediction, double code,
                         double quantile);

/// Probability of at most `held` of `rows` where each is held with probability `coverage`, by
/// itself: the exact lower tail of the binomial distribution. Small: the coverage is below what was
/// declared by more than chance (Clopper, Pearson 1934).
[[nodiscard]] double coverage_tail(std::int64_t held, std::int64_t rows, double coverage);

}  // namespace heddle::stats
