#pragma once

#include "base/result.hpp"
#include "serve/request.hpp"

/// What the readers of JSON bodies share. A source includes <simdjson.h> before it: no header does,
/// it costs seconds.
namespace heddle::serve {

struct RequestReader::Parser {
  simdjson::dom::parser dom;
  std::string rewritten;      ///< the body with every number as the parser can read it
  bool has_infinity = false;  ///< of the body being read; it was rewritten
  bool has_no_text = false;

  /// `body` is followed by padding (net::Request): nothing is copied. The bare `NaN`, `Infinity`
  /// and `-Infinity` that Python's and other writers of JSON give are read too: a NaN as null,
  /// which is what a missing value is here. An integer past 64 bits is read as a double, and what
  /// is past the doubles as an infinity: whether a field holds that is its row's matter. So is a
  /// string with half of a surrogate pair.
  [[nodiscard]] Result<simdjson::dom::object> object(std::string_view body);
  /// A scalar, an error for a string that is no text; false for an array or an object.
  [[nodiscard]] bool to_datum(const simdjson::dom::element& value, expr::Datum& out) const;
};

namespace json {

using simdjson::dom::element;

[[nodiscard]] Error invalid(std::string_view id, std::string message, std::string hint);
[[nodiscard]] Error unknown_member(std::string_view name, std::string_view known);
[[nodiscard]] Error too_many_rows(std::size_t max);

[[nodiscard]] Result<Micros> to_time(const element& value);
[[nodiscard]] Result<std::string_view> to_id(const element& value, std::string_view name,
                                             bool with_hash = false);

}  // namespace json
}  // namespace heddle::serve
