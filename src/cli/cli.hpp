#pragma once

#include "control/wiring.hpp"

namespace heddle::cli {

/// Parses the command line, runs one command, returns its exit code (docs/exit-codes.md). Nothing
/// is decided here.
[[nodiscard]] int run(int argc, char** argv, const control::Wiring& wiring);

}  // namespace heddle::cli
