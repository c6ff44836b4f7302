#include "stats/conformal.hpp"
#include "stats/metric.hpp"

namespace heddle::stats {
namespace {

double is_held(const Answers& answers, std::size_t row) {
  return holds(*answers.task, answers.prediction_of(row), answers.labels[row],
               answers.interval->quantile)
             ? 1
             : 0;
}

/// Share of true values that the interval or the set of their row holds.
class Coverage final : public Metric {
 public:
  std::string_view name() const noexcept override { return "coverage"; }
  bool does(TaskKind task) const noexcept override { return task != TaskKind::kBinary; }
  bool needs_interval() const noexcept override { return true; }
  bool lower_is_better() const noexcept override { return false; }
  double high() const noexcept override { return 1; }
  double value(const Answers& answers) const override { return mean_of_rows(answers, is_held); }
  std::optional<double> difference_error(const Answers& base,
                                         const Answers& candidate) const override {
    return error_of_rows(base, candidate, is_held);
  }
};

}  // namespace

const Metric& coverage_metric() {
  static const Coverage row;
  return row;
}

}  // namespace heddle::stats
