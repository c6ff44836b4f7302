#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "stats/task.hpp"

namespace heddle::stats {

/// Quality of a model on labelled rows, with one meaning for every task. `margins` are
/// `task.outputs()` numbers a row, row-major, none of them NaN; `codes` one label a row
/// (`Task::code_of`). `offsets` are added to the margins of each row: `task.outputs()` of them, or
/// none. Every function is pure and sums in row order, so equal input gives equal bits; without
/// rows a loss is NaN.

/// Loss of one row: -ln of the probability of its label, in nats, exact for large margins; of a
/// regression the absolute error, in the label's unit.
[[nodiscard]] double row_loss(const Task& task, std::span<const float> margins, double code,
                              std::span<const double> offsets = {});

/// What `row_loss` is called: `log loss`, `absolute error`; and its unit, with a space in front:
/// ` nats`, nothing.
[[nodiscard]] std::string_view loss_name(TaskKind task) noexcept;
[[nodiscard]] std::string_view loss_unit(TaskKind task) noexcept;

/// Mean of `row_loss`: log loss, multinomial log loss, mean absolute error.
[[nodiscard]] double mean_loss(const Task& task, std::span<const float> margins,
                               std::span<const double> codes, std::span<const double> offsets = {});

/// Mean loss of the best constant answer: the entropy of the base rate or of the class shares, in
/// nats; of a regression the mean absolute deviation from the median. 0 if all labels are equal.
[[nodiscard]] double best_constant_loss(const Task& task, std::span<const double> codes);

/// The constants that fit the labels best when they are added to the margins, in [-20, 20] but for
/// a regression; 0 without rows.
/// binary: the intercept, by Newton's method on the likelihood with the margins as offset (Hastie,
/// Tibshirani, Friedman, ESL 2nd ed., 4.4.1).
/// classes: the first 0, the others the maximum of the multinomial likelihood with the margins as
/// offset (ESL 4.4.1), by Newton's method with conjugate gradients for its steps (Nocedal, Wright
/// 2006, algorithm 7.1). A class without rows has no finite maximum: it counts as half a row
/// (Haldane 1956), or as the rows that the margins expect of it, if these are fewer.
/// regression: the median of the residuals, which minimises the absolute error.
[[nodiscard]] std::vector<double> refit_offsets(const Task& task, std::span<const float> margins,
                                                std::span<const double> codes);

/// Of several classes the rows of each, or those that the margins expect of it, if these are more:
/// so many rows say something of its offset. Empty for the other tasks.
[[nodiscard]] std::vector<double> class_rows(const Task& task, std::span<const float> margins,
                                             std::span<const double> codes);

/// Loss after refitting the offsets alone, over the loss of the best constant. 1 or more: what the
/// model tells apart is worth no more than the base rate, the class shares or the median, whatever
/// these have become. Blind to prior shift by construction; `offsets` are where that shows. `ratio`
/// is NaN without rows and where all labels are equal.
struct Quality {
  double ratio = 0;
  std::vector<double> offsets{};
  double loss = 0;  ///< as served, before the refit
};
[[nodiscard]] Quality quality_ratio(const Task& task, std::span<const float> margins,
                                    std::span<const double> codes);

/// Margins from which the task's link makes this prediction: log odds; logarithms, to which any
/// constant could be added; the value. Probabilities are clipped to 1e-15.
[[nodiscard]] std::vector<float> margins_of(const Task& task, std::span<const float> prediction);

/// The middle one, or the mean of the middle two; NaN for none.
[[nodiscard]] double median(std::vector<double> values);

}  // namespace heddle::stats
