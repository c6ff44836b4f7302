#include "api/api.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/encoding.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "base/os_user.hpp"
#include "base/signature.hpp"
#include "doc/error_format.hpp"
#include "doc/json.hpp"
#include "net/server.hpp"
#include "telemetry/process.hpp"

namespace heddle::api {
namespace {

constexpr std::string_view kPrefix = "/v1/ops/";
constexpr std::string_view kWatermark = "/v1/ops/watermark";

void answer(net::Response& response, const Error& error) {
  response.status = error_kind_info(error.kind).http_status;
  response.body = doc::to_json(
      doc::error_reply_schema().print({error.message, error.id, error.kind, error.hint}));
}

/// The secret at `path`; made when there is none. A process that may connect to the socket but was
/// kept from the owner's files (a worker, a container that has the socket alone) does not know it.
Result<std::string> owner_secret(const std::string& path) {
  if (!path_exists(path)) HEDDLE_TRY(write_file_atomic(path, hex_encode(random_bytes(32)), 0600));
  Result<std::string> secret = read_file(path);
  if (secret.ok() && secret->size() < 32) {
    return Error{ErrorKind::kCorrupt, "owner-secret",
                 fmt::format("`{}` holds no secret of 32 characters and more", path),
                 "remove it: the control plane makes another one when it starts"};
  }
  return secret;
}

/// The caller of a request: over the socket the owner, by user and secret; over TCP an account, by
/// its token; nobody otherwise.
std::optional<control::Caller> caller_of(const Options& options, const std::string& secret,
                                         const net::Request& request) {
  if (request.peer_uid >= 0) {
    const auto user = static_cast<std::uint32_t>(request.peer_uid);
    const bool knows = equal_constant_time(secret, request.bearer());
    // Root reads the secret, whoever owns it.
    if (!knows || (user != ::geteuid() && user != 0)) return std::nullopt;
    control::Caller owner{"owner", true, {}, os_user_name(user)};
    // Root alone is believed who called `sudo`: it could have become that user.
    if (user == 0) owner.sudo_user = request.header(control::kSudoHeader);
    return owner;
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

void handle(const Options& options, const std::string& secret, const net::Request& request,
            net::Response& response) {
  if (request.path == "/health" && request.method == "GET") {
    response.body = R"({"live":true})";
    return;
  }
  auto caller = caller_of(options, secret, request);
  if (caller) caller->waits = false;  // the loop serves others, and reads the journal
  if (!caller && request.peer_uid >= 0) {
    answer(response,
           {ErrorKind::kUnauthenticated, "not-the-owner",
            "the caller is not the project's user or does not know the owner's secret",
            "send `Authorization: Bearer SECRET`, the text of .heddle/keys/owner.secret"});
    return;
  }
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
  HEDDLE_ASSIGN_OR_RETURN(const std::string secret, owner_secret(options.secret_path));
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
    handle(options, secret, request, response);
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
    // Without it the owner could not even say stop.
    if (!path_exists(options.secret_path)) {
      if (auto again = write_file_atomic(options.secret_path, secret, 0600); !again.ok())
        log::error("{}", again.error().str());
    }
    if (const auto published = options.control->publish_ledger(); !published.ok()) {
      log::error("{}", published.error().str());
    }
    if (const auto written = options.control->write_access_logs(); !written.ok())
      log::error("{}", written.error().str());
    if (const auto looked = options.control->look_at_triggers(); !looked.ok())
      log::error("{}", looked.error().str());
  });
  server->run();
  const auto published = options.control->publish_ledger();
  HEDDLE_TRY(outcome);  // why it ended comes first
  return published;
}

}  // namespace heddle::api
