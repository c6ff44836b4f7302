#include <cmath>
#include <deque>
#include <numeric>

#include "stats/scalar.hpp"
#include "trainer/standardise.hpp"
#include "trainer/trainer.hpp"

namespace heddle::trainer {
namespace {

constexpr Parameter kLogisticParameters[] = {
    {"l2", "l2"},
    {"max_iterations", "max_iterations", Parameter::Kind::kInteger, 1, 1000},
};

struct Options {
  double l2 = 1;
  int max_iterations = 0;  ///< 0: as the algorithm needs
};

Options options_of(const Parameters& parameters) {
  Options options;
  for (const auto& [name, value] : parameters.values) {
    if (name == "l2") options.l2 = *parse_real(value);
    if (name == "max_iterations") options.max_iterations = static_cast<int>(*parse_integer(value));
  }
  return options;
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

/// What an optimiser came to.
struct Optimum {
  std::vector<double> beta;
  int steps = 0;
};

// Newton-Raphson for logistic regression (Hastie, Tibshirani, Friedman, ESL 2nd ed., 4.4.1,
// eq. 4.26) with a ridge penalty and step halving; sums run in row order, so the same rows give the
// same bits.
Optimum fit_binary(const std::vector<double>& x, const RowsView& rows, const Options& options) {
  constexpr int kSteps = 30;
  const std::size_t n = static_cast<std::size_t>(rows.columns) + 1;
  Optimum out{std::vector<double>(n, 0), 0};
  std::vector<double> gradient;
  std::vector<double> hessian;
  double loss = objective(x, rows, options.l2, out.beta, &gradient, &hessian);
  const int most = options.max_iterations > 0 ? options.max_iterations : kSteps;
  for (int iteration = 0; iteration < most; ++iteration) {
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
      for (std::size_t i = 0; i < n; ++i) moved[i] = out.beta[i] - scale * step[i];
      next = objective(x, rows, options.l2, moved, nullptr, nullptr);
      if (next <= loss) break;
    }
    // Twenty halvings and no lower: what is there is as good as the arithmetic allows.
    if (!(next <= loss)) break;
    const double gain = loss - next;
    out.beta = moved;
    out.steps = iteration + 1;
    loss = objective(x, rows, options.l2, out.beta, &gradient, &hessian);
    if (gain <= 1e-10 * (std::abs(loss) + 1)) break;
  }
  return out;
}

/// Penalised multinomial log loss at `beta` (classes x n, intercepts first in each line) and its
/// gradient.
double softmax_objective(const std::vector<double>& x, const RowsView& rows, std::size_t classes,
                         double l2, const std::vector<double>& beta,
                         std::vector<double>& gradient) {
  const std::size_t n = beta.size() / classes;
  gradient.assign(beta.size(), 0);
  std::vector<double> margins(classes);
  double loss = 0;
  const double* row = x.data();
  for (std::int64_t r = 0; r < rows.count; ++r, row += n) {
    for (std::size_t k = 0; k < classes; ++k)
      margins[k] = std::inner_product(row, row + n, beta.data() + k * n, 0.0);
    const auto label = static_cast<std::size_t>(rows.labels[r]);
    // Taken off before the exponential, which would overflow.
    const double largest = *std::max_element(margins.begin(), margins.end());
    const double of_label = margins[label] - largest;
    double sum = 0;
    for (double& margin : margins) sum += margin = stats::exp(margin - largest);
    loss += stats::log(sum) - of_label;
    for (std::size_t k = 0; k < classes; ++k) {
      const double residual = margins[k] / sum - (k == label ? 1 : 0);
      double* line = gradient.data() + k * n;
      for (std::size_t i = 0; i < n; ++i) line[i] += residual * row[i];
    }
  }
  for (std::size_t at = 0; at < beta.size(); ++at) {
    if (at % n == 0) continue;  // intercepts are free
    loss += 0.5 * l2 * beta[at] * beta[at];
    gradient[at] += l2 * beta[at];
  }
  return loss;
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

/// How far one step went, and how much the gradient changed by it.
struct Correction {
  std::vector<double> step;
  std::vector<double> change;
  double product = 0;  ///< of the two; above 0
};

/// The two-loop recursion of L-BFGS (Nocedal, Wright, Numerical Optimization 2nd ed., algorithm
/// 7.4): the gradient times the inverse Hessian that the corrections describe.
std::vector<double> direction_of(std::vector<double> gradient,
                                 const std::deque<Correction>& corrections) {
  std::vector<double> alphas(corrections.size());
  for (std::size_t c = corrections.size(); c-- > 0;) {
    const Correction& each = corrections[c];
    alphas[c] = dot(each.step, gradient) / each.product;
    for (std::size_t i = 0; i < gradient.size(); ++i) gradient[i] -= alphas[c] * each.change[i];
  }
  if (!corrections.empty()) {
    const Correction& last = corrections.back();
    const double scale = last.product / dot(last.change, last.change);
    for (double& each : gradient) each *= scale;
  }
  for (std::size_t c = 0; c < corrections.size(); ++c) {
    const Correction& each = corrections[c];
    const double beta = dot(each.change, gradient) / each.product;
    for (std::size_t i = 0; i < gradient.size(); ++i)
      gradient[i] += (alphas[c] - beta) * each.step[i];
  }
  return gradient;
}

/// Multinomial logistic regression by L-BFGS with backtracking: the Hessian of many classes is too
/// large for Newton's method. From zero on, where the classes are alike.
Optimum fit_classes(const std::vector<double>& x, const RowsView& rows, std::size_t classes,
                    const Options& options) {
  constexpr int kSteps = 200;
  constexpr std::size_t kCorrections = 10;
  Optimum out{std::vector<double>(classes * (static_cast<std::size_t>(rows.columns) + 1), 0), 0};
  std::vector<double> gradient;
  double loss = softmax_objective(x, rows, classes, options.l2, out.beta, gradient);
  std::deque<Correction> corrections;
  const int most = options.max_iterations > 0 ? options.max_iterations : kSteps;
  while (out.steps < most) {
    const std::vector<double> direction = direction_of(gradient, corrections);
    const double slope = dot(direction, gradient);
    // Not downhill, or not a number.
    if (!(slope > 0)) break;
    // The first step has no curvature to go by: the residuals' scale bounds it.
    double scale = corrections.empty() ? 1 / std::sqrt(dot(gradient, gradient)) : 1;
    std::vector<double> moved(out.beta.size());
    std::vector<double> next_gradient;
    double next = loss;
    bool is_lower = false;
    for (int half = 0; half < 30 && !is_lower; ++half, scale /= 2) {
      for (std::size_t i = 0; i < moved.size(); ++i) moved[i] = out.beta[i] - scale * direction[i];
      next = softmax_objective(x, rows, classes, options.l2, moved, next_gradient);
      is_lower = next <= loss - 1e-4 * scale * slope;
    }
    if (!is_lower) break;
    Correction correction{moved, next_gradient, 0};
    for (std::size_t i = 0; i < moved.size(); ++i) {
      correction.step[i] -= out.beta[i];
      correction.change[i] -= gradient[i];
    }
    correction.product = dot(correction.step, correction.change);
    const double gain = loss - next;
    out.beta = std::move(moved);
    gradient = std::move(next_gradient);
    loss = next;
    ++out.steps;
    // A step without curvature says nothing of the Hessian.
    if (correction.product > 0) corrections.push_back(std::move(correction));
    if (corrections.size() > kCorrections) corrections.pop_front();
    if (gain <= 1e-9 * (std::abs(loss) + 1)) break;
  }
  return out;
}

/// Logistic regression with an L2 penalty on the weights of standardised inputs; of several classes
/// multinomial.
class Logistic final : public Trainer {
 public:
  std::string_view name() const noexcept override { return "logistic"; }
  bool does(stats::TaskKind task) const noexcept override {
    return task != stats::TaskKind::kRegression;
  }
  std::span<const Parameter> parameters(stats::TaskKind) const override {
    return kLogisticParameters;
  }

  Result<Fitted> train(const Input& input) const override {
    const Options options = options_of(input.parameters);
    const bool is_binary = input.task.kind == stats::TaskKind::kBinary;
    model::StandardisedLinear model;
    model.link = is_binary ? model::Link::kLogistic : model::Link::kSoftmax;
    model.features = input.feature_names;
    standardise(input.train, model);
    const std::vector<double> x = design_of(input.train, model);
    const std::size_t outputs = input.task.outputs();
    const Optimum found = is_binary ? fit_binary(x, input.train, options)
                                    : fit_classes(x, input.train, outputs, options);
    const std::size_t n = model.mean.size() + 1;
    for (std::size_t k = 0; k < outputs; ++k) {
      const auto line = found.beta.begin() + static_cast<std::ptrdiff_t>(k * n);
      model.intercepts.push_back(*line);
      model.weights.insert(model.weights.end(), line + 1, line + static_cast<std::ptrdiff_t>(n));
    }
    return Fitted{model::to_json(model), found.steps};
  }
};

}  // namespace

const Trainer& logistic_trainer() {
  static const Logistic row;
  return row;
}

}  // namespace heddle::trainer
