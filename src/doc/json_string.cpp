#include "doc/json_string.hpp"

#include <algorithm>

namespace heddle::doc {
namespace {

/// Length of the well-formed UTF-8 sequence (RFC 3629) of several bytes that `text` begins with; 0:
/// it begins with none.
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  // 0xC0 and 0xC1 would begin overlong forms, 0xF5 and up what lies past U+10FFFF.
  const std::size_t length = lead < 0xC2 || lead > 0xF4 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (length == 0 || text.size() < length) return 0;
  // The second byte's range keeps out overlong forms, surrogates and what lies past U+10FFFF.
  const unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (byte(1) < low || byte(1) > high) return 0;
  for (std::size_t i = 2; i < length; ++i) {
    if (byte(i) < 0x80 || byte(i) > 0xBF) return 0;
  }
  return length;
}

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

}  // namespace

std::string for_terminal(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const std::size_t length = byte < 0x80 ? 1 : sequence_length(text.substr(i));
    const bool is_control =
        (byte < 0x20 && byte != '\t' && byte != '\n') || byte == 0x7F ||
        // U+0080 to U+009F: what ESC begins in seven bits, in eight.
        (length == 2 && byte == 0xC2 && static_cast<unsigned char>(text[i + 1]) < 0xA0);
    if (length == 0 || is_control)
      out += kReplacement;
    else
      out += text.substr(i, length);
    i += std::max<std::size_t>(1, length);
  }
  return out;
}

void append_json_string(std::string_view text, std::string& out) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  out += '"';
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (byte < 0x20) {
          out += "\\u00";
          out += kHex[byte >> 4];
          out += kHex[byte & 15];
        } else if (byte < 0x80) {
          out += c;
        } else if (const std::size_t length = sequence_length(text.substr(i)); length > 0) {
          out += text.substr(i, length);
          i += length - 1;
        } else {
          // JSON is UTF-8 (RFC 8259, 8.1): a byte that is none becomes U+FFFD.
          out += kReplacement;
        }
    }
  }
  out += '"';
}

}  // namespace heddle::doc
