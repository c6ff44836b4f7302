#include "ledger/approval_audit.hpp"

#include <fmt/format.h>

namespace heddle::ledger {
namespace {

/// The digest of what is signed; empty where none is named.
Digest statement_of(const Entry& entry) {
  for (const auto& [name, digest] : entry.evidence) {
    if (name == "statement") return digest;
  }
  return {};
}

/// Whether an action ends the wait for an approval without one.
bool closes(std::string_view action) {
  return action == "approval.reject" || action == "approval.void" || action == "approval.expire";
}

}  // namespace

void ApprovalAudit::close(const Entry& entry) {
  if (const auto known = asked_.find(entry.approval); known != asked_.end())
    known->second.closed = entry.result;
}

std::string ApprovalAudit::observe(std::uint64_t index, std::string_view json) {
  // Most entries of a long ledger are neither: a million are looked at in a second.
  if (json.find("\"approval\":") == std::string_view::npos &&
      json.find("\"require_approval\"") == std::string_view::npos)
    return {};
  const auto parsed = parse_entry(json);
  if (!parsed.ok()) return {};  // told by whoever checks the entries
  const Entry& entry = *parsed;
  if (entry.result == "applied" && entry.decision == "require_approval")
    return check_applied(index, entry);
  if (entry.action == "approval.approve") return check_yes(index, entry);
  if (entry.result == "requested")
    asked_[entry.approval] = {entry};
  else if (closes(entry.action))
    close(entry);
  return {};
}

std::string ApprovalAudit::check_yes(std::uint64_t index, const Entry& entry) {
  const auto wrong = [&](std::string_view why) {
    return fmt::format("entry {}, the yes of `{}` to `{}`: {}", index, entry.actor, entry.approval,
                       why);
  };
  const auto found = asked_.find(entry.approval);
  if (found == asked_.end()) return wrong("nothing was asked for under that id");
  Asked& asked = found->second;
  // What was rejected, lapsed or used takes no further yes.
  if (!asked.closed.empty()) return wrong(fmt::format("it was {} before", asked.closed));
  if (entry.actor_type != "person") return wrong("it is no person's");
  if (entry.actor == asked.entry.actor ||
      entry.actor == asked.entry.attributes.string_or("claimed"))
    return wrong("who says yes is who asked");
  if (statement_of(entry) != statement_of(asked.entry)) return wrong("it is to something else");
  // One of several yeses is not enough: its result is `one-of-several`.
  if (entry.result == "approved") asked.approved = true;
  return {};
}

std::string ApprovalAudit::check_applied(std::uint64_t index, const Entry& entry) {
  const auto wrong = [&](std::string_view why) {
    return fmt::format("entry {} applied `{}` of `{}`, which needed an approval: {}", index,
                       entry.action, entry.target, why);
  };
  const auto found = asked_.find(entry.approval);
  if (entry.approval.empty() || found == asked_.end()) return wrong("none was asked for");
  Asked& asked = found->second;
  if (!asked.closed.empty())
    return wrong(fmt::format("`{}` was {} before", entry.approval, asked.closed));
  if (!asked.approved) return wrong(fmt::format("no person approved `{}`", entry.approval));
  // A yes to one act must not carry out another: everything that names it has to agree.
  if (asked.entry.op_id != entry.op_id || asked.entry.action != entry.action ||
      asked.entry.target != entry.target || asked.entry.subjects != entry.subjects) {
    return wrong(fmt::format("`{}` is for another act", entry.approval));
  }
  asked.closed = "used";
  return {};
}

}  // namespace heddle::ledger
