#include <algorithm>
#include <charconv>
#include <limits>

#include <fmt/format.h>
#include <simdjson.h>

#include "serve/json_parts.hpp"

namespace heddle::serve {
namespace {

// What stands for an infinity in a rewritten body. A client's own string of this kind is read as a
// number only beside a real one.
constexpr std::string_view kInfinity = "\x7fInfinity", kMinusInfinity = "\x7f-Infinity";

/// The number that `text` begins with, by JSON's grammar; empty where there is none or it runs on.
std::string_view number_at(std::string_view text) {
  std::size_t at = text.starts_with('-') ? 1 : 0;
  const auto digits = [&] {
    const std::size_t begin = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
    return at - begin;
  };
  const bool has_zero = at < text.size() && text[at] == '0';
  const std::size_t whole = digits();
  if (whole == 0 || (has_zero && whole > 1)) return {};
  if (at < text.size() && text[at] == '.' && (++at, digits() == 0)) return {};
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    if (digits() == 0) return {};
  }
  const bool runs_on =
      at < text.size() && std::string_view(",]} \t\r\n").find(text[at]) == std::string_view::npos;
  return runs_on ? std::string_view{} : text.substr(0, at);
}

/// JSON's numbers have no bounds, simdjson's have: an integer past 64 bits is written as a double,
/// a number past a double's range as an infinity. Empty for a number that it reads as it stands.
std::string within_bounds(std::string_view number, bool& infinity) {
  const char* end = number.data() + number.size();
  double real = 0;
  // Out of range is also what rounds to 0.
  const bool has_exponent = number.find_first_of("eE") != std::string_view::npos;
  const bool is_small = has_exponent ? number.find("e-") != std::string_view::npos ||
                                           number.find("E-") != std::string_view::npos
                                     : number.find('.') != std::string_view::npos;
  if (std::from_chars(number.data(), end, real).ec == std::errc::result_out_of_range && !is_small) {
    infinity = true;
    return fmt::format("\"{}\"", number.starts_with('-') ? kMinusInfinity : kInfinity);
  }
  if (has_exponent || number.find('.') != std::string_view::npos) return {};
  std::int64_t integer = 0;
  std::uint64_t natural = 0;
  const bool is_within =
      std::from_chars(number.data(), end, integer).ec != std::errc::result_out_of_range ||
      std::from_chars(number.data(), end, natural).ec == std::errc();
  return is_within ? std::string() : fmt::format("{}.0", number);
}

/// Copies `body` to `out` with each bare `NaN` as null, each bare infinity as a string of its own
/// and each number beyond simdjson's bounds as one within them. False: there was none.
bool rewrite_numbers(std::string_view body, std::string& out, bool& infinity) {
  out.clear();
  bool found = false;
  bool in_string = false;
  for (std::size_t i = 0; i < body.size();) {
    const std::string_view rest = body.substr(i);
    if (in_string || rest.front() == '"') {
      if (in_string && rest.front() == '\\' && rest.size() > 1)
        out.push_back(body[i++]);
      else if (rest.front() == '"')
        in_string = !in_string;
      out.push_back(body[i++]);
      continue;
    }
    std::string_view word;
    if (rest.starts_with("NaN")) {
      word = "NaN";
      out.append("null");
    } else if (rest.starts_with("Infinity") || rest.starts_with("-Infinity")) {
      word = rest.front() == '-' ? "-Infinity" : "Infinity";
      out.append("\"").append(rest.front() == '-' ? kMinusInfinity : kInfinity).append("\"");
      infinity = true;
    }
    found = found || !word.empty();
    if (word.empty()) {
      const std::string_view number = number_at(rest);
      const std::string other = within_bounds(number, infinity);
      found = found || !other.empty();
      word = number.empty() ? rest.substr(0, 1) : number;
      out.append(other.empty() ? word : std::string_view(other));
    }
    i += word.size();
  }
  return found;
}

}  // namespace

Result<simdjson::dom::object> RequestReader::Parser::object(std::string_view body) {
  json::element root;
  has_infinity = false;
  auto error = dom.parse(body.data(), body.size(), false).get(root);
  if (error != simdjson::SUCCESS && rewrite_numbers(body, rewritten, has_infinity)) {
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
                 fmt::format("the request has an unknown member `{}`", name),
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
