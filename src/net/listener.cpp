#include "net/listener.hpp"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace heddle::net {
namespace {

Error io_error(std::string_view what, const std::string& where) {
  return Error{ErrorKind::kIo, "net-listen",
               fmt::format("cannot {} `{}`: {}", what, where, std::strerror(errno)),
               "see the system's message"};
}

Result<int> listen_tcp_now(const std::string& host, int port) {
  const std::string where = fmt::format("{}:{}", host, port);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  if (port < 0 || port > 65535 ||
      ::inet_pton(AF_INET, host == "localhost" ? "127.0.0.1" : host.c_str(), &address.sin_addr) !=
          1) {
    return Error{ErrorKind::kInvalid, "net-address",
                 fmt::format("`{}` is not an IPv4 address and port", where),
                 "for example 127.0.0.1:8000"};
  }
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return io_error("make a socket for", where);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd, 1024) != 0) {
    const bool taken = errno == EADDRINUSE;
    Error error = io_error("listen on", where);
    ::close(fd);
    if (!taken) return error;
    return Error{
        ErrorKind::kConflict, "net-port-in-use",
        fmt::format("another process listens on `{}`", where),
        fmt::format("end it (`ss -ltnp 'sport = :{}'` names it), or choose another port", port)};
  }
  return fd;
}

/// Asks again while the address is another process's: one that was killed lets go of its locks
/// first and of its addresses a moment later, and whoever takes its place has its locks by then.
/// No longer: a plane that ends within a second of its start is not started again for ever.
Result<int> once_free(const std::function<Result<int>()>& listen) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
  for (;;) {
    auto fd = listen();
    const bool taken = !fd.ok() && fd.error().kind == ErrorKind::kConflict;
    if (!taken || std::chrono::steady_clock::now() >= until) return fd;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

}  // namespace

Result<int> listen_tcp(const std::string& host, int port) {
  return once_free([&] { return listen_tcp_now(host, port); });
}

int bound_port(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  return ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0
             ? ntohs(address.sin_port)
             : 0;
}

Result<UnixAddress> UnixAddress::make(const std::string& path) {
  UnixAddress result;
  result.address_.sun_family = AF_UNIX;
  std::string name = path;
  if (path.size() >= sizeof result.address_.sun_path) {
    const std::size_t slash = path.rfind('/');
    const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash);
    result.directory_ = ::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (result.directory_ < 0) return io_error("open", directory);
    name = fmt::format("/proc/self/fd/{}/{}", result.directory_, path.substr(slash + 1));
    if (name.size() >= sizeof result.address_.sun_path) {
      return Error{ErrorKind::kInvalid, "net-socket-name",
                   fmt::format("the name of the socket `{}` is too long", path),
                   "choose a shorter name"};
    }
  }
  std::memcpy(result.address_.sun_path, name.c_str(), name.size() + 1);
  return result;
}

UnixAddress::UnixAddress(UnixAddress&& other) noexcept
    : address_(other.address_), directory_(std::exchange(other.directory_, -1)) {}
UnixAddress::~UnixAddress() {
  if (directory_ >= 0) ::close(directory_);
}

namespace {

Result<int> listen_unix_now(const std::string& path) {
  HEDDLE_ASSIGN_OR_RETURN(const UnixAddress address, UnixAddress::make(path));
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return io_error("make a socket for", path);
  const bool answered = ::connect(probe, address.get(), UnixAddress::size()) == 0;
  const int why = errno;
  ::close(probe);
  if (answered) {
    return Error{ErrorKind::kConflict, "net-port-in-use",
                 fmt::format("another process listens on `{}`", path), "end it first"};
  }
  struct stat info{};
  if (why == ECONNREFUSED && ::lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode))
    ::unlink(path.c_str());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return io_error("make a socket for", path);
  // The file takes the mode of the socket: never, for no moment, open to others.
  if (::fchmod(fd, 0600) != 0 || ::bind(fd, address.get(), UnixAddress::size()) != 0 ||
      ::listen(fd, 1024) != 0) {
    Error error = io_error("listen on", path);
    ::close(fd);
    return error;
  }
  return fd;
}

}  // namespace

Result<int> listen_unix(const std::string& path) {
  return once_free([&] { return listen_unix_now(path); });
}

}  // namespace heddle::net
