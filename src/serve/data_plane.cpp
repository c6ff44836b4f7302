#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "base/ids.hpp"
#include "base/log.hpp"
#include "doc/json.hpp"
#include "net/server.hpp"
#include "plane/journal.hpp"
#include "serve/answer.hpp"
#include "serve/metrics.hpp"
#include "serve/request.hpp"
#include "serve/serve.hpp"
#include "serve/serving.hpp"
#include "serve/standing.hpp"
#include "serve/tokens.hpp"

namespace heddle::serve {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr std::size_t kMostLabels = 10'000;
constexpr std::string_view kSourceQuarantined = "source-quarantined";
constexpr std::int64_t kTickMs = 1000;

class Plane final : public DataPlane {
 public:
  explicit Plane(Options options)
      : options_(std::move(options)),
        name_(options_.service.identity.name),
        tokens_(options_.tokens),
        predict_path_(fmt::format("/v1/services/{}/predict", name_)) {}

  ~Plane() override {
    follower_.reset();  // it posts to the server
    if (journal_ != nullptr) (void)journal_->sync();
  }

  Result<void> open();
  void run() override { server_->run(); }
  void stop() override { server_->stop(); }
  [[nodiscard]] int port() const override { return server_->port(); }
  [[nodiscard]] net::HttpServer& server() noexcept { return *server_; }

 private:
  void handle(const net::Request& request, net::Response& response);
  [[nodiscard]] Result<void> service_call(std::string_view call, const net::Request& request, net::Response& response);
  [[nodiscard]] Result<void> oip(std::string_view rest, const net::Request& request, net::Response& response);
  [[nodiscard]] Result<const Principal*> principal(const net::Request& request, Permission permission, std::string_view name) const;
  [[nodiscard]] Result<const Principal*> reader(const net::Request& request) const;
  [[nodiscard]] Result<void> predict(const net::Request& request, net::Response& response, bool is_oip, std::string_view version);
  [[nodiscard]] Result<void> labels(const net::Request& request, net::Response& response);
  [[nodiscard]] Result<void> tick(const net::Request& request, net::Response& response);
  [[nodiscard]] Result<void> stop_service(const net::Request& request, net::Response& response);
  void describe_model(net::Response& response) const;
  void describe_service(net::Response& response) const;

  /// Which slot answers a request that names `version` (empty: routed).
  struct Slot {
    std::string_view name;
    std::string_view digest;
    const score::Plan* plan = nullptr;
  };
  [[nodiscard]] Result<Slot> slot_of(std::string_view version) const;
  [[nodiscard]] Slot routed() const;
  void score(const Rows& rows, Slot& slot, std::string_view source, Micros event_time);
  [[nodiscard]] bool try_fail_over(std::string_view reason, Micros event_time);
  void readmit(std::size_t quarantine, Micros event_time);
  [[nodiscard]] int quarantine_of(std::string_view source) const;

  void apply(std::shared_ptr<const Serving> next);
  void commit();
  void each_second();
  [[nodiscard]] bool stopped() const { return acts_.stopped() || (serving_ != nullptr && serving_->route.stopped); }
  [[nodiscard]] bool ready() const { return serving_ != nullptr && routed().plan != nullptr && !stopped(); }
  [[nodiscard]] Error not_ready() const;

  Options options_;
  std::string name_;
  Tokens tokens_;
  std::string predict_path_;
  std::unique_ptr<plane::JournalWriter> journal_;
  std::unique_ptr<net::HttpServer> server_;
  std::unique_ptr<RouteFollower> follower_;

  std::shared_ptr<const Serving> serving_;
  StandingActs acts_;
  std::uint64_t applied_version_ = 0;
  std::vector<std::uint32_t> clean_rows_;  ///< in a row, one a quarantine of `serving_`
  Micros last_tick_ = INT64_MIN;
  Micros newest_event_ = INT64_MIN;
  bool replayed_ = false;                  ///< the newest request came with an event time
  bool commit_failed_ = false;
  Metrics metrics_;

  // Memory of one request, kept.
  RequestReader reader_;
  score::Scratch scratch_;
  score::RowResult result_;
  score::RowResult shadow_;
  std::vector<plane::RowView> rows_;
  std::vector<std::string_view> rules_;
  std::vector<std::size_t> rule_ends_;
  std::string made_id_;
};

Result<void> Plane::open() {
  const std::string spool = fmt::format("{}/spool/{}", options_.heddle_dir, name_);
  auto standing = plane::standing_acts(spool);
  if (standing.ok()) {
    acts_ = StandingActs::from(standing->acts);
    applied_version_ = standing->route_version;
  } else {
    log::error("{}; acts of this data plane before its start are not known", standing.error().str());
  }
  HEDDLE_ASSIGN_OR_RETURN(journal_, plane::JournalWriter::open({.dir = spool, .fields = {}, .max_bytes = options_.spool_bytes}));
  const spec::ServiceLimits& limits = options_.service.limits;
  net::HttpServer::Options http;
  http.host = options_.service.host;
  http.port = options_.service.port;
  http.limits = {.header_bytes = limits.header_bytes, .body_bytes = limits.body_bytes, .read_timeout_ms = limits.read_timeout_ms,
                 .idle_timeout_ms = limits.idle_timeout_ms, .connections = limits.connections};
  http.clock = options_.clock;
  http.handler = [this](const net::Request& request, net::Response& response) { handle(request, response); };
  http.after_turn = [this] { commit(); };
  HEDDLE_ASSIGN_OR_RETURN(server_, net::HttpServer::open(std::move(http)));
  server_->every(kTickMs, [this] { each_second(); });
  RouteFollower::Options follow;
  follow.directory = options_.heddle_dir + "/routes";
  follow.service = name_;
  follow.key = options_.control_key;
  follow.objects = options_.objects;
  follow.ready = [this](std::shared_ptr<const Serving> next) { server_->post([this, next = std::move(next)] { apply(next); }); };
  HEDDLE_ASSIGN_OR_RETURN(follower_, RouteFollower::start(std::move(follow)));
  return {};
}

void Plane::commit() {
  const auto committed = journal_->commit();
  if (committed.ok() != !commit_failed_) {
    commit_failed_ = !committed.ok();
    if (commit_failed_) log::error("{}", committed.error().str());
  }
}

void Plane::each_second() {
  journal_->sync_soon();
  if (options_.lockstep) return;
  // Replayed traffic carries its own time; nothing older is expected than what came.
  const Micros now = replayed_ ? newest_event_ : options_.clock->wall();
  if (now <= last_tick_) return;
  last_tick_ = now;
  journal_->append(plane::TickRecord{now});
}

/// Puts a route table in force: the swap is the assignment of `serving_`.
void Plane::apply(std::shared_ptr<const Serving> next) {
  const plane::RouteTable& route = next->route;
  if (route.version < applied_version_) {
    log::warn("service `{}`: route table {} is older than {}, which was in force: refused", name_, route.version, applied_version_);
    return;
  }
  if (!acts_.allows(route)) {
    log::warn("service `{}`: route table {} does not acknowledge the stop of this data plane: ignored", name_, route.version);
    return;
  }
  acts_.settle(route);
  if (next->fields.size() > 0) journal_->set_fields(next->fields.names());
  std::vector<std::uint32_t> counts(next->quarantined.size(), 0);
  for (std::size_t i = 0; i < counts.size() && serving_ != nullptr; ++i) {
    // A table that keeps the quarantine keeps the count.
    const int before = quarantine_of(next->quarantined[i].source.source);
    if (before >= 0 && serving_->quarantined[static_cast<std::size_t>(before)].source.rule == next->quarantined[i].source.rule) {
      counts[i] = clean_rows_[static_cast<std::size_t>(before)];
    }
  }
  clean_rows_ = std::move(counts);
  serving_ = std::move(next);
  applied_version_ = route.version;
  if (serving_->primary == nullptr && !serving_->primary_error.empty() && !acts_.failed_over()) {
    (void)try_fail_over(serving_->primary_error, replayed_ ? newest_event_ : options_.clock->wall());
  }
  journal_->append(plane::AppliedRecord{route.version, acts_.ids()});
  commit();
  metrics_.applied();
  log::info("service `{}`: route table {} in force ({}), primary {}, standby {}", name_, route.version, route.decision,
            serving_->primary_digest.substr(0, 19), serving_->standby_digest.empty() ? "none" : serving_->standby_digest.substr(0, 19));
}

Error Plane::not_ready() const {
  if (stopped()) {
    return {ErrorKind::kUnavailable, "service-stopped", fmt::format("service `{}` is stopped: its declared safe state", name_), "a person clears it: `heddle resume`"};
  }
  return {ErrorKind::kUnavailable, "service-not-ready", fmt::format("service `{}` has no released bundle in force", name_), "see `heddle status`"};
}

Plane::Slot Plane::routed() const {
  if (serving_ == nullptr) return {};
  if (acts_.failed_over() && serving_->standby != nullptr) return {"standby", serving_->standby_digest, serving_->standby.get()};
  if (serving_->primary == nullptr) return {};
  return {"primary", serving_->primary_digest, serving_->primary.get()};
}

Result<Plane::Slot> Plane::slot_of(std::string_view version) const {
  if (stopped() || serving_ == nullptr) return not_ready();
  Slot slot = routed();
  if (!version.empty()) {
    if (serving_->primary != nullptr && (version == "primary" || version == serving_->primary_digest)) {
      slot = {"primary", serving_->primary_digest, serving_->primary.get()};
    } else if (serving_->standby != nullptr && (version == "standby" || version == serving_->standby_digest)) {
      slot = {"standby", serving_->standby_digest, serving_->standby.get()};
    } else {
      return Error{ErrorKind::kNotFound, "version-unknown", fmt::format("service `{}` has no version `{}`", name_, version), "use `primary`, `standby` or the digest of one of them"};
    }
  }
  if (slot.plan == nullptr) return not_ready();
  return slot;
}

int Plane::quarantine_of(std::string_view source) const {
  for (std::size_t i = 0; i < serving_->quarantined.size(); ++i) {
    if (serving_->quarantined[i].source.source == source) return static_cast<int>(i);
  }
  return -1;
}

/// The switch to the standby that policy authorised beforehand: in the journal before it takes effect.
bool Plane::try_fail_over(std::string_view reason, Micros event_time) {
  if (!serving_->route.fail_over_allowed || serving_->standby == nullptr || acts_.failed_over()) return false;
  const plane::ActRecord act{"fail-over", name_, event_time, std::string(reason), uuid7(*options_.clock)};
  journal_->append(act);
  commit();
  acts_.add(act);
  log::error("service `{}` failed over to the standby: {}", name_, reason);
  return true;
}

void Plane::readmit(std::size_t quarantine, Micros event_time) {
  const plane::QuarantinedSource& source = serving_->quarantined[quarantine].source;
  const plane::ActRecord act{"source-readmit", source.source, event_time,
                             fmt::format("{} rows in a row were clean under rule `{}`", clean_rows_[quarantine], source.rule), uuid7(*options_.clock)};
  journal_->append(act);
  commit();
  acts_.add(act);
  clean_rows_[quarantine] = 0;
}

void Plane::score(const Rows& rows, Slot& slot, std::string_view source, Micros event_time) {
  const std::size_t width = serving_->fields.size();
  rows_.clear();
  rules_.clear();
  rule_ends_.clear();
  int quarantine = quarantine_of(source);
  if (quarantine >= 0 && acts_.readmitted(source)) quarantine = -1;
  std::uint64_t served = 0;
  std::uint64_t refused = 0;
  for (std::size_t i = 0; i < rows.count; ++i) {
    plane::RowView row;
    row.fields = rows.row(i, width);
    row.probability = row.standby_probability = kNaN;
    slot.plan->score_row(row.fields, result_, scratch_);
    if (!result_.check.refused && !std::isfinite(result_.probability) && slot.name == "primary" &&
        try_fail_over("the primary gave no number for a row that the contract accepts", event_time)) {
      slot = routed();
      slot.plan->score_row(row.fields, result_, scratch_);
    }
    const auto& known = slot.plan->contract().rules();
    if (quarantine >= 0) {
      const auto at = static_cast<std::size_t>(quarantine);
      const Quarantine& item = serving_->quarantined[at];
      const int rule = slot.name == "primary" ? item.primary_rule : item.standby_rule;
      const auto state = rule >= 0 ? result_.check.state(static_cast<std::size_t>(rule))
                         : result_.check.refused ? contract::RuleState::kBroken : contract::RuleState::kClean;
      if (state == contract::RuleState::kClean) ++clean_rows_[at];
      if (state == contract::RuleState::kBroken) clean_rows_[at] = 0;
      row.outcome = plane::RowOutcome::kQuarantined;
      rules_.push_back(kSourceQuarantined);
      if (item.source.readmit_after > 0 && clean_rows_[at] >= item.source.readmit_after) {
        readmit(at, event_time);
        quarantine = -1;
      }
    } else if (result_.check.refused || !std::isfinite(result_.probability)) {
      row.outcome = plane::RowOutcome::kRefused;
      ++refused;
      if (!result_.check.refused) rules_.push_back("no-answer");
    } else {
      row.outcome = plane::RowOutcome::kServed;
      row.probability = result_.probability;
      ++served;
      if (slot.name == "primary" && serving_->standby != nullptr) {
        serving_->standby->score_row(row.fields, shadow_, scratch_);
        row.standby_probability = shadow_.probability;
      }
    }
    for (const std::uint16_t rule : result_.check.broken) rules_.push_back(known[rule].id);
    rule_ends_.push_back(rules_.size());
    rows_.push_back(row);
  }
  std::size_t begin = 0;
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    rows_[i].rules = std::span(rules_).subspan(begin, rule_ends_[i] - begin);
    begin = rule_ends_[i];
  }
  metrics_.rows(served, refused, rows.count - served - refused);
}

Result<const Principal*> Plane::principal(const net::Request& request, Permission permission, std::string_view name) const {
  const std::string_view bearer = request.bearer();
  const Principal* found = tokens_.find(bearer);
  if (found == nullptr) {
    return Error{ErrorKind::kUnauthenticated, "token-unknown", bearer.empty() ? "the request has no bearer token" : "the bearer token is not known",
                 "send `Authorization: Bearer ...` with a token of `.heddle/tokens`"};
  }
  if (!found->may(permission)) {
    return Error{ErrorKind::kDenied, "permission-missing", fmt::format("`{}` may not {} on service `{}`", found->account, name, name_),
                 fmt::format("give the service account the permission `{}` in people.yaml", name)};
  }
  return found;
}

/// Who may predict may also see what there is to predict with.
Result<const Principal*> Plane::reader(const net::Request& request) const {
  if (const Principal* found = tokens_.find(request.bearer()); found != nullptr && found->may(Permission::kPredict)) return found;
  return principal(request, Permission::kRead, "read");
}

Result<void> Plane::predict(const net::Request& request, net::Response& response, bool is_oip, std::string_view version) {
  HEDDLE_ASSIGN_OR_RETURN(const Principal* who, principal(request, Permission::kPredict, "predict"));
  HEDDLE_ASSIGN_OR_RETURN(Slot slot, slot_of(version));
  const std::size_t most = options_.service.limits.batch_rows;
  const auto read = is_oip ? reader_.read_oip(request.body, serving_->fields, most) : reader_.read_rows(request.body, serving_->fields, most);
  if (!read.ok()) return read.error();
  const Rows& rows = **read;
  if (rows.event_time.has_value() && !who->may(Permission::kReplay)) {
    return Error{ErrorKind::kDenied, "event-time-denied", fmt::format("`{}` may not set `event_time`", who->account), "only a replay does; leave it out"};
  }
  std::string_view source = rows.source;
  const auto& declared = options_.service.sources;
  if (!source.empty() && std::find(declared.begin(), declared.end(), source) == declared.end()) {
    return Error{ErrorKind::kInvalid, "source-unknown", fmt::format("service `{}` declares no source `{}`", name_, source), "declare it in the Service, or leave it out"};
  }
  if (source.empty()) source = "default";
  const Micros arrival = options_.clock->wall();
  const Micros event_time = rows.event_time.value_or(arrival);
  replayed_ = rows.event_time.has_value();
  newest_event_ = replayed_ ? std::max(newest_event_, event_time) : newest_event_;
  std::string_view id = rows.request_id;
  if (id.empty()) {
    made_id_ = uuid7(*options_.clock);
    id = made_id_;
  }
  score(rows, slot, source, event_time);
  journal_->append(plane::RequestView{id, source, event_time, arrival, slot.name, serving_->route.version, rows_});
  const AnsweredBy by{name_, id, slot.digest, slot.name, serving_->route.version};
  if (is_oip) write_oip(by, rows_, rows.wants_probability, rows.wants_validation, response);
  else write_predictions(by, rows_, response);
  return {};
}

Result<void> Plane::labels(const net::Request& request, net::Response& response) {
  HEDDLE_TRY(principal(request, Permission::kLabel, "label"));
  HEDDLE_ASSIGN_OR_RETURN(const auto labels, reader_.read_labels(request.body, kMostLabels));
  const Micros now = options_.clock->wall();
  for (const LabelIn& label : labels) journal_->append(plane::LabelRecord{std::string(label.row_id), label.label, label.event_time.value_or(now)});
  metrics_.labels(labels.size());
  response.status = 202;
  response.body = fmt::format(R"({{"accepted":{}}})", labels.size());
  return {};
}

Result<void> Plane::tick(const net::Request& request, net::Response& response) {
  HEDDLE_TRY(principal(request, Permission::kReplay, "replay"));
  HEDDLE_ASSIGN_OR_RETURN(const Micros time, reader_.read_tick(request.body));
  last_tick_ = std::max(last_tick_, time);
  journal_->append(plane::TickRecord{time});
  response.body = fmt::format(R"({{"event_time":"{}","route_version":{}}})", format_time(time), applied_version_);
  return {};
}

Result<void> Plane::stop_service(const net::Request& request, net::Response& response) {
  HEDDLE_ASSIGN_OR_RETURN(const Principal* who, principal(request, Permission::kStop, "stop"));
  const plane::StopRecord stop{name_, who->account, uuid7(*options_.clock)};
  journal_->append(stop);
  commit();
  acts_.add(stop);
  log::warn("service `{}` was stopped by `{}`", name_, who->account);
  response.body = fmt::format(R"({{"stopped":true,"service":"{}","id":"{}"}})", name_, stop.id);
  return {};
}

void Plane::describe_model(net::Response& response) const {
  doc::Value versions = doc::Value::array();
  for (const auto& [plan, name, digest] : {std::tuple{serving_->primary.get(), "primary", &serving_->primary_digest},
                                           std::tuple{serving_->standby.get(), "standby", &serving_->standby_digest}}) {
    if (plan == nullptr) continue;
    versions.push(name);
    versions.push(*digest);
  }
  doc::Value inputs = doc::Value::array();
  const score::Plan* plan = serving_->primary != nullptr ? serving_->primary.get() : serving_->standby.get();
  for (const spec::Field& field : plan->contract().request_fields()) {
    const char* datatype = field.type == expr::Type::kBool ? "BOOL" : field.type == expr::Type::kInt ? "INT64" : field.type == expr::Type::kDouble ? "FP64" : "BYTES";
    inputs.push(doc::Value::object({{"name", field.name}, {"datatype", datatype}, {"shape", doc::Value::array({-1})}}));
  }
  doc::Value outputs = doc::Value::array();
  outputs.push(doc::Value::object({{"name", "probability"}, {"datatype", "FP32"}, {"shape", doc::Value::array({-1})}}));
  outputs.push(doc::Value::object({{"name", "validation"}, {"datatype", "BYTES"}, {"shape", doc::Value::array({-1})}}));
  response.body = doc::to_json(doc::Value::object({{"name", name_}, {"versions", std::move(versions)}, {"platform", "heddle"},
                                                   {"inputs", std::move(inputs)}, {"outputs", std::move(outputs)}}));
}

void Plane::describe_service(net::Response& response) const {
  const Slot slot = routed();
  doc::Value quarantined = doc::Value::array();
  for (std::size_t i = 0; serving_ != nullptr && i < serving_->quarantined.size(); ++i) {
    const auto& source = serving_->quarantined[i].source;
    quarantined.push(doc::Value::object({{"source", source.source}, {"rule", source.rule}, {"clean_rows", clean_rows_[i]},
                                         {"readmit_after", source.readmit_after}, {"readmitted", acts_.readmitted(source.source)}}));
  }
  response.body = doc::to_json(doc::Value::object({{"service", name_}, {"ready", ready()}, {"stopped", stopped()}, {"failed_over", acts_.failed_over()},
                                                   {"slot", slot.name}, {"bundle", slot.digest}, {"route_version", applied_version_},
                                                   {"primary", serving_ ? serving_->primary_digest : ""}, {"standby", serving_ ? serving_->standby_digest : ""},
                                                   {"quarantined", std::move(quarantined)}, {"journal_dropped", journal_->dropped()}}));
}

/// `rest` is what follows `/v1/services/`.
Result<void> Plane::service_call(std::string_view rest, const net::Request& request, net::Response& response) {
  const std::size_t slash = rest.find('/');
  const std::string_view service = rest.substr(0, slash);
  const std::string_view call = slash == std::string_view::npos ? std::string_view{} : rest.substr(slash + 1);
  if (service != name_) {
    HEDDLE_TRY(reader(request));
    return Error{ErrorKind::kNotFound, "service-unknown", fmt::format("this data plane serves no service `{}`", service), fmt::format("it serves `{}`", name_)};
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
  if (call == "predict" || call == "labels" || call == "tick" || call == "stop" || call.empty()) {
    response.status = 405;
    response.headers = call.empty() ? "Allow: GET\r\n" : "Allow: POST\r\n";
    response.body = R"({"error":"the method is not one of this path","id":"method-not-allowed","hint":"see `Allow`"})";
    return {};
  }
  return Error{ErrorKind::kNotFound, "path-unknown", fmt::format("there is no `{}`", request.path), "known: predict, labels, tick, stop"};
}

/// `rest` is what follows `/v2`, without a trailing slash.
Result<void> Plane::oip(std::string_view rest, const net::Request& request, net::Response& response) {
  if (rest == "/health/live") {
    response.body = R"({"live":true})";
    return {};
  }
  if (rest == "/health/ready") {
    response.status = ready() ? 200 : 503;
    response.body = fmt::format(R"({{"live":true,"ready":{}}})", ready());
    return {};
  }
  if (rest.empty()) {
    HEDDLE_TRY(reader(request));
    response.body = R"({"name":"heddle","version":"0.1.0","extensions":[]})";
    return {};
  }
  if (!rest.starts_with("/models/")) {
    HEDDLE_TRY(reader(request));
    return Error{ErrorKind::kNotFound, "path-unknown", fmt::format("there is no `{}`", request.path), "see the Open Inference Protocol, version 2"};
  }
  rest.remove_prefix(8);
  std::string_view parts[4];  // model, `versions`, version, action
  std::size_t count = 0;
  while (count < 4) {
    const std::size_t slash = rest.find('/');
    parts[count++] = rest.substr(0, slash);
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  const bool versioned = count >= 3 && parts[1] == "versions";
  const std::string_view version = versioned ? parts[2] : std::string_view{};
  const std::string_view action = versioned ? parts[3] : parts[1];
  const bool infer = action == "infer" && request.method == "POST";
  if (!infer) HEDDLE_TRY(reader(request));
  if (parts[0] != name_ || (count == 4 && !versioned)) {
    if (infer) HEDDLE_TRY(principal(request, Permission::kPredict, "predict"));
    return Error{ErrorKind::kNotFound, "service-unknown", fmt::format("there is no model `{}`", parts[0]), fmt::format("a model is a service here: `{}`", name_)};
  }
  if (infer) {
    if (!request.header("inference-header-content-length").empty()) {
      HEDDLE_TRY(principal(request, Permission::kPredict, "predict"));
      return Error{ErrorKind::kInvalid, "oip-binary", "the binary tensor extension is not spoken yet", "send JSON (in tritonclient, `binary_data=False`)"};
    }
    return predict(request, response, true, version);
  }
  if (action == "ready") {
    const bool is_ready = slot_of(version).ok();
    response.status = is_ready ? 200 : 503;
    response.body = fmt::format(R"({{"name":"{}","ready":{}}})", name_, is_ready);
    return {};
  }
  if (action.empty()) {
    if (serving_ == nullptr || (serving_->primary == nullptr && serving_->standby == nullptr)) return not_ready();
    if (!version.empty()) HEDDLE_TRY(slot_of(version));
    describe_model(response);
    return {};
  }
  return Error{ErrorKind::kNotFound, "path-unknown", fmt::format("there is no `{}`", request.path), "known: infer, ready"};
}

void Plane::handle(const net::Request& request, net::Response& response) {
  const std::int64_t begin = options_.clock->mono_ns();
  std::string_view path = request.path;
  Result<void> done;
  bool predicts = false;
  if (path == predict_path_ && request.method == "POST") {
    predicts = true;
    done = predict(request, response, false, {});
  } else {
    if (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
    if (path.starts_with("/v2") && (path.size() == 3 || path[3] == '/')) {
      predicts = path.ends_with("/infer");
      done = oip(path.substr(3), request, response);
    } else if (path.starts_with("/v1/services/")) {
      done = service_call(path.substr(13), request, response);
    } else if (path == "/metrics" && request.method == "GET") {
      if (auto who = principal(request, Permission::kRead, "read"); !who.ok()) {
        done = who.error();
      } else {
        response.content_type = "text/plain; version=0.0.4";
        response.body = metrics_.text(name_, {ready(), stopped(), acts_.failed_over(), applied_version_, follower_->refused(), journal_->dropped(), server_->connections()});
      }
    } else if (path == "/health/live" || path == "/health/ready") {
      done = oip(path, request, response);
    } else {
      auto who = reader(request);
      done = who.ok() ? Error{ErrorKind::kNotFound, "path-unknown", fmt::format("there is no `{}`", path), "see docs/http.md for the paths"} : who.error();
    }
  }
  if (!done.ok()) {
    write_error(done.error(), response);
    if (response.status == 401) response.headers = "WWW-Authenticate: Bearer\r\n";
    if (response.status == 503) response.headers = "Retry-After: 1\r\n";
  }
  if (predicts) metrics_.answered(response.status, options_.clock->mono_ns() - begin);
}

}  // namespace

Result<std::unique_ptr<DataPlane>> DataPlane::open(Options options) {
  auto plane = std::make_unique<Plane>(std::move(options));
  HEDDLE_TRY(plane->open());
  return std::unique_ptr<DataPlane>(std::move(plane));
}

Result<void> run(Options options, const std::atomic<bool>& stop) {
  Plane plane(std::move(options));
  HEDDLE_TRY(plane.open());
  plane.server().every(50, [&] {
    if (stop.load(std::memory_order_relaxed)) plane.stop();
  });
  log::info("data plane on port {}", plane.port());
  plane.run();
  return {};
}

}  // namespace heddle::serve
