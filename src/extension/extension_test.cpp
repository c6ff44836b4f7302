// What one file adds works through definitions, run, watch and recovery.
#include "extension/extension_fixture.hpp"

#include <gtest/gtest.h>

#include "doc/json.hpp"
#include "evaluate/evaluate.hpp"
#include "recover/ladder_fixture.hpp"
#include "spec/definition_count.hpp"
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

TEST_F(Definitions, AreOfAKindThatWasAdded) {
  const auto before = spec::load_project(root_);
  put("runbooks/s.yaml",
      "apiVersion: heddle/v1\nkind: Runbook\nname: s\nservice: s\ncall: ada\nsteps: [look, ask]\n");
  EXPECT_EQ(findings(), (Lines{}));
  const auto loaded = spec::load_project(root_);
  const auto* runbooks = kRunbookKind.find(loaded->project);
  ASSERT_NE(runbooks, nullptr);
  EXPECT_EQ(runbooks->at("s").call, "ada");
  EXPECT_EQ(runbooks->at("s").steps, (std::vector<std::string>{"look", "ask"}));
  EXPECT_EQ(runbooks->at("s").identity.file, "runbooks/s.yaml");
  EXPECT_EQ(spec::definition_count(loaded->project),
            spec::definition_count(before->project) + 1);
  // What is applied is named by the digest of all files, those of this kind among them.
  EXPECT_TRUE(loaded->files.contains("runbooks/s.yaml"));
  EXPECT_NE(loaded->digest(), before->digest());
  const auto copy = loaded->project;
  EXPECT_EQ(kRunbookKind.find(copy)->size(), 1U);
  EXPECT_EQ(kRunbookKind.find(before->project), nullptr);
}

TEST_F(Definitions, OfAKindThatWasAddedAreCheckedLikeTheOthers) {
  const std::string head = "apiVersion: heddle/v1\nkind: Runbook\n";
  put("runbooks/a.yaml", head + "name: a\nservice: ss\ncall: ada\nstep: [look]\n");
  put("runbooks/b.yaml", head + "name: b\nservice: s\ncall: ada\n");
  put("runbooks/c.yaml", head + "name: c\nservice: s\n");
  put("runbooks/d.yaml", head + "name: b\nservice: s\ncall: ada\n");
  put("runbooks/e.yaml", "kind: Runbok\n");
  put("runbooks/f.yaml.old", head);
  put("runbooks/g.YAML", head);
  EXPECT_EQ(findings(),
            (Lines{"runbooks/a.yaml:4:10: error[unknown-name]: there is no service `ss`",
                   "runbooks/a.yaml:6:1: error[unknown-key]: unknown key `step` in Runbook",
                   "runbooks/c.yaml:1:1: error[missing-key]: Runbook needs the key `call`",
                   "runbooks/c.yaml:4:10: error[runbook-twice]: service `s` has runbook `b` "
                   "already",
                   "runbooks/d.yaml:3:7: error[duplicate-name]: Runbook `b` is defined in "
                   "`runbooks/b.yaml` already",
                   "runbooks/e.yaml:1:7: error[unknown-kind]: there is no kind `Runbok`",
                   "runbooks/g.YAML:1:1: warning[definition-not-read]: `runbooks/g.YAML` is not "
                   "read: nothing in it counts"}));
  const auto loaded = spec::load_project(root_);
  EXPECT_TRUE(loaded->has_errors());
  EXPECT_EQ(kRunbookKind.find(loaded->project)->size(), 3U);
}

TEST(Extension, AKindThatWasAddedHasItsPages) {
  const std::string schema = doc::to_json(spec::schema("Runbook").value());
  EXPECT_NE(schema.find("\"who is called\""), std::string::npos) << schema;
  EXPECT_NE(schema.find("\"additionalProperties\":false"), std::string::npos) << schema;
  EXPECT_NE(spec::reference("Runbook").value().find("| `call` | a string | yes | who is called |"),
            std::string::npos)
      << spec::reference("Runbook").value();
  EXPECT_EQ(spec::schema("Runbok").error().hint, "did you mean `Runbook`?");
  EXPECT_NE(spec::schema("Zzzzzzzz").error().hint.find("`Runbook`"), std::string::npos);
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
