#include "watch/label_join.hpp"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <cmath>
#include <deque>
#include <limits>
#include <map>
#include <random>
#include <string>

namespace heddle::watch {
namespace {

/// The store that a join is kept in.
struct StoredJoin {
  std::string head;
  std::map<std::uint64_t, std::string> pieces;
  std::uint64_t next = 0;
  std::size_t last = 0;  ///< bytes of the last piece

  void take(LabelJoin& join) {
    StateWriter out;
    join.save_head(out);
    head = out.take();
    last = 0;
    if (auto piece = join.changes()) {
      last = piece->size();
      pieces.emplace(next, *std::move(piece));
      join.kept(next++);
    }
    const auto spent = join.spent();
    for (const auto number : spent) pieces.erase(number);
    join.dropped(spent);
  }
  [[nodiscard]] bool load(LabelJoin& join) const {
    StateReader in(head);
    join.load_head(in);
    bool whole = in.done();
    for (const auto& [number, bytes] : pieces) whole = whole && join.load_piece(number, bytes);
    return whole && join.loaded();
  }
};

std::string whole(const LabelJoin& join) {
  StateWriter out;
  join.save_whole(out);
  return out.take();
}

/// Its margins live as long as the test.
ServedRow row_of(std::string_view id, Micros time, float margin = 0.5F) {
  static std::deque<float> margins;
  static const float standby = 0.1F;
  const std::span<const float> primary(&margins.emplace_back(margin), 1);
  return {id, time, 1, primary, std::span(&standby, 1), "s"};
}

TEST(LabelJoin, RepeatsChangesAndEarlyLabels) {
  LabelJoin join;
  EXPECT_EQ(join.add_label("a#0", 1, 20), LabelJoin::Outcome::kWaiting);
  join.add_row(row_of("a#0", 10));
  join.add_row(row_of("b#0", 11));
  EXPECT_EQ(join.labelled_since(0), 1);
  EXPECT_EQ(join.add_label("a#0", 1, 30), LabelJoin::Outcome::kRepeated);
  EXPECT_EQ(join.add_label("a#0", 0, 10), LabelJoin::Outcome::kIgnored);
  EXPECT_EQ(join.add_label("a#0", 0, 25), LabelJoin::Outcome::kIgnored)
      << "what was said again at 30 is later";
  EXPECT_EQ(join.add_label("a#0", 0, 31), LabelJoin::Outcome::kChanged);
  EXPECT_EQ(join.collect(0, 100, 1).codes, (std::vector<double>{0}));
  join.prune(11);
  EXPECT_EQ(join.rows(), 1U);
  EXPECT_EQ(join.add_label("b#0", 1, 40), LabelJoin::Outcome::kJoined);
  EXPECT_EQ(join.labelled_since(0), 2);
}

TEST(LabelJoin, ARowThatTwoAccountsContradictEachOtherAboutHasNoLabel) {
  // Before its row came, and after: what counts is who says what, not whose clock is ahead.
  for (const bool early : {false, true}) {
    SCOPED_TRACE(early);
    LabelJoin join;
    if (!early) join.add_row(row_of("a#0", 10));
    EXPECT_EQ(join.add_label("a#0", 1, 20, "honest"),
              early ? LabelJoin::Outcome::kWaiting : LabelJoin::Outcome::kJoined);
    EXPECT_EQ(join.add_label("a#0", 0, 90, "liar"),
              early ? LabelJoin::Outcome::kWaiting : LabelJoin::Outcome::kContested);
    if (early) join.add_row(row_of("a#0", 10));
    EXPECT_TRUE(join.collect(0, 100, 1).codes.empty());
    EXPECT_EQ(join.counts().contested, 1);
    EXPECT_EQ(join.label_accounts(1), 2);
    LabelJoin again;
    StoredJoin stored;
    stored.take(join);
    ASSERT_TRUE(stored.load(again));
    EXPECT_EQ(whole(again), whole(join));
    // A third word does not decide it; one of the two may think better of it.
    EXPECT_EQ(again.add_label("a#0", 1, 95, "third"), LabelJoin::Outcome::kRepeated);
    EXPECT_TRUE(again.collect(0, 100, 1).codes.empty());
    EXPECT_EQ(again.add_label("a#0", 1, 96, "liar"), LabelJoin::Outcome::kRepeated);
    EXPECT_EQ(again.collect(0, 100, 1).codes, (std::vector<double>{1}));
    EXPECT_EQ(again.by_label_account(0, 100, 1).count(""), 1U) << "both say so";
  }
}

TEST(LabelJoin, OfOneAccountTheLaterWordCountsAndOthersRowsAreItsOwn) {
  LabelJoin join;
  join.add_row(row_of("a#0", 10));
  join.add_row(row_of("b#0", 11));
  (void)join.add_label("a#0", 1, 20, "one");
  EXPECT_EQ(join.add_label("a#0", 0, 30, "one"), LabelJoin::Outcome::kChanged);
  (void)join.add_label("b#0", 1, 20, "two");
  const auto chunks = join.by_label_account(0, 100, 1);
  EXPECT_EQ(chunks.at("one").codes, (std::vector<double>{0}));
  EXPECT_EQ(chunks.at("two").codes, (std::vector<double>{1}));
  EXPECT_EQ(join.label_accounts(2), 0);
  join.prune(11);
  EXPECT_EQ(join.label_accounts(1), 1) << "the rows of `one` were forgotten";
}

TEST(LabelJoin, WhatIsNoValueOfTheTargetIsNoLabel) {
  LabelJoin join;
  join.add_row(row_of("a#0", 10));
  for (const double value : {0.5, 25.0, -1.0, std::numeric_limits<double>::quiet_NaN(),
                             std::numeric_limits<double>::infinity()}) {
    EXPECT_EQ(join.add_label("a#0", value, 20), LabelJoin::Outcome::kMalformed) << value;
    EXPECT_EQ(join.add_label("b#0", value, 20), LabelJoin::Outcome::kMalformed) << value;
  }
  EXPECT_EQ(join.counts().malformed, 10);
  EXPECT_EQ(join.waiting(), 0U);
  EXPECT_TRUE(join.collect(0, 100, 1).codes.empty());
}

TEST(LabelJoin, ARetriedRowCountsOnceAlsoWithItsEarlyLabel) {
  LabelJoin join;
  join.add_row(row_of("a#0", 10));
  join.add_row(row_of("a#0", 12));
  EXPECT_EQ(join.rows(), 1U);
  EXPECT_EQ(join.collect(0, 100, 1).first, 10);
}

/// Rows of a day after the other, `per_day` each, with labels a day later; ids as long as a client
/// may make them. The mean of the margins is 1, their deviation .5.
void play(LabelJoin& join, int from, int to, int per_day, const auto& each_day) {
  std::mt19937 random(static_cast<unsigned>(from));
  std::normal_distribution<float> margin(1, 0.5F);
  const auto id = [](int day, int i) {
    return fmt::format("{:0>120}#0", fmt::format("{}-{}", day, i));
  };
  for (int day = from; day < to; ++day) {
    for (int i = 0; i < per_day; ++i) {
      const Micros time = day * kDay + i * (kDay / per_day);
      join.add_row(row_of(id(day, i), time, margin(random)));
      if (day > from) (void)join.add_label(id(day - 1, i), i % 4 == 0, time, "labels");
    }
    join.prune((day + 1) * kDay - 7 * kDay);
    each_day(day);
  }
}

TEST(LabelJoin, WhatItKeepsIsBoundedAndAUniformSample) {
  LabelJoin join({"secret", 4096, 1024});
  std::size_t most = 0;
  std::size_t most_waiting = 0;
  play(join, 0, 20, 20'000, [&](int) {
    most = std::max(most, join.rows());
    most_waiting = std::max(most_waiting, join.waiting());
  });
  EXPECT_LE(most, 4096U);
  EXPECT_GT(most, 1500U);
  EXPECT_EQ(most_waiting, 0U);
  // 160,000 rows of eight days into 4,096: one in 64 (or in 128, when chance has it).
  EXPECT_LE(join.sample(), 1.0 / 32);
  EXPECT_GE(join.sample(), 1.0 / 128);
  const auto chunk = join.collect(15 * kDay, 18 * kDay, 1);
  EXPECT_EQ(chunk.sample, join.sample());
  const auto n = static_cast<double>(chunk.margins.size());
  EXPECT_NEAR(n, 60'000 * chunk.sample, 5 * std::sqrt(60'000 * chunk.sample));
  double sum = 0;
  for (const float margin : chunk.margins) sum += static_cast<double>(margin);
  EXPECT_NEAR(sum / n, 1, 4 * 0.5 / std::sqrt(n));
  double labels = 0;
  for (const auto label : chunk.codes) labels += label;
  EXPECT_NEAR(labels / n, 0.25, 4 * std::sqrt(0.1875 / n));
  // Days of before the sample, and in it: what was labelled stands for as many as there were.
  EXPECT_NEAR(static_cast<double>(join.labelled_since(0)), 19 * 20'000.0, 0.1 * 19 * 20'000);
}

TEST(LabelJoin, OneSecretMakesOneSample) {
  LabelJoin one({"a", 500, 100});
  LabelJoin same({"a", 500, 100});
  LabelJoin other({"b", 500, 100});
  for (LabelJoin* join : {&one, &same, &other}) play(*join, 0, 3, 4000, [](int) {});
  EXPECT_EQ(whole(one), whole(same));
  EXPECT_NE(one.collect(0, 3 * kDay, 1).margins, other.collect(0, 3 * kDay, 1).margins);
}

TEST(LabelJoin, ItComesBackAsItWasWhateverWasSampledMeanwhile) {
  LabelJoin join({"secret", 3000, 256});
  StoredJoin stored;
  play(join, 0, 12, 3000, [&](int day) {
    for (int i = 0; i < 40; ++i)
      (void)join.add_label(fmt::format("lost{}-{}", day, i), 1, day * kDay, "labels");
    stored.take(join);
    LabelJoin again({"another", 3000, 256});
    ASSERT_TRUE(stored.load(again)) << day;
    ASSERT_EQ(whole(again), whole(join)) << day;
    if (day % 4 == 3) join = std::move(again);
  });
  EXPECT_LT(join.sample(), 1);
  EXPECT_LE(stored.pieces.size(), 9U);
}

TEST(LabelJoin, WhatIsWrittenFollowsFromWhatIsKept) {
  // 2,000 rows a day or 200,000: where one in 64 is kept, so much is written.
  std::size_t written[2] = {};
  int at = 0;
  for (const int per_day : {2000, 200'000}) {
    LabelJoin join({"secret", 2048, 256});
    StoredJoin stored;
    play(join, 0, 10, per_day, [&](int) { stored.take(join); });
    written[at++] = stored.last;
  }
  EXPECT_LT(written[1], 3 * written[0]);
}

TEST(LabelJoin, TheSampleGrowsWhenTrafficFell) {
  LabelJoin join({"secret", 4096, 256});
  play(join, 0, 10, 5000, [](int) {});
  const double coarse = join.sample();
  ASSERT_LT(coarse, 0.5);
  // 20 rows a day: what a week ago was sampled is forgotten before the sample grows, once a week.
  play(join, 10, 60, 20, [](int) {});
  EXPECT_EQ(join.sample(), 1);
  EXPECT_EQ(join.collect(55 * kDay, 58 * kDay, 1).margins.size(), 60U);
}

TEST(LabelJoin, AChunkOfTwoSamplesIsOneOfTheCoarser) {
  RowSample sample;
  sample.halve();
  sample.halve();
  sample.refine(1000);
  EXPECT_EQ(sample.halvings(), 1);
  EXPECT_EQ(sample.halvings_at(999), 2);
  EXPECT_EQ(sample.halvings_at(1000), 1);
  const RowKey eighth{std::uint64_t{1} << 62, 0};  // begins with one zero bit
  EXPECT_TRUE(sample.holds(eighth, 1000));
  EXPECT_FALSE(sample.holds(eighth, 999));
  EXPECT_FALSE(sample.always_takes(eighth));
  sample.halve();
  EXPECT_EQ(sample.halvings_at(0), 2);
  EXPECT_EQ(sample.halvings(), 2);
  sample.refine(2000);
  sample.prune(2000);
  EXPECT_TRUE(sample.always_takes(eighth));
}

TEST(LabelJoin, LabelsThatWaitAreForgottenByTheHourOfTheLastWordOfThem) {
  LabelJoin join;
  StoredJoin stored;
  for (int i = 0; i < 48; ++i) {
    (void)join.add_label(fmt::format("a{}", i), 1, i * kHour / 2, "one");
    (void)join.add_label(fmt::format("b{}", i), 1, i * kHour / 2, "two");
  }
  (void)join.add_label("a0", 0, 20 * kHour, "one");    // thinks better of it
  (void)join.add_label("b0", 0, 22 * kHour, "one");    // contradicts the other
  (void)join.add_label("a1", 1, 10 * kMinute, "one");  // older than what it said: changes nothing
  stored.take(join);
  std::map<int, std::size_t> waiting;
  for (const int hour : {0, 1, 12, 20, 21, 22, 23, 24}) {
    LabelJoin again;
    ASSERT_TRUE(stored.load(again)) << hour;
    for (LabelJoin* one : {&join, &again}) {
      one->prune(hour * kHour + 59 * kMinute);
      waiting[hour] = one->waiting();
    }
    EXPECT_EQ(join.waiting(), again.waiting()) << hour;
    EXPECT_EQ(join.counts().forgotten, 96 - static_cast<std::int64_t>(join.waiting())) << hour;
  }
  // Each account says something of two rows an hour.
  EXPECT_EQ(waiting,
            (std::map<int, std::size_t>{
                {0, 96}, {1, 94}, {12, 50}, {20, 18}, {21, 13}, {22, 9}, {23, 4}, {24, 0}}));
}

TEST(LabelJoin, LabelsOfUnknownRowsDriveOutNobodyElses) {
  LabelJoin join({"secret", 4096, 1000});
  for (int i = 0; i < 100; ++i) (void)join.add_label(fmt::format("early{}", i), 1, i, "honest");
  for (int i = 0; i < 50'000; ++i)
    (void)join.add_label(fmt::format("nothing{}", i), 1, kDay, "flood");
  EXPECT_LE(join.waiting(), 1000U);
  ASSERT_EQ(join.given_up().size(), 1U);
  EXPECT_GT(join.given_up().at("flood"), 49'000);
  for (int i = 0; i < 100; ++i) join.add_row(row_of(fmt::format("early{}", i), i));
  EXPECT_EQ(join.counts().joined, 100);
  // The newest of the flood's are the ones that stay.
  join.add_row(row_of("nothing49999", kDay));
  EXPECT_EQ(join.counts().joined, 101);
}

TEST(LabelJoin, ALabelOlderThanWhatIsKeptDoesNotWait) {
  LabelJoin join;
  join.prune(10 * kDay);
  (void)join.add_label("old", 1, 9 * kDay);
  EXPECT_EQ(join.waiting(), 0U);
  EXPECT_EQ(join.counts().forgotten, 1);
}

}  // namespace
}  // namespace heddle::watch
