#include <algorithm>
#include <charconv>

#include <fmt/format.h>
#include <sys/epoll.h>

#include "net/loop.hpp"

namespace heddle::net {
namespace {

constexpr std::size_t kMostQueuedOutput = 1 << 20;
constexpr std::size_t kSlack = 8192;
constexpr std::size_t kShownHost = 253;  ///< the longest a name can be

}  // namespace

/// Reads and handles whole requests while there are any.
void HttpServer::Loop::process(Connection& connection) {
  InBuffer& in = connection.in;
  const ServerLimits& limits = options.limits;
  // Nothing will make a part whole once the client has sent its last byte; what was answered still
  // leaves.
  const auto need_more = [&] {
    if (!connection.peer_done) return;
    connection.close_after = true;
    mark_dirty(connection);
  };
  while (!connection.close_after && connection.phase != Connection::Phase::kDeferred) {
    if (in.size() == 0) {
      set_phase(connection, Connection::Phase::kIdle);
      return need_more();
    }
    if (connection.out.size() - connection.out_sent > kMostQueuedOutput) {
      want(connection, 0);
      return go_on_next_turn(connection);
    }
    if (connection.phase == Connection::Phase::kIdle)
      set_phase(connection, Connection::Phase::kReading);
    RequestHead head;
    if (!connection.head_known) {
      if (!connection.partial_head.worth_reading(in.view(), limits.header_bytes))
        return need_more();
      std::string_view reason;
      switch (read_head(in.view(), limits.header_bytes, limits.headers, head, headers, reason)) {
        case HeadResult::kNeedMore: connection.partial_head.was_read(in.size()); return need_more();
        case HeadResult::kBad: return refuse(connection, 400, "http-malformed", reason);
        case HeadResult::kTooLarge: return refuse(connection, 431, "http-head-too-large", reason);
        case HeadResult::kUnsupported: return refuse(connection, 505, "http-version", reason);
        case HeadResult::kComplete: break;
      }
      if (!begin_body(connection, head)) return;
    }
    std::size_t total = 0;
    std::string_view body;
    if (connection.chunked_body) {
      char* at = in.begin() + connection.body_at;
      switch (connection.chunks.read(at, in.size() - connection.body_at, limits.body_bytes)) {
        case ChunkedReader::State::kNeedMore:
          // Tiny chunks cost more than they carry; the cost is bounded too.
          if (in.size() > limits.header_bytes + 2 * limits.body_bytes + kSlack)
            return refuse(connection, 413, "http-too-large", "a body over the limit");
          return need_more();
        case ChunkedReader::State::kBad:
          return refuse(connection, 400, "http-malformed", "a malformed chunk");
        case ChunkedReader::State::kTooLarge:
          return refuse(connection, 413, "http-too-large", "a body over the limit");
        case ChunkedReader::State::kDone: break;
      }
      total = connection.body_at + connection.chunks.consumed();
      body = {at, connection.chunks.body_bytes()};
    } else {
      total = connection.body_at + static_cast<std::size_t>(connection.content_length);
      if (in.size() < total)
        return need_more();  // the buffer grows with what came, not with what was announced
      body = {in.begin() + connection.body_at, static_cast<std::size_t>(connection.content_length)};
    }
    if (head.bytes == 0) {  // it came in parts and the buffer may have moved: read again, cheaply
      std::string_view reason;
      (void)read_head(in.view(), limits.header_bytes, limits.headers, head, headers, reason);
    }
    handle(connection, head, body);
    in.consume(total);
    connection.head_known = false;
    connection.received = in.size();
    connection.began_ns = now;
  }
}

/// Takes over what the head says of the body. False when the request was refused.
bool HttpServer::Loop::begin_body(Connection& connection, const RequestHead& head) {
  if (head.content_length.value_or(0) > options.limits.body_bytes) {
    refuse(connection, 413, "http-too-large", "a body over the limit");
    return false;
  }
  if (!connection.local && !hosts.allow(head.host, connection.fd)) {
    refuse_host(connection, head.host);
    return false;
  }
  connection.head_known = true;
  connection.partial_head.reset();
  connection.body_at = head.bytes;
  connection.chunked_body = head.chunked;
  connection.content_length = head.content_length.value_or(0);
  connection.chunks.reset();
  if (head.expect_continue && connection.in.size() == head.bytes &&
      (head.chunked || connection.content_length > 0)) {
    connection.out.append("HTTP/1.1 100 Continue\r\n\r\n");
    mark_dirty(connection);
  }
  return true;
}

void HttpServer::Loop::handle(Connection& connection, const RequestHead& head,
                              std::string_view body) {
  Request request;
  request.method = head.method;
  const std::size_t question = head.target.find('?');
  request.path = head.target.substr(0, question);
  if (question != std::string_view::npos) request.query = head.target.substr(question + 1);
  request.body = body;
  request.headers = headers;
  request.peer_uid = connection.peer_uid;
  request.begin_ns = options.clock->mono_ns();
  request.queued_ns = waited(connection, request.begin_ns);
  ++connection.request;
  connection.close_request = !head.keep_alive;
  connection.head_only = head.method == "HEAD";
  response.clear();
  worked = true;
  if (!head.origin.empty() && !connection.local) {
    const std::size_t scheme = head.origin.find("://");
    if (scheme == std::string_view::npos ||
        !hosts.allow(head.origin.substr(scheme + 3), connection.fd)) {
      response.status = 403;
      response.body =
          R"({"error":"the Origin of this request is not served here","id":"http-origin","hint":"call from a page of this host"})";
      return answer(connection, response);
    }
  }
  handling = &connection;
  deferred = false;
  options.handler(request, response);
  handling = nullptr;
  if (!deferred) return answer(connection, response);
  set_phase(connection, Connection::Phase::kDeferred);
  if (connection.peer_done) return peer_finished(connection);
  want(connection, EPOLLRDHUP);
}

std::string HttpServer::Loop::host_refusal(std::string_view host) const {
  // The name was checked for its characters when the head was read.
  const std::string_view name = AllowedHosts::name_of(host);
  if (name.empty()) return "the request names no host";
  return fmt::format("the request names the host `{}`, which this server does not answer for",
                     name.substr(0, kShownHost));
}

/// Says which host was named: people meet this first with a name of their own for the machine.
void HttpServer::Loop::refuse_host(Connection& connection, std::string_view host) {
  Response error;
  error.status = 421;
  error.body = fmt::format(R"({{"error":"{}","id":"http-host","hint":"{}"}})", host_refusal(host),
                           options.host_hint);
  error.close = true;
  connection.head_only = false;
  answer(connection, error);
}

/// A request that cannot be understood: what follows it cannot be either.
void HttpServer::Loop::refuse(Connection& connection, int status, std::string_view id,
                              std::string_view what) {
  Response error;
  error.status = status;
  error.body = fmt::format(
      R"({{"error":"the request has {}","id":"{}","hint":"see RFC 9112 and the service's limits"}})",
      what, id);
  error.close = true;
  if (status == 503) error.headers = "Retry-After: 1\r\n";
  connection.head_only = false;
  answer(connection, error);
}

void HttpServer::Loop::answer(Connection& connection, const Response& from) {
  const bool closing = from.close || connection.close_request || draining;
  std::string& out = connection.out;
  KeptHead& kept = kept_heads[from.status == 200 ? 0 : 1];
  if (kept.status != from.status || kept.type != from.content_type) {
    kept.status = from.status;
    kept.type = from.content_type;
    kept.text = fmt::format("HTTP/1.1 {} {}\r\n{}", from.status, status_text(from.status), date);
    if (from.status != 204)
      kept.text += fmt::format("Content-Type: {}\r\nContent-Length: ", from.content_type);
  }
  out.append(kept.text);
  if (from.status != 204) {
    char digits[24];
    out.append(digits,
               static_cast<std::size_t>(
                   std::to_chars(digits, digits + sizeof digits, from.body.size()).ptr - digits));
    out.append("\r\n");
  }
  out.append(from.headers);
  out.append(closing ? "Connection: close\r\n\r\n" : "\r\n");
  if (!connection.head_only && from.status != 204) out.append(from.body);
  if (closing) connection.close_after = true;
  mark_dirty(connection);
}

}  // namespace heddle::net
