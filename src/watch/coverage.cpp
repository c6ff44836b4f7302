#include "watch/coverage.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace heddle::watch {

namespace {

constexpr double kLeastEffect = 0.01;
constexpr double kChance = 0.001;
constexpr double kAgreement = 0.8;  ///< share of chunks below the declared coverage

/// Conformal scores of the rows, in their order, with `offsets` added to their margins.
std::vector<double> scores_of(const stats::Task& task, const LabelJoin::Chunk& chunk,
                              std::span<const double> offsets) {
  std::vector<double> out;
  out.reserve(chunk.codes.size());
  std::vector<float> margins(task.outputs());
  std::vector<float> prediction(task.outputs());
  for (std::size_t i = 0; i < chunk.codes.size(); ++i) {
    const auto row = chunk.row(i);
    std::copy(row.begin(), row.end(), margins.begin());
    for (std::size_t k = 0; k < offsets.size(); ++k) margins[k] += static_cast<float>(offsets[k]);
    task.predict(margins, prediction);
    out.push_back(stats::conformal_score(task, prediction, chunk.codes[i]));
  }
  return out;
}

}  // namespace

ChunkCoverage coverage_of(const stats::Task& task, const LabelJoin::Chunk& chunk,
                          const stats::Conformal& interval) {
  ChunkCoverage out;
  std::vector<float> prediction(task.outputs());
  for (std::size_t i = 0; i < chunk.codes.size(); ++i) {
    task.predict(chunk.row(i), prediction);
    out.held += stats::holds(task, prediction, chunk.codes[i], interval.quantile) ? 1 : 0;
    ++out.rows;
  }
  return out;
}

Coverage judge_coverage(std::span<const ChunkCoverage> chunks, double declared,
                        const Baseline& baseline, double sds) {
  Coverage out;
  ChunkCoverage all;
  std::int64_t below = 0;
  for (const ChunkCoverage& chunk : chunks) {
    all.held += chunk.held;
    all.rows += chunk.rows;
    below += static_cast<double>(chunk.held) < declared * static_cast<double>(chunk.rows) ? 1 : 0;
  }
  if (all.rows == 0) return out;
  const auto count = static_cast<double>(chunks.size());
  out.missed = 1 - static_cast<double>(all.held) / static_cast<double>(all.rows);
  out.threshold = 1 - declared + kLeastEffect;
  // A model whose coverage varied on held-out rows may vary as much here. A spread of fewer chunks
  // is none.
  if (baseline.coverage_chunks >= kFewestChunks) {
    // Of the mean of so many chunks.
    const double spread = sds * baseline.coverage_sd / std::sqrt(count);
    out.threshold = std::max(out.threshold, 1 - baseline.coverage_mean + spread);
  }
  // Three things, for a chunk's rows hang together and the binomial tail alone would be too sure:
  // an effect of a size that matters, in most of the chunks, and not by chance.
  out.is_low = out.missed > out.threshold && static_cast<double>(below) >= kAgreement * count &&
               stats::coverage_tail(all.held, all.rows, declared) < kChance;
  return out;
}

IntervalRefit refit_interval(const stats::Task& task, const LabelJoin::Chunk& chunk,
                             const stats::Conformal& interval, std::span<const double> offsets) {
  const std::vector<double> as_served = scores_of(task, chunk, {});
  const std::vector<double> scores = scores_of(task, chunk, offsets);
  // Half of the rows fit the quantile and the other half check it, so twice what a quantile of this
  // coverage needs.
  const std::size_t least =
      std::max(kLeastRefitRows, 2 * stats::least_conformal_rows(interval.coverage));
  const auto share_held = [](std::span<const double> of, double quantile) {
    const auto held = std::count_if(of.begin(), of.end(), [&](double s) { return s <= quantile; });
    return static_cast<double>(held) / static_cast<double>(of.size());
  };
  IntervalRefit out;
  // If the newer half does not hold what the older promised, the rows moved within this time: the
  // older half is dropped and the rest is asked again.
  for (std::size_t from = 0; scores.size() - from >= least;) {
    const std::span<const double> all = std::span(scores).subspan(from);
    const std::span<const double> older = all.first(all.size() / 2);
    const std::span<const double> newer = all.subspan(older.size());
    const auto whole = stats::conformal_quantile({all.begin(), all.end()}, interval.coverage);
    const auto half = stats::conformal_quantile({older.begin(), older.end()}, interval.coverage);
    if (!whole.ok() || !half.ok()) return out;  // a row without a number: the join keeps none
    out.quantile = *whole;
    out.rows = static_cast<std::int64_t>(all.size());
    out.held = share_held(std::span(as_served).subspan(from), interval.quantile);
    out.held_newer = share_held(newer, *half);
    const auto rows = static_cast<std::int64_t>(newer.size());
    const auto held = std::llround(out.held_newer * static_cast<double>(rows));
    out.is_stable = out.held_newer >= interval.coverage - kLeastEffect ||
                    stats::coverage_tail(held, rows, interval.coverage) >= kChance;
    if (out.is_stable) return out;
    from += older.size();
  }
  return out;
}

}  // namespace heddle::watch
