#pragma once

#include <string>

#include "base/result.hpp"
#include "control/wiring.hpp"

namespace heddle::control {

/// The work of one bounded retrain, in a process of its own: reads `DIR/request.json` {service,
/// commit, base, from, until, rows}, the recorded traffic with its labels, trains on it, and leaves
/// `DIR/result.json` {bundle, gates_passed, failed_gates, metrics, judged, train_rows,
/// holdout_rows}, or {failed, hint} with the reason, whole or not at all. A pure function of the
/// request and the journal.
[[nodiscard]] Result<void> run_retrain(const std::string& root, const std::string& dir,
                                       const Wiring& wiring);

}  // namespace heddle::control
