#include "recover/stored.hpp"

#include <utility>

#include "recover/action.hpp"
#include "recover/cause.hpp"

namespace heddle::recover {
namespace {

using doc::Reader;
using doc::Schema;
using doc::Shape;
using doc::Value;

template <class T>
Schema<T> stored_record(std::string name, std::string about) {
  auto t = Schema<T>::record(std::move(name), std::move(about));
  t.refused_as(ErrorKind::kCorrupt, "recover-state",
               "go on with the Heddle that wrote it, or bring `.heddle/state.db` back from a "
               "backup");
  return t;
}

std::vector<std::pair<std::string, Step>> steps() {
  std::vector<std::pair<std::string, Step>> names;
  for (int step = 0; step <= static_cast<int>(Step::kDone); ++step)
    names.emplace_back(step_name(static_cast<Step>(step)), static_cast<Step>(step));
  return names;
}

std::vector<std::pair<std::string, ByHand::Kind>> by_hand_kinds() {
  using Kind = ByHand::Kind;
  std::vector<std::pair<std::string, Kind>> names;
  for (const Kind kind : {Kind::kOpen, Kind::kAcknowledge, Kind::kComment, Kind::kClose,
                          Kind::kQuarantine, Kind::kRelease})
    names.emplace_back(kind_name(kind), kind);
  return names;
}

std::vector<std::pair<std::string, stats::TaskKind>> tasks() {
  using stats::TaskKind;
  std::vector<std::pair<std::string, TaskKind>> names;
  for (const TaskKind kind : {TaskKind::kBinary, TaskKind::kClasses, TaskKind::kRegression})
    names.emplace_back(stats::task_name(kind), kind);
  return names;
}

const Schema<Diagnosis>& diagnosis_schema() {
  using D = Diagnosis;
  static const auto schema = [] {
    auto t = stored_record<D>("the diagnosis", "why a confirmed alert stands");
    t.custom(
        "cause", Shape::kText, "name of a row of the table of causes",
        [](D& into, const Value& value, Reader& reader) {
          const Cause* cause = causes().find(value.as_string());
          if (cause != nullptr) {
            into.cause = cause;
          } else {
            reader.refuse("", fmt::format("is `{}`, a cause that this Heddle does not have",
                                          value.as_string()));
          }
        },
        [](const D& from) -> std::optional<Value> { return Value(from.cause->name()); });
    t.text("column", &D::column, "that it is about; empty: of none");
    t.text("source", &D::source, "whose rows break the contract; empty: all");
    t.text("account", &D::account, "who sends the rows of `source`; empty: nobody knows");
    t.text("only_account", &D::only_account,
           "the account whose rows alone show it; empty: the rows of several do");
    t.text("only_label_account", &D::only_label_account,
           "the account whose labels alone show it; empty: the labels of several do");
    t.text("rule", &D::rule, "the contract rule that broke; empty: none");
    t.integer("good_rows", &D::good_rows,
              "rows a day of this account and source that break no rule");
    t.number("ratio", &D::ratio, "unit change: value over what was expected; else 1");
    t.text("ratio_name", &D::ratio_name, "what that ratio is called");
    t.integer("lag_hours", &D::lag_hours, "time shift, of the rows as they were received",
              std::numeric_limits<int>::min());
    t.numbers("offsets", &D::offsets,
              "prior shift: what would have to be added to the margins, one an output");
    t.micros("change_from", &D::change_from, "event time from which rows are affected");
    t.choice("task", &D::task, tasks(), "of what served then");
    t.integer("classes", &D::classes, "of it; 0: it is of none").optional();
    t.number("coverage", &D::coverage, "declared of its intervals; 0: it has none")
        .optional()
        .between(0, 1);
    t.text("reason", &D::reason, "one sentence for people");
    return t;
  }();
  return schema;
}

const Schema<TimelineEntry>& timeline_schema() {
  using Entry = TimelineEntry;
  static const auto schema = [] {
    auto t = stored_record<Entry>("the timeline entry", "what happened to an incident");
    t.micros("at", &Entry::at, "event time; 0: before the first tick");
    t.text("what", &Entry::what, "one sentence");
    t.integer("entry", &Entry::entry, "ledger entry; 0: none");
    t.text("by", &Entry::by, "the person whose act it was; empty: recovery's");
    return t;
  }();
  return schema;
}

/// The action of a failing record is typed by the member beside it.
void read_failing_action(Failing& into, const Value& value, Reader& reader) {
  const Value* record = value.find("record");
  const bool has_reason = value.find("reason") != nullptr;
  if (record == nullptr) {
    if (has_reason) reader.refuse("record", "is missing, and `reason` is there");
    return;
  }
  if (!has_reason) reader.refuse("reason", "is missing");
  if (!record->is_object()) return;  // a finding already
  auto what = what_of(into.type, *record);
  if (what.ok()) {
    into.record = *std::move(what);
  } else {
    reader.refuse("record", "is no action of its type: " + what.error().message);
  }
}

const Schema<Failing>& failing_schema() {
  static const auto schema = [] {
    auto t = stored_record<Failing>("the failing action",
                                    "an action that a fault of the machine keeps back");
    t.text("op_id", &Failing::op_id, "what it is proposed as").filled();
    t.text("type", &Failing::type, "its type").filled();
    t.choice("step", &Failing::step, steps(), "the step that proposes it");
    t.integer("tries", &Failing::tries, "so far", 1);
    t.micros("since", &Failing::since, "event time of the first try");
    t.micros("again", &Failing::again, "event time of the next one");
    t.text("error", &Failing::error, "of the last one");
    t.custom(
         "record", Shape::kMap,
         "its attributes, where no step proposes it again: it is tried until it is recorded",
         [](Failing&, const Value&, Reader&) {},  // by `read_failing_action`, with the type
         [](const Failing& from) -> std::optional<Value> {
           if (!from.record) return std::nullopt;
           return attributes_of(*from.record);
         })
        .optional();
    t.custom(
         "reason", Shape::kText, "of `record`, which it is there with",
         [](Failing& into, const Value& value, Reader&) { into.reason = value.as_string(); },
         [](const Failing& from) -> std::optional<Value> {
           if (!from.record) return std::nullopt;
           return from.reason;
         })
        .optional();
    t.finally(read_failing_action);
    return t;
  }();
  return schema;
}

struct StoredQuiet {
  std::string key{};
  Quiet quiet{};
};

const Schema<StoredQuiet>& quiet_schema() {
  static const auto quiet = [] {
    auto t = stored_record<Quiet>("the quiet metric", "newest windows of a metric");
    t.micros("seen", &Quiet::seen, "end of the newest window that was counted");
    t.integer("windows", &Quiet::windows, "quiet ones in a row");
    t.integer("whole", &Quiet::whole,
              "contract alerts: windows in a row in which most of the rows broke it");
    return t;
  }();
  static const auto schema = [] {
    auto t = stored_record<StoredQuiet>("the quiet metric", "newest windows of a metric");
    t.text("key", &StoredQuiet::key, "the metric").filled();
    t.flattened(&StoredQuiet::quiet, quiet);
    return t;
  }();
  return schema;
}

const Schema<watch::IntervalRefit>& refit_schema() {
  using Refit = watch::IntervalRefit;
  static const auto schema = [] {
    auto t = stored_record<Refit>("the refit", "an interval's quantile that was fitted anew");
    t.number("quantile", &Refit::quantile, "the new one");
    t.integer("rows", &Refit::rows, "it was fitted on, the newest; 0: there is none");
    t.number("held", &Refit::held, "share of their labels that the interval of before held");
    t.number("held_newer", &Refit::held_newer,
             "share of the newer half that the fit on the older half held");
    t.boolean("is_stable", &Refit::is_stable, "what was fitted on the older half holds the newer");
    return t;
  }();
  return schema;
}

/// Which signs of its fault an incident looks at, and when what was done took effect.
void incident_members(Schema<Incident>& t) {
  using I = Incident;
  t.text("response", &I::response, "what was done, in a few words");
  t.micros("raised_at", &I::raised_at, "event time of the alert");
  t.micros("confirmed_at", &I::confirmed_at, "event time at which it was confirmed");
  t.micros("responded_at", &I::responded_at, "event time of the first response; 0: none yet");
  t.micros("recovered_at", &I::recovered_at, "event time of the recovery; 0: not yet");
  t.micros("step_since", &I::step_since, "event time at which the step was entered");
  t.integer("rows_raised", &I::rows_raised, "rows observed by then, over all traffic");
  t.integer("rows_confirmed", &I::rows_confirmed, "likewise");
  t.integer("rows_responded", &I::rows_responded, "likewise");
  t.number("refused_share", &I::refused_share, "contract alerts: of the confirming rows");
  t.boolean("swapped", &I::swapped, "the standby took over for it");
  t.boolean("swap_refused", &I::swap_refused, "a swap was refused");
  t.boolean("swap_asked", &I::swap_asked, "a question about a swap waits for its answer");
  t.integer("swaps", &I::swaps, "done so far");
  t.objects("failing", &I::failing, failing_schema(), "actions that are tried again later");
  t.text("opened_by", &I::opened_by, "the person who opened it; empty: an alert did");
  t.text("acknowledged_by", &I::acknowledged_by, "the person who knows of it");
  t.text("closed_by", &I::closed_by, "the person who closed it; empty: recovery does");
  t.micros("closed_at", &I::closed_at, "event time of that");
  t.boolean("page_due", &I::page_due, "its page is written at the next tick");
  t.boolean("shut_out", &I::shut_out,
            "closed by a person while its source is under its quarantine");
  t.boolean("release_refused", &I::release_refused,
            "the release of a quarantine that cost more than its budget was refused");
  t.boolean("repair_refused", &I::repair_refused, "a repair of the input was refused");
  t.micros("compared_until", &I::compared_until,
           "event time of the latest comparison of the slots that was looked at");
  t.text("candidate", &I::candidate, "digest of the retrained bundle; empty: none");
  t.text("candidate_metrics", &I::candidate_metrics, "JSON; empty: none");
  t.micros("retrain_started", &I::retrain_started, "event time; 0: not yet");
  t.objects_as(
      "quiet", quiet_schema(), "metrics that must be quiet before it is over",
      [](const I& from) {
        std::vector<StoredQuiet> items;
        for (const auto& [key, quiet] : from.quiet) items.push_back({key, quiet});
        return items;
      },
      [](I& into, std::vector<StoredQuiet> items) {
        for (auto& item : items) into.quiet[std::move(item.key)] = item.quiet;
      });
  t.boolean("stands", &I::stands, "closed without having gone away");
  t.boolean("unverified", &I::unverified, "closed without rows that could tell");
  t.integer("reconsidered", &I::reconsidered, "how often its response was decided anew");
  t.micros("let_in_at", &I::let_in_at, "event time at which its source was let in again; 0: not");
  t.integer("escalations", &I::escalations, "how often people were told that this step waits");
  t.text("why", &I::why, "the last reason to take something back or to let it be");
  t.text("act", &I::act, "id of the act that it verifies or takes back; empty: none");
  t.micros("clock", &I::clock,
           "time shift: where the field's clock stood when it was diagnosed, microseconds");
  t.object("refit", &I::refit, refit_schema(), "of the interval, when it was recalibrated");
}

const Schema<Readmitted>& readmitted_schema() {
  static const auto schema = [] {
    auto t = stored_record<Readmitted>("the source", "a source that the data plane let in again");
    t.text("source", &Readmitted::source, "its name");
    t.text("account", &Readmitted::account, "of the quarantine; empty: it held for all");
    return t;
  }();
  return schema;
}

/// What members of several kinds must agree on.
void check_act(StoredAct& into, const Value&, Reader& reader) {
  if (into.kind == RecalibrationInForce::kName && into.offsets.empty())
    return reader.refuse("offsets", "must have a number for each output");
  // Through the act and back: a member that its kind does not have is lost on the way, and shows.
  if (!into.kind.empty() && into != stored(act_of(into)))
    reader.refuse("kind",
                  fmt::format("is `{}`, and a member of another kind is not empty", into.kind));
}

}  // namespace

StoredAct stored(const Act& act) {
  StoredAct out;
  out.id = act.id;
  out.kind = act_name(act.kind);
  out.incident = act.incident;
  out.since = act.since;
  out.made = act.made;
  out.kept = act.kept;
  std::visit(overloaded{[&](const TransformInForce& t) {
                          out.field = t.field;
                          out.transform = t.transform;
                          out.lag_hours = t.lag_hours;
                          out.clock = t.clock;
                        },
                        [&](const RecalibrationInForce& r) {
                          out.offsets = r.offsets;
                          out.quantile = r.quantile;
                        },
                        [&](const SwapInForce& s) { out.before = s.before; },
                        [&](const ReleaseInForce& r) {
                          out.before = r.before;
                          out.on_standby = r.on_standby;
                        }},
             act.kind);
  return out;
}

Act act_of(const StoredAct& stored) {
  Act out;
  out.id = stored.id;
  out.incident = stored.incident;
  out.since = stored.since;
  out.made = stored.made;
  out.kept = stored.kept;
  // The schema has refused every other name.
  if (stored.kind == TransformInForce::kName) {
    out.kind = TransformInForce{stored.field, stored.transform, stored.lag_hours, stored.clock};
  } else if (stored.kind == RecalibrationInForce::kName) {
    out.kind = RecalibrationInForce{stored.offsets, stored.quantile};
  } else if (stored.kind == SwapInForce::kName) {
    out.kind = SwapInForce{stored.before};
  } else {
    out.kind = ReleaseInForce{stored.before, stored.on_standby};
  }
  return out;
}

const Schema<StoredAct>& act_schema() {
  using A = StoredAct;
  static const auto schema = [] {
    auto t = stored_record<A>("the act", "something that recovery did and that is in force");
    t.text("id", &A::id, "names its trial").filled();
    t.text("kind", &A::kind, "what it is")
        .one_of({std::string(TransformInForce::kName), std::string(RecalibrationInForce::kName),
                 std::string(SwapInForce::kName), std::string(ReleaseInForce::kName)});
    t.text("incident", &A::incident, "that did it");
    t.micros("since", &A::since, "event time of the decision");
    t.text("field", &A::field, "transform: the field that it repairs");
    t.text("transform", &A::transform, "transform: its id in the contract");
    t.integer("lag_hours", &A::lag_hours, "transform: hours that are taken off",
              std::numeric_limits<int>::min());
    t.numbers("offsets", &A::offsets,
              "recalibration: what was added to the margins, one an output");
    t.number("quantile", &A::quantile, "recalibration: what was added to that of the interval")
        .optional();
    t.text("before", &A::before, "swap, release: digest of what was served before");
    t.text("made", &A::made, "digest of what serves by it");
    t.boolean("on_standby", &A::on_standby,
              "release: what was served before was a standby that had taken over");
    t.boolean("kept", &A::kept, "policy or a person does not let it be taken back");
    t.micros("clock", &A::clock,
             "transform: where the field's clock stood when it was repaired, microseconds; absent: "
             "rows did not agree");
    t.finally(check_act);
    return t;
  }();
  return schema;
}

const Schema<Incident>& incident_schema() {
  using I = Incident;
  static const auto schema = [] {
    auto t = stored_record<I>("the incident", "a confirmed alert with a cause, and its response");
    t.text("id", &I::id, "`incident-0001`, in order of opening").filled();
    t.choice("step", &I::step, steps(), "where it stands");
    t.object("diagnosis", &I::diagnosis, diagnosis_schema(), "why its alert stands");
    t.texts("keys", &I::keys, "alerts that belong to it; the first one opened it");
    t.digests("evidence", &I::evidence, "of the findings behind it");
    t.objects("timeline", &I::timeline, timeline_schema(), "what happened, oldest first");
    incident_members(t);
    return t;
  }();
  return schema;
}

const Schema<ByHand>& by_hand_schema() {
  static const auto schema = [] {
    auto t = stored_record<ByHand>("the act by hand", "what a person did");
    t.choice("kind", &ByHand::kind, by_hand_kinds(), "what was done");
    t.integer("number", &ByHand::number, "from 1, one more each time", 1);
    t.micros("after", &ByHand::after,
             "event time of the tick it came after; -9223372036854775808: of none");
    t.text("by", &ByHand::by, "the person");
    t.text("text", &ByHand::text, "why, one line");
    t.integer("entry", &ByHand::entry, "ledger entry");
    t.text("incident", &ByHand::incident,
           "its id; of `quarantine` and `release` empty: every open one of the source");
    t.text("source", &ByHand::source, "of `quarantine` and `release`; of `open`: if it is of one");
    t.text("account", &ByHand::account, "of the source; empty: everybody's");
    t.texts("in_force", &ByHand::in_force, "of `close`: what goes on, in words");
    t.boolean("shut_out", &ByHand::shut_out,
              "of `close`: its source is still under its quarantine");
    return t;
  }();
  return schema;
}

const Schema<LadderState>& ladder_state_schema() {
  using State = LadderState;
  static const auto schema = [] {
    auto t = stored_record<State>("the saved recovery state", "recovery without its incidents");
    t.of_format("heddle.recovery/1");
    t.micros("last_tick", &State::last_tick,
             "event time of the last tick; -9223372036854775808: there was none");
    t.integer("opened", &State::opened, "incidents there ever were");
    t.integer("by_hand", &State::by_hand, "number of the last act by hand that was taken");
    t.objects_as(
        "acts", act_schema(), "what is in force, the oldest first",
        [](const State& from) {
          std::vector<StoredAct> items;
          for (const Act& act : from.acts) items.push_back(stored(act));
          return items;
        },
        [](State& into, std::vector<StoredAct> items) {
          for (const StoredAct& item : items) into.acts.push_back(act_of(item));
        });
    t.integer("recalibrations_taken_back", &State::recalibrations_taken_back,
              "so far: each doubles the pause before the next one");
    t.micros("recalibrate_again", &State::recalibrate_again, "no recalibration before");
    t.texts("deferred", &State::deferred,
            "keys of confirmed alerts that wait out the cool-down of an incident before");
    t.objects("readmitted", &State::readmitted, readmitted_schema(),
              "sources that the data plane let in, not yet taken up");
    return t;
  }();
  return schema;
}

}  // namespace heddle::recover
