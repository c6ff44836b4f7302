#include "recover/ladder.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "doc/json.hpp"
#include "recover/postmortem.hpp"

namespace heddle::recover {

namespace {

using watch::Cause;
using watch::Subject;
using Status = Outcome::Status;

constexpr double kWholeSource = 0.5;        ///< share of a source's rows from which a contract fault is the source's
constexpr Micros kCollectAtMost = 14 * kDay;

bool settled(Status status) { return status != Status::kWaiting && status != Status::kRunning; }

bool about_quality(Cause cause) {
  return cause == Cause::kTimeShift || cause == Cause::kCovariateShift || cause == Cause::kConceptShift;
}

/// Whether an alert with this diagnosis is one more sign of the incident rather than a new one.
bool explains(const Incident& incident, const watch::Alert& alert, const watch::Diagnosis& diagnosis) {
  const Cause cause = incident.diagnosis.cause;
  if (std::find(incident.keys.begin(), incident.keys.end(), alert.first.key) != incident.keys.end()) return true;
  if (diagnosis.cause == cause) return cause != Cause::kUnitChange || diagnosis.source == incident.diagnosis.source;
  if (alert.first.subject == Subject::kContract) return false;
  if (alert.first.subject == Subject::kRule) return about_quality(cause);
  if (cause == Cause::kUnknown) return alert.first.subject == Subject::kColumn || alert.first.subject == Subject::kQuality;
  // While the input is wrong, quality is expected to be; once it is repaired, a fall of quality is a thing of its own.
  if (alert.first.subject == Subject::kQuality) return about_quality(cause);
  if (alert.first.subject == Subject::kColumn) {
    return cause == Cause::kUnitChange && incident.diagnosis.column == alert.first.column;
  }
  return false;
}

}  // namespace

std::string_view status_name(Outcome::Status status) noexcept {
  switch (status) {
    case Status::kApplied: return "applied";
    case Status::kDenied: return "denied";
    case Status::kWaiting: return "waiting";
    case Status::kRunning: return "running";
    case Status::kFailed: return "failed";
  }
  return "";
}

std::vector<Performed> Ladder::on_tick(Micros now, std::span<const watch::Alert> moves,
                                       std::span<const plane::ActRecord> acts, const watch::Watch& watch, Effects& effects) {
  std::vector<Performed> performed;
  if (now <= last_tick_) return performed;
  Tick tick{now, watch, effects, performed};
  for (const std::string& key : std::exchange(deferred_, {})) {
    if (const watch::Alert* alert = watch.alerts().find(key)) take_in(*alert, tick);
  }
  for (const watch::Alert& move : moves) {
    if (move.stage == watch::AlertStage::kConfirmed) take_in(move, tick);
  }
  for (const plane::ActRecord& act : acts) {
    if (act.act == "source-readmit") readmitted_.push_back(act.target);
  }
  for (Incident& incident : incidents_) {
    if (incident.open()) advance(incident, tick);
  }
  last_tick_ = now;
  return performed;
}

void Ladder::take_in(const watch::Alert& alert, Tick& tick) {
  if (alert.first.subject == Subject::kPrediction) return;  // scores move when columns do: a sign, never a cause
  const watch::Diagnosis diagnosis = tick.watch.diagnose(alert);
  for (Incident& incident : incidents_) {
    if (!incident.open() || incident.step >= Step::kPostmortem || !explains(incident, alert, diagnosis)) continue;
    if (std::find(incident.keys.begin(), incident.keys.end(), alert.first.key) == incident.keys.end()) {
      incident.keys.push_back(alert.first.key);
      incident.evidence.push_back(alert.last.digest());
      incident.timeline.push_back({tick.now, fmt::format("joined by `{}`: {}", alert.first.key, diagnosis.reason), 0});
    }
    if (incident.step != Step::kAwaitQuiet) return;
    if (incident.diagnosis.cause == Cause::kUnknown && diagnosis.cause != Cause::kUnknown) {
      // A rule saw it first and could not say why; the window that followed can.
      const Micros change_from = std::min(incident.diagnosis.change_from, diagnosis.change_from);
      incident.diagnosis = diagnosis;
      incident.diagnosis.change_from = change_from;
      incident.timeline.push_back({tick.now, fmt::format("diagnosed as {}: {}", watch::cause_name(diagnosis.cause),
                                                         diagnosis.reason), 0});
      incident.step = first_response(incident);
      incident.step_since = tick.now;
    } else if (alert.first.subject == Subject::kQuality && incident.diagnosis.cause == Cause::kCovariateShift) {
      incident.step = Step::kCollect;
      incident.step_since = tick.now;
    }
    return;
  }
  if (cooling(alert, tick.now)) {
    deferred_.push_back(alert.first.key);
    return;
  }
  Incident incident;
  incident.id = fmt::format("incident-{:04}", ++opened_);
  incident.diagnosis = diagnosis;
  incident.keys = {alert.first.key};
  incident.evidence = {alert.first.digest()};
  if (alert.last.digest() != alert.first.digest()) incident.evidence.push_back(alert.last.digest());
  incident.raised_at = alert.first.to;
  incident.confirmed_at = tick.now;
  incident.step_since = tick.now;
  incident.rows_raised = alert.raised_rows;
  incident.rows_confirmed = alert.rows_seen;
  incident.refused_share = alert.first.subject == Subject::kContract ? alert.last.value : 0;
  incident.timeline.push_back({alert.first.to, fmt::format("`{}` at {:.4g}, above {:.4g}", alert.first.key, alert.first.value,
                                                           alert.first.threshold), 0});
  incident.timeline.push_back({tick.now, fmt::format("confirmed by fresh rows at {:.4g}", alert.last.value), 0});
  incident.timeline.push_back({tick.now, fmt::format("diagnosed as {}: {}", watch::cause_name(diagnosis.cause),
                                                     diagnosis.reason), 0});
  incidents_.push_back(std::move(incident));
}

bool Ladder::cooling(const watch::Alert& alert, Micros now) const {
  if (alert.first.subject == Subject::kContract || alert.first.subject == Subject::kPrior) return false;
  return std::any_of(incidents_.begin(), incidents_.end(), [&](const Incident& incident) {
    return !incident.open() && now < incident.recovered_at + options_.monitor.cool_down &&
           std::find(incident.keys.begin(), incident.keys.end(), alert.first.key) != incident.keys.end();
  });
}

void Ladder::advance(Incident& incident, Tick& tick) {
  consider_swap(incident, tick);
  while (incident.open()) {
    const Step next = step_on(incident, tick);
    if (next == incident.step) return;
    incident.step = next;
    incident.step_since = tick.now;
  }
}

Step Ladder::first_response(const Incident& incident) const {
  switch (incident.diagnosis.cause) {
    case Cause::kUnitChange: return Step::kQuarantine;
    case Cause::kContractFault: return incident.refused_share >= kWholeSource ? Step::kQuarantine : Step::kAwaitQuiet;
    case Cause::kTimeShift: return Step::kProposeRepair;
    case Cause::kConceptShift: return Step::kCollect;
    case Cause::kPriorShift: return Step::kRecalibrate;
    case Cause::kCovariateShift:
    case Cause::kUnknown: return Step::kAwaitQuiet;
  }
  return Step::kAwaitQuiet;
}

void Ladder::consider_swap(Incident& incident, Tick& tick) {
  const Cause cause = incident.diagnosis.cause;
  const bool in_time = incident.step == Step::kProposeRepair || incident.step == Step::kCollect ||
                       (incident.step == Step::kOpen && (cause == Cause::kTimeShift || cause == Cause::kConceptShift));
  if (!in_time || incident.swapped || incident.swap_refused) return;
  const auto& seen = tick.watch.comparison();
  if (!seen || seen->to <= std::max(incident.compared_until, incident.diagnosis.change_from)) return;
  if (incident.step == Step::kOpen) return;  // recorded first; looked at again in this very tick by `step_on`
  incident.compared_until = seen->to;
  if (!(seen->standby_log_loss + options_.swap_margin < seen->primary_log_loss)) return;
  const Outcome outcome = propose(
      incident, "slot.swap", "service/" + options_.service,
      doc::Value::object({{"primary_log_loss", seen->primary_log_loss},
                          {"standby_log_loss", seen->standby_log_loss},
                          {"rows", seen->rows}}),
      fmt::format("on {} labelled rows since the change the standby has log loss {:.3f}, the primary {:.3f}", seen->rows,
                  seen->standby_log_loss, seen->primary_log_loss),
      tick, std::to_string(seen->to));
  if (outcome.status == Status::kApplied) {
    incident.swapped = true;
    respond(incident, "swap to standby", tick);
  } else if (outcome.status == Status::kDenied) {
    incident.swap_refused = true;
  } else {
    incident.compared_until = 0;  // the same comparison counts again at the next tick
  }
}

Step Ladder::step_on(Incident& incident, Tick& tick) {
  const std::string service = "service/" + options_.service;
  const watch::Diagnosis& d = incident.diagnosis;
  switch (incident.step) {
    case Step::kOpen: {
      const Outcome outcome = propose(incident, "incident.open", "incident/" + incident.id,
                                      doc::Value::object({{"cause", watch::cause_name(d.cause)},
                                                          {"column", d.column},
                                                          {"source", d.source}}),
                                      d.reason, tick);
      if (!settled(outcome.status)) return incident.step;
      incident.step = first_response(incident);
      incident.step_since = tick.now;
      consider_swap(incident, tick);
      const Step next = step_on(incident, tick);
      return next;
    }
    case Step::kQuarantine: {
      const Outcome outcome =
          propose(incident, "source.quarantine", "source/" + d.source,
                  doc::Value::object({{"source", d.source}, {"rule", d.rule}, {"readmit_after", options_.readmit_after}}),
                  d.reason, tick);
      if (!settled(outcome.status)) return incident.step;
      if (outcome.status != Status::kApplied) return Step::kAwaitQuiet;
      respond(incident, "quarantine of source " + d.source, tick);
      return Step::kAwaitReadmit;
    }
    case Step::kAwaitReadmit: {
      const auto it = std::find(readmitted_.begin(), readmitted_.end(), d.source);
      if (it == readmitted_.end()) return incident.step;
      readmitted_.erase(it);
      incident.recovered_at = tick.now;
      return Step::kRelease;
    }
    case Step::kRelease: {
      const Outcome outcome = propose(incident, "source.release", "source/" + d.source,
                                      doc::Value::object({{"source", d.source}}),
                                      "the data plane found its rows clean and let it in", tick);
      return settled(outcome.status) ? Step::kPostmortem : incident.step;
    }
    case Step::kProposeRepair: {
      const Outcome outcome = propose(
          incident, "transform.propose", service,
          doc::Value::object({{"id", d.column + "-shift"},
                              {"field", d.column},
                              {"lag_hours", d.lag_hours},
                              {"expression", repair_expression(d)}}),
          d.reason, tick);
      if (!settled(outcome.status)) return incident.step;
      if (outcome.status != Status::kApplied) {
        incident.repair_refused = true;
        return Step::kCollect;
      }
      respond(incident, fmt::format("contract transform of `{}` by {:+d} h", d.column, -d.lag_hours), tick);
      return incident.swapped ? Step::kSwapBack : Step::kVerifyInput;
    }
    case Step::kSwapBack: {
      const Outcome outcome = propose(incident, "slot.swap", service, doc::Value::object({{"back", true}}),
                                      "the input is repaired: the primary of before takes over again", tick, "back");
      if (!settled(outcome.status)) return incident.step;
      incident.swapped = outcome.status != Status::kApplied;
      return Step::kVerifyInput;
    }
    case Step::kVerifyInput: {
      const auto key = std::find_if(incident.keys.begin(), incident.keys.end(),
                                    [](const std::string& name) { return name.starts_with("column/"); });
      const auto it = tick.watch.latest().find(key == incident.keys.end() ? incident.keys.front() : *key);
      if (it == tick.watch.latest().end() || it->second.from + kHour < incident.step_since) return incident.step;
      if (it->second.alert) return Step::kAwaitQuiet;
      incident.recovered_at = tick.now;
      return Step::kPostmortem;
    }
    case Step::kCollect: {
      const std::int64_t rows = tick.watch.labelled_since(d.change_from);
      const bool late = tick.now - incident.step_since > kCollectAtMost && rows >= options_.retrain_rows / 4;
      if (rows < options_.retrain_rows && !late) return incident.step;
      incident.retrain_started = tick.now;
      return Step::kRetrain;
    }
    case Step::kRetrain: {
      const Outcome outcome = propose(
          incident, "retrain.start", service,
          doc::Value::object({{"from", d.change_from},
                              {"rows", options_.retrain_rows},
                              {"started_at", incident.retrain_started}}),
          fmt::format("{} labelled rows since the change are there", options_.retrain_rows), tick);
      if (!settled(outcome.status)) return incident.step;
      incident.candidate = outcome.result.string_or("bundle");
      if (const doc::Value* metrics = outcome.result.find("metrics")) incident.candidate_metrics = doc::to_json(*metrics);
      const bool good = outcome.status == Status::kApplied && outcome.result.bool_or("gates_passed", true) &&
                        !incident.candidate.empty();
      if (!good) {
        incident.timeline.push_back({tick.now, "no candidate passed its gates: what serves stays; a person decides", 0});
        return Step::kAwaitQuiet;
      }
      return Step::kPromote;
    }
    case Step::kPromote: {
      const Outcome outcome =
          propose(incident, "release.promote", service,
                  doc::Value::object({{"bundle", incident.candidate},
                                      {"slot", "primary"},
                                      {"metrics", incident.candidate_metrics}}),
                  "retrained on rows since the change, past its gates", tick);
      if (!settled(outcome.status)) return incident.step;
      if (outcome.status != Status::kApplied) return Step::kAwaitQuiet;
      respond(incident, "bounded retrain", tick);
      return Step::kVerifyQuality;
    }
    case Step::kVerifyQuality: {
      const auto it = tick.watch.latest().find("quality/ratio");
      if (it == tick.watch.latest().end() || it->second.from + kHour < incident.step_since) return incident.step;
      if (it->second.value > options_.monitor.quality.alert_once) return Step::kRollBack;
      if (it->second.alert) return incident.step;
      incident.recovered_at = tick.now;
      return Step::kPostmortem;
    }
    case Step::kRollBack: {
      const Outcome outcome = propose(incident, "release.rollback", service, doc::Value::object(),
                                      "the new release is worth less than the base rate", tick);
      return settled(outcome.status) ? Step::kAwaitQuiet : incident.step;
    }
    case Step::kRecalibrate: {
      const Outcome outcome =
          propose(incident, "release.recalibrate", service,
                  doc::Value::object({{"intercept_delta", options_.recalibrate_share * d.intercept}}), d.reason, tick);
      if (!settled(outcome.status)) return incident.step;
      respond(incident, outcome.status == Status::kApplied ? "recalibration" : "none", tick);
      incident.recovered_at = tick.now;
      return Step::kPostmortem;
    }
    case Step::kAwaitQuiet: {
      if (incident.responded_at == 0) {
        respond(incident, d.cause == Cause::kContractFault ? "rows refused by the contract" : "none", tick);
      }
      for (const std::string& key : incident.keys) {
        const watch::Alert* alert = tick.watch.alerts().find(key);
        if (alert != nullptr) return incident.step;
      }
      incident.recovered_at = tick.now;
      return Step::kPostmortem;
    }
    case Step::kPostmortem: return write_postmortem(incident, tick);
    case Step::kClose: {
      const Outcome outcome = propose(incident, "incident.close", "incident/" + incident.id,
                                      doc::Value::object({{"recovered_at", incident.recovered_at}}),
                                      "recovered: " + incident.response, tick);
      return settled(outcome.status) ? Step::kDone : incident.step;
    }
    case Step::kDone: return incident.step;
  }
  return incident.step;
}

Step Ladder::write_postmortem(Incident& incident, Tick& tick) {
  const PostmortemInput input{incident, options_.monitor, options_.contract, options_.fields, options_.service,
                              options_.evaluation_file};
  const Postmortem pm = postmortem_of(input, tick.effects);
  doc::Value attributes = doc::Value::object({{"page", pm.page}, {"proof", pm.proof}});
  if (!pm.addition.empty()) {
    attributes.set("addition_file", pm.addition_file);
    attributes.set("addition_path", pm.addition_path);
    attributes.set("addition", pm.addition);
  }
  const Outcome outcome = propose(incident, "postmortem.write", "incident/" + incident.id, std::move(attributes),
                                  "page, addition and its proof on a branch for review", tick);
  return settled(outcome.status) ? Step::kClose : incident.step;
}

Outcome Ladder::propose(Incident& incident, std::string type, std::string target, doc::Value attributes, std::string reason,
                        Tick& tick, std::string_view attempt) {
  Action action;
  action.op_id = fmt::format("{}/{}/{}", incident.id, type, attempt);
  action.type = std::move(type);
  action.incident = incident.id;
  action.target = std::move(target);
  action.attributes = std::move(attributes);
  action.evidence = incident.evidence;
  action.reason = std::move(reason);
  action.event_time = tick.now;
  Result<Outcome> result = tick.effects.perform(action);
  Outcome outcome;
  if (result.ok()) {
    outcome = *std::move(result);
  } else {
    outcome.status = Status::kRunning;  // asked again at the next tick
    outcome.note = result.error().message;
  }
  if (settled(outcome.status) && action.type != "postmortem.write") {
    incident.timeline.push_back({tick.now, fmt::format("{} {}: {}", action.type, status_name(outcome.status),
                                                       outcome.note.empty() ? action.reason : outcome.note),
                                 outcome.entry});
  }
  tick.performed.push_back({std::move(action), outcome});
  return outcome;
}

void Ladder::respond(Incident& incident, std::string_view what, const Tick& tick) {
  if (!incident.response.empty()) incident.response += ", then ";
  incident.response += what;
  if (incident.responded_at != 0) return;
  incident.responded_at = tick.now;
  incident.rows_responded = tick.watch.rows_seen();
}

std::vector<std::string> Ladder::finished() const {
  std::vector<std::string> ids;
  for (const Incident& incident : incidents_) {
    if (!incident.open() && last_tick_ >= incident.recovered_at + options_.monitor.cool_down)
      ids.push_back(incident.id);
  }
  return ids;
}

void Ladder::let_go(std::span<const std::string> ids) {
  std::erase_if(incidents_, [&](const Incident& incident) {
    return std::find(ids.begin(), ids.end(), incident.id) != ids.end();
  });
}

doc::Value Ladder::to_value() const {
  doc::Value list = doc::Value::array();
  for (const Incident& incident : incidents_) list.push(incident.to_value());
  doc::Value sources = doc::Value::array();
  for (const std::string& source : readmitted_) sources.push(source);
  doc::Value waiting = doc::Value::array();
  for (const std::string& key : deferred_) waiting.push(key);
  return doc::Value::object({{"format", "heddle.recovery/1"},
                             {"last_tick", last_tick_},
                             {"opened", opened_},
                             {"incidents", std::move(list)},
                             {"deferred", std::move(waiting)},
                             {"readmitted", std::move(sources)}});
}

Result<void> Ladder::restore(const doc::Value& value) {
  const doc::Value* list = value.find("incidents");
  const doc::Value* sources = value.find("readmitted");
  const doc::Value* waiting = value.find("deferred");
  if (value.string_or("format") != "heddle.recovery/1" || list == nullptr || !list->is_array() || sources == nullptr ||
      !sources->is_array() || waiting == nullptr || !waiting->is_array()) {
    return Error{ErrorKind::kCorrupt, "recover-state", "the saved recovery state is malformed", "run `heddle audit verify`"};
  }
  incidents_.clear();
  readmitted_.clear();
  deferred_.clear();
  for (const doc::Value& item : list->as_array()) {
    HEDDLE_ASSIGN_OR_RETURN(Incident incident, Incident::from_value(item));
    incidents_.push_back(std::move(incident));
  }
  for (const doc::Value& source : sources->as_array()) {
    if (source.is_string()) readmitted_.push_back(source.as_string());
  }
  for (const doc::Value& key : waiting->as_array()) {
    if (key.is_string()) deferred_.push_back(key.as_string());
  }
  opened_ = value.int_or("opened", static_cast<std::int64_t>(incidents_.size()));
  last_tick_ = value.int_or("last_tick", INT64_MIN);
  return {};
}

}  // namespace heddle::recover
