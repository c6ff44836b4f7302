#pragma once

#include <memory>

#include "jobs/jobs.hpp"

namespace heddle::adapters {

/// jobs::Runner by fork and exec on this machine: a job dies with this process (PR_SET_PDEATHSIG),
/// is its own process group, is killed when its time is over, and its peak memory is what the
/// kernel counted (wait4). A job inherits the environment and no file but stdin (/dev/null), stdout
/// and stderr. Thread-safe.
[[nodiscard]] std::unique_ptr<jobs::Runner> make_process_runner();

}  // namespace heddle::adapters
