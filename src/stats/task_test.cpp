#include "stats/task.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace heddle::stats {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

Task three() { return {.kind = TaskKind::kClasses, .classes = {"bus", "car", "rail"}}; }

TEST(Task, PredictsByItsLink) {
  std::vector<float> out(1);
  Task{}.predict(std::vector<float>{0.0F}, out);
  EXPECT_EQ(out[0], 0.5F);
  Task{.kind = TaskKind::kRegression}.predict(std::vector<float>{-7.25F}, out);
  EXPECT_EQ(out[0], -7.25F);
  // scipy.special.softmax([1, 2, 4]) of scipy 1.15.
  std::vector<float> classes(3);
  three().predict(std::vector<float>{1, 2, 4}, classes);
  EXPECT_NEAR(classes[0], 0.04201007, 1e-7);
  EXPECT_NEAR(classes[1], 0.11419520, 1e-7);
  EXPECT_NEAR(classes[2], 0.84379473, 1e-7);
  EXPECT_EQ(Task::best(classes), 2U);
}

TEST(Task, LargeMarginsOfClassesDoNotOverflow) {
  std::vector<float> out(3);
  three().predict(std::vector<float>{3e4F, -3e4F, 3e4F}, out);
  EXPECT_EQ(out, (std::vector<float>{0.5F, 0.0F, 0.5F}));
  EXPECT_EQ(Task::best(out), 0U) << "the first of equals";
}

TEST(Task, AMarginThatIsNotKnownLeavesNoPrediction) {
  std::vector<float> out(3);
  three().predict(std::vector<float>{1, kNaN, 2}, out);
  for (const float value : out) EXPECT_TRUE(std::isnan(value));
  three().predict(std::vector<float>{kNaN, 1, 2}, out);
  for (const float value : out) EXPECT_TRUE(std::isnan(value));
}

TEST(Task, LabelsOfBinary) {
  const Task binary;
  EXPECT_EQ(binary.code_of(true).value(), 1);
  EXPECT_EQ(binary.code_of(0.0).value(), 0);
  EXPECT_EQ(binary.code_of(0.5).error().id, "label-type");
  EXPECT_EQ(binary.code_of(std::string("true")).error().id, "label-type");
  EXPECT_EQ(std::get<bool>(binary.label_of(1)), true);
}

TEST(Task, LabelsOfClasses) {
  EXPECT_EQ(three().code_of(std::string("rail")).value(), 2);
  EXPECT_EQ(std::get<std::string>(three().label_of(2)), "rail");
  EXPECT_EQ(three().code_of(1.0).error().id, "label-type");
  const auto unknown = three().code_of(std::string("plane"));
  EXPECT_EQ(unknown.error().id, "label-class-unknown");
  EXPECT_NE(unknown.error().message.find("`bus`, `car`, `rail`"), std::string::npos);
}

TEST(Task, LabelsOfWholeClasses) {
  const Task task{.kind = TaskKind::kClasses, .classes = {"-1", "0", "12"}, .whole_classes = true};
  EXPECT_EQ(task.code_of(12.0).value(), 2);
  EXPECT_EQ(task.code_of(-0.0).value(), 1);
  EXPECT_EQ(std::get<double>(task.label_of(0)), -1);
  EXPECT_EQ(task.code_of(1.5).error().id, "label-type");
  EXPECT_EQ(task.code_of(std::string("12")).error().id, "label-type");
  EXPECT_EQ(task.code_of(3.0).error().id, "label-class-unknown");
}

TEST(Task, LabelsOfARegressionAreFinite) {
  const Task task{.kind = TaskKind::kRegression};
  EXPECT_EQ(task.code_of(-2.5).value(), -2.5);
  EXPECT_EQ(task.code_of(std::numeric_limits<double>::infinity()).error().id, "label-not-finite");
  EXPECT_EQ(task.code_of(std::nan("")).error().id, "label-not-finite");
  EXPECT_EQ(task.code_of(true).error().id, "label-type");
}

TEST(Task, AThousandClassesAreNotAllNamedInAMessage) {
  Task task{.kind = TaskKind::kClasses};
  for (int i = 0; i < 1000; ++i) task.classes.push_back("class-" + std::to_string(i));
  EXPECT_LT(task.code_of(std::string("other")).error().message.size(), 500U);
}

}  // namespace
}  // namespace heddle::stats
