// A model of several classes and one of a number, from definition to bundle.
#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "bundle/bundle.hpp"
#include "doc/items.hpp"
#include "flow/flow_fixture.hpp"
#include "flow/held_out.hpp"
#include "flow/variant.hpp"
#include "score/plan.hpp"

namespace heddle::flow {
namespace {

using stats::TaskKind;

/// The scene's model with another target; its gate is `gate`, on one metric. A target that is made
/// of one feature is no leak here.
void retarget(Scene& scene, const std::string& target, const std::string& gate) {
  scene.change("models/m.yaml", "target: late > 15\n", target);
  scene.change("models/m.yaml", "standby: {trainer: logistic}\n", "");
  scene.change("evaluations/e.yaml", "  - name: auc\n  - name: log_loss\n",
               "  - name: " + gate.substr(8, gate.find(' ') - 8) + "\n");
  scene.change("evaluations/e.yaml", "metrics.auc > 0.55", gate);
}
void allow_one_feature(Scene& scene, const std::string& measure) {
  scene.change("evaluations/e.yaml", "gates:\n", "leakage: {" + measure + "_max: 1.0}\ngates:\n");
}

struct Made {
  bundle::Bundle bundle;
  std::unique_ptr<const score::Plan> plan;
};
Made made(Scene& scene, const Digest& digest) {
  auto bundle = *bundle::open(*scene.objects, digest);
  auto plan = score::Plan::load(bundle);
  EXPECT_TRUE(plan.ok()) << (plan.ok() ? "" : plan.error().str());
  return {std::move(bundle), plan.ok() ? std::move(*plan) : nullptr};
}

TEST(Tasks, ANumberIsTrainedGatedAndPackedWithItsInterval) {
  Scene scene;
  retarget(scene, "target: late / 2.0 + size\ninterval: {coverage: 0.8}\n", "metrics.mae < 10.0");
  allow_one_feature(scene, "single_feature_correlation");
  scene.change("evaluations/e.yaml", "gates:\n",
               "gates:\n  - {id: holds, when: metrics.coverage > 0.7 && metrics.coverage < 0.9}\n");
  const auto run = scene.run();
  ASSERT_TRUE(run.ok()) << run.error().str();
  EXPECT_GT(run->candidate.metrics.double_or("r2"), .8);
  EXPECT_TRUE(scene.to_run().empty());
  for (const Digest& digest : {run->candidate.bundle, run->candidate.standby}) {
    const Made of = made(scene, digest);
    ASSERT_NE(of.plan, nullptr);
    EXPECT_EQ(of.plan->task(), stats::Task{TaskKind::kRegression});
    ASSERT_TRUE(of.plan->conformal().has_value());
    EXPECT_EQ(of.plan->conformal()->coverage, .8);
    EXPECT_GT(of.plan->conformal()->quantile, 0);
    EXPECT_EQ(of.plan->calibration().offsets, std::vector<double>{0});
    const auto held =
        read_held_out(*scene.objects, of.bundle, of.plan->contract().request_fields());
    ASSERT_TRUE(held.ok()) << held.error().str();
    const auto scored = of.plan->score_table(held->rows);
    ASSERT_TRUE(scored.ok()) << scored.error().str();
    double error = 0;
    for (std::size_t i = 0; i < held->labels.size(); ++i)
      error += std::abs(scored->predictions[i] - held->labels[i]) /
               static_cast<double>(held->labels.size());
    EXPECT_LT(error, 10);
  }
  EXPECT_EQ(made(scene, run->candidate.standby).bundle.config().trainer, "ridge");
  // An offset moves the value, and the interval with it.
  const auto moved = with_calibration(*scene.objects, run->candidate.bundle,
                                      {{2.5}, stats::Conformal{.8, 4}}, "c0ffee");
  ASSERT_TRUE(moved.ok()) << moved.error().str();
  EXPECT_EQ(made(scene, *moved).plan->conformal()->quantile, 4);
  EXPECT_EQ(with_calibration(*scene.objects, run->candidate.bundle,
                             {{0}, stats::Conformal{.8, std::nan("")}}, "c0ffee")
                .error()
                .id,
            "calibration-not-finite");
  EXPECT_EQ(
      with_calibration(*scene.objects, run->candidate.bundle, {{1, 2}, {}}, "c0ffee").error().kind,
      ErrorKind::kCorrupt);
}

TEST(Tasks, ClassesAreTrainedGatedAndPackedWithTheirNames) {
  Scene scene;
  retarget(scene,
           "target: \"late > 15 ? 'late' : size > 60 ? 'big' : 'small'\"\nclasses: [small, big, "
           "late]\ninterval: {coverage: 0.9}\n",
           "metrics.log_loss < 0.9");
  scene.change("features/f.yaml", "  - name: place_late\n    target_encoding: {inputs: [place]}\n",
               "");
  scene.change("evaluations/e.yaml", "gates:\n",
               "gates:\n  - {id: tells-big, when: metrics.recall.big > 0.5}\n");
  const auto run = scene.run();
  ASSERT_TRUE(run.ok()) << run.error().str();
  EXPECT_TRUE(scene.to_run().empty());
  const stats::Task task{TaskKind::kClasses, {"small", "big", "late"}};
  for (const Digest& digest : {run->candidate.bundle, run->candidate.standby}) {
    const Made of = made(scene, digest);
    ASSERT_NE(of.plan, nullptr);
    EXPECT_EQ(of.plan->task(), task);
    EXPECT_EQ(of.plan->calibration().offsets, (std::vector<double>{0, 0, 0}));
    ASSERT_TRUE(of.plan->conformal().has_value());
    const auto reference = *of.bundle.json(bundle::kReference);
    EXPECT_EQ(reference.find("margins")->as_array().front().size(), 3U);
    const auto held =
        read_held_out(*scene.objects, of.bundle, of.plan->contract().request_fields());
    const auto scored = of.plan->score_table(held->rows);
    ASSERT_TRUE(scored.ok()) << scored.error().str();
    EXPECT_EQ(scored->outputs, 3U);
    score::Scratch scratch;
    score::RowResult row;
    const auto views = held->rows.views();
    std::vector<expr::Datum> raw;
    for (const auto& field : of.plan->contract().request_fields())
      raw.push_back((*held->rows.column(field.name))->view().at(3));
    of.plan->score_row(raw, row, scratch);
    float sum = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      EXPECT_EQ(row.prediction.at(k), scored->predictions[3 * 3 + k]);
      EXPECT_EQ(row.margins.at(k), scored->margins[3 * 3 + k]);
      sum += row.prediction[k];
    }
    EXPECT_NEAR(sum, 1, 1e-6);
    std::vector<float> explained(3 * of.plan->contribution_names().size());
    ASSERT_TRUE(of.plan->explain_row(raw, explained, scratch).ok());
    for (std::size_t k = 0; k < 3; ++k) {
      double margin = 0;
      for (std::size_t i = 0; i < of.plan->contribution_names().size(); ++i)
        margin += explained[k * of.plan->contribution_names().size() + i];
      EXPECT_NEAR(margin, row.margins[k], 1e-4);
    }
  }
  const auto evidence = *made(scene, run->candidate.bundle).bundle.json(bundle::kEvaluation);
  std::int64_t rows = 0;
  for (const auto& cell : doc::items_of(evidence.find("confusion"))) rows += cell.int_or("rows");
  EXPECT_EQ(rows, evidence.find("metrics")->double_or("rows"));
  EXPECT_NE(evidence.find("metrics")->find("recall.late"), nullptr);
}

TEST(Tasks, TheBaseOfAnotherTaskIsNotMeasured) {
  Scene scene;
  const auto first = scene.run();
  ASSERT_TRUE(first.ok()) << first.error().str();
  scene.host.primaries["s"] = first->candidate.bundle;
  retarget(scene, "target: late / 2.0 + size\n", "metrics.mae < base.mae");
  allow_one_feature(scene, "single_feature_correlation");
  const auto run = scene.run();
  ASSERT_FALSE(run.ok());
  EXPECT_EQ(run.error().id, "gates-failed");
  EXPECT_NE(run.error().message.find("its task is `binary`"), std::string::npos)
      << run.error().message;
}

TEST(Tasks, RowsWithoutATimeAreSplitByTheirClasses) {
  Scene scene(1000);
  scene.change("models/m.yaml", ", time_field: at, from: \"2001-01-01\", to: \"2001-02-01\"", "");
  retarget(scene, "target: size > 96\n", "metrics.accuracy > 0.2");
  scene.change("models/m.yaml", "seed: 5\n", "seed: 5\nstandby: {trainer: logistic}\n");
  allow_one_feature(scene, "single_feature_auc");
  const auto run = scene.run();
  ASSERT_TRUE(run.ok()) << run.error().str();
  const Made of = made(scene, run->candidate.bundle);
  const auto held = read_held_out(*scene.objects, of.bundle, of.plan->contract().request_fields());
  ASSERT_TRUE(held.ok()) << held.error().str();
  const auto count = [](const table::Table& rows) {
    const auto& sizes = (*rows.column("size"))->ints;
    return static_cast<double>(
        std::count_if(sizes.begin(), sizes.end(), [](std::int64_t size) { return size > 96; }));
  };
  EXPECT_NEAR(count(held->rows), .15 * count(make_rows(1000, 7)), 1);
}

}  // namespace
}  // namespace heddle::flow
