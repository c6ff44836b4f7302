#include "net/server.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <mutex>

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.hpp"
#include "net/connection.hpp"
#include "net/listener.hpp"

namespace heddle::net {
namespace {

constexpr std::size_t kFirstBuffer = 8192;
constexpr std::size_t kKeptBuffer = 256 << 10;
constexpr std::size_t kMostQueuedOutput = 1 << 20;
constexpr std::size_t kMostDrained = 8 << 20;
constexpr std::int64_t kDrainNs = 2'000'000'000;
constexpr std::int64_t kSweepNs = 100'000'000;
constexpr std::int64_t kMs = 1'000'000;

// epoll tags below the first connection id.
constexpr std::uint64_t kWake = 1;
constexpr std::uint64_t kTcp = 2;
constexpr std::uint64_t kUnix = 3;
constexpr std::uint64_t kFirstWatch = 16;
constexpr std::uint64_t kConnection = 1ull << 32;  ///< id = generation << 32 | slot, generation >= 1

struct Timer {
  std::int64_t period_ns;
  std::int64_t due_ns;
  std::function<void()> work;
};
struct Watch {
  int fd;
  std::function<void()> work;
};

std::string_view host_name(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

}  // namespace

void InBuffer::reserve(std::size_t total) {
  if (begin_ + total <= capacity_) return;
  const std::size_t have = size();
  if (total <= capacity_) {
    std::memmove(data_.get(), data_.get() + begin_, have);
  } else {
    const std::size_t capacity = std::max({total, kFirstBuffer, std::min(capacity_ * 2, total * 2)});
    auto grown = std::make_unique<char[]>(capacity + Request::kBodyPadding);
    if (have > 0) std::memcpy(grown.get(), data_.get() + begin_, have);
    data_ = std::move(grown);
    capacity_ = capacity;
  }
  begin_ = 0;
  end_ = have;
}

void InBuffer::shrink() {
  if (size() == 0 && capacity_ > kKeptBuffer) {
    data_.reset();
    capacity_ = begin_ = end_ = 0;
  }
}

struct HttpServer::Loop {
  Options options;
  int epoll = -1, wake = -1, tcp = -1, local = -1;
  int tcp_port = 0;
  std::vector<std::unique_ptr<Connection>> slots;
  std::vector<std::uint32_t> free_slots;
  std::uint32_t generation = 0;
  std::atomic<std::size_t> open_connections{0};
  bool accepting = true;
  std::vector<Connection*> dirty;
  std::vector<std::uint64_t> overran;
  std::vector<Timer> timers;
  std::vector<Watch> watches;
  std::atomic<bool> stopping{false};
  std::mutex posted_mutex;
  std::vector<std::function<void()>> posted;
  std::int64_t now = 0;
  std::int64_t next_sweep = 0;
  std::int64_t date_second = -1;
  std::string common;        ///< of every response's head: Date
  bool worked = false;       ///< this turn handled a request or ran work
  Connection* handling = nullptr;
  bool deferred = false;
  std::vector<Header> headers;
  Response response;

  ~Loop();
  Result<void> open();
  void add(int fd, std::uint32_t events, std::uint64_t tag) const;
  void turn();
  void accept_all(int listener, bool is_local);
  void close(Connection& connection);
  Connection* find(std::uint64_t id);
  void readable(Connection& connection);
  void process(Connection& connection);
  bool begin_body(Connection& connection, const RequestHead& head);
  void handle(Connection& connection, const RequestHead& head, std::string_view body);
  void refuse(Connection& connection, int status, std::string_view id, std::string_view what);
  void answer(Connection& connection, const Response& from);
  void mark_dirty(Connection& connection);
  void flush(Connection& connection);
  void after_flush(Connection& connection);
  void want(Connection& connection, std::uint32_t events);
  void set_phase(Connection& connection, Connection::Phase phase);
  void sweep();
  void refresh_date();
  bool host_allowed(std::string_view host) const;
};

HttpServer::Loop::~Loop() {
  for (auto& slot : slots) {
    if (slot && slot->fd >= 0) ::close(slot->fd);
  }
  for (const int fd : {epoll, wake, tcp, local}) {
    if (fd >= 0) ::close(fd);
  }
  if (local >= 0) ::unlink(options.unix_path.c_str());
}

void HttpServer::Loop::add(int fd, std::uint32_t events, std::uint64_t tag) const {
  epoll_event event{};
  event.events = events;
  event.data.u64 = tag;
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

Result<void> HttpServer::Loop::open() {
  HEDDLE_CHECK(options.handler, "a server without a handler");
  epoll = ::epoll_create1(EPOLL_CLOEXEC);
  wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (epoll < 0 || wake < 0) {
    return Error{ErrorKind::kIo, "net-loop", fmt::format("cannot make an event loop: {}", std::strerror(errno)), "raise the limit of open files"};
  }
  add(wake, EPOLLIN, kWake);
  if (!options.host.empty()) {
    HEDDLE_ASSIGN_OR_RETURN(tcp, listen_tcp(options.host, options.port));
    tcp_port = bound_port(tcp);
    add(tcp, EPOLLIN, kTcp);
  }
  if (!options.unix_path.empty()) {
    HEDDLE_ASSIGN_OR_RETURN(local, listen_unix(options.unix_path));
    add(local, EPOLLIN, kUnix);
  }
  for (const char* name : {"127.0.0.1", "localhost", "[::1]"}) options.allowed_hosts.emplace_back(name);
  if (!options.host.empty()) options.allowed_hosts.push_back(options.host);
  return {};
}

bool HttpServer::Loop::host_allowed(std::string_view host) const {
  const std::string_view name = host_name(host);
  return std::any_of(options.allowed_hosts.begin(), options.allowed_hosts.end(), [&](const std::string& a) { return same_token(a, name); });
}

void HttpServer::Loop::refresh_date() {
  const std::int64_t second = options.clock->wall() / kSecond;
  if (second == date_second) return;
  date_second = second;
  const std::time_t time = second;
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  char text[64];
  // The C locale's names: nothing of this process sets another one.
  const std::size_t n = std::strftime(text, sizeof text, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts);
  common.assign(text, n);
}

void HttpServer::Loop::want(Connection& connection, std::uint32_t events) {
  if (connection.interest == events) return;
  connection.interest = events;
  epoll_event event{};
  event.events = events;
  event.data.u64 = connection.id;
  ::epoll_ctl(epoll, EPOLL_CTL_MOD, connection.fd, &event);
}

void HttpServer::Loop::set_phase(Connection& connection, Connection::Phase phase) {
  connection.phase = phase;
  switch (phase) {
    case Connection::Phase::kIdle: connection.deadline_ns = now + options.limits.idle_timeout_ms * kMs; break;
    case Connection::Phase::kReading: connection.deadline_ns = now + options.limits.read_timeout_ms * kMs; break;
    case Connection::Phase::kDeferred: connection.deadline_ns = INT64_MAX; break;
    case Connection::Phase::kDraining: connection.deadline_ns = now + kDrainNs; break;
  }
}

void HttpServer::Loop::accept_all(int listener, bool is_local) {
  for (int i = 0; i < 64; ++i) {
    if (open_connections >= options.limits.connections) {
      // The rest waits in the kernel's queue until a connection ends.
      accepting = false;
      for (const auto& [fd, tag] : {std::pair{tcp, kTcp}, std::pair{local, kUnix}}) {
        epoll_event event{};
        event.data.u64 = tag;
        if (fd >= 0) ::epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
      }
      return;
    }
    const int fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    if (!is_local) {
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
    connection->local = is_local;
    connection->id = static_cast<std::uint64_t>(++generation == 0 ? ++generation : generation) << 32 | slot;
    connection->interest = EPOLLIN;
    set_phase(*connection, Connection::Phase::kIdle);
    add(fd, EPOLLIN, connection->id);
    slots[slot] = std::move(connection);
    ++open_connections;
  }
}

Connection* HttpServer::Loop::find(std::uint64_t id) {
  const std::size_t slot = id & 0xffffffffu;
  if (slot >= slots.size() || !slots[slot] || slots[slot]->id != id) return nullptr;
  return slots[slot].get();
}

void HttpServer::Loop::close(Connection& connection) {
  if (connection.dirty) dirty.erase(std::remove(dirty.begin(), dirty.end(), &connection), dirty.end());
  ::close(connection.fd);
  const auto slot = static_cast<std::uint32_t>(connection.id & 0xffffffffu);
  slots[slot].reset();
  free_slots.push_back(slot);
  --open_connections;
  if (!accepting) {
    accepting = true;
    for (const auto& [fd, tag] : {std::pair{tcp, kTcp}, std::pair{local, kUnix}}) {
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.u64 = tag;
      if (fd >= 0) ::epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
    }
  }
}

void HttpServer::Loop::readable(Connection& connection) {
  InBuffer& in = connection.in;
  if (connection.phase == Connection::Phase::kDraining) {
    char sink[16384];
    const ssize_t n = ::recv(connection.fd, sink, sizeof sink, 0);
    if (n > 0) connection.drained += static_cast<std::size_t>(n);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || connection.drained > kMostDrained) close(connection);
    return;
  }
  if (in.free_bytes() < kFirstBuffer / 2) in.reserve(in.size() + kFirstBuffer);
  const ssize_t n = ::recv(connection.fd, in.free_space(), in.free_bytes(), 0);
  if (n < 0) {
    if (errno != EAGAIN && errno != EINTR) close(connection);
    return;
  }
  if (n == 0) {
    connection.peer_done = true;
    if (connection.has_output()) {
      connection.close_after = true;
      want(connection, EPOLLOUT);
    } else {
      close(connection);
    }
    return;
  }
  in.added(static_cast<std::size_t>(n));
  process(connection);
}

/// Reads and handles whole requests while there are any.
void HttpServer::Loop::process(Connection& connection) {
  InBuffer& in = connection.in;
  const ServerLimits& limits = options.limits;
  while (!connection.close_after && connection.phase != Connection::Phase::kDeferred) {
    if (in.size() == 0) {
      in.shrink();
      set_phase(connection, Connection::Phase::kIdle);
      return;
    }
    if (connection.out.size() - connection.out_sent > kMostQueuedOutput) {
      connection.overran = true;
      want(connection, 0);
      return;
    }
    if (connection.phase == Connection::Phase::kIdle) set_phase(connection, Connection::Phase::kReading);
    RequestHead head;
    if (!connection.head_known) {
      std::string_view reason;
      switch (read_head(in.view(), limits.header_bytes, limits.headers, head, headers, reason)) {
        case HeadResult::kNeedMore: return;
        case HeadResult::kBad: return refuse(connection, 400, "http-malformed", reason);
        case HeadResult::kTooLarge: return refuse(connection, 431, "http-head-too-large", reason);
        case HeadResult::kUnsupported: return refuse(connection, 505, "http-version", reason);
        case HeadResult::kComplete: break;
      }
      if (!begin_body(connection, head)) return;
    }
    std::size_t total = 0;
    std::string_view body;
    if (connection.chunked_body) {
      char* at = in.begin() + connection.body_at;
      switch (connection.chunks.read(at, in.size() - connection.body_at, limits.body_bytes)) {
        case ChunkedReader::State::kNeedMore:
          // Tiny chunks cost more than they carry; the cost is bounded too.
          if (in.size() > limits.header_bytes + 2 * limits.body_bytes + kFirstBuffer) return refuse(connection, 413, "http-too-large", "a body over the limit");
          return;
        case ChunkedReader::State::kBad: return refuse(connection, 400, "http-malformed", "a malformed chunk");
        case ChunkedReader::State::kTooLarge: return refuse(connection, 413, "http-too-large", "a body over the limit");
        case ChunkedReader::State::kDone: break;
      }
      total = connection.body_at + connection.chunks.consumed();
      body = {at, connection.chunks.body_bytes()};
    } else {
      total = connection.body_at + static_cast<std::size_t>(connection.content_length);
      if (in.size() < total) return;  // the buffer grows with what came, not with what was announced
      body = {in.begin() + connection.body_at, static_cast<std::size_t>(connection.content_length)};
    }
    if (head.bytes == 0) {  // it came in parts and the buffer may have moved: read again, cheaply
      std::string_view reason;
      (void)read_head(in.view(), limits.header_bytes, limits.headers, head, headers, reason);
    }
    handle(connection, head, body);
    in.consume(total);
    connection.head_known = false;
  }
}

/// Takes over what the head says of the body. False when the request was refused.
bool HttpServer::Loop::begin_body(Connection& connection, const RequestHead& head) {
  if (head.content_length.value_or(0) > options.limits.body_bytes) {
    refuse(connection, 413, "http-too-large", "a body over the limit");
    return false;
  }
  if (!connection.local && !host_allowed(head.host)) {
    refuse(connection, 421, "http-host", "a Host that is not served here");
    return false;
  }
  connection.head_known = true;
  connection.body_at = head.bytes;
  connection.chunked_body = head.chunked;
  connection.content_length = head.content_length.value_or(0);
  connection.chunks.reset();
  if (head.expect_continue && connection.in.size() == head.bytes && (head.chunked || connection.content_length > 0)) {
    connection.out.append("HTTP/1.1 100 Continue\r\n\r\n");
    mark_dirty(connection);
  }
  return true;
}

void HttpServer::Loop::handle(Connection& connection, const RequestHead& head, std::string_view body) {
  Request request;
  request.method = head.method;
  const std::size_t question = head.target.find('?');
  request.path = head.target.substr(0, question);
  if (question != std::string_view::npos) request.query = head.target.substr(question + 1);
  request.body = body;
  request.headers = headers;
  request.local_socket = connection.local;
  ++connection.request;
  connection.close_request = !head.keep_alive;
  connection.head_only = head.method == "HEAD";
  response.clear();
  worked = true;
  const std::string_view origin = request.header("origin");
  if (!origin.empty() && !connection.local) {
    const std::size_t scheme = origin.find("://");
    if (scheme == std::string_view::npos || !host_allowed(origin.substr(scheme + 3))) {
      response.status = 403;
      response.body = R"({"error":"the Origin of this request is not served here","id":"http-origin","hint":"call from a page of this host"})";
      return answer(connection, response);
    }
  }
  handling = &connection;
  deferred = false;
  options.handler(request, response);
  handling = nullptr;
  if (deferred) {
    set_phase(connection, Connection::Phase::kDeferred);
    want(connection, EPOLLRDHUP);
    return;
  }
  answer(connection, response);
}

/// A request that cannot be understood: what follows it cannot be either.
void HttpServer::Loop::refuse(Connection& connection, int status, std::string_view id, std::string_view what) {
  Response error;
  error.status = status;
  error.body = fmt::format(R"({{"error":"the request has {}","id":"{}","hint":"see RFC 9112 and the service's limits"}})", what, id);
  error.close = true;
  connection.head_only = false;
  answer(connection, error);
}

void HttpServer::Loop::answer(Connection& connection, const Response& from) {
  const bool closing = from.close || connection.close_request;
  std::string& out = connection.out;
  if (from.status == 200) {
    out.append("HTTP/1.1 200 OK\r\n");
  } else {
    fmt::format_to(std::back_inserter(out), "HTTP/1.1 {} {}\r\n", from.status, status_text(from.status));
  }
  out.append(common);
  if (from.status != 204) {
    out.append("Content-Type: ").append(from.content_type).append("\r\nContent-Length: ");
    char digits[24];
    const auto end = fmt::format_to_n(digits, sizeof digits, "{}", from.body.size());
    out.append(digits, end.size);
    out.append("\r\n");
  }
  out.append(from.headers);
  out.append(closing ? "Connection: close\r\n\r\n" : "\r\n");
  if (!connection.head_only && from.status != 204) out.append(from.body);
  if (closing) connection.close_after = true;
  mark_dirty(connection);
}

void HttpServer::Loop::mark_dirty(Connection& connection) {
  if (connection.dirty) return;
  connection.dirty = true;
  dirty.push_back(&connection);
}

void HttpServer::Loop::flush(Connection& connection) {
  while (connection.has_output()) {
    const ssize_t n = ::send(connection.fd, connection.out.data() + connection.out_sent, connection.out.size() - connection.out_sent, MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        if ((connection.interest & EPOLLOUT) == 0) {
          // Until the client takes what it asked for, it is not asked for more.
          want(connection, EPOLLOUT);
          connection.deadline_ns = now + options.limits.read_timeout_ms * kMs;
        }
        return;
      }
      return close(connection);
    }
    connection.out_sent += static_cast<std::size_t>(n);
    if ((connection.interest & EPOLLOUT) != 0) connection.deadline_ns = now + options.limits.read_timeout_ms * kMs;
  }
  after_flush(connection);
}

void HttpServer::Loop::after_flush(Connection& connection) {
  connection.out_sent = 0;
  if (connection.out.capacity() > kKeptBuffer) {
    connection.out = std::string();
  } else {
    connection.out.clear();
  }
  if (connection.close_after) {
    if (connection.peer_done) return close(connection);
    ::shutdown(connection.fd, SHUT_WR);
    set_phase(connection, Connection::Phase::kDraining);
    want(connection, EPOLLIN);
    return;
  }
  if (connection.phase == Connection::Phase::kDeferred) return;
  if ((connection.interest & EPOLLIN) == 0) {
    want(connection, EPOLLIN);
    if (connection.phase == Connection::Phase::kIdle) set_phase(connection, Connection::Phase::kIdle);
  }
  if (connection.overran) overran.push_back(connection.id);
}

void HttpServer::Loop::sweep() {
  for (std::size_t i = 0; i < slots.size(); ++i) {
    Connection* connection = slots[i].get();
    if (connection == nullptr || connection->deadline_ns > now) continue;
    if (connection->phase == Connection::Phase::kReading && !connection->has_output() && !connection->close_after) {
      refuse(*connection, 408, "http-timeout", "not come whole within the time limit");
      flush(*connection);
      continue;
    }
    close(*connection);
  }
}

void HttpServer::Loop::turn() {
  constexpr int kEvents = 256;
  epoll_event events[kEvents];
  std::int64_t until = next_sweep;
  for (const Timer& timer : timers) until = std::min(until, timer.due_ns);
  int timeout = static_cast<int>(std::clamp<std::int64_t>((until - now + kMs - 1) / kMs, 0, 1000));
  if (!overran.empty()) timeout = 0;
  const int n = ::epoll_wait(epoll, events, kEvents, timeout);
  now = options.clock->mono_ns();
  refresh_date();
  worked = false;
  for (int i = 0; i < n; ++i) {
    const std::uint64_t tag = events[i].data.u64;
    if (tag >= kConnection) {
      Connection* connection = find(tag);
      if (connection == nullptr) continue;
      if ((events[i].events & EPOLLOUT) != 0) {
        mark_dirty(*connection);
      } else if ((events[i].events & EPOLLIN) != 0) {
        readable(*connection);
      } else {
        close(*connection);  // gone while its answer was awaited, or in error
      }
    } else if (tag == kTcp || tag == kUnix) {
      accept_all(tag == kTcp ? tcp : local, tag == kUnix);
    } else if (tag == kWake) {
      std::uint64_t count = 0;
      (void)!::read(wake, &count, sizeof count);
      std::vector<std::function<void()>> work;
      {
        const std::lock_guard<std::mutex> lock(posted_mutex);
        work.swap(posted);
      }
      for (auto& item : work) item();
      worked = worked || !work.empty();
    } else if (tag >= kFirstWatch && tag - kFirstWatch < watches.size()) {
      watches[tag - kFirstWatch].work();
      worked = true;
    }
  }
  if (!overran.empty()) {
    std::vector<std::uint64_t> again;
    again.swap(overran);
    for (const std::uint64_t id : again) {
      if (Connection* connection = find(id); connection != nullptr) {
        connection->overran = false;
        process(*connection);
      }
    }
  }
  for (Timer& timer : timers) {
    if (timer.due_ns > now) continue;
    timer.due_ns = now + timer.period_ns;
    timer.work();
    worked = true;
  }
  if (worked && options.after_turn) options.after_turn();
  while (!dirty.empty()) {
    Connection* connection = dirty.back();
    dirty.pop_back();
    connection->dirty = false;
    flush(*connection);
  }
  if (now >= next_sweep) {
    next_sweep = now + kSweepNs;
    sweep();
  }
}

HttpServer::HttpServer(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
HttpServer::~HttpServer() = default;

Result<std::unique_ptr<HttpServer>> HttpServer::open(Options options) {
  auto loop = std::make_unique<Loop>();
  loop->options = std::move(options);
  HEDDLE_TRY(loop->open());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(loop)));
}

void HttpServer::run() {
  loop_->now = loop_->options.clock->mono_ns();
  loop_->refresh_date();
  while (!loop_->stopping.load(std::memory_order_relaxed)) loop_->turn();
}

void HttpServer::stop() {
  loop_->stopping.store(true, std::memory_order_relaxed);
  const std::uint64_t one = 1;
  (void)!::write(loop_->wake, &one, sizeof one);
}

void HttpServer::post(std::function<void()> work) {
  {
    const std::lock_guard<std::mutex> lock(loop_->posted_mutex);
    loop_->posted.push_back(std::move(work));
  }
  const std::uint64_t one = 1;
  (void)!::write(loop_->wake, &one, sizeof one);
}

HttpServer::Responder HttpServer::defer() {
  HEDDLE_CHECK(loop_->handling != nullptr, "`defer` outside of a handler");
  loop_->deferred = true;
  Responder responder;
  responder.server_ = this;
  responder.connection_ = loop_->handling->id;
  responder.request_ = loop_->handling->request;
  return responder;
}

bool HttpServer::Responder::alive() const {
  if (server_ == nullptr) return false;
  const Connection* connection = server_->loop_->find(connection_);
  return connection != nullptr && connection->request == request_ && connection->phase == Connection::Phase::kDeferred;
}

void HttpServer::Responder::send(Response response) const {
  if (!alive()) return;
  Loop& loop = *server_->loop_;
  Connection& connection = *loop.find(connection_);
  loop.set_phase(connection, Connection::Phase::kIdle);
  loop.answer(connection, response);
  // Requests that came meanwhile are read on once this answer is out.
  if (connection.in.size() > 0) connection.overran = true;
}

void HttpServer::every(std::int64_t period_ms, std::function<void()> work) {
  loop_->timers.push_back({period_ms * kMs, loop_->options.clock->mono_ns() + period_ms * kMs, std::move(work)});
}

void HttpServer::watch(int fd, std::function<void()> work) {
  loop_->watches.push_back({fd, std::move(work)});
  loop_->add(fd, EPOLLIN, kFirstWatch + loop_->watches.size() - 1);
}

int HttpServer::port() const noexcept { return loop_->tcp_port; }
std::size_t HttpServer::connections() const noexcept { return loop_->open_connections; }

}  // namespace heddle::net
