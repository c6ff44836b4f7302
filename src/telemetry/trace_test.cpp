#include "telemetry/trace.hpp"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "doc/json.hpp"
#include "net/server.hpp"
#include "telemetry/process.hpp"
#include "telemetry/tracer.hpp"

namespace heddle::telemetry {
namespace {

constexpr const char* kParent =
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";  // the example of the recommendation

TEST(TraceParent, IsReadStrictly) {
  const auto parent = parse_traceparent(kParent);
  ASSERT_TRUE(parent.has_value());
  EXPECT_TRUE(parent->sampled);
  EXPECT_EQ(to_hex(parent->trace), "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(to_traceparent(*parent), kParent);
  const std::string good = kParent;
  EXPECT_FALSE(parse_traceparent(good.substr(0, 53) + "00")->sampled);
  EXPECT_TRUE(parse_traceparent(good.substr(0, 53) + "ff")->sampled);
  EXPECT_TRUE(parse_traceparent("cc" + good.substr(2)).has_value()) << "a later version";
  EXPECT_TRUE(parse_traceparent("cc" + good.substr(2) + "-what-ever").has_value());
  for (const std::string& bad : std::vector<std::string>{
           std::string(), good.substr(1), good + "-", good + "x", "ff" + good.substr(2),
           "cc" + good.substr(2) + "x", "0x" + good.substr(2),
           "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
           "00-" + std::string(32, '0') + "-b7ad6b7169203331-01",
           "00-0af7651916cd43dd8448eb211c80319c-" + std::string(16, '0') + "-01",
           good.substr(0, 54), good.substr(0, 53) + "0g",
           "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", " " + good, good + " "}) {
    EXPECT_FALSE(parse_traceparent(bad).has_value()) << bad;
  }
  // Every single character matters: replaced by one that never stands there.
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = 'G';
    EXPECT_FALSE(parse_traceparent(bad).has_value()) << i;
  }
}

TEST(TraceState, IsHandedOnOnlyWhenItIsOne) {
  for (const char* good : {"", "a=1", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "a=1 , b=2",
                           "a=1,,b=2", "1x@vendor=v", "a_-*/=x y"})
    EXPECT_TRUE(valid_tracestate(good)) << good;
  for (const char* bad : {"a", "=1", "a=", "A=1", "1a=1", "a=1=2", "a@1b=1", "a b=1"})
    EXPECT_FALSE(valid_tracestate(bad)) << bad;
  std::string many;
  for (int i = 0; i < 33; ++i) many += fmt::format("{}k{}=1", i > 0 ? "," : "", i);
  EXPECT_FALSE(valid_tracestate(many));
  EXPECT_FALSE(valid_tracestate("a=" + std::string(511, 'x')));
}

/// A collector that answers what it is told to and keeps what it got.
class Collector {
 public:
  Collector() {
    net::HttpServer::Options options;
    options.host = "127.0.0.1";
    options.handler = [this](const net::Request& request, net::Response& response) {
      const std::lock_guard lock(mutex_);
      ++posts_;
      response.status = refusals_ > 0 ? refuse_with_ : 200;
      if (refusals_ > 0)
        --refusals_;
      else if (auto value = doc::parse_json(request.body); value.ok())
        batches_.push_back(*std::move(value));
      path_ = request.path;
      response.body = "{}";
      arrived_.notify_all();
    };
    server_ = *net::HttpServer::open(std::move(options));
    thread_ = std::thread([this] { server_->run(); });
  }
  ~Collector() {
    server_->stop();
    thread_.join();
  }
  void refuse(int times, int status) {
    const std::lock_guard lock(mutex_);
    refusals_ = times, refuse_with_ = status;
  }
  /// Waits until `holds` of (posts, batches).
  bool until(const std::function<bool(int, const std::vector<doc::Value>&)>& holds) {
    std::unique_lock lock(mutex_);
    return arrived_.wait_for(lock, std::chrono::seconds(20),
                             [&] { return holds(posts_, batches_); });
  }
  std::string url() const { return fmt::format("http://127.0.0.1:{}/v1/traces", server_->port()); }
  std::vector<doc::Value> batches() {
    const std::lock_guard lock(mutex_);
    return batches_;
  }
  std::string path() {
    const std::lock_guard lock(mutex_);
    return path_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  int posts_ = 0, refusals_ = 0, refuse_with_ = 503;
  std::vector<doc::Value> batches_;
  std::string path_;
  std::unique_ptr<net::HttpServer> server_;
  std::thread thread_;
};

RequestSpan finished(Tracer& tracer, std::string_view parent = kParent) {
  RequestSpan span;
  tracer.begin(parent, "rojo=1", span);
  span.name = "POST /v2/models/{m}/infer";
  span.bundle = "sha256:aa";
  span.slot = "primary";
  span.route_version = 7;
  span.rows = 3;
  span.refused = 1;
  span.status = 200;
  span.begun_ns = 1'000'000'000'000;
  span.ended_ns = span.begun_ns + 100;
  span.stages_ns = {0, 10, 20, 5};
  return span;
}

const doc::Value::Array& spans_of(const doc::Value& batch) {
  return batch.find("resourceSpans")
      ->as_array()[0]
      .find("scopeSpans")
      ->as_array()[0]
      .find("spans")
      ->as_array();
}

TEST(Tracer, SendsARequestWithItsStages) {
  Collector collector;
  auto tracer = *Tracer::open(
      {.endpoint = collector.url(), .service = "late", .every_ms = 5, .first_pause_ms = 5});
  const auto span = finished(*tracer);
  EXPECT_TRUE(span.self.sampled);
  tracer->submit(span);
  ASSERT_TRUE(collector.until([](int, const auto& batches) { return !batches.empty(); }));
  EXPECT_EQ(collector.path(), "/v1/traces");
  const auto batch = collector.batches()[0];
  const auto& spans = spans_of(batch);
  ASSERT_EQ(spans.size(), 4u);
  EXPECT_EQ(spans[0].string_or("traceId"), "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(spans[0].string_or("parentSpanId"), "b7ad6b7169203331");
  EXPECT_EQ(spans[0].string_or("spanId"), to_hex(span.self.span));
  EXPECT_EQ(spans[0].string_or("traceState"), "rojo=1");
  EXPECT_EQ(spans[0].int_or("kind"), 2);
  EXPECT_EQ(spans[0].string_or("startTimeUnixNano"), "1000000000000");
  std::set<std::string> ids{spans[0].string_or("spanId")};
  std::vector<std::string> names;
  for (std::size_t i = 1; i < spans.size(); ++i) {
    EXPECT_EQ(spans[i].string_or("parentSpanId"), spans[0].string_or("spanId"));
    ids.insert(spans[i].string_or("spanId"));
    names.push_back(spans[i].string_or("name"));
  }
  EXPECT_THAT(names, testing::ElementsAre("read", "score", "write"));
  EXPECT_EQ(ids.size(), 4u);
  EXPECT_EQ(spans[2].string_or("startTimeUnixNano"), "1000000000010");
  EXPECT_EQ(spans[2].string_or("endTimeUnixNano"), "1000000000030");
}

TEST(Tracer, TriesAgainAndSaysWhatItDropped) {
  Collector collector;
  collector.refuse(3, 503);
  auto tracer = *Tracer::open(
      {.endpoint = collector.url(), .service = "late", .every_ms = 5, .first_pause_ms = 2});
  tracer->submit(finished(*tracer));
  ASSERT_TRUE(collector.until([](int posts, const auto& batches) {
    return posts == 4 && batches.size() == 1;
  })) << "the fourth try";
  collector.refuse(1, 400);
  tracer->submit(finished(*tracer));
  ASSERT_TRUE(collector.until([](int posts, const auto&) { return posts == 5; }));
  tracer->submit(finished(*tracer));
  ASSERT_TRUE(collector.until(
      [](int posts, const auto& batches) { return posts == 6 && batches.size() == 2; }));
  EXPECT_EQ(tracer->counts().dropped, 1u);
}

TEST(Tracer, AFullRingDropsAndCountsAndNeverWaits) {
  // Nobody listens on port 1; the first pause outlasts the test.
  auto tracer = *Tracer::open({.endpoint = "http://127.0.0.1:1",
                               .service = "late",
                               .every_ms = 60'000,
                               .first_pause_ms = 60'000});
  const auto span = finished(*tracer);
  for (int i = 0; i < 10'000; ++i) tracer->submit(span);
  EXPECT_EQ(tracer->counts().dropped, 10'000u - 4096u);
  EXPECT_EQ(tracer->counts().exported, 0u);
}

TEST(Tracer, ACallOfGrpcIsToldInItsOwnTerms) {
  Collector collector;
  auto tracer = *Tracer::open(
      {.endpoint = collector.url(), .service = "late", .every_ms = 5, .first_pause_ms = 5});
  RequestSpan span = finished(*tracer);
  span.name = "inference.GRPCInferenceService/ModelInfer";
  span.status = 503;
  span.grpc_status = 14;
  tracer->submit(span);
  ASSERT_TRUE(collector.until([](int, const auto& batches) { return !batches.empty(); }));
  const auto batch = collector.batches()[0];
  const doc::Value& server = spans_of(batch)[0];
  EXPECT_EQ(server.string_or("name"), span.name);
  const std::string attributes = doc::to_json(*server.find("attributes"));
  for (const char* told :
       {R"({"key":"rpc.system","value":{"stringValue":"grpc"}})",
        R"({"key":"rpc.service","value":{"stringValue":"inference.GRPCInferenceService"}})",
        R"({"key":"rpc.method","value":{"stringValue":"ModelInfer"}})",
        R"({"key":"rpc.grpc.status_code","value":{"intValue":"14"}})"}) {
    EXPECT_NE(attributes.find(told), std::string::npos) << attributes;
  }
  EXPECT_EQ(attributes.find("http."), std::string::npos) << attributes;
  EXPECT_EQ(server.find("status")->int_or("code"), 2);
}

TEST(Tracer, AParentDecidesAndWithoutOneTheShareDoes) {
  auto never = *Tracer::open({.endpoint = "http://127.0.0.1:1", .service = "late", .share = 0});
  auto always = *Tracer::open({.endpoint = "http://127.0.0.1:1", .service = "late", .share = 1});
  auto fifth = *Tracer::open({.endpoint = "http://127.0.0.1:1", .service = "late", .share = 0.2});
  const std::string not_sampled = std::string(kParent).substr(0, 53) + "00";
  RequestSpan span;
  always->begin(not_sampled, "", span);
  EXPECT_FALSE(span.self.sampled);
  never->begin(kParent, "", span);
  EXPECT_TRUE(span.self.sampled);
  std::set<std::string> traces;
  int sampled = 0;
  for (int i = 0; i < 10'000; ++i) {
    never->begin("nonsense", "a=1", span);
    ASSERT_FALSE(span.self.sampled);
    ASSERT_EQ(span.parent, SpanId{});
    ASSERT_TRUE(span.state.empty()) << "the state belongs to the parent";
    always->begin("", "", span);
    ASSERT_TRUE(span.self.sampled);
    fifth->begin("", "", span);
    sampled += span.self.sampled ? 1 : 0;
    traces.insert(to_hex(span.self.trace));
  }
  EXPECT_EQ(traces.size(), 10'000u);
  EXPECT_NEAR(sampled, 2000, 240);  // six standard deviations of the binomial
}

TEST(Tracer, AnEndpointThatIsNoUrlIsSaidAtOnce) {
  EXPECT_EQ(Tracer::open({.endpoint = "collector:4318", .service = "late"}).error().id, "net-url");
}

TEST(Process, SaysWhatEveryClientLibrarySays) {
  std::string text;
  put_process_metrics(text);
  for (const char* name : {"process_cpu_seconds_total", "process_resident_memory_bytes",
                           "process_virtual_memory_bytes", "process_open_fds", "process_max_fds",
                           "process_start_time_seconds"}) {
    EXPECT_THAT(text, testing::HasSubstr(fmt::format("\n{} ", name))) << text;
  }
}

}  // namespace
}  // namespace heddle::telemetry
