#include "net/tls.hpp"

#include <cerrno>
#include <climits>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

namespace heddle::net {
namespace {

// OpenSSL's own socket BIO writes with `write`, which raises SIGPIPE.
int bio_read(BIO* bio, char* to, int most) {
  BIO_clear_retry_flags(bio);
  const ssize_t n = ::recv(static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio))), to,
                           static_cast<std::size_t>(most), 0);
  // An interrupted call is retried by the loop like one that would block: OpenSSL asks for the
  // socket again.
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
  return static_cast<int>(n);
}
int bio_write(BIO* bio, const char* from, int bytes) {
  BIO_clear_retry_flags(bio);
  const ssize_t n = ::send(static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio))),
                           from, static_cast<std::size_t>(bytes), MSG_NOSIGNAL);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
  return static_cast<int>(n);
}
// OpenSSL flushes after each flight of a handshake and takes 0 for a failure; nothing is buffered
// here.
long bio_control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

const BIO_METHOD* socket_method() {
  // Never freed: streams may outlive every static object of this file.
  static const BIO_METHOD* method = [] {
    BIO_METHOD* made =
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket without SIGPIPE");
    BIO_meth_set_read(made, bio_read);
    BIO_meth_set_write(made, bio_write);
    BIO_meth_set_ctrl(made, bio_control);
    return made;
  }();
  return method;
}

std::string last_error() {
  char text[256] = "unknown";
  // The last error of the queue is that of the call itself; those before are of what it called.
  if (const unsigned long code = ERR_peek_last_error(); code != 0)
    ERR_error_string_n(code, text, sizeof text);
  ERR_clear_error();
  return text;
}

Error files_error(std::string_view what, const std::string& file) {
  return Error{ErrorKind::kInvalid, "net-tls-files",
               fmt::format("cannot use {} `{}`: {}", what, file, last_error()),
               "a PEM file that this process can read; key and certificate must belong together"};
}

template <char... kName>
int select_protocol(SSL*, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* in, unsigned in_size, void*) {
  static constexpr unsigned char kWanted[] = {sizeof...(kName),
                                              static_cast<unsigned char>(kName)...};
  unsigned char* chosen = nullptr;
  // A client that offers other protocols only is told so now, instead of with an answer that it
  // cannot read. One that offers none does not come here.
  if (SSL_select_next_proto(&chosen, out_size, kWanted, sizeof kWanted, in, in_size) !=
      OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

std::shared_ptr<SSL_CTX> make_context(const SSL_METHOD* method) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(method), SSL_CTX_free);
  HEDDLE_CHECK(context != nullptr, "no memory for a TLS context");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  // A renegotiation costs the server much more than the client; compression beside secrets tells
  // about them (CRIME).
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                         SSL_OP_CIPHER_SERVER_PREFERENCE);
  // Writes are retried from the connection's own buffer, which may have moved and may hold more by
  // then. Idle connections give their 34 KiB of buffers back.
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  // Of TLS 1.2, with forward secrecy only; those of TLS 1.3 all have it.
  SSL_CTX_set_cipher_list(context.get(), "ECDHE+AESGCM:ECDHE+CHACHA20");
  return context;
}

Result<void> use_key(SSL_CTX* context, const std::string& cert, const std::string& key) {
  ERR_clear_error();
  if (SSL_CTX_use_certificate_chain_file(context, cert.c_str()) != 1)
    return files_error("the certificate", cert);
  if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1)
    return files_error("the key", key);
  // Each file may be in order and the two of different renewals.
  if (SSL_CTX_check_private_key(context) != 1) return files_error("the key", key);
  return {};
}

}  // namespace

Result<Digest> certificate_digest(const std::string& file) {
  ERR_clear_error();
  const std::unique_ptr<BIO, decltype(&BIO_free)> bytes(BIO_new_file(file.c_str(), "r"), BIO_free);
  if (bytes == nullptr) return files_error("the certificate", file);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(
      PEM_read_bio_X509(bytes.get(), nullptr, nullptr, nullptr), X509_free);
  Digest digest;
  unsigned int size = 0;
  if (certificate == nullptr ||
      X509_digest(certificate.get(), EVP_sha256(), digest.bytes.data(), &size) != 1)
    return files_error("the certificate", file);
  return digest;
}

TlsStream::TlsStream(ssl_ctx_st* context, int fd, bool server) : ssl_(SSL_new(context)) {
  HEDDLE_CHECK(ssl_ != nullptr, "no memory for a TLS stream");
  BIO* bio = BIO_new(socket_method());
  HEDDLE_CHECK(bio != nullptr, "no memory for a TLS stream");
  // The descriptor stays the connection's: this BIO has no function that closes it.
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(fd)));
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
  server ? SSL_set_accept_state(ssl_) : SSL_set_connect_state(ssl_);
}

TlsStream::~TlsStream() { SSL_free(ssl_); }

TlsStream::Handshake TlsStream::handshake() noexcept {
  ERR_clear_error();
  errno = 0;
  const int n = SSL_do_handshake(ssl_);
  if (n == 1) return Handshake::kDone;
  // Kept before anything else is called: SSL_get_error may change it.
  const int why = errno;
  switch (SSL_get_error(ssl_, n)) {
    case SSL_ERROR_WANT_READ: return Handshake::kWantRead;
    case SSL_ERROR_WANT_WRITE: return Handshake::kWantWrite;
    default: break;
  }
  const unsigned long code = ERR_peek_error();
  // A person who typed `http://` gets an answer that says so, and not a connection that breaks.
  const bool plain =
      ERR_GET_LIB(code) == ERR_LIB_SSL && (ERR_GET_REASON(code) == SSL_R_HTTP_REQUEST ||
                                           ERR_GET_REASON(code) == SSL_R_HTTPS_PROXY_REQUEST);
  // Why a certificate was refused says more than "certificate verify failed".
  if (const long verified = SSL_get_verify_result(ssl_); verified != X509_V_OK) {
    failure_ = X509_verify_cert_error_string(verified);
    ERR_clear_error();
  } else if (code == 0) {
    failure_ = why == 0 ? "the connection was closed" : "the connection was lost";
  } else {
    failure_ = last_error();
  }
  return plain ? Handshake::kPlainHttp : Handshake::kFailed;
}

ssize_t TlsStream::read(char* to, std::size_t most) noexcept {
  ERR_clear_error();
  std::size_t n = 0;
  errno = 0;
  const int ok = SSL_read_ex(ssl_, to, most, &n);
  if (ok == 1) return static_cast<ssize_t>(n);
  const int why = errno;
  switch (SSL_get_error(ssl_, ok)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: errno = EAGAIN; return -1;
    // The other side said goodbye (close_notify): an end as of a socket.
    case SSL_ERROR_ZERO_RETURN: return 0;
    default:
      ERR_clear_error();
      errno = why != 0 && why != EAGAIN ? why : ECONNRESET;
      return -1;  // an end without close_notify may be an attacker's
  }
}

ssize_t TlsStream::write(const char* from, std::size_t bytes) noexcept {
  ERR_clear_error();
  std::size_t n = 0;
  errno = 0;
  const int ok = SSL_write_ex(ssl_, from, bytes, &n);
  if (ok == 1) return static_cast<ssize_t>(n);
  const int why = errno;
  switch (SSL_get_error(ssl_, ok)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: errno = EAGAIN; return -1;
    default:
      ERR_clear_error();
      errno = why != 0 && why != EAGAIN ? why : EPIPE;
      return -1;
  }
}

bool TlsStream::pending() const noexcept { return SSL_has_pending(ssl_) == 1; }

void TlsStream::finish() noexcept {
  ERR_clear_error();
  // One way only: the other side's goodbye is not waited for, since the connection is closed next.
  (void)SSL_shutdown(ssl_);
  ERR_clear_error();
}

std::string_view TlsStream::protocol() const noexcept {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_, &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

Result<TlsContext> TlsContext::server(const TlsOptions& options, std::string_view protocol) {
  TlsContext made;
  made.context_ = make_context(TLS_server_method());
  SSL_CTX* context = made.context_.get();
  HEDDLE_TRY(use_key(context, options.cert_file, options.key_file));
  // gRPC clients refuse a server that does not choose `h2` itself.
  if (protocol == "h2") {
    SSL_CTX_set_alpn_select_cb(context, select_protocol<'h', '2'>, nullptr);
  } else {
    SSL_CTX_set_alpn_select_cb(context, select_protocol<'h', 't', 't', 'p', '/', '1', '.', '1'>,
                               nullptr);
  }
  // Without a name of its own, OpenSSL refuses to resume a session where client certificates are
  // asked for.
  static constexpr unsigned char kSessions[] = "heddle";
  SSL_CTX_set_session_id_context(context, kSessions, sizeof kSessions - 1);
  if (!options.client_ca_file.empty()) {
    STACK_OF(X509_NAME)* names = SSL_load_client_CA_file(options.client_ca_file.c_str());
    if (names == nullptr ||
        SSL_CTX_load_verify_file(context, options.client_ca_file.c_str()) != 1) {
      // The context owns the names only once it was given them.
      sk_X509_NAME_pop_free(names, X509_NAME_free);
      return files_error("the clients' authorities", options.client_ca_file);
    }
    // So that a client with several certificates sends the right one.
    SSL_CTX_set_client_CA_list(context, names);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return made;
}

Result<TlsContext> TlsContext::client(const TlsClientOptions& options) {
  TlsContext made;
  made.context_ = make_context(TLS_client_method());
  SSL_CTX* context = made.context_.get();
  ERR_clear_error();
  // Without a file of its own a client trusts what the machine trusts.
  if (options.ca_file.empty()) {
    SSL_CTX_set_default_verify_paths(context);
  } else if (SSL_CTX_load_verify_file(context, options.ca_file.c_str()) != 1) {
    return files_error("the authorities", options.ca_file);
  }
  if (!options.cert_file.empty()) HEDDLE_TRY(use_key(context, options.cert_file, options.key_file));
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  static constexpr unsigned char kHttp[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  SSL_CTX_set_alpn_protos(context, kHttp, sizeof kHttp);
  return made;
}

std::unique_ptr<TlsStream> TlsContext::accept(int fd) const {
  return std::unique_ptr<TlsStream>(new TlsStream(context_.get(), fd, true));
}

std::unique_ptr<TlsStream> TlsContext::connect(int fd, const std::string& host) const {
  std::unique_ptr<TlsStream> stream(new TlsStream(context_.get(), fd, false));
  unsigned char address[16];
  // A certificate names addresses and hosts in different fields, and SNI (RFC 6066) allows no
  // address.
  const bool is_address = ::inet_pton(AF_INET, host.c_str(), address) == 1 ||
                          ::inet_pton(AF_INET6, host.c_str(), address) == 1;
  X509_VERIFY_PARAM* verify = SSL_get0_param(stream->ssl_);
  if (is_address) {
    HEDDLE_CHECK(X509_VERIFY_PARAM_set1_ip_asc(verify, host.c_str()) == 1,
                 "an address that is none");
  } else {
    HEDDLE_CHECK(SSL_set1_host(stream->ssl_, host.c_str()) == 1, "no memory for a name");
    SSL_set_tlsext_host_name(stream->ssl_, host.c_str());
  }
  return stream;
}

}  // namespace heddle::net
