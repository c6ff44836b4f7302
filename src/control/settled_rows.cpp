#include "control/settled_rows.hpp"

#include <algorithm>
#include <set>

#include "base/ids.hpp"
#include "control/by_hand.hpp"
#include "control/requester.hpp"
#include "control/stored_rows.hpp"
#include "doc/json.hpp"

namespace heddle::control {
namespace {

/// The state does not grow with traffic: so many acts are kept of a service, of at most
/// `kMostSettled` rows each.
constexpr std::size_t kMostActs = 100;
constexpr std::size_t kMostSettled = 10'000;
constexpr std::string_view kRestore = "restore";

/// In the transaction: the oldest acts past the bound go.
Result<void> drop_oldest(store::Txn& txn, const std::string& service) {
  std::vector<std::string> keys;
  HEDDLE_TRY(txn.scan(kSettled, service + "/", [&](std::string_view key, std::string_view) {
    keys.emplace_back(key);
    return true;
  }));
  for (std::size_t i = 0; i + kMostActs < keys.size(); ++i)
    HEDDLE_TRY(txn.erase(kSettled, keys[i]));
  return {};
}

/// In the transaction: two people who look at the same rows settle them once.
Result<void> check_waiting(store::Txn& txn, const std::string& service,
                           const std::vector<std::string>& rows) {
  const std::set<std::string> wanted(rows.begin(), rows.end());
  Result<void> out;
  HEDDLE_TRY(each_row(
      txn, kSettled, service + "/", settled_rows_schema(), [&](auto, auto, SettledRows act) {
        const auto twice = std::find_if(act.rows.begin(), act.rows.end(),
                                        [&](const auto& row) { return wanted.contains(row); });
        if (twice == act.rows.end() || !out.ok()) return;
        out = Error{ErrorKind::kConflict, "rows-settled",
                    fmt::format("row `{}` was settled by `{}` already (`{}`, ledger entry {})",
                                *twice, act.by, act.act, act.entry),
                    fmt::format("see what waits: `heddle quarantine show {}`", service)};
      }));
  return out;
}

/// In the transaction: the rows are settled no more.
Result<void> let_wait(store::Txn& txn, const std::string& service,
                      const std::vector<std::string>& rows) {
  std::set<std::string> left(rows.begin(), rows.end());
  std::vector<std::pair<std::string, SettledRows>> changed;
  HEDDLE_TRY(each_row(txn, kSettled, service + "/", settled_rows_schema(),
                      [&](std::string_view key, auto, SettledRows act) {
                        const auto taken = std::erase_if(
                            act.rows, [&](const auto& row) { return left.erase(row) > 0; });
                        if (taken > 0) changed.emplace_back(key, std::move(act));
                      }));
  if (!left.empty()) {
    return Error{ErrorKind::kConflict, "rows-not-settled",
                 fmt::format("row `{}` is not settled: it waits, or is not known", *left.begin()),
                 fmt::format("see `heddle quarantine show {} --settled`", service)};
  }
  for (const auto& [key, act] : changed) {
    HEDDLE_TRY(act.rows.empty()
                   ? txn.erase(kSettled, key)
                   : txn.put(kSettled, key, doc::to_json(settled_rows_schema().print(act))));
  }
  return {};
}

Result<void> check_request(const SettleRequest& request) {
  const auto rows = static_cast<std::int64_t>(request.rows.size());
  // Nothing is kept of the rows of a file, so there is nothing to restore.
  const bool is_of_rows = rows > 0 || request.act != kRestore;
  if (is_of_rows && request.rows.size() <= kMostSettled && request.count >= rows &&
      request.count > 0)
    return {};
  return Error{
      ErrorKind::kInvalid, "rows-none",
      fmt::format("{} rows are named, {} are counted", rows, request.count),
      fmt::format("name 1 to {} rows, each by its request and place: `q-17#0`", kMostSettled)};
}

void add_digest(const char* name, const Digest& digest, std::vector<policy::Named>& list) {
  if (!digest.empty()) list.push_back({name, digest});
}

Error denied(const policy::Actor& actor, const policy::Decision& decision,
             const std::string& action) {
  const auto how = how_to_be_a_person(actor);
  return Error{
      ErrorKind::kDenied, "rows-denied",
      fmt::format("policy does not let `{}` do `{}` (rule `{}`)", actor.id, action,
                  decision.rules.empty() ? "default-deny" : decision.rules.front()),
      how.empty()
          ? fmt::format("add a rule for `{}` to the policy, or ask somebody who may", action)
          : how};
}

}  // namespace

const doc::Schema<SettledRows>& settled_rows_schema() {
  static const auto schema = [] {
    auto t = doc::Schema<SettledRows>::record("the settled rows", "what a person did with rows");
    t.refused_as(ErrorKind::kCorrupt, "control-state",
                 "go on with the Heddle that wrote it, or bring `.heddle/state.db` back from a "
                 "backup");
    t.text("act", &SettledRows::act, "what was done").one_of({"accept", "reprocess", "discard"});
    t.text("by", &SettledRows::by, "the person").filled();
    t.integer("entry", &SettledRows::entry, "ledger entry");
    t.texts("rows", &SettledRows::rows, "ids of the rows");
    return t;
  }();
  return schema;
}

Result<std::map<std::string, std::string>> settled_rows(store::State& state,
                                                        const std::string& service) {
  std::map<std::string, std::string> out;
  HEDDLE_TRY(state.read([&](store::Txn& txn) {
    return each_row(txn, kSettled, service + "/", settled_rows_schema(),
                    [&](auto, auto, SettledRows act) {
                      for (auto& row : act.rows) out[std::move(row)] = act.act;
                    });
  }));
  return out;
}

Result<SettleReply> settle_rows(Control::Core& core, const SettleRequest& request,
                                const Call& call) {
  HEDDLE_ASSIGN_OR_RETURN(const auto* service, core.service(request.service));
  const std::string& name = service->service().identity.name;
  HEDDLE_TRY(check_request(request));
  HEDDLE_ASSIGN_OR_RETURN(const auto reason, checked_reason(request.reason));
  HEDDLE_ASSIGN_OR_RETURN(const auto person, proven_person(core, call, request.by));
  const std::string id = uuid7();
  policy::Proposal proposal;
  proposal.action = "rows." + request.act;
  proposal.op_id = fmt::format("{}/{}/{}", name, proposal.action, id);
  proposal.target = "service/" + name;
  proposal.actor = person;
  add_digest("bundle", request.bundle, proposal.subjects);
  add_digest("input", request.input, proposal.evidence);
  add_digest("output", request.output, proposal.evidence);
  proposal.attributes = doc::Value::object(
      {{"rows", request.count}, {"stay", request.stay}, {"of_a_file", request.rows.empty()}});
  proposal.reason = reason;
  SettledRows settled{request.act, person.id, 0, request.rows};
  const auto keep = [&](store::Txn& txn) -> Result<void> {
    if (settled.rows.empty()) return {};  // of a file: nothing is kept of it here
    if (request.act == kRestore) return let_wait(txn, name, settled.rows);
    HEDDLE_TRY(check_waiting(txn, name, settled.rows));
    HEDDLE_ASSIGN_OR_RETURN(const auto entries, txn.log_size());
    settled.entry = entries - 1;
    HEDDLE_TRY(txn.put(kSettled, fmt::format("{}/{}", name, id),
                       doc::to_json(settled_rows_schema().print(settled))));
    return drop_oldest(txn, name);
  };
  HEDDLE_ASSIGN_OR_RETURN(
      const auto decision, core.policy->act(proposal, keep, [&]() -> Result<void> {
        return Error{ErrorKind::kDenied, "rows-denied",
                     fmt::format("a rule asks for an approval of `{}`", proposal.action),
                     "what is shown first is of this moment and waits for nobody: allow it to who "
                     "may decide it, or deny it"};
      }));
  if (!decision.applied) return denied(person, decision, proposal.action);
  return SettleReply{decision.entry, static_cast<std::uint64_t>(request.count)};
}

}  // namespace heddle::control
