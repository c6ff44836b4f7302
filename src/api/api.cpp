#include "api/api.hpp"

#include <sys/stat.h>

#include <algorithm>

#include "base/log.hpp"
#include "base/os_user.hpp"
#include "base/signature.hpp"
#include "doc/json.hpp"
#include "net/server.hpp"
#include "telemetry/process.hpp"

namespace heddle::api {
namespace {

constexpr std::string_view kPrefix = "/v1/ops/";
constexpr std::string_view kWatermark = "/v1/ops/watermark";

void answer(net::Response& response, const Error& error) {
  response.status = error_kind_info(error.kind).http_status;
  response.body = doc::to_json(doc::Value::object({{"error", error.message},
                                                   {"id", error.id},
                                                   {"kind", error_kind_info(error.kind).name},
                                                   {"hint", error.hint}}));
}

/// The caller of a request: the owner over the socket, an account by its token over TCP, nobody
/// otherwise.
std::optional<control::Caller> caller_of(const Options& options, const net::Request& request) {
  if (request.peer_uid >= 0) {
    return control::Caller{
        "owner", true, {}, os_user_name(static_cast<std::uint32_t>(request.peer_uid))};
  }
  const auto token = request.bearer();
  std::optional<control::Caller> caller;
  for (const auto& account :
       options.accounts) {  // every token is compared: the time says nothing about which matched
    const auto* permissions = options.control->permissions_of(account.name);
    if (equal_constant_time(account.token, token) && !token.empty() && permissions != nullptr)
      caller = control::Caller{account.name, false, *permissions};
  }
  return caller;
}

void give_metrics(const Options& options, const control::Caller& caller, net::Response& response) {
  if (!caller.owner && std::find(caller.permissions.begin(), caller.permissions.end(), "read") ==
                           caller.permissions.end()) {
    answer(response,
           {ErrorKind::kDenied, "operation-denied",
            fmt::format("metrics need the permission `read`, which `{}` has not", caller.account)});
    return;
  }
  auto text = options.control->metrics();
  if (!text.ok()) {
    answer(response, text.error());
    return;
  }
  telemetry::put_process_metrics(*text);
  response.content_type = "text/plain; version=0.0.4";
  response.body = *std::move(text);
}

void handle(const Options& options, const net::Request& request, net::Response& response) {
  if (request.path == "/health" && request.method == "GET") {
    response.body = R"({"live":true})";
    return;
  }
  auto caller = caller_of(options, request);
  if (caller) caller->waits = false;  // the loop serves others, and reads the journal
  if (!caller) {
    answer(response, {ErrorKind::kUnauthenticated, "token-missing", "no valid bearer token",
                      "send `Authorization: Bearer TOKEN`, a token of .heddle/tokens"});
    return;
  }
  if (request.path == "/metrics" && request.method == "GET") {
    give_metrics(options, *caller, response);
    return;
  }
  if (request.method != "POST" || request.path.substr(0, kPrefix.size()) != kPrefix) {
    answer(response, {ErrorKind::kNotFound, "route-unknown", "no such route",
                      "operations are `POST /v1/ops/NAME`"});
    return;
  }
  auto body = doc::parse_json(request.body.empty() ? "{}" : request.body);
  if (!body.ok() || !body->is_object()) {
    answer(response, body.ok() ? Error{ErrorKind::kInvalid, "request-not-an-object",
                                       "the body is no JSON object", ""}
                               : body.error());
    return;
  }
  auto reply = options.control->call(request.path.substr(kPrefix.size()), *body, *caller);
  if (!reply.ok()) {
    answer(response, reply.error());
    return;
  }
  response.body = doc::to_json(*reply);
}

}  // namespace

Result<void> serve(const Options& options, const std::atomic<bool>& stop) {
  net::HttpServer::Options server_options;
  server_options.host = options.port == 0 ? "" : "127.0.0.1";
  server_options.port = options.port;
  server_options.unix_path = options.socket;
  server_options.limits.body_bytes = 1 << 20;
  // An operation answers and never decides: an error while the journal is read ends the plane, so
  // that it is read again from the last snapshot, and must not be some client's answer. Who asks
  // for the watermark waits for it, so it is brought up first.
  std::function<void()> pump;
  server_options.handler = [&](const net::Request& request, net::Response& response) {
    if (request.path == kWatermark) pump();
    handle(options, request, response);
  };
  HEDDLE_ASSIGN_OR_RETURN(const auto server, net::HttpServer::open(std::move(server_options)));
  ::chmod(options.socket.c_str(), 0600);

  Result<void> outcome;
  pump = [&] {
    if (!outcome.ok()) return;
    auto more = options.control->pump();
    if (!more.ok()) {
      outcome = more.error();
      server->stop();
      return;
    }
    if (*more) server->post([] {});  // wakes the loop: the next turn pumps again
  };
  server->every(5, [&] {
    if (stop) {
      server->stop();
      return;
    }
    pump();
  });
  server->every(1000, [&] {
    if (const auto published = options.control->publish_ledger(); !published.ok()) {
      log::error("{}", published.error().str());
    }
    if (const auto written = options.control->write_access_logs(); !written.ok())
      log::error("{}", written.error().str());
  });
  server->run();
  HEDDLE_TRY(options.control->publish_ledger());
  return outcome;
}

}  // namespace heddle::api
