#include "net/http.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

namespace heddle::net {
namespace {

/// Letters, digits and the characters of `others`.
constexpr std::array<bool, 256> make_table(std::string_view others) {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (const char c : others) table[static_cast<unsigned char>(c)] = true;
  return table;
}
constexpr auto kToken = make_table("!#$%&'*+-.^_`|~");
constexpr auto kHost = make_table(".-_:[]");

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
  return std::all_of(host.begin(), host.end(),
                     [](char c) { return kHost[static_cast<unsigned char>(c)]; });
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
      case 'a': return authorization(name);
      case 'c': return content(name, value);
      case 't': return transfer_encoding(name, value);
      case 'h': return host(name, value);
      case 'e': return expect(name, value);
      case 'i': return json_length(name);
      case 'o': return origin(name, value);
      default: return {};
    }
  }

  [[nodiscard]] std::string_view finish() const noexcept {
    if (transfer_encoding_ && head_.content_length.has_value())
      return "both Content-Length and Transfer-Encoding";
    // A proxy that speaks 1.0 would not have read it, and seen another end of the message.
    if (transfer_encoding_ && head_.http_1_0) return "Transfer-Encoding in HTTP/1.0";
    // RFC 9112, 3.2: it must be there, and is what protects the owner's machine from pages of
    // others.
    if (!head_.http_1_0 && (!host_ || head_.host.empty())) return "no Host header";
    return {};
  }

 private:
  // One reader believes the first of several headers, another the last: there may be one.
  static std::string_view once(bool& seen, std::string_view several) noexcept {
    return std::exchange(seen, true) ? several : std::string_view{};
  }

  std::string_view authorization(std::string_view name) noexcept {
    if (!same_token(name, "authorization")) return {};
    return once(authorization_, "several Authorization headers");
  }

  std::string_view content(std::string_view name, std::string_view value) noexcept {
    if (same_token(name, "content-length")) return content_length(value);
    if (same_token(name, "connection")) connection(value);
    if (!same_token(name, "content-encoding")) return {};
    return once(content_encoding_, "several Content-Encoding headers");
  }

  std::string_view transfer_encoding(std::string_view name, std::string_view value) noexcept {
    if (!same_token(name, "transfer-encoding")) return {};
    if (transfer_encoding_) return "several Transfer-Encoding headers";
    transfer_encoding_ = true;
    if (!same_token(value, "chunked")) return "a Transfer-Encoding other than `chunked`";
    head_.chunked = true;
    return {};
  }

  std::string_view host(std::string_view name, std::string_view value) noexcept {
    if (!same_token(name, "host")) return {};
    if (host_) return "several Host headers";
    host_ = true;
    head_.host = value;
    return is_host(value) ? std::string_view{} : "a malformed Host header";
  }

  std::string_view expect(std::string_view name, std::string_view value) noexcept {
    if (!same_token(name, "expect")) return {};
    if (!same_token(value, "100-continue")) return "an Expect other than `100-continue`";
    head_.expect_continue = true;
    return {};
  }

  std::string_view json_length(std::string_view name) noexcept {
    if (!same_token(name, "inference-header-content-length")) return {};
    return once(json_length_, "several Inference-Header-Content-Length headers");
  }

  std::string_view origin(std::string_view name, std::string_view value) noexcept {
    if (!same_token(name, "origin")) return {};
    if (origin_) return "several Origin headers";
    origin_ = true;
    head_.origin = value;
    return {};
  }

  std::string_view content_length(std::string_view value) noexcept {
    if (head_.content_length.has_value()) return "several Content-Length headers";
    // Eighteen digits fit 64 bits: no overflow has to be looked for.
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
  // A bare LF ends a line for some readers and not for others: that is how requests are smuggled.
  if (end == at || bytes[end - 1] != '\r') {
    reason = "a line that ends without CR";
    return false;
  }
  line = bytes.substr(at, end - at - 1);
  at = end + 1;
  return true;
}

/// A version that is not HTTP/1.1.
std::string_view read_other_version(std::string_view version, RequestHead& head,
                                    bool& unsupported) noexcept {
  if (version == "HTTP/1.0") {
    head.http_1_0 = true;
    head.keep_alive = false;
    return {};
  }
  unsupported = version.starts_with("HTTP/") && version.size() == 8;
  return "a version other than HTTP/1.1 and HTTP/1.0";
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
  if (version == "HTTP/1.1") return {};
  return read_other_version(version, head, unsupported);
}

/// The request line, behind which `at` is then.
HeadResult read_first_line(std::string_view window, std::size_t& at, RequestHead& head,
                           std::string_view& reason) noexcept {
  // What cannot become a method (a TLS greeting, for one) is told at once.
  if (!window.empty() && !kToken[static_cast<unsigned char>(window.front())]) {
    reason = "a malformed method";
    return HeadResult::kBad;
  }
  std::string_view line;
  if (!next_line(window, at, line, reason)) return HeadResult::kNeedMore;
  bool unsupported = false;
  reason = read_request_line(line, head, unsupported);
  if (reason.empty()) return HeadResult::kComplete;
  return unsupported ? HeadResult::kUnsupported : HeadResult::kBad;
}

/// What a step over a header line found; `reason` is empty where bytes lack, else the line is
/// malformed.
enum class Line { kHeader, kEnd, kUnfinished };

/// Moves `p` to the colon behind a name, or past the empty line that ends the head.
Line read_name(const char*& p, const char* end, std::string_view& name,
               std::string_view& reason) noexcept {
  const auto bad = [&](std::string_view what) {
    reason = what;
    return Line::kUnfinished;
  };
  const char* const begin = p;
  p = std::find_if_not(p, end, [](char c) { return kToken[static_cast<unsigned char>(c)]; });
  if (p == end) return Line::kUnfinished;
  if (p == begin && *p == '\r') {
    if (++p == end) return Line::kUnfinished;
    return *p++ == '\n' ? Line::kEnd : bad("a control character in a header");
  }
  if (*p == '\n') return bad("a line that ends without CR");
  // A folded line begins with a space, a space before the colon ends a name: neither is a token.
  if (*p != ':' || p == begin) return bad("a malformed header name");
  name = {begin, static_cast<std::size_t>(p - begin)};
  return Line::kHeader;
}

/// Moves `p` from the colon past the line's end.
Line read_value(const char*& p, const char* end, std::string_view& value,
                std::string_view& reason) noexcept {
  const auto bad = [&](std::string_view what) {
    reason = what;
    return Line::kUnfinished;
  };
  const char* const begin = p + 1;
  p = find_control(begin, end);
  if (p == end) return Line::kUnfinished;
  if (*p == '\n') return bad("a line that ends without CR");
  if (*p != '\r') return bad("a control character in a header");
  if (p + 1 == end) return Line::kUnfinished;
  if (p[1] != '\n') return bad("a control character in a header");
  value = trim({begin, static_cast<std::size_t>(p - begin)});
  p += 2;
  return Line::kHeader;
}

Line read_header(const char*& p, const char* end, Header& header,
                 std::string_view& reason) noexcept {
  const Line line = read_name(p, end, header.name, reason);
  return line == Line::kHeader ? read_value(p, end, header.value, reason) : line;
}

/// What a head is that ended too early; `reason`, when there is one, says what is wrong with it.
HeadResult unfinished(std::string_view bytes, std::size_t max_bytes,
                      std::string_view& reason) noexcept {
  if (!reason.empty()) return HeadResult::kBad;
  if (bytes.size() < max_bytes) return HeadResult::kNeedMore;
  reason = "a head over the limit";
  return HeadResult::kTooLarge;
}

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  c = lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// The size in a chunk's first line, whose extensions after `;` are skipped; nullopt: malformed.
std::optional<std::uint64_t> read_chunk_size(std::string_view line) noexcept {
  std::uint64_t length = 0;
  std::size_t at = 0;
  for (; at < line.size(); ++at) {
    const int digit = hex_digit(line[at]);
    if (digit < 0) break;
    // Sixteen hex digits could pass 63 bits.
    if (at >= 15) return std::nullopt;
    length = length * 16 + static_cast<std::uint64_t>(digit);
  }
  if (at == 0 || (at < line.size() && line[at] != ';')) return std::nullopt;
  const char* const end = line.data() + line.size();
  return find_control(line.data() + at, end) == end ? std::optional(length) : std::nullopt;
}

}  // namespace

bool same_letters(std::string_view a, std::string_view b) noexcept {
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
  static constexpr std::pair<int, std::string_view> kTexts[] = {
      {200, "OK"},
      {202, "Accepted"},
      {204, "No Content"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {413, "Content Too Large"},
      {415, "Unsupported Media Type"},
      {421, "Misdirected Request"},
      {422, "Unprocessable Content"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {503, "Service Unavailable"},
      {504, "Gateway Timeout"},
      {505, "HTTP Version Not Supported"},
  };
  for (const auto& [known, text] : kTexts) {
    if (known == status) return text;
  }
  return "Unknown";
}

HeadResult read_head(std::string_view bytes, std::size_t max_bytes, std::size_t max_headers,
                     RequestHead& head, std::vector<Header>& headers, std::string_view& reason) {
  head = RequestHead{};
  headers.clear();
  reason = {};
  const std::string_view window = bytes.substr(0, max_bytes);
  std::size_t at = 0;
  const HeadResult first = read_first_line(window, at, head, reason);
  if (first == HeadResult::kNeedMore) return unfinished(bytes, max_bytes, reason);
  if (first != HeadResult::kComplete) return first;

  // From the left, each byte once: the first that is wrong decides, however the head came in.
  Framing framing(head);
  const char* p = window.data() + at;
  const char* const end = window.data() + window.size();
  Header header;
  Line line = Line::kHeader;
  while ((line = read_header(p, end, header, reason)) == Line::kHeader) {
    if (headers.size() == max_headers) {
      reason = "too many headers";
      return HeadResult::kTooLarge;
    }
    reason = framing.take(header.name, header.value);
    if (!reason.empty()) return HeadResult::kBad;
    headers.push_back(header);
  }
  if (line == Line::kUnfinished) return unfinished(bytes, max_bytes, reason);
  reason = framing.finish();
  if (!reason.empty()) return HeadResult::kBad;
  head.bytes = static_cast<std::size_t>(p - window.data());
  return HeadResult::kComplete;
}

bool PartialHead::goes_on(std::string_view bytes, std::size_t max_bytes) noexcept {
  const std::size_t before = std::exchange(seen_, bytes.size());
  return bytes.size() >= max_bytes || bytes.find('\n', before) != std::string_view::npos;
}

namespace {

/// The steps of `ChunkedReader` through a buffer: each takes one part of the body at `in`. A state
/// ends the reading, none means that the next part follows.
struct ChunkSteps {
  using State = ChunkedReader::State;
  char* buffer;
  std::size_t size;
  std::size_t& in;
  std::size_t& out;
  std::uint64_t& left;

  [[nodiscard]] std::string_view rest() const noexcept { return {buffer + in, size - in}; }

  std::optional<State> take_size(std::size_t max_body) noexcept {
    constexpr std::size_t kMaxLine = 256;  // chunk size with extensions
    const std::size_t end = rest().find('\n');
    if (end == std::string_view::npos)
      return rest().size() > kMaxLine ? State::kBad : State::kNeedMore;
    if (end == 0 || rest()[end - 1] != '\r' || end > kMaxLine) return State::kBad;
    const auto length = read_chunk_size(rest().substr(0, end - 1));
    if (!length) return State::kBad;
    in += end + 1;
    left = *length;
    // Each alone first: their sum could wrap round.
    if (left > max_body || out + left > max_body) return State::kTooLarge;
    return std::nullopt;
  }

  std::optional<State> take_data() noexcept {
    const std::size_t n = static_cast<std::size_t>(std::min<std::uint64_t>(left, size - in));
    std::memmove(buffer + out, buffer + in, n);
    in += n;
    out += n;
    left -= n;
    return left > 0 ? std::optional(State::kNeedMore) : std::nullopt;
  }

  std::optional<State> take_line_end() noexcept {
    if (rest().empty() || rest() == "\r") return State::kNeedMore;
    if (!rest().starts_with("\r\n")) return State::kBad;
    in += 2;
    return std::nullopt;
  }
};

}  // namespace

ChunkedReader::State ChunkedReader::read(char* buffer, std::size_t size,
                                         std::size_t max_body) noexcept {
  ChunkSteps steps{buffer, size, in_, out_, left_};
  while (true) {
    std::optional<State> state;
    Part next = Part::kSize;
    switch (part_) {
      case Part::kSize:
        state = steps.take_size(max_body);
        next = left_ == 0 ? Part::kTrailer : Part::kData;
        break;
      case Part::kData:
        state = steps.take_data();
        next = Part::kDataEnd;
        break;
      case Part::kDataEnd: state = steps.take_line_end(); break;
      case Part::kTrailer:
        // A trailer would stand before this line: none is taken.
        state = steps.take_line_end();
        return state ? *state : State::kDone;
    }
    if (state) return *state;
    part_ = next;
  }
}

}  // namespace heddle::net
