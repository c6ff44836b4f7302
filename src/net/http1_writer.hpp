#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "net/http.hpp"

namespace heddle::net {

/// Writes HTTP/1.1 responses. Keeps the head of the last response like the one it writes, so that
/// most of it is one copy. One of a loop; one thread.
class Http1Writer {
 public:
  /// The second of wall time that `Date` says.
  void set_second(std::int64_t second);
  /// Appends a response. `closing`: the connection ends with it. `head_only`: it answers a HEAD.
  void write(const Response& response, bool closing, bool head_only, std::string& out);

 private:
  /// Status line, Date and Content-Type as the last response like it had them; `Content-Length: `
  /// at the end, but for 204.
  struct KeptHead {
    int status = 0;  ///< 0: made again
    std::string type;
    std::string text;
  };
  std::int64_t second_ = -1;
  std::string date_;                    ///< the header line of this second
  std::array<KeptHead, 2> kept_heads_;  ///< of 200, and of another status
};

}  // namespace heddle::net
