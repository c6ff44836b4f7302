#include <cmath>

#include "stats/metric.hpp"

namespace heddle::stats {
namespace {

struct Spread {
  double mean = 0;
  double variance = 0;  ///< over all rows
};

Spread spread_of(std::span<const double> labels) {
  const auto n = static_cast<double>(labels.size());
  Spread out;
  for (const double label : labels) out.mean += label / n;
  for (const double label : labels) out.variance += (label - out.mean) * (label - out.mean) / n;
  return out;
}

/// Coefficient of determination: one less the mean squared error over the variance of the labels.
/// NaN where the labels are all the same.
class R2 final : public Metric {
 public:
  std::string_view name() const noexcept override { return "r2"; }
  bool does(TaskKind task) const noexcept override { return task == TaskKind::kRegression; }
  bool lower_is_better() const noexcept override { return false; }
  double low() const noexcept override { return -std::numeric_limits<double>::infinity(); }
  double high() const noexcept override { return 1; }
  double value(const Answers& answers) const override {
    const double variance = spread_of(answers.labels).variance;
    if (!(variance > 0)) return std::numeric_limits<double>::quiet_NaN();
    return 1 - mean_of_rows(answers, squared_error_of_row) / variance;
  }
  /// By the delta method, the variance of the labels being a mean over the same rows.
  std::optional<double> difference_error(const Answers& base,
                                         const Answers& candidate) const override {
    const Spread spread = spread_of(base.labels);
    if (!(spread.variance > 0)) return std::nullopt;
    const double gain =
        mean_of_rows(base, squared_error_of_row) - mean_of_rows(candidate, squared_error_of_row);
    std::vector<double> differences;
    for (std::size_t i = 0; i < base.rows(); ++i) {
      const double from_mean = base.labels[i] - spread.mean;
      differences.push_back((squared_error_of_row(base, i) - squared_error_of_row(candidate, i)) /
                                spread.variance -
                            gain * from_mean * from_mean / (spread.variance * spread.variance));
    }
    return error_of_mean(differences);
  }
};

}  // namespace

const Metric& r2_metric() {
  static const R2 row;
  return row;
}

}  // namespace heddle::stats
