#include "stats/metric.hpp"

namespace heddle::stats {
namespace {

double is_right(const Answers& answers, std::size_t row) {
  const auto margins = answers.margins_of(row);
  const double likelier = answers.task->kind == TaskKind::kBinary
                              ? (margins[0] >= 0 ? 1.0 : 0.0)
                              : static_cast<double>(Task::best(margins));
  return likelier == answers.labels[row] ? 1 : 0;
}

/// Share of rows whose label is the most probable one.
class Accuracy final : public Metric {
 public:
  std::string_view name() const noexcept override { return "accuracy"; }
  bool does(TaskKind task) const noexcept override { return task != TaskKind::kRegression; }
  bool lower_is_better() const noexcept override { return false; }
  double high() const noexcept override { return 1; }
  double value(const Answers& answers) const override { return mean_of_rows(answers, is_right); }
  std::optional<double> difference_error(const Answers& base,
                                         const Answers& candidate) const override {
    return error_of_rows(base, candidate, is_right);
  }
};

}  // namespace

const Metric& accuracy_metric() {
  static const Accuracy row;
  return row;
}

}  // namespace heddle::stats
