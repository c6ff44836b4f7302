#include "contract/form.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <cctype>
#include <cstring>

namespace heddle::contract {
namespace {

using spec::Form;

bool is_alnum(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }
bool is_hex(char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; }

bool is_host_label(std::string_view text) {
  if (text.empty() || text.size() > 63 || text.front() == '-' || text.back() == '-') return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return is_alnum(c) || c == '-'; });
}

/// RFC 1123: labels of letters, digits and inner hyphens, 63 at most each, 253 together.
bool is_hostname(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  while (true) {
    const std::size_t dot = text.find('.');
    if (!is_host_label(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

/// A dot-atom (RFC 5322), `@` and a host name: what JSON Schema's `email` takes without quotes and
/// comments.
bool is_email(std::string_view text) {
  const std::size_t at = text.rfind('@');
  // 64 bytes before the `@` (RFC 5321, 4.5.3.1.1).
  if (at == std::string_view::npos || at == 0 || at > 64) return false;
  const std::string_view local = text.substr(0, at);
  static constexpr std::string_view kSpecials = "!#$%&'*+-/=?^_`{|}~.";
  const bool is_atom = std::all_of(local.begin(), local.end(), [](char c) {
    // Bytes of UTF-8 are letters too (RFC 6531).
    return is_alnum(c) || (static_cast<unsigned char>(c) & 0x80U) != 0 ||
           kSpecials.find(c) != std::string_view::npos;
  });
  return is_atom && local.front() != '.' && local.back() != '.' &&
         local.find("..") == std::string_view::npos && is_hostname(text.substr(at + 1));
}

/// RFC 4122: 8-4-4-4-12 hexadecimal digits.
bool is_uuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_hyphen = i == 8 || i == 13 || i == 18 || i == 23;
    if (is_hyphen ? text[i] != '-' : !is_hex(text[i])) return false;
  }
  return true;
}

bool is_scheme(std::string_view text) {
  if (text.empty() || std::isalpha(static_cast<unsigned char>(text[0])) == 0) return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return is_alnum(c) || c == '+' || c == '-' || c == '.'; });
}

/// RFC 3986: a scheme, a colon, and only characters that a URI may hold.
bool is_uri(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || !is_scheme(text.substr(0, colon))) return false;
  constexpr std::string_view kAllowed = "-._~:/?#[]@!$&'()*+,;=";
  for (std::size_t i = colon + 1; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (i + 2 >= text.size() || !is_hex(text[i + 1]) || !is_hex(text[i + 2])) return false;
    } else if (!is_alnum(text[i]) && kAllowed.find(text[i]) == std::string_view::npos) {
      return false;
    }
  }
  return true;
}

/// inet_pton needs a terminated copy; no address is longer than the buffer.
bool is_address(std::string_view text, int family) {
  char copy[INET6_ADDRSTRLEN];
  if (text.size() >= sizeof copy || text.find('\0') != std::string_view::npos) return false;
  std::memcpy(copy, text.data(), text.size());
  copy[text.size()] = 0;
  unsigned char bytes[sizeof(in6_addr)];
  return ::inet_pton(family, copy, bytes) == 1;
}

/// RFC 4648 section 4, with its padding.
bool is_base64(std::string_view text) {
  if (text.size() % 4 != 0) return false;
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  const std::string_view digits = text.substr(0, text.size() - padding);
  return std::all_of(digits.begin(), digits.end(),
                     [](char c) { return is_alnum(c) || c == '+' || c == '/'; });
}

}  // namespace

bool has_form(Form form, const expr::Datum& value) noexcept {
  switch (form) {
    case Form::kAny: return true;
    case Form::kDate: return value.i % kDay == 0;
    case Form::kTime: return spec::parse_time_of_day(value.str()).has_value();
    case Form::kEmail: return is_email(value.str());
    case Form::kUuid: return is_uuid(value.str());
    case Form::kUri: return is_uri(value.str());
    case Form::kHostname: return is_hostname(value.str());
    case Form::kIpv4: return is_address(value.str(), AF_INET);
    case Form::kIpv6: return is_address(value.str(), AF_INET6);
    case Form::kByte: return is_base64(value.str());
  }
  return true;
}

std::int64_t length_of(std::string_view text) noexcept {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; });
}

}  // namespace heddle::contract
