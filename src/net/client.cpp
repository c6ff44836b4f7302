#include "net/client.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.hpp"
#include "net/http.hpp"
#include "net/listener.hpp"

namespace heddle::net {
namespace {

std::string place(const HttpClient::Options& options) {
  return options.unix_path.empty() ? fmt::format("{}:{}", options.host, options.port)
                                   : options.unix_path;
}

/// Waits until `fd` is ready for `events`; false once the deadline passed.
bool wait_for(int fd, short events, std::int64_t deadline_ns) {
  while (true) {
    const std::int64_t left = deadline_ns - system_clock().mono_ns();
    if (left <= 0) return false;
    pollfd poll_fd{fd, events, 0};
    const int n =
        ::poll(&poll_fd, 1, static_cast<int>(std::min<std::int64_t>(left / 1'000'000 + 1, 60'000)));
    if (n > 0) return true;
    if (n < 0 && errno != EINTR) return true;  // the next call on the socket says what is wrong
  }
}

Error timed_out(const HttpClient::Options& options) {
  return Error{ErrorKind::kTimeout, "net-timeout",
               fmt::format("no whole answer from `{}` in time", place(options)),
               "see its log, or allow more time"};
}
Error no_answer(const HttpClient::Options& options, std::string_view what) {
  return Error{ErrorKind::kUnavailable, "net-no-answer",
               fmt::format("no answer from `{}`: {}", place(options), what), "check that it runs"};
}
Error no_http(const HttpClient::Options& options, std::string_view what) {
  return Error{ErrorKind::kCorrupt, "net-not-http",
               fmt::format("`{}` does not answer in HTTP: {}", place(options), what),
               "check the address"};
}

struct ReplyHead {
  int status = 0;
  std::size_t bytes = 0;
  bool keep_alive = true;
  bool chunked = false;
  bool has_length = false;
  std::size_t length = 0;
};

/// Whether the call on a socket that failed has only to be made again later.
bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK; }

std::string_view without_spaces(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

/// What a header line says about the framing of the reply; false when it is malformed.
bool read_reply_header(std::string_view line, ReplyHead& out) {
  const std::size_t colon = line.find(':');
  // The status line, or a line that says nothing of the framing.
  if (colon == std::string_view::npos) return true;
  const std::string_view name = line.substr(0, colon);
  std::string_view value = line.substr(colon + 1);
  while (value.starts_with(' ')) value.remove_prefix(1);
  while (value.ends_with(' ')) value.remove_suffix(1);
  if (same_token(name, "content-length")) {
    const auto parsed = std::from_chars(value.data(), value.data() + value.size(), out.length);
    out.has_length = parsed.ec == std::errc{} && parsed.ptr == value.data() + value.size();
    return out.has_length;
  }
  if (same_token(name, "transfer-encoding")) {
    // Another coding, for example gzip before it, is not read: the reply is refused and not guessed
    // at.
    out.chunked = same_token(value, "chunked");
    return out.chunked;
  }
  if (same_token(name, "connection") && same_token(value, "close")) out.keep_alive = false;
  return true;
}

/// False when it is no HTTP head.
bool read_reply_head(std::string_view head, ReplyHead& out) {
  if (!head.starts_with("HTTP/1.") || head.size() < 12) return false;
  // HTTP/1.0 closes after each reply, unless it says otherwise, which is not asked for.
  out.keep_alive = head[7] == '1';
  if (std::from_chars(head.data() + 9, head.data() + 12, out.status).ec != std::errc{})
    return false;
  for (std::size_t at = head.find("\r\n"); at != std::string_view::npos && at + 2 < head.size();) {
    const std::size_t next = head.find("\r\n", at + 2);
    const std::string_view line =
        head.substr(at + 2, next == std::string_view::npos ? next : next - at - 2);
    if (!read_reply_header(line, out)) return false;
    at = next;
  }
  return true;
}

/// Finds the end of one reply in the bytes that came so far.
class ReplyReader {
 public:
  ReplyReader(const HttpClient::Options& options, bool head_only)
      : options_(options), head_only_(head_only) {}

  /// The first `used` bytes of `in` are there; `ended`: no more will come. True: it is whole.
  [[nodiscard]] Result<bool> read(std::string& in, std::size_t& used, bool ended) {
    HEDDLE_TRY(read_head(in, used));
    if (head_.bytes == 0) {
      if (ended) return no_answer(options_, "the connection was closed");
      if (used > (64 << 10)) return no_http(options_, "the head has no end");
      return false;
    }
    // Also by what the head says: there is no need to read a gigabyte to know that it is one.
    if (used - head_.bytes > options_.max_response || head_.length > options_.max_response) {
      return Error{ErrorKind::kTooLarge, "net-reply-too-large",
                   fmt::format("the answer of `{}` is over {} bytes", place(options_),
                               options_.max_response),
                   "ask for less"};
    }
    HEDDLE_ASSIGN_OR_RETURN(const bool whole, read_body(in, used, ended));
    if (ended && !whole)
      return no_answer(options_, "the connection was closed before the answer was whole");
    return whole;
  }

  [[nodiscard]] HttpClient::Reply reply(const std::string& in) const {
    return {head_.status, in.substr(head_.bytes, length_), in.substr(0, head_.bytes - 2)};
  }
  [[nodiscard]] bool keep_alive() const noexcept { return head_.keep_alive; }

 private:
  Result<void> read_head(std::string& in, std::size_t& used) {
    while (head_.bytes == 0) {
      const std::size_t end = std::string_view(in.data(), used).find("\r\n\r\n");
      if (end == std::string_view::npos) return {};
      if (!read_reply_head({in.data(), end + 2}, head_))
        return no_http(options_, "no status line or framing");
      head_.bytes = end + 4;
      if (head_.status >= 100 && head_.status < 200) {  // an interim answer: the real one follows
        in.erase(0, head_.bytes);
        used -= head_.bytes;
        head_ = ReplyHead{};
        continue;
      }
      // These have no body, whatever their headers say of one.
      if (head_.status == 204 || head_.status == 304 || head_only_)
        head_.has_length = true, head_.length = 0, head_.chunked = false;
    }
    return {};
  }

  Result<bool> read_body(std::string& in, std::size_t used, bool ended) {
    if (head_.chunked) {
      const auto state =
          chunks_.read(in.data() + head_.bytes, used - head_.bytes, options_.max_response);
      if (state == ChunkedReader::State::kBad || state == ChunkedReader::State::kTooLarge)
        return no_http(options_, "a malformed chunk");
      length_ = chunks_.body_bytes();
      return state == ChunkedReader::State::kDone;
    }
    if (head_.has_length) {
      length_ = head_.length;
      return used >= head_.bytes + head_.length;
    }
    head_.keep_alive = false;  // it ends with the connection
    length_ = used - head_.bytes;
    return ended;
  }

  const HttpClient::Options& options_;
  bool head_only_;
  ReplyHead head_;
  ChunkedReader chunks_;
  std::size_t length_ = 0;  ///< of the body
};

/// Begins to connect a socket, which is put into `fd`; the result of ::connect, with its errno.
Result<int> begin_unix(const HttpClient::Options& options, int& fd) {
  HEDDLE_ASSIGN_OR_RETURN(const UnixAddress address, UnixAddress::make(options.unix_path));
  fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return no_answer(options, std::strerror(errno));
  return ::connect(fd, address.get(), UnixAddress::size());
}

Result<int> begin_tcp(const HttpClient::Options& options, int& fd) {
  addrinfo hints{};
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failed =
      ::getaddrinfo(options.host.c_str(), fmt::format("{}", options.port).c_str(), &hints, &found);
  if (failed != 0 || found == nullptr) return no_answer(options, ::gai_strerror(failed));
  fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) {
    ::freeaddrinfo(found);
    return no_answer(options, std::strerror(errno));
  }
  const int on = 1;
  // A request is written at once: to wait for more to send only delays the answer.
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const int result = ::connect(fd, found->ai_addr, found->ai_addrlen);
  const int why = errno;
  ::freeaddrinfo(found);  // it may change errno, which says how the connection went
  errno = why;
  return result;
}

/// Waits until it is known how ::connect, which gave `result`, went.
Result<void> finish_connect(const HttpClient::Options& options, int fd, int result,
                            std::int64_t deadline_ns) {
  if (result == 0) return {};
  int error = errno;
  // EAGAIN is a Unix socket's word for a full queue of connections.
  if (error == EINPROGRESS || error == EAGAIN) {
    if (!wait_for(fd, POLLOUT, deadline_ns)) return timed_out(options);
    socklen_t size = sizeof error;
    ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  }
  if (error == 0) return {};
  return no_answer(options, std::strerror(error));
}

/// A connected socket, in clear or with TLS.
struct Wire {
  int fd;
  TlsStream* tls;

  [[nodiscard]] ssize_t send(std::string_view bytes) const {
    return tls != nullptr ? tls->write(bytes.data(), bytes.size())
                          : ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  [[nodiscard]] ssize_t receive(char* to, std::size_t most) const {
    return tls != nullptr ? tls->read(to, most) : ::recv(fd, to, most, 0);
  }
  /// Whether something has come, as far as it shows without being read.
  [[nodiscard]] bool has_input() const {
    char peek = 0;
    return tls == nullptr && ::recv(fd, &peek, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
  }
};

/// False: the server answered, or closed, before it took the whole request.
Result<bool> send_whole(const HttpClient::Options& options, const Wire& wire,
                        std::string_view request, std::int64_t deadline_ns) {
  while (!request.empty()) {
    const ssize_t n = wire.send(request);
    if (n >= 0) {
      request.remove_prefix(static_cast<std::size_t>(n));
      continue;
    }
    if (errno == EINTR) continue;
    // A server may answer before it read all, for example 413: then its answer counts.
    if (errno == EPIPE || errno == ECONNRESET) return false;
    if (!would_block()) return no_answer(options, std::strerror(errno));
    // In clear, an answer that comes early is seen while the request is still being sent.
    const int events = wire.tls != nullptr ? POLLOUT : POLLOUT | POLLIN;
    if (!wait_for(wire.fd, static_cast<short>(events), deadline_ns)) return timed_out(options);
    if (wire.has_input()) return false;
  }
  return true;
}

/// Puts what comes next at `in[used]`; 0: the server closed its side.
Result<std::size_t> receive(const HttpClient::Options& options, const Wire& wire, std::string& in,
                            std::size_t used, std::int64_t deadline_ns) {
  // Doubled: a large reply is copied a few times, and not once a read.
  if (used + 16384 > in.size()) in.resize(std::max<std::size_t>(in.size() * 2, used + 32768));
  while (true) {
    const ssize_t n = wire.receive(in.data() + used, in.size() - used);
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno == EINTR) continue;
    if (!would_block()) return no_answer(options, std::strerror(errno));
    if (!wait_for(wire.fd, POLLIN, deadline_ns)) return timed_out(options);
  }
}

/// The request as it is sent.
std::string request_text(const HttpClient::Options& options, std::string_view method,
                         std::string_view target, std::string_view body,
                         const std::vector<std::pair<std::string, std::string>>& headers) {
  std::string request = fmt::format(
      "{} {} HTTP/1.1\r\nHost: {}\r\n", method, target,
      options.unix_path.empty() ? fmt::format("{}:{}", options.host, options.port) : "localhost");
  if (!options.token.empty()) request += fmt::format("Authorization: Bearer {}\r\n", options.token);
  bool typed = false;
  for (const auto& [name, value] : headers) {
    typed = typed || same_token(name, "content-type");
    request += fmt::format("{}: {}\r\n", name, value);
  }
  if (!body.empty() && !typed) request += "Content-Type: application/json\r\n";
  // A server may wait for the body of a POST or PUT until it knows that there is none.
  if (!body.empty() || method == "POST" || method == "PUT")
    request += fmt::format("Content-Length: {}\r\n", body.size());
  request += "\r\n";
  request += body;
  return request;
}

/// The port behind a URL's colon; false when it is none.
bool read_port(std::string_view text, int& port) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), port);
  return parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size() && port >= 1 &&
         port <= 65535;
}

/// Whether a host or target has no character that would end it for another reader, or hide a user.
bool is_plain(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return c <= 0x20 || c >= 0x7f || c == '@' || c == '#'; });
}

/// Takes `prefix` off the front of `text`; false where it is not there.
bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

std::string_view HttpClient::Reply::header(std::string_view name) const noexcept {
  std::string_view rest = head;
  for (std::size_t end = rest.find("\r\n"); end != std::string_view::npos;
       end = rest.find("\r\n")) {
    rest.remove_prefix(end + 2);
    const std::string_view line = rest.substr(0, rest.find("\r\n"));
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !same_token(line.substr(0, colon), name)) continue;
    return without_spaces(line.substr(colon + 1));
  }
  return {};
}

HttpClient::HttpClient(Options options) : options_(std::move(options)) {}
HttpClient::~HttpClient() { close(); }
HttpClient::HttpClient(HttpClient&& other) noexcept
    : options_(std::move(other.options_)),
      context_(std::move(other.context_)),
      tls_(std::move(other.tls_)),
      fd_(std::exchange(other.fd_, -1)),
      in_(std::move(other.in_)) {}

void HttpClient::close() noexcept {
  if (fd_ >= 0 && tls_) tls_->finish();
  tls_.reset();
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  in_.clear();
}

Result<void> HttpClient::connect(std::int64_t deadline_ns) {
  const bool is_unix = !options_.unix_path.empty();
  HEDDLE_ASSIGN_OR_RETURN(const int result,
                          is_unix ? begin_unix(options_, fd_) : begin_tcp(options_, fd_));
  if (auto connected = finish_connect(options_, fd_, result, deadline_ns); !connected.ok()) {
    close();
    return connected.error();
  }
  return options_.tls && !is_unix ? agree(deadline_ns) : Result<void>{};
}

/// The TLS handshake on a connected socket.
Result<void> HttpClient::agree(std::int64_t deadline_ns) {
  if (!context_) {
    auto context = TlsContext::client(*options_.tls);
    if (!context.ok()) {
      close();
      return context.error();
    }
    context_ = std::move(*context);
  }
  tls_ = context_.connect(fd_, options_.host);
  while (true) {
    short events = POLLIN;
    switch (tls_->handshake()) {
      case TlsStream::Handshake::kDone: return {};
      case TlsStream::Handshake::kWantRead: break;
      case TlsStream::Handshake::kWantWrite: events = POLLOUT; break;
      case TlsStream::Handshake::kPlainHttp:
      case TlsStream::Handshake::kFailed: {
        Error error{ErrorKind::kUnauthenticated, "net-tls",
                    fmt::format("no TLS with `{}`: {}", place(options_), tls_->failure()),
                    "see the server's certificate, and the authorities that this client trusts"};
        close();
        return error;
      }
    }
    if (!wait_for(fd_, events, deadline_ns)) {
      close();
      return timed_out(options_);
    }
  }
}

/// Whether a connection kept from before has ended, or brings what nobody asked for.
bool HttpClient::lost() noexcept {
  char peek = 0;
  // TLS has records of its own, tickets for one: they are read, data is not expected.
  const ssize_t n = tls_ ? tls_->read(&peek, 1) : ::recv(fd_, &peek, 1, MSG_PEEK | MSG_DONTWAIT);
  return n >= 0 || !would_block();
}

Result<HttpClient::Reply> HttpClient::exchange(std::string_view request, std::string_view method,
                                               std::int64_t deadline_ns) {
  const Wire wire{fd_, tls_.get()};
  HEDDLE_ASSIGN_OR_RETURN(const bool whole_sent, send_whole(options_, wire, request, deadline_ns));
  ReplyReader reader(options_, method == "HEAD");
  in_.clear();
  std::size_t used = 0;
  bool whole = false;
  while (!whole) {
    HEDDLE_ASSIGN_OR_RETURN(const std::size_t n, receive(options_, wire, in_, used, deadline_ns));
    used += n;
    HEDDLE_ASSIGN_OR_RETURN(whole, reader.read(in_, used, n == 0));
  }
  Reply reply = reader.reply(in_);
  if (!reader.keep_alive() || !whole_sent) close();
  return reply;
}

Result<HttpClient::Reply> HttpClient::send(
    std::string_view method, std::string_view target, std::string_view body,
    const std::vector<std::pair<std::string, std::string>>& headers, std::int64_t timeout_ms) {
  const std::int64_t deadline =
      system_clock().mono_ns() + (timeout_ms > 0 ? timeout_ms : options_.timeout_ms) * 1'000'000;
  if (fd_ >= 0 && lost()) close();  // a server that closed while we were idle is no reason to fail
  const std::string request = request_text(options_, method, target, body, headers);
  if (fd_ < 0) HEDDLE_TRY(connect(deadline));
  Result<Reply> reply = exchange(request, method, deadline);
  if (!reply.ok()) close();
  return reply;
}

Result<Url> parse_url(std::string_view text) {
  const auto invalid = [&] {
    return Error{ErrorKind::kInvalid, "net-url",
                 fmt::format("`{}` is not an http or https URL", text),
                 "for example http://127.0.0.1:9000/hook"};
  };
  Url url;
  std::string_view rest = text;
  if (take_prefix(rest, "https://")) {
    url.tls = true;
    url.port = 443;
  } else if (!take_prefix(rest, "http://")) {
    return invalid();
  }
  const std::size_t slash = rest.find('/');
  if (slash != std::string_view::npos) url.target = rest.substr(slash);
  const std::string_view authority = rest.substr(0, slash);
  const std::size_t colon = authority.find(':');
  url.host = authority.substr(0, colon);
  if (colon != std::string_view::npos && !read_port(authority.substr(colon + 1), url.port))
    return invalid();
  if (url.host.empty() || !is_plain(url.host) || !is_plain(url.target)) return invalid();
  return url;
}

}  // namespace heddle::net
