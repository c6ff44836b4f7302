#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "doc/value.hpp"

namespace heddle::doc {

/// One YAML document with the position of every value, scalars typed by the YAML 1.2 core schema
/// (quoted ones are strings). Tags and equal keys are refused. Aliases stand for what they name,
/// and
/// `<<` merges maps as YAML 1.1 has it; together they may repeat 16 MiB. kInvalid with `where` =
/// file:line:col.
[[nodiscard]] Result<Value> parse_yaml(std::string_view text, std::string_view file);

/// Block style, two spaces a level; `parse_yaml` reads it back equal.
[[nodiscard]] std::string to_yaml(const Value& value);

}  // namespace heddle::doc
