#include "recover/postmortem.hpp"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "expr/names.hpp"
#include "recover/cause.hpp"

namespace heddle::recover {

namespace {

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

std::string page_of(const PostmortemInput& input) {
  const Incident& i = input.incident;
  std::string page =
      fmt::format("# {}: {} in {}\n\n", i.id, i.diagnosis.cause->name(), input.service);
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

std::string repair_expression(const Diagnosis& d) {
  return fmt::format("{} {} duration(\"{}h\")", expr::written(d.column),
                     d.lag_hours >= 0 ? "-" : "+", std::abs(d.lag_hours));
}

Result<Detection> measure(const spec::Monitor& monitor, const PostmortemInput& input, Micros from,
                          Micros change_from, Micros to, Recording& recording) {
  HEDDLE_ASSIGN_OR_RETURN(watch::Watch watch,
                          watch::Watch::open({monitor, input.contract, input.fields}));
  // Rows may be of any release that there was: each has its own baseline.
  for (watch::Route& route : recording.routes()) watch.register_route(std::move(route));
  Detection out;
  watch::Output sink;
  HEDDLE_TRY(recording.records(from, to, [&](const plane::Record& record) {
    // Rows from the change on are what a definition needed to see it.
    if (const auto* request = std::get_if<plane::RequestRecord>(&record);
        request != nullptr && request->event_time >= change_from) {
      out.rows += static_cast<std::int64_t>(request->rows.size());
    }
    sink.findings.clear();
    sink.moves.clear();
    watch.observe(record, sink);
    for (const watch::Alert& move : sink.moves) {
      if (move.stage != watch::AlertStage::kConfirmed ||
          // Scores move when anything does: that they did is no detection.
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
    // Nothing after the first confirmed alert changes what is measured.
    return !out.detected;
  }));
  return out;
}

Postmortem postmortem_of(const PostmortemInput& input, Recording& recording) {
  const Incident& incident = input.incident;
  Postmortem out;
  out.page = page_of(input);
  out.page += "\n## Addition\n";
  const Micros change = incident.diagnosis.change_from;
  const Micros from = change - kCleanBefore;
  // Past the tick that confirmed it: what is at `to` is not read any more.
  const Micros to = incident.confirmed_at + kHour;
  bool said = false;  // what became of an amendment
  std::optional<Detection> before;
  for (Amendment& amendment :
       incident.diagnosis.cause->amendments(incident, input.monitor, input.contract)) {
    // Once, and only where there is an amendment to hold against it: it replays days of traffic.
    if (!before) {
      auto measured = measure(input.monitor, input, from, change, to, recording);
      if (!measured.ok()) {
        out.page +=
            "The recorded traffic could not be replayed: " + measured.error().message + "\n";
        said = true;
        break;
      }
      before = *measured;
    }
    const auto with = measure(amendment.monitor, input, from, change, to, recording);
    if (!with.ok()) {
      out.page += "The recorded traffic could not be replayed: " + with.error().message + "\n";
      said = true;
      break;
    }
    said = true;
    // It must see the change, sooner than today's definition, and for no more false alerts.
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
    // A gate is no detector: a replay of traffic says nothing of it, and it is proposed by its
    // reason.
    if (!better && !amendment.evaluation) {
      out.page += "\nNot proposed: it is no better on what was recorded.\n\n";
      continue;
    }
    if (amendment.evaluation)
      out.page +=
          "\nIt detects nothing by itself: it stops a release of the kind that failed here.\n";
    // The first that is better: one change at a time can be judged, and reviewed.
    out.proof = doc::Value::object({{"without", to_value(*before)}, {"with", to_value(*with)}});
    out.addition_file = file;
    out.addition_path = std::move(amendment.path);
    out.addition = std::move(amendment.yaml);
    break;
  }
  if (!said)
    out.page +=
        "None: the definitions saw it as early as they could, or there is nothing to see "
        "earlier.\n";
  out.page += "\n## Next\n- " + incident.diagnosis.cause->next(incident) + "\n";
  return out;
}

Postmortem postmortem_without(const PostmortemInput& input, const std::string& why) {
  /// Nothing that can be read.
  class Unread final : public Recording {
   public:
    explicit Unread(const std::string& why) : why_(why) {}
    Result<void> records(Micros, Micros,
                         const std::function<bool(const plane::Record&)>&) override {
      return Error{ErrorKind::kUnavailable, "recording-unread", why_};
    }
    std::vector<watch::Route> routes() override { return {}; }

   private:
    const std::string& why_;
  };
  Unread recording(why);
  return postmortem_of(input, recording);
}

}  // namespace heddle::recover
