// Values that were sent against those that the source gives.
#include "upstream/skew.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "doc/json.hpp"

namespace heddle::upstream {
namespace {

using expr::Type;
using testing::ElementsAre;

spec::Field a_field(Type type, spec::Aggregate aggregate = spec::Aggregate::kLast) {
  spec::Field out{.name = "x", .type = type};
  out.upstream = spec::Upstream{.source = "s", .time = "t", .value = "v", .aggregate = aggregate};
  return out;
}

table::Column real_column(std::vector<double> values, std::vector<std::uint8_t> valid) {
  return {
      .name = "x", .type = Type::kDouble, .doubles = std::move(values), .valid = std::move(valid)};
}

std::vector<std::string> ids_of(std::size_t rows) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < rows; ++i) out.push_back("q#" + std::to_string(i));
  return out;
}

TEST(Skew, EachWayToDifferIsCounted) {
  const auto skew =
      compare(a_field(Type::kDouble), real_column({1, 2, 0, 4, 0, 7}, {1, 1, 0, 1, 0, 1}),
              real_column({1, 2.5, 3, 0, 0, -3}, {1, 1, 1, 0, 0, 1}), ids_of(6), 3);
  EXPECT_EQ(skew.rows, 6);
  EXPECT_EQ(skew.equal, 2) << "the same, and missing on both sides";
  EXPECT_EQ(skew.different, 2);
  EXPECT_EQ(skew.missing_served, 1);
  EXPECT_EQ(skew.missing_computed, 1);
  EXPECT_EQ(skew.largest, 10);
  EXPECT_TRUE(skew.differs());
  std::vector<std::string> shown;
  for (const auto& each : skew.examples)
    shown.push_back(each.row + " " + doc::to_json(each.served) + " " + doc::to_json(each.computed));
  EXPECT_THAT(shown, ElementsAre("q#1 2.0 2.5", "q#2 null 3.0", "q#3 4.0 null"));
}

TEST(Skew, OnlySumsMayDifferInTheirLastBits) {
  const double sum = 0.1 + 0.2, other = 0.3;
  ASSERT_NE(sum, other);
  const auto differ = [&](spec::Aggregate aggregate, double a, double b) {
    return compare(a_field(Type::kDouble, aggregate), real_column({a}, {}), real_column({b}, {}),
                   ids_of(1), 1)
        .differs();
  };
  EXPECT_FALSE(differ(spec::Aggregate::kSum, sum, other));
  EXPECT_FALSE(differ(spec::Aggregate::kMean, sum, other));
  EXPECT_TRUE(differ(spec::Aggregate::kMean, sum, 0.3001));
  EXPECT_TRUE(differ(spec::Aggregate::kLast, sum, other));
}

TEST(Skew, TimesDifferBySeconds) {
  const table::Column a{.name = "x", .type = Type::kTimestamp, .ints = {0, 5 * kSecond}};
  const table::Column b{.name = "x", .type = Type::kTimestamp, .ints = {0, 95 * kSecond}};
  const auto skew = compare(a_field(Type::kTimestamp), a, b, ids_of(2), 1);
  EXPECT_EQ(skew.largest, 90);
  EXPECT_EQ(skew.examples[0].served, doc::Value("1970-01-01T00:00:05Z"));
}

TEST(Skew, ATextThatIsNoValueIsShown) {
  table::Column a = real_column({0}, {0});
  a.malformed = {1};
  a.malformed_texts = std::make_shared<const table::Dictionary>(std::vector<std::string>{"warm"});
  const auto skew = compare(a_field(Type::kDouble), a, real_column({3}, {}), ids_of(1), 1);
  EXPECT_EQ(skew.different, 1);
  EXPECT_EQ(skew.examples[0].served, doc::Value("warm"));
  EXPECT_FALSE(skew.largest);
}

}  // namespace
}  // namespace heddle::upstream
