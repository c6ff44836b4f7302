#include "stats/metrics.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>
#include <vector>

#include "stats/scalar.hpp"

namespace heddle::stats {
namespace {

std::int64_t ulps(double a, double b) {
  return std::abs(std::bit_cast<std::int64_t>(a) - std::bit_cast<std::int64_t>(b));
}

TEST(Scalar, ExpAndLogStayWithinTwoUlpOfTheCLibrary) {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> wide(-700, 700);
  for (int i = 0; i < 200000; ++i) {
    const double x = wide(random);
    ASSERT_LE(ulps(stats::exp(x), std::exp(x)), 2) << x;
    const double y = std::exp(x);
    ASSERT_LE(ulps(stats::log(y), std::log(y)), 2) << y;
    const double tiny = x * 1e-5;
    ASSERT_NEAR(stats::log1p(tiny), std::log1p(tiny), 4e-16 * std::abs(std::log1p(tiny)) + 1e-300)
        << tiny;
  }
}

TEST(Scalar, Edges) {
  EXPECT_EQ(stats::exp(0), 1);
  EXPECT_EQ(stats::exp(710), INFINITY);
  EXPECT_EQ(stats::exp(-746), 0);
  EXPECT_LE(ulps(stats::exp(-740), std::exp(-740)), 1);
  EXPECT_EQ(stats::log(1), 0);
  EXPECT_EQ(stats::log(0), -INFINITY);
  EXPECT_TRUE(std::isnan(stats::log(-1)));
  EXPECT_LE(ulps(stats::log(4.9e-324), std::log(4.9e-324)), 1);
  EXPECT_EQ(sigmoid(0), 0.5);
  EXPECT_EQ(sigmoid(1000), 1);
  EXPECT_EQ(sigmoid(-1000), 0);
  EXPECT_NEAR(logit(sigmoid(3.25)), 3.25, 1e-12);
  EXPECT_NEAR(softplus(800), 800, 1e-12);
}

TEST(Metrics, TextbookValues) {
  const std::vector<float> p{0.1F, 0.4F, 0.35F, 0.8F};
  const std::vector<double> y{0, 0, 1, 1};
  EXPECT_DOUBLE_EQ(auc(p, y), 0.75);  // scikit-learn's documentation of roc_auc_score
  // scikit-learn's documentation of log_loss: [.1 .9] [.9 .1] [.8 .2] [.35 .65] against spam ham
  // ham spam
  EXPECT_NEAR(log_loss(std::vector<float>{.9F, .1F, .2F, .65F}, std::vector<double>{1, 0, 0, 1}),
              0.21616, 1e-5);
  EXPECT_NEAR(calibration_error(std::vector<float>{.25F, .25F, .75F, .75F},
                                std::vector<double>{0, 0, 1, 1}, 2),
              .25, 1e-7);
}

TEST(Metrics, TiesCountOneHalf) {
  EXPECT_DOUBLE_EQ(auc(std::vector<float>{.5F, .5F, .5F}, std::vector<double>{1, 0, 1}), 0.5);
}

TEST(Metrics, UndefinedIsNan) {
  EXPECT_TRUE(std::isnan(auc(std::vector<float>{.5F}, std::vector<double>{1})));
  EXPECT_TRUE(std::isnan(log_loss({}, {})));
}

TEST(Metrics, AucEqualsTheDefinitionByPairs) {
  std::mt19937 random(11);
  std::vector<float> p(300);
  std::vector<double> y(300);
  for (std::size_t i = 0; i < p.size(); ++i) {
    p[i] = static_cast<float>(random() % 40) / 40.0F;
    y[i] = random() % 3 == 0 ? 1 : 0;
  }
  double wins = 0, pairs = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    for (std::size_t j = 0; j < p.size(); ++j) {
      if (y[i] == 0 || y[j] != 0) continue;
      ++pairs;
      wins += p[i] > p[j] ? 1 : p[i] == p[j] ? 0.5 : 0;
    }
  }
  EXPECT_NEAR(auc(p, y), wins / pairs, 1e-12);
}

struct Sample {
  std::vector<float> margins;
  std::vector<std::uint8_t> y;
};

Sample calibrated(unsigned seed, double slope, double intercept) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(-1, 1.2);
  std::uniform_real_distribution<double> unit(0, 1);
  Sample s;
  for (int i = 0; i < 40000; ++i) {
    const double m = normal(random);
    s.margins.push_back(static_cast<float>(m));
    s.y.push_back(static_cast<std::uint8_t>(unit(random) < sigmoid(slope * m + intercept)));
  }
  return s;
}

TEST(Metrics, PlattFindsSlopeAndIntercept) {
  const Sample s = calibrated(3, 0.6, 0.4);
  const PlattMap map = fit_platt(s.margins, s.y);
  EXPECT_NEAR(map.slope, 0.6, 0.03);
  EXPECT_NEAR(map.intercept, 0.4, 0.05);
}

}  // namespace
}  // namespace heddle::stats
