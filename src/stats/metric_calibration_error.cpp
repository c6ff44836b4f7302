#include <cmath>

#include "stats/metric.hpp"
#include "stats/metrics.hpp"

namespace heddle::stats {
namespace {

/// Its difference by a paired bootstrap.
class CalibrationError final : public Metric {
 public:
  std::string_view name() const noexcept override { return "calibration_error"; }
  bool does(TaskKind task) const noexcept override { return task == TaskKind::kBinary; }
  bool lower_is_better() const noexcept override { return true; }
  double high() const noexcept override { return 1; }
  double value(const Answers& answers) const override {
    return calibration_error(answers.predictions, answers.labels);
  }
  std::optional<double> difference_error(const Answers& base,
                                         const Answers& candidate) const override {
    const double error =
        calibration_difference_error(base.predictions, candidate.predictions, base.labels);
    return std::isnan(error) ? std::nullopt : std::optional(error);
  }
};

}  // namespace

const Metric& calibration_error_metric() {
  static const CalibrationError row;
  return row;
}

}  // namespace heddle::stats
