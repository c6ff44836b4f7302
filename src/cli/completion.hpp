#pragma once

#include <string>
#include <utility>
#include <vector>

namespace CLI {
class App;
}

namespace heddle::cli {

/// One word that may stand next on a command line, and what it means.
using Candidate = std::pair<std::string, std::string>;

/// What may stand in place of the last of `words` (after the program's name), which may be begun:
/// commands, options, values that an option is one of, and the project's services and models where
/// one is asked for. Empty: nothing of ours, for instance a file's name.
[[nodiscard]] std::vector<Candidate> candidates(const CLI::App& app,
                                                const std::vector<std::string>& words);

/// A command line that a shell's completion asks with: `heddle completion words WORD...`. It is no
/// command of the parser, which would read the words as its own.
[[nodiscard]] bool asks_for_candidates(int argc, const char* const* argv);
/// Answers it on stdout: a line each, the word, a tab and what it means. The exit code.
int print_candidates(const CLI::App& app, int argc, const char* const* argv);

}  // namespace heddle::cli
