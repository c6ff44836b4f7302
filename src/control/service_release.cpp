// Releases a person asks for.
#include "bundle/bundle.hpp"
#include "control/outbox.hpp"
#include "control/service_control.hpp"
#include "doc/json.hpp"

namespace heddle::control {
namespace {

constexpr const char* kWaiting = "waiting";  ///< collection: approval id -> what to do when it is given

policy::Proposal read_proposal(const doc::Value& value) {
  policy::Proposal proposal;
  proposal.op_id = value.string_or("op_id");
  proposal.action = value.string_or("action");
  proposal.target = value.string_or("target");
  const auto actor = value.string_or("actor");
  proposal.actor = {actor.starts_with("system:") ? policy::ActorType::kSystem
                    : actor.starts_with("agent:") ? policy::ActorType::kAgent : policy::ActorType::kPerson, actor};
  proposal.event_time = value.int_or("event_time");
  proposal.reason = value.string_or("reason");
  if (const auto* attributes = value.find("attributes")) proposal.attributes = *attributes;
  if (const auto* subjects = value.find("subjects")) {
    for (const auto& item : subjects->as_array()) {
      if (const auto digest = Digest::parse(item.string_or("digest")); digest.ok()) {
        proposal.subjects.push_back({item.string_or("name"), *digest});
      }
    }
  }
  return proposal;
}

doc::Value write_proposal(const policy::Proposal& proposal, const std::string& service) {
  auto subjects = doc::Value::array();
  for (const auto& subject : proposal.subjects) {
    subjects.push(doc::Value::object({{"name", subject.name}, {"digest", subject.digest.str()}}));
  }
  return doc::Value::object({{"service", service},
                             {"op_id", proposal.op_id},
                             {"action", proposal.action},
                             {"target", proposal.target},
                             {"actor", proposal.actor.id},
                             {"event_time", proposal.event_time},
                             {"reason", proposal.reason},
                             {"attributes", proposal.attributes},
                             {"subjects", subjects}});
}

}  // namespace

Result<policy::Decision> ServiceControl::carry_out(const policy::Proposal& proposal) {
  const auto& attributes = proposal.attributes;
  const Digest bundle = proposal.subjects.empty() ? Digest{} : proposal.subjects.front().digest;
  const auto slot = attributes.string_or("slot");
  const auto weight = static_cast<std::uint32_t>(attributes.int_or("weight"));
  const auto run = static_cast<std::uint64_t>(attributes.int_or("canary"));
  return change_releases(proposal, [&](release::Releases& next) -> Result<void> {
    // What was proposed about a canary is about that one: a yes that comes after it ended promotes nothing.
    if (run != 0 && next.canary().started != run) {
      return Error{ErrorKind::kConflict, "canary-ended", fmt::format("the canary that `{}` is about does not run any more", proposal.op_id),
                   "see `heddle release history`"};
    }
    const auto& action = proposal.action;
    if (action == "release.rollback") return next.rollback();
    if (action == "canary.abort") return next.abort_canary();
    if (action == "shadow.clear") return next.set_shadow({});
    next.mark_ready(bundle);
    if (action == "shadow.set") return next.set_shadow(bundle);
    next.approve(bundle, proposal.op_id);
    if (action == "canary.start") {
      const auto& rules = service_.canary;
      return next.start_canary(bundle, {rules.steps, rules.sticky, rules.header, rules.header_value}, weight, proposal.event_time);
    }
    if (action == "canary.raise") {
      if (next.canary().next_weight() != weight) {
        return Error{ErrorKind::kConflict, "canary-other-step", fmt::format("{:g}% is not the canary's next step", weight / 100.0),
                     fmt::format("see `heddle release canary {}`", service_.identity.name)};
      }
      return next.raise_canary(proposal.event_time);
    }
    return slot == "standby" ? next.set_standby(bundle) : next.promote(bundle);
  });
}

Result<void> ServiceControl::wait_for(const policy::Decision& decision, const policy::Proposal& proposal) {
  HEDDLE_TRY(parts_.state->write([&](store::Txn& txn) {
    return txn.put(kWaiting, decision.approval, doc::to_json(write_proposal(proposal, service_.identity.name)));
  }));
  return parts_.outbox->enqueue(
      "approval/" + decision.approval,
      doc::Value::object({{"kind", "approval"},
                          {"approval", decision.approval},
                          {"service", service_.identity.name},
                          {"action", proposal.action},
                          {"event_time", format_time(proposal.event_time)},
                          {"text", proposal.reason},
                          {"next", fmt::format("heddle approve {} --person NAME --key FILE", decision.approval)}}));
}

Result<doc::Value> ServiceControl::asked_by_hand(const policy::Proposal& proposal, const Digest& bundle, const std::string& slot) {
  HEDDLE_ASSIGN_OR_RETURN(const auto decision, carry_out(proposal));
  if (!decision.applied && decision.effect == policy::Effect::kDeny) {
    return Error{ErrorKind::kDenied, "release-denied",
                 fmt::format("policy denied `{}` (rule `{}`)", proposal.action, decision.rules.empty() ? "default-deny" : decision.rules.front()),
                 proposal.attributes.bool_or("dirty")
                     ? "the bundle is of definitions that are in no commit: if that is why, commit them and run `heddle run`"
                     : "see `heddle audit log`"};
  }
  if (!decision.applied) HEDDLE_TRY(wait_for(decision, proposal));
  return doc::Value::object({{"applied", decision.applied},
                             {"bundle", bundle.empty() ? "" : bundle.str()},
                             {"slot", slot},
                             {"entry", decision.entry},
                             {"approval", decision.approval},
                             {"reason", proposal.reason}});
}

Result<void> ServiceControl::name_origin(policy::Proposal& proposal, const Digest& digest) {
  auto known = origins_.find(digest);
  if (known == origins_.end()) {
    HEDDLE_ASSIGN_OR_RETURN(const auto opened, bundle::open(*parts_.objects, digest));
    known = origins_.emplace(digest, std::pair(opened.commit(), opened.dirty())).first;
  }
  proposal.attributes.set("commit", known->second.first);
  proposal.attributes.set("dirty", known->second.second);
  return {};
}

Result<doc::Value> ServiceControl::promote(const Digest& bundle, const std::string& slot, std::uint32_t weight, const policy::Actor& actor) {
  if (slot == "shadow") return set_shadow(bundle, actor);
  HEDDLE_ASSIGN_OR_RETURN(const auto opened, bundle::open(*parts_.objects, bundle));  // every byte against its digest
  HEDDLE_ASSIGN_OR_RETURN(const auto evaluation, opened.json(bundle::kEvaluation));
  if (!evaluation.bool_or("passed", false)) {
    return Error{ErrorKind::kUnprocessable, "gates-not-passed", fmt::format("bundle {} has not passed its gates", bundle.str()),
                 "see its evidence: heddle bundle inspect " + bundle.str()};
  }
  const auto& run = releases_.canary();
  const bool raises = slot == "canary" && run.running() && run.canary.bundle == bundle;
  policy::Proposal proposal;
  proposal.op_id = fmt::format("{}/release/{}/{}/{}", service_.identity.name, releases_.version(), slot, bundle.short_str());
  proposal.action = raises ? "canary.raise" : slot == "canary" ? "canary.start" : "release.promote";
  proposal.target = "service/" + service_.identity.name;
  proposal.actor = actor;
  proposal.subjects.push_back({"bundle", bundle});
  if (slot == "primary" && !releases_.primary().empty()) proposal.subjects.push_back({"rollback", releases_.primary()});
  if (slot == "canary" && !releases_.primary().empty()) proposal.subjects.push_back({"baseline", releases_.primary()});
  proposal.attributes = doc::Value::object({{"service", service_.identity.name}, {"slot", slot}});
  HEDDLE_TRY(name_origin(proposal, bundle));
  proposal.event_time = last_tick_ == INT64_MIN ? 0 : last_tick_;
  proposal.reason = fmt::format("release {} as {} of `{}`", bundle.short_str(), slot, service_.identity.name);
  if (slot == "canary") {
    if (weight == 0) weight = raises ? run.next_weight() : service_.canary.steps.front();
    proposal.op_id += fmt::format("/{}", weight);
    proposal.attributes.set("weight", weight);
    if (raises) proposal.attributes.set("canary", run.started);
    proposal.reason += fmt::format(" for {:g}% of the requests", weight / 100.0);
  }
  return asked_by_hand(proposal, bundle, slot);
}

Result<doc::Value> ServiceControl::set_shadow(const Digest& bundle, const policy::Actor& actor) {
  if (!bundle.empty()) HEDDLE_TRY(bundle::open(*parts_.objects, bundle));  // every byte against its digest
  policy::Proposal proposal;
  proposal.op_id = fmt::format("{}/release/{}/shadow/{}", service_.identity.name, releases_.version(), bundle.empty() ? "none" : bundle.short_str());
  proposal.action = bundle.empty() ? "shadow.clear" : "shadow.set";
  proposal.target = "service/" + service_.identity.name;
  proposal.actor = actor;
  if (!bundle.empty()) proposal.subjects.push_back({"bundle", bundle});
  proposal.attributes = doc::Value::object({{"service", service_.identity.name}, {"slot", "shadow"}});
  if (!bundle.empty()) HEDDLE_TRY(name_origin(proposal, bundle));
  proposal.event_time = last_tick_ == INT64_MIN ? 0 : last_tick_;
  proposal.reason = bundle.empty() ? fmt::format("take the shadow of `{}` away", service_.identity.name)
                                   : fmt::format("score {} beside `{}`", bundle.short_str(), service_.identity.name);
  return asked_by_hand(proposal, bundle, "shadow");
}

Result<bool> ServiceControl::resume_promotion(const std::string& approval) {
  std::optional<std::string> row;
  HEDDLE_TRY(parts_.state->read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(row, txn.get(kWaiting, approval));
    return {};
  }));
  if (!row) return false;
  HEDDLE_ASSIGN_OR_RETURN(const auto value, doc::parse_json(*row));
  if (value.string_or("service") != service_.identity.name) return false;
  HEDDLE_ASSIGN_OR_RETURN(const auto decision, carry_out(read_proposal(value)));
  return decision.applied;
}

Result<doc::Value> ServiceControl::roll_back(const policy::Actor& actor) {
  if (releases_.rollback_target().empty()) {
    return Error{ErrorKind::kConflict, "rollback-no-target", fmt::format("`{}` has no release before this one", service_.identity.name),
                 "see `heddle release history`"};
  }
  policy::Proposal proposal;
  proposal.op_id = fmt::format("{}/rollback/{}", service_.identity.name, releases_.version());
  proposal.action = "release.rollback";
  proposal.target = "service/" + service_.identity.name;
  proposal.actor = actor;
  proposal.subjects.push_back({"bundle", releases_.rollback_target()});
  proposal.attributes = doc::Value::object({{"service", service_.identity.name}, {"slot", "primary"}});
  proposal.event_time = last_tick_ == INT64_MIN ? 0 : last_tick_;
  proposal.reason = fmt::format("roll `{}` back to {}", service_.identity.name, releases_.rollback_target().short_str());
  const Digest target = releases_.rollback_target();
  return asked_by_hand(proposal, target, "primary");
}

}  // namespace heddle::control
