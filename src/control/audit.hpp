#pragma once

#include <vector>

#include "base/result.hpp"
#include "control/operations.hpp"
#include "ledger/verify.hpp"

namespace heddle::control {

/// What the ledger's bytes alone do not show: that every yes and every signed request in it is
/// signed by a key that the person had in people.yaml, as it was applied then, and that what runs
/// is what the newest decision about it made so, and that what was stopped is stopped until an
/// entry says otherwise. Findings `approval-signature-invalid`, `request-signature-invalid`,
/// `applied-not-decided`, `stop-not-in-force`, `stop-not-decided`.
[[nodiscard]] Result<void> audit_decisions(Control::Core& core,
                                           std::vector<ledger::Finding>& findings);

}  // namespace heddle::control
