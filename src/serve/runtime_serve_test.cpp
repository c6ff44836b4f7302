#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>

#include <fmt/format.h>

#include "base/file.hpp"
#include "doc/json.hpp"
#include "net/client.hpp"
#include "plane/journal.hpp"
#include "plane/route.hpp"
#include "score/bundle_fixture.hpp"
#include "serve/serve.hpp"

namespace heddle::serve {
namespace {

using score::fixture::MemoryObjects;
constexpr const char* kGoodRow = R"({"date":"2001-04-10T05:00:00Z","origin":"LAX","distance":400})";
constexpr const char* kFarRow = R"({"date":"2001-04-10T05:00:00Z","origin":"LAX","distance":644})";
constexpr const char* kTrips = "/v1/services/trips/predict";

/// A data plane on a thread of its own whose bundles are a native one and two of workers.
class RuntimeWorld {
 public:
  RuntimeWorld() {
    std::string name = ::testing::TempDir() + "/heddle-runtimes-XXXXXX";
    dir = std::filesystem::canonical(::mkdtemp(name.data())).string();
    key = *Ed25519Key::generate();
    native = *score::fixture::pack(objects, 0.5);
    auto packed = score::fixture::pack_worker(objects);
    EXPECT_TRUE(packed.ok()) << packed.error().str();
    worker = *packed;
    route.service = "trips";
    route.decision = "ledger/1";
    Options options;
    options.heddle_dir = dir;
    options.service.identity.name = "trips";
    options.service.port = 0;
    options.service.grpc_port = 0;
    options.objects = &objects;
    options.control_key = key.public_key;
    options.lockstep = true;
    options.tokens = {{"app", "app-secret-0000000002", {"predict", "read"}}};
    auto opened = DataPlane::open(std::move(options));
    EXPECT_TRUE(opened.ok()) << opened.error().str();
    plane = std::move(*opened);
    thread = std::thread([this] { plane->run(); });
  }
  ~RuntimeWorld() {
    plane->stop();
    thread.join();
    plane.reset();
    EXPECT_TRUE(list_dir(dir + "/runtime").empty()) << "a worker left its folder";
    std::filesystem::remove_all(dir);
  }

  net::HttpClient client() const {
    net::HttpClient::Options options;
    options.port = plane->port();
    options.token = "app-secret-0000000002";
    return net::HttpClient(options);
  }
  static doc::Value json(const Result<net::HttpClient::Reply>& reply) {
    EXPECT_TRUE(reply.ok()) << reply.error().str();
    auto value = doc::parse_json(reply->body);
    EXPECT_TRUE(value.ok()) << reply->body;
    return value.ok() ? *value : doc::Value();
  }
  void publish(const Digest& primary, const Digest& standby = {}, const Digest& shadow = {}) {
    ++route.version;
    route.primary = primary;
    route.standby = standby;
    route.shadow = shadow;
    ASSERT_TRUE(make_dirs(dir + "/routes").ok());
    ASSERT_TRUE(plane::write_route(dir + "/routes/trips.json", route, key).ok());
  }
  void publish_and_wait(const Digest& primary, const Digest& standby = {},
                        const Digest& shadow = {}) {
    publish(primary, standby, shadow);
    auto http = client();
    until([&] {
      return static_cast<std::uint64_t>(
                 json(http.get("/v1/services/trips")).int_or("route_version")) >= route.version;
    });
  }
  template <class F>
  static void until(F holds) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!holds()) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline);
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }
  template <class T>
  std::vector<T> records_of() const {
    auto reader = plane::JournalReader::open(dir + "/spool/trips");
    std::vector<T> records;
    while (true) {
      auto record = (*reader)->next();
      if (!record.ok() || !record->has_value()) return records;
      if (auto* one = std::get_if<T>(&**record)) records.push_back(*one);
    }
  }
  std::vector<plane::RequestRecord> requests() const { return records_of<plane::RequestRecord>(); }

  std::string dir;
  Ed25519Key key;
  MemoryObjects objects;
  Digest native, worker;
  plane::RouteTable route;
  std::unique_ptr<DataPlane> plane;
  std::thread thread;
};

std::string body(std::string_view rows, std::string_view id) {
  return fmt::format(R"({{"rows":[{}],"request_id":"{}"}})", rows, id);
}

TEST(RuntimeSlot, AnswersLaterAndJournalsAsANativeOne) {
  RuntimeWorld world;
  world.publish_and_wait(world.worker, world.native);
  auto http = world.client();
  const auto reply = http.post(kTrips, body(fmt::format("{},{}", kGoodRow, kFarRow), "a"));
  ASSERT_EQ(reply->status, 200) << reply->body;
  const auto answer = RuntimeWorld::json(reply);
  EXPECT_EQ(answer.string_or("bundle"), world.worker.str());
  const auto& predictions = answer.find("predictions")->as_array();
  EXPECT_NEAR(predictions[0].double_or("probability"), 0.05, 1e-6);
  EXPECT_EQ(predictions[1].find("validation")->as_array()[0].as_string(), "distance-of-origin");
  EXPECT_EQ(http.post(kTrips, body(kFarRow, "b"))->status, 422) << "nothing to ask the worker for";
  const auto oip = http.post("/v2/models/trips/infer",
                             R"({"id":"c","inputs":[{"name":"date","shape":[1],"datatype":"BYTES",
    "data":["2001-04-10T07:00:00Z"]},
    {"name":"origin","shape":[1],"datatype":"BYTES","data":["LAX"]},{"name":"distance","shape":[1],
    "datatype":"INT64","data":[400]}]})");
  ASSERT_EQ(oip->status, 200) << oip->body;
  EXPECT_NEAR(RuntimeWorld::json(oip)
                  .find("outputs")
                  ->as_array()[0]
                  .find("data")
                  ->as_array()[0]
                  .as_double(),
              0.07, 1e-6);
  const auto records = world.requests();
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[0].request_id, "a");
  EXPECT_EQ(records[0].slot, "primary");
  ASSERT_EQ(records[0].rows.size(), 2u);
  EXPECT_FLOAT_EQ(records[0].rows[0].prediction.at(0), 0.05f);
  EXPECT_GT(records[0].rows[0].standby_prediction.at(0), 0)
      << "the native standby is scored beside";
  EXPECT_EQ(records[0].rows[0].fields[1].s, "LAX");
  EXPECT_EQ(records[0].rows[1].outcome, plane::RowOutcome::kRefused);
  EXPECT_EQ(records[1].request_id, "b");
  const auto applied = world.records_of<plane::AppliedRecord>();
  ASSERT_FALSE(applied.empty());
  ASSERT_EQ(applied.back().sandboxes.size(), 1u) << "the native standby has none";
  EXPECT_EQ(applied.back().sandboxes[0].slot, "primary");
  EXPECT_EQ(applied.back().sandboxes[0].bundle, world.worker.str());
  EXPECT_NE(applied.back().sandboxes[0].in_force.find("seccomp"), std::string::npos);
}

doc::Value infer(net::HttpClient& http, std::string_view date) {
  const auto tensor = [](std::string_view name, std::string_view datatype, std::string_view value) {
    return fmt::format(R"({{"name":"{}","shape":[1],"datatype":"{}","data":[{}]}})", name, datatype,
                       value);
  };
  const std::string inputs = tensor("date", "BYTES", fmt::format("\"{}\"", date)) + "," +
                             tensor("origin", "BYTES", "\"LAX\"") + "," +
                             tensor("distance", "INT64", "400");
  return RuntimeWorld::json(
      http.post("/v2/models/trips/infer", fmt::format(R"({{"inputs":[{}]}})", inputs)));
}

TEST(RuntimeSlot, AnswersADistributionOverItsClasses) {
  RuntimeWorld world;
  const stats::Task task{stats::TaskKind::kClasses, {"low", "high", "none"}};
  // A logit of .1 more for the last class, which the worker gives no probability to.
  const auto packed =
      score::fixture::pack_worker(world.objects, "0", 0.1, task, stats::Conformal{0.9, 0.5});
  ASSERT_TRUE(packed.ok()) << packed.error().str();
  const auto shadow = score::fixture::pack_worker(world.objects, "0", 0, task);
  ASSERT_TRUE(shadow.ok()) << shadow.error().str();
  world.publish_and_wait(*packed, {}, *shadow);
  auto http = world.client();
  RuntimeWorld::until([&] { return http.get("/v2/health/ready")->status == 200; });
  const auto answer = RuntimeWorld::json(http.post(kTrips, body(kGoodRow, "a")));
  const doc::Value& row = answer.find("predictions")->as_array()[0];
  EXPECT_EQ(row.string_or("label"), "high");
  EXPECT_NEAR(row.find("probabilities")->double_or("low"), 0.05, 1e-6);
  EXPECT_NEAR(row.find("probabilities")->double_or("high"), 0.95, 1e-6);
  EXPECT_EQ(doc::to_json(*row.find("set")), R"(["high"])");
  const auto outputs = infer(http, "2001-04-10T06:00:00Z").find("outputs")->as_array();
  EXPECT_EQ(outputs[0].string_or("name"), "probabilities");
  EXPECT_EQ(doc::to_json(*outputs[0].find("shape")), "[1,3]");
  EXPECT_NEAR(outputs[0].find("data")->as_array()[0].as_double(), 0.06, 1e-6);
  EXPECT_EQ(doc::to_json(*outputs[1].find("data")), R"(["high"])");
  const auto records = world.requests();
  ASSERT_EQ(records.size(), 2U);
  ASSERT_EQ(records[0].rows[0].prediction.size(), 3U);
  EXPECT_FLOAT_EQ(records[0].rows[0].prediction[0], 0.05f);
}

TEST(RuntimeSlot, AnswersAValueWithItsInterval) {
  RuntimeWorld world;
  const stats::Task task{stats::TaskKind::kRegression};
  const auto packed =
      score::fixture::pack_worker(world.objects, "0", 7.5, task, stats::Conformal{0.9, 3});
  ASSERT_TRUE(packed.ok()) << packed.error().str();
  world.publish_and_wait(*packed);
  auto http = world.client();
  RuntimeWorld::until([&] { return http.get("/v2/health/ready")->status == 200; });
  const auto answer = RuntimeWorld::json(http.post(kTrips, body(kGoodRow, "a")));
  const doc::Value& row = answer.find("predictions")->as_array()[0];
  EXPECT_EQ(row.double_or("value"), 57.5) << "ten times the hour, and the calibration's offset";
  EXPECT_NEAR(row.double_or("lower"), 54.5, 1e-4);
  EXPECT_NEAR(row.double_or("upper"), 60.5, 1e-4);
  const auto outputs = infer(http, "2001-04-10T06:00:00Z").find("outputs")->as_array();
  EXPECT_EQ(outputs[0].string_or("name"), "value");
  EXPECT_EQ(outputs[0].find("data")->as_array()[0].as_double(), 67.5);
  const auto records = world.requests();
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0].rows[0].prediction, std::vector<float>{57.5f});
}

TEST(RuntimeSlot, WhoseAnswersAreOfAnotherTaskIsNotServed) {
  RuntimeWorld world;
  const stats::Task task{stats::TaskKind::kClasses, {"low", "high", "none"}};
  const auto good = score::fixture::pack_worker(world.objects, "0", 0, task);
  ASSERT_TRUE(good.ok()) << good.error().str();
  // The same bundle, but that its worker answers one probability a row.
  const auto bundle = bundle::open(world.objects, *good);
  auto layers = bundle->layers();
  for (auto& layer : layers) {
    const auto at = layer.bytes.find("\"--task\",\"classes\"");
    if (layer.title == bundle::kRuntime && at != std::string::npos)
      layer.bytes.replace(at, 18, "\"--task\",\"binary\"");
  }
  const auto other = bundle::pack(world.objects, layers, bundle->config());
  ASSERT_TRUE(other.ok());
  ASSERT_NE(*other, *good);
  world.publish_and_wait(*good);
  auto http = world.client();
  RuntimeWorld::until([&] { return http.get("/v2/health/ready")->status == 200; });
  world.publish(*other);
  RuntimeWorld::until([&] {
    return http.get("/metrics")->body.find("heddle_routes_refused_total{service=\"trips\"} 0") ==
           std::string::npos;
  });
  EXPECT_EQ(RuntimeWorld::json(http.post(kTrips, body(kGoodRow, "a"))).string_or("bundle"),
            good->str());
}

TEST(RuntimeSlot, IsSwappedUnderLoadWithoutAFailedRequest) {
  RuntimeWorld world;
  world.publish_and_wait(world.native, world.worker);
  std::atomic<bool> ending{false};
  std::atomic<int> failed{0};
  std::atomic<int> by_worker{0};
  std::atomic<int> by_native{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&] {
      auto http = world.client();
      while (!ending) {
        const auto reply = http.post(kTrips, fmt::format(R"({{"rows":[{}]}})", kGoodRow));
        if (!reply.ok() || reply->status != 200)
          ++failed;
        else if (reply->body.find(world.worker.str()) != std::string::npos)
          ++by_worker;
        else
          ++by_native;
      }
    });
  }
  for (int i = 0; i < 20; ++i) {
    std::atomic<int>& next = i % 2 == 0 ? by_worker : by_native;
    if (i % 2 == 0)
      world.publish(world.worker, world.native);
    else
      world.publish(world.native, world.worker);
    const int before = next;
    RuntimeWorld::until([&] { return next > before + 4; });
  }
  ending = true;
  for (auto& each : clients) each.join();
  EXPECT_EQ(failed, 0) << by_worker << " by the worker, " << by_native << " by the native model";
}

TEST(RuntimeSlot, IsComparedBesideANativePrimary) {
  RuntimeWorld world;
  world.publish_and_wait(world.native, {}, world.worker);
  auto http = world.client();
  RuntimeWorld::until([&] {
    return http.get("/metrics")
               ->body.find("heddle_runtime_up{service=\"trips\",slot=\"shadow\"} 1") !=
           std::string::npos;
  });
  const std::string name = "heddle_beside_rows_total{service=\"trips\",slot=\"shadow\"} ";
  RuntimeWorld::until([&] {
    EXPECT_EQ(http.post(kTrips, fmt::format(R"({{"rows":[{}]}})", kGoodRow))->status, 200);
    const std::string text = http.get("/metrics")->body;
    const auto at = text.find(name);
    return at != std::string::npos && std::stoi(text.substr(at + name.size())) >= 5;
  });
}

TEST(RuntimeSlot, AStandbyJoinsWhenItIsReadyAndAStartIsGivenUpAtTheEnd) {
  RuntimeWorld world;
  world.publish_and_wait(world.native, world.worker);
  auto http = world.client();
  RuntimeWorld::until(
      [&] { return http.get("/v2/models/trips/versions/standby/ready")->status == 200; });
  // One that never becomes ready holds up neither the table nor the end of the data plane.
  const auto silent = score::fixture::pack_worker(world.objects, "silent");
  ASSERT_TRUE(silent.ok());
  world.publish_and_wait(world.native, *silent);
  EXPECT_EQ(http.post(kTrips, body(kGoodRow, "a"))->status, 200);
  world.publish(*silent);
  EXPECT_EQ(RuntimeWorld::json(http.post(kTrips, body(kGoodRow, "b"))).string_or("bundle"),
            world.native.str());
}

TEST(RuntimeSlot, WithoutParityIsNotServed) {
  RuntimeWorld world;
  auto other = score::fixture::pack_worker(world.objects, "0.01");
  ASSERT_TRUE(other.ok());
  world.publish_and_wait(world.native);
  world.publish(*other);
  auto http = world.client();
  RuntimeWorld::until([&] {
    return http.get("/metrics")->body.find("heddle_routes_refused_total{service=\"trips\"} 0") ==
           std::string::npos;
  });
  EXPECT_EQ(RuntimeWorld::json(http.post(kTrips, body(kGoodRow, "a"))).string_or("bundle"),
            world.native.str());
}

}  // namespace
}  // namespace heddle::serve
