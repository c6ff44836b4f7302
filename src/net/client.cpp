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

/// False when it is no HTTP head.
bool read_reply_head(std::string_view head, ReplyHead& out) {
  if (!head.starts_with("HTTP/1.") || head.size() < 12) return false;
  out.keep_alive = head[7] == '1';
  if (std::from_chars(head.data() + 9, head.data() + 12, out.status).ec != std::errc{})
    return false;
  for (std::size_t at = head.find("\r\n"); at != std::string_view::npos && at + 2 < head.size();) {
    const std::size_t next = head.find("\r\n", at + 2);
    const std::string_view line =
        head.substr(at + 2, next == std::string_view::npos ? next : next - at - 2);
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos) {
      const std::string_view name = line.substr(0, colon);
      std::string_view value = line.substr(colon + 1);
      while (value.starts_with(' ')) value.remove_prefix(1);
      while (value.ends_with(' ')) value.remove_suffix(1);
      if (same_token(name, "content-length")) {
        const auto parsed = std::from_chars(value.data(), value.data() + value.size(), out.length);
        out.has_length = parsed.ec == std::errc{} && parsed.ptr == value.data() + value.size();
        if (!out.has_length) return false;
      } else if (same_token(name, "transfer-encoding")) {
        out.chunked = same_token(value, "chunked");
        if (!out.chunked) return false;
      } else if (same_token(name, "connection")) {
        if (same_token(value, "close")) out.keep_alive = false;
      }
    }
    at = next;
  }
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
    std::string_view value = line.substr(colon + 1);
    while (value.starts_with(' ') || value.starts_with('\t')) value.remove_prefix(1);
    while (value.ends_with(' ') || value.ends_with('\t')) value.remove_suffix(1);
    return value;
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
  const auto finish = [&](int result) -> Result<void> {
    if (result == 0) return {};
    if (errno == EINPROGRESS || errno == EAGAIN) {
      if (!wait_for(fd_, POLLOUT, deadline_ns)) {
        close();
        return timed_out(options_);
      }
      int error = 0;
      socklen_t size = sizeof error;
      ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
      if (error == 0) return {};
      errno = error;
    }
    Error error = no_answer(options_, std::strerror(errno));
    close();
    return error;
  };
  if (!options_.unix_path.empty()) {
    HEDDLE_ASSIGN_OR_RETURN(const UnixAddress address, UnixAddress::make(options_.unix_path));
    fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd_ < 0) return no_answer(options_, std::strerror(errno));
    return finish(::connect(fd_, address.get(), UnixAddress::size()));
  }
  addrinfo hints{};
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failed = ::getaddrinfo(options_.host.c_str(), fmt::format("{}", options_.port).c_str(),
                                   &hints, &found);
  if (failed != 0 || found == nullptr) return no_answer(options_, ::gai_strerror(failed));
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd_ < 0) {
    ::freeaddrinfo(found);
    return no_answer(options_, std::strerror(errno));
  }
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const int result = ::connect(fd_, found->ai_addr, found->ai_addrlen);
  const int why = errno;
  ::freeaddrinfo(found);
  errno = why;
  HEDDLE_TRY(finish(result));
  return options_.tls ? agree(deadline_ns) : Result<void>{};
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
  return n >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

Result<HttpClient::Reply> HttpClient::exchange(std::string_view request, std::string_view method,
                                               std::int64_t deadline_ns) {
  while (!request.empty()) {
    const ssize_t n = tls_ ? tls_->write(request.data(), request.size())
                           : ::send(fd_, request.data(), request.size(), MSG_NOSIGNAL);
    if (n >= 0) {
      request.remove_prefix(static_cast<std::size_t>(n));
      continue;
    }
    if (errno == EINTR) continue;
    // A server may answer before it read all, for example 413: then its answer counts.
    if (errno == EPIPE || errno == ECONNRESET) break;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return no_answer(options_, std::strerror(errno));
    if (!wait_for(fd_, static_cast<short>(tls_ ? POLLOUT : POLLOUT | POLLIN), deadline_ns))
      return timed_out(options_);
    char peek = 0;
    if (!tls_ && ::recv(fd_, &peek, 1, MSG_PEEK | MSG_DONTWAIT) > 0) break;
  }
  const bool whole_sent = request.empty();
  ReplyHead head;
  ChunkedReader chunks;
  in_.clear();
  std::size_t used = 0;
  while (true) {
    if (used + 16384 > in_.size()) in_.resize(std::max<std::size_t>(in_.size() * 2, used + 32768));
    const ssize_t n = tls_ ? tls_->read(in_.data() + used, in_.size() - used)
                           : ::recv(fd_, in_.data() + used, in_.size() - used, 0);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) return no_answer(options_, std::strerror(errno));
      if (!wait_for(fd_, POLLIN, deadline_ns)) return timed_out(options_);
      continue;
    }
    used += static_cast<std::size_t>(n);
    while (head.bytes == 0) {
      const std::size_t end = std::string_view(in_.data(), used).find("\r\n\r\n");
      if (end == std::string_view::npos) break;
      if (!read_reply_head({in_.data(), end + 2}, head))
        return no_http(options_, "no status line or framing");
      head.bytes = end + 4;
      if (head.status >= 100 && head.status < 200) {  // an interim answer
        in_.erase(0, head.bytes);
        used -= head.bytes;
        head = ReplyHead{};
        continue;
      }
      if (head.status == 204 || head.status == 304 || method == "HEAD")
        head.has_length = true, head.length = 0, head.chunked = false;
    }
    if (head.bytes == 0) {
      if (n == 0) return no_answer(options_, "the connection was closed");
      if (used > (64 << 10)) return no_http(options_, "the head has no end");
      continue;
    }
    if (used - head.bytes > options_.max_response || head.length > options_.max_response) {
      return Error{ErrorKind::kTooLarge, "net-reply-too-large",
                   fmt::format("the answer of `{}` is over {} bytes", place(options_),
                               options_.max_response),
                   "ask for less"};
    }
    std::size_t length = 0;
    bool done = false;
    if (head.chunked) {
      const auto state =
          chunks.read(in_.data() + head.bytes, used - head.bytes, options_.max_response);
      if (state == ChunkedReader::State::kBad || state == ChunkedReader::State::kTooLarge)
        return no_http(options_, "a malformed chunk");
      done = state == ChunkedReader::State::kDone;
      length = chunks.body_bytes();
    } else if (head.has_length) {
      done = used >= head.bytes + head.length;
      length = head.length;
    } else {
      done = n == 0;  // it ends with the connection
      head.keep_alive = false;
      length = used - head.bytes;
    }
    if (done) {
      Reply reply{head.status, in_.substr(head.bytes, length), in_.substr(0, head.bytes - 2)};
      if (!head.keep_alive || !whole_sent) close();
      return reply;
    }
    if (n == 0) return no_answer(options_, "the connection was closed before the answer was whole");
  }
}

Result<HttpClient::Reply> HttpClient::send(
    std::string_view method, std::string_view target, std::string_view body,
    const std::vector<std::pair<std::string, std::string>>& headers, std::int64_t timeout_ms) {
  const std::int64_t deadline =
      system_clock().mono_ns() + (timeout_ms > 0 ? timeout_ms : options_.timeout_ms) * 1'000'000;
  if (fd_ >= 0 && lost()) close();  // a server that closed while we were idle is no reason to fail
  std::string request =
      fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n", method, target,
                  options_.unix_path.empty() ? fmt::format("{}:{}", options_.host, options_.port)
                                             : "localhost");
  if (!options_.token.empty())
    request += fmt::format("Authorization: Bearer {}\r\n", options_.token);
  bool typed = false;
  for (const auto& [name, value] : headers) {
    typed = typed || same_token(name, "content-type");
    request += fmt::format("{}: {}\r\n", name, value);
  }
  if (!body.empty() && !typed) request += "Content-Type: application/json\r\n";
  if (!body.empty() || method == "POST" || method == "PUT")
    request += fmt::format("Content-Length: {}\r\n", body.size());
  request += "\r\n";
  request += body;

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
  url.tls = text.starts_with("https://");
  if (url.tls) url.port = 443;
  if (!url.tls && !text.starts_with("http://")) return invalid();
  std::string_view rest = text.substr(url.tls ? 8 : 7);
  const std::size_t slash = rest.find('/');
  if (slash != std::string_view::npos) url.target = rest.substr(slash);
  const std::string_view authority = rest.substr(0, slash);
  const std::size_t colon = authority.find(':');
  url.host = authority.substr(0, colon);
  if (colon != std::string_view::npos) {
    const std::string_view port = authority.substr(colon + 1);
    const auto parsed = std::from_chars(port.data(), port.data() + port.size(), url.port);
    if (parsed.ec != std::errc{} || parsed.ptr != port.data() + port.size() || url.port < 1 ||
        url.port > 65535)
      return invalid();
  }
  const auto bad = [](char c) { return c <= 0x20 || c >= 0x7f || c == '@' || c == '#'; };
  if (url.host.empty() || std::any_of(url.host.begin(), url.host.end(), bad) ||
      std::any_of(url.target.begin(), url.target.end(), bad))
    return invalid();
  return url;
}

}  // namespace heddle::net
