#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.hpp"
#include "net/listener.hpp"
#include "net/loop.hpp"

namespace heddle::net {
namespace {

constexpr std::int64_t kDrainIdleNs = 2'000'000'000;
constexpr std::string_view kTooMany =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: "
    "close\r\n\r\n";

/// What `connections_per_address` counts by: an IPv4 address, or the /64 of an IPv6 one, which is
/// what one client usually has.
std::uint64_t address_key(const sockaddr_storage& from) {
  if (from.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &from, sizeof v4);
    return 1ull << 32 | v4.sin_addr.s_addr;
  }
  if (from.ss_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &from, sizeof v6);
    std::uint32_t low = 0;
    std::memcpy(&low, v6.sin6_addr.s6_addr + 12, sizeof low);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) return 1ull << 32 | low;
    std::uint64_t prefix = 0;
    std::memcpy(&prefix, v6.sin6_addr.s6_addr, sizeof prefix);
    return prefix == 0 ? 2 : prefix;
  }
  return 0;
}

Result<int> adopt(const ListenerFd& listener) {
  int listening = 0;
  socklen_t size = sizeof listening;
  const int flags = ::fcntl(listener.fd, F_GETFL);
  if (flags < 0 || ::getsockopt(listener.fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 ||
      listening == 0) {
    return Error{ErrorKind::kInvalid, "net-adopt",
                 fmt::format("descriptor {} that was handed over as `{}` is no listening socket",
                             listener.fd, listener.name),
                 "see the socket unit, or the process that started this one"};
  }
  ::fcntl(listener.fd, F_SETFL, flags | O_NONBLOCK);
  return listener.fd;
}

}  // namespace

HttpServer::Loop::~Loop() {
  for (auto& slot : slots) {
    if (slot && slot->fd >= 0) ::close(slot->fd);
  }
  close_doors();
  for (const int fd : {epoll, wake}) {
    if (fd >= 0) ::close(fd);
  }
}

void HttpServer::Loop::close_doors() {
  if (doors[kUnixDoor] >= 0 && unix_is_ours && !handed_over) ::unlink(options.unix_path.c_str());
  for (int& fd : doors) {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }
}

Result<void> HttpServer::Loop::load_tls() {
  if (!options.tls)
    return Error{ErrorKind::kInvalid, "net-no-tls", "this server has no TLS",
                 "give it a certificate and a key"};
  HEDDLE_ASSIGN_OR_RETURN(TlsContext http, TlsContext::server(*options.tls, "http/1.1"));
  HEDDLE_ASSIGN_OR_RETURN(TlsContext grpc, TlsContext::server(*options.tls, "h2"));
  http_tls = std::move(http);
  grpc_tls = std::move(grpc);
  return {};
}

Result<void> HttpServer::Loop::open() {
  epoll = ::epoll_create1(EPOLL_CLOEXEC);
  wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (epoll < 0 || wake < 0) {
    return Error{ErrorKind::kIo, "net-loop",
                 fmt::format("cannot make an event loop: {}", std::strerror(errno)),
                 "raise the limit of open files"};
  }
  if (options.tls) HEDDLE_TRY(load_tls());
  for (const ListenerFd& listener : options.adopt_fds) {
    const std::string_view name = listener.name;
    const std::size_t door = name == "http"   ? kHttpDoor
                             : name == "unix" ? kUnixDoor
                             : name == "grpc" ? kGrpcDoor
                                              : kDoors;
    if (door == kDoors || doors[door] >= 0) {
      log::warn("a listening socket was handed over as `{}`, which has no use here; it is closed",
                name);
      ::close(listener.fd);
      continue;
    }
    HEDDLE_ASSIGN_OR_RETURN(doors[door], adopt(listener));
  }
  if (!options.host.empty() && doors[kHttpDoor] < 0) {
    HEDDLE_ASSIGN_OR_RETURN(doors[kHttpDoor], listen_tcp(options.host, options.port));
  }
  if (!options.grpc_host.empty() && doors[kGrpcDoor] < 0) {
    HEDDLE_ASSIGN_OR_RETURN(doors[kGrpcDoor], listen_tcp(options.grpc_host, options.grpc_port));
  }
  unix_is_ours = !options.unix_path.empty();
  if (unix_is_ours && doors[kUnixDoor] < 0) {
    HEDDLE_ASSIGN_OR_RETURN(doors[kUnixDoor], listen_unix(options.unix_path));
  }
  HEDDLE_CHECK(options.handler || (doors[kHttpDoor] < 0 && doors[kUnixDoor] < 0),
               "an HTTP listener without a handler");
  HEDDLE_CHECK(options.grpc_handler || doors[kGrpcDoor] < 0, "a gRPC listener without a handler");
  if (doors[kHttpDoor] >= 0) tcp_port = bound_port(doors[kHttpDoor]);
  if (doors[kGrpcDoor] >= 0) grpc_port = bound_port(doors[kGrpcDoor]);
  hosts = AllowedHosts(std::move(options.allowed_hosts),
                       options.host.empty() ? options.grpc_host : options.host);
  return {};
}

void HttpServer::Loop::accept_all(Door door) {
  for (int i = 0; i < 64; ++i) {
    if (open_connections >= options.limits.connections)
      return set_accepting(false);  // the rest waits in the kernel's queue until one ends
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    const int fd = ::accept4(doors[door], reinterpret_cast<sockaddr*>(&from), &size,
                             SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    if (!admit(fd, door == kUnixDoor ? 0 : address_key(from), door)) ::close(fd);
  }
}

bool HttpServer::Loop::admit(int fd, std::uint64_t address, Door door) {
  const TlsContext& tls = door == kGrpcDoor ? grpc_tls : http_tls;
  const bool with_tls = door != kUnixDoor && options.tls.has_value();
  if (with_tls && handshaking >= options.limits.handshakes) return false;
  if (address != 0) {
    std::uint32_t& count = per_address[address];
    if (count >= options.limits.connections_per_address) {
      if (door == kHttpDoor && !with_tls)
        (void)!::send(fd, kTooMany.data(), kTooMany.size(), MSG_NOSIGNAL);
      return false;
    }
    ++count;
  }
  if (door != kUnixDoor) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  if (free_slots.empty()) {
    free_slots.push_back(static_cast<std::uint32_t>(slots.size()));
    slots.emplace_back();
  }
  const std::uint32_t slot = free_slots.back();
  free_slots.pop_back();
  auto connection = std::make_unique<Connection>();
  connection->fd = fd;
  connection->address = address;
  connection->local = door == kUnixDoor;
  if (connection->local) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
      connection->peer_uid = peer.uid;
  }
  connection->grpc = door == kGrpcDoor;
  connection->id =
      static_cast<std::uint64_t>(++generation == 0 ? ++generation : generation) << 32 | slot;
  connection->interest = EPOLLIN;
  if (with_tls) {
    connection->tls = tls.accept(fd);
    ++handshaking;
    set_phase(*connection, Connection::Phase::kHandshake);
  } else {
    set_phase(*connection, Connection::Phase::kIdle);
  }
  add(fd, EPOLLIN, connection->id);
  slots[slot] = std::move(connection);
  ++open_connections;
  return true;
}

void HttpServer::Loop::close(Connection& connection) {
  if (connection.dirty)
    dirty.erase(std::remove(dirty.begin(), dirty.end(), &connection), dirty.end());
  if (connection.phase == Connection::Phase::kHandshake) --handshaking;
  if (connection.address != 0) {
    const auto count = per_address.find(connection.address);
    if (--count->second == 0) per_address.erase(count);
  }
  buffered.store(buffered.load(std::memory_order_relaxed) - connection.accounted,
                 std::memory_order_relaxed);
  ::close(connection.fd);
  const auto slot = static_cast<std::uint32_t>(connection.id & 0xffffffffu);
  slots[slot].reset();
  free_slots.push_back(slot);
  --open_connections;
  if (!accepting) set_accepting(true);
}

void HttpServer::Loop::begin_drain(std::int64_t deadline_ms) {
  drain_until = now + deadline_ms * kMs;
  if (draining) return;
  draining = true;
  // Whoever is in the kernel's queue is answered too, unless a successor has the same queue.
  for (const Door door : {kHttpDoor, kUnixDoor, kGrpcDoor}) {
    if (doors[door] < 0 || handed_over) continue;
    for (std::size_t before = SIZE_MAX; before != open_connections && accepting;) {
      before = open_connections;
      accept_all(door);
    }
  }
  close_doors();
  for (const auto& connection : slots) {
    if (!connection) continue;
    if (connection->h2) {
      connection->h2->go_away();
      mark_dirty(*connection);
    } else if (connection->phase == Connection::Phase::kIdle) {
      connection->deadline_ns = std::min(connection->deadline_ns, now + kDrainIdleNs);
    }
  }
}

}  // namespace heddle::net
