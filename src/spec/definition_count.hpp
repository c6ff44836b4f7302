#pragma once

#include <cstddef>

#include "spec/project.hpp"

namespace heddle::spec {

/// How many definitions a project has, of every kind.
[[nodiscard]] std::size_t definition_count(const Project& project);

}  // namespace heddle::spec
