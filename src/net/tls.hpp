#pragma once

#include <sys/types.h>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/digest.hpp"
#include "base/result.hpp"

struct ssl_st;      // OpenSSL's SSL
struct ssl_ctx_st;  // OpenSSL's SSL_CTX

namespace heddle::net {

/// What a listener shows of itself. PEM files; the certificate's file holds the chain, leaf first.
struct TlsOptions {
  std::string cert_file{};
  std::string key_file{};
  std::string client_ca_file{};  ///< set: a client must show a certificate that one of these signed
};

/// SHA-256 of the first certificate of a PEM file, in DER: what `openssl x509 -fingerprint -sha256`
/// prints. kInvalid (`net-tls-files`).
[[nodiscard]] Result<Digest> certificate_digest(const std::string& file);

/// What a client trusts and shows.
struct TlsClientOptions {
  std::string ca_file{};    ///< empty: the system's
  std::string cert_file{};  ///< empty: none is shown
  std::string key_file{};
};

/// TLS on one non-blocking socket, which the owner keeps and closes. Reads and writes are like
/// `recv` and `send`: bytes, 0 at the peer's end, -1 with `errno` (EAGAIN: not now). Never raises
/// SIGPIPE. One thread.
class TlsStream {
 public:
  enum class Handshake : std::uint8_t { kDone, kWantRead, kWantWrite, kPlainHttp, kFailed };

  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  [[nodiscard]] Handshake handshake() noexcept;
  [[nodiscard]] ssize_t read(char* to, std::size_t most) noexcept;
  [[nodiscard]] ssize_t write(const char* from, std::size_t bytes) noexcept;
  /// Decrypted or buffered bytes wait, so that `read` gives more though the socket has none.
  [[nodiscard]] bool pending() const noexcept;
  /// Tells the peer that nothing more comes.
  void finish() noexcept;
  [[nodiscard]] std::string_view protocol() const noexcept;  ///< agreed by ALPN; empty: none
  [[nodiscard]] const std::string& failure() const noexcept {
    return failure_;
  }  ///< why the handshake failed

 private:
  friend class TlsContext;
  TlsStream(ssl_ctx_st* context, int fd, bool server);
  ssl_st* ssl_;
  std::string failure_;
};

/// Keys, trust and protocol versions, shared by the streams made from it (each holds a share, so
/// that it may be replaced while they live). TLS 1.2 with forward secrecy and 1.3; no
/// renegotiation.
class TlsContext {
 public:
  /// `protocol` is the one that ALPN agrees to. kIo or kInvalid (`net-tls-files`) when files cannot
  /// be read or do not fit together.
  [[nodiscard]] static Result<TlsContext> server(const TlsOptions& options,
                                                 std::string_view protocol);
  [[nodiscard]] static Result<TlsContext> client(const TlsClientOptions& options);
  TlsContext() = default;

  [[nodiscard]] std::unique_ptr<TlsStream> accept(int fd) const;
  /// Verifies that the peer is `host`, a name or an address.
  [[nodiscard]] std::unique_ptr<TlsStream> connect(int fd, const std::string& host) const;
  [[nodiscard]] explicit operator bool() const noexcept { return context_ != nullptr; }

 private:
  std::shared_ptr<ssl_ctx_st> context_;
};

}  // namespace heddle::net
