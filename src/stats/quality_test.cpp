#include "stats/quality.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "stats/scalar.hpp"

namespace heddle::stats {
namespace {

const Task kBinary{};
const Task kRegression{TaskKind::kRegression};

Task classes(std::size_t n) {
  Task task{TaskKind::kClasses};
  for (std::size_t k = 0; k < n; ++k) task.classes.push_back("c" + std::to_string(k));
  return task;
}

/// 12 rows of three classes.
const std::vector<float> kMargins{1.5F,  -.25F, 0,     .5F,  .75F, -1,     2,    0,     .25F,
                                  -.5F,  1.25F, .5F,   0,    0,    1.75F,  .25F, -1,    1,
                                  1,     1.5F,  -.5F,  .75F, .5F,  .25F,   -1,   .5F,   2,
                                  .125F, 1,     .375F, 2.5F, -.5F, -.125F, 0,    .625F, .875F};

void expect_near(const std::vector<double>& found, const std::vector<double>& wanted) {
  ASSERT_EQ(found.size(), wanted.size());
  for (std::size_t k = 0; k < found.size(); ++k) EXPECT_NEAR(found[k], wanted[k], 1e-8) << k;
}

TEST(Quality, OfClassesIsThatOfScikitLearn) {
  // scikit-learn 1.9.1: log_loss, and log_loss of DummyClassifier(strategy="prior"); scipy 1.17.1:
  // optimize.minimize(method="trust-exact") of the multinomial likelihood.
  const std::vector<double> codes{0, 1, 0, 1, 2, 2, 0, 2, 2, 1, 0, 2};
  const Quality q = quality_ratio(classes(3), kMargins, codes);
  EXPECT_NEAR(q.loss, 0.5650502429778841, 1e-7);
  expect_near(q.offsets, {0, -0.011621318237346702, 0.5232817391203864});
  EXPECT_NEAR(best_constant_loss(classes(3), codes), 1.077556327066801, 1e-12);
  EXPECT_NEAR(q.ratio, 0.5024463405254822, 1e-7);
}

TEST(Quality, AClassWithoutRowsCountsAsHalfARow) {
  const std::vector<double> codes{0, 1, 0, 1, 0, 0, 0, 1, 1, 1, 0, 0};
  // scipy 1.17.1, as above, with .5 rows of the class that does not come, all scaled to 12.
  expect_near(refit_offsets(classes(3), kMargins, codes),
              {0, -0.29401619927835665, -3.1601155290480087});
  // A class that the margins do not expect either keeps its place.
  std::vector<float> never = kMargins;
  for (std::size_t i = 2; i < never.size(); i += 3) never[i] = -20;
  const auto offsets = refit_offsets(classes(3), never, codes);
  EXPECT_NEAR(offsets[2], offsets[1] / 2, 0.5);
}

TEST(Quality, OfARegressionIsThatOfScikitLearn) {
  // scikit-learn 1.9.1: mean_absolute_error, and that of DummyRegressor(strategy="median").
  const std::vector<float> margins{10, 12.5F, 7.25F, 30, 22, 18.5F, 3};
  const std::vector<double> codes{11, 12, 9, 41, 20, 25, 2.5};
  const Quality q = quality_ratio(kRegression, margins, codes);
  EXPECT_NEAR(q.loss, 3.3214285714285716, 1e-12);
  expect_near(q.offsets, {1});
  EXPECT_NEAR(q.ratio, 3.1785714285714284 / 9.071428571428571, 1e-12);
  EXPECT_EQ(median({3, 1, 2, 10}), 2.5);
}

TEST(Quality, OfBinaryIsThatOfStatsmodels) {
  // statsmodels 0.15.0: GLM(Binomial, offset=margins) of a constant.
  const std::vector<float> margins{.5F, -1, 2, .25F, -.75F, 1.5F, 0, -2};
  const std::vector<double> codes{1, 0, 1, 0, 1, 1, 0, 0};
  const Quality q = quality_ratio(kBinary, margins, codes);
  expect_near(q.offsets, {-0.06111211813995502});
  EXPECT_NEAR(q.ratio, 0.4869693976847743 / std::log(2.0), 1e-8);
  EXPECT_EQ(refit_offsets(kBinary, std::vector<float>{0, 1}, std::vector<double>{1, 1}),
            std::vector<double>{20})
      << "one class only stays bounded";
}

TEST(Quality, OfTwoClassesIsThatOfBinary) {
  std::mt19937 random(3);
  std::normal_distribution<double> normal(-1, 1.2);
  std::uniform_real_distribution<double> unit(0, 1);
  std::vector<float> margins;
  std::vector<float> pairs;
  std::vector<double> codes;
  for (int i = 0; i < 5000; ++i) {
    const auto m = static_cast<float>(normal(random));
    margins.push_back(m);
    pairs.insert(pairs.end(), {0, m});
    codes.push_back(unit(random) < sigmoid(static_cast<double>(m) - 0.9) ? 1 : 0);
  }
  const Quality one = quality_ratio(kBinary, margins, codes);
  const Quality two = quality_ratio(classes(2), pairs, codes);
  EXPECT_NEAR(one.ratio, two.ratio, 1e-12);
  EXPECT_NEAR(one.loss, two.loss, 1e-12);
  expect_near(two.offsets, {0, one.offsets[0]});
  EXPECT_NEAR(one.offsets[0], -0.9, 0.1);
  EXPECT_NEAR(best_constant_loss(kBinary, std::vector<double>{1, 0}), std::log(2.0), 1e-15);
}

/// Rows of `n` classes drawn from the margins' own probabilities after `moved` logits.
struct Drawn {
  Drawn(const Task& task, std::size_t rows, const std::vector<double>& moved) {
    std::mt19937 random(17);
    std::normal_distribution<float> normal(0, 1.5F);
    std::uniform_real_distribution<double> unit(0, 1);
    const std::size_t n = task.outputs();
    for (std::size_t i = 0; i < rows; ++i) {
      std::vector<float> row(n);
      std::vector<float> tilted(n);
      std::vector<float> p(n);
      for (std::size_t k = 0; k < n; ++k) {
        row[k] = normal(random);
        tilted[k] = row[k] + static_cast<float>(moved[k]);
      }
      task.predict(tilted, p);
      double left = unit(random);
      std::size_t k = 0;
      while (k + 1 < n && (left -= static_cast<double>(p[k])) > 0) ++k;
      margins.insert(margins.end(), row.begin(), row.end());
      codes.push_back(static_cast<double>(k));
    }
  }
  std::vector<float> margins;
  std::vector<double> codes;
};

TEST(Quality, OffsetsFindMovedSharesAndTheRatioDoesNotSeeThem) {
  const Task task = classes(5);
  const std::vector<double> moved{0, 0.8, -1.1, 0.3, 0};
  const Drawn before(task, 6000, std::vector<double>(5, 0.0));
  const Drawn after(task, 6000, moved);
  const Quality q0 = quality_ratio(task, before.margins, before.codes);
  const Quality q1 = quality_ratio(task, after.margins, after.codes);
  for (std::size_t k = 0; k < 5; ++k) {
    EXPECT_NEAR(q0.offsets[k], 0, 0.25) << k;
    EXPECT_NEAR(q1.offsets[k], moved[k], 0.25) << k;
  }
  EXPECT_LT(q1.ratio, 0.9);
  std::vector<double> turned = before.codes;
  for (double& code : turned) code = std::fmod(code + 1, 5);
  EXPECT_GT(quality_ratio(task, before.margins, turned).ratio, 1);
}

TEST(Quality, AThousandClassesAreFittedOnFewRows) {
  const Task task = classes(1000);
  const Drawn drawn(task, 300, std::vector<double>(1000, 0.0));
  const Quality q = quality_ratio(task, drawn.margins, drawn.codes);
  EXPECT_TRUE(std::isfinite(q.ratio));
  for (const double offset : q.offsets) EXPECT_LE(std::abs(offset), 20);
  // The classes are found in the shares that their rows have.
  std::vector<double> shares(1000, 0.0);
  for (std::size_t i = 0; i < 300; ++i) {
    std::vector<float> moved(1000);
    for (std::size_t k = 0; k < 1000; ++k)
      moved[k] = drawn.margins[i * 1000 + k] + static_cast<float>(q.offsets[k]);
    std::vector<float> p(1000);
    task.predict(moved, p);
    for (std::size_t k = 0; k < 1000; ++k) shares[k] += static_cast<double>(p[k]);
  }
  const auto first = static_cast<std::size_t>(drawn.codes[0]);
  const auto rows = std::count(drawn.codes.begin(), drawn.codes.end(), drawn.codes[0]);
  EXPECT_LE(shares[first], static_cast<double>(rows));
  EXPECT_GT(shares[first], 0.4 * static_cast<double>(rows));
}

TEST(Quality, AClassHasTheRowsThatCameOrThatWereExpected) {
  const std::vector<double> codes{0, 1, 0, 1, 0, 0, 0, 1, 1, 1, 0, 0};
  // scipy 1.17.1: special.softmax expects 4.50797454, 3.54774995 and 3.94427552.
  expect_near(class_rows(classes(3), kMargins, codes), {7, 5, 3.9442755157});
  EXPECT_TRUE(class_rows(kBinary, std::vector<float>{1}, std::vector<double>{1}).empty());
}

TEST(Quality, MarginsComeBackFromPredictions) {
  const std::vector<float> row{0.25F, -3, 1.5F};
  std::vector<float> p(3);
  std::vector<float> again(3);
  for (const Task& task : {kBinary, kRegression, classes(3)}) {
    const std::span<const float> margins(row.data(), task.outputs());
    const std::span<float> prediction(p.data(), task.outputs());
    task.predict(margins, prediction);
    const std::vector<float> back = margins_of(task, prediction);
    task.predict(back, std::span(again).first(task.outputs()));
    for (std::size_t k = 0; k < task.outputs(); ++k) EXPECT_NEAR(again[k], p[k], 1e-6);
  }
  const auto certain = margins_of(classes(2), std::vector<float>{1, 0});
  EXPECT_NEAR(certain[1], std::log(1e-15), 1e-4) << "clipped, not infinite";
}

TEST(Quality, WithoutRowsOrWithEqualLabelsThereIsNoRatio) {
  EXPECT_TRUE(std::isnan(quality_ratio(kBinary, {}, {}).ratio));
  for (const Task& task : {kBinary, kRegression, classes(3)}) {
    const std::vector<float> margins(2 * task.outputs(), 0.5F);
    const Quality q = quality_ratio(task, margins, std::vector<double>{1, 1});
    EXPECT_TRUE(std::isnan(q.ratio)) << task_name(task.kind);
    EXPECT_TRUE(std::isfinite(q.loss)) << task_name(task.kind);
    EXPECT_EQ(q.offsets.size(), task.outputs());
  }
}

}  // namespace
}  // namespace heddle::stats
