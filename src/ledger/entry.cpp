#include "ledger/entry.hpp"

#include "doc/json.hpp"

namespace heddle::ledger {
namespace {

using Named = std::vector<std::pair<std::string, Digest>>;

doc::Value named_value(const Named& items) {
  auto list = doc::Value::array();
  for (const auto& [name, digest] : items)
    list.push(doc::Value::object({{"name", name}, {"digest", digest.str()}}));
  return list;
}

Result<Named> named_from(const doc::Value* list) {
  Named items;
  if (list == nullptr || !list->is_array()) return items;
  for (const auto& item : list->as_array()) {
    HEDDLE_ASSIGN_OR_RETURN(const auto digest, Digest::parse(item.string_or("digest")));
    items.emplace_back(item.string_or("name"), digest);
  }
  return items;
}

}  // namespace

Result<std::string> to_json(const Entry& entry) {
  auto value = doc::Value::object({{"v", 1}, {"seq", entry.seq}, {"t", format_time(entry.t)}});
  auto& members = value.as_object();
  const auto text = [&](const char* name, const std::string& member) {
    if (!member.empty()) members.emplace_back(name, member);
  };
  text("op_id", entry.op_id);
  members.emplace_back("actor",
                       doc::Value::object({{"type", entry.actor_type}, {"id", entry.actor}}));
  text("action", entry.action);
  text("target", entry.target);
  if (!entry.subjects.empty()) members.emplace_back("subjects", named_value(entry.subjects));
  if (!entry.decision.empty()) {
    auto rules = doc::Value::array();
    for (const auto& rule : entry.rules) rules.push(rule);
    members.emplace_back("policy", doc::Value::object({{"digest", entry.policy.str()},
                                                       {"decision", entry.decision},
                                                       {"rules", std::move(rules)}}));
  }
  if (entry.attributes.size() > 0) members.emplace_back("attributes", entry.attributes);
  if (!entry.evidence.empty()) members.emplace_back("evidence", named_value(entry.evidence));
  text("approval", entry.approval);
  text("result", entry.result);
  text("reason", entry.reason);
  text("incident", entry.incident);
  if (entry.event_time != 0) members.emplace_back("event_time", format_time(entry.event_time));
  auto json = doc::to_json(value);
  if (json.size() > kMaxEntryBytes) {
    return Error{ErrorKind::kTooLarge, "ledger-entry-too-large",
                 fmt::format("an entry of {} bytes for `{}`; the limit is {}", json.size(),
                             entry.action, kMaxEntryBytes),
                 "put what is large into the objects and name it by digest as evidence"};
  }
  return json;
}

namespace {

/// The texts of a list; none where there is no list.
std::vector<std::string> texts_of(const doc::Value* list) {
  std::vector<std::string> out;
  if (list == nullptr || !list->is_array()) return out;
  for (const auto& each : list->as_array()) {
    if (each.is_string()) out.push_back(each.as_string());
  }
  return out;
}

}  // namespace

Result<Entry> parse_entry(std::string_view json) {
  HEDDLE_ASSIGN_OR_RETURN(const auto value, doc::parse_json(json));
  const auto t = parse_time(value.string_or("t"));
  if (!value.is_object() || value.int_or("v") != 1 || value.int_or("seq", -1) < 0 || !t) {
    return Error{ErrorKind::kCorrupt, "ledger-entry-malformed", "not a ledger entry of version 1"};
  }
  Entry entry;
  entry.seq = static_cast<std::uint64_t>(value.int_or("seq"));
  entry.t = *t;
  entry.op_id = value.string_or("op_id");
  if (const auto* actor = value.find("actor"); actor != nullptr) {
    entry.actor_type = actor->string_or("type");
    entry.actor = actor->string_or("id");
  }
  entry.action = value.string_or("action");
  entry.target = value.string_or("target");
  HEDDLE_ASSIGN_OR_RETURN(entry.subjects, named_from(value.find("subjects")));
  if (const auto* policy = value.find("policy"); policy != nullptr) {
    HEDDLE_ASSIGN_OR_RETURN(entry.policy, Digest::parse(policy->string_or("digest")));
    entry.decision = policy->string_or("decision");
    entry.rules = texts_of(policy->find("rules"));
  }
  if (const auto* attributes = value.find("attributes"); attributes != nullptr)
    entry.attributes = *attributes;
  HEDDLE_ASSIGN_OR_RETURN(entry.evidence, named_from(value.find("evidence")));
  entry.approval = value.string_or("approval");
  entry.result = value.string_or("result");
  entry.reason = value.string_or("reason");
  entry.incident = value.string_or("incident");
  entry.event_time = parse_time(value.string_or("event_time")).value_or(0);
  return entry;
}

}  // namespace heddle::ledger
