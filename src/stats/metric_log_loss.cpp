#include "stats/metric.hpp"
#include "stats/quality.hpp"

namespace heddle::stats {
namespace {

double log_loss_of_row(const Answers& answers, std::size_t row) {
  return row_loss(*answers.task, answers.margins_of(row), answers.labels[row]);
}

/// Mean negative log likelihood, natural log; of several classes the multinomial one.
class LogLoss final : public Metric {
 public:
  std::string_view name() const noexcept override { return "log_loss"; }
  bool does(TaskKind task) const noexcept override { return task != TaskKind::kRegression; }
  bool lower_is_better() const noexcept override { return true; }
  double value(const Answers& answers) const override {
    return mean_of_rows(answers, log_loss_of_row);
  }
  std::optional<double> difference_error(const Answers& base,
                                         const Answers& candidate) const override {
    return error_of_rows(base, candidate, log_loss_of_row);
  }
};

}  // namespace

const Metric& log_loss_metric() {
  static const LogLoss row;
  return row;
}

}  // namespace heddle::stats
