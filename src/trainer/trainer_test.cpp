#include "trainer/trainer.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace heddle::trainer {
namespace {

TEST(Trainers, EachTaskHasItsTrainersAndASimpleOne) {
  using stats::TaskKind;
  using Names = std::vector<std::string>;
  EXPECT_EQ(trainers_of(TaskKind::kBinary), (Names{"xgboost", "logistic"}));
  EXPECT_EQ(trainers_of(TaskKind::kClasses), (Names{"xgboost", "logistic"}));
  EXPECT_EQ(trainers_of(TaskKind::kRegression), (Names{"xgboost", "ridge"}));
  for (const auto task : {TaskKind::kBinary, TaskKind::kClasses, TaskKind::kRegression})
    EXPECT_TRUE(simple_trainer(task).does(task));
}

TEST(Trainers, ParametersAreThoseOfTheTask) {
  using stats::TaskKind;
  const auto fault = [](TaskKind task, std::string_view name, std::string_view value) {
    const auto found = check_parameter(xgboost_trainer(), task, name, value);
    return found ? std::string(found->id) : std::string();
  };
  EXPECT_EQ(fault(TaskKind::kBinary, "objective", "binary:logistic"), "");
  EXPECT_EQ(fault(TaskKind::kBinary, "objective", "multi:softprob"), "bad-parameter");
  EXPECT_EQ(fault(TaskKind::kClasses, "objective", "multi:softprob"), "");
  EXPECT_EQ(fault(TaskKind::kClasses, "num_class", "3"), "fixed-parameter");
  EXPECT_EQ(fault(TaskKind::kClasses, "base_score", "0.5"), "fixed-parameter");
  EXPECT_EQ(fault(TaskKind::kRegression, "objective", "reg:absoluteerror"), "");
  EXPECT_EQ(fault(TaskKind::kRegression, "objective", "count:poisson"), "bad-parameter");
  EXPECT_EQ(fault(TaskKind::kRegression, "base_score", "-3.5"), "");
  EXPECT_EQ(fault(TaskKind::kRegression, "base_score", "inf"), "bad-parameter");
  EXPECT_EQ(fault(TaskKind::kBinary, "base_score", "1.5"), "bad-parameter");
}

// `dart` that drops no tree grows those of `gbtree`, from the values where that reads bins only.
TEST(Trainers, BinsGiveTheTreesThatValuesGive) {
  std::mt19937_64 random(7);
  std::normal_distribution<float> normal;
  constexpr int kRows = 3000, kColumns = 6;
  std::vector<float> features;
  std::vector<double> labels;
  for (int row = 0; row < kRows; ++row) {
    for (int column = 0; column < kColumns; ++column)
      features.push_back(row % 11 == column ? std::numeric_limits<float>::quiet_NaN()
                                            : normal(random));
    const float first = features[features.size() - kColumns];
    labels.push_back(!std::isnan(first) && first + normal(random) > 0 ? 1 : 0);
  }
  for (const char* most : {"7", "256"}) {
    const auto margins = [&](const char* booster) {
      Input input;
      input.parameters.values = {{"booster", booster}, {"max_bin", most}, {"max_depth", "5"}};
      input.train = {features.data(), labels.data(), kRows, kColumns};
      input.max_rounds = 20;
      const auto fitted = xgboost_trainer().train(input);
      EXPECT_TRUE(fitted.ok()) << fitted.error().str();
      const auto answered =
          xgboost_trainer().margins(fitted.ok() ? fitted->model : "", features, kRows, kColumns);
      EXPECT_TRUE(answered.ok()) << answered.error().str();
      return answered.ok() ? answered->value() : std::vector<float>();
    };
    const auto of_bins = margins("gbtree");
    EXPECT_EQ(of_bins.size(), kRows);
    EXPECT_EQ(of_bins, margins("dart")) << most;
  }
}

}  // namespace
}  // namespace heddle::trainer
