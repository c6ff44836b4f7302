#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/clock.hpp"
#include "store/store.hpp"

namespace heddle::adapters {

/// store::Git on libgit2, over the repository that holds `directory` (found upwards;
/// `git-not-found` when there is none). Paths are relative to `directory`. Writes loose objects and
/// refs under `refs/heads/heddle/` and `refs/heddle/` only
/// (`git-ref-refused` for any other); never the index, the work tree or HEAD. Commits are by
/// `Heddle <heddle@localhost>` at `clock`'s wall time. A ref whose lock another program holds is
/// waited for, as long as `lock_patience`; a lock that a killed one left is removed (ref_lock.hpp).
/// Thread-safe; `clock` must outlive it.
[[nodiscard]] Result<std::unique_ptr<store::Git>> open_git(
    const std::string& directory, const Clock& clock = system_clock(),
    std::chrono::milliseconds lock_patience = std::chrono::seconds(2));

}  // namespace heddle::adapters
