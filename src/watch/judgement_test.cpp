#include "watch/judgement.hpp"

#include <gtest/gtest.h>

#include "watch/judgement_format.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace heddle::watch {
namespace {

/// One side of simulated traffic.
struct JudgedWorld {
  double failed = 0.01;
  double refused = 0.05;
  double latency = 1;  ///< factor
  double shift = 0;    ///< of the score
  double noise = 0;    ///< of the score: more loss, no shift
};

/// Requests of one row, drawn for either cohort with the same chance, and their labels.
class Traffic {
 public:
  explicit Traffic(unsigned seed) : random_(seed) {}

  void send(CohortBook& book, int requests, const JudgedWorld& canary, const JudgedWorld& baseline,
            bool labels = false) {
    for (int i = 0; i < requests; ++i) {
      const bool is_canary = unit_(random_) < 0.5;
      const JudgedWorld& world = is_canary ? canary : baseline;
      plane::RequestRecord request;
      request.request_id = "r" + std::to_string(next_++);
      request.cohort = is_canary ? plane::Cohort::kCanary : plane::Cohort::kBaseline;
      request.slot = is_canary ? "canary" : "primary";
      request.route_version = 3;
      request.micros =
          static_cast<std::uint32_t>(100 * world.latency * std::exp(0.5 * normal_(random_)));
      plane::RowRecord row;
      const double chance = 0.1 + 0.6 * unit_(random_);
      row.prediction = {static_cast<float>(
          std::clamp(chance + world.shift + world.noise * normal_(random_), 0.0, 1.0))};
      row.shadow_prediction = {static_cast<float>(chance)};
      if (unit_(random_) < world.failed)
        row.outcome = plane::RowOutcome::kFailed;
      else if (unit_(random_) < world.refused)
        row.outcome = plane::RowOutcome::kRefused;
      request.rows = {row};
      book.observe(request);
      if (labels)
        book.observe(plane::LabelRecord{request.request_id + "#0", unit_(random_) < chance, 0});
    }
  }

 private:
  std::mt19937 random_;
  std::uniform_real_distribution<double> unit_{0, 1};
  std::normal_distribution<double> normal_{0, 1};
  int next_ = 0;
};

CohortBook book(const stats::Task& task = {}) {
  CohortBook out;
  out.follow(3, 3, task);
  return out;
}

/// The first is exact: sum of C(7, x) C(13, 12 - x) / C(20, 12) over x >= 3, in integers of
/// Python's math.comb.
TEST(Judgement, TheTailIsHypergeometric) {
  EXPECT_NEAR(upper_tail(3, 12, 7, 13), 0.9478844169246646, 1e-12);
  EXPECT_NEAR(upper_tail(0, 10, 40, 60), 1, 1e-12);
  EXPECT_NEAR(upper_tail(2, 2, 2, 2), 1.0 / 6, 1e-12);
}

TEST(Judgement, AnEValueIsAMeanUnderEqualRates) {
  // The expectation over n fair draws is 1: the sum over outcomes of probability times e-value.
  double expectation = 0;
  constexpr int kDraws = 30;
  for (int s = 0; s <= kDraws; ++s) {
    const double chance = std::exp(std::lgamma(kDraws + 1) - std::lgamma(s + 1) -
                                   std::lgamma(kDraws - s + 1) - kDraws * std::log(2.0));
    expectation += chance * std::exp(log_e_value(s, kDraws - s));
  }
  EXPECT_NEAR(expectation, 1, 1e-9);
}

/// 600 canaries that are no worse, each looked at 40 times: at most the stated share is ever judged
/// bad.
TEST(Judgement, EqualCohortsAreSeldomBad) {
  constexpr unsigned kSeed = 4711;
  spec::JudgementRules rules;
  rules.error_rate = 0.05;
  rules.minimum_rows = 100;
  rules.latency_ratio = 1;  // every tolerance at its edge: what is left is chance
  rules.failed_share = rules.refused_share = 0;
  rules.disagreement = rules.loss = 0;
  constexpr int kCanaries = 600;
  int bad = 0;
  for (unsigned i = 0; i < kCanaries; ++i) {
    Traffic traffic(kSeed + i);
    CohortBook b = book();
    bool ever = false;
    for (int look = 0; look < 40 && !ever; ++look) {
      traffic.send(b, 50, {}, {}, true);
      ever = b.judge(rules, 1).verdict == Verdict::kBad;
    }
    bad += ever ? 1 : 0;
  }
  EXPECT_LE(bad, kCanaries * 0.05) << "first seed " << kSeed;
  std::printf("[ judgement  ] equal cohorts: %d of %d ever bad, stated %.0f\n", bad, kCanaries,
              kCanaries * 0.05);
}

TEST(Judgement, EqualCohortsBecomeGood) {
  int good = 0;
  for (unsigned seed = 1; seed <= 40; ++seed) {
    Traffic traffic(seed);
    CohortBook b = book();
    traffic.send(b, 4'000, {}, {}, true);
    good += b.judge({}, 3).verdict == Verdict::kGood ? 1 : 0;
  }
  EXPECT_GE(good, 36);
}

struct Regression {
  const char* measure;
  JudgedWorld canary;
};

TEST(Judgement, RegressionsAreFound) {
  const std::vector<Regression> regressions{
      {"failed_share", {.failed = 0.08}}, {"refused_share", {.refused = 0.15}},
      {"latency_p50", {.latency = 2}},    {"latency_p99", {.latency = 2}},
      {"score_shift", {.shift = 0.5}},    {"disagreement", {.shift = 0.5}},
      {"loss", {.noise = 0.35}}};
  for (const auto& [name, canary] : regressions) {
    int found = 0;
    for (unsigned seed = 1; seed <= 20; ++seed) {
      Traffic traffic(seed);
      CohortBook b = book();
      traffic.send(b, 6'000, canary, {}, true);
      const Judgement judgement = b.judge({}, 3);
      const bool named = std::any_of(
          judgement.measures.begin(), judgement.measures.end(), [&](const Measure& measure) {
            return measure.name == name && measure.verdict == Verdict::kBad && !measure.why.empty();
          });
      found += judgement.verdict == Verdict::kBad && named ? 1 : 0;
    }
    EXPECT_GE(found, 19) << name;
  }
}

const stats::Task kThree{.kind = stats::TaskKind::kClasses, .classes = {"early", "late", "never"}};
const stats::Task kJudgedNumber{.kind = stats::TaskKind::kRegression};

/// Traffic of several classes or of a number: how the canary's predictions differ from what they
/// should be, by the other way to be wrong each.
class PredictedTraffic {
 public:
  PredictedTraffic(const stats::Task& task, unsigned seed) : task_(task), random_(seed) {}

  /// `shift`: of the canary's predictions; `noise`: on them alone, so that they are not shifted.
  void send(CohortBook& book, int requests, double shift, double noise) {
    for (int i = 0; i < requests; ++i) {
      const bool is_canary = unit_(random_) < 0.5;
      plane::RequestRecord request;
      request.request_id = "r" + std::to_string(next_++);
      request.cohort = is_canary ? plane::Cohort::kCanary : plane::Cohort::kBaseline;
      request.route_version = 3;
      request.micros = 100;
      request.rows.resize(1);
      const double level = normal_(random_);
      const auto [truth, label] = predict(level, 0);
      const double wrong = is_canary ? shift + noise * normal_(random_) : 0;
      request.rows[0].prediction = predict(level, wrong).first;
      request.rows[0].shadow_prediction = truth;
      book.observe(request);
      book.observe(plane::LabelRecord{request.request_id + "#0", label, i});
    }
  }

 private:
  std::pair<std::vector<float>, stats::Label> predict(double level, double wrong) {
    if (task_.kind == stats::TaskKind::kRegression)
      return {{static_cast<float>(40 * level + 300 + 40 * wrong)},
              stats::Label(40 * level + 300 + 10 * normal_(random_))};
    const std::vector<float> margins = {static_cast<float>(level + wrong), 0.0F,
                                        static_cast<float>(-level - wrong)};
    std::vector<float> prediction(3);
    task_.predict(margins, prediction);
    double draw = unit_(random_);
    std::size_t k = 0;
    for (; k < 2 && draw > static_cast<double>(prediction[k]); ++k)
      draw -= static_cast<double>(prediction[k]);
    return {prediction, stats::Label(task_.classes[k])};
  }

  stats::Task task_;
  std::mt19937 random_;
  std::uniform_real_distribution<double> unit_{0, 1};
  std::normal_distribution<double> normal_{0, 1};
  int next_ = 0;
};

Verdict verdict_of(const Judgement& judgement, std::string_view name) {
  for (const Measure& measure : judgement.measures)
    if (measure.name == name) return measure.verdict;
  return Verdict::kInconclusive;
}

TEST(Judgement, EqualCohortsOfEveryTaskBecomeGood) {
  for (const stats::Task& task : {kThree, kJudgedNumber}) {
    int good = 0;
    for (unsigned seed = 1; seed <= 20; ++seed) {
      PredictedTraffic traffic(task, seed);
      CohortBook b = book(task);
      traffic.send(b, 4'000, 0, 0);
      const Judgement judgement = b.judge({}, 3);
      for (const char* name : {"score_shift", "disagreement", "loss"})
        EXPECT_NE(verdict_of(judgement, name), Verdict::kBad) << name << seed;
      good += judgement.verdict == Verdict::kGood ? 1 : 0;
    }
    EXPECT_GE(good, 18) << stats::task_name(task.kind);
  }
}

TEST(Judgement, ShiftedAndNoisyPredictionsOfEveryTaskAreFound) {
  for (const stats::Task& task : {kThree, kJudgedNumber}) {
    for (unsigned seed = 1; seed <= 10; ++seed) {
      PredictedTraffic traffic(task, seed);
      CohortBook shifted = book(task);
      traffic.send(shifted, 6'000, 1.5, 0);
      const Judgement moved = shifted.judge({}, 3);
      EXPECT_EQ(verdict_of(moved, "score_shift"), Verdict::kBad)
          << stats::task_name(task.kind) << seed;
      EXPECT_EQ(verdict_of(moved, "disagreement"), Verdict::kBad)
          << stats::task_name(task.kind) << seed;
      CohortBook noisy = book(task);
      traffic.send(noisy, 6'000, 0, 2);
      EXPECT_EQ(verdict_of(noisy.judge({}, 3), "loss"), Verdict::kBad)
          << stats::task_name(task.kind) << seed;
    }
  }
}

/// Labels that come before the scale of a regression is known count once it is.
TEST(Judgement, ANumberIsComparedOnceTheBaselineGaveAScale) {
  CohortBook b = book(kJudgedNumber);
  const auto send = [&](bool canary, int i, float value) {
    plane::RequestRecord request;
    request.request_id = fmt::format("{}{}", canary ? "c" : "b", i);
    request.cohort = canary ? plane::Cohort::kCanary : plane::Cohort::kBaseline;
    request.route_version = 3;
    request.rows.resize(1);
    request.rows[0].prediction = {value};
    b.observe(request);
    b.observe(plane::LabelRecord{request.request_id + "#0", stats::Label(100.0), i});
  };
  send(true, 0, 90);
  for (int i = 1; i < static_cast<int>(PredictionScale::kFirstValues); ++i)
    send(false, i, static_cast<float>(i));
  EXPECT_EQ(b.labelled(), 0);
  send(false, 0, 0);
  EXPECT_EQ(b.labelled(), 1 + static_cast<std::int64_t>(PredictionScale::kFirstValues));
  CohortBook again;
  ASSERT_TRUE(again.restore(b.save()).ok());
  EXPECT_EQ(again.save(), b.save());
  EXPECT_EQ(again.labelled(), b.labelled());
}

TEST(PredictionScale, BringsEveryTaskIntoUnits) {
  const std::vector<float> sure = {1, 0, 0}, other = {0, 1, 0}, thirds = {0.5F, 0.25F, 0.25F};
  const PredictionScale classes(kThree);
  EXPECT_EQ(classes.difference(sure, other), 1);
  EXPECT_EQ(classes.difference(sure, thirds), 0);
  EXPECT_EQ(classes.loss(sure, 1), 1);
  EXPECT_EQ(classes.loss(sure, 0), 0);
  EXPECT_EQ(classes.loss(thirds, 0), (0.25 + 0.0625 + 0.0625) / 2);
  PredictionScale numbers(kJudgedNumber);
  for (std::size_t i = 0; i < PredictionScale::kFirstValues; ++i) {
    EXPECT_FALSE(numbers.ready());
    EXPECT_EQ(numbers.learn(std::vector<float>{static_cast<float>(i)}),
              i + 1 == PredictionScale::kFirstValues);
  }
  // From the 5 % to the 95 % quantile of 0 to 199 are 180.
  EXPECT_EQ(numbers.difference(std::vector<float>{10}, std::vector<float>{55}), 0.25);
  EXPECT_EQ(numbers.loss(std::vector<float>{10}, 100'000), 1);
  EXPECT_EQ(numbers.bucket(-1e9F), 0U);
  EXPECT_EQ(numbers.bucket(1e9F), numbers.buckets() - 1);
  PredictionScale constant(kJudgedNumber);
  for (std::size_t i = 0; i < PredictionScale::kFirstValues; ++i)
    (void)constant.learn(std::vector<float>{7});
  EXPECT_EQ(constant.loss(std::vector<float>{7}, 7), 0);
  EXPECT_EQ(constant.loss(std::vector<float>{7}, 7.5), 1);
}

TEST(Judgement, AThousandClassesTakeNoMoreRoom) {
  stats::Task many{.kind = stats::TaskKind::kClasses};
  for (int i = 0; i < 1000; ++i) many.classes.push_back(std::to_string(i));
  CohortBook b = book(many);
  plane::RequestRecord request;
  request.route_version = 3;
  request.rows.resize(1);
  request.rows[0].prediction.assign(1000, 0.001F);
  for (int i = 0; i < 1000; ++i) {
    request.request_id = std::to_string(i);
    request.cohort = i % 2 == 0 ? plane::Cohort::kCanary : plane::Cohort::kBaseline;
    b.observe(request);
  }
  EXPECT_EQ(b.rows(), 200U);
  EXPECT_LT(b.save().size(), 4U << 20);
  EXPECT_EQ(verdict_of(b.judge({}, 1), "score_shift"), Verdict::kGood);
}

TEST(Judgement, FailuresTellBeforeThereAreEnoughRows) {
  Traffic traffic(1);
  CohortBook b = book();
  traffic.send(b, 80, {.failed = 0.9}, {.failed = 0});
  EXPECT_TRUE(b.failing({}, 3));
  EXPECT_EQ(b.judge({}, 3).verdict, Verdict::kBad);
  CohortBook slow = book();
  traffic.send(slow, 400, {.latency = 10}, {});
  const Judgement judgement = slow.judge({}, 3);
  EXPECT_EQ(judgement.verdict, Verdict::kInconclusive);
  EXPECT_NE(judgement.reasons.at(0).find("500 rows"), std::string::npos);
}

TEST(Judgement, ABetterCanaryIsNotBad) {
  Traffic traffic(5);
  CohortBook b = book();
  traffic.send(b, 4'000, {.failed = 0, .refused = 0, .latency = 0.3},
               {.failed = 0.2, .refused = 0.3});
  EXPECT_FALSE(b.failing({}, 1));
  EXPECT_EQ(b.judge({}, 1).verdict, Verdict::kGood);
}

TEST(Judgement, AStepStartsAnewAndLabelsGoOn) {
  Traffic traffic(7);
  CohortBook b = book();
  plane::RequestRecord early;
  early.request_id = "early";
  early.cohort = plane::Cohort::kCanary;
  early.route_version = 3;
  early.rows.resize(1);
  early.rows[0].prediction = {0.25F};
  b.observe(early);
  b.follow(3, 9, {});
  EXPECT_EQ(b.show({}, 1).canary_rows, 0);
  traffic.send(b, 100, {}, {});  // answered by version 3: of the step before
  EXPECT_EQ(b.show({}, 1).canary_rows, 0);
  b.observe(plane::LabelRecord{"early#0", true, 5});
  EXPECT_EQ(b.labelled(), 1);
  b.follow(12, 12, {});
  EXPECT_EQ(b.rows(), 0U);
  EXPECT_EQ(b.labelled(), 0);
}

/// What the measure `loss` says.
Measure loss_of(const Judgement& judgement) {
  return *std::find_if(judgement.measures.begin(), judgement.measures.end(),
                       [](const Measure& m) { return m.name == "loss"; });
}

/// Rows of both cohorts; each label account says of every row what it says of its side.
CohortBook labelled_by(
    int rows, const std::vector<std::pair<std::string, std::function<double(bool, int)>>>& say) {
  CohortBook b = book();
  for (int i = 0; i < rows; ++i) {
    for (const bool canary : {true, false}) {
      plane::RequestRecord request;
      request.request_id = (canary ? "c" : "b") + std::to_string(i);
      request.cohort = canary ? plane::Cohort::kCanary : plane::Cohort::kBaseline;
      request.route_version = 3;
      request.micros = 100;
      request.rows.resize(1);
      request.rows[0].prediction = {0.2F};
      b.observe(request);
      for (const auto& [account, label] : say) {
        const double value = label(canary, i);
        if (value >= 0) b.observe(plane::LabelRecord{request.request_id + "#0", value, i, account});
      }
    }
  }
  return b;
}

TEST(Judgement, ARowThatTwoAccountsContradictEachOtherAboutHasNoLabel) {
  const auto truth = [](bool, int) { return 0.0; };
  const auto lie = [](bool canary, int i) { return canary ? 1.0 : i % 2 == 0 ? -1.0 : 0.0; };
  // Whoever comes first: each of the canary's rows is contested.
  for (const bool first : {false, true}) {
    CohortBook b = first ? labelled_by(200, {{"liar", lie}, {"honest", truth}})
                         : labelled_by(200, {{"honest", truth}, {"liar", lie}});
    EXPECT_EQ(b.labelled(), 200) << "the baseline's";
    EXPECT_EQ(loss_of(b.show({}, 1)).verdict, Verdict::kInconclusive);
    CohortBook back;
    ASSERT_TRUE(back.restore(b.save()).ok());
    for (int i = 0; i < 200; ++i) {  // one of them thinks better of it
      for (CohortBook* one : {&b, &back})
        one->observe(plane::LabelRecord{"c" + std::to_string(i) + "#0", false, 1'000, "liar"});
    }
    EXPECT_EQ(b.labelled(), 400);
    EXPECT_EQ(back.save(), b.save());
    EXPECT_NEAR(loss_of(b.show({}, 1)).canary, 0.04, 1e-6);
  }
}

TEST(Judgement, OfOneAccountTheLaterWordCounts) {
  CohortBook b = labelled_by(200, {{"one", [](bool, int) { return 1.0; }}});
  b.observe(plane::LabelRecord{"c5#0", false, 4, "one"});  // older than what it said
  EXPECT_NEAR(loss_of(b.show({}, 1)).canary, 0.64, 1e-6);
  for (int i = 0; i < 200; ++i)
    b.observe(plane::LabelRecord{"c" + std::to_string(i) + "#0", false, 1'000, "one"});
  EXPECT_NEAR(loss_of(b.show({}, 1)).canary, 0.04, 1e-6);
  EXPECT_NEAR(loss_of(b.show({}, 1)).baseline, 0.64, 1e-6);
  EXPECT_EQ(b.labelled(), 400);
}

TEST(Judgement, WhoseLabelsAloneMakeItGoodIsNamed) {
  // On rows of its own each; by the honest ones the canary is far worse.
  const auto honest = [](bool canary, int i) { return i % 2 == 0 ? -1.0 : canary ? 1.0 : 0.0; };
  const auto liar = [](bool canary, int i) { return i % 2 == 1 ? -1.0 : canary ? 0.0 : 1.0; };
  CohortBook both = labelled_by(1'000, {{"honest", honest}, {"liar", liar}});
  ASSERT_EQ(both.judge({}, 1).verdict, Verdict::kGood);
  EXPECT_EQ(both.label_account_of_good({}, 1), "liar");
  EXPECT_EQ(labelled_by(1'000, {{"honest", honest}}).judge({}, 1).verdict, Verdict::kBad);
  // Who alone labels says nothing that would not be so without a label.
  CohortBook alone = labelled_by(1'000, {{"liar", liar}});
  ASSERT_EQ(alone.judge({}, 1).verdict, Verdict::kGood);
  EXPECT_EQ(alone.label_account_of_good({}, 1), "");
  const auto truth = [](bool, int i) { return i % 5 == 0 ? 1.0 : 0.0; };
  CohortBook agreed = labelled_by(1'000, {{"honest", truth}, {"other", truth}});
  ASSERT_EQ(agreed.judge({}, 1).verdict, Verdict::kGood);
  EXPECT_EQ(agreed.label_account_of_good({}, 1), "");
}

TEST(Judgement, CohortsOfAnotherVersionBeginAnew) {
  StateWriter out;
  out.put(std::string("heddle.cohorts/1"));
  out.put(std::uint64_t{3});
  CohortBook b = book();
  ASSERT_TRUE(b.restore(out.take()).ok());
  EXPECT_EQ(b.started(), 0U);
}

TEST(Judgement, MemoryIsBoundedAndTheStateSurvives) {
  Traffic traffic(9);
  CohortBook b = book();
  traffic.send(b, 60'000, {}, {});
  EXPECT_EQ(b.rows(), 20'000U);
  CohortBook back;
  ASSERT_TRUE(back.restore(b.save()).ok());
  EXPECT_EQ(back.save(), b.save());
  Traffic other(10);
  Traffic same(10);
  other.send(b, 500, {.failed = 0.2}, {}, true);
  same.send(back, 500, {.failed = 0.2}, {}, true);
  EXPECT_EQ(judgement_schema().print(b.judge({}, 3)), judgement_schema().print(back.judge({}, 3)));
  EXPECT_EQ(back.restore(b.save().substr(9)).error().kind, ErrorKind::kCorrupt);
}

TEST(Judgement, WhatFollowedNoCanaryYetIsRestored) {
  CohortBook back;
  ASSERT_TRUE(back.restore(CohortBook{}.save()).ok());
  EXPECT_EQ(back.started(), 0U);
}

}  // namespace
}  // namespace heddle::watch
