#include "stats/metric.hpp"

namespace heddle::stats {
namespace {

double is_right(double margin, bool label) { return (margin >= 0) == label ? 1 : 0; }

/// Share of rows whose label is the likelier one.
class Accuracy final : public Metric {
 public:
  std::string_view name() const noexcept override { return "accuracy"; }
  bool lower_is_better() const noexcept override { return false; }
  double high() const noexcept override { return 1; }
  double value(const Answers& answers) const override {
    std::int64_t right = 0;
    for (std::size_t i = 0; i < answers.labels.size(); ++i)
      right += (answers.margins[i] >= 0) == (answers.labels[i] != 0);
    return static_cast<double>(right) / static_cast<double>(answers.labels.size());
  }
  std::optional<double> difference_error(const Answers& base,
                                         const Answers& candidate) const override {
    return error_of_loss(base, candidate, is_right);
  }
};

}  // namespace

const Metric& accuracy_metric() {
  static const Accuracy row;
  return row;
}

}  // namespace heddle::stats
