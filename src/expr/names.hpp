#pragma once

#include <string>
#include <string_view>

namespace heddle::expr {

/// `name` as an expression names it: between backticks where the grammar needs them.
[[nodiscard]] std::string written(std::string_view name);

}  // namespace heddle::expr
