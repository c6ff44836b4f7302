#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/act.hpp"
#include "policy/approval.hpp"
#include "store/store.hpp"

namespace heddle::policy {

/// What became of an op_id so far.
struct Operation {
  std::string state;  ///< applied, denied, asked
  std::string action{};
  std::string target{};
  std::vector<std::string> rules{};
  Digest policy{};
  std::uint64_t entry = 0;
  std::string approval{};
};
/// As an operation is stored (docs/formats/approvals.md).
[[nodiscard]] const doc::Schema<Operation>& operation_schema();
[[nodiscard]] Result<std::optional<Operation>> read_operation(store::Txn& txn,
                                                              const std::string& op_id);
[[nodiscard]] Result<void> write_operation(store::Txn& txn, const std::string& op_id,
                                           const Operation& operation);

[[nodiscard]] Result<std::optional<Approval>> read_approval(store::Txn& txn, std::string_view id);
/// All that ever were, in the order in which they were asked: for lists that people ask for.
[[nodiscard]] Result<std::vector<Approval>> read_approvals(store::Txn& txn);
[[nodiscard]] Result<std::vector<std::string>> approval_ids(store::Txn& txn);
/// The approval and what is found by it: those that are open, the questions and answers about the
/// same, the bundles that were released.
[[nodiscard]] Result<void> write_approval(store::Txn& txn, const Approval& approval);
[[nodiscard]] Result<std::string> next_approval_id(store::Txn& txn);
/// What `write_approval` writes beside approvals, for those that are there already; once.
[[nodiscard]] Result<void> index_approvals(store::Txn& txn);
/// Those that wait for an answer, or have one and were not carried out yet.
[[nodiscard]] Result<std::vector<Approval>> read_open_approvals(store::Txn& txn);
[[nodiscard]] bool is_open(const Approval& approval) noexcept;

/// What a question is about, as far as another one is about the same: action, target and slot, the
/// account and service it binds, and its first subject.
[[nodiscard]] std::string question_key(const std::string& action, const std::string& target,
                                       const std::string& slot, const doc::Value& binds,
                                       const std::vector<Named>& subjects);
/// The newest question about that, and the newest to which a person's answer stands: a no, or a yes
/// that was carried out.
struct AskedBefore {
  std::optional<Approval> last{};
  std::optional<Approval> answered{};
};
[[nodiscard]] Result<AskedBefore> read_asked_before(store::Txn& txn, const std::string& key);
/// Whether a person released this bundle of the service: said yes to it, and that was carried out.
[[nodiscard]] Result<bool> was_released_by_a_person(store::Txn& txn, const std::string& service,
                                                    const Digest& bundle);

/// Applied decisions by action and time, and the service they were about (empty: none): what
/// budgets and `ledger.count` count. Kept in the same transaction as the decision.
[[nodiscard]] Result<void> note_applied(store::Txn& txn, const std::string& action,
                                        const std::string& service, Micros time,
                                        std::uint64_t entry);
/// Of actions that match the glob, later than `now - window`; `window` 0: ever. Those about
/// `service` and those about none; for an empty `service`, all.
[[nodiscard]] Result<std::int64_t> count_applied(store::Txn& txn, std::string_view action,
                                                 std::string_view service, Micros now,
                                                 Micros window);

/// The stop flags: a service's name, or `*`.
[[nodiscard]] Result<bool> is_stopped(store::Txn& txn, const std::string& service);
/// The ledger entry of the stop that holds for `service`; none: it is not stopped.
[[nodiscard]] Result<std::optional<std::uint64_t>> stop_entry(store::Txn& txn,
                                                              const std::string& service);
[[nodiscard]] Result<void> set_stopped(store::Txn& txn, const std::string& scope,
                                       const std::string& by, std::uint64_t entry);
[[nodiscard]] Result<void> clear_stopped(store::Txn& txn,
                                         const std::string& scope);  ///< `*`: all of them
[[nodiscard]] Result<std::vector<std::string>> stopped_scopes(store::Txn& txn);

}  // namespace heddle::policy
