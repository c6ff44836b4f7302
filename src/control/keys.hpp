#pragma once

#include "base/result.hpp"
#include "base/signature.hpp"
#include "control/home.hpp"

namespace heddle::control {

/// The key that signs route tables and what was applied, and its public part, by which other
/// processes check them. Made the first time. Never made anew: what serves goes on serving by the
/// public part, and somebody has to say that there is another key. kCorrupt: `control-key-lost`,
/// `control-key-other`.
[[nodiscard]] Result<Ed25519Key> open_control_key(const Home& home);

/// The key that signs the ledger's checkpoints. Made the first time, never anew. kCorrupt
/// `ledger-key-lost`.
[[nodiscard]] Result<Ed25519Key> open_ledger_key(const Home& home);

}  // namespace heddle::control
