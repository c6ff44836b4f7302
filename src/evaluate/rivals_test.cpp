#include "evaluate/rivals.hpp"

#include <cmath>

#include <gtest/gtest.h>

namespace heddle::evaluate {
namespace {

/// Ten rows to train on, then two to test on; one feature that says nothing and one that says all.
struct Rows {
  std::vector<double> labels;
  table::Matrix train{10, 2, {}};
  table::Matrix test{2, 2, {}};
  std::vector<Micros> times{};

  explicit Rows(std::vector<double> of) : labels(std::move(of)) {
    for (std::size_t i = 0; i < labels.size(); ++i) {
      auto& to = i < 10 ? train : test;
      to.values.push_back(1);
      to.values.push_back(static_cast<float>(labels[i]));
      times.push_back(static_cast<Micros>(i));
    }
  }
  [[nodiscard]] Numbers numbers(const stats::Task& task) const {
    return rivals({&task, labels, 10, 10, times, &train, &test});
  }
};

TEST(Rivals, OfAProbabilityAreTheBaseRateWhatFollowedAndOneFeature) {
  const stats::Task task{stats::TaskKind::kBinary, {}, false};
  const Rows rows({0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1});
  const Numbers numbers = rows.numbers(task);
  // Half of the rows are true.
  EXPECT_NEAR(numbers.at("constant.log_loss"), std::log(2), 1e-6);
  EXPECT_EQ(numbers.at("constant.auc"), .5);
  // After a true row came a false one, 4 of 4 times, after a false one a true one, 5 of 5: each
  // share is drawn to one half by one row.
  EXPECT_NEAR(numbers.at("last.log_loss"), -(std::log(4.5 / 5) + std::log(5.5 / 6)) / 2, 1e-6);
  EXPECT_EQ(numbers.at("last.auc"), 1);
  EXPECT_NEAR(numbers.at("one_feature.log_loss"), -std::log(5.5 / 6), 1e-6);
}

TEST(Rivals, OfANumberAreMediansAndForSquaredErrorsMeans) {
  const stats::Task task{stats::TaskKind::kRegression, {}, false};
  const Rows rows({0, 0, 0, 0, 0, 0, 10, 10, 10, 10, 0, 10});
  const Numbers numbers = rows.numbers(task);
  EXPECT_EQ(numbers.at("constant.mae"), 5);                                    // the median is 0
  EXPECT_NEAR(numbers.at("constant.rmse"), std::sqrt((16. + 36.) / 2), 1e-6);  // the mean is 4
  EXPECT_EQ(numbers.at("last.mae"), 10);  // 10 before 0, 0 before 10
  EXPECT_EQ(numbers.at("one_feature.mae"), 0);
  EXPECT_EQ(numbers.at("one_feature.r2"), 1);
}

TEST(Rivals, TheFeatureOfMeansIsTheOneWithTheLeastSquaredError) {
  const stats::Task task{stats::TaskKind::kRegression, {}, false};
  Rows rows({0, 0, 0, 0, 10, 4, 4, 4, 4, 4, 10, 0});
  // The first feature leaves one large error (16 in absolute errors, 80 in squares), the second
  // many small ones (19.7 and 48.3). By medians they are 10 and 14.
  rows.train.values = {0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 0};
  rows.test.values = {1, 1, 0, 0};
  const Numbers numbers = rows.numbers(task);
  EXPECT_NEAR(numbers.at("one_feature.rmse"), std::sqrt((4.5 * 4.5 + 16. / 9) / 2), 1e-6);
  EXPECT_NEAR(numbers.at("one_feature.mae"), 3, 1e-6);
}

TEST(Rivals, RowsOfOneTimeDoNotKnowEachOther) {
  const stats::Task task{stats::TaskKind::kRegression, {}, false};
  Rows rows({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30});
  rows.times[11] = rows.times[10];
  // Both test rows have the label 10 before them.
  EXPECT_EQ(rows.numbers(task).at("last.mae"), 15);
  rows.times.clear();
  EXPECT_FALSE(rows.numbers(task).contains("last.mae"));
}

TEST(Rivals, OfClassesAreSharesOfEach) {
  const stats::Task task{stats::TaskKind::kClasses, {"a", "b", "c"}, false};
  const Rows rows({0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2});
  const Numbers numbers = rows.numbers(task);
  // (3 + .5) / (10 + 1.5) of b and of c.
  EXPECT_NEAR(numbers.at("constant.log_loss"), -std::log(3.5 / 11.5), 1e-6);
  EXPECT_EQ(numbers.at("last.accuracy"), 1);
  EXPECT_EQ(numbers.at("one_feature.accuracy"), 1);
}

}  // namespace
}  // namespace heddle::evaluate
