#include "net/grpc.hpp"

#include <array>
#include <limits>

#include <zlib.h>

namespace heddle::net {

std::string_view GrpcCall::bearer() const noexcept {
  std::string_view found;
  bool repeated = false;
  for (const Header& header : metadata) {
    if (!same_token(header.name, "authorization")) continue;
    repeated = repeated || found.data() != nullptr;
    found = header.value;
  }
  // One reader believes the first, another the last: it is nobody's.
  return repeated ? std::string_view() : bearer_token(found);
}

namespace {

/// A unit of a grpc-timeout; 0 when it is none.
std::int64_t nanoseconds_of(char unit) noexcept {
  switch (unit) {
    case 'H': return 3'600'000'000'000;
    case 'M': return 60'000'000'000;
    case 'S': return 1'000'000'000;
    case 'm': return 1'000'000;
    case 'u': return 1'000;
    case 'n': return 1;
    default: return 0;
  }
}

/// Inflates to the end of `stream`, or until `out` is past `most`; zlib's last answer.
int inflate_all(z_stream& stream, std::size_t most, std::string& out) {
  std::array<char, 16 << 10> step;
  int state = Z_OK;
  while (state == Z_OK && out.size() <= most) {
    stream.next_out = reinterpret_cast<Bytef*>(step.data());
    stream.avail_out = static_cast<uInt>(step.size());
    state = ::inflate(&stream, Z_NO_FLUSH);
    out.append(step.data(), step.size() - stream.avail_out);
    if (state == Z_OK && stream.avail_in == 0 && stream.avail_out > 0) break;  // it ends too early
  }
  return state;
}

}  // namespace

std::optional<std::int64_t> parse_grpc_timeout(std::string_view text) noexcept {
  if (text.size() < 2 || text.size() > 9) return std::nullopt;
  std::int64_t value = 0;
  for (const char c : text.substr(0, text.size() - 1)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  const std::int64_t unit = nanoseconds_of(text.back());
  if (unit == 0) return std::nullopt;
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  return value > kMost / unit ? kMost : value * unit;
}

void append_percent_encoded(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (u >= 0x20 && u <= 0x7e && c != '%') {
      out += c;
    } else {
      out += '%';
      out += kHex[u >> 4];
      out += kHex[u & 15];
    }
  }
}

bool is_grpc_content_type(std::string_view value) noexcept {
  static constexpr std::string_view kName = "application/grpc";
  if (!same_token(value.substr(0, kName.size()), kName)) return false;
  return value.size() == kName.size() || value[kName.size()] == '+' || value[kName.size()] == ';';
}

Result<void> gunzip(std::string_view bytes, std::size_t most, std::string& out) {
  return decode_body("gzip", bytes, most, out);
}

Result<void> decode_body(std::string_view coding, std::string_view bytes, std::size_t most,
                         std::string& out) {
  const bool gzip = same_token(coding, "gzip");
  if (!gzip && !same_token(coding, "deflate")) {
    return Error{ErrorKind::kInvalid, "net-coding",
                 fmt::format("the coding `{}` is not spoken", coding),
                 "send `gzip`, `deflate` or the bytes as they are"};
  }
  const auto invalid = [] {
    return Error{ErrorKind::kInvalid, "net-gzip",
                 "the message is not whole in the coding that it names", "compress it again"};
  };
  out.clear();
  z_stream stream{};
  if (::inflateInit2(&stream, gzip ? 15 + 16 : 15) != Z_OK)
    return Error{ErrorKind::kInternal, "net-gzip", "zlib does not start", ""};
  stream.next_in = reinterpret_cast<Bytef*>(
      const_cast<char*>(bytes.data()));  // zlib's type for what it only reads
  stream.avail_in = static_cast<uInt>(bytes.size());
  const int state = inflate_all(stream, most, out);
  const bool whole = state == Z_STREAM_END && stream.avail_in == 0;
  ::inflateEnd(&stream);
  if (out.size() > most)
    return Error{ErrorKind::kTooLarge, "net-gzip", "the message inflates to more than the limit",
                 "send smaller messages"};
  if (!whole) return invalid();
  return {};
}

}  // namespace heddle::net
