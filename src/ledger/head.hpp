#pragma once

#include "base/clock.hpp"
#include "ledger/tree.hpp"
#include "store/store.hpp"

namespace heddle::ledger {

/// What is kept beside the log, in the same transaction: the tree over all rows, and the time of
/// the last one.
struct Head {
  Micros t = 0;
  CompactRange range{};
};
[[nodiscard]] Result<Head> read_head(store::Txn& txn);

}  // namespace heddle::ledger
