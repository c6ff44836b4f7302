#include "stats/metric.hpp"
#include "stats/quality.hpp"

namespace heddle::stats {
namespace {

double absolute_error_of_row(const Answers& answers, std::size_t row) {
  return row_loss(*answers.task, answers.margins_of(row), answers.labels[row]);
}

/// Mean absolute error.
class Mae final : public Metric {
 public:
  std::string_view name() const noexcept override { return "mae"; }
  bool does(TaskKind task) const noexcept override { return task == TaskKind::kRegression; }
  bool lower_is_better() const noexcept override { return true; }
  double value(const Answers& answers) const override {
    return mean_of_rows(answers, absolute_error_of_row);
  }
  std::optional<double> difference_error(const Answers& base,
                                         const Answers& candidate) const override {
    return error_of_rows(base, candidate, absolute_error_of_row);
  }
};

}  // namespace

const Metric& mae_metric() {
  static const Mae row;
  return row;
}

}  // namespace heddle::stats
