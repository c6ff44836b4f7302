#include "watch/label_sources.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "recover/cause.hpp"
#include "watch/stream_fixture.hpp"

namespace heddle::watch {
namespace {

using fixture::Stream;
using Outcome = LabelJoin::Outcome;

TEST(LabelDistance, IsThatOfPearsonsTablesByStratum) {
  // scipy 1.17.1, stats.chi2_contingency(correction=False) of each stratum times (N - 1) / N, less
  // one, over the weights: effect .3338369180, standard error of its square .0109799299.
  struct Cell {
    int own, own_true, others, others_true;
  };
  const std::vector<Cell> cells = {
      {40, 30, 60, 20}, {50, 10, 30, 15}, {20, 12, 25, 8}, {4, 4, 9, 0}};
  std::vector<StratumRow> rows;
  for (std::size_t s = 0; s < cells.size(); ++s) {
    for (int i = 0; i < cells[s].own; ++i) rows.push_back({s, true, i < cells[s].own_true ? 1 : 0});
    for (int i = 0; i < cells[s].others; ++i)
      rows.push_back({s, false, i < cells[s].others_true ? 1 : 0});
  }
  const LabelDistance distance = label_distance(rows);
  EXPECT_EQ(distance.strata, 3) << "four rows say nothing";
  EXPECT_EQ(distance.rows, 110);
  EXPECT_NEAR(distance.effect, 0.3338369180422485, 1e-12);
  EXPECT_NEAR(distance.standard_error, 0.01097992995859233, 1e-12);
  EXPECT_NEAR(distance.at_least, 0.2598602855643348, 1e-12);
}

/// One stream whose labels come from two accounts.
struct TwoLabellers {
  TwoLabellers() : watch(*Watch::open(Stream::options())) {
    watch.register_route(
        {1, sha256("primary"), "", std::make_shared<const Baseline>(stream.baseline())});
  }
  /// `share` of the labels are of `two`, the others of `one`. `lie` is what `two` makes of its own;
  /// `also`: it labels the rows of `one` too, so that both do.
  void play(int from, int to, double share, bool (*lie)(bool), bool also = false,
            const Stream::Fault& fault = {}) {
    for (int day = from; day < to; ++day) {
      std::vector<plane::Record> records;
      stream.day(day, fault, records);
      for (plane::Record& record : records) {
        auto* label = std::get_if<plane::LabelRecord>(&record);
        if (label == nullptr) {
          watch.observe(record, out);
          continue;
        }
        const bool of_two = fixture::is_of(share, label->row_id);
        plane::LabelRecord lied = *label;
        lied.account = "two";
        lied.label = lie(std::get<bool>(label->label));
        label->account = "one";
        if (!of_two || also) watch.observe(*label, out);
        if (of_two) watch.observe(lied, out);
      }
    }
  }
  [[nodiscard]] std::vector<recover::Diagnosis> confirmed(Subject subject) const {
    std::vector<recover::Diagnosis> found;
    for (const Alert& move : out.moves) {
      if (move.stage == AlertStage::kConfirmed && move.first.subject == subject)
        found.push_back(recover::diagnose(watch, move));
    }
    return found;
  }
  [[nodiscard]] double highest(const std::string& key) const {
    double value = -1;
    for (const Finding& finding : out.findings) {
      if (finding.key == key) value = std::max(value, finding.value);
    }
    return value;
  }
  Stream stream{51};
  Watch watch;
  Output out;
};

bool as_it_is(bool label) { return label; }
bool turned(bool label) { return !label; }

/// Rows of `day` that two accounts contradict each other about.
void contested(LabelJoin& join, int day, int rows) {
  for (int i = 0; i < rows; ++i) {
    const std::string id = "r" + std::to_string(day) + "-" + std::to_string(i);
    const float margin = 0.5F;
    join.add_row({id, day * kDay + i * kMinute, 1, {&margin, 1}, {}, "s", "app"});
    (void)join.add_label(id, 1, (day + 1) * kDay, "one");
    (void)join.add_label(id, 0, (day + 1) * kDay, "two");
  }
}

TEST(LabelSources, AClockThatIsSetBackIntoAChunkThatGrewBeginsAnew) {
  LabelSources sources(Stream::monitor());
  LabelJoin few;
  RowCounts counts;
  std::vector<Finding> out;
  contested(few, 100, 3);
  for (int day = 100; day < 107; ++day) sources.close(few, day * kDay, out);
  ASSERT_TRUE(out.empty()) << "too few rows: the chunk grows";
  sources.set_back(101 * kDay, counts);
  LabelJoin join;
  contested(join, 101, 600);
  sources.close(join, 101 * kDay, out);
  sources.close(join, 103 * kDay, out);
  EXPECT_EQ(out.size(), 2U);
}

TEST(LabelSources, AClockThatIsSetBackDoesNotMakeItDeaf) {
  LabelSources sources(Stream::monitor());
  LabelJoin join;
  RowCounts counts;
  std::vector<Finding> out;
  sources.close(join, 1000 * kDay, out);
  contested(join, 100, 600);
  sources.set_back(100 * kDay, counts);
  sources.close(join, 100 * kDay, out);
  sources.close(join, 102 * kDay, out);
  ASSERT_EQ(out.size(), 2U);
  EXPECT_EQ(out.front().value, 1);
  EXPECT_TRUE(out.front().alert);
}

TEST(LabelSources, TwoHonestAccountsAreOfOneMind) {
  TwoLabellers apart;
  apart.play(100, 125, 0.4, as_it_is);
  EXPECT_TRUE(apart.confirmed(Subject::kLabels).empty());
  EXPECT_GE(apart.highest("labels/like-rows"), 0) << "they were compared";
  EXPECT_LT(apart.highest("labels/like-rows"), 0.03);
  TwoLabellers both;
  both.play(100, 105, 1, as_it_is, true);
  EXPECT_EQ(both.highest("labels/same-rows"), 0);
  EXPECT_TRUE(both.confirmed(Subject::kLabels).empty());
}

TEST(LabelSources, ALiarOnTheSameRowsIsAConflictAndItsRowsCountForNothing) {
  TwoLabellers scene;
  scene.play(100, 103, 0.3, as_it_is, true);
  scene.play(103, 107, 0.3, turned, true);
  const auto found = scene.confirmed(Subject::kLabels);
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found.front().cause, &recover::label_conflict());
  EXPECT_NE(found.front().reason.find("`one` and `two` contradict each other on"),
            std::string::npos)
      << found.front().reason;
  EXPECT_TRUE(scene.confirmed(Subject::kQuality).empty()) << "nothing rests on those rows";
  EXPECT_NEAR(scene.highest("labels/same-rows"), 0.3, 0.04);
}

TEST(LabelSources, ALiarOnRowsOfItsOwnIsAConflictByRowsThatAreAlike) {
  TwoLabellers scene;
  scene.play(100, 103, 0.2, as_it_is);
  scene.play(103, 107, 0.2, turned);
  const auto found = scene.confirmed(Subject::kLabels);
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found.front().cause, &recover::label_conflict());
  EXPECT_NE(found.front().reason.find("differ from those of the others on rows of one source"),
            std::string::npos)
      << found.front().reason;
}

TEST(LabelSources, WhatTheLabelsOfOneAccountAloneShowIsNamedAsThat) {
  // Most labels are of the liar; the honest ones show nothing of it.
  TwoLabellers liar;
  liar.play(100, 103, 0.75, as_it_is);
  liar.play(103, 107, 0.75, turned);
  const auto of_one = liar.confirmed(Subject::kQuality);
  ASSERT_FALSE(of_one.empty());
  EXPECT_EQ(of_one.back().only_label_account, "two");
  EXPECT_NE(of_one.back().reason.find("only the labels of account `two` show it"),
            std::string::npos)
      << of_one.back().reason;
  // The world turned over: everybody's labels say so.
  TwoLabellers world;
  world.play(100, 103, 0.3, as_it_is);
  world.play(103, 107, 0.3, as_it_is, false, {.inverted = true});
  const auto of_all = world.confirmed(Subject::kQuality);
  ASSERT_FALSE(of_all.empty());
  EXPECT_EQ(of_all.back().cause, &recover::concept_shift());
  EXPECT_EQ(of_all.back().only_label_account, "");
  EXPECT_TRUE(world.confirmed(Subject::kLabels).empty()) << "both say the same of it";
}

}  // namespace
}  // namespace heddle::watch
