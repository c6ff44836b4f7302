#pragma once

#include <string>

#include "base/result.hpp"
#include "base/signature.hpp"
#include "control/home.hpp"
#include "control/wiring.hpp"
#include "spec/project.hpp"

namespace heddle::cli {

/// Makes what a plane needs before it starts: keys, the control plane's public key, a token for
/// each service account. Keeps what is there, and applies the commit of HEAD where nothing was
/// applied yet. Returns the applied project.
[[nodiscard]] Result<spec::Project> prepare_project(const std::string& root,
                                                    const control::Wiring& wiring);

/// By which route tables are checked.
[[nodiscard]] Result<Ed25519Public> read_control_public_key(const control::Home& home);

/// Runs one plane until SIGTERM or SIGINT (`heddle up --only ...`); returns ok after an orderly
/// end.
[[nodiscard]] Result<void> run_control_plane(const std::string& root,
                                             const control::Wiring& wiring);
[[nodiscard]] Result<void> run_data_plane(const std::string& root, const control::Wiring& wiring,
                                          bool lockstep);

}  // namespace heddle::cli
