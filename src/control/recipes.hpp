#pragma once

#include <optional>
#include <string>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "bundle/config.hpp"
#include "store/store.hpp"

namespace heddle::control {

/// The last accepted search of each model: that of the newest `heddle run` whose bundle a release
/// made primary. It is of the model: which bundle serves at the moment (a standby after a swap, an
/// older release after a rollback) does not change it.

/// To be called in the transaction of the decision that made `primary` what it is. A bundle that
/// was made from another, or without a search, changes nothing.
[[nodiscard]] Result<void> accept_search(store::Txn& txn, store::Objects& objects,
                                         const Digest& primary);

/// None: none was accepted yet.
[[nodiscard]] Result<std::optional<bundle::Search>> accepted_search(store::State& state,
                                                                    const std::string& model);

}  // namespace heddle::control
