#include "net/acceptor.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.hpp"
#include "net/listener.hpp"

namespace heddle::net {
namespace {

/// Descriptors that clients do not get: for route tables, bundles, the journal, the owner's socket.
constexpr int kKeptFds = 64;
/// Chosen at once when there is no room, since choosing looks at every connection: so many, and of
/// few connections a small part, since those that come meanwhile may have less claim to stay.
constexpr std::size_t kChosenAtOnce = 64, kChosenOf = 16;

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
    // 0 is nobody and an IPv4 address begins at 2^32: `::` must not be counted with either.
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

std::optional<ListenerKind> kind_named(std::string_view name) {
  if (name == "http") return ListenerKind::kHttp;
  if (name == "unix") return ListenerKind::kUnix;
  if (name == "grpc") return ListenerKind::kGrpc;
  return std::nullopt;
}

/// The same connection on the lowest free descriptor; -1, and it is closed, where that one too is
/// kept from clients.
int lowered(int fd, int first_kept) {
  const int lower = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  ::close(fd);
  if (lower < first_kept) return lower;
  ::close(lower);
  return -1;
}

/// Where a connection came in; of a Unix socket also who is at the other end.
Connection::Origin origin_of(int fd, std::uint64_t address, ListenerKind kind) {
  Connection::Origin origin;
  origin.address = address;
  origin.local = kind == ListenerKind::kUnix;
  origin.grpc = kind == ListenerKind::kGrpc;
  if (!origin.local) return origin;
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0) origin.peer_uid = peer.uid;
  return origin;
}

}  // namespace

void Listener::close() {
  if (fd_ >= 0 && !file_.empty()) ::unlink(file_.c_str());
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Acceptor::Acceptor(const HttpServer::Options& options, const Poller& poller,
                   std::uint64_t first_tag, Connections& connections, Admission& admission,
                   ByteBudget& budget, Hooks hooks)
    : options_(options),
      poller_(poller),
      first_tag_(first_tag),
      connections_(connections),
      admission_(admission),
      budget_(budget),
      hooks_(std::move(hooks)),
      first_kept_fd_(first_kept()) {}

Result<void> Acceptor::load_tls() {
  if (!options_.tls)
    return Error{ErrorKind::kInvalid, "net-no-tls", "this server has no TLS",
                 "give it a certificate and a key"};
  HEDDLE_ASSIGN_OR_RETURN(TlsContext http, TlsContext::server(*options_.tls, "http/1.1"));
  HEDDLE_ASSIGN_OR_RETURN(TlsContext grpc, TlsContext::server(*options_.tls, "h2"));
  http_tls_ = std::move(http);
  grpc_tls_ = std::move(grpc);
  return {};
}

Result<void> Acceptor::adopt_listeners() {
  for (const ListenerFd& listener : options_.adopt_fds) {
    const auto kind = kind_named(listener.name);
    if (!kind || of(*kind).open()) {
      log::warn("a listening socket was handed over as `{}`, which has no use here; it is closed",
                listener.name);
      ::close(listener.fd);
      continue;
    }
    HEDDLE_ASSIGN_OR_RETURN(const int fd, adopt(listener));
    of(*kind).use(fd);
  }
  return {};
}

/// Opens the sockets that are asked for and were not handed over.
Result<void> Acceptor::listen() {
  Listener& http = of(ListenerKind::kHttp);
  Listener& local = of(ListenerKind::kUnix);
  Listener& grpc = of(ListenerKind::kGrpc);
  if (!options_.host.empty() && !http.open()) {
    HEDDLE_ASSIGN_OR_RETURN(const int fd, listen_tcp(options_.host, options_.port));
    http.use(fd);
  }
  if (!options_.grpc_host.empty() && !grpc.open()) {
    HEDDLE_ASSIGN_OR_RETURN(const int fd, listen_tcp(options_.grpc_host, options_.grpc_port));
    grpc.use(fd);
  }
  if (options_.unix_path.empty()) return {};
  if (!local.open()) {
    HEDDLE_ASSIGN_OR_RETURN(const int fd, listen_unix(options_.unix_path));
    local.use(fd);
  }
  local.remove_at_end(options_.unix_path);
  return {};
}

Result<void> Acceptor::open() {
  if (options_.tls) HEDDLE_TRY(load_tls());
  HEDDLE_TRY(adopt_listeners());
  HEDDLE_TRY(listen());
  const Listener& http = of(ListenerKind::kHttp);
  const Listener& grpc = of(ListenerKind::kGrpc);
  HEDDLE_CHECK(options_.handler || (!http.open() && !of(ListenerKind::kUnix).open()),
               "an HTTP listener without a handler");
  HEDDLE_CHECK(options_.grpc_handler || !grpc.open(), "a gRPC listener without a handler");
  if (http.open()) http_port_ = bound_port(http.fd());
  if (grpc.open()) grpc_port_ = bound_port(grpc.fd());
  for (const ListenerKind kind : kListenerKinds) {
    if (of(kind).open())
      poller_.add(of(kind).fd(), EPOLLIN, first_tag_ + static_cast<std::uint64_t>(kind));
  }
  return {};
}

void Acceptor::ask_for_new(ListenerKind kind) {
  if (of(kind).open())
    poller_.change(of(kind).fd(), accepting_ && !waits(kind) ? EPOLLIN : 0u,
                   first_tag_ + static_cast<std::uint64_t>(kind));
}

void Acceptor::set_accepting(bool on) {
  accepting_ = on;
  for (const ListenerKind kind : kListenerKinds) ask_for_new(kind);
}

/// New ones of this listener wait in the kernel's queue, and cost nothing there.
void Acceptor::wait_for_room(ListenerKind kind) {
  waits(kind) = true;
  ask_for_new(kind);
}

void Acceptor::there_is_room() {
  for (const ListenerKind kind : kListenerKinds) {
    if (std::exchange(waits(kind), false)) ask_for_new(kind);
  }
}

std::vector<ListenerFd> Acceptor::hand_over() {
  static constexpr std::array kNames{"http", "unix", "grpc"};
  std::vector<ListenerFd> fds;
  for (const ListenerKind kind : kListenerKinds) {
    if (!of(kind).open()) continue;
    fds.push_back({kNames[static_cast<std::size_t>(kind)], of(kind).fd()});
    of(kind).hand_over();
  }
  handed_over_ = true;
  return fds;
}

void Acceptor::end() {
  for (const ListenerKind kind : kListenerKinds) {
    // A successor accepts what waits in the queue of a socket that was handed over.
    if (!of(kind).open() || handed_over_) continue;
    for (std::size_t before = SIZE_MAX;
         before != admission_.open() && accepting_ && !waits(kind);) {
      before = admission_.open();
      accept_all(kind);
    }
  }
  for (Listener& listener : listeners_) listener.close();
}

void Acceptor::accept_all(ListenerKind kind) {
  bool more = true;
  for (int i = 0; i < 64 && more; ++i) {
    std::uint64_t address = 0;
    const int fd = accept_one(kind, address, more);
    if (fd >= 0) admit(fd, address, kind);
  }
}

void Acceptor::close_for_room(Connection* leaves) {
  if (leaves == nullptr) return;
  count(closed_for_all_);
  hooks_.close(*leaves);
}

bool Acceptor::goes_on_after(int error, Connection* leaves, ListenerKind kind) {
  const bool out_of_room =
      error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
  // A client that hung up in the queue, or a signal, says nothing about the next one.
  if (!out_of_room) return error == ECONNABORTED || error == EINTR;
  if (leaves == nullptr) leaves = first_to_go(kAll);
  // Nobody can be asked to go: new ones wait, and are looked for again when one closes.
  if (leaves == nullptr) {
    wait_for_room(kind);
    return false;
  }
  close_for_room(leaves);
  return true;
}

int Acceptor::accept_one(ListenerKind kind, std::uint64_t& address, bool& more) {
  // The owner's socket is how a service is stopped and a release approved: it takes a few beyond
  // every limit.
  const bool owner = kind == ListenerKind::kUnix;
  const bool full = admission_.open() >= options_.limits.connections;
  Connection* leaves = full ? first_to_go(kAll) : nullptr;
  const auto none = [&] {
    more = false;
    wait_for_room(kind);
    return -1;
  };
  if (full && leaves == nullptr && !owner) return none();
  sockaddr_storage from{};
  socklen_t size = sizeof from;
  int fd = ::accept4(of(kind).fd(), reinterpret_cast<sockaddr*>(&from), &size,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    more = goes_on_after(errno, leaves, kind);
    return -1;
  }
  const bool kept = fd >= first_kept_fd_ && !owner;
  if (kept && leaves == nullptr) leaves = first_to_go(kAll);
  close_for_room(leaves);
  if (kept) {
    fd = lowered(fd, first_kept_fd_);
    if (fd < 0) return none();
  }
  if (!owner) address = address_key(from);
  return fd;
}

/// Of TCP connections all may have to go, of the owner's none.
void Acceptor::choose_leaving(std::uint64_t among, Leaving& chosen) {
  std::vector<Candidate> candidates;
  const auto is_among = [&](const Connection& one) {
    if (one.origin().local) return false;
    if (among == kHandshakes) return one.phase() == Connection::Phase::kHandshake;
    return among == kAll || one.origin().address == among;
  };
  connections_.each([&](const Connection& one) {
    if (!is_among(one)) return;
    const Use use = one.use();
    if (use == Use::kAnswered) return;
    candidates.push_back(
        {one.id(), one.origin().address, use, one.h2 ? one.h2->idle_since() : one.since_ns()});
  });
  const std::size_t most = std::clamp<std::size_t>(candidates.size() / kChosenOf, 1, kChosenAtOnce);
  chosen.next = first_to_close(std::move(candidates), most);
  // Who was heard stays as long as one comes who was not.
  while (!chosen.next.empty() && chosen.next.front().use == Use::kUnproven &&
         chosen.next.back().use != Use::kUnproven)
    chosen.next.pop_back();
  std::reverse(chosen.next.begin(), chosen.next.end());
  chosen.none = chosen.next.empty();
}

Connection* Acceptor::first_to_go(std::uint64_t among) {
  Leaving& chosen = leaving_[among];
  for (int tries = 0; tries < 2 && !chosen.none; ++tries) {
    if (chosen.next.empty()) choose_leaving(among, chosen);
    while (!chosen.next.empty()) {
      const Candidate one = chosen.next.back();
      chosen.next.pop_back();
      // It may have asked since, or be past its handshake.
      Connection* connection = connections_.find(one.id);
      if (connection != nullptr && connection->use() <= one.use) return connection;
    }
  }
  return nullptr;
}

bool Acceptor::make_room_for_handshake() {
  if (admission_.handshakes() < options_.limits.handshakes) return true;
  Connection* leaves = first_to_go(kHandshakes);
  count(leaves == nullptr ? refused_for_room_ : closed_for_handshake_);
  if (leaves == nullptr) return false;
  hooks_.close(*leaves);
  return true;
}

/// The limit is of those that are in use: an address that holds idle ones loses the oldest.
bool Acceptor::make_room_for_address(std::uint64_t address) {
  if (address == 0 || admission_.of(address) < options_.limits.connections_per_address) return true;
  Connection* leaves = first_to_go(address);
  count(leaves == nullptr ? refused_for_room_ : closed_for_address_);
  if (leaves == nullptr) return false;
  hooks_.close(*leaves);
  return true;
}

void Acceptor::admit(int fd, std::uint64_t address, ListenerKind kind) {
  const TlsContext& tls = kind == ListenerKind::kGrpc ? grpc_tls_ : http_tls_;
  const bool with_tls = kind != ListenerKind::kUnix && options_.tls.has_value();
  if (with_tls && !make_room_for_handshake()) return (void)::close(fd);
  if (!make_room_for_address(address)) {
    // Without TLS the refusal can be said in words.
    if (kind == ListenerKind::kHttp && !with_tls)
      (void)!::send(fd, kTooMany.data(), kTooMany.size(), MSG_NOSIGNAL);
    return (void)::close(fd);
  }
  if (kind != ListenerKind::kUnix) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  auto connection = std::make_unique<Connection>(
      fd, connections_.next_id(), origin_of(fd, address, kind), admission_.take(address), budget_,
      with_tls ? Connection::Phase::kHandshake : Connection::Phase::kIdle);
  if (with_tls) {
    connection->tls = tls.accept(fd);
    connection->begin_handshake();
  }
  hooks_.admitted(std::move(connection));
}

}  // namespace heddle::net
