#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "spec/contract.hpp"

namespace heddle::control {

/// A definition's text with an addition in its place, everything else as it stands, comments
/// included: what a postmortem puts on a branch for review. `path` is `list[]` (append `addition`,
/// YAML of one item, to that list of the document) or dotted keys (`addition` is the new value).
/// The list or the keys are made when they are missing. kInvalid when the result would not parse.
[[nodiscard]] Result<std::string> amend(std::string_view text, std::string_view path,
                                        std::string_view addition);

/// A contract's text with these transforms in the `customProperties` that docs/odcs.md names: of
/// the document, or of the schema object `object` where the document has several. One of the same
/// id is replaced. Comments stay where the contract has no transform yet. kNotFound when there is
/// no such object.
[[nodiscard]] Result<std::string> amend_transforms(std::string_view text, std::string_view object,
                                                   const std::vector<spec::Transform>& transforms);

}  // namespace heddle::control
