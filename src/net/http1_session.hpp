#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "net/allowed_hosts.hpp"
#include "net/http.hpp"
#include "net/in_buffer.hpp"

namespace heddle::net {

/// Why a request cannot be answered as it was meant; what follows it cannot be either.
struct Refusal {
  int status = 0;
  std::string_view id{};
  std::string_view what{};
};

/// A whole request at the front of a buffer, borrowed from it.
struct Incoming {
  RequestHead head{};
  std::string_view body{};
  std::size_t bytes = 0;  ///< of the buffer
};

/// The reading side of HTTP/1.1 on one connection, without I/O and without times: requests become
/// whole in the connection's buffer, one after the other. Owned by its connection; one thread.
class Http1Session {
 public:
  struct Bounds {
    std::size_t header_bytes = 0;
    std::size_t headers = 0;
    std::size_t body_bytes = 0;
  };
  /// Who may be called by this connection: `hosts` nullptr: whoever it names.
  struct Names {
    AllowedHosts* hosts = nullptr;
    int socket = -1;
  };
  enum class State {
    kNeedMore,
    kContinue,     ///< the client waits for `100 Continue`; then call again
    kWhole,        ///< `incoming` is filled, also with `headers`
    kRefused,      ///< `refusal` says why
    kForeignHost,  ///< `incoming.head.host` is not answered for
  };
  /// Looks at what `in` holds.
  [[nodiscard]] State read(InBuffer& in, const Bounds& bounds, Names names, Incoming& incoming,
                           std::vector<Header>& headers, Refusal& refusal);

  /// The request that was read last is handled; the next one is looked for behind it.
  void begin_answer(const RequestHead& head) noexcept {
    ++request_;
    keep_alive_ = head.keep_alive;
    head_only_ = head.method == "HEAD";
  }
  void next() noexcept { head_known_ = false; }
  /// What is answered is no request that could be a HEAD.
  void begin_refusal() noexcept { head_only_ = false; }

  /// Number of the request that is read or answered; 0: none was ever handled.
  [[nodiscard]] std::uint64_t request() const noexcept { return request_; }
  [[nodiscard]] bool keep_alive() const noexcept { return keep_alive_; }  ///< as it was asked for
  [[nodiscard]] bool head_only() const noexcept { return head_only_; }

 private:
  /// kWhole: the head is whole, and can be answered.
  [[nodiscard]] State read_head_of(InBuffer& in, const Bounds& bounds, Names names,
                                   RequestHead& head, std::vector<Header>& headers,
                                   Refusal& refusal);
  [[nodiscard]] State read_body(InBuffer& in, const Bounds& bounds, Incoming& incoming,
                                Refusal& refusal);

  std::uint64_t request_ = 0;
  std::uint64_t content_length_ = 0;
  std::size_t body_at_ = 0;
  PartialHead partial_head_;
  ChunkedReader chunks_;
  bool head_known_ = false;  ///< the head of the request at the front was read
  bool chunked_ = false;
  bool keep_alive_ = true;
  bool head_only_ = false;
};

}  // namespace heddle::net
