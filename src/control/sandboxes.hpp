#pragma once

#include "control/operations.hpp"

namespace heddle::control {

/// Writes down what sandbox the workers of a service run in, as its data plane told it: an entry
/// `worker.sandbox` in the ledger whenever a slot has another worker or other layers.
[[nodiscard]] Result<void> record_sandboxes(Control::Core& core, const std::string& service,
                                            ServiceControl& control);

/// The last ones.
[[nodiscard]] Result<std::vector<plane::SandboxRecord>> sandboxes_of(Control::Core& core,
                                                                     const std::string& service);

}  // namespace heddle::control
