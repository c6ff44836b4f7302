#include <cmath>

#include "stats/metric.hpp"
#include "stats/metrics.hpp"

namespace heddle::stats {
namespace {

/// Area under the ROC curve; its difference by DeLong.
class Auc final : public Metric {
 public:
  std::string_view name() const noexcept override { return "auc"; }
  bool does(TaskKind task) const noexcept override { return task == TaskKind::kBinary; }
  bool lower_is_better() const noexcept override { return false; }
  double high() const noexcept override { return 1; }
  double value(const Answers& answers) const override {
    return auc(answers.predictions, answers.labels);
  }
  std::optional<double> difference_error(const Answers& base,
                                         const Answers& candidate) const override {
    const double error = auc_difference_error(base.predictions, candidate.predictions, base.labels);
    return std::isnan(error) ? std::nullopt : std::optional(error);
  }
};

}  // namespace

const Metric& auc_metric() {
  static const Auc row;
  return row;
}

}  // namespace heddle::stats
