#pragma once

#include <string>

#include "base/signature.hpp"
#include "control/home.hpp"
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
  std::string executable;
};

}  // namespace heddle::control
