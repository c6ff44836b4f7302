#include "net/server.hpp"

#include <utility>

#include "net/server_loop.hpp"

namespace heddle::net {

struct HttpServer::Loop final : ServerLoop {
  using ServerLoop::ServerLoop;
};

HttpServer::HttpServer(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
HttpServer::~HttpServer() = default;

Result<std::unique_ptr<HttpServer>> HttpServer::open(Options options) {
  auto loop = std::make_unique<Loop>(std::move(options));
  HEDDLE_TRY(loop->open());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(loop)));
}

void HttpServer::run() { loop_->run(); }
void HttpServer::stop() { loop_->stop(); }
void HttpServer::drain(std::int64_t deadline_ms) { loop_->drain(deadline_ms); }
void HttpServer::set_accepting(bool on) { loop_->acceptor().set_accepting(on); }
void HttpServer::post(std::function<void()> work) { loop_->post(std::move(work)); }

HttpServer::Responder HttpServer::defer() {
  const Deferral deferral = loop_->defer();
  Responder responder;
  responder.server_ = this;
  responder.connection_ = deferral.connection;
  responder.request_ = deferral.request;
  responder.stream_ = deferral.stream;
  return responder;
}

bool HttpServer::Responder::alive() const {
  return server_ != nullptr && server_->loop_->waits({connection_, request_, stream_});
}

void HttpServer::Responder::send(Response response) const {
  HEDDLE_CHECK(stream_ == 0, "an HTTP answer to a gRPC call");
  if (server_ != nullptr) server_->loop_->answer({connection_, request_, stream_}, response);
}

void HttpServer::Responder::send_grpc(GrpcReply reply) const {
  HEDDLE_CHECK(stream_ != 0 || server_ == nullptr, "a gRPC answer to an HTTP request");
  if (server_ != nullptr)
    server_->loop_->answer({connection_, request_, stream_}, std::move(reply));
}

void HttpServer::every(std::int64_t period_ms, std::function<void()> work) {
  loop_->every(period_ms, std::move(work));
}
void HttpServer::watch(int fd, std::function<void()> work) { loop_->watch(fd, std::move(work)); }

Result<void> HttpServer::reload_tls() { return loop_->acceptor().load_tls(); }
std::vector<ListenerFd> HttpServer::listener_fds() { return loop_->acceptor().hand_over(); }

int HttpServer::port() const noexcept { return loop_->acceptor().http_port(); }
int HttpServer::grpc_port() const noexcept { return loop_->acceptor().grpc_port(); }
std::size_t HttpServer::connections() const noexcept { return loop_->connections(); }
HttpServer::ClosedForRoom HttpServer::closed_for_room() const noexcept {
  return loop_->acceptor().closed_for_room();
}
std::size_t HttpServer::buffered_bytes() const noexcept { return loop_->buffered_bytes(); }
std::int64_t HttpServer::turn_began_ns() const noexcept { return loop_->now(); }

}  // namespace heddle::net
