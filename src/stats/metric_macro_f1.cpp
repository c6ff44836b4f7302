#include <cmath>

#include "stats/draws.hpp"
#include "stats/metric.hpp"

namespace heddle::stats {
namespace {

constexpr int kResamples = 200;

double macro_f1(const ClassCounts& counts) {
  double sum = 0;
  int classes = 0;
  for (std::size_t k = 0; k < counts.right.size(); ++k) {
    const std::int64_t either = counts.labelled[k] + counts.predicted[k];
    // A class that is neither labelled nor predicted has no F1, and does not count as 0.
    if (either == 0) continue;
    sum += 2 * static_cast<double>(counts.right[k]) / static_cast<double>(either);
    ++classes;
  }
  return classes == 0 ? std::numeric_limits<double>::quiet_NaN() : sum / classes;
}

/// The harmonic mean of precision and recall of each class, and the mean of these over the classes
/// that are labelled or predicted (scikit-learn's `f1_score(average="macro")`). Its difference by a
/// paired bootstrap (Efron, Tibshirani 1993, ch. 6) with a fixed seed.
class MacroF1 final : public Metric {
 public:
  std::string_view name() const noexcept override { return "macro_f1"; }
  bool does(TaskKind task) const noexcept override { return task == TaskKind::kClasses; }
  bool lower_is_better() const noexcept override { return false; }
  double high() const noexcept override { return 1; }
  double value(const Answers& answers) const override { return macro_f1(class_counts(answers)); }
  std::optional<double> difference_error(const Answers& base,
                                         const Answers& candidate) const override {
    const std::size_t rows = base.rows();
    if (rows < 2) return std::nullopt;
    const std::vector<std::size_t> of_base = best_of(base);
    const std::vector<std::size_t> of_candidate = best_of(candidate);
    const std::size_t classes = base.task->classes.size();
    Draws draws;
    std::vector<double> differences;
    for (int resample = 0; resample < kResamples; ++resample) {
      ClassCounts before{std::vector<std::int64_t>(classes), std::vector<std::int64_t>(classes),
                         std::vector<std::int64_t>(classes)};
      ClassCounts after = before;
      for (std::size_t i = 0; i < rows; ++i) {
        const std::size_t row = draws.below(rows);
        const auto label = static_cast<std::size_t>(base.labels[row]);
        count(label, of_base[row], before);
        count(label, of_candidate[row], after);
      }
      differences.push_back(macro_f1(after) - macro_f1(before));
    }
    // The spread of the resamples is the error itself; `error_of_mean` is that of their mean.
    return *error_of_mean(differences) * std::sqrt(static_cast<double>(kResamples));
  }

 private:
  static std::vector<std::size_t> best_of(const Answers& answers) {
    std::vector<std::size_t> out;
    for (std::size_t i = 0; i < answers.rows(); ++i)
      out.push_back(Task::best(answers.margins_of(i)));
    return out;
  }
  static void count(std::size_t label, std::size_t predicted, ClassCounts& counts) {
    ++counts.labelled[label];
    ++counts.predicted[predicted];
    if (label == predicted) ++counts.right[label];
  }
};

}  // namespace

const Metric& macro_f1_metric() {
  static const MacroF1 row;
  return row;
}

}  // namespace heddle::stats
