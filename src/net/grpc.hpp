#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "net/http.hpp"

namespace heddle::net {

/// Status codes of gRPC that the transport itself gives (grpc/doc/statuscodes.md).
enum class GrpcStatus : std::uint8_t {
  kOk = 0,
  kDeadlineExceeded = 4,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
};

/// One request message of a call, borrowed: valid until the handler returns.
struct GrpcCall {
  std::string_view method{};  ///< as in `:path`: "/inference.GRPCInferenceService/ModelInfer"
  std::span<const Header> metadata{};  ///< without pseudo-headers; names are in lower case
  std::string_view message{};          ///< decompressed, without its frame; empty when it came
                                       ///< compressed and `grpc_inflate_for` said no
  bool streaming = false;        ///< one of `Options::grpc_streaming`; more messages may follow
  std::int64_t deadline_ns = 0;  ///< of `grpc-timeout`, by the clock's `mono_ns`; 0: none
  std::int64_t queued_ns =
      0;  ///< waited before its handler ran: in this turn of the loop, and an estimate of before

  /// The token of `authorization: Bearer ...`; empty when there is none, or several.
  [[nodiscard]] std::string_view bearer() const noexcept;
};

/// What the handler answers: exactly one message, or a status other than 0, which ends the call.
/// Kept and cleared by the server.
struct GrpcReply {
  std::string message{};
  int status = 0;
  std::string status_message{};

  void clear() {
    message.clear();
    status = 0;
    status_message.clear();
  }
};

/// `grpc-timeout` in nanoseconds, saturated at about 292 years; nothing when it is malformed (gRPC
/// over HTTP/2, Requests).
[[nodiscard]] std::optional<std::int64_t> parse_grpc_timeout(std::string_view text) noexcept;

/// Appends `text` as `grpc-message` carries it: `%` and what is not printable ASCII
/// percent-encoded.
void append_percent_encoded(std::string& out, std::string_view text);

/// Whether a content-type is gRPC's: `application/grpc`, alone or before `+` or `;`.
[[nodiscard]] bool is_grpc_content_type(std::string_view value) noexcept;

/// Inflates one gzip member of at most `most` bytes into `out`, which is replaced. kTooLarge past
/// that, kInvalid for what is no gzip.
[[nodiscard]] Result<void> gunzip(std::string_view bytes, std::size_t most, std::string& out);
/// The same for a body whose `Content-Encoding` is `gzip` or `deflate` (zlib's format, RFC
/// 9110 8.4.1); kInvalid for any other.
[[nodiscard]] Result<void> decode_body(std::string_view coding, std::string_view bytes,
                                       std::size_t most, std::string& out);

}  // namespace heddle::net
