#include "stats/association.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "stats/nan.hpp"

namespace heddle::stats {
namespace {

constexpr double kLeastRows = 10;  ///< of each class of a pair

template <class T>
std::vector<std::size_t> order_of(std::span<const T> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  return order;
}

/// Mid-ranks: equal values share the mean of their places.
template <class T>
std::vector<double> ranks_of(std::span<const T> values) {
  const std::vector<std::size_t> order = order_of(values);
  std::vector<double> ranks(values.size());
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin;
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    const double rank = static_cast<double>(begin + end - 1) / 2;
    for (; begin < end; ++begin) ranks[order[begin]] = rank;
  }
  return ranks;
}

}  // namespace

double pairwise_auc(std::span<const float> x, std::span<const double> codes, std::size_t classes) {
  const std::vector<std::size_t> order = order_of(x);
  // wins[a * classes + b]: pairs of a row of `a` above one of `b`, ties one half.
  std::vector<double> wins(classes * classes, 0);
  std::vector<double> below(classes, 0);
  std::vector<double> equal(classes, 0);
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin;
    std::fill(equal.begin(), equal.end(), 0.0);
    for (; end < order.size() && x[order[end]] == x[order[begin]]; ++end)
      equal[static_cast<std::size_t>(codes[order[end]])] += 1;
    for (std::size_t a = 0; a < classes; ++a) {
      if (equal[a] == 0) continue;
      for (std::size_t b = 0; b < classes; ++b)
        wins[a * classes + b] += equal[a] * (below[b] + 0.5 * equal[b]);
    }
    // After the whole tie: rows of one value are not above each other.
    for (std::size_t a = 0; a < classes; ++a) below[a] += equal[a];
    begin = end;
  }
  const std::vector<double>& rows = below;
  double sum = 0;
  double pairs = 0;
  for (std::size_t a = 0; a < classes; ++a) {
    for (std::size_t b = a + 1; b < classes; ++b) {
      // The AUC of a pair with few rows is mostly chance,
      // and its distance from a half never averages out.
      if (rows[a] < kLeastRows || rows[b] < kLeastRows) continue;
      const double auc = wins[a * classes + b] / (rows[a] * rows[b]);
      sum += std::max(auc, 1 - auc);
      ++pairs;
    }
  }
  return pairs == 0 ? kNan : sum / pairs;
}

double rank_correlation(std::span<const float> x, std::span<const double> y) {
  if (x.size() < 2) return kNan;
  const std::vector<double> a = ranks_of(x);
  const std::vector<double> b = ranks_of(y);
  const double mean = static_cast<double>(x.size() - 1) / 2;
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean) * (b[i] - mean);
    aa += (a[i] - mean) * (a[i] - mean);
    bb += (b[i] - mean) * (b[i] - mean);
  }
  // One side is constant: no correlation is defined, and 0 would say that it was looked at.
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : kNan;
}

}  // namespace heddle::stats
