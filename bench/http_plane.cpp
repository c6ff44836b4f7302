// A data plane without a control plane: what bench/http_bench.py measures.
//   http_plane fit DIR               reads DIR/rows.csv; writes DIR/train.f32 (row-major features) with DIR/train.json
//   http_plane serve DIR PORT TOKEN  packs DIR/model.json into two bundles, serves one and shadow-scores the other
#include <csignal>

#include <atomic>
#include <cstdio>
#include <fstream>

#include <fmt/format.h>

#include "adapters/objects/layout.hpp"
#include "base/file.hpp"
#include "bundle/bundle.hpp"
#include "doc/json.hpp"
#include "feature/program.hpp"
#include "plane/route.hpp"
#include "score/plan.hpp"
#include "serve/serve.hpp"

namespace heddle {
namespace {

std::atomic<bool> g_stop{false};

spec::Contract flights(std::vector<std::string> airports) {
  spec::Contract c;
  c.identity.name = "flights";
  c.version = "1.0.0";
  c.fields = {{.name = "date", .type = expr::Type::kTimestamp, .required = true},
              {.name = "distance", .type = expr::Type::kInt, .required = true, .minimum = 10, .maximum = 6000},
              {.name = "origin", .type = expr::Type::kString, .required = true, .enum_values = airports, .pattern = "[A-Z0-9]{3}"},
              {.name = "destination", .type = expr::Type::kString, .required = true, .enum_values = std::move(airports), .pattern = "[A-Z0-9]{3}"}};
  c.row_rules = {{.id = "route-fixes-distance", .kind = spec::RowRule::Kind::kDependency, .determinant = {"origin", "destination"}, .dependent = "distance"},
                 {.id = "no-circle", .expression = {"origin != destination", {}}, .effect = spec::RuleEffect::kWarn}};
  return c;
}

/// The features of examples/flights.
spec::FeatureSet features() {
  using Kind = spec::Feature::Kind;
  spec::FeatureSet set;
  set.identity.name = "flights";
  set.features = {{.name = "hour", .expression = {"date.getHours()", {}}},
                  {.name = "minute_of_day", .expression = {"date.getHours() * 60 + date.getMinutes()", {}}},
                  {.name = "weekday", .expression = {"date.getDayOfWeek()", {}}},
                  {.name = "miles", .expression = {"distance", {}}}};
  for (const auto& [name, inputs] : std::vector<std::pair<std::string, std::vector<std::string>>>{
           {"origin", {"origin"}}, {"destination", {"destination"}}, {"route", {"origin", "destination"}}, {"origin_hour", {"origin", "hour"}}}) {
    set.features.push_back({.name = name + "_late", .kind = Kind::kTargetEncoding, .inputs = inputs, .smoothing = 100});
  }
  for (const auto& [name, inputs] : std::vector<std::pair<std::string, std::vector<std::string>>>{
           {"origin", {"origin"}}, {"destination", {"destination"}}, {"route", {"origin", "destination"}}, {"origin_hour", {"origin", "hour"}}}) {
    set.features.push_back({.name = name + "_share", .kind = Kind::kFrequencyEncoding, .inputs = inputs});
  }
  return set;
}

struct Fitted {
  table::Table rows;
  std::vector<std::uint8_t> labels;
  contract::Contract contract;
  feature::Program program;
};

Result<Fitted> fit(const std::string& dir) {
  HEDDLE_ASSIGN_OR_RETURN(table::Table rows, table::read_table(dir + "/rows.csv"));
  HEDDLE_ASSIGN_OR_RETURN(const table::Column* origin, rows.column("origin"));
  HEDDLE_ASSIGN_OR_RETURN(const table::Column* late, rows.column("late"));
  std::vector<std::string> airports(origin->dictionary->views().begin(), origin->dictionary->views().end());
  std::vector<std::uint8_t> labels(late->ints.begin(), late->ints.end());
  HEDDLE_ASSIGN_OR_RETURN(auto contract, contract::Contract::compile(flights(std::move(airports)), [](const std::string&, const std::string&) {
                            return Result<std::vector<std::string>>(std::vector<std::string>{});
                          }));
  HEDDLE_TRY(contract.learn(rows));
  HEDDLE_ASSIGN_OR_RETURN(auto program, feature::Program::compile(features(), contract.request_fields()));
  HEDDLE_TRY(program.fit(rows, labels));
  return Fitted{std::move(rows), std::move(labels), std::move(contract), std::move(program)};
}

Result<void> write_training(const std::string& dir) {
  HEDDLE_ASSIGN_OR_RETURN(const Fitted fitted, fit(dir));
  HEDDLE_ASSIGN_OR_RETURN(const auto check, fitted.contract.check_table(fitted.rows));
  HEDDLE_ASSIGN_OR_RETURN(const auto matrix, fitted.program.apply(check.accepted));
  std::ofstream(dir + "/train.f32", std::ios::binary).write(reinterpret_cast<const char*>(matrix.values.data()), static_cast<std::streamsize>(matrix.values.size() * 4));
  return write_file_atomic(dir + "/train.json", doc::to_json(doc::Value::object({{"rows", matrix.rows}, {"columns", matrix.columns}})));
}

Result<void> serve(const std::string& dir, int port, const std::string& token) {
  HEDDLE_ASSIGN_OR_RETURN(const Fitted fitted, fit(dir));
  HEDDLE_ASSIGN_OR_RETURN(const std::string model, read_file(dir + "/model.json"));
  HEDDLE_ASSIGN_OR_RETURN(const auto plan, score::Plan::from_parts(fitted.contract.to_value(), fitted.program.to_value(), model, 0));
  const table::Table reference = fitted.rows.slice(0, 64);
  HEDDLE_ASSIGN_OR_RETURN(const auto scored, plan->score_table(reference));
  HEDDLE_ASSIGN_OR_RETURN(const auto proof, score::Plan::make_reference(fitted.contract.request_fields(), reference, scored.margins));
  HEDDLE_ASSIGN_OR_RETURN(const auto objects, adapters::open_layout(dir + "/objects"));
  const auto pack = [&](std::string_view calibration) {
    std::vector<bundle::Layer> layers;
    layers.push_back({std::string(bundle::kContract), {}, doc::to_json(fitted.contract.to_value())});
    layers.push_back({std::string(bundle::kFeatures), {}, doc::to_json(fitted.program.to_value())});
    layers.push_back({std::string(bundle::kModel), {}, model});
    layers.push_back({std::string(bundle::kCalibration), {}, std::string(calibration)});
    layers.push_back({std::string(bundle::kReference), {}, doc::to_json(proof)});
    return bundle::pack(*objects, std::move(layers), doc::Value::object());
  };
  HEDDLE_ASSIGN_OR_RETURN(const Digest primary, pack(R"({"intercept":0.0})"));
  HEDDLE_ASSIGN_OR_RETURN(const Digest standby, pack(R"({"intercept":0.25})"));
  HEDDLE_ASSIGN_OR_RETURN(const auto key, Ed25519Key::generate());
  plane::RouteTable route;
  route.version = 1;
  route.service = "flights";
  route.primary = primary;
  route.standby = standby;  // shadow-scored for every row, as in a real service
  route.decision = "ledger/0";
  HEDDLE_TRY(make_dirs(dir + "/state/routes"));
  HEDDLE_TRY(plane::write_route(dir + "/state/routes/flights.json", route, key));
  serve::Options options;
  options.heddle_dir = dir + "/state";
  options.service.identity.name = "flights";
  options.service.port = port;
  options.service.grpc_port = -1;
  options.objects = objects.get();
  options.control_key = key.public_key;
  options.tokens = {{"bench", token, {"predict", "read"}}};
  return serve::run(std::move(options), g_stop);
}

int run(int argc, char** argv) {
  const std::string what = argc > 2 ? argv[1] : "";
  for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, [](int) { g_stop = true; });
  Result<void> done = what == "fit" && argc == 3 ? write_training(argv[2])
                      : what == "serve" && argc == 5 ? serve(argv[2], std::stoi(argv[3]), argv[4])
                      : Result<void>(Error{ErrorKind::kInvalid, "usage", "http_plane fit DIR | serve DIR PORT TOKEN"});
  if (!done.ok()) fmt::print(stderr, "{}\n", done.error().str());
  return done.ok() ? 0 : 1;
}

}  // namespace
}  // namespace heddle

int main(int argc, char** argv) { return heddle::run(argc, argv); }
