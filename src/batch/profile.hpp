#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "batch/profile_format.hpp"
#include "expr/datum.hpp"
#include "spec/contract.hpp"
#include "stats/binning.hpp"
#include "stats/task.hpp"
#include "watch/baseline.hpp"

namespace heddle::batch {

/// The sketch of a batch: how many values each field lacks, how the scores fall, and each metric of
/// the bundle's baseline over the served rows. Merging commutes, so it does not depend on threads.
/// Counts only: no value of a row is in it. One thread.
class Profile {
 public:
  Profile(std::span<const spec::Field> fields, const stats::Task& task,
          const watch::Baseline* baseline);  ///< all three outlive it

  /// A row that was served: typed, after the contract's transforms, with its prediction, all
  /// finite.
  void add(std::span<const expr::Datum> row, std::span<const float> prediction);
  void merge(const Profile& other);

  /// Fills in fields, scores and metrics. Scores are the probabilities of true, or those of the
  /// most probable class; a regression has none. A metric of under `kFewRows` rows is never past
  /// its threshold.
  void describe(FileProfile& out) const;

 private:
  static constexpr std::size_t kBins = 20;
  static constexpr std::int64_t kFewRows = 200;
  struct Metric {
    const watch::MetricReference* reference;
    int field;  ///< -1: the prediction
    stats::Histogram window;
  };
  std::span<const spec::Field> fields_;
  const stats::Task* task_;
  std::vector<std::int64_t> missing_;
  std::array<std::int64_t, kBins> scores_{};
  std::vector<Metric> metrics_;
};

}  // namespace heddle::batch
