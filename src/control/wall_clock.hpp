#pragma once

#include <cstdint>
#include <optional>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "ledger/ledger.hpp"
#include "store/store.hpp"

namespace heddle::control {

/// Looks after the clock that entries, approvals and signed requests are timed by. A jump is an
/// entry: who reads a time in the ledger can see that it is not to be believed. Confined to the
/// control thread.
class WallClock {
 public:
  explicit WallClock(const Clock& clock) : clock_(clock) {}
  /// About once a second. An entry `clock.jump` when the wall clock has left the steady one by more
  /// than five minutes since the last look, or, at the first, is that much behind the newest entry:
  /// entries keep the time of that one until it gets there, and nothing expires before.
  [[nodiscard]] Result<void> look(store::State& state, ledger::Ledger& ledger);

 private:
  struct Instant {
    Micros wall = 0;
    std::int64_t mono_ns = 0;
  };
  const Clock& clock_;
  std::optional<Instant> last_;
};

}  // namespace heddle::control
