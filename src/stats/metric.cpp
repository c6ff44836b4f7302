#include "stats/metric.hpp"

#include <cmath>

namespace heddle::stats {

Registry<Metric>& metrics() {
  static Registry<Metric> table(
      {&auc_metric(), &log_loss_metric(), &calibration_error_metric(), &accuracy_metric()});
  return table;
}

std::optional<double> error_of_mean(const std::vector<double>& differences) {
  if (differences.size() < 2) return std::nullopt;
  const auto n = static_cast<double>(differences.size());
  double mean = 0;
  for (const double difference : differences) mean += difference / n;
  double squares = 0;
  for (const double difference : differences) squares += (difference - mean) * (difference - mean);
  return std::sqrt(squares / (n - 1) / n);
}

std::optional<double> error_of_loss(const Answers& base, const Answers& candidate,
                                    double (*loss)(double, bool)) {
  std::vector<double> differences;
  differences.reserve(base.labels.size());
  for (std::size_t i = 0; i < base.labels.size(); ++i) {
    const bool label = base.labels[i] != 0;
    differences.push_back(loss(static_cast<double>(candidate.margins[i]), label) -
                          loss(static_cast<double>(base.margins[i]), label));
  }
  return error_of_mean(differences);
}

}  // namespace heddle::stats
