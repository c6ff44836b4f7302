#pragma once

#include <string>

#include "doc/value.hpp"
#include "policy/engine.hpp"

namespace heddle::control {

/// A proposal as the state keeps it until it is carried out: all that it asks for. What it is asked
/// against, and the approval that it is carried out by, are added then.
[[nodiscard]] doc::Value write_proposal(const policy::Proposal& proposal,
                                        const std::string& service);
[[nodiscard]] policy::Proposal read_proposal(const doc::Value& value);

}  // namespace heddle::control
