#pragma once

#include <cmath>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "bundle/bundle.hpp"
#include "bundle/config_fixture.hpp"
#include "contract/contract.hpp"
#include "doc/json.hpp"
#include "feature/program.hpp"
#include "model/scorer.hpp"
#include "model/standardised.hpp"
#include "runtime/tar.hpp"
#include "score/plan.hpp"
#include "spec/task.hpp"
#include "store/memory_fixture.hpp"

namespace heddle::score::fixture {

using store::fixture::MemoryObjects;

/// A contract of three fields; the origin fixes the distance (rule `distance-of-origin`, learned
/// from `rows`).
inline spec::Contract contract() {
  spec::Contract c;
  c.identity.name = "trips";
  c.version = "1.0.0";
  spec::Field date{.name = "date", .type = expr::Type::kTimestamp, .required = true};
  spec::Field origin{.name = "origin",
                     .type = expr::Type::kString,
                     .required = true,
                     .enum_values = {"ABQ", "LAX", "JFK", "ORD", "SEA"}};
  spec::Field distance{.name = "distance",
                       .type = expr::Type::kInt,
                       .required = true,
                       .minimum = 0,
                       .maximum = 5000};
  c.fields = {date, origin, distance};
  c.row_rules = {{.id = "distance-of-origin",
                  .kind = spec::RowRule::Kind::kDependency,
                  .determinant = {"origin"},
                  .dependent = "distance"},
                 {.id = "late-hour",
                  .expression = {"hour_of_day(date) < 22", {}},
                  .effect = spec::RuleEffect::kWarn}};
  return c;
}

/// The same with repairs: of dates as days and hours, of texts around and in any case, of a
/// distance with a decimal comma which ends at 2000.
inline spec::Contract repairing_contract() {
  spec::Contract c = contract();
  c.fields[0].repairs.dates = {"%d.%m.%Y %H:%M", "ISO 8601"};
  c.fields[1].repairs.trim = true;
  c.fields[1].repairs.letter_case = spec::LetterCase::kUpper;
  c.fields[2].repairs.nulls = {"-"};
  c.fields[2].repairs.decimal = ",";
  c.fields[2].repairs.clip_maximum = 2000;
  return c;
}

inline table::Table rows(int n) {
  static const std::vector<std::string> kOrigins = {"ABQ", "LAX", "JFK", "ORD", "SEA"};
  table::Column date{.name = "date", .type = expr::Type::kTimestamp};
  table::Column origin{.name = "origin",
                       .type = expr::Type::kString,
                       .dictionary = std::make_shared<table::Dictionary>(kOrigins)};
  table::Column distance{.name = "distance", .type = expr::Type::kInt};
  for (int i = 0; i < n; ++i) {
    date.ints.push_back(i * kHour * 5 + 986'083'200 * kSecond);
    origin.codes.push_back(i % 5);
    distance.ints.push_back(100 + 300 * (i % 5));
  }
  return *table::Table::make({date, origin, distance});
}

/// A bundle of a logistic model with this intercept, proven and packed. Different intercepts give
/// different bundles.
inline Result<Digest> pack(store::Objects& objects, double model_intercept,
                           bool break_parity = false,
                           const spec::Contract& definition = contract()) {
  HEDDLE_ASSIGN_OR_RETURN(
      auto compiled,
      contract::Contract::compile(definition, [](const std::string&, const std::string&) {
        return Result<std::vector<std::string>>(std::vector<std::string>{});
      }));
  const table::Table table = rows(100);
  HEDDLE_TRY(compiled.learn(table));
  spec::FeatureSet set;
  set.identity.name = "trips";
  set.features = {
      {.name = "hour", .expression = {"hour_of_day(date)", {}}},
      {.name = "far", .expression = {"distance / 1000.0", {}}},
      {.name = "late_from", .kind = spec::Feature::Kind::kTargetEncoding, .inputs = {"origin"}}};
  HEDDLE_ASSIGN_OR_RETURN(auto program, feature::Program::compile(set, compiled.request_fields()));
  std::vector<double> labels;
  for (int i = 0; i < 100; ++i) labels.push_back(i % 5 == 1 || i % 3 == 0 ? 1 : 0);
  HEDDLE_TRY(program.fit(table, labels));
  const std::string model = model::to_json({.features = {"hour", "far", "late_from"},
                                            .mean = {12, 0.7, 0.4},
                                            .scale = {6, 0.4, 0.2},
                                            .missing = {12, 0.7, 0.4},
                                            .weights = {0.5, -0.25, 1.5},
                                            .intercepts = {model_intercept}});
  HEDDLE_ASSIGN_OR_RETURN(const auto plan,
                          Plan::from_parts(compiled.to_value(), program.to_value(), model));
  const table::Table reference = table.slice(0, 20);
  HEDDLE_ASSIGN_OR_RETURN(auto scored, plan->score_table(reference));
  if (break_parity) scored.margins[7] = std::nextafter(scored.margins[7], 1e9f);
  HEDDLE_ASSIGN_OR_RETURN(
      const auto proof, Plan::make_reference(compiled.request_fields(), reference, scored.margins));
  std::vector<bundle::Layer> layers;
  layers.push_back({std::string(bundle::kContract), {}, doc::to_json(compiled.to_value())});
  layers.push_back({std::string(bundle::kFeatures), {}, doc::to_json(program.to_value())});
  layers.push_back({std::string(bundle::kModel), {}, model});
  layers.push_back({std::string(bundle::kCalibration),
                    {},
                    R"({"format":"heddle.calibration/1","offsets":[0.125]})"});
  layers.push_back({std::string(bundle::kReference), {}, doc::to_json(proof)});
  return bundle::pack(objects, std::move(layers), bundle::fixture::config());
}

/// The same model as one of a number, its interval `quantile` to each side at a coverage of .9.
inline Result<Digest> pack_number(store::Objects& objects, double quantile) {
  HEDDLE_ASSIGN_OR_RETURN(const Digest logistic, pack(objects, 0));
  HEDDLE_ASSIGN_OR_RETURN(const auto made, bundle::open(objects, logistic));
  auto layers = made.layers();
  for (auto& layer : layers) {
    if (layer.title == bundle::kModel) {
      layer.bytes.replace(layer.bytes.find("logistic"), 8, "identity");
    } else if (layer.title == bundle::kCalibration) {
      layer.bytes = doc::to_json(calibration_schema().print({{0.125}, Conformal{.9, quantile}}));
    }
  }
  auto config = made.config();
  config.task = {};
  config.task.kind = stats::TaskKind::kRegression;
  return bundle::pack(objects, std::move(layers), config);
}

/// A bundle of the same rows whose worker (tests/fixtures/worker) answers with hour / 100 + `bias`,
/// or what it gives for another task; proven without a bias.
inline Result<Digest> pack_worker(store::Objects& objects, const std::string& bias = "0",
                                  double intercept = 0, const stats::Task& task = {},
                                  std::optional<Conformal> interval = {}) {
  HEDDLE_ASSIGN_OR_RETURN(
      auto compiled,
      contract::Contract::compile(contract(), [](const std::string&, const std::string&) {
        return Result<std::vector<std::string>>(std::vector<std::string>{});
      }));
  const table::Table table = rows(100);
  HEDDLE_TRY(compiled.learn(table));
  spec::FeatureSet set;
  set.identity.name = "trips";
  set.features = {{.name = "hour", .expression = {"hour_of_day(date)", {}}},
                  {.name = "far", .expression = {"distance / 1000.0", {}}}};
  HEDDLE_ASSIGN_OR_RETURN(auto program, feature::Program::compile(set, compiled.request_fields()));
  HEDDLE_ASSIGN_OR_RETURN(const std::string files, runtime::pack_folder("tests/fixtures/worker"));
  runtime::Runtime runtime;
  const std::string kind(stats::task_name(task.kind));
  runtime.command = {"/usr/bin/python3", "serve.py", "--task", kind};
  runtime.output = task.kind == stats::TaskKind::kBinary    ? "probability"
                   : task.kind == stats::TaskKind::kClasses ? "probabilities"
                                                            : "value";
  HEDDLE_ASSIGN_OR_RETURN(
      const auto plan, Plan::from_runtime(compiled.to_value(), program.to_value(), runtime, files,
                                          task, uncalibrated(task)));
  const table::Table reference = table.slice(0, 20);
  HEDDLE_ASSIGN_OR_RETURN(const auto scored, plan->score_table(reference));
  HEDDLE_ASSIGN_OR_RETURN(
      const auto proof,
      Plan::make_reference(compiled.request_fields(), reference, scored.margins, task.outputs()));
  runtime.command.insert(runtime.command.end(), {"--bias", bias});
  Calibration calibration = uncalibrated(task, interval);
  calibration.offsets.back() = intercept;
  std::vector<bundle::Layer> layers;
  layers.push_back({std::string(bundle::kContract), {}, doc::to_json(compiled.to_value())});
  layers.push_back({std::string(bundle::kFeatures), {}, doc::to_json(program.to_value())});
  layers.push_back({std::string(bundle::kRuntime), {}, doc::to_json(runtime::to_value(runtime))});
  layers.push_back({std::string(bundle::kRuntimeFiles), {}, files});
  layers.push_back({std::string(bundle::kCalibration),
                    {},
                    doc::to_json(calibration_schema().print(calibration))});
  layers.push_back({std::string(bundle::kReference), {}, doc::to_json(proof)});
  auto config = bundle::fixture::config();
  config.task = task;
  return bundle::pack(objects, std::move(layers), config);
}

}  // namespace heddle::score::fixture
