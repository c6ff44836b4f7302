#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "control/wiring.hpp"

namespace heddle::control {

/// The work of one bounded retrain, in a process of its own: reads `DIR/request.json`
/// (RetrainRequest), takes the recorded traffic with its labels through the steps of a run
/// (flow/retrain.hpp), and leaves `DIR/result.json` (RetrainResult), whole or not at all. A pure
/// function of the request and the journal.
[[nodiscard]] Result<void> run_retrain(const std::string& root, const std::string& dir,
                                       const Wiring& wiring);

}  // namespace heddle::control
