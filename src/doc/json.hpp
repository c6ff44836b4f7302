#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "doc/value.hpp"

namespace heddle::doc {

struct JsonLimits {
  std::size_t max_depth = 64;
  std::size_t max_bytes = 64 << 20;
};

/// RFC 8259 JSON, strict; equal keys in one object are refused. kInvalid with line and column,
/// kTooLarge past a limit. Positions are not recorded: JSON comes from machines.
[[nodiscard]] Result<Value> parse_json(std::string_view text, JsonLimits limits = {});

/// One line without spaces. Keys in their order; doubles in the shortest form that reads back the
/// same; NaN and infinities become null, bytes that are no UTF-8 become U+FFFD. The same value
/// gives the same bytes, always.
[[nodiscard]] std::string to_json(const Value& value);
/// Two spaces a level, for people.
[[nodiscard]] std::string to_json_pretty(const Value& value);
/// Like `to_json`, with the keys of every object sorted by byte: the form that is hashed.
[[nodiscard]] std::string to_canonical_json(const Value& value);

}  // namespace heddle::doc
