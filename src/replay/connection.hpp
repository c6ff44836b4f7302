#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace heddle::replay {

/// One keep-alive HTTP/1.1 connection of a client that must tell "no answer came" from "an answer came": on that hangs
/// whether a request may be sent again and whether it counts as failed. Connects at first use and after each loss; reuses its
/// buffers. Confined to one thread.
class Connection {
 public:
  /// `host` is an IPv4 address, or `unix:PATH` (then `port` is 0).
  Connection(std::string host, int port, std::string token);
  ~Connection();
  Connection(Connection&&) noexcept;
  Connection& operator=(Connection&&) = delete;

  struct Answer {
    int status = 0;
    std::string_view body;  ///< valid until the next call
  };

  /// Sends and waits for the whole answer. kUnavailable: nobody listens, or the connection was lost before the answer was
  /// whole; kTimeout: `deadline_ns` (monotonic) passed; kCorrupt: the bytes are no HTTP answer. After an error the
  /// connection is closed.
  [[nodiscard]] Result<Answer> post(std::string_view path, std::string_view body, std::int64_t deadline_ns);

 private:
  [[nodiscard]] Result<void> connect(std::int64_t deadline_ns);
  [[nodiscard]] Result<void> connect_unix(const std::string& path);
  [[nodiscard]] Result<void> write_all(std::string_view head, std::string_view body, std::int64_t deadline_ns);
  [[nodiscard]] Result<Answer> read_answer(std::int64_t deadline_ns);
  [[nodiscard]] Result<void> wait(short events, std::int64_t deadline_ns);
  [[nodiscard]] Error lost(std::string_view what);
  void close();

  std::string host_;
  int port_;
  std::string token_;
  int fd_ = -1;
  std::string head_;
  std::string in_;
};

}  // namespace heddle::replay
