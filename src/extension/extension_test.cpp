// What one file adds works through definitions, run, watch and recovery.
#include "extension/extension_fixture.hpp"

#include <gtest/gtest.h>

#include "doc/json.hpp"
#include "evaluate/evaluate.hpp"
#include "recover/ladder_fixture.hpp"
#include "spec/spec_fixture.hpp"
#include "train/train.hpp"
#include "watch/baseline_format.hpp"

namespace heddle::extension {
namespace {

using recover::fixture::Scene;
using watch::fixture::Stream;

class Definitions : public spec::SpecTest {};

TEST_F(Definitions, NameWhatWasAdded) {
  ASSERT_TRUE(kAdded);
  change("monitors/w.yaml", "  - {name: size, column: size, kind: ks, floor: 0.1}\n",
         "  - {name: place, column: place, kind: largest_share, floor: 0.1}\n");
  change("evaluations/e.yaml", "name: auc", "name: brier");
  change("evaluations/e.yaml", "metrics.auc > 0.5", "metrics.brier < 0.3");
  EXPECT_EQ(findings(), (Lines{}));
  const auto loaded = spec::load_project(root_);
  EXPECT_EQ(loaded->project.monitors.at("w").distributions.at(0).kind, &kLargestShare);
  // What is added is checked as what is there: it cannot read a time, and no gate on it always
  // fails.
  change("monitors/w.yaml", "column: place", "column: at");
  change("evaluations/e.yaml", "metrics.brier < 0.3", "metrics.brier > 1.0");
  const auto said = findings();
  ASSERT_EQ(said.size(), 2U);
  EXPECT_NE(said[0].find("never-true"), std::string::npos) << said[0];
  EXPECT_NE(said[1].find("`largest_share` does not read `at`"), std::string::npos) << said[1];
}

TEST_F(Definitions, SchemaAndReferenceListWhatWasAdded) {
  const std::string schema = doc::to_json(spec::schema("Monitor").value());
  EXPECT_NE(schema.find("\"largest_share\""), std::string::npos);
  EXPECT_NE(schema.find("`largest_share` of strings"), std::string::npos);
  EXPECT_NE(spec::reference("Monitor").value().find("`largest_share` of strings"),
            std::string::npos);
}

TEST(Extension, AMetricIsMeasuredAndGated) {
  spec::Evaluation definition;
  definition.metrics.push_back({.name = "brier"});
  definition.gates.push_back({.id = "squares", .when = {"metrics.brier < 0.3", {}}});
  table::Column column;
  column.name = "x";
  column.type = expr::Type::kInt;
  column.ints = {1, 2};
  const auto rows = table::Table::make({column}).value();
  const std::vector<float> margins{0, 0};
  const std::vector<double> labels{0, 1};
  const stats::Task task;
  const auto numbers = evaluate::metrics(definition, {&task, &rows, margins, labels});
  ASSERT_TRUE(numbers.ok()) << numbers.error().str();
  EXPECT_EQ(numbers->at("brier"), 0.25);
  const auto evidence = evaluate::evaluate({&definition, {&task, &rows, margins, labels}});
  ASSERT_TRUE(evidence.ok()) << evidence.error().str();
  EXPECT_TRUE(evidence->passed);
}

TEST_F(Definitions, NameATrainerThatWasAdded) {
  change(
      "models/m.yaml",
      "search:\n  trials: 2\n  space:\n    - {name: eta, kind: log_uniform, low: 0.1, high: 0.3}\n",
      "trainer: mean_difference\nparameters: {prior: 5}\n");
  EXPECT_EQ(findings(), (Lines{}));
  change("models/m.yaml", "{prior: 5}", "{prior: 5000}");
  EXPECT_EQ(findings().size(), 1U);
  change("models/m.yaml", "{prior: 5000}", "{prior: 5}");
  change("models/m.yaml", "target: late > 0", "target: late / 2.0");
  bool is_refused = false;
  for (const auto& line : findings())
    is_refused = is_refused || line.find("trainer-task") != std::string::npos;
  EXPECT_TRUE(is_refused);
}

TEST(Extension, ATrainerTrainsAndIsMeasured) {
  const std::vector<float> features{1, 2, 3, 4};
  const std::vector<double> labels{1, 0, 0, 0};
  train::TrainInput input;
  input.trainer = "mean_difference";
  input.train = {features.data(), labels.data(), 4, 1};
  input.validation = input.train;
  const auto trained = train::train(input);
  ASSERT_TRUE(trained.ok()) << trained.error().str();
  // Means 1 and 3, variance 1 within the kinds: log odds log(1/3) - 2 (x - 2).
  EXPECT_NEAR(trained->validation_loss, 0.169661, 1e-6);
  input.parameters.values = {{"prior", "1"}};
  EXPECT_NE(train::train(input)->model, trained->model);
  input.parameters.values = {{"prior", "-1"}};
  EXPECT_EQ(train::train(input).error().id, "train-parameter");
}

TEST(Extension, AStatisticIsInTheBaselineAndInFindings) {
  Stream stream(3);
  auto options = Stream::options();
  options.monitor.distributions = {{"share", "place", &kLargestShare, 0.1, 3}};
  const std::vector<std::string> places{"A", "A", "B", "C"};
  std::vector<std::int32_t> codes;
  std::vector<Micros> time;
  for (int i = 0; i < 4000; ++i) {
    codes.push_back(i % 4 == 3 ? 2 : i % 4 == 2 ? 1 : 0);
    time.push_back(i * kHour);
  }
  const std::vector<std::string_view> names{"A", "B", "C"};
  const expr::ColumnView column{.type = expr::Type::kString,
                                .length = 4000,
                                .codes = codes.data(),
                                .dictionary = names.data()};
  spec::Monitor monitor = options.monitor;
  monitor.labelled_quality = false;
  const auto built =
      watch::build_baseline(monitor, {}, {{"place"}, {column}, time, {}, {}, {}, {}});
  ASSERT_TRUE(built.ok()) << built.error().str();
  const auto back =
      watch::baseline_schema().parse_text(doc::to_json(watch::baseline_schema().print(*built)));
  ASSERT_TRUE(back.ok()) << back.error().str();
  EXPECT_EQ(back->metrics.at(0).metric.kind, &kLargestShare);
  stats::Histogram window(back->metrics[0].binning.size());
  window.add(*back->metrics[0].bin_of(expr::Datum::string("C")), 10);
  EXPECT_EQ(back->metrics[0].statistic(window), 0.75);
}

TEST(Extension, ADetectorAndACauseGoTheWholeWay) {
  Scene s(40);
  s.play(100, 103, {});
  EXPECT_TRUE(s.ladder.incidents().empty());
  s.play(103, 106, {.wrong_labels = true});
  const auto of_cause = [&]() -> const Incident* {
    for (const Incident& each : s.ladder.incidents()) {
      if (each.diagnosis.cause == &kTooManyTrue) return &each;
    }
    return nullptr;
  };
  ASSERT_NE(of_cause(), nullptr);
  EXPECT_EQ(of_cause()->step, Step::kRespond);
  const std::string asked = of_cause()->id + "/label.accept/1";
  EXPECT_TRUE(s.world.op_ids["label.accept"].contains(asked));

  // A restart keeps the detector's run and the incident's cause.
  std::map<std::string, std::string> parts;
  const auto change = s.watch.change();
  for (const auto& [name, bytes] : change.parts) parts[name] = bytes;
  EXPECT_TRUE(parts.contains("label-rate"));
  Ladder again(recover::fixture::options());
  again.restore(recover::fixture::read_back(s.ladder.state()));
  s.ladder = std::move(again);
  ASSERT_NE(of_cause(), nullptr);

  s.play(106, 110, {});
  ASSERT_NE(of_cause(), nullptr);
  EXPECT_EQ(of_cause()->step, Step::kDone) << step_name(of_cause()->step);
  EXPECT_EQ(of_cause()->response, "a person was asked about the labels");
  const auto page = std::find_if(
      s.world.pages.begin(), s.world.pages.end(),
      [](const std::string& each) { return each.find("too many true labels") != each.npos; });
  ASSERT_NE(page, s.world.pages.end());
  EXPECT_NE(page->find("metrics.brier < 0.3"), page->npos);
  EXPECT_NE(page->find("ask who counts the labels"), page->npos);
}

TEST(Extension, AStateFromBeforeADetectorWasAddedBeginsItAnew) {
  Scene s(41);
  s.play(100, 101, {});
  std::map<std::string, std::string> parts;
  std::map<std::uint64_t, std::string> pieces;
  const auto change = s.watch.change();
  for (const auto& [name, bytes] : change.parts) parts[name] = bytes;
  if (change.piece) pieces.insert(*change.piece);
  parts.erase("label-rate");
  auto fresh = *watch::Watch::open(Stream::options());
  EXPECT_TRUE(fresh.restore(parts, pieces).ok());
  parts.erase("silence");
  auto other = *watch::Watch::open(Stream::options());
  EXPECT_EQ(other.restore(parts, pieces).error().id, "watch-state");
}

}  // namespace
}  // namespace heddle::extension
