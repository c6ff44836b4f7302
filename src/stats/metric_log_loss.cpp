#include <algorithm>
#include <cmath>

#include "stats/metric.hpp"
#include "stats/metrics.hpp"

namespace heddle::stats {
namespace {

/// log(1 + exp(x)) without overflow, x against the label.
double loss_of(double margin, bool label) {
  const double against = label ? -margin : margin;
  return std::max(against, 0.0) + std::log1p(std::exp(-std::abs(against)));
}

class LogLoss final : public Metric {
 public:
  std::string_view name() const noexcept override { return "log_loss"; }
  bool lower_is_better() const noexcept override { return true; }
  double value(const Answers& answers) const override {
    return log_loss_of_margins(answers.margins, answers.labels);
  }
  std::optional<double> difference_error(const Answers& base,
                                         const Answers& candidate) const override {
    return error_of_loss(base, candidate, loss_of);
  }
};

}  // namespace

const Metric& log_loss_metric() {
  static const LogLoss row;
  return row;
}

}  // namespace heddle::stats
