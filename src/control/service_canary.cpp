// A canary that runs: its cohorts are collected from the journal, judged at ticks, and what follows
// is proposed.
#include <utility>

#include "control/compare.hpp"
#include "control/outbox.hpp"
#include "control/service_control.hpp"
#include "doc/json.hpp"
#include "watch/judgement_format.hpp"

namespace heddle::control {
namespace {

std::string share(std::uint32_t weight) { return fmt::format("{:g}%", weight / 100.0); }

std::string first_reason(const watch::Judgement& judgement) {
  return judgement.reasons.empty() ? std::string("nothing tells them apart")
                                   : judgement.reasons.front();
}

}  // namespace

policy::Proposal ServiceControl::canary_proposal(std::string action, const std::string& what,
                                                 Micros event_time) const {
  const auto& run = releases().canary();
  policy::Proposal proposal;
  proposal.op_id = fmt::format("{}/canary/{}/{}", service_.identity.name, run.started, what);
  proposal.action = std::move(action);
  proposal.target = "service/" + service_.identity.name;
  proposal.actor = {policy::ActorType::kAgent, "agent:canary"};
  proposal.subjects = {{"bundle", run.canary.bundle}, {"baseline", releases().primary()}};
  proposal.attributes = doc::Value::object(
      {{"service", service_.identity.name}, {"slot", "canary"}, {"canary", run.started}});
  proposal.event_time = event_time;
  return proposal;
}

Result<void> ServiceControl::decide_canary(Micros event_time) {
  const auto run = releases().canary();
  if (!run.running()) {
    look_.reset();
    // What was judged and compared was about the canary that ended.
    promotion_.reset();
    return {};
  }
  const auto& rules = service_.canary;
  // The first tick of a canary or step sets the time of its first judgement.
  if (cohorts_.started() != run.started || cohorts_.stepped() != run.stepped || !look_ ||
      look_->stepped != run.stepped) {
    cohorts_.follow(run.started, run.stepped, watch_->task());
    look_ = CanaryLook{run.stepped};
    promotion_.reset();
    // A step that has no time of its own counts from the tick that first sees it.
    const Micros since = run.stepped_at == 0 ? event_time : run.stepped_at;
    next_look_ = since + rules.interval;
    told_at_ = since;
  }
  // Nothing is answered, so nothing can be judged; a look would spend error rate on it.
  if (releases().stopped()) return {};
  const bool failing = cohorts_.failing(rules.judgement, run.steps.size());
  // What was judged good at the tick before, and has its comparison now.
  auto promotion = std::exchange(promotion_, std::nullopt);
  if (promotion && !failing) return go_on(std::move(promotion->proposal), event_time);
  // Failures are judged at every tick: their test holds however often one looks.
  if (event_time < next_look_ && !failing) return {};
  next_look_ = event_time + rules.interval;

  const auto judgement = cohorts_.judge(rules.judgement, run.steps.size());
  HEDDLE_ASSIGN_OR_RETURN(
      const auto evidence,
      parts_.objects->put(doc::to_canonical_json(watch::judgement_schema().print(judgement))));
  // Inconclusive for long the weight is held: nothing rises, and nothing is promoted, on what
  // nobody knows. A person decides, and is told.
  const bool held =
      judgement.verdict == watch::Verdict::kInconclusive && event_time - told_at_ >= rules.patience;
  HEDDLE_ASSIGN_OR_RETURN(const auto recorded,
                          record_judgement(judgement, evidence, held, event_time));
  decisions_->note();
  // Replaced as a whole: what the look before waited for is not what this one does.
  look_ = CanaryLook{run.stepped, judgement, event_time, recorded.entry};
  if (judgement.verdict == watch::Verdict::kInconclusive) {
    look_->held = held;
    return {};
  }
  told_at_ = event_time;
  auto next = after_judgement(judgement, event_time);
  next.attributes.set("judgement", fmt::format("ledger/{}", recorded.entry));
  next.evidence = decisions_->evidence_of(run.canary.bundle);
  next.evidence.push_back({"judgement", evidence});
  return go_on(std::move(next), event_time);
}

Result<policy::Decision> ServiceControl::record_judgement(const watch::Judgement& judgement,
                                                          const Digest& evidence, bool held,
                                                          Micros event_time) {
  const auto& run = releases().canary();
  auto proposal = canary_proposal(
      "canary.judgement", fmt::format("judgement/{}/{}", run.stepped, event_time), event_time);
  proposal.evidence.push_back({"judgement", evidence});
  proposal.attributes.set("verdict", watch::verdict_name(judgement.verdict));
  proposal.attributes.set("weight", run.canary.weight);
  proposal.attributes.set("look", judgement.look);
  proposal.attributes.set("canary_rows", judgement.canary_rows);
  proposal.attributes.set("baseline_rows", judgement.baseline_rows);
  proposal.reason = fmt::format("canary {} at {} is {}: {}", run.canary.bundle.short_str(),
                                share(run.canary.weight), watch::verdict_name(judgement.verdict),
                                first_reason(judgement));
  const auto tell = [&](store::Txn& txn, const policy::Decision&) -> Result<void> {
    if (!held) return {};
    const std::string& name = service_.identity.name;
    return parts_.outbox->put(
        txn, fmt::format("canary/{}/{}/{}", name, run.started, run.stepped),
        doc::Value::object(
            {{"kind", "canary"},
             {"service", name},
             {"event_time", format_time(event_time)},
             {"text", proposal.reason + "; it is held at this weight until a person decides"},
             {"next", fmt::format("heddle release canary {}", name)}}));
  };
  return decisions_->act(proposal, [](store::Txn&) { return Result<void>(); }, {}, tell);
}

policy::Proposal ServiceControl::after_judgement(const watch::Judgement& judgement,
                                                 Micros event_time) const {
  const auto& run = releases().canary();
  policy::Proposal next;
  // A bad canary is ended by its agent: that only gives back what a decision gave.
  if (judgement.verdict == watch::Verdict::kBad) {
    next = canary_proposal("canary.abort", "abort", event_time);
    next.reason = fmt::format("end the canary {}: {}", run.canary.bundle.short_str(),
                              first_reason(judgement));
  } else if (const auto weight = run.next_weight(); weight != 0) {
    next = canary_proposal("canary.raise", fmt::format("raise/{}", weight), event_time);
    next.attributes.set("weight", weight);
    next.reason = fmt::format("raise the canary {} to {}: {}", run.canary.bundle.short_str(),
                              share(weight), first_reason(judgement));
  } else {
    next = canary_proposal("release.promote", "promote", event_time);
    next.attributes.set("slot", "primary");
    next.subjects = {{"bundle", run.canary.bundle}, {"rollback", releases().primary()}};
    next.reason = fmt::format("promote the canary {} to primary: {} at every step",
                              run.canary.bundle.short_str(), first_reason(judgement));
  }
  // To end a canary leaves what served before; what raises one on one account's word is asked.
  if (judgement.verdict == watch::Verdict::kGood) {
    next.attributes.set("only_label_account", watch_->several_label()
                                                  ? cohorts_.label_account_of_good(
                                                        service_.canary.judgement, run.steps.size())
                                                  : std::string());
  }
  return next;
}

Result<void> ServiceControl::go_on(policy::Proposal next, Micros event_time) {
  const auto& run = releases().canary();
  const Digest bundle = run.canary.bundle;
  const Digest base = releases().primary();
  if (next.action == "release.promote") {
    WaitingRow asked{service_.identity.name, next};
    HEDDLE_ASSIGN_OR_RETURN(const bool compared,
                            decisions_->add_comparison(next, bundle, event_time));
    if (!compared) {
      promotion_ = std::move(asked);
      return {};
    }
    HEDDLE_TRY(decisions_->name_repairs(next, base, bundle));
  }
  // While it waits it is judged on: the question stays the one that was put, with the evidence of
  // then.
  HEDDLE_ASSIGN_OR_RETURN(const auto asked, decisions_->open_approval(next.op_id));
  if (asked && asked->status == policy::Approval::Status::kPending) next.evidence = asked->evidence;
  HEDDLE_TRY(decisions_->name_origin(next, bundle));
  HEDDLE_ASSIGN_OR_RETURN(const auto decision, carry_out(next));
  decisions_->note();
  works_.taken(comparison_name(next.op_id, base, bundle));
  if (decision.applied) return {};
  if (decision.effect == policy::Effect::kRequireApproval) {
    look_->approval = decision.approval;
    return {};
  }
  look_->denied = decision.rules.empty() ? "default-deny" : decision.rules.front();
  return {};
}

Result<Asked> ServiceControl::abort_canary(const policy::Actor& actor, bool again) {
  if (!releases().canary().running()) {
    return Error{ErrorKind::kNotFound, "release-no-canary",
                 fmt::format("no canary of `{}` runs", service_.identity.name),
                 fmt::format("see `heddle release history {}`", service_.identity.name)};
  }
  const Digest bundle = releases().canary().canary.bundle;
  auto proposal =
      canary_proposal("canary.abort", "abort-by-hand", last_tick_ == INT64_MIN ? 0 : last_tick_);
  proposal.actor = actor;
  proposal.reason =
      fmt::format("end the canary {} of `{}`", bundle.short_str(), service_.identity.name);
  return asked_by_hand(std::move(proposal), bundle, "canary", again);
}

CanaryReply ServiceControl::canary() const {
  const auto& run = releases().canary();
  const std::string& name = service_.identity.name;
  CanaryReply out{name, run.running(),
                  releases().shadow().empty() ? "" : releases().shadow().str()};
  if (!run.running()) return out;
  auto& shown = out.run.emplace();
  shown.bundle = run.canary.bundle.str();
  shown.baseline = releases().primary().str();
  shown.weight = run.canary.weight;
  shown.steps.assign(run.steps.begin(), run.steps.end());
  shown.started = run.started;
  shown.since = run.stepped_at == 0 ? "" : format_time(run.stepped_at);
  // Another step was followed by the book until the next record or tick: then there is nothing to
  // show of this one.
  watch::CohortBook book = cohorts_;
  book.follow(run.started, run.stepped, watch_->task());
  shown.cohorts = book.show(service_.canary.judgement, run.steps.size());
  const bool judged = look_ && look_->judgement && look_->stepped == run.stepped;
  if (judged) shown.judgement = look_;
  const auto propose = [&](std::string command, std::string why) {
    shown.next.push_back({std::move(command), std::move(why)});
  };
  const auto promote =
      fmt::format("heddle release promote {} --bundle {}", name, run.canary.bundle.str());
  if (judged && !look_->approval.empty()) {
    propose(fmt::format("heddle approve {} --person NAME --key FILE", look_->approval),
            "it is good and waits for a person");
  } else if (judged && look_->held) {
    if (const auto weight = run.next_weight(); weight != 0) {
      propose(fmt::format("{} --slot canary --weight {}", promote, share(weight)),
              "inconclusive for long: raise it all the same");
    } else {
      propose(promote, "inconclusive for long: promote it all the same");
    }
  } else if (judged && !look_->denied.empty()) {
    propose(promote,
            fmt::format("policy rule `{}` kept the fabric from going on by itself", look_->denied));
  }
  propose(fmt::format("heddle release abort {}", name), "end it: the primary answers everything");
  return out;
}

}  // namespace heddle::control
