#pragma once

#include <string>

#include "control/operations.hpp"
#include "recover/by_hand.hpp"

namespace heddle::control {

/// The operation that does `kind` by hand: `incident.open` {service, source?, account?},
/// `incident.acknowledge`, `incident.comment` and `incident.close` {id}, `quarantine.add` and
/// `quarantine.release` {service, source, account?}; each with {reason, again?, person?, signed?},
/// each by a proven person. kInvalid `reason-malformed`; the errors of `proven_person` and of
/// `ServiceControl::act_by_hand`.
[[nodiscard]] Result<doc::Value> do_by_hand(Control::Core& core, recover::ByHand::Kind kind,
                                            const doc::Value& request, const Caller& caller);

/// The member `reason` of a request: what a person says for the record. One line of at most 2,000
/// bytes that a terminal can show; kInvalid `reason-malformed` otherwise.
[[nodiscard]] Result<std::string> reason_of(const doc::Value& request);

}  // namespace heddle::control
