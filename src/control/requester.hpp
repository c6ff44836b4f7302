#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "control/operations.hpp"
#include "policy/act.hpp"

namespace heddle::control {

/// Who asks for an act. A person is who is proven to be one: by a signature over the request
/// (member `signed`, policy/request.hpp), or by the account of the operating system that called (by
/// `sudo`: whose it was before), if people.yaml maps it to a person. A name in `requester` without
/// a signature is only claimed: it is recorded, and it counts as the one who asked. Nobody is
/// proven: the account itself
/// (`system:NAME`) asks, which the rules may let do what needs no approval. kDenied for a name that
/// people.yaml has not, for a signature that is not that person's over exactly this request, for
/// one that was used or is too old.
[[nodiscard]] Result<policy::Actor> requester(Control::Core& core, const Call& call,
                                              const AskedBy& by);

/// The same for what only a person does (member `person`): kDenied `person-unproven` where none is
/// proven.
[[nodiscard]] Result<policy::Actor> proven_person(Control::Core& core, const Call& call,
                                                  const AskedBy& by);

/// What makes `actor` a person: what to add to people.yaml; empty when it is one, or is no account
/// of the system.
[[nodiscard]] std::string how_to_be_a_person(const policy::Actor& actor);

}  // namespace heddle::control
