#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "control/wiring.hpp"

namespace heddle::control {

/// The work of one bounded retrain, in a process of its own: reads `DIR/request.json`
/// (RetrainRequest), takes the recorded traffic below DIR with its labels through the steps of a
/// run (flow/retrain.hpp), by the definitions and with the bundle that lie there (work_inputs.hpp).
/// It leaves `DIR/result.json` (RetrainResult), whole or not at all, and the new bundle among the
/// objects of DIR. A pure function of what it is given.
[[nodiscard]] Result<void> run_retrain(const std::string& dir, const Wiring& wiring);

}  // namespace heddle::control
