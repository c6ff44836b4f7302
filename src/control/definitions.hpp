#pragma once

#include <string>

#include "base/result.hpp"
#include "control/act_replies.hpp"
#include "control/operations.hpp"
#include "doc/value.hpp"
#include "policy/act.hpp"

namespace heddle::control {

/// The operation `definition.apply`: makes the definitions of a revision what runs, as a decision.
/// Reads git only.
[[nodiscard]] Result<ApplyReply> apply_definitions(Control::Core& core, const std::string& revision,
                                                   const policy::Actor& actor);

/// Before anything is decided for the first time, the commit of HEAD is applied as a decision of
/// its own, asked for by the system and judged by the policy of that commit. kDenied
/// `nothing-applied` when that does not let it.
[[nodiscard]] Result<void> apply_first(Control::Core& core);

}  // namespace heddle::control
