#include "stats/conformal.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace heddle::stats {
namespace {

const Task kRegression{TaskKind::kRegression};
const Task kThree{TaskKind::kClasses, {"a", "b", "c"}};

TEST(Conformal, TheQuantileIsTheRankWithTheRowToCome) {
  std::vector<double> scores;
  for (int i = 39; i > 0; --i) scores.push_back(i);
  // ceil(40 * c): 32, 36, 38.
  EXPECT_EQ(*conformal_quantile(scores, 0.8), 32);
  EXPECT_EQ(*conformal_quantile(scores, 0.9), 36);
  EXPECT_EQ(*conformal_quantile(scores, 0.95), 38);
  EXPECT_EQ(*conformal_quantile(scores, 0.951), 39);
}

TEST(Conformal, TheQuantileCostsLeastInMean) {
  std::vector<double> scores;
  for (int i = 1; i <= 999; ++i) scores.push_back(i);
  const double best = *conformal_quantile(scores, 0.9);
  const auto cost = [&](double quantile) {
    double sum = 0;
    for (const double score : scores) sum += interval_loss(score, {0.9, quantile});
    return sum;
  };
  for (const double other : {best - 100, best - 3, best + 3, best + 100})
    EXPECT_GT(cost(other), cost(best)) << other;
  // As far beyond as within costs nine times as much.
  EXPECT_DOUBLE_EQ(interval_loss(14, {0.9, 10}), 3.6);
  EXPECT_DOUBLE_EQ(interval_loss(6, {0.9, 10}), 0.4);
}

TEST(Conformal, HowFarAQuantileMovesIsInTheUnitOfItsTask) {
  EXPECT_DOUBLE_EQ(quantile_change(TaskKind::kRegression, 10, 25, 30), 0.5);
  // Odds of 1 and of 3.
  EXPECT_NEAR(quantile_change(TaskKind::kClasses, 0.5, 0.75, 1), std::log(3.0), 1e-12);
  EXPECT_NEAR(quantile_change(TaskKind::kClasses, 0.75, 0.5, 1), -std::log(3.0), 1e-12);
  EXPECT_TRUE(std::isfinite(quantile_change(TaskKind::kClasses, 0, 1.5, 1)));
}

TEST(Conformal, AProductThatIsWholeIsNotRoundedUp) {
  // As doubles, 0.7 * 10 is 7, 0.07 * 100 is 7.000000000000001, and 1000 * 0.009 is 9.
  for (const std::size_t n : {9U, 99U, 999U, 9999U}) {
    std::vector<double> scores(n);
    for (std::size_t i = 0; i < n; ++i) scores[i] = static_cast<double>(i + 1);
    for (std::size_t percent = 1; percent < 100; ++percent) {
      if (percent * (n + 1) % 100 != 0) continue;
      const double rank = static_cast<double>(percent * (n + 1) / 100);
      EXPECT_EQ(*conformal_quantile(scores, static_cast<double>(percent) / 100), rank)
          << n << " rows, " << percent << " %";
    }
  }
}

TEST(Conformal, TooFewRowsAreNamedWithHowManyItTakes) {
  for (const double coverage : {0.5, 0.8, 0.9, 0.95, 0.99, 0.999}) {
    const std::size_t least = least_conformal_rows(coverage);
    EXPECT_TRUE(conformal_quantile(std::vector<double>(least, 1.0), coverage).ok()) << coverage;
    const auto few = conformal_quantile(std::vector<double>(least - 1, 1.0), coverage);
    ASSERT_FALSE(few.ok()) << coverage;
    EXPECT_EQ(few.error().id, "interval-few-rows");
    EXPECT_NE(few.error().message.find(std::to_string(least)), std::string::npos);
  }
  EXPECT_EQ(least_conformal_rows(0.9), 9U);
  EXPECT_EQ(least_conformal_rows(0.95), 19U);
  EXPECT_EQ(least_conformal_rows(0.99), 99U);
  // The largest double below 1, 1 - 2^-53: an answer in any time, and about the right one.
  EXPECT_EQ(least_conformal_rows(std::nextafter(1.0, 0.0)), (std::size_t{1} << 53) - 1);
  EXPECT_EQ(conformal_quantile({1, 2, 3}, std::nextafter(1.0, 0.0)).error().id,
            "interval-few-rows");
}

TEST(Conformal, ACoverageThatIsNoneIsRefused) {
  for (const double coverage : {0.0, 1.0, -0.1, 1.5, std::nan("")}) {
    const auto refused = conformal_quantile({1, 2, 3}, coverage);
    ASSERT_FALSE(refused.ok()) << coverage;
    EXPECT_EQ(refused.error().id, "interval-coverage");
  }
  const auto nan = conformal_quantile({1, std::nan(""), 3}, 0.5);
  ASSERT_FALSE(nan.ok());
  EXPECT_EQ(nan.error().id, "interval-score");
}

TEST(Conformal, IntervalsHoldTheShareThatWasDeclared) {
  std::mt19937 random(29);
  std::normal_distribution<float> normal(0, 1);
  std::exponential_distribution<double> noise(0.3);
  const auto draw = [&](int rows, std::vector<float>& values, std::vector<double>& labels) {
    for (int i = 0; i < rows; ++i) {
      values.push_back(normal(random));
      labels.push_back(static_cast<double>(values.back()) + noise(random));
    }
  };
  std::vector<float> calibration;
  std::vector<float> later;
  std::vector<double> labels;
  std::vector<double> truth;
  draw(20000, calibration, labels);
  draw(20000, later, truth);
  for (const double coverage : {0.5, 0.9, 0.99}) {
    const double quantile =
        *conformal_quantile(conformal_scores(kRegression, calibration, labels), coverage);
    int held = 0;
    for (std::size_t i = 0; i < later.size(); ++i) {
      const bool holds_it = holds(kRegression, {&later[i], 1}, truth[i], quantile);
      const Interval interval = conformal_interval(later[i], quantile);
      EXPECT_EQ(holds_it, std::abs(truth[i] - static_cast<double>(later[i])) <= quantile);
      if (holds_it) {
        EXPECT_LE(truth[i], interval.upper + 1e-9);
      }
      held += holds_it ? 1 : 0;
    }
    EXPECT_NEAR(held / 20000.0, coverage, 0.01) << coverage;
  }
}

TEST(Conformal, SetsHoldTheClassesThatReachTheQuantile) {
  const std::vector<float> row{0.7F, 0.25F, 0.05F};
  EXPECT_EQ(conformal_set(row, 0.2), (std::vector<std::size_t>{}));
  EXPECT_EQ(conformal_set(row, 0.5), (std::vector<std::size_t>{0}));
  EXPECT_EQ(conformal_set(row, 0.75), (std::vector<std::size_t>{0, 1})) << "the edge is inside";
  EXPECT_EQ(conformal_set(row, 0.96), (std::vector<std::size_t>{0, 1, 2}));
  // The set holds a label exactly where its score is within the quantile.
  for (std::size_t k = 0; k < row.size(); ++k) {
    const double quantile = conformal_score(kThree, row, static_cast<double>(k));
    EXPECT_TRUE(holds(kThree, row, static_cast<double>(k), quantile));
    const auto set = conformal_set(row, quantile);
    EXPECT_NE(std::find(set.begin(), set.end(), k), set.end());
  }
}

TEST(Conformal, IntervalsAndSetsAreThoseOfMapie) {
  // MAPIE 1.6.0, SplitConformalRegressor(prefit=True) on these predictions and labels, in 64ths.
  const std::vector<int> predicted{-51, -85, -16, 27,  73,  7,    -35,  -50, 48,  105,
                                   17,  -79, -61, 102, 13,  -111, -5,   -74, -40, -31,
                                   -46, 35,  -4,  -38, 26,  53,   -105, -16, -63, -11,
                                   -83, 1,   -2,  -19, -67, -25,  -70,  -87, 14};
  const std::vector<int> wanted{-122, -10, 30,   -101, 90,   -64,  -33,  -47,  -79, 90,
                                1,    -17, -137, 149,  -57,  -132, -59,  19,   -4,  125,
                                -5,   89,  50,   -77,  22,   139,  -130, -4,   -64, 28,
                                -106, -9,  14,   -12,  -122, 32,   -153, -164, -68};
  std::vector<float> values;
  std::vector<double> labels;
  for (std::size_t i = 0; i < predicted.size(); ++i) {
    values.push_back(static_cast<float>(predicted[i]) / 64);
    labels.push_back(wanted[i] / 64.0);
  }
  const auto scores = conformal_scores(kRegression, values, labels);
  EXPECT_EQ(*conformal_quantile(scores, 0.8), 1.203125);
  EXPECT_EQ(*conformal_quantile(scores, 0.9), 1.453125);
  EXPECT_EQ(*conformal_quantile(scores, 0.95), 2);
  // SplitConformalClassifier(conformity_score="lac", confidence_level=0.75) on twelve rows whose
  // scores these are; its sets for the softmax of three more rows.
  const std::vector<double> lac{0.10891455, 0.21440297, 0.2361218,  0.25791134,
                                0.28413125, 0.37799412, 0.39251844, 0.48773731,
                                0.48785571, 0.54455666, 0.65179257, 0.74572479};
  const double quantile = *conformal_quantile(lac, 0.75);
  EXPECT_EQ(quantile, 0.54455666);
  const auto set_of = [&](std::vector<float> margins) {
    kThree.predict(margins, margins);
    return conformal_set(margins, quantile);
  };
  EXPECT_EQ(set_of({1, 0.5F, 0}), std::vector<std::size_t>{0});
  EXPECT_EQ(set_of({3, 0, 0}), std::vector<std::size_t>{0});
  EXPECT_EQ(set_of({0.1F, 0, 0.05F}), std::vector<std::size_t>{});
}

TEST(Coverage, TheTailIsThatOfScipy) {
  // scipy 1.17.1, stats.binom.cdf.
  struct Case {
    std::int64_t rows, held;
    double coverage, tail;
  };
  const Case cases[] = {
      {1000, 880, 0.9, 0.021996144965794173},    {1000, 899, 0.9, 0.4734009187048337},
      {200, 180, 0.95, 0.0026645795498294743},   {14000, 12400, 0.9, 1.7732401021641118e-08},
      {50, 49, 0.9, 0.9948462247926799},         {20, 3, 0.9, 8.466309999999968e-15},
      {100000, 89500, 0.9, 8.54728061423417e-08}};
  for (const Case& c : cases) {
    // The logarithm of the factorial of 100,000 is right to ten digits.
    EXPECT_NEAR(coverage_tail(c.held, c.rows, c.coverage) / c.tail, 1, 1e-8)
        << c.held << " of " << c.rows;
  }
  EXPECT_EQ(coverage_tail(10, 10, 0.9), 1);
  EXPECT_EQ(coverage_tail(-1, 10, 0.9), 0);
}

}  // namespace
}  // namespace heddle::stats
