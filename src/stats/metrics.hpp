#pragma once

#include <cstdint>
#include <span>

namespace heddle::stats {

/// Metrics of a binary classifier. `p` are probabilities, `margins` log odds before the sigmoid,
/// `y` labels 0 or 1; the spans of one call have equal length. Every function is pure, sums in row
/// order (so equal input gives equal bits) and returns NaN where the metric is undefined: no rows,
/// or one class only for `auc`.

/// Area under the ROC curve by mid-ranks (Mann-Whitney U over n1 * n0; ties count one half). O(n
/// log n).
[[nodiscard]] double auc(std::span<const float> p, std::span<const double> y);

/// Standard error of auc(q) - auc(p) for two models on the same rows, which are taken for
/// independent (DeLong, DeLong, Clarke-Pearson 1988, eq. 5, by the mid-ranks of Sun and Xu 2014).
/// NaN with less than two rows of a class.
[[nodiscard]] double auc_difference_error(std::span<const float> p, std::span<const float> q,
                                          std::span<const double> y);

/// Mean negative log likelihood, natural log; probabilities are clipped to [1e-15, 1 - 1e-15].
[[nodiscard]] double log_loss(std::span<const float> p, std::span<const double> y);

/// Expected calibration error over `bins` equal-width bins: sum of |mean p - mean y| * share (Guo
/// et al. 2017, eq. 3).
[[nodiscard]] double calibration_error(std::span<const float> p, std::span<const double> y,
                                       int bins = 15);

/// Standard error of calibration_error(q) - calibration_error(p) for two models on the same rows,
/// which are taken for independent: the standard deviation over 1,000 resamples of a paired
/// bootstrap (Efron, Tibshirani 1993, ch. 6) with a fixed seed. Past 1,000 rows it draws groups of
/// every thousandth row, so that its cost does not grow with the resamples. NaN with less than two
/// rows.
[[nodiscard]] double calibration_difference_error(std::span<const float> p,
                                                  std::span<const float> q,
                                                  std::span<const double> y, int bins = 15);

/// Platt's map p = sigmoid(slope * margin + intercept), with his smoothed targets (Platt 1999,
/// section 2.2), fitted by Newton's method with step halving (Lin, Lin, Weng 2007, algorithm 1).
/// Identity if there is one class only.
struct PlattMap {
  double slope = 1;
  double intercept = 0;
};
[[nodiscard]] PlattMap fit_platt(std::span<const float> margins, std::span<const std::uint8_t> y);

}  // namespace heddle::stats
