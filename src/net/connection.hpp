#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "net/http.hpp"

namespace heddle::net {

/// Bytes that came and were not read yet. Keeps room for `Request::kBodyPadding` bytes past its end.
class InBuffer {
 public:
  [[nodiscard]] char* begin() noexcept { return data_.get() + begin_; }
  [[nodiscard]] std::size_t size() const noexcept { return end_ - begin_; }
  [[nodiscard]] std::string_view view() const noexcept { return {data_.get() + begin_, size()}; }
  [[nodiscard]] char* free_space() noexcept { return data_.get() + end_; }
  [[nodiscard]] std::size_t free_bytes() const noexcept { return capacity_ - end_; }

  /// Makes room for `total` bytes from `begin()` on.
  void reserve(std::size_t total);
  void added(std::size_t n) noexcept { end_ += n; }
  void consume(std::size_t n) noexcept {
    begin_ += n;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  /// Gives memory back after a large body.
  void shrink();

 private:
  std::unique_ptr<char[]> data_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

/// One client. Owned by the loop, which alone touches it.
struct Connection {
  enum class Phase : std::uint8_t {
    kIdle,      ///< between requests
    kReading,   ///< a request has begun
    kDeferred,  ///< its answer comes later
    kDraining,  ///< answered and closed on our side: what still comes is dropped, so that the client can read the answer
  };

  int fd = -1;
  std::uint64_t id = 0;
  std::uint64_t request = 0;  ///< number of the request being read or answered
  bool local = false;
  bool close_after = false;   ///< once `out` is sent
  bool peer_done = false;     ///< it sent its last byte
  bool dirty = false;         ///< in the list of those to flush this turn
  bool head_known = false;    ///< `body_at` and `content_length` or `chunked` are set
  bool chunked_body = false;
  bool close_request = false; ///< the request being answered wants no keep-alive
  bool head_only = false;     ///< it is a HEAD
  bool overran = false;       ///< has buffered requests that wait for `out` to go
  Phase phase = Phase::kIdle;
  std::uint32_t interest = 0; ///< epoll events asked for
  std::size_t body_at = 0;
  std::uint64_t content_length = 0;
  std::size_t drained = 0;
  std::int64_t deadline_ns = 0;
  ChunkedReader chunks;
  InBuffer in;
  std::string out;
  std::size_t out_sent = 0;

  [[nodiscard]] bool has_output() const noexcept { return out_sent < out.size(); }
};

}  // namespace heddle::net
