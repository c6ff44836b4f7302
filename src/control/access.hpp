#pragma once

#include "control/operations.hpp"

namespace heddle::control {

/// Turns each finished journal segment of every service into a segment of its access log, once, and
/// its root into a ledger entry `access.segment`; then removes the oldest past the service's bound.
/// The file is whole before the entry is written, and what a kill left without an entry is written
/// again. Returns after about 200 ms at the latest, between two segments. Call it about once a
/// second.
[[nodiscard]] Result<void> write_access_logs(Control::Core& core);

/// What the ledger says of access logs: {"service"?} -> {"segments": [{"service", "segment",
/// "requests", "rows", "root", "entry"}]}.
[[nodiscard]] Result<doc::Value> list_access_logs(Control::Core& core, const doc::Value& request);

}  // namespace heddle::control
