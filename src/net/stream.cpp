#include <algorithm>
#include <cerrno>

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "net/loop.hpp"

namespace heddle::net {
namespace {

constexpr std::size_t kLeastRead = 4096;
constexpr std::size_t kReadStep = 16 << 10;
constexpr int kReadsPerTurn = 16;
constexpr std::size_t kKeptOutput = 256 << 10;
constexpr std::size_t kOutputStep = 64 << 10;  ///< what an HTTP/2 session is asked for at a time
constexpr std::size_t kMostDrained = 8 << 20;
constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

}  // namespace

ssize_t HttpServer::Loop::receive(Connection& connection, char* to, std::size_t most) {
  return connection.tls ? connection.tls->read(to, most) : ::recv(connection.fd, to, most, 0);
}

void HttpServer::Loop::handshake(Connection& connection) {
  switch (connection.tls->handshake()) {
    case TlsStream::Handshake::kWantRead: return want(connection, EPOLLIN);
    case TlsStream::Handshake::kWantWrite: return want(connection, EPOLLOUT);
    case TlsStream::Handshake::kPlainHttp:
      connection.place.end_handshake();
      set_phase(connection, Connection::Phase::kIdle);
      connection.tls.reset();
      want(connection, EPOLLIN);
      return refuse(connection, 400, "http-plain", "come without TLS to a port that speaks it");
    case TlsStream::Handshake::kDone:
      connection.place.end_handshake();
      set_phase(connection, Connection::Phase::kIdle);
      want(connection, EPOLLIN);
      if (!connection.grpc || connection.tls->protocol() == "h2")
        return readable(connection);  // it may have sent on at once
      break;
    case TlsStream::Handshake::kFailed:
      connection.place.end_handshake();
      set_phase(connection, Connection::Phase::kIdle);
      connection.tls.reset();
      break;
  }
  connection.close_after = true;
  mark_dirty(connection);
}

void HttpServer::Loop::drop_input(Connection& connection) {
  char sink[16384];
  const ssize_t n = ::recv(connection.fd, sink, sizeof sink, 0);
  if (n > 0) connection.drained += static_cast<std::size_t>(n);
  if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || connection.drained > kMostDrained)
    close(connection);
}

/// The client's sending side is closed while its answer is awaited. Whether it still reads is not
/// to be seen: it gets the time of a response.
void HttpServer::Loop::peer_finished(Connection& connection) {
  connection.peer_done = true;
  want(connection, 0);
  connection.deadline_ns = now + options.limits.read_timeout_ms * kMs;
}

void HttpServer::Loop::readable(Connection& connection) {
  if (connection.phase == Connection::Phase::kDraining) return drop_input(connection);
  InBuffer& in = connection.in;
  in.borrow(spare);
  for (int reads = 1;; ++reads) {
    if (in.free_bytes() < kLeastRead) in.reserve(in.size() + kReadStep);
    const ssize_t n = receive(connection, in.free_space(), in.free_bytes());
    if (n < 0) {
      if (errno != EAGAIN && errno != EINTR) return close(connection);
      break;
    }
    if (n == 0) {
      connection.peer_done = true;
      want(connection, 0);
      if (connection.grpc) {
        connection.close_after = true;
        mark_dirty(connection);
      } else if (!connection.again) {
        process(connection);
      }
      break;
    }
    in.added(static_cast<std::size_t>(n));
    connection.received += static_cast<std::size_t>(n);
    connection.grpc ? process_h2(connection) : process(connection);
    // Decrypted bytes are announced by no event.
    if (!connection.tls || !connection.tls->pending() || connection.close_after ||
        connection.again || connection.phase == Connection::Phase::kDeferred)
      break;
    if (reads == kReadsPerTurn) {
      go_on_next_turn(connection);
      break;
    }
  }
  settle(connection);
}

void HttpServer::Loop::begin_h2(Connection& connection) {
  H2Session::Options session;
  session.message_bytes = options.limits.body_bytes;
  session.header_bytes = options.limits.header_bytes;
  session.headers = options.limits.headers;
  session.streams = options.limits.streams;
  session.read_timeout_ms = options.limits.read_timeout_ms;
  session.idle_timeout_ms = options.limits.idle_timeout_ms;
  session.bytes_per_second = options.limits.body_bytes_per_second;
  session.streaming = &options.grpc_streaming;
  session.inflate_for = options.grpc_inflate_for;
  session.refuse_host = [this, fd = connection.fd](std::string_view authority) {
    return hosts.allow(authority, fd)
               ? std::string()
               : fmt::format("{}; {}", host_refusal(authority), options.host_hint);
  };
  connection.h2 = std::make_unique<H2Session>(
      session,
      [this, &connection](std::int32_t stream, std::uint64_t request, GrpcCall& call,
                          GrpcReply& reply) {
        return handle_grpc(connection, stream, request, call, reply);
      },
      now);
  connection.deadline_ns = INT64_MAX;  // the session keeps the times
  if (draining) connection.h2->go_away();
}

void HttpServer::Loop::process_h2(Connection& connection) {
  InBuffer& in = connection.in;
  if (!connection.h2) {
    const std::size_t known = std::min(in.size(), kPreface.size());
    if (in.view().substr(0, known) != kPreface.substr(0, known)) {
      refuse(connection, 400, "grpc-http2", "come to a port that speaks gRPC only");
      in.consume(in.size());
      return;
    }
    // A part of it is not yet a session: it has the time of a first request, not of idleness.
    if (known < kPreface.size()) return;
    begin_h2(connection);
  }
  if (!connection.h2->receive(in.view(), now)) connection.close_after = true;
  in.consume(in.size());
  mark_dirty(connection);
}

bool HttpServer::Loop::handle_grpc(Connection& connection, std::int32_t stream,
                                   std::uint64_t request, GrpcCall& call, GrpcReply& reply) {
  worked = true;
  call.queued_ns = waited(connection, options.clock->mono_ns());
  handling = &connection;
  handling_stream = stream;
  handling_request = request;
  deferred = false;
  options.grpc_handler(call, reply);
  handling = nullptr;
  handling_stream = 0;
  return deferred;
}

/// After reading: memory goes back, and what stays is held against the bound.
void HttpServer::Loop::settle(Connection& connection) {
  connection.in.give_back(spare);
  account(connection);
  if (buffered.load(std::memory_order_relaxed) <= options.limits.buffered_bytes) return;
  if (connection.h2) {
    connection.h2->shed();
    mark_dirty(connection);
  } else if (connection.in.size() > 0 && connection.phase == Connection::Phase::kReading &&
             !connection.close_after) {
    refuse(connection, 503, "http-overloaded", "come while the server holds too many unread bytes");
  } else {
    return;
  }
  connection.in = InBuffer{};
  account(connection);
}

void HttpServer::Loop::account(Connection& connection) {
  const std::size_t holds = connection.in.capacity() + connection.out.size() - connection.out_sent +
                            (connection.h2 ? connection.h2->buffered() : 0);
  if (holds == connection.accounted) return;
  buffered.store(buffered.load(std::memory_order_relaxed) + holds - connection.accounted,
                 std::memory_order_relaxed);
  connection.accounted = holds;
}

void HttpServer::Loop::mark_dirty(Connection& connection) {
  if (connection.dirty) return;
  connection.dirty = true;
  dirty.push_back(&connection);
}

/// A client that takes `bytes` of its answer has so much more time as they may take: one that takes
/// a byte now and then does not stay for ever.
std::int64_t HttpServer::Loop::still_taken_until(const Connection& connection,
                                                 std::size_t bytes) const {
  const std::int64_t most = now + options.limits.read_timeout_ms * kMs;
  const std::int64_t rate = options.limits.body_bytes_per_second;
  if (rate == 0) return most;
  const std::int64_t bought = static_cast<std::int64_t>(bytes) * 1000 * kMs / rate;
  return std::min(most, connection.deadline_ns + bought);
}

void HttpServer::Loop::flush(Connection& connection) {
  while (true) {
    if (!connection.has_output() && connection.h2) {
      connection.out.clear();
      connection.out_sent = 0;
      connection.h2->produce(connection.out, kOutputStep);
    }
    if (!connection.has_output()) break;
    const char* from = connection.out.data() + connection.out_sent;
    const std::size_t bytes = connection.out.size() - connection.out_sent;
    const ssize_t n = connection.tls ? connection.tls->write(from, bytes)
                                     : ::send(connection.fd, from, bytes, MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) return close(connection);
      if ((connection.interest & EPOLLOUT) == 0) {
        // Until the client takes what it asked for, it is not asked for more.
        want(connection, EPOLLOUT);
        connection.deadline_ns = now + options.limits.read_timeout_ms * kMs;
      }
      account(connection);
      if (buffered.load(std::memory_order_relaxed) > options.limits.buffered_bytes)
        close(connection);
      return;
    }
    connection.out_sent += static_cast<std::size_t>(n);
    if ((connection.interest & EPOLLOUT) != 0)
      connection.deadline_ns = still_taken_until(connection, static_cast<std::size_t>(n));
  }
  after_flush(connection);
}

void HttpServer::Loop::after_flush(Connection& connection) {
  connection.out_sent = 0;
  if (connection.out.capacity() > kKeptOutput) {
    connection.out = std::string();
  } else {
    connection.out.clear();
  }
  if (connection.accounted > 0) account(connection);
  if (connection.phase == Connection::Phase::kDraining) return;
  if (connection.h2) {
    if (connection.h2->finished()) connection.close_after = true;
    connection.deadline_ns = INT64_MAX;
  }
  if (connection.close_after) {
    if (connection.tls) connection.tls->finish();
    if (connection.peer_done) return close(connection);
    ::shutdown(connection.fd, SHUT_WR);
    set_phase(connection, Connection::Phase::kDraining);
    return want(connection, EPOLLIN);
  }
  if (connection.phase != Connection::Phase::kDeferred) {
    if ((connection.interest & EPOLLIN) == 0 && !connection.peer_done) {
      want(connection, EPOLLIN);
      if (connection.phase == Connection::Phase::kIdle && !connection.h2)
        set_phase(connection, Connection::Phase::kIdle);
    }
    if (connection.peer_done) want(connection, 0);
  }
  if (connection.h2 && connection.h2->backlog()) connection.again = true;
  if (connection.again) again.push_back(connection.id);
}

}  // namespace heddle::net
