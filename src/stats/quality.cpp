#include "stats/quality.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "stats/scalar.hpp"

#include "stats/nan.hpp"

namespace heddle::stats {
namespace {

constexpr double kMostOffset = 20;  ///< logits: beyond it a probability is 0 or 1 to 9 digits
constexpr double kMostMove = 2;     ///< logits that one step of Newton's method may take
constexpr int kMostSteps = 100;
constexpr double kSettled = 1e-10;  ///< logits of a step that changes nothing any more

double offset_of(std::span<const double> offsets, std::size_t output) {
  return offsets.empty() ? 0 : offsets[output];
}

/// ln of the sum of e^(margin + offset), without overflow.
double log_sum_exp(std::span<const float> margins, std::span<const double> offsets) {
  double largest = -std::numeric_limits<double>::infinity();
  for (std::size_t k = 0; k < margins.size(); ++k)
    largest = std::max(largest, static_cast<double>(margins[k]) + offset_of(offsets, k));
  double sum = 0;
  for (std::size_t k = 0; k < margins.size(); ++k)
    sum += exp(static_cast<double>(margins[k]) + offset_of(offsets, k) - largest);
  return largest + log(sum);
}

std::vector<double> rows_of_classes(std::span<const double> codes, std::size_t classes) {
  std::vector<double> rows(classes, 0.0);
  for (const double code : codes) rows[static_cast<std::size_t>(code)] += 1;
  return rows;
}

double refit_intercept(std::span<const float> margins, std::span<const double> codes) {
  double b = 0;
  for (int step = 0; step < kMostSteps; ++step) {
    double gradient = 0;
    double curvature = 0;
    for (std::size_t i = 0; i < margins.size(); ++i) {
      const double p = sigmoid(static_cast<double>(margins[i]) + b);
      gradient += (codes[i] != 0 ? 1.0 : 0.0) - p;
      curvature += p * (1 - p);
    }
    const double move = std::clamp(gradient / std::max(curvature, 1e-12), -kMostMove, kMostMove);
    b = std::clamp(b + move, -kMostOffset, kMostOffset);
    if (std::abs(move) < kSettled || std::abs(b) == kMostOffset) break;
  }
  return b;
}

/// Intercepts of several classes. A row costs what its probabilities cost, not their square: the
/// Hessian, of as many rows and columns as classes, is only ever multiplied by a vector.
class ClassIntercepts {
 public:
  ClassIntercepts(std::size_t classes, std::span<const float> margins,
                  std::span<const double> codes)
      : classes_(classes),
        margins_(margins),
        probabilities_(margins.size()),
        expected_(classes),
        wanted_(rows_of_classes(codes, classes)) {
    (void)look_at(std::vector<double>(classes, 0.0));
    double sum = 0;
    for (std::size_t k = 0; k < classes; ++k) {
      if (wanted_[k] == 0) wanted_[k] = std::min(0.5, expected_[k]);
      sum += wanted_[k];
    }
    for (double& rows : wanted_) rows *= static_cast<double>(codes.size()) / sum;
  }

  std::vector<double> fit() {
    std::vector<double> offsets(classes_, 0.0);
    double loss = look_at(offsets);
    for (int step = 0; step < kMostSteps; ++step) {
      std::vector<double> move = newton_step();
      double largest = 0;
      for (const double m : move) largest = std::max(largest, std::abs(m));
      if (largest < kSettled) break;
      double scale = std::min(1.0, kMostMove / largest);
      std::vector<double> next(classes_);
      double after = 0;
      // A step that is too long for the curvature where it ends is halved.
      for (;; scale /= 2) {
        for (std::size_t k = 0; k < classes_; ++k) next[k] = offsets[k] + scale * move[k];
        after = look_at(next);
        if (after <= loss || scale * largest < kSettled) break;
      }
      if (!(after < loss)) break;
      offsets = next;
      loss = after;
    }
    // Only differences count.
    for (std::size_t k = classes_; k-- > 0;)
      offsets[k] = std::clamp(offsets[k] - offsets[0], -kMostOffset, kMostOffset);
    return offsets;
  }

 private:
  std::span<const float> row(std::size_t i) const {
    return margins_.subspan(i * classes_, classes_);
  }

  /// The negative log likelihood at these offsets; keeps the probabilities and their sums.
  double look_at(const std::vector<double>& offsets) {
    std::fill(expected_.begin(), expected_.end(), 0.0);
    double sum = 0;
    for (std::size_t i = 0; i * classes_ < margins_.size(); ++i) {
      const double log_sum = log_sum_exp(row(i), offsets);
      sum += log_sum;
      for (std::size_t k = 0; k < classes_; ++k) {
        const double p = exp(static_cast<double>(row(i)[k]) + offsets[k] - log_sum);
        expected_[k] += p;
        probabilities_[i * classes_ + k] = static_cast<float>(p);
      }
    }
    for (std::size_t k = 0; k < classes_; ++k) sum -= wanted_[k] * offsets[k];
    return sum;
  }

  std::vector<double> times_hessian(const std::vector<double>& v) const {
    std::vector<double> out(classes_, 0.0);
    for (std::size_t i = 0; i * classes_ < margins_.size(); ++i) {
      const float* p = &probabilities_[i * classes_];
      double along = 0;
      for (std::size_t k = 0; k < classes_; ++k) along += static_cast<double>(p[k]) * v[k];
      for (std::size_t k = 0; k < classes_; ++k)
        out[k] += static_cast<double>(p[k]) * (v[k] - along);
    }
    return out;
  }

  std::vector<double> diagonal() const {
    std::vector<double> out(classes_, 0.0);
    for (std::size_t i = 0; i < probabilities_.size(); ++i) {
      const auto p = static_cast<double>(probabilities_[i]);
      out[i % classes_] += p * (1 - p);
    }
    for (double& d : out) d = std::max(d, 1e-12);
    return out;
  }

  /// Conjugate gradients with the diagonal as preconditioner. That the Hessian is flat along the
  /// vector of ones does no harm: the gradient has nothing in that direction.
  std::vector<double> newton_step() const {
    const std::vector<double> scale = diagonal();
    std::vector<double> x(classes_, 0.0);
    std::vector<double> residual(classes_);
    std::vector<double> z(classes_);
    double rz = 0;
    for (std::size_t k = 0; k < classes_; ++k) {
      residual[k] = wanted_[k] - expected_[k];
      z[k] = residual[k] / scale[k];
      rz += residual[k] * z[k];
    }
    const double enough = 1e-4 * rz;  // of the square: each step leaves a hundredth
    std::vector<double> direction = z;
    for (std::size_t step = 0; step < classes_ && rz > enough && rz > 0; ++step) {
      const std::vector<double> curved = times_hessian(direction);
      double curvature = 0;
      for (std::size_t k = 0; k < classes_; ++k) curvature += direction[k] * curved[k];
      if (!(curvature > 0)) break;
      const double length = rz / curvature;
      double next = 0;
      for (std::size_t k = 0; k < classes_; ++k) {
        x[k] += length * direction[k];
        residual[k] -= length * curved[k];
        z[k] = residual[k] / scale[k];
        next += residual[k] * z[k];
      }
      for (std::size_t k = 0; k < classes_; ++k) direction[k] = z[k] + next / rz * direction[k];
      rz = next;
    }
    return x;
  }

  std::size_t classes_;
  std::span<const float> margins_;
  std::vector<float> probabilities_;  ///< at the offsets that were looked at last, row-major
  std::vector<double> expected_;      ///< their sum, by class
  std::vector<double> wanted_;        ///< rows, by class
};

double median_residual(std::span<const float> margins, std::span<const double> codes) {
  std::vector<double> residuals;
  residuals.reserve(codes.size());
  for (std::size_t i = 0; i < codes.size(); ++i)
    residuals.push_back(codes[i] - static_cast<double>(margins[i]));
  return median(std::move(residuals));
}

double entropy_of(const std::vector<double>& rows, double all) {
  double entropy = 0;
  for (const double n : rows) {
    if (n > 0) entropy -= n / all * log(n / all);
  }
  return entropy;
}

}  // namespace

double row_loss(const Task& task, std::span<const float> margins, double code,
                std::span<const double> offsets) {
  const double first = static_cast<double>(margins[0]) + offset_of(offsets, 0);
  switch (task.kind) {
    case TaskKind::kBinary: return softplus(code != 0 ? -first : first);
    case TaskKind::kRegression: return std::abs(code - first);
    case TaskKind::kClasses: break;
  }
  const auto own = static_cast<std::size_t>(code);
  return log_sum_exp(margins, offsets) -
         (static_cast<double>(margins[own]) + offset_of(offsets, own));
}

std::string_view loss_name(TaskKind task) noexcept {
  return task == TaskKind::kRegression ? "absolute error" : "log loss";
}

std::string_view loss_unit(TaskKind task) noexcept {
  return task == TaskKind::kRegression ? "" : " nats";
}

double mean_loss(const Task& task, std::span<const float> margins, std::span<const double> codes,
                 std::span<const double> offsets) {
  if (codes.empty()) return kNan;
  const std::size_t outputs = task.outputs();
  double sum = 0;
  for (std::size_t i = 0; i < codes.size(); ++i)
    sum += row_loss(task, margins.subspan(i * outputs, outputs), codes[i], offsets);
  return sum / static_cast<double>(codes.size());
}

double best_constant_loss(const Task& task, std::span<const double> codes) {
  if (codes.empty()) return kNan;
  const auto all = static_cast<double>(codes.size());
  if (task.kind == TaskKind::kClasses)
    return entropy_of(rows_of_classes(codes, task.outputs()), all);
  if (task.kind == TaskKind::kRegression) {
    const double middle = median({codes.begin(), codes.end()});
    double sum = 0;
    for (const double code : codes) sum += std::abs(code - middle);
    return sum / all;
  }
  const auto positive = static_cast<double>(
      std::count_if(codes.begin(), codes.end(), [](double code) { return code != 0; }));
  const double rate = positive / all;
  if (rate == 0 || rate == 1) return 0;
  return -(rate * log(rate) + (1 - rate) * log1p(-rate));
}

std::vector<double> refit_offsets(const Task& task, std::span<const float> margins,
                                  std::span<const double> codes) {
  if (codes.empty()) return std::vector<double>(task.outputs(), 0.0);
  switch (task.kind) {
    case TaskKind::kBinary: return {refit_intercept(margins, codes)};
    case TaskKind::kRegression: return {median_residual(margins, codes)};
    case TaskKind::kClasses: break;
  }
  return ClassIntercepts(task.outputs(), margins, codes).fit();
}

std::vector<double> class_rows(const Task& task, std::span<const float> margins,
                               std::span<const double> codes) {
  if (task.kind != TaskKind::kClasses) return {};
  const std::size_t classes = task.outputs();
  std::vector<double> rows = rows_of_classes(codes, classes);
  std::vector<double> expected(classes, 0.0);
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const auto row = margins.subspan(i * classes, classes);
    const double log_sum = log_sum_exp(row, {});
    for (std::size_t k = 0; k < classes; ++k)
      expected[k] += exp(static_cast<double>(row[k]) - log_sum);
  }
  for (std::size_t k = 0; k < classes; ++k) rows[k] = std::max(rows[k], expected[k]);
  return rows;
}

Quality quality_ratio(const Task& task, std::span<const float> margins,
                      std::span<const double> codes) {
  Quality out{kNan, std::vector<double>(task.outputs(), 0.0), kNan};
  if (codes.empty()) return out;
  out.loss = mean_loss(task, margins, codes);
  out.offsets = refit_offsets(task, margins, codes);
  const double constant = best_constant_loss(task, codes);
  if (constant > 0) out.ratio = mean_loss(task, margins, codes, out.offsets) / constant;
  return out;
}

std::vector<float> margins_of(const Task& task, std::span<const float> prediction) {
  constexpr double kLeast = 1e-15;  // as `logit` clips
  std::vector<float> out(prediction.begin(), prediction.end());
  if (task.kind == TaskKind::kRegression) return out;
  for (float& number : out) {
    const auto p = static_cast<double>(number);
    number =
        static_cast<float>(task.kind == TaskKind::kBinary ? logit(p) : log(std::max(p, kLeast)));
  }
  return out;
}

double median(std::vector<double> values) {
  if (values.empty()) return kNan;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*std::max_element(values.begin(), middle) + *middle) / 2;
}

}  // namespace heddle::stats
