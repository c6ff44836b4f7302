#include "policy/standing.hpp"

#include <algorithm>

#include "doc/json.hpp"
#include "policy/rulebook.hpp"
#include "store/stored_number.hpp"

namespace heddle::policy {
namespace {

constexpr std::string_view kOperations = "policy.operations";
constexpr std::string_view kApprovals = "policy.approvals";
constexpr std::string_view kCount = "policy.count";        // `approvals` -> how many there were
constexpr std::string_view kOpen = "policy.open";          // id of an approval -> nothing
constexpr std::string_view kLast = "policy.asked";         // question -> id of the newest
constexpr std::string_view kAnswered = "policy.answered";  // question -> id of the newest answered
constexpr std::string_view kReleased = "policy.released";  // SERVICE/BUNDLE -> id of the approval
constexpr std::string_view kApplied = "policy.applied";    // ACTION \0 DAY / TIME / ENTRY
constexpr std::string_view kActions = "policy.actions";    // ACTION -> last day
constexpr std::string_view kStopped = "policy.stopped";

/// Days and times as text that sorts, also before 1970.
std::int64_t day_of(Micros time) {
  return (time >= 0 ? time / kDay : (time - kDay + 1) / kDay) + 50'000'000;
}
std::string day_text(std::int64_t day) { return fmt::format("{:09}", day); }
std::string time_text(Micros time) {
  return fmt::format("{:020}", static_cast<std::uint64_t>(time) + (std::uint64_t{1} << 63));
}
std::string prefix_of(std::string_view action) { return std::string(action) + '\0'; }

/// `approval-10000` comes after `approval-9999`.
bool is_older(std::string_view a, std::string_view b) {
  return std::pair(a.size(), a) < std::pair(b.size(), b);
}

Result<void> put_newest(store::Txn& txn, std::string_view collection, const std::string& key,
                        const std::string& id) {
  HEDDLE_ASSIGN_OR_RETURN(const auto known, txn.get(collection, key));
  if (known && !is_older(*known, id)) return {};
  return txn.put(collection, key, id);
}

std::string released_key(const std::string& service, const Digest& bundle) {
  return service + "/" + bundle.str();
}

/// What is found by this approval, as it is now.
Result<void> index(store::Txn& txn, const Approval& approval) {
  using Status = Approval::Status;
  HEDDLE_TRY(is_open(approval) ? txn.put(kOpen, approval.id, "") : txn.erase(kOpen, approval.id));
  const auto key = question_key(approval.action, approval.target, approval.slot, approval.binds,
                                approval.subjects);
  HEDDLE_TRY(put_newest(txn, kLast, key, approval.id));
  const bool used = approval.status == Status::kUsed;
  if (used || approval.status == Status::kRejected)
    HEDDLE_TRY(put_newest(txn, kAnswered, key, approval.id));
  // A yes to a repair of the input is about that alone.
  if (!used || !approval.action.starts_with("release.")) return {};
  for (const auto& subject : approval.subjects) {
    if (subject.name != "bundle") continue;
    HEDDLE_TRY(txn.put(kReleased, released_key(approval.binds.string_or("service"), subject.digest),
                       approval.id));
  }
  return {};
}

/// A stop flag: whose decision it is.
struct Stop {
  std::string by;
  std::uint64_t entry = 0;
};

const doc::Schema<Stop>& stop_schema() {
  static const auto schema = [] {
    auto t = doc::Schema<Stop>::record("the stored stop", "who stopped a service");
    t.refused_as(ErrorKind::kCorrupt, "stop-malformed",
                 "bring `.heddle/state.db` back from a backup");
    t.text("by", &Stop::by, "who stopped it");
    t.integer("entry", &Stop::entry, "the ledger entry");
    return t;
  }();
  return schema;
}

}  // namespace

const doc::Schema<Operation>& operation_schema() {
  static const auto schema = [] {
    auto t = doc::Schema<Operation>::record("the stored operation", "what became of an act so far");
    t.refused_as(ErrorKind::kCorrupt, "operation-malformed",
                 "go on with the Heddle that wrote it, or bring `.heddle/state.db` back from a "
                 "backup");
    t.text("state", &Operation::state, "what became of it").one_of({"applied", "denied", "asked"});
    t.text("action", &Operation::action, "of the proposal");
    t.text("target", &Operation::target, "of the proposal");
    t.texts("rules", &Operation::rules, "every rule that matched, the deciding one first");
    t.digest("policy", &Operation::policy, "of the rules").filled();
    t.integer("entry", &Operation::entry, "ledger entry that records it");
    t.text("approval", &Operation::approval, "id of the approval that it waits for or used");
    return t;
  }();
  return schema;
}

Result<std::optional<Operation>> read_operation(store::Txn& txn, const std::string& op_id) {
  HEDDLE_ASSIGN_OR_RETURN(const auto text, txn.get(kOperations, op_id));
  if (!text) return std::optional<Operation>();
  HEDDLE_ASSIGN_OR_RETURN(auto operation, operation_schema().parse_text(*text));
  return std::optional<Operation>(std::move(operation));
}

Result<void> write_operation(store::Txn& txn, const std::string& op_id,
                             const Operation& operation) {
  return txn.put(kOperations, op_id, doc::to_json(operation_schema().print(operation)));
}

Result<std::optional<Approval>> read_approval(store::Txn& txn, std::string_view id) {
  HEDDLE_ASSIGN_OR_RETURN(const auto text, txn.get(kApprovals, id));
  if (!text) return std::optional<Approval>();
  HEDDLE_ASSIGN_OR_RETURN(auto approval, approval_schema().parse_text(*text));
  return std::optional<Approval>(std::move(approval));
}

Result<std::vector<Approval>> read_approvals(store::Txn& txn) {
  std::vector<Approval> list;
  Result<void> parsed;
  HEDDLE_TRY(txn.scan(kApprovals, "approval-", [&](std::string_view, std::string_view text) {
    auto approval = approval_schema().parse_text(text);
    if (!approval) {
      parsed = approval.error();
      return false;
    }
    list.push_back(std::move(*approval));
    return true;
  }));
  HEDDLE_TRY(std::move(parsed));
  std::sort(list.begin(), list.end(),
            [](const auto& a, const auto& b) { return is_older(a.id, b.id); });
  return list;
}

Result<std::vector<std::string>> approval_ids(store::Txn& txn) {
  std::vector<std::string> ids;
  HEDDLE_TRY(txn.scan(kApprovals, "approval-", [&](std::string_view id, std::string_view) {
    ids.emplace_back(id);
    return true;
  }));
  std::sort(ids.begin(), ids.end(), is_older);
  return ids;
}

Result<void> write_approval(store::Txn& txn, const Approval& approval) {
  HEDDLE_TRY(index(txn, approval));
  return txn.put(kApprovals, approval.id, doc::to_json(approval_schema().print(approval)));
}

Result<std::string> next_approval_id(store::Txn& txn) {
  HEDDLE_ASSIGN_OR_RETURN(const auto count, txn.get(kCount, "approvals"));
  std::uint64_t number = 1;
  if (count) {
    // An unreadable one would number approvals from the first again, over those there are.
    HEDDLE_ASSIGN_OR_RETURN(const auto last,
                            store::stored_number(*count, "policy.count/approvals"));
    number = last + 1;
  }
  HEDDLE_TRY(txn.put(kCount, "approvals", fmt::to_string(number)));
  return fmt::format("approval-{:04}", number);
}

Result<void> index_approvals(store::Txn& txn) {
  HEDDLE_ASSIGN_OR_RETURN(const auto count, txn.get(kCount, "approvals"));
  if (count) return {};
  HEDDLE_ASSIGN_OR_RETURN(const auto all, read_approvals(txn));
  for (const auto& approval : all) HEDDLE_TRY(index(txn, approval));
  return txn.put(kCount, "approvals", fmt::to_string(all.size()));
}

Result<std::vector<Approval>> read_open_approvals(store::Txn& txn) {
  std::vector<std::string> ids;
  HEDDLE_TRY(txn.scan(kOpen, "", [&](std::string_view id, std::string_view) {
    ids.emplace_back(id);
    return true;
  }));
  std::sort(ids.begin(), ids.end(), is_older);
  std::vector<Approval> open;
  for (const auto& id : ids) {
    HEDDLE_ASSIGN_OR_RETURN(auto approval, read_approval(txn, id));
    if (approval && is_open(*approval)) open.push_back(std::move(*approval));
  }
  return open;
}

bool is_open(const Approval& approval) noexcept {
  return approval.status == Approval::Status::kPending ||
         approval.status == Approval::Status::kApproved;
}

std::string question_key(const std::string& action, const std::string& target,
                         const std::string& slot, const doc::Value& binds,
                         const std::vector<Named>& subjects) {
  std::string key;
  for (const auto& part :
       {action, target, slot, binds.string_or("service"), binds.string_or("account"),
        subjects.empty() ? std::string() : subjects.front().digest.str()})
    key += part + '\0';
  return key;
}

Result<AskedBefore> read_asked_before(store::Txn& txn, const std::string& key) {
  AskedBefore before;
  for (const auto& [collection, found] :
       {std::pair(kLast, &before.last), std::pair(kAnswered, &before.answered)}) {
    HEDDLE_ASSIGN_OR_RETURN(const auto id, txn.get(collection, key));
    if (!id) continue;
    HEDDLE_ASSIGN_OR_RETURN(*found, read_approval(txn, *id));
  }
  return before;
}

Result<bool> was_released_by_a_person(store::Txn& txn, const std::string& service,
                                      const Digest& bundle) {
  HEDDLE_ASSIGN_OR_RETURN(const auto row, txn.get(kReleased, released_key(service, bundle)));
  return row.has_value();
}

Result<void> note_applied(store::Txn& txn, const std::string& action, const std::string& service,
                          Micros time, std::uint64_t entry) {
  const auto day = day_text(day_of(time));
  HEDDLE_TRY(txn.put(kApplied,
                     fmt::format("{}{}/{}/{:012}", prefix_of(action), day, time_text(time), entry),
                     service));
  HEDDLE_ASSIGN_OR_RETURN(const auto last, txn.get(kActions, action));
  if (!last || *last < day) return txn.put(kActions, action, day);
  return {};
}

Result<std::int64_t> count_applied(store::Txn& txn, std::string_view action,
                                   std::string_view service, Micros now, Micros window) {
  std::vector<std::pair<std::string, std::int64_t>> actions;  // with their last day
  std::optional<Error> damaged;
  HEDDLE_TRY(txn.scan(kActions, "", [&](std::string_view name, std::string_view day) {
    if (!glob_match(action, name)) return true;
    const auto last = store::stored_number(day, fmt::format("{}/{}", kActions, name));
    if (!last.ok()) {
      damaged = last.error();
      return false;
    }
    actions.emplace_back(name, static_cast<std::int64_t>(*last));
    return true;
  }));
  if (damaged) return *damaged;
  std::int64_t count = 0;
  const Micros after = now - window;
  const auto from = day_of(after);
  const auto last_allowed = time_text(after);
  for (const auto& [name, last] : actions) {
    const auto prefix = prefix_of(name);
    const auto visit = [&](std::string_view key, std::string_view about) {
      const bool counts = service.empty() || about.empty() || about == service;
      if (counts && (window == 0 || key.substr(prefix.size() + 10, 20) > last_allowed)) ++count;
      return true;
    };
    if (window == 0 || last - from > 1000) {
      HEDDLE_TRY(txn.scan(kApplied, prefix, visit));
      continue;
    }
    for (auto day = from; day <= last; ++day)
      HEDDLE_TRY(txn.scan(kApplied, prefix + day_text(day) + "/", visit));
  }
  return count;
}

Result<bool> is_stopped(store::Txn& txn, const std::string& service) {
  HEDDLE_ASSIGN_OR_RETURN(const auto all, txn.get(kStopped, "*"));
  if (all || service.empty()) return all.has_value();
  HEDDLE_ASSIGN_OR_RETURN(const auto one, txn.get(kStopped, service));
  return one.has_value();
}

Result<std::optional<std::uint64_t>> stop_entry(store::Txn& txn, const std::string& service) {
  for (const std::string& scope : {service, std::string("*")}) {
    HEDDLE_ASSIGN_OR_RETURN(const auto row, txn.get(kStopped, scope));
    if (!row) continue;
    HEDDLE_ASSIGN_OR_RETURN(const auto stop, stop_schema().parse_text(*row));
    return std::optional(stop.entry);
  }
  return std::optional<std::uint64_t>();
}

Result<void> set_stopped(store::Txn& txn, const std::string& scope, const std::string& by,
                         std::uint64_t entry) {
  return txn.put(kStopped, scope, doc::to_json(stop_schema().print({by, entry})));
}

Result<void> clear_stopped(store::Txn& txn, const std::string& scope) {
  if (scope != "*") return txn.erase(kStopped, scope);
  HEDDLE_ASSIGN_OR_RETURN(const auto scopes, stopped_scopes(txn));
  for (const auto& each : scopes) HEDDLE_TRY(txn.erase(kStopped, each));
  return {};
}

Result<std::vector<std::string>> stopped_scopes(store::Txn& txn) {
  std::vector<std::string> scopes;
  HEDDLE_TRY(txn.scan(kStopped, "", [&](std::string_view key, std::string_view) {
    scopes.emplace_back(key);
    return true;
  }));
  return scopes;
}

}  // namespace heddle::policy
