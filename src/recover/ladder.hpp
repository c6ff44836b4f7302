#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "recover/act.hpp"
#include "recover/by_hand.hpp"
#include "recover/effects.hpp"
#include "recover/incident.hpp"
#include "recover/ladder_state.hpp"
#include "spec/contract.hpp"
#include "spec/monitor.hpp"
#include "watch/watch.hpp"

namespace heddle::recover {

/// Of a policy that does not say `max_rows`.
inline constexpr std::int64_t kRetrainRows = 28'000;

/// An action that was proposed in a tick, with what became of it.
struct Performed {
  Action action;
  Outcome outcome;
};

/// The recovery ladder: confirmed alerts become incidents with a cause, and each cause has its
/// response.
///
/// Which alerts an incident takes and where its response begins is its cause's (`causes()`); the
/// steps that several causes share are here, then the postmortem. Acts in force are verified at
/// every tick, also those of incidents that are closed, and taken back when they do not pay
/// (docs/adr/0024). A serialisable value, driven by event time alone; it decides, `Effects` acts.
/// Ticks at or before `last_tick` are ignored, so a journal may be read again from any earlier
/// place. Confined to one thread.
class Ladder {
 public:
  struct Options {
    std::string service;
    spec::Monitor monitor;
    spec::Contract contract;
    std::vector<std::string> fields;           ///< of the journal's rows
    std::string evaluation_file;               ///< where an evaluation case would stand
    std::uint32_t readmit_after = 5;           ///< clean rows that let a quarantined source in
    std::int64_t retrain_rows = kRetrainRows;  ///< the policy's bound W
    /// Loss by which the standby must be better: in nats, of a regression in units of the
    /// reference's label scale.
    double swap_margin = 0.005;
    double recalibrate_share = 0.5;  ///< of the moved offsets
    /// What an act may lose, since it was worth most, before it is taken back: a share of what the
    /// best constant answer loses on one quality chunk. It bounds the harm of any act; chance is
    /// kept out by the standard error beside it.
    double most_lost = 0.05;
  };
  explicit Ladder(Options options) : options_(std::move(options)) {}

  /// One tick at event time `now`: `moves` and `acts` came since the last tick that was later than
  /// `last_tick` (a tick that is not moves nothing: keep what came and hand it over with the next
  /// one). Proposes what is due, as often as outcomes let the ladder go on. An error of
  /// `effects` leaves the incident where it is: the action is tried again later, six times at most.
  [[nodiscard]] std::vector<Performed> on_tick(Micros now, std::span<const watch::Alert> moves,
                                               std::span<const plane::ActRecord> acts,
                                               const watch::Watch& watch, Effects& effects);

  /// A new policy's bound, for retrains that start from now on.
  void bound_retrain(std::int64_t rows) noexcept { options_.retrain_rows = rows; }

  /// Takes what a person did: into the timelines, and what it changes. Each `number` once.
  void take(const ByHand& act);
  /// Number of the last act by hand that was taken.
  [[nodiscard]] std::uint64_t by_hand() const noexcept { return state_.by_hand; }
  /// The id that the next incident gets.
  [[nodiscard]] std::string next_id() const;
  /// The acts of this incident that are in force, in words.
  [[nodiscard]] std::vector<std::string> in_force(const std::string& id) const;

  /// Open ones and those closed of late, in the order of opening.
  [[nodiscard]] const std::vector<Incident>& incidents() const noexcept { return state_.incidents; }
  [[nodiscard]] Micros last_tick() const noexcept { return state_.last_tick; }
  /// What is in force, the oldest first.
  [[nodiscard]] const std::vector<Act>& acts() const noexcept { return state_.acts; }
  /// A candidate that is to be scored beside what serves: name of its trial and digest.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> candidates() const;

  /// Ids of closed incidents that nothing here looks at any more, at the last tick: their cool-down
  /// is over, and no act is in force that is as old.
  [[nodiscard]] std::vector<std::string> finished() const;
  /// Event time is `to` from now on, earlier than the last tick: what was to wait until a time that
  /// does not come soon waits from now.
  void set_back(Micros to);
  /// Drops incidents that are kept elsewhere; their ids are not given again.
  void let_go(std::span<const std::string> ids);

  /// What a restart needs to go on, to be stored by the schemas of `stored.hpp`.
  [[nodiscard]] const LadderState& state() const noexcept { return state_; }
  void restore(LadderState state) { state_ = std::move(state); }

 private:
  struct Tick {
    Micros now;
    const watch::Watch& watch;
    Effects& effects;
    std::vector<Performed>& performed;
  };
  void take_in(const watch::Alert& alert, Tick& tick);
  /// The same alert once more, or a sign of an open incident: true when one took it.
  [[nodiscard]] bool joined(const watch::Alert& alert, const Diagnosis& diagnosis,
                            const Tick& tick);
  /// With what is in force: a lag beside a repair is a lag of the rows as they come, and none at
  /// all when the shift is over.
  [[nodiscard]] Diagnosis with_acts(Diagnosis diagnosis) const;
  Incident& open(Diagnosis diagnosis, const Tick& tick);
  void reconsider(Incident& incident, Tick& tick);

  // by_hand.cpp
  void open_by_hand(const ByHand& act);
  static void note(Incident& incident, const ByHand& act);
  void follow_closed(Incident& incident, Tick& tick);

  // acts_in_force.cpp
  void take_fail_over(const plane::ActRecord& record, Tick& tick);
  [[nodiscard]] Step verify_end_of_fail_over(Incident& incident, Tick& tick);
  void verify_acts(Tick& tick);
  void verify(const Act& act, Tick& tick);
  /// Lets an act go that a release by hand replaced.
  void forget(const Act& act, const Tick& tick);
  /// Why the act is to be taken back, or empty.
  [[nodiscard]] std::string why_not(const Act& act, const Tick& tick) const;
  void follow_clock(const Act& act, const Tick& tick);
  /// Whether the newest rows show the shift that was diagnosed; true where no clock was read then.
  [[nodiscard]] static bool reads_as_diagnosed(const Incident& incident, const Tick& tick);
  void follow_shift(Incident& incident, std::string_view proposal, Tick& tick);
  [[nodiscard]] const Act* act_of(const std::string& id) const;
  [[nodiscard]] const Act* repair_of(const std::string& field) const;
  [[nodiscard]] const Act* swap_in_force() const;
  void begin(Act act);
  [[nodiscard]] Outcome::Status take_back(Incident& incident, const Act& act, Tick& tick);
  [[nodiscard]] Step verify_act(Incident& incident, Tick& tick);
  [[nodiscard]] Step prove(Incident& incident, Tick& tick);

  void see_windows(Incident& incident, const Tick& tick) const;
  static void see_others(Incident& incident, const watch::Finding& finding, const Tick& tick);
  [[nodiscard]] bool is_quiet(const Incident& incident) const;
  /// What was alerted about is over, so what waits to be done about it is not done.
  [[nodiscard]] bool is_over(const Incident& incident, const Tick& tick) const;
  [[nodiscard]] Step lapse(Incident& incident, std::string why, std::string_view proposal,
                           Tick& tick);
  /// Tells people that a step waits, as often as they were not heard for so long; false while the
  /// deadline has not passed.
  bool escalate(Incident& incident, std::string next, Micros deadline, Tick& tick);
  /// The entry and the notification; once a person acknowledged the incident, the timeline alone.
  void tell(Incident& incident, std::string next, Tick& tick, std::string_view about = {});
  /// Whether an incident of this alert recovered less than the monitor's cool-down ago. Contract
  /// alerts know none: bad rows do not wait; prior shift has its own, in chunks.
  [[nodiscard]] bool cooling(const watch::Alert& alert, Micros now) const;
  void advance(Incident& incident, Tick& tick);
  /// The step after this one, or the same when nothing changed.
  [[nodiscard]] Step step_on(Incident& incident, Tick& tick);
  [[nodiscard]] Step record_opening(Incident& incident, Tick& tick);
  [[nodiscard]] Step record_close(Incident& incident, Tick& tick);
  /// A person opened it, and a person closes it.
  [[nodiscard]] Step await_close(Incident& incident, Tick& tick);
  void consider_swap(Incident& incident, Tick& tick);
  /// Takes the question about a swap back, if one waits.
  void drop_swap_question(Incident& incident, std::string_view why, Tick& tick);
  [[nodiscard]] Step quarantine(Incident& incident, Tick& tick);
  [[nodiscard]] Step await_readmit(Incident& incident, Tick& tick);
  /// kPostmortem once it is recorded, else kRelease.
  [[nodiscard]] Step release_source(Incident& incident, Tick& tick);
  [[nodiscard]] Step let_in_by_others(Incident& incident, const Tick& tick);
  static void watch_again(Incident& incident, const Tick& tick);
  /// Whose rows and whose labels alone are the reason of what changes the answers of all.
  [[nodiscard]] static Grounds grounds_of(const Incident& incident,
                                          const std::string& label_account, const Tick& tick);
  [[nodiscard]] Step swap_back(Incident& incident, Tick& tick);
  [[nodiscard]] Step propose_repair(Incident& incident, Tick& tick);
  [[nodiscard]] Step verify_input(Incident& incident, Tick& tick);
  [[nodiscard]] Step ask_labels(Incident& incident, Tick& tick);
  [[nodiscard]] Step collect(Incident& incident, Tick& tick);
  [[nodiscard]] Step retrain(Incident& incident, Tick& tick);
  [[nodiscard]] Step promote(Incident& incident, Tick& tick);
  /// Half of the moved offsets, and the interval fitted anew with them.
  [[nodiscard]] Recalibrate recalibration_of(Incident& incident, const Tick& tick) const;
  [[nodiscard]] Step recalibrate(Incident& incident, Tick& tick);
  [[nodiscard]] Step withdraw(Incident& incident, Tick& tick);
  class OwnStep;
  [[nodiscard]] Step respond_itself(Incident& incident, Tick& tick);
  [[nodiscard]] Step await_quiet(Incident& incident, Tick& tick);
  [[nodiscard]] Step write_postmortem(Incident& incident, Tick& tick);
  /// What its response is proposed under: another after each time that it was reconsidered.
  [[nodiscard]] static std::string op_id_of(const Incident& incident, std::string_view type);
  /// Proposes and notes the outcome; `attempt` keeps op_ids of one step apart, empty: `op_id_of`.
  // retry.cpp
  [[nodiscard]] Outcome propose(Incident& incident, What what, std::string reason, Tick& tick,
                                std::string_view attempt = {});
  [[nodiscard]] Outcome carry_out(Incident& incident, Action action, Tick& tick);
  /// What becomes of an action that an error kept back: tried again later, or failed for good.
  [[nodiscard]] Outcome failed_try(Incident& incident, const Action& action, const Error& error,
                                   Tick& tick);
  /// Tries again to record what no step proposes again.
  void record_again(Incident& incident, Tick& tick);
  static void respond(Incident& incident, std::string_view what, const Tick& tick);

  Options options_;
  LadderState state_;
};

}  // namespace heddle::recover
