#include "cli/data_plane_probe.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/file.hpp"
#include "control/home.hpp"
#include "doc/json.hpp"
#include "doc/schema.hpp"
#include "net/client.hpp"

namespace heddle::cli {
namespace {

constexpr std::int64_t kPatienceMs = 2'000;

/// The token of an account that may ask; empty: there is none, or it was never made.
std::string reading_token(const spec::Project& project) {
  const control::Home home(project.root);
  for (const auto& account : project.service_accounts) {
    const auto may = [&](std::string_view permission) {
      return std::find(account.permissions.begin(), account.permissions.end(), permission) !=
             account.permissions.end();
    };
    // Either of the two lets an account ask.
    if (!may("read") && !may("predict")) continue;
    auto token = read_file(home.token(account.name));
    if (!token.ok()) continue;
    while (!token->empty() && token->back() == '\n') token->pop_back();
    return *std::move(token);
  }
  return {};
}

/// An address that stands for all of the machine's is asked for at the nearest one.
std::string host_of(const spec::Service& service) {
  if (service.host == "0.0.0.0") return "127.0.0.1";
  return service.host == "::" ? "::1" : service.host;
}

/// What `GET /v1/services/{s}` says; the rest of it is not read here.
const doc::Schema<ServiceTold>& told_schema() {
  using T = ServiceTold;
  static const auto schema = [] {
    auto t = doc::Schema<T>::record("its answer", "what a data plane says of a service");
    t.refused_as(ErrorKind::kConflict, "reply-of-another-version",
                 "the data plane that runs is of another version: start it again");
    t.boolean("ready", &T::ready, "it answers");
    t.boolean("stopped", &T::stopped, "by a person");
    t.boolean("failed_over", &T::failed_over, "the standby answers by the data plane's own act");
    t.text("slot", &T::slot, "that answers; empty: none");
    t.text("bundle", &T::bundle, "that answers; empty: none");
    t.integer("route_version", &T::route_version, "of the route table in force");
    t.text(
        "waits_for", &T::waits_for,
        "what keeps the newest route table, or a slot of it, from being in force; empty: nothing");
    t.integer("waits_s", &T::waits_s, "for how many seconds");
    t.text("event_time", &T::event_time, "of its last tick; empty: none");
    t.boolean("replayed", &T::replayed, "its time is a replay's");
    return t;
  }();
  return schema;
}

/// The members that are read of what a data plane said.
Result<ServiceTold> read_told(const doc::Value& body) {
  auto read = doc::Value::object();
  // The schema refuses members that it does not know, and a newer data plane may say more.
  for (const auto& key : told_schema().keys) {
    if (const auto* member = body.find(key.name)) read.set(key.name, *member);
  }
  return told_schema().parse(read);
}

/// Whether the answer is of this service: another program may listen on that port, or another
/// project's data plane.
bool is_of(const doc::Value& body, const spec::Service& service) {
  const auto* name = body.find("service");
  return name != nullptr && *name == doc::Value(service.identity.name);
}

}  // namespace

doc::Value DataPlaneNow::document() const {
  auto out = doc::Value::object();
  if (!address.empty()) out.set("address", address);
  out.set("running", running);
  if (!problem.empty()) out.set("problem", problem);
  if (!told) return out;
  const auto members = told_schema().print(*told);
  for (const auto& [name, value] : members.as_object()) out.set(name, value);
  return out;
}

DataPlaneNow probe_data_plane(const spec::Project& project, const spec::Service& service) {
  DataPlaneNow out;
  out.address = fmt::format("{}:{}", service.host, service.port);
  net::HttpClient::Options options;
  options.host = host_of(service);
  options.port = service.port;
  options.timeout_ms = kPatienceMs;
  options.token = reading_token(project);
  if (!service.tls.certificate.empty()) options.tls.emplace();
  const auto reply = net::HttpClient(options).get("/v1/services/" + service.identity.name);
  // A certificate that this machine does not trust, or one it should show: somebody listens all the
  // same.
  out.running = reply.ok() || reply.error().kind == ErrorKind::kUnauthenticated;
  if (!reply.ok()) {
    out.problem = reply.error().message;
    return out;
  }
  const auto body = doc::parse_json(reply->body);
  if (reply->status != 200 || !body.ok() || !is_of(*body, service)) {
    // It refused the token, so it runs.
    out.running = reply->status == 401 || reply->status == 403;
    out.problem = fmt::format("it answers {}: {}", reply->status,
                              std::string_view(reply->body).substr(0, 200));
    return out;
  }
  auto told = read_told(*body);
  if (told.ok()) {
    out.told = *std::move(told);
  } else {
    out.problem = told.error().message;
  }
  return out;
}

}  // namespace heddle::cli
