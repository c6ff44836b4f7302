#include "control/wall_clock.hpp"

#include <utility>

#include "base/ids.hpp"
#include "base/log.hpp"

namespace heddle::control {
namespace {

constexpr Micros kJump = 5 * kMinute;

ledger::Entry entry_of(Micros from, Micros to, std::string reason) {
  ledger::Entry entry;
  entry.op_id = "control/clock.jump/" + uuid7();
  entry.actor = "system:control";
  entry.action = "clock.jump";
  entry.target = "project";
  entry.attributes =
      doc::Value::object({{"clock", "wall"}, {"from", format_time(from)}, {"to", format_time(to)}});
  entry.result = "recorded";
  entry.reason = std::move(reason);
  return entry;
}

}  // namespace

Result<void> WallClock::look(store::State& state, ledger::Ledger& ledger) {
  const Instant now{clock_.wall(), clock_.mono_ns()};
  const auto last = std::exchange(last_, now);
  Micros expected = now.wall;
  if (last) {
    // From the steady clock, which nobody sets; after a
    // start there is only the newest entry to compare with.
    expected = last->wall + (now.mono_ns - last->mono_ns) / 1000;
  } else {
    HEDDLE_TRY(state.read([&](store::Txn& txn) -> Result<void> {
      HEDDLE_ASSIGN_OR_RETURN(expected, ledger.now(txn));
      return {};
    }));
  }
  // Below five minutes it is the usual correction of a clock, and no entry.
  if (now.wall <= expected + kJump && now.wall >= expected - kJump) return {};
  auto reason = fmt::format("the wall clock says {}, {} says {}", format_time(now.wall),
                            last ? "the steady clock" : "the newest entry", format_time(expected));
  log::error("{}", reason);
  HEDDLE_TRY(ledger.record(entry_of(expected, now.wall, std::move(reason))));
  return {};
}

}  // namespace heddle::control
