// Instructions of one request through the data plane, for callgrind (bench/instructions.py).
//   request_instructions prepare DIR
//       trains 100 trees on flights with XGBoost's C API and packs them into two bundles, and 99 of
//       them into a third
//   request_instructions drive DIR N WHAT
//       serves them in this process: the main thread is the data plane's loop, a second one is the
//       client, one connection, one request at a time. After a warm-up it switches callgrind's
//       instrumentation on for exactly N requests of the protocol WHAT; all N must be answered 200
// The standby is the primary with another calibration, or, where WHAT ends with `/other-model`, a
// model of its own on the same contract and features.
// The whole of the loop's thread is counted: reading, HTTP, token, JSON, contract, features, trees,
// shadow score, journal, writing. Start-up is not: nothing is instrumented then. One turn of the
// loop a request, so the count does not depend on time.
#include <valgrind/callgrind.h>

#include <atomic>
#include <cstdio>
#include <thread>

#include <fmt/format.h>

#include "adapters/objects/layout.hpp"
#include "base/file.hpp"
#include "doc/json.hpp"
#include "flights_fixture.hpp"
#include "net/client.hpp"
#include "plane/route.hpp"
#include "serve/serve.hpp"

namespace heddle {
namespace {

constexpr std::int64_t kRows = 20'000;
constexpr std::int64_t kSamples = 16;
constexpr int kTrees = 100;
constexpr int kWarmup = 200;
constexpr const char* kToken = "instructions-token-0123";
constexpr std::string_view kOtherModel = "/other-model";

Result<void> prepare(const std::string& dir) {
  HEDDLE_ASSIGN_OR_RETURN(table::Table rows, bench::make_rows(kRows));
  HEDDLE_ASSIGN_OR_RETURN(const auto fitted, bench::fit(std::move(rows)));
  HEDDLE_ASSIGN_OR_RETURN(const auto model, bench::train(fitted, kTrees, 1));
  HEDDLE_ASSIGN_OR_RETURN(const auto objects, adapters::open_layout(dir + "/objects"));
  HEDDLE_ASSIGN_OR_RETURN(const Digest primary, bench::pack(*objects, fitted, model, 0));
  HEDDLE_ASSIGN_OR_RETURN(const Digest standby, bench::pack(*objects, fitted, model, 0.25));
  HEDDLE_ASSIGN_OR_RETURN(const auto other_model, bench::train(fitted, kTrees - 1, 1));
  HEDDLE_ASSIGN_OR_RETURN(const Digest other, bench::pack(*objects, fitted, other_model, 0));
  HEDDLE_ASSIGN_OR_RETURN(const auto bodies, bench::request_bodies(fitted.rows.slice(0, kSamples)));
  doc::Value texts = doc::Value::array();
  for (const std::string& body : bodies) texts.push(body);
  return write_file_atomic(dir + "/prepared.json",
                           doc::to_json(doc::Value::object({{"primary", primary.str()},
                                                            {"standby", standby.str()},
                                                            {"other", other.str()},
                                                            {"bodies", std::move(texts)}})));
}

/// `POST` path and bodies of a protocol, made of the plain bodies.
struct Protocol {
  std::string path;
  std::vector<std::string> bodies;
};

Result<Protocol> protocol(const std::string& name, const doc::Value& prepared) {
  Protocol out;
  for (const doc::Value& text : prepared.find("bodies")->as_array()) {
    if (name == "rows-json") {
      out.path = "/v1/services/flights/predict";
      out.bodies.push_back(text.as_string());
      continue;
    }
    if (name != "oip-json")
      return Error{ErrorKind::kInvalid, "usage", fmt::format("no protocol `{}`", name),
                   "known: rows-json, oip-json"};
    HEDDLE_ASSIGN_OR_RETURN(const auto parsed, doc::parse_json(text.as_string()));
    const doc::Value& row = parsed.find("rows")->as_array()[0];
    doc::Value inputs = doc::Value::array();
    for (const auto& [field, value] : row.as_object()) {
      inputs.push(doc::Value::object({{"name", field},
                                      {"shape", doc::Value::array({1})},
                                      {"datatype", value.is_int() ? "INT64" : "BYTES"},
                                      {"data", doc::Value::array({value})}}));
    }
    out.path = "/v2/models/flights/infer";
    out.bodies.push_back(doc::to_json(doc::Value::object({{"inputs", std::move(inputs)}})));
  }
  return out;
}

Result<void> ask(int port, const Protocol& protocol, int count) {
  net::HttpClient http({.port = port, .token = kToken});
  const auto send = [&](int i) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(
        const auto reply,
        http.post(protocol.path,
                  protocol.bodies[static_cast<std::size_t>(i) % protocol.bodies.size()]));
    if (reply.status != 200)
      return Error{ErrorKind::kInternal, "bench-answer",
                   fmt::format("status {}: {}", reply.status, reply.body.substr(0, 200)),
                   "every request here must be served"};
    return {};
  };
  for (int i = 0; i < kWarmup; ++i) HEDDLE_TRY(send(i));
  CALLGRIND_START_INSTRUMENTATION;
  for (int i = 0; i < count; ++i) HEDDLE_TRY(send(i));
  CALLGRIND_STOP_INSTRUMENTATION;
  return {};
}

Result<void> drive(const std::string& dir, int count, std::string what) {
  const bool has_other_model = what.ends_with(kOtherModel);
  if (has_other_model) what.resize(what.size() - kOtherModel.size());
  HEDDLE_ASSIGN_OR_RETURN(const auto text, read_file(dir + "/prepared.json"));
  HEDDLE_ASSIGN_OR_RETURN(const auto prepared, doc::parse_json(text));
  HEDDLE_ASSIGN_OR_RETURN(const auto how, protocol(what, prepared));
  HEDDLE_ASSIGN_OR_RETURN(const auto objects, adapters::open_layout(dir + "/objects"));
  HEDDLE_ASSIGN_OR_RETURN(const auto key, Ed25519Key::generate());
  plane::RouteTable route;
  route.version = 1;
  route.service = "flights";
  route.decision = "ledger/0";
  HEDDLE_ASSIGN_OR_RETURN(route.primary, Digest::parse(prepared.string_or("primary")));
  HEDDLE_ASSIGN_OR_RETURN(route.standby,
                          Digest::parse(prepared.string_or(has_other_model ? "other" : "standby")));
  HEDDLE_TRY(make_dirs(dir + "/state/routes"));
  HEDDLE_TRY(plane::write_route(dir + "/state/routes/flights.json", route, key));
  serve::Options options;
  options.heddle_dir = dir + "/state";
  options.service.identity.name = "flights";
  options.service.port = 0;
  options.objects = objects.get();
  options.control_key = key.public_key;
  options.tokens = {{"bench", kToken, {"predict"}}};
  options.lockstep = true;  // no ticks of the clock between requests
  HEDDLE_ASSIGN_OR_RETURN(const auto plane, serve::DataPlane::open(std::move(options)));
  Result<void> asked;
  std::thread client([&] {
    asked = ask(plane->port(), how, count);
    plane->stop();
  });
  plane->run();
  client.join();
  return asked;
}

}  // namespace
}  // namespace heddle

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  const auto done = what == "prepare" && argc == 3 ? heddle::prepare(argv[2])
                    : what == "drive" && argc == 5
                        ? heddle::drive(argv[2], std::atoi(argv[3]), argv[4])
                        : heddle::Result<void>(heddle::Error{
                              heddle::ErrorKind::kInvalid, "usage",
                              "request_instructions prepare DIR | drive DIR N PROTOCOL",
                              "see the head of its source"});
  if (!done.ok()) fmt::print(stderr, "{}\n", done.error().str());
  return done.ok() ? 0 : 1;
}
