#pragma once

#include <map>
#include <string>
#include <vector>

#include "doc/diagnostic.hpp"
#include "spec/files.hpp"
#include "spec/project.hpp"

namespace heddle::spec {

/// Text of each file that was read, by its path relative to the project: to place a finding inside
/// an expression.
using Texts = std::map<std::string, std::string>;

/// Findings that concern several definitions, or one as a whole: names, expressions, cycles, files.
/// Features are put in an order in which each follows what it reads.
void check_project(Project& project, const Texts& texts, const Files& files,
                   std::vector<doc::Diagnostic>& diagnostics);

}  // namespace heddle::spec
