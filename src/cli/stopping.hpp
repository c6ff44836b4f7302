#pragma once

#include <string>

#include "cli/console.hpp"
#include "cli/signing.hpp"

namespace heddle::cli {

struct Invocation;

/// `heddle stop`; `service` may be `*`. The control plane decides and records it, as always; a data
/// plane that is not stopped within a moment is told over its own socket, which needs neither the
/// control plane nor the state, the definitions or room on the disk. The exit code.
int stop_services(const Invocation& invocation, const Console& console, const std::string& service,
                  const AskedBy& by);

}  // namespace heddle::cli
