#include "recover/postmortem.hpp"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "expr/names.hpp"
#include "plane/route.hpp"

namespace heddle::recover {

namespace {

using watch::Cause;

constexpr Micros kCleanBefore =
    3 * kDay;  ///< recorded traffic before the change that must stay quiet

doc::Value to_value(const Detection& d) {
  return doc::Value::object(
      {{"detected", d.detected}, {"rows", d.rows}, {"false_alerts", d.false_alerts}});
}

std::string in_words(const Detection& d) {
  return d.detected ? fmt::format("confirmed after {} rows, {} alerts before the change", d.rows,
                                  d.false_alerts)
                    : fmt::format("not confirmed, {} alerts before the change", d.false_alerts);
}

std::string what_next(const Incident& incident) {
  switch (incident.diagnosis.cause) {
    case Cause::kUnitChange:
      return "ask the owner of source " +
             plane::source_text(incident.diagnosis.account, incident.diagnosis.source) +
             " which release changed the unit; "
             "`heddle quarantine show` shows the rows that were kept out";
    case Cause::kContractFault:
      return "`heddle quarantine show` shows the refused rows; correct them upstream";
    case Cause::kTimeShift:
      return incident.repair_refused
                 ? "the transform was refused: correct the clock upstream"
                 : "correct the clock upstream, then take the transform out again";
    case Cause::kConceptShift:
      return "find out what changed in the world; the new model knows it only from few days";
    case Cause::kPriorShift: return "nothing, unless the base rate goes on moving";
    case Cause::kLabelFault:
      return "find out who sent the labels and what happened to them; send the right ones again";
    case Cause::kLabelConflict:
      return "find out whose labels are right, and take `label` from the account whose are not; "
             "what "
             "labels move waits for a person meanwhile";
    case Cause::kFailOver:
      return "see why the bundle that was left failed, and release one that does not";
    case Cause::kRepairOutlived: return "nothing: what a person released before answers again";
    case Cause::kCovariateShift:
      return "watch labelled quality; the model still holds on the new traffic";
    case Cause::kNoAnswers:
      return "see what refuses the rows: `heddle quarantine list` has the sources that are shut "
             "out, `heddle quarantine show` the rows";
    case Cause::kCostlyQuarantine:
      return "correct the rows that break the contract upstream; what is well beside them is "
             "answered";
    case Cause::kMonitorSilent:
      return "see that its rows or labels come in time, change the monitor's window or chunk, or "
             "take the metric out";
    case Cause::kUnrecorded:
      return "see that the disk has room and that the control plane keeps up; an account that "
             "sends "
             "more than its share has a limit in `limits.requests_per_second`";
    case Cause::kClockJump:
      return "correct the clock (`chronyc tracking`, `timedatectl`) or the recording; "
             "`heddle clock set` says that it is right";
    case Cause::kUnknown: return "a person looks: no cause of the catalogue fits";
  }
  return {};
}

std::string page_of(const PostmortemInput& input) {
  const Incident& i = input.incident;
  std::string page =
      fmt::format("# {}: {} in {}\n\n", i.id, watch::cause_name(i.diagnosis.cause), input.service);
  page += fmt::format(
      "- cause: {}\n- change from: {}\n- confirmed: {}\n- response: {}\n- recovered: {}\n- rows to "
      "alert, "
      "confirmation, response (all traffic so far): {}, {}, {}\n",
      i.diagnosis.reason, format_time(i.diagnosis.change_from), format_time(i.confirmed_at),
      i.response.empty() ? "none" : i.response,
      i.recovered_at == 0 ? "no" : format_time(i.recovered_at), i.rows_raised, i.rows_confirmed,
      i.rows_responded);
  page += "\n## Timeline (event time)\n";
  for (const TimelineEntry& e : i.timeline) {
    page += fmt::format("- {} {}{}\n", e.at == 0 ? "before the first tick" : format_time(e.at),
                        e.what, e.entry == 0 ? "" : fmt::format(" (ledger/{})", e.entry));
  }
  page += "\n## Evidence\n";
  for (const Digest& digest : i.evidence) page += "- " + digest.str() + "\n";
  return page;
}

}  // namespace

std::string repair_expression(const watch::Diagnosis& d) {
  return fmt::format("{} {} duration(\"{}h\")", expr::written(d.column),
                     d.lag_hours >= 0 ? "-" : "+", std::abs(d.lag_hours));
}

std::vector<Amendment> amendments(const Incident& incident, const spec::Monitor& monitor,
                                  const spec::Contract& contract) {
  const watch::Diagnosis& d = incident.diagnosis;
  Amendment out{monitor, false, "", "", ""};
  switch (d.cause) {
    case Cause::kTimeShift: {
      const bool is_time = std::any_of(
          contract.fields.begin(), contract.fields.end(), [&](const spec::Field& field) {
            return field.name == d.column && field.type == expr::Type::kTimestamp;
          });
      spec::MonitorRule rule;
      rule.id = "clock-of-" + d.column;
      const bool known =
          std::any_of(monitor.rules.begin(), monitor.rules.end(),
                      [&](const spec::MonitorRule& other) { return other.id == rule.id; });
      if (!is_time || known) return {};
      rule.expression.text =
          fmt::format("{0} - event_time > duration(\"1h\") || event_time - {0} > duration(\"1h\")",
                      expr::written(d.column));
      rule.threshold = 0.01;
      rule.window_rows = 500;
      out.path = "rules[]";
      out.yaml = fmt::format("- id: {}\n  expression: '{}'\n  threshold: {}\n  window_rows: {}\n",
                             rule.id, rule.expression.text, rule.threshold, rule.window_rows);
      out.why =
          "a clock that is wrong shows in every row against the time of the event: no whole day of "
          "hours is needed";
      out.monitor.rules.push_back(std::move(rule));
      return {out};
    }
    case Cause::kUnitChange:
    case Cause::kContractFault:
      out.monitor.refused_rows = std::max<std::int64_t>(10, monitor.refused_rows * 2 / 5);
      if (out.monitor.refused_rows >= monitor.refused_rows) return {};
      out.path = "refused_rows";
      out.yaml = std::to_string(out.monitor.refused_rows);
      out.why = "clean sources have next to no refusals, so fewer rows tell as surely";
      return {out};
    case Cause::kConceptShift: {
      std::vector<Amendment> list;
      if (monitor.quality.chunk_duration >= 2 * kHour) {
        out.monitor.quality.chunk_duration = monitor.quality.chunk_duration / 2;
        out.path = "quality.chunk_duration";
        out.yaml = fmt::format("{}m", out.monitor.quality.chunk_duration / kMinute);
        out.why = "half a chunk of labels already shows a ratio far above the threshold";
        list.push_back(out);
      }
      list.push_back({monitor, true, "gates[]",
                      "- id: keeps-the-order\n  when: metrics.auc > 0.55\n",
                      "the model that served put rows in the wrong order; no release may, whatever "
                      "its log loss"});
      return list;
    }
    case Cause::kPriorShift: {
      std::vector<Amendment> list;
      out.monitor.quality.prior_shift_chunks = std::max(5, monitor.quality.prior_shift_chunks - 2);
      if (out.monitor.quality.prior_shift_chunks < monitor.quality.prior_shift_chunks) {
        out.path = "quality.prior_shift_chunks";
        out.yaml = std::to_string(out.monitor.quality.prior_shift_chunks);
        out.why = "fewer chunks agree as well";
        list.push_back(out);
      }
      list.push_back({monitor, true, "gates[]",
                      "- id: base-rate-holds\n  when: metrics.calibration_error < 0.2\n",
                      "the base rate moved away from what was trained on; a release far from it "
                      "should not pass"});
      return list;
    }
    case Cause::kLabelFault:
    case Cause::kRepairOutlived:
    case Cause::kCovariateShift:
    case Cause::kMonitorSilent:
    case Cause::kNoAnswers:
    case Cause::kCostlyQuarantine:
    case Cause::kLabelConflict:
    case Cause::kFailOver:
    case Cause::kUnrecorded:
    case Cause::kClockJump:
    case Cause::kUnknown: return {};
  }
  return {};
}

Result<Detection> measure(const spec::Monitor& monitor, const PostmortemInput& input, Micros from,
                          Micros change_from, Micros to, Effects& effects) {
  HEDDLE_ASSIGN_OR_RETURN(watch::Watch watch,
                          watch::Watch::open({monitor, input.contract, input.fields}));
  for (watch::Route& route : effects.routes()) watch.register_route(std::move(route));
  Detection out;
  watch::Output sink;
  HEDDLE_TRY(effects.recorded(from, to, [&](const plane::Record& record) {
    if (const auto* request = std::get_if<plane::RequestRecord>(&record);
        request != nullptr && request->event_time >= change_from) {
      out.rows += static_cast<std::int64_t>(request->rows.size());
    }
    sink.findings.clear();
    sink.moves.clear();
    watch.observe(record, sink);
    for (const watch::Alert& move : sink.moves) {
      if (move.stage != watch::AlertStage::kConfirmed ||
          move.first.subject == watch::Subject::kPrediction)
        continue;
      // A metric that is silent in a part of the traffic, or what recovery cost, says nothing of
      // the change.
      const bool of_service = move.first.subject == watch::Subject::kMonitor ||
                              move.first.subject == watch::Subject::kAnswers;
      if (of_service) continue;
      if (move.last.to <= change_from) {
        ++out.false_alerts;
      } else {
        out.detected = true;
      }
    }
    return !out.detected;
  }));
  return out;
}

Postmortem postmortem_of(const PostmortemInput& input, Effects& effects) {
  const Incident& incident = input.incident;
  Postmortem out;
  out.page = page_of(input);
  out.page += "\n## Addition\n";
  const Micros change = incident.diagnosis.change_from;
  const Micros from = change - kCleanBefore;
  const Micros to = incident.confirmed_at + kHour;
  bool any = false;
  std::optional<Detection> before;
  for (Amendment& amendment : amendments(incident, input.monitor, input.contract)) {
    if (!before) {
      auto measured = measure(input.monitor, input, from, change, to, effects);
      if (!measured.ok()) {
        out.page +=
            "The recorded traffic could not be replayed: " + measured.error().message + "\n";
        break;
      }
      before = *measured;
    }
    const auto with = measure(amendment.monitor, input, from, change, to, effects);
    if (!with.ok()) {
      out.page += "The recorded traffic could not be replayed: " + with.error().message + "\n";
      break;
    }
    any = true;
    const bool better = with->detected && with->false_alerts <= before->false_alerts &&
                        (!before->detected || with->rows < before->rows);
    const std::string& file =
        amendment.evaluation ? input.evaluation_file : input.monitor.identity.file;
    out.page += fmt::format(
        "`{}` of `{}`: {}\n\n```yaml\n{}\n```\n\nReplayed on the recorded traffic from {}:\n- "
        "without: {}\n"
        "- with: {}\n",
        amendment.path, file, amendment.why, amendment.yaml, format_time(from), in_words(*before),
        in_words(*with));
    if (!better && !amendment.evaluation) {
      out.page += "\nNot proposed: it is no better on what was recorded.\n\n";
      continue;
    }
    if (amendment.evaluation)
      out.page +=
          "\nIt detects nothing by itself: it stops a release of the kind that failed here.\n";
    out.proof = doc::Value::object({{"without", to_value(*before)}, {"with", to_value(*with)}});
    out.addition_file = file;
    out.addition_path = std::move(amendment.path);
    out.addition = std::move(amendment.yaml);
    break;
  }
  if (!any)
    out.page +=
        "None: the definitions saw it as early as they could, or there is nothing to see "
        "earlier.\n";
  out.page += "\n## Next\n- " + what_next(incident) + "\n";
  return out;
}

}  // namespace heddle::recover
