#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>

#include <fmt/format.h>
#include <simdjson.h>

#include "serve/json_parts.hpp"

namespace heddle::serve {
namespace {

// What stands for an infinity in a rewritten body. A client's own string of this kind is read as a
// number only beside a real one.
constexpr std::string_view kInfinity = "\x7fInfinity", kMinusInfinity = "\x7f-Infinity";
// The same for a string that is no text.
constexpr std::string_view kNoText = "\x7f no text";

/// The 16 bits of `\uXXXX` at the beginning of `rest`; -1: it is none.
int escaped_unit(std::string_view rest) {
  if (!rest.starts_with("\\u") || rest.size() < 6) return -1;
  std::uint16_t unit = 0;
  const auto [end, error] = std::from_chars(rest.data() + 2, rest.data() + 6, unit, 16);
  return error == std::errc{} && end == rest.data() + 6 ? unit : -1;
}

/// Whether the string whose quote opens `rest` has half of a surrogate pair among its escapes: JSON
/// allows that, and it is no character. `length`: of the string with both quotes.
bool has_half_pair(std::string_view rest, std::size_t& length) {
  bool found = false;
  std::size_t i = 1;
  while (i < rest.size() && rest[i] != '"') {
    const int unit = escaped_unit(rest.substr(i));
    const bool is_high = unit >= 0xD800 && unit < 0xDC00;
    const int next = is_high ? escaped_unit(rest.substr(i + 6)) : -1;
    const bool is_pair = next >= 0xDC00 && next < 0xE000;
    found = found || (is_high && !is_pair) || (unit >= 0xDC00 && unit < 0xE000);
    i += is_pair ? 12 : unit >= 0 ? 6 : rest[i] == '\\' ? 2 : 1;
  }
  length = std::min(i + 1, rest.size());
  return found;
}

/// What to write in place of a number that JSON allows and the parser does not take, since it is
/// past 64 bits or past the doubles: the same as a double; empty: it is taken as it is.
std::string_view rewrite_large(std::string_view number, std::string& buffer, bool& infinity) {
  const bool integer = number.find_first_of(".eE") == std::string_view::npos;
  std::int64_t signed_value = 0;
  std::uint64_t unsigned_value = 0;
  const char* const end = number.data() + number.size();
  if (integer && (std::from_chars(number.data(), end, signed_value).ec == std::errc{} ||
                  std::from_chars(number.data(), end, unsigned_value).ec == std::errc{}))
    return {};
  buffer.assign(number);
  char* read_to = nullptr;
  const double value = std::strtod(buffer.c_str(), &read_to);
  if (*read_to != 0) return {};  // no number: it stays what does not parse
  if (std::isinf(value)) {
    infinity = true;
    buffer = fmt::format("\"{}\"", number.front() == '-' ? kMinusInfinity : kInfinity);
    return buffer;
  }
  return integer ? std::string_view(buffer.append("e0")) : std::string_view{};
}

/// The word at the beginning of `rest` that is to be rewritten, and what stands for it; both empty:
/// there is none. A number is looked at whole, so its tail is never taken for one.
struct Rewrite {
  std::size_t length = 1;
  std::string_view text{};
};
Rewrite rewrite_at(std::string_view rest, std::string& buffer, bool& infinity) {
  if (rest.starts_with("NaN")) return {3, "null"};
  const std::size_t sign = rest.front() == '-' ? 1 : 0;
  if (rest.substr(sign).starts_with("Infinity")) {
    infinity = true;
    buffer = fmt::format("\"{}\"", sign == 1 ? kMinusInfinity : kInfinity);
    return {sign + 8, buffer};
  }
  const std::string_view number =
      rest.substr(0, std::min(rest.find_first_not_of("+-.0123456789eE"), rest.size()));
  const bool begins = rest.front() == '-' || (rest.front() >= '0' && rest.front() <= '9');
  if (!begins || number.empty()) return {};
  return {number.size(), rewrite_large(number, buffer, infinity)};
}

/// Copies `body` to `out` with each bare `NaN` as null, each bare infinity and each string that is
/// no text as a string of its own, and each number that is too large for the parser as a double or
/// an infinity. False: there was none.
bool rewrite(std::string_view body, std::string& out, bool& infinity, bool& no_text) {
  out.clear();
  bool found = false;
  std::string buffer;
  for (std::size_t i = 0; i < body.size();) {
    const std::string_view rest = body.substr(i);
    Rewrite word;
    if (rest.front() != '"') {
      word = rewrite_at(rest, buffer, infinity);
    } else if (has_half_pair(rest, word.length)) {
      no_text = true;
      buffer = fmt::format("\"{}\"", kNoText);
      word.text = buffer;
    }
    found = found || !word.text.empty();
    out.append(word.text.empty() ? rest.substr(0, word.length) : word.text);
    i += word.length;
  }
  return found;
}

}  // namespace

Result<simdjson::dom::object> RequestReader::Parser::object(std::string_view body) {
  json::element root;
  has_infinity = has_no_text = false;
  auto error = dom.parse(body.data(), body.size(), false).get(root);
  if (error != simdjson::SUCCESS && rewrite(body, rewritten, has_infinity, has_no_text)) {
    rewritten.reserve(rewritten.size() + simdjson::SIMDJSON_PADDING);
    error = dom.parse(rewritten.data(), rewritten.size(), false).get(root);
  }
  if (error != simdjson::SUCCESS) {
    return json::invalid("request-json",
                         fmt::format("the body is not JSON: {}", simdjson::error_message(error)),
                         "send one JSON object, UTF-8");
  }
  simdjson::dom::object object;
  if (root.get(object) != simdjson::SUCCESS)
    return json::invalid("request-json", "the body is not a JSON object", "send one JSON object");
  return object;
}

bool RequestReader::Parser::to_datum(const simdjson::dom::element& value, expr::Datum& out) const {
  using simdjson::dom::element_type;
  switch (value.type()) {
    case element_type::STRING: {
      const std::string_view text = value.get_string().value_unsafe();
      out = expr::Datum::string(text);
      if (has_infinity && text == kInfinity)
        out = expr::Datum::real(std::numeric_limits<double>::infinity());
      if (has_infinity && text == kMinusInfinity)
        out = expr::Datum::real(-std::numeric_limits<double>::infinity());
      if (has_no_text && text == kNoText) out = expr::Datum::error();
      return true;
    }
    case element_type::INT64:
      out = expr::Datum::integer(value.get_int64().value_unsafe());
      return true;
    case element_type::UINT64:
      out = expr::Datum::real(static_cast<double>(value.get_uint64().value_unsafe()));
      return true;
    case element_type::DOUBLE:
      out = expr::Datum::real(value.get_double().value_unsafe());
      return true;
    case element_type::BOOL:
      out = expr::Datum::boolean(value.get_bool().value_unsafe());
      return true;
    case element_type::NULL_VALUE: out = expr::Datum::null(); return true;
    default: return false;
  }
}

namespace json {

using simdjson::dom::element_type;

Error invalid(std::string_view id, std::string message, std::string hint) {
  return Error{ErrorKind::kInvalid, std::string(id), std::move(message), std::move(hint)};
}

Error unknown_member(std::string_view name, std::string_view known) {
  return invalid("request-unknown-member",
                 fmt::format("the request has an unknown member `{}`", shown(name)),
                 fmt::format("known: {}", known));
}
Error too_many_rows(std::size_t max) {
  return Error{ErrorKind::kTooLarge, "request-too-many-rows",
               fmt::format("the request has more than {} rows", max),
               "send them in several requests"};
}

Result<Micros> to_time(const element& value) {
  if (value.type() == element_type::STRING) {
    if (const auto time = parse_time(value.get_string().value_unsafe()); time.has_value())
      return *time;
  } else if (value.type() == element_type::INT64) {
    return value.get_int64().value_unsafe();
  }
  return invalid("request-time", "`event_time` is no time",
                 "write it as `2001-04-10T05:00:00Z`, or as microseconds since 1970");
}

Result<std::string_view> to_id(const element& value, std::string_view name, bool with_hash) {
  if (value.type() == element_type::STRING && is_id(value.get_string().value_unsafe(), with_hash))
    return value.get_string().value_unsafe();
  return invalid("request-id",
                 fmt::format("`{}` is not a name of 1 to 128 printable characters", name),
                 "leave out spaces, quotes, backslashes and `#`");
}

}  // namespace json

}  // namespace heddle::serve
