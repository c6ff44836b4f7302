#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace heddle::jobs {

/// One process to run: it dies with the process that started it. `argv[0]` is a path; nothing goes
/// through a shell.
struct Job {
  std::string name;  ///< for people and logs
  std::vector<std::string> argv;
  std::string directory{};      ///< working directory; empty: the caller's
  std::string output_path{};    ///< stdout and stderr go there; empty: inherited
  std::int64_t timeout_ms = 0;  ///< 0: none
};

struct Outcome {
  int exit_code = 0;  ///< 128 + signal when a signal ended it
  bool timed_out = false;
  double seconds = 0;
  std::int64_t peak_bytes = 0;  ///< resident set, as the kernel counted it
};

/// Where steps and trials run. Thread-safe.
class Runner {
 public:
  virtual ~Runner() = default;
  /// Starts it and returns a handle for `wait` and `stop`; kUnavailable when it cannot be started.
  [[nodiscard]] virtual Result<std::int64_t> start(const Job& job) = 0;
  [[nodiscard]] virtual Result<Outcome> wait(std::int64_t handle) = 0;
  /// nullopt-like: `finished` false while it runs.
  [[nodiscard]] virtual Result<bool> finished(std::int64_t handle) = 0;
  virtual void stop(std::int64_t handle) = 0;
};

}  // namespace heddle::jobs
