#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "control/changed_rows.hpp"
#include "control/comparable.hpp"
#include "control/comparing.hpp"
#include "control/service_parts.hpp"
#include "control/service_rows.hpp"
#include "evaluate/evaluate.hpp"
#include "plane/journal.hpp"
#include "recover/ladder.hpp"
#include "release/release.hpp"
#include "score/plan.hpp"
#include "spec/service_bounds.hpp"
#include "watch/judgement.hpp"
#include "watch/watch.hpp"

namespace heddle::control {

/// In the op_id of what is asked in spite of a rejection; the id of that approval follows.
inline constexpr std::string_view kAskedAgain = "/again/";

/// TLS files of a data plane by their digests; empty: there is none.
struct TlsFiles {
  std::string id;  ///< of the act that told them
  std::string certificate;
  std::string client_ca;
};

/// The control of one service: reads its journal, feeds the watch, lets the ladder decide at ticks,
/// carries out what policy allows, and publishes routes. Deterministic in the journal
/// (docs/adr/0010). Confined to the control thread.
class ServiceControl final : public recover::Effects {
 public:
  [[nodiscard]] static Result<std::unique_ptr<ServiceControl>> open(const ServiceParts& parts,
                                                                    const spec::Service& service);

  /// Reads until there is no more, a job must end first, or about 20 ms have passed. True: call
  /// again at once.
  [[nodiscard]] Result<bool> pump();

  /// The policies of the project that is applied count from now on: the bounds of a retrain, and
  /// the rule of a fail-over, which the data plane gets in a route table of its own where it is
  /// another. `decision`: the ledger entry that applied them. Doing it again changes nothing.
  [[nodiscard]] Result<void> take_policies(const spec::Project& project, std::uint64_t decision);

  /// Ends the processes that work for it: the same service is opened anew in this process.
  void end_work();
  /// Journal segments up to this one are in the access log: recorded traffic past its bound is kept
  /// until then.
  void archived(std::uint64_t segment);

  /// The sandboxes of the workers, when the data plane has told of them since the last call.
  [[nodiscard]] std::optional<std::vector<plane::SandboxRecord>> told_sandboxes() noexcept {
    return std::exchange(sandboxes_, std::nullopt);
  }

  /// What TLS files the data plane told of at its starts since the last call, in their order.
  [[nodiscard]] std::vector<TlsFiles> told_tls_files() noexcept {
    return std::exchange(tls_files_, {});
  }

  /// Whether the bundle was ever in a slot that answers, by the routes there were.
  [[nodiscard]] Result<bool> was_released(const Digest& bundle) const;

  /// Why the journal does not go on where it was read up to; empty: it does. It is read from its
  /// beginning then; `save_place` makes that the place after a crash too.
  [[nodiscard]] const std::string& journal_lost() const noexcept { return journal_lost_; }
  [[nodiscard]] Result<void> save_place() { return save_snapshot(); }

  [[nodiscard]] Micros watermark() const noexcept { return watermark_; }
  [[nodiscard]] std::uint64_t applied() const noexcept { return applied_; }
  [[nodiscard]] const release::Releases& releases() const noexcept { return releases_; }
  [[nodiscard]] const recover::Ladder& ladder() const noexcept { return *ladder_; }
  [[nodiscard]] const spec::Service& service() const noexcept { return service_; }
  /// Every incident there ever was, the ladder's and the ones it let go, in the order of opening.
  [[nodiscard]] Result<std::vector<recover::Incident>> incidents() const;

  /// Proposes a release by hand. `{applied, entry}` or `{applied: false, approval}`.
  /// `slot`: primary, standby, canary or shadow. `weight` of a canary in ten-thousandths (0: its
  /// first step); for the one that runs it is the next step. `again`: also what a person rejected
  /// before; without it that is kConflict `release-rejected`.
  /// `compared`: what `comparison` gave for this bundle; none: it is made here.
  [[nodiscard]] Result<doc::Value> promote(const Digest& bundle, const std::string& slot,
                                           std::uint32_t weight, const policy::Actor& actor,
                                           bool again = false,
                                           const std::optional<doc::Value>& compared = {});
  /// The bundle and the primary on the same newest labelled rows: `compare_bundles`. Without
  /// `waits` (as in `Caller`) it is made in a process of its own: nullopt until it has ended.
  [[nodiscard]] Result<std::optional<doc::Value>> comparison(const Digest& bundle, bool waits);
  /// How far that is: {"read", "of", "rows"}.
  [[nodiscard]] doc::Value comparing() const { return comparing_.progress(); }
  /// Ends the canary; kNotFound when none runs.
  [[nodiscard]] Result<doc::Value> abort_canary(const policy::Actor& actor, bool again = false);
  /// Sets the shadow, or takes it away with an empty digest.
  [[nodiscard]] Result<doc::Value> set_shadow(const Digest& bundle, const policy::Actor& actor,
                                              bool again = false);
  /// The canary that runs: weight, cohorts side by side, the last judgement, what next.
  /// `{"running": false}` without one.
  [[nodiscard]] doc::Value canary_value() const;
  [[nodiscard]] Result<doc::Value> roll_back(const policy::Actor& actor, bool again = false);
  /// Applies what waited for `approval`, if it was asked for by hand; true when it did. What cannot
  /// be done any more is not kept for later: the approval is void then, and the error (kConflict
  /// `approval-void`) says why.
  [[nodiscard]] Result<bool> resume_promotion(const std::string& approval);
  [[nodiscard]] Result<doc::Value> set_stopped(bool stopped, const policy::Actor& actor);
  /// Event time left its clock, and nobody has said that the clock is right: {"id", "event_time"
  /// (where it was), "reason"}; null: they agree.
  [[nodiscard]] doc::Value clock_jump() const;
  /// A person says that the clock is right (the wall clock, or the replay before its jump): event
  /// time is that once the data plane has it, earlier than it was, if need be. `jump`: the id of
  /// the one that she looked at. `{applied, entry}`; kConflict `clock-agrees`, `clock-other-jump`;
  /// kDenied `clock-denied`.
  [[nodiscard]] Result<doc::Value> set_clock(const std::string& jump, const std::string& reason,
                                             const policy::Actor& actor);
  /// What a person does about an incident or a source: `kind`, `incident` (kOpen: none), `source`,
  /// `account` and `text` of `what`. `{applied, entry, incident, state, in_force}`, or
  /// `{applied: false, approval}`. kConflict `incident-closed`, `incident-acknowledged`,
  /// `release-quarantined`; kNotFound `incident-unknown`, `source-unknown`, `account-unknown`,
  /// `release-not-quarantined`; kDenied `incident-denied`, `quarantine-denied`.
  [[nodiscard]] Result<doc::Value> act_by_hand(const recover::ByHand& what,
                                               const policy::Actor& actor, bool again = false);

  /// What watches the service, and what became of the rows and labels it was given, counts by name
  /// (docs/operations.md):
  /// `{"rows", ..., "line", "watched", "why", "labelled_quality", "silent": [..], "metrics":
  /// [..]}`.
  [[nodiscard]] doc::Value watch_value() const;

  /// Findings of the watch so far, for plots: `{"findings": [...]}`.
  [[nodiscard]] Result<doc::Value> series() const;

  Result<recover::Outcome> perform(const recover::Action& action) override;
  Result<void> recorded(Micros from, Micros to,
                        const std::function<bool(const plane::Record&)>& sink) override;
  std::optional<plane::QuarantinedSource> quarantine_of(std::string_view account,
                                                        std::string_view source) override;
  bool in_force(const recover::Act& act) override;
  std::vector<watch::Route> routes() override { return routes_; }

 private:
  using Write = std::function<Result<void>(store::Txn&)>;
  using Beside = policy::Engine::Beside;  ///< what is written with a decision, whatever it is

  /// A retrain under way: usable at `due` event time, not before.
  struct Retrain {
    RetrainRow row;
    std::optional<std::int64_t> handle{};  ///< of this process; none: to be started
    bool taken = false;                    ///< its result was: the next snapshot forgets it
  };

  ServiceControl(const ServiceParts& parts, const spec::Service& service);
  [[nodiscard]] Result<void> restore();
  [[nodiscard]] Result<void> restore_snapshot(store::Txn& txn, std::string_view snapshot,
                                              plane::JournalPosition& position);
  [[nodiscard]] Result<void> restore_watch(store::Txn& txn);
  [[nodiscard]] Result<void> save_snapshot();
  [[nodiscard]] Result<void> save_incidents(store::Txn& txn,
                                            const std::vector<std::string>& finished);
  [[nodiscard]] Result<void> save_watch(store::Txn& txn, const watch::Watch::Change& change);
  [[nodiscard]] Result<void> decide(Micros event_time);
  /// False while a retrain that is due at or before `event_time` has not ended.
  [[nodiscard]] Result<bool> retrains_ended(Micros event_time);
  [[nodiscard]] Result<bool> retrain_ended(Retrain& retrain);

  /// What the data plane did by itself, pre-authorised: a stop or a fail-over becomes a decision
  /// and is acknowledged.
  [[nodiscard]] Result<void> take_up(const plane::Record& record);
  [[nodiscard]] Result<void> stopped_again(const std::string& id);
  [[nodiscard]] Result<doc::Value> unread_stops() const;
  /// Judges the canary when it is due or failing, and proposes what follows: rise, promotion, end;
  /// or asks a person.
  [[nodiscard]] Result<void> decide_canary(Micros event_time);
  [[nodiscard]] policy::Proposal canary_proposal(std::string action, const std::string& what,
                                                 Micros event_time) const;
  /// policy's act. In its transaction people are told of the question that it asks, if it does.
  [[nodiscard]] Result<policy::Decision> act(const policy::Proposal& proposal, const Write& apply,
                                             const std::function<Result<void>()>& possible = {},
                                             const Beside& beside = {});
  /// Keeps what waits for an approval, so that the approval carries it out.
  [[nodiscard]] Beside kept_until_approved(const policy::Proposal& proposal) const;
  /// `change_releases` for what a person or the canary's agent asked for; also when its approval
  /// has come.
  [[nodiscard]] Result<policy::Decision> carry_out(const policy::Proposal& proposal);
  [[nodiscard]] Result<doc::Value> asked_by_hand(policy::Proposal proposal, const Digest& bundle,
                                                 const std::string& slot, bool again);
  [[nodiscard]] Result<void> follow_question(policy::Proposal& proposal, bool again) const;
  /// The comparison of an automatic promotion, on what was known at `event_time`, goes into
  /// evidence and attributes (`comparison`: better, worse, unclear, none); a question that waits
  /// already keeps what it was asked with.
  [[nodiscard]] Result<void> add_comparison(policy::Proposal& proposal, const Digest& bundle,
                                            Micros event_time);
  /// Says in reason and attribute `gates_not_judged` which gates of the bundle on `base.*` were not
  /// judged against what serves now.
  void name_gates_not_judged(policy::Proposal& proposal, const evaluate::Evidence& evidence) const;
  /// What the bundle brings of evidence: its evaluation and the statements about how it was made.
  [[nodiscard]] std::vector<policy::Named> evidence_of(const Digest& bundle) const;
  /// The facts and terms that an approval of this proposal binds, as they are now.
  [[nodiscard]] doc::Value binds_of(const policy::Proposal& proposal) const;
  /// What of the approval's statement the releases `next` make untrue; empty: nothing.
  [[nodiscard]] std::string made_untrue(const policy::Approval& approval,
                                        const release::Releases& next) const;
  /// The approval that was asked for under this op_id and is open.
  [[nodiscard]] Result<std::optional<policy::Approval>> open_approval(
      const std::string& op_id) const;
  /// Tells policy what a bundle was built from: attributes `commit` and `dirty`.
  [[nodiscard]] Result<void> name_origin(policy::Proposal& proposal, const Digest& bundle);
  /// Says in reason, attributes (`drops_repairs`, `repairs_dropped`, `revives_repairs`,
  /// `repairs_revived`) and evidence which repairs of `replaced` are lost, and which that were
  /// taken back from it come again.
  [[nodiscard]] Result<void> name_repairs(policy::Proposal& proposal, const Digest& replaced,
                                          const Digest& bundle) const;

  /// The canary that runs, if it ran by table `version` already; else empty.
  [[nodiscard]] Digest canary_of(std::uint64_t version) const;
  /// Says which segments of the journal nobody has to read any more; the oldest of them go.
  void trim_traffic();

  /// Registers what a route version means; a bundle that cannot be read leaves it unwatched, which
  /// the watch alerts on.
  [[nodiscard]] Result<void> know_route(const Digest& primary, std::uint64_t version);
  /// The same with what else is to be scored beside it: without each act in force, and the
  /// candidates.
  [[nodiscard]] Result<void> try_alternatives();
  [[nodiscard]] Result<Digest> without(const recover::Act& act);
  [[nodiscard]] Result<watch::Alternative> alternative_of(std::string trial, bool candidate,
                                                          const Digest& bundle);
  /// Builds the watch's view of a bundle; cached by digest. kCorrupt or kNotFound when it has no
  /// baseline that can be read.
  [[nodiscard]] Result<watch::Route> route_of(const Digest& primary, std::uint64_t version);
  [[nodiscard]] Result<void> publish();
  [[nodiscard]] Result<void> store_releases(store::Txn& txn, const release::Releases& next,
                                            std::string_view action, Micros event_time,
                                            const std::string& decision);

  [[nodiscard]] TaskOf tasks();
  /// Proposes `action`; on yes changes a copy of the releases with `change`, commits both,
  /// publishes. The one way a route is made. `also` is written where it changes, `beside` always.
  [[nodiscard]] Result<policy::Decision> change_releases(
      const policy::Proposal& proposal,
      const std::function<Result<void>(release::Releases&)>& change, const Write& also = {},
      const Beside& beside = {});

  /// An act of the data plane that changes nothing and tells of its TLS files; else false.
  [[nodiscard]] bool hear_tls_files(const plane::ActRecord& act);
  /// What the data plane says of its clock: an entry, and what event time is from now on.
  [[nodiscard]] Result<void> follow_clock(const plane::ActRecord& act);

  // service_by_hand.cpp
  /// What is against it before anybody is asked.
  [[nodiscard]] Result<void> check_by_hand(const recover::ByHand& what) const;
  [[nodiscard]] Result<policy::Decision> carry_out_by_hand(const policy::Proposal& proposal);
  [[nodiscard]] recover::ByHand by_hand_of(const policy::Proposal& proposal);
  [[nodiscard]] Result<void> note_closed_incident(store::Txn& txn,
                                                  const recover::ByHand& act) const;
  [[nodiscard]] const recover::Incident* watched_incident(const std::string& id) const;
  /// Gives the ladder what was done by hand until the tick that it is at.
  void take_by_hand();
  [[nodiscard]] Result<void> restore_by_hand(store::Txn& txn);
  /// Those that the saved ladder has taken are not needed any more.
  [[nodiscard]] Result<void> drop_by_hand(store::Txn& txn) const;
  [[nodiscard]] policy::Proposal proposal_of(const recover::Action& action) const;
  [[nodiscard]] recover::Outcome outcome_of(const policy::Decision& decision) const;

  [[nodiscard]] Result<recover::Outcome> carry_out_action(const recover::Action& action);
  [[nodiscard]] Result<recover::Outcome> change_route(
      const recover::Action& action, const std::function<Result<void>(release::Releases&)>& change);
  [[nodiscard]] Result<recover::Outcome> swap_slots(const recover::Action& action);
  [[nodiscard]] Result<bool> look_for(const recover::Act& act) const;
  [[nodiscard]] Result<recover::Outcome> open_incident(const recover::Action& action,
                                                       const recover::OpenIncident& what);
  /// A swap changes which of the two serves and not what is repaired; another release, or a
  /// recalibration, would be undone.
  [[nodiscard]] bool made_of_what_serves(const Repaired& made) const;
  [[nodiscard]] Result<recover::Outcome> propose_transform(const recover::Action& action,
                                                           const recover::ProposeTransform& what);
  /// What primary and standby are to be.
  struct Slots {
    Digest primary{}, standby{};
  };
  /// Takes an act back: `undo` makes of what serves what serves without it. `offsets`: that this
  /// adds to the margins.
  [[nodiscard]] Result<recover::Outcome> withdraw(const recover::Action& action,
                                                  const std::function<Result<void>(Slots&)>& undo,
                                                  const std::vector<double>& offsets = {});
  [[nodiscard]] Result<void> take_out(const std::string& transform, Slots& back);
  [[nodiscard]] Result<void> put_back(const std::string& bundle, Slots& back);
  /// `base` with `added` to its offsets.
  [[nodiscard]] Result<void> recalibrated(const Digest& base, const std::vector<double>& added,
                                          Slots& back);
  [[nodiscard]] Result<recover::Outcome> lapse(const recover::Action& action,
                                               const recover::Lapse& what);
  [[nodiscard]] Result<recover::Outcome> escalate(const recover::Action& action,
                                                  const recover::Escalate& what);
  [[nodiscard]] Result<recover::Outcome> start_retrain(const recover::Action& action,
                                                       const recover::StartRetrain& what);
  [[nodiscard]] Result<recover::Outcome> promote_candidate(const recover::Action& action,
                                                           const recover::PromoteCandidate& what);
  [[nodiscard]] Result<recover::Outcome> recalibrate(const recover::Action& action,
                                                     const recover::Recalibrate& what);
  [[nodiscard]] Result<recover::Outcome> write_postmortem(const recover::Action& action,
                                                          const recover::WritePostmortem& what);
  /// What the branch of an incident says of the transforms that it put into force and that are so
  /// still.
  struct BranchRepair {
    std::optional<store::Git::File> contract{};  ///< of HEAD, with those that it has not
    std::string note{};                          ///< for the commit's message; empty: none are
  };
  [[nodiscard]] Result<BranchRepair> repair_for_branch(const std::string& incident) const;
  /// `beside` is written in its transaction.
  [[nodiscard]] Result<recover::Outcome> record_only(const recover::Action& action,
                                                     const Beside& beside = {});
  /// A notification about this action, written in its transaction.
  [[nodiscard]] Beside told(std::string id, std::string kind, const recover::Action& action,
                            doc::Value more) const;

  ServiceParts parts_;
  spec::Service service_;
  release::Releases releases_;
  std::unique_ptr<watch::Watch> watch_;
  std::unique_ptr<recover::Ladder> ladder_;
  Comparing comparing_;
  std::unique_ptr<plane::JournalReader> reader_;
  std::optional<plane::Record> held_;  ///< a tick that waits for a retrain
  std::vector<watch::Route> routes_;
  std::map<Digest, watch::Route> route_cache_;
  std::map<Digest, std::shared_ptr<const score::Plan>> plans_;  ///< of the alternatives on trial
  std::vector<std::string> on_trial_;  ///< what the trials of the last route follow from
  std::map<Digest, std::pair<std::string, bool>>
      origins_;                               ///< of bundles that were proposed: commit, dirty
  std::map<std::string, Repaired> variants_;  ///< by op_id; made once and kept
  std::vector<Retrain> retrains_;
  std::vector<recover::ByHand> by_hand_;      ///< kept, and in no snapshot yet
  std::string in_force_in_;                   ///< the two slots that `in_force_` is about
  std::map<std::string, bool> in_force_;      ///< by id of the act
  std::vector<watch::Alert> moves_;           ///< since the last tick
  std::vector<plane::ActRecord> acts_;        ///< since the last tick
  std::vector<watch::Finding> new_findings_;  ///< since the last snapshot
  std::uint64_t finding_count_ = 0;
  std::uint64_t applied_ = 0;
  std::uint64_t published_ = 0;  ///< version of the route table that was written last
  std::uint64_t archived_ = 0;
  std::uint64_t saved_segment_ = 0;  ///< a restart reads the journal on from here
  std::uint64_t consumed_ = 0;       ///< said to the writer of the journal
  std::optional<std::vector<plane::SandboxRecord>> sandboxes_;
  std::string certificate_;  ///< told, and its `client_ca` was not yet
  std::vector<TlsFiles> tls_files_;
  std::string journal_lost_;
  std::optional<ClockJump> clock_jump_;  ///< that stands
  Micros last_tick_ = INT64_MIN;
  Micros watermark_ = INT64_MIN;
  Micros snapshot_day_ = INT64_MIN;
  spec::ServiceBounds bounds_{};
  watch::CohortBook cohorts_;
  std::optional<CanaryLook> look_;  ///< of the canary that runs
  Micros next_look_ = INT64_MIN;    ///< event time of the canary's next judgement
  Micros told_at_ = INT64_MIN;      ///< event time from which it has been inconclusive
  bool decided_ = false;            ///< something was decided anew since the last snapshot
  ChangedRows rows_;                ///< of the snapshot
};

}  // namespace heddle::control
