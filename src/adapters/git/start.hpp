#pragma once

#include <span>
#include <string>

#include "base/clock.hpp"
#include "base/result.hpp"

namespace heddle::adapters {

/// Makes a repository in `directory`, which lies in none, and commits `paths` of it: the one place
/// where Heddle writes an index and HEAD, of a repository that it has just made. The author is whom
/// git's configuration names, else the user of the system. Returns the commit.
[[nodiscard]] Result<std::string> start_git(const std::string& directory,
                                            std::span<const std::string> paths,
                                            const std::string& message,
                                            const Clock& clock = system_clock());

}  // namespace heddle::adapters
