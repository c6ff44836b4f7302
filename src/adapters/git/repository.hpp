#pragma once

#include <memory>
#include <string>

#include "base/clock.hpp"
#include "store/store.hpp"

namespace heddle::adapters {

/// store::Git on libgit2, over the repository that holds `directory` (found upwards;
/// `git-not-found` when there is none). Paths are relative to `directory`. Writes loose objects and
/// refs under `refs/heads/heddle/` and `refs/heddle/` only
/// (`git-ref-refused` for any other); never the index, the work tree or HEAD. Commits are by
/// `Heddle <heddle@localhost>` at `clock`'s wall time. Thread-safe; `clock` must outlive it.
[[nodiscard]] Result<std::unique_ptr<store::Git>> open_git(const std::string& directory,
                                                           const Clock& clock = system_clock());

}  // namespace heddle::adapters
