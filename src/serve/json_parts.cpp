#include <algorithm>
#include <limits>

#include <fmt/format.h>
#include <simdjson.h>

#include "serve/json_parts.hpp"

namespace heddle::serve {
namespace {

// What stands for an infinity in a rewritten body. A client's own string of this kind is read as a
// number only beside a real one.
constexpr std::string_view kInfinity = "\x7fInfinity", kMinusInfinity = "\x7f-Infinity";

/// Copies `body` to `out` with each bare `NaN` as null and each bare infinity as a string of its
/// own. False: there was none.
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
    if (word.empty()) out.push_back(rest.front());
    i += std::max<std::size_t>(word.size(), 1);
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
