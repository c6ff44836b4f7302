#include "net/http.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

namespace heddle::net {
namespace {

constexpr std::array<bool, 256> make_token_table() {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (const char c :
       {'!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~'}) {
    table[static_cast<unsigned char>(c)] = true;
  }
  return table;
}
constexpr auto kToken = make_token_table();

bool is_token(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](char c) { return kToken[static_cast<unsigned char>(c)]; });
}

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool is_host(std::string_view host) noexcept {
  return std::all_of(host.begin(), host.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '-' || c == '_' || c == ':' || c == '[' || c == ']';
  });
}

// Eight bytes at a time (S. Anderson, Bit Twiddling Hacks, "Determine if a word has a byte less
// than n"): the high bit of some byte is set exactly when there is one.
constexpr std::uint64_t kOnes = 0x0101010101010101, kHighs = 0x8080808080808080;
constexpr std::uint64_t any_below(std::uint64_t word, std::uint64_t n) noexcept {
  return (word - kOnes * n) & ~word & kHighs;
}
constexpr std::uint64_t any_equal(std::uint64_t word, std::uint64_t byte) noexcept {
  return any_below(word ^ (kOnes * byte), 1);
}

/// Eight bytes, ASCII capitals made small.
std::uint64_t lower_word(const char* at) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, at, 8);
  // Nothing carries from byte to byte: each sum is below 0x100.
  const std::uint64_t low = word & ~kHighs;
  const std::uint64_t from_a = low + kOnes * (0x80 - 'A'), past_z = low + kOnes * (0x80 - 'Z' - 1);
  return word | ((from_a & ~past_z & ~word & kHighs) >> 2);
}

/// The first control character but a tab; `end` when there is none.
const char* find_control(const char* at, const char* end) noexcept {
  static_assert(std::endian::native == std::endian::little);
  for (; end - at >= 8; at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, 8);
    // The lowest high bit is exact, what is above it may be a borrow's.
    const std::uint64_t found = any_below(word, 0x20) | any_equal(word, 0x7f);
    if (found == 0) continue;
    at += std::countr_zero(found) / 8;
    if (*at != '\t') return at;
    at -= 7;  // goes on behind it
  }
  const auto is_control = [](char c) {
    return c != '\t' && (static_cast<unsigned char>(c) < 0x20 || c == 0x7f);
  };
  return std::find_if(at, end, is_control);
}

bool is_target(std::string_view target) noexcept {
  std::size_t at = 0;
  for (; at + 8 <= target.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, target.data() + at, 8);
    if ((any_below(word, 0x21) | any_equal(word, 0x7f) | any_equal(word, '#') | (word & kHighs)) !=
        0)
      return false;
  }
  return std::all_of(target.begin() + static_cast<std::ptrdiff_t>(at), target.end(),
                     [](char c) { return c > 0x20 && c < 0x7f && c != '#'; });
}

/// What one header means for the framing of the message; empty when it is fine.
class Framing {
 public:
  explicit Framing(RequestHead& head) : head_(head) {}

  [[nodiscard]] std::string_view take(std::string_view name, std::string_view value) noexcept {
    // The first letter tells apart nearly everything that does not matter here.
    switch (lower(name.front())) {
      case 'a':
        // One reader believes the first, another the last.
        if (!same_token(name, "authorization")) return {};
        if (authorization_) return "several Authorization headers";
        authorization_ = true;
        return {};
      case 'c':
        if (same_token(name, "content-length")) return content_length(value);
        if (same_token(name, "connection")) connection(value);
        if (!same_token(name, "content-encoding")) return {};
        if (content_encoding_) return "several Content-Encoding headers";
        content_encoding_ = true;
        return {};
      case 't':
        if (!same_token(name, "transfer-encoding")) return {};
        if (transfer_encoding_) return "several Transfer-Encoding headers";
        transfer_encoding_ = true;
        if (!same_token(value, "chunked")) return "a Transfer-Encoding other than `chunked`";
        head_.chunked = true;
        return {};
      case 'h':
        if (!same_token(name, "host")) return {};
        if (host_) return "several Host headers";
        host_ = true;
        head_.host = value;
        return is_host(value) ? std::string_view{} : "a malformed Host header";
      case 'e':
        if (!same_token(name, "expect")) return {};
        if (!same_token(value, "100-continue")) return "an Expect other than `100-continue`";
        head_.expect_continue = true;
        return {};
      case 'i':
        if (!same_token(name, "inference-header-content-length")) return {};
        if (json_length_) return "several Inference-Header-Content-Length headers";
        json_length_ = true;
        return {};
      case 'o':
        if (!same_token(name, "origin")) return {};
        if (origin_) return "several Origin headers";
        origin_ = true;
        head_.origin = value;
        return {};
      default: return {};
    }
  }

  [[nodiscard]] std::string_view finish() const noexcept {
    if (transfer_encoding_ && head_.content_length.has_value())
      return "both Content-Length and Transfer-Encoding";
    if (transfer_encoding_ && head_.http_1_0) return "Transfer-Encoding in HTTP/1.0";
    if (!head_.http_1_0 && (!host_ || head_.host.empty())) return "no Host header";
    return {};
  }

 private:
  std::string_view content_length(std::string_view value) noexcept {
    if (head_.content_length.has_value()) return "several Content-Length headers";
    if (value.empty() || value.size() > 18) return "a malformed Content-Length";
    std::uint64_t length = 0;
    for (const char c : value) {
      if (c < '0' || c > '9') return "a malformed Content-Length";
      length = length * 10 + static_cast<std::uint64_t>(c - '0');
    }
    head_.content_length = length;
    return {};
  }

  void connection(std::string_view value) noexcept {
    while (!value.empty()) {
      const std::size_t comma = value.find(',');
      const std::string_view token = trim(value.substr(0, comma));
      if (same_token(token, "close")) head_.keep_alive = false;
      if (same_token(token, "keep-alive") && head_.http_1_0) head_.keep_alive = true;
      value.remove_prefix(comma == std::string_view::npos ? value.size() : comma + 1);
    }
  }

  RequestHead& head_;
  bool transfer_encoding_ = false;
  bool host_ = false;
  bool origin_ = false;
  bool authorization_ = false;
  bool content_encoding_ = false;
  bool json_length_ = false;
};

/// The next line without its CRLF. False: `reason` is set when it is malformed, else more bytes are
/// needed.
bool next_line(std::string_view bytes, std::size_t& at, std::string_view& line,
               std::string_view& reason) noexcept {
  const void* found = std::memchr(bytes.data() + at, '\n', bytes.size() - at);
  const std::size_t end =
      found == nullptr ? bytes.size()
                       : static_cast<std::size_t>(static_cast<const char*>(found) - bytes.data());
  if (found == nullptr) return false;
  if (end == at || bytes[end - 1] != '\r') {
    reason = "a line that ends without CR";
    return false;
  }
  line = bytes.substr(at, end - at - 1);
  at = end + 1;
  return true;
}

std::string_view read_request_line(std::string_view line, RequestHead& head,
                                   bool& unsupported) noexcept {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || last == first) return "a malformed request line";
  head.method = line.substr(0, first);
  head.target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (!is_token(head.method) || head.method.size() > 16) return "a malformed method";
  if (head.target.empty() || head.target.front() != '/') return "a target that is not a path";
  if (!is_target(head.target)) return "a malformed target";
  if (version == "HTTP/1.1") {
    head.http_1_0 = false;
  } else if (version == "HTTP/1.0") {
    head.http_1_0 = true;
    head.keep_alive = false;
  } else {
    unsupported = version.starts_with("HTTP/") && version.size() == 8;
    return "a version other than HTTP/1.1 and HTTP/1.0";
  }
  return {};
}

}  // namespace

bool same_token(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  if (a.size() < 8)
    return std::equal(a.begin(), a.end(), b.begin(),
                      [](char x, char y) { return lower(x) == lower(y); });
  const auto same = [&](std::size_t at) {
    return lower_word(a.data() + at) == lower_word(b.data() + at);
  };
  for (std::size_t at = 0; at + 8 < a.size(); at += 8) {
    if (!same(at)) return false;
  }
  return same(a.size() - 8);
}

std::string_view Request::header(std::string_view name) const noexcept {
  for (const Header& header : headers) {
    if (same_token(header.name, name)) return header.value;
  }
  return {};
}

std::string_view Request::bearer() const noexcept { return bearer_token(header("authorization")); }

std::string_view bearer_token(std::string_view value) noexcept {
  if (value.size() < 8 || !same_token(value.substr(0, 7), "bearer ")) return {};
  return trim(value.substr(7));
}

std::string_view status_text(int status) noexcept {
  switch (status) {
    case 200: return "OK";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 421: return "Misdirected Request";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "Unknown";
  }
}

HeadResult read_head(std::string_view bytes, std::size_t max_bytes, std::size_t max_headers,
                     RequestHead& head, std::vector<Header>& headers, std::string_view& reason) {
  head = RequestHead{};
  headers.clear();
  reason = {};
  const std::string_view window = bytes.substr(0, max_bytes);
  const auto more = [&] {
    if (!reason.empty()) return HeadResult::kBad;
    if (bytes.size() >= max_bytes) {
      reason = "a head over the limit";
      return HeadResult::kTooLarge;
    }
    return HeadResult::kNeedMore;
  };
  // What cannot become a method (a TLS greeting, for one) is told at once.
  if (!window.empty() && !kToken[static_cast<unsigned char>(window.front())]) {
    reason = "a malformed method";
    return HeadResult::kBad;
  }
  std::size_t at = 0;
  std::string_view line;
  if (!next_line(window, at, line, reason)) return more();
  bool unsupported = false;
  reason = read_request_line(line, head, unsupported);
  if (!reason.empty()) return unsupported ? HeadResult::kUnsupported : HeadResult::kBad;

  // From the left, each byte once: the first that is wrong decides, however the head came in.
  Framing framing(head);
  const auto bad = [&](std::string_view what) {
    reason = what;
    return HeadResult::kBad;
  };
  const char* p = window.data() + at;
  const char* const end = window.data() + window.size();
  while (true) {
    const char* const name = p;
    p = std::find_if_not(p, end, [](char c) { return kToken[static_cast<unsigned char>(c)]; });
    if (p == end) return more();
    if (p == name && *p == '\r') {
      if (++p == end) return more();
      if (*p++ != '\n') return bad("a control character in a header");
      break;
    }
    if (*p == '\n') return bad("a line that ends without CR");
    // A folded line begins with a space, a space before the colon ends a name: neither is a token.
    if (*p != ':' || p == name) return bad("a malformed header name");
    const std::string_view known(name, static_cast<std::size_t>(p - name));
    const char* const value = p + 1;
    p = find_control(value, end);
    if (p == end) return more();
    if (*p == '\n') return bad("a line that ends without CR");
    if (*p != '\r') return bad("a control character in a header");
    if (p + 1 == end) return more();
    if (p[1] != '\n') return bad("a control character in a header");
    const std::string_view text = trim({value, static_cast<std::size_t>(p - value)});
    p += 2;
    if (headers.size() == max_headers) {
      reason = "too many headers";
      return HeadResult::kTooLarge;
    }
    reason = framing.take(known, text);
    if (!reason.empty()) return HeadResult::kBad;
    headers.push_back({known, text});
  }
  reason = framing.finish();
  if (!reason.empty()) return HeadResult::kBad;
  head.bytes = static_cast<std::size_t>(p - window.data());
  return HeadResult::kComplete;
}

bool PartialHead::goes_on(std::string_view bytes, std::size_t max_bytes) noexcept {
  const std::size_t before = std::exchange(seen_, bytes.size());
  return bytes.size() >= max_bytes || bytes.find('\n', before) != std::string_view::npos;
}

ChunkedReader::State ChunkedReader::read(char* buffer, std::size_t size,
                                         std::size_t max_body) noexcept {
  constexpr std::size_t kMaxLine = 256;  // chunk size with extensions
  while (true) {
    switch (part_) {
      case Part::kSize: {
        const char* begin = buffer + in_;
        const auto* end = static_cast<const char*>(std::memchr(begin, '\n', size - in_));
        if (end == nullptr) return size - in_ > kMaxLine ? State::kBad : State::kNeedMore;
        if (end == begin || end[-1] != '\r' || end - begin > static_cast<std::ptrdiff_t>(kMaxLine))
          return State::kBad;
        std::uint64_t length = 0;
        const char* p = begin;
        for (; p < end - 1; ++p) {
          const char c = lower(*p);
          const int digit = c >= '0' && c <= '9'   ? c - '0'
                            : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                                   : -1;
          if (digit < 0) break;
          if (p - begin >= 15) return State::kBad;
          length = length * 16 + static_cast<std::uint64_t>(digit);
        }
        if (p == begin) return State::kBad;
        if (p < end - 1 && *p != ';') return State::kBad;
        for (; p < end - 1; ++p) {
          const auto u = static_cast<unsigned char>(*p);
          if ((u < 0x20 && *p != '\t') || u == 0x7f) return State::kBad;
        }
        in_ = static_cast<std::size_t>(end + 1 - buffer);
        left_ = length;
        if (length > max_body || out_ + length > max_body) return State::kTooLarge;
        part_ = length == 0 ? Part::kTrailer : Part::kData;
        break;
      }
      case Part::kData: {
        const std::size_t n = static_cast<std::size_t>(std::min<std::uint64_t>(left_, size - in_));
        std::memmove(buffer + out_, buffer + in_, n);
        in_ += n;
        out_ += n;
        left_ -= n;
        if (left_ > 0) return State::kNeedMore;
        part_ = Part::kDataEnd;
        break;
      }
      case Part::kDataEnd:
        if (size - in_ < 2)
          return size - in_ == 1 && buffer[in_] != '\r' ? State::kBad : State::kNeedMore;
        if (buffer[in_] != '\r' || buffer[in_ + 1] != '\n') return State::kBad;
        in_ += 2;
        part_ = Part::kSize;
        break;
      case Part::kTrailer:
        if (size - in_ < 2)
          return size - in_ == 1 && buffer[in_] != '\r' ? State::kBad : State::kNeedMore;
        if (buffer[in_] != '\r' || buffer[in_ + 1] != '\n') return State::kBad;
        in_ += 2;
        return State::kDone;
    }
  }
}

}  // namespace heddle::net
