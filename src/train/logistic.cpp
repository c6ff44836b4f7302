#include <charconv>
#include <cmath>

#include "model/logistic.hpp"
#include "stats/scalar.hpp"
#include "train/trainers.hpp"

namespace heddle::train {
namespace {

struct Options {
  double l2 = 1;
  int max_iterations = 30;
};

Result<Options> read_options(const spec::TrainerParameters& parameters) {
  Options options;
  for (const auto& [name, value] : parameters.values) {
    double number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    const bool numeric =
        error == std::errc() && end == value.data() + value.size() && std::isfinite(number);
    if (name == "l2" && numeric && number >= 0) {
      options.l2 = number;
    } else if (name == "max_iterations" && numeric && number >= 1 && number <= 1000) {
      options.max_iterations = static_cast<int>(number);
    } else {
      return Error{ErrorKind::kInvalid, "train-parameter",
                   fmt::format("trainer `logistic` cannot take `{}` = `{}`", name, value),
                   "it takes `l2` (0 or more) and `max_iterations` (1 to 1000)"};
    }
  }
  return options;
}

/// Solves `matrix` x = `right` for a symmetric positive definite matrix (lower triangle, n x n,
/// row-major) by Cholesky's decomposition, in place; false when it is not positive definite.
bool solve(std::vector<double>& matrix, std::vector<double>& right) {
  const std::size_t n = right.size();
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      double sum = matrix[i * n + j];
      for (std::size_t k = 0; k < j; ++k) sum -= matrix[i * n + k] * matrix[j * n + k];
      if (i == j) {
        if (!(sum > 0)) return false;
        matrix[i * n + i] = std::sqrt(sum);
      } else {
        matrix[i * n + j] = sum / matrix[j * n + j];
      }
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < i; ++k) right[i] -= matrix[i * n + k] * right[k];
    right[i] /= matrix[i * n + i];
  }
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t k = i + 1; k < n; ++k) right[i] -= matrix[k * n + i] * right[k];
    right[i] /= matrix[i * n + i];
  }
  return true;
}

/// Means over the rows that have a value, and standard deviations with the missing ones at the
/// mean; a constant column has scale 1.
void standardise(const RowsView& rows, model::LogisticWeights& out) {
  const auto columns = static_cast<std::size_t>(rows.columns);
  out.mean.assign(columns, 0);
  out.scale.assign(columns, 0);
  std::vector<std::int64_t> present(columns, 0);
  const auto visit = [&](auto&& act) {
    const float* row = rows.features;
    for (std::int64_t r = 0; r < rows.count; ++r, row += columns) {
      for (std::size_t c = 0; c < columns; ++c) {
        if (std::isfinite(row[c])) act(c, static_cast<double>(row[c]));
      }
    }
  };
  visit([&](std::size_t c, double x) {
    out.mean[c] += x;
    ++present[c];
  });
  for (std::size_t c = 0; c < columns; ++c)
    out.mean[c] /= static_cast<double>(std::max<std::int64_t>(present[c], 1));
  visit([&](std::size_t c, double x) { out.scale[c] += (x - out.mean[c]) * (x - out.mean[c]); });
  for (std::size_t c = 0; c < columns; ++c) {
    out.scale[c] = std::sqrt(out.scale[c] / static_cast<double>(rows.count));
    if (!(out.scale[c] > 1e-12 * (1 + std::abs(out.mean[c])))) out.scale[c] = 1;
  }
  out.missing = out.mean;
}

/// Penalised mean log loss at `beta` (intercept first) and, when asked for, its gradient and
/// Hessian (lower triangle).
double objective(const std::vector<double>& x, const RowsView& rows, double l2,
                 const std::vector<double>& beta, std::vector<double>* gradient,
                 std::vector<double>* hessian) {
  const std::size_t n = beta.size();
  if (gradient != nullptr) gradient->assign(n, 0);
  if (hessian != nullptr) hessian->assign(n * n, 0);
  double loss = 0;
  const double* row = x.data();
  for (std::int64_t r = 0; r < rows.count; ++r, row += n) {
    double margin = 0;
    for (std::size_t i = 0; i < n; ++i) margin += beta[i] * row[i];
    const bool positive = rows.labels[r] != 0;
    loss += stats::softplus(positive ? -margin : margin);
    if (gradient == nullptr) continue;
    const double p = stats::sigmoid(margin);
    const double residual = p - (positive ? 1 : 0);
    const double weight = p * (1 - p);
    for (std::size_t i = 0; i < n; ++i) {
      (*gradient)[i] += residual * row[i];
      const double scaled = weight * row[i];
      for (std::size_t j = 0; j <= i; ++j) (*hessian)[i * n + j] += scaled * row[j];
    }
  }
  for (std::size_t i = 1; i < n; ++i) {  // the intercept is free
    loss += 0.5 * l2 * beta[i] * beta[i];
    if (gradient == nullptr) continue;
    (*gradient)[i] += l2 * beta[i];
    (*hessian)[i * n + i] += l2;
  }
  return loss;
}

}  // namespace

// Newton-Raphson for logistic regression (Hastie, Tibshirani, Friedman, ESL 2nd ed., 4.4.1,
// eq. 4.26) with a ridge penalty and step halving; sums run in row order, so the same rows give the
// same bits.
Result<Trained> train_logistic(const TrainInput& input) {
  HEDDLE_ASSIGN_OR_RETURN(const Options options, read_options(input.parameters));
  const RowsView& rows = input.train;
  const auto columns = static_cast<std::size_t>(rows.columns);
  const std::size_t n = columns + 1;
  model::LogisticWeights weights;
  weights.features = input.feature_names;
  standardise(rows, weights);
  std::vector<double> x(static_cast<std::size_t>(rows.count) * n);
  for (std::int64_t r = 0; r < rows.count; ++r) {
    double* out = x.data() + static_cast<std::size_t>(r) * n;
    const float* row = rows.features + static_cast<std::size_t>(r) * columns;
    out[0] = 1;
    for (std::size_t c = 0; c < columns; ++c)
      out[c + 1] = std::isfinite(row[c]) ? (row[c] - weights.mean[c]) / weights.scale[c] : 0;
  }
  std::vector<double> beta(n, 0);
  std::vector<double> gradient;
  std::vector<double> hessian;
  Trained trained;
  double loss = objective(x, rows, options.l2, beta, &gradient, &hessian);
  for (int iteration = 0; iteration < options.max_iterations; ++iteration) {
    std::vector<double> step = gradient;
    // Equal columns without a penalty leave the Hessian singular; a small ridge picks the shortest
    // step.
    for (std::size_t i = 0; i < n; ++i)
      hessian[i * n + i] += 1e-9 * static_cast<double>(rows.count);
    if (!solve(hessian, step)) break;
    double scale = 1;
    double next = loss;
    std::vector<double> moved(n);
    for (int half = 0; half < 20; ++half, scale /= 2) {
      for (std::size_t i = 0; i < n; ++i) moved[i] = beta[i] - scale * step[i];
      next = objective(x, rows, options.l2, moved, nullptr, nullptr);
      if (next <= loss) break;
    }
    if (!(next <= loss)) break;
    const double gain = loss - next;
    beta = moved;
    trained.rounds = iteration + 1;
    loss = objective(x, rows, options.l2, beta, &gradient, &hessian);
    if (gain <= 1e-10 * (std::abs(loss) + 1)) break;
  }
  weights.intercept = beta[0];
  weights.weights.assign(beta.begin() + 1, beta.end());
  trained.model = model::to_json(weights);
  return trained;
}

}  // namespace heddle::train
