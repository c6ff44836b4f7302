#pragma once

#include <vector>

#include "doc/diagnostic.hpp"
#include "spec/project.hpp"

namespace heddle::spec {

/// Where services of one project are in each other's way: two on one port, a monitor of another
/// service, policies that name a service there is not or that say the same of one: errors.
void check_services(const Project& project, std::vector<doc::Diagnostic>& out);

}  // namespace heddle::spec
