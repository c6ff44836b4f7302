#include "base/encoding.hpp"

#include <cstdint>
#include <optional>

namespace heddle {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";
constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// Four characters as 24 bits; `pad` of them, in the `last` group alone, are `=`.
std::optional<std::uint32_t> read_group(std::string_view four, bool last, std::size_t& pad) {
  std::uint32_t group = 0;
  for (std::size_t j = 0; j < 4; ++j) {
    // Before its padding a group has at least two characters.
    if (four[j] == '=' && last && j >= 2) {
      ++pad;
      group <<= 6;
      continue;
    }
    const auto at = kBase64.find(four[j]);
    if (at == std::string_view::npos || pad != 0) return std::nullopt;
    group = group << 6 | static_cast<std::uint32_t>(at);
  }
  // Bits beyond the last byte must be zero, else two texts would mean the same bytes.
  const std::uint32_t unused = (1U << (8 * pad)) - 1;
  if ((group & unused) != 0) return std::nullopt;
  return group;
}

}  // namespace

std::string hex_encode(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto byte = static_cast<std::uint8_t>(c);
    text += kHex[byte >> 4];
    text += kHex[byte & 15];
  }
  return text;
}

Result<std::string> hex_decode(std::string_view text) {
  if (text.size() % 2 != 0)
    return Error{ErrorKind::kInvalid, "hex-malformed", "hex text has an odd length"};
  std::string bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_value(text[i]);
    const int low = hex_value(text[i + 1]);
    if (high < 0 || low < 0)
      return Error{ErrorKind::kInvalid, "hex-malformed", "hex text has a foreign character"};
    bytes += static_cast<char>(high << 4 | low);
  }
  return bytes;
}

std::string base64_encode(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      group = group << 8 | (i + j < bytes.size() ? static_cast<std::uint8_t>(bytes[i + j]) : 0U);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      text += i + j <= bytes.size() ? kBase64[group >> (18 - 6 * j) & 63] : '=';
    }
  }
  return text;
}

Result<std::string> base64_decode(std::string_view text) {
  const Error bad{ErrorKind::kInvalid, "base64-malformed", "text is not base64"};
  if (text.size() % 4 != 0) return bad;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    std::size_t pad = 0;
    const auto group = read_group(text.substr(i, 4), i + 4 == text.size(), pad);
    if (!group) return bad;
    for (std::size_t j = 0; j + pad < 3; ++j) bytes += static_cast<char>(*group >> (16 - 8 * j));
  }
  return bytes;
}

}  // namespace heddle
