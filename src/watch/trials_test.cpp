#include "watch/trials.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace heddle::watch {
namespace {

constexpr double kShare = 0.05;
constexpr std::int64_t kChunk = 2000;  ///< rows
/// What a chunk may lose: 5 % of the entropy of 2,000 labels, half of them true.
const double kAllowed = kShare * std::log(2.0) * static_cast<double>(kChunk);

void add_row(Trial& trial, double difference, double code, std::int64_t chunk) {
  trial.add(difference, chunk);
  trial.add_label({}, code, 0);
}

/// Rows of one chunk that lose `loss` in sum, with a little noise.
void add(Trial& trial, std::int64_t chunk, int rows, double loss) {
  for (int i = 0; i < rows; ++i)
    add_row(trial, loss / rows + (i % 2 == 0 ? 0.01 : -0.01), i % 2, chunk);
}

TEST(TrialLoss, WhatItLosesCountsByWholeChunks) {
  Trial trial;
  add(trial, 0, kChunk, -3 * kAllowed);  // it pays
  EXPECT_FALSE(trial.loses(kShare, kChunk));
  add(trial, 1, kChunk, 1.5 * kAllowed);
  EXPECT_FALSE(trial.loses(kShare, kChunk)) << "the chunk has not ended";
  add(trial, 2, 1, 0);
  EXPECT_TRUE(trial.loses(kShare, kChunk)) << "since it was worth most, not since it began";
}

TEST(TrialLoss, AMorningThatLosesAndAnEveningThatGainsAreADay) {
  Trial trial;
  add(trial, 0, kChunk, -kAllowed);
  for (int day = 1; day < 6; ++day) {
    add(trial, day, kChunk / 2, 3 * kAllowed);
    EXPECT_FALSE(trial.loses(kShare, kChunk)) << day;
    add(trial, day, kChunk / 2, -3 * kAllowed);
  }
  add(trial, 6, 1, 0);
  EXPECT_FALSE(trial.loses(kShare, kChunk));
}

TEST(TrialLoss, WhatLosesFourTimesAsMuchDoesNotWaitForTheEndOfTheChunk) {
  Trial trial;
  add(trial, 0, kChunk, -kAllowed);
  add(trial, 1, kChunk / 2, 3.9 * kAllowed);
  EXPECT_FALSE(trial.loses(kShare, kChunk));
  add(trial, 1, kChunk / 8, 0.3 * kAllowed);
  EXPECT_TRUE(trial.loses(kShare, kChunk));
}

TEST(TrialLoss, ChanceIsNoLoss) {
  Trial trial;
  // One row in a hundred loses a lot: as much in sum, and within four standard errors.
  for (int i = 0; i < kChunk; ++i) add_row(trial, i % 100 == 0 ? kAllowed / 15 : 0, i % 2, 0);
  add_row(trial, 0, 1, 1);
  EXPECT_GT(trial.lost(), kAllowed);
  EXPECT_TRUE(trial.loses(kShare, kChunk));
  Trial rare;
  for (int i = 0; i < kChunk; ++i) add_row(rare, i % 500 == 0 ? kAllowed / 3 : 0, i % 2, 0);
  add_row(rare, 0, 1, 1);
  EXPECT_GT(rare.lost(), kAllowed);
  EXPECT_FALSE(rare.loses(kShare, kChunk));
}

TEST(TrialLoss, WhatAConstantAnswerLosesFollowsFromTheTask) {
  Trial classes;
  const stats::Task three{stats::TaskKind::kClasses, {"a", "b", "c"}};
  for (int i = 0; i < 12; ++i) {
    classes.add(0, 0);
    classes.add_label(three, i % 4 == 3 ? 2 : i % 2, 0);
  }
  // Shares of 1/2, 1/4 and 1/4.
  EXPECT_NEAR(classes.constant_loss(), 1.5 * std::log(2.0), 1e-12);
  Trial numbers;
  for (const double label : {1.0, 4.0, 10.0}) {
    numbers.add(0, 0);
    numbers.add_label(stats::Task{stats::TaskKind::kRegression}, label, 3);
  }
  EXPECT_NEAR(numbers.constant_loss(), (2.0 + 1 + 7) / 3, 1e-12);
  EXPECT_EQ(Trial{}.constant_loss(), 0);
}

TEST(Trials, AnIntervalPaysByWhatItHoldsAndLosesByItsWidth) {
  const stats::Task number{stats::TaskKind::kRegression};
  const auto trial = [&](double error) {
    Trials trials;
    // Served with a quantile of 20, without the act it would be 10.
    const auto t = trials.number("t", false, TrialIntervals{{0.9, 20}, 10});
    for (int i = 0; i < 1000; ++i) {
      TrialRow row;
      row.margins = {100};
      row.code = 100 + error * (i % 10);  // a tenth of them nine times as far
      row.alternatives = {{t, {100.0F}}};
      trials.add(number, row, i / 500, 100);
    }
    StateWriter out;
    trials.save(out);
    const std::string bytes = out.take();
    Trials back;
    StateReader in(bytes);
    back.load(in);
    EXPECT_TRUE(in.done());
    return *back.find("t");
  };
  const Trial wide = trial(0.2);  // errors up to 1.8
  EXPECT_NEAR(wide.mean(), 0.1 * 10, 1e-9) << "a tenth of the width that holds nothing";
  EXPECT_TRUE(wide.loses(kShare, 500));
  const Trial held = trial(2.5);  // errors up to 22.5
  EXPECT_TRUE(held.pays());
  EXPECT_FALSE(held.loses(kShare, 500));
}

TEST(Trials, TheAccountWithoutWhoseLabelsItWouldNotPayIsNamed) {
  const auto trial = [](double of_two, bool confirmed) {
    Trials trials;
    const std::uint32_t number = trials.number("t", true);
    for (int i = 0; i < 2000; ++i) {
      const bool two = i % 4 == 0;
      const double gain = two ? of_two : 0.1;
      // A candidate: what is served loses so much more.
      TrialRow row;
      row.margins = {static_cast<float>(0.5 + gain + 0.05 * (i % 3 - 1))};
      row.account = "app";
      row.label_account = confirmed ? "" : two ? "two" : "one";
      row.alternatives = {{number, {0.5F}}};
      trials.add(stats::Task{stats::TaskKind::kRegression}, row, 0, 0);  // each label is 0
    }
    return trials;
  };
  EXPECT_EQ(trial(0.1, false).label_account_of_gain("t"), "") << "each would do";
  EXPECT_EQ(trial(0.0, false).label_account_of_gain("t"), "one");
  EXPECT_EQ(trial(-0.1, false).label_account_of_gain("t"), "one");
  EXPECT_EQ(trial(0.0, true).label_account_of_gain("t"), "") << "both say so of each row";
  EXPECT_EQ(trial(0.1, false).label_account_of_gain("another"), "");
  StateWriter out;
  trial(0.0, false).save(out);
  const std::string bytes = out.take();
  Trials back;
  StateReader in(bytes);
  back.load(in);
  EXPECT_TRUE(in.done());
  EXPECT_EQ(back.label_account_of_gain("t"), "one");
}

}  // namespace
}  // namespace heddle::watch
