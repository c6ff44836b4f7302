#pragma once

#include <string>

#include <sys/socket.h>
#include <sys/un.h>

#include "base/result.hpp"

namespace heddle::net {

/// Non-blocking listening sockets; the caller owns the descriptor. An address that another process
/// has is waited for, 0.3 s at most (kConflict, `net-port-in-use`).
[[nodiscard]] Result<int> listen_tcp(const std::string& host, int port);
/// Mode 0600. A socket file that nobody listens on is replaced.
[[nodiscard]] Result<int> listen_unix(const std::string& path);
[[nodiscard]] int bound_port(int fd);

/// The address of a Unix socket of any path length: past the 107 bytes the kernel takes, by way of
/// its folder's descriptor, which stays open while this lives.
class UnixAddress {
 public:
  [[nodiscard]] static Result<UnixAddress> make(const std::string& path);
  UnixAddress(UnixAddress&& other) noexcept;
  ~UnixAddress();
  [[nodiscard]] const sockaddr* get() const noexcept {
    return reinterpret_cast<const sockaddr*>(&address_);
  }
  [[nodiscard]] static constexpr unsigned size() noexcept { return sizeof(sockaddr_un); }

 private:
  UnixAddress() = default;
  sockaddr_un address_{};
  int directory_ = -1;
};

}  // namespace heddle::net
