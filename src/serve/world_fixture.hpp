#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <unistd.h>

#include "base/file.hpp"
#include "doc/json.hpp"
#include "net/client.hpp"
#include "plane/journal.hpp"
#include "plane/route.hpp"
#include "score/bundle_fixture.hpp"
#include "serve/serve.hpp"

namespace heddle::serve::fixture {

using score::fixture::MemoryObjects;
inline constexpr const char* kGoodRow =
    R"({"date":"2001-04-10T05:00:00Z","origin":"LAX","distance":400})";
inline constexpr const char* kFarRow =
    R"({"date":"2001-04-10T05:00:00Z","origin":"LAX","distance":644})";  // x 1.609344

/// A data plane on a thread of its own over a temporary folder, with the control plane's pen in the
/// test's hand.
class World {
 public:
  World() {
    std::string name = ::testing::TempDir() + "/heddle-serve-XXXXXX";
    dir = ::mkdtemp(name.data());
    key = *Ed25519Key::generate();
    for (const double intercept : {-0.5, 0.5, 1.5}) {
      auto digest = score::fixture::pack(objects, intercept);
      EXPECT_TRUE(digest.ok()) << digest.error().str();
      bundles.push_back(*digest);
    }
    route.service = "trips";
    route.primary = bundles[0];
    route.standby = bundles[1];
    route.decision = "ledger/1";
  }
  ~World() {
    down();
    std::filesystem::remove_all(dir);
  }

  /// `limits` may be changed before.
  void up() {
    Options options;
    options.heddle_dir = dir;
    options.service.identity.name = "trips";
    options.service.port = 0;
    options.service.grpc_port = 0;
    options.service.sources = {"s1", "s2"};
    options.service.limits = limits;
    options.objects = reads;
    options.control_key = key.public_key;
    options.socket = owners_socket();
    options.lockstep = true;
    options.tokens = {{"replayer", "replayer-secret-0001", {"predict", "label", "replay"}},
                      {"app", "app-secret-0000000002", {"predict"}},
                      {"ops", "ops-secret-0000000003", {"read", "stop"}}};
    auto opened = DataPlane::open(std::move(options));
    ASSERT_TRUE(opened.ok()) << opened.error().str();
    plane = std::move(*opened);
    thread = std::thread([this] { plane->run(); });
  }
  void down() {
    if (plane == nullptr) return;
    plane->stop();
    thread.join();
    plane.reset();
  }

  net::HttpClient client(std::string token) const {
    net::HttpClient::Options options;
    options.port = plane->port();
    options.token = std::move(token);
    return net::HttpClient(options);
  }
  std::string owners_socket() const { return dir + "/data/trips.sock"; }
  net::HttpClient owner() const {
    net::HttpClient::Options options;
    options.unix_path = owners_socket();
    return net::HttpClient(options);
  }
  net::HttpClient replayer() const { return client("replayer-secret-0001"); }

  void publish() {
    ++route.version;
    ASSERT_TRUE(make_dirs(dir + "/routes").ok());
    ASSERT_TRUE(plane::write_route(route_path(), route, key).ok());
  }
  void publish_and_wait() {
    publish();
    wait_applied(route.version);
  }
  void wait_applied(std::uint64_t version) {
    auto http = client("ops-secret-0000000003");
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (static_cast<std::uint64_t>(
               json(http.get("/v1/services/trips")).int_or("route_version")) < version) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline)
          << "route table " << version << " was not applied";
      std::this_thread::sleep_for(std::chrono::milliseconds(1));  // the loader gets what is left
    }
  }
  std::string route_path() const { return dir + "/routes/trips.json"; }

  std::vector<plane::Record> journal() const {
    auto reader = plane::JournalReader::open(dir + "/spool/trips");
    std::vector<plane::Record> records;
    while (true) {
      auto record = (*reader)->next();
      EXPECT_TRUE(record.ok()) << record.error().str();
      if (!record.ok() || !record->has_value()) return records;
      records.push_back(std::move(**record));
    }
  }
  template <class T>
  std::vector<T> of() const {
    std::vector<T> found;
    for (const auto& record : journal()) {
      if (const auto* item = std::get_if<T>(&record)) found.push_back(*item);
    }
    return found;
  }

  static doc::Value json(const Result<net::HttpClient::Reply>& reply) {
    EXPECT_TRUE(reply.ok()) << reply.error().str();
    auto value = doc::parse_json(reply->body);
    EXPECT_TRUE(value.ok()) << reply->body;
    return value.ok() ? *value : doc::Value();
  }
  /// Sends rows of a source and gives back the answer.
  doc::Value predict(net::HttpClient& http, const std::string& rows,
                     const std::string& source = "s1", int status = 200) {
    const auto reply =
        http.post("/v1/services/trips/predict",
                  fmt::format(R"({{"rows":[{}],"source":"{}","event_time":"2001-04-10T06:00:00Z",)"
                              R"("request_id":"q-{}"}})",
                              rows, source, ++sent));
    EXPECT_EQ(reply->status, status) << reply->body;
    return json(reply);
  }

  std::string dir;
  Ed25519Key key;
  MemoryObjects objects;
  store::Objects* reads = &objects;  ///< of the data plane
  std::vector<Digest> bundles;
  plane::RouteTable route;
  std::unique_ptr<DataPlane> plane;
  std::thread thread;
  spec::ServiceLimits limits{.batch_rows = 8};
  int sent = 0;
};

}  // namespace heddle::serve::fixture
