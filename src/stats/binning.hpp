#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace heddle::stats {

/// How values of one column fall into bins that were fixed on the reference. Bins never come from current data: one outlier
/// there would move every edge and hide a shift. Immutable; reading is thread-safe.
class Binning {
 public:
  enum class Kind { kQuantiles, kCategories, kHourOfDay };

  /// At most `bins` bins with edges at the quantiles of `values` (NaN ignored); equal edges collapse.
  [[nodiscard]] static Binning quantiles(std::span<const double> values, int bins = 64);
  [[nodiscard]] static Binning from_edges(std::vector<double> edges);
  /// One bin for each of `names` and a last one for everything else.
  [[nodiscard]] static Binning categories(std::vector<std::string> names);
  /// 24 bins by UTC hour of a timestamp in microseconds.
  [[nodiscard]] static Binning hour_of_day();

  [[nodiscard]] Kind kind() const noexcept { return kind_; }
  [[nodiscard]] std::size_t size() const noexcept;
  [[nodiscard]] std::size_t bin(double value) const noexcept;             ///< kQuantiles
  [[nodiscard]] std::size_t bin(std::string_view value) const noexcept;   ///< kCategories
  [[nodiscard]] std::size_t bin_time(std::int64_t micros) const noexcept; ///< kHourOfDay
  [[nodiscard]] const std::vector<double>& edges() const noexcept { return edges_; }
  [[nodiscard]] const std::vector<std::string>& names() const noexcept { return names_; }

 private:
  Kind kind_ = Kind::kHourOfDay;
  std::vector<double> edges_;  ///< inner edges: bin i holds edges[i-1] <= v < edges[i]
  std::vector<std::string> names_;
  std::unordered_map<std::string, std::size_t> index_;
};

/// The `k` most frequent values, most frequent first, ties by value: for `Binning::categories`.
[[nodiscard]] std::vector<std::string> top_categories(const std::unordered_map<std::string, std::int64_t>& counts,
                                                      std::size_t k);

/// Counts over the bins of one `Binning`: the mergeable profile of a column in a window. Adding and merging commute, so a
/// profile does not depend on the order of rows. A value type; not thread-safe.
class Histogram {
 public:
  Histogram() = default;
  explicit Histogram(std::size_t bins) : counts_(bins, 0) {}
  explicit Histogram(std::vector<std::int64_t> counts);

  void add(std::size_t bin, std::int64_t count = 1) noexcept;
  void merge(const Histogram& other);  ///< of the same binning
  [[nodiscard]] std::int64_t total() const noexcept { return total_; }
  [[nodiscard]] const std::vector<std::int64_t>& counts() const noexcept { return counts_; }
  [[nodiscard]] bool operator==(const Histogram&) const = default;

 private:
  std::vector<std::int64_t> counts_;
  std::int64_t total_ = 0;
};

/// Half the sum of absolute differences of shares (total variation distance), in [0, 1]. 0 when either is empty.
[[nodiscard]] double total_variation(const Histogram& a, const Histogram& b);
/// Largest difference of the cumulative shares at bin edges: Kolmogorov-Smirnov's D up to binning, a lower bound of it.
[[nodiscard]] double kolmogorov_smirnov(const Histogram& a, const Histogram& b);
/// Wasserstein-1 distance in units of reference quantile (area between the cumulative shares over equal-mass reference
/// bins): bounded by 1 whatever an outlier's size.
[[nodiscard]] double wasserstein_rank(const Histogram& a, const Histogram& b);

/// How far a circular shift explains `current`: the shift `lag` (in bins, in (-n/2, n/2]) of `reference` with the smallest
/// total variation, smallest |lag| first among equals.
struct LagFit {
  int lag = 0;
  double before = 0;      ///< total variation without a shift
  double residual = 0;    ///< total variation after it
  double residual_d = 0;  ///< Kolmogorov-Smirnov's D after it
};
[[nodiscard]] LagFit explain_by_lag(const Histogram& reference, const Histogram& current);

}  // namespace heddle::stats
