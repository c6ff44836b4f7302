#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "ledger/checkpoint.hpp"
#include "store/store.hpp"

namespace heddle::ledger {

/// That a checkpoint is kept outside, from now on: it cannot be missing any more.
inline constexpr const char* kAnchoredAction = "ledger.anchored";
/// That a person put an older state in force, and which signed checkpoints are not of it.
inline constexpr const char* kRestoreAction = "ledger.restore";

/// `refs/heddle/anchor/` and the id of the ledger's key: two work trees of one repository have a
/// ledger each.
[[nodiscard]] std::string anchor_ref(const VerifierKey& key);

/// The checkpoints of this ledger that git knows of: the one that the ref names, and those that it
/// named before, as far as git's own log of the ref goes back (32 of them). Empty: it was never
/// anchored. kCorrupt `ledger-anchor-unreadable` when there is something that is no checkpoint of
/// this key, or when git cannot read it: that is not the same as no anchor.
[[nodiscard]] Result<std::vector<Checkpoint>> read_anchors(store::Git& git, const VerifierKey& key);

/// `SIZE ROOT`: a checkpoint in the attribute `abandoned` of a `ledger.restore`.
[[nodiscard]] std::string abandoned_text(const Checkpoint& checkpoint);

}  // namespace heddle::ledger
