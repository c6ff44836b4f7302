#include "net/dispatcher.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <sys/epoll.h>

#include "net/server_loop.hpp"

namespace heddle::net {
namespace {

using Phase = Connection::Phase;

constexpr std::size_t kMostQueuedOutput = 1 << 20;
constexpr std::size_t kShownHost = 253;  ///< the longest a name can be
constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

}  // namespace

Dispatcher::Dispatcher(const HttpServer::Options& options, ServerLoop& loop)
    : options_(options),
      loop_(loop),
      bounds_{options.limits.header_bytes, options.limits.headers, options.limits.body_bytes},
      hosts_(options.allowed_hosts, options.host.empty() ? options.grpc_host : options.host) {}

void Dispatcher::process(Connection& connection) {
  // Nothing will make a part whole once the client has sent its last byte; what was answered still
  // leaves.
  const auto need_more = [&] {
    if (!connection.peer_done()) return;
    connection.end();
    loop_.mark_dirty(connection);
  };
  const Http1Session::Names names{connection.origin().local ? nullptr : &hosts_, connection.fd()};
  while (connection.takes_requests()) {
    if (connection.in.size() == 0) {
      loop_.enter(connection, Phase::kIdle);
      return need_more();
    }
    // Who asks and does not take the answers is not asked for more.
    if (connection.output().size() > kMostQueuedOutput) {
      loop_.want(connection, 0);
      return loop_.go_on_next_turn(connection);
    }
    if (connection.phase() == Phase::kIdle) loop_.enter(connection, Phase::kReading);
    Incoming incoming;
    Refusal refusal;
    switch (connection.http1.read(connection.in, bounds_, names, incoming, headers_, refusal)) {
      case Http1Session::State::kNeedMore: return need_more();
      case Http1Session::State::kContinue:
        connection.out().append("HTTP/1.1 100 Continue\r\n\r\n");
        loop_.mark_dirty(connection);
        continue;
      case Http1Session::State::kRefused: return refuse(connection, refusal);
      case Http1Session::State::kForeignHost: return refuse_host(connection, incoming.head.host);
      case Http1Session::State::kWhole: break;
    }
    handle(connection, incoming);
    connection.in.consume(incoming.bytes);
    connection.begin_next_request(loop_.now());
  }
}

bool Dispatcher::origin_allowed(Connection& connection, std::string_view origin) {
  // No browser sends from the owner's socket; who sends no Origin is no browser.
  if (origin.empty() || connection.origin().local) return true;
  const std::size_t scheme = origin.find("://");
  return scheme != std::string_view::npos &&
         hosts_.allow(origin.substr(scheme + 3), connection.fd());
}

void Dispatcher::handle(Connection& connection, const Incoming& incoming) {
  const RequestHead& head = incoming.head;
  Request request;
  request.method = head.method;
  const std::size_t question = head.target.find('?');
  request.path = head.target.substr(0, question);
  if (question != std::string_view::npos) request.query = head.target.substr(question + 1);
  request.body = incoming.body;
  request.headers = headers_;
  request.peer_uid = connection.origin().peer_uid;
  request.begin_ns = options_.clock->mono_ns();
  request.queued_ns = loop_.waited(connection, request.begin_ns);
  connection.http1.begin_answer(head);
  response_.clear();
  loop_.note_work();
  if (!origin_allowed(connection, head.origin)) {
    response_.status = 403;
    response_.body =
        R"({"error":"the Origin of this request is not served here","id":"http-origin",)"
        R"("hint":"call from a page of this host"})";
    return answer(connection, response_);
  }
  handling_ = &connection;
  handling_as_ = {connection.id(), connection.http1.request(), 0};
  deferred_ = false;
  options_.handler(request, response_);
  handling_ = nullptr;
  if (!deferred_) return answer(connection, response_);
  loop_.enter(connection, Phase::kDeferred);
  if (connection.peer_done()) return loop_.peer_finished(connection);
  // Only whether the client goes: what it sends behind this request waits in the kernel.
  loop_.want(connection, EPOLLRDHUP);
}

std::string Dispatcher::host_refusal(std::string_view host) {
  // The name was checked for its characters when the head was read.
  const std::string_view name = AllowedHosts::name_of(host);
  if (name.empty()) return "the request names no host";
  return fmt::format("the request names the host `{}`, which this server does not answer for",
                     name.substr(0, kShownHost));
}

/// Says which host was named: people meet this first with a name of their own for the machine.
void Dispatcher::refuse_host(Connection& connection, std::string_view host) {
  Response error;
  error.status = 421;
  error.body = fmt::format(R"({{"error":"{}","id":"http-host","hint":"{}"}})", host_refusal(host),
                           options_.host_hint);
  error.close = true;
  connection.http1.begin_refusal();
  answer(connection, error);
}

void Dispatcher::refuse(Connection& connection, const Refusal& refusal) {
  Response error;
  error.status = refusal.status;
  error.body = fmt::format(R"({{"error":"the request has {}","id":"{}",)"
                           R"("hint":"see RFC 9112 and the service's limits"}})",
                           refusal.what, refusal.id);
  error.close = true;
  if (refusal.status == 503) error.headers = "Retry-After: 1\r\n";
  connection.http1.begin_refusal();
  answer(connection, error);
}

void Dispatcher::answer(Connection& connection, const Response& response) {
  const bool closing = response.close || !connection.http1.keep_alive() || loop_.draining();
  writer_.write(response, closing, connection.http1.head_only(), connection.out());
  if (closing) connection.end();
  loop_.mark_dirty(connection);
}

Deferral Dispatcher::defer() {
  HEDDLE_CHECK(handling_ != nullptr, "`defer` outside of a handler");
  deferred_ = true;
  return handling_as_;
}

bool Dispatcher::waits(const Connection& connection, const Deferral& deferral) const {
  if (deferral.stream != 0)
    return connection.h2 && connection.h2->waiting(deferral.stream, deferral.request);
  return connection.http1.request() == deferral.request && connection.phase() == Phase::kDeferred;
}

void Dispatcher::answer_later(Connection& connection, const Response& response) {
  loop_.enter(connection, Phase::kIdle);
  answer(connection, response);
  // Requests that came meanwhile are read on once this answer is out.
  if (connection.in.size() > 0 || connection.peer_done() ||
      (connection.tls && connection.tls->pending()))
    connection.noted.again = true;
}

void Dispatcher::begin_h2(Connection& connection) {
  H2Session::Options session;
  session.message_bytes = options_.limits.body_bytes;
  session.header_bytes = options_.limits.header_bytes;
  session.headers = options_.limits.headers;
  session.streams = options_.limits.streams;
  session.read_timeout_ms = options_.limits.read_timeout_ms;
  session.idle_timeout_ms = options_.limits.idle_timeout_ms;
  session.bytes_per_second = options_.limits.body_bytes_per_second;
  session.streaming = &options_.grpc_streaming;
  session.inflate_for = options_.grpc_inflate_for;
  session.refuse_host = [this, fd = connection.fd()](std::string_view authority) {
    return hosts_.allow(authority, fd)
               ? std::string()
               : fmt::format("{}; {}", host_refusal(authority), options_.host_hint);
  };
  connection.h2 = std::make_unique<H2Session>(
      session,
      [this, &connection](std::int32_t stream, std::uint64_t request, GrpcCall& call,
                          GrpcReply& reply) {
        return handle_grpc(connection, stream, request, call, reply);
      },
      loop_.now());
  connection.set_deadline(INT64_MAX);  // the session keeps the times
  if (loop_.draining()) connection.h2->go_away();
}

void Dispatcher::process_h2(Connection& connection) {
  InBuffer& in = connection.in;
  if (!connection.h2) {
    const std::size_t known = std::min(in.size(), kPreface.size());
    if (in.view().substr(0, known) != kPreface.substr(0, known)) {
      refuse(connection, {400, "grpc-http2", "come to a port that speaks gRPC only"});
      in.consume(in.size());
      return;
    }
    // A part of it is not yet a session: it has the time of a first request, not of idleness.
    if (known < kPreface.size()) return;
    begin_h2(connection);
  }
  if (!connection.h2->receive(in.view(), loop_.now())) connection.end();
  in.consume(in.size());
  loop_.mark_dirty(connection);
}

bool Dispatcher::handle_grpc(Connection& connection, std::int32_t stream, std::uint64_t request,
                             GrpcCall& call, GrpcReply& reply) {
  loop_.note_work();
  call.queued_ns = loop_.waited(connection, options_.clock->mono_ns());
  handling_ = &connection;
  handling_as_ = {connection.id(), request, stream};
  deferred_ = false;
  options_.grpc_handler(call, reply);
  handling_ = nullptr;
  return deferred_;
}

}  // namespace heddle::net
