#pragma once

#include "base/result.hpp"
#include "serve/request.hpp"

/// What the readers of JSON bodies share. A source includes <simdjson.h> before it: no header does, it costs seconds.
namespace heddle::serve {

struct RequestReader::Parser {
  simdjson::dom::parser dom;

  /// `body` is followed by padding (net::Request): nothing is copied.
  [[nodiscard]] Result<simdjson::dom::object> object(std::string_view body);
};

namespace json {

using simdjson::dom::element;

[[nodiscard]] Error invalid(std::string_view id, std::string message, std::string hint);
[[nodiscard]] Error unknown_member(std::string_view name, std::string_view known);
[[nodiscard]] Error too_many_rows(std::size_t max);

/// A scalar; false for an array or an object.
[[nodiscard]] bool to_datum(const element& value, expr::Datum& out);
[[nodiscard]] Result<Micros> to_time(const element& value);
[[nodiscard]] Result<std::string_view> to_id(const element& value, std::string_view name, bool with_hash = false);

}  // namespace json
}  // namespace heddle::serve
