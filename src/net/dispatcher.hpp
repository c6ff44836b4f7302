#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "net/allowed_hosts.hpp"
#include "net/connection.hpp"
#include "net/http1_session.hpp"
#include "net/http1_writer.hpp"
#include "net/server.hpp"

namespace heddle::net {

class ServerLoop;

/// What an answer that comes later belongs to.
struct Deferral {
  std::uint64_t connection = 0;
  std::uint64_t request = 0;
  std::int32_t stream = 0;  ///< 0: HTTP/1
};

/// Takes requests out of what a connection's session has read, hands them to the server's handlers
/// and writes what those answer. Knows no sockets. Owned by the loop; one thread.
class Dispatcher {
 public:
  /// Both outlive it.
  Dispatcher(const HttpServer::Options& options, ServerLoop& loop);

  /// Reads and handles whole HTTP/1 requests while there are any.
  void process(Connection& connection);
  /// The same of an HTTP/2 session, which is begun with the first bytes.
  void process_h2(Connection& connection);
  /// A request that cannot be understood: what follows it cannot be either.
  void refuse(Connection& connection, const Refusal& refusal);
  void set_second(std::int64_t second) { writer_.set_second(second); }

  /// Only while a handler runs: its request is answered later.
  [[nodiscard]] Deferral defer();
  [[nodiscard]] bool waits(const Connection& connection, const Deferral& deferral) const;
  void answer_later(Connection& connection, const Response& response);

 private:
  void handle(Connection& connection, const Incoming& incoming);
  [[nodiscard]] bool origin_allowed(Connection& connection, std::string_view origin);
  void begin_h2(Connection& connection);
  [[nodiscard]] bool handle_grpc(Connection& connection, std::int32_t stream, std::uint64_t request,
                                 GrpcCall& call, GrpcReply& reply);
  void answer(Connection& connection, const Response& response);
  void refuse_host(Connection& connection, std::string_view host);
  /// Why a request to `host` is refused; safe inside a JSON string.
  [[nodiscard]] static std::string host_refusal(std::string_view host);

  const HttpServer::Options& options_;
  ServerLoop& loop_;
  Http1Session::Bounds bounds_;
  AllowedHosts hosts_;
  Http1Writer writer_;
  std::vector<Header> headers_;
  Response response_;
  Connection* handling_ = nullptr;  ///< whose handler runs
  Deferral handling_as_{};
  bool deferred_ = false;
};

}  // namespace heddle::net
