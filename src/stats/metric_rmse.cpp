#include <cmath>

#include "stats/metric.hpp"

namespace heddle::stats {
namespace {

/// Root of the mean squared error. The error of its difference by the delta method: that of a mean
/// of squares, each over twice the root.
class Rmse final : public Metric {
 public:
  std::string_view name() const noexcept override { return "rmse"; }
  bool does(TaskKind task) const noexcept override { return task == TaskKind::kRegression; }
  bool lower_is_better() const noexcept override { return true; }
  double value(const Answers& answers) const override {
    return std::sqrt(mean_of_rows(answers, squared_error_of_row));
  }
  std::optional<double> difference_error(const Answers& base,
                                         const Answers& candidate) const override {
    const double before = value(base);
    const double after = value(candidate);
    // A root of zero has no slope.
    if (!(before > 0) || !(after > 0)) return std::nullopt;
    std::vector<double> differences;
    for (std::size_t i = 0; i < base.rows(); ++i)
      differences.push_back(squared_error_of_row(candidate, i) / (2 * after) -
                            squared_error_of_row(base, i) / (2 * before));
    return error_of_mean(differences);
  }
};

}  // namespace

const Metric& rmse_metric() {
  static const Rmse row;
  return row;
}

}  // namespace heddle::stats
