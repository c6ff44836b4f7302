// What the recovery ladder asks for, carried out: every change through policy::act, everything
// twice-callable.
#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/failpoint.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "bundle/bundle.hpp"
#include "control/amend.hpp"
#include "control/compare.hpp"
#include "control/incidents.hpp"
#include "control/outbox.hpp"
#include "control/postmortem.hpp"
#include "control/recipes.hpp"
#include "control/recovery_effects.hpp"
#include "control/repairs.hpp"
#include "control/stored_rows.hpp"
#include "control/work_files.hpp"
#include "doc/json.hpp"
#include "evaluate/evidence_format.hpp"
#include "flow/variant.hpp"
#include "recover/stored.hpp"
#include "score/calibration.hpp"
#include "spec/load.hpp"

namespace heddle::control {
namespace {

using Status = recover::Outcome::Status;

/// Id of the error of a repair that what serves has already.
constexpr std::string_view kRepairMade = "repair-made";

constexpr std::string_view kRetrainCommand = "retrain";  ///< of the worker

/// Event time that a page may take before it is waited for. Nobody waits for a page, and ticks that
/// do would hold up what is found meanwhile.
constexpr Micros kPageTime = 10 * kMinute;

std::string postmortem_name(const std::string& service, const std::string& op_id) {
  std::string name = fmt::format("{}-{}", service, op_id);
  std::replace(name.begin(), name.end(), '/', '-');
  return name;
}

/// Which of the transforms in force a contract of HEAD still needs, and what is to be said of the
/// others.
struct TakenUp {
  std::vector<spec::Transform> missing{};
  std::string note{};
};

TakenUp transforms_for(const spec::Contract& running, const spec::Contract& head,
                       const std::vector<spec::Transform>& in_force) {
  const auto field_of = [](const spec::Contract& contract, const std::string& name) {
    return std::find_if(contract.fields.begin(), contract.fields.end(),
                        [&](const spec::Field& field) { return field.name == name; });
  };
  TakenUp out;
  for (const auto& transform : in_force) {
    const auto before = field_of(running, transform.field);
    const auto now = field_of(head, transform.field);
    // Under whatever id: twice in one contract it would be applied twice.
    const bool has_it = std::any_of(
        head.transforms.begin(), head.transforms.end(), [&](const spec::Transform& each) {
          return each.field == transform.field && each.expression.text == transform.expression.text;
        });
    if (has_it) continue;
    // A repair of one type written into a field of another would refuse every row.
    const bool fits =
        now != head.fields.end() && before != running.fields.end() && now->type == before->type;
    if (fits) {
      out.missing.push_back(transform);
      continue;
    }
    out.note += fmt::format(
        "{}The repair of `{}` that is in force is not on this branch: the contract of HEAD has "
        "{}.\nIt is `{}`: write it for the contract as it is now, or a release from it drops it.",
        out.note.empty() ? "" : "\n\n", transform.field,
        now == head.fields.end() ? "no such field" : "another type for it",
        transform.expression.text);
  }
  return out;
}

std::string text_of(const Digest& bundle) { return bundle.empty() ? "" : bundle.str(); }

/// An error as the end of a step, where to ask again would bring the same one: the slots and
/// sources are not any more as the step wants them, or what it works on is not usable. What may
/// pass by itself (a disk, a part that is down) stays an error, and is tried at the next tick.
Result<recover::Outcome> outcome_of_error(const Error& error) {
  recover::Outcome outcome;
  outcome.note = error.message;
  if (error.id.starts_with("release-") || error.id == kRepairMade) {
    outcome.status = Status::kOvertaken;
    return outcome;
  }
  outcome.status = Status::kFailed;
  switch (error.kind) {
    case ErrorKind::kInvalid:
    case ErrorKind::kUnprocessable:
    case ErrorKind::kDenied:
    case ErrorKind::kNotFound:
    case ErrorKind::kConflict:
    case ErrorKind::kTooLarge:
    case ErrorKind::kCorrupt: return outcome;
    // I/O, unavailable, internal: what may be over at the next tick.
    default: return error;
  }
}

/// Labelled rows that a retrain was not taught, by their class.
std::map<std::string, std::int64_t> left_out_of(const evaluate::RetrainEvidence& judged) {
  std::map<std::string, std::int64_t> out;
  for (const auto& each : judged.left_out) out[each.name] += each.rows;
  return out;
}

/// What the work of a retrain left (`run_retrain`).
recover::Candidate candidate_of(RetrainResult result) {
  auto metrics = doc::Value::object({{"new", evaluate::print_numbers(result.metrics)},
                                     {"base", evaluate::print_numbers(result.base_metrics)}});
  return {text_of(result.bundle), result.gates_passed, std::move(result.failed_gates),
          std::move(metrics), left_out_of(result.judged)};
}

/// What the retrain's own evidence says against its candidate: attributes `before_change`
/// (`better`, `worse`, `unclear`, `none`) and `only_label_account`, for the rules that ask a
/// person.
Result<void> name_judgement(policy::Proposal& proposal, store::Objects& objects,
                            const Digest& candidate) {
  HEDDLE_ASSIGN_OR_RETURN(const auto opened, bundle::open(objects, candidate));
  HEDDLE_ASSIGN_OR_RETURN(const auto evaluation, opened.json(bundle::kEvaluation));
  HEDDLE_ASSIGN_OR_RETURN(const auto evidence, evaluate::evidence_schema().parse(evaluation));
  const auto& judged = evidence.retrain;
  proposal.attributes.set("before_change", judged ? judged->before_change.verdict : "none");
  if (!judged) return {};  // it is no retrained bundle
  // The attribute is for rules; this is for the person who signs.
  const auto& before = judged->before_change;
  if (before.verdict == "worse") {
    proposal.reason += fmt::format(
        "; on {} rows from before the change ({}) it is clearly worse than what serves: the world "
        "changed, or the labels did",
        before.rows, *before.of);
  }
  const auto left_out = left_out_of(*judged);
  std::int64_t rows = 0;
  for (const auto& [name, count] : left_out) rows += count;
  proposal.attributes.set("rows_left_out", rows);
  if (rows > 0) proposal.reason += "; " + recover::left_out_text(left_out);
  const auto& only = judged->label_accounts.only;
  // What the watch saw of newer labels is said already, and names the same thing.
  const auto* said = proposal.attributes.find("only_label_account");
  if (only.empty() || (said != nullptr && *said != doc::Value(""))) return {};
  proposal.attributes.set("only_label_account", only);
  proposal.reason += fmt::format("; it rests on the labels of account `{}` alone", only);
  return {};
}

/// What the bundle says of how its interval was fitted; none: it was not.
std::optional<evaluate::IntervalRefit> refit_evidence(const recover::Action& action,
                                                      const recover::Recalibrate& what) {
  if (what.interval_rows == 0) return std::nullopt;
  return evaluate::IntervalRefit{action.incident, what.interval_rows, what.interval_held,
                                 what.interval_held_newer};
}

/// A sum of offsets is given to a billionth of its unit.
constexpr double kSteps = 1e9;

/// A sum without the rounding of the additions: five times 0.3 is 1.5 for a bound and for who reads
/// it.
double rounded(double value) { return std::round(value * kSteps) / kSteps; }

/// The same of the interval: what an act changes of its quantile, and how far that is in sum from
/// the one of the release.
void name_interval(policy::Proposal& proposal, const watch::Route& primary,
                   const CalibrationChange& before, double added, double scale) {
  // Neither had an interval, so there is nothing that could be bounded.
  if (!primary.interval || !before.intervals) return;
  const auto kind = primary.task.kind;
  const double now = primary.interval->quantile;
  const double one = rounded(stats::quantile_change(kind, now, now + added, scale));
  const double all =
      rounded(stats::quantile_change(kind, before.intervals->first.quantile, now + added, scale));
  proposal.attributes.set("interval_delta", one);
  proposal.attributes.set("interval_sum", all);
  if (added == 0) return;
  proposal.reason += fmt::format("; of the intervals {:+.4g}, {:+.4g} in sum", one, all);
}

/// What an act adds to the offsets of `primary` and to the quantile of its interval, and what that
/// makes in sum: policies bound each, of the offsets the largest. In logits; of a regression in
/// units of the label scale of its baseline.
Result<void> name_calibration(policy::Proposal& proposal, const ServiceParts& parts,
                              const std::string& service, const watch::Route& primary,
                              const recover::RecalibrationInForce& change) {
  const std::vector<double>& added = change.offsets;
  HEDDLE_ASSIGN_OR_RETURN(
      auto before,
      calibration_since_release(*parts.objects, primary.primary, [&](const Digest& bundle) {
        return parts.policy->released_by_a_person(service, bundle);
      }));
  auto& sum = before.offsets;
  for (std::size_t k = 0; k < sum.size() && k < added.size(); ++k) sum[k] += added[k];
  const double scale = primary.baseline == nullptr ? 1 : primary.baseline->label_scale;
  const double one = recover::largest_offset(added) / scale;
  const double all = rounded(recover::largest_offset(sum) / scale);
  proposal.attributes.set("offset_delta", one);
  proposal.attributes.set("offset_sum", all);
  proposal.reason += fmt::format(
      "; {:+.4g} {}, {:+.4g} in sum since a person released or the model was trained", one,
      primary.task.kind == stats::TaskKind::kRegression ? "of the usual deviation of a label"
                                                        : "logits",
      all);
  name_interval(proposal, primary, before, change.quantile, scale);
  return {};
}

}  // namespace

Result<void> RecoveryEffects::restore(store::Txn& txn) {
  const std::string& name = service_.identity.name;
  return each_row(txn, kVariants, name + "/", repaired_schema(),
                  [&](std::string_view key, auto, const Repaired& made) {
                    variants_[std::string(key.substr(name.size() + 1))] = made;
                  });
}

policy::Proposal RecoveryEffects::proposal_of(const recover::Action& action) const {
  policy::Proposal proposal;
  proposal.op_id = service_.identity.name + "/" + action.op_id;
  proposal.action = action.type();
  proposal.target = action.target;
  proposal.actor = {policy::ActorType::kAgent, "agent:recover"};
  proposal.attributes = recover::attributes_of(action.what);
  proposal.attributes.set("service", service_.identity.name);
  for (std::size_t i = 0; i < action.evidence.size(); ++i) {
    proposal.evidence.push_back({fmt::format("finding-{}", i + 1), action.evidence[i]});
  }
  proposal.event_time = action.event_time;
  proposal.reason = action.reason;
  proposal.incident = action.incident;
  return proposal;
}

recover::Outcome RecoveryEffects::outcome_of(const policy::Decision& decision) const {
  recover::Outcome outcome;
  outcome.entry = decision.entry;
  outcome.rules = decision.rules;
  if (decision.applied) {
    outcome.status = Status::kApplied;
  } else if (decision.effect == policy::Effect::kRequireApproval) {
    outcome.status = Status::kWaiting;
  } else {
    outcome.status = Status::kDenied;
    outcome.note = decision.rules.empty()
                       ? "policy denied it"
                       : "denied by policy rule `" + decision.rules.front() + "`";
  }
  return outcome;
}

/// One function for each action that there is: the compiler misses none.
Result<recover::Outcome> RecoveryEffects::carry_out_action(const recover::Action& action) {
  using namespace recover;
  return std::visit(
      overloaded{
          [&](const OpenIncident& what) { return open_incident(action, what); },
          [&](const Escalate& what) { return escalate(action, what); },
          [&](const RetryLater&) { return record_only(action); },
          [&](const Lapse& what) { return lapse(action, what); },
          [&](const CloseIncident&) { return record_only(action); },
          [&](const WritePostmortem& what) { return write_postmortem(action, what); },
          [&](const AcceptLabels&) { return record_only(action); },
          [&](const QuarantineSource& what) {
            return change_route(action, [&](release::Releases& next) {
              return next.quarantine({what.source, what.rule, what.readmit_after, what.account});
            });
          },
          [&](const ReleaseSource& what) {
            return change_route(action, [&](release::Releases& next) {
              return next.readmit(what.account, what.source);
            });
          },
          [&](const SwapToStandby&) { return swap_slots(action); },
          [&](const SwapBack&) { return swap_slots(action); },
          [&](const ProposeTransform& what) { return propose_transform(action, what); },
          [&](const WithdrawTransform& what) {
            return withdraw(action, [&](Slots& back) { return take_out(what.id, back); });
          },
          [&](const StartRetrain& what) { return start_retrain(action, what); },
          [&](const PromoteCandidate& what) { return promote_candidate(action, what); },
          [&](const RollBack& what) {
            return withdraw(action, [&](Slots& back) { return put_back(what.bundle, back); });
          },
          [&](const Recalibrate& what) { return recalibrate(action, what); },
          [&](const WithdrawRecalibration& what) {
            const RecalibrationInForce change{what.offsets, what.quantile};
            const auto undo = [&](Slots& back) -> Result<void> {
              HEDDLE_ASSIGN_OR_RETURN(back.primary, recalibrated(*parts_.objects, back.primary,
                                                                 change, parts_.project->commit));
              return {};
            };
            return withdraw(action, undo, change);
          }},
      action.what);
}

Result<recover::Outcome> RecoveryEffects::change_route(
    const recover::Action& action, const std::function<Result<void>(release::Releases&)>& change) {
  HEDDLE_ASSIGN_OR_RETURN(const auto decision,
                          decisions_.change_releases(proposal_of(action), change));
  return outcome_of(decision);
}

Result<recover::Outcome> RecoveryEffects::swap_slots(const recover::Action& action) {
  HEDDLE_ASSIGN_OR_RETURN(
      auto outcome, change_route(action, [](release::Releases& next) { return next.swap(); }));
  if (outcome.status == Status::kApplied) {
    outcome.before = text_of(releases().standby());
    outcome.made = text_of(releases().primary());
  }
  return outcome;
}

Result<recover::Outcome> RecoveryEffects::perform(const recover::Action& action) {
  auto outcome = carry_out_action(action);
  return outcome.ok() ? outcome : outcome_of_error(outcome.error());
}

Result<recover::Outcome> RecoveryEffects::record_only(const recover::Action& action,
                                                      const Beside& beside) {
  HEDDLE_ASSIGN_OR_RETURN(
      const auto decision,
      decisions_.act(proposal_of(action), [](store::Txn&) { return Result<void>(); }, {}, beside));
  decisions_.note(decision);
  return outcome_of(decision);
}

Result<recover::Outcome> RecoveryEffects::open_incident(const recover::Action& action,
                                                        const recover::OpenIncident& what) {
  return record_only(action,
                     told(fmt::format("incident/{}/{}", service_.identity.name, action.incident),
                          "incident", action, doc::Value::object({{"cause", what.cause}})));
}

RecoveryEffects::Beside RecoveryEffects::told(std::string id, std::string kind,
                                              const recover::Action& action,
                                              doc::Value more) const {
  more.set("kind", std::move(kind));
  more.set("incident", action.incident);
  more.set("service", service_.identity.name);
  more.set("event_time", format_time(action.event_time));
  more.set("text", action.reason);
  more.set("next",
           fmt::format("heddle incident show {}/{}", service_.identity.name, action.incident));
  return
      [this, id = std::move(id), more = std::move(more)](store::Txn& txn, const policy::Decision&) {
        return parts_.outbox->put(txn, id, more);
      };
}

bool RecoveryEffects::made_of_what_serves(const Repaired& made) const {
  const auto& primary = releases().primary();
  const auto& standby = releases().standby();
  return (made.of_primary == primary && made.of_standby == standby) ||
         (made.of_primary == standby && made.of_standby == primary);
}

Result<recover::Outcome> RecoveryEffects::propose_transform(const recover::Action& action,
                                                            const recover::ProposeTransform& what) {
  auto proposal = proposal_of(action);
  // A pure function of what serves: where that is other by now, the bundles are made, and asked
  // for, anew.
  auto variant = variants_.find(action.op_id);
  HEDDLE_ASSIGN_OR_RETURN(const bool applied, parts_.policy->applied(proposal.op_id));
  if (!applied) {
    // Made by hand meanwhile, for example by a release of the branch of an earlier postmortem:
    // twice would be wrong.
    HEDDLE_ASSIGN_OR_RETURN(const auto there, transforms_of(*parts_.objects, releases().primary()));
    const bool made = std::any_of(there.begin(), there.end(), [&](const auto& each) {
      return each.field == what.field && each.expression.text == what.expression;
    });
    if (made) {
      return Error{ErrorKind::kConflict, std::string(kRepairMade),
                   fmt::format("what serves repairs `{}` so already", what.field)};
    }
  }
  if (variant == variants_.end() || (!applied && !made_of_what_serves(variant->second))) {
    spec::Transform transform;
    transform.id = what.id;
    transform.field = what.field;
    transform.expression.text = what.expression;
    transform.reason = action.reason;
    Repaired made{releases().primary(), releases().standby(), {}, {}};
    HEDDLE_ASSIGN_OR_RETURN(made.primary, flow::with_transform(*parts_.objects, made.of_primary,
                                                               transform, parts_.project->commit));
    if (!made.of_standby.empty()) {
      HEDDLE_ASSIGN_OR_RETURN(made.standby,
                              flow::with_transform(*parts_.objects, made.of_standby, transform,
                                                   parts_.project->commit));
    }
    // Kept before it is proposed: an approval is for these digests, whatever slot serves when the
    // question is put again.
    HEDDLE_TRY(parts_.state->write([&](store::Txn& txn) {
      return txn.put(kVariants, service_.identity.name + "/" + action.op_id,
                     doc::to_json(repaired_schema().print(made)));
    }));
    variant = variants_.insert_or_assign(action.op_id, made).first;
  }
  const Repaired repaired = variant->second;
  proposal.subjects.push_back({"bundle", repaired.primary});
  if (!repaired.standby.empty()) proposal.subjects.push_back({"standby", repaired.standby});
  HEDDLE_TRY(decisions_.name_origin(proposal, repaired.primary));
  HEDDLE_ASSIGN_OR_RETURN(
      const auto decision,
      decisions_.change_releases(proposal, [&](release::Releases& next) -> Result<void> {
        for (const auto& bundle : {repaired.primary, repaired.standby}) {
          if (bundle.empty()) continue;
          next.approve(bundle, proposal.op_id);
          next.mark_ready(bundle);
        }
        // Each gives way to its own repaired self.
        const bool swapped = next.primary() == repaired.of_standby;
        HEDDLE_TRY(next.replace("primary", swapped ? repaired.standby : repaired.primary));
        return repaired.standby.empty()
                   ? Result<void>()
                   : next.replace("standby", swapped ? repaired.primary : repaired.standby);
      }));
  auto outcome = outcome_of(decision);
  if (decision.applied) outcome.made = text_of(repaired.primary);
  return outcome;
}

Result<void> RecoveryEffects::take_out(const std::string& transform, Slots& back) {
  for (Digest* slot : {&back.primary, &back.standby}) {
    if (slot->empty()) continue;
    const auto bare =
        flow::without_transform(*parts_.objects, *slot, transform, parts_.project->commit);
    // A release by hand may have come without it.
    if (!bare.ok() && bare.error().kind != ErrorKind::kNotFound) return bare.error();
    if (bare.ok()) *slot = *bare;
  }
  return {};
}

Result<void> RecoveryEffects::put_back(const std::string& bundle, Slots& back) {
  const auto before = Digest::parse(bundle);
  // What was written down when it was released; of a state of before, the slot that is kept for it.
  back.primary = before.ok() ? *before : releases().rollback_target();
  // Going back to the standby is a swap: a bundle cannot be in both slots.
  if (back.primary == back.standby) back.standby = releases().primary();
  return {};
}

Result<recover::Outcome> RecoveryEffects::withdraw(const recover::Action& action,
                                                   const std::function<Result<void>(Slots&)>& undo,
                                                   const recover::RecalibrationInForce& change) {
  auto variant = variants_.find(action.op_id);
  HEDDLE_ASSIGN_OR_RETURN(const bool applied,
                          parts_.policy->applied(service_.identity.name + "/" + action.op_id));
  if (variant == variants_.end() || (!applied && !made_of_what_serves(variant->second))) {
    Slots back{releases().primary(), releases().standby()};
    HEDDLE_TRY(undo(back));
    const Repaired made{releases().primary(), releases().standby(), back.primary, back.standby};
    // Kept before it is proposed, as with a repair: a yes is for these digests.
    HEDDLE_TRY(parts_.state->write([&](store::Txn& txn) {
      return txn.put(kVariants, service_.identity.name + "/" + action.op_id,
                     doc::to_json(repaired_schema().print(made)));
    }));
    variant = variants_.insert_or_assign(action.op_id, made).first;
  }
  const Digest primary = variant->second.primary;
  const Digest standby = variant->second.standby;
  auto proposal = proposal_of(action);
  proposal.subjects.push_back({"bundle", primary});
  if (!standby.empty()) proposal.subjects.push_back({"standby", standby});
  if (!change.offsets.empty()) {
    HEDDLE_ASSIGN_OR_RETURN(const auto route,
                            routes_.of(releases().primary(), releases().version()));
    HEDDLE_TRY(name_calibration(proposal, parts_, service_.identity.name, route, change));
  }
  HEDDLE_TRY(decisions_.name_origin(proposal, primary));
  HEDDLE_ASSIGN_OR_RETURN(
      const auto decision,
      decisions_.change_releases(proposal, [&](release::Releases& next) -> Result<void> {
        for (const auto& bundle : {primary, standby}) {
          if (bundle.empty()) continue;
          next.approve(bundle, proposal.op_id);
          next.mark_ready(bundle);
        }
        // It is loaded and warm there; to replace the primary by it would leave the standby empty.
        if (primary == next.standby()) return next.swap();
        if (primary != next.primary()) HEDDLE_TRY(next.replace("primary", primary));
        return standby.empty() || standby == next.standby() ? Result<void>()
                                                            : next.replace("standby", standby);
      }));
  return outcome_of(decision);
}

/// Nobody shall say yes to what is over: what still waits for an answer is closed with the reason.
Result<recover::Outcome> RecoveryEffects::lapse(const recover::Action& action,
                                                const recover::Lapse& what) {
  const std::string asked = service_.identity.name + "/" + what.op_id;
  return record_only(action, [&](store::Txn& txn, const policy::Decision&) {
    return parts_.policy->void_stale(txn, [&](const policy::Approval& approval) {
      return approval.op_id == asked ? action.reason : std::string();
    });
  });
}

Result<recover::Outcome> RecoveryEffects::escalate(const recover::Action& action,
                                                   const recover::Escalate& what) {
  return record_only(action,
                     told(fmt::format("escalation/{}/{}", service_.identity.name, action.op_id),
                          "escalation", action, doc::Value::object({{"step", what.step}})));
}

Result<recover::Outcome> RecoveryEffects::start_retrain(const recover::Action& action,
                                                        const recover::StartRetrain& what) {
  auto proposal = proposal_of(action);
  std::string name = proposal.op_id;
  std::replace(name.begin(), name.end(), '/', '-');
  const Micros started = what.started_at;
  HEDDLE_ASSIGN_OR_RETURN(const auto search, accepted_search(*parts_.state, service_.model));
  const RetrainRequest request{service_.identity.name,
                               parts_.project->commit,
                               releases().primary(),
                               search,
                               what.from,
                               started,
                               what.rows};
  // By the policies of when it started, whatever was applied since.
  const auto* known = works_.find(name);
  const Works::Work work{std::string(kRetrainCommand), name,
                         known == nullptr ? started + bounds_.retrain_event_time_cost : known->due,
                         doc::to_json(retrain_request_schema().print(request))};
  proposal.binds = decisions_.binds_of(proposal);
  HEDDLE_ASSIGN_OR_RETURN(const auto decision,
                          decisions_.act(proposal, [&](store::Txn& txn) -> Result<void> {
                            return works_.keep(txn, work);
                          }));
  decisions_.note(decision);
  if (!decision.applied) return outcome_of(decision);
  // After the commit: a job whose decision was lost would have nobody to take its result.
  if (works_.find(name) == nullptr) {
    failpoint("control-retrain-committed");
    HEDDLE_TRY(works_.begin(work));
  }
  auto outcome = outcome_of(decision);
  // Usable at exactly its due time (DESIGN 4, Time): the tick before it says "running", the tick
  // after it waited for the job.
  const auto result = works_.result(name, action.event_time);
  if (!result) {
    outcome.status = Status::kRunning;
    return outcome;
  }
  works_.taken(name);
  auto left = parse_retrain_result(*result);
  // Read again it would say the same: a damaged result is a retrain that failed.
  if (!left.ok()) {
    outcome.status = Status::kFailed;
    outcome.note = "its result is damaged: " + left.error().message;
    return outcome;
  }
  if (!left->failed.empty()) {
    outcome.status = Status::kFailed;
    outcome.note = left->failed;
  }
  outcome.candidate = candidate_of(*std::move(left));
  return outcome;
}

Result<recover::Outcome> RecoveryEffects::promote_candidate(const recover::Action& action,
                                                            const recover::PromoteCandidate& what) {
  HEDDLE_ASSIGN_OR_RETURN(const auto bundle, Digest::parse(what.bundle));
  auto proposal = proposal_of(action);
  proposal.subjects.push_back({"bundle", bundle});
  const Digest before = releases().primary();
  if (!releases().primary().empty())
    proposal.subjects.push_back({"rollback", releases().primary()});
  for (auto& item : decisions_.evidence_of(bundle)) proposal.evidence.push_back(std::move(item));
  HEDDLE_TRY(name_judgement(proposal, *parts_.objects, bundle));
  HEDDLE_TRY(decisions_.name_origin(proposal, bundle));
  HEDDLE_ASSIGN_OR_RETURN(const bool done, parts_.policy->applied(proposal.op_id));
  // An act that was applied before a crash needs no comparison to be repeated.
  if (!done) {
    HEDDLE_ASSIGN_OR_RETURN(const bool compared,
                            decisions_.add_comparison(proposal, bundle, action.event_time));
    if (!compared) return recover::Outcome{Status::kRunning};
  }
  HEDDLE_TRY(decisions_.name_repairs(proposal, releases().primary(), bundle));
  HEDDLE_ASSIGN_OR_RETURN(
      const auto decision,
      decisions_.change_releases(proposal, [&](release::Releases& next) -> Result<void> {
        next.approve(bundle, proposal.op_id);
        next.mark_ready(bundle);
        return next.promote(bundle);
      }));
  works_.taken(comparison_name(proposal.op_id, before, bundle));
  auto outcome = outcome_of(decision);
  if (decision.applied)
    // Repeated after a crash, the primary is the candidate itself.
    outcome.before = (decision.repeated ? releases().rollback_target() : before).str();
  return outcome;
}

Result<recover::Outcome> RecoveryEffects::recalibrate(const recover::Action& action,
                                                      const recover::Recalibrate& what) {
  const recover::RecalibrationInForce change{what.offsets, what.quantile};
  HEDDLE_ASSIGN_OR_RETURN(const Digest variant,
                          recalibrated(*parts_.objects, releases().primary(), change,
                                       parts_.project->commit, refit_evidence(action, what)));
  auto proposal = proposal_of(action);
  proposal.subjects.push_back({"bundle", variant});
  HEDDLE_ASSIGN_OR_RETURN(const auto route, routes_.of(releases().primary(), releases().version()));
  HEDDLE_TRY(name_calibration(proposal, parts_, service_.identity.name, route, change));
  HEDDLE_TRY(decisions_.name_origin(proposal, variant));
  HEDDLE_ASSIGN_OR_RETURN(
      const auto decision,
      decisions_.change_releases(proposal, [&](release::Releases& next) -> Result<void> {
        next.approve(variant, proposal.op_id);
        next.mark_ready(variant);
        return next.replace("primary", variant);
      }));
  auto outcome = outcome_of(decision);
  // Asked again after a crash, `variant` is one of what serves now, and was not made.
  if (decision.applied) outcome.made = text_of(decision.repeated ? releases().primary() : variant);
  return outcome;
}

std::optional<plane::QuarantinedSource> RecoveryEffects::quarantine_of(std::string_view account,
                                                                       std::string_view source) {
  std::optional<plane::QuarantinedSource> found;
  for (const auto& each : releases().quarantined()) {
    // One of just this account before one that holds for everybody.
    if (each.is(account, source)) return each;
    if (each.holds(account, source)) found = each;
  }
  return found;
}

bool RecoveryEffects::in_force(const recover::Act& act) {
  const auto slots =
      fmt::format("{} {}", text_of(releases().primary()), text_of(releases().standby()));
  // What is in force follows from what is in the slots; each look reads bundles.
  if (slots != in_force_in_) in_force_.clear();
  in_force_in_ = slots;
  const auto known = in_force_.find(act.id);
  if (known != in_force_.end()) return known->second;
  const auto found = look_for(act);
  // What cannot be read now is not known to be gone.
  return in_force_.emplace(act.id, found.ok() ? *found : true).first->second;
}

Result<bool> RecoveryEffects::look_for(const recover::Act& act) const {
  if (releases().primary().empty()) return false;
  const auto serves_or_waits = [&](const std::string& made) -> Result<bool> {
    const auto origin = Digest::parse(made);
    if (!origin.ok()) return true;  // of a state of before: it was not written down
    HEDDLE_ASSIGN_OR_RETURN(const bool serves,
                            descends_from(*parts_.objects, releases().primary(), *origin));
    if (serves || releases().standby().empty()) return serves;
    return descends_from(*parts_.objects, releases().standby(), *origin);
  };
  // A swap is in force while what took over serves and what served before waits; the others while
  // what they made, or what was made of that since, is in one of the two slots.
  return std::visit(
      recover::overloaded{
          [&](const recover::TransformInForce& repair) -> Result<bool> {
            HEDDLE_ASSIGN_OR_RETURN(const auto there,
                                    transforms_of(*parts_.objects, releases().primary()));
            return std::any_of(there.begin(), there.end(),
                               [&](const auto& each) { return each.id == repair.transform; });
          },
          [&](const recover::RecalibrationInForce&) { return serves_or_waits(act.made); },
          [&](const recover::ReleaseInForce&) { return serves_or_waits(act.made); },
          [&](const recover::SwapInForce& swap) -> Result<bool> {
            const auto origin = Digest::parse(swap.before);
            if (!origin.ok()) return true;  // of a state of before: it was not written down
            HEDDLE_ASSIGN_OR_RETURN(const auto took_over, Digest::parse(act.made));
            HEDDLE_ASSIGN_OR_RETURN(
                const bool serves, descends_from(*parts_.objects, releases().primary(), took_over));
            if (!serves || releases().standby().empty()) return false;
            return descends_from(*parts_.objects, releases().standby(), *origin);
          }},
      act.kind);
}

Result<RecoveryEffects::BranchRepair> RecoveryEffects::repair_for_branch(
    const std::string& incident) const {
  std::vector<std::string> own;
  for (const auto& act : ladder_.acts()) {
    const auto* repair = act.as<recover::TransformInForce>();
    if (repair != nullptr && act.incident == incident) own.push_back(repair->transform);
  }
  if (own.empty()) return BranchRepair{};
  HEDDLE_ASSIGN_OR_RETURN(auto repairs, repairs_of(*parts_.objects, releases().primary()));
  std::erase_if(repairs.transforms, [&](const spec::Transform& transform) {
    return std::find(own.begin(), own.end(), transform.id) == own.end();
  });
  if (repairs.transforms.empty()) return BranchRepair{};
  // The branch grows from HEAD, whose contract may be another by now than the one that runs: moved,
  // with other fields, or with the repair taken up already.
  const auto& model = parts_.project->models.at(service_.model);
  const auto& name = parts_.project->feature_sets.at(model.features).contract;
  HEDDLE_ASSIGN_OR_RETURN(const auto head, parts_.git->head());
  HEDDLE_ASSIGN_OR_RETURN(const auto loaded,
                          spec::load_commit(*parts_.git, parts_.home->root(), head));
  const auto found = loaded.project.contracts.find(name);
  if (found == loaded.project.contracts.end()) {
    return BranchRepair{{},
                        fmt::format("The repair that is in force is not on this branch: HEAD "
                                    "has no contract `{}`.",
                                    name)};
  }
  const auto taken_up =
      transforms_for(parts_.project->contracts.at(name), found->second, repairs.transforms);
  BranchRepair repair;
  repair.note = taken_up.note;
  if (taken_up.missing.empty()) return repair;
  const auto& file = found->second.identity.file;
  HEDDLE_ASSIGN_OR_RETURN(const auto text, parts_.git->read(head, file));
  HEDDLE_ASSIGN_OR_RETURN(auto amended,
                          amend_transforms(text, found->second.object, taken_up.missing));
  repair.note += fmt::format(
      "{}The repair that is in force stands in {}: a release without it drops it. A transform of a "
      "contract is\napplied to the rows that a model is trained on as well: take it where those "
      "have the fault too.",
      repair.note.empty() ? "" : "\n\n", file);
  repair.contract = store::Git::File{file, std::move(amended)};
  return repair;
}

std::optional<recover::Postmortem> RecoveryEffects::postmortem(
    const recover::PostmortemInput& input, const std::string& op_id, Micros now) {
  const auto written = [&]() -> Result<std::optional<recover::Postmortem>> {
    PostmortemRequest request{service_.identity.name, parts_.project->commit, input.incident};
    for (const auto& route : routes_.all())
      request.routes.push_back({route.version, route.primary});
    const auto end = journal_->position();
    request.segment = end.segment;
    request.offset = end.offset;
    const auto name = postmortem_name(service_.identity.name, op_id);
    HEDDLE_ASSIGN_OR_RETURN(
        const auto done,
        decisions_.done_for({"postmortem", name, now + kPageTime,
                             doc::to_json(PostmortemRequest::schema().print(request))},
                            now));
    if (!done) return std::optional<recover::Postmortem>();
    // A page without a replay is still the page of the incident.
    if (const auto failed = failure_of(*done))
      return std::optional(recover::postmortem_without(input, *failed));
    HEDDLE_ASSIGN_OR_RETURN(auto page, postmortem_schema().parse(*done));
    return std::optional(std::move(page));
  }();
  // Nothing keeps an incident open for want of its page.
  if (written.ok()) return *written;
  return recover::postmortem_without(input, written.error().message);
}

Result<recover::Outcome> RecoveryEffects::write_postmortem(const recover::Action& action,
                                                           const recover::WritePostmortem& what) {
  failpoint("control-postmortem");
  auto proposal = proposal_of(action);
  HEDDLE_ASSIGN_OR_RETURN(const auto page_digest, parts_.objects->put(what.page));
  proposal.evidence.push_back({"page", page_digest});
  HEDDLE_ASSIGN_OR_RETURN(
      const auto decision, decisions_.act(proposal, [&](store::Txn& txn) -> Result<void> {
        return txn.put(kPostmortems, fmt::format("{}/{}", service_.identity.name, action.incident),
                       doc::to_json(postmortem_row_schema().print(
                           {action.incident, page_digest, what.proof})));
      }));
  decisions_.note(decision);
  failpoint("control-postmortem-acted");
  auto outcome = outcome_of(decision);
  // While a person is asked it is asked with the same page.
  if (outcome.status != Status::kWaiting)
    works_.taken(postmortem_name(service_.identity.name, action.op_id));
  // A project that is in no git repository has the page in its state.
  if (outcome.status != Status::kApplied || parts_.git == nullptr) return outcome;
  // The commit is outside the transaction and idempotent: after a crash the same files give no
  // second one.
  const std::string& service = service_.identity.name;
  std::vector<store::Git::File> files{
      {fmt::format("incidents/{}/{}.md", service, action.incident), what.page}};
  if (!what.addition.empty() && !what.addition_file.empty()) {
    const auto now = parts_.git->read("HEAD", what.addition_file);
    const auto amended = now.ok() ? amend(*now, what.addition_path, what.addition) : now;
    if (amended.ok()) {
      files.push_back({what.addition_file, *amended});
    } else {
      log::warn("could not apply the suggested change to {}: {}; it is kept in the page of {}",
                what.addition_file, amended.error().message, action.incident);
    }
  }
  std::string message =
      fmt::format("{}: page, and an addition to review\n\n{}", action.incident, action.reason);
  auto repair = repair_for_branch(action.incident);
  // The branch is worth writing without it, and says what it lacks.
  if (!repair.ok()) {
    repair = BranchRepair{{},
                          fmt::format("The repair that is in force is not on this branch: {}.",
                                      repair.error().message)};
  }
  if (!repair->note.empty()) message += fmt::format("\n\n{}\n", repair->note);
  if (repair->contract) files.push_back(*repair->contract);
  const auto commit =
      parts_.git->commit("refs/heads/" + branch_of(parts_.project->name, service, action.incident),
                         "HEAD", files, message);
  if (!commit.ok()) {
    log::warn("the page of {} is kept, its branch could not be written: {}", action.incident,
              commit.error().message);
  }
  failpoint("control-postmortem-committed");
  return outcome;
}

}  // namespace heddle::control
