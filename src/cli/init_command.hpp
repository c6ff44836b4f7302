#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace CLI {
class App;
}

namespace heddle::cli {

struct Invocation;

/// Makes a repository in a folder that lies in none, with one commit of `paths`; the commit. `app`
/// fills it in, as it does `control::Wiring`.
using StartGit = std::function<Result<std::string>(
    const std::string& root, const std::vector<std::string>& paths, const std::string& message)>;
[[nodiscard]] StartGit& start_git();

/// `heddle init`: a project from a file of rows.
void add_init_command(CLI::App& app, Invocation& invocation);

}  // namespace heddle::cli
