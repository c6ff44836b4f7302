// A retrain is a run over recorded traffic.
#include "flow/retrain.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "bundle/bundle.hpp"
#include "doc/json.hpp"
#include "evaluate/evidence_format.hpp"
#include "flow/flow_fixture.hpp"
#include "flow/variant.hpp"
#include "score/plan.hpp"
#include "watch/baseline.hpp"
#include "watch/baseline_format.hpp"

namespace heddle::flow {
namespace {

/// Columns as a request carries them: label fields are not recorded.
table::Table as_recorded(const table::Table& rows) {
  std::vector<table::Column> columns;
  for (const auto& column : rows.columns()) {
    if (column.name != "late") columns.push_back(column);
  }
  return *table::Table::make(columns);
}

std::vector<double> truth_of(const table::Table& rows) {
  std::vector<double> out;
  for (const auto late : rows.find("late")->ints) out.push_back(late > 15 ? 1 : 0);
  return out;
}

void turn_over(std::vector<double>& labels) {
  for (auto& label : labels) label = 1 - label;
}

Names ids_of(const doc::Value& evaluation) {
  Names out;
  for (const auto& gate : evaluation.find("gates")->as_array()) out.push_back(gate.string_or("id"));
  return out;
}

class Retraining : public testing::Test {
 protected:
  void SetUp() override {
    const auto first = scene_.run();
    ASSERT_TRUE(first.ok()) << first.error().str();
    primary_ = first->candidate.bundle;
    standby_ = first->candidate.standby;
    const auto search = open(primary_).config().search;
    ASSERT_TRUE(search.has_value());
    recorded_.recipe = *search;
    recorded_.recipe.bundle = primary_;
    recorded_.base = primary_;
    recorded_.before.why_not = "there are none";
    take(make_rows(2000, 5));
    project_ = scene_.project();
    project_.commit = "c0ffee";
    project_.dirty = false;
  }
  void take(const table::Table& rows) {
    recorded_.rows = as_recorded(rows);
    recorded_.labels = truth_of(rows);
    // Later than what the run learned from: a month after its rows.
    recorded_.event_times.clear();
    for (const auto at : rows.find("at")->ints) recorded_.event_times.push_back(at + 40 * kDay);
    recorded_.label_accounts.clear();
    recorded_.accounts.clear();
  }
  [[nodiscard]] bundle::Bundle open(const Digest& digest) {
    return *bundle::open(*scene_.objects, digest);
  }
  /// In a folder of its own, as the worker has it.
  Result<RetrainOutcome> retrain() {
    Host host = scene_.host;
    host.state_dir = fmt::format("{}/.heddle/runs/retrain-{}", scene_.root, ++count_);
    return flow::retrain(project_, "m", host, recorded_);
  }

  Scene scene_;
  spec::Project project_;
  Digest primary_{};
  Digest standby_{};
  Recorded recorded_;
  int count_ = 0;
};

TEST_F(Retraining, MeetsTheGatesOfTheEvaluationAndHasABaselineOfItsOwn) {
  turn_over(recorded_.labels);  // the world turned upside down
  const auto outcome = retrain();
  ASSERT_TRUE(outcome.ok()) << outcome.error().str();
  ASSERT_TRUE(outcome->gates_passed) << fmt::format("{}", fmt::join(outcome->failed_gates, ", "));
  EXPECT_LT(outcome->metrics.at("log_loss"), outcome->base_metrics.at("log_loss"));
  EXPECT_EQ(retrain()->bundle, outcome->bundle);
  const auto made = open(outcome->bundle);
  const auto evaluation = *made.json(bundle::kEvaluation);
  EXPECT_EQ(ids_of(evaluation), (Names{"leakage-time-order", "leakage-duplicate-rows",
                                       "leakage-single-feature", "good", "retrain-beats-base"}));
  EXPECT_EQ(evaluation.find("base")->string_or("bundle"), primary_.str());
  EXPECT_TRUE(evaluation.find("standby") != nullptr);
  // Its baseline is of the recorded rows: their sizes were doubled below the base's points.
  EXPECT_NE(*made.layer(bundle::kBaseline), *open(primary_).layer(bundle::kBaseline));
  EXPECT_TRUE(watch::baseline_schema().parse_text(*made.layer(bundle::kBaseline)).ok());
  EXPECT_TRUE(score::Plan::load(made).ok());
  EXPECT_EQ(made.commit(), "c0ffee");
  EXPECT_TRUE(made.dirty()) << "what it is held against was built of no commit";
  EXPECT_EQ(made.config().derived_from, primary_);
  EXPECT_TRUE(made.config().is_retrained());
  // Up to when it learned is in event time, and stays so in what is made of it.
  ASSERT_EQ(outcome->train_rows + outcome->holdout_rows, 2000);  // none was refused
  const bundle::Learned last{
      bundle::Learned::Kind::kUntil,
      recorded_.event_times[static_cast<std::size_t>(outcome->train_rows - 1)]};
  EXPECT_EQ(made.config().learned, last);
  const auto calibrated =
      *with_calibration(*scene_.objects, outcome->bundle, {{0.5}, {}}, "c0ffee");
  EXPECT_EQ(open(calibrated).config().learned, last);
}

TEST_F(Retraining, UsesTheAcceptedSearchWhateverServes) {
  turn_over(recorded_.labels);
  const auto searched = open(primary_).config().parameters;
  EXPECT_EQ(open(standby_).config().search, open(primary_).config().search)
      << "the search is of the model, whichever bundle of the run serves";
  for (const Digest& serving : {primary_, standby_}) {
    recorded_.base = serving;
    const auto outcome = retrain();
    ASSERT_TRUE(outcome.ok()) << outcome.error().str();
    ASSERT_TRUE(outcome->gates_passed);
    const auto config = open(outcome->bundle).config();
    EXPECT_EQ(config.trainer, "xgboost");
    EXPECT_EQ(config.parameters, searched);
    EXPECT_EQ(config.search->bundle, primary_);
  }
  recorded_.recipe.trainer = "logistic";
  EXPECT_EQ(retrain().error().id, "refit-other-trainer");
}

TEST_F(Retraining, AGateOfTheTeamStopsIt) {
  scene_.change("evaluations/e.yaml", "  - {id: good, when: metrics.auc > 0.55}\n",
                "  - {id: good, when: metrics.auc > 0.55}\n"
                "  - {id: much-better, when: metrics.log_loss < base.log_loss * 0.5}\n"
                "  - {id: few-minutes, when: metrics.minutes < 5.0}\n");
  scene_.change("evaluations/e.yaml", "  - name: log_loss\n",
                "  - name: log_loss\n  - {name: minutes, expression: \"double(late)\", "
                "aggregation: mean}\n");
  project_ = scene_.project();
  turn_over(recorded_.labels);
  const auto outcome = retrain();
  ASSERT_TRUE(outcome.ok()) << outcome.error().str();
  EXPECT_FALSE(outcome->gates_passed);
  EXPECT_TRUE(outcome->bundle.empty());
  // What recorded traffic cannot tell is not judged, and fails nothing.
  EXPECT_EQ(outcome->failed_gates, Names{"much-better"});
}

TEST_F(Retraining, NothingBetterThanWhatServesIsBundled) {
  // The same world as before, of a tenth of the rows.
  take(make_rows(300, 5));
  const auto vain = retrain();
  ASSERT_TRUE(vain.ok()) << vain.error().str();
  EXPECT_FALSE(vain->gates_passed);
  EXPECT_TRUE(vain->bundle.empty());
  EXPECT_EQ(vain->failed_gates, Names{"retrain-beats-base"});
}

TEST_F(Retraining, MeetsTheContractsRulesAboutTheWholeSet) {
  turn_over(recorded_.labels);
  scene_.change("contracts/c.odcs.yaml", "mustBeGreaterThan: 1}", "mustBeGreaterThan: 100000}");
  project_ = scene_.project();
  const auto refused = retrain();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().id, "set-refused");
}

TEST_F(Retraining, TooLittleIsSaid) {
  const auto few = [&](std::int64_t rows) {
    recorded_.rows = recorded_.rows.slice(0, rows);
    recorded_.labels.resize(static_cast<std::size_t>(rows));
    recorded_.event_times.resize(static_cast<std::size_t>(rows));
    return retrain().error();
  };
  EXPECT_EQ(few(150).id, "retrain-too-little");
  recorded_.labels.pop_back();
  EXPECT_EQ(retrain().error().id, "retrain-labels");
  take(make_rows(2000, 5));
  recorded_.labels.assign(2000, 0);
  EXPECT_EQ(retrain().error().id, "retrain-too-little");
  EXPECT_EQ(retrain().error().kind, ErrorKind::kInvalid);
}

TEST_F(Retraining, RepairsInForceStay) {
  // The clock of the sender is 5 hours ahead, and what serves repairs that.
  const spec::Transform repair{"fix-clock", "at", {"at - duration(\"5h\")", {}}, "sends UTC"};
  recorded_.base = *with_transform(*scene_.objects, primary_, repair, "c0ffee");
  auto rows = make_rows(2000, 5);
  table::Column late_clock = *rows.find("at");
  for (auto& time : late_clock.ints) time += 5 * kHour;
  take(*rows.with_column(late_clock));
  turn_over(recorded_.labels);
  const auto outcome = retrain();
  ASSERT_TRUE(outcome.ok()) << outcome.error().str();
  ASSERT_TRUE(outcome->gates_passed);
  const auto contract = *open(outcome->bundle).json(bundle::kContract);
  ASSERT_EQ(contract.find("transforms")->size(), 1U);
  EXPECT_EQ(contract.find("transforms")->as_array()[0].string_or("id"), "fix-clock");
}

TEST_F(Retraining, IsJudgedOnOthersLabelsAndOnRowsFromBeforeTheChange) {
  const auto rows = make_rows(6000, 5);
  take(rows);
  const auto truth = truth_of(rows);
  // Account 1 turns its labels over; account 2, which labels every fourth row, tells the truth.
  recorded_.accounts = {"", "liar", "honest"};
  for (std::size_t row = 0; row < truth.size(); ++row) {
    const bool honest = row % 4 == 0;
    if (!honest) recorded_.labels[row] = 1 - truth[row];
    recorded_.label_accounts.push_back(honest ? 2 : 1);
  }
  // The poisoned candidate beats the base on all held-out rows, most of which are the liar's.
  const auto poisoned = retrain();
  ASSERT_TRUE(poisoned.ok()) << poisoned.error().str();
  EXPECT_LT(poisoned->metrics.at("log_loss"), poisoned->base_metrics.at("log_loss"));
  EXPECT_NE(std::find(poisoned->failed_gates.begin(), poisoned->failed_gates.end(),
                      "retrain-holds-for-other-labels"),
            poisoned->failed_gates.end());
  EXPECT_TRUE(poisoned->bundle.empty());
  EXPECT_EQ(poisoned->judged.label_accounts.most, "liar");

  // Where the honest one labels too little to tell, that is said.
  recorded_.label_accounts.assign(truth.size(), 1);
  recorded_.label_accounts.back() = 2;
  recorded_.labels = truth;
  turn_over(recorded_.labels);
  const auto earlier = make_rows(1000, 6);
  recorded_.before = {as_recorded(earlier), truth_of(earlier), "recorded traffic", ""};
  const auto alone = retrain();
  ASSERT_TRUE(alone.ok()) << alone.error().str();
  ASSERT_TRUE(alone->gates_passed);
  const auto evaluation = *open(alone->bundle).json(bundle::kEvaluation);
  const auto& judged = *evaluation.find("retrain");
  EXPECT_EQ(judged.find("label_accounts")->string_or("only"), "liar");
  // On rows from before the change it is clearly worse: the world turned over, or the labels did.
  EXPECT_EQ(judged.find("before_change")->string_or("verdict"), "worse");
  EXPECT_EQ(judged.find("before_change")->int_or("rows"), 1000);

  EXPECT_EQ(judged.find("left_out"), nullptr);

  // One account that nobody stands beside is not held against anybody.
  recorded_.label_accounts.assign(truth.size(), 1);
  recorded_.before = {{}, {}, "", "there are none"};
  recorded_.left_out = {{"lost", 40}, {"stolen", 2}};
  const auto only_one = retrain();
  ASSERT_TRUE(only_one.ok()) << only_one.error().str();
  EXPECT_EQ(only_one->judged.label_accounts.only, "");
  EXPECT_EQ(only_one->judged.before_change.verdict, "none");
  const auto printed = evaluate::retrain_evidence_schema().print(only_one->judged);
  EXPECT_EQ(doc::to_json(*printed.find("left_out")),
            R"([{"class":"lost","rows":40},{"class":"stolen","rows":2}])");
}

}  // namespace
}  // namespace heddle::flow
