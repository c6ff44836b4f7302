#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "adapters/git/handles.hpp"

namespace heddle::adapters {

/// The file that a Heddle process holds (flock) while it writes a ref, in the folder that the work
/// trees of a repository share. Nothing is in it.
inline constexpr const char* kRefTurn = "heddle.refs";

/// Writes one of Heddle's own refs: `write` is the call of libgit2, and what it returns is
/// returned, but for GIT_ELOCKED. While a lock file `REF.lock` is there it is tried again, for
/// `patience`.
///
/// A lock file that was there before this process had its turn, and is the same one at the end of
/// `patience`, was left by a process that was killed: it is removed, with a warning. No Heddle
/// process can have it, as each holds `kRefTurn` meanwhile, and git has such a lock for
/// milliseconds. Any other lock that stays is kBusy `git-ref-locked`, which names the file.
[[nodiscard]] Result<int> write_ref(git_repository* repository, const std::string& ref,
                                    std::chrono::milliseconds patience,
                                    const std::function<int()>& write);

}  // namespace heddle::adapters
