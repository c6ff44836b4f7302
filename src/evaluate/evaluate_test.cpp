#include "evaluate/evaluate.hpp"

#include <cmath>
#include <limits>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "doc/json.hpp"
#include "model/logistic.hpp"
#include "model/scorer.hpp"
#include "stats/scalar.hpp"

namespace heddle::evaluate {
namespace {

using expr::Type;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// Flights without an airline: a time, an origin, a fare and a label that depends on both.
struct World {
  table::Table rows;
  table::Matrix features;
  std::vector<std::uint8_t> labels;
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
    const model::LogisticWeights weights{{}, {0, 0}, {1, 1}, {0, 0}, {1, 0}, 0};
    const auto scorer = model::Scorer::load(model::to_json(weights));
    ASSERT_TRUE(scorer.ok());
    margins_.resize(test_.labels.size());
    (*scorer)->margins(test_.features.values.data(), test_.features.rows, margins_.data());
  }
  Predictions predictions() const { return {&test_.rows, margins_, test_.labels}; }
  Split split() const {
    return {&train_.rows, &test_.rows, "date", &test_.features, names_, test_.labels};
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

TEST_F(Evaluating, TheSameEvidenceGivesTheSameBytes) {
  const spec::Evaluation evaluation = definition();
  const EvaluateInput input{&evaluation, predictions(), split(), {{"auc", 0.7}}};
  const auto first = evaluate(input);
  const auto second = evaluate(input);
  ASSERT_TRUE(first.ok()) << first.error().str();
  EXPECT_TRUE(first->passed);
  EXPECT_EQ(doc::to_json(first->to_value()), doc::to_json(second->to_value()));
  const std::vector<Resource> subjects = {{"model.json", sha256("model")}};
  const std::vector<Resource> configuration = {{"evaluations/delay.yaml", sha256("definition")}};
  const std::string statement = to_statement(*first, subjects, configuration);
  EXPECT_EQ(
      statement,
      R"({"_type":"https://in-toto.io/Statement/v1","predicate":{"configuration":[{"digest":{"sha256":")" +
          sha256("definition").hex() +
          R"("},"name":"evaluations/delay.yaml"}],"failedTests":[],"passedTests":["leakage-time-order","leakage-duplicate-rows",)"
          R"("leakage-single-feature","better-than-chance","everywhere"],"result":"PASSED","warnedTests":[]},)"
          R"("predicateType":"https://in-toto.io/attestation/test-result/v0.1","subject":[{"digest":{"sha256":")" +
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

TEST(Gates, EnvironmentNamesWhatEvidenceHas) {
  std::vector<std::string> names;
  for (const auto& variable : gate_environment(definition()).variables)
    names.push_back(variable.name);
  for (const char* name : {"metrics.auc", "metrics.cost", "standby.log_loss",
                           "slices.origin.cost_max", "leakage.duplicate_share"}) {
    EXPECT_NE(std::find(names.begin(), names.end(), name), names.end()) << name;
  }
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
}

}  // namespace
}  // namespace heddle::evaluate
