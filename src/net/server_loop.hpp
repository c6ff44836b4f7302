#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "net/acceptor.hpp"
#include "net/admission.hpp"
#include "net/byte_budget.hpp"
#include "net/connections.hpp"
#include "net/dispatcher.hpp"
#include "net/poller.hpp"
#include "net/server.hpp"

namespace heddle::net {

/// What an HttpServer is behind its face: turns of events, timers and sweeps, and the bytes of its
/// connections. Who comes and goes is the Acceptor's, what a request is and becomes the sessions'
/// and the Dispatcher's. Confined to the thread that runs it, but for what says otherwise.
class ServerLoop {
 public:
  explicit ServerLoop(HttpServer::Options options);
  ServerLoop(const ServerLoop&) = delete;
  ServerLoop& operator=(const ServerLoop&) = delete;
  ~ServerLoop();

  // Of HttpServer.
  [[nodiscard]] Result<void> open();
  void run();
  void stop();                            ///< any thread
  void drain(std::int64_t deadline_ms);   ///< any thread
  void post(std::function<void()> work);  ///< any thread
  void every(std::int64_t period_ms, std::function<void()> work);
  void watch(int fd, std::function<void()> work);
  [[nodiscard]] Acceptor& acceptor() noexcept { return acceptor_; }
  [[nodiscard]] std::size_t connections() const noexcept { return admission_.open(); }
  [[nodiscard]] std::size_t buffered_bytes() const noexcept { return budget_.held(); }
  [[nodiscard]] Deferral defer() { return dispatcher_.defer(); }
  [[nodiscard]] bool waits(const Deferral& deferral) const;
  void answer(const Deferral& deferral, const Response& response);
  void answer(const Deferral& deferral, GrpcReply reply);

  // Of the Dispatcher.
  [[nodiscard]] std::int64_t now() const noexcept { return now_; }  ///< when this turn began
  [[nodiscard]] bool draining() const noexcept { return draining_; }
  /// A request was handled or work ran: `before_answers` is due.
  void note_work() noexcept { worked_ = true; }
  /// How long what this connection asks has waited, if it is read at `at`. Who was answered when
  /// the turn before ended is taken to have waited for that: too little for one that sends on
  /// without waiting, never too much.
  [[nodiscard]] std::int64_t waited(const Connection& connection, std::int64_t at) const {
    return at - now_ + (connection.noted.answered_at_end_of + 1 == turns_ ? 0 : waited_before_);
  }
  void enter(Connection& connection, Connection::Phase phase);
  void want(Connection& connection, std::uint32_t events);
  /// Its output is sent when the turn's answers are.
  void mark_dirty(Connection& connection);
  /// It has work that no event announces, taken up once what there is to send is sent.
  void go_on_next_turn(Connection& connection);
  void peer_finished(Connection& connection);

 private:
  struct Timer {
    std::int64_t period_ns;
    std::int64_t due_ns;
    std::function<void()> work;
  };
  struct Watch {
    int fd;
    std::function<void()> work;
  };

  void wake() const;
  void turn();
  [[nodiscard]] int wait_for_events(std::span<epoll_event> events);
  void go_on_with_those_left();
  void event(std::uint64_t tag, std::uint32_t events);
  void events_of(Connection& connection, std::uint32_t events);
  void go_on(Connection& connection);
  void run_posted();
  void run_timers();
  void sweep();
  void sweep(Connection& connection);
  void send_answers(bool turn_ends);  ///< of the requests handled so far
  void begin_drain(std::int64_t deadline_ms);
  void set_second();
  void admitted(std::unique_ptr<Connection> connection);
  void close(Connection& connection);

  void handshake(Connection& connection);
  void readable(Connection& connection);
  [[nodiscard]] static ssize_t receive(Connection& connection);
  /// Handles bytes that came; true: more of them are there, which no event announces.
  [[nodiscard]] bool take_input(Connection& connection, std::size_t bytes);
  void end_of_input(Connection& connection);
  void drop_input(Connection& connection);
  void settle(Connection& connection);
  void flush(Connection& connection);
  void not_taken(Connection& connection);
  void after_flush(Connection& connection);
  void read_on(Connection& connection);
  void after_last_answer(Connection& connection);
  void sweep_h2(Connection& connection);
  [[nodiscard]] std::int64_t still_taken_until(const Connection& connection,
                                               std::size_t bytes) const;
  void set_deadline(Connection& connection) const;

  HttpServer::Options options_;
  Poller poller_;
  int wake_;
  Admission admission_;  ///< outlives the connections, as does the budget
  ByteBudget budget_;
  Connections connections_;
  Dispatcher dispatcher_;
  Acceptor acceptor_;

  std::vector<Timer> timers_;
  std::vector<Watch> watches_;
  std::vector<Connection*> dirty_;
  std::vector<std::uint64_t> again_;  ///< ids
  InBuffer spare_;                    ///< the memory of the connection being read

  std::int64_t now_ = 0;
  std::int64_t next_sweep_ = 0;
  std::uint64_t turns_ = 0;  ///< begun so far
  std::int64_t waited_before_ =
      0;  ///< before this turn began, by what was there at its beginning: an estimate
  bool worked_ = false;  ///< since answers were last sent

  bool draining_ = false;
  std::int64_t drain_until_ = 0;
  std::atomic<std::int64_t> drain_asked_ms_{-1};
  std::atomic<bool> stopping_{false};
  std::mutex posted_mutex_;
  std::vector<std::function<void()>> posted_;
};

}  // namespace heddle::net
