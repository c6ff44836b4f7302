#include "loadgen/load.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <memory>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loadgen/reply.hpp"
#include "net/http.hpp"

namespace heddle::loadgen {
namespace {

constexpr std::int64_t kUs = 1'000;
constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kSpinNs =
    80 * kUs;  ///< waking up from the kernel takes about this long on a virtual machine
constexpr std::int64_t kLongestWaitNs = 5 * kMs;
constexpr std::int64_t kSweepNs = 10 * kMs;
constexpr std::int64_t kConnectNs = 2'000 * kMs;
constexpr std::int64_t kDrainNs =
    1'000 * kMs;  ///< how long after the last intended time waiting requests are still sent
constexpr std::int64_t kFirstBackoffNs = 10 * kMs;
constexpr std::int64_t kLastBackoffNs = 200 * kMs;
constexpr std::size_t kReceive = 64 << 10;
constexpr std::size_t kMostQueued =
    256 << 10;  ///< bytes of one connection that the kernel did not take yet

struct Waiting {
  std::int64_t intended_ns;
  std::uint32_t body;
};

struct Sent {
  std::int64_t intended_ns;
  std::int64_t sent_ns;
  std::uint32_t body;
};

struct Connection {
  enum class Phase : std::uint8_t { kDown, kConnecting, kUp };
  int fd = -1;
  Phase phase = Phase::kDown;
  bool queued_idle = false;  ///< is in `idle`
  bool dirty = false;        ///< has bytes to flush this turn
  bool wants_write = false;  ///< EPOLLOUT is asked for
  std::uint64_t incarnation = 0;
  std::int64_t retry_at_ns = 0;
  std::int64_t backoff_ns = kFirstBackoffNs;
  std::int64_t connect_until_ns = 0;
  std::deque<Sent> sent;
  std::string out;
  std::size_t out_sent = 0;
  std::string in;  ///< `in_begin` to `in_end` came and were not read
  std::size_t in_begin = 0;
  std::size_t in_end = 0;
  ReplyReader reader;
};

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK; }

class Generator {
 public:
  explicit Generator(const Options& options)
      : options_(options),
        schedule_(options.rate, options.arrival, options.seed),
        connections_(options.connections) {}
  ~Generator() {
    for (Connection& c : connections_) {
      if (c.fd >= 0) ::close(c.fd);
    }
    if (epoll_ >= 0) ::close(epoll_);
  }
  Result<Outcome> run();

 private:
  Result<void> resolve();
  void build_requests();
  Result<void> connect_all();
  void connect(std::size_t index);
  void connected(std::size_t index);
  void connect_failed(std::size_t index);
  void give_up(std::size_t index, bool malformed);
  void take_events(std::int64_t wait_ns);
  void take_event(std::size_t index, std::uint32_t what);
  void readable(std::size_t index);
  void ended(std::size_t index);
  static void make_room(Connection& c);
  bool read_replies(std::size_t index, bool ended);
  void answered(std::size_t index, const Sent& sent, const Reply& reply);
  void send_on(std::size_t index, Waiting waiting);
  void flush(std::size_t index);
  void want(std::size_t index, bool write);
  [[nodiscard]] std::size_t pick();
  [[nodiscard]] bool has_room(const Connection& c) const {
    return c.phase == Connection::Phase::kUp && c.sent.size() < options_.pipeline &&
           c.out.size() - c.out_sent < kMostQueued;
  }
  void make_idle(std::size_t index);
  void dispatch();
  void sweep();
  void sweep(std::size_t index, std::int64_t at);
  void close_loop(std::size_t index);
  void make_slices();
  void wait_for_start();
  [[nodiscard]] std::int64_t schedule_until(std::int64_t at, std::int64_t due);
  [[nodiscard]] bool is_over(std::int64_t at);
  [[nodiscard]] bool counted(std::int64_t intended_ns) const {
    return intended_ns >= measure_from_ && intended_ns < end_;
  }
  [[nodiscard]] Slice& slice(std::int64_t intended_ns);
  void no_answer(std::int64_t intended_ns, std::uint64_t Outcome::* what);
  [[nodiscard]] std::int64_t now() const { return options_clock_.mono_ns(); }

  const Options& options_;
  const Clock& options_clock_ = system_clock();
  Schedule schedule_;
  std::vector<Connection> connections_;
  std::vector<std::string> requests_;  ///< whole, one a body
  sockaddr_in address_{};
  int epoll_ = -1;
  std::deque<Waiting> backlog_;
  std::deque<std::size_t> idle_;
  std::vector<std::size_t> dirty_;
  std::size_t cursor_ = 0;
  std::size_t in_flight_ = 0;
  std::uint32_t next_body_ = 0;
  std::int64_t start_ = 0;
  std::int64_t measure_from_ = 0;
  std::int64_t end_ = 0;
  std::int64_t next_sweep_ = 0;
  bool pwait2_ = true;
  Outcome outcome_;
};

Result<void> Generator::resolve() {
  addrinfo hints{};
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const Target& target = options_.target;
  const int failed =
      ::getaddrinfo(target.host.c_str(), fmt::format("{}", target.port).c_str(), &hints, &found);
  if (failed != 0 || found == nullptr) {
    return Error{ErrorKind::kUnavailable, "loadgen-host",
                 fmt::format("cannot find the host `{}`: {}", target.host, ::gai_strerror(failed)),
                 "name an IPv4 address"};
  }
  std::memcpy(&address_, found->ai_addr, sizeof address_);
  ::freeaddrinfo(found);
  // 127.0.0.0/8.
  const bool loopback = (ntohl(address_.sin_addr.s_addr) >> 24) == 127;
  if (!loopback && !target.allow_remote) {
    return Error{
        ErrorKind::kDenied, "loadgen-remote",
        fmt::format(
            "`{}` is not this machine, and an open loop does not slow down for whoever it meets",
            target.host),
        "name a loopback address, or say `--allow-remote` for a server that is yours"};
  }
  return {};
}

void Generator::build_requests() {
  const Target& target = options_.target;
  // Without a body there is one request all the same.
  const std::size_t count = std::max<std::size_t>(1, target.bodies.size());
  for (std::size_t i = 0; i < count; ++i) {
    std::string request = fmt::format("{} {} HTTP/1.1\r\nHost: {}:{}\r\n", target.method,
                                      target.path, target.host, target.port);
    for (const auto& [name, value] : target.headers)
      request += fmt::format("{}: {}\r\n", name, value);
    if (!target.bodies.empty())
      request += fmt::format("Content-Length: {}\r\n", target.bodies[i].size());
    request += "\r\n";
    if (!target.bodies.empty()) request += target.bodies[i];
    requests_.push_back(std::move(request));
  }
}

void Generator::want(std::size_t index, bool write) {
  Connection& c = connections_[index];
  if (c.wants_write == write) return;
  c.wants_write = write;
  epoll_event event{};
  event.events = EPOLLIN | (write ? EPOLLOUT : 0u);
  event.data.u64 = index;
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, c.fd, &event);
}

void Generator::connect(std::size_t index) {
  Connection& c = connections_[index];
  c.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (c.fd < 0) return connect_failed(index);
  const int on = 1;
  // A small request must not wait in the kernel for the answer to the one before.
  ::setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const int done = ::connect(c.fd, reinterpret_cast<const sockaddr*>(&address_), sizeof address_);
  if (done != 0 && errno != EINPROGRESS) return connect_failed(index);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT;
  event.data.u64 = index;
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, c.fd, &event) != 0) return connect_failed(index);
  c.wants_write = true;
  c.phase = Connection::Phase::kConnecting;
  c.connect_until_ns = now() + std::min(kConnectNs, options_.timeout_ns);
}

void Generator::connect_failed(std::size_t index) {
  Connection& c = connections_[index];
  if (c.fd >= 0) ::close(c.fd);
  c.fd = -1;
  c.phase = Connection::Phase::kDown;
  c.wants_write = false;
  ++outcome_.connect_failures;
  c.retry_at_ns = now() + c.backoff_ns;
  c.backoff_ns = std::min(c.backoff_ns * 2, kLastBackoffNs);
}

void Generator::connected(std::size_t index) {
  Connection& c = connections_[index];
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(c.fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return connect_failed(index);
  c.phase = Connection::Phase::kUp;
  c.backoff_ns = kFirstBackoffNs;
  want(index, false);
  make_idle(index);
  // Before the start nothing is sent: the connections are made first, so that no request waits for
  // one.
  if (options_.closed && start_ != 0) close_loop(index);
}

/// Whatever was sent there has no answer any more.
void Generator::give_up(std::size_t index, bool malformed) {
  Connection& c = connections_[index];
  const std::int64_t at = now();
  in_flight_ -= c.sent.size();
  for (const Sent& sent : c.sent) {
    const bool late = at - sent.intended_ns >= options_.timeout_ns;
    no_answer(sent.intended_ns, malformed ? &Outcome::malformed
                                : late    ? &Outcome::timed_out
                                          : &Outcome::lost);
    malformed = false;  // the others were only behind it
  }
  c.sent.clear();
  ::close(c.fd);
  c.fd = -1;
  c.phase = Connection::Phase::kDown;
  c.wants_write = false;
  c.out.clear();
  c.out_sent = c.in_begin = c.in_end = 0;
  c.reader = ReplyReader{};
  ++c.incarnation;
  ++outcome_.reconnects;
  // At once: only a connection that cannot be made waits.
  c.retry_at_ns = at;
}

Slice& Generator::slice(std::int64_t intended_ns) {
  const auto index = static_cast<std::size_t>((intended_ns - measure_from_) / outcome_.slice_ns);
  return outcome_.slices[std::min(index, outcome_.slices.size() - 1)];
}

void Generator::no_answer(std::int64_t intended_ns, std::uint64_t Outcome::* what) {
  if (!counted(intended_ns)) {
    ++outcome_.warmup_failed;
    return;
  }
  ++(outcome_.*what);
  // It waited this long in vain. Without these, latencies would look better the worse the server
  // is.
  ++slice(intended_ns).failed;
  outcome_.every_ns.record(
      static_cast<std::uint64_t>(std::max<std::int64_t>(0, now() - intended_ns)));
}

void Generator::answered(std::size_t index, const Sent& sent, const Reply& reply) {
  const std::int64_t at = now();
  const bool served = reply.status >= 200 && reply.status < 300;
  if (!counted(sent.intended_ns)) {
    if (!served) ++outcome_.warmup_failed;
    return;
  }
  const auto latency = static_cast<std::uint64_t>(std::max<std::int64_t>(0, at - sent.intended_ns));
  // From the intended moment on, so that a server which stalls is charged with what could not be
  // sent meanwhile; the time on the wire stands beside it.
  const auto since_sent = static_cast<std::uint64_t>(std::max<std::int64_t>(0, at - sent.sent_ns));
  // Three digits may say up to 999; what is past 599 counts as 599.
  ++outcome_.statuses[static_cast<std::size_t>(std::clamp(reply.status, 0, 599))];
  outcome_.every_ns.record(latency);
  Slice& part = slice(sent.intended_ns);
  if (served) {
    ++outcome_.served;
    ++part.served;
    outcome_.served_ns.record(latency);
    outcome_.served_sent_ns.record(since_sent);
    part.served_ns.record(latency);
    // An answer of a server that protects itself, apart from one that fails.
  } else if (reply.status == 429 || reply.status == 503) {
    ++outcome_.shed;
    ++part.shed;
    outcome_.shed_ns.record(latency);
    outcome_.shed_sent_ns.record(since_sent);
  } else {
    ++outcome_.refused;
    ++part.failed;
  }
  if (options_.inspect) {
    const Answer answer{index,
                        connections_[index].incarnation,
                        sent.body,
                        reply.status,
                        reply.body,
                        sent.intended_ns,
                        static_cast<std::int64_t>(latency)};
    if (!options_.inspect(answer)) ++outcome_.wrong;
  }
}

/// False once the connection was given up.
bool Generator::read_replies(std::size_t index, bool ended) {
  Connection& c = connections_[index];
  while (c.in_begin < c.in_end) {
    Reply reply;
    std::size_t consumed = 0;
    const auto state =
        c.reader.read(c.in.data() + c.in_begin, c.in_end - c.in_begin, ended, reply, consumed);
    if (state == ReplyReader::State::kNeedMore) break;
    if (state == ReplyReader::State::kBad || c.sent.empty()) {
      give_up(index, !ended);  // cut off by the end of the connection: lost rather than malformed
      return false;
    }
    // Answers come in the order of the requests (RFC 9112, 9.3.2).
    const Sent sent = c.sent.front();
    c.sent.pop_front();
    --in_flight_;
    answered(index, sent, reply);
    c.in_begin += consumed;
    if (!reply.keep_alive) {
      give_up(index, false);
      return false;
    }
    if (options_.closed)
      close_loop(index);
    else if (c.sent.empty())
      make_idle(index);
  }
  if (c.in_begin == c.in_end) c.in_begin = c.in_end = 0;
  return true;
}

/// For what is received next, behind what is not read yet.
void Generator::make_room(Connection& c) {
  if (c.in.size() >= c.in_end + kReceive) return;
  if (c.in_begin > 0) {
    std::memmove(c.in.data(), c.in.data() + c.in_begin, c.in_end - c.in_begin);
    c.in_end -= c.in_begin;
    c.in_begin = 0;
  }
  if (c.in.size() < c.in_end + kReceive)
    c.in.resize(std::max(c.in.size() * 2, c.in_end + kReceive));
}

/// The server closed the connection: what came before may be answers still.
void Generator::ended(std::size_t index) {
  const Connection& c = connections_[index];
  if (c.in_begin < c.in_end && !read_replies(index, true)) return;
  give_up(index, false);
}

void Generator::readable(std::size_t index) {
  Connection& c = connections_[index];
  while (true) {
    make_room(c);
    const std::size_t room = c.in.size() - c.in_end;
    const ssize_t n = ::recv(c.fd, c.in.data() + c.in_end, room, 0);
    if (n > 0) {
      c.in_end += static_cast<std::size_t>(n);
      // Less than there was room for: nothing more is there now.
      if (!read_replies(index, false) || static_cast<std::size_t>(n) < room) return;
      continue;
    }
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && would_block()) return;
    if (n == 0) return ended(index);
    return give_up(index, false);
  }
}

void Generator::send_on(std::size_t index, Waiting waiting) {
  Connection& c = connections_[index];
  const std::int64_t at = now();
  if (counted(waiting.intended_ns))
    outcome_.late_ns.record(
        static_cast<std::uint64_t>(std::max<std::int64_t>(0, at - waiting.intended_ns)));
  c.sent.push_back({waiting.intended_ns, at, waiting.body});
  ++in_flight_;
  c.out += requests_[waiting.body];
  if (!c.dirty) {
    c.dirty = true;
    dirty_.push_back(index);
  }
}

void Generator::flush(std::size_t index) {
  Connection& c = connections_[index];
  c.dirty = false;
  if (c.phase != Connection::Phase::kUp) return;
  while (c.out_sent < c.out.size()) {
    const ssize_t n =
        ::send(c.fd, c.out.data() + c.out_sent, c.out.size() - c.out_sent, MSG_NOSIGNAL);
    if (n > 0) {
      c.out_sent += static_cast<std::size_t>(n);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      want(index, true);
      return;
    }
    return;  // what it answered before it closed is still to be read; the read says that it ended
  }
  c.out.clear();
  c.out_sent = 0;
  want(index, false);
}

void Generator::make_idle(std::size_t index) {
  if (connections_[index].queued_idle) return;
  connections_[index].queued_idle = true;
  idle_.push_back(index);
}

/// A connection with room, the longest idle one first; `connections_.size()` when there is none.
std::size_t Generator::pick() {
  while (!idle_.empty()) {
    const std::size_t index = idle_.front();
    idle_.pop_front();
    connections_[index].queued_idle = false;
    // It may have got a request, or have been lost, since it was put there.
    if (connections_[index].sent.empty() && has_room(connections_[index])) return index;
  }
  // None is idle: behind another request, in turn, so that no connection gets more than its share.
  if (options_.pipeline > 1) {
    for (std::size_t i = 0; i < connections_.size(); ++i) {
      cursor_ = cursor_ + 1 < connections_.size() ? cursor_ + 1 : 0;
      if (has_room(connections_[cursor_])) return cursor_;
    }
  }
  return connections_.size();
}

void Generator::dispatch() {
  while (!backlog_.empty()) {
    const std::size_t index = pick();
    if (index == connections_.size()) return;
    send_on(index, backlog_.front());
    backlog_.pop_front();
  }
}

/// The next requests of a connection in a closed loop.
void Generator::close_loop(std::size_t index) {
  while (has_room(connections_[index])) {
    const std::int64_t at = now();
    if (at >= end_) return;
    // The warm-up is sent and answered, and not counted.
    if (at >= measure_from_) ++outcome_.scheduled;
    send_on(index, {at, next_body_});
    next_body_ = next_body_ + 1 < requests_.size() ? next_body_ + 1 : 0;
  }
}

void Generator::sweep(std::size_t index, std::int64_t at) {
  Connection& c = connections_[index];
  // The first one waits longest: those behind it have time.
  if (c.phase == Connection::Phase::kUp && !c.sent.empty() &&
      at - c.sent.front().intended_ns >= options_.timeout_ns)
    give_up(index, false);
  if (c.phase == Connection::Phase::kConnecting && at >= c.connect_until_ns) connect_failed(index);
  // After the end too, for as long as requests that wait are still sent.
  if (c.phase == Connection::Phase::kDown && at >= c.retry_at_ns && at < end_ + kDrainNs)
    connect(index);
}

void Generator::sweep() {
  const std::int64_t at = now();
  next_sweep_ = at + kSweepNs;
  for (std::size_t i = 0; i < connections_.size(); ++i) sweep(i, at);
  // Its client would have given up by now; it counts as one that failed.
  while (!backlog_.empty() && at - backlog_.front().intended_ns >= options_.timeout_ns) {
    no_answer(backlog_.front().intended_ns, &Outcome::unsent);
    backlog_.pop_front();
  }
}

void Generator::take_event(std::size_t index, std::uint32_t what) {
  const Connection& c = connections_[index];
  // Whether it was made is in SO_ERROR, whatever the event says.
  if (c.phase == Connection::Phase::kConnecting) return connected(index);
  if (c.phase != Connection::Phase::kUp) return;
  if ((what & EPOLLOUT) != 0) flush(index);
  if ((what & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) readable(index);
}

void Generator::take_events(std::int64_t wait_ns) {
  std::array<epoll_event, 256> events;
  int n = -1;
  if (pwait2_ && wait_ns > 0) {
    const timespec wait{wait_ns / 1'000'000'000, wait_ns % 1'000'000'000};
    n = ::epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &wait, nullptr);
    if (n < 0 && errno == ENOSYS)
      pwait2_ = false;  // before Linux 5.11: whole milliseconds, then spinning
  }
  if (n < 0)
    n = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()),
                     static_cast<int>(wait_ns / kMs));
  for (int i = 0; i < n; ++i) {
    const epoll_event& one = events[static_cast<std::size_t>(i)];
    take_event(static_cast<std::size_t>(one.data.u64), one.events);
  }
}

Result<void> Generator::connect_all() {
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0)
    return Error{ErrorKind::kIo, "loadgen-loop",
                 fmt::format("cannot make an event loop: {}", std::strerror(errno)),
                 "raise the limit of open files"};
  for (std::size_t i = 0; i < connections_.size(); ++i) connect(i);
  const std::int64_t until = now() + kConnectNs;
  const auto up = [&] {
    return std::count_if(connections_.begin(), connections_.end(),
                         [](const Connection& c) { return c.phase == Connection::Phase::kUp; });
  };
  const auto connecting = [&] {
    return std::any_of(connections_.begin(), connections_.end(), [](const Connection& c) {
      return c.phase == Connection::Phase::kConnecting;
    });
  };
  while (connecting() && now() < until) take_events(kMs);
  // Some are enough: the others are tried again while the load runs.
  if (up() == 0) {
    return Error{ErrorKind::kUnavailable, "loadgen-no-server",
                 fmt::format("nobody answers on {}:{}", options_.target.host, options_.target.port),
                 "start the server first, and look at host and port of the URL"};
  }
  return {};
}

/// Sixty slices of time, where nobody asked for longer or shorter ones.
void Generator::make_slices() {
  outcome_.slice_ns = options_.slice_ns > 0
                          ? options_.slice_ns
                          : std::max<std::int64_t>(options_.duration_ns / 60, kMs);
  outcome_.slices.resize(
      static_cast<std::size_t>((options_.duration_ns + outcome_.slice_ns - 1) / outcome_.slice_ns));
}

void Generator::wait_for_start() {
  const std::int64_t begin = options_.start_at_ns > 0 ? options_.start_at_ns : now() + kMs;
  measure_from_ = begin + options_.warmup_ns;
  end_ = measure_from_ + options_.duration_ns;
  while (now() < begin)
    // Connections that are still being made are taken meanwhile.
    take_events(std::clamp<std::int64_t>(begin - now() - kSpinNs, 0, kLongestWaitNs));
  start_ = begin;
  if (!options_.closed) return;
  for (std::size_t i = 0; i < connections_.size(); ++i) close_loop(i);
}

/// Puts the requests that are due by now into the backlog; when the next one is due.
std::int64_t Generator::schedule_until(std::int64_t at, std::int64_t due) {
  while (due <= at && due < end_) {
    backlog_.push_back({due, next_body_});
    if (due >= measure_from_) ++outcome_.scheduled;
    next_body_ = next_body_ + 1 < requests_.size() ? next_body_ + 1 : 0;
    due = start_ + schedule_.next();
  }
  return due;
}

/// Past the end: whether nothing is out any more, or what is has had its time.
bool Generator::is_over(std::int64_t at) {
  if (backlog_.empty() && in_flight_ == 0) return true;
  if (at >= end_ + kDrainNs) {
    while (!backlog_.empty()) {
      no_answer(backlog_.front().intended_ns, &Outcome::unsent);
      backlog_.pop_front();
    }
  }
  // Nothing that was sent in time is out any more, and the sweep has seen it.
  return at >= end_ + options_.timeout_ns + kSweepNs;
}

Result<Outcome> Generator::run() {
  HEDDLE_TRY(resolve());
  build_requests();
  HEDDLE_TRY(connect_all());
  // The kernel may otherwise wake this thread 50 µs late, which would be measured as latency.
  ::prctl(PR_SET_TIMERSLACK, 1);
  make_slices();

  wait_for_start();
  std::int64_t due = options_.closed ? INT64_MAX : start_ + schedule_.next();
  while (true) {
    std::int64_t at = now();
    due = schedule_until(at, due);
    dispatch();
    for (const std::size_t index : dirty_) flush(index);
    dirty_.clear();
    if (at >= next_sweep_) sweep();
    if (at >= end_ && is_over(at)) break;
    at = now();
    // Awake a little early and spinning for the rest: a request that leaves late measures the
    // generator.
    const std::int64_t until = due < end_ ? due - kSpinNs : at + kLongestWaitNs;
    take_events(std::clamp<std::int64_t>(until - at, 0, kLongestWaitNs));
  }
  // A clock that jumped past all waits: whatever is still out has no answer.
  for (std::size_t i = 0; i < connections_.size(); ++i) {
    if (!connections_[i].sent.empty()) give_up(i, false);
  }
  outcome_.seconds = static_cast<double>(options_.duration_ns) / 1e9;
  return std::move(outcome_);
}

Error invalid(std::string message, std::string hint) {
  return Error{ErrorKind::kInvalid, "loadgen-options", std::move(message), std::move(hint)};
}

Result<void> check_headers(const Options& options) {
  const auto plain = [](std::string_view text) {
    return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
  };
  for (const auto& [name, value] : options.target.headers) {
    if (!plain(name) || !plain(value) || name.empty())
      return invalid(fmt::format("the header `{}` is malformed", name),
                     "write `Name: value` in one line");
  }
  return {};
}

Result<void> check_times(const Options& options) {
  if (options.duration_ns < kMs || options.warmup_ns < 0 || options.timeout_ns < kMs)
    return invalid("duration and timeout are at least 1 ms, and the warm-up is not negative",
                   "for example 10s, 10s and 1s");
  if (options.slice_ns < 0 ||
      (options.slice_ns > 0 && options.duration_ns / options.slice_ns > 10'000))
    return invalid("more than 10,000 slices of time", "take longer ones");
  return {};
}

Result<void> check(const Options& options) {
  if (options.connections == 0 || options.connections > 10'000)
    return invalid("the number of connections is not from 1 to 10,000", "for example 8");
  if (options.pipeline == 0 || options.pipeline > 10'000)
    return invalid("the depth of pipelining is not from 1 to 10,000", "1 is none");
  if (!options.closed && !(options.rate > 0 && options.rate <= 1e7))
    return invalid("the rate is not above 0 and at most 10,000,000 a second",
                   "or ask for a closed loop");
  HEDDLE_TRY(check_times(options));
  return check_headers(options);
}

}  // namespace

Result<Outcome> run(const Options& options) {
  HEDDLE_TRY(check(options));
  return Generator(options).run();
}

}  // namespace heddle::loadgen
