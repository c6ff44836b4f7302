#include "trainer/trainer.hpp"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace heddle::trainer
