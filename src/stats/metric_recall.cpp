#include <cmath>

#include "stats/metric.hpp"

namespace heddle::stats {
namespace {

/// The share of each class's rows that are told; beside them their mean over the classes that have
/// rows, which is also called balanced accuracy.
class Recall final : public Metric {
 public:
  std::string_view name() const noexcept override { return "recall"; }
  bool does(TaskKind task) const noexcept override { return task == TaskKind::kClasses; }
  bool lower_is_better() const noexcept override { return false; }
  double high() const noexcept override { return 1; }
  double value(const Answers& answers) const override {
    double sum = 0;
    int classes = 0;
    for (const double recall : class_values(answers)) {
      if (std::isnan(recall)) continue;
      sum += recall;
      ++classes;
    }
    return sum / classes;
  }
  bool is_per_class() const noexcept override { return true; }
  /// NaN of a class without rows.
  std::vector<double> class_values(const Answers& answers) const override {
    const ClassCounts counts = class_counts(answers);
    std::vector<double> out;
    for (std::size_t k = 0; k < counts.right.size(); ++k) {
      out.push_back(counts.labelled[k] == 0 ? std::numeric_limits<double>::quiet_NaN()
                                            : static_cast<double>(counts.right[k]) /
                                                  static_cast<double>(counts.labelled[k]));
    }
    return out;
  }
  /// Of a mean over classes, each with rows of its own: the variances add up.
  std::optional<double> difference_error(const Answers& base,
                                         const Answers& candidate) const override {
    std::vector<std::vector<double>> differences(base.task->classes.size());
    for (std::size_t i = 0; i < base.rows(); ++i) {
      const auto label = static_cast<std::size_t>(base.labels[i]);
      const int before = Task::best(base.margins_of(i)) == label ? 1 : 0;
      const int after = Task::best(candidate.margins_of(i)) == label ? 1 : 0;
      differences[label].push_back(after - before);
    }
    double variance = 0;
    int classes = 0;
    for (const auto& of_class : differences) {
      if (of_class.empty()) continue;
      const auto error = error_of_mean(of_class);
      if (!error) return std::nullopt;
      variance += *error * *error;
      ++classes;
    }
    if (classes == 0) return std::nullopt;
    return std::sqrt(variance) / classes;
  }
};

}  // namespace

const Metric& recall_metric() {
  static const Recall row;
  return row;
}

}  // namespace heddle::stats
