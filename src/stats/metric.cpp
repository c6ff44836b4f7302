#include "stats/metric.hpp"

#include <cmath>

namespace heddle::stats {

Registry<Metric>& metrics() {
  static Registry<Metric> table({&auc_metric(), &log_loss_metric(), &calibration_error_metric(),
                                 &accuracy_metric(), &macro_f1_metric(), &recall_metric(),
                                 &mae_metric(), &rmse_metric(), &r2_metric(), &pinball_metric(),
                                 &coverage_metric()});
  return table;
}

std::vector<const Metric*> metrics_of(TaskKind task, bool has_interval) {
  std::vector<const Metric*> out;
  for (const Metric* metric : metrics().rows()) {
    if (metric->does(task) && (has_interval || !metric->needs_interval())) out.push_back(metric);
  }
  return out;
}

const Metric* find_metric(TaskKind task, std::string_view name) {
  for (const Metric* metric : metrics().rows()) {
    if (metric->does(task) && metric->name() == name) return metric;
  }
  return nullptr;
}

std::vector<std::string> metric_names(const Task& task, bool has_interval) {
  std::vector<std::string> out;
  for (const Metric* metric : metrics_of(task.kind, has_interval)) {
    const std::string name(metric->name());
    out.push_back(name);
    if (!metric->is_per_class()) continue;
    for (const auto& each : task.classes) out.push_back(name + "." + each);
  }
  return out;
}

const Metric& loss_metric(TaskKind task) {
  return task == TaskKind::kRegression ? mae_metric() : log_loss_metric();
}

std::optional<double> error_of_mean(const std::vector<double>& differences) {
  // Of one difference there is no variance to estimate.
  if (differences.size() < 2) return std::nullopt;
  const auto n = static_cast<double>(differences.size());
  double mean = 0;
  for (const double difference : differences) mean += difference / n;
  double squares = 0;
  for (const double difference : differences) squares += (difference - mean) * (difference - mean);
  return std::sqrt(squares / (n - 1) / n);
}

std::optional<double> error_of_rows(const Answers& base, const Answers& candidate,
                                    double (*of_row)(const Answers&, std::size_t)) {
  std::vector<double> differences;
  differences.reserve(base.rows());
  for (std::size_t i = 0; i < base.rows(); ++i)
    differences.push_back(of_row(candidate, i) - of_row(base, i));
  return error_of_mean(differences);
}

double squared_error_of_row(const Answers& answers, std::size_t row) {
  const double error = static_cast<double>(answers.margins[row]) - answers.labels[row];
  return error * error;
}

double mean_of_rows(const Answers& answers, double (*of_row)(const Answers&, std::size_t)) {
  if (answers.rows() == 0) return std::numeric_limits<double>::quiet_NaN();
  double sum = 0;
  for (std::size_t i = 0; i < answers.rows(); ++i) sum += of_row(answers, i);
  return sum / static_cast<double>(answers.rows());
}

ClassCounts class_counts(const Answers& answers) {
  const std::size_t classes = answers.task->classes.size();
  ClassCounts out;
  for (auto* counts : {&out.labelled, &out.predicted, &out.right}) counts->assign(classes, 0);
  for (std::size_t i = 0; i < answers.rows(); ++i) {
    const auto label = static_cast<std::size_t>(answers.labels[i]);
    const std::size_t predicted = Task::best(answers.margins_of(i));
    ++out.labelled[label];
    ++out.predicted[predicted];
    if (label == predicted) ++out.right[label];
  }
  return out;
}

}  // namespace heddle::stats
