#pragma once

#include <string>
#include <vector>

#include "doc/value.hpp"
#include "ledger/ledger.hpp"
#include "store/store.hpp"

namespace heddle::ledger {

/// Something to do outside the state (a webhook, a push, a job elsewhere), decided and not yet
/// known to be done.
struct Intent {
  std::string op_id;  ///< the outside effect must be idempotent under it
  std::string kind;   ///< `webhook`, `git.push`, ...
  doc::Value detail{};
  std::uint64_t entry = 0;
};

/// In the transaction of the decision that wants it: an entry `effect.intent` and a record that
/// stays until the outcome. The same op_id again is nothing new.
[[nodiscard]] Result<void> intend(Ledger& ledger, store::Txn& txn, const std::string& op_id,
                                  const std::string& kind, const doc::Value& detail);
/// After it was done (or given up, `ok` false): an entry `effect.outcome`, and the intent is gone.
/// Twice is nothing new.
[[nodiscard]] Result<void> settle(Ledger& ledger, store::State& state, const std::string& op_id,
                                  bool ok, const std::string& reason);
/// What a crash may have left half done, by op_id: do each again, then `settle` it.
[[nodiscard]] Result<std::vector<Intent>> dangling(store::State& state);

}  // namespace heddle::ledger
