#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "net/grpc.hpp"
#include "net/handover.hpp"
#include "net/http.hpp"
#include "net/tls.hpp"

namespace heddle::net {

struct ServerLimits {
  std::size_t header_bytes = 16 << 10;
  std::size_t headers = 64;
  std::size_t body_bytes = 4 << 20;  ///< of a request's body, and of a gRPC message
  std::int64_t read_timeout_ms =
      10'000;  ///< for a whole request from its first byte, for the first byte of a new connection,
               ///< and for a response to be taken
  std::int64_t idle_timeout_ms = 60'000;  ///< between requests
  std::size_t connections = 4096;         ///< also bounded by the limit of open files
  std::size_t connections_per_address =
      1024;  ///< in use at once, of one IPv4 address or IPv6 /64; Unix sockets are not counted
  std::size_t buffered_bytes =
      256 << 20;  ///< of requests not yet handled and responses not yet taken, over all connections
  std::int64_t body_bytes_per_second =
      500;  ///< a request slower than this after its first second ends with 408, an answer that is
            ///< taken more slowly after `read_timeout_ms` is cut off; 0: any
  std::size_t handshakes = 256;  ///< TLS handshakes in progress; a further one ends the oldest
  std::int64_t handshake_timeout_ms = 5'000;
  std::size_t streams = 100;  ///< gRPC calls at once on one connection
};

/// Strict, bounded HTTP/1.1 over TCP and Unix sockets, and gRPC over HTTP/2, on one epoll loop:
/// keep-alive, pipelining, Content-Length and chunked bodies, TLS. Handlers run on the loop's
/// thread; what they answer in a turn of the loop leaves together, or in parts where many ask at
/// once, each after `before_answers`. Where a limit of connections or of open files is reached, a
/// new connection takes the place of one that is not being answered (net/admission.hpp); where
/// there is none, it waits in the kernel's queue. One instance, one thread: everything but `post`,
/// `stop` and `drain` belongs to the thread that calls `run`.
class HttpServer {
 public:
  /// Answers a request or a gRPC message after its handler returned, from the loop's thread. A copy
  /// refers to the same request; the first `send` counts. Once the client is gone a send does
  /// nothing. A client that closed its sending side is still answered, within `read_timeout_ms`
  /// from then: it looks the same as one that left.
  class Responder {
   public:
    Responder() = default;
    void send(Response response) const;     ///< of an HTTP request
    void send_grpc(GrpcReply reply) const;  ///< of a gRPC message
    [[nodiscard]] bool alive() const;       ///< the client still waits

   private:
    friend class HttpServer;
    HttpServer* server_ = nullptr;
    std::uint64_t connection_ = 0;
    std::uint64_t request_ = 0;
    std::int32_t stream_ = 0;  ///< 0: HTTP/1
  };

  using Handler = std::function<void(const Request&, Response&)>;
  using GrpcHandler = std::function<void(const GrpcCall&, GrpcReply&)>;

  struct Options {
    std::string host{};  ///< empty: no TCP. An IPv4 address; `localhost` is 127.0.0.1
    int port = 0;        ///< 0: any free one, see `port()`
    std::string
        unix_path{};  ///< empty: none. An old socket there is replaced when nobody listens on it
    std::string grpc_host{};                    ///< empty: no gRPC
    int grpc_port = 0;                          ///< 0: any free one, see `grpc_port()`
    std::vector<std::string> grpc_streaming{};  ///< methods that take a stream of messages and
                                                ///< answer each by one; others are unary
    std::vector<std::string>
        allowed_hosts{};  ///< besides the loopback names and `host` (AllowedHosts)
    std::string host_hint = "call it by a name it knows";  ///< what to do about a host that is not
                                                           ///< allowed; no quotes, no backslashes
    std::optional<TlsOptions> tls{};  ///< of both TCP listeners: HTTP/1.1 there, HTTP/2 on gRPC's;
                                      ///< never of the Unix socket
    std::vector<ListenerFd> adopt_fds{};  ///< listening sockets used instead of making new ones;
                                          ///< taken over. Names: `http`, `unix`, `grpc`
    ServerLimits limits{};
    const Clock* clock = &system_clock();
    Handler handler{};
    GrpcHandler
        grpc_handler{};  ///< called for each whole message of a call; needed with `grpc_host`
    std::function<bool(const GrpcCall&)>
        grpc_inflate_for{};  ///< whose compressed messages are inflated; none: everybody's
    std::function<void()> before_answers{};  ///< after requests were handled or work ran, before
                                             ///< any of their responses is written
  };

  /// Binds and listens. kConflict (`net-port-in-use`) when another process has the port or the
  /// socket, kIo otherwise.
  [[nodiscard]] static Result<std::unique_ptr<HttpServer>> open(Options options);
  ~HttpServer();

  /// Serves until `stop` or the end of `drain`; finishes the turn it is in. Connections are closed
  /// then.
  void run();
  void stop();  ///< thread- and signal-safe
  /// Accepts nothing more, finishes what is in flight, answers the next request of each connection
  /// with `Connection: close` (gRPC: GOAWAY); connections without one are closed after two seconds.
  /// `run` returns when all are done or `deadline_ms` passed. Thread- and signal-safe.
  void drain(std::int64_t deadline_ms);
  /// Whether new connections are taken; else they wait in the kernel's queues. On the loop's
  /// thread, or before `run`.
  void set_accepting(bool on);
  void post(std::function<void()> work);  ///< runs `work` on the loop's thread; thread-safe
  /// Only in a handler: the request is not answered when it returns. Later requests of the
  /// connection, or messages of the call, wait.
  [[nodiscard]] Responder defer();
  /// Runs `work` on the loop's thread about each `period_ms`; before `run` only.
  void every(std::int64_t period_ms, std::function<void()> work);
  /// Runs `work` when `fd` can be read; before `run` only. The caller keeps the fd open.
  void watch(int fd, std::function<void()> work);
  /// Reads the certificate, key and authorities again for connections from now on; on an error the
  /// old ones stay.
  [[nodiscard]] Result<void> reload_tls();
  /// The listening sockets, for a successor (`start_successor`); they stay open and owned here, and
  /// the Unix socket's file stays from now on.
  [[nodiscard]] std::vector<ListenerFd> listener_fds();

  [[nodiscard]] int port() const noexcept;                 ///< of the TCP listener; 0: none
  [[nodiscard]] int grpc_port() const noexcept;            ///< of the gRPC listener; 0: none
  [[nodiscard]] std::size_t connections() const noexcept;  ///< open ones; thread-safe
  /// Connections that room was made of, since the start.
  struct ClosedForRoom {
    std::uint64_t for_all = 0;        ///< the server, or the process's open files, had none left
    std::uint64_t for_address = 0;    ///< their address held its limit
    std::uint64_t for_handshake = 0;  ///< too many TLS handshakes were under way
    std::uint64_t refused = 0;        ///< new ones, with nobody who could go for them
  };
  [[nodiscard]] ClosedForRoom closed_for_room() const noexcept;  ///< thread-safe
  [[nodiscard]] std::size_t buffered_bytes()
      const noexcept;  ///< what `limits.buffered_bytes` bounds; thread-safe
  [[nodiscard]] std::int64_t turn_began_ns()
      const noexcept;  ///< `mono_ns` at the beginning of this turn of the loop

 private:
  struct Loop;
  explicit HttpServer(std::unique_ptr<Loop> loop);
  std::unique_ptr<Loop> loop_;
};

}  // namespace heddle::net
