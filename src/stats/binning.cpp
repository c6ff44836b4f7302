#include "stats/binning.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace heddle::stats {

Binning Binning::quantiles(std::span<const double> values, int bins) {
  std::vector<double> sorted;
  sorted.reserve(values.size());
  for (const double v : values) {
    if (!std::isnan(v)) sorted.push_back(v);
  }
  std::sort(sorted.begin(), sorted.end());
  std::vector<double> edges;
  for (int i = 1; i < bins && !sorted.empty(); ++i) {
    const double edge = sorted[sorted.size() * static_cast<std::size_t>(i) / static_cast<std::size_t>(bins)];
    if (edge > sorted.front() && (edges.empty() || edge > edges.back())) edges.push_back(edge);
  }
  return from_edges(std::move(edges));
}

Binning Binning::from_edges(std::vector<double> edges) {
  Binning out;
  out.kind_ = Kind::kQuantiles;
  out.edges_ = std::move(edges);
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
    case Kind::kQuantiles: return edges_.size() + 1;
    case Kind::kCategories: return names_.size() + 1;
    case Kind::kHourOfDay: return 24;
  }
  return 0;
}

std::size_t Binning::bin(double value) const noexcept {
  return static_cast<std::size_t>(std::upper_bound(edges_.begin(), edges_.end(), value) - edges_.begin());
}

std::size_t Binning::bin(std::string_view value) const noexcept {
  const auto it = index_.find(std::string(value));
  return it == index_.end() ? names_.size() : it->second;
}

std::size_t Binning::bin_time(std::int64_t micros) const noexcept {
  constexpr std::int64_t kHourMicros = 3'600'000'000;
  constexpr std::int64_t kDayMicros = 24 * kHourMicros;
  const std::int64_t in_day = (micros % kDayMicros + kDayMicros) % kDayMicros;
  return static_cast<std::size_t>(in_day / kHourMicros);
}

std::vector<std::string> top_categories(const std::unordered_map<std::string, std::int64_t>& counts, std::size_t k) {
  std::vector<std::pair<std::int64_t, std::string>> all;
  all.reserve(counts.size());
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
  if (counts_.empty()) counts_.resize(other.counts_.size(), 0);
  for (std::size_t i = 0; i < other.counts_.size() && i < counts_.size(); ++i) add(i, other.counts_[i]);
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

double wasserstein_rank(const Histogram& a, const Histogram& b) {
  double difference = 0;
  double area = 0;
  for_each_share(a, b, [&](double pa, double pb) {
    difference += pa - pb;
    area += std::abs(difference) * pa;
  });
  return area;
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
      if (2 * lag == -n) continue;
      Histogram shifted(static_cast<std::size_t>(n));
      for (int i = 0; i < n; ++i) {
        shifted.add(static_cast<std::size_t>((i + lag + n) % n), reference.counts()[static_cast<std::size_t>(i)]);
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
