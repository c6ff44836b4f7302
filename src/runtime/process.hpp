#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/process.hpp"
#include "base/result.hpp"
#include "runtime/sandbox.hpp"

namespace heddle::runtime {

/// A worker's launcher, in a session of its own, killed by the kernel when the thread that started
/// it ends. It ends when the worker does, as the worker did, and takes along all that one started.
struct Process {
  ChildProcess launcher;
  int output = -1;   ///< stdout and stderr of all its processes, non-blocking
  int scratch = -1;  ///< its scratch folder: a place in its root, not in ours
  Layers layers{};   ///< of the sandbox, those in force
};

/// kUnavailable (`runtime-start`) when it cannot become the program. The descriptors are the
/// caller's.
[[nodiscard]] Result<Process> spawn(const Launch& launch);
/// Reaps an ended child: `exit code 3` or `signal 9`; empty while it runs. What is left of its
/// session's group is killed, and its descriptors are closed.
[[nodiscard]] std::optional<std::string> reap(Process& process);
/// SIGTERM, SIGKILL after `grace_ms`, and reaps.
void end(Process& process, std::int64_t grace_ms);

/// `name` as the shell would find it: absolute, relative to `directory` when it has a slash, else
/// on PATH. Of a folder its `bin/python`. kNotFound (`runtime-program`).
[[nodiscard]] Result<std::string> find_program(const std::string& name,
                                               const std::string& directory);

}  // namespace heddle::runtime
