#include "control/batches.hpp"

#include <algorithm>

#include "base/ids.hpp"
#include "bundle/bundle.hpp"
#include "control/requester.hpp"
#include "doc/json.hpp"

namespace heddle::control {
Result<OpenScoreReply> open_batch(Control::Core& core, const std::string& service_name,
                                  std::string slot) {
  HEDDLE_ASSIGN_OR_RETURN(const auto* service, core.service(service_name));
  const auto& releases = service->releases();
  const std::string& name = service->service().identity.name;
  // A file is scored by the same release as requests: who stopped the service stopped both.
  if (releases.stopped()) {
    return Error{ErrorKind::kUnavailable, "service-stopped", fmt::format("`{}` is stopped", name),
                 "a person clears that: `heddle resume`"};
  }
  Digest bundle;
  if (slot == "primary" || slot == "standby") {
    bundle = slot == "primary" ? releases.primary() : releases.standby();
  } else {
    auto given = bundle::find(*core.objects, slot);
    // Not a digest at all: it was meant as a slot's name, and is told as such.
    if (!given.ok() && given.error().id != "digest-malformed") return given.error();
    if (!given.ok()) {
      return Error{ErrorKind::kInvalid, "slot-unknown",
                   fmt::format("no slot `{}`", slot.substr(0, 100)),
                   "name `primary`, `standby` or the digest of a released bundle"};
    }
    HEDDLE_ASSIGN_OR_RETURN(const bool was_released, service->was_released(*given));
    // Only what passed its gates and a decision scores files, as with requests.
    if (!was_released) {
      return Error{ErrorKind::kNotFound, "bundle-not-released",
                   fmt::format("`{}` was never released in `{}`", given->str(), name),
                   fmt::format("see `heddle release history {}`", name)};
    }
    bundle = *given;
    slot = bundle.str();  // however much of it was given
  }
  if (bundle.empty()) {
    return Error{ErrorKind::kUnavailable, "service-no-release",
                 fmt::format("nothing is released as {} of `{}`", slot, name),
                 fmt::format("run `heddle release promote {} --slot {}`", name, slot)};
  }
  return OpenScoreReply{name, slot, bundle, releases.version()};
}

namespace {

/// What rules may read of a batch: counts, and which rules were broken by how many rows. Ids of
/// definitions only, no values of rows.
doc::Value attributes_of(const batch::FileProfile& profile) {
  auto out = doc::Value::object({{"slot", profile.slot},
                                 {"rows", profile.rows},
                                 {"served", profile.served},
                                 {"refused", profile.refused},
                                 {"warned", profile.warned}});
  for (const auto& [rule, rows] : profile.rules) out.set("broke." + rule, rows);
  for (const auto& [repair, values] : profile.repaired) out.set("repaired." + repair, values);
  out.set("metrics_past", std::count_if(profile.metrics.begin(), profile.metrics.end(),
                                        [](const auto& metric) { return metric.past; }));
  return out;
}

}  // namespace

Result<RecordScoreReply> record_batch(Control::Core& core, const std::string& service_name,
                                      const doc::Value& given, const policy::Actor& actor) {
  // Before anything is stored: a profile of a service that is not there has no place.
  HEDDLE_ASSIGN_OR_RETURN(const auto* service, core.service(service_name));
  const std::string& name = service->service().identity.name;
  HEDDLE_ASSIGN_OR_RETURN(const auto profile, batch::profile_schema().parse(given));
  policy::Proposal proposal;
  const std::string id = uuid7();
  proposal.op_id = fmt::format("{}/score.batch/{}", name, id);
  proposal.action = "score.batch";
  proposal.target = "service/" + name;
  proposal.actor = actor;
  proposal.subjects.push_back({"bundle", profile.bundle});
  proposal.evidence = {{"input", profile.input},
                       {"output", profile.output},
                       {"refused_output", profile.refused_output}};
  // The whole profile is evidence: rules see the counts,
  // a reader of the ledger can fetch the rest by digest.
  HEDDLE_ASSIGN_OR_RETURN(const auto kept, core.objects->put(doc::to_json(given)));
  proposal.evidence.push_back({"profile", kept});
  proposal.attributes = attributes_of(profile);
  proposal.reason = fmt::format("scored a file of {} rows: {} served, {} refused", profile.rows,
                                profile.served, profile.refused);
  HEDDLE_ASSIGN_OR_RETURN(const auto decision,
                          core.policy->act(
                              proposal,
                              // In the transaction of the decision: a batch is
                              // listed if, and only if, it is in the ledger.
                              [&](store::Txn& txn) {
                                return txn.put("batches", fmt::format("{}/{}", name, id),
                                               kept.str());
                              },
                              []() -> Result<void> {
                                return Error{ErrorKind::kDenied, "score-denied",
                                             "a rule asks for an approval of `score.batch`",
                                             "a scored file is a record of what was done and waits "
                                             "for nobody: allow it or deny it"};
                              }));
  if (!decision.applied) {
    const auto how = how_to_be_a_person(actor);
    return Error{
        ErrorKind::kDenied, "score-denied",
        fmt::format("policy does not let `{}` score files with `{}` (rule `{}`)", actor.id, name,
                    decision.rules.empty() ? "default-deny" : decision.rules.front()),
        how.empty() ? "add a rule for `score.batch` to the policy, or ask somebody who may" : how};
  }
  return RecordScoreReply{decision.entry, kept};
}

Result<std::vector<batch::FileProfile>> recorded_batches(Control::Core& core,
                                                         const std::string& service) {
  std::vector<std::string> digests;
  HEDDLE_TRY(core.state->read([&](store::Txn& txn) {
    return txn.scan("batches", service + "/", [&](std::string_view, std::string_view digest) {
      digests.emplace_back(digest);
      return true;
    });
  }));
  std::vector<batch::FileProfile> out;
  for (const auto& text : digests) {
    HEDDLE_ASSIGN_OR_RETURN(const auto digest, Digest::parse(text));
    const auto bytes = core.objects->get(digest);
    if (!bytes.ok()) continue;  // erased: the ledger still says that it was
    HEDDLE_ASSIGN_OR_RETURN(out.emplace_back(), batch::profile_schema().parse_text(*bytes));
  }
  return out;
}

}  // namespace heddle::control
