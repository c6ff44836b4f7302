#pragma once

#include <string>

#include "base/result.hpp"
#include "control/wiring.hpp"

namespace heddle::cli {

/// Makes what both planes need before they start: keys, the control plane's public key, a token for each service account.
/// Keeps what is there. Errors of the definitions are returned whole.
[[nodiscard]] Result<void> prepare_project(const std::string& root);

/// Runs one plane until SIGTERM or SIGINT (`heddle up --only ...`); returns ok after an orderly end.
[[nodiscard]] Result<void> run_control_plane(const std::string& root, const control::Wiring& wiring);
[[nodiscard]] Result<void> run_data_plane(const std::string& root, const control::Wiring& wiring, bool lockstep);

}  // namespace heddle::cli
