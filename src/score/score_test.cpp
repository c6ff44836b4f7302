#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <new>
#include <set>

#include "base/allocations_fixture.hpp"
#include "score/bundle_fixture.hpp"
#include "stats/scalar.hpp"

namespace heddle::score {
namespace {

std::unique_ptr<const Plan> load(double intercept = -0.5) {
  fixture::MemoryObjects objects;
  const auto digest = fixture::pack(objects, intercept);
  EXPECT_TRUE(digest.ok()) << digest.error().str();
  auto plan = Plan::load(*bundle::open(objects, *digest));
  EXPECT_TRUE(plan.ok()) << plan.error().str();
  EXPECT_EQ((*plan)->bundle(), *digest);
  return std::move(*plan);
}

TEST(Plan, LoadsAndProvesABundle) {
  const auto plan = load();
  EXPECT_EQ(plan->reference_rows(), 20);
  EXPECT_EQ(plan->feature_count(), 3);
  EXPECT_EQ(plan->calibration(), (Calibration{{0.125}, {}}));
  EXPECT_EQ(plan->task(), stats::Task{});
}

TEST(Plan, RowAndTableGiveTheSameBits) {
  const auto plan = load();
  table::Table rows = fixture::rows(200);
  // Some rows the contract refuses.
  table::Column distance = *rows.find("distance");
  for (std::size_t i = 0; i < distance.ints.size(); i += 7) distance.ints[i] += 17;
  rows = *rows.with_column(distance);
  const auto table = plan->score_table(rows);
  ASSERT_TRUE(table.ok()) << table.error().str();
  const auto views = rows.views();
  RowResult result;
  Scratch scratch;
  int served = 0;
  for (std::int64_t i = 0; i < rows.rows(); ++i) {
    const std::vector<expr::Datum> raw = {views[0].at(i), views[1].at(i), views[2].at(i)};
    plan->score_row(raw, result, scratch);
    const auto at = static_cast<std::size_t>(i);
    ASSERT_EQ(result.check.refused, table->refused[at] != 0) << i;
    if (result.check.refused) {
      EXPECT_TRUE(result.prediction.empty() && result.margins.empty());
      EXPECT_TRUE(std::isnan(table->predictions[at]));
      continue;
    }
    ++served;
    EXPECT_EQ(std::bit_cast<std::uint32_t>(result.prediction.at(0)),
              std::bit_cast<std::uint32_t>(table->predictions[at]))
        << i;
    EXPECT_EQ(std::bit_cast<std::uint32_t>(result.margins.at(0)),
              std::bit_cast<std::uint32_t>(table->margins[at]))
        << i;
    EXPECT_NEAR(result.prediction[0], stats::sigmoid(static_cast<double>(result.margins[0])), 1e-6);
  }
  EXPECT_GT(served, 100);
  EXPECT_LT(served, 200);
}

TEST(Plan, ScoringARowAllocatesNothingAtSteadyState) {
  const auto plan = load();
  RowResult result;
  Scratch scratch;
  const std::vector<expr::Datum> good = {expr::Datum::string("2001-04-10T05:00:00Z"),
                                         expr::Datum::string("LAX"), expr::Datum::integer(400)};
  const std::vector<expr::Datum> bad = {expr::Datum::null(), expr::Datum::string("ZZZ"),
                                        expr::Datum::real(1.5)};
  for (int i = 0; i < 10; ++i) {
    plan->score_row(good, result, scratch);
    plan->score_row(bad, result, scratch);
  }
  const std::size_t before = heddle::fixture::allocations;
  for (int i = 0; i < 1000; ++i) {
    plan->score_row(good, result, scratch);
    plan->score_row(bad, result, scratch);
  }
  EXPECT_EQ(heddle::fixture::allocations, before);
  plan->score_row(good, result, scratch);
  EXPECT_FALSE(result.check.refused);
}

/// What decides a row's answer.
struct Parts {
  doc::Value contract, features;
  std::string model;
  double offset = 0;
};

Parts parts_of(double intercept) {
  fixture::MemoryObjects objects;
  const auto bundle = *bundle::open(objects, *fixture::pack(objects, intercept));
  return {*bundle.json(bundle::kContract), *bundle.json(bundle::kFeatures),
          std::string(*bundle.layer(bundle::kModel)), 0};
}

std::unique_ptr<const Plan> load(const Parts& parts) {
  const auto plan = Plan::from_parts(parts.contract, parts.features, parts.model);
  EXPECT_TRUE(plan.ok()) << plan.error().str();
  const table::Table reference = fixture::rows(20);
  const auto proof = Plan::make_reference((*plan)->contract().request_fields(), reference,
                                          (*plan)->score_table(reference)->margins);
  EXPECT_TRUE(proof.ok()) << proof.error().str();
  const auto calibration = calibration_schema().print({{parts.offset}, {}});
  fixture::MemoryObjects objects;
  const auto digest =
      bundle::pack(objects,
                   {{std::string(bundle::kContract), {}, doc::to_json(parts.contract)},
                    {std::string(bundle::kFeatures), {}, doc::to_json(parts.features)},
                    {std::string(bundle::kModel), {}, parts.model},
                    {std::string(bundle::kCalibration), {}, doc::to_json(calibration)},
                    {std::string(bundle::kReference), {}, doc::to_json(*proof)}},
                   bundle::fixture::config());
  auto loaded = Plan::load(*bundle::open(objects, *digest));
  EXPECT_TRUE(loaded.ok()) << loaded.error().str();
  return std::move(*loaded);
}

class ScoredBeside : public ::testing::Test {
 protected:
  static std::string with(const doc::Value& value, const std::string& before,
                          const std::string& after) {
    std::string text = doc::to_json(value);
    EXPECT_NE(text.find(before), std::string::npos) << text;
    return text.replace(text.find(before), before.size(), after);
  }
  /// Reads the clock five hours back, and takes no flight as far as from JFK.
  static Parts other_contract() {
    Parts parts = parts_of(-0.5);
    parts.contract = *doc::parse_json(with(parts.contract, "\"maximum\":5000", "\"maximum\":650"));
    parts.contract.set(
        "transforms",
        doc::Value::array({doc::Value::object({{"id", "back"},
                                               {"field", "date"},
                                               {"expression", "date - duration(\"5h\")"},
                                               {"reason", "a test"}})}));
    return parts;
  }
  static Parts other_features() {
    Parts parts = parts_of(-0.5);
    parts.features =
        *doc::parse_json(with(parts.features, "distance / 1000.0", "distance / 100.0"));
    return parts;
  }
  static Parts other_offset() {
    Parts parts = parts_of(-0.5);
    parts.offset = 0.75;
    return parts;
  }
  static std::vector<expr::Datum> row(std::string_view origin, std::int64_t distance) {
    return {expr::Datum::string("2001-04-10T15:00:00Z"), expr::Datum::string(origin),
            expr::Datum::integer(distance)};
  }

  const std::unique_ptr<const Plan> answering = load(parts_of(-0.5));
  const std::unique_ptr<const Plan> model = load(parts_of(0.5));
  const std::unique_ptr<const Plan> features = load(other_features());
  const std::unique_ptr<const Plan> contract = load(other_contract());
  const std::unique_ptr<const Plan> offset = load(other_offset());
};

TEST_F(ScoredBeside, SharesWhatTheBundlesHaveInCommon) {
  EXPECT_EQ(offset->shared_with(*answering), Shared::kMargins);
  EXPECT_EQ(model->shared_with(*answering), Shared::kFeatures);
  EXPECT_EQ(features->shared_with(*answering), Shared::kCheck);
  EXPECT_EQ(contract->shared_with(*answering), Shared::kNothing);
  const auto made =
      Plan::from_parts(parts_of(-0.5).contract, parts_of(-0.5).features, parts_of(-0.5).model);
  EXPECT_EQ((*made)->shared_with(*answering), Shared::kNothing) << "it is of no bundle";
}

TEST_F(ScoredBeside, GivesTheBitsOfScoringAlone) {
  RowResult first, alone, beside;
  Scratch scratch, other_scratch;
  const auto raw = row("LAX", 400);
  answering->score_row(raw, first, scratch);
  ASSERT_EQ(first.prediction.size(), 1U);
  std::set<float> answers = {first.prediction[0]};
  // One after the other with one scratch: none may spoil what the next one takes of the first.
  for (const Plan* plan :
       {contract.get(), features.get(), model.get(), offset.get(), features.get(), offset.get()}) {
    plan->score_row(raw, alone, other_scratch);
    plan->score_beside(plan->shared_with(*answering), raw, first, beside, scratch);
    EXPECT_EQ(beside.prediction, alone.prediction);
    EXPECT_EQ(beside.margins, alone.margins);
    if (!beside.prediction.empty()) answers.insert(beside.prediction[0]);
  }
  EXPECT_GE(answers.size(), 4U) << "the plans do not differ, so nothing was shown";
}

TEST_F(ScoredBeside, AnswersNothingWhereItsOwnContractRefuses) {
  RowResult first, beside;
  Scratch scratch;
  const auto raw = row("JFK", 700);
  answering->score_row(raw, first, scratch);
  ASSERT_FALSE(first.check.refused);
  contract->score_beside(Shared::kNothing, raw, first, beside, scratch);
  EXPECT_TRUE(beside.prediction.empty());
  EXPECT_TRUE(beside.margins.empty());
}

TEST_F(ScoredBeside, AllocatesNothingAtSteadyState) {
  RowResult first, beside;
  Scratch scratch;
  const auto raw = row("LAX", 400);
  const auto score = [&] {
    answering->score_row(raw, first, scratch);
    for (const Plan* plan : {contract.get(), features.get(), model.get(), offset.get()})
      plan->score_beside(plan->shared_with(*answering), raw, first, beside, scratch);
  };
  for (int i = 0; i < 10; ++i) score();
  const std::size_t before = heddle::fixture::allocations;
  for (int i = 0; i < 1000; ++i) score();
  EXPECT_EQ(heddle::fixture::allocations, before);
}

TEST(Plan, RefusesABundleWithoutParity) {
  fixture::MemoryObjects objects;
  const auto digest = fixture::pack(objects, -0.5, true);
  ASSERT_TRUE(digest.ok());
  const auto plan = Plan::load(*bundle::open(objects, *digest));
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.error().id, "score-no-parity");
  EXPECT_EQ(plan.error().kind, ErrorKind::kCorrupt);
}

TEST(Plan, RefusesABundleThatProvesNothing) {
  fixture::MemoryObjects objects;
  const auto digest = fixture::pack(objects, -0.5);
  const auto good = *bundle::open(objects, *digest);
  for (const std::string reference :
       {R"({})",
        R"({"format":"heddle.reference/2","fields":["date","origin","distance"],"rows":[],)"
        R"("margins":[]})",
        R"({"format":"heddle.reference/2","fields":["date"],"rows":[["x"]],"margins":[null]})"}) {
    std::vector<bundle::Layer> layers = good.layers();
    for (auto& layer : layers) {
      if (layer.title == bundle::kReference) layer.bytes = reference;
    }
    const auto packed = bundle::pack(objects, layers, good.config());
    const auto plan = Plan::load(*bundle::open(objects, *packed));
    ASSERT_FALSE(plan.ok()) << reference;
    EXPECT_EQ(plan.error().kind, ErrorKind::kCorrupt);
  }
}

TEST(Plan, RefusesABundleThatIsCalibratedForAnotherTask) {
  fixture::MemoryObjects objects;
  const auto good = *bundle::open(objects, *fixture::pack(objects, -0.5));
  const auto loaded = [&](const std::vector<bundle::Layer>& layers, const bundle::Config& config) {
    return Plan::load(*bundle::open(objects, *bundle::pack(objects, layers, config)));
  };
  for (const char* calibration :
       {R"({"intercept":0.125})", R"({"format":"heddle.calibration/1"})",
        R"({"format":"heddle.calibration/1","offsets":[]})",
        R"({"format":"heddle.calibration/1","offsets":[0.5,0.5]})",
        R"({"format":"heddle.calibration/2","offsets":[0.5]})",
        R"({"format":"heddle.calibration/1","offsets":[0.5],"interval":{"coverage":0.9,)"
        R"("quantile":1.0}})"}) {
    auto layers = good.layers();
    for (auto& layer : layers) {
      if (layer.title == bundle::kCalibration) layer.bytes = calibration;
    }
    const auto plan = loaded(layers, good.config());
    ASSERT_FALSE(plan.ok()) << calibration;
    EXPECT_EQ(plan.error().kind, ErrorKind::kCorrupt) << plan.error().str();
  }
  auto other = good.config();
  other.task = {stats::TaskKind::kRegression, {}, false};
  EXPECT_EQ(loaded(good.layers(), other).error().id, "score-link");
  other.task = {stats::TaskKind::kClasses, {"a", "b"}, false};
  EXPECT_FALSE(loaded(good.layers(), other).ok());
}

TEST(Plan, RefusesFeaturesOfOtherFieldsThanTheContracts) {
  fixture::MemoryObjects objects;
  const auto good = *bundle::open(objects, *fixture::pack(objects, -0.5));
  using Changes = std::vector<std::pair<std::string, std::string>>;
  for (const Changes& changes : {
           // A number would be read as text.
           Changes{{R"("distance","type":"int")", R"("distance","type":"string")"},
                   {"distance / 1000.0", "size(distance)"}},
           Changes{{R"({"name":"origin","type":"string"},{"name":"distance","type":"int"})",
                    R"({"name":"distance","type":"int"},{"name":"origin","type":"string"})"}},
           Changes{{R"("distance","type":"int"})",
                    R"("distance","type":"int"},{"name":"more","type":"double"})"}},
       }) {
    std::vector<bundle::Layer> layers = good.layers();
    for (auto& layer : layers) {
      if (layer.title != bundle::kFeatures) continue;
      for (const auto& [from, to] : changes) {
        ASSERT_NE(layer.bytes.find(from), std::string::npos) << from;
        layer.bytes.replace(layer.bytes.find(from), from.size(), to);
      }
    }
    const auto plan =
        Plan::load(*bundle::open(objects, *bundle::pack(objects, layers, good.config())));
    ASSERT_FALSE(plan.ok()) << changes[0].second;
    EXPECT_EQ(plan.error().id, "score-bundle") << plan.error().str();
    EXPECT_NE(plan.error().message.find("other fields"), std::string::npos) << plan.error().str();
  }
}

/// A stump of XGBoost on the fixture's three features.
std::string stump(std::string_view objective,
                  std::string_view names = R"("hour","far","late_from")",
                  std::string_view more = "") {
  return fmt::format(
      R"({{"learner":{{"attributes":{{}},"feature_names":[{}],)"
      R"("gradient_booster":{{"model":{{{}"tree_info":[0],"trees":[)"
      R"({{"default_left":[1,0,0],"left_children":[1,-1,-1],"right_children":[2,-1,-1],)"
      R"("split_conditions":[12,-0.25,0.75],"split_indices":[0,0,0]}})"
      R"(]}},"name":"gbtree"}},"learner_model_param":{{"base_score":"5E-1","num_class":"0",)"
      R"("num_feature":"3"}},"objective":{{"name":"{}"}}}},"version":[3,2,0]}})",
      names, more, objective);
}

/// What a service answers is a probability, and what the file says of its use is kept.
TEST(Plan, RefusesAModelWhoseAnswersWouldBeSomethingElse) {
  fixture::MemoryObjects objects;
  const auto good = *bundle::open(objects, *fixture::pack(objects, -0.5));
  const auto contract = *good.json(bundle::kContract);
  const auto features = *good.json(bundle::kFeatures);
  const auto loaded = [&](const std::string& model) {
    return Plan::from_parts(contract, features, model);
  };
  for (const std::string_view objective : {"binary:logistic", "binary:logitraw", "reg:logistic"}) {
    EXPECT_TRUE(loaded(stump(objective)).ok())
        << objective << loaded(stump(objective)).error().str();
  }
  for (const std::string_view objective :
       {"reg:squarederror", "reg:linear", "reg:absoluteerror", "reg:quantileerror",
        "reg:expectileerror", "reg:pseudohubererror", "reg:squaredlogerror", "reg:gamma",
        "reg:tweedie", "count:poisson", "survival:cox", "survival:aft", "rank:pairwise",
        "rank:ndcg", "rank:map"}) {
    const auto plan = loaded(stump(objective));
    ASSERT_FALSE(plan.ok()) << objective;
    EXPECT_EQ(plan.error().id, "score-link") << plan.error().str();
    EXPECT_NE(plan.error().message.find(objective), std::string::npos) << plan.error().str();
    // Nor as a bundle that somebody else packed.
    std::vector<bundle::Layer> layers = good.layers();
    for (auto& layer : layers) {
      if (layer.title == bundle::kModel) layer.bytes = stump(objective);
    }
    EXPECT_EQ(Plan::load(*bundle::open(objects, *bundle::pack(objects, layers, good.config())))
                  .error()
                  .id,
              "score-link");
  }
  EXPECT_EQ(loaded(stump("binary:hinge")).error().id, "model-unsupported");
  const auto turned = loaded(stump("binary:logistic", R"("far","hour","late_from")"));
  ASSERT_FALSE(turned.ok());
  EXPECT_EQ(turned.error().id, "score-feature-names");
  EXPECT_NE(turned.error().message.find("`far`"), std::string::npos) << turned.error().str();
  EXPECT_TRUE(loaded(stump("binary:logistic", "")).ok());  // a file without names
  const auto named =
      loaded(stump("binary:logistic", "", R"("cats":{"enc":[{"offsets":[0,1],"values":[97]}]},)"));
  ASSERT_FALSE(named.ok());
  EXPECT_EQ(named.error().id, "score-categories");
}

TEST(RuntimePlan, RowsAndTablesAreAnsweredAlikeAndCalibrated) {
  fixture::MemoryObjects objects;
  const auto digest = fixture::pack_worker(objects, "0", 0.5);
  ASSERT_TRUE(digest.ok()) << digest.error().str();
  const auto plan = Plan::load(*bundle::open(objects, *digest));
  ASSERT_TRUE(plan.ok()) << plan.error().str();
  ASSERT_NE((*plan)->endpoint(), nullptr);
  EXPECT_EQ((*plan)->reference_rows(), 20);
  const table::Table rows = fixture::rows(600);  // more than are asked at once
  const auto scored = (*plan)->score_table(rows);
  ASSERT_TRUE(scored.ok()) << scored.error().str();
  Scratch scratch;
  RowResult result;
  const auto views = rows.views();
  for (std::int64_t i = 0; i < rows.rows(); i += 37) {
    const std::vector<expr::Datum> raw = {views[0].at(i), views[1].at(i), views[2].at(i)};
    (*plan)->score_row(raw, result, scratch);
    const auto at = static_cast<std::size_t>(i);
    EXPECT_EQ(result.prediction.at(0), scored->predictions[at]) << i;
    EXPECT_EQ(result.margins.at(0), scored->margins[at]) << i;
    const double hour = static_cast<double>((i * 5) % 24) / 100;
    const double odds = std::exp(0.5) * hour / (1 - hour);
    EXPECT_NEAR(result.prediction[0], odds / (1 + odds), 1e-6) << i;
  }
}

TEST(RuntimePlan, RowsAndTablesOfEveryTaskAreAlike) {
  const stats::Task tasks[] = {{stats::TaskKind::kClasses, {"low", "high", "none"}},
                               {stats::TaskKind::kRegression}};
  for (const stats::Task& task : tasks) {
    SCOPED_TRACE(stats::task_name(task.kind));
    fixture::MemoryObjects objects;
    const double offset = 30;
    const auto digest = fixture::pack_worker(objects, "0", offset, task);
    ASSERT_TRUE(digest.ok()) << digest.error().str();
    const auto plan = Plan::load(*bundle::open(objects, *digest));
    ASSERT_TRUE(plan.ok()) << plan.error().str();
    const table::Table rows = fixture::rows(600);  // more than are asked at once
    const auto scored = (*plan)->score_table(rows);
    ASSERT_TRUE(scored.ok()) << scored.error().str();
    const std::size_t outputs = task.outputs();
    ASSERT_EQ(scored->outputs, outputs);
    Scratch scratch;
    RowResult result;
    const auto views = rows.views();
    for (std::int64_t i = 0; i < rows.rows(); i += 37) {
      const std::vector<expr::Datum> raw = {views[0].at(i), views[1].at(i), views[2].at(i)};
      (*plan)->score_row(raw, result, scratch);
      const auto at = static_cast<std::ptrdiff_t>(static_cast<std::size_t>(i) * outputs);
      const auto end = at + static_cast<std::ptrdiff_t>(outputs);
      EXPECT_EQ(result.prediction, std::vector<float>(scored->predictions.begin() + at,
                                                      scored->predictions.begin() + end));
      EXPECT_EQ(result.margins,
                std::vector<float>(scored->margins.begin() + at, scored->margins.begin() + end));
      const double hour = static_cast<double>((i * 5) % 24);
      if (outputs == 1) {
        EXPECT_EQ(result.prediction[0], static_cast<float>(10 * hour + offset)) << i;
      } else {
        // A probability of 0 counts as 1e-15: with the offset its odds are e^30 times that.
        const double none = 1e-15 * std::exp(offset);
        EXPECT_NEAR(result.prediction[0], hour / 100 / (1 + none), 1e-6) << i;
        EXPECT_NEAR(result.prediction[2], none / (1 + none), 1e-6) << i;
      }
    }
  }
}

TEST(RuntimePlan, AValueMayDifferByAShareOfItself) {
  const stats::Task task{stats::TaskKind::kRegression};
  const auto loads = [&](const char* bias) {
    fixture::MemoryObjects objects;
    const auto digest = fixture::pack_worker(objects, bias, 0, task);
    EXPECT_TRUE(digest.ok()) << digest.error().str();
    return Plan::load(*bundle::open(objects, *digest)).ok();
  };
  // The reference rows hold values of 0 to 230; the tolerance is 1e-6, of 0 as of 1.
  EXPECT_TRUE(loads("0.0000005"));
  EXPECT_FALSE(loads("0.001"));
}

TEST(RuntimePlan, ABundleWithAModelAndARuntimeIsNone) {
  fixture::MemoryObjects objects;
  const auto digest = fixture::pack_worker(objects);
  ASSERT_TRUE(digest.ok()) << digest.error().str();
  auto layers = bundle::open(objects, *digest)->layers();
  layers.push_back({std::string(bundle::kModel), {}, "{}"});
  const auto both = bundle::pack(objects, std::move(layers), bundle::fixture::config());
  EXPECT_EQ(Plan::load(*bundle::open(objects, *both)).error().kind, ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace heddle::score
