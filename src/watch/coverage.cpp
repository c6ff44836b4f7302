#include "watch/coverage.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace heddle::watch {

namespace {

constexpr double kLeastEffect = 0.01;
constexpr double kChance = 0.001;
constexpr double kAgreement = 0.8;  ///< share of chunks below the declared coverage

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
  if (baseline.coverage_chunks >= kFewestChunks) {
    // Of the mean of so many chunks.
    const double spread = sds * baseline.coverage_sd / std::sqrt(count);
    out.threshold = std::max(out.threshold, 1 - baseline.coverage_mean + spread);
  }
  out.is_low = out.missed > out.threshold && static_cast<double>(below) >= kAgreement * count &&
               stats::coverage_tail(all.held, all.rows, declared) < kChance;
  return out;
}

}  // namespace heddle::watch
