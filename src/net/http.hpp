#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace heddle::net {

struct Header {
  std::string_view name;   ///< as sent; compare with `same_token`
  std::string_view value;  ///< without spaces around it
};

/// Whether two texts of one length are equal but for the case of ASCII letters.
[[nodiscard]] bool same_letters(std::string_view a, std::string_view b) noexcept;
/// Equal but for the case of ASCII letters. A request's headers are asked for by name many times,
/// and most names have another length.
[[nodiscard]] inline bool same_token(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && same_letters(a, b);
}
/// The token of an Authorization header's value `Bearer ...`; empty when it is another.
[[nodiscard]] std::string_view bearer_token(std::string_view authorization) noexcept;

/// One request, borrowed from the connection's buffer: valid until the handler returns. At least
/// `kBodyPadding` readable bytes follow `body`, so that a parser that reads ahead may use it in
/// place.
struct Request {
  static constexpr std::size_t kBodyPadding = 64;

  std::string_view method;
  std::string_view path;     ///< as sent, without the query; begins with `/`
  std::string_view query{};  ///< without `?`
  std::string_view body{};
  std::span<const Header> headers{};
  std::int64_t peer_uid = -1;  ///< user of the process at the other end of the Unix socket, by the
                               ///< kernel; -1: came over TCP
  std::int64_t queued_ns =
      0;  ///< waited before its handler ran: in this turn of the loop, and an estimate of before
  std::int64_t begin_ns = 0;  ///< when that was, on the server's monotonic clock

  [[nodiscard]] std::string_view header(
      std::string_view name) const noexcept;  ///< empty when there is none
  /// The token of `Authorization: Bearer ...`; empty when there is none.
  [[nodiscard]] std::string_view bearer() const noexcept;
};

/// What the handler answers. Kept and cleared by the server, so that `body` keeps its memory.
struct Response {
  int status = 200;
  std::string_view content_type = "application/json";  ///< must outlive the response: a literal
  std::string body{};
  std::string headers{};  ///< further header lines, each with its `\r\n`
  bool close = false;     ///< close the connection after this response

  void clear() {
    status = 200;
    content_type = "application/json";
    body.clear();
    headers.clear();
    close = false;
  }
};

[[nodiscard]] std::string_view status_text(int status) noexcept;

/// Reads the head of one HTTP/1.1 or 1.0 message strictly (RFC 9112), so that nothing between us
/// and a client can read the same bytes in another way: bare LF, obs-fold, space before a colon,
/// control characters, both or several of Content-Length and Transfer-Encoding, codings other than
/// `chunked`, several of Host or Origin are errors. A pure reader without state.
struct RequestHead {
  std::string_view method{};
  std::string_view target{};
  std::string_view host{};
  std::string_view origin{};  ///< empty: none given
  bool http_1_0 = false;
  bool keep_alive = true;
  bool chunked = false;
  bool expect_continue = false;
  std::optional<std::uint64_t> content_length{};
  std::size_t bytes = 0;  ///< of the head, the empty line included
};

enum class HeadResult { kComplete, kNeedMore, kBad, kTooLarge, kUnsupported };

/// `headers` is cleared and filled; at most `max_headers`. `reason` says what is wrong.
[[nodiscard]] HeadResult read_head(std::string_view bytes, std::size_t max_bytes,
                                   std::size_t max_headers, RequestHead& head,
                                   std::vector<Header>& headers, std::string_view& reason);

/// A head that comes in parts: `read_head` begins anew each time, so it is called when what came
/// since may have made the head whole. Who sends byte by byte has it read once a line.
class PartialHead {
 public:
  /// `bytes` of it are there now.
  [[nodiscard]] bool worth_reading(std::string_view bytes, std::size_t max_bytes) noexcept {
    return seen_ == 0 || goes_on(bytes, max_bytes);
  }
  void was_read(std::size_t bytes) noexcept { seen_ = bytes; }  ///< and needs more
  void reset() noexcept { seen_ = 0; }

 private:
  [[nodiscard]] bool goes_on(std::string_view bytes, std::size_t max_bytes) noexcept;
  std::size_t seen_ = 0;  ///< bytes that were looked at; 0: it is a new one
};

/// Decodes a chunked body in place; resumable. Extensions are skipped, trailers refused.
class ChunkedReader {
 public:
  enum class State { kNeedMore, kDone, kBad, kTooLarge };
  /// `buffer` begins at the body's first byte and holds `size` bytes. Decoded bytes are moved to
  /// its front.
  [[nodiscard]] State read(char* buffer, std::size_t size, std::size_t max_body) noexcept;
  [[nodiscard]] std::size_t body_bytes() const noexcept { return out_; }
  [[nodiscard]] std::size_t consumed() const noexcept { return in_; }  ///< of `buffer`
  void reset() noexcept { *this = ChunkedReader{}; }

 private:
  enum class Part { kSize, kData, kDataEnd, kTrailer };
  std::size_t in_ = 0;
  std::size_t out_ = 0;
  std::uint64_t left_ = 0;
  Part part_ = Part::kSize;
};

}  // namespace heddle::net
