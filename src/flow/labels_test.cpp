// What the target says of rows, and what it must not say.
#include <cmath>

#include <gtest/gtest.h>

#include "flow/assemble.hpp"
#include "spec/task.hpp"

namespace heddle::flow {
namespace {

using stats::TaskKind;

table::Column texts(std::vector<std::string> values) {
  table::Column column{.name = "kind", .type = table::Type::kString};
  for (std::size_t i = 0; i < values.size(); ++i)
    column.codes.push_back(static_cast<std::int32_t>(i));
  column.dictionary = std::make_shared<const table::Dictionary>(std::move(values));
  return column;
}
table::Column numbers(std::vector<double> values) {
  return {.name = "amount", .type = table::Type::kDouble, .doubles = std::move(values)};
}
table::Column integers(std::vector<std::int64_t> values) {
  return {.name = "count", .type = table::Type::kInt, .ints = std::move(values)};
}
spec::Model model(TaskKind task, std::string target) {
  spec::Model out;
  out.task = task;
  out.target.text = std::move(target);
  return out;
}
Result<Labels> labels(const spec::Model& of, table::Column column) {
  return labels_of(of, *table::Table::make({std::move(column)}));
}
std::string fault(const spec::Model& of, table::Column column) {
  const auto made = labels(of, std::move(column));
  return made.ok() ? "" : made.error().id;
}

TEST(Labels, ClassesAreLearnedInOrder) {
  const auto found = labels(model(TaskKind::kClasses, "kind"), texts({"b", "a", "c"}));
  ASSERT_TRUE(found.ok()) << found.error().str();
  EXPECT_EQ(found->task, (stats::Task{TaskKind::kClasses, {"a", "b", "c"}}));
  EXPECT_EQ(found->codes, (std::vector<double>{1, 0, 2}));
  const auto whole = labels(model(TaskKind::kClasses, "count"), integers({10, -3, 9, 10}));
  ASSERT_TRUE(whole.ok()) << whole.error().str();
  EXPECT_EQ(whole->task, (stats::Task{TaskKind::kClasses, {"-3", "9", "10"}, true}));
  EXPECT_EQ(whole->codes, (std::vector<double>{2, 0, 1, 2}));
}

TEST(Labels, DeclaredClassesKeepTheirOrderAndAdmitNoOther) {
  spec::Model declared = model(TaskKind::kClasses, "kind");
  declared.classes = {"c", "a"};
  EXPECT_EQ(labels(declared, texts({"a", "c"}))->codes, (std::vector<double>{1, 0}));
  const auto other = labels(declared, texts({"a", "b"}));
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().id, "target-class-unknown");
  EXPECT_NE(other.error().message.find("in 1 of 2 rows, for example: `b`"), std::string::npos)
      << other.error().message;
}

TEST(Labels, NumbersAreThemselves) {
  const auto found = labels(model(TaskKind::kRegression, "amount * 2.0"), numbers({.5, -1}));
  ASSERT_TRUE(found.ok()) << found.error().str();
  EXPECT_EQ(found->codes, (std::vector<double>{1, -2}));
  EXPECT_EQ(labels(model(TaskKind::kRegression, "count"), integers({7, 8}))->codes,
            (std::vector<double>{7, 8}));
}

TEST(Labels, WhatCannotBeLearnedIsNamed) {
  EXPECT_EQ(fault(model(TaskKind::kRegression, "amount"), numbers({2, 2})), "target-constant");
  EXPECT_EQ(fault(model(TaskKind::kClasses, "kind"), texts({"a"})), "target-constant");
  EXPECT_EQ(fault(model(TaskKind::kBinary, "amount > 1.0"), numbers({2, 3})), "target-constant");
  // The logarithm of 0.
  EXPECT_EQ(fault(model(TaskKind::kRegression, "amount / (amount - 2.0)"), numbers({1, 2, 3})),
            "target-not-finite");
  EXPECT_EQ(fault(model(TaskKind::kRegression, "amount * 1e39"), numbers({1, 2})),
            "target-not-finite");
  table::Column gap = numbers({1, 2, 3});
  gap.valid = {1, 0, 1};
  EXPECT_EQ(fault(model(TaskKind::kRegression, "amount"), gap), "target-missing");
  EXPECT_EQ(fault(model(TaskKind::kClasses, "kind"), numbers({1, 2})), "target-absent");
}

TEST(Labels, WholeNumbersThatADoubleDoesNotTellApartAreNoClasses) {
  const std::int64_t most = (std::int64_t{1} << 53) - 1;
  const auto whole = model(TaskKind::kClasses, "count");
  EXPECT_EQ(labels(whole, integers({most, -most, most}))->task.classes,
            (std::vector<std::string>{"-9007199254740991", "9007199254740991"}));
  for (const std::int64_t past : {most + 1, -most - 1, std::int64_t{9223372036854775807}}) {
    EXPECT_EQ(fault(whole, integers({1, past, past - 1})), "target-class-too-large") << past;
  }
  EXPECT_TRUE(labels(model(TaskKind::kRegression, "count"), integers({1, most + 2})).ok());
}

TEST(Labels, AThousandClassesAreThereAndTooManyAreNot) {
  std::vector<std::int64_t> values;
  for (std::int64_t i = 0; i < 1000; ++i) values.push_back(i);
  EXPECT_EQ(labels(model(TaskKind::kClasses, "count"), integers(values))->task.classes.size(),
            1000U);
  for (std::size_t i = 1000; i <= spec::kMostClasses; ++i)
    values.push_back(static_cast<std::int64_t>(i));
  EXPECT_EQ(fault(model(TaskKind::kClasses, "count"), integers(values)), "target-many-classes");
}

TEST(Labels, AClassNeedsTwoRowsOneOfThemToTrainOn) {
  const stats::Task task{TaskKind::kClasses, {"a", "b"}};
  EXPECT_TRUE(check_classes({task, {0, 1, 0, 1}}, 2).ok());
  const auto once = check_classes({task, {0, 1, 0, 0}}, 2);
  ASSERT_FALSE(once.ok());
  EXPECT_EQ(once.error().id, "target-class-rare");
  EXPECT_NE(once.error().message.find("`b` has 1 of 4 rows"), std::string::npos)
      << once.error().message;
  EXPECT_EQ(check_classes({task, {0, 0, 1, 1}}, 2).error().id, "target-class-rare");
  EXPECT_EQ(check_classes({{}, {0, 0, 0, 1}}, 3).error().id, "target-class-rare");
  const auto none = check_classes({{TaskKind::kClasses, {"a", "b", "c"}}, {0, 1, 0, 1}}, 2);
  EXPECT_NE(none.error().hint.find("leave the class out of `classes`"), std::string::npos)
      << none.error().hint;
  EXPECT_TRUE(check_classes({{TaskKind::kRegression}, {1, 2, 3}}, 2).ok());
}

TEST(Labels, ANumberVariesInTheRowsToTrainOn) {
  const auto constant = check_classes({{TaskKind::kRegression}, {4, 4, 4, 5}}, 3);
  ASSERT_FALSE(constant.ok());
  EXPECT_EQ(constant.error().kind, ErrorKind::kUnprocessable);
  EXPECT_EQ(constant.error().message,
            "the target is 4 in all 3 rows to train on, so there is nothing to learn");
}

TEST(Labels, EachStretchOfAStratifiedOrderHasTheSharesOfTheWhole) {
  Labels sorted{{TaskKind::kClasses, {"a", "b", "c"}}, {}};
  for (const auto& [code, rows] : {std::pair{0, 700}, {1, 250}, {2, 50}})
    sorted.codes.insert(sorted.codes.end(), static_cast<std::size_t>(rows), code);
  const auto order = stratified(sorted);
  ASSERT_EQ(order.size(), 1000U);
  for (const auto& [begin, end] :
       {std::pair<std::size_t, std::size_t>{0, 700}, {700, 850}, {850, 1000}}) {
    std::vector<double> rows(3, 0);
    for (std::size_t i = begin; i < end; ++i)
      rows[static_cast<std::size_t>(sorted.codes[static_cast<std::size_t>(order[i])])] += 1;
    const double share = static_cast<double>(end - begin) / 1000;
    EXPECT_NEAR(rows[0], 700 * share, 1);
    EXPECT_NEAR(rows[1], 250 * share, 1);
    EXPECT_NEAR(rows[2], 50 * share, 1);
  }
  // Of a class the rows keep their order.
  std::int64_t last = -1;
  for (const auto row : order) {
    if (sorted.codes[static_cast<std::size_t>(row)] != 2) continue;
    EXPECT_GT(row, last);
    last = row;
  }
}

}  // namespace
}  // namespace heddle::flow
