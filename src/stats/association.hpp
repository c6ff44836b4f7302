#pragma once

#include <cstddef>
#include <span>

namespace heddle::stats {

/// How well a number alone tells classes apart or orders a target. Pure; spans of one length.

/// Mean over pairs of classes of max(auc, 1 - auc) with `x` as the score of the rows of the two
/// (Hand, Till 2001, eq. 7, with each pair's better direction, as no order of the classes is
/// given). Pairs with fewer than ten rows of a class are left out: by chance alone they look told
/// apart. NaN without a pair. `codes` are positions of classes. O(n (log n + classes)).
[[nodiscard]] double pairwise_auc(std::span<const float> x, std::span<const double> codes,
                                  std::size_t classes);

/// Spearman's rank correlation, by Pearson's of the mid-ranks. NaN with less than two rows, or
/// where either side is constant.
[[nodiscard]] double rank_correlation(std::span<const float> x, std::span<const double> y);

}  // namespace heddle::stats
