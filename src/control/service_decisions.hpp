#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "bundle/bundle.hpp"
#include "control/published_releases.hpp"
#include "control/service_journal.hpp"
#include "control/service_parts.hpp"
#include "control/watched_routes.hpp"
#include "control/works.hpp"
#include "evaluate/evaluate.hpp"
#include "policy/engine.hpp"
#include "spec/service_bounds.hpp"

namespace heddle::control {

/// Collection: approval id -> what to do when it is given.
inline constexpr std::string_view kWaiting = "waiting";

/// What the bundle says of how it was judged.
[[nodiscard]] Result<evaluate::Evidence> evidence_in(const bundle::Bundle& bundle);

/// As a route table holds it.
[[nodiscard]] plane::FailOver fail_over_of(const spec::FailOverRule& rule);

/// From a proposal about a service to what changed: what is said of it for policy and for who
/// signs, what policy decides, and in the same transaction the releases that follow. Whoever
/// proposes (a person, recovery, the canary's agent, the data plane) does it through here. Confined
/// to the control thread.
class ServiceDecisions {
 public:
  using Write = std::function<Result<void>(store::Txn&)>;
  using Beside = policy::Engine::Beside;  ///< what is written with a decision, whatever it is
  /// What it works on; owned by the service's control.
  struct On {
    PublishedReleases& releases;
    WatchedRoutes& routes;
    Works& works;
    const std::optional<ServiceJournal>& journal;
    const spec::ServiceBounds& bounds;
  };

  ServiceDecisions(const ServiceParts& parts, std::string service, const On& on)
      : parts_(parts),
        service_(std::move(service)),
        published_(on.releases),
        routes_(on.routes),
        works_(on.works),
        journal_(on.journal),
        bounds_(on.bounds) {}

  [[nodiscard]] const release::Releases& releases() const noexcept { return published_.now(); }

  /// policy's act. In its transaction people are told of the question that it asks, if it does.
  [[nodiscard]] Result<policy::Decision> act(const policy::Proposal& proposal, const Write& apply,
                                             const std::function<Result<void>()>& possible = {},
                                             const Beside& beside = {});
  /// Proposes; on yes changes a copy of the releases with `change`, commits both, publishes. The
  /// one way a route is made. `also` is written where it changes, `beside` always.
  [[nodiscard]] Result<policy::Decision> change_releases(
      const policy::Proposal& proposal,
      const std::function<Result<void>(release::Releases&)>& change, const Write& also = {},
      const Beside& beside = {});
  /// Keeps what waits for an approval, so that the approval carries it out.
  [[nodiscard]] Beside kept_until_approved(const policy::Proposal& proposal) const;
  /// The approval that was asked for under this op_id and is open.
  [[nodiscard]] Result<std::optional<policy::Approval>> open_approval(
      const std::string& op_id) const;

  /// Something was decided anew since the last snapshot.
  [[nodiscard]] bool is_unsaved() const noexcept { return is_unsaved_; }
  void note() noexcept { is_unsaved_ = true; }
  void note(const policy::Decision& decision) noexcept {
    is_unsaved_ = is_unsaved_ || (decision.applied && !decision.repeated);
  }
  void saved() noexcept { is_unsaved_ = false; }

  /// The facts and terms that an approval of this proposal binds, as they are now.
  [[nodiscard]] doc::Value binds_of(const policy::Proposal& proposal) const;
  /// What of the approval's statement the releases `next` make untrue; empty: nothing.
  [[nodiscard]] std::string made_untrue(const policy::Approval& approval,
                                        const release::Releases& next) const;

  /// What the bundle brings of evidence: its evaluation and the statements about how it was made.
  [[nodiscard]] std::vector<policy::Named> evidence_of(const Digest& bundle) const;
  /// Tells policy what a bundle was built from: attributes `commit` and `dirty`.
  [[nodiscard]] Result<void> name_origin(policy::Proposal& proposal, const Digest& bundle);
  /// Says in reason, attributes (`drops_repairs`, `repairs_dropped`, `revives_repairs`,
  /// `repairs_revived`) and evidence which repairs of `replaced` are lost, and which that were
  /// taken back from it come again.
  [[nodiscard]] Result<void> name_repairs(policy::Proposal& proposal, const Digest& replaced,
                                          const Digest& bundle) const;
  /// Says in reason and attribute `gates_not_judged` which gates of the bundle on `base.*` were not
  /// judged against what serves now.
  void name_gates_not_judged(policy::Proposal& proposal, const evaluate::Evidence& evidence) const;

  /// The comparison of an automatic promotion, on what was known when it was asked for first, goes
  /// into evidence and attributes (`comparison`: better, worse, unclear, none); a question that
  /// waits already keeps what it was asked with. False: it is being made, for a later tick.
  [[nodiscard]] Result<bool> add_comparison(policy::Proposal& proposal, const Digest& bundle,
                                            Micros event_time);
  /// Work that a decision at a later tick needs: kept and started at the first call. nullopt: it is
  /// being done, or its time has not come.
  [[nodiscard]] Result<std::optional<doc::Value>> done_for(const Works::Work& work, Micros now);

 private:
  /// The verdict of the comparison that the open question has among its evidence, which goes into
  /// the proposal; nullopt: there is none with what serves now.
  [[nodiscard]] Result<std::optional<std::string>> asked_comparison(policy::Proposal& proposal);
  /// What serves and `bundle`, as `ComparisonInput` says; nullopt: it is being made.
  [[nodiscard]] Result<std::optional<Comparison>> compared_for(const std::string& op_id,
                                                               const Digest& bundle,
                                                               Micros event_time);

  const ServiceParts& parts_;
  std::string service_;
  PublishedReleases& published_;
  WatchedRoutes& routes_;
  Works& works_;
  const std::optional<ServiceJournal>& journal_;
  const spec::ServiceBounds& bounds_;
  std::map<Digest, std::pair<std::string, bool>> origins_{};  ///< of bundles: commit, dirty
  bool is_unsaved_ = false;
};

}  // namespace heddle::control
