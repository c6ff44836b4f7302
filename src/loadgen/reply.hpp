#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "net/http.hpp"

namespace heddle::loadgen {

/// One answer, borrowed from the buffer it was read from.
struct Reply {
  int status = 0;
  std::string_view head{};  ///< status line and headers, without the empty line
  std::string_view body{};
  bool keep_alive = true;
};

/// Reads HTTP/1.x answers from a growing buffer; resumable, so that a byte is looked at about once.
/// Interim answers (1xx) are skipped. One connection's; confined to one thread.
class ReplyReader {
 public:
  static constexpr std::size_t kMostHead = 64 << 10;
  static constexpr std::size_t kMostBody = 64 << 20;
  enum class State : std::uint8_t { kNeedMore, kDone, kBad };

  /// `data` begins with the first byte that was not consumed yet and holds `size` of them; `ended`:
  /// no more will come. On kDone `consumed` bytes belong to the answer (and interim ones before it)
  /// and `out` points into them. Chunked bodies are decoded in place.
  [[nodiscard]] State read(char* data, std::size_t size, bool ended, Reply& out,
                           std::size_t& consumed);

 private:
  [[nodiscard]] State find_head(std::string_view bytes, bool ended);
  [[nodiscard]] State find_body(char* data, std::size_t size, bool ended, std::size_t& body,
                                std::size_t& consumed);
  [[nodiscard]] bool read_head(std::string_view head);
  [[nodiscard]] bool read_status(std::string_view head);
  [[nodiscard]] bool read_header(std::string_view line);
  void drop_body_of_status();
  [[nodiscard]] bool read_length(std::string_view value);

  std::size_t at_ = 0;        ///< where the current head begins: after interim answers
  std::size_t searched_ = 0;  ///< no end of head before here
  std::size_t body_at_ = 0;   ///< 0: the head is not known
  int status_ = 0;
  std::uint64_t length_ = 0;
  bool has_length_ = false;
  bool chunked_ = false;
  bool keep_alive_ = true;
  net::ChunkedReader chunks_{};
};

}  // namespace heddle::loadgen
