#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace heddle::control {

/// A definition's text with an addition in its place, everything else as it stands, comments included: what a postmortem puts
/// on a branch for review. `path` is `list[]` (append `addition`, YAML of one item, to that list of the document) or dotted
/// keys (`addition` is the new value). The list or the keys are made when they are missing. kInvalid when the result would
/// not parse.
[[nodiscard]] Result<std::string> amend(std::string_view text, std::string_view path, std::string_view addition);

}  // namespace heddle::control
