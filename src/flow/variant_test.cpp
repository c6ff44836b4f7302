#include "flow/variant.hpp"

#include <gtest/gtest.h>

#include "bundle/bundle.hpp"
#include "flow/flow_fixture.hpp"
#include "score/plan.hpp"

namespace heddle::flow {
namespace {

std::vector<float> margins_of(store::Objects& objects, const Digest& digest,
                              const table::Table& rows) {
  const auto opened = bundle::open(objects, digest);
  const auto plan = score::Plan::load(*opened);
  HEDDLE_CHECK(plan.ok(), plan.ok() ? "" : plan.error().message);
  return (*plan)->score_table(rows)->margins;
}

TEST(Variant, CalibrationAndTransform) {
  Scene scene;
  const auto first = scene.run();
  ASSERT_TRUE(first.ok()) << first.error().str();
  const Digest base = first->candidate.bundle;
  const table::Table rows = make_rows(400, 99);
  const auto before = margins_of(*scene.objects, base, rows);

  const auto calibrated = with_calibration(*scene.objects, base, {{0.5}, {}}, "c0ffee");
  ASSERT_TRUE(calibrated.ok()) << calibrated.error().str();
  EXPECT_EQ(*with_calibration(*scene.objects, base, {{0.5}, {}}, "c0ffee"), *calibrated);
  const auto moved = margins_of(*scene.objects, *calibrated, rows);
  for (std::size_t i = 0; i < moved.size(); ++i) EXPECT_NEAR(moved[i], before[i] + 0.5, 1e-5);

  // The clock of the sender is 5 hours ahead; the repair gives the margins of the true times.
  table::Column late_clock = *rows.find("at");
  for (auto& time : late_clock.ints) time += 5 * kHour;
  const table::Table shifted = *rows.with_column(late_clock);
  const auto repaired = with_transform(
      *scene.objects, base,
      {"fix-clock", "at", {"at - duration(\"5h\")", {}}, "upstream sends UTC"}, "c0ffee");
  ASSERT_TRUE(repaired.ok()) << repaired.error().str();
  EXPECT_EQ(margins_of(*scene.objects, *repaired, shifted), before);
  EXPECT_EQ(bundle::open(*scene.objects, *repaired)->config().derived_from, base);
  // It names the commit that is applied now, and what was dirty stays so.
  EXPECT_EQ(bundle::open(*scene.objects, *repaired)->commit(), "c0ffee");
  EXPECT_TRUE(bundle::open(*scene.objects, *repaired)->dirty());
}

TEST(Variant, ABundleThatCouldNotBeWatchedIsNotMade) {
  Scene scene;
  const auto run = scene.run();
  ASSERT_TRUE(run.ok()) << run.error().str();
  const auto opened = bundle::open(*scene.objects, run->candidate.bundle);
  std::vector<bundle::Layer> layers;
  for (const char* title : {"model.json", "features.json", "contract.json", "calibration.json",
                            "reference.json", "evaluation.json", "statements.json"}) {
    if (opened->has(title)) layers.push_back({title, "", std::string(*opened->layer(title))});
  }
  std::string baseline(*opened->layer(bundle::kBaseline));
  const auto points = baseline.find("\"points\":[");
  ASSERT_NE(points, std::string::npos);
  baseline.replace(points, baseline.find(',', points) - points,
                   "\"points\":[null");  // as an infinite edge was once written
  layers.push_back({std::string(bundle::kBaseline), "", baseline});
  const auto blind = bundle::pack(*scene.objects, std::move(layers), opened->config());
  ASSERT_TRUE(blind.ok()) << blind.error().str();
  const auto made = with_calibration(*scene.objects, *blind, {{0.1}, {}}, "c0ffee");
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().id, "watch-baseline");
}

}  // namespace
}  // namespace heddle::flow
