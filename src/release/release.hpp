#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/digest.hpp"
#include "base/result.hpp"
#include "doc/value.hpp"
#include "plane/route.hpp"
#include "release/state.hpp"

namespace heddle::release {

/// How a canary takes over. Weights are shares of the requests in ten-thousandths, as in
/// plane::Canary.
struct CanaryPlan {
  std::vector<std::uint32_t> steps{};  ///< rising, each from 1 to plane::kMostCanaryWeight
  std::string sticky{};                ///< key of the draw; empty: each request for itself
  std::string header{};
  std::string header_value{};
};

/// The releases of one service as a value: which bundle is in which slot, where a rollback goes,
/// which sources are quarantined. A pure state machine: every command checks, changes the value and
/// raises `version`, or fails and changes nothing. The only maker of route tables. Persisted by the
/// control plane inside the transaction of the decision.
///
/// It always holds: what is in primary, standby and canary, and the rollback target, is approved
/// and ready; what is in shadow is ready; a bundle is in one slot at most; the rollback target is
/// not the primary. Every command that changes the primary makes the one before it the rollback
/// target, so a rollback is armed in every waiting state: while a canary runs, while it waits for a
/// person, and after it was promoted. Explored exhaustively in exploration_test.cpp.
///
/// A canary is compared with the primary it was started beside. Whatever changes the primary ends
/// it in the same table:
///
///   promote of the canary          primary becomes the rollback target; no canary
///   promote of another, rollback,
///   swap, fail-over taken over,
///   replace of the primary         as without a canary; the canary ends
///   replace and change of standby  the canary goes on
///   quarantine, readmit, shadow    the canary goes on
///   stop                           everything stays where it is; nothing starts or rises until
///   resume its bundle becomes unready     the canary ends
///
/// Bundles are taken by value: `promote(standby())` means what it says.
class Releases {
 public:
  explicit Releases(std::string service) { state_.service = std::move(service); }

  void mark_ready(const Digest& bundle) { state_.bundles[bundle].ready = true; }
  /// Its objects are gone or damaged: it leaves every slot and is no rollback target. In place of
  /// an unready primary the standby answers, without one the rollback target, without that nothing
  /// (503). The standby takes the place of a lost target.
  void mark_unready(Digest bundle);
  void approve(const Digest& bundle, std::string approval);
  /// Forgets bundles that are in no slot and no rollback target, so that what is kept does not grow
  /// with what was ever released: who brings one back approves it again.
  void forget_others();
  /// kConflict while the bundle answers, may answer (standby, canary) or is the rollback target.
  [[nodiscard]] Result<void> revoke(const Digest& bundle);

  /// The bundle becomes primary, from wherever it was; the primary before it becomes the rollback
  /// target. A standby changes places with it. kDenied unless approved, kUnavailable unless ready,
  /// kConflict when it is primary already.
  [[nodiscard]] Result<void> promote(Digest bundle);
  /// The bundle becomes standby; an empty digest takes the standby away. kConflict for the primary
  /// and the canary.
  [[nodiscard]] Result<void> set_standby(Digest bundle);
  /// Primary and standby change places; the old primary is the rollback target.
  [[nodiscard]] Result<void> swap();
  /// Back to the rollback target; what was primary becomes the target, so that a rollback can be
  /// undone.
  [[nodiscard]] Result<void> rollback();
  /// A bundle made from the one in `slot` takes its place: the same model, recalibrated or behind a
  /// repaired input. The primary before it becomes the rollback target.
  [[nodiscard]] Result<void> replace(std::string_view slot, Digest variant);

  /// The bundle answers `weight` of the requests, one of the plan's steps (0: the first). `at` is
  /// the decision's event time. kConflict while a canary runs, while stopped and for a bundle in
  /// primary or standby; kUnavailable without a primary.
  [[nodiscard]] Result<void> start_canary(Digest bundle, const CanaryPlan& plan,
                                          std::uint32_t weight, Micros at);
  /// To the next step. kConflict at the last one and while stopped, kNotFound when none runs, else
  /// as `promote`.
  [[nodiscard]] Result<void> raise_canary(Micros at);
  [[nodiscard]] Result<void> abort_canary();  ///< kNotFound when none runs
  /// Scored beside and compared, never answers; needs to be ready, not approved. An empty digest
  /// takes the shadow away. kConflict for a bundle in another slot.
  [[nodiscard]] Result<void> set_shadow(Digest bundle);

  /// Nothing but the primary stays of what `stays` says no to: a slot that cannot be compared with
  /// a new primary. Part of the command before it, so in the same table. The rollback target stays.
  void leave_only(const std::function<bool(const Digest&)>& stays);

  [[nodiscard]] Result<void> quarantine(
      plane::QuarantinedSource source);  ///< kConflict when it is already
  /// Ends exactly this quarantine: of the account, or with an empty one that of everybody.
  /// kNotFound when there is none.
  [[nodiscard]] Result<void> readmit(std::string_view account, std::string_view source);
  void allow_fail_over(bool allowed, const plane::FailOver& rule = {});
  /// The data plane left `failed` by itself: its act is acknowledged. Standby and primary change
  /// places here too, if `failed` is primary still and there is a standby; else a decision came
  /// between, and stands.
  void acknowledge_fail_over(const std::string& act, const Digest& failed);
  /// The data plane ended the canary of `bundle` by itself: it ends here too, if it runs still.
  void acknowledge_canary_abort(const std::string& act, const Digest& bundle);
  void acknowledge(const std::string& act);
  /// The act changes nothing, for example a stop of what is stopped: the next table names it.
  void acknowledge_with_next(const std::string& act);
  [[nodiscard]] bool acknowledged(const std::string& act) const;
  void stop();
  void resume();

  [[nodiscard]] const Digest& primary() const noexcept { return state_.primary; }
  [[nodiscard]] const Digest& standby() const noexcept { return state_.standby; }
  [[nodiscard]] const CanaryRun& canary() const noexcept { return state_.canary; }
  [[nodiscard]] const Digest& shadow() const noexcept { return state_.shadow; }
  [[nodiscard]] const Digest& rollback_target() const noexcept { return state_.rollback; }
  [[nodiscard]] std::uint64_t version() const noexcept { return state_.version; }
  [[nodiscard]] bool stopped() const noexcept { return state_.stopped; }
  [[nodiscard]] const std::vector<plane::QuarantinedSource>& quarantined() const noexcept {
    return state_.quarantined;
  }
  [[nodiscard]] Standing standing(const Digest& bundle) const;

  /// The route table of this state; `decision` names the ledger entry that made it.
  [[nodiscard]] plane::RouteTable route(std::string decision) const;

  [[nodiscard]] doc::Value to_value() const;
  [[nodiscard]] static Result<Releases> from_value(const doc::Value& value);
  [[nodiscard]] bool operator==(const Releases&) const = default;

 private:
  [[nodiscard]] Result<void> servable(const Digest& bundle) const;
  /// `bundle` answers from now on; it is in no other slot but shadow or canary.
  void make_primary(Digest bundle);
  void changed() { ++state_.version; }

  ReleasesState state_;
};

}  // namespace heddle::release
