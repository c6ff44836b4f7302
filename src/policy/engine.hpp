#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ledger/ledger.hpp"
#include "policy/act.hpp"
#include "policy/approval.hpp"
#include "policy/rulebook.hpp"
#include "policy/standing.hpp"
#include "store/store.hpp"

namespace heddle::policy {

/// The engine of one project over its state and ledger. Built-in, whatever the rules say:
/// `service.stop` (target `service/NAME` or `service/*`) is allowed to everybody and sets the stop
/// flag in the same transaction; while it stands, every act about that service is denied (`stop`),
/// but a person's records (`incident.*`) are judged by the rules, and `service.resume` by a person
/// clears it: one whom a rule lets, or who signed; so is `clock.set`. `clock.jump` of the data
/// plane records what happened and is always allowed. What needs an
/// approval is asked for by a person or an agent, never by the system (`requester-unproven`).
/// Inside `apply`, the decision's own entry is number `txn.log_size() - 1`. Thread-safe; `state`,
/// `ledger` and `clock` must outlive it.
class LocalEngine final : public Engine {
 public:
  [[nodiscard]] static Result<std::unique_ptr<LocalEngine>> open(
      store::State& state, ledger::Ledger& ledger, const spec::Project& project,
      const Clock& clock = system_clock());
  ~LocalEngine() override;

  /// Errors: kConflict `op-id-reused` (the same op_id for another act), what `apply` and `beside`
  /// return (everything rolled back), storage.
  [[nodiscard]] Result<Decision> act(const Proposal& proposal,
                                     const std::function<Result<void>(store::Txn&)>& apply,
                                     const std::function<Result<void>()>& possible = {},
                                     const Beside& beside = {}) override;
  /// What the rules, budgets and stop flag say now; records nothing.
  [[nodiscard]] Result<Verdict> evaluate(const Proposal& proposal);
  /// From now on these definitions count; call it after the `definition.apply` act.
  [[nodiscard]] Result<void> load(const spec::Project& project);

  /// One person's signed yes. Errors (kDenied unless said otherwise): `approval-unknown`
  /// (kNotFound), `approval-expired`, `approval-used`, `approval-rejected`, `approval-void`,
  /// `approval-while-stopped` (kConflict), `approval-by-requester`, `approval-not-a-person`,
  /// `approval-unknown-person`, `approval-missing-role`, `approval-already-given` (kConflict),
  /// `approval-signature-invalid`, `approval-policy-changed`.
  [[nodiscard]] Result<Approval> approve(const std::string& id, const std::string& person,
                                         const std::string& armored);
  /// A no, by a proven person: one who could say yes, or who asked.
  [[nodiscard]] Result<Approval> reject(const std::string& id, const Actor& who,
                                        const std::string& reason);
  /// Closes every open approval for which `why` says what of its statement is not so any more; an
  /// entry each. Inside the `apply` of the decision that made it so, or in a transaction of its
  /// own.
  [[nodiscard]] Result<void> void_stale(store::Txn& txn,
                                        const std::function<std::string(const Approval&)>& why);
  [[nodiscard]] Result<void> void_stale(const std::function<std::string(const Approval&)>& why);
  /// Closes every open approval whose time is over, an entry each: a clock set back opens none of
  /// them again.
  [[nodiscard]] Result<void> close_expired();
  /// Whether the act of this op_id was carried out.
  [[nodiscard]] Result<bool> applied(const std::string& op_id);
  /// One whose time is over is `expired` here, whether or not an entry says so yet.
  [[nodiscard]] Result<Approval> approval(const std::string& id);
  /// All that ever were, in the order in which they were asked: for lists that people ask for.
  [[nodiscard]] Result<std::vector<Approval>> approvals();
  [[nodiscard]] Result<std::vector<std::string>> approval_ids();
  /// What was asked before about the same as this proposal (its `binds` are set). Costs the same
  /// however many approvals there were, as does the next.
  [[nodiscard]] Result<AskedBefore> asked_before(const Proposal& proposal);
  /// Whether a person released this bundle of the service.
  [[nodiscard]] Result<bool> released_by_a_person(const std::string& service, const Digest& bundle);
  /// Those that wait for an answer, or have one and were not carried out yet, by id. Costs what
  /// they are, however many there were.
  [[nodiscard]] Result<std::vector<Approval>> open_approvals();

  /// Scopes that are stopped: service names, or `*`.
  [[nodiscard]] Result<std::vector<std::string>> stopped();
  /// The ledger entry of the stop that holds for `service`; none: it is not stopped.
  [[nodiscard]] Result<std::optional<std::uint64_t>> stop_entry(const std::string& service);
  [[nodiscard]] Digest policy_digest() const;

 private:
  struct Impl;
  explicit LocalEngine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace heddle::policy
