#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "jobs/jobs.hpp"
#include "store/store.hpp"

namespace heddle::control {

/// How the parts behind ports are opened. `app` fills it in: the only place that names concrete
/// adapters (DESIGN 5).
struct Wiring {
  std::function<Result<std::unique_ptr<store::State>>(const std::string& path)> open_state;
  std::function<Result<std::unique_ptr<store::Objects>>(const std::string& dir)> open_objects;
  std::function<Result<std::unique_ptr<store::Git>>(const std::string& root)> open_git;
  /// `state`: `.heddle` of the project; the folders of jobs are below it.
  std::function<std::unique_ptr<jobs::Runner>(const std::string& state)> make_runner;
  const Clock* clock = &system_clock();
  std::string executable;  ///< absolute path of this binary: workers and planes are started from it

  /// What names this binary in a job; empty when there is no `executable`.
  [[nodiscard]] Result<Digest> program() const {
    return executable.empty() ? Result<Digest>(Digest{}) : jobs::program_digest(executable);
  }
};

}  // namespace heddle::control
