#include "net/connection.hpp"

#include <cerrno>

namespace heddle::net {

bool Connection::drop_input() {
  constexpr std::size_t kMostDrained = 8 << 20;
  char sink[16384];
  const ssize_t n = ::recv(fd_, sink, sizeof sink, 0);
  if (n > 0) drained_ += static_cast<std::size_t>(n);
  const bool gone = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
  return !gone && drained_ <= kMostDrained;
}

}  // namespace heddle::net
