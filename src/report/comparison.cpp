#include "report/comparison.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace heddle::report {
namespace {

/// 1/n + 1/m: the variance of a difference of two means, in variances of one row.
double parts_of(std::int64_t n, std::int64_t m) noexcept {
  if (n <= 0 || m <= 0) return std::numeric_limits<double>::infinity();
  return 1 / static_cast<double>(n) + 1 / static_cast<double>(m);
}

}  // namespace

double ks_by_chance(std::int64_t n, std::int64_t m, double a) noexcept {
  return std::sqrt(std::log(2 / a) / 2 * parts_of(n, m));
}

double total_variation_by_chance(const stats::Histogram& reference, const stats::Histogram& file,
                                 double a) {
  const double parts = parts_of(reference.total(), file.total());
  const auto both = static_cast<double>(reference.total() + file.total());
  double mean = 0;
  for (std::size_t i = 0; i < std::min(reference.counts().size(), file.counts().size()); ++i) {
    const double p = static_cast<double>(reference.counts()[i] + file.counts()[i]) / both;
    if (p > 0) mean += std::sqrt(p * (1 - p) * parts) / 2;
  }
  return mean + std::sqrt(std::log(1 / a) / 2 * parts);
}

Difference compare_missing(std::int64_t reference_missing, std::int64_t reference_rows,
                           std::int64_t missing, std::int64_t rows, double a) {
  Difference out;
  if (reference_rows <= 0 || rows <= 0) return out;
  const auto n = static_cast<double>(reference_rows);
  const auto m = static_cast<double>(rows);
  const double pooled = static_cast<double>(reference_missing + missing) / (n + m);
  out.size =
      std::abs(static_cast<double>(missing) / m - static_cast<double>(reference_missing) / n);
  out.by_chance =
      std::sqrt(2 * std::log(2 / a) * pooled * (1 - pooled) * parts_of(reference_rows, rows));
  out.moved = out.size > out.by_chance && out.size > kLeastMissing;
  return out;
}

}  // namespace heddle::report
