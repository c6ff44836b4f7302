#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "runtime/sandbox.hpp"

namespace heddle::runtime {

/// A process of ours that serves one model on a Unix socket: unpacked into a folder of its own,
/// started in a sandbox with a clean environment and bounds, its output in the log. When it ends it
/// is started again after 100 ms, doubling up to 10 s; after 8 ends without a minute of life
/// between them it stays down. It dies with us. Thread-safe; one thread of its own supervises it.
class Worker {
 public:
  struct Options {
    std::vector<std::string>
        command{};  ///< the program: a path, one relative to the files with a `/` in it, or a name
                    ///< on PATH. `${env:NAME}` is resolved
    std::string model{};       ///< HEDDLE_WORKER_MODEL
    std::string_view files{};  ///< a tar of ours; only read by `start`
    std::string directory{};   ///< holds the instances' folders; empty: the instance is a folder of
                               ///< its own in the temporary one
    std::string hidden{};      ///< what the worker must not see
    bool whole_sandbox = false;     ///< not started without each layer of the sandbox
    std::int64_t memory_bytes = 0;  ///< of all its processes together
    std::int64_t start_timeout_ms = 60'000;
    const std::atomic<bool>* ending = nullptr;  ///< once true, `start` gives up (kCancelled)
  };

  /// Returns once the worker said that it is ready. kUnavailable (`runtime-exited`) with its last
  /// words when it ended instead, kTimeout (`runtime-start`), kNotFound (`runtime-program`),
  /// kUnavailable (`runtime-sandbox`) when the whole sandbox is demanded and not to be had. What it
  /// had started is gone then. Call it from a thread of ordinary priority: the worker inherits
  /// it.
  [[nodiscard]] static Result<std::unique_ptr<Worker>> start(const Options& options);
  /// SIGTERM, after 3 s SIGKILL; its folder goes.
  virtual ~Worker() = default;

  /// A path to connect to, of this process alone; the same after a restart.
  [[nodiscard]] virtual const std::string& socket() const noexcept = 0;
  /// The layers of its sandbox that are in force.
  [[nodiscard]] virtual Layers layers() const = 0;
  [[nodiscard]] virtual bool ready() const noexcept = 0;
  [[nodiscard]] virtual std::uint64_t restarts() const noexcept = 0;
};

}  // namespace heddle::runtime
