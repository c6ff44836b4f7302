#include "trainer/standardise.hpp"
#include "trainer/trainer.hpp"

namespace heddle::trainer {
namespace {

constexpr Parameter kRidgeParameters[] = {{"l2", "l2"}};

/// Least squares with an L2 penalty on the weights of standardised inputs, the intercept free
/// (Hoerl, Kennard 1970), by the normal equations; sums run in row order, so the same rows give the
/// same bits.
class Ridge final : public Trainer {
 public:
  std::string_view name() const noexcept override { return "ridge"; }
  bool does(stats::TaskKind task) const noexcept override {
    return task == stats::TaskKind::kRegression;
  }
  std::span<const Parameter> parameters(stats::TaskKind) const override { return kRidgeParameters; }

  Result<Fitted> train(const Input& input) const override {
    double l2 = 1;
    for (const auto& [name, value] : input.parameters.values) l2 = *parse_real(value);
    const RowsView& rows = input.train;
    model::StandardisedLinear model;
    model.link = model::Link::kIdentity;
    model.features = input.feature_names;
    standardise(rows, model);
    const std::size_t n = model.mean.size() + 1;
    const std::vector<double> x = design_of(rows, model);
    // Around the mean of the target: less is lost in the sums.
    double mean = 0;
    for (std::int64_t r = 0; r < rows.count; ++r)
      mean += rows.labels[r] / static_cast<double>(rows.count);
    std::vector<double> matrix(n * n, 0);
    std::vector<double> beta(n, 0);
    const double* row = x.data();
    for (std::int64_t r = 0; r < rows.count; ++r, row += n) {
      for (std::size_t i = 0; i < n; ++i) {
        beta[i] += row[i] * (rows.labels[r] - mean);
        for (std::size_t j = 0; j <= i; ++j) matrix[i * n + j] += row[i] * row[j];
      }
    }
    for (std::size_t i = 0; i < n; ++i) {
      // Equal columns without a penalty leave the matrix singular; a small ridge picks the shortest
      // solution. The intercept is free but for that.
      matrix[i * n + i] += (i == 0 ? 0 : l2) + 1e-9 * static_cast<double>(rows.count);
    }
    if (!solve(matrix, beta)) {
      return Error{ErrorKind::kUnprocessable, "train-not-finite",
                   "the least squares of the training rows have no solution in numbers",
                   "look for extreme values in the features and the target, and bound the fields"};
    }
    model.intercepts = {beta[0] + mean};
    model.weights.assign(beta.begin() + 1, beta.end());
    return Fitted{model::to_json(model), 1};
  }
};

}  // namespace

const Trainer& ridge_trainer() {
  static const Ridge row;
  return row;
}

}  // namespace heddle::trainer
