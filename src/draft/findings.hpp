#pragma once

#include "draft/decision.hpp"

namespace heddle::draft {

/// Looks for what a person should see first, the gravest first, and takes leaks and columns that
/// were computed from the target out of the features. `target` is of the sampled rows.
void look_for_findings(Decisions& decisions, const profile::Target& target);

}  // namespace heddle::draft
