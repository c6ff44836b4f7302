// What is made of any range of rows, against what a plain loop over them gives.
#include "upstream/series.hpp"

#include <cmath>
#include <optional>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace heddle::upstream {
namespace {

using expr::Datum;
using expr::Type;
using spec::Aggregate;
using table::Column;

/// One in four without a value, numbers of very different sizes, some of them equal.
Column drawn(std::size_t rows, std::mt19937_64& draw) {
  Column out{.name = "x", .type = Type::kDouble};
  for (std::size_t i = 0; i < rows; ++i) {
    out.valid.push_back(draw() % 4 == 0 ? 0 : 1);
    out.doubles.push_back(static_cast<double>(static_cast<std::int64_t>(draw() % 41) - 20) *
                          std::pow(10.0, static_cast<double>(draw() % 7)));
  }
  return out;
}

struct Plain {
  std::int64_t count = 0;
  long double sum = 0;
  std::optional<double> least, largest;
};

Plain plain(const Column& column, Range range) {
  Plain out;
  for (std::size_t i = range.begin; i < range.end; ++i) {
    if (column.valid[i] == 0) continue;
    const double value = column.doubles[i];
    ++out.count;
    out.sum += static_cast<long double>(value);
    out.least = std::min(out.least.value_or(value), value);
    out.largest = std::max(out.largest.value_or(value), value);
  }
  return out;
}

TEST(Series, AnyRangeIsWhatALoopGives) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937_64 draw(seed);
  for (int round = 0; round < 50; ++round) {
    const Column column = drawn(draw() % 40, draw);
    const Series count(Aggregate::kCount, &column), sum(Aggregate::kSum, &column),
        mean(Aggregate::kMean, &column), least(Aggregate::kMin, &column),
        largest(Aggregate::kMax, &column), last(Aggregate::kLast, &column);
    const auto rows = static_cast<std::size_t>(column.length());
    for (std::size_t begin = 0; begin <= rows; ++begin) {
      for (std::size_t end = begin; end <= rows; ++end) {
        const Range range{begin, end};
        const Plain due = plain(column, range);
        EXPECT_EQ(count.of(range).i, due.count);
        ASSERT_EQ(sum.of(range).is_null(), due.count == 0);
        ASSERT_EQ(least.of(range).is_null(), due.count == 0);
        const bool has_last = begin < end && column.valid[end - 1] != 0;
        ASSERT_EQ(last.of(range).is_null(), !has_last);
        if (has_last) {
          EXPECT_EQ(last.of(range).d, column.doubles[end - 1]);
        }
        if (due.count == 0) continue;
        EXPECT_EQ(sum.of(range).d, static_cast<double>(due.sum));
        EXPECT_EQ(mean.of(range).d, static_cast<double>(due.sum) / static_cast<double>(due.count));
        EXPECT_EQ(least.of(range).d, *due.least);
        EXPECT_EQ(largest.of(range).d, *due.largest);
      }
    }
  }
}

TEST(Series, ASmallSumIsNotLostBehindALargeOne) {
  Column column{.name = "x", .type = Type::kDouble};
  for (int i = 0; i < 1000; ++i) column.doubles.push_back(1e15 + 0.125);
  column.doubles.insert(column.doubles.end(), {0.1, 0.2});
  const Series sum(Aggregate::kSum, &column);
  // Differences of plain sums would be multiples of 128.
  EXPECT_NEAR(sum.of({1000, 1002}).d, 0.3, 1e-13);
  EXPECT_NEAR(sum.of({1001, 1002}).d, 0.2, 1e-13);
}

TEST(Series, ASumThatIsTooLargeSpoilsNoOther) {
  Column column{.name = "x", .type = Type::kDouble, .doubles = {1e308, 1e308, 1e308, 2, 3}};
  const Series sum(Aggregate::kSum, &column);
  EXPECT_EQ(sum.of({3, 5}).d, 5);
  EXPECT_TRUE(std::isinf(sum.of({0, 3}).d));
}

TEST(Series, WholeNumbersAndTimesStayWhole) {
  Column ints{.name = "x", .type = Type::kInt, .ints = {(1LL << 60) + 1, 7, 1LL << 60}};
  EXPECT_EQ(Series(Aggregate::kMax, &ints).of({0, 3}).i, (1LL << 60) + 1);
  EXPECT_EQ(Series(Aggregate::kMin, &ints).of({0, 3}).i, 7);
  Column times{.name = "x", .type = Type::kTimestamp, .ints = {5, 3}};
  const Datum first = Series(Aggregate::kMin, &times).of({0, 2});
  EXPECT_EQ(first.kind, Datum::Kind::kTimestamp);
  EXPECT_EQ(first.i, 3);
}

TEST(Series, RowsAreCountedWithoutAColumn) {
  const Series rows(Aggregate::kCount, nullptr);
  EXPECT_EQ(rows.of({2, 7}).i, 5);
  EXPECT_EQ(rows.of({2, 2}).i, 0);
}

}  // namespace
}  // namespace heddle::upstream
