#pragma once

#include <string>

#include "control/act_replies.hpp"
#include "control/operations.hpp"
#include "recover/by_hand.hpp"

namespace heddle::control {

/// What a person does by hand, each by a proven person: the errors of `proven_person` and of
/// `ServiceControl::act_by_hand`, kInvalid `reason-malformed`.
[[nodiscard]] Result<ByHandReply> open_incident(Control::Core& core,
                                                const OpenIncidentRequest& request,
                                                const Call& call);
[[nodiscard]] Result<ByHandReply> act_on_incident(Control::Core& core, recover::ByHand::Kind kind,
                                                  const IncidentAct& request, const Call& call);
[[nodiscard]] Result<ByHandReply> act_on_source(Control::Core& core, recover::ByHand::Kind kind,
                                                const QuarantineAct& request, const Call& call);

/// What a person says for the record: one line of at most 2,000 bytes that a terminal can show;
/// kInvalid `reason-malformed` otherwise.
[[nodiscard]] Result<std::string> checked_reason(const std::string& text);

}  // namespace heddle::control
