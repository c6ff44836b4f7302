#include "net/server.hpp"

#include <unistd.h>

#include "net/loop.hpp"

namespace heddle::net {

void HttpServer::run() {
  loop_->now = loop_->options.clock->mono_ns();
  loop_->refresh_date();
  while (!loop_->stopping.load(std::memory_order_relaxed)) loop_->turn();
}

void HttpServer::stop() {
  loop_->stopping.store(true, std::memory_order_relaxed);
  const std::uint64_t one = 1;
  (void)!::write(loop_->wake, &one, sizeof one);
}

void HttpServer::drain(std::int64_t deadline_ms) {
  loop_->drain_asked_ms.store(deadline_ms < 0 ? 0 : deadline_ms);
  const std::uint64_t one = 1;
  (void)!::write(loop_->wake, &one, sizeof one);
}

void HttpServer::post(std::function<void()> work) {
  {
    const std::lock_guard<std::mutex> lock(loop_->posted_mutex);
    loop_->posted.push_back(std::move(work));
  }
  const std::uint64_t one = 1;
  (void)!::write(loop_->wake, &one, sizeof one);
}

HttpServer::Responder HttpServer::defer() {
  HEDDLE_CHECK(loop_->handling != nullptr, "`defer` outside of a handler");
  loop_->deferred = true;
  Responder responder;
  responder.server_ = this;
  responder.connection_ = loop_->handling->id;
  responder.stream_ = loop_->handling_stream;
  responder.request_ =
      loop_->handling_stream != 0 ? loop_->handling_request : loop_->handling->request;
  return responder;
}

bool HttpServer::Responder::alive() const {
  if (server_ == nullptr) return false;
  const Connection* connection = server_->loop_->find(connection_);
  if (connection == nullptr) return false;
  if (stream_ != 0) return connection->h2 && connection->h2->waiting(stream_, request_);
  return connection->request == request_ && connection->phase == Connection::Phase::kDeferred;
}

void HttpServer::Responder::send(Response response) const {
  HEDDLE_CHECK(stream_ == 0, "an HTTP answer to a gRPC call");
  if (!alive()) return;
  Loop& loop = *server_->loop_;
  Connection& connection = *loop.find(connection_);
  loop.set_phase(connection, Connection::Phase::kIdle);
  loop.answer(connection, response);
  // Requests that came meanwhile are read on once this answer is out.
  if (connection.in.size() > 0 || connection.peer_done ||
      (connection.tls && connection.tls->pending()))
    connection.again = true;
}

void HttpServer::Responder::send_grpc(GrpcReply reply) const {
  HEDDLE_CHECK(stream_ != 0 || server_ == nullptr, "a gRPC answer to an HTTP request");
  if (!alive()) return;
  Loop& loop = *server_->loop_;
  Connection& connection = *loop.find(connection_);
  connection.h2->reply(stream_, request_, std::move(reply), loop.now);
  loop.mark_dirty(connection);
}

void HttpServer::every(std::int64_t period_ms, std::function<void()> work) {
  loop_->timers.push_back({period_ms * Loop::kMs,
                           loop_->options.clock->mono_ns() + period_ms * Loop::kMs,
                           std::move(work)});
}

Result<void> HttpServer::reload_tls() { return loop_->load_tls(); }

std::vector<ListenerFd> HttpServer::listener_fds() {
  static constexpr const char* kNames[Loop::kDoors] = {"http", "unix", "grpc"};
  std::vector<ListenerFd> fds;
  for (std::size_t door = 0; door < Loop::kDoors; ++door) {
    if (loop_->doors[door] >= 0) fds.push_back({kNames[door], loop_->doors[door]});
  }
  loop_->handed_over = true;
  return fds;
}

int HttpServer::port() const noexcept { return loop_->tcp_port; }
int HttpServer::grpc_port() const noexcept { return loop_->grpc_port; }
std::size_t HttpServer::connections() const noexcept { return loop_->admission.open(); }
HttpServer::ClosedForRoom HttpServer::closed_for_room() const noexcept {
  return {loop_->closed_for_all, loop_->closed_for_address, loop_->closed_for_handshake,
          loop_->refused_for_room};
}
std::size_t HttpServer::buffered_bytes() const noexcept { return loop_->buffered; }
std::int64_t HttpServer::turn_began_ns() const noexcept { return loop_->now; }

}  // namespace heddle::net
