#include "cli/data_plane_probe.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/file.hpp"
#include "control/home.hpp"
#include "doc/json.hpp"
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

}  // namespace

doc::Value probe_data_plane(const spec::Project& project, const spec::Service& service) {
  auto out = doc::Value::object({{"address", fmt::format("{}:{}", service.host, service.port)}});
  net::HttpClient::Options options;
  options.host = host_of(service);
  options.port = service.port;
  options.timeout_ms = kPatienceMs;
  options.token = reading_token(project);
  if (!service.tls.certificate.empty()) options.tls.emplace();
  const auto reply = net::HttpClient(options).get("/v1/services/" + service.identity.name);
  // A certificate that this machine does not trust, or one it should show: somebody listens all the
  // same.
  const bool distrusted = !reply.ok() && reply.error().kind == ErrorKind::kUnauthenticated;
  out.set("running", reply.ok() || distrusted);
  if (!reply.ok()) {
    out.set("problem", reply.error().message);
    return out;
  }
  const auto told = doc::parse_json(reply->body);
  if (reply->status != 200 || !told.ok() || told->string_or("service") != service.identity.name) {
    // Another program on that port, or another project's data plane.
    out.set("running", reply->status == 401 || reply->status == 403);
    out.set("problem", fmt::format("it answers {}: {}", reply->status,
                                   std::string_view(reply->body).substr(0, 200)));
    return out;
  }
  for (const char* member : {"ready", "stopped", "failed_over", "slot", "bundle", "route_version",
                             "waits_for", "waits_s", "event_time", "replayed"}) {
    if (const auto* value = told->find(member)) out.set(member, *value);
  }
  return out;
}

}  // namespace heddle::cli
