#include "stats/metrics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "stats/scalar.hpp"

namespace heddle::stats {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

double positives(std::span<const std::uint8_t> y) {
  std::size_t n = 0;
  for (const std::uint8_t label : y) n += label != 0;
  return static_cast<double>(n);
}

}  // namespace

double auc(std::span<const float> p, std::span<const std::uint8_t> y) {
  const double n1 = positives(y);
  const double n0 = static_cast<double>(y.size()) - n1;
  if (n1 == 0 || n0 == 0) return kNan;
  std::vector<std::uint32_t> order(p.size());
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(),
            [&](std::uint32_t a, std::uint32_t b) { return p[a] < p[b]; });
  double wins = 0;  // pairs (positive, negative) in the right order, ties one half
  double negatives_below = 0;
  for (std::size_t i = 0; i < order.size();) {
    std::size_t j = i;
    double ones = 0;
    while (j < order.size() && p[order[j]] == p[order[i]]) ones += y[order[j++]] != 0;
    const double zeros = static_cast<double>(j - i) - ones;
    wins += ones * (negatives_below + 0.5 * zeros);
    negatives_below += zeros;
    i = j;
  }
  return wins / (n1 * n0);
}

double log_loss(std::span<const float> p, std::span<const std::uint8_t> y) {
  if (p.empty()) return kNan;
  double sum = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double q = std::clamp(
        y[i] != 0 ? static_cast<double>(p[i]) : 1.0 - static_cast<double>(p[i]), 1e-15, 1 - 1e-15);
    sum -= log(q);
  }
  return sum / static_cast<double>(p.size());
}

double log_loss_of_margins(std::span<const float> margins, std::span<const std::uint8_t> y,
                           double intercept) {
  if (margins.empty()) return kNan;
  double sum = 0;
  for (std::size_t i = 0; i < margins.size(); ++i) {
    const double m = static_cast<double>(margins[i]) + intercept;
    sum += softplus(y[i] != 0 ? -m : m);
  }
  return sum / static_cast<double>(margins.size());
}

double calibration_error(std::span<const float> p, std::span<const std::uint8_t> y, int bins) {
  if (p.empty() || bins <= 0) return kNan;
  std::vector<double> difference(static_cast<std::size_t>(bins), 0.0);
  for (std::size_t i = 0; i < p.size(); ++i) {
    const auto bin = std::clamp(static_cast<int>(static_cast<double>(p[i]) * bins), 0, bins - 1);
    difference[static_cast<std::size_t>(bin)] +=
        static_cast<double>(p[i]) - (y[i] != 0 ? 1.0 : 0.0);
  }
  double sum = 0;
  for (const double d : difference) sum += std::abs(d);
  return sum / static_cast<double>(p.size());
}

double label_entropy(std::span<const std::uint8_t> y) {
  if (y.empty()) return kNan;
  const double rate = positives(y) / static_cast<double>(y.size());
  if (rate == 0 || rate == 1) return 0;
  return -(rate * log(rate) + (1 - rate) * log1p(-rate));
}

double refit_intercept(std::span<const float> margins, std::span<const std::uint8_t> y) {
  constexpr double kBound = 20;
  double b = 0;
  if (margins.empty()) return b;
  for (int step = 0; step < 100; ++step) {
    double gradient = 0;
    double curvature = 0;
    for (std::size_t i = 0; i < margins.size(); ++i) {
      const double p = sigmoid(static_cast<double>(margins[i]) + b);
      gradient += (y[i] != 0 ? 1.0 : 0.0) - p;
      curvature += p * (1 - p);
    }
    const double move = std::clamp(gradient / std::max(curvature, 1e-12), -2.0, 2.0);
    b = std::clamp(b + move, -kBound, kBound);
    if (std::abs(move) < 1e-10 || std::abs(b) == kBound) break;
  }
  return b;
}

QualityRatio quality_ratio(std::span<const float> margins, std::span<const std::uint8_t> y) {
  QualityRatio out{kNan, 0, kNan};
  if (margins.empty()) return out;
  out.log_loss = log_loss_of_margins(margins, y);
  out.intercept = refit_intercept(margins, y);
  const double entropy = label_entropy(y);
  if (entropy > 0) out.ratio = log_loss_of_margins(margins, y, out.intercept) / entropy;
  return out;
}

PlattMap fit_platt(std::span<const float> margins, std::span<const std::uint8_t> y) {
  const double n1 = positives(y);
  const double n0 = static_cast<double>(y.size()) - n1;
  if (n1 == 0 || n0 == 0) return {};
  const double high = (n1 + 1) / (n1 + 2);
  const double low = 1 / (n0 + 2);
  const auto objective = [&](double a, double b) {
    double sum = 0;
    for (std::size_t i = 0; i < margins.size(); ++i) {
      const double z = a * static_cast<double>(margins[i]) + b;
      sum += softplus(z) - (y[i] != 0 ? high : low) * z;
    }
    return sum;
  };
  double a = 0;
  double b = log((n1 + 1) / (n0 + 1));
  double value = objective(a, b);
  for (int step = 0; step < 100; ++step) {
    double h11 = 1e-12, h22 = 1e-12, h21 = 0, g1 = 0, g2 = 0;
    for (std::size_t i = 0; i < margins.size(); ++i) {
      const double m = static_cast<double>(margins[i]);
      const double p = sigmoid(a * m + b);
      const double w = p * (1 - p);
      const double d = p - (y[i] != 0 ? high : low);
      h11 += m * m * w;
      h22 += w;
      h21 += m * w;
      g1 += m * d;
      g2 += d;
    }
    if (std::abs(g1) < 1e-5 && std::abs(g2) < 1e-5) break;
    const double det = h11 * h22 - h21 * h21;
    const double da = -(h22 * g1 - h21 * g2) / det;
    const double db = -(-h21 * g1 + h11 * g2) / det;
    const double slope = g1 * da + g2 * db;
    double scale = 1;
    bool moved = false;
    for (; scale >= 1e-10; scale /= 2) {
      const double next = objective(a + scale * da, b + scale * db);
      if (next < value + 1e-4 * scale * slope) {
        a += scale * da;
        b += scale * db;
        value = next;
        moved = true;
        break;
      }
    }
    if (!moved) break;
  }
  return {a, b};
}

}  // namespace heddle::stats
