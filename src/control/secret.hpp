#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace heddle::control {

/// Resolves `${env:NAME}` and `${file:PATH}` (a trailing line break is dropped); any other text
/// stands for itself. Called at use, never stored (DESIGN 4, Secrets). kNotFound names the variable
/// or file, never its value.
[[nodiscard]] Result<std::string> resolve_secret(std::string_view text);

}  // namespace heddle::control
