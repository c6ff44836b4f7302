// What an approval is asked against: the facts and terms that its statement binds, and what is so
// now.
#include "control/service_decisions.hpp"
#include "doc/json.hpp"

namespace heddle::control {
namespace {

std::string text_of(const Digest& bundle) { return bundle.empty() ? "" : bundle.str(); }

constexpr std::string_view kQuarantined = "quarantined:";

std::string quarantine_fact(std::string_view account, std::string_view source) {
  return account.empty() ? fmt::format("{}{}", kQuarantined, source)
                         : fmt::format("{}{}/{}", kQuarantined, account, source);
}

/// The value of a fact by the releases `r`; none for a term, which is what it is.
std::optional<std::string> fact(const release::Releases& r, std::string_view name) {
  const auto& run = r.canary();
  if (name == "primary") return text_of(r.primary());
  if (name == "standby") return text_of(r.standby());
  if (name == "rollback") return text_of(r.rollback_target());
  if (name == "shadow") return text_of(r.shadow());
  if (name == "canary") return text_of(run.canary.bundle);
  if (name == "canary_run") return run.running() ? fmt::to_string(run.started) : "";
  if (name == "canary_weight") return run.running() ? fmt::to_string(run.canary.weight) : "";
  if (name == "slots") {
    // In one order whichever of the two serves: a swap between question and answer changes neither.
    auto one = text_of(r.primary()), other = text_of(r.standby());
    if (other < one) std::swap(one, other);
    return one + " " + other;
  }
  if (name.starts_with(kQuarantined)) {
    for (const auto& source : r.quarantined()) {
      if (quarantine_fact(source.account, source.source) == name) return source.rule;
    }
    return "";
  }
  return std::nullopt;
}

/// The facts by which an act of this type means what it says. A route that changed elsewhere (a
/// quarantined source) leaves them.
std::vector<std::string> facts_of(const policy::Proposal& proposal) {
  const auto& action = proposal.action;
  if (action == "release.promote") {
    if (proposal.attributes.string_or("slot") == "standby") return {"primary", "standby"};
    if (proposal.attributes.find("canary") != nullptr) return {"primary", "canary_run"};
    return {"primary"};
  }
  if (action == "release.rollback") return {"primary", "rollback"};
  if (action == "release.recalibrate" || action == "retrain.start") return {"primary"};
  if (action == "slot.swap") return {"primary", "standby"};
  if (action == "transform.propose" || action == "transform.withdraw" ||
      action == "recalibration.withdraw")
    return {"slots"};
  if (action == "canary.start") return {"primary", "canary"};
  if (action == "canary.raise") return {"canary_run", "canary_weight"};
  if (action == "canary.abort") return {"canary_run"};
  if (action.starts_with("shadow.")) return {"shadow"};
  if (action == "source.quarantine" || action == "source.release") {
    return {quarantine_fact(proposal.attributes.string_or("account"),
                            proposal.attributes.string_or("source"))};
  }
  return {};
}

}  // namespace

doc::Value ServiceDecisions::binds_of(const policy::Proposal& proposal) const {
  auto binds = doc::Value::object({{"service", service_}});
  for (const auto& name : facts_of(proposal)) binds.set(name, fact(releases(), name).value_or(""));
  // Terms: what the subjects do not say of the act itself.
  for (const char* term : {"weight", "field", "expression", "source", "account", "rule",
                           "offset_delta", "offset_sum", "interval_delta", "interval_sum", "from",
                           "rows", "started_at", "back", "id", "text", "jump"}) {
    const auto* value = proposal.attributes.find(term);
    if (value != nullptr)
      binds.set(term, value->is_string() ? *value : doc::Value(doc::to_json(*value)));
  }
  return binds;
}

std::string ServiceDecisions::made_untrue(const policy::Approval& approval,
                                          const release::Releases& next) const {
  if (approval.binds.string_or("service") != service_) return {};
  // A yes that was not carried out yet must not act on a service that was stopped since.
  if (next.stopped() && approval.status == policy::Approval::Status::kApproved)
    return "the service was stopped after the yes";
  for (const auto& [name, value] : approval.binds.as_object()) {
    const auto now = fact(next, name);
    // A term has no value of now: it says what the act is, and cannot become untrue.
    if (!now || !value.is_string() || *now == value.as_string()) continue;
    return fmt::format("`{}` was `{}` when it was asked and is `{}` now", name, value.as_string(),
                       *now);
  }
  return {};
}

}  // namespace heddle::control
