#pragma once

#include <vector>

#include "doc/diagnostic.hpp"
#include "spec/project.hpp"

namespace heddle::spec {

/// What of a policy can never apply, or always would, from its own numbers and the people there
/// are: errors, each at its key.
void check_policy_numbers(const Policy& policy, const std::vector<Person>& people,
                          std::vector<doc::Diagnostic>& out);

}  // namespace heddle::spec
