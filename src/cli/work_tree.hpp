#pragma once

#include <string>
#include <vector>

#include "cli/commands.hpp"
#include "doc/value.hpp"

namespace heddle::cli {

/// What of the work tree's definitions is not what runs, and what to do about it. People edit the
/// work tree; what runs is the commit that was applied.
struct WorkTreeNote {
  std::string applied{};               ///< commit; empty: nothing was applied
  std::vector<std::string> changes{};  ///< in words, one a file
  std::string next{};                  ///< the command that makes the work tree what runs

  [[nodiscard]] doc::Value to_value() const;
  void tell(const Console& console) const;  ///< a message when there is something to say
};

/// Best effort: a work tree that cannot be read, or is in no repository, has nothing to say.
[[nodiscard]] WorkTreeNote compare_with_applied(const Invocation& invocation,
                                                const std::string& applied);
/// The same with what the control plane wrote down, for commands that do not ask it.
[[nodiscard]] WorkTreeNote compare_with_applied(const Invocation& invocation);

}  // namespace heddle::cli
