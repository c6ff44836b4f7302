#include "watch/judgement.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>

namespace heddle::watch {
namespace {

/// One side of simulated traffic.
struct World {
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

  void send(CohortBook& book, int requests, const World& canary, const World& baseline,
            bool labels = false) {
    for (int i = 0; i < requests; ++i) {
      const bool is_canary = unit_(random_) < 0.5;
      const World& world = is_canary ? canary : baseline;
      plane::RequestRecord request;
      request.request_id = "r" + std::to_string(next_++);
      request.cohort = is_canary ? plane::Cohort::kCanary : plane::Cohort::kBaseline;
      request.slot = is_canary ? "canary" : "primary";
      request.route_version = 3;
      request.micros =
          static_cast<std::uint32_t>(100 * world.latency * std::exp(0.5 * normal_(random_)));
      plane::RowRecord row;
      const double chance = 0.1 + 0.6 * unit_(random_);
      row.probability = static_cast<float>(
          std::clamp(chance + world.shift + world.noise * normal_(random_), 0.0, 1.0));
      row.shadow_probability = static_cast<float>(chance);
      if (unit_(random_) < world.failed)
        row.outcome = plane::RowOutcome::kFailed;
      else if (unit_(random_) < world.refused)
        row.outcome = plane::RowOutcome::kRefused;
      request.rows = {row};
      book.observe(request);
      if (labels)
        book.observe(
            plane::LabelRecord{request.request_id + "#0", unit_(random_) < chance ? 1.0 : 0.0, 0});
    }
  }

 private:
  std::mt19937 random_;
  std::uniform_real_distribution<double> unit_{0, 1};
  std::normal_distribution<double> normal_{0, 1};
  int next_ = 0;
};

CohortBook book() {
  CohortBook out;
  out.follow(3, 3);
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
  World canary;
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
  early.rows[0].probability = 0.25F;
  b.observe(early);
  b.follow(3, 9);
  EXPECT_EQ(b.show({}, 1).canary_rows, 0);
  traffic.send(b, 100, {}, {});  // answered by version 3: of the step before
  EXPECT_EQ(b.show({}, 1).canary_rows, 0);
  const std::size_t waits = b.waiting();
  b.observe(plane::LabelRecord{"early#0", 1, 5});
  EXPECT_EQ(b.waiting(), waits - 1);
  b.follow(12, 12);
  EXPECT_EQ(b.waiting(), 0U);
}

TEST(Judgement, MemoryIsBoundedAndTheStateSurvives) {
  Traffic traffic(9);
  CohortBook b = book();
  traffic.send(b, 60'000, {}, {});
  EXPECT_EQ(b.waiting(), 20'000U);
  CohortBook back;
  ASSERT_TRUE(back.restore(b.save()).ok());
  EXPECT_EQ(back.save(), b.save());
  Traffic other(10);
  Traffic same(10);
  other.send(b, 500, {.failed = 0.2}, {}, true);
  same.send(back, 500, {.failed = 0.2}, {}, true);
  EXPECT_EQ(b.judge({}, 3).to_value(), back.judge({}, 3).to_value());
  EXPECT_EQ(back.restore(b.save().substr(9)).error().kind, ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace heddle::watch
