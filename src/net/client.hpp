#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "net/tls.hpp"

namespace heddle::net {

/// A blocking HTTP/1.1 client for one host: keep-alive over TCP, TLS or a Unix socket, a deadline
/// for each request, a bounded answer. Connects at first use and again when the connection was lost
/// between requests; a request that may have been read by the server is never sent twice. Confined
/// to one thread.
class HttpClient {
 public:
  struct Options {
    std::string host = "127.0.0.1";  ///< a name or an address; also sent as Host
    int port = 0;
    std::string unix_path{};                ///< when set, instead of host and port
    std::optional<TlsClientOptions> tls{};  ///< set: TLS, and the server must show a certificate
                                            ///< for `host`; not over a Unix socket
    std::string token{};                    ///< sent as `Authorization: Bearer`
    std::int64_t timeout_ms = 10'000;
    std::size_t max_response = 64 << 20;
  };

  struct Reply {
    int status = 0;
    std::string body;
    std::string head{};  ///< status line and header lines, each with its `\r\n`

    /// The value of a header, by its name in any case; empty when there is none.
    [[nodiscard]] std::string_view header(std::string_view name) const noexcept;
  };

  explicit HttpClient(Options options);
  ~HttpClient();
  HttpClient(HttpClient&& other) noexcept;

  /// Any status is a reply. kUnavailable: nobody listens, or the connection was lost before the
  /// reply was whole; kTimeout; kTooLarge past `max_response`; kCorrupt: no HTTP; kUnauthenticated
  /// (`net-tls`): the server cannot be trusted. `timeout_ms` 0: the one of the options.
  [[nodiscard]] Result<Reply> send(
      std::string_view method, std::string_view target, std::string_view body = {},
      const std::vector<std::pair<std::string, std::string>>& headers = {},
      std::int64_t timeout_ms = 0);
  [[nodiscard]] Result<Reply> get(std::string_view target) { return send("GET", target); }
  [[nodiscard]] Result<Reply> post(std::string_view target, std::string_view json_body) {
    return send("POST", target, json_body);
  }

 private:
  [[nodiscard]] Result<void> connect(std::int64_t deadline_ns);
  [[nodiscard]] Result<Reply> exchange(std::string_view request, std::string_view method,
                                       std::int64_t deadline_ns);
  [[nodiscard]] Result<void> agree(std::int64_t deadline_ns);
  [[nodiscard]] bool lost() noexcept;
  void close() noexcept;

  Options options_;
  TlsContext context_;
  std::unique_ptr<TlsStream> tls_;
  int fd_ = -1;
  std::string in_;
};

/// `http://host[:port]/path` or `https://...` in its parts; kInvalid for anything else.
struct Url {
  bool tls = false;  ///< https
  std::string host;
  int port = 80;  ///< 443 with https, unless given
  std::string target = "/";
};
[[nodiscard]] Result<Url> parse_url(std::string_view text);

}  // namespace heddle::net
