#include "stats/binning.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

namespace heddle::stats {

Binning Binning::numbers(std::span<const double> values, int quantiles) {
  std::vector<double> sorted;
  sorted.reserve(values.size());
  for (const double v : values) {
    if (!std::isnan(v)) sorted.push_back(v == 0 ? 0.0 : v);  // -0 and 0 are one value
  }
  std::sort(sorted.begin(), sorted.end());
  std::vector<double> distinct;
  std::unique_copy(sorted.begin(), sorted.end(), std::back_inserter(distinct));
  const auto parts = static_cast<std::size_t>(std::max(1, quantiles));
  // As few values as bins: each value is a point of its own.
  if (distinct.size() <= parts + 1) return from_points(std::move(distinct));
  std::vector<double> points;
  for (std::size_t i = 0; i < parts; ++i) {
    // The products fit: a column in memory has fewer than 2^58 rows.
    const double point = sorted[sorted.size() * i / parts];
    // A value that holds several quantiles is one point.
    if (points.empty() || point > points.back()) points.push_back(point);
  }
  // The largest value is a point too, so that what lies above the reference has its own bin.
  if (sorted.back() > points.back()) points.push_back(sorted.back());
  return from_points(std::move(points));
}

Binning Binning::from_points(std::vector<double> points) {
  Binning out;
  out.kind_ = Kind::kNumbers;
  out.points_ = std::move(points);
  return out;
}

Binning Binning::categories(std::vector<std::string> names) {
  Binning out;
  out.kind_ = Kind::kCategories;
  out.names_ = std::move(names);
  for (std::size_t i = 0; i < out.names_.size(); ++i) out.index_.emplace(out.names_[i], i);
  return out;
}

Binning Binning::hour_of_day() { return {}; }

std::size_t Binning::size() const noexcept {
  switch (kind_) {
    case Kind::kNumbers: return 1 + 2 * points_.size() + 1;
    case Kind::kCategories: return 1 + names_.size() + 1;
    case Kind::kHourOfDay: return 1 + 24;
  }
  return 0;
}

std::size_t Binning::bin(double value) const noexcept {
  if (std::isnan(value)) return kMissing;
  const auto at = std::lower_bound(points_.begin(), points_.end(), value);
  const auto gap =
      1 + 2 * static_cast<std::size_t>(
                  at - points_.begin());  // the gap below `at`, whose bin is the next one
  return at != points_.end() && *at == value ? gap + 1 : gap;
}

std::size_t Binning::bin(std::string_view value) const noexcept {
  const auto it = index_.find(std::string(value));
  // Categories that the reference had not share the last bin.
  return 1 + (it == index_.end() ? names_.size() : it->second);
}

std::size_t Binning::bin_time(std::int64_t micros) const noexcept {
  constexpr std::int64_t kHourMicros = 3'600'000'000;
  constexpr std::int64_t kDayMicros = 24 * kHourMicros;
  // Down also before 1970: the remainder of a negative time is negative.
  const std::int64_t in_day = (micros % kDayMicros + kDayMicros) % kDayMicros;
  return 1 + static_cast<std::size_t>(in_day / kHourMicros);
}

std::vector<std::string> top_categories(const std::unordered_map<std::string, std::int64_t>& counts,
                                        std::size_t k) {
  std::vector<std::pair<std::int64_t, std::string>> all;
  all.reserve(counts.size());
  // The most frequent first; of equal counts the name
  // decides, so that the result does not depend on the map.
  for (const auto& [name, count] : counts) all.emplace_back(-count, name);
  std::sort(all.begin(), all.end());
  if (all.size() > k) all.resize(k);
  std::vector<std::string> names;
  names.reserve(all.size());
  for (auto& [count, name] : all) names.push_back(std::move(name));
  return names;
}

Histogram::Histogram(std::vector<std::int64_t> counts) : counts_(std::move(counts)) {
  for (const std::int64_t count : counts_) total_ += count;
}

void Histogram::add(std::size_t bin, std::int64_t count) noexcept {
  counts_[bin] += count;
  total_ += count;
}

void Histogram::merge(const Histogram& other) {
  // A default histogram takes the shape of the first that is merged into it.
  if (counts_.empty()) counts_.resize(other.counts_.size(), 0);
  for (std::size_t i = 0; i < other.counts_.size() && i < counts_.size(); ++i)
    add(i, other.counts_[i]);
}

Histogram Histogram::present() const {
  return counts_.empty() ? Histogram()
                         : Histogram(std::vector<std::int64_t>(counts_.begin() + 1, counts_.end()));
}

namespace {

/// Calls `f(share a, share b)` for each bin; false when either is empty or the binnings differ.
template <class F>
bool for_each_share(const Histogram& a, const Histogram& b, F f) {
  if (a.total() == 0 || b.total() == 0 || a.counts().size() != b.counts().size()) return false;
  const double na = static_cast<double>(a.total());
  const double nb = static_cast<double>(b.total());
  for (std::size_t i = 0; i < a.counts().size(); ++i) {
    f(static_cast<double>(a.counts()[i]) / na, static_cast<double>(b.counts()[i]) / nb);
  }
  return true;
}

}  // namespace

double total_variation(const Histogram& a, const Histogram& b) {
  double sum = 0;
  for_each_share(a, b, [&](double pa, double pb) { sum += std::abs(pa - pb); });
  return sum / 2;
}

double kolmogorov_smirnov(const Histogram& a, const Histogram& b) {
  double difference = 0;
  double largest = 0;
  for_each_share(a, b, [&](double pa, double pb) {
    difference += pa - pb;
    largest = std::max(largest, std::abs(difference));
  });
  return largest;
}

LagFit explain_by_lag(const Histogram& reference, const Histogram& current) {
  LagFit best;
  best.before = total_variation(reference, current);
  best.residual = best.before;
  best.residual_d = kolmogorov_smirnov(reference, current);
  const auto n = static_cast<int>(reference.counts().size());
  if (n == 0 || current.counts().size() != reference.counts().size()) return best;
  for (int step = 1; step <= n / 2; ++step) {
    for (const int lag : {step, -step}) {
      // Half way round is the same in both directions, and was tried as such.
      if (2 * lag == -n) continue;
      Histogram shifted(static_cast<std::size_t>(n));
      for (int i = 0; i < n; ++i) {
        shifted.add(static_cast<std::size_t>((i + lag + n) % n),
                    reference.counts()[static_cast<std::size_t>(i)]);
      }
      const double residual = total_variation(shifted, current);
      if (residual < best.residual) {
        best = {lag, best.before, residual, kolmogorov_smirnov(shifted, current)};
      }
    }
  }
  return best;
}

}  // namespace heddle::stats
