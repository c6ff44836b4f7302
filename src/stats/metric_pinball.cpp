#include <algorithm>

#include "stats/metric.hpp"

namespace heddle::stats {
namespace {

/// Quantile loss (Koenker, Bassett 1978) of `answer` as the quantile `share`.
double loss_at(double share, double answer, double label) {
  const double over = label - answer;
  return std::max(share * over, (share - 1) * over);
}

double pinball_loss_of_row(const Answers& answers, std::size_t row) {
  const double label = answers.labels[row];
  const double value = static_cast<double>(answers.margins[row]);
  if (!answers.interval) return loss_at(.5, value, label);
  const double tail = (1 - answers.interval->coverage) / 2;
  const double quantile = answers.interval->quantile;
  return (loss_at(tail, value - quantile, label) + loss_at(1 - tail, value + quantile, label)) / 2;
}

/// The mean quantile loss of the two ends of the interval; without one that of the value as the
/// median.
class Pinball final : public Metric {
 public:
  std::string_view name() const noexcept override { return "pinball"; }
  bool does(TaskKind task) const noexcept override { return task == TaskKind::kRegression; }
  bool lower_is_better() const noexcept override { return true; }
  double value(const Answers& answers) const override {
    return mean_of_rows(answers, pinball_loss_of_row);
  }
  std::optional<double> difference_error(const Answers& base,
                                         const Answers& candidate) const override {
    return error_of_rows(base, candidate, pinball_loss_of_row);
  }
};

}  // namespace

const Metric& pinball_metric() {
  static const Pinball row;
  return row;
}

}  // namespace heddle::stats
