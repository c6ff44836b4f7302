#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace heddle::net {

/// The host names one server answers to. A web page can make a browser call any address under a
/// name of the page's own choice (DNS rebinding); a request that names a host which is not ours is
/// refused. Not thread-safe.
class AllowedHosts {
 public:
  AllowedHosts() = default;
  /// `names`: host names or addresses without port, in any case; `*.example.com` is every name
  /// below it. The loopback names always belong. Listening on `address` beyond loopback, the
  /// machine's own name belongs too, and for each connection the address that the client connected
  /// to.
  AllowedHosts(std::vector<std::string> names, const std::string& address);

  /// Whether `host`, a Host header or the authority of an Origin or a gRPC call, is one of ours.
  /// `socket` is the descriptor of the connection it came by.
  [[nodiscard]] bool allow(std::string_view host, int socket);

  /// `host` without its port and the final dot of a fully qualified name.
  [[nodiscard]] static std::string_view name_of(std::string_view host) noexcept;

 private:
  std::vector<std::string> names_;
  bool beyond_loopback_ = false;
  std::string last_;  ///< one that was found allowed: nearly every request names the same one
};

}  // namespace heddle::net
