#pragma once

#include "control/operations.hpp"
#include "control/replies.hpp"

namespace heddle::control {

/// Turns each finished journal segment of a service into a segment of its access log, once, and
/// its root into a ledger entry `access.segment`; then removes the oldest past the service's bound,
/// after an entry `access.prune`: whatever else is missing was removed by somebody. A journal
/// segment that is gone before it was turned is an entry `ledger.damage`.
/// The file is whole before the entry is written, and what a kill left without an entry is written
/// again. Returns after about 200 ms at the latest, between two segments. Call it about once a
/// second.
[[nodiscard]] Result<void> write_access_log(Control::Core& core, const std::string& name,
                                            ServiceControl& control);

/// An entry `ledger.damage` where the journal of a service lost what was not turned yet. It is
/// turned on from where it begins now.
[[nodiscard]] Result<void> look_for_lost_journal(Control::Core& core, const spec::Service& service);

/// What the ledger says of access logs, of a segment that was recorded twice the later one; of one
/// service, or of all: {"segments": [{"service", "segment", "requests", "rows", "root", "entry",
/// "pruned"}]}. `pruned`: an `access.prune` says that it was removed.
[[nodiscard]] Result<AccessReply> list_access_logs(Control::Core& core, const std::string& wanted);

}  // namespace heddle::control
