#include "telemetry/trace.hpp"

#include <algorithm>

namespace heddle::telemetry {
namespace {

constexpr std::size_t kParentBytes = 55;
constexpr std::size_t kMostStateBytes = 512;
constexpr int kMostStateMembers = 32;

int digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

template <std::size_t N>
bool read_hex(std::string_view text, std::array<std::uint8_t, N>& out) noexcept {
  bool any = false;
  for (std::size_t i = 0; i < N; ++i) {
    const int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    out[i] = static_cast<std::uint8_t>(high << 4 | low);
    // An id of zeros is none (W3C Trace Context).
    any = any || out[i] != 0;
  }
  return any;
}

bool lower(char c) noexcept { return c >= 'a' && c <= 'z'; }
bool number(char c) noexcept { return c >= '0' && c <= '9'; }

bool in_key(char c) noexcept {
  return lower(c) || number(c) || c == '_' || c == '-' || c == '*' || c == '/';
}

bool valid_part(std::string_view text, std::size_t most, bool may_begin_with_digit) noexcept {
  if (text.empty() || text.size() > most) return false;
  if (!lower(text[0]) && !(may_begin_with_digit && number(text[0]))) return false;
  return std::all_of(text.begin(), text.end(), in_key);
}

/// `key`, or `tenant@system`.
bool valid_key(std::string_view key) noexcept {
  const std::size_t at = key.find('@');
  const std::string_view first = key.substr(0, at);
  if (at == std::string_view::npos) return valid_part(first, 256, false);
  return valid_part(first, 241, true) && valid_part(key.substr(at + 1), 14, false);
}

bool valid_value(std::string_view value) noexcept {
  if (value.empty() || value.size() > 256 || value.back() == ' ') return false;
  return std::all_of(value.begin(), value.end(),
                     [](char c) { return c >= 0x20 && c <= 0x7e && c != ',' && c != '='; });
}

bool valid_member(std::string_view member) noexcept {
  const std::size_t equals = member.find('=');
  return equals != std::string_view::npos && valid_key(member.substr(0, equals)) &&
         valid_value(member.substr(equals + 1));
}

std::string_view trim(std::string_view text) noexcept {
  const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

/// Version `ff` is invalid; only a later one than `00` may go on behind its flags.
bool fits_version(std::string_view header) noexcept {
  const int high = digit(header[0]), low = digit(header[1]);
  if (high < 0 || low < 0 || (high == 15 && low == 15)) return false;
  const bool later = high != 0 || low != 0;
  return header.size() == kParentBytes || (later && header[kParentBytes] == '-');
}

}  // namespace

std::optional<TraceParent> parse_traceparent(std::string_view header) noexcept {
  if (header.size() < kParentBytes || header[2] != '-' || header[35] != '-' || header[52] != '-' ||
      !fits_version(header))
    return std::nullopt;
  TraceParent out;
  if (!read_hex(header.substr(3, 32), out.trace) || !read_hex(header.substr(36, 16), out.span))
    return std::nullopt;
  const int first = digit(header[53]), flags = digit(header[54]);
  if (first < 0 || flags < 0) return std::nullopt;
  out.sampled = (flags & 1) != 0;
  return out;
}

bool valid_tracestate(std::string_view header) noexcept {
  if (header.size() > kMostStateBytes) return false;
  int members = 0;
  while (!header.empty()) {
    const std::size_t comma = header.find(',');
    const std::string_view member = trim(header.substr(0, comma));
    // An empty one is allowed.
    if (!member.empty() && (++members > kMostStateMembers || !valid_member(member))) return false;
    if (comma == std::string_view::npos) break;
    header.remove_prefix(comma + 1);
  }
  return true;
}

std::string to_hex(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const std::uint8_t byte : bytes) {
    out.push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 15]);
  }
  return out;
}

std::string to_traceparent(const TraceParent& parent) {
  return "00-" + to_hex(parent.trace) + "-" + to_hex(parent.span) +
         (parent.sampled ? "-01" : "-00");
}

}  // namespace heddle::telemetry
