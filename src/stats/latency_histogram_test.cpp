#include "stats/latency_histogram.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace heddle::stats {
namespace {

std::uint64_t exact(const std::vector<std::uint64_t>& sorted, double q) {
  const auto rank = std::max<std::size_t>(
      1, static_cast<std::size_t>(std::ceil(q * static_cast<double>(sorted.size()))));
  return sorted[rank - 1];
}

TEST(LatencyHistogram, QuantilesKeepTheStatedBoundAgainstExactOnes) {
  std::mt19937_64 random(20260101);
  std::lognormal_distribution<double> heavy(12, 2.5);          // latencies in ns with a long tail
  std::uniform_int_distribution<std::uint64_t> small(0, 300);  // around the exact range
  std::uniform_int_distribution<std::uint64_t> wide(0, LatencyHistogram::kLargest);
  for (int shape = 0; shape < 3; ++shape) {
    LatencyHistogram histogram;
    std::vector<std::uint64_t> values;
    for (int i = 0; i < 20'000; ++i) {
      values.push_back(shape == 0
                           ? static_cast<std::uint64_t>(heavy(random)) % LatencyHistogram::kLargest
                       : shape == 1 ? small(random)
                                    : wide(random));
      histogram.record(values.back());
    }
    std::sort(values.begin(), values.end());
    for (const double q : {0.0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 0.9999, 1.0}) {
      const std::uint64_t want = exact(values, q);
      const std::uint64_t got = histogram.quantile(q);
      EXPECT_GE(got, want) << "shape " << shape << " q " << q;
      EXPECT_LE(static_cast<double>(got), static_cast<double>(want) * (1 + 1.0 / 128))
          << "shape " << shape << " q " << q;
      EXPECT_TRUE(want >= 256 || got == want) << "shape " << shape << " q " << q;
    }
    EXPECT_EQ(histogram.least(), values.front());
    EXPECT_EQ(histogram.greatest(), values.back());
    EXPECT_EQ(histogram.quantile(1), values.back());
  }
}

TEST(LatencyHistogram, EveryBucketEdgeIsItsOwnQuantile) {
  // Each power of two, one below and one above: where the arithmetic of buckets would slip.
  for (int bit = 0; bit < 46; ++bit) {
    for (const std::int64_t d : {-1, 0, 1}) {
      const std::uint64_t value = (1ull << bit) + static_cast<std::uint64_t>(d);
      if (value > LatencyHistogram::kLargest) continue;
      LatencyHistogram histogram;
      histogram.record(value);
      histogram.record(LatencyHistogram::kLargest);
      const std::uint64_t got = histogram.quantile(0.5);
      EXPECT_GE(got, value);
      EXPECT_LE(got - value, value / 128);
      EXPECT_EQ(histogram.at_most(value), value == LatencyHistogram::kLargest ? 2u : 1u);
    }
  }
}

TEST(LatencyHistogram, MergingIsRecordingAll) {
  LatencyHistogram a, b, both;
  for (std::uint64_t i = 1; i < 5000; ++i) {
    (i % 3 == 0 ? a : b).record(i * i);
    both.record(i * i);
  }
  a.merge(b);
  EXPECT_EQ(a.count(), both.count());
  EXPECT_EQ(a.least(), both.least());
  EXPECT_EQ(a.greatest(), both.greatest());
  EXPECT_DOUBLE_EQ(a.mean(), both.mean());
  for (const double q : {0.1, 0.5, 0.99}) EXPECT_EQ(a.quantile(q), both.quantile(q));
}

TEST(LatencyHistogram, NothingAndTooMuch) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.quantile(0.5), 0u);
  EXPECT_EQ(histogram.mean(), 0);
  histogram.record(UINT64_MAX);
  EXPECT_EQ(histogram.greatest(), LatencyHistogram::kLargest);
  histogram.record(10, 3);
  EXPECT_EQ(histogram.count(), 4u);
  EXPECT_EQ(histogram.quantile(0.75), 10u);
}

}  // namespace
}  // namespace heddle::stats
