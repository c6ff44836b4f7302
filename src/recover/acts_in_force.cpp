// What recovery did and what came of it: every act in force is held against what would be served
// without it.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

#include <fmt/format.h>

#include "recover/cause.hpp"
#include "recover/ladder.hpp"
#include "stats/quality.hpp"

namespace heddle::recover {

namespace {

using Status = Outcome::Status;

constexpr Micros kVerifyAtMost = 7 * kDay;  ///< an act that has not paid by then is taken back
constexpr Micros kProveAtMost =
    7 * kDay;  ///< a candidate that has not shown itself better by then is none
constexpr Micros kTellEvery = 3 * kDay;  ///< people are told that a step waits, at the most
constexpr int kMostBackoff = 5;

/// Where the clock of the field stood before it was wrong.
Micros right_clock(Micros wrong, int lag_hours) { return wrong - lag_hours * kHour; }

bool is_back(Micros now, Micros wrong, int lag_hours) {
  // Nearer to where it should be than to where it was wrong: clocks read a little off.
  return std::llabs(now - right_clock(wrong, lag_hours)) < std::llabs(now - wrong);
}

/// Labelled rows of one chunk duration. Where few rows come a chunk is of several, and a loss that
/// is allowed by the chunk would be much of a month's.
std::int64_t rows_of_duration(const watch::Watch& watch, Micros duration) {
  const auto at = watch.latest().find("quality/ratio");
  if (at == watch.latest().end() || at->second.to - at->second.from <= duration)
    return watch.rows_of_chunk();
  return at->second.rows * duration / (at->second.to - at->second.from);
}

/// What the trial of an act is about.
std::string loss_of(const Act& act, const watch::Watch& watch) {
  const auto* recalibration = act.as<RecalibrationInForce>();
  const bool of_intervals = recalibration != nullptr && recalibration->quantile != 0;
  return fmt::format("{}{}", stats::loss_name(watch.task().kind),
                     of_intervals ? " with the quantile loss of the intervals" : "");
}

double hours(Micros time) { return static_cast<double>(time) / static_cast<double>(kHour); }

}  // namespace

std::vector<std::pair<std::string, std::string>> Ladder::candidates() const {
  std::vector<std::pair<std::string, std::string>> out;
  for (const Incident& incident : state_.incidents) {
    // While its promotion is asked for as well: the answer may come weeks after the proof.
    if (incident.step == Step::kProve || incident.step == Step::kPromote)
      out.emplace_back(incident.id + "/candidate", incident.candidate);
  }
  return out;
}

const Act* Ladder::act_of(const std::string& id) const {
  const auto at = std::find_if(state_.acts.begin(), state_.acts.end(),
                               [&](const Act& act) { return act.id == id; });
  return at == state_.acts.end() ? nullptr : &*at;
}

const Act* Ladder::repair_of(const std::string& field) const {
  const auto at = std::find_if(state_.acts.begin(), state_.acts.end(), [&](const Act& act) {
    const auto* repair = act.as<TransformInForce>();
    return repair != nullptr && repair->field == field;
  });
  return at == state_.acts.end() ? nullptr : &*at;
}

const Act* Ladder::swap_in_force() const {
  const auto at = std::find_if(state_.acts.begin(), state_.acts.end(),
                               [](const Act& act) { return act.is<SwapInForce>(); });
  return at == state_.acts.end() ? nullptr : &*at;
}

void Ladder::begin(Act act) {
  // One repair a field, one recalibration, one swap: the newer one supersedes.
  std::erase_if(state_.acts, [&](const Act& old) {
    return old.kind.index() == act.kind.index() && old.field() == act.field();
  });
  state_.acts.push_back(std::move(act));
}

Diagnosis Ladder::with_acts(Diagnosis diagnosis) const {
  if (diagnosis.cause != &time_shift()) return diagnosis;
  const Act* act = repair_of(diagnosis.column);
  if (act == nullptr) return diagnosis;
  const auto* repair = act->as<TransformInForce>();
  const int beside = diagnosis.lag_hours;
  // Lags are those of a day's hours.
  int lag = (repair->lag_hours + beside) % 24;
  if (lag > 12) lag -= 24;
  if (lag < -12) lag += 24;
  diagnosis.lag_hours = lag;
  // The shift that the rows show beside the repair undoes the repair: the rows are right by
  // themselves.
  if (lag == 0) {
    diagnosis.cause = &outlived_repair();
    diagnosis.reason = fmt::format(
        "the shift of `{}` by {:+d} h is over: without its repair the hours are as they were",
        diagnosis.column, repair->lag_hours);
  } else {
    diagnosis.reason =
        fmt::format("`{}` is shifted by {:+d} h, of which the repair in force takes {:+d} h",
                    diagnosis.column, lag, repair->lag_hours);
  }
  return diagnosis;
}

void Ladder::verify_acts(Tick& tick) {
  const std::vector<Act> acts = state_.acts;  // taking one back changes the list
  for (const Act& act : acts) {
    if (act_of(act.id) == nullptr) continue;
    if (!tick.effects.in_force(act)) {
      forget(act, tick);
    } else if (!act.kept) {
      // Policy, a person or an error that stays did not let it be taken back: that is not proposed
      // again at every tick.
      verify(act, tick);
    }
  }
}

void Ladder::forget(const Act& act, const Tick& tick) {
  std::erase_if(state_.acts, [&](const Act& each) { return each.id == act.id; });
  for (Incident& incident : state_.incidents) {
    if (incident.id != act.incident && incident.act != act.id) continue;
    incident.timeline.push_back(
        {tick.now,
         fmt::format("the {} is not in force any more: a release replaced it", act_text(act)), 0});
    // The release decided who is primary: there is nothing left to swap back.
    if (act.is<SwapInForce>()) incident.swapped = false;
  }
}

/// What the data plane did by itself is verified as what recovery does: the standby against what
/// was left, on the rows that both answer.
void Ladder::take_fail_over(const plane::ActRecord& record, Tick& tick) {
  const auto routes = tick.effects.routes();
  const std::string serves = routes.empty() ? std::string() : routes.back().primary.str();
  if (serves.empty() || serves == record.target) return;  // policy did not cover it
  auto of =
      std::find_if(state_.incidents.begin(), state_.incidents.end(), [](const Incident& each) {
        return each.diagnosis.cause == &fail_over() && each.step < Step::kByHand;
      });
  const std::string what = "the data plane failed over: " + record.reason;
  if (of == state_.incidents.end()) {
    Diagnosis diagnosis;
    diagnosis.cause = &fail_over();
    diagnosis.change_from = record.event_time;
    diagnosis.reason = what;
    (void)open(std::move(diagnosis), tick);
    of = std::prev(state_.incidents.end());
    of->keys = {"act/" + of->id + "/swap/1"};
    respond(*of, "failed over to the standby", tick);
  } else if (of->step != Step::kOpen) {
    of->step = Step::kVerifyAct;
    of->step_since = tick.now;
  }
  of->timeline.push_back({tick.now, what, 0});
  of->let_in_at = 0;
  ++of->swaps;
  // Each has a trial of its own: labels of the one before say nothing of this one.
  of->act = fmt::format("{}/swap/{}", of->id, of->swaps);
  begin({of->act, SwapInForce{record.target}, of->id, tick.now, serves});
}

/// Somebody released another, or the slots changed back: what answers since is looked at for a day.
Step Ladder::verify_end_of_fail_over(Incident& incident, Tick& tick) {
  if (incident.let_in_at == 0) {
    incident.let_in_at = tick.now;
    incident.rows_responded = tick.watch.rows_seen();
    incident.timeline.push_back({tick.now,
                                 "the fail-over is over: later rows tell whether that "
                                 "holds",
                                 0});
  }
  const bool enough =
      tick.now >= incident.let_in_at + kDay &&
      tick.watch.rows_seen() >= incident.rows_responded + options_.monitor.window_rows;
  if (enough) {
    incident.recovered_at = tick.now;
    return Step::kPostmortem;
  }
  if (tick.now < incident.let_in_at + kVerifyAtMost) return incident.step;
  incident.unverified = true;
  return Step::kPostmortem;
}

std::string Ladder::why_not(const Act& act, const Tick& tick) const {
  const auto* repair = act.as<TransformInForce>();
  if (repair != nullptr && repair->clock) {
    const auto now = tick.watch.clock(repair->field);
    if (now && is_back(*now, *repair->clock, repair->lag_hours)) {
      return fmt::format(
          "the clock of `{}` stands {:+.1f} h from the event, {:+.1f} h when it was repaired: the "
          "rows explain themselves "
          "without the repair",
          repair->field, hours(*now), hours(*repair->clock));
    }
    // The clock is as wrong as it was, so the repair is right, whatever labels say: what they say
    // is of something else.
    if (now && std::llabs(*now - *repair->clock) < watch::ClockRuns::kTolerance) return {};
  }
  const watch::Trial* trial = tick.watch.trial(act.id);
  const Micros duration = options_.monitor.quality.chunk_duration;
  if (trial == nullptr || !trial->loses(options_.most_lost, rows_of_duration(tick.watch, duration)))
    return {};
  return fmt::format(
      "the {} of {} does not pay any more: on the last of {} labelled rows it lost {:.0f}{} "
      "against what would be "
      "served without it",
      act_name(act.kind), act.incident, trial->rows, trial->lost(),
      stats::loss_unit(tick.watch.task().kind));
}

void Ladder::verify(const Act& act, Tick& tick) {
  // It is in the model that waits behind the standby: nothing is known of it meanwhile.
  if (act.is<RecalibrationInForce>() && swap_in_force() != nullptr) return;
  const std::string why = why_not(act, tick);
  if (why.empty()) {
    follow_clock(act, tick);
    return;
  }
  // Where its incident is still open, that one goes on with it; otherwise it gets one of its own.
  const auto owner =
      std::find_if(state_.incidents.begin(), state_.incidents.end(), [&](const Incident& i) {
        return i.open() && i.step < Step::kPostmortem && (i.id == act.incident || i.act == act.id);
      });
  if (owner == state_.incidents.end()) {
    Diagnosis diagnosis;
    diagnosis.cause = &outlived_repair();
    diagnosis.column = act.field();
    diagnosis.change_from = tick.now;
    diagnosis.reason = why;
    Incident& incident = open(std::move(diagnosis), tick);
    incident.act = act.id;
    incident.keys = {"act/" + act.id};
    incident.timeline.push_back({tick.now, why, 0});
    return;
  }
  if (act.is<SwapInForce>() && owner->step != Step::kSwapBack) {
    // The incident goes on without it.
    owner->why = why;
    const Status status = take_back(*owner, act, tick);
    if (status != Status::kWaiting && status != Status::kRunning)
      owner->timeline.push_back({tick.now, why, 0});
    if (status == Status::kApplied || status == Status::kOvertaken) {
      owner->swapped = false;
      owner->swap_refused = true;
    }
    return;
  }
  if (owner->step == Step::kWithdraw || owner->step == Step::kOpen ||
      owner->step == Step::kSwapBack)
    return;  // under way
  owner->why = why;
  owner->timeline.push_back({tick.now, why, 0});
  owner->act = act.id;
  owner->leave_step();
  owner->step = Step::kWithdraw;
  owner->step_since = tick.now;
}

void Ladder::follow_clock(const Act& act, const Tick& tick) {
  const auto* repair = act.as<TransformInForce>();
  if (repair == nullptr || !repair->clock) return;
  const auto now = tick.watch.clock(repair->field);
  if (!now || std::llabs(*now - *repair->clock) < watch::ClockRuns::kTolerance) return;
  const auto lag =
      static_cast<int>(std::lround(hours(*now - right_clock(*repair->clock, repair->lag_hours))));
  // It is back, which `why_not` tells, or rounding hides the difference.
  if (lag == 0 || lag == repair->lag_hours) return;
  // One incident for one lag: a repair of it that somebody refused is not proposed anew at every
  // tick.
  const bool known =
      std::any_of(state_.incidents.begin(), state_.incidents.end(), [&](const Incident& i) {
        return i.diagnosis.cause == &time_shift() && i.diagnosis.column == repair->field &&
               i.diagnosis.lag_hours == lag &&
               (i.open() ? i.step != Step::kDone : i.confirmed_at >= act.since);
      });
  if (known) return;
  Diagnosis diagnosis;
  diagnosis.cause = &time_shift();
  diagnosis.column = repair->field;
  diagnosis.lag_hours = lag;
  diagnosis.change_from = tick.now;
  diagnosis.reason = fmt::format(
      "the clock of `{}` moved: it is ahead by {:+d} h now, {:+d} h when it was repaired",
      repair->field, lag, repair->lag_hours);
  Incident& incident = open(diagnosis, tick);
  for (const auto& [key, finding] : tick.watch.latest()) {
    if (finding.subject == watch::Subject::kColumn && finding.column == repair->field)
      incident.keys.push_back(key);
  }
  for (const std::string& key : incident.keys) incident.quiet[key] = {tick.now, 0};
  if (incident.keys.empty()) incident.keys.push_back("clock/" + repair->field);
  incident.timeline.push_back({tick.now, diagnosis.reason, 0});
}

bool Ladder::reads_as_diagnosed(const Incident& incident, const Tick& tick) {
  if (!incident.clock) return true;
  const auto now = tick.watch.clock(incident.diagnosis.column);
  return now && std::llabs(*now - *incident.clock) < watch::ClockRuns::kTolerance;
}

/// A shift that became another while its repair waits for an answer: what was asked is not true any
/// more.
void Ladder::follow_shift(Incident& incident, std::string_view proposal, Tick& tick) {
  Diagnosis& d = incident.diagnosis;
  const auto now = tick.watch.clock(d.column);
  if (!incident.clock || !now || std::llabs(*now - *incident.clock) < watch::ClockRuns::kTolerance)
    return;
  const auto lag =
      static_cast<int>(std::lround(hours(*now - right_clock(*incident.clock, d.lag_hours))));
  if (lag == 0 || lag == d.lag_hours) return;
  const std::string why = fmt::format(
      "the clock of `{}` moved while its repair waited: it is ahead by {:+d} h now, "
      "{:+d} h when it was diagnosed",
      d.column, lag, d.lag_hours);
  (void)lapse(incident, why, proposal, tick);
  ++incident.reconsidered;
  incident.clock = now;
  d.lag_hours = lag;
  d.reason = why;
}

Outcome::Status Ladder::take_back(Incident& incident, const Act& act, Tick& tick) {
  const Act taken = act;  // `act` may be in the list that changes
  const std::string reason = !incident.why.empty() ? incident.why : incident.diagnosis.reason;
  // A person said yes to a repair and to a release: the labels of one account alone do not undo it
  // for the others.
  const watch::Trial* trial = tick.watch.trial(taken.id);
  const bool by_labels =
      trial != nullptr &&
      (trial->loses(options_.most_lost,
                    rows_of_duration(tick.watch, options_.monitor.quality.chunk_duration)) ||
       trial->alternative_pays());
  const std::string only = by_labels ? tick.watch.trial_account(taken.id) : std::string();
  const std::string only_labels =
      by_labels ? tick.watch.label_account_of_loss(taken.id) : std::string();
  const bool disputed = by_labels && tick.watch.alerts().confirmed(watch::Subject::kLabels);
  const Grounds grounds{only, only_labels, disputed};
  const Outcome outcome = std::visit(
      overloaded{[&](const TransformInForce& t) {
                   return propose(incident, WithdrawTransform{t.field, t.transform, grounds},
                                  reason, tick, taken.id);
                 },
                 [&](const RecalibrationInForce& r) {
                   std::vector<double> back = r.offsets;
                   for (double& offset : back) offset = -offset;
                   return propose(incident, WithdrawRecalibration{std::move(back), -r.quantile},
                                  reason, tick, taken.id);
                 },
                 [&](const SwapInForce&) {
                   return propose(incident, SwapBack{}, reason, tick,
                                  incident.swaps > 1
                                      ? fmt::format("back/{}/{}", taken.id, incident.swaps)
                                      : "back/" + taken.id);
                 },
                 [&](const ReleaseInForce& r) {
                   return propose(incident, RollBack{r.before, grounds}, reason, tick, taken.id);
                 }},
      taken.kind);
  // Somebody else ended it: there is nothing to verify any more.
  if (outcome.status == Status::kOvertaken)
    std::erase_if(state_.acts, [&](const Act& each) { return each.id == taken.id; });
  if (outcome.status == Status::kApplied) {
    std::erase_if(state_.acts, [&](const Act& each) { return each.id == taken.id; });
    if (const auto* release = taken.as<ReleaseInForce>(); release != nullptr && release->on_standby)
      begin({taken.incident + "/swap", SwapInForce{}, taken.incident, tick.now});
    if (taken.is<RecalibrationInForce>()) {
      // Twice as long each time: the harm of trying is bounded, whatever the base rate does.
      const auto& quality = options_.monitor.quality;
      const int doublings = std::min(state_.recalibrations_taken_back, kMostBackoff);
      state_.recalibrate_again =
          tick.now + (quality.prior_shift_chunks << doublings) * quality.chunk_duration;
      ++state_.recalibrations_taken_back;
    }
  } else if (outcome.status == Status::kDenied || outcome.status == Status::kFailed) {
    // Policy said no: it stays, and is not proposed again.
    for (Act& each : state_.acts) each.kept = each.kept || each.id == taken.id;
  }
  return outcome.status;
}

Step Ladder::verify_act(Incident& incident, Tick& tick) {
  const Act* act = act_of(incident.act);
  const bool failed_over = incident.diagnosis.cause == &fail_over();
  if (act == nullptr)  // something else replaced it
    return failed_over ? verify_end_of_fail_over(incident, tick) : Step::kAwaitQuiet;
  const watch::Trial* trial = tick.watch.trial(act->id);
  const std::int64_t rows = trial == nullptr ? 0 : trial->rows;
  // A whole chunk of labels at least: with fewer, two standard errors are soon found by chance.
  if (rows >= tick.watch.rows_of_chunk() && trial->pays()) {
    incident.timeline.push_back(
        {tick.now,
         fmt::format("on {} labelled rows since, {} is {:.4f} below what it would be without it",
                     rows, loss_of(*act, tick.watch), -trial->mean()),
         0});
    incident.recovered_at = tick.now;
    return Step::kPostmortem;
  }
  const bool worse = rows >= tick.watch.rows_of_chunk() && trial->alternative_pays();
  if (!worse && !escalate(incident, "see that labels come: the act cannot be verified without",
                          kVerifyAtMost, tick))
    return incident.step;
  if (rows == 0) {
    incident.timeline.push_back({tick.now, "no labels came: what was done is not verified", 0});
    incident.unverified = failed_over;
    return failed_over ? Step::kPostmortem : Step::kAwaitQuiet;
  }
  if (failed_over && !worse) {
    // What was left may fail still: to go back to it wants more than that it is no worse.
    incident.timeline.push_back(
        {tick.now, "what was left is no better on later rows: the standby goes on", 0});
    incident.recovered_at = tick.now;
    return Step::kPostmortem;
  }
  incident.why =
      fmt::format("on {} labelled rows since, {} is {:+.4f} against what it would be without it",
                  rows, loss_of(*act, tick.watch), trial->mean());
  incident.timeline.push_back({tick.now, incident.why, 0});
  return Step::kWithdraw;
}

Step Ladder::prove(Incident& incident, Tick& tick) {
  if (is_over(incident, tick))
    return lapse(incident, "it was over before the candidate was released", {}, tick);
  const watch::Trial* trial = tick.watch.trial(incident.id + "/candidate");
  const std::int64_t rows = trial == nullptr ? 0 : trial->rows;
  const std::int64_t enough = tick.watch.rows_of_chunk();
  if (rows >= enough && trial->pays()) {
    incident.timeline.push_back(
        {tick.now,
         fmt::format("on {} labelled rows newer than those it learned from, the candidate's {} is "
                     "{:.4f} below that of what serves",
                     rows, stats::loss_name(tick.watch.task().kind), -trial->mean()),
         0});
    return Step::kPromote;
  }
  // Three chunks and a week are what a candidate has to show that it is better; a good one needs
  // less.
  if (rows < 3 * enough && tick.now < incident.step_since + kProveAtMost) return incident.step;
  if (rows == 0) {
    // A worker scores no row beside the traffic, and no label may have come: that says nothing
    // against the candidate, which has passed its gates.
    const std::string why =
        "no newer labelled row was scored by the candidate beside the traffic, so it is not "
        "proposed";
    incident.timeline.push_back({tick.now, why + ": what serves stays; a person decides", 0});
    escalate(incident,
             fmt::format("{}: it passed its gates; release it with `heddle release promote {} "
                         "--bundle {}`, or leave what serves",
                         why, options_.service, incident.candidate),
             0, tick);
    return Step::kAwaitQuiet;
  }
  incident.timeline.push_back(
      {tick.now,
       fmt::format(
           "on {} newer labelled rows the candidate is no better than what serves: it is not "
           "proposed",
           rows),
       0});
  return Step::kAwaitQuiet;
}

/// What was the matter of one account alone is everybody's once the rows, or the labels, of others
/// show it too.
void Ladder::see_others(Incident& incident, const watch::Finding& finding, const Tick& tick) {
  if (!finding.alert) return;
  Diagnosis& d = incident.diagnosis;
  if (!d.only_account.empty() && finding.account.empty()) {
    incident.timeline.push_back(
        {tick.now,
         fmt::format("`{}` is seen in the rows of others than account `{}` too", finding.key,
                     d.only_account),
         0});
    d.only_account.clear();
  }
  if (!d.only_label_account.empty() && finding.label_account.empty()) {
    incident.timeline.push_back(
        {tick.now,
         fmt::format("`{}` is seen in the labels of others than account `{}` too", finding.key,
                     d.only_label_account),
         0});
    d.only_label_account.clear();
  }
}

void Ladder::see_windows(Incident& incident, const Tick& tick) const {
  for (auto& [key, quiet] : incident.quiet) {
    const auto at = tick.watch.latest().find(key);
    // No window since the last look: a tick alone is no sign of quiet.
    if (at == tick.watch.latest().end() || at->second.to <= quiet.seen) continue;
    const watch::Finding& finding = at->second;
    see_others(incident, finding, tick);
    quiet.seen = finding.to;
    quiet.windows = finding.alert ? 0 : quiet.windows + 1;
    const bool whole = finding.subject == watch::Subject::kContract && finding.alert &&
                       finding.value >= kWholeSource;
    quiet.whole = whole ? quiet.whole + 1 : 0;
  }
}

bool Ladder::is_quiet(const Incident& incident) const {
  return std::all_of(incident.quiet.begin(), incident.quiet.end(),
                     [](const auto& item) { return item.second.windows >= 2; });
}

bool Ladder::is_over(const Incident& incident, const Tick& tick) const {
  const Diagnosis& d = incident.diagnosis;
  if (incident.clock) {
    const auto now = tick.watch.clock(d.column);
    // A clock that was read tells at once what windows would tell in days.
    return now && is_back(*now, *incident.clock, d.lag_hours);
  }
  // Behind a standby that took over, quiet says that the standby is good, not that the fault is
  // over.
  return !incident.swapped && is_quiet(incident);
}

Step Ladder::lapse(Incident& incident, std::string why, std::string_view proposal, Tick& tick) {
  incident.why = why;
  incident.timeline.push_back({tick.now, why, 0});
  if (!proposal.empty()) {
    // The question is taken back in the ledger, or a person's late yes would carry it out.
    (void)propose(incident, Lapse{op_id_of(incident, proposal)}, std::move(why), tick,
                  fmt::format("{}/{}", proposal, incident.reconsidered + 1));
  }
  return incident.swapped ? Step::kSwapBack : Step::kAwaitQuiet;
}

bool Ladder::escalate(Incident& incident, std::string next, Micros deadline, Tick& tick) {
  const Micros waited = tick.now - incident.step_since;
  // Twice before the deadline at the most: who is told every hour stops reading.
  const Micros every = std::max(kTellEvery, deadline / 2);
  const bool due = deadline == 0 || waited >= (incident.escalations + 1) * every;
  if (due) {
    ++incident.escalations;
    tell(incident, std::move(next), tick);
  }
  return waited >= deadline;
}

void Ladder::tell(Incident& incident, std::string next, Tick& tick, std::string_view about) {
  // Who took it over need not be called again.
  if (!incident.acknowledged_by.empty()) {
    incident.timeline.push_back(
        {tick.now, fmt::format("`{}` knows of it: {}", incident.acknowledged_by, next), 0});
    return;
  }
  (void)propose(incident, Escalate{std::string(step_name(incident.step)), next}, next, tick,
                fmt::format("{}{}/{}", step_name(incident.step), about, tick.now));
}

}  // namespace heddle::recover
