#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "net/http.hpp"

namespace heddle::net {

struct ServerLimits {
  std::size_t header_bytes = 16 << 10;
  std::size_t headers = 64;
  std::size_t body_bytes = 4 << 20;
  std::int64_t read_timeout_ms = 10'000;  ///< for a whole request from its first byte, and for a response to be taken
  std::int64_t idle_timeout_ms = 60'000;  ///< between requests
  std::size_t connections = 4096;
};

/// Strict, bounded HTTP/1.1 over TCP and Unix sockets on one epoll loop: keep-alive, pipelining, Content-Length and chunked bodies.
/// The handler runs on the loop's thread; what it answers in one turn of the loop leaves together, after `after_turn`. One
/// instance, one thread: everything but `post` and `stop` belongs to the thread that calls `run`.
class HttpServer {
 public:
  /// Answers a request after its handler returned, from the loop's thread. A copy refers to the same request; the first `send` counts. Once the
  /// connection is gone a send does nothing.
  class Responder {
   public:
    Responder() = default;
    void send(Response response) const;
    [[nodiscard]] bool alive() const;  ///< the client still waits

   private:
    friend class HttpServer;
    HttpServer* server_ = nullptr;
    std::uint64_t connection_ = 0;
    std::uint64_t request_ = 0;
  };

  using Handler = std::function<void(const Request&, Response&)>;

  struct Options {
    std::string host{};                      ///< empty: no TCP. An IPv4 address; `localhost` is 127.0.0.1
    int port = 0;                            ///< 0: any free one, see `port()`
    std::string unix_path{};                 ///< empty: none. An old socket there is replaced when nobody listens on it
    std::vector<std::string> allowed_hosts{};  ///< besides the loopback names and `host`; without port
    ServerLimits limits{};
    const Clock* clock = &system_clock();
    Handler handler{};
    std::function<void()> after_turn{};      ///< once a turn in which a request was handled or work ran, before its responses are written
  };

  /// Binds and listens. kConflict (`net-port-in-use`) when another process has the port or the socket, kIo otherwise.
  [[nodiscard]] static Result<std::unique_ptr<HttpServer>> open(Options options);
  ~HttpServer();

  /// Serves until `stop`; finishes the turn it is in. Connections are closed then.
  void run();
  void stop();                                  ///< thread- and signal-safe
  void post(std::function<void()> work);        ///< runs `work` on the loop's thread; thread-safe
  /// Only in the handler: the request is not answered when it returns. Later requests of the connection wait.
  [[nodiscard]] Responder defer();
  /// Runs `work` on the loop's thread about each `period_ms`; before `run` only.
  void every(std::int64_t period_ms, std::function<void()> work);
  /// Runs `work` when `fd` can be read; before `run` only. The caller keeps the fd open.
  void watch(int fd, std::function<void()> work);

  [[nodiscard]] int port() const noexcept;      ///< of the TCP listener; 0: none
  [[nodiscard]] std::size_t connections() const noexcept;  ///< open ones; thread-safe

 private:
  struct Loop;
  explicit HttpServer(std::unique_ptr<Loop> loop);
  std::unique_ptr<Loop> loop_;
};

}  // namespace heddle::net
