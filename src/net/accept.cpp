#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.hpp"
#include "net/listener.hpp"
#include "net/loop.hpp"

namespace heddle::net {
namespace {

/// Descriptors that clients do not get: for route tables, bundles, the journal, the owner's socket.
constexpr int kKeptFds = 64;
/// Chosen at once when there is no room, since choosing looks at every connection: so many, and of
/// few connections a small part, since those that come meanwhile may have less claim to stay.
constexpr std::size_t kChosenAtOnce = 64, kChosenOf = 16;
constexpr std::int64_t kDrainIdleNs = 2'000'000'000;
void count(std::atomic<std::uint64_t>& counter) {
  counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

constexpr std::string_view kTooMany =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: "
    "close\r\n\r\n";

/// The first descriptor that no client gets: they are numbered from below.
int first_kept() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return INT_MAX;
  const auto most = static_cast<int>(std::min<rlim_t>(files.rlim_cur, INT_MAX));
  return most - std::min(kKeptFds, most / 4);
}

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
    return std::max<std::uint64_t>(prefix, 2);
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
  first_kept_fd = first_kept();
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

/// New ones of this door wait in the kernel's queue, and cost nothing there.
void HttpServer::Loop::wait_for_room(Door door) {
  waiting_room[door] = true;
  ask_for_new(door);
}

void HttpServer::Loop::there_is_room() {
  for (const Door door : {kHttpDoor, kUnixDoor, kGrpcDoor}) {
    if (std::exchange(waiting_room[door], false)) ask_for_new(door);
  }
}

void HttpServer::Loop::accept_all(Door door) {
  bool more = true;
  for (int i = 0; i < 64 && more; ++i) {
    std::uint64_t address = 0;
    const int fd = accept_one(door, address, more);
    if (fd >= 0) admit(fd, address, door);
  }
}

int HttpServer::Loop::accept_one(Door door, std::uint64_t& address, bool& more) {
  // The owner's socket is how a service is stopped and a release approved: it takes a few beyond
  // every limit.
  const bool owner = door == kUnixDoor;
  const bool full = admission.open() >= options.limits.connections;
  Connection* leaves = full ? first_to_go(kAll) : nullptr;
  const auto none = [&] {
    more = false;
    wait_for_room(door);
    return -1;
  };
  if (full && leaves == nullptr && !owner) return none();
  sockaddr_storage from{};
  socklen_t size = sizeof from;
  int fd = ::accept4(doors[door], reinterpret_cast<sockaddr*>(&from), &size,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    more = errno == ECONNABORTED || errno == EINTR;
    if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM) return -1;
    if (leaves == nullptr) leaves = first_to_go(kAll);
    if (leaves == nullptr) return none();
    count(closed_for_all);
    close(*leaves);
    more = true;
    return -1;
  }
  const bool kept = fd >= first_kept_fd && !owner;
  if (kept && leaves == nullptr) leaves = first_to_go(kAll);
  if (leaves != nullptr) {
    count(closed_for_all);
    close(*leaves);
  }
  if (kept) {
    // Down to the number that became free.
    const int lower = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
    ::close(fd);
    fd = lower;
    if (fd >= first_kept_fd) ::close(std::exchange(fd, -1));
    if (fd < 0) return none();
  }
  if (!owner) address = address_key(from);
  return fd;
}

/// Of TCP connections all may have to go, of the owner's none.
void HttpServer::Loop::choose_leaving(std::uint64_t among, Leaving& chosen) {
  std::vector<Candidate> candidates;
  for (const auto& slot : slots) {
    if (!slot || slot->local) continue;
    if (among == kHandshakes && slot->phase != Connection::Phase::kHandshake) continue;
    if (among > kHandshakes && slot->address != among) continue;
    const Use use = slot->use();
    if (use == Use::kAnswered) continue;
    candidates.push_back(
        {slot->id, slot->address, use, slot->h2 ? slot->h2->idle_since() : slot->since_ns});
  }
  const std::size_t most = std::clamp<std::size_t>(candidates.size() / kChosenOf, 1, kChosenAtOnce);
  chosen.next = first_to_close(std::move(candidates), most);
  // Who was heard stays as long as one comes who was not.
  while (!chosen.next.empty() && chosen.next.front().use == Use::kUnproven &&
         chosen.next.back().use != Use::kUnproven)
    chosen.next.pop_back();
  std::reverse(chosen.next.begin(), chosen.next.end());
  chosen.none = chosen.next.empty();
}

Connection* HttpServer::Loop::first_to_go(std::uint64_t among) {
  Leaving& chosen = leaving[among];
  for (int tries = 0; tries < 2 && !chosen.none; ++tries) {
    if (chosen.next.empty()) choose_leaving(among, chosen);
    while (!chosen.next.empty()) {
      const Candidate one = chosen.next.back();
      chosen.next.pop_back();
      // It may have asked since, or be past its handshake.
      Connection* connection = find(one.id);
      if (connection != nullptr && connection->use() <= one.use) return connection;
    }
  }
  return nullptr;
}

void HttpServer::Loop::admit(int fd, std::uint64_t address, Door door) {
  const TlsContext& tls = door == kGrpcDoor ? grpc_tls : http_tls;
  const bool with_tls = door != kUnixDoor && options.tls.has_value();
  if (with_tls && admission.handshakes() >= options.limits.handshakes) {
    Connection* leaves = first_to_go(kHandshakes);
    count(leaves == nullptr ? refused_for_room : closed_for_handshake);
    if (leaves == nullptr) return (void)::close(fd);
    close(*leaves);
  }
  if (address != 0 && admission.of(address) >= options.limits.connections_per_address) {
    // The limit is of those that are in use: an address that holds idle ones loses the oldest.
    Connection* leaves = first_to_go(address);
    count(leaves == nullptr ? refused_for_room : closed_for_address);
    if (leaves == nullptr) {
      if (door == kHttpDoor && !with_tls)
        (void)!::send(fd, kTooMany.data(), kTooMany.size(), MSG_NOSIGNAL);
      return (void)::close(fd);
    }
    close(*leaves);
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
  auto connection = std::make_unique<Connection>(fd, admission.take(address));
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
    connection->place.begin_handshake();
    set_phase(*connection, Connection::Phase::kHandshake);
  } else {
    set_phase(*connection, Connection::Phase::kIdle);
  }
  add(fd, EPOLLIN, connection->id);
  slots[slot] = std::move(connection);
}

void HttpServer::Loop::close(Connection& connection) {
  if (connection.dirty)
    dirty.erase(std::remove(dirty.begin(), dirty.end(), &connection), dirty.end());
  buffered.store(buffered.load(std::memory_order_relaxed) - connection.accounted,
                 std::memory_order_relaxed);
  const auto slot = static_cast<std::uint32_t>(connection.id & 0xffffffffu);
  slots[slot].reset();
  free_slots.push_back(slot);
  there_is_room();
}

void HttpServer::Loop::begin_drain(std::int64_t deadline_ms) {
  drain_until = now + deadline_ms * kMs;
  if (draining) return;
  draining = true;
  // Whoever is in the kernel's queue is answered too, unless a successor has the same queue.
  for (const Door door : {kHttpDoor, kUnixDoor, kGrpcDoor}) {
    if (doors[door] < 0 || handed_over) continue;
    for (std::size_t before = SIZE_MAX;
         before != admission.open() && accepting && !waiting_room[door];) {
      before = admission.open();
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
