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

}  // namespace heddle::watch
