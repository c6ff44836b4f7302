#include "stats/binning.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "stats/unit_ratio.hpp"

namespace heddle::stats {
namespace {

Histogram fill(const Binning& binning, const std::vector<double>& values) {
  Histogram h(binning.size());
  for (const double v : values) h.add(binning.bin(v));
  return h;
}

std::vector<double> normal(unsigned seed, int n, double mean) {
  std::mt19937 random(seed);
  std::normal_distribution<double> draw(mean, 1);
  std::vector<double> out;
  for (int i = 0; i < n; ++i) out.push_back(draw(random));
  return out;
}

TEST(Binning, OneOutlierNeitherHidesNorFakesAShift) {
  const auto reference = normal(1, 10000, 0);
  const Binning binning = Binning::quantiles(reference, 64);
  const Histogram ref = fill(binning, reference);
  auto same = normal(2, 10000, 0);
  auto shifted = normal(3, 10000, 0.5);
  same.push_back(1e12);
  shifted.push_back(1e12);
  EXPECT_LT(kolmogorov_smirnov(ref, fill(binning, same)), 0.03);
  EXPECT_LT(wasserstein_rank(ref, fill(binning, same)), 0.02);
  // sup |Phi(x) - Phi(x - .5)| = 2 Phi(.25) - 1 = .1974
  EXPECT_NEAR(kolmogorov_smirnov(ref, fill(binning, shifted)), 0.1974, 0.02);
}

TEST(Binning, EveryValueFallsIntoExactlyOneBin) {
  const Binning b = Binning::from_edges({1, 2, 5});
  EXPECT_EQ(b.size(), 4U);
  EXPECT_EQ(b.bin(-INFINITY), 0U);
  EXPECT_EQ(b.bin(1), 1U);
  EXPECT_EQ(b.bin(4.999), 2U);
  EXPECT_EQ(b.bin(5), 3U);
  EXPECT_EQ(b.bin(INFINITY), 3U);
}

TEST(Binning, ConstantColumnHasOneBin) {
  EXPECT_EQ(Binning::quantiles(std::vector<double>(100, 3.0)).size(), 1U);
}

TEST(Binning, CategoriesAndHours) {
  const Binning b = Binning::categories(top_categories({{"a", 5}, {"b", 7}, {"c", 5}}, 2));
  EXPECT_EQ(b.names(), (std::vector<std::string>{"b", "a"}));
  EXPECT_EQ(b.bin("a"), 1U);
  EXPECT_EQ(b.bin("zzz"), 2U);
  EXPECT_EQ(Binning::hour_of_day().bin_time(-1), 23U);
  EXPECT_EQ(Binning::hour_of_day().bin_time(5LL * 3'600'000'000), 5U);
}

TEST(Histogram, MergeCommutes) {
  Histogram a(std::vector<std::int64_t>{1, 2, 3});
  Histogram b(std::vector<std::int64_t>{4, 0, 1});
  Histogram ab = a;
  ab.merge(b);
  Histogram ba = b;
  ba.merge(a);
  EXPECT_EQ(ab, ba);
  EXPECT_EQ(ab.total(), 11);
}

TEST(Histogram, DistancesByHand) {
  const Histogram a(std::vector<std::int64_t>{5, 5, 0});
  const Histogram b(std::vector<std::int64_t>{0, 5, 5});
  EXPECT_DOUBLE_EQ(total_variation(a, b), 0.5);
  EXPECT_DOUBLE_EQ(kolmogorov_smirnov(a, b), 0.5);
  EXPECT_EQ(total_variation(a, Histogram(3)), 0);
}

TEST(LagFit, FindsEveryLagAndLeavesOtherChangesAlone) {
  std::vector<std::int64_t> hours(24);
  for (int i = 0; i < 24; ++i) hours[static_cast<std::size_t>(i)] = 10 + (i > 5 ? 40 * (24 - i) : i);
  const Histogram reference(hours);
  for (int lag = -11; lag <= 12; ++lag) {
    Histogram current(24);
    for (int i = 0; i < 24; ++i) {
      current.add(static_cast<std::size_t>((i + lag + 24) % 24), hours[static_cast<std::size_t>(i)]);
    }
    const LagFit fit = explain_by_lag(reference, current);
    EXPECT_EQ(fit.lag, lag);
    EXPECT_EQ(fit.residual, 0);
  }
  auto half = hours;
  for (int i = 6; i < 15; ++i) half[static_cast<std::size_t>(i)] /= 8;  // mornings gone: no lag explains that
  EXPECT_GT(explain_by_lag(reference, Histogram(half)).residual, 0.1);
}

TEST(UnitRatio, NamesMilesToKilometresThroughRounding) {
  std::vector<double> expected, values;
  std::mt19937 random(5);
  for (int i = 0; i < 200; ++i) {
    expected.push_back(80 + random() % 2500);
    values.push_back(std::round(expected.back() * 1.609344));
  }
  const RatioEstimate fit = estimate_ratio(values, expected);
  EXPECT_NEAR(fit.ratio, 1.609344, 1e-3);
  EXPECT_EQ(fit.agreement, 1);
  EXPECT_EQ(name_ratio(fit.ratio)->name, "miles to kilometres");
}

TEST(UnitRatio, NoNameForNoChangeOrForNoise) {
  EXPECT_FALSE(name_ratio(1.0).has_value());
  EXPECT_FALSE(name_ratio(1.3).has_value());
  EXPECT_FALSE(name_ratio(0).has_value());
}

TEST(UnitRatio, EachKnownRatioHasItsInverse) {
  for (const UnitRatio& known : known_unit_ratios()) EXPECT_TRUE(name_ratio(1 / known.ratio, 1e-9).has_value()) << known.name;
}

}  // namespace
}  // namespace heddle::stats
