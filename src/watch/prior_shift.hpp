#pragma once

#include <span>
#include <vector>

#include "doc/value.hpp"
#include "stats/task.hpp"
#include "watch/finding.hpp"
#include "watch/label_join.hpp"

namespace heddle::watch {

/// How far the constants of a model were off in one chunk.
struct ChunkOffsets {
  std::vector<double> offsets;    ///< `stats::refit_offsets`
  std::vector<double> weights{};  ///< `stats::class_rows`
};

/// How far they are off over several chunks: the base rate, the shares of the classes, or the
/// middle of a number, moved by so much.
struct PriorShift {
  /// binary: logits. classes: the most that the log odds of two classes moved against each other.
  /// regression: in units of the reference's label scale.
  double size = 0;
  double agreement = 0;  ///< share of the chunks that moved the same way
  /// Mean of the chunks' offsets, `outputs()` of them. Of several classes the first is 0, and a
  /// class of too few rows moves as the others do on the average: chance is no reason.
  std::vector<double> offsets{};
};

/// `scale`: `Baseline::label_scale`.
[[nodiscard]] PriorShift prior_shift(const stats::Task& task, std::span<const ChunkOffsets> chunks,
                                     double scale);

/// How far `offsets` go the way that `shift` goes, in the unit of `PriorShift::size`.
[[nodiscard]] double along(const stats::Task& task, std::span<const double> shift,
                           std::span<const double> offsets, double scale);

/// How far the labels of these rows move the offsets the way that a finding of prior shift says,
/// in the unit of its value.
[[nodiscard]] double moved_along(const stats::Task& task, const LabelJoin::Chunk& rows,
                                 const Finding& finding);
/// The member `offsets` of a finding's detail, and of whatever else keeps offsets; none: it has no
/// such list of numbers.
[[nodiscard]] std::vector<double> offsets_of(const doc::Value& value);
[[nodiscard]] doc::Value list_of(const std::vector<double>& numbers);

}  // namespace heddle::watch
