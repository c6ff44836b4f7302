#include "stats/metrics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "stats/draws.hpp"
#include "stats/scalar.hpp"

#include "stats/nan.hpp"

namespace heddle::stats {

namespace {

template <class Label>
double positives(std::span<const Label> y) {
  return static_cast<double>(
      std::count_if(y.begin(), y.end(), [](Label label) { return label != 0; }));
}

/// For each row the share of the other class that it is on the right side of, ties one half: a
/// positive above negatives, a negative below positives. The mean over a class is the auc.
std::vector<double> placements(std::span<const float> p, std::span<const double> y) {
  const double n1 = positives(y);
  const double n0 = static_cast<double>(y.size()) - n1;
  std::vector<std::uint32_t> order(p.size());
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(),
            [&](std::uint32_t a, std::uint32_t b) { return p[a] < p[b]; });
  std::vector<double> out(p.size());
  double ones_below = 0;
  double zeros_below = 0;
  for (std::size_t i = 0; i < order.size();) {
    std::size_t j = i;
    double ones = 0;
    while (j < order.size() && p[order[j]] == p[order[i]]) ones += y[order[j++]] != 0;
    const double zeros = static_cast<double>(j - i) - ones;
    for (; i < j; ++i) {
      const std::uint32_t row = order[i];
      out[row] =
          y[row] != 0 ? (zeros_below + 0.5 * zeros) / n0 : (n1 - ones_below - 0.5 * ones) / n1;
    }
    ones_below += ones;
    zeros_below += zeros;
  }
  return out;
}

double variance_of(const std::vector<double>& values) {
  const auto n = static_cast<double>(values.size());
  double mean = 0;
  for (const double value : values) mean += value / n;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return squares / (n - 1);
}

int bin_of(float p, int bins) {
  return std::clamp(static_cast<int>(static_cast<double>(p) * bins), 0, bins - 1);
}

}  // namespace

double auc_difference_error(std::span<const float> p, std::span<const float> q,
                            std::span<const double> y) {
  const std::vector<double> of_p = placements(p, y);
  const std::vector<double> of_q = placements(q, y);
  std::vector<double> ones;
  std::vector<double> zeros;
  for (std::size_t i = 0; i < y.size(); ++i)
    (y[i] != 0 ? ones : zeros).push_back(of_q[i] - of_p[i]);
  // One row has no variance.
  if (ones.size() < 2 || zeros.size() < 2) return kNan;
  return std::sqrt(variance_of(ones) / static_cast<double>(ones.size()) +
                   variance_of(zeros) / static_cast<double>(zeros.size()));
}

double auc(std::span<const float> p, std::span<const double> y) {
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

double log_loss(std::span<const float> p, std::span<const double> y) {
  if (p.empty()) return kNan;
  double sum = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double q = std::clamp(
        y[i] != 0 ? static_cast<double>(p[i]) : 1.0 - static_cast<double>(p[i]), 1e-15, 1 - 1e-15);
    sum -= log(q);
  }
  return sum / static_cast<double>(p.size());
}

double calibration_error(std::span<const float> p, std::span<const double> y, int bins) {
  if (p.empty() || bins <= 0) return kNan;
  std::vector<double> difference(static_cast<std::size_t>(bins), 0.0);
  for (std::size_t i = 0; i < p.size(); ++i) {
    difference[static_cast<std::size_t>(bin_of(p[i], bins))] +=
        static_cast<double>(p[i]) - (y[i] != 0 ? 1.0 : 0.0);
  }
  double sum = 0;
  for (const double d : difference) sum += std::abs(d);
  return sum / static_cast<double>(p.size());
}

double calibration_difference_error(std::span<const float> p, std::span<const float> q,
                                    std::span<const double> y, int bins) {
  constexpr std::size_t kResamples = 1000;
  constexpr std::size_t kMostGroups = 1000;
  const std::size_t groups = std::min(p.size(), kMostGroups);
  if (groups < 2 || bins <= 0) return kNan;
  // Of each group: its rows, then how far each bin of either model is off. Groups are of equal
  // size but for one row.
  const auto width = static_cast<std::size_t>(bins);
  const std::size_t stride = 2 * width + 1;
  std::vector<double> sums(groups * stride, 0.0);
  for (std::size_t i = 0; i < p.size(); ++i) {
    // Groups in place of rows: a thousand draws of a thousand groups, however many rows there are.
    double* group = &sums[i % groups * stride];
    const double label = y[i] != 0 ? 1.0 : 0.0;
    group[0] += 1;
    group[1 + static_cast<std::size_t>(bin_of(p[i], bins))] += static_cast<double>(p[i]) - label;
    group[1 + width + static_cast<std::size_t>(bin_of(q[i], bins))] +=
        static_cast<double>(q[i]) - label;
  }
  Draws draws;
  std::vector<double> differences;
  std::vector<double> drawn(stride);
  for (std::size_t resample = 0; resample < kResamples; ++resample) {
    std::fill(drawn.begin(), drawn.end(), 0.0);
    for (std::size_t i = 0; i < groups; ++i) {
      const double* group = &sums[draws.below(groups) * stride];
      for (std::size_t k = 0; k < stride; ++k) drawn[k] += group[k];
    }
    double difference = 0;
    for (std::size_t k = 1; k < stride; ++k)
      difference += (k <= width ? -1 : 1) * std::abs(drawn[k]);
    differences.push_back(difference / drawn[0]);
  }
  return std::sqrt(variance_of(differences));
}

PlattMap fit_platt(std::span<const float> margins, std::span<const std::uint8_t> y) {
  const double n1 = positives(y);
  const double n0 = static_cast<double>(y.size()) - n1;
  if (n1 == 0 || n0 == 0) return {};
  // Platt's targets in place of 1 and 0: a separable sample would have no finite fit.
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
  // From the base rate on.
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
      // Armijo: halved until it goes down enough, since a full step may overshoot.
      if (next < value + 1e-4 * scale * slope) {
        a += scale * da;
        b += scale * db;
        value = next;
        moved = true;
        break;
      }
    }
    // No step helps: it is as good as the arithmetic allows.
    if (!moved) break;
  }
  return {a, b};
}

}  // namespace heddle::stats
