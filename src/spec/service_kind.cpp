#include <algorithm>
#include <cctype>
#include <set>

#include <arpa/inet.h>

#include "spec/check_services.hpp"
#include "spec/kinds.hpp"
#include "spec/shares.hpp"

namespace heddle::spec {
namespace {

/// A host name or an address without scheme, port and path, or `*.` before a name.
bool is_host_pattern(std::string_view name) {
  if (name.starts_with("*.")) name.remove_prefix(2);
  // 253 characters are the longest name in text: DNS has 255 octets with its lengths (RFC 1035,
  // 2.3.4).
  if (name.empty() || name.size() > 253 || name.starts_with('.') || name.ends_with('.'))
    return false;
  if (name.find("..") != std::string_view::npos) return false;
  // An IPv6 address, as a URL writes it.
  if (name.starts_with('['))
    return name.find_first_not_of("0123456789abcdefABCDEF:.", 1) == name.size() - 1 &&
           name.ends_with(']');
  return std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_';
  });
}

void check_judgement(JudgementRules& into, const doc::Value& value, Reader& reader) {
  need_share(value, "failed_share", into.failed_share, reader);
  need_share(value, "refused_share", into.refused_share, reader);
  need_share(value, "score_shift", into.score_shift, reader);
  need_share(value, "disagreement", into.disagreement, reader);
  need_share(value, "loss", into.loss, reader);
  need_share(value, "error_rate", into.error_rate, reader);
  // A test that is never wrong says nothing.
  if (into.error_rate == 0) {
    reader.report(value.find("error_rate")->position(), "bad-share",
                  "`error_rate` 0 judges nothing bad", "write `0.01`: one canary in a hundred");
  }
  if (const doc::Value* ratio = value.find("latency_ratio");
      ratio != nullptr && into.latency_ratio < 1) {
    reader.report(ratio->position(), "bad-value", "`latency_ratio` must be 1 or more",
                  "1.5 lets a canary take half as long again");
  }
}

/// Adds a step to those before it, which must rise.
void add_step(CanaryRules& into, const doc::Value& item, doc::Position at, Reader& reader) {
  const auto share = parse_share(item.as_string());
  // In ten-thousandths: half at most, for the baseline beside the canary gets as many requests.
  if (!share || *share == 0 || *share > 5'000 ||
      (!into.steps.empty() && *share <= into.steps.back())) {
    reader.report(at, "bad-share",
                  fmt::format("`{}` is no share that rises above the step before, up to 50%",
                              item.as_string()),
                  "write `steps: [1%, 5%, 25%]`: the other half of the traffic is the baseline");
    return;
  }
  into.steps.push_back(*share);
}

void read_steps(CanaryRules& into, const doc::Value& value, Reader& reader) {
  // Steps that are written replace the default ones.
  into.steps.clear();
  if (value.is_string()) add_step(into, value, value.position(), reader);
  if (value.is_array()) {
    for (const auto& item : value.as_array())
      add_step(into, item, item.position().line > 0 ? item.position() : value.position(), reader);
  }
  // What was reported is not followed by findings about a canary without steps.
  if (into.steps.empty()) into.steps = CanaryRules{}.steps;
}

void check_canary(CanaryRules& into, const doc::Value& value, Reader& reader) {
  // A prefix without a name behind it names nothing.
  const bool known = into.sticky.empty() || into.sticky == "source" ||
                     (into.sticky.starts_with("header:") && into.sticky.size() > 7) ||
                     (into.sticky.starts_with("field:") && into.sticky.size() > 6);
  if (!known) {
    reader.report(value.find("sticky")->position(), "unknown-value",
                  fmt::format("`{}` is no key to draw by", into.sticky),
                  "write `source`, `header:NAME` or `field:NAME`");
  }
  // A header alone would send every request that has it, whatever it says.
  if (into.header.empty() != into.header_value.empty()) {
    reader.report(value.position(), "missing-key", "`header` and `header_value` belong together",
                  "give both or none");
  }
}

/// What a listener takes.
bool is_listening_address(const std::string& host) {
  in_addr address{};
  // `inet_pton` takes four whole numbers only, not `127.1`.
  return host == "localhost" || ::inet_pton(AF_INET, host.c_str(), &address) == 1;
}

void check_hosts(Service& into, const doc::Value& value, Reader& reader) {
  if (!is_listening_address(into.host))
    reader.report(value.find("host")->position(), "bad-host",
                  fmt::format("`{}` is not an IPv4 address", into.host),
                  "write `127.0.0.1` for this machine alone, `0.0.0.0` for all its addresses, or "
                  "one of them");
  for (const std::string& host : into.hosts) {
    if (is_host_pattern(host)) continue;
    reader.report(value.find("hosts")->position(), "bad-host",
                  fmt::format("`{}` is not a host name", host),
                  "write the name alone, without scheme, port and path: `models.example.com`, "
                  "or `*.example.com` for every name below");
  }
}

const Schema<JudgementRules>& judgement_keys() {
  static const Schema<JudgementRules> keys = [] {
    Schema<JudgementRules> t("judgement",
                             "by how much a canary may be worse than the baseline beside it");
    t.number("error_rate", &JudgementRules::error_rate,
             "chance that one that is no worse is judged bad, over all steps");
    t.number("failed_share", &JudgementRules::failed_share, "by which more requests may fail");
    t.number("refused_share", &JudgementRules::refused_share,
             "by which more requests may have a refused row");
    t.number("latency_ratio", &JudgementRules::latency_ratio,
             "by which median and 99th percentile may be longer");
    t.number("score_shift", &JudgementRules::score_shift,
             "largest Kolmogorov-Smirnov distance of the scores; 1: any");
    t.number("disagreement", &JudgementRules::disagreement,
             "by which it may be farther from the shadow's or standby's score; 1: any");
    t.number("loss", &JudgementRules::loss,
             "by which the squared error against labels may be larger");
    t.finally(check_judgement);
    return t;
  }();
  return keys;
}

const Schema<CanaryRules>& canary_keys() {
  static const Schema<CanaryRules> keys = [] {
    Schema<CanaryRules> t("canary", "how a canary takes over and when it is judged");
    t.custom("steps", Shape::kTexts,
             "shares of the requests, rising, as `[1%, 5%, 25%]`; 50% at most", read_steps);
    // It stands beside the steps and counts in the judgement.
    t.custom("minimum_rows", Shape::kInteger,
             "rows of canary and of baseline before a step is judged good",
             [](CanaryRules& into, const doc::Value& value, Reader&) {
               into.judgement.minimum_rows = value.as_int();
             });
    t.keys.back().at_least = 1;
    t.duration("interval", &CanaryRules::interval, "of event time between judgements");
    t.duration("patience", &CanaryRules::patience,
               "of event time without a good or bad judgement, before a person is asked");
    t.text(
        "sticky", &CanaryRules::sticky,
        "key of the draw, `source`, `header:NAME` or `field:NAME`, so that a client stays with one "
        "bundle: who may choose the key chooses the side; without it, the server draws each "
        "request");
    t.text("header", &CanaryRules::header, "requests with this header always go to the canary");
    t.text("header_value", &CanaryRules::header_value, "and this value of it");
    t.object("judgement", &CanaryRules::judgement, judgement_keys(), "how much worse is bad");
    t.finally(check_canary);
    return t;
  }();
  return keys;
}

const Schema<ServiceLimits>& limits_keys() {
  static const Schema<ServiceLimits> keys = [] {
    Schema<ServiceLimits> t("limits", "bounds of a request");
    t.integer("body_bytes", &ServiceLimits::body_bytes, "largest body", 1024);
    t.integer("batch_rows", &ServiceLimits::batch_rows, "most rows of a request", 1);
    t.integer("header_bytes", &ServiceLimits::header_bytes, "largest head", 1024);
    t.integer("read_timeout_ms", &ServiceLimits::read_timeout_ms, "for a whole request", 1);
    t.integer("idle_timeout_ms", &ServiceLimits::idle_timeout_ms, "between requests", 1);
    t.integer("connections", &ServiceLimits::connections, "at once", 1);
    t.integer("connections_per_address", &ServiceLimits::connections_per_address,
              "of one client address at once", 1);
    t.integer("drain_ms", &ServiceLimits::drain_ms,
              "how long requests in flight may take when the data plane ends or is replaced", 0);
    t.integer("queue_ms", &ServiceLimits::queue_ms,
              "how long a predict request may wait for its turn while a queue stands; past it, it "
              "is shed with 503",
              1);
    t.integer("batch_ms", &ServiceLimits::batch_ms,
              "with a runtime: what a batch of several requests may take", 1);
    t.integer("queue_rows", &ServiceLimits::queue_rows,
              "with a runtime: rows that may wait for it; past it requests are shed with 503", 1);
    t.integer("requests_per_second", &ServiceLimits::requests_per_second,
              "predict requests of one account; past it 429; 0: no limit", 0);
    return t;
  }();
  return keys;
}

const Schema<ServiceTls>& tls_keys() {
  static const Schema<ServiceTls> keys = [] {
    Schema<ServiceTls> t("tls", "what the endpoint shows of itself");
    t.text("certificate", &ServiceTls::certificate,
           "PEM file of the chain, leaf first, relative to the project")
        .required();
    t.text("key", &ServiceTls::key, "PEM file of the private key").required();
    t.text("client_ca", &ServiceTls::client_ca,
           "PEM file of authorities; a client must show a certificate that one of them signed");
    return t;
  }();
  return keys;
}

const Schema<AccessLog>& access_log_keys() {
  static const Schema<AccessLog> keys = [] {
    Schema<AccessLog> t("access_log", "what is kept of every request");
    t.integer("bytes", &AccessLog::bytes,
              "of the log; past it the oldest segments go; 0: no access log", 0);
    t.boolean("fields", &AccessLog::fields, "the values of the request fields too");
    return t;
  }();
  return keys;
}

const Schema<Traces>& traces_keys() {
  static const Schema<Traces> keys = [] {
    Schema<Traces> t("traces", "OpenTelemetry spans of requests");
    t.text("endpoint", &Traces::endpoint,
           "`http://host:port/v1/traces` of a collector; empty: no traces");
    t.number("share", &Traces::share,
             "of the requests that come without a trace of their caller's, 0 to 1");
    return t;
  }();
  return keys;
}

const Schema<Telemetry>& telemetry_keys() {
  static const Schema<Telemetry> keys = [] {
    Schema<Telemetry> t("telemetry", "what the data plane tells others of itself");
    t.object("traces", &Telemetry::traces, traces_keys(), "OpenTelemetry spans of requests");
    return t;
  }();
  return keys;
}

const Schema<Service>& service_keys() {
  static const Schema<Service> table = [] {
    Schema<Service> t("Service", "an endpoint: model, sources, limits, autonomy");
    add_named_head(t, "Service");
    t.text("model", &Service::model, "name of the model").required();
    t.text("monitor", &Service::monitor, "name of the monitor").required();
    t.texts("sources", &Service::sources,
            "upstreams a request may name; one that names none is from `default`");
    t.text("host", &Service::host, "address to listen on");
    t.texts("hosts", &Service::hosts,
            "further host names clients call it by, for example `models.example.com` or "
            "`*.example.com`; loopback, `host` and the machine's own address always count");
    t.integer("port", &Service::port, "port to listen on; 0: any that is free")
        .between(0, kLargestPort);
    t.integer("grpc_port", &Service::grpc_port,
              "port of the Open Inference Protocol over gRPC, 8001 by convention; -1: none")
        .between(-1, kLargestPort);
    t.object("tls", &Service::tls, tls_keys(),
             "HTTPS and gRPC over TLS; without it plain, for loopback and behind a proxy");
    t.object("limits", &Service::limits, limits_keys(), "bounds of a request");
    t.object("access_log", &Service::access_log, access_log_keys(),
             "what is kept of every request");
    t.object("telemetry", &Service::telemetry, telemetry_keys(),
             "what the data plane tells others of itself");
    t.text("autonomy", &Service::autonomy, "what agents may do")
        .one_of({"observe", "propose", "act"});
    t.integer("readmit_after", &Service::readmit_after,
              "clean rows in a row that let a quarantined source in again");
    t.object("canary", &Service::canary, canary_keys(), "how a canary takes over");
    t.finally(check_hosts);
    return t;
  }();
  return table;
}

class ServiceChecker : public Checking {
 public:
  explicit ServiceChecker(const Checking& all) : Checking(all) {}

  void check(Service& service) {
    refer(service.identity, "model", service.model, project_.models, "model");
    refer(service.identity, "monitor", service.monitor, project_.monitors, "monitor");
    const Contract* contract = contract_of(service);
    if (contract != nullptr && service.canary.sticky.starts_with("field:")) {
      const doc::Value* canary = service.identity.content.find("canary");
      const doc::Value* sticky = canary == nullptr ? nullptr : canary->find("sticky");
      need_field(service.identity.file, sticky == nullptr ? doc::Position{} : sticky->position(),
                 *contract, service.canary.sticky.substr(6), "`sticky`");
    }
    check_sources(service);
    const Traces& traces = service.telemetry.traces;
    if (!traces.endpoint.empty() && !traces.endpoint.starts_with("http://")) {
      report(service.identity.file, at(service.identity, "telemetry"), "traces-endpoint",
             fmt::format("`{}` is not an http URL", traces.endpoint),
             "name a collector on this machine or network, for example "
             "http://127.0.0.1:4318/v1/traces");
    }
    // Written so that NaN is refused too.
    if (!(traces.share >= 0 && traces.share <= 1)) {
      report(service.identity.file, at(service.identity, "telemetry"), "traces-share",
             fmt::format("the share {} is not between 0 and 1", traces.share),
             "0: only what a caller traces; 1: every request");
    }
  }

  /// A request names its source, and so do rules, quarantines and the ledger.
  void check_sources(const Service& service) {
    std::set<std::string> seen;
    for (std::size_t i = 0; i < service.sources.size(); ++i) {
      const std::string& name = service.sources[i];
      const doc::Position position = at(service.identity, "sources", i);
      unique(service.identity.file, seen, name, position, "source");
      if (name == "default") {
        report(service.identity.file, position, "source-name",
               "`default` is the source of requests that name none",
               "leave it out, or give the source another name");
      } else if (!is_plain_name(name)) {
        report(service.identity.file, position, "source-name",
               fmt::format("`{}` cannot be the name of a source", name), std::string(kPlainName));
      }
    }
  }
};

class ServiceKind final : public BuiltInKind<Service, ServiceChecker> {
 public:
  ServiceKind() : BuiltInKind("Service", "services", service_keys, &Project::services) {}
  void check(const Checking& all) const override {
    BuiltInKind::check(all);
    // Once, after each was checked alone: it compares them with each other.
    check_services(all.project(), all.diagnostics());
  }
};

}  // namespace

const Kind& service_kind() {
  static const ServiceKind kind;
  return kind;
}

}  // namespace heddle::spec
