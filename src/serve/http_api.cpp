#include "serve/http_api.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

#include "base/os_user.hpp"
#include "doc/json.hpp"
#include "net/grpc.hpp"
#include "serve/oip_model.hpp"
#include "telemetry/process.hpp"

namespace heddle::serve {
namespace {

constexpr std::size_t kMostLabels = 10'000;
constexpr std::size_t kMostErrors = 100;  ///< of one request that are spelled out
constexpr std::int64_t kMs = 1'000'000;
constexpr std::string_view kShed =
    R"({"error":"more requests came than can be answered in time","id":"overloaded",)"
    R"("hint":"try again after `Retry-After`, with fewer at once"})";

/// What predictions and labels are; null while nothing is loaded.
doc::Value describe_task(const Serving* serving) {
  const score::Plan* plan = serving == nullptr ? nullptr : serving->any_plan();
  if (plan == nullptr) return {};
  doc::Value task = doc::Value::object({{"kind", stats::task_name(plan->task().kind)}});
  if (!plan->task().classes.empty()) task.set("classes", oip::classes_of(plan->task()));
  if (plan->conformal().has_value()) task.set("coverage", plan->conformal()->coverage);
  return task;
}

void not_allowed(std::string_view allowed, net::Response& response) {
  response.status = 405;
  response.headers = fmt::format("Allow: {}\r\n", allowed);
  response.body = R"({"error":"the method is not one of this path","id":"method-not-allowed",)"
                  R"("hint":"see `Allow`"})";
}

/// What passes by itself, whoever found it.
void say_when_to_retry(net::Response& response) {
  // A second: longer than any queue that is still taken, and short for who waits.
  if (response.status == 503 || response.status == 429) response.headers += "Retry-After: 1\r\n";
}

/// Where the JSON of an OIP body ends; all of it without the header.
Result<std::size_t> json_bytes(const net::Request& request, std::string_view body) {
  const std::string_view text = request.header("inference-header-content-length");
  if (text.empty()) return body.size();
  std::size_t bytes = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bytes);
  // The rest is binary and is read by the place that this number gives.
  if (error != std::errc{} || end != text.data() + text.size() || bytes > body.size()) {
    return Error{ErrorKind::kInvalid, "oip-binary",
                 "`Inference-Header-Content-Length` is no length within the body",
                 "send the length of the JSON part in bytes"};
  }
  return bytes;
}

/// Of the project, by the kernel's word: it came over the owner's socket.
bool is_owner(const net::Request& request) {
  // -1 over TCP, where the kernel knows no user.
  return request.peer_uid == 0 || request.peer_uid == static_cast<std::int64_t>(::geteuid());
}

}  // namespace

/// A request whose answer a runtime takes its time for.
class HttpApi::Deferred final : public DeferredReply {
 public:
  Deferred(HttpApi& api, Body kind, const Rows& rows, std::int64_t read_ns)
      : api_(api), kind_(kind), rows_(rows), read_ns_(read_ns) {}

  Done defer() override {
    api_.deferred_ = true;
    // By value what the next request overwrites: members of the API are about the request that is
    // read now.
    return [api = &api_, kind = kind_, outputs = rows_.outputs, begin = api_.begin_ns_,
            queued = api_.queued_ns_, read = read_ns_, tracing = api_.tracing_,
            responder = api_.options_.defer()](const Result<Answer>& answer) mutable {
      net::Response response;
      const std::int64_t scored = api->options_.clock->mono_ns();
      // As at the end of `handle`, which has returned long since.
      if (!answer.ok()) {
        fail(answer.error(), response);
        api->engine_.metrics().refused(answer.error().id);
      } else if (kind == Body::kRows)
        write_predictions(*answer, response);
      else
        write_oip(*answer, outputs, response);
      say_when_to_retry(response);
      const std::int64_t written = api->options_.clock->mono_ns();
      const std::int64_t took = written - begin;
      api->engine_.metrics().answered(response.status, took);
      if (answer.ok()) {
        const Stages stages{queued, read - begin, scored - read, written - scored};
        api->engine_.metrics().stages(stages);
        tracing.answered(*answer, stages);
      }
      if (const std::string parent = tracing.end(response.status, took + queued); !parent.empty())
        response.headers += "traceparent: " + parent + "\r\n";
      responder.send(std::move(response));
    };
  }

 private:
  HttpApi& api_;
  Body kind_;
  const Rows& rows_;
  std::int64_t read_ns_;
};

HttpApi::HttpApi(Options options)
    : options_(std::move(options)),
      engine_(*options_.engine),
      predict_path_(fmt::format("/v1/services/{}/predict", engine_.name())),
      infer_path_(fmt::format("/v2/models/{}/infer", engine_.name())),
      tracing_(options_.tracer, *options_.clock) {}

Result<const Principal*> HttpApi::principal(const net::Request& request,
                                            Permission permission) const {
  return options_.tokens->allow(request.bearer(), permission, engine_.name());
}

Result<const Principal*> HttpApi::reader(const net::Request& request) const {
  // Over the owner's socket no token is asked for: who can open it can read the tokens too.
  static const Principal kOwner{"owner", static_cast<std::uint8_t>(Permission::kRead)};
  if (is_owner(request)) return &kOwner;
  return options_.tokens->allow_reading(request.bearer(), engine_.name());
}

Result<std::string_view> HttpApi::body_of(const net::Request& request) {
  const std::string_view coding = request.header("content-encoding");
  // The request's own buffer has the padding that the parser needs; what was inflated gets it here.
  if (coding.empty()) return request.body;
  // The limit is of what comes out: a few bytes can become gigabytes.
  HEDDLE_TRY(net::decode_body(coding, request.body, options_.service->limits.body_bytes, decoded_));
  decoded_.reserve(decoded_.size() + net::Request::kBodyPadding);
  return std::string_view(decoded_);
}

Result<void> HttpApi::predict(const net::Request& request, net::Response& response, Body kind,
                              std::string_view version) {
  Metrics& metrics = engine_.metrics();
  // First of all: the body of a stranger is not even inflated.
  HEDDLE_ASSIGN_OR_RETURN(const Principal* who, principal(request, Permission::kPredict));
  if (engine_.serving() == nullptr) return engine_.not_ready();
  const FieldNames& fields = engine_.serving()->fields;
  const std::size_t most = options_.service->limits.batch_rows;
  const Rows* rows = nullptr;
  HEDDLE_ASSIGN_OR_RETURN(const std::string_view body, body_of(request));
  if (kind == Body::kRows) {
    HEDDLE_ASSIGN_OR_RETURN(rows, reader_.read_rows(body, fields, most));
  } else {
    HEDDLE_ASSIGN_OR_RETURN(const std::size_t json, json_bytes(request, body));
    HEDDLE_ASSIGN_OR_RETURN(rows, reader_.read_oip(body, json, fields, most));
    // The path decides who may ask. A body that names another model is a client's mistake, or
    // worse.
    if (!rows->model.empty() && rows->model != engine_.name()) {
      return Error{ErrorKind::kInvalid, "oip-model",
                   fmt::format("the body names model `{}`, the path `{}`", shown(rows->model),
                               engine_.name()),
                   "name one model"};
    }
  }
  const std::int64_t read = options_.clock->mono_ns();
  // From when the request came, not from when it was looked at: the client's clock runs meanwhile.
  const std::int64_t deadline =
      rows->timeout_us > 0 ? begin_ns_ - queued_ns_ + rows->timeout_us * 1000 : INT64_MAX;
  // Nobody waits for the answer any more: to score it would delay those who do.
  if (read > deadline) {
    metrics.shed();
    return Error{ErrorKind::kTimeout, "deadline",
                 "the client's timeout passed before the request was looked at",
                 "give it more time, or send fewer at once"};
  }
  Deferred deferred(*this, kind, *rows, read);
  HEDDLE_ASSIGN_OR_RETURN(const auto given, engine_.infer({*who, *rows, version, request.headers,
                                                           begin_ns_, deadline, &deferred}));
  // A runtime has the rows; `Deferred` answers.
  if (!given.has_value()) return {};
  const Answer& answer = *given;
  const std::int64_t scored = options_.clock->mono_ns();
  if (kind == Body::kRows)
    write_predictions(answer, response);
  else
    write_oip(answer, rows->outputs, response);
  const Stages stages{queued_ns_, read - begin_ns_, scored - read,
                      options_.clock->mono_ns() - scored};
  metrics.stages(stages);
  tracing_.answered(answer, stages);
  return {};
}

Result<void> HttpApi::labels(const net::Request& request, net::Response& response) {
  HEDDLE_ASSIGN_OR_RETURN(const Principal* who, principal(request, Permission::kLabel));
  HEDDLE_ASSIGN_OR_RETURN(const std::string_view body, body_of(request));
  HEDDLE_ASSIGN_OR_RETURN(const auto labels, reader_.read_labels(body, kMostLabels));
  HEDDLE_ASSIGN_OR_RETURN(const auto refused, engine_.add_labels(labels, who->account));
  // As with rows: what is right is taken, and nobody has to look for what was wrong.
  response.status = refused.empty() || refused.size() < labels.size() ? 202 : 422;
  auto errors = doc::Value::array();
  for (const auto& [place, error] :
       // The count is exact; who sends thousands of wrong ones needs no thousands of texts.
       std::span(refused).first(std::min(refused.size(), kMostErrors))) {
    errors.push(doc::Value::object({{"label", place},
                                    {"row_id", labels[place].row_id},
                                    {"id", error.id},
                                    {"error", error.message},
                                    {"hint", error.hint}}));
  }
  auto answer = doc::Value::object(
      {{"accepted", labels.size() - refused.size()}, {"refused", refused.size()}});
  if (!refused.empty()) answer.set("errors", std::move(errors));
  response.body = doc::to_json(answer);
  return {};
}

Result<void> HttpApi::tick(const net::Request& request, net::Response& response) {
  HEDDLE_TRY(principal(request, Permission::kReplay));
  HEDDLE_ASSIGN_OR_RETURN(const std::string_view body, body_of(request));
  HEDDLE_ASSIGN_OR_RETURN(const Micros time, reader_.read_tick(body));
  HEDDLE_TRY(engine_.tick(time));
  response.body = fmt::format(R"({{"event_time":"{}","route_version":{}}})", format_time(time),
                              engine_.applied_version());
  return {};
}

Result<void> HttpApi::stop_service(const net::Request& request, net::Response& response) {
  std::string by;
  if (is_owner(request)) {
    // The record of a stop names a person where it can: an account of the machine is all that is
    // known.
    by = "owner:" + os_user_name(static_cast<std::uint32_t>(request.peer_uid));
  } else {
    HEDDLE_ASSIGN_OR_RETURN(const Principal* who, principal(request, Permission::kStop));
    by = who->account;
  }
  const std::string id = engine_.stop(by);
  response.body = fmt::format(R"({{"stopped":true,"service":"{}","id":"{}","recorded":{}}})",
                              engine_.name(), id, engine_.recorded());
  return {};
}

void HttpApi::describe_service(net::Response& response) const {
  const Serving* serving = engine_.serving();
  const auto digest = [&](SlotId slot) {
    return serving == nullptr ? std::string() : serving->slot(slot).digest;
  };
  // The one that answers now: after a failover that is not the route table's primary.
  const auto slot = engine_.slot_of({});
  doc::Value quarantined = doc::Value::array();
  for (std::size_t i = 0; serving != nullptr && i < serving->quarantined.size(); ++i) {
    const auto& source = serving->quarantined[i].source;
    quarantined.push(doc::Value::object({{"source", source.source},
                                         {"account", source.account},
                                         {"rule", source.rule},
                                         {"clean_rows", engine_.clean_rows(i)},
                                         {"readmit_after", source.readmit_after},
                                         {"readmitted", engine_.acts().readmitted(source)}}));
  }
  const RouteFollower::Waiting waiting = options_.waiting();
  constexpr std::int64_t kSecond = 1'000'000'000;
  const std::int64_t waits_s =
      waiting.why.empty() ? 0 : (system_clock().mono_ns() - waiting.since_ns) / kSecond;
  plane::JournalWriter& journal = engine_.journal();
  const bool recording = journal.room(plane::RecordKind::kRows, {}) != plane::Room::kFull;
  doc::Value unrecorded = doc::Value::object({});
  for (const auto& [account, lost] : journal.unrecorded()) {
    unrecorded.set(account,
                   doc::Value::object({{"requests", lost.requests}, {"labels", lost.labels}}));
  }
  response.body = doc::to_json(
      doc::Value::object({{"service", engine_.name()},
                          {"ready", engine_.ready()},
                          {"stopped", engine_.stopped()},
                          {"task", describe_task(serving)},
                          {"failed_over", engine_.failed_over()},
                          {"slot", slot.ok() ? name_of(slot->id) : ""},
                          {"bundle", slot.ok() ? slot->loaded->digest : ""},
                          {"route_version", engine_.applied_version()},
                          {"waits_for", waiting.why},
                          {"waits_s", waits_s},
                          {"primary", digest(SlotId::kPrimary)},
                          {"standby", digest(SlotId::kStandby)},
                          {"canary", digest(SlotId::kCanary)},
                          {"shadow", digest(SlotId::kShadow)},
                          {"event_time", engine_.event_clock().last_tick() == INT64_MIN
                                             ? ""
                                             : format_time(engine_.event_clock().last_tick())},
                          {"replayed", engine_.event_clock().replayed()},
                          {"canary_aborted", engine_.acts().canary_aborted()},
                          {"quarantined", std::move(quarantined)},
                          {"recording", recording},
                          {"unrecorded", std::move(unrecorded)},
                          {"request_errors", engine_.metrics().errors_by_id()}}));
}

/// `rest` is what follows `/v1/services/`.
Result<void> HttpApi::service_call(std::string_view rest, const net::Request& request,
                                   net::Response& response) {
  const std::size_t slash = rest.find('/');
  const std::string_view service = rest.substr(0, slash);
  const std::string_view call =
      slash == std::string_view::npos ? std::string_view{} : rest.substr(slash + 1);
  // Which services there are is told to those who may read.
  if (service != engine_.name()) {
    HEDDLE_TRY(reader(request));
    return Error{ErrorKind::kNotFound, "service-unknown",
                 fmt::format("this data plane serves no service `{}`", service),
                 fmt::format("it serves `{}`", engine_.name())};
  }
  const bool post = request.method == "POST";
  if (call.empty() && request.method == "GET") {
    HEDDLE_TRY(reader(request));
    describe_service(response);
    return {};
  }
  if (call == "labels" && post) return labels(request, response);
  if (call == "tick" && post) return tick(request, response);
  if (call == "stop" && post) return stop_service(request, response);
  HEDDLE_TRY(reader(request));
  // A known call by another method is 405, everything else 404.
  if (call == "predict" || call == "labels" || call == "tick" || call == "stop" || call.empty()) {
    not_allowed(call.empty() ? "GET" : "POST", response);
    return {};
  }
  return Error{ErrorKind::kNotFound, "path-unknown", fmt::format("there is no `{}`", request.path),
               "known: predict, labels, tick, stop"};
}

Result<void> HttpApi::route(const net::Request& request, net::Response& response) {
  std::string_view path = request.path;
  // Clients and proxies add one.
  if (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  // Not `/v2x`, which is a path of nobody.
  if (path.starts_with("/v2") && (path.size() == 3 || path[3] == '/'))
    return oip(path.substr(3), request, response);
  if (path.starts_with("/v1/services/")) return service_call(path.substr(13), request, response);
  if (path == "/health/live" || path == "/health/ready") return oip(path, request, response);
  if (path == "/metrics" && request.method == "GET") {
    HEDDLE_TRY(principal(request, Permission::kRead));
    response.content_type = "text/plain; version=0.0.4";
    response.body = engine_.metrics().text(engine_.name(), options_.gauges());
    put_other_metrics(response.body);
    return {};
  }
  HEDDLE_TRY(reader(request));
  // Which paths there are is told to who may read: a stranger gets 401 for each other one.
  return Error{ErrorKind::kNotFound, "path-unknown", fmt::format("there is no `{}`", path),
               "see docs/http.md for the paths"};
}

void HttpApi::fail(const Error& error, net::Response& response) {
  write_error(error, response);
  // RFC 9110 asks for it with each 401.
  if (response.status == 401) response.headers = "WWW-Authenticate: Bearer\r\n";
}

/// What is not the engine's: the process, this build, the tracer.
void HttpApi::put_other_metrics(std::string& out) const {
  const auto put = [&](std::string_view name, std::string_view type, std::string_view help,
                       std::string_view labels, std::uint64_t value) {
    fmt::format_to(std::back_inserter(out), "# HELP {0} {1}\n# TYPE {0} {2}\n{0}{{{3}}} {4}\n",
                   name, help, type, labels, value);
  };
  put("heddle_build_info", "gauge", "1, with what this program is",
      fmt::format("version=\"{}\"", oip::server_version()), 1);
  if (options_.tracer != nullptr) {
    const auto counts = options_.tracer->counts();
    const std::string service = fmt::format("service=\"{}\"", engine_.name());
    put("heddle_trace_requests_exported_total", "counter",
        "Traced requests that the collector took", service, counts.exported);
    put("heddle_trace_requests_dropped_total", "counter",
        "Traced requests that found no place or no collector", service, counts.dropped);
  }
  telemetry::put_process_metrics(out);
}

void HttpApi::handle(const net::Request& request, net::Response& response) {
  begin_ns_ = request.begin_ns;
  queued_ns_ = request.queued_ns;
  const bool posted = request.method == "POST";
  const bool predicts = posted && request.path == predict_path_;
  // By its ending, so that a request of another service or version is shed and counted as well.
  const bool scores = predicts || (posted && request.path.ends_with("/infer"));
  if (scores && engine_.sheds(queued_ns_, begin_ns_)) {
    // Before anything of it is read: what is shed must cost next to nothing, or shedding is the
    // overload.
    response.status = 503;
    say_when_to_retry(response);
    response.body = kShed;
    return;
  }
  if (scores)
    tracing_.begin(predicts ? "POST /v1/services/{service}/predict" : "POST /v2/models/{m}/infer",
                   request.headers);
  Result<void> done;
  if (predicts) {
    done = predict(request, response, Body::kRows, {});
  } else if (scores && request.path == infer_path_) {
    done = predict(request, response, Body::kOip, {});
  } else {
    done = route(request, response);
  }
  // The runtime's answer writes status, metrics and trace.
  if (std::exchange(deferred_, false)) return;
  if (!done.ok()) {
    fail(done.error(), response);
    if (scores) engine_.metrics().refused(done.error().id);
  }
  say_when_to_retry(response);
  const std::int64_t took = options_.clock->mono_ns() - begin_ns_;
  if (scores) {
    engine_.metrics().answered(response.status, took);
    if (const std::string parent = tracing_.end(response.status, took + queued_ns_);
        !parent.empty())
      response.headers += "traceparent: " + parent + "\r\n";
  }
}

}  // namespace heddle::serve
