#include "control/proposals.hpp"

namespace heddle::control {
namespace {

std::vector<policy::Named> read_named(const doc::Value* list) {
  std::vector<policy::Named> items;
  if (list == nullptr || !list->is_array()) return items;
  for (const auto& item : list->as_array()) {
    if (const auto digest = Digest::parse(item.string_or("digest")); digest.ok())
      items.push_back({item.string_or("name"), *digest});
  }
  return items;
}

doc::Value write_named(const std::vector<policy::Named>& items) {
  auto list = doc::Value::array();
  for (const auto& item : items)
    list.push(doc::Value::object({{"name", item.name}, {"digest", item.digest.str()}}));
  return list;
}

}  // namespace

policy::Proposal read_proposal(const doc::Value& value) {
  policy::Proposal proposal;
  proposal.op_id = value.string_or("op_id");
  proposal.action = value.string_or("action");
  proposal.target = value.string_or("target");
  const auto actor = value.string_or("actor");
  proposal.actor = {actor.starts_with("system:")  ? policy::ActorType::kSystem
                    : actor.starts_with("agent:") ? policy::ActorType::kAgent
                                                  : policy::ActorType::kPerson,
                    actor};
  proposal.actor.proof.how = value.string_or("proof");
  proposal.actor.proof.claimed = value.string_or("claimed");
  proposal.event_time = value.int_or("event_time");
  proposal.reason = value.string_or("reason");
  proposal.incident = value.string_or("incident");
  if (const auto* attributes = value.find("attributes")) proposal.attributes = *attributes;
  proposal.subjects = read_named(value.find("subjects"));
  proposal.evidence = read_named(value.find("evidence"));
  return proposal;
}

doc::Value write_proposal(const policy::Proposal& proposal, const std::string& service) {
  return doc::Value::object({{"service", service},
                             {"op_id", proposal.op_id},
                             {"action", proposal.action},
                             {"target", proposal.target},
                             {"actor", proposal.actor.id},
                             {"proof", proposal.actor.proof.how},
                             {"claimed", proposal.actor.proof.claimed},
                             {"event_time", proposal.event_time},
                             {"reason", proposal.reason},
                             {"incident", proposal.incident},
                             {"attributes", proposal.attributes},
                             {"subjects", write_named(proposal.subjects)},
                             {"evidence", write_named(proposal.evidence)}});
}

}  // namespace heddle::control
