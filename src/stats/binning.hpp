#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace heddle::stats {

/// How values of one column fall into bins that were fixed on the reference. Bins never come from
/// current data: one outlier there would move every edge and hide a shift. The first bin,
/// `kMissing`, holds the rows without a value: what is missing is part of every distribution.
/// Immutable; reading is thread-safe.
class Binning {
 public:
  enum class Kind { kNumbers, kCategories, kHourOfDay };
  static constexpr std::size_t kMissing = 0;

  /// At most `quantiles` + 1 points: every distinct value when there are no more of them, else the
  /// quantiles, the smallest and the largest of `values` (NaN is left out).
  [[nodiscard]] static Binning numbers(std::span<const double> values, int quantiles = 64);
  /// `points` ascend and are all different. Each point is a bin of its own and so is each gap:
  /// below the first, between two, above the last. A value that is frequent by itself (an atom) is
  /// thus never counted together with its neighbours.
  [[nodiscard]] static Binning from_points(std::vector<double> points);
  /// One bin for each of `names` and a last one for everything else.
  [[nodiscard]] static Binning categories(std::vector<std::string> names);
  /// 24 bins by UTC hour of a timestamp in microseconds.
  [[nodiscard]] static Binning hour_of_day();

  [[nodiscard]] Kind kind() const noexcept { return kind_; }
  [[nodiscard]] std::size_t size() const noexcept;
  [[nodiscard]] std::size_t bin(
      double value) const noexcept;  ///< kNumbers; NaN is missing, -0 is 0
  [[nodiscard]] std::size_t bin(std::string_view value) const noexcept;    ///< kCategories
  [[nodiscard]] std::size_t bin_time(std::int64_t micros) const noexcept;  ///< kHourOfDay
  [[nodiscard]] const std::vector<double>& points() const noexcept { return points_; }
  [[nodiscard]] const std::vector<std::string>& names() const noexcept { return names_; }

 private:
  Kind kind_ = Kind::kHourOfDay;
  std::vector<double> points_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, std::size_t> index_;
};

/// The `k` most frequent values, most frequent first, ties by value: for `Binning::categories`.
[[nodiscard]] std::vector<std::string> top_categories(
    const std::unordered_map<std::string, std::int64_t>& counts, std::size_t k);

/// Counts over the bins of one `Binning`: the mergeable profile of a column in a window. Adding and
/// merging commute, so a profile does not depend on the order of rows. A value type; not
/// thread-safe.
class Histogram {
 public:
  Histogram() = default;
  explicit Histogram(std::size_t bins) : counts_(bins, 0) {}
  explicit Histogram(std::vector<std::int64_t> counts);

  void add(std::size_t bin, std::int64_t count = 1) noexcept;
  void merge(const Histogram& other);  ///< of the same binning
  /// The same without bin `kMissing`: the rows that have a value.
  [[nodiscard]] Histogram present() const;
  [[nodiscard]] std::int64_t total() const noexcept { return total_; }
  [[nodiscard]] const std::vector<std::int64_t>& counts() const noexcept { return counts_; }
  [[nodiscard]] bool operator==(const Histogram&) const = default;

 private:
  std::vector<std::int64_t> counts_;
  std::int64_t total_ = 0;
};

/// Half the sum of absolute differences of shares (total variation distance), in [0, 1]. 0 when
/// either is empty. Over categories it is below the distance of the values themselves by at most
/// the smaller of both shares of the last bin.
[[nodiscard]] double total_variation(const Histogram& a, const Histogram& b);
/// Largest difference of the cumulative shares, in [0, 1]: the two-sample Kolmogorov-Smirnov D,
/// with missing values before every number. Over `Binning::numbers` of a's values it is exact at
/// every point, and never above D; it is below D by less than the largest share of a that lies in
/// one gap, that is by less than 1 / quantiles.
[[nodiscard]] double kolmogorov_smirnov(const Histogram& a, const Histogram& b);

/// How far a circular shift explains `current`: the shift `lag` (in bins, in (-n/2, n/2]) of
/// `reference` with the smallest total variation, smallest |lag| first among equals. Of histograms
/// without missing values (`Histogram::present`).
struct LagFit {
  int lag = 0;
  double before = 0;      ///< total variation without a shift
  double residual = 0;    ///< total variation after it
  double residual_d = 0;  ///< Kolmogorov-Smirnov's D after it
};
[[nodiscard]] LagFit explain_by_lag(const Histogram& reference, const Histogram& current);

}  // namespace heddle::stats
