#include "watch/prior_shift.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace heddle::watch {
namespace {

const stats::Task kThreeClasses{stats::TaskKind::kClasses, {"a", "b", "c"}};

TEST(PriorShift, OfBinaryIsTheMeanInterceptWhicheverWayItGoes) {
  for (const double sign : {1.0, -1.0}) {
    const std::vector<ChunkOffsets> chunks{{{sign * 0.5}}, {{sign * 0.7}}, {{sign * -0.3}}};
    const PriorShift shift = prior_shift({}, chunks, 1);
    EXPECT_NEAR(shift.size, 0.3, 1e-12);
    EXPECT_NEAR(shift.offsets[0], sign * 0.3, 1e-12);
    EXPECT_NEAR(shift.agreement, 2.0 / 3, 1e-12);
  }
}

TEST(PriorShift, OfARegressionIsInUnitsOfTheReference) {
  const stats::Task number{stats::TaskKind::kRegression};
  const std::vector<ChunkOffsets> chunks{{{-20}}, {{-40}}};
  const PriorShift shift = prior_shift(number, chunks, 60);
  EXPECT_NEAR(shift.size, 0.5, 1e-12);
  EXPECT_NEAR(shift.offsets[0], -30, 1e-12);
  EXPECT_EQ(shift.agreement, 1);
  EXPECT_NEAR(along(number, shift.offsets, std::vector<double>{12}, 60), -0.2, 1e-12);
}

TEST(PriorShift, OfClassesIsWhatTwoMovedAgainstEachOther) {
  const std::vector<double> many{500, 500, 500};
  const std::vector<ChunkOffsets> chunks{{{0, 0.4, -0.6}, many}, {{0, 0.2, -0.2}, many}};
  const PriorShift shift = prior_shift(kThreeClasses, chunks, 1);
  EXPECT_NEAR(shift.size, 0.7, 1e-12) << "b against c";
  EXPECT_NEAR(along(kThreeClasses, shift.offsets, std::vector<double>{0, -1, 0.5}, 1), -1.5, 1e-12);
  // The class that all are held against may be the one that moved.
  const std::vector<ChunkOffsets> first{{{0, 0.5, 0.5}, many}};
  EXPECT_NEAR(prior_shift(kThreeClasses, first, 1).size, 0.5, 1e-12);
}

TEST(PriorShift, AClassOfFewRowsMovesNothing) {
  const std::vector<ChunkOffsets> rare{{{0, 0.1, -3}, {900, 100, 20}},
                                       {{0, 0.1, -2}, {900, 250, 30}}};
  const PriorShift shift = prior_shift(kThreeClasses, rare, 1);
  EXPECT_NEAR(shift.size, 0.1, 1e-12);
  EXPECT_NEAR(shift.offsets[2], 350 * 0.1 / 2150, 1e-12);
  const std::vector<ChunkOffsets> none{{{0, 2, -3}, {10, 10, 10}}};
  EXPECT_EQ(prior_shift(kThreeClasses, none, 1).size, 0);
}

}  // namespace
}  // namespace heddle::watch
