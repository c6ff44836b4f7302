#pragma once

#include <vector>

#include "draft/decision.hpp"

namespace heddle::draft {

/// Looks for what a person should see first, the gravest first, and takes leaks and columns that
/// were computed from the target out of the features. `target` is of the sampled rows.
void look_for_findings(Decisions& decisions, const profile::Target& target);

/// What of it is so whatever is predicted, in the same words, of a file that no project is drafted
/// from: repeated rows, keys, words for no value, mixed types, impossible values, constants.
[[nodiscard]] std::vector<Finding> look_at_file(const profile::Profile& profile);

}  // namespace heddle::draft
