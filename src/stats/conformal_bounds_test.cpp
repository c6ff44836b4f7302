#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "stats/conformal_bounds.hpp"

namespace heddle::stats {
namespace {

TEST(ConformalBounds, HoldWhatTheExactIntervalHoldsAndAreTheNearestThatDo) {
  std::mt19937_64 random(38);
  std::normal_distribution<float> value(0, 100);
  std::uniform_real_distribution<double> quantile(0, 50);
  for (int i = 0; i < 10'000; ++i) {
    const float v = value(random);
    const double q = quantile(random);
    const FloatBounds bounds = conformal_bounds(v, q);
    const double lower = static_cast<double>(v) - q;
    const double upper = static_cast<double>(v) + q;
    ASSERT_LE(static_cast<double>(bounds.lower), lower) << v << " " << q;
    ASSERT_GE(static_cast<double>(bounds.upper), upper) << v << " " << q;
    ASSERT_GT(static_cast<double>(std::nextafter(bounds.lower, 1e9f)), lower) << v << " " << q;
    ASSERT_LT(static_cast<double>(std::nextafter(bounds.upper, -1e9f)), upper) << v << " " << q;
  }
  EXPECT_EQ(conformal_bounds(12.5F, 2.25).lower, 10.25F);
  EXPECT_EQ(conformal_bounds(12.5F, 2.25).upper, 14.75F);
}

}  // namespace
}  // namespace heddle::stats
