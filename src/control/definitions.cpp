#include "control/definitions.hpp"

#include "control/applied.hpp"
#include "control/requester.hpp"
#include "control/service_locks.hpp"

namespace heddle::control {
namespace {

constexpr std::string_view kApplied = "applied";  ///< fact: the commit that runs

std::string applied_fact(const std::optional<Applied>& applied) {
  return applied ? applied->commit : "";
}

/// What of an approval's statement is not so once `next` runs under `rules`; empty: nothing.
std::string made_untrue(const policy::Approval& approval, const Applied& next,
                        const Digest& rules) {
  // Approvals name the policy they were asked under: a yes
  // given under other rules would be a yes to something else.
  if (approval.policy != rules) return "the policy it was asked under was replaced";
  if (approval.action != kApplyAction) return {};
  const auto then = approval.binds.string_or(kApplied);
  if (then == next.commit) return {};
  return fmt::format("`{}` was `{}` when it was asked and is `{}` now", kApplied, then,
                     next.commit);
}

ApplyReply reply_of_applied(const Applied& applied, bool changed) {
  ApplyReply reply;
  reply.applied = true;
  reply.changed = changed;
  reply.commit = applied.commit;
  reply.entry = applied.entry;
  reply.definitions = applied.definitions.str();
  return reply;
}

policy::Proposal proposal_of(const Control::Core& core, const spec::Loaded& loaded,
                             const policy::Actor& actor) {
  const std::string& commit = loaded.project.commit;
  policy::Proposal proposal;
  // From what to what: to go back to a commit that was applied once is another act.
  proposal.op_id = fmt::format(
      "apply/{}/{}", core.applied ? fmt::to_string(core.applied->entry) : "first", commit);
  proposal.action = kApplyAction;
  proposal.target = "project/" + loaded.project.name;
  proposal.actor = actor;
  proposal.subjects.push_back({"definitions", loaded.digest()});
  proposal.attributes = doc::Value::object({{"commit", commit}});
  // What the person who signs reads: from which commit to which.
  proposal.binds =
      doc::Value::object({{std::string(kApplied), applied_fact(core.applied)}, {"commit", commit}});
  proposal.reason = fmt::format("apply the definitions of commit {}", commit.substr(0, 12));
  return proposal;
}

}  // namespace

Result<ApplyReply> apply_definitions(Control::Core& core, const std::string& revision,
                                     const policy::Actor& actor) {
  HEDDLE_ASSIGN_OR_RETURN(const auto commit, core.git->resolve(revision));
  if (core.applied && core.applied->commit == commit) return reply_of_applied(*core.applied, false);
  HEDDLE_ASSIGN_OR_RETURN(auto loaded, load_applied(*core.git, core.home.root(), commit));
  if (loaded.project.name != core.project.name) {
    // The ledger's checkpoints are signed in this name: under another one nothing could be opened.
    return Error{
        ErrorKind::kConflict, "apply-other-project",
        fmt::format("commit {} is of project `{}`, and this one is `{}`", commit.substr(0, 12),
                    loaded.project.name, core.project.name),
        fmt::format("write `name: {}` in heddle.yaml and commit; a project of another name "
                    "begins in a folder without this `.heddle`",
                    core.project.name)};
  }
  // What counts now says who may change it. Before the first apply nothing counts, and the commit
  // speaks for itself.
  if (!core.applied) HEDDLE_TRY(core.policy->load(loaded.project));
  const auto proposal = proposal_of(core, loaded, actor);
  auto warnings = loaded.diagnostics;  // not as their authors may think
  Applied next{commit, loaded.digest()};
  HEDDLE_ASSIGN_OR_RETURN(const auto book, policy::Rulebook::compile(loaded.project));
  HEDDLE_ASSIGN_OR_RETURN(
      // The definitions and their entry are one transaction: a crash leaves both or neither.
      const auto decision, core.policy->act(proposal, [&](store::Txn& txn) -> Result<void> {
        HEDDLE_ASSIGN_OR_RETURN(const auto entries, txn.log_size());
        // The decision's own entry, which `act` has appended before this runs.
        next.entry = entries - 1;
        HEDDLE_TRY(txn.put("control", "applied", next.commit));
        HEDDLE_TRY(txn.put("control", "applied-digest", next.definitions.str()));
        HEDDLE_TRY(txn.put("control", "applied-entry", fmt::to_string(next.entry)));
        // What waits and is not true under these definitions ends with this decision.
        return core.policy->void_stale(txn, [&](const policy::Approval& approval) {
          return made_untrue(approval, next, book.digest());
        });
      }));
  if (!decision.applied && decision.effect == policy::Effect::kRequireApproval) {
    ApplyReply waits;
    waits.commit = commit;
    waits.entry = decision.entry;
    waits.approval = decision.approval;
    waits.reason = proposal.reason;
    return waits;
  }
  if (!decision.applied) {
    const auto how = how_to_be_a_person(actor);
    return Error{ErrorKind::kDenied, "apply-denied",
                 fmt::format("policy does not let `{}` apply definitions (rule `{}`)", actor.id,
                             decision.rules.empty() ? "default-deny" : decision.rules.front()),
                 how.empty()
                     ? "add a rule for `definition.apply` to the policy, or ask somebody who may"
                     : how};
  }
  // After the commit: rules of definitions that were
  // not applied must not be in force for a moment.
  HEDDLE_TRY(core.policy->load(loaded.project));
  core.project = std::move(loaded.project);
  core.applied = next;
  HEDDLE_TRY(publish_applied(core.home, *core.git, core.control_key, next));
  std::vector<std::pair<std::string, Error>> failed;
  // Policies count at once and everything else at the next start; a
  // service that cannot take them is locked and the others go on.
  for (auto& [name, service] : core.services) {
    if (auto taken = service->take_policies(core.project, next.entry); !taken.ok())
      failed.emplace_back(name, taken.error());
  }
  for (const auto& [name, why] : failed) HEDDLE_TRY(lock_service(core, name, why));
  auto reply = reply_of_applied(next, true);
  reply.warnings = std::move(warnings);
  return reply;
}

Result<void> apply_first(Control::Core& core) {
  if (core.applied) return {};
  HEDDLE_ASSIGN_OR_RETURN(const auto head, core.git->head());
  const auto reply = apply_definitions(core, head, system_user());
  if (reply.ok() && reply->applied) return {};
  // Of a denied one the person is told what to do; another error is of the definitions themselves.
  if (!reply.ok() && reply.error().id != "apply-denied") return reply.error();
  return Error{ErrorKind::kDenied, "nothing-applied",
               "no definitions were applied yet, and policy does not let the system do it",
               "run `heddle apply --requester NAME` as somebody who may"};
}

}  // namespace heddle::control
