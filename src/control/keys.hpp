#pragma once

#include "base/result.hpp"
#include "base/signature.hpp"
#include "control/home.hpp"

namespace heddle::control {

/// The key that signs route tables and what was applied, and its public part, by which other
/// processes check them. Made the first time. Never made anew: what serves goes on serving by the
/// public part, and somebody has to say that there is another key. kCorrupt: `control-key-lost`,
/// `control-key-other`; `control-key-damaged`: the public part is none. `known`: the public part,
/// in hex, that the state knows; empty: none.
[[nodiscard]] Result<Ed25519Key> open_control_key(const Home& home, const std::string& known);

/// The key that signs the ledger's checkpoints. Made the first time, never anew. kCorrupt
/// `ledger-key-lost`. `has_entries`: the state has some, so that there was a key.
[[nodiscard]] Result<Ed25519Key> open_ledger_key(const Home& home, bool has_entries);

}  // namespace heddle::control
