#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "stats/task.hpp"
#include "watch/state_bytes.hpp"

namespace heddle::watch {

/// Brings predictions of a task to [0, 1], as the bounds of a canary's comparison need it: buckets
/// of their distribution, how far two of them are apart, and how wrong one is.
///
/// binary: the probability itself; the difference of two; the squared error (Brier 1950).
/// classes: the probability of each class; 1 where two name different classes; half the sum of the
/// squared errors over the classes.
/// regression: a value has no bounds, so the first `kFirstValues` of the baseline give it some.
/// Their quantiles are the edges of the buckets, and the distance from their 5 % to their 95 %
/// quantile is the unit of differences and absolute errors, which count as 1 from one unit on.
/// Until then nothing is counted: the scale depends on nothing that is compared by it.
///
/// A deterministic function of what it is given. Not thread-safe.
class PredictionScale {
 public:
  static constexpr std::size_t kFirstValues = 200;

  PredictionScale() = default;  ///< of a binary task
  explicit PredictionScale(stats::Task task) : task_(std::move(task)) {}

  [[nodiscard]] const stats::Task& task() const noexcept { return task_; }
  /// Whether it can be used; a regression needs `learn` before.
  [[nodiscard]] bool ready() const noexcept {
    return task_.kind != stats::TaskKind::kRegression || first_.size() == kFirstValues;
  }
  /// A prediction of the baseline; true when it made the scale ready.
  bool learn(std::span<const float> prediction);

  /// Of the distribution of each output.
  [[nodiscard]] std::size_t buckets() const noexcept;
  [[nodiscard]] std::size_t bucket(float number) const noexcept;
  [[nodiscard]] double difference(std::span<const float> a,
                                  std::span<const float> b) const noexcept;
  [[nodiscard]] double loss(std::span<const float> prediction, double code) const noexcept;
  /// What `loss` is, for people.
  [[nodiscard]] std::string_view loss_text() const noexcept;

  /// All but the task.
  void save(StateWriter& out) const;
  void load(StateReader& in);

 private:
  void settle();
  [[nodiscard]] double in_units(double difference) const noexcept;

  stats::Task task_{};
  std::vector<float> first_;  ///< values of the baseline, in their order
  std::vector<float> edges_;  ///< ascending; once it is ready
  double unit_ = 0;           ///< 0: all of the first values were alike
};

}  // namespace heddle::watch
