#pragma once

#include <string>

#include "watch/watch.hpp"

namespace heddle::recover {

/// Where the base rate moved by more than half of what alerts, by who sends the rows. A base rate
/// moves for everybody: what moves for few is theirs, and no offset for all of them mends it.
struct MovedBaseRate {
  bool for_most = true;             ///< of the rows
  watch::LabelJoin::Sender most{};  ///< where it moved most
};
[[nodiscard]] MovedBaseRate moved_base_rate(const watch::Alert& alert, const watch::Watch& watch);

}  // namespace heddle::recover
