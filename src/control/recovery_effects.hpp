#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "control/service_decisions.hpp"
#include "control/service_rows.hpp"
#include "recover/ladder.hpp"

namespace heddle::control {

/// What the recovery ladder asks for, carried out: every change through `ServiceDecisions`,
/// everything twice-callable. Confined to the control thread.
class RecoveryEffects final : public recover::Effects {
 public:
  RecoveryEffects(const ServiceParts& parts, const spec::Service& service,
                  ServiceDecisions& decisions, const ServiceDecisions::On& on,
                  const recover::Ladder& ladder)
      : parts_(parts),
        service_(service),
        decisions_(decisions),
        routes_(on.routes),
        works_(on.works),
        journal_(on.journal),
        bounds_(on.bounds),
        ladder_(ladder) {}

  /// What was made and kept for acts that were asked for.
  [[nodiscard]] Result<void> restore(store::Txn& txn);

  Result<recover::Outcome> perform(const recover::Action& action) override;
  std::optional<recover::Postmortem> postmortem(const recover::PostmortemInput& input,
                                                const std::string& op_id, Micros now) override;
  std::optional<plane::QuarantinedSource> quarantine_of(std::string_view account,
                                                        std::string_view source) override;
  bool in_force(const recover::Act& act) override;
  std::vector<watch::Route> routes() override { return routes_.all(); }

 private:
  using Beside = ServiceDecisions::Beside;
  [[nodiscard]] const release::Releases& releases() const noexcept { return decisions_.releases(); }

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
                                                  const recover::RecalibrationInForce& change = {});
  [[nodiscard]] Result<void> take_out(const std::string& transform, Slots& back);
  [[nodiscard]] Result<void> put_back(const std::string& bundle, Slots& back);
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

  const ServiceParts& parts_;
  const spec::Service& service_;
  ServiceDecisions& decisions_;
  WatchedRoutes& routes_;
  Works& works_;
  const std::optional<ServiceJournal>& journal_;
  const spec::ServiceBounds& bounds_;
  const recover::Ladder& ladder_;
  std::map<std::string, Repaired> variants_{};  ///< by op_id; made once and kept
  std::string in_force_in_{};                   ///< the two slots that `in_force_` is about
  std::map<std::string, bool> in_force_{};      ///< by id of the act
};

}  // namespace heddle::control
