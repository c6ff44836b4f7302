// The watch on models of several classes and of numbers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "recover/cause.hpp"
#include "stats/conformal.hpp"
#include "watch/baseline_format.hpp"
#include "watch/coverage.hpp"
#include "watch/tasks_fixture.hpp"
#include "watch/unknown_classes.hpp"
#include "watch/watch.hpp"

namespace heddle::watch {
namespace {

using fixture::kClasses;
using fixture::kNumber;
using Fault = fixture::TaskFault;
using World = fixture::TaskWorld;

/// What is confirmed of days of a world.
struct Played {
  Played(const stats::Task& task, unsigned seed) : world(task, seed), watch(world.watch()) {}
  void play(int from, int to, const Fault& fault) {
    for (int day = from; day < to; ++day) {
      world.day(day, fault, [&](const plane::Record& record) {
        Output out;
        watch.observe(record, out);
        for (const Alert& move : out.moves) {
          if (move.stage == AlertStage::kConfirmed)
            confirmed.push_back(recover::diagnose(watch, move));
        }
      });
    }
  }
  World world;
  Watch watch;
  std::vector<recover::Diagnosis> confirmed;
};

class Tasks : public testing::TestWithParam<const stats::Task*> {
 protected:
  const stats::Task& task() const { return *GetParam(); }
};

TEST_P(Tasks, DaysAsInTheReferenceAlertOfNothing) {
  Played run(task(), 3);
  run.play(100, 112, {});
  EXPECT_TRUE(run.confirmed.empty()) << run.confirmed[0].reason;
  ASSERT_TRUE(run.watch.latest().contains("quality/ratio"));
  EXPECT_LT(run.watch.latest().at("quality/ratio").value, 0.9);
  EXPECT_LT(run.watch.latest().at("prior/offsets").value, 0.15);
  EXPECT_TRUE(run.watch.latest().contains("column/told"));
  ASSERT_TRUE(run.watch.comparison());
  EXPECT_LT(run.watch.comparison()->primary_loss, run.watch.comparison()->standby_loss);
}

TEST_P(Tasks, MovedSharesOrNumbersArePriorShift) {
  Played run(task(), 4);
  std::vector<double> moved(task().outputs(), 0.0);
  moved.back() = -1;
  run.play(100, 112, {.moved = moved});
  ASSERT_EQ(run.confirmed.size(), 1U);
  EXPECT_EQ(run.confirmed[0].cause, &recover::prior_shift()) << run.confirmed[0].reason;
  ASSERT_EQ(run.confirmed[0].offsets.size(), task().outputs());
  EXPECT_NEAR(run.confirmed[0].offsets.back(), -1, 0.1);
  EXPECT_EQ(run.confirmed[0].task, task().kind);
}

TEST_P(Tasks, LabelsThatPredictionsDoNotTellAreConceptShift) {
  Played run(task(), 5);
  run.play(100, 104, {});
  run.play(104, 108, {.turned = true});
  ASSERT_EQ(run.confirmed.size(), 1U);
  EXPECT_EQ(run.confirmed[0].cause, &recover::concept_shift()) << run.confirmed[0].reason;
}

TEST_P(Tasks, LabelsThatWereExchangedOrTurnedOverAreLabelFaults) {
  Played run(task(), 7);
  const bool is_classes = task().kind == stats::TaskKind::kClasses;
  run.play(100, 104, {});
  run.play(104, 108, {.said = [&](double code) {
             // Names one further, as an encoder of another order gives them; the other sign.
             return is_classes ? std::fmod(code + 1, 3) : -3 * code;
           }});
  ASSERT_GE(run.confirmed.size(), 1U);
  EXPECT_EQ(run.confirmed[0].cause, &recover::label_fault()) << run.confirmed[0].reason;
  const std::string is =
      is_classes ? "look exchanged, `early` for `lost`, `late` for `early`" : "look turned over (-";
  EXPECT_NE(run.confirmed[0].reason.find(is), std::string::npos) << run.confirmed[0].reason;
}

TEST(LabelFault, NumbersOfAnotherUnitAreNamedWithTheirFactor) {
  Played run(kNumber, 12);
  run.play(100, 104, {});
  run.play(104, 108, {.said = [](double code) { return 0.01 * code; }});
  ASSERT_GE(run.confirmed.size(), 1U);
  EXPECT_EQ(run.confirmed[0].cause, &recover::label_fault()) << run.confirmed[0].reason;
  EXPECT_NE(run.confirmed[0].reason.find("in another unit (0.0"), std::string::npos)
      << run.confirmed[0].reason;
}

TEST_P(Tasks, IntervalsThatHoldFewerLabelsThanDeclaredAreCoverageLoss) {
  Played run(task(), 8);
  run.play(100, 110, {});
  const Finding before = run.watch.latest().at("quality/coverage");
  EXPECT_NEAR(before.value, 0.1, 0.015) << "within a point and chance of what was declared";
  EXPECT_FALSE(before.alert);
  run.play(110, 121, {.noise = 1.5});
  ASSERT_EQ(run.confirmed.size(), 1U);
  EXPECT_EQ(run.confirmed[0].cause, &recover::coverage_loss()) << run.confirmed[0].reason;
  EXPECT_LT(run.watch.latest().at("quality/ratio").value, 1) << "the predictions still tell";
}

TEST(Coverage, OneBadChunkAndRowsThatHangTogetherAreNoLoss) {
  Baseline baseline;
  const std::vector<ChunkCoverage> one{{900, 1000}, {903, 1000}, {898, 1000}, {500, 1000},
                                       {901, 1000}, {902, 1000}, {905, 1000}};
  EXPECT_FALSE(judge_coverage(one, 0.9, baseline, 3).is_low) << "of seven chunks two are below";
  const std::vector<ChunkCoverage> all(7, {860, 1000});
  EXPECT_TRUE(judge_coverage(all, 0.9, baseline, 3).is_low);
  EXPECT_NEAR(judge_coverage(all, 0.9, baseline, 3).missed, 0.14, 1e-12);
  EXPECT_NEAR(judge_coverage(all, 0.9, baseline, 3).threshold, 0.11, 1e-12);
  const std::vector<ChunkCoverage> slight(7, {893, 1000});
  EXPECT_FALSE(judge_coverage(slight, 0.9, baseline, 3).is_low) << "less than a point";
  const std::vector<ChunkCoverage> few(7, {43, 50});
  EXPECT_FALSE(judge_coverage(few, 0.9, baseline, 3).is_low) << "chance";
  // A reference whose days differ by as much.
  baseline.coverage_mean = 0.9;
  baseline.coverage_sd = 0.06;
  baseline.coverage_chunks = 20;
  EXPECT_FALSE(judge_coverage(all, 0.9, baseline, 3).is_low);
  EXPECT_NEAR(judge_coverage(all, 0.9, baseline, 3).threshold, 0.1 + 0.18 / std::sqrt(7.0), 1e-12);
}

/// Rows whose label is so far from a prediction of 0.
LabelJoin::Chunk errors(const std::vector<double>& sizes) {
  LabelJoin::Chunk out;
  for (const double size : sizes) {
    out.margins.push_back(0);
    out.codes.push_back(size);
  }
  return out;
}

TEST(Coverage, ARefitHasToHoldOnTheNewerHalf) {
  std::vector<double> sizes;
  for (int i = 0; i < 2000; ++i) sizes.push_back(i * 7 % 1000);
  const stats::Conformal served{0.9, 500};
  const IntervalRefit steady = refit_interval(kNumber, errors(sizes), served, {});
  EXPECT_TRUE(steady.is_stable);
  EXPECT_EQ(steady.rows, 2000);
  EXPECT_NEAR(steady.quantile, 900, 2);
  EXPECT_NEAR(steady.held, 0.501, 1e-9) << "501 of each 1,000 are 500 at most";
  EXPECT_NEAR(steady.held_newer, 0.9, 0.002);
  // They became larger within: what was before does not count.
  for (std::size_t i = 0; i < 1000; ++i) sizes[i] /= 2;
  const IntervalRefit later = refit_interval(kNumber, errors(sizes), served, {});
  EXPECT_TRUE(later.is_stable);
  EXPECT_EQ(later.rows, 1000);
  EXPECT_NEAR(later.quantile, 900, 2);
  // They go on growing: no half is like the next.
  for (std::size_t i = 0; i < sizes.size(); ++i) sizes[i] = std::pow(1.01, static_cast<double>(i));
  EXPECT_FALSE(refit_interval(kNumber, errors(sizes), served, {}).is_stable);
  // Too few; and with an offset the errors are others.
  EXPECT_EQ(refit_interval(kNumber, errors({1, 2, 3}), served, {}).rows, 0);
  const std::vector<double> moved{100.0};
  const IntervalRefit all_alike =
      refit_interval(kNumber, errors(std::vector<double>(300, 100.0)), served, moved);
  EXPECT_NEAR(all_alike.quantile, 0, 1e-9);
}

TEST_P(Tasks, TheStateComesBackAsItWas) {
  Played run(task(), 6);
  run.play(100, 103, {});
  const auto change = run.watch.change();
  ASSERT_TRUE(change.piece);
  Watch again = *Watch::open(Watch::Options{run.world.own_monitor(), {}, {}, {}});
  Route route{1, sha256("primary"), "", run.world.baseline()};
  route.task = task();
  route.interval = run.world.interval();
  again.register_route(route);
  const std::map<std::string, std::string> parts(change.parts.begin(), change.parts.end());
  const auto restored = again.restore(parts, {*change.piece});
  ASSERT_TRUE(restored.ok()) << restored.error().str();
  EXPECT_EQ(again.save(), run.watch.save());
}

INSTANTIATE_TEST_SUITE_P(Of, Tasks, testing::Values(&kClasses, &kNumber), [](const auto& of) {
  return std::string(stats::task_name(of.param->kind));
});

TEST(UnknownClasses, ANewClassIsNamedAndPeopleAreTold) {
  Played run(kClasses, 7);
  run.play(100, 102, {});
  EXPECT_FALSE(run.watch.latest().contains(std::string(kUnknownClassKey)));
  run.play(102, 105, {.named = "diverted"});
  ASSERT_EQ(run.confirmed.size(), 1U);
  EXPECT_EQ(run.confirmed[0].cause, &recover::new_class());
  EXPECT_NE(run.confirmed[0].reason.find("of `diverted`"), std::string::npos)
      << run.confirmed[0].reason;
  EXPECT_EQ(run.watch.labels().unknown_class, 2 * World::kRows / 10);
  EXPECT_EQ(run.watch.labels().malformed, 0);
}

std::vector<std::string> names(int classes) {
  std::vector<std::string> out;
  for (int k = 0; k < classes; ++k) out.push_back(fmt::format("c{}", k));
  return out;
}

TEST(LabelJoin, RowsOfManyOutputsAreFewerInTheSameMemory) {
  // 4,096 rows of one output are 512 KiB; of 1,000 outputs a row has 1,015 eights of bytes, not 16.
  LabelJoin join({"secret", 4096, 1024});
  join.begin({stats::TaskKind::kClasses, names(1000)});
  std::vector<float> margins(1000, 0.5F);
  for (int i = 0; i < 2000; ++i) {
    margins[static_cast<std::size_t>(i % 1000)] = static_cast<float>(i);
    const std::string id = fmt::format("r{}", i);
    join.add_row({id, i * kMinute, 1, margins, margins, "s", "app"});
    (void)join.add_label(id, i % 1000, i * kMinute + 1);
  }
  EXPECT_LE(join.rows(), 4096U * 16 / 1015);
  EXPECT_GT(join.rows(), 4096U * 16 / 1015 / 4);
  const auto chunk = join.collect(0, 2000 * kMinute, 1);
  ASSERT_EQ(chunk.rows(), static_cast<std::int64_t>(join.rows()));
  EXPECT_EQ(chunk.margins.size(), chunk.codes.size() * 1000);
  for (std::size_t i = 0; i < chunk.codes.size(); ++i)
    EXPECT_EQ(stats::Task::best(chunk.row(i)) % 1000, static_cast<std::size_t>(chunk.codes[i]))
        << "margins stay with their row";
}

TEST(LabelJoin, AnotherTaskForgetsWhatWasSaidOfTheOneBefore) {
  LabelJoin join;
  join.begin(kClasses);
  const std::vector<float> three{1, 2, 3};
  join.add_row({"a", 10, 1, three, {}, "s", "app"});
  EXPECT_EQ(join.add_label("a", 2, 20), LabelJoin::Outcome::kJoined);
  EXPECT_EQ(join.add_label("b", 3, 20), LabelJoin::Outcome::kMalformed) << "there are three";
  EXPECT_EQ(join.add_label("c", 1, 20), LabelJoin::Outcome::kWaiting);
  join.begin(kClasses);
  EXPECT_EQ(join.rows(), 1U) << "the same task goes on";
  join.begin(kNumber);
  EXPECT_EQ(join.rows(), 0U);
  EXPECT_EQ(join.waiting(), 0U);
  const float value = 7;
  join.add_row({"d", 30, 1, {&value, 1}, {}, "s", "app"});
  EXPECT_EQ(join.add_label("d", 7.25, 40, "one"), LabelJoin::Outcome::kJoined);
  EXPECT_EQ(join.add_label("d", 7.25 + 1e-9, 41, "two"), LabelJoin::Outcome::kRepeated)
      << "equal as floats";
  EXPECT_EQ(join.add_label("d", 7.5, 42, "two"), LabelJoin::Outcome::kContested);
  for (const double none : {std::nan(""), 1.0 / 0.0, 1e300})
    EXPECT_EQ(join.add_label("d", none, 43), LabelJoin::Outcome::kMalformed) << none;
}

/// Labels of two accounts on rows that are alike, of either task; `two` lies as `lie` says.
double at_least_of(const stats::Task& task, const std::function<double(double)>& lie) {
  spec::Monitor monitor;
  monitor.quality.chunk_duration = kDay;
  LabelSources sources(monitor);
  LabelJoin join;
  join.begin(task);
  std::vector<Finding> out;
  sources.close(join, 1, out);
  std::mt19937 random(11);
  std::normal_distribution<float> normal(0, 1);
  for (int i = 0; i < 6000; ++i) {
    std::vector<float> margins(task.outputs());
    for (float& margin : margins) margin = normal(random);
    const double truth =
        task.kind == stats::TaskKind::kRegression
            ? static_cast<double>(margins[0] + normal(random))
            : static_cast<double>((stats::Task::best(margins) + random() % 2) % task.outputs());
    const std::string id = fmt::format("r{}", i);
    join.add_row({id, i * (kDay / 6000), 1, margins, {}, "s", "app"});
    const bool of_two = random() % 3 == 0;
    (void)join.add_label(id, of_two ? lie(truth) : truth, kDay, of_two ? "two" : "one");
  }
  sources.close(join, 2 * kDay, out);
  for (const Finding& finding : out) {
    if (finding.key == "labels/like-rows") return finding.value;
  }
  return -1;
}

TEST(LabelSources, LiesAboutClassesAndNumbersShowOnRowsThatAreAlike) {
  EXPECT_LT(at_least_of(kClasses, [](double label) { return label; }), 0.03);
  EXPECT_GE(at_least_of(kClasses, [](double label) { return label; }), 0) << "they were compared";
  EXPECT_GT(at_least_of(kClasses, [](double label) { return std::fmod(label + 1, 3); }), 0.3);
  EXPECT_LT(at_least_of(kNumber, [](double label) { return label; }), 0.03);
  EXPECT_GT(at_least_of(kNumber, [](double label) { return label + 1; }), 0.1);
  EXPECT_GT(at_least_of(kNumber, [](double label) { return 3 * label; }), 0.1)
      << "the middle is as it was";
}

TEST(Baseline, ARegressionsUnitIsItsMedianAbsoluteDeviation) {
  // scipy 1.17.1, stats.median_abs_deviation([1, 2, 4, 7, 11]) is 3, about 4.
  spec::Monitor monitor;
  std::vector<Micros> time;
  std::vector<float> margins;
  std::vector<double> codes;
  for (const double label : {1, 2, 4, 7, 11}) {
    time.push_back(static_cast<Micros>(time.size()));
    margins.push_back(5);
    codes.push_back(label);
  }
  const auto number = build_baseline(monitor, {}, {{}, {}, time, margins, codes, kNumber, {}});
  ASSERT_TRUE(number.ok()) << number.error().str();
  EXPECT_EQ(number->label_median, 4);
  EXPECT_EQ(number->label_scale, 3);
  const auto same = baseline_schema().parse(baseline_schema().print(*number));
  ASSERT_TRUE(same.ok());
  EXPECT_EQ(same->label_scale, 3);
  // More than half of them equal: the mean deviation.
  const std::vector<double> equal{4, 4, 4, 4, 14};
  const auto flat = build_baseline(monitor, {}, {{}, {}, time, margins, equal, kNumber, {}});
  EXPECT_EQ(flat->label_scale, 2);
  auto bad = baseline_schema().print(*number);
  bad.find("labels")->set("scale", 0);
  EXPECT_EQ(baseline_schema().parse(bad).error().id, "watch-baseline");
}

TEST(Baseline, ThePredictionOfClassesIsTheNameOfTheLikeliest) {
  spec::Monitor monitor;
  monitor.labelled_quality = false;
  monitor.distributions = {{"told", "prediction", &statistic::ks(), 0.1, 3}};
  const std::vector<Micros> time{0, 1};
  const std::vector<float> margins{1, 3, 2, 5, 0, 1};
  const std::vector<double> codes{1, 0};
  const BaselineInput input{{}, {}, time, margins, codes, kClasses, {}};
  const auto refused = build_baseline(monitor, {}, input);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().id, "watch-kind");
  monitor.distributions[0].kind = &statistic::total_variation();
  const auto built = build_baseline(monitor, {}, input);
  ASSERT_TRUE(built.ok()) << built.error().str();
  EXPECT_EQ(built->metrics[0].binning.names(), (std::vector<std::string>{"early", "late"}));
}

}  // namespace
}  // namespace heddle::watch
