#pragma once

#include <memory>
#include <string>
#include <vector>

#include "jobs/jobs.hpp"

namespace heddle::adapters {

struct ProcessRunnerOptions {
  std::string state{};  ///< `.heddle` of this machine; the folders of jobs are below it
  std::vector<std::string> programs{};  ///< installed here, by their paths
};

/// jobs::Runner by fork and exec on this machine. Each job has a folder below `state`, on the disk
/// of a store that lies there too, so that its inputs are links. It dies with this process
/// (PR_SET_PDEATHSIG), is its own process group, is killed when its time is over, and its peak
/// memory is what the kernel counted (wait4). A job inherits the environment and no file but stdin
/// (/dev/null), stdout and stderr. What a runner that was killed has left is removed by the next
/// one. Thread-safe.
[[nodiscard]] std::unique_ptr<jobs::Runner> make_process_runner(ProcessRunnerOptions options);

}  // namespace heddle::adapters
