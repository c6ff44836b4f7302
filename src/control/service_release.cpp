// Releases a person asks for.
#include <algorithm>

#include "bundle/bundle.hpp"
#include "control/act_attributes.hpp"
#include "control/compare.hpp"
#include "control/repairs.hpp"
#include "control/requester.hpp"
#include "control/service_control.hpp"
#include "control/stored_rows.hpp"
#include "doc/items.hpp"
#include "doc/json.hpp"
#include "evaluate/evaluate.hpp"
#include "evaluate/evidence_format.hpp"
#include "runtime/spec.hpp"

namespace heddle::control {
namespace {

/// The first word of the ids of errors about an act.
std::string_view family_of(std::string_view action) {
  return action.starts_with("incident.") ? "incident"
         : action.starts_with("source.") ? "quarantine"
         : action.starts_with("clock.")  ? "clock"
                                         : "release";
}

/// What a bundle demands of the sandbox around its worker: `full` or `available`; `none`: it brings
/// no code.
Result<std::string> demanded_sandbox(const bundle::Bundle& bundle) {
  if (!bundle.has(bundle::kRuntime)) return std::string("none");
  HEDDLE_ASSIGN_OR_RETURN(const auto runtime, bundle.json(bundle::kRuntime));
  HEDDLE_ASSIGN_OR_RETURN(const auto parsed, runtime::parse(runtime));
  if (parsed.kind != spec::Runtime::Kind::kProcess) return std::string("none");
  return std::string(parsed.sandbox == spec::Runtime::Sandbox::kFull ? "full" : "available");
}

/// What stops there were is acknowledged with it, where any were.
Result<void> resume(const policy::Proposal& proposal, release::Releases& next) {
  for (const auto& stop : doc::items_of(proposal.attributes.find("stops"))) {
    const auto* id = stop.find("id");
    if (id == nullptr || !id->is_string()) return no_attribute(proposal, "stops");
    next.acknowledge(id->as_string());
  }
  next.resume();
  return {};
}

}  // namespace

/// Actions about no bundle; nullopt: it is about one.
std::optional<Result<void>> ServiceControl::change_without_bundle(const policy::Proposal& proposal,
                                                                  release::Releases& next) {
  const auto& action = proposal.action;
  if (action == "service.stop") {
    next.stop();
    return Result<void>();
  }
  if (action == "service.resume") return resume(proposal, next);
  if (action == "clock.set") {
    const auto jump = text_in(proposal, "jump");
    if (!jump.ok()) return Result<void>(jump.error());
    next.acknowledge(*jump);
    return Result<void>();
  }
  if (action == "release.rollback") return next.rollback();
  if (action == "canary.abort") return next.abort_canary();
  if (action == "shadow.clear") return next.set_shadow({});
  return std::nullopt;
}

Result<void> ServiceControl::change_with_bundle(const policy::Proposal& proposal,
                                                release::Releases& next) const {
  const auto& action = proposal.action;
  const Digest bundle = proposal.subjects.empty() ? Digest{} : proposal.subjects.front().digest;
  next.mark_ready(bundle);
  // A shadow answers nobody: it needs nobody's approval of its answers.
  if (action == "shadow.set") return next.set_shadow(bundle);
  next.approve(bundle, proposal.op_id);
  if (action == "canary.start") {
    HEDDLE_ASSIGN_OR_RETURN(const auto weight, weight_in(proposal));
    const auto& rules = service_.canary;
    return next.start_canary(bundle, {rules.steps, rules.sticky, rules.header, rules.header_value},
                             weight, proposal.event_time);
  }
  if (action == "canary.raise") {
    HEDDLE_ASSIGN_OR_RETURN(const auto weight, weight_in(proposal));
    // A yes may come after the canary took another step.
    if (next.canary().next_weight() != weight) {
      return Error{ErrorKind::kConflict, "canary-other-step",
                   fmt::format("{:g}% is not the canary's next step", weight / 100.0),
                   fmt::format("see `heddle release canary {}`", service_.identity.name)};
    }
    return next.raise_canary(proposal.event_time);
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto slot, text_in(proposal, "slot"));
  return slot == "standby" ? next.set_standby(bundle) : next.promote(bundle);
}

Result<policy::Decision> ServiceControl::carry_out(const policy::Proposal& proposal) {
  if (proposal.attributes.bool_or("by_hand")) return carry_out_by_hand(proposal);
  const auto run = static_cast<std::uint64_t>(proposal.attributes.int_or("canary"));
  const auto change = [&](release::Releases& next) -> Result<void> {
    // What was proposed about a canary is about that one: a yes that comes after it ended promotes
    // nothing.
    if (run != 0 && next.canary().started != run) {
      return Error{
          ErrorKind::kConflict, "canary-ended",
          fmt::format("the canary that `{}` is about does not run any more", proposal.op_id),
          "see `heddle release history`"};
    }
    if (auto changed = change_without_bundle(proposal, next)) return *std::move(changed);
    return change_with_bundle(proposal, next);
  };
  return decisions_->change_releases(proposal, change, {},
                                     decisions_->kept_until_approved(proposal));
}

/// What was asked about this bundle, slot or source before decides how it is asked now: what waits
/// is not asked twice, and what a person rejected is asked again only by who says so. A question
/// that nobody answered (it ran out of time, or things changed) takes no answer back.
Result<void> ServiceControl::follow_question(policy::Proposal& proposal, bool again) const {
  proposal.binds = decisions_->binds_of(proposal);
  HEDDLE_TRY(parts_.policy->close_expired());  // what is over does not wait
  using Status = policy::Approval::Status;
  // A source is named with the account whose rows they are.
  HEDDLE_ASSIGN_OR_RETURN(auto before, parts_.policy->asked_before(proposal));
  if (proposal.action == "release.promote") {
    // A repair that a person rejected is a bundle that may be promoted, by who says that it is one.
    policy::Proposal repair = proposal;
    repair.action = "transform.propose";
    repair.attributes.set("slot", "");
    HEDDLE_ASSIGN_OR_RETURN(auto repaired, parts_.policy->asked_before(repair));
    const auto take = [](std::optional<policy::Approval>& into,
                         std::optional<policy::Approval>& other) {
      if (other && (!into || into->entry < other->entry)) into = std::move(other);
    };
    take(before.last, repaired.last);
    take(before.answered, repaired.answered);
  }
  const auto& [last, answered] = before;
  if (!last) return {};
  // The same question: it is joined with the evidence that it was put with.
  if (last->status == Status::kPending && last->action == proposal.action &&
      last->binds == proposal.binds) {
    proposal.op_id = last->op_id;
    proposal.evidence = last->evidence;
    return {};
  }
  if (!answered || answered->status != Status::kRejected) return {};
  if (!again) {
    return Error{
        ErrorKind::kConflict, fmt::format("{}-rejected", family_of(proposal.action)),
        fmt::format("`{}` rejected it as `{}`: {}", answered->rejected_by, answered->id,
                    answered->rejected_because),
        "say `--again` with the same command to ask again; somebody else than you has to say yes"};
  }
  proposal.op_id += std::string(kAskedAgain) + answered->id;
  proposal.reason += fmt::format("; asked again after `{}` rejected it as `{}`: {}",
                                 answered->rejected_by, answered->id, answered->rejected_because);
  return {};
}

Result<Asked> ServiceControl::asked_by_hand(policy::Proposal proposal, const Digest& bundle,
                                            const std::string& slot, bool again) {
  HEDDLE_TRY(follow_question(proposal, again));
  HEDDLE_ASSIGN_OR_RETURN(const auto decision, carry_out(proposal));
  if (!decision.applied && decision.effect == policy::Effect::kDeny) {
    const auto how = how_to_be_a_person(proposal.actor);
    return Error{ErrorKind::kDenied, fmt::format("{}-denied", family_of(proposal.action)),
                 fmt::format("policy denied `{}` (rule `{}`): {}", proposal.action,
                             decision.rules.empty() ? "default-deny" : decision.rules.front(),
                             decision.reason),
                 !how.empty() ? how
                 : proposal.attributes.bool_or("dirty")
                     ? "the bundle is of definitions that are in no commit: if that is why, commit "
                       "them and run `heddle run`"
                     : "see `heddle audit log`"};
  }
  Asked reply{
      decision.applied, bundle.empty() ? "" : bundle.str(), slot, decision.entry, decision.approval,
      proposal.reason};
  // As `name_repairs` named them, of an act that is about repairs.
  const auto repairs = [&](const char* name) -> std::optional<std::vector<std::string>> {
    const auto* list = proposal.attributes.find(name);
    if (list == nullptr) return std::nullopt;
    return doc::list_of<std::string>(*list,
                                     [](const doc::Value& each) { return each.as_string(); });
  };
  reply.drops_repairs = repairs("drops_repairs");
  reply.revives_repairs = repairs("revives_repairs");
  return reply;
}

Result<std::optional<Comparison>> ServiceControl::comparison(const Digest& bundle, bool waits) {
  const Digest& primary = releases().primary();
  if (!waits && !primary.empty() && primary != bundle) {
    HEDDLE_TRY(bundle::open(*parts_.objects, bundle));  // what is not there is said at once
    return comparing_.result(primary, bundle);
  }
  ComparisonInput input;
  input.objects = parts_.objects;
  input.spool = parts_.home->spool(service_.identity.name);
  input.base = primary;
  input.candidate = bundle;
  HEDDLE_ASSIGN_OR_RETURN(auto compared, compare_bundles(input));
  return std::optional(std::move(compared));
}

/// The weight that is asked for; without one the first step, or the running canary's next.
void ServiceControl::name_canary(policy::Proposal& proposal, std::uint32_t weight,
                                 bool raises) const {
  const auto& run = releases().canary();
  if (weight == 0) weight = raises ? run.next_weight() : service_.canary.steps.front();
  proposal.op_id += fmt::format("/{}", weight);
  proposal.attributes.set("weight", weight);
  if (raises) proposal.attributes.set("canary", run.started);
  proposal.reason += fmt::format(" for {:g}% of the requests", weight / 100.0);
}

/// Of the bundle with the primary; `known` is used where it is about this primary.
Result<void> ServiceControl::add_comparison(policy::Proposal& proposal, const Digest& bundle,
                                            std::optional<Comparison> known) {
  if (!known || known->base != releases().primary()) {
    HEDDLE_ASSIGN_OR_RETURN(known, comparison(bundle, true));
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto digest,
                          parts_.objects->put(doc::to_json(comparison_schema().print(*known))));
  proposal.evidence.push_back({std::string(kComparisonEvidence), digest});
  return {};
}

Result<Asked> ServiceControl::promote(const Digest& bundle, const std::string& slot,
                                      std::uint32_t weight, const policy::Actor& actor, bool again,
                                      const std::optional<Comparison>& compared) {
  if (slot == "shadow") return set_shadow(bundle, actor, again);
  HEDDLE_ASSIGN_OR_RETURN(const auto opened,
                          bundle::open(*parts_.objects, bundle));  // every byte against its digest
  HEDDLE_ASSIGN_OR_RETURN(const auto evidence, evidence_in(opened));
  if (!evidence.passed) {
    return Error{ErrorKind::kUnprocessable, "gates-not-passed",
                 fmt::format("bundle {} has not passed its gates", bundle.str()),
                 "see its evidence: heddle bundle inspect " + bundle.str()};
  }
  // A release that nobody could watch is refused here; what is released already and cannot be read
  // any more is an alert.
  if (auto route = watched_->of(bundle, 0); !route.ok()) {
    Error error = route.error();
    error.message =
        fmt::format("bundle {} could not be watched: {}", bundle.short_str(), error.message);
    return error;
  }
  const auto& run = releases().canary();
  const bool raises = slot == "canary" && run.running() && run.canary.bundle == bundle;
  policy::Proposal proposal;
  // With the version: the same bundle may be released again after another one was, and that is
  // another act.
  proposal.op_id = fmt::format("{}/release/{}/{}/{}", service_.identity.name, releases().version(),
                               slot, bundle.short_str());
  proposal.action = raises ? "canary.raise" : slot == "canary" ? "canary.start" : "release.promote";
  proposal.target = "service/" + service_.identity.name;
  proposal.actor = actor;
  proposal.subjects.push_back({"bundle", bundle});
  if (slot == "primary" && !releases().primary().empty())
    proposal.subjects.push_back({"rollback", releases().primary()});
  if (slot == "canary" && !releases().primary().empty())
    proposal.subjects.push_back({"baseline", releases().primary()});
  proposal.attributes = doc::Value::object({{"service", service_.identity.name}, {"slot", slot}});
  HEDDLE_TRY(decisions_->name_origin(proposal, bundle));
  HEDDLE_ASSIGN_OR_RETURN(const std::string sandbox, demanded_sandbox(opened));
  proposal.attributes.set("sandbox", sandbox);
  proposal.event_time = last_tick_ == INT64_MIN ? 0 : last_tick_;
  proposal.reason =
      fmt::format("release {} as {} of `{}`", bundle.short_str(), slot, service_.identity.name);
  if (slot == "primary") proposal.reason += emptied_by(bundle, releases(), watched_->tasks());
  if (slot == "canary") name_canary(proposal, weight, raises);
  // A standby answers nobody yet; when it is to, that is a decision of its own.
  if (slot != "standby") decisions_->name_gates_not_judged(proposal, evidence);
  proposal.evidence = decisions_->evidence_of(bundle);
  // What answers now and what is to answer, on the same rows: the person who signs sees both.
  if (slot != "standby" && !releases().primary().empty())
    HEDDLE_TRY(add_comparison(proposal, bundle, compared));
  HEDDLE_TRY(decisions_->name_repairs(
      proposal, slot == "standby" ? releases().standby() : releases().primary(), bundle));
  return asked_by_hand(std::move(proposal), bundle, slot, again);
}

Result<Asked> ServiceControl::set_shadow(const Digest& bundle, const policy::Actor& actor,
                                         bool again) {
  if (!bundle.empty())
    HEDDLE_TRY(bundle::open(*parts_.objects, bundle));  // every byte against its digest
  policy::Proposal proposal;
  proposal.op_id = fmt::format("{}/release/{}/shadow/{}", service_.identity.name,
                               releases().version(), bundle.empty() ? "none" : bundle.short_str());
  proposal.action = bundle.empty() ? "shadow.clear" : "shadow.set";
  proposal.target = "service/" + service_.identity.name;
  proposal.actor = actor;
  if (!bundle.empty()) proposal.subjects.push_back({"bundle", bundle});
  proposal.attributes =
      doc::Value::object({{"service", service_.identity.name}, {"slot", "shadow"}});
  if (!bundle.empty()) HEDDLE_TRY(decisions_->name_origin(proposal, bundle));
  proposal.event_time = last_tick_ == INT64_MIN ? 0 : last_tick_;
  proposal.reason =
      bundle.empty()
          ? fmt::format("take the shadow of `{}` away", service_.identity.name)
          : fmt::format("score {} beside `{}`", bundle.short_str(), service_.identity.name);
  if (!bundle.empty()) proposal.evidence = decisions_->evidence_of(bundle);
  return asked_by_hand(std::move(proposal), bundle, "shadow", again);
}

Result<bool> ServiceControl::resume_promotion(const std::string& approval) {
  std::optional<std::string> row;
  HEDDLE_TRY(parts_.state->read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(row, txn.get(kWaiting, approval));
    return {};
  }));
  // Nothing was kept for it: an apply is asked for again,
  // and an agent proposes its act again by itself.
  if (!row) return false;
  auto waiting = waiting_row_schema().parse_text(*row);
  if (!waiting.ok()) return in_row(kWaiting, approval, std::move(waiting.error()));
  if (waiting->service != service_.identity.name) return false;
  auto proposal = std::move(waiting->proposal);
  proposal.approval = approval;
  const auto decision = carry_out(proposal);
  if (decision.ok() && decision->applied) return true;
  if (decision.ok() && decision->effect == policy::Effect::kRequireApproval)
    return false;  // it needs another signature
  // It cannot be done now. The yes is not kept for a day on which it could: nobody would think of
  // it then.
  const auto why = decision.ok() ? decision->reason : decision.error().message;
  HEDDLE_TRY(parts_.policy->void_stale(
      [&](const policy::Approval& open) { return open.id == approval ? why : std::string(); }));
  return Error{ErrorKind::kConflict, "approval-void",
               fmt::format("`{}` is void, nothing was done: {}", approval, why),
               "ask again if it is still wanted"};
}

Result<Asked> ServiceControl::roll_back(const policy::Actor& actor, bool again) {
  if (releases().rollback_target().empty()) {
    return Error{ErrorKind::kConflict, "rollback-no-target",
                 fmt::format("`{}` has no release before this one", service_.identity.name),
                 "see `heddle release history`"};
  }
  policy::Proposal proposal;
  proposal.op_id = fmt::format("{}/rollback/{}", service_.identity.name, releases().version());
  proposal.action = "release.rollback";
  proposal.target = "service/" + service_.identity.name;
  proposal.actor = actor;
  proposal.subjects.push_back({"bundle", releases().rollback_target()});
  proposal.attributes =
      doc::Value::object({{"service", service_.identity.name}, {"slot", "primary"}});
  proposal.event_time = last_tick_ == INT64_MIN ? 0 : last_tick_;
  proposal.reason = fmt::format("roll `{}` back to {}", service_.identity.name,
                                releases().rollback_target().short_str());
  const Digest target = releases().rollback_target();
  proposal.subjects.push_back({"rollback", releases().primary()});
  proposal.evidence = decisions_->evidence_of(target);
  HEDDLE_TRY(decisions_->name_repairs(proposal, releases().primary(), target));
  return asked_by_hand(std::move(proposal), target, "primary", again);
}

}  // namespace heddle::control
