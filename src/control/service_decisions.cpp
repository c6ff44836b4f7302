#include "control/service_decisions.hpp"

#include <algorithm>

#include "base/failpoint.hpp"
#include "bundle/bundle.hpp"
#include "control/compare.hpp"
#include "control/outbox.hpp"
#include "control/recipes.hpp"
#include "control/repairs.hpp"
#include "control/service_rows.hpp"
#include "control/show_replies.hpp"
#include "control/work_files.hpp"
#include "doc/json.hpp"
#include "evaluate/evidence_format.hpp"

namespace heddle::control {

Result<evaluate::Evidence> evidence_in(const bundle::Bundle& bundle) {
  HEDDLE_ASSIGN_OR_RETURN(const auto written, bundle.json(bundle::kEvaluation));
  return evaluate::evidence_schema().parse(written);
}

plane::FailOver fail_over_of(const spec::FailOverRule& rule) {
  return {static_cast<std::uint32_t>(rule.requests), rule.failed_share, rule.refused_share,
          static_cast<std::uint32_t>(rule.most)};
}

Result<policy::Decision> ServiceDecisions::act(const policy::Proposal& proposal, const Write& apply,
                                               const std::function<Result<void>()>& possible,
                                               const Beside& beside) {
  const auto with_question = [&](store::Txn& txn, const policy::Decision& made) -> Result<void> {
    if (made.effect == policy::Effect::kRequireApproval && !made.applied) {
      auto question = doc::Value::object(
          {{"kind", "approval"},
           {"approval", made.approval},
           {"service", service_},
           {"action", proposal.action},
           {"event_time", format_time(proposal.event_time)},
           {"text", proposal.reason},
           {"next", fmt::format("heddle approve {} --person NAME --key FILE", made.approval)}});
      if (!proposal.incident.empty()) question.set("incident", proposal.incident);
      // In the same transaction: a question that is asked and told to nobody is answered by nobody.
      HEDDLE_TRY(parts_.outbox->put(txn, "approval/" + made.approval, question));
    }
    return beside ? beside(txn, made) : Result<void>();
  };
  auto decision = parts_.policy->act(proposal, apply, possible, with_question);
  parts_.outbox->wake();
  return decision;
}

Result<policy::Decision> ServiceDecisions::change_releases(
    const policy::Proposal& given, const std::function<Result<void>(release::Releases&)>& change,
    const Write& also, const Beside& beside) {
  policy::Proposal proposal = given;
  proposal.binds = binds_of(proposal);
  const auto changed = [&](release::Releases& into) -> Result<void> {
    into = releases();
    into.allow_fail_over(bounds_.fail_over_allowed, fail_over_of(bounds_.fail_over));
    HEDDLE_TRY(change(into));
    return keep_comparable(into, releases().primary(), routes_.tasks());
  };
  release::Releases next = releases();
  const auto apply = [&](store::Txn& txn) -> Result<void> {
    // Once more inside the transaction: between the question and the yes other decisions came.
    HEDDLE_TRY(changed(next));
    next.forget_others();
    HEDDLE_ASSIGN_OR_RETURN(const auto entries, txn.log_size());
    HEDDLE_TRY(published_.store(txn, next, proposal.action, proposal.event_time,
                                fmt::format("ledger/{}", entries - 1)));
    if (also) HEDDLE_TRY(also(txn));
    if (proposal.action == "release.promote" && next.primary() != releases().primary())
      HEDDLE_TRY(accept_search(txn, *parts_.objects, next.primary()));
    // Whatever else waits and is not true any more ends with this decision, in its transaction.
    return parts_.policy->void_stale(
        txn, [&](const policy::Approval& approval) { return made_untrue(approval, next); });
  };
  const auto possible = [&]() -> Result<void> {
    release::Releases tried = releases();
    return changed(tried);
  };
  HEDDLE_ASSIGN_OR_RETURN(const auto decision, act(proposal, apply, possible, beside));
  // A repeated one changed the releases before, and they were published then.
  if (!decision.applied || decision.repeated) return decision;
  is_unsaved_ = true;
  // The watch must know the route before the first record that was answered by it.
  if (!next.primary().empty()) HEDDLE_TRY(routes_.know(next.primary(), next.version()));
  published_.take(std::move(next));
  failpoint("control-route-committed");
  HEDDLE_TRY(published_.publish());
  failpoint("control-route-published");
  return decision;
}

ServiceDecisions::Beside ServiceDecisions::kept_until_approved(
    const policy::Proposal& proposal) const {
  return [&, this](store::Txn& txn, const policy::Decision& made) -> Result<void> {
    if (made.effect != policy::Effect::kRequireApproval || made.applied) return {};
    HEDDLE_ASSIGN_OR_RETURN(const auto asked, txn.get(kWaiting, made.approval));
    // Who asks for the same again joins the question: it stays the first one's, who cannot approve
    // it and as whose act it is carried out.
    if (asked) return {};
    return txn.put(kWaiting, made.approval,
                   doc::to_json(waiting_row_schema().print({service_, proposal})));
  };
}

std::vector<policy::Named> ServiceDecisions::evidence_of(const Digest& bundle) const {
  std::vector<policy::Named> evidence;
  const auto opened = bundle::open(*parts_.objects, bundle);
  if (!opened.ok()) return evidence;  // what cannot be read gets into no slot, and says so there
  for (const auto title : {bundle::kEvaluation, bundle::kStatements, bundle::kTrainer}) {
    if (const auto bytes = opened->layer(title); bytes.ok())
      evidence.push_back({std::string(title), sha256(*bytes)});
  }
  return evidence;
}

Result<std::optional<policy::Approval>> ServiceDecisions::open_approval(
    const std::string& op_id) const {
  HEDDLE_ASSIGN_OR_RETURN(auto approvals, parts_.policy->open_approvals());
  std::optional<policy::Approval> newest;
  for (auto& approval : approvals) {
    // An act may be asked for again after its question lapsed: the last one counts.
    if (approval.op_id == op_id) newest = std::move(approval);
  }
  return newest;
}

Result<void> ServiceDecisions::name_origin(policy::Proposal& proposal, const Digest& digest) {
  auto known = origins_.find(digest);
  if (known == origins_.end()) {
    HEDDLE_ASSIGN_OR_RETURN(const auto opened, bundle::open(*parts_.objects, digest));
    known = origins_.emplace(digest, std::pair(opened.commit(), opened.dirty())).first;
  }
  proposal.attributes.set("commit", known->second.first);
  proposal.attributes.set("dirty", known->second.second);
  return {};
}

Result<void> ServiceDecisions::name_repairs(policy::Proposal& proposal, const Digest& replaced,
                                            const Digest& bundle) const {
  if (replaced.empty() || replaced == bundle) return {};
  const auto dropped = dropped_repairs(*parts_.objects, replaced, bundle);
  const auto revived = revived_repairs(*parts_.objects, replaced, bundle);
  if (!dropped.ok() || !revived.ok()) {
    // What serves cannot be read: it must be replaceable all the same, by somebody who knows.
    proposal.reason +=
        fmt::format("; the repairs of {} are not known: {}", replaced.short_str(),
                    dropped.ok() ? revived.error().message : dropped.error().message);
    return {};
  }
  const auto named = [&](const char* list_name, const char* count_name,
                         const std::vector<std::string>& repairs) {
    auto list = doc::Value::array();
    for (const auto& repair : repairs) list.push(repair);
    proposal.attributes.set(count_name, list.size());
    proposal.attributes.set(list_name, std::move(list));
  };
  named("drops_repairs", "repairs_dropped", *dropped);
  named("revives_repairs", "repairs_revived", *revived);
  if (dropped->empty() && revived->empty()) return {};
  if (!dropped->empty())
    proposal.reason += fmt::format("; it drops what repairs {}: {}", replaced.short_str(),
                                   fmt::join(*dropped, "; "));
  if (!revived->empty())
    proposal.reason += fmt::format("; it brings back what was taken back as its fault was over: {}",
                                   fmt::join(*revived, "; "));
  const auto text = doc::to_json(repairs_of_release_schema().print({replaced, *dropped, *revived}));
  HEDDLE_ASSIGN_OR_RETURN(const auto digest, parts_.objects->put(text));
  proposal.evidence.push_back({std::string(kRepairsEvidence), digest});
  return {};
}

Result<std::optional<std::string>> ServiceDecisions::asked_comparison(policy::Proposal& proposal) {
  HEDDLE_ASSIGN_OR_RETURN(const auto asked, open_approval(proposal.op_id));
  using Status = policy::Approval::Status;
  // A question that is open keeps the comparison that it
  // was put with: who signs must see what was decided on.
  if (!asked || (asked->status != Status::kPending && asked->status != Status::kApproved))
    return std::optional<std::string>();
  const auto known =
      std::find_if(asked->evidence.begin(), asked->evidence.end(),
                   [](const auto& item) { return item.name == kComparisonEvidence; });
  if (known == asked->evidence.end()) return std::optional<std::string>();
  HEDDLE_ASSIGN_OR_RETURN(const auto bytes, parts_.objects->get(known->digest));
  HEDDLE_ASSIGN_OR_RETURN(const auto then, comparison_schema().parse_text(bytes));
  // Of another primary it would compare with what does not serve any more.
  if (then.base != releases().primary()) return std::optional<std::string>();
  proposal.evidence.push_back(*known);
  return std::optional(then.verdict_or_none());
}

Result<bool> ServiceDecisions::add_comparison(policy::Proposal& proposal, const Digest& bundle,
                                              Micros event_time) {
  const auto opened = bundle::open(*parts_.objects, bundle);
  const auto evidence =
      opened.ok() ? evidence_in(*opened) : Result<evaluate::Evidence>(opened.error());
  name_gates_not_judged(proposal, evidence.ok() ? *evidence : evaluate::Evidence{});
  HEDDLE_ASSIGN_OR_RETURN(const auto asked, asked_comparison(proposal));
  if (asked) {
    proposal.attributes.set("comparison", *asked);
    return true;
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto compared, compared_for(proposal.op_id, bundle, event_time));
  if (!compared) return false;
  HEDDLE_ASSIGN_OR_RETURN(const auto digest,
                          parts_.objects->put(doc::to_json(comparison_schema().print(*compared))));
  proposal.evidence.push_back({std::string(kComparisonEvidence), digest});
  const auto verdict = compared->verdict_or_none();
  proposal.attributes.set("comparison", verdict);
  if (verdict == "worse") {
    proposal.reason += fmt::format(
        "; on {} rows of {} its {} is clearly above that of what serves: a person decides",
        compared->rows->count, compared->rows->of, *compared->loss);
  }
  return true;
}

Result<std::optional<Comparison>> ServiceDecisions::compared_for(const std::string& op_id,
                                                                 const Digest& bundle,
                                                                 Micros event_time) {
  const Digest& base = releases().primary();
  if (base.empty() || base == bundle) {
    return std::optional(not_compared(
        base, bundle,
        base.empty() ? "nothing is released that it could be compared with" : "it is what serves"));
  }
  HEDDLE_TRY(bundle::open(*parts_.objects, bundle));  // what is not there is said at once
  // Of what was recorded before this tick, and used at the next one, which waits for it: a replay
  // decides the same.
  const auto end = journal_->position();
  const ComparisonRequest request{service_, base, bundle, event_time, end.segment, end.offset};
  HEDDLE_ASSIGN_OR_RETURN(auto compared,
                          done_for({"compare", comparison_name(op_id, base, bundle), event_time + 1,
                                    doc::to_json(ComparisonRequest::schema().print(request))},
                                   event_time));
  if (!compared) return std::optional<Comparison>();
  // One that failed, or that left nothing readable, never stands in the way of a release: that is
  // what it says.
  if (const auto failed = failure_of(*compared))
    return std::optional(not_compared(base, bundle, *failed));
  auto read = comparison_schema().parse(*compared);
  return std::optional(read.ok() ? *std::move(read)
                                 : not_compared(base, bundle, read.error().message));
}

void ServiceDecisions::name_gates_not_judged(policy::Proposal& proposal,
                                             const evaluate::Evidence& evidence) const {
  proposal.attributes.set("gates_not_judged", 0);
  if (!evidence.base) return;  // no gate reads it
  const auto now = releases().primary().empty() ? std::string() : releases().primary().str();
  const auto& then = evidence.base->bundle;
  std::vector<std::string> open;
  for (const auto& gate : evidence.gates) {
    if (evaluate::reads_base({.id = {}, .when = {gate.when, {}}}) && then != now)
      open.push_back(gate.id);
  }
  proposal.attributes.set("gates_not_judged", open.size());
  if (open.empty()) return;
  proposal.reason +=
      fmt::format("; its gates `{}` were judged against {}, not against what serves",
                  fmt::join(open, "`, `"), then.empty() ? "nothing" : then.substr(0, 19));
}

Result<std::optional<doc::Value>> ServiceDecisions::done_for(const Works::Work& work, Micros now) {
  // It is kept before it begins: after a crash it is begun again, and what it left is found by its
  // name.
  if (works_.find(work.name) == nullptr) {
    HEDDLE_TRY(parts_.state->write([&](store::Txn& txn) { return works_.keep(txn, work); }));
    failpoint("control-work-kept");
    HEDDLE_TRY(works_.begin(work));
  }
  return works_.result(work.name, now);
}

}  // namespace heddle::control
