#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <unistd.h>

#include "net/admission.hpp"
#include "net/h2.hpp"
#include "net/http.hpp"
#include "net/in_buffer.hpp"
#include "net/tls.hpp"

namespace heddle::net {

/// One client, with its socket and its place among the others until its end. Owned by the loop,
/// which alone touches it.
struct Connection {
  enum class Phase : std::uint8_t {
    kHandshake,  ///< TLS is being agreed
    kIdle,       ///< between requests; HTTP/2 is always here, its session keeps its own times
    kReading,    ///< a request has begun
    kDeferred,   ///< its answer comes later
    kDraining,   ///< answered and closed on our side: what still comes is dropped, so that the
                 ///< client can read the answer
  };

  Connection(int socket, Admission::Place among) : fd(socket), place(std::move(among)) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { ::close(fd); }

  int fd;
  Admission::Place place;
  std::uint64_t id = 0;
  std::uint64_t request = 0;    ///< number of the request being read or answered
  std::uint64_t last_turn = 0;  ///< of the loop that saw an event of this one
  std::uint64_t answered_at_end_of =
      0;                       ///< the last turn of the loop whose end sent answers of this one
  std::int64_t peer_uid = -1;  ///< of a Unix socket's other end
  std::uint64_t address =
      0;  ///< of the peer, as counted by `connections_per_address`; 0 for Unix sockets
  bool local = false;
  bool grpc = false;         ///< came to the gRPC listener
  bool close_after = false;  ///< once `out` is sent
  bool peer_done = false;    ///< it sent its last byte
  bool dirty = false;        ///< in the list of those to flush this turn
  bool head_known = false;   ///< `body_at` and `content_length` or `chunked` are set
  bool chunked_body = false;
  bool close_request = false;  ///< the request being answered wants no keep-alive
  bool head_only = false;      ///< it is a HEAD
  bool again = false;          ///< in the list of those that go on next turn though nothing comes
  Phase phase = Phase::kIdle;
  std::uint32_t interest = 0;  ///< epoll events asked for
  PartialHead partial_head;
  std::size_t body_at = 0;
  std::uint64_t content_length = 0;
  std::size_t drained = 0;
  std::size_t received = 0;   ///< bytes of the request being read
  std::size_t accounted = 0;  ///< bytes of the loop's budget this one holds
  std::int64_t began_ns = 0;  ///< of the request being read
  std::int64_t since_ns = 0;  ///< the phase began
  std::int64_t deadline_ns = 0;
  ChunkedReader chunks;
  InBuffer in;
  std::string out;
  std::size_t out_sent = 0;
  std::unique_ptr<TlsStream> tls;
  std::unique_ptr<H2Session> h2;

  [[nodiscard]] bool has_output() const noexcept { return out_sent < out.size(); }
  /// What would be lost if it were closed now.
  [[nodiscard]] Use use() const noexcept {
    if (phase == Phase::kDeferred) return Use::kAnswered;
    if (phase == Phase::kDraining) return Use::kUnproven;
    if (h2) return h2->use() == Use::kIdle && has_output() ? Use::kSlow : h2->use();
    if (request == 0) return Use::kUnproven;
    return has_output() || phase == Phase::kReading ? Use::kSlow : Use::kIdle;
  }
};

}  // namespace heddle::net
