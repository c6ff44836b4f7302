#include "evaluate/evaluate.hpp"

#include <cmath>
#include <limits>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "doc/json.hpp"
#include "doc/schema_conformance.hpp"
#include "evaluate/evidence_format.hpp"
#include "evaluate/paired.hpp"
#include "model/scorer.hpp"
#include "model/standardised.hpp"
#include "stats/scalar.hpp"

namespace heddle::evaluate {
namespace {

using expr::Type;
const stats::Task kTask;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// Flights without an airline: a time, an origin, a fare and a label that depends on both.
struct World {
  table::Table rows;
  table::Matrix features;
  std::vector<double> labels;
};

World make_world(std::uint64_t seed, int count, std::int64_t first_time) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform;
  const auto dictionary =
      std::make_shared<const table::Dictionary>(std::vector<std::string>{"AAA", "BBB", "CCC"});
  table::Column time{.name = "date", .type = Type::kTimestamp};
  table::Column origin{.name = "origin", .type = Type::kString};
  origin.dictionary = dictionary;
  table::Column fare{.name = "fare", .type = Type::kDouble};
  World world;
  world.features.columns = 2;
  world.features.rows = count;
  for (int i = 0; i < count; ++i) {
    time.ints.push_back(first_time + i * kMinute);
    const auto code = static_cast<std::int32_t>(random() % 20 == 0 ? 2 : random() % 2);
    origin.codes.push_back(code);
    fare.doubles.push_back(100 + 30 * normal(random));
    fare.valid.push_back(random() % 10 != 0);
    const double margin = 1.5 * normal(random) + (code == 1 ? 0.8 : -0.8);
    world.features.values.push_back(static_cast<float>(margin + 0.3 * normal(random)));
    world.features.values.push_back(random() % 8 == 0 ? kNan : static_cast<float>(normal(random)));
    world.labels.push_back(uniform(random) < stats::sigmoid(margin));
  }
  world.rows = *table::Table::make({time, origin, fare});
  return world;
}

spec::Evaluation definition() {
  spec::Evaluation out;
  out.identity.kind = "Evaluation";
  out.identity.name = "delay";
  out.metrics.push_back({.name = "auc"});
  out.metrics.push_back({.name = "cost",
                         .expression = {"label == 1 && probability < 0.5 ? fare : 0.0", {}},
                         .aggregation = "mean",
                         .unit = "USD"});
  out.metrics.push_back({.name = "late", .expression = {"label", {}}, .aggregation = "sum"});
  out.slices.push_back({.name = "origin", .field = "origin", .minimum_rows = 200});
  out.gates.push_back({.id = "better-than-chance", .when = {"metrics.auc > 0.7", {}}});
  out.gates.push_back(
      {.id = "everywhere",
       .when = {"slices.origin.auc_min > 0.6 && slices.origin.rows_min >= 200.0", {}}});
  return out;
}

class Evaluating : public testing::Test {
 protected:
  void SetUp() override {
    const model::StandardisedLinear weights{
        model::Link::kLogistic, {}, {0, 0}, {1, 1}, {0, 0}, {1, 0}, {0}};
    const auto scorer = model::Scorer::load(model::to_json(weights));
    ASSERT_TRUE(scorer.ok());
    margins_.resize(test_.labels.size());
    (*scorer)->margins(test_.features.values.data(), test_.features.rows, margins_.data());
  }
  Predictions predictions() const { return {&kTask, &test_.rows, margins_, test_.labels}; }
  Split split() const {
    return {&kTask,
            &train_.rows,
            &test_.rows,
            train_.rows.find("date")->ints,
            test_.rows.find("date")->ints,
            &test_.features,
            names_,
            test_.labels};
  }

  World train_ = make_world(1, 4000, 0);
  World test_ = make_world(2, 2000, kDay * 10);
  std::vector<std::string> names_{"signal", "noise"};
  std::vector<float> margins_;
};

TEST_F(Evaluating, OwnMetricsAreWhatTheirExpressionSays) {
  const auto numbers = metrics(definition(), predictions());
  ASSERT_TRUE(numbers.ok()) << numbers.error().str();
  const table::Column& fare = *test_.rows.find("fare");
  double cost = 0;
  double counted = 0;
  double late = 0;
  double right = 0;
  for (std::size_t i = 0; i < test_.labels.size(); ++i) {
    late += test_.labels[i];
    right += (margins_[i] >= 0) == (test_.labels[i] == 1);
    const bool missed = test_.labels[i] == 1 && stats::sigmoid(margins_[i]) < 0.5;
    if (missed && fare.valid[i] == 0) continue;  // null: left out
    cost += missed ? fare.doubles[i] : 0;
    ++counted;
  }
  EXPECT_DOUBLE_EQ(numbers->at("cost"), cost / counted);
  EXPECT_EQ(numbers->at("late"), late);
  EXPECT_EQ(numbers->at("accuracy"), right / 2000);
  EXPECT_EQ(numbers->at("rows"), 2000);
  EXPECT_GT(numbers->at("auc"), 0.75);
  EXPECT_LT(numbers->at("log_loss"), 0.6);
  EXPECT_LT(numbers->at("calibration_error"), 0.1);
}

TEST_F(Evaluating, SlicesHoldTheirRowsAndLeaveSmallOnesOut) {
  const auto results = slices(definition(), predictions());
  ASSERT_TRUE(results.ok()) << results.error().str();
  ASSERT_EQ(results->size(), 1U);
  const SliceResult& origin = results->front();
  ASSERT_EQ(origin.values.size(), 2U);
  EXPECT_FALSE(origin.values.contains("CCC"));
  double rows = static_cast<double>(origin.left_out_rows);
  double late = 0;
  for (const auto& [name, numbers] : origin.values) {
    rows += numbers.at("rows");
    late += numbers.at("late");
  }
  EXPECT_EQ(rows, 2000);
  EXPECT_GT(origin.left_out_rows, 0);
  EXPECT_GT(origin.values.at("BBB").at("late"), origin.values.at("AAA").at("late"));
  EXPECT_LT(late, 2000);
  spec::Evaluation wrong = definition();
  wrong.slices[0].field = "fare";
  EXPECT_EQ(slices(wrong, predictions()).error().id, "evaluate-slice-field");
}

TEST_F(Evaluating, WhatIsWrongWithAMetricIsNamed) {
  const auto id_of = [&](spec::Metric metric) {
    spec::Evaluation wrong = definition();
    wrong.metrics = {std::move(metric)};
    return metrics(wrong, predictions()).error();
  };
  EXPECT_EQ(id_of({.name = "acu"}).id, "evaluate-unknown-metric");
  EXPECT_EQ(id_of({.name = "m", .expression = {"fare", {}}, .aggregation = "median"}).id,
            "evaluate-aggregation");
  EXPECT_EQ(id_of({.name = "m", .expression = {"origin", {}}, .aggregation = "mean"}).id,
            "evaluate-metric-type");
  EXPECT_NE(id_of({.name = "m", .expression = {"fair * 2.0", {}}, .aggregation = "mean"})
                .message.find("`m`"),
            std::string::npos);
  Predictions fewer = predictions();
  fewer.labels = fewer.labels.subspan(1);
  EXPECT_EQ(metrics(definition(), fewer).error().id, "evaluate-shape");
}

TEST_F(Evaluating, ACleanSplitLeaksNothing) {
  const auto found = leakage(split());
  ASSERT_TRUE(found.ok()) << found.error().str();
  EXPECT_EQ(found->numbers.at("time_order_violations"), 0);
  EXPECT_EQ(found->numbers.at("duplicate_rows"), 0);
  EXPECT_EQ(found->single_feature, "signal");
  EXPECT_GT(found->numbers.at("single_feature_auc"), 0.7);
  EXPECT_LT(found->numbers.at("single_feature_auc"), 0.95);
}

TEST_F(Evaluating, WhatFewRowsCannotTellIsNotJudgedAndGatesMayStandBesideTheDefinitions) {
  spec::Evaluation evaluation = definition();
  evaluation.slices[0].minimum_rows = 5000;  // no origin has so many of 2,000 rows
  const std::vector<spec::Gate> more = {{"told", {"others.worse_by <= 0.0", {}}, ""},
                                        {"of-a-label-field", {"metrics.minutes < 5.0", {}}, ""}};
  EvaluateInput input{&evaluation, predictions(), split(), {}};
  input.more_gates = more;
  input.more_numbers = {{"others.worse_by", -0.01}};
  input.absent = {{"metrics.minutes", "recorded traffic has no `delay`"}};
  const auto gate = [](const Evidence& evidence, std::string_view id) {
    return *std::find_if(evidence.gates.begin(), evidence.gates.end(),
                         [&](const GateResult& each) { return each.id == id; });
  };
  const auto whole = evaluate(input);
  ASSERT_TRUE(whole.ok()) << whole.error().str();
  EXPECT_TRUE(gate(*whole, "everywhere").failed()) << "a slice without a number passes nothing";
  EXPECT_FALSE(whole->passed);
  EXPECT_TRUE(gate(*whole, "told").passed);
  EXPECT_EQ(gate(*whole, "of-a-label-field").not_judged, "recorded traffic has no `delay`");
  input.is_bounded = true;
  const auto bounded = evaluate(input);
  ASSERT_TRUE(bounded.ok()) << bounded.error().str();
  EXPECT_TRUE(bounded->passed);
  EXPECT_FALSE(gate(*bounded, "everywhere").passed);
  EXPECT_EQ(gate(*bounded, "everywhere").not_judged,
            "no value of `origin` has 5000 of the 2000 held-out rows");
  EXPECT_EQ(gate(*bounded, "better-than-chance").passed, true);
}

TEST_F(Evaluating, LeaksAreFound) {
  // A hundred training rows copied into the held-out side, strings by another dictionary, and one
  // feature that is the label.
  const table::Table copies = train_.rows.slice(0, 100);
  std::vector<table::Column> columns(copies.columns().begin(), copies.columns().end());
  columns[1].dictionary =
      std::make_shared<const table::Dictionary>(std::vector<std::string>{"CCC", "BBB", "AAA"});
  for (auto& code : columns[1].codes) code = 2 - code;
  const std::vector<table::Table> parts = {*table::Table::make(columns),
                                           test_.rows.slice(100, 2000)};
  test_.rows = *table::Table::concat(parts);
  for (std::size_t i = 0; i < test_.labels.size(); ++i)
    test_.features.values[i * 2 + 1] = test_.labels[i] == 1 ? -5.0F : 5.0F;
  const auto found = leakage(split());
  ASSERT_TRUE(found.ok()) << found.error().str();
  EXPECT_EQ(found->numbers.at("duplicate_rows"), 100);
  EXPECT_EQ(found->numbers.at("time_order_violations"),
            3999);  // all but the row at the first held-out time
  EXPECT_EQ(found->single_feature, "noise");
  EXPECT_EQ(found->numbers.at("single_feature_auc"), 1);

  const spec::Evaluation evaluation = definition();
  const auto evidence = evaluate({&evaluation, predictions(), split(), {}});
  ASSERT_TRUE(evidence.ok()) << evidence.error().str();
  EXPECT_FALSE(evidence->passed);
  std::vector<std::string> failed;
  for (const auto& gate : evidence->gates) {
    if (!gate.passed) failed.push_back(gate.id);
  }
  EXPECT_EQ(failed, (std::vector<std::string>{"leakage-time-order", "leakage-duplicate-rows",
                                              "leakage-single-feature"}));
}

TEST_F(Evaluating, AnEvaluationMaySayHowManyRowsRepeat) {
  const table::Table copies = train_.rows.slice(0, 100);
  const std::vector<table::Table> parts = {copies, test_.rows.slice(100, 2000)};
  test_.rows = *table::Table::concat(parts);
  spec::Evaluation evaluation = definition();
  const auto failed = [&] {
    const auto evidence = evaluate({&evaluation, predictions(), split(), {}});
    return std::any_of(evidence->gates.begin(), evidence->gates.end(), [](const auto& gate) {
      return gate.id == "leakage-duplicate-rows" && gate.failed();
    });
  };
  EXPECT_TRUE(failed());
  evaluation.duplicate_share_max = 0.04;
  EXPECT_TRUE(failed()) << "100 of 2,000 are 0.05";
  evaluation.duplicate_share_max = 0.06;
  EXPECT_FALSE(failed());
}

TEST_F(Evaluating, TheSameEvidenceGivesTheSameBytes) {
  const spec::Evaluation evaluation = definition();
  const EvaluateInput input{&evaluation, predictions(), split(), {{"auc", 0.7}}};
  const auto first = evaluate(input);
  const auto second = evaluate(input);
  ASSERT_TRUE(first.ok()) << first.error().str();
  EXPECT_TRUE(first->passed);
  EXPECT_EQ(doc::to_json(evidence_schema().print(*first)),
            doc::to_json(evidence_schema().print(*second)));
  const std::vector<Resource> subjects = {{"model.json", sha256("model")}};
  const std::vector<Resource> configuration = {{"evaluations/delay.yaml", sha256("definition")}};
  const std::string statement = to_statement(*first, subjects, configuration);
  EXPECT_EQ(statement,
            R"({"_type":"https://in-toto.io/Statement/v1",)"
            R"("predicate":{"configuration":[{"digest":{"sha256":")" +
                sha256("definition").hex() +
                R"("},"name":"evaluations/delay.yaml"}],"failedTests":[],"passedTests":)"
                R"(["leakage-time-order","leakage-duplicate-rows",)"
                R"("leakage-single-feature","better-than-chance","everywhere"],"result":"PASSED",)"
                R"("warnedTests":[]},)"
                R"("predicateType":"https://in-toto.io/attestation/test-result/v0.1",)"
                R"("subject":[{"digest":{"sha256":")" +
                sha256("model").hex() + R"("},"name":"model.json"}]})");
}

TEST(Gates, PassOnlyWhenTrue) {
  const Numbers numbers{{"metrics.auc", 0.8},
                        {"metrics.log_loss", std::numeric_limits<double>::quiet_NaN()},
                        {"base.auc", 0.7}};
  const std::vector<std::pair<std::string, bool>> table = {
      {"metrics.auc > 0.75", true},
      {"metrics.auc > 0.85", false},
      {"metrics.auc >= base.auc - 0.01", true},
      {"metrics.log_loss < 0.6", false},     // NaN is no number
      {"!(metrics.log_loss > 0.6)", false},  // nor does its absence count for it
      {"standby.auc > 0.5", false},          // no standby
      {"!(standby.auc > 0.5)", false},
      {"slices.origin.auc_min > 0.5", false},
      {"metrics.auc > 1", false},
  };
  std::vector<spec::Gate> gates;
  for (const auto& [when, passes] : table) gates.push_back({.id = when, .when = {when, {}}});
  const auto results = run_gates(gates, numbers);
  ASSERT_TRUE(results.ok()) << results.error().str();
  for (std::size_t i = 0; i < table.size(); ++i)
    EXPECT_EQ((*results)[i].passed, table[i].second) << table[i].first;
  EXPECT_EQ((*results)[5].error, "there is no `standby.auc`");
  EXPECT_EQ((*results)[2].values, (Numbers{{"base.auc", 0.7}, {"metrics.auc", 0.8}}));
  EXPECT_TRUE((*results)[1].error.empty());
}

TEST(Gates, ATextThatDoesNotCompileNamesItsGate) {
  for (const char* when :
       {"metrics.auc >", "metric.auc > 0.5", "metrics.auc", "metrics.auc > 'x'"}) {
    const std::vector<spec::Gate> gates = {{.id = "bad-gate", .when = {when, {}}}};
    const auto results = run_gates(gates, {{"metrics.auc", 0.8}});
    ASSERT_FALSE(results.ok()) << when;
    EXPECT_EQ(results.error().kind, ErrorKind::kInvalid);
    EXPECT_NE(results.error().message.find("bad-gate"), std::string::npos);
  }
}

/// What serves answers the held-out rows with these margins, and the gate reads it.
class AgainstBase : public Evaluating {
 protected:
  void SetUp() override {
    Evaluating::SetUp();
    definition_ = definition();
    definition_.gates = {{.id = "no-worse", .when = {"metrics.log_loss <= base.log_loss", {}}},
                         {.id = "close", .when = {"metrics.cost - base.cost <= 1000.0", {}}},
                         {.id = "of-itself", .when = {"metrics.auc > 0.6", {}}}};
    base_.bundle = "sha256:b";
  }
  /// The candidate's margins, `factor` times: farther from zero than what the labels say is worse.
  void base_says(float factor) {
    base_.margins.clear();
    for (const float margin : predictions().margins) base_.margins.push_back(margin * factor);
  }
  Evidence evidence() {
    EvaluateInput input{&definition_, predictions(), {}, {}};
    input.base = &base_;
    const auto made = evaluate(input);
    EXPECT_TRUE(made.ok()) << made.error().str();
    return made.ok() ? *made : Evidence{};
  }
  static const GateResult& gate(const Evidence& evidence, const std::string& id) {
    for (const auto& each : evidence.gates) {
      if (each.id == id) return each;
    }
    static const GateResult none;
    ADD_FAILURE() << "no gate " << id;
    return none;
  }

  spec::Evaluation definition_;
  BaseAnswers base_;
};

TEST_F(AgainstBase, ABetterOnePassesAndAWorseOneFails) {
  base_says(10);
  const auto better = evidence();
  EXPECT_TRUE(better.passed);
  const auto& values = gate(better, "no-worse").values;
  EXPECT_LT(values.at("metrics.log_loss"), values.at("base.log_loss"));
  EXPECT_EQ(better.base->rows, 2000);

  // Seen from the other side: what serves is the better one.
  base_says(1);
  auto worse = predictions();
  std::vector<float> margins;
  for (const float margin : worse.margins) margins.push_back(margin * 10);
  worse.margins = margins;
  EvaluateInput input{&definition_, worse, {}, {}};
  input.base = &base_;
  const auto made = evaluate(input);
  ASSERT_TRUE(made.ok()) << made.error().str();
  EXPECT_FALSE(made->passed);
  EXPECT_TRUE(gate(*made, "no-worse").failed());
  EXPECT_TRUE(gate(*made, "of-itself").passed);
  // The evidence has both sides, the difference and where it lies.
  const auto value = evidence_schema().print(*made);
  for (const auto& metric : value.find("base")->find("metrics")->as_array()) {
    if (metric.string_or("name") != "log_loss") continue;
    EXPECT_GT(metric.double_or("low"), 0);
    EXPECT_LT(metric.double_or("low"), metric.double_or("difference"));
    EXPECT_LT(metric.double_or("difference"), metric.double_or("high"));
  }
}

TEST_F(AgainstBase, WithoutOneAGateIsNotJudgedAndNeverPassesInSilence) {
  base_.bundle.clear();
  base_.missing = {"nothing is released as primary of `s` yet", false};
  definition_.gates.push_back(
      {.id = "both", .when = {"metrics.auc > 0.99 && metrics.auc >= base.auc", {}}});
  definition_.gates.push_back({.id = "standby", .when = {"standby.auc >= base.auc", {}}});
  const auto made = evidence();
  const auto& gate_of = gate(made, "no-worse");
  EXPECT_FALSE(gate_of.passed);
  EXPECT_FALSE(gate_of.failed());
  EXPECT_EQ(gate_of.not_judged, base_.missing.why);
  // What is false whatever serves is false; what lacks something else too has failed.
  EXPECT_TRUE(gate(made, "both").failed());
  EXPECT_TRUE(gate(made, "standby").failed());
  EXPECT_FALSE(made.passed);
  definition_.gates.resize(3);
  const auto first = evidence();
  EXPECT_TRUE(first.passed);  // the first release is possible
  const auto statement = doc::parse_json(to_statement(first, {}, {})).value();
  EXPECT_EQ(statement.find("predicate")->string_or("result"), "WARNED");
  EXPECT_EQ(doc::to_json(*statement.find("predicate")->find("warnedTests")),
            R"(["no-worse","close"])");
}

TEST_F(AgainstBase, OneThatCannotBeMeasuredFailsItsGatesWithTheReason) {
  base_.missing = {"the held-out rows have no column `fare`", true};
  const auto made = evidence();
  EXPECT_FALSE(made.passed);
  EXPECT_EQ(gate(made, "no-worse").error,
            "there is no `base.log_loss`: the held-out rows have no column `fare`");
  EXPECT_TRUE(gate(made, "of-itself").passed);
}

TEST_F(AgainstBase, BothAreOfTheRowsThatBothAnswer) {
  base_says(1);
  // The base answers the first half only: the same margins there, so both have the same numbers.
  for (std::size_t i = base_.margins.size() / 2; i < base_.margins.size(); ++i)
    base_.margins[i] = kNan;
  base_.refused = 600;
  base_.learned = 400;
  const auto made = evidence();
  EXPECT_EQ(made.base->rows, 1000);
  const auto& values = gate(made, "no-worse").values;
  EXPECT_EQ(values.at("metrics.log_loss"), values.at("base.log_loss"));
  EXPECT_NE(values.at("metrics.log_loss"), made.metrics.at("log_loss"));
  EXPECT_TRUE(gate(made, "no-worse").passed);
  for (auto& margin : base_.margins) margin = kNan;
  base_.missing.fails = false;  // as of a base that could be asked
  const auto none = evidence();
  EXPECT_NE(gate(none, "no-worse").error.find("600 without an answer, 400 learned from"),
            std::string::npos)
      << gate(none, "no-worse").error;
}

TEST(Paired, DifferenceAndItsIntervalAreThoseOfAPairedTest) {
  // scipy 1.17.1, d = right(candidate) - right(base) = [0, 1, 0, 1, 0, 0, -1, 1]: mean 0.25,
  // stats.sem(d) 0.25, stats.norm.interval(0.95, 0.25, 0.25) from -0.23999 to 0.73999.
  const std::vector<float> base = {1, -1, 1, -1, 2, 2, 2, -2};
  const std::vector<float> candidate = {1, 1, 1, 1, 2, 2, -2, 2};
  const std::vector<double> labels = {1, 1, 1, 1, 1, 1, 1, 1};
  table::Column size{.name = "size", .type = Type::kInt};
  size.ints.resize(8);
  const auto rows = *table::Table::make({size});
  spec::Evaluation definition;
  definition.metrics.push_back({.name = "missed",
                                .expression = {"probability < 0.5 ? 1.0 : 0.0", {}},
                                .aggregation = "sum"});
  const auto compared = compare(definition, {&kTask, &rows, base, candidate, labels});
  ASSERT_TRUE(compared.ok()) << compared.error().str();
  std::map<std::string, Difference> by_name;
  for (const auto& each : *compared) by_name[each.metric] = each;
  EXPECT_FALSE(by_name.contains("rows"));
  const auto& accuracy = by_name.at("accuracy");
  EXPECT_DOUBLE_EQ(accuracy.difference(), 0.25);
  EXPECT_NEAR(*accuracy.standard_error, 0.25, 1e-12);
  EXPECT_NEAR(*accuracy.margin_of_error(), 0.48999099613, 1e-9);
  EXPECT_DOUBLE_EQ(by_name.at("missed").difference(), -2);
  EXPECT_NEAR(*by_name.at("missed").standard_error, 2.0, 1e-12);
  EXPECT_FALSE(by_name.at("auc").standard_error.has_value()) << "there is one class only";
  EXPECT_EQ(verdict(*compared), "unclear");
  std::vector<float> sure, unsure;
  std::vector<double> all;
  for (int i = 0; i < 400; ++i) {
    sure.push_back(i % 7 == 0 ? 1.0F : 2.0F);
    unsure.push_back(0.1F);
    all.push_back(i % 50 != 0);
  }
  size.ints.resize(400);
  const auto many = *table::Table::make({size});
  EXPECT_EQ(verdict(*compare({}, {&kTask, &many, unsure, sure, all})), "better");
  EXPECT_EQ(verdict(*compare({}, {&kTask, &many, sure, unsure, all})), "worse");
}

TEST(OwnMetrics, ReadWhatTheTaskAnswers) {
  table::Column cost{.name = "cost", .type = Type::kDouble, .doubles = {1, 10, 100}};
  const auto rows = *table::Table::make({cost});
  const auto own = [&](const stats::Task& task, const std::vector<float>& margins,
                       const std::vector<double>& labels, const char* expression) {
    spec::Evaluation definition;
    definition.metrics = {{.name = "own", .expression = {expression, {}}, .aggregation = "sum"}};
    const auto numbers = metrics(definition, {&task, &rows, margins, labels});
    EXPECT_TRUE(numbers.ok()) << numbers.error().str();
    return numbers.ok() ? numbers->at("own") : kNan;
  };
  const stats::Task texts{stats::TaskKind::kClasses, {"a", "b c", "d"}};
  const std::vector<float> sure = {9, 0, 0, 0, 9, 0, 9, 0, 0};
  EXPECT_EQ(own(texts, sure, {0, 1, 2}, "predicted == label ? 0.0 : cost"), 100);
  EXPECT_EQ(own(texts, sure, {0, 1, 2}, "label == 'b c' ? cost : 0.0"), 10);
  EXPECT_NEAR(own(texts, sure, {0, 1, 2}, "probabilities.`b c` * cost"), 10, .1);
  const stats::Task whole{stats::TaskKind::kClasses, {"3", "5", "8"}, true};
  EXPECT_EQ(own(whole, sure, {0, 1, 2}, "predicted < label ? cost : 0.0"), 100);
  const stats::Task number{stats::TaskKind::kRegression};
  EXPECT_EQ(own(number, {1, 2, 3}, {1, 4, 2}, "value < label ? label - value : 0.0"), 2);
}

TEST(Paired, AucAndCalibrationErrorHaveIntervalsToo) {
  // scikit-learn 1.9.1 roc_auc_score, MLstatkit 0.1.91 Delong_test, scipy 1.17.1 stats.bootstrap
  // (paired, 4,000 resamples) of the calibration error's difference: standard error .02939.
  std::vector<float> base, candidate;
  std::vector<double> labels;
  table::Column size{.name = "size", .type = Type::kInt};
  for (int i = 0; i < 400; ++i) {
    const bool late = i * 7919 % 101 < 40;
    labels.push_back(late);
    base.push_back(static_cast<float>(i * 37 % 23 - 11) / 4 + (late ? 0.75F : 0));
    candidate.push_back(static_cast<float>(i * 53 % 19 - 9) / 4 + (late ? 1.0F : 0));
    size.ints.push_back(i);
  }
  const auto rows = *table::Table::make({size});
  const auto compared = compare({}, {&kTask, &rows, base, candidate, labels});
  ASSERT_TRUE(compared.ok()) << compared.error().str();
  std::map<std::string, Difference> by_name;
  for (const auto& each : *compared) by_name[each.metric] = each;
  const auto& auc = by_name.at("auc");
  EXPECT_NEAR(auc.base, 0.5879014541270008, 1e-12);
  EXPECT_NEAR(auc.candidate, 0.6951302437493462, 1e-12);
  ASSERT_TRUE(auc.standard_error.has_value());
  EXPECT_NEAR(*auc.standard_error, 0.03846712947561352, 1e-12);
  EXPECT_NEAR(difference_schema().print(auc).find("low")->as_double(),
              0.10722878962234545 - 0.07539418836, 1e-9);
  const auto& calibration = by_name.at("calibration_error");
  EXPECT_NEAR(calibration.base, 0.25103697840124367, 1e-6);
  ASSERT_TRUE(calibration.standard_error.has_value());
  EXPECT_NEAR(*calibration.standard_error, 0.02939, 0.05 * 0.02939);
}

/// As Heddle wrote it before there was a schema: the bundle's digest covers these bytes.
constexpr std::string_view kEvidenceOfBefore =
    R"({"format":"heddle.evaluation/1","passed":true,"metrics":{"auc":0.75,"own":null},)"
    R"("standby":{"auc":0.7},"slices":[{"name":"origin","field":"origin","left_out_rows":2,)"
    R"("values":{"AMS":{"auc":0.5}}}],"confusion":[{"label":"a","predicted":"b","rows":3}],)"
    R"("leakage":{"duplicate_rows":0.0,"single_feature_auc":0.6,"single_feature":"hour"},)"
    R"("base":{"bundle":"sha256:ab","measured":true,"rows":9,"without_answer":1,)"
    R"("learned_from":0,"metrics":[{"name":"auc","base":0.5,"candidate":0.75,"difference":0.25,)"
    R"("standard_error":null,"low":null,"high":null}],"note":"n"},)"
    R"("gates":[{"id":"good","passed":true,"when":"metrics.auc > 0.5",)"
    R"("values":{"metrics.auc":0.75},"description":"d","error":"e","not_judged":"j"}],)"
    R"("retrain":{"before_change":{"rows":300,"verdict":"better","metrics":[{"name":"auc",)"
    R"("base":null,"candidate":0.75,"difference":null,"standard_error":null,"low":null,)"
    R"("high":null}],"of":"recorded traffic"},"label_accounts":{"most":"app","train_rows":40,)"
    R"("only":"","others":{"rows":200,"verdict":"unclear","metrics":[{"name":"log_loss",)"
    R"("base":0.5,"candidate":0.5,"difference":0.0,"standard_error":0.0,"low":0.0,"high":0.0}]}},)"
    R"("left_out":[{"class":"lost","rows":3}]}})";

TEST(Evidence, BytesOfBeforeAreReadAndWrittenAgain) {
  auto read = evidence_schema().parse_text(kEvidenceOfBefore);
  ASSERT_TRUE(read.ok()) << read.error().str();
  EXPECT_EQ(doc::to_json(evidence_schema().print(*read)), kEvidenceOfBefore);
  doc::RecordConformance<Evidence>(evidence_schema(), *read).run("docs/gates.md");
  // What served could not be measured.
  read->base->missing = {"it cannot be read", true};
  const auto printed = evidence_schema().print(*read);
  EXPECT_EQ(doc::to_json(*printed.find("base")),
            R"({"bundle":"sha256:ab","measured":false,"why":"it cannot be read","fails":true})");
  EXPECT_TRUE(evidence_schema().parse(printed).ok());
  const auto bare = evidence_schema().parse_text(
      R"({"format":"heddle.evaluation/1","passed":true,"metrics":{},"slices":[],"gates":[]})");
  ASSERT_TRUE(bare.ok()) << bare.error().str();
  EXPECT_EQ(evidence_schema().parse_text(R"({"passed":true})").error().id, "evidence-malformed");
}

TEST(Evidence, OfARetrainSaysWhatItIsBesideOrWhyNot) {
  const auto before = [](std::string_view members) {
    return retrain_evidence_schema().parse_text(
        fmt::format(R"({{"before_change":{{{}}},"label_accounts":{{"most":"","train_rows":0,)"
                    R"("only":""}}}})",
                    members));
  };
  const auto none = before(R"("rows":0,"verdict":"none","why":"there are none")");
  ASSERT_TRUE(none.ok()) << none.error().str();
  EXPECT_EQ(none->before_change.why, "there are none");
  const std::pair<const char*, const char*> cases[] = {
      {R"("rows":0,"verdict":"none")", "`before_change.why` is missing"},
      {R"("rows":9,"verdict":"worse","of":"x")", "`before_change.metrics` is missing"},
      {R"("rows":9,"verdict":"worse","metrics":[])", "`before_change.of` is missing"},
      {R"("rows":9,"verdict":"worst","metrics":[],"of":"x")", "is not a value of"},
      {R"("rows":9,"verdict":"worse","metrics":[{"name":"auc"}],"of":"x")",
       "`before_change.metrics[0].base` is missing"}};
  for (const auto& [members, told] : cases) {
    const auto read = before(members);
    ASSERT_FALSE(read.ok()) << members;
    EXPECT_EQ(read.error().id, "evidence-malformed");
    EXPECT_NE(read.error().message.find(told), std::string::npos) << read.error().message;
  }
}

}  // namespace
}  // namespace heddle::evaluate
