#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/signature.hpp"
#include "control/home.hpp"
#include "control/work_job.hpp"
#include "jobs/jobs.hpp"
#include "policy/engine.hpp"
#include "spec/project.hpp"
#include "store/store.hpp"

namespace heddle::control {

class Outbox;

/// What one service's control stands on; owned by `Control` and outliving it.
struct ServiceParts {
  const Home* home = nullptr;
  const spec::Project* project = nullptr;
  store::State* state = nullptr;
  store::Objects* objects = nullptr;
  store::Git* git = nullptr;  ///< nullptr: the project is no git repository
  jobs::Runner* runner = nullptr;
  policy::LocalEngine* policy = nullptr;
  Outbox* outbox = nullptr;
  const Ed25519Key* control_key = nullptr;
  Digest program{};  ///< what names this binary in a job
  /// A store in a folder: what a job is given and leaves.
  std::function<Result<std::unique_ptr<store::Objects>>(const std::string& dir)> open_objects{};
};

/// What the jobs of one of the services stand on.
[[nodiscard]] inline WorkParts work_parts(const ServiceParts& parts, std::string service) {
  return {parts.home,    parts.objects,      parts.git,         parts.runner,
          parts.program, parts.open_objects, std::move(service)};
}

}  // namespace heddle::control
