#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <sys/socket.h>
#include <unistd.h>

#include "base/result.hpp"
#include "net/admission.hpp"
#include "net/byte_budget.hpp"
#include "net/h2.hpp"
#include "net/http1_session.hpp"
#include "net/in_buffer.hpp"
#include "net/tls.hpp"

namespace heddle::net {

/// One client, with its socket and its place among the others until its end. Owned by the loop,
/// which alone touches it.
class Connection {
 public:
  /// What it is about. `may_follow` says which phase may come after which; README.md has the
  /// picture.
  enum class Phase : std::uint8_t {
    kHandshake,  ///< TLS is being agreed
    kIdle,       ///< between requests; HTTP/2 is always here, its session keeps its own times
    kReading,    ///< a request has begun
    kDeferred,   ///< its answer comes later
    kEnding,     ///< no further request is read; it is closed once its output is sent
    kDraining,   ///< answered and closed on our side: what still comes is dropped, so that the
                 ///< client can read the answer
  };
  [[nodiscard]] static constexpr bool may_follow(Phase before, Phase after) noexcept {
    constexpr auto bit = [](Phase phase) { return 1u << static_cast<unsigned>(phase); };
    using enum Phase;
    unsigned next = 0;
    switch (before) {
      case kHandshake: next = bit(kIdle); break;
      case kIdle: next = bit(kIdle) | bit(kReading) | bit(kEnding); break;
      case kReading: next = bit(kIdle) | bit(kReading) | bit(kDeferred) | bit(kEnding); break;
      case kDeferred: next = bit(kIdle); break;  // then its answer may end it
      case kEnding: next = bit(kEnding) | bit(kDraining); break;
      case kDraining: break;
    }
    return (next & bit(after)) != 0;
  }

  /// Where it came in.
  struct Origin {
    std::uint64_t address = 0;  ///< of the peer, as counted by `connections_per_address`; 0: a Unix
                                ///< socket
    std::int64_t peer_uid = -1;  ///< of a Unix socket's other end
    bool local = false;          ///< a Unix socket
    bool grpc = false;           ///< the gRPC listener
  };

  Connection(int socket, std::uint64_t id, const Origin& origin, Admission::Place place,
             ByteBudget& budget, Phase begins)
      : fd_(socket),
        id_(id),
        origin_(origin),
        place_(std::move(place)),
        held_(budget),
        phase_(begins) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { ::close(fd_); }

  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
  [[nodiscard]] const Origin& origin() const noexcept { return origin_; }

  // The state machine.
  [[nodiscard]] Phase phase() const noexcept { return phase_; }
  [[nodiscard]] bool ending() const noexcept { return phase_ == Phase::kEnding; }
  /// HTTP/1 requests are read.
  [[nodiscard]] bool takes_requests() const noexcept {
    return phase_ == Phase::kIdle || phase_ == Phase::kReading;
  }
  /// The loop's times of the phase follow by `set_deadline`.
  void enter(Phase phase, std::int64_t now_ns) {
    change(phase);
    since_ns_ = now_ns;
    if (phase != Phase::kReading) return;
    began_ns_ = now_ns;
    received_ = in.size();
  }
  /// It begins in the phase that it was made with.
  void enter_first(std::int64_t now_ns) noexcept { since_ns_ = now_ns; }
  /// Nothing more is read; its times stay, since what is written is still to be taken.
  void end() { change(Phase::kEnding); }
  [[nodiscard]] std::int64_t since_ns() const noexcept { return since_ns_; }
  [[nodiscard]] std::int64_t deadline_ns() const noexcept { return deadline_ns_; }
  void set_deadline(std::int64_t at_ns) noexcept { deadline_ns_ = at_ns; }
  /// The other side has sent its last byte.
  [[nodiscard]] bool peer_done() const noexcept { return peer_done_; }
  void set_peer_done() noexcept { peer_done_ = true; }
  void end_handshake(std::int64_t now_ns) {
    place_.end_handshake();
    enter(Phase::kIdle, now_ns);
  }
  void begin_handshake() { place_.begin_handshake(); }

  // The request being read.
  [[nodiscard]] std::int64_t began_ns() const noexcept { return began_ns_; }
  [[nodiscard]] std::size_t received() const noexcept { return received_; }
  void begin_next_request(std::int64_t now_ns) noexcept {
    http1.next();
    received_ = in.size();
    began_ns_ = now_ns;
  }

  // Bytes.
  [[nodiscard]] ssize_t receive(char* to, std::size_t most) {
    return tls ? tls->read(to, most) : ::recv(fd_, to, most, 0);
  }
  void took(std::size_t bytes) noexcept {
    in.added(bytes);
    received_ += bytes;
  }
  /// Drops what still comes; false: nothing more does, or too much.
  [[nodiscard]] bool drop_input();
  [[nodiscard]] std::string_view output() const noexcept {
    return std::string_view(out_).substr(out_sent_);
  }
  [[nodiscard]] bool has_output() const noexcept { return out_sent_ < out_.size(); }
  /// What is appended is sent when the turn's answers are.
  [[nodiscard]] std::string& out() noexcept { return out_; }
  [[nodiscard]] ssize_t send_output() {
    const std::string_view bytes = output();
    const ssize_t n = tls ? tls->write(bytes.data(), bytes.size())
                          : ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n > 0) out_sent_ += static_cast<std::size_t>(n);
    return n;
  }
  void clear_output() noexcept {
    out_.clear();
    out_sent_ = 0;
  }
  /// All of it was sent: the memory of a large answer goes back.
  void output_sent() {
    constexpr std::size_t kKept = 256 << 10;
    if (out_.capacity() > kKept) out_ = std::string();
    clear_output();
  }
  /// The other side reads our end once it has read the rest.
  void shut_down() const noexcept { ::shutdown(fd_, SHUT_WR); }
  /// What it holds of the loop's bytes, against their bound.
  void account() noexcept {
    held_.hold(in.capacity() + out_.size() - out_sent_ + (h2 ? h2->buffered() : 0));
  }
  [[nodiscard]] bool accounted() const noexcept { return held_.bytes() > 0; }

  /// What would be lost if it were closed now.
  [[nodiscard]] Use use() const noexcept {
    if (phase_ == Phase::kDeferred) return Use::kAnswered;
    if (phase_ == Phase::kDraining) return Use::kUnproven;
    if (h2) return h2->use() == Use::kIdle && has_output() ? Use::kSlow : h2->use();
    if (http1.request() == 0) return Use::kUnproven;
    return has_output() || phase_ == Phase::kReading ? Use::kSlow : Use::kIdle;
  }
  /// An HTTP/2 session is served.
  [[nodiscard]] bool serves_h2() const noexcept {
    return h2 && (phase_ == Phase::kIdle || phase_ == Phase::kEnding);
  }

  /// Of the loop: what it has noted of this connection, each kept by one of its queues.
  struct Noted {
    bool dirty = false;          ///< in the list of those to flush this turn
    bool again = false;          ///< in the list of those that go on next turn though nothing comes
    std::uint32_t interest = 0;  ///< epoll events asked for
    std::uint64_t last_turn = 0;           ///< that saw an event of this one
    std::uint64_t answered_at_end_of = 0;  ///< the last turn whose end sent answers of this one
  } noted;

  InBuffer in;
  std::unique_ptr<TlsStream> tls;
  Http1Session http1;
  std::unique_ptr<H2Session> h2;

 private:
  void change(Phase phase) {
    HEDDLE_CHECK(may_follow(phase_, phase), "a phase of a connection that cannot follow");
    phase_ = phase;
  }

  int fd_;
  std::uint64_t id_;
  Origin origin_;
  Admission::Place place_;
  ByteBudget::Share held_;
  Phase phase_;
  bool peer_done_ = false;
  std::string out_;
  std::size_t out_sent_ = 0;
  std::size_t drained_ = 0;
  std::size_t received_ = 0;   ///< bytes of the request being read
  std::int64_t began_ns_ = 0;  ///< of the request being read
  std::int64_t since_ns_ = 0;  ///< the phase began
  std::int64_t deadline_ns_ = 0;
};

}  // namespace heddle::net
