#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "doc/value.hpp"

namespace heddle::doc {

/// One YAML document with the position of every value, scalars typed by the YAML 1.2 core schema
/// (quoted ones are strings). Anchors, aliases, tags and equal keys are refused: a definition says
/// one thing once. kInvalid with `where` = file:line:col.
[[nodiscard]] Result<Value> parse_yaml(std::string_view text, std::string_view file);

/// Block style, two spaces a level; `parse_yaml` reads it back equal.
[[nodiscard]] std::string to_yaml(const Value& value);

}  // namespace heddle::doc
