#include "flights_fixture.hpp"

#include <xgboost/c_api.h>

#include <limits>
#include <map>
#include <random>
#include <set>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "bundle/bundle.hpp"
#include "doc/json.hpp"
#include "score/plan.hpp"

namespace heddle::bench {
namespace {

constexpr std::int64_t kReferenceRows = 64;

spec::Contract contract_of(const std::vector<std::string>& codes) {
  std::vector<doc::Value> airports(codes.begin(), codes.end());
  spec::Contract c;
  c.identity.name = "flights";
  c.version = "1.0.0";
  c.fields = {{.name = "date", .type = expr::Type::kTimestamp, .required = true},
              {.name = "distance",
               .type = expr::Type::kInt,
               .required = true,
               .minimum = 10,
               .maximum = 6000},
              {.name = "origin",
               .type = expr::Type::kString,
               .required = true,
               .enum_values = airports,
               .pattern = "^[A-Z0-9]{3}$"},
              {.name = "destination",
               .type = expr::Type::kString,
               .required = true,
               .enum_values = std::move(airports),
               .pattern = "^[A-Z0-9]{3}$"}};
  c.row_rules = {{.id = "route-fixes-distance",
                  .kind = spec::RowRule::Kind::kDependency,
                  .determinant = {"origin", "destination"},
                  .dependent = "distance"},
                 {.id = "no-circle",
                  .expression = {"origin != destination", {}},
                  .effect = spec::RuleEffect::kWarn}};
  return c;
}

/// The features of examples/flights.
spec::FeatureSet feature_set() {
  using Kind = spec::Feature::Kind;
  spec::FeatureSet set;
  set.identity.name = "flights";
  set.features = {
      {.name = "hour", .expression = {"date.getHours()", {}}},
      {.name = "minute_of_day", .expression = {"date.getHours() * 60 + date.getMinutes()", {}}},
      {.name = "weekday", .expression = {"date.getDayOfWeek()", {}}},
      {.name = "miles", .expression = {"distance", {}}}};
  const std::vector<std::pair<std::string, std::vector<std::string>>> encoded = {
      {"origin", {"origin"}},
      {"destination", {"destination"}},
      {"route", {"origin", "destination"}},
      {"origin_hour", {"origin", "hour"}}};
  for (const auto& [name, inputs] : encoded)
    set.features.push_back({.name = name + "_late",
                            .kind = Kind::kTargetEncoding,
                            .inputs = inputs,
                            .smoothing = 100});
  for (const auto& [name, inputs] : encoded)
    set.features.push_back(
        {.name = name + "_share", .kind = Kind::kFrequencyEncoding, .inputs = inputs});
  return set;
}

[[nodiscard]] Error xgboost_failed() {
  return {ErrorKind::kInternal, "bench-xgboost", XGBGetLastError(),
          "look at the XGBoost that is linked"};
}

Result<std::unique_ptr<const score::Plan>> plan_of(const Fitted& fitted, const std::string& model,
                                                   double intercept) {
  return score::Plan::from_parts(fitted.contract.to_value(), fitted.program.to_value(), model, {},
                                 {{intercept}, {}});
}

}  // namespace

Result<table::Table> make_rows(std::int64_t count) {
  // Only the generator's own numbers: the standard's distributions differ between libraries.
  std::mt19937_64 random(7);
  const auto below = [&](std::uint64_t n) { return random() % n; };
  const auto unit = [&] { return static_cast<double>(random() >> 11) / 9007199254740992.0; };
  std::set<std::string> names;
  while (names.size() < 300) {
    std::string name;
    for (int i = 0; i < 3; ++i) name += static_cast<char>('A' + below(26));
    names.insert(std::move(name));
  }
  const std::vector<std::string> airports(names.begin(), names.end());
  std::map<std::pair<std::int32_t, std::int32_t>, std::int64_t> distances;
  while (distances.size() < 4'000) {
    const auto a = static_cast<std::int32_t>(below(300)), b = static_cast<std::int32_t>(below(300));
    if (a != b) distances.emplace(std::pair{a, b}, 60 + static_cast<std::int64_t>(below(2'640)));
  }
  const std::vector<std::pair<std::pair<std::int32_t, std::int32_t>, std::int64_t>> routes(
      distances.begin(), distances.end());
  const auto dictionary = std::make_shared<table::Dictionary>(airports);
  table::Column date{.name = "date", .type = expr::Type::kTimestamp}, distance{.name = "distance"},
      late{.name = "late"};
  table::Column origin{.name = "origin", .type = expr::Type::kString, .dictionary = dictionary},
      destination{.name = "destination", .type = expr::Type::kString, .dictionary = dictionary};
  const Micros first = from_civil({2001, 1, 1});
  for (std::int64_t i = 0; i < count; ++i) {
    const auto& [route, miles] = static_cast<std::size_t>(i) < routes.size()
                                     ? routes[static_cast<std::size_t>(i)]
                                     : routes[below(routes.size())];
    const auto hour = static_cast<std::int64_t>(5 + below(18));
    date.ints.push_back(first + (i * 59 / count) * kDay + hour * kHour +
                        static_cast<std::int64_t>(below(60)) * kMinute);
    distance.ints.push_back(miles);
    origin.codes.push_back(route.first);
    destination.codes.push_back(route.second);
    late.ints.push_back(unit() < 0.08 + 0.012 * static_cast<double>(hour - 5) +
                                     (route.first % 7 == 0 ? 0.1 : 0)
                            ? 1
                            : 0);
  }
  return table::Table::make({std::move(date), std::move(distance), std::move(origin),
                             std::move(destination), std::move(late)});
}

Result<Fitted> fit(table::Table rows) {
  HEDDLE_ASSIGN_OR_RETURN(const table::Column* origin, rows.column("origin"));
  HEDDLE_ASSIGN_OR_RETURN(const table::Column* late, rows.column("late"));
  std::vector<std::string> airports(origin->dictionary->views().begin(),
                                    origin->dictionary->views().end());
  std::vector<double> labels(late->ints.begin(), late->ints.end());
  HEDDLE_ASSIGN_OR_RETURN(
      auto contract,
      contract::Contract::compile(
          contract_of(std::move(airports)), [](const std::string&, const std::string&) {
            return Result<std::vector<std::string>>(std::vector<std::string>{});
          }));
  HEDDLE_TRY(contract.learn(rows));
  HEDDLE_ASSIGN_OR_RETURN(auto program,
                          feature::Program::compile(feature_set(), contract.request_fields()));
  HEDDLE_TRY(program.fit(rows, labels));
  return Fitted{std::move(rows), std::move(labels), std::move(contract), std::move(program)};
}

Result<feature::Matrix> features_of(const Fitted& fitted) {
  HEDDLE_ASSIGN_OR_RETURN(const auto check, fitted.contract.check_table(fitted.rows));
  return fitted.program.apply(check.accepted);
}

Result<std::string> train(const Fitted& fitted, int trees, int threads) {
  HEDDLE_ASSIGN_OR_RETURN(const auto matrix, features_of(fitted));
  const std::vector<float> labels(fitted.labels.begin(), fitted.labels.end());
  const std::string nthread = std::to_string(threads);
  DMatrixHandle data = nullptr;
  BoosterHandle booster = nullptr;
  bool ok = XGDMatrixCreateFromMat(matrix.values.data(), static_cast<bst_ulong>(matrix.rows),
                                   static_cast<bst_ulong>(matrix.columns),
                                   std::numeric_limits<float>::quiet_NaN(), &data) == 0 &&
            XGDMatrixSetFloatInfo(data, "label", labels.data(), labels.size()) == 0 &&
            XGBoosterCreate(&data, 1, &booster) == 0;
  for (const auto& [name, value] :
       std::initializer_list<std::pair<const char*, const char*>>{{"objective", "binary:logistic"},
                                                                  {"max_depth", "6"},
                                                                  {"eta", "0.1"},
                                                                  {"tree_method", "hist"},
                                                                  {"nthread", nthread.c_str()},
                                                                  {"verbosity", "0"},
                                                                  {"base_score", "0.5"}}) {
    ok = ok && XGBoosterSetParam(booster, name, value) == 0;
  }
  for (int i = 0; i < trees; ++i) ok = ok && XGBoosterUpdateOneIter(booster, i, data) == 0;
  bst_ulong size = 0;
  const char* bytes = nullptr;
  ok = ok && XGBoosterSaveModelToBuffer(booster, R"({"format": "json"})", &size, &bytes) == 0;
  if (!ok) return xgboost_failed();
  std::string model(bytes, size);
  XGBoosterFree(booster);
  XGDMatrixFree(data);
  return model;
}

Result<Digest> pack(store::Objects& objects, const Fitted& fitted, const std::string& model,
                    double intercept) {
  HEDDLE_ASSIGN_OR_RETURN(const auto plan, plan_of(fitted, model, 0));
  const table::Table reference = fitted.rows.slice(0, kReferenceRows);
  HEDDLE_ASSIGN_OR_RETURN(const auto scored, plan->score_table(reference));
  HEDDLE_ASSIGN_OR_RETURN(
      const auto proof,
      score::Plan::make_reference(fitted.contract.request_fields(), reference, scored.margins));
  std::vector<bundle::Layer> layers;
  layers.push_back({std::string(bundle::kContract), {}, doc::to_json(fitted.contract.to_value())});
  layers.push_back({std::string(bundle::kFeatures), {}, doc::to_json(fitted.program.to_value())});
  layers.push_back({std::string(bundle::kModel), {}, model});
  layers.push_back({std::string(bundle::kCalibration),
                    {},
                    doc::to_json(score::calibration_schema().print({{intercept}, {}}))});
  layers.push_back({std::string(bundle::kReference), {}, doc::to_json(proof)});
  bundle::Config config;
  config.model = "flights";
  config.role = "primary";
  return bundle::pack(objects, std::move(layers), config);
}

Result<std::vector<float>> probabilities(const Fitted& fitted, const std::string& model,
                                         double intercept, const table::Table& rows) {
  HEDDLE_ASSIGN_OR_RETURN(const auto plan, plan_of(fitted, model, intercept));
  HEDDLE_ASSIGN_OR_RETURN(auto scored, plan->score_table(rows));
  return std::move(scored.predictions);
}

Result<std::vector<std::string>> request_bodies(const table::Table& rows) {
  HEDDLE_ASSIGN_OR_RETURN(const table::Column* date, rows.column("date"));
  HEDDLE_ASSIGN_OR_RETURN(const table::Column* distance, rows.column("distance"));
  HEDDLE_ASSIGN_OR_RETURN(const table::Column* origin, rows.column("origin"));
  HEDDLE_ASSIGN_OR_RETURN(const table::Column* destination, rows.column("destination"));
  std::vector<std::string> bodies;
  for (std::size_t i = 0; i < static_cast<std::size_t>(rows.rows()); ++i) {
    const auto name = [&](const table::Column* column) {
      return column->dictionary->views()[static_cast<std::size_t>(column->codes[i])];
    };
    bodies.push_back(fmt::format(
        R"({{"rows":[{{"date":"{}","distance":{},"origin":"{}","destination":"{}"}}]}})",
        format_time(date->ints[i]), distance->ints[i], name(origin), name(destination)));
  }
  return bodies;
}

}  // namespace heddle::bench
