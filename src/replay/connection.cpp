#include "replay/connection.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.hpp"

namespace heddle::replay {
namespace {

constexpr std::size_t kMaxAnswer = 16 << 20;

bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return std::tolower(static_cast<unsigned char>(x)) == y;
         });
}

Error no_http(std::string_view what) {
  return Error{ErrorKind::kCorrupt, "replay-not-http", fmt::format("the answer is not HTTP: {}", what),
               "check that the port is the data plane's"};
}

}  // namespace

Connection::Connection(std::string host, int port, std::string token)
    : host_(std::move(host)), port_(port), token_(std::move(token)) {}

Connection::Connection(Connection&& other) noexcept
    : host_(std::move(other.host_)), port_(other.port_), token_(std::move(other.token_)), fd_(std::exchange(other.fd_, -1)) {}

Connection::~Connection() { close(); }

void Connection::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  in_.clear();
}

Error Connection::lost(std::string_view what) {
  close();
  return Error{ErrorKind::kUnavailable, "replay-no-answer", fmt::format("no answer from {}:{}: {}", host_, port_, what),
               "check that `heddle up` runs"};
}

Result<void> Connection::wait(short events, std::int64_t deadline_ns) {
  while (true) {
    const std::int64_t left_ms = (deadline_ns - system_clock().mono_ns()) / 1'000'000;
    if (left_ms <= 0) {
      close();
      return Error{ErrorKind::kTimeout, "replay-timeout", fmt::format("no answer from {}:{} in time", host_, port_),
                   "see the data plane's log"};
    }
    pollfd p{fd_, events, 0};
    const int n = ::poll(&p, 1, static_cast<int>(std::min<std::int64_t>(left_ms, 60'000)));
    if (n > 0) return {};
    if (n < 0 && errno != EINTR) return lost(std::strerror(errno));
  }
}

Result<void> Connection::connect(std::int64_t deadline_ns) {
  if (host_.starts_with("unix:")) return connect_unix(host_.substr(5));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port_));
  if (::inet_pton(AF_INET, host_ == "localhost" ? "127.0.0.1" : host_.c_str(), &address.sin_addr) != 1) {
    return Error{ErrorKind::kInvalid, "replay-host", fmt::format("`{}` is not an IPv4 address", host_), "for example 127.0.0.1"};
  }
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd_ < 0) return lost(std::strerror(errno));
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno != EINPROGRESS) return lost(std::strerror(errno));
    HEDDLE_TRY(wait(POLLOUT, deadline_ns));
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return lost(std::strerror(error));
  }
  return {};
}

Result<void> Connection::connect_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return Error{ErrorKind::kInvalid, "replay-host", fmt::format("the socket's path `{}` is too long", path),
                 "keep the project in a folder with a shorter path"};
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd_ < 0 || ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return lost(std::strerror(errno));
  return {};
}

Result<void> Connection::write_all(std::string_view head, std::string_view body, std::int64_t deadline_ns) {
  while (!head.empty() || !body.empty()) {
    iovec parts[2] = {{const_cast<char*>(head.data()), head.size()}, {const_cast<char*>(body.data()), body.size()}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    const ssize_t n = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) return lost(std::strerror(errno));
      HEDDLE_TRY(wait(POLLOUT, deadline_ns));
      continue;
    }
    const std::size_t of_head = std::min(head.size(), static_cast<std::size_t>(n));
    head.remove_prefix(of_head);
    body.remove_prefix(static_cast<std::size_t>(n) - of_head);
  }
  return {};
}

Result<Connection::Answer> Connection::read_answer(std::int64_t deadline_ns) {
  in_.clear();
  std::size_t head_end = std::string::npos;
  std::size_t total = 0;
  int status = 0;
  bool keep = true;
  while (true) {
    const std::size_t had = in_.size();
    in_.resize(had + 16384);
    const ssize_t n = ::recv(fd_, in_.data() + had, 16384, 0);
    in_.resize(had + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    if (n == 0) return lost("the connection was closed");
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) return lost(std::strerror(errno));
      HEDDLE_TRY(wait(POLLIN, deadline_ns));
      continue;
    }
    if (head_end == std::string::npos) {
      head_end = in_.find("\r\n\r\n", had < 3 ? 0 : had - 3);
      if (head_end == std::string::npos) {
        if (in_.size() > 65536) return no_http("the head has no end");
        continue;
      }
      const std::string_view head = std::string_view(in_).substr(0, head_end);
      if (!head.starts_with("HTTP/1.") || head.size() < 12 ||
          std::from_chars(head.data() + 9, head.data() + 12, status).ec != std::errc{}) {
        close();
        return no_http("no status line");
      }
      std::size_t length = 0;
      bool has_length = status == 204;
      for (std::size_t at = head.find("\r\n"); at != std::string_view::npos;) {
        const std::size_t next = head.find("\r\n", at + 2);
        const std::string_view line = head.substr(at + 2, next == std::string_view::npos ? next : next - at - 2);
        const std::size_t colon = line.find(':');
        if (colon != std::string_view::npos) {
          std::string_view value = line.substr(colon + 1);
          while (value.starts_with(' ')) value.remove_prefix(1);
          if (same_name(line.substr(0, colon), "content-length")) {
            has_length = std::from_chars(value.data(), value.data() + value.size(), length).ec == std::errc{};
          } else if (same_name(line.substr(0, colon), "connection") && same_name(value, "close")) {
            keep = false;
          }
        }
        at = next;
      }
      if (!has_length || length > kMaxAnswer) {
        close();
        return no_http("no usable content-length");
      }
      total = head_end + 4 + length;
    }
    if (in_.size() >= total) break;
  }
  if (!keep) {
    ::close(fd_);
    fd_ = -1;
  }
  return Answer{status, std::string_view(in_).substr(head_end + 4, total - head_end - 4)};
}

Result<Connection::Answer> Connection::post(std::string_view path, std::string_view body, std::int64_t deadline_ns) {
  if (fd_ < 0) HEDDLE_TRY(connect(deadline_ns));
  head_.clear();
  fmt::format_to(std::back_inserter(head_),
                 "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n", path,
                 port_ == 0 ? "localhost" : host_, body.size());
  if (!token_.empty()) fmt::format_to(std::back_inserter(head_), "Authorization: Bearer {}\r\n", token_);
  head_.append("\r\n");
  HEDDLE_TRY(write_all(head_, body, deadline_ns));
  return read_answer(deadline_ns);
}

}  // namespace heddle::replay
