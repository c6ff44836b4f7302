#pragma once

#include <cstdint>

#include "stats/binning.hpp"

namespace heddle::report {

/// How far two samples are apart, and how far chance alone takes samples of one distribution.
struct Difference {
  double size = 0;       ///< in [0, 1]
  double by_chance = 0;  ///< stays below this but with the chance that was asked for
  bool moved = false;    ///< above that, and above what matters at all
};

/// A distance of values below this is told and not called a move: what monitors alert from.
inline constexpr double kLeastDistance = 0.1;
/// The same of a share of missing values: one row in a hundred.
inline constexpr double kLeastMissing = 0.01;

/// Largest difference of two empirical distributions of `n` and `m` rows: past this with a chance
/// of at most `a`. Two-sample form of Dvoretzky, Kiefer and Wolfowitz's inequality with Massart's
/// constant 2 (Massart 1990, Ann. Probab. 18; for two samples Wei and Dudley 2012, Statist. Probab.
/// Lett. 82, theorem 1: from 458 rows each; below, the constant is at most e). Bins and ties make
/// the difference smaller, so it holds for them too. Infinite when either is empty.
[[nodiscard]] double ks_by_chance(std::int64_t n, std::int64_t m, double a) noexcept;

/// The same of the total variation distance over bins. Its mean is at most
/// sum of sqrt(p (1 - p) (1/n + 1/m)) / 2 over the bins (Jensen: E|X| <= sd X), with p the share of
/// both together; one row changes it by 1/n or 1/m, so it is past its mean by
/// sqrt(ln(1/a) / 2 (1/n + 1/m)) with a chance of at most `a` (McDiarmid 1989, lemma 1.2). Bins may
/// be chosen by the rows of both together, but not by those of one: its most frequent values are
/// frequent there by chance.
[[nodiscard]] double total_variation_by_chance(const stats::Histogram& reference,
                                               const stats::Histogram& file, double a);

/// Between the shares `missing / rows` of two files: the two-proportion test with a pooled share,
/// whose normal tail is bounded by 2 exp(-z^2 / 2) <= `a`.
[[nodiscard]] Difference compare_missing(std::int64_t reference_missing,
                                         std::int64_t reference_rows, std::int64_t missing,
                                         std::int64_t rows, double a);

}  // namespace heddle::report
