#include "net/loop.hpp"

#include <algorithm>
#include <ctime>
#include <utility>

#include <sys/epoll.h>
#include <unistd.h>

namespace heddle::net {
namespace {

constexpr std::int64_t kSweepNs = 100'000'000;
constexpr std::int64_t kDrainNs = 2'000'000'000;
/// A wait for events that took so long was for something to come.
constexpr std::int64_t kSleptNs = 50'000;
/// Connections whose answers leave together: with all of a long turn, the first would wait for the
/// last.
constexpr int kAnsweredTogether = 16;

// epoll tags below the first connection id.
constexpr std::uint64_t kWake = 1;
constexpr std::uint64_t kFirstDoor = 2;
constexpr std::uint64_t kFirstWatch = 16;
constexpr std::uint64_t kConnection = 1ull
                                      << 32;  ///< id = generation << 32 | slot, generation >= 1

}  // namespace

void HttpServer::Loop::add(int fd, std::uint32_t events, std::uint64_t tag) const {
  epoll_event event{};
  event.events = events;
  event.data.u64 = tag;
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

void HttpServer::Loop::want(Connection& connection, std::uint32_t events) {
  if (connection.interest == events) return;
  connection.interest = events;
  epoll_event event{};
  event.events = events;
  event.data.u64 = connection.id;
  ::epoll_ctl(epoll, EPOLL_CTL_MOD, connection.fd, &event);
}

Connection* HttpServer::Loop::find(std::uint64_t id) {
  const std::size_t slot = id & 0xffffffffu;
  if (slot >= slots.size() || !slots[slot] || slots[slot]->id != id) return nullptr;
  return slots[slot].get();
}

void HttpServer::Loop::set_phase(Connection& connection, Connection::Phase phase) {
  connection.phase = phase;
  connection.since_ns = now;
  switch (phase) {
    case Connection::Phase::kHandshake:
      connection.deadline_ns = now + options.limits.handshake_timeout_ms * kMs;
      break;
    case Connection::Phase::kIdle:
      // Who came and asks nothing has the time of a request.
      connection.deadline_ns =
          now + (connection.request == 0
                     ? std::min(options.limits.read_timeout_ms, options.limits.idle_timeout_ms)
                     : options.limits.idle_timeout_ms) *
                    kMs;
      break;
    case Connection::Phase::kReading:
      connection.deadline_ns = now + options.limits.read_timeout_ms * kMs;
      connection.began_ns = now;
      connection.received = connection.in.size();
      break;
    case Connection::Phase::kDeferred: connection.deadline_ns = INT64_MAX; break;
    case Connection::Phase::kDraining: connection.deadline_ns = now + kDrainNs; break;
  }
}

void HttpServer::Loop::go_on_next_turn(Connection& connection) {
  connection.again = true;  // taken up once what there is to send is sent
  mark_dirty(connection);
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
  const std::size_t n =
      std::strftime(text, sizeof text, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts);
  date.assign(text, n);
  for (KeptHead& kept : kept_heads) kept.status = 0;
}

void HttpServer::Loop::run_posted() {
  std::uint64_t count = 0;
  (void)!::read(wake, &count, sizeof count);
  if (const std::int64_t ms = drain_asked_ms.exchange(-1); ms >= 0) begin_drain(ms);
  std::vector<std::function<void()>> work;
  {
    const std::lock_guard<std::mutex> lock(posted_mutex);
    work.swap(posted);
  }
  for (auto& item : work) item();
  worked = worked || !work.empty();
}

void HttpServer::Loop::events_of(Connection& connection, std::uint32_t events) {
  if (connection.phase == Connection::Phase::kHandshake) return handshake(connection);
  if ((events & EPOLLOUT) != 0) return mark_dirty(connection);
  if ((events & EPOLLIN) != 0) return readable(connection);
  if ((events & (EPOLLHUP | EPOLLERR)) != 0)
    return close(connection);  // gone while its answer was awaited
  if ((events & EPOLLRDHUP) != 0) peer_finished(connection);
}

void HttpServer::Loop::sweep() {
  const std::int64_t rate = options.limits.body_bytes_per_second;
  leaving.clear();
  there_is_room();  // or not: then it is found out again
  for (std::size_t i = 0; i < slots.size(); ++i) {
    Connection* connection = slots[i].get();
    if (connection == nullptr) continue;
    const bool overdue = connection->deadline_ns <= now;
    if (connection->h2 && connection->phase == Connection::Phase::kIdle && !overdue) {
      if (draining) connection->h2->go_away();
      if (!connection->h2->sweep(now)) connection->close_after = true;
      if (!connection->has_output()) flush(*connection);
      continue;
    }
    if (connection->phase == Connection::Phase::kReading && !connection->has_output() &&
        !connection->close_after) {
      const std::int64_t late_ms = (now - connection->began_ns) / kMs - 1000;
      const bool slow =
          late_ms > 0 && connection->received < static_cast<std::uint64_t>(late_ms * rate / 1000);
      if (!overdue && !slow) continue;
      refuse(*connection, 408, "http-timeout", "not come whole within the time limit");
      flush(*connection);
      continue;
    }
    if (overdue) close(*connection);
  }
}

void HttpServer::Loop::send_answers(bool turn_ends) {
  if (std::exchange(worked, false) && options.before_answers) options.before_answers();
  while (!dirty.empty()) {
    Connection* connection = dirty.back();
    dirty.pop_back();
    connection->dirty = false;
    if (turn_ends) connection->answered_at_end_of = turns;
    flush(*connection);
  }
}

void HttpServer::Loop::turn() {
  constexpr int kEvents = 256;
  epoll_event events[kEvents];
  std::int64_t until = next_sweep;
  for (const Timer& timer : timers) until = std::min(until, timer.due_ns);
  int timeout = static_cast<int>(std::clamp<std::int64_t>((until - now + kMs - 1) / kMs, 0, 1000));
  if (!again.empty()) timeout = 0;
  const std::int64_t asked = options.clock->mono_ns();
  const int n = std::max(0, ::epoll_wait(epoll, events, kEvents, timeout));  // -1: a signal came
  const std::int64_t began = options.clock->mono_ns();
  // What is there at once came while the turn before was at work, at any time of it.
  waited_before = began - asked < kSleptNs ? (asked - now) / 2 : 0;
  now = began;
  ++turns;
  refresh_date();
  worked = false;
  // The kernel mostly lists first whom the turn before saw, whenever they sent again; whoever else
  // sent while it was at work likely came earlier.
  const auto came_meanwhile = [&](const epoll_event& event) {
    const Connection* connection = event.data.u64 >= kConnection ? find(event.data.u64) : nullptr;
    return connection != nullptr && connection->last_turn + 1 != turns;
  };
  if (n > 1) std::stable_partition(events, events + n, came_meanwhile);
  for (int i = 0; i < n; ++i) {
    const std::uint64_t tag = events[i].data.u64;
    if (tag >= kConnection) {
      if (Connection* connection = find(tag); connection != nullptr) {
        connection->last_turn = turns;
        events_of(*connection, events[i].events);
      }
    } else if (tag >= kFirstDoor && tag < kFirstDoor + kDoors) {
      accept_all(static_cast<Door>(tag - kFirstDoor));
    } else if (tag == kWake) {
      run_posted();
    } else if (tag >= kFirstWatch && tag - kFirstWatch < watches.size()) {
      watches[tag - kFirstWatch].work();
      worked = true;
    }
    if (i % kAnsweredTogether == kAnsweredTogether - 1) send_answers(false);
  }
  if (!again.empty()) {
    std::vector<std::uint64_t> ids;
    ids.swap(again);
    for (const std::uint64_t id : ids) {
      Connection* connection = find(id);
      if (connection == nullptr || !connection->again) continue;
      connection->again = false;
      if (connection->h2) {
        connection->h2->resume(now);
        mark_dirty(*connection);
      } else if (connection->phase != Connection::Phase::kDraining) {
        process(*connection);
      }
      const bool reads = connection->phase == Connection::Phase::kIdle ||
                         connection->phase == Connection::Phase::kReading;
      if (reads && connection->tls && connection->tls->pending() && !connection->close_after &&
          !connection->again) {
        readable(*connection);
      } else {
        settle(*connection);
      }
    }
  }
  for (Timer& timer : timers) {
    if (timer.due_ns > now) continue;
    timer.due_ns = now + timer.period_ns;
    timer.work();
    worked = true;
  }
  send_answers(true);
  if (now >= next_sweep) {
    next_sweep = now + kSweepNs;
    sweep();
  }
  if (draining && (admission.open() == 0 || now >= drain_until))
    stopping.store(true, std::memory_order_relaxed);
}

HttpServer::HttpServer(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
HttpServer::~HttpServer() = default;

Result<std::unique_ptr<HttpServer>> HttpServer::open(Options options) {
  auto loop = std::make_unique<Loop>();
  loop->options = std::move(options);
  HEDDLE_TRY(loop->open());
  loop->add(loop->wake, EPOLLIN, kWake);
  for (std::size_t door = 0; door < Loop::kDoors; ++door) {
    if (loop->doors[door] >= 0) loop->add(loop->doors[door], EPOLLIN, kFirstDoor + door);
  }
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(loop)));
}

void HttpServer::Loop::ask_for_new(Door door) const {
  epoll_event event{};
  event.events = accepting && !waiting_room[door] ? EPOLLIN : 0u;
  event.data.u64 = kFirstDoor + door;
  if (doors[door] >= 0) ::epoll_ctl(epoll, EPOLL_CTL_MOD, doors[door], &event);
}

void HttpServer::Loop::set_accepting(bool on) {
  accepting = on;
  for (const Door door : {kHttpDoor, kUnixDoor, kGrpcDoor}) ask_for_new(door);
}

void HttpServer::set_accepting(bool on) { loop_->set_accepting(on); }

void HttpServer::watch(int fd, std::function<void()> work) {
  loop_->watches.push_back({fd, std::move(work)});
  loop_->add(fd, EPOLLIN, kFirstWatch + loop_->watches.size() - 1);
}

}  // namespace heddle::net
