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
  proposal.actor = {actor.substr(0, 7) == "system:" ? policy::ActorType::kSystem : policy::ActorType::kPerson, actor};
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

/// What an allowed release does to the slots.
Result<void> release_into(release::Releases& next, const Digest& bundle, const std::string& slot, const std::string& op_id) {
  next.approve(bundle, op_id);
  next.mark_ready(bundle);
  return slot == "standby" ? next.set_standby(bundle) : next.promote(bundle);
}

}  // namespace

Result<doc::Value> ServiceControl::promote(const Digest& bundle, const std::string& slot, const policy::Actor& actor) {
  HEDDLE_ASSIGN_OR_RETURN(const auto opened, bundle::open(*parts_.objects, bundle));  // every byte against its digest
  HEDDLE_ASSIGN_OR_RETURN(const auto evaluation, opened.json(bundle::kEvaluation));
  if (!evaluation.bool_or("passed", false)) {
    return Error{ErrorKind::kUnprocessable, "gates-not-passed", fmt::format("bundle {} has not passed its gates", bundle.str()),
                 "see its evidence: heddle bundle inspect " + bundle.str()};
  }
  policy::Proposal proposal;
  proposal.op_id = fmt::format("{}/release/{}/{}/{}", service_.identity.name, releases_.version(), slot, bundle.short_str());
  proposal.action = "release.promote";
  proposal.target = "service/" + service_.identity.name;
  proposal.actor = actor;
  proposal.subjects.push_back({"bundle", bundle});
  if (slot == "primary" && !releases_.primary().empty()) proposal.subjects.push_back({"rollback", releases_.primary()});
  proposal.attributes = doc::Value::object({{"service", service_.identity.name}, {"slot", slot}});
  proposal.event_time = last_tick_ == INT64_MIN ? 0 : last_tick_;
  proposal.reason = fmt::format("release {} as {} of `{}`", bundle.short_str(), slot, service_.identity.name);
  HEDDLE_ASSIGN_OR_RETURN(const auto decision, change_releases(proposal, [&](release::Releases& next) {
    return release_into(next, bundle, slot, proposal.op_id);
  }));
  auto reply = doc::Value::object({{"applied", decision.applied},
                                   {"bundle", bundle.str()},
                                   {"slot", slot},
                                   {"entry", decision.entry},
                                   {"approval", decision.approval},
                                   {"reason", proposal.reason}});
  if (decision.applied) return reply;
  if (decision.effect == policy::Effect::kDeny) {
    return Error{ErrorKind::kDenied, "release-denied", fmt::format("policy denied the release (rule `{}`)",
                 decision.rules.empty() ? "default-deny" : decision.rules.front()), "see `heddle audit log`"};
  }
  HEDDLE_TRY(parts_.state->write([&](store::Txn& txn) {
    return txn.put(kWaiting, decision.approval, doc::to_json(write_proposal(proposal, service_.identity.name)));
  }));
  HEDDLE_TRY(parts_.outbox->enqueue(
      "approval/" + decision.approval,
      doc::Value::object({{"kind", "approval"},
                          {"approval", decision.approval},
                          {"service", service_.identity.name},
                          {"action", proposal.action},
                          {"event_time", format_time(proposal.event_time)},
                          {"text", proposal.reason},
                          {"next", fmt::format("heddle approve {} --person NAME --key FILE", decision.approval)}})));
  return reply;
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
  const auto proposal = read_proposal(value);
  const auto slot = proposal.attributes.string_or("slot");
  HEDDLE_ASSIGN_OR_RETURN(const auto decision, change_releases(proposal, [&](release::Releases& next) -> Result<void> {
    if (proposal.action == "release.rollback") return next.rollback();
    return release_into(next, proposal.subjects.at(0).digest, slot, proposal.op_id);
  }));
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
  HEDDLE_ASSIGN_OR_RETURN(const auto decision,
                          change_releases(proposal, [](release::Releases& next) { return next.rollback(); }));
  if (!decision.applied && decision.effect == policy::Effect::kRequireApproval) {
    HEDDLE_TRY(parts_.state->write([&](store::Txn& txn) {
      return txn.put(kWaiting, decision.approval, doc::to_json(write_proposal(proposal, service_.identity.name)));
    }));
  }
  if (decision.effect == policy::Effect::kDeny) {
    return Error{ErrorKind::kDenied, "release-denied", "policy denied the rollback", "see `heddle audit log`"};
  }
  return doc::Value::object({{"applied", decision.applied},
                             {"bundle", releases_.primary().str()},
                             {"slot", "primary"},
                             {"entry", decision.entry},
                             {"approval", decision.approval},
                             {"reason", proposal.reason}});
}

}  // namespace heddle::control
