#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <set>
#include <thread>

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.hpp"
#include "plane/segment.hpp"
#include "serve/request.hpp"
#include "serve/tokens.hpp"
#include "serve/unacknowledged_acts.hpp"
#include "serve/world_fixture.hpp"

namespace heddle::serve {
namespace {

using namespace fixture;  // NOLINT: a test

TEST(DataPlane, ALabelThatNoRowCanHaveIsRefusedByItselfAndSaysWhy) {
  World world;
  world.up();
  world.publish_and_wait();
  auto http = world.replayer();
  const auto post = [&](const std::string& labels) {
    return http.post("/v1/services/trips/labels", "{\"labels\":[" + labels + "]}");
  };
  const auto mixed = post(
      R"({"row_id":"q-1#0","label":1},{"row_id":"q-1#1","label":25},{"row_id":"q-1#2","label":0},
                            {"row_id":"q-1","label":1},
                            {"row_id":"q-1#x","label":1},{"row_id":"#0","label":1},
                            {"row_id":"q-1#3","label":"late"},{"row_id":"q-1#4","label":null},
                            {"row_id":"q-1#5","label":0.5},{"row_id":"q-1#6","label":true,
                            "event_time":9223372036854775807},{"row_id":"q-1#7","label":-0.0})");
  EXPECT_EQ(mixed->status, 202) << mixed->body;
  const auto answer = World::json(mixed);
  EXPECT_EQ(answer.int_or("accepted"), 3);
  EXPECT_EQ(answer.int_or("refused"), 8);
  std::vector<std::string> errors;
  for (const auto& error : answer.find("errors")->as_array()) {
    errors.push_back(fmt::format("{} {} {}", error.int_or("label"), error.string_or("row_id"),
                                 error.string_or("id")));
  }
  EXPECT_EQ(errors, (std::vector<std::string>{
                        "1 q-1#1 label-value", "3 q-1 label-row-id", "4 q-1#x label-row-id",
                        "5 #0 label-row-id", "6 q-1#3 label-value", "7 q-1#4 label-value",
                        "8 q-1#5 label-value", "9 q-1#6 event-time-outside"}));
  const auto none = post(R"({"row_id":"q-1#0","label":2})");
  EXPECT_EQ(none->status, 422) << none->body;
  EXPECT_EQ(World::json(none).int_or("accepted"), 0);
  EXPECT_EQ(post(R"({"row_id":"q-1#0","label":[1]})")->status, 422);
  // What is wrong with one leaves the others as they are.
  const auto odd = World::json(post(
      R"({"row_id":"q-2#0","label":1},{"row_id":"q 2#0","label":1},{"row_id":17,"label":1},
         {"label":1},{"row_id":"q-2#1"},
         {"row_id":"q-2#2","label":1,"event_time":"soon"},{"row_id":"q-2#3","label":1,"weight":2},
         {"row_id":"q-2#4","label":1e400},
         {"row_id":"q-2#5","label":{}},{"row_id":"q-2#6","label":0,"event_time":null})"));
  EXPECT_EQ(odd.int_or("accepted"), 2);
  std::vector<std::string> faults;
  for (const auto& error : odd.find("errors")->as_array())
    faults.push_back(fmt::format("{} {}", error.int_or("label"), error.string_or("id")));
  const auto said = [&](std::size_t i) {
    return std::string(odd.find("errors")->as_array()[i].string_or("error"));
  };
  EXPECT_NE(said(1).find("`row_id`"), std::string::npos) << said(1);
  EXPECT_EQ(said(2), "the label has no `row_id`");
  EXPECT_EQ(said(7), "the label is an object, not a single value");
  EXPECT_EQ(faults,
            (std::vector<std::string>{"1 label-row-id", "2 label-row-id", "3 label-row-id",
                                      "4 label-value", "5 request-time", "6 request-unknown-member",
                                      "7 label-value", "8 label-value"}));
  // The id of a row is longer than the longest id of a request.
  EXPECT_EQ(
      World::json(post(fmt::format(R"({{"row_id":"{}#1023","label":1}})", std::string(128, 'r'))))
          .int_or("accepted"),
      1);
  world.down();
  std::vector<std::string> taken;
  for (const auto& label : world.of<plane::LabelRecord>())
    taken.push_back(label.row_id.substr(label.row_id.size() - 3));
  EXPECT_EQ(taken, (std::vector<std::string>{"1#0", "1#2", "1#7", "2#0", "2#6", "023"}));
}

TEST(DataPlane, TicksOnlyGoForward) {
  World world;
  world.up();
  auto http = world.replayer();
  const auto tick = [&](const std::string& time) {
    return World::json(
        http.post("/v1/services/trips/tick", fmt::format(R"({{"event_time":{}}})", time)));
  };
  EXPECT_EQ(tick("\"2001-04-12\"").string_or("event_time"), "2001-04-12T00:00:00Z");
  EXPECT_EQ(tick("\"2001-04-12\"").string_or("event_time"), "2001-04-12T00:00:00Z")
      << "said again: it is not in the journal twice";
  EXPECT_EQ(tick("\"2001-04-11\"").string_or("id"), "replay-behind");
  EXPECT_EQ(tick("9223372036854775807").string_or("id"), "event-time-outside");
  world.down();
  world.up();  // what the journal says holds for a data plane that is started again
  auto again = world.replayer();
  const auto reply = again.post("/v1/services/trips/tick", R"({"event_time":"2001-04-11"})");
  EXPECT_EQ(reply->status, 409) << reply->body;
  world.down();
  EXPECT_EQ(world.of<plane::TickRecord>().size(), 1U);
}

TEST(DataPlane, AnswersJournalsAndShadowScores) {
  World world;
  world.up();
  auto http = world.replayer();
  EXPECT_EQ(http.get("/v2/health/live")->status, 200);
  EXPECT_EQ(http.get("/v2/health/ready")->status, 503);
  EXPECT_EQ(http.post("/v1/services/trips/predict", R"({"rows":[{}]})")->status, 503);
  world.publish_and_wait();
  EXPECT_EQ(http.get("/v2/health/ready")->status, 200);
  const auto answer = world.predict(http, fmt::format("{},{}", kGoodRow, kFarRow));
  EXPECT_EQ(answer.string_or("bundle"), world.bundles[0].str());
  EXPECT_EQ(answer.string_or("slot"), "primary");
  EXPECT_EQ(answer.int_or("route_version"), 1);
  const auto& predictions = answer.find("predictions")->as_array();
  ASSERT_EQ(predictions.size(), 2u);
  EXPECT_GT(predictions[0].double_or("probability"), 0);
  EXPECT_TRUE(predictions[1].find("probability")->is_null());
  EXPECT_EQ(predictions[1].find("validation")->as_array()[0].as_string(), "distance-of-origin");

  const auto requests = world.of<plane::RequestRecord>();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].request_id, "q-1");
  EXPECT_EQ(requests[0].source, "s1");
  EXPECT_EQ(requests[0].account, "replayer");
  EXPECT_EQ(requests[0].event_time, *parse_time("2001-04-10T06:00:00Z"));
  ASSERT_EQ(requests[0].rows.size(), 2u);
  EXPECT_FLOAT_EQ(requests[0].rows[0].prediction.at(0),
                  static_cast<float>(predictions[0].double_or("probability")));
  EXPECT_GT(requests[0].rows[0].standby_prediction.at(0), requests[0].rows[0].prediction.at(0));
  EXPECT_EQ(requests[0].rows[1].outcome, plane::RowOutcome::kRefused);
  EXPECT_EQ(requests[0].rows[0].fields[1].s, "LAX");

  EXPECT_EQ(http.post("/v1/services/trips/labels",
                      R"({"labels":[{"row_id":"q-1#0","label":1,"event_time":"2001-04-11"},)"
                      R"({"row_id":"q-1#1","label":false}]})")
                ->status,
            202);
  EXPECT_EQ(http.post("/v1/services/trips/tick", R"({"event_time":"2001-04-12"})")->status, 200);
  EXPECT_EQ(world.of<plane::LabelRecord>().size(), 2u);
  ASSERT_EQ(world.of<plane::TickRecord>().size(), 1u);
  EXPECT_EQ(world.of<plane::TickRecord>()[0].event_time, *parse_time("2001-04-12"));
}

TEST(DataPlane, A422HasNoServedRow) {
  World world;
  world.up();
  world.publish_and_wait();
  auto http = world.replayer();
  const auto answer = world.predict(http, kFarRow, "s1", 422);
  EXPECT_EQ(answer.string_or("bundle"), world.bundles[0].str());
  EXPECT_EQ(answer.find("predictions")->size(), 1u);
}

TEST(DataPlane, RefusesMalformedRequestsClearly) {
  World world;
  world.up();
  world.publish_and_wait();
  auto http = world.replayer();
  const std::tuple<std::string, int, std::string> cases[] = {
      {"", 400, "request-json"},
      {"{", 400, "request-json"},
      {"[1]", 400, "request-json"},
      {"{}", 400, "request-shape"},
      {R"({"rows":[]})", 400, "request-shape"},
      {R"({"rows":{}})", 400, "request-shape"},
      {R"({"rows":[1]})", 400, "request-shape"},
      {R"({"rows":[{"origin":"LAX","origin":"LAX"}]})", 400, "request-repeated"},
      {R"({"rows":[{}],"x":1})", 400, "request-unknown-member"},
      {R"({"rows":[{}],"request_id":"a b"})", 400, "request-id"},
      {R"({"rows":[{}],"request_id":"a#b"})", 400, "request-id"},
      {R"({"rows":[{}],"event_time":"yesterday"})", 400, "request-time"},
      {R"({"rows":[{}],"source":"s9"})", 400, "source-unknown"},
      {R"({"rows":[{},{},{},{},{},{},{},{},{}]})", 413, "request-too-many-rows"},
      {"{\"rows\":[{\"origin\":\"\xff\"}]}", 400, "request-json"},
  };
  for (const auto& [body, status, id] : cases) {
    const auto reply = http.post("/v1/services/trips/predict", body);
    EXPECT_EQ(reply->status, status) << body << reply->body;
    const auto error = World::json(reply);
    EXPECT_EQ(error.string_or("id"), id) << body << reply->body;
    EXPECT_FALSE(error.string_or("error").empty());
    EXPECT_FALSE(error.string_or("hint").empty());
  }
  const doc::Value counted =
      World::json(world.client("ops-secret-0000000003").get("/v1/services/trips"));
  EXPECT_EQ(counted.find("request_errors")->int_or("request-json"), 4);
  EXPECT_EQ(counted.find("request_errors")->int_or("source-unknown"), 1);
  // Wrong types of values are the contract's matter: the row is refused, not the request.
  EXPECT_EQ(http.post("/v1/services/trips/predict",
                      R"({"rows":[{"date":"04/20/01","origin":3,"distance":"x"}]})")
                ->status,
            422);
  EXPECT_EQ(http.get("/v1/services/trips/predict")->status, 405);
  EXPECT_EQ(http.get("/nowhere")->status, 404);
  EXPECT_EQ(http.post("/v1/services/other/predict", "{}")->status, 404);
}

TEST(DataPlane, AFieldThatTheContractLacksRefusesItsRowAndIsRecorded) {
  World world;
  world.up();
  world.publish_and_wait();
  auto http = world.replayer();
  const std::string renamed = R"({"date":"2001-04-10T05:00:00Z","origin":"LAX","dist\"<km>,":400})";
  const std::string nested = R"({"date":"2001-04-10T05:00:00Z","origin":["LAX"],"distance":400})";
  const auto answer = world.predict(http, fmt::format("{},{},{}", renamed, kGoodRow, nested));
  const auto& predictions = answer.find("predictions")->as_array();
  EXPECT_TRUE(predictions[0].find("probability")->is_null());
  EXPECT_EQ(predictions[0].find("validation")->as_array()[0].as_string(),
            "unknown-field/dist??km??");
  EXPECT_TRUE(predictions[1].find("probability")->is_double());
  EXPECT_TRUE(predictions[2].find("probability")->is_null());
  EXPECT_EQ(predictions[2].find("validation")->as_array()[0].as_string(), "not-a-scalar/origin");
  EXPECT_EQ(world.predict(http, renamed, "s1", 422).find("predictions")->size(), 1u);
  const auto requests = world.of<plane::RequestRecord>();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].rows[0].outcome, plane::RowOutcome::kRefused);
  EXPECT_EQ(requests[0].rows[0].rules[0], "unknown-field/dist??km??");
  EXPECT_EQ(requests[0].rows[1].outcome, plane::RowOutcome::kServed);
  EXPECT_EQ(requests[0].rows[2].rules[0], "not-a-scalar/origin");
  // The same over the Open Inference Protocol: an input is a field of every row.
  const std::string oip =
      R"({"inputs":[{"name":"date","datatype":"BYTES","shape":[2],"data":["2001-04-10T05:00:00Z",
    "2001-04-10T05:00:00Z"]},
    {"name":"origin","datatype":"BYTES","shape":[2],"data":["LAX","LAX"]},{"name":"miles",
    "datatype":"INT64","shape":[2],"data":[400,400]}]})";
  const auto refused = http.post("/v2/models/trips/infer", oip);
  EXPECT_EQ(refused->status, 422) << refused->body;
  EXPECT_NE(refused->body.find("unknown-field/miles"), std::string::npos) << refused->body;
  EXPECT_EQ(world.of<plane::RequestRecord>().back().rows[1].rules[0], "unknown-field/miles");
}

TEST(DataPlane, ReadsWhatClientsWriteForMissingAndInfiniteValues) {
  World world;
  world.up();
  world.publish_and_wait();
  auto http = world.replayer();
  const auto outcome = [&](const std::string& distance) {
    const auto reply =
        http.post("/v1/services/trips/predict",
                  fmt::format(R"({{"rows":[{{"date":"2001-04-10T05:00:00Z","origin":"LAX \"NaN\\",)"
                              R"("distance":{}}}]}})",
                              distance));
    const plane::RowRecord row = world.of<plane::RequestRecord>().back().rows[0];
    return fmt::format("{} {} {}", reply->status, static_cast<int>(row.fields[2].kind),
                       row.fields[1].s);
  };
  const std::string missing = outcome("null");
  EXPECT_EQ(outcome("NaN"), missing);
  const plane::RequestRecord request = world.of<plane::RequestRecord>().back();
  EXPECT_EQ(request.rows[0].fields[1].s, "LAX \"NaN\\") << "a string is left alone";
  (void)outcome("-Infinity");
  const plane::RowRecord row = world.of<plane::RequestRecord>().back().rows[0];
  EXPECT_EQ(row.fields[2].d, -std::numeric_limits<double>::infinity());
  // JSON's numbers have no bounds. What an integer cannot hold refuses its row, not the request.
  const auto value = [&](const std::string& distance) {
    const std::string reply = outcome(distance);
    const plane::RowRecord sent = world.of<plane::RequestRecord>().back().rows[0];
    return reply.substr(0, 4) + fmt::format("{}", sent.fields[2].datum().number());
  };
  EXPECT_EQ(value("123456789012345678901234567890"), "422 1.2345678901234568e+29");
  EXPECT_EQ(value("-9223372036854775809"), "422 -9.223372036854776e+18");
  EXPECT_EQ(value("1e400"), "422 inf");
  EXPECT_EQ(value("-1" + std::string(400, '0')), "422 -inf");
  EXPECT_EQ(value("1e-400"), "422 0") << "it rounds to 0";
  for (const char* number : {"05", "5.", ".5", "+5", "1_0", "0x5", "1e", "5-", "--5"}) {
    const std::string body = fmt::format(R"({{"rows":[{{"distance":{}}}]}})", number);
    EXPECT_EQ(World::json(http.post("/v1/services/trips/predict", body)).string_or("id"),
              "request-json")
        << number;
  }
  EXPECT_EQ(World::json(http.post("/v1/services/trips/predict", R"({"rows":[{"distance":Nan}]})"))
                .string_or("id"),
            "request-json");
  // tritonclient with `binary_data=False` and a NaN in the array; null members, as generated
  // clients write them.
  const std::string oip =
      fmt::format(R"({{"id":null,"parameters":null,"outputs":null,"model_name":null,"inputs":[
    {{"name":"date","datatype":"BYTES","shape":[1],"data":["2001-04-10T05:00:00Z"],
    "parameters":null}},
    {{"name":"origin","datatype":"BYTES","shape":[1],"data":["LAX"]}},{{"name":"distance",
    "datatype":"FP64","shape":[1],"data":[{}]}}]}})",
                  "NaN");
  const auto reply = http.post("/v2/models/trips/infer", oip);
  EXPECT_TRUE(reply->status == 200 || reply->status == 422) << reply->body;
  EXPECT_TRUE(world.of<plane::RequestRecord>().back().rows[0].fields[2].datum().is_null());
  EXPECT_EQ(
      http.post("/v1/services/trips/predict",
                fmt::format(R"({{"rows":[{}],"request_id":null,"source":null,"event_time":null,)"
                            R"("explain":null}})",
                            kGoodRow))
          ->status,
      200);
  EXPECT_EQ(
      World::json(http.post("/v1/services/trips/predict", R"({"rows":null})")).string_or("id"),
      "request-shape");
}

TEST(DataPlane, DeniesByDefault) {
  World world;
  world.up();
  world.publish_and_wait();
  const std::string body = fmt::format(R"({{"rows":[{}]}})", kGoodRow);
  for (const char* path :
       {"/v1/services/trips/predict", "/v1/services/trips/labels", "/v1/services/trips/tick",
        "/v1/services/trips/stop", "/v2/models/trips/infer", "/v2/models/other/infer",
        "/v1/services/other/predict", "/nowhere"}) {
    EXPECT_EQ(world.client("").post(path, body)->status, 401) << path;
    EXPECT_EQ(world.client("replayer-secret-0002").post(path, body)->status, 401) << path;
  }
  for (const char* path : {"/metrics", "/v2", "/v2/models/trips", "/v1/services/trips", "/nowhere"})
    EXPECT_EQ(world.client("").get(path)->status, 401) << path;
  auto app = world.client("app-secret-0000000002");
  EXPECT_EQ(app.post("/v1/services/trips/predict", body)->status, 200);
  EXPECT_EQ(app.post("/v1/services/trips/labels", R"({"labels":[]})")->status, 403);
  EXPECT_EQ(app.post("/v1/services/trips/tick", R"({"event_time":1})")->status, 403);
  EXPECT_EQ(app.post("/v1/services/trips/stop", "")->status, 403);
  const auto timed = app.post("/v1/services/trips/predict",
                              fmt::format(R"({{"rows":[{}],"event_time":5}})", kGoodRow));
  EXPECT_EQ(timed->status, 403);
  EXPECT_EQ(World::json(timed).string_or("id"), "event-time-denied");
  auto ops = world.client("ops-secret-0000000003");
  EXPECT_EQ(ops.post("/v1/services/trips/predict", body)->status, 403);
  const auto metrics = ops.get("/metrics");
  EXPECT_EQ(metrics->status, 200);
  EXPECT_NE(metrics->body.find("heddle_rows_total{service=\"trips\",outcome=\"served\"} 1"),
            std::string::npos)
      << metrics->body;
}

TEST(DataPlane, SpeaksTheOpenInferenceProtocol) {
  World world;
  world.up();
  world.publish_and_wait();
  auto http = world.replayer();
  EXPECT_EQ(http.get("/v2/")->status, 200);
  const auto model = World::json(http.get("/v2/models/trips"));
  EXPECT_EQ(model.string_or("name"), "trips");
  EXPECT_EQ(model.find("inputs")->size(), 3u);
  EXPECT_EQ(http.get("/v2/models/trips/ready")->status, 200);
  EXPECT_EQ(http.get("/v2/models/trips/versions/standby/ready")->status, 200);
  EXPECT_EQ(http.get("/v2/models/other/ready")->status, 404);
  const auto body = [](std::string_view shape, std::string_view distance) {
    return fmt::format(R"({{"id":"oip-1","parameters":{{"source":"s2"}},"inputs":[
      {{"name":"date","shape":{0},"datatype":"BYTES","data":["2001-04-10T05:00:00Z",
      "2001-04-10T05:00:00Z"]}},
      {{"name":"origin","shape":{0},"datatype":"BYTES","data":["LAX","LAX"]}},
      {{"name":"distance","shape":{0},"datatype":"INT64","data":{1}}}]}})",
                       shape, distance);
  };
  for (const auto& [shape, data] :
       {std::pair{"[2]", "[400,644]"}, std::pair{"[2,1]", "[[400],[644]]"},
        std::pair{"[2,1]", "[400,644]"}}) {
    const auto reply = http.post("/v2/models/trips/infer", body(shape, data));
    ASSERT_EQ(reply->status, 200) << reply->body;
    const auto answer = World::json(reply);
    EXPECT_EQ(answer.string_or("id"), "oip-1");
    EXPECT_EQ(answer.string_or("model_version"), world.bundles[0].str());
    const auto& outputs = answer.find("outputs")->as_array();
    ASSERT_EQ(outputs.size(), 2u);
    EXPECT_TRUE(outputs[0].find("data")->as_array()[0].is_number());
    EXPECT_TRUE(outputs[0].find("data")->as_array()[1].is_null());
    EXPECT_EQ(outputs[1].find("data")->as_array()[1].as_string(), "distance-of-origin");
  }
  const auto standby =
      World::json(http.post("/v2/models/trips/versions/standby/infer", body("[2]", "[400,644]")));
  EXPECT_EQ(standby.string_or("model_version"), world.bundles[1].str());
  EXPECT_EQ(http.post(fmt::format("/v2/models/trips/versions/{}/infer", world.bundles[1].str()),
                      body("[2]", "[400,644]"))
                ->status,
            200);
  EXPECT_EQ(http.post("/v2/models/trips/versions/7/infer", body("[2]", "[400,644]"))->status, 404);
  for (const auto& [shape, data] :
       {std::pair{"[3]", "[400,644]"}, std::pair{"[2]", "[400]"}, std::pair{"[2,2]", "[400,644]"},
        std::pair{"[2]", "[400,\"x\"]"}, std::pair{"[2]", "[[400,644]]"}, std::pair{"[0]", "[]"},
        std::pair{"[9]", "[1]"}, std::pair{"[-1]", "[1]"}}) {
    const auto reply = http.post("/v2/models/trips/infer", body(shape, data));
    EXPECT_TRUE(reply->status == 400 || reply->status == 413) << shape << data << reply->body;
  }
}

constexpr std::string_view kOipInputs =
    R"("inputs":[{"name":"date","shape":[1],"datatype":"BYTES","data":["2001-04-10T05:00:00Z"]},
  {"name":"origin","shape":[1],"datatype":"BYTES","data":["LAX"]},{"name":"distance","shape":[1],
  "datatype":"INT64","data":[400]}])";

TEST(DataPlane, RefusesRepeatedNamesOfTheOpenInferenceProtocol) {
  World world;
  world.up();
  world.publish_and_wait();
  auto http = world.replayer();
  const std::tuple<std::string, std::string> cases[] = {
      {R"("id":"a","id":"b")", "id"},
      {R"("id":"","id":"b")", "id"},
      {R"("model_name":"trips","model_name":"trips")", "model_name"},
      {R"("model_version":null,"model_version":"1")", "model_version"},
      {R"("parameters":null,"parameters":{})", "parameters"},
      {R"("outputs":[],"outputs":[{"name":"probability"}])", "outputs"},
      {R"("outputs":[{"name":"probability"},{"name":"validation"},{"name":"probability"}])",
       "probability"},
      {R"("outputs":[{"name":"probability","name":"validation"}])", "name"},
      {R"("outputs":[{"name":"probability","parameters":{},"parameters":{}}])", "parameters"},
      {R"("outputs":[{"name":"probability","parameters":{"binary_data":true,)"
       R"("binary_data":false}}])",
       "binary_data"},
      {std::string(kOipInputs), "inputs"},
      {R"("parameters":{"source":"s1","source":"s2"})", "source"},
      {R"("parameters":{"event_time":1,"event_time":2})", "event_time"},
      {R"("parameters":{"timeout":1000000,"timeout":0})", "timeout"},
      {R"("parameters":{"explain":true,"explain":false})", "explain"},
      {R"("parameters":{"binary_data_output":true,"binary_data_output":false})",
       "binary_data_output"},
  };
  const auto refused = [&](const std::string& body, const std::string& name) {
    const auto reply = http.post("/v2/models/trips/infer", body);
    EXPECT_EQ(reply->status, 400) << body << reply->body;
    EXPECT_EQ(World::json(reply).string_or("id"), "request-repeated") << body << reply->body;
    EXPECT_EQ(World::json(reply).string_or("error"),
              fmt::format("`{}` appears more than once", name))
        << body;
  };
  for (const auto& [members, name] : cases)
    refused(fmt::format("{{{},{}}}", members, kOipInputs), name);
  for (const auto& [members, name] :
       {std::pair{
            R"("name":"distance","name":"distance","datatype":"INT64","shape":[1],"data":[400])",
            "name"},
        std::pair{
            R"("name":"distance","datatype":"INT32","datatype":"INT64","shape":[1],"data":[400])",
            "datatype"},
        std::pair{R"("name":"distance","datatype":"INT64","shape":[2],"shape":[1],"data":[400])",
                  "shape"},
        std::pair{R"("name":"distance","datatype":"INT64","shape":[1],"data":[1],"data":[400])",
                  "data"},
        std::pair{
            R"("name":"distance","datatype":"INT64","shape":[1],"parameters":{},"parameters":{},)"
            R"("data":[400])",
            "parameters"},
        std::pair{R"("name":"distance","datatype":"INT64","shape":[1],)"
                  R"("parameters":{"binary_data_size":4,"binary_data_size":8})",
                  "binary_data_size"}}) {
    refused(fmt::format("{{\"inputs\":[{{{}}}]}}", members), name);
  }
  EXPECT_EQ(World::json(http.post("/v1/services/trips/predict",
                                  R"({"rows":[{}],"explain":true,"explain":false})"))
                .string_or("id"),
            "request-repeated");
  EXPECT_EQ(World::json(http.post("/v1/services/trips/tick", R"({"event_time":1,"event_time":2})"))
                .string_or("id"),
            "request-repeated");
  for (const char* label :
       {R"({"row_id":"a#0","row_id":"b#0","label":1})", R"({"row_id":"a#0","label":1,"label":0})",
        R"({"row_id":"a#0","label":1,"event_time":1,"event_time":2})"}) {
    EXPECT_EQ(World::json(http.post("/v1/services/trips/labels",
                                    fmt::format(R"({{"labels":[{}]}})", label)))
                  .string_or("id"),
              "request-repeated")
        << label;
  }
}

TEST(DataPlane, WhatAnOutputSaysStandsBeforeTheParametersInAnyOrder) {
  World world;
  world.up();
  world.publish_and_wait();
  auto http = world.replayer();
  const std::string parameters = R"("parameters":{"binary_data_output":true,"explain":false})";
  const std::string outputs =
      R"("outputs":[{"name":"probability","parameters":{"binary_data":false}},)"
      R"({"name":"validation"},{"name":"contributions"}])";
  for (const std::string& body : {fmt::format("{{{},{},{}}}", parameters, outputs, kOipInputs),
                                  fmt::format("{{{},{},{}}}", kOipInputs, outputs, parameters)}) {
    const auto reply = http.post("/v2/models/trips/infer", body);
    ASSERT_EQ(reply->status, 200) << reply->body;
    const std::size_t json =
        std::stoul(std::string(reply->header("inference-header-content-length")));
    const auto answer = doc::parse_json(reply->body.substr(0, json));
    ASSERT_TRUE(answer.ok()) << reply->body;
    const auto& given = answer->find("outputs")->as_array();
    ASSERT_EQ(given.size(), 3u) << reply->body;
    EXPECT_NE(given[0].find("data"), nullptr) << "the output's own word";
    EXPECT_NE(given[1].find("parameters"), nullptr) << "the request's";
    EXPECT_NE(given[2].find("parameters"), nullptr) << "the request's";
  }
}

TEST(DataPlane, SwapsByRouteTableAndRefusesForgedOrOldOnes) {
  World world;
  world.up();
  world.publish_and_wait();
  auto http = world.replayer();
  std::swap(world.route.primary, world.route.standby);
  world.publish_and_wait();
  EXPECT_EQ(world.predict(http, kGoodRow).string_or("bundle"), world.bundles[1].str());
  const auto in_force = [&] { return World::json(http.get("/v1/services/trips")); };
  const auto refused = [&] {
    const std::string text = world.client("ops-secret-0000000003").get("/metrics")->body;
    const auto at = text.find("heddle_routes_refused_total{");
    return std::stoi(text.substr(text.find(' ', at)));
  };
  // An older table, signed, put back.
  plane::RouteTable old = world.route;
  old.version = 1;
  int before = refused();
  ASSERT_TRUE(plane::write_route(world.route_path(), old, world.key).ok());
  while (refused() == before) std::this_thread::yield();
  // A newer one by another key.
  plane::RouteTable forged = world.route;
  forged.version = 99;
  before = refused();
  ASSERT_TRUE(plane::write_route(world.route_path(), forged, *Ed25519Key::generate()).ok());
  while (refused() == before) std::this_thread::yield();
  // A newer one that names a bundle with a changed byte.
  world.objects.flip(world.bundles[2]);
  plane::RouteTable tampered = world.route;
  tampered.version = 50;
  tampered.primary = world.bundles[2];
  before = refused();
  ASSERT_TRUE(plane::write_route(world.route_path(), tampered, world.key).ok());
  while (refused() == before) std::this_thread::yield();
  EXPECT_EQ(in_force().int_or("route_version"), 2);
  EXPECT_EQ(world.predict(http, kGoodRow).string_or("bundle"), world.bundles[1].str());
  // Once its bytes are right it is taken without a new table.
  world.objects.flip(world.bundles[2]);
  world.wait_applied(50);
  EXPECT_EQ(world.predict(http, kGoodRow).string_or("bundle"), world.bundles[2].str());
}

TEST(DataPlane, AfterARestartAnOlderTableIsStillRefused) {
  World world;
  world.up();
  world.route.version = 7;
  world.publish_and_wait();
  world.down();
  plane::RouteTable old = world.route;
  old.version = 3;
  ASSERT_TRUE(plane::write_route(world.route_path(), old, world.key).ok());
  world.up();
  world.route.version = 8;
  std::this_thread::yield();
  EXPECT_EQ(world.replayer().get("/v2/health/ready")->status, 503);
  world.publish_and_wait();
  EXPECT_EQ(world.replayer().get("/v2/health/ready")->status, 200);
}

TEST(DataPlane, AnOlderTableIsRefusedAlsoWhereTheJournalIsGone) {
  World world;
  world.up();
  world.route.version = 7;
  world.publish_and_wait();
  world.down();
  std::filesystem::remove_all(world.dir + "/spool");
  plane::RouteTable old = world.route;
  old.version = 3;
  ASSERT_TRUE(plane::write_route(world.route_path(), old, world.key).ok());
  world.up();
  EXPECT_EQ(world.replayer().get("/v2/health/ready")->status, 503);
  world.publish_and_wait();
  EXPECT_EQ(world.replayer().get("/v2/health/ready")->status, 200);
}

TEST(DataPlane, FailsOverOnlyWhenAuthorisedAndStandsByIt) {
  World world;
  world.objects.erase(world.bundles[0]);  // the primary cannot be loaded
  world.route.fail_over_allowed = true;
  world.up();
  world.publish_and_wait();
  auto http = world.replayer();
  EXPECT_EQ(world.predict(http, kGoodRow).string_or("slot"), "standby");
  auto acts = world.of<plane::ActRecord>();
  ASSERT_EQ(acts.size(), 1u);
  EXPECT_EQ(acts[0].act, "fail-over");
  EXPECT_EQ(world.of<plane::AppliedRecord>().back().standing, std::vector<std::string>{acts[0].id});
  // A table that does not know of it changes nothing, a restart neither.
  world.publish_and_wait();
  EXPECT_EQ(world.predict(http, kGoodRow).string_or("slot"), "standby");
  world.down();
  world.up();
  world.wait_applied(world.route.version);
  auto again = world.replayer();
  while (again.get("/v2/health/ready")->status != 200) std::this_thread::yield();
  EXPECT_EQ(world.predict(again, kGoodRow).string_or("slot"), "standby");
  // What was left does not come back; another release does.
  world.route.primary = world.bundles[2];
  world.publish_and_wait();
  EXPECT_EQ(world.predict(again, kGoodRow).string_or("bundle"), world.bundles[2].str());
  EXPECT_EQ(world.of<plane::AppliedRecord>().back().standing, std::vector<std::string>{acts[0].id});
  world.route.acknowledged = {acts[0].id};
  world.publish_and_wait();
  EXPECT_TRUE(world.of<plane::AppliedRecord>().back().standing.empty());
  EXPECT_EQ(world.of<plane::ActRecord>().size(), 1u);
}

TEST(DataPlane, AStopBehindADamagedRecordStandsAfterARestart) {
  World world;
  world.up();
  world.publish_and_wait();
  auto http = world.replayer();
  (void)world.predict(http, kGoodRow);
  const auto segment = plane::list_segments(world.dir + "/spool/trips").value().back();
  const std::string path = plane::segment_path(world.dir + "/spool/trips", segment);
  const std::string before = *read_file(path);
  EXPECT_EQ(world.client("ops-secret-0000000003").post("/v1/services/trips/stop", "")->status, 200);
  world.down();
  // In the request, which stands before the stop.
  std::string bytes = *read_file(path);
  const auto at = before.find("q-1");
  ASSERT_NE(at, std::string::npos);
  bytes[at] = static_cast<char>(bytes[at] ^ 1);
  ASSERT_TRUE(write_file_atomic(path, bytes).ok());
  world.up();
  world.wait_applied(world.route.version);
  auto again = world.replayer();
  (void)world.predict(again, kGoodRow, "s1", 503);
  const auto gaps = world.of<plane::GapRecord>();
  ASSERT_EQ(gaps.size(), 1u);
  EXPECT_NE(gaps[0].reason.find("cannot be read"), std::string::npos) << gaps[0].reason;
  EXPECT_EQ(world.of<plane::StopRecord>().size(), 1u);
}

TEST(DataPlane, QuarantinesASourceAndLetsItInAgainWhenItIsClean) {
  World world;
  world.route.quarantined = {{"s2", "distance-of-origin", 3}};
  world.up();
  world.publish_and_wait();
  auto http = world.replayer();
  EXPECT_EQ(world.predict(http, kGoodRow, "s1").string_or("slot"), "primary");
  // Two clean, one broken: the count begins again.
  const auto answer = world.predict(http, fmt::format("{0},{0},{1}", kGoodRow, kFarRow), "s2", 422);
  EXPECT_EQ(answer.find("predictions")->as_array()[0].find("validation")->as_array()[0].as_string(),
            "source-quarantined");
  (void)world.predict(http, fmt::format("{0},{0}", kGoodRow), "s2", 422);
  // A row that says nothing of the rule is not positively clean.
  (void)world.predict(http, R"({"date":"2001-04-10T05:00:00Z","distance":400})", "s2", 422);
  EXPECT_TRUE(world.of<plane::ActRecord>().empty());
  // The third clean row lets it in; the fourth is served.
  const auto last = world.predict(http, fmt::format("{0},{0}", kGoodRow), "s2");
  EXPECT_TRUE(last.find("predictions")->as_array()[0].find("probability")->is_null());
  EXPECT_TRUE(last.find("predictions")->as_array()[1].find("probability")->is_number());
  const auto acts = world.of<plane::ActRecord>();
  ASSERT_EQ(acts.size(), 1u);
  EXPECT_EQ(acts[0].act, "source-readmit");
  EXPECT_EQ(acts[0].target, "s2");
  // It stands until a table knows of it.
  world.publish_and_wait();
  (void)world.predict(http, kGoodRow, "s2");
  world.route.acknowledged = {acts[0].id};
  world.publish_and_wait();
  (void)world.predict(http, kGoodRow, "s2", 422);
  world.route.quarantined.clear();
  world.publish_and_wait();
  (void)world.predict(http, kGoodRow, "s2");
}

TEST(DataPlane, AQuarantineOfOneAccountTakesTheSourceFromNobodyElse) {
  World world;
  world.route.quarantined = {{"s2", "distance-of-origin", 2, "app"}};
  world.up();
  world.publish_and_wait();
  auto app = world.client("app-secret-0000000002");
  const auto send = [&](const std::string& rows, const std::string& source = "s2") {
    return app
        .post("/v1/services/trips/predict",
              fmt::format(R"({{"rows":[{}],"source":"{}"}})", rows, source))
        ->status;
  };
  EXPECT_EQ(send(kGoodRow), 422);
  EXPECT_EQ(send(kGoodRow, "s1"), 200);
  auto other = world.replayer();
  // Rows of others are answered, and count neither for it nor against it.
  (void)world.predict(other, fmt::format("{0},{0},{0}", kGoodRow), "s2");
  const auto refused = world.predict(other, kFarRow, "s2", 422);
  EXPECT_EQ(
      refused.find("predictions")->as_array()[0].find("validation")->as_array()[0].as_string(),
      "distance-of-origin");
  EXPECT_TRUE(world.of<plane::ActRecord>().empty());
  EXPECT_EQ(send(kGoodRow), 422);
  const auto acts = world.of<plane::ActRecord>();
  ASSERT_EQ(acts.size(), 1u);
  EXPECT_EQ(acts[0].target, "s2");
  EXPECT_EQ(acts[0].account, "app");
  EXPECT_EQ(send(kGoodRow), 200);
  // What ended for one account did not end for another.
  world.route.quarantined = {{"s2", "distance-of-origin", 2, "app"},
                             {"s2", "distance-of-origin", 2, "replayer"}};
  world.publish_and_wait();
  EXPECT_EQ(send(kGoodRow), 200);
  (void)world.predict(other, kGoodRow, "s2", 422);
}

TEST(DataPlane, StopsAtOnceAndOnlyAnAcknowledgingTableStartsItAgain) {
  World world;
  world.up();
  world.publish_and_wait();
  auto ops = world.client("ops-secret-0000000003");
  EXPECT_EQ(ops.post("/v1/services/trips/stop", "")->status, 200);
  auto http = world.replayer();
  (void)world.predict(http, kGoodRow, "s1", 503);
  const auto stops = world.of<plane::StopRecord>();
  ASSERT_EQ(stops.size(), 1u);
  EXPECT_EQ(stops[0].by, "ops");
  world.publish();  // does not acknowledge it
  world.down();
  world.up();
  auto again = world.replayer();
  (void)world.predict(again, kGoodRow, "s1", 503);
  world.route.acknowledged = {stops[0].id};
  world.route.stopped = true;
  world.publish_and_wait();
  (void)world.predict(again, kGoodRow, "s1", 503);
  world.route.stopped = false;
  world.publish_and_wait();
  (void)world.predict(again, kGoodRow, "s1", 200);
}

TEST(DataPlane, AStopOfWhatStandsStoppedIsTheSameStop) {
  World world;
  world.up();
  world.publish_and_wait();
  auto ops = world.client("ops-secret-0000000003");
  const std::string first = World::json(ops.post("/v1/services/trips/stop", "")).string_or("id");
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(World::json(ops.post("/v1/services/trips/stop", "")).string_or("id"), first);
  }
  EXPECT_EQ(world.of<plane::StopRecord>().size(), 1u);
  world.down();
  world.up();
  auto again = world.client("ops-secret-0000000003");
  EXPECT_EQ(World::json(again.post("/v1/services/trips/stop", "")).string_or("id"), first);
  // Once a table has taken it up it does not stand any more. Another one is another stop: it may
  // come before the table that lets the service go on.
  world.route.acknowledged = {first};
  world.route.stopped = true;
  world.publish_and_wait();
  EXPECT_NE(World::json(again.post("/v1/services/trips/stop", "")).string_or("id"), first);
  EXPECT_EQ(world.of<plane::StopRecord>().size(), 2u);
}

TEST(DataPlane, ItsOwnerStopsItOverItsSocketAndNothingElse) {
  World world;
  world.up();
  world.publish_and_wait();
  auto owner = world.owner();
  EXPECT_FALSE(World::json(owner.get("/v1/services/trips")).bool_or("stopped", true));
  for (const char* path : {"/v1/services/trips/predict", "/v1/services/trips/labels",
                           "/v1/services/trips/tick", "/v2/models/trips/infer"})
    EXPECT_EQ(owner.post(path, "{}")->status, 401) << path;
  EXPECT_EQ(owner.post("/v1/services/trips/stop", "{}")->status, 200);
  EXPECT_TRUE(World::json(owner.get("/v1/services/trips")).bool_or("stopped"));
  EXPECT_TRUE(world.of<plane::StopRecord>().at(0).by.starts_with("owner:"));
  auto http = world.replayer();
  (void)world.predict(http, kGoodRow, "s1", 503);
}

TEST(DataPlane, ServesWhereItsSocketCannotBeMade) {
  World world;
  ASSERT_TRUE(write_file_atomic(world.dir + "/data", "a file").ok());
  world.up();
  world.publish_and_wait();
  auto http = world.replayer();
  (void)world.predict(http, kGoodRow);
}

TEST(DataPlane, WhatAMessageQuotesIsBounded) {
  World world;
  world.up();
  world.publish_and_wait();
  auto http = world.replayer();
  const std::string name(100'000, 'n');
  for (const std::string& body : {fmt::format(R"({{"rows":[{{}}],"{}":1}})", name),
                                  fmt::format(R"({{"rows":[{{}}],"source":"{}"}})", name),
                                  fmt::format(R"({{"rows":[{{"origin":1,"{}":1}}]}})", name),
                                  fmt::format(R"({{"{}":1}})", name)}) {
    const auto reply = http.post("/v1/services/trips/predict", body);
    EXPECT_LT(reply->body.size(), 2000u) << body.substr(0, 40);
  }
  for (const std::string& body :
       {fmt::format(R"({{"inputs":[{{"name":"{0}","shape":[1],"datatype":"{0}","data":[1]}}]}})",
                    name),
        fmt::format(R"({{"inputs":[{{"name":"{0}","shape":[1,2,3],"datatype":"BYTES"}}]}})", name),
        fmt::format(R"({{"inputs":[{{"{0}":1}}]}})", name),
        fmt::format(R"({{"model_name":"{0}","inputs":[{{"name":"origin","shape":[1],)"
                    R"("datatype":"BYTES","data":["LAX"]}}]}})",
                    name)}) {
    const auto reply = http.post("/v2/models/trips/infer", body);
    EXPECT_EQ(reply->status, 400);
    EXPECT_LT(reply->body.size(), 2000u) << body.substr(0, 40);
  }
}

TEST(DataPlane, SwapsUnderLoadWithoutAFailedOrMixedAnswer) {
  World world;
  world.up();
  world.publish_and_wait();
  std::map<std::string, double> expected;
  {
    auto http = world.replayer();
    for (int i = 0; i < 2; ++i) {
      const auto answer = world.predict(http, kGoodRow);
      expected[answer.string_or("bundle")] =
          answer.find("predictions")->as_array()[0].double_or("probability");
      std::swap(world.route.primary, world.route.standby);
      world.publish_and_wait();
    }
  }
  ASSERT_EQ(expected.size(), 2u);
  std::atomic<bool> ending{false};
  std::atomic<int> answered{0};
  std::thread load([&] {
    auto http = world.client("app-secret-0000000002");
    const std::string body = fmt::format(R"({{"rows":[{}]}})", kGoodRow);
    std::int64_t version = 0;
    while (!ending) {
      const auto reply = http.post("/v1/services/trips/predict", body);
      EXPECT_TRUE(reply.ok()) << reply.error().str();
      ++answered;
      if (!reply.ok()) continue;
      EXPECT_EQ(reply->status, 200) << reply->body;
      if (reply->status != 200) continue;
      const auto answer = World::json(reply);
      EXPECT_EQ(answer.find("predictions")->as_array()[0].double_or("probability"),
                expected.at(answer.string_or("bundle")));
      EXPECT_GE(answer.int_or("route_version"), version);
      version = answer.int_or("route_version");
    }
  });
  for (int i = 0; i < 50; ++i) {
    std::swap(world.route.primary, world.route.standby);
    world.publish_and_wait();
  }
  const int target = answered + 20;
  while (answered < target) std::this_thread::yield();
  ending = true;
  load.join();
}

TEST(DataPlane, AKillLosesNoAnsweredRequest) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the thread sanitizer does not follow a fork that starts threads";
#endif
  World world;
  world.publish();
  for (int round = 0; round < 5; ++round) {
    int ready[2];
    ASSERT_EQ(::pipe(ready), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      world.up();
      const int port = world.plane->port();
      (void)!::write(ready[1], &port, sizeof port);
      ::pause();
    }
    int port = 0;
    ASSERT_EQ(::read(ready[0], &port, sizeof port), static_cast<ssize_t>(sizeof port));
    ::close(ready[0]);
    ::close(ready[1]);
    net::HttpClient::Options options;
    options.port = port;
    options.token = "app-secret-0000000002";
    net::HttpClient http(options);
    while (http.get("/v2/health/ready")->status != 200) std::this_thread::yield();
    std::thread killer([&] {
      for (int i = 0; i < 50 + round * 40; ++i) std::this_thread::yield();
      ::kill(child, SIGKILL);
    });
    std::vector<std::string> answered;
    for (int i = 0;; ++i) {
      const std::string id = fmt::format("k-{}-{}", round, i);
      const auto reply =
          http.post("/v1/services/trips/predict",
                    fmt::format(R"({{"rows":[{}],"request_id":"{}"}})", kGoodRow, id));
      if (!reply.ok()) break;
      ASSERT_EQ(reply->status, 200);
      answered.push_back(id);
    }
    killer.join();
    ::waitpid(child, nullptr, 0);
    std::set<std::string> recorded;
    for (const auto& request : world.of<plane::RequestRecord>())
      EXPECT_TRUE(recorded.insert(request.request_id).second) << "recorded twice";
    for (const auto& id : answered) EXPECT_TRUE(recorded.contains(id)) << id;
  }
}

TEST(Tokens, ShortSecretsAreNotAccepted) {
  const Tokens tokens(
      {{"a", "short", {"predict"}}, {"b", "long-enough-secret", {"predict", "unknown"}}});
  EXPECT_EQ(tokens.find("short"), nullptr);
  EXPECT_EQ(tokens.find(""), nullptr);
  ASSERT_NE(tokens.find("long-enough-secret"), nullptr);
  EXPECT_TRUE(tokens.find("long-enough-secret")->may(Permission::kPredict));
  EXPECT_FALSE(tokens.find("long-enough-secret")->may(Permission::kReplay));
}

TEST(Tokens, FollowTheRightsThatCountNow) {
  Tokens tokens({{"app", "app-secret-0000000002", {"predict"}},
                 {"ops", "ops-secret-0000000003", {"read", "stop"}}});
  const Principal* app = tokens.find("app-secret-0000000002");
  ASSERT_NE(app, nullptr);
  tokens.set_rights({{"app", {{"read"}}}});
  EXPECT_EQ(tokens.find("app-secret-0000000002"), app) << "who asks stays the same account";
  EXPECT_FALSE(app->may(Permission::kPredict));
  EXPECT_TRUE(app->may(Permission::kRead));
  EXPECT_EQ(tokens.find("ops-secret-0000000003"), nullptr) << "it is no account any more";
  EXPECT_EQ(tokens.allow("ops-secret-0000000003", Permission::kStop, "trips").error().id,
            "token-unknown");
  tokens.set_rights({{"app", {{"predict"}, {"s1"}}}, {"ops", {{"stop"}}}});
  EXPECT_EQ(app->sources, std::vector<std::string>{"s1"}) << "its sources follow too";
  EXPECT_TRUE(app->may(Permission::kPredict));
  EXPECT_TRUE(tokens.allow("ops-secret-0000000003", Permission::kStop, "trips").ok());
}

TEST(Tokens, AllowWhatTheAccountMayAndSayWhyNot) {
  const Tokens tokens({{"app", "app-secret-0000000002", {"predict"}},
                       {"ops", "ops-secret-0000000003", {"read"}},
                       {"labels", "labels-secret-0000004", {"label"}}});
  EXPECT_EQ((*tokens.allow("app-secret-0000000002", Permission::kPredict, "trips"))->account,
            "app");
  EXPECT_EQ(tokens.allow("", Permission::kPredict, "trips").error().message,
            "the request has no bearer token");
  EXPECT_EQ(tokens.allow("app-secret-0000000009", Permission::kPredict, "trips").error().id,
            "token-unknown");
  const auto denied = tokens.allow("ops-secret-0000000003", Permission::kStop, "trips");
  EXPECT_EQ(denied.error().kind, ErrorKind::kDenied);
  EXPECT_EQ(denied.error().message, "`ops` may not stop on service `trips`");
  EXPECT_TRUE(tokens.allow_reading("app-secret-0000000002", "trips").ok())
      << "who may predict may see what with";
  EXPECT_TRUE(tokens.allow_reading("ops-secret-0000000003", "trips").ok());
  EXPECT_EQ(tokens.allow_reading("labels-secret-0000004", "trips").error().message,
            "`labels` may not read on service `trips`");
}

}  // namespace
}  // namespace heddle::serve

#if defined(__SANITIZE_THREAD__)
// A worker is forked while Arrow's allocator holds its locks: these are more than the sanitizer's
// check of their order counts.
extern "C" const char* __tsan_default_options() { return "detect_deadlocks=0"; }
#endif
