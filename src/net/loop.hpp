#pragma once

#include <array>
#include <atomic>
#include <mutex>
#include <unordered_map>

#include "net/allowed_hosts.hpp"
#include "net/connection.hpp"
#include "net/server.hpp"

namespace heddle::net {

/// What an HttpServer is behind its face. In four sources, each about one thing: `loop.cpp` turns
/// (events, timers, sweeps), `accept.cpp` lets clients in and out (listeners, limits, drain,
/// handover), `stream.cpp` moves bytes (sockets, TLS, output), `http1.cpp` reads and answers
/// HTTP/1.1; `h2.cpp` is a session without I/O of its own. Confined to the thread that runs it, but
/// for the atomics and `posted`.
struct HttpServer::Loop {
  struct Timer {
    std::int64_t period_ns;
    std::int64_t due_ns;
    std::function<void()> work;
  };
  struct Watch {
    int fd;
    std::function<void()> work;
  };
  enum Door : std::size_t { kHttpDoor, kUnixDoor, kGrpcDoor, kDoors };

  static constexpr std::int64_t kMs = 1'000'000;

  Options options;
  int epoll = -1, wake = -1;
  int doors[kDoors] = {-1, -1, -1};  ///< listening sockets
  int tcp_port = 0, grpc_port = 0;
  bool handed_over = false;
  bool unix_is_ours = false;  ///< its file is removed at the end
  TlsContext http_tls, grpc_tls;
  Admission admission;  ///< outlives the connections
  std::vector<std::unique_ptr<Connection>> slots;
  std::vector<std::uint32_t> free_slots;
  std::uint32_t generation = 0;
  std::atomic<std::size_t> buffered{0};  ///< of `limits.buffered_bytes`; written by the loop alone
  /// As `HttpServer::ClosedForRoom`; written by the loop alone.
  std::atomic<std::uint64_t> closed_for_all{0}, closed_for_address{0}, closed_for_handshake{0},
      refused_for_room{0};
  bool accepting = true;
  bool waiting_room[kDoors] = {};  ///< new ones wait in the kernel's queue: there is no room
  int first_kept_fd = 0;           ///< descriptors from here on are not for clients
  /// Those that go first when there is no room, chosen for many at once; forgotten at each sweep.
  struct Leaving {
    std::vector<Candidate> next;  ///< the first one at the end
    bool none = false;            ///< nobody can be closed
  };
  std::unordered_map<std::uint64_t, Leaving> leaving;  ///< by address, or by `Among`
  bool draining = false;
  std::int64_t drain_until = 0;
  std::atomic<std::int64_t> drain_asked_ms{-1};
  std::vector<Connection*> dirty;
  std::vector<std::uint64_t> again;  ///< have work that no event announces
  std::vector<Timer> timers;
  std::vector<Watch> watches;
  std::atomic<bool> stopping{false};
  std::mutex posted_mutex;
  std::vector<std::function<void()>> posted;
  std::int64_t now = 0;  ///< at the beginning of this turn
  std::int64_t next_sweep = 0;
  std::int64_t date_second = -1;
  AllowedHosts hosts;
  std::string date;  ///< the header line of this second
  /// Status line, Date and Content-Type as the last response like it had them; `Content-Length: `
  /// at the end, but for 204.
  struct KeptHead {
    int status = 0;  ///< 0: made again
    std::string type;
    std::string text;
  };
  std::array<KeptHead, 2> kept_heads;  ///< of 200, and of another status
  std::uint64_t turns = 0;             ///< begun so far
  std::int64_t waited_before =
      0;                ///< before this turn began, by what was there at its beginning: an estimate
  bool worked = false;  ///< a request was handled or work ran since answers were last sent
  Connection* handling = nullptr;
  std::int32_t handling_stream = 0;
  std::uint64_t handling_request = 0;
  bool deferred = false;
  InBuffer spare;  ///< the memory of the connection being read
  std::vector<Header> headers;
  Response response;

  ~Loop();

  // loop.cpp
  void turn();
  void events_of(Connection& connection, std::uint32_t events);
  void run_posted();
  void sweep();
  void refresh_date();
  void send_answers(bool turn_ends);  ///< of the requests handled so far
  /// How long what this connection asks has waited, if it is read at `at`. Who was answered when
  /// the turn before ended is taken to have waited for that: too little for one that sends on
  /// without waiting, never too much.
  std::int64_t waited(const Connection& connection, std::int64_t at) const {
    return at - now + (connection.answered_at_end_of + 1 == turns ? 0 : waited_before);
  }
  Connection* find(std::uint64_t id);
  void add(int fd, std::uint32_t events, std::uint64_t tag) const;
  void want(Connection& connection, std::uint32_t events);
  void set_phase(Connection& connection, Connection::Phase phase);
  void go_on_next_turn(Connection& connection);

  // accept.cpp
  Result<void> open();
  Result<void> load_tls();
  void accept_all(Door door);
  /// A connection that came; -1: none did, `more` says whether the next may.
  int accept_one(Door door, std::uint64_t& address, bool& more);
  void set_accepting(bool on);
  void ask_for_new(Door door) const;
  void wait_for_room(Door door);
  void there_is_room();
  void admit(int fd, std::uint64_t address, Door door);
  /// Whose connections are looked through when there is no room: an address's, or these. No address
  /// has these numbers.
  enum Among : std::uint64_t { kAll, kHandshakes };
  /// The one to close for a new one; nullptr: each of them is being answered.
  Connection* first_to_go(std::uint64_t among);
  void choose_leaving(std::uint64_t among, Leaving& leaving);
  void close(Connection& connection);
  void close_doors();
  void begin_drain(std::int64_t deadline_ms);

  // stream.cpp
  ssize_t receive(Connection& connection, char* to, std::size_t most);
  void handshake(Connection& connection);
  void readable(Connection& connection);
  void drop_input(Connection& connection);
  void peer_finished(Connection& connection);
  void begin_h2(Connection& connection);
  void process_h2(Connection& connection);
  bool handle_grpc(Connection& connection, std::int32_t stream, std::uint64_t request,
                   GrpcCall& call, GrpcReply& reply);
  void settle(Connection& connection);
  void account(Connection& connection);
  void mark_dirty(Connection& connection);
  void flush(Connection& connection);
  std::int64_t still_taken_until(const Connection& connection, std::size_t bytes) const;
  void after_flush(Connection& connection);

  // http1.cpp
  void process(Connection& connection);
  bool begin_body(Connection& connection, const RequestHead& head);
  void handle(Connection& connection, const RequestHead& head, std::string_view body);
  void refuse(Connection& connection, int status, std::string_view id, std::string_view what);
  void answer(Connection& connection, const Response& from);
  void refuse_host(Connection& connection, std::string_view host);
  /// Why a request to `host` is refused; safe inside a JSON string.
  std::string host_refusal(std::string_view host) const;
};

}  // namespace heddle::net
