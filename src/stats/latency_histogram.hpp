#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace heddle::stats {

/// Counts of non-negative integers (latencies in ns) in log-linear buckets, as HdrHistogram has
/// them: each power of two is cut into 128 equal buckets, so a quantile is never below the exact
/// one and at most 1/128 (0.79 %) above it; values below 256 are exact. Values past `kLargest` are
/// counted as that. Count, sum, least and greatest are exact. Memory is fixed (about 40 KiB);
/// recording is O(1) and allocates nothing. Not thread-safe; histograms of threads are merged.
class LatencyHistogram {
 public:
  static constexpr int kSubBits = 7;
  static constexpr std::uint64_t kLargest = (1ull << 46) - 1;  ///< 19 hours in ns

  LatencyHistogram();

  void record(std::uint64_t value, std::uint64_t times = 1) noexcept;
  void merge(const LatencyHistogram& other) noexcept;

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint64_t least() const noexcept { return count_ == 0 ? 0 : least_; }
  [[nodiscard]] std::uint64_t greatest() const noexcept { return greatest_; }
  [[nodiscard]] double mean() const noexcept;
  /// The value of rank ceil(q * count), q in [0, 1], rounded up to the end of its bucket;
  /// `greatest()` is never passed. 0 when nothing was recorded.
  [[nodiscard]] std::uint64_t quantile(double q) const noexcept;
  /// How many values are at most `value`, by whole buckets.
  [[nodiscard]] std::uint64_t at_most(std::uint64_t value) const noexcept;

 private:
  [[nodiscard]] static std::size_t bucket_of(std::uint64_t value) noexcept;
  [[nodiscard]] static std::uint64_t end_of(
      std::size_t bucket) noexcept;  ///< greatest value of the bucket

  std::vector<std::uint64_t> buckets_;
  std::uint64_t count_ = 0;
  std::uint64_t least_ = UINT64_MAX;
  std::uint64_t greatest_ = 0;
  double sum_ = 0;
};

}  // namespace heddle::stats
