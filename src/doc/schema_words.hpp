#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "doc/schema_reader.hpp"

namespace heddle::doc {

/// What a key of that shape must be, for people. Private to this module.
[[nodiscard]] std::string_view shape_name(Shape shape);
/// `a`, `b`, in backticks.
[[nodiscard]] std::string joined(const std::vector<std::string>& names);

}  // namespace heddle::doc
