// Engine and surfaces without sockets and threads: a test hands over what a server would, and sees
// what it would be given.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>

#include <fmt/format.h>
#include <zlib.h>

#include "doc/protobuf.hpp"
#include "plane/journal.hpp"
#include "score/bundle_fixture.hpp"
#include "serve/engine.hpp"
#include "serve/grpc_api.hpp"
#include "serve/http_api.hpp"

namespace heddle::serve {
namespace {

constexpr const char* kGoodRow = R"({"date":"2001-04-10T05:00:00Z","origin":"LAX","distance":400})";
constexpr const char* kModelInfer = "/inference.GRPCInferenceService/ModelInfer";
constexpr const char* kInfer = "/inference.GRPCInferenceService/ModelInfer";
constexpr const char* kStreamInfer = "/inference.GRPCInferenceService/ModelStreamInfer";
constexpr const char* kPredict = "/v1/services/trips/predict";

/// A contract that is learned, and the features `hour` and `far`.
struct Parts {
  contract::Contract contract;
  feature::Program program;
};

Parts parts() {
  auto contract = *contract::Contract::compile(
      score::fixture::contract(), [](const std::string&, const std::string&) {
        return Result<std::vector<std::string>>(std::vector<std::string>{});
      });
  EXPECT_TRUE(contract.learn(score::fixture::rows(100)).ok());
  spec::FeatureSet set;
  set.identity.name = "trips";
  set.features = {{.name = "hour", .expression = {"hour_of_day(date)", {}}},
                  {.name = "far", .expression = {"distance / 1000.0", {}}}};
  auto program = *feature::Program::compile(set, contract.request_fields());
  return {std::move(contract), std::move(program)};
}

/// A logistic model. With 1e308 the margin of `kGoodRow` is the difference of two infinities: no
/// number.
std::shared_ptr<const score::Plan> native_plan(double weight) {
  const Parts made = parts();
  const std::string model = model::to_json({.features = {"hour", "far"},
                                            .mean = {12, 0},
                                            .scale = {1, 0.01},
                                            .missing = {0, 0},
                                            .weights = {weight, weight},
                                            .intercepts = {0}});
  auto plan = score::Plan::from_parts(made.contract.to_value(), made.program.to_value(), model);
  EXPECT_TRUE(plan.ok()) << plan.error().str();
  return std::move(*plan);
}

/// A linear model of several classes or of a number, with an interval. Of `kGoodRow` the number is
/// 20.4.
std::shared_ptr<const score::Plan> task_plan(const stats::Task& task) {
  const Parts made = parts();
  const bool is_number = task.kind == stats::TaskKind::kRegression;
  model::StandardisedLinear linear{
      .link = is_number ? model::Link::kIdentity : model::Link::kSoftmax,
      .features = {"hour", "far"},
      .mean = {0, 0},
      .scale = {1, 1},
      .missing = {0, 0}};
  linear.weights.assign(2 * task.outputs(), 0);
  linear.intercepts.assign(task.outputs(), 0);
  if (is_number) {
    linear.weights = {2, 1};
    linear.intercepts = {10};
  } else {
    linear.intercepts.back() = 2;
  }
  const score::Calibration calibration{std::vector<double>(task.outputs(), 0.0),
                                       stats::Conformal{0.9, is_number ? 3 : 0.6}};
  auto plan = score::Plan::from_parts(made.contract.to_value(), made.program.to_value(),
                                      model::to_json(linear), task, calibration);
  EXPECT_TRUE(plan.ok()) << plan.error().str();
  return std::move(*plan);
}

/// A worker (tests/fixtures/worker) that answers with hour / 100 and lets two rows wait.
std::shared_ptr<const score::Plan> worker_plan() {
  const Parts made = parts();
  runtime::Runtime runtime;
  runtime.command = {"/usr/bin/python3", "serve.py"};
  auto plan = score::Plan::from_runtime(made.contract.to_value(), made.program.to_value(), runtime,
                                        *runtime::pack_folder("tests/fixtures/worker"), {},
                                        {{0.0}, {}}, {.queue_rows = 2});
  EXPECT_TRUE(plan.ok()) << plan.error().str();
  return std::move(*plan);
}

/// Samples everything and keeps it.
class KeptSpans final : public telemetry::Tracer {
 public:
  void begin(std::string_view traceparent, std::string_view tracestate,
             telemetry::RequestSpan& out) override {
    out = {};
    out.self.sampled = true;
    out.parent[0] = traceparent.empty() ? 0 : 1;
    out.state = tracestate;
  }
  void submit(const telemetry::RequestSpan& span) override { spans.push_back(span); }
  [[nodiscard]] Counts counts() const override { return {}; }

  std::vector<telemetry::RequestSpan> spans;
};

/// A ModelInferRequest of `kGoodRow`, as often as `rows`.
std::string infer_message(std::size_t rows, std::string_view source = "s1",
                          std::int64_t timeout_us = 0) {
  std::string out;
  doc::ProtoWriter writer(out);
  writer.bytes(1, "trips");
  if (!source.empty()) {
    writer.message(4, [&](doc::ProtoWriter& entry) {
      entry.bytes(1, "source");
      entry.message(2, [&](doc::ProtoWriter& value) { value.bytes(3, source); });
    });
  }
  writer.message(4, [&](doc::ProtoWriter& entry) {
    entry.bytes(1, "timeout");
    entry.message(2, [&](doc::ProtoWriter& value) {
      value.integer(2, static_cast<std::uint64_t>(timeout_us));
    });
  });
  const auto input = [&](std::string_view name, std::string_view datatype, auto&& put) {
    writer.message(5, [&](doc::ProtoWriter& tensor) {
      tensor.bytes(1, name);
      tensor.bytes(2, datatype);
      tensor.integer(3, rows);
      tensor.message(5, [&](doc::ProtoWriter& contents) {
        for (std::size_t i = 0; i < rows; ++i) put(contents);
      });
    });
  };
  input("date", "BYTES", [](doc::ProtoWriter& w) { w.bytes(8, "2001-04-10T05:00:00Z"); });
  input("origin", "BYTES", [](doc::ProtoWriter& w) { w.bytes(8, "LAX"); });
  input("distance", "INT64", [](doc::ProtoWriter& w) { w.integer(3, 400); });
  return out;
}

constexpr std::uint64_t kMostJournal = 1 << 20;

class Surfaces {
 public:
  explicit Surfaces(std::shared_ptr<const score::Plan> primary,
                    std::vector<plane::QuarantinedSource> quarantined = {}) {
    std::string name = ::testing::TempDir() + "/heddle-surfaces-XXXXXX";
    dir_ = ::mkdtemp(name.data());
    service_.identity.name = "trips";
    service_.sources = {"s1", "s2"};
    journal_ = *plane::JournalWriter::open({.dir = dir_, .fields = {}, .max_bytes = kMostJournal});
    engine = std::make_unique<Engine>(Engine::Options{.service = &service_,
                                                      .clock = &system_clock(),
                                                      .journal = journal_.get(),
                                                      .accounts = tokens_.size(),
                                                      .post =
                                                          [this](std::function<void()> work) {
                                                            const std::lock_guard lock(mutex_);
                                                            posted_.push_back(std::move(work));
                                                            there_.notify_one();
                                                          }},
                                      plane::Standing{});
    const auto serving = serving_of(primary, primary->contract().request_fields());
    serving->route.quarantined = quarantined;
    for (const auto& source : quarantined) {
      serving->quarantined.push_back({source, {}});
      serving->quarantined.back().rules.fill(-1);  // any refusal breaks the count
    }
    engine->apply(serving);
    http = std::make_unique<HttpApi>(
        HttpApi::Options{.engine = engine.get(),
                         .tokens = &tokens_,
                         .service = &service_,
                         .clock = &system_clock(),
                         .gauges = [] { return Metrics::Gauges{}; },
                         .waiting = [] { return RouteFollower::Waiting{}; },
                         .defer = [] { return net::HttpServer::Responder(); },
                         .tracer = &tracer});
    grpc = std::make_unique<GrpcApi>(
        GrpcApi::Options{engine.get(), &tokens_, &service_, &system_clock(),
                         [] { return net::HttpServer::Responder(); }, &tracer});
  }
  ~Surfaces() { std::filesystem::remove_all(dir_); }

  /// A route table with `primary` alone, newer than those before.
  std::shared_ptr<Serving> serving_of(std::shared_ptr<const score::Plan> primary,
                                      std::span<const spec::Field> fields) {
    auto serving = std::make_shared<Serving>();
    serving->route.version = ++version_;
    serving->route.service = "trips";
    serving->fields = FieldNames(fields);
    serving->slots[0] = {"sha256:of-a-test", std::move(primary)};
    return serving;
  }

  net::Response post(std::string_view path, std::string body, std::vector<net::Header> headers = {},
                     std::int64_t queued_ns = 0) {
    body.reserve(body.size() + net::Request::kBodyPadding);
    headers.push_back({"authorization", "Bearer app-secret-0000000002"});
    net::Request request{.method = "POST", .path = path, .body = body, .headers = headers};
    request.begin_ns = system_clock().mono_ns();
    request.queued_ns = queued_ns;
    net::Response response;
    http->handle(request, response);
    return response;
  }

  net::GrpcReply call(std::string_view method, const std::string& message,
                      std::vector<net::Header> metadata = {}, std::int64_t queued_ns = 0) {
    metadata.push_back({"authorization", "Bearer app-secret-0000000002"});
    net::GrpcReply reply;
    grpc->handle({.method = method,
                  .metadata = metadata,
                  .message = message,
                  .streaming = method == kStreamInfer,
                  .queued_ns = queued_ns},
                 reply);
    return reply;
  }
  /// Does what other threads posted until `holds`.
  template <class F>
  void until(F holds) {
    std::unique_lock lock(mutex_);
    while (!holds()) {
      ASSERT_TRUE(
          there_.wait_for(lock, std::chrono::seconds(20), [&] { return !posted_.empty(); }));
      const auto work = std::move(posted_);
      posted_.clear();
      lock.unlock();
      for (const auto& each : work) each();
      lock.lock();
    }
  }
  std::vector<plane::Record> records() {
    EXPECT_TRUE(journal_->commit().ok());
    auto reader = plane::JournalReader::open(dir_);
    std::vector<plane::Record> records;
    while (true) {
      auto record = (*reader)->next();
      if (!record.ok() || !record->has_value()) return records;
      records.push_back(std::move(**record));
    }
  }
  bool counts(std::string_view sample) const {
    return engine->metrics().text("trips", {}).find(fmt::format("{}\n", sample)) !=
           std::string::npos;
  }

  void bind(std::vector<std::string> sources) {
    tokens_.set_rights({{"app", {{"predict", "label", "replay", "read"}, std::move(sources)}}});
  }
  plane::JournalWriter& journal() { return *journal_; }
  [[nodiscard]] const std::string& dir() const { return dir_; }

  std::unique_ptr<Engine> engine;
  std::unique_ptr<HttpApi> http;
  std::unique_ptr<GrpcApi> grpc;
  KeptSpans tracer;

 private:
  std::string dir_;
  std::uint64_t version_ = 0;
  spec::Service service_;
  Tokens tokens_{{{"app", "app-secret-0000000002", {"predict", "label", "replay", "read"}}}};
  std::unique_ptr<plane::JournalWriter> journal_;
  std::mutex mutex_;
  std::condition_variable there_;
  std::vector<std::function<void()>> posted_;
};

TEST(SurfacesOfATask, AnswerAndTakeLabelsOfIt) {
  struct Case {
    stats::Task task;
    const char* begins;   ///< of the prediction
    const char* outputs;  ///< of the infer response, in order
    const char* good;     ///< labels
    const char* bad;
    const char* id;
  };
  const Case cases[] = {
      {{.kind = stats::TaskKind::kClasses, .classes = {"early", "late", "never"}},
       R"({"label":"never","probabilities":{"early":0.)",
       "probabilities,label,set,validation",
       R"("late")",
       R"("lately")",
       "label-class-unknown"},
      {{.kind = stats::TaskKind::kClasses, .classes = {"-1", "7"}, .whole_classes = true},
       R"({"label":7,"probabilities":{"-1":0.)",
       "probabilities,label,set,validation",
       "-1",
       "0.5",
       "label-type"},
      {{.kind = stats::TaskKind::kRegression},
       R"({"value":20.4,"lower":17.)",
       "value,lower,upper,validation",
       "-3.5",
       "Infinity",
       "label-not-finite"}};
  for (const Case& each : cases) {
    SCOPED_TRACE(each.begins);
    Surfaces surfaces(task_plan(each.task));
    const auto plain = surfaces.post(
        kPredict, fmt::format(R"({{"rows":[{}],"explain":true,"request_id":"q-1","source":"s1"}})",
                              kGoodRow));
    EXPECT_EQ(plain.status, 200) << plain.body;
    EXPECT_NE(plain.body.find(fmt::format(R"("predictions":[{})", each.begins)), std::string::npos)
        << plain.body;
    EXPECT_NE(plain.body.find("contributions"), std::string::npos) << plain.body;
    const auto oip = surfaces.post(
        "/v2/models/trips/infer",
        R"({"parameters":{"source":"s1"},"inputs":[{"name":"date","datatype":"BYTES","shape":[1],
            "data":["2001-04-10T05:00:00Z"]},
            {"name":"origin","datatype":"BYTES","shape":[1],"data":["LAX"]},{"name":"distance",
            "datatype":"INT64","shape":[1],"data":[400]}]})");
    EXPECT_EQ(oip.status, 200) << oip.body;
    std::string names;
    const doc::Value answer = *doc::parse_json(oip.body);
    for (const doc::Value& output : answer.find("outputs")->as_array())
      names += (names.empty() ? "" : ",") + output.string_or("name");
    EXPECT_EQ(names, each.outputs);
    EXPECT_EQ(surfaces.call(kModelInfer, infer_message(2)).status, 0);
    const auto labelled = surfaces.post(
        "/v1/services/trips/labels",
        fmt::format(
            R"({{"labels":[{{"row_id":"q-1#0","label":{}}},{{"row_id":"q-1#1","label":{}}}]}})",
            each.good, each.bad));
    EXPECT_EQ(labelled.status, 202) << labelled.body;
    const doc::Value taken = *doc::parse_json(labelled.body);
    EXPECT_EQ(taken.int_or("accepted"), 1) << labelled.body;
    EXPECT_EQ(taken.find("errors")->as_array()[0].string_or("id"), each.id) << labelled.body;
    std::vector<std::string> labels;
    for (const plane::Record& record : surfaces.records()) {
      if (const auto* label = std::get_if<plane::LabelRecord>(&record))
        labels.push_back(stats::to_string(label->label));
      if (const auto* request = std::get_if<plane::RequestRecord>(&record)) {
        EXPECT_EQ(request->rows[0].prediction.size(), each.task.outputs());
      }
    }
    const bool is_new_class = std::string_view(each.id) == "label-class-unknown";
    EXPECT_EQ(labels.size(), is_new_class ? 2U : 1U) << "what is refused is not journaled";
    if (is_new_class) {
      EXPECT_EQ(labels.back(), "lately") << "but for the watch to count";
    }
  }
}

TEST(SurfacesOfATask, AThousandClassesAreAnsweredInABoundedSize) {
  stats::Task many{.kind = stats::TaskKind::kClasses};
  for (int i = 0; i < 1000; ++i) many.classes.push_back(fmt::format("class-{}", i));
  Surfaces surfaces(task_plan(many));
  const auto send = [&](int rows) {
    std::string body = kGoodRow;
    for (int i = 1; i < rows; ++i) body += fmt::format(",{}", kGoodRow);
    return surfaces.post(kPredict, fmt::format(R"({{"rows":[{}],"source":"s1"}})", body));
  };
  const auto one = send(1);
  EXPECT_EQ(one.status, 200) << one.body.substr(0, 300);
  const auto refused = send(500);
  EXPECT_EQ(refused.status, 413) << refused.body.substr(0, 300);
  EXPECT_NE(refused.body.find("answer-too-large"), std::string::npos) << refused.body;
  const auto at = refused.body.find("at most ");
  ASSERT_NE(at, std::string::npos) << refused.body;
  const auto most = send(std::stoi(refused.body.substr(at + 8)));
  EXPECT_EQ(most.status, 200) << most.body.substr(0, 300);
  EXPECT_LT(most.body.size(), std::size_t{9} << 20);
}

TEST(Surfaces, Every503SaysWhenToComeAgain) {
  Surfaces broken(native_plan(1e308));
  const auto answer = broken.post(kPredict, fmt::format(R"({{"rows":[{}]}})", kGoodRow));
  EXPECT_EQ(answer.status, 503) << answer.body;
  EXPECT_NE(answer.body.find("no-answer"), std::string::npos) << answer.body;
  EXPECT_EQ(answer.headers, "Retry-After: 1\r\n");
  (void)broken.engine->stop("a test");
  for (const auto& refused :
       {broken.post(kPredict, R"({"rows":[{}]})"), broken.post("/v2/health/ready", "")}) {
    EXPECT_EQ(refused.status, 503) << refused.body;
    EXPECT_EQ(refused.headers, "Retry-After: 1\r\n") << refused.body;
  }
  Surfaces whole(native_plan(0.1));
  const auto served = whole.post(kPredict, fmt::format(R"({{"rows":[{}]}})", kGoodRow));
  EXPECT_EQ(served.status, 200) << served.body;
  EXPECT_EQ(served.headers, "");
}

TEST(Surfaces, EveryBodyIsReadInTheCodingThatItNames) {
  Surfaces world(native_plan(0.1));
  const std::pair<const char*, std::string> bodies[] = {
      {kPredict, fmt::format(R"({{"rows":[{}]}})", kGoodRow)},
      {"/v1/services/trips/labels", R"({"labels":[{"row_id":"a#0","label":1}]})"},
      {"/v1/services/trips/tick", R"({"event_time":1})"},
      {"/v2/repository/index", R"({"ready":true})"},
      {"/v2/repository/models/trips/load", "{}"}};
  for (const auto& [path, body] : bodies) {
    const int plain = world.post(path, body).status;
    EXPECT_TRUE(plain == 200 || plain == 202) << path << plain;
    std::string deflated(::compressBound(body.size()), '\0');
    uLongf size = deflated.size();
    ASSERT_EQ(::compress(reinterpret_cast<Bytef*>(deflated.data()), &size,
                         reinterpret_cast<const Bytef*>(body.data()), body.size()),
              Z_OK);
    deflated.resize(size);
    EXPECT_EQ(world.post(path, deflated, {{"content-encoding", "deflate"}}).status, plain) << path;
    const auto unknown = world.post(path, body, {{"content-encoding", "br"}});
    EXPECT_EQ(unknown.status, 400) << path;
    EXPECT_NE(unknown.body.find("net-coding"), std::string::npos) << unknown.body;
  }
}

TEST(Surfaces, ARuntimeIsNotSentWhatAQuarantineHoldsBackAndARefusedRequestCountsNothing) {
  const auto plan = worker_plan();
  Surfaces world(plan, {{"s2", "distance-of-origin", 2}});
  const auto send = [&](int rows) {
    std::string list;
    for (int i = 0; i < rows; ++i) list += fmt::format("{}{}", i == 0 ? "" : ",", kGoodRow);
    return world.post(kPredict, fmt::format(R"({{"rows":[{}],"source":"s2"}})", list));
  };
  // Two rows would end the quarantine, but the three that follow find no place.
  const auto full = send(5);
  EXPECT_EQ(full.status, 503) << full.body;
  EXPECT_NE(full.body.find("runtime-queue-full"), std::string::npos) << full.body;
  EXPECT_EQ(world.engine->clean_rows(0), 0u);
  EXPECT_FALSE(world.engine->acts().readmitted({"s2", "", 2}));

  const auto held = send(1);
  EXPECT_EQ(held.status, 422) << held.body;
  EXPECT_NE(held.body.find("source-quarantined"), std::string::npos) << held.body;
  EXPECT_EQ(world.engine->clean_rows(0), 1u);
  EXPECT_EQ(plan->endpoint()->condition().batches, 0u) << "its answer would go nowhere";

  (void)send(3);
  EXPECT_TRUE(world.engine->acts().readmitted({"s2", "", 2}));
  EXPECT_FALSE(world.engine->acts().readmitted({"s2", "", 0}))
      << "what a person shut out since, a person lets in";
  world.until(
      [&] { return world.counts("heddle_rows_total{service=\"trips\",outcome=\"served\"} 2"); });
  EXPECT_TRUE(world.counts("heddle_rows_total{service=\"trips\",outcome=\"quarantined\"} 2"));
  EXPECT_EQ(plan->endpoint()->condition().batches, 1u);
}

TEST(Surfaces, GrpcTakesNoTimeThatIsNone) {
  constexpr int kInvalidArgument = 3;  // of gRPC's status codes
  Surfaces world(native_plan(0.1));
  const auto send = [&](auto&& value) {
    std::string message = infer_message(1);
    doc::ProtoWriter writer(message);
    writer.message(4, [&](doc::ProtoWriter& entry) {
      entry.bytes(1, "event_time");
      entry.message(2, value);
    });
    return world.call(kModelInfer, message);
  };
  const auto integer = [](int field, std::int64_t time) {
    return [=](doc::ProtoWriter& w) {
      w.integer(static_cast<std::uint32_t>(field), static_cast<std::uint64_t>(time));
    };
  };
  const auto text = [](const std::string& time) {
    return [time](doc::ProtoWriter& w) { w.bytes(3, time); };
  };
  const Micros now = system_clock().wall();
  for (const Micros time : {INT64_MAX, INT64_MIN, INT64_MIN + 1, plane::kLatestEvent,
                            plane::kEarliestEvent - 1, now + kDay, now - 8 * kDay}) {
    const auto reply = send(integer(2, time));
    EXPECT_EQ(reply.status, kInvalidArgument) << time << reply.status_message;
    EXPECT_NE(reply.status_message.find("event_time"), std::string::npos) << reply.status_message;
  }
  for (const char* time : {"9999-12-31", "0001-01-01", "2001-02-30", "NaN", "", "2001-04-10",
                           "9223372036854775808", "now"}) {
    EXPECT_EQ(send(text(time)).status, kInvalidArgument) << time;
  }
  EXPECT_EQ(send(integer(1, 1)).status, kInvalidArgument) << "a boolean";
  EXPECT_EQ(send(integer(5, -1)).status, kInvalidArgument) << "a number past 63 bits";
  const auto requests = [&] {
    std::vector<Micros> times;
    for (const auto& record : world.records()) {
      if (const auto* request = std::get_if<plane::RequestRecord>(&record))
        times.push_back(request->event_time);
    }
    return times;
  };
  EXPECT_TRUE(requests().empty());
  const Micros yesterday = (now / kSecond) * kSecond - kDay;
  EXPECT_EQ(send(integer(2, yesterday)).status, 0);
  EXPECT_EQ(send(text(format_time(yesterday))).status, 0);
  EXPECT_EQ(requests(), (std::vector<Micros>{yesterday, yesterday}));
}

TEST(Surfaces, CallsOfGrpcAreTraced) {
  Surfaces world(native_plan(0.1));
  const std::vector<net::Header> traced = {
      {"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
      {"tracestate", "rojo=1"}};
  EXPECT_EQ(world.call(kModelInfer, infer_message(2), traced).status, 0);
  EXPECT_EQ(world.call(kStreamInfer, infer_message(1)).status, 0);
  EXPECT_EQ(world.call(kModelInfer, "nonsense", traced).status, 3);
  EXPECT_EQ(world.call("/inference.GRPCInferenceService/ServerLive", "", traced).status, 0);
  const auto& spans = world.tracer.spans;
  ASSERT_EQ(spans.size(), 3u);
  EXPECT_EQ(spans[0].name, "inference.GRPCInferenceService/ModelInfer");
  EXPECT_NE(spans[0].parent, telemetry::SpanId{});
  EXPECT_EQ(spans[0].state, "rojo=1");
  EXPECT_EQ(spans[0].bundle, "sha256:of-a-test");
  EXPECT_EQ(spans[0].rows, 2u);
  EXPECT_EQ(spans[0].status, 200);
  EXPECT_EQ(spans[0].grpc_status, 0);
  for (const std::size_t stage : {1, 2, 3}) EXPECT_GT(spans[0].stages_ns[stage], 0) << stage;
  EXPECT_EQ(spans[1].name, "inference.GRPCInferenceService/ModelStreamInfer");
  EXPECT_EQ(spans[1].parent, telemetry::SpanId{});
  EXPECT_EQ(spans[2].status, 400);
  EXPECT_EQ(spans[2].grpc_status, 3);
  EXPECT_EQ(spans[2].stages_ns, Stages{}) << "a call that ended in an error has none";
}

TEST(Surfaces, TypedContentsAreThoseOfTheDatatype) {
  // kserve/open-inference-protocol, grpc_predict_v2.proto: the member of `InferTensorContents` by
  // datatype; FP16 and BF16 have none.
  const std::map<std::string, std::uint32_t> own = {
      {"BOOL", 1},  {"INT8", 2},   {"INT16", 2},  {"INT32", 2},  {"INT64", 3},
      {"UINT8", 4}, {"UINT16", 4}, {"UINT32", 4}, {"UINT64", 5}, {"FP32", 6},
      {"FP64", 7},  {"BYTES", 8},  {"FP16", 0},   {"BF16", 0}};
  const std::vector<spec::Field> fields{{.name = "a"}};
  const FieldNames names(fields);
  GrpcReader reader;
  for (const auto& [datatype, member] : own) {
    for (std::uint32_t sent = 1; sent <= 8; ++sent) {
      std::string message;
      doc::ProtoWriter writer(message);
      writer.message(5, [&](doc::ProtoWriter& tensor) {
        tensor.bytes(1, "a");
        tensor.bytes(2, datatype);
        tensor.integer(3, 1);
        tensor.message(5, [&](doc::ProtoWriter& contents) {
          const std::string eight(8, '\0');
          if (sent <= 5)
            contents.integer(sent, 1);
          else if (sent < 8)
            contents.bytes(sent, eight.substr(0, sent == 6 ? 4 : 8));
          else
            contents.bytes(sent, "x");
        });
      });
      const auto read = reader.read(message, names, 4);
      EXPECT_EQ(read.ok(), sent == member) << datatype << " in member " << sent;
      if (!read.ok()) {
        EXPECT_EQ(read.error().id, "oip-data") << read.error().str();
      }
    }
  }
}

/// The id of the error that a request with one parameter meets, by HTTP and by gRPC; `taken`.
std::pair<std::string, std::string> parameter_ids(
    std::string_view name, std::string_view json,
    const std::function<void(doc::ProtoWriter&)>& proto) {
  const std::vector<spec::Field> fields{{.name = "a"}};
  const FieldNames names(fields);
  const auto id = [](const auto& read) { return read.ok() ? "taken" : read.error().id; };
  std::string body = fmt::format(
      R"({{"parameters":{{"{}":{}}},"inputs":[{{"name":"a","datatype":"FP64","shape":[1],)"
      R"("data":[1]}}]}})",
      name, json);
  body.reserve(body.size() + net::Request::kBodyPadding);
  RequestReader http;
  std::string message;
  doc::ProtoWriter writer(message);
  writer.message(4, [&](doc::ProtoWriter& entry) {
    entry.bytes(1, name);
    entry.message(2, proto);
  });
  writer.message(5, [&](doc::ProtoWriter& tensor) {
    tensor.bytes(1, "a");
    tensor.bytes(2, "FP64");
    tensor.integer(3, 1);
    tensor.message(5, [](doc::ProtoWriter& contents) { contents.bytes(7, std::string(8, '\0')); });
  });
  GrpcReader grpc;
  return {id(http.read_oip(body, body.size(), names, 4)), id(grpc.read(message, names, 4))};
}

TEST(Surfaces, AParameterMeansTheSameByBothProtocols) {
  using Writer = doc::ProtoWriter;
  // bool_param 1, int64_param 2, string_param 3, double_param 4, uint64_param 5; a double of 0 is
  // eight bytes of 0.
  const std::vector<std::pair<std::string_view, std::function<void(Writer&)>>> values = {
      {"null", [](Writer&) {}},
      {"true", [](Writer& w) { w.integer(1, 1); }},
      {"false", [](Writer& w) { w.integer(1, 0); }},
      {"7", [](Writer& w) { w.integer(2, 7); }},
      {"0", [](Writer& w) { w.integer(2, 0); }},
      {"-7", [](Writer& w) { w.integer(2, static_cast<std::uint64_t>(-7)); }},
      {"7", [](Writer& w) { w.integer(5, 7); }},
      {"18446744073709551615", [](Writer& w) { w.integer(5, UINT64_MAX); }},
      {"\"7\"", [](Writer& w) { w.bytes(3, "7"); }},
      {"\"true\"", [](Writer& w) { w.bytes(3, "true"); }},
      {"\"2001-04-10T05:00:00Z\"", [](Writer& w) { w.bytes(3, "2001-04-10T05:00:00Z"); }},
      {"\"a b\"", [](Writer& w) { w.bytes(3, "a b"); }}};
  int taken = 0;
  for (const std::string_view name : {"source", "event_time", "timeout", "explain", "content_type",
                                      "sequence_start", "temperature"}) {
    for (const auto& [json, proto] : values) {
      const auto [http, grpc] = parameter_ids(name, json, proto);
      EXPECT_EQ(http, grpc) << name << " = " << json;
      taken += http == "taken" ? 1 : 0;
    }
  }
  EXPECT_GT(taken, 25);
}

TEST(Surfaces, AnAccountIsBoundToItsSourcesByEveryProtocol) {
  Surfaces surfaces(native_plan(1));
  const auto rows = [](std::string_view source) {
    return fmt::format(R"({{"rows":[{}]{}}})", kGoodRow,
                       source.empty() ? "" : fmt::format(R"(,"source":"{}")", source));
  };
  const auto oip = [](std::string_view source) {
    return fmt::format(
        R"({{"inputs":[{{"name":"date","shape":[1],"datatype":"BYTES",
            "data":["2001-04-10T05:00:00Z"]}},
            {{"name":"origin","shape":[1],"datatype":"BYTES","data":["LAX"]}},
            {{"name":"distance","shape":[1],"datatype":"INT64","data":[400]}}]{}}})",
        source.empty() ? "" : fmt::format(R"(,"parameters":{{"source":"{}"}})", source));
  };
  // HTTP status of rows, HTTP status of OIP, gRPC status; 0 is OK.
  const auto ask = [&](std::string_view source) {
    return std::vector<int>{
        surfaces.post("/v1/services/trips/predict", rows(source)).status,
        surfaces.post("/v2/models/trips/infer", oip(source)).status,
        static_cast<int>(surfaces.call(kInfer, infer_message(1, source)).status)};
  };
  const std::vector<int> taken{200, 200, 0}, denied{403, 403, 7}, invalid{400, 400, 3};
  EXPECT_EQ(ask("s1"), taken);
  EXPECT_EQ(ask("s2"), taken) << "who is bound to none may name any";
  surfaces.bind({"s1"});
  EXPECT_EQ(ask("s1"), taken);
  EXPECT_EQ(ask("s2"), denied) << "another's name";
  for (const char* odd : {"S1", "s1 ", "default", "s1\\u0000", "*", "s3"}) {
    const auto answers = ask(odd);
    EXPECT_NE(answers[0], 200) << odd;
    EXPECT_NE(answers[1], 200) << odd;
    EXPECT_NE(answers[2], 0) << odd;
  }
  EXPECT_EQ(ask(""), taken) << "it has one: that is where its rows are from";
  surfaces.bind({"s1", "s2"});
  EXPECT_EQ(ask("s2"), taken);
  EXPECT_EQ(ask(""), invalid) << "it has several and must say which";
  std::map<std::string, int> sources;
  for (const auto& record : surfaces.records()) {
    if (const auto* request = std::get_if<plane::RequestRecord>(&record))
      ++sources[request->source];
  }
  EXPECT_EQ(sources, (std::map<std::string, int>{{"s1", 9}, {"s2", 6}}));
}

TEST(Surfaces, LabelsThatFindNoRoomAreNotTaken) {
  Surfaces surfaces(native_plan(1));
  std::string labels;
  for (int i = 0; i < 1000; ++i)
    labels += fmt::format(R"({}{{"row_id":"r-{}#0","label":1}})", i == 0 ? "" : ",", i);
  const std::string body = "{\"labels\":[" + labels + "]}";
  net::Response last;
  int taken = 0;
  for (int i = 0; i < 1000 && last.status != 429; ++i) {
    last = surfaces.post("/v1/services/trips/labels", body);
    taken += last.status == 202 ? 1000 : 0;
    ASSERT_TRUE(surfaces.journal().commit().ok());
  }
  EXPECT_EQ(last.status, 429) << last.body;
  EXPECT_EQ(last.headers, "Retry-After: 1\r\n");
  EXPECT_NE(last.body.find("journal-share"), std::string::npos) << last.body;
  // Rows are answered and recorded all the same.
  const std::string rows = fmt::format(R"({{"rows":[{}]}})", kGoodRow);
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(surfaces.post("/v1/services/trips/predict", rows).status, 200);
  EXPECT_TRUE(surfaces.journal().unrecorded().empty());
  int requests = 0, recorded = 0;
  for (const auto& record : surfaces.records()) {
    requests += std::holds_alternative<plane::RequestRecord>(record) ? 1 : 0;
    recorded += std::holds_alternative<plane::LabelRecord>(record) ? 1 : 0;
  }
  EXPECT_EQ(requests, 100);
  EXPECT_EQ(recorded, taken) << "what was taken is there, what was not is not";
  // Once they were read there is room again.
  ASSERT_TRUE(plane::consumed(surfaces.dir(), surfaces.journal().position().segment, 0).ok());
  for (last.status = 429; last.status == 429;)
    last = surfaces.post("/v1/services/trips/labels", body);
  EXPECT_EQ(last.status, 202) << last.body;
}

TEST(Surfaces, TheLargestIntegersAreThoseOfUint64) {
  const std::vector<spec::Field> fields{{.name = "a"}};
  const FieldNames names(fields);
  for (const std::string_view datatype : {"UINT64", "FP64", "INT64", "UINT32", "BOOL"}) {
    for (const std::uint64_t value : {UINT64_MAX, std::uint64_t{1} << 63}) {
      std::string body =
          fmt::format(R"({{"inputs":[{{"name":"a","datatype":"{}","shape":[1],"data":[{}]}}]}})",
                      datatype, value);
      body.reserve(body.size() + net::Request::kBodyPadding);
      RequestReader http;
      const auto json = http.read_oip(body, body.size(), names, 4);
      EXPECT_EQ(json.ok(), datatype == "UINT64" || datatype == "FP64") << datatype << value;
      if (json.ok()) {
        EXPECT_EQ((*json)->values[0].d, static_cast<double>(value));
      }
    }
  }
  for (const bool raw : {false, true}) {
    std::string message;
    const std::string largest(8, '\xff');
    doc::ProtoWriter writer(message);
    writer.message(5, [&](doc::ProtoWriter& tensor) {
      tensor.bytes(1, "a");
      tensor.bytes(2, "UINT64");
      tensor.integer(3, 1);
      if (raw) return;
      tensor.message(5, [](doc::ProtoWriter& contents) { contents.integer(5, UINT64_MAX); });
    });
    if (raw) writer.bytes(7, largest);
    GrpcReader grpc;
    const auto read = grpc.read(message, names, 4);
    ASSERT_TRUE(read.ok()) << read.error().str();
    EXPECT_EQ(read->rows->values[0].d, 0x1p64);
  }
}

TEST(Surfaces, WhatATensorOfGrpcSaysOfItselfIsKnownOrRefused) {
  const std::vector<spec::Field> fields{{.name = "a"}};
  const FieldNames names(fields);
  GrpcReader reader;
  const auto read = [&](bool of_output, std::string_view name, std::uint64_t value) {
    std::string message;
    doc::ProtoWriter writer(message);
    const auto parameter = [&](doc::ProtoWriter& w, std::uint32_t field) {
      w.message(field, [&](doc::ProtoWriter& entry) {
        entry.bytes(1, name);
        entry.message(2, [&](doc::ProtoWriter& number) { number.integer(2, value); });
      });
    };
    writer.message(5, [&](doc::ProtoWriter& tensor) {
      tensor.bytes(1, "a");
      tensor.bytes(2, "FP64");
      tensor.integer(3, 1);
      if (!of_output) parameter(tensor, 4);
      tensor.message(5,
                     [](doc::ProtoWriter& contents) { contents.bytes(7, std::string(8, '\0')); });
    });
    writer.message(6, [&](doc::ProtoWriter& output) {
      output.bytes(1, "probability");
      if (of_output) parameter(output, 2);
    });
    const auto result = reader.read(message, names, 4);
    return result.ok() ? std::string("taken") : result.error().id;
  };
  EXPECT_EQ(read(true, "binary_data", 1), "taken");
  EXPECT_EQ(read(true, "classification", 0), "taken");
  EXPECT_EQ(read(true, "classification", 3), "request-unknown-member");
  EXPECT_EQ(read(true, "shared_memory_region", 3), "request-unknown-member");
  EXPECT_EQ(read(false, "binary_data_size", 8), "taken") << "kserve's client sends it";
  EXPECT_EQ(read(false, "shared_memory_region", 3), "request-unknown-member");
}

TEST(Surfaces, ANumberThatIsTooLargeIsItsRowsMatter) {
  Surfaces world(native_plan(0.1));
  const std::string digits(400, '9');
  const std::map<std::string, double> numbers = {
      {"100000000000000000000", 1e20},
      {"-100000000000000000000", -1e20},
      {"1e400", std::numeric_limits<double>::infinity()},
      {"-1.5E+999", -std::numeric_limits<double>::infinity()},
      {"18446744073709551616", 18446744073709551616.0},
      {digits, std::numeric_limits<double>::infinity()},
      {"-" + digits, -std::numeric_limits<double>::infinity()}};
  for (const auto& [text, value] : numbers) {
    const auto response = world.post(
        "/v1/services/trips/predict",
        fmt::format(R"({{"rows":[{0},{{"date":"2001-04-10T05:00:00Z","origin":"{1} 1e400",)"
                    R"("distance":{1}}}]}})",
                    kGoodRow, text));
    EXPECT_EQ(response.status, 200) << text << ": " << response.body;
    const auto request = std::get<plane::RequestRecord>(world.records().back());
    EXPECT_EQ(request.rows[0].outcome, plane::RowOutcome::kServed) << text;
    EXPECT_EQ(request.rows[1].outcome, plane::RowOutcome::kRefused) << text;
    EXPECT_EQ(request.rows[1].fields[2].d, value) << text;
    EXPECT_EQ(request.rows[1].fields[1].s, text + " 1e400") << "a string is left alone";
  }
  for (const std::string_view text : {"0100000000000000000000", "1e400.5", "--1", "1e", "1e400x"}) {
    EXPECT_EQ(world
                  .post("/v1/services/trips/predict",
                        fmt::format(R"({{"rows":[{{"distance":{}}}]}})", text))
                  .status,
              400)
        << text;
  }
}

/// The rules that each row broke, of an answer in JSON.
std::vector<std::string> rules_in(const plane::RequestRecord& request) {
  std::vector<std::string> out;
  for (const auto& row : request.rows) {
    EXPECT_EQ(row.outcome == plane::RowOutcome::kServed, row.rules.empty());
    out.push_back(row.rules.empty() ? "" : row.rules[0]);
  }
  return out;
}

/// RFC 8259, 8.2: a string may hold an escape of half a surrogate pair, and it is no text.
TEST(Surfaces, AStringThatIsNoTextIsItsRowsMatter) {
  Surfaces world(native_plan(0.1));
  const std::vector<std::string> refused = {"", "origin-type"};
  for (const std::string text :
       {R"(\ud800)", R"(\uDC00)", R"(a\ud83dz)", R"(\ud83d\ud83d\ude00)", R"(\ude00\ud83d)",
        R"(\\\ud800)", R"(\"\ud800\")", R"(\ud83d\u0041)", R"(\ud83d\n)"}) {
    const auto response = world.post(
        kPredict,
        fmt::format(
            R"({{"rows":[{0},{{"date":"2001-04-10T05:00:00Z","origin":"{1}","distance":400}}]}})",
            kGoodRow, text));
    EXPECT_EQ(response.status, 200) << text << ": " << response.body;
    EXPECT_EQ(rules_in(std::get<plane::RequestRecord>(world.records().back())), refused) << text;
    const auto oip = world.post("/v2/models/trips/infer",
                                fmt::format(
                                    R"({{"inputs":[{{"name":"date","datatype":"BYTES","shape":[2],
            "data":["2001-04-10T05:00:00Z","2001-04-10T05:00:00Z"]}},
            {{"name":"origin","datatype":"BYTES","shape":[2],"data":["LAX","{}"]}},
            {{"name":"distance","datatype":"INT64","shape":[2],"data":[400,400]}}]}})",
                                    text));
    EXPECT_EQ(oip.status, 200) << text << ": " << oip.body;
    EXPECT_EQ(rules_in(std::get<plane::RequestRecord>(world.records().back())), refused) << text;
  }
  // A whole pair is one character, an escaped backslash begins no escape, a name is a name, and
  // what stands for no text is a client's own where nothing was rewritten.
  for (const std::string text : {R"(\ud83d\ude00)", R"(\\ud800)", "\x7f no text"}) {
    const auto response = world.post(
        kPredict,
        fmt::format(
            R"({{"rows":[{{"date":"2001-04-10T05:00:00Z","origin":"{}","distance":400}}]}})",
            text));
    EXPECT_EQ(response.body.find("origin-type"), std::string::npos) << response.body;
  }
  EXPECT_NE(world.post(kPredict, R"({"rows":[{"\ud800":1,"distance":400}]})")
                .body.find("unknown-field/? no text"),
            std::string::npos);
  EXPECT_EQ(world.post(kPredict, R"({"request_id":"\ud800","rows":[{"distance":400}]})").status,
            400);
  for (const std::string text : {R"({"rows":[{"origin":"\ud800}]})", R"({"rows":[{"origin":"\ud8)",
                                 R"({"rows":[{"origin":"\ud80g"}]})", R"({"a":"\ud800",})"}) {
    EXPECT_EQ(world.post(kPredict, text).status, 400) << text;
  }
  // A text in a tensor of numbers contradicts its datatype, as any text does.
  EXPECT_EQ(world
                .post("/v2/models/trips/infer",
                      R"({"inputs":[{"name":"distance","datatype":"INT64","shape":[1],)"
                      R"("data":["\ud800"]}]})")
                .status,
            400);
}

TEST(Surfaces, BytesThatAreNoTextAreTheirRowsMatter) {
  Surfaces world(native_plan(0.1));
  const std::vector<std::string> refused = {"", "origin-type"};
  const auto with_length = [](std::string_view text) {
    std::string out(4, '\0');
    out[0] = static_cast<char>(text.size());
    return out.append(text);
  };
  const std::string time = "2001-04-10T05:00:00Z";
  for (const std::string text : {"\xff", "a\x80", "\xed\xa0\x80", "\xc3"}) {
    const std::string raw = with_length("LAX") + with_length(text);
    const std::string json = fmt::format(
        R"({{"inputs":[{{"name":"date","datatype":"BYTES","shape":[2],"data":["{0}","{0}"]}},
            {{"name":"origin","datatype":"BYTES","shape":[2],
            "parameters":{{"binary_data_size":{1}}}}},{{"name":"distance","datatype":"INT64",
            "shape":[2],"data":[400,400]}}]}})",
        time, raw.size());
    const auto oip = world.post("/v2/models/trips/infer", json + raw,
                                {{"inference-header-content-length", std::to_string(json.size())}});
    EXPECT_EQ(oip.status, 200) << oip.body;
    EXPECT_EQ(rules_in(std::get<plane::RequestRecord>(world.records().back())), refused);
    for (const bool is_raw : {false, true}) {
      std::string message;
      doc::ProtoWriter writer(message);
      writer.bytes(1, "trips");
      const auto input = [&](std::string_view name, std::string_view datatype, auto&& put) {
        writer.message(5, [&](doc::ProtoWriter& tensor) {
          tensor.bytes(1, name);
          tensor.bytes(2, datatype);
          tensor.integer(3, 2);
          if (!is_raw) tensor.message(5, put);
        });
      };
      input("date", "BYTES", [&](doc::ProtoWriter& w) { w.bytes(8, time), w.bytes(8, time); });
      input("origin", "BYTES", [&](doc::ProtoWriter& w) { w.bytes(8, "LAX"), w.bytes(8, text); });
      input("distance", "INT64", [](doc::ProtoWriter& w) { w.integer(3, 400), w.integer(3, 400); });
      if (is_raw) {
        writer.bytes(7, with_length(time) + with_length(time));
        writer.bytes(7, raw);
        writer.bytes(7, std::string("\x90\x01\0\0\0\0\0\0\x90\x01\0\0\0\0\0\0", 16));
      }
      EXPECT_EQ(world.call(kModelInfer, message).status, 0);
      EXPECT_EQ(rules_in(std::get<plane::RequestRecord>(world.records().back())), refused);
    }
  }
}

TEST(Surfaces, ARuntimeIsNotSentARowWithAnUnknownField) {
  Surfaces surfaces(worker_plan());
  const auto response = surfaces.post(
      "/v1/services/trips/predict",
      R"({"rows":[{"date":"2001-04-10T05:00:00Z","origin":"LAX","distance":400,"speed":1}]})");
  EXPECT_EQ(response.status, 422) << response.body;
  EXPECT_NE(response.body.find("unknown-field/speed"), std::string::npos) << response.body;
  const auto records = surfaces.records();
  EXPECT_EQ(std::get<plane::RequestRecord>(records.back()).rows[0].rules[0], "unknown-field/speed");
}

TEST(Surfaces, ATimeoutCountsFromArrivalAndIsKeptByANativeModel) {
  Surfaces world(native_plan(0.1));
  constexpr std::int64_t kQueued = 2'000'000'000;  // ns
  EXPECT_EQ(world.call(kModelInfer, infer_message(1, "s1", 60'000'000), {}, kQueued).status, 0);
  const auto late = world.call(kModelInfer, infer_message(1, "s1", 1'000'000), {}, kQueued);
  EXPECT_EQ(late.status, 4) << late.status_message;
  EXPECT_NE(late.status_message.find("deadline"), std::string::npos) << late.status_message;
  const auto infer = [&](std::int64_t timeout_us) {
    return world.post("/v2/models/trips/infer",
                      fmt::format(
                          R"({{"inputs":[{{"name":"date","datatype":"BYTES","shape":[1],
        "data":["2001-04-10T05:00:00Z"]}},
        {{"name":"origin","datatype":"BYTES","shape":[1],"data":["LAX"]}},{{"name":"distance",
        "datatype":"INT64","shape":[1],"data":[400]}}],
        "parameters":{{"source":"s1","timeout":{}}}}})",
                          timeout_us),
                      {}, kQueued);
  };
  const auto in_time = infer(60'000'000);
  EXPECT_EQ(in_time.status, 200) << in_time.body;
  const auto too_late = infer(1'000'000);
  EXPECT_EQ(too_late.status, 504) << too_late.body;
  EXPECT_NE(too_late.body.find("deadline"), std::string::npos) << too_late.body;
  EXPECT_TRUE(world.counts("heddle_rows_total{service=\"trips\",outcome=\"served\"} 2"))
      << "what is late is not scored";
  EXPECT_TRUE(world.counts("heddle_shed_total{service=\"trips\"} 2"));
}

TEST(Surfaces, WhatARuntimeHadWhileTheFieldsChangedIsAGap) {
  Surfaces world(worker_plan());
  (void)world.post(kPredict, fmt::format(R"({{"rows":[{}]}})", kGoodRow));
  std::vector<spec::Field> other(1);
  other[0].name = "elsewhere";
  world.engine->apply(world.serving_of(native_plan(0.1), other));
  world.until(
      [&] { return world.counts("heddle_rows_total{service=\"trips\",outcome=\"served\"} 1"); });
  const auto records = world.records();
  const auto gap = std::find_if(records.begin(), records.end(), [](const auto& r) {
    return std::holds_alternative<plane::GapRecord>(r);
  });
  ASSERT_NE(gap, records.end());
  EXPECT_EQ(std::get<plane::GapRecord>(*gap).requests, 1u);
  EXPECT_NE(std::get<plane::GapRecord>(*gap).reason.find("other fields"), std::string::npos);
  EXPECT_TRUE(std::none_of(records.begin(), records.end(), [](const auto& r) {
    return std::holds_alternative<plane::RequestRecord>(r);
  }));
}

TEST(Surfaces, WhatARuntimeAnswersHasItsStages) {
  Surfaces world(worker_plan());
  (void)world.post(kPredict, fmt::format(R"({{"rows":[{}]}})", kGoodRow));
  world.until([&] { return world.tracer.spans.size() == 1; });
  (void)world.call(kModelInfer, infer_message(1));
  world.until([&] { return world.tracer.spans.size() == 2; });
  (void)world.call(kStreamInfer, infer_message(1));
  world.until([&] { return world.tracer.spans.size() == 3; });
  for (const auto& span : world.tracer.spans) {
    EXPECT_EQ(span.status, 200);
    EXPECT_EQ(span.rows, 1u);
    for (const std::size_t stage : {1, 2, 3})
      EXPECT_GT(span.stages_ns[stage], 0) << span.name << stage;
    EXPECT_GT(span.stages_ns[2], span.stages_ns[3]) << "a worker takes longer than writing";
  }
  for (const char* stage : {"queue", "read", "score", "write"}) {
    EXPECT_TRUE(world.counts(
        fmt::format("heddle_stage_seconds_count{{service=\"trips\",stage=\"{}\"}} 3", stage)))
        << stage;
  }
}

}  // namespace
}  // namespace heddle::serve
