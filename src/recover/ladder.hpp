#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "recover/effects.hpp"
#include "recover/incident.hpp"
#include "spec/contract.hpp"
#include "spec/monitor.hpp"
#include "watch/watch.hpp"

namespace heddle::recover {

/// An action that was proposed in a tick, with what became of it.
struct Performed {
  Action action;
  Outcome outcome;
};

/// The recovery ladder: confirmed alerts become incidents with a cause, and each cause has its response.
///
///   unit change      quarantine the source → until the data plane finds it clean → let it in
///   contract fault   rows are refused already → until it is quiet (quarantine when most of one source breaks)
///   time shift       standby if better + propose a contract transform → approved: verify; refused: retrain
///   concept shift    standby if better + collect labels → retrain → gates → approval → promote → verify, else roll back
///   prior shift      recalibrate by half of the moved intercept
///   covariate shift  nothing, unless labelled quality falls: then as concept shift
///
/// then the postmortem. A serialisable value, driven by event time alone; it decides, `Effects` acts. Ticks at or before
/// `last_tick` are ignored, so a journal may be read again from any earlier place. Confined to one thread.
class Ladder {
 public:
  struct Options {
    std::string service;
    spec::Monitor monitor;
    spec::Contract contract;
    std::vector<std::string> fields;         ///< of the journal's rows
    std::string evaluation_file;             ///< where an evaluation case would stand
    std::uint32_t readmit_after = 5;         ///< clean rows that let a quarantined source in
    std::int64_t retrain_rows = 28'000;      ///< the policy's bound W
    double swap_margin = 0.005;              ///< log loss by which the standby must be better
    double recalibrate_share = 0.5;          ///< of the moved intercept
  };
  explicit Ladder(Options options) : options_(std::move(options)) {}

  /// One tick at event time `now`: `moves` and `acts` came since the last tick that was later than `last_tick` (a tick that is
  /// not moves nothing: keep what came and hand it over with the next one). Proposes what is due, as often as outcomes
  /// let the ladder go on. Errors of `effects` leave the incident where it is and come back with the next tick.
  [[nodiscard]] std::vector<Performed> on_tick(Micros now, std::span<const watch::Alert> moves,
                                               std::span<const plane::ActRecord> acts, const watch::Watch& watch,
                                               Effects& effects);

  /// Open ones and those closed of late, in the order of opening.
  [[nodiscard]] const std::vector<Incident>& incidents() const noexcept { return incidents_; }
  [[nodiscard]] Micros last_tick() const noexcept { return last_tick_; }

  /// Ids of closed incidents that nothing here looks at any more, at the last tick: their cool-down
  /// is over.
  [[nodiscard]] std::vector<std::string> finished() const;
  /// Drops incidents that are kept elsewhere; their ids are not given again.
  void let_go(std::span<const std::string> ids);

  [[nodiscard]] doc::Value to_value() const;
  [[nodiscard]] Result<void> restore(const doc::Value& value);

 private:
  struct Tick {
    Micros now;
    const watch::Watch& watch;
    Effects& effects;
    std::vector<Performed>& performed;
  };
  void take_in(const watch::Alert& alert, Tick& tick);
  /// Whether an incident of this alert recovered less than the monitor's cool-down ago. Contract alerts know none: bad rows
  /// do not wait; prior shift has its own, in chunks.
  [[nodiscard]] bool cooling(const watch::Alert& alert, Micros now) const;
  void advance(Incident& incident, Tick& tick);
  /// The step after this one, or the same when nothing changed.
  [[nodiscard]] Step step_on(Incident& incident, Tick& tick);
  [[nodiscard]] Step first_response(const Incident& incident) const;
  void consider_swap(Incident& incident, Tick& tick);
  [[nodiscard]] Step write_postmortem(Incident& incident, Tick& tick);
  /// Proposes and notes the outcome; `attempt` keeps op_ids of one step apart.
  [[nodiscard]] Outcome propose(Incident& incident, std::string type, std::string target, doc::Value attributes,
                                std::string reason, Tick& tick, std::string_view attempt = "1");
  void respond(Incident& incident, std::string_view what, const Tick& tick);

  Options options_;
  std::vector<Incident> incidents_;       ///< open ones, and closed ones that cool down
  std::int64_t opened_ = 0;               ///< incidents there ever were
  std::vector<std::string> deferred_;     ///< keys of confirmed alerts that wait out the cool-down of an incident before
  std::vector<std::string> readmitted_;   ///< sources the data plane let in, not yet taken up
  Micros last_tick_ = INT64_MIN;
};

}  // namespace heddle::recover
