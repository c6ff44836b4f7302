#pragma once

#include <cstdint>
#include <span>

#include "stats/conformal.hpp"
#include "watch/baseline.hpp"
#include "watch/label_join.hpp"

namespace heddle::watch {

/// How many labels of a chunk lay in the interval, or the set, of their row.
struct ChunkCoverage {
  std::int64_t held = 0;
  std::int64_t rows = 0;
};
[[nodiscard]] ChunkCoverage coverage_of(const stats::Task& task, const LabelJoin::Chunk& chunk,
                                        const stats::Conformal& interval);

/// The coverage of several chunks against what was declared.
struct Coverage {
  double missed = 0;     ///< share of the labels outside
  double threshold = 0;  ///< of that share: a point above the declared one, or what the reference
                         ///< chunks make likely, if that is more
  /// It is past the threshold by more than chance: the exact binomial tail of all rows, and, since
  /// rows of one chunk hang together, four of five chunks on the same side.
  bool is_low = false;
};
[[nodiscard]] Coverage judge_coverage(std::span<const ChunkCoverage> chunks, double declared,
                                      const Baseline& baseline, double sds);

/// An interval's quantile fitted anew. What is fitted on the older half of the rows has to hold the
/// labels of the newer half, as a gate: within a point of the declared coverage, or by chance.
/// Where it does not, the older half goes, and the rest is asked the same, as long as enough is
/// left.
struct IntervalRefit {
  double quantile = 0;
  std::int64_t rows = 0;   ///< that it was fitted on, the newest; 0: there is none
  double held = 0;         ///< share of their labels that the interval of before held
  double held_newer = 0;   ///< share of the newer half that the fit on the older half held
  bool is_stable = false;  ///< the gate
  bool operator==(const IntervalRefit&) const = default;
};
/// `offsets` are added to the margins first, one an output. `rows` 0 where there are fewer than
/// `kLeastRefitRows`, or too few for the coverage.
[[nodiscard]] IntervalRefit refit_interval(const stats::Task& task, const LabelJoin::Chunk& chunk,
                                           const stats::Conformal& interval,
                                           std::span<const double> offsets);
inline constexpr std::size_t kLeastRefitRows = 200;

}  // namespace heddle::watch
