#include "stats/latency_histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace heddle::stats {
namespace {

constexpr std::size_t kSub = std::size_t{1} << LatencyHistogram::kSubBits;

}  // namespace

// Bucket numbers run on: values below 2 * kSub are their own bucket; above, the octave of 2^e
// begins at (e - kSubBits + 1) * kSub, cut into kSub buckets of 2^(e - kSubBits).
std::size_t LatencyHistogram::bucket_of(std::uint64_t value) noexcept {
  if (value < kSub) return value;
  const int shift = static_cast<int>(std::bit_width(value)) - 1 - kSubBits;
  return static_cast<std::size_t>(shift) * kSub + static_cast<std::size_t>(value >> shift);
}

std::uint64_t LatencyHistogram::end_of(std::size_t bucket) noexcept {
  if (bucket < 2 * kSub) return bucket;
  const int shift = static_cast<int>(bucket / kSub) - 1;
  const std::uint64_t top = bucket % kSub + kSub;
  return ((top + 1) << shift) - 1;
}

LatencyHistogram::LatencyHistogram() : buckets_(bucket_of(kLargest) + 1, 0) {}

void LatencyHistogram::record(std::uint64_t value, std::uint64_t times) noexcept {
  // Clipped, so that a hung request cannot ask for a bucket that is not there.
  value = std::min(value, kLargest);
  buckets_[bucket_of(value)] += times;
  count_ += times;
  least_ = std::min(least_, value);
  greatest_ = std::max(greatest_, value);
  sum_ += static_cast<double>(value) * static_cast<double>(times);
}

void LatencyHistogram::merge(const LatencyHistogram& other) noexcept {
  for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  least_ = std::min(least_, other.least_);
  greatest_ = std::max(greatest_, other.greatest_);
  sum_ += other.sum_;
}

double LatencyHistogram::mean() const noexcept {
  return count_ == 0 ? 0 : sum_ / static_cast<double>(count_);
}

std::uint64_t LatencyHistogram::quantile(double q) const noexcept {
  if (count_ == 0) return 0;
  // At least the first row: the quantile 0 is the least value.
  const auto rank = std::max<std::uint64_t>(
      1,
      static_cast<std::uint64_t>(std::ceil(std::clamp(q, 0.0, 1.0) * static_cast<double>(count_))));
  std::uint64_t seen = 0;
  for (std::size_t i = bucket_of(least_); i < buckets_.size(); ++i) {
    seen += buckets_[i];
    // A bucket's end may lie above every value that was recorded.
    if (seen >= rank) return std::min(end_of(i), greatest_);
  }
  return greatest_;
}

std::uint64_t LatencyHistogram::at_most(std::uint64_t value) const noexcept {
  std::uint64_t seen = 0;
  const std::size_t last = bucket_of(std::min(value, kLargest));
  for (std::size_t i = 0; i <= last; ++i) seen += buckets_[i];
  return seen;
}

}  // namespace heddle::stats
