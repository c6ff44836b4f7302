#include "net/server_loop.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace heddle::net {
namespace {

using Phase = Connection::Phase;

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kSweepNs = 100'000'000;
constexpr std::int64_t kDrainNs = 2'000'000'000;
/// A wait for events that took so long was for something to come.
constexpr std::int64_t kSleptNs = 50'000;
/// Connections whose answers leave together: with all of a long turn, the first would wait for the
/// last.
constexpr int kAnsweredTogether = 16;

constexpr std::size_t kLeastRead = 4096;
constexpr std::size_t kReadStep = 16 << 10;
constexpr int kReadsPerTurn = 16;
constexpr std::size_t kOutputStep = 64 << 10;  ///< what an HTTP/2 session is asked for at a time

// Tags below the first connection's id.
constexpr std::uint64_t kWake = 1;
constexpr std::uint64_t kFirstListener = 2;
constexpr std::uint64_t kFirstWatch = 16;

}  // namespace

ServerLoop::ServerLoop(HttpServer::Options options)
    : options_(std::move(options)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      dispatcher_(options_, *this),
      acceptor_(
          options_, poller_, kFirstListener, connections_, admission_, budget_,
          {[this](std::unique_ptr<Connection> connection) { admitted(std::move(connection)); },
           [this](Connection& connection) { close(connection); }}) {
  budget_.set_most(options_.limits.buffered_bytes);
}

ServerLoop::~ServerLoop() {
  if (wake_ >= 0) ::close(wake_);
}

Result<void> ServerLoop::open() {
  if (!poller_.ok() || wake_ < 0) {
    return Error{ErrorKind::kIo, "net-loop",
                 fmt::format("cannot make an event loop: {}", std::strerror(errno)),
                 "raise the limit of open files"};
  }
  HEDDLE_TRY(acceptor_.open());
  poller_.add(wake_, EPOLLIN, kWake);
  return {};
}

void ServerLoop::run() {
  now_ = options_.clock->mono_ns();
  set_second();
  while (!stopping_.load(std::memory_order_relaxed)) turn();
}

void ServerLoop::wake() const {
  const std::uint64_t one = 1;
  (void)!::write(wake_, &one, sizeof one);
}

void ServerLoop::stop() {
  stopping_.store(true, std::memory_order_relaxed);
  wake();
}

void ServerLoop::drain(std::int64_t deadline_ms) {
  drain_asked_ms_.store(deadline_ms < 0 ? 0 : deadline_ms);
  wake();
}

void ServerLoop::post(std::function<void()> work) {
  {
    const std::lock_guard<std::mutex> lock(posted_mutex_);
    posted_.push_back(std::move(work));
  }
  wake();
}

void ServerLoop::every(std::int64_t period_ms, std::function<void()> work) {
  timers_.push_back(
      {period_ms * kMs, options_.clock->mono_ns() + period_ms * kMs, std::move(work)});
}

void ServerLoop::watch(int fd, std::function<void()> work) {
  watches_.push_back({fd, std::move(work)});
  poller_.add(fd, EPOLLIN, kFirstWatch + watches_.size() - 1);
}

bool ServerLoop::waits(const Deferral& deferral) const {
  const Connection* connection = connections_.find(deferral.connection);
  return connection != nullptr && dispatcher_.waits(*connection, deferral);
}

void ServerLoop::answer(const Deferral& deferral, const Response& response) {
  if (waits(deferral)) dispatcher_.answer_later(*connections_.find(deferral.connection), response);
}

void ServerLoop::answer(const Deferral& deferral, GrpcReply reply) {
  if (!waits(deferral)) return;
  Connection& connection = *connections_.find(deferral.connection);
  connection.h2->reply(deferral.stream, deferral.request, std::move(reply), now_);
  mark_dirty(connection);
}

void ServerLoop::want(Connection& connection, std::uint32_t events) {
  // A system call less for each request: nearly always it is what it was.
  if (connection.noted.interest == events) return;
  connection.noted.interest = events;
  poller_.change(connection.fd(), events, connection.id());
}

void ServerLoop::enter(Connection& connection, Phase phase) {
  connection.enter(phase, now_);
  set_deadline(connection);
}

void ServerLoop::set_deadline(Connection& connection) const {
  const ServerLimits& limits = options_.limits;
  switch (connection.phase()) {
    case Phase::kHandshake:
      return connection.set_deadline(now_ + limits.handshake_timeout_ms * kMs);
    case Phase::kIdle:
      // Who came and asks nothing has the time of a request.
      return connection.set_deadline(now_ +
                                     (connection.http1.request() == 0
                                          ? std::min(limits.read_timeout_ms, limits.idle_timeout_ms)
                                          : limits.idle_timeout_ms) *
                                         kMs);
    case Phase::kReading: return connection.set_deadline(now_ + limits.read_timeout_ms * kMs);
    case Phase::kDeferred: return connection.set_deadline(INT64_MAX);
    case Phase::kEnding: return;  // as it was: what is written is still to be taken
    case Phase::kDraining: return connection.set_deadline(now_ + kDrainNs);
  }
}

void ServerLoop::go_on_next_turn(Connection& connection) {
  connection.noted.again = true;
  mark_dirty(connection);
}

void ServerLoop::mark_dirty(Connection& connection) {
  if (connection.noted.dirty) return;
  connection.noted.dirty = true;
  dirty_.push_back(&connection);
}

void ServerLoop::set_second() { dispatcher_.set_second(options_.clock->wall() / kSecond); }

void ServerLoop::admitted(std::unique_ptr<Connection> connection) {
  connection->enter_first(now_);
  set_deadline(*connection);
  connection->noted.interest = EPOLLIN;
  poller_.add(connection->fd(), EPOLLIN, connection->id());
  connections_.add(std::move(connection));
}

void ServerLoop::close(Connection& connection) {
  if (connection.noted.dirty)
    dirty_.erase(std::remove(dirty_.begin(), dirty_.end(), &connection), dirty_.end());
  connections_.remove(connection.id());
  acceptor_.there_is_room();
}

void ServerLoop::run_posted() {
  std::uint64_t count = 0;
  (void)!::read(wake_, &count, sizeof count);
  if (const std::int64_t ms = drain_asked_ms_.exchange(-1); ms >= 0) begin_drain(ms);
  std::vector<std::function<void()>> work;
  {
    const std::lock_guard<std::mutex> lock(posted_mutex_);
    // Run without the lock: what is posted may post again.
    work.swap(posted_);
  }
  for (auto& item : work) item();
  worked_ = worked_ || !work.empty();
}

void ServerLoop::run_timers() {
  for (Timer& timer : timers_) {
    if (timer.due_ns > now_) continue;
    // From now, not from when it was due: after a pause it does not run many times at once.
    timer.due_ns = now_ + timer.period_ns;
    timer.work();
    worked_ = true;
  }
}

void ServerLoop::begin_drain(std::int64_t deadline_ms) {
  drain_until_ = now_ + deadline_ms * kMs;
  // Asked again only the deadline moves.
  if (draining_) return;
  draining_ = true;
  acceptor_.end();
  connections_.each([&](Connection& connection) {
    if (connection.h2) {
      connection.h2->go_away();
      mark_dirty(connection);
    } else if (connection.phase() == Phase::kIdle) {
      // Who keeps a connection open may have sent a request that is under way: it gets two seconds.
      connection.set_deadline(std::min(connection.deadline_ns(), now_ + kDrainNs));
    }
  });
}

void ServerLoop::events_of(Connection& connection, std::uint32_t events) {
  if (connection.phase() == Phase::kHandshake) return handshake(connection);
  // Output first: while an answer is not taken, no further request is read.
  if ((events & EPOLLOUT) != 0) return mark_dirty(connection);
  if ((events & EPOLLIN) != 0) return readable(connection);
  if ((events & (EPOLLHUP | EPOLLERR)) != 0)
    return close(connection);  // gone while its answer was awaited
  if ((events & EPOLLRDHUP) != 0) peer_finished(connection);
}

void ServerLoop::sweep_h2(Connection& connection) {
  if (draining_) connection.h2->go_away();
  if (!connection.h2->sweep(now_)) connection.end();
  if (!connection.has_output()) flush(connection);
}

void ServerLoop::sweep(Connection& connection) {
  const bool overdue = connection.deadline_ns() <= now_;
  if (connection.serves_h2() && !overdue) return sweep_h2(connection);
  if (connection.phase() == Phase::kReading && !connection.has_output()) {
    const std::int64_t rate = options_.limits.body_bytes_per_second;
    const std::int64_t late_ms = (now_ - connection.began_ns()) / kMs - 1000;
    const bool slow =
        late_ms > 0 && connection.received() < static_cast<std::uint64_t>(late_ms * rate / 1000);
    // A body that comes slower than the least rate is refused early: many slow ones would hold all
    // connections.
    if (!overdue && !slow) return;
    dispatcher_.refuse(connection, {408, "http-timeout", "not come whole within the time limit"});
    return flush(connection);
  }
  if (overdue) close(connection);
}

void ServerLoop::sweep() {
  acceptor_.forget_choices();
  acceptor_.there_is_room();  // or not: then it is found out again
  connections_.each([this](Connection& connection) { sweep(connection); });
}

void ServerLoop::send_answers(bool turn_ends) {
  if (std::exchange(worked_, false) && options_.before_answers) options_.before_answers();
  while (!dirty_.empty()) {
    Connection* connection = dirty_.back();
    dirty_.pop_back();
    connection->noted.dirty = false;
    if (turn_ends) connection->noted.answered_at_end_of = turns_;
    flush(*connection);
  }
}

void ServerLoop::event(std::uint64_t tag, std::uint32_t events) {
  if (tag >= Connections::kFirstId) {
    // It may have been closed by an event of this same turn.
    if (Connection* connection = connections_.find(tag); connection != nullptr) {
      connection->noted.last_turn = turns_;
      events_of(*connection, events);
    }
  } else if (tag >= kFirstListener && tag < kFirstListener + kListenerKinds.size()) {
    acceptor_.accept_all(static_cast<ListenerKind>(tag - kFirstListener));
  } else if (tag == kWake) {
    run_posted();
  } else if (tag >= kFirstWatch && tag - kFirstWatch < watches_.size()) {
    watches_[tag - kFirstWatch].work();
    worked_ = true;
  }
}

/// A connection that had more to do than a turn lets one do.
void ServerLoop::go_on(Connection& connection) {
  connection.noted.again = false;
  if (connection.h2) {
    connection.h2->resume(now_);
    mark_dirty(connection);
  } else if (connection.phase() != Phase::kDraining) {
    dispatcher_.process(connection);
  }
  if (connection.takes_requests() && connection.tls && connection.tls->pending() &&
      !connection.noted.again) {
    readable(connection);
  } else {
    settle(connection);
  }
}

/// Waits until there are events, a timer or a sweep is due; then a turn begins.
int ServerLoop::wait_for_events(std::span<epoll_event> events) {
  std::int64_t until = next_sweep_;
  for (const Timer& timer : timers_) until = std::min(until, timer.due_ns);
  int timeout = static_cast<int>(std::clamp<std::int64_t>((until - now_ + kMs - 1) / kMs, 0, 1000));
  if (!again_.empty()) timeout = 0;
  const std::int64_t asked = options_.clock->mono_ns();
  const int n = poller_.wait(events.data(), static_cast<int>(events.size()), timeout);
  const std::int64_t began = options_.clock->mono_ns();
  // Events that were ready without waiting arrived at some point during the turn before.
  waited_before_ = began - asked < kSleptNs ? (asked - now_) / 2 : 0;
  now_ = began;
  ++turns_;
  set_second();
  worked_ = false;
  return n;
}

void ServerLoop::go_on_with_those_left() {
  if (again_.empty()) return;
  std::vector<std::uint64_t> ids;
  // Going on may put a connection back: that one waits for the next turn.
  ids.swap(again_);
  for (const std::uint64_t id : ids) {
    Connection* connection = connections_.find(id);
    if (connection != nullptr && connection->noted.again) go_on(*connection);
  }
}

void ServerLoop::turn() {
  std::array<epoll_event, 256> events;
  const int n = wait_for_events(events);
  // The kernel mostly lists first whom the turn before saw, whenever they sent again; whoever else
  // sent while it was at work likely came earlier.
  const auto came_meanwhile = [&](const epoll_event& one) {
    const Connection* connection =
        one.data.u64 >= Connections::kFirstId ? connections_.find(one.data.u64) : nullptr;
    return connection != nullptr && connection->noted.last_turn + 1 != turns_;
  };
  if (n > 1) std::stable_partition(events.begin(), events.begin() + n, came_meanwhile);
  for (int i = 0; i < n; ++i) {
    const epoll_event& one = events[static_cast<std::size_t>(i)];
    event(one.data.u64, one.events);
    if (i % kAnsweredTogether == kAnsweredTogether - 1) send_answers(false);
  }
  go_on_with_those_left();
  run_timers();
  send_answers(true);
  if (now_ >= next_sweep_) {
    next_sweep_ = now_ + kSweepNs;
    sweep();
  }
  if (draining_ && (admission_.open() == 0 || now_ >= drain_until_))
    stopping_.store(true, std::memory_order_relaxed);
}

void ServerLoop::handshake(Connection& connection) {
  const TlsStream::Handshake result = connection.tls->handshake();
  if (result == TlsStream::Handshake::kWantRead) return want(connection, EPOLLIN);
  if (result == TlsStream::Handshake::kWantWrite) return want(connection, EPOLLOUT);
  connection.end_handshake(now_);
  set_deadline(connection);
  switch (result) {
    case TlsStream::Handshake::kPlainHttp:
      connection.tls.reset();
      want(connection, EPOLLIN);
      return dispatcher_.refuse(connection,
                                {400, "http-plain", "no TLS, which this port requires"});
    case TlsStream::Handshake::kDone:
      want(connection, EPOLLIN);
      if (!connection.origin().grpc || connection.tls->protocol() == "h2")
        return readable(connection);  // it may have sent on at once
      break;
    default: connection.tls.reset(); break;
  }
  connection.end();
  mark_dirty(connection);
}

/// The client's sending side is closed while its answer is awaited. Whether it still reads is not
/// to be seen: it gets the time of a response.
void ServerLoop::peer_finished(Connection& connection) {
  connection.set_peer_done();
  want(connection, 0);
  connection.set_deadline(now_ + options_.limits.read_timeout_ms * kMs);
}

void ServerLoop::end_of_input(Connection& connection) {
  connection.set_peer_done();
  want(connection, 0);
  if (connection.origin().grpc) {
    connection.end();
    mark_dirty(connection);
  } else if (!connection.noted.again) {
    dispatcher_.process(connection);
  }
}

/// Reads what there is into the connection's buffer.
ssize_t ServerLoop::receive(Connection& connection) {
  InBuffer& in = connection.in;
  if (in.free_bytes() < kLeastRead) in.reserve(in.size() + kReadStep);
  return connection.receive(in.free_space(), in.free_bytes());
}

bool ServerLoop::take_input(Connection& connection, std::size_t bytes) {
  connection.took(bytes);
  connection.origin().grpc ? dispatcher_.process_h2(connection) : dispatcher_.process(connection);
  // Decrypted bytes are announced by no event.
  return connection.tls && connection.tls->pending() && connection.takes_requests() &&
         !connection.noted.again;
}

/// What a client still sends is read and dropped: a reset could cost it the answer.
void ServerLoop::drop_input(Connection& connection) {
  if (!connection.drop_input()) close(connection);
}

void ServerLoop::readable(Connection& connection) {
  if (connection.phase() == Phase::kDraining) return drop_input(connection);
  connection.in.borrow(spare_);
  for (int reads = 1;; ++reads) {
    const ssize_t n = receive(connection);
    if (n < 0 && errno != EAGAIN && errno != EINTR) return close(connection);
    if (n == 0) end_of_input(connection);
    if (n <= 0 || !take_input(connection, static_cast<std::size_t>(n))) break;
    // One client that sends without pause does not keep the others waiting.
    if (reads == kReadsPerTurn) {
      go_on_next_turn(connection);
      break;
    }
  }
  settle(connection);
}

/// After reading: memory goes back, and what stays is held against the bound.
void ServerLoop::settle(Connection& connection) {
  connection.in.give_back(spare_);
  connection.account();
  if (!budget_.over()) return;
  if (connection.h2) {
    connection.h2->shed();
    mark_dirty(connection);
  } else if (connection.in.size() > 0 && connection.phase() == Phase::kReading) {
    dispatcher_.refuse(
        connection, {503, "http-overloaded", "come while the server holds too many unread bytes"});
  } else {
    return;
  }
  connection.in = InBuffer{};
  connection.account();
}

/// A client that takes `bytes` of its answer has so much more time as they may take: one that takes
/// a byte now and then does not stay for ever.
std::int64_t ServerLoop::still_taken_until(const Connection& connection, std::size_t bytes) const {
  const std::int64_t most = now_ + options_.limits.read_timeout_ms * kMs;
  const std::int64_t rate = options_.limits.body_bytes_per_second;
  if (rate == 0) return most;
  const std::int64_t bought = static_cast<std::int64_t>(bytes) * 1000 * kMs / rate;
  return std::min(most, connection.deadline_ns() + bought);
}

/// The client does not take its answer now.
void ServerLoop::not_taken(Connection& connection) {
  if ((connection.noted.interest & EPOLLOUT) == 0) {
    // Until the client takes what it asked for, it is not asked for more.
    want(connection, EPOLLOUT);
    connection.set_deadline(now_ + options_.limits.read_timeout_ms * kMs);
  }
  connection.account();
  // Answers that nobody takes hold memory as unread requests do: who does not take his goes.
  if (budget_.over()) close(connection);
}

void ServerLoop::flush(Connection& connection) {
  while (true) {
    if (!connection.has_output() && connection.h2) {
      connection.clear_output();
      connection.h2->produce(connection.out(), kOutputStep);
    }
    if (!connection.has_output()) break;
    const ssize_t n = connection.send_output();
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return not_taken(connection);
      return close(connection);
    }
    if ((connection.noted.interest & EPOLLOUT) != 0)
      connection.set_deadline(still_taken_until(connection, static_cast<std::size_t>(n)));
  }
  after_flush(connection);
}

/// A connection on which nothing more is answered.
void ServerLoop::after_last_answer(Connection& connection) {
  if (connection.tls) connection.tls->finish();
  if (connection.peer_done()) return close(connection);
  // Half closed, then drained: a reset would drop what the client has not read yet (RFC 9112, 9.6).
  connection.shut_down();
  enter(connection, Phase::kDraining);
  want(connection, EPOLLIN);
}

void ServerLoop::read_on(Connection& connection) {
  if (connection.phase() == Phase::kDeferred) return;
  if (connection.peer_done()) return want(connection, 0);
  if ((connection.noted.interest & EPOLLIN) != 0) return;
  want(connection, EPOLLIN);
  if (connection.phase() == Phase::kIdle && !connection.h2) enter(connection, Phase::kIdle);
}

void ServerLoop::after_flush(Connection& connection) {
  connection.output_sent();
  if (connection.accounted()) connection.account();
  if (connection.phase() == Phase::kDraining) return;
  if (connection.h2) {
    if (connection.h2->finished()) connection.end();
    connection.set_deadline(INT64_MAX);
  }
  if (connection.ending()) return after_last_answer(connection);
  read_on(connection);
  if (connection.h2 && connection.h2->backlog()) connection.noted.again = true;
  if (connection.noted.again) again_.push_back(connection.id());
}

}  // namespace heddle::net
