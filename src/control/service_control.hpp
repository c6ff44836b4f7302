#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "control/act_replies.hpp"
#include "control/canary_reply.hpp"
#include "control/changed_rows.hpp"
#include "control/comparing.hpp"
#include "control/published_releases.hpp"
#include "control/recovery_effects.hpp"
#include "control/service_decisions.hpp"
#include "control/service_journal.hpp"
#include "control/service_parts.hpp"
#include "control/service_rows.hpp"
#include "control/watch_reply.hpp"
#include "control/watched_routes.hpp"
#include "control/works.hpp"
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
class ServiceControl {
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
  void archived(std::uint64_t segment) { journal_->archived(segment); }

  /// The sandboxes of the workers, when the data plane has told of them since the last call.
  [[nodiscard]] std::optional<std::vector<plane::SandboxRecord>> told_sandboxes() noexcept {
    return std::exchange(sandboxes_, std::nullopt);
  }

  /// What TLS files the data plane told of at its starts since the last call, in their order.
  [[nodiscard]] std::vector<TlsFiles> told_tls_files() noexcept {
    return std::exchange(tls_files_, {});
  }

  /// Whether the bundle was ever in a slot that answers, by the routes there were.
  [[nodiscard]] Result<bool> was_released(const Digest& bundle) const {
    return published_.was_released(bundle);
  }

  /// Why the journal does not go on where it was read up to; empty: it does. It is read from its
  /// beginning then; `save_place` makes that the place after a crash too.
  [[nodiscard]] const std::string& journal_lost() const noexcept { return journal_->lost(); }
  [[nodiscard]] Result<void> save_place() { return save_snapshot(); }

  [[nodiscard]] Micros watermark() const noexcept { return watermark_; }
  [[nodiscard]] std::uint64_t applied() const noexcept { return applied_; }
  [[nodiscard]] const release::Releases& releases() const noexcept { return published_.now(); }
  [[nodiscard]] const recover::Ladder& ladder() const noexcept { return *ladder_; }
  [[nodiscard]] const spec::Service& service() const noexcept { return service_; }
  /// Every incident there ever was, the ladder's and the ones it let go, in the order of opening.
  [[nodiscard]] Result<std::vector<recover::Incident>> incidents() const;

  /// Proposes a release by hand.
  /// `slot`: primary, standby, canary or shadow. `weight` of a canary in ten-thousandths (0: its
  /// first step); for the one that runs it is the next step. `again`: also what a person rejected
  /// before; without it that is kConflict `release-rejected`.
  /// `compared`: what `comparison` gave for this bundle; none: it is made here.
  [[nodiscard]] Result<Asked> promote(const Digest& bundle, const std::string& slot,
                                      std::uint32_t weight, const policy::Actor& actor,
                                      bool again = false,
                                      const std::optional<Comparison>& compared = {});
  /// The bundle and the primary on the same newest labelled rows: `compare_bundles`. Without
  /// `waits` (as in `Caller`) it is made in a process of its own: nullopt until it has ended.
  [[nodiscard]] Result<std::optional<Comparison>> comparison(const Digest& bundle, bool waits);
  /// How far that is.
  [[nodiscard]] ComparisonProgress comparing() const { return comparing_.progress(); }
  /// Ends the canary; kNotFound when none runs.
  [[nodiscard]] Result<Asked> abort_canary(const policy::Actor& actor, bool again = false);
  /// Sets the shadow, or takes it away with an empty digest.
  [[nodiscard]] Result<Asked> set_shadow(const Digest& bundle, const policy::Actor& actor,
                                         bool again = false);
  /// The canary that runs: weight, cohorts side by side, the last judgement, what next.
  [[nodiscard]] CanaryReply canary() const;
  [[nodiscard]] Result<Asked> roll_back(const policy::Actor& actor, bool again = false);
  /// Applies what waited for `approval`, if it was asked for by hand; true when it did. What cannot
  /// be done any more is not kept for later: the approval is void then, and the error (kConflict
  /// `approval-void`) says why.
  [[nodiscard]] Result<bool> resume_promotion(const std::string& approval);
  [[nodiscard]] Result<Asked> set_stopped(bool stopped, const policy::Actor& actor);
  /// Event time left its clock, and nobody has said that the clock is right; none: they agree.
  [[nodiscard]] const std::optional<ClockJump>& clock_jump() const noexcept { return clock_jump_; }
  /// A person says that the clock is right (the wall clock, or the replay before its jump): event
  /// time is that once the data plane has it, earlier than it was, if need be. `jump`: the id of
  /// the one that she looked at. kConflict `clock-agrees`, `clock-other-jump`; kDenied
  /// `clock-denied`.
  [[nodiscard]] Result<Asked> set_clock(const std::string& jump, const std::string& reason,
                                        const policy::Actor& actor);
  /// What a person does about an incident or a source: `kind`, `incident` (kOpen: none), `source`,
  /// `account` and `text` of `what`. kConflict `incident-closed`, `incident-acknowledged`,
  /// `release-quarantined`; kNotFound `incident-unknown`, `source-unknown`, `account-unknown`,
  /// `release-not-quarantined`; kDenied `incident-denied`, `quarantine-denied`.
  [[nodiscard]] Result<ByHandReply> act_by_hand(const recover::ByHand& what,
                                                const policy::Actor& actor, bool again = false);

  /// What watches the service, and what became of the rows and labels it was given.
  [[nodiscard]] WatchReply watched() const;

  /// Findings of the watch so far, for plots. kCorrupt `finding-malformed` names the row of the
  /// state.
  [[nodiscard]] Result<std::vector<watch::Finding>> findings() const;

  /// What recovery does here, as the ladder asks for it.
  [[nodiscard]] recover::Effects& effects() noexcept { return *effects_; }
  /// As `recover::Effects` says.
  [[nodiscard]] std::optional<plane::QuarantinedSource> quarantine_of(std::string_view account,
                                                                      std::string_view source) {
    return effects_->quarantine_of(account, source);
  }

 private:
  ServiceControl(const ServiceParts& parts, const spec::Service& service);
  /// Makes what decides, once there are a watch and a ladder.
  void decide_on(const recover::Ladder& ladder);
  [[nodiscard]] Result<void> restore();
  [[nodiscard]] Result<void> restore_snapshot(store::Txn& txn, std::string_view snapshot,
                                              plane::JournalPosition& position);
  [[nodiscard]] Result<void> restore_watch(store::Txn& txn);
  [[nodiscard]] Result<void> save_snapshot();
  [[nodiscard]] Result<void> save_incidents(store::Txn& txn,
                                            const std::vector<std::string>& finished);
  [[nodiscard]] Result<void> save_watch(store::Txn& txn, const watch::Watch::Change& change);
  [[nodiscard]] Result<void> decide(Micros event_time);

  /// What the data plane did by itself, pre-authorised: a stop or a fail-over becomes a decision
  /// and is acknowledged.
  [[nodiscard]] Result<void> take_record(plane::Record& record);
  void observe_cohorts(const plane::Record& record);
  [[nodiscard]] Result<void> take_up(const plane::Record& record);
  [[nodiscard]] Result<void> stopped_again(const std::string& id);
  /// Judges the canary when it is due or failing, and proposes what follows: rise, promotion, end;
  /// or asks a person.
  [[nodiscard]] Result<void> decide_canary(Micros event_time);
  [[nodiscard]] Result<policy::Decision> record_judgement(const watch::Judgement& judgement,
                                                          const Digest& evidence, bool held,
                                                          Micros event_time);
  [[nodiscard]] policy::Proposal after_judgement(const watch::Judgement& judgement,
                                                 Micros event_time) const;
  /// Asks for what follows from a judgement. A promotion waits in `promotion_` for its comparison.
  [[nodiscard]] Result<void> go_on(policy::Proposal next, Micros event_time);
  [[nodiscard]] policy::Proposal canary_proposal(std::string action, const std::string& what,
                                                 Micros event_time) const;
  /// `change_releases` for what a person or the canary's agent asked for; also when its approval
  /// has come.
  [[nodiscard]] Result<policy::Decision> carry_out(const policy::Proposal& proposal);
  void name_canary(policy::Proposal& proposal, std::uint32_t weight, bool raises) const;
  [[nodiscard]] Result<void> add_comparison(policy::Proposal& proposal, const Digest& bundle,
                                            std::optional<Comparison> known);
  [[nodiscard]] static std::optional<Result<void>> change_without_bundle(
      const policy::Proposal& proposal, release::Releases& next);
  [[nodiscard]] Result<void> change_with_bundle(const policy::Proposal& proposal,
                                                release::Releases& next) const;
  [[nodiscard]] Result<Asked> asked_by_hand(policy::Proposal proposal, const Digest& bundle,
                                            const std::string& slot, bool again);
  [[nodiscard]] Result<void> follow_question(policy::Proposal& proposal, bool again) const;

  /// The canary that runs, if it ran by table `version` already; else empty.
  [[nodiscard]] Digest canary_of(std::uint64_t version) const;
  /// Registers the newest route with what else is to be scored beside it: without each act in
  /// force, and the candidates.
  [[nodiscard]] Result<void> try_alternatives();
  [[nodiscard]] Result<Digest> without(const recover::Act& act);
  [[nodiscard]] Result<watch::Alternative> alternative_of(std::string trial, bool candidate,
                                                          const Digest& bundle);
  /// An act of the data plane that changes nothing and tells of its TLS files; else false.
  [[nodiscard]] bool hear_tls_files(const plane::ActRecord& act);
  /// What the data plane says of its clock: an entry, and what event time is from now on.
  [[nodiscard]] Result<void> follow_clock(const plane::ActRecord& act);

  // service_by_hand.cpp
  /// What is against it before anybody is asked.
  [[nodiscard]] Result<void> check_by_hand(const recover::ByHand& what) const;
  [[nodiscard]] Result<policy::Decision> carry_out_by_hand(const policy::Proposal& proposal);
  [[nodiscard]] Result<recover::ByHand> by_hand_of(const policy::Proposal& proposal);
  [[nodiscard]] Result<void> note_closed_incident(store::Txn& txn,
                                                  const recover::ByHand& act) const;
  [[nodiscard]] const recover::Incident* watched_incident(const std::string& id) const;
  /// Gives the ladder what was done by hand until the tick that it is at.
  void take_by_hand();
  [[nodiscard]] Result<void> restore_by_hand(store::Txn& txn);
  /// Those that the saved ladder has taken are not needed any more.
  [[nodiscard]] Result<void> drop_by_hand(store::Txn& txn) const;

  ServiceParts parts_;
  spec::Service service_;
  PublishedReleases published_;
  std::unique_ptr<watch::Watch> watch_;
  std::unique_ptr<recover::Ladder> ladder_;
  Comparing comparing_;
  std::optional<WatchedRoutes> watched_;
  std::optional<ServiceJournal> journal_;
  std::map<Digest, std::shared_ptr<const score::Plan>> plans_;  ///< of the alternatives on trial
  std::vector<std::string> on_trial_;  ///< what the trials of the last route follow from
  Works works_;
  std::optional<ServiceDecisions> decisions_;
  std::optional<RecoveryEffects> effects_;
  std::vector<recover::ByHand> by_hand_;      ///< kept, and in no snapshot yet
  std::vector<watch::Alert> moves_;           ///< since the last tick
  std::vector<plane::ActRecord> acts_;        ///< since the last tick
  std::vector<watch::Finding> new_findings_;  ///< since the last snapshot
  std::uint64_t finding_count_ = 0;
  std::uint64_t applied_ = 0;
  std::optional<std::vector<plane::SandboxRecord>> sandboxes_;
  std::string certificate_;  ///< told, and its `client_ca` was not yet
  std::vector<TlsFiles> tls_files_;
  std::optional<ClockJump> clock_jump_;  ///< that stands
  Micros last_tick_ = INT64_MIN;
  Micros watermark_ = INT64_MIN;
  Micros snapshot_day_ = INT64_MIN;
  spec::ServiceBounds bounds_{};
  watch::CohortBook cohorts_;
  std::optional<CanaryLook> look_;       ///< of the canary that runs
  std::optional<WaitingRow> promotion_;  ///< of the canary, while its comparison is made
  Micros next_look_ = INT64_MIN;         ///< event time of the canary's next judgement
  Micros told_at_ = INT64_MIN;           ///< event time from which it has been inconclusive
  ChangedRows rows_;                     ///< of the snapshot
};

}  // namespace heddle::control
