#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/registry.hpp"
#include "stats/conformal.hpp"
#include "stats/task.hpp"

namespace heddle::stats {

/// What a model answered to labelled rows of a task. Borrowed.
struct Answers {
  const Task* task = nullptr;
  std::span<const float> margins{};      ///< rows x task outputs, calibration included
  std::span<const float> predictions{};  ///< of the same, by Task::predict
  std::span<const double> labels{};      ///< codes, one a row
  std::optional<Conformal> interval{};   ///< of the model, where it has one

  [[nodiscard]] std::size_t rows() const noexcept { return labels.size(); }
  [[nodiscard]] std::span<const float> margins_of(std::size_t row) const noexcept {
    return margins.subspan(row * task->outputs(), task->outputs());
  }
  [[nodiscard]] std::span<const float> prediction_of(std::size_t row) const noexcept {
    return predictions.subspan(row * task->outputs(), task->outputs());
  }
};

/// A number that says how good answers are. A constant object without state; one class, one file,
/// one row in `metrics()`.
class Metric {
 public:
  virtual ~Metric() = default;
  /// As an Evaluation and its gates name it.
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;
  /// Whether it measures models of this task.
  [[nodiscard]] virtual bool does(TaskKind task) const noexcept = 0;
  /// Whether it measures models with an interval only.
  [[nodiscard]] virtual bool needs_interval() const noexcept { return false; }
  [[nodiscard]] virtual bool lower_is_better() const noexcept = 0;
  /// The values that it can take, for gates that can never pass or never fail.
  [[nodiscard]] virtual double low() const noexcept { return 0; }
  [[nodiscard]] virtual double high() const noexcept {
    return std::numeric_limits<double>::infinity();
  }
  /// NaN where the rows cannot tell.
  [[nodiscard]] virtual double value(const Answers& answers) const = 0;
  /// Standard error of the difference of two models on the same rows, paired by row; nullopt: it is
  /// not known.
  [[nodiscard]] virtual std::optional<double> difference_error(const Answers& base,
                                                               const Answers& candidate) const = 0;
  /// Whether it has a number of each class beside: `NAME.CLASS`, in the same range.
  [[nodiscard]] virtual bool is_per_class() const noexcept { return false; }
  [[nodiscard]] virtual std::vector<double> class_values(const Answers&) const { return {}; }
};

/// The table of metrics. Two of a task never have one name.
[[nodiscard]] Registry<Metric>& metrics();
/// Those of a task, in the order of the table: the loss and what people read first come first.
[[nodiscard]] std::vector<const Metric*> metrics_of(TaskKind task, bool has_interval = false);
/// The metric of that name that measures the task; null: there is none.
[[nodiscard]] const Metric* find_metric(TaskKind task, std::string_view name);
/// The names of all numbers that a task's metrics have, those of its classes included.
[[nodiscard]] std::vector<std::string> metric_names(const Task& task, bool has_interval = false);
/// What the search, early stopping and comparisons judge by: `log_loss`, of a regression `mae`.
[[nodiscard]] const Metric& loss_metric(TaskKind task);

/// Standard error of the mean of the differences; nullopt for less than two rows.
[[nodiscard]] std::optional<double> error_of_mean(const std::vector<double>& differences);
/// The same of `of_row(answers, row)`, a number of each row of two models.
[[nodiscard]] std::optional<double> error_of_rows(const Answers& base, const Answers& candidate,
                                                  double (*of_row)(const Answers&, std::size_t));
/// The mean of a number of each row; NaN without rows.
[[nodiscard]] double mean_of_rows(const Answers& answers,
                                  double (*of_row)(const Answers&, std::size_t));

/// The squared difference of a number that is predicted to its label.
[[nodiscard]] double squared_error_of_row(const Answers& answers, std::size_t row);

/// Rows of each class: by their labels, by the most probable class, and by both.
struct ClassCounts {
  std::vector<std::int64_t> labelled{};
  std::vector<std::int64_t> predicted{};
  std::vector<std::int64_t> right{};
};
[[nodiscard]] ClassCounts class_counts(const Answers& answers);

// The rows of the table.
[[nodiscard]] const Metric& auc_metric();
[[nodiscard]] const Metric& log_loss_metric();
[[nodiscard]] const Metric& calibration_error_metric();
[[nodiscard]] const Metric& accuracy_metric();
[[nodiscard]] const Metric& macro_f1_metric();
[[nodiscard]] const Metric& recall_metric();
[[nodiscard]] const Metric& mae_metric();
[[nodiscard]] const Metric& rmse_metric();
[[nodiscard]] const Metric& r2_metric();
[[nodiscard]] const Metric& pinball_metric();
[[nodiscard]] const Metric& coverage_metric();

}  // namespace heddle::stats
