#include "recover/ladder.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "doc/json.hpp"
#include "plane/route.hpp"
#include "recover/cause.hpp"
#include "recover/postmortem.hpp"
#include "stats/quality.hpp"

namespace heddle::recover {

namespace {

using watch::Subject;
using Status = Outcome::Status;

constexpr Micros kCollectAtMost = 14 * kDay;
constexpr Micros kAnswerWithin = 7 * kDay;  ///< for a person; then the next best step
constexpr Micros kAskAgain =
    3 * kDay;  ///< until people are told that something could not be taken back
constexpr Micros kLabelsAtMost =
    14 * kDay;  ///< labels that look wrong for longer are how the world is now
constexpr Micros kStandsAfter = 14 * kDay;  ///< what has not gone away by then is closed as it is

bool nothing_came_since(const Incident& incident, Micros time) {
  return std::all_of(incident.quiet.begin(), incident.quiet.end(),
                     [&](const auto& item) { return item.second.seen <= time; });
}

/// Whether an alert with this diagnosis is one more sign of the incident rather than a new one.
/// `related`: it comes so soon after that it may have the same cause; what comes later is a thing
/// of its own.
bool explains(const Incident& incident, const watch::Alert& alert, const Diagnosis& diagnosis,
              bool related) {
  if (std::find(incident.keys.begin(), incident.keys.end(), alert.first.key) != incident.keys.end())
    return true;
  if (const auto joins = diagnosis.cause->joins(incident, diagnosis)) return *joins;
  return incident.diagnosis.cause->takes(incident, alert, diagnosis, related);
}

/// The id of a transform that repairs the incident's column. A repair in force is replaced by the
/// sum of both, under its own id. One that the definitions have by that name is not recovery's: the
/// new one comes after it.
std::string repair_id(const Act* in_force, const Incident& incident,
                      const spec::Contract& contract) {
  // Two transforms of one column would each see the other's result; their sum under one name is
  // looked up in one place.
  if (in_force != nullptr) return in_force->as<TransformInForce>()->transform;
  std::string id = incident.diagnosis.column + "-shift";
  const bool is_taken = std::any_of(contract.transforms.begin(), contract.transforms.end(),
                                    [&](const spec::Transform& each) { return each.id == id; });
  return is_taken ? fmt::format("{}-{}", id, incident.id) : id;
}

std::string text_of(const watch::IntervalRefit& refit) {
  return fmt::format(
      "the interval was fitted anew to the newest {} labelled rows: of these it held {:.1f} % "
      "before; what was fitted on their older half held {:.1f} % of the newer",
      refit.rows, 100 * refit.held, 100 * refit.held_newer);
}

/// Of lost coverage: why the interval is not fitted anew; empty: it is. A moved base rate is
/// answered whatever the intervals are.
std::string why_not_recalibrated(const Incident& incident, const Recalibrate& wanted) {
  if (wanted.moves_predictions() || !incident.diagnosis.offsets.empty()) return {};
  // Each reason is told to a person, who has to decide instead.
  if (wanted.interval_rows == 0) return "too few labelled rows to fit the intervals anew";
  if (!incident.refit->is_stable)
    return "no fit of the intervals holds on later rows: the errors go on growing";
  if (wanted.quantile <= 0) return "fitted anew the intervals would be no wider";
  return {};
}

/// Why a retrain that ended gave nothing to release.
std::string why_no_candidate(const Outcome& outcome) {
  if (outcome.status != Status::kApplied)
    return fmt::format("there is no candidate: {}", outcome.note);
  if (!outcome.candidate || outcome.candidate->failed_gates.empty())
    return "no candidate passed its gates";
  return fmt::format("no candidate passed its gates: `{}` failed",
                     fmt::join(outcome.candidate->failed_gates, "`, `"));
}

}  // namespace

std::string_view status_name(Outcome::Status status) noexcept {
  switch (status) {
    case Status::kApplied: return "applied";
    case Status::kDenied: return "denied";
    case Status::kWaiting: return "waiting";
    case Status::kRunning: return "running";
    case Status::kFailed: return "failed";
    case Status::kOvertaken: return "overtaken";
  }
  return "";
}

std::string left_out_text(const std::map<std::string, std::int64_t>& left_out) {
  constexpr std::size_t kMostNamed = 5;
  std::int64_t rows = 0;
  std::vector<std::string> named;
  for (const auto& [name, count] : left_out) {
    rows += count;
    // The sum is of all; a few names are enough to recognise what was left out.
    if (named.size() < kMostNamed) named.push_back(fmt::format("`{}` ({})", name, count));
  }
  return fmt::format(
      "it was not taught {} labelled rows of classes that the model does not have: {}{}", rows,
      fmt::join(named, ", "), left_out.size() > kMostNamed ? " and others" : "");
}

std::vector<Performed> Ladder::on_tick(Micros now, std::span<const watch::Alert> moves,
                                       std::span<const plane::ActRecord> acts,
                                       const watch::Watch& watch, Effects& effects) {
  std::vector<Performed> performed;
  // The journal may be read again from an earlier place after a restart: what a tick decided is
  // decided.
  if (now <= state_.last_tick) return performed;
  Tick tick{now, watch, effects, performed};
  // First those that waited out a cool-down; an alert that cleared meanwhile is not found.
  for (const std::string& key : std::exchange(state_.deferred, {})) {
    if (const watch::Alert* alert = watch.alerts().find(key)) take_in(*alert, tick);
  }
  for (const watch::Alert& move : moves) {
    if (move.stage == watch::AlertStage::kConfirmed) take_in(move, tick);
  }
  for (const plane::ActRecord& act : acts) {
    // The data plane let it in by itself. Incidents about it are told when they go on, below.
    if (act.act == "source-readmit") state_.readmitted.push_back({act.account, act.target});
    if (act.act == "fail-over") take_fail_over(act, tick);
  }
  // Before incidents go on: what is taken back here must not be built upon there.
  verify_acts(tick);
  // By position, for taking something in may open an incident and move them all.
  for (std::size_t i = 0; i < state_.incidents.size(); ++i) {
    record_again(state_.incidents[i], tick);
    // What is in force may outlive its incident, and is followed until it is taken back.
    if (!state_.incidents[i].open()) {
      follow_closed(state_.incidents[i], tick);
      continue;
    }
    see_windows(state_.incidents[i], tick);
    reconsider(state_.incidents[i], tick);
    advance(state_.incidents[i], tick);
  }
  state_.last_tick = now;
  return performed;
}

/// A fault that grew while its incident is open, or that came back after its source was let in,
/// gets the response that it deserves now. Two runs in a row say so, as for an alert.
void Ladder::reconsider(Incident& incident, Tick& tick) {
  const bool is_of_source = incident.diagnosis.cause->refuses_rows();
  // What was whole before had its response: policy or a person said no to more.
  if (incident.step != Step::kAwaitQuiet || !is_of_source || incident.refused_share >= kWholeSource)
    return;
  for (const auto& [key, seen] : incident.quiet) {
    const watch::Alert* alert = tick.watch.alerts().find(key);
    // One run in which every row was refused may be a bad batch.
    if (seen.whole < 2 || alert == nullptr) continue;
    const Micros change_from = incident.diagnosis.change_from;
    incident.diagnosis = diagnose(tick.watch, *alert);
    // It began when the first sign of it came, whatever it grew into.
    incident.diagnosis.change_from = std::min(change_from, incident.diagnosis.change_from);
    incident.refused_share = alert->last.value;
    incident.evidence.push_back(alert->last.digest());
    // Counted, so that the acts of the new response have ids of their own and are not taken for
    // those of the first.
    ++incident.reconsidered;
    incident.timeline.push_back(
        {tick.now, fmt::format("it got worse: {}", incident.diagnosis.reason), 0});
    incident.step = incident.diagnosis.cause->first_step(incident);
    incident.step_since = tick.now;
    incident.escalations = 0;
    return;
  }
}

void Ladder::set_back(Micros to) {
  // Ahead of the last tick nothing lies that would have to be corrected.
  if (to >= state_.last_tick) return;
  state_.last_tick = to;
  // Every time that lies past `to` would otherwise be waited for until the clock is there again.
  state_.recalibrate_again = std::min(state_.recalibrate_again, to);
  for (Act& act : state_.acts) act.since = std::min(act.since, to);
  for (Incident& incident : state_.incidents) {
    for (Micros* at :
         {&incident.raised_at, &incident.confirmed_at, &incident.responded_at,
          &incident.recovered_at, &incident.step_since, &incident.compared_until,
          &incident.retrain_started, &incident.closed_at, &incident.diagnosis.change_from})
      *at = std::min(*at, to);
    for (Failing& each : incident.failing) {
      each.since = std::min(each.since, to);
      each.again = std::min(each.again, to);
    }
    for (auto& [key, quiet] : incident.quiet) quiet.seen = std::min(quiet.seen, to);
    if (incident.open())
      incident.timeline.push_back({to, "event time was set back to this by a person", 0});
  }
}

bool Ladder::joined(const watch::Alert& alert, const Diagnosis& diagnosis, const Tick& tick) {
  const spec::Monitor& monitor = options_.monitor;
  // The slowest sign of one change is its quality: labels come late, and an alert needs two chunks
  // of them.
  const Micros related = monitor.label_delay + 2 * monitor.quality.chunk_duration + monitor.window;
  for (Incident& incident : state_.incidents) {
    if (incident.step >= Step::kByHand) continue;  // a person's own, or over
    if (!explains(incident, alert, diagnosis, tick.now <= incident.confirmed_at + related))
      continue;
    if (std::find(incident.keys.begin(), incident.keys.end(), alert.first.key) ==
        incident.keys.end()) {
      incident.keys.push_back(alert.first.key);
      incident.quiet[alert.first.key] = {alert.last.to, 0};
      incident.evidence.push_back(alert.last.digest());
      incident.timeline.push_back(
          {tick.now, fmt::format("joined by `{}`: {}", alert.first.key, diagnosis.reason), 0});
    }
    // It has a response under way, which this sign does not change.
    if (incident.step != Step::kAwaitQuiet) return true;
    if (incident.diagnosis.cause->is_open_question() && !diagnosis.cause->is_open_question()) {
      // A rule saw it first and could not say why; the window that followed can.
      const Micros change_from = std::min(incident.diagnosis.change_from, diagnosis.change_from);
      incident.diagnosis = diagnosis;
      incident.diagnosis.change_from = change_from;
      diagnosis.cause->note(incident, tick.watch);
      incident.timeline.push_back(
          {tick.now, fmt::format("diagnosed as {}: {}", diagnosis.cause->name(), diagnosis.reason),
           0});
      incident.step = incident.diagnosis.cause->first_step(incident);
      incident.step_since = tick.now;
      // The response was done, and here is another sign: the cause says whether that means more to
      // do.
    } else if (const auto next = incident.diagnosis.cause->after_sign(alert)) {
      incident.step = *next;
      incident.step_since = tick.now;
    }
    return true;
  }
  return false;
}

Incident& Ladder::open(Diagnosis diagnosis, const Tick& tick) {
  Incident incident;
  // Counted in the state, so that an id is never given twice, also after incidents were let go.
  incident.id = fmt::format("incident-{:04}", ++state_.opened);
  incident.diagnosis = std::move(diagnosis);
  incident.raised_at = tick.now;
  incident.confirmed_at = tick.now;
  incident.step_since = tick.now;
  incident.rows_raised = incident.rows_confirmed = tick.watch.rows_seen();
  // What only the watch of this moment knows, for example the clock that was read.
  incident.diagnosis.cause->note(incident, tick.watch);
  state_.incidents.push_back(std::move(incident));
  return state_.incidents.back();
}

void Ladder::take_in(const watch::Alert& alert, Tick& tick) {
  if (alert.first.subject == Subject::kPrediction)
    return;  // scores move when columns do: a sign, never a cause
  // A recalibration that had to be taken back is not tried again at once: the base rate comes and
  // goes. Nor is a standby recalibrated that only stands in.
  const bool recalibrates =
      alert.first.subject == Subject::kPrior || alert.first.subject == Subject::kCoverage;
  if (recalibrates && (tick.now < state_.recalibrate_again || swap_in_force() != nullptr)) {
    state_.deferred.push_back(alert.first.key);
    return;
  }
  const Diagnosis diagnosis = with_acts(diagnose(tick.watch, alert));
  // An open incident first: one change raises several alerts, and people should see one incident.
  if (joined(alert, diagnosis, tick)) return;
  // Put off and not dropped: if the alert stands when the cool-down is over, it gets its incident.
  if (cooling(alert, tick.now)) {
    state_.deferred.push_back(alert.first.key);
    return;
  }
  Incident& incident = open(diagnosis, tick);
  incident.keys = {alert.first.key};
  incident.quiet[alert.first.key] = {alert.last.to, 0};
  incident.evidence = {alert.first.digest()};
  // Two findings are two pieces of evidence; one that is both counts once.
  const bool fresh = alert.last.digest() != alert.first.digest();
  if (fresh) incident.evidence.push_back(alert.last.digest());
  incident.raised_at = alert.first.to;
  incident.rows_raised = alert.raised_rows;
  incident.rows_confirmed = alert.rows_seen;
  incident.refused_share = alert.first.subject == Subject::kContract ? alert.last.value : 0;
  incident.timeline.push_back({alert.first.to,
                               fmt::format("`{}` at {:.4g}, above {:.4g}", alert.first.key,
                                           alert.first.value, alert.first.threshold),
                               0});
  // A metric whose windows hold persistence already is raised and confirmed by the same rows.
  incident.timeline.push_back(
      {tick.now,
       fresh ? fmt::format("confirmed by fresh rows at {:.4g}", alert.last.value)
             : std::string("confirmed at once: the metric itself is of several windows"),
       0});
  incident.timeline.push_back(
      {tick.now, fmt::format("diagnosed as {}: {}", diagnosis.cause->name(), diagnosis.reason), 0});
  // Found by the rows themselves; the act that it is about is the repair of that column.
  if (diagnosis.cause == &outlived_repair()) {
    const Act* act = repair_of(diagnosis.column);
    incident.act = act == nullptr ? "" : act->id;
  }
}

bool Ladder::cooling(const watch::Alert& alert, Micros now) const {
  // These do not wait: a source that breaks its contract again is dealt with at once, a gap of the
  // journal is told each time, and recalibrations have a pause of their own.
  if (alert.first.subject == Subject::kContract || alert.first.subject == Subject::kPrior ||
      alert.first.subject == Subject::kCoverage || alert.first.subject == Subject::kJournal)
    return false;
  return std::any_of(
      state_.incidents.begin(), state_.incidents.end(), [&](const Incident& incident) {
        return !incident.open() && now < incident.recovered_at + options_.monitor.cool_down &&
               std::find(incident.keys.begin(), incident.keys.end(), alert.first.key) !=
                   incident.keys.end();
      });
}

void Ladder::advance(Incident& incident, Tick& tick) {
  consider_swap(incident, tick);
  while (incident.open()) {
    const Step next = step_on(incident, tick);
    // It waits for rows, a person or a job. Until then as many steps are taken in one tick as are
    // due.
    if (next == incident.step) return;
    incident.leave_step();
    incident.step = next;
    incident.step_since = tick.now;
    incident.escalations = 0;
  }
}

void Ladder::consider_swap(Incident& incident, Tick& tick) {
  const Step step = incident.step;
  const bool in_time = step == Step::kProposeRepair || step == Step::kCollect ||
                       step == Step::kRetrain || step == Step::kProve || step == Step::kPromote;
  // A swap bridges the time until the real response; after it there is nothing to bridge.
  if (!in_time || incident.swapped || incident.swap_refused || swap_in_force() != nullptr) {
    drop_swap_question(incident, "the incident went on without a swap", tick);
    return;
  }
  const auto& seen = tick.watch.comparison();
  // No chunk has compared the two yet.
  if (!seen) return;
  const bool is_new = seen->to > std::max(incident.compared_until, incident.diagnosis.change_from);
  // A question that waits is put again at each tick, so that its answer is followed.
  if (!is_new && !incident.swap_asked) return;
  incident.compared_until = seen->to;
  // In the unit of the losses (one nat, or the label scale of a regression): a hundredth of a log
  // loss is something, a hundredth of a price nothing.
  const double margin = options_.swap_margin * tick.watch.loss_scale();
  if (!(seen->standby_loss + margin < seen->primary_loss) || seen->z < watch::kPairedZ) {
    drop_swap_question(incident, "on the newest labelled rows the standby is no better", tick);
    return;
  }
  // The fault may be everybody's, and what speaks for the standby one account's alone.
  const std::string& only = incident.diagnosis.only_account.empty()
                                ? seen->only_account
                                : incident.diagnosis.only_account;
  SwapToStandby swap{seen->primary_loss, seen->standby_loss, seen->rows,
                     grounds_of(incident, seen->label_account, tick)};
  // Policy asks a person where one account alone speaks for it.
  swap.grounds.only_account = only;
  const Outcome outcome =
      propose(incident, std::move(swap),
              fmt::format("on {} labelled rows since the change the standby has {} {:.3f}, "
                          "the primary {:.3f}",
                          seen->rows, stats::loss_name(tick.watch.task().kind), seen->standby_loss,
                          seen->primary_loss),
              tick, std::to_string(incident.swaps + 1));
  // One question, whatever newer rows say: its op_id is that of the swap, not of the comparison.
  incident.swap_asked = outcome.status == Status::kWaiting;
  if (outcome.status == Status::kApplied) {
    incident.swapped = true;
    ++incident.swaps;
    begin(
        {incident.id + "/swap", SwapInForce{outcome.before}, incident.id, tick.now, outcome.made});
    respond(incident, "swap to standby", tick);
  } else if (settled(outcome.status)) {
    // A no is not asked again in this incident.
    incident.swap_refused = true;
  } else if (outcome.status == Status::kRunning) {
    incident.compared_until = 0;  // the same comparison counts again at the next tick
  }
}

Grounds Ladder::grounds_of(const Incident& incident, const std::string& label_account,
                           const Tick& tick) {
  const Diagnosis& d = incident.diagnosis;
  return {d.only_account, d.only_label_account.empty() ? label_account : d.only_label_account,
          tick.watch.alerts().confirmed(Subject::kLabels)};
}

void Ladder::drop_swap_question(Incident& incident, std::string_view why, Tick& tick) {
  // Only a question that was asked can lapse.
  if (!incident.swap_asked) return;
  incident.swap_asked = false;
  incident.timeline.push_back({tick.now, fmt::format("no swap is asked for any more: {}", why), 0});
  (void)propose(incident, Lapse{fmt::format("{}/slot.swap/{}", incident.id, incident.swaps + 1)},
                std::string(why), tick, fmt::format("slot.swap/{}", tick.now));
}

/// Nothing is done about an incident whose opening is not in the ledger.
Step Ladder::record_opening(Incident& incident, Tick& tick) {
  const Diagnosis& d = incident.diagnosis;
  const Outcome outcome =
      propose(incident, OpenIncident{std::string(d.cause->name()), d.column, d.source, d.account},
              d.reason, tick);
  if (!settled(outcome.status)) return incident.step;
  incident.leave_step();
  incident.step = incident.diagnosis.cause->first_step(incident);
  incident.step_since = tick.now;
  consider_swap(incident, tick);
  return step_on(incident, tick);
}

/// A person's own incident ends by a person: nothing that is watched says that it is over.
Step Ladder::await_close(Incident& incident, Tick& tick) {
  escalate(incident,
           fmt::format("close it when it is over: `heddle incident close {} --reason TEXT`",
                       incident.id),
           kAnswerWithin, tick);
  return incident.step;
}

Step Ladder::record_close(Incident& incident, Tick& tick) {
  drop_swap_question(incident, "the incident is over", tick);
  // The ledger says how it ended. One that stands is closed too, so that nobody believes it is
  // being worked on.
  const char* const end = incident.recovered_at != 0 ? "recovered: "
                          : incident.unverified      ? "not verified, too few rows came: "
                                                     : "not recovered, it stands: ";
  const Outcome outcome =
      propose(incident, CloseIncident{incident.recovered_at}, end + incident.response, tick);
  return settled(outcome.status) ? Step::kDone : incident.step;
}

Step Ladder::step_on(Incident& incident, Tick& tick) {
  switch (incident.step) {
    case Step::kOpen: return record_opening(incident, tick);
    case Step::kQuarantine: return quarantine(incident, tick);
    case Step::kAwaitReadmit: return await_readmit(incident, tick);
    case Step::kRelease: return release_source(incident, tick);
    case Step::kProposeRepair: return propose_repair(incident, tick);
    case Step::kSwapBack: return swap_back(incident, tick);
    case Step::kVerifyInput: return verify_input(incident, tick);
    case Step::kAskLabels: return ask_labels(incident, tick);
    case Step::kCollect: return collect(incident, tick);
    case Step::kRetrain: return retrain(incident, tick);
    case Step::kProve: return prove(incident, tick);
    case Step::kPromote: return promote(incident, tick);
    case Step::kVerifyAct: return verify_act(incident, tick);
    case Step::kWithdraw: return withdraw(incident, tick);
    case Step::kRecalibrate: return recalibrate(incident, tick);
    case Step::kRespond: return respond_itself(incident, tick);
    case Step::kAwaitQuiet: return await_quiet(incident, tick);
    case Step::kByHand: return await_close(incident, tick);
    case Step::kPostmortem: return write_postmortem(incident, tick);
    case Step::kClose: return record_close(incident, tick);
    case Step::kDone: return incident.step;
  }
  return incident.step;
}

Step Ladder::quarantine(Incident& incident, Tick& tick) {
  const Diagnosis& d = incident.diagnosis;
  constexpr std::string_view kProposal = QuarantineSource::kType;
  // Until somebody answers, and if nobody does, the contract refuses the rows that break it.
  if (is_over(incident, tick))
    return lapse(incident, "its rows kept the contract again before it was shut out", kProposal,
                 tick);
  const Outcome outcome = propose(
      incident, QuarantineSource{d.source, d.account, d.rule, d.good_rows, options_.readmit_after},
      d.reason, tick);
  if (!settled(outcome.status)) {
    if (!escalate(incident,
                  "answer the proposal; else the rows that break the contract are refused and "
                  "nothing more",
                  kAnswerWithin, tick)) {
      return incident.step;
    }
    return lapse(incident, "nobody answered in time", kProposal, tick);
  }
  // A person was faster. The incident follows that quarantine as its own.
  if (outcome.status == Status::kOvertaken && tick.effects.quarantine_of(d.account, d.source)) {
    respond(incident, plane::source_text(d.account, d.source) + " was shut out already", tick);
    return Step::kAwaitReadmit;
  }
  if (outcome.status != Status::kApplied) return Step::kAwaitQuiet;
  // What the data plane let in before was of another quarantine.
  std::erase(state_.readmitted, Readmitted{d.account, d.source});
  respond(incident, "quarantine of source " + plane::source_text(d.account, d.source), tick);
  return Step::kAwaitReadmit;
}

Step Ladder::release_source(Incident& incident, Tick& tick) {
  const Diagnosis& d = incident.diagnosis;
  const Outcome outcome = propose(incident, ReleaseSource{d.source, d.account},
                                  "the data plane found its rows clean and let it in", tick);
  if (!settled(outcome.status)) return Step::kRelease;
  // Few clean rows let it in. That it is over is what whole runs of its rows tell; if it is not,
  // it is shut out again.
  watch_again(incident, tick);
  return Step::kAwaitQuiet;
}

/// Only windows from now on tell whether it is over.
void Ladder::watch_again(Incident& incident, const Tick& tick) {
  for (auto& [key, quiet] : incident.quiet) quiet = {tick.now, 0, 0};
  incident.let_in_at = tick.now;
  incident.refused_share = 0;
}

/// Its rows count again from now on: it is over when they keep the contract.
Step Ladder::let_in_by_others(Incident& incident, const Tick& tick) {
  const Diagnosis& d = incident.diagnosis;
  incident.timeline.push_back(
      {tick.now,
       fmt::format("source {} is not under quarantine any more: its rows are looked at again",
                   plane::source_text(d.account, d.source)),
       0});
  respond(incident, "source let in by hand", tick);
  const double share = incident.refused_share;
  watch_again(incident, tick);
  incident.refused_share = share;  // a person let it in: it is not shut out again without one
  return Step::kAwaitQuiet;
}

Step Ladder::swap_back(Incident& incident, Tick& tick) {
  const Act* swap = swap_in_force();
  if (swap != nullptr && !settled(take_back(incident, *swap, tick))) {
    escalate(incident, "answer the proposal: primary and standby are to change back", kAskAgain,
             tick);
    return incident.step;
  }
  incident.swapped = false;
  const Act* repair = repair_of(incident.diagnosis.column);
  // What was done besides the swap is still to be proven; without it there is nothing but to wait.
  return repair != nullptr && repair->incident == incident.id ? Step::kVerifyInput
                                                              : Step::kAwaitQuiet;
}

Step Ladder::await_readmit(Incident& incident, Tick& tick) {
  const Diagnosis& d = incident.diagnosis;
  const auto it = std::find(state_.readmitted.begin(), state_.readmitted.end(),
                            Readmitted{d.account, d.source});
  if (it != state_.readmitted.end()) {
    // Used up: a quarantine that begins later is let in by rows of its own.
    state_.readmitted.erase(it);
    return Step::kRelease;
  }
  const auto held = tick.effects.quarantine_of(d.account, d.source);
  // Neither the data plane nor recovery ended it: a person did.
  if (!held) return let_in_by_others(incident, tick);
  const std::string source = plane::source_text(held->account, held->source);
  const watch::Finding* cost = nullptr;
  for (const std::string& key : incident.keys) {
    const auto latest = tick.watch.latest().find(key);
    if (latest != tick.watch.latest().end() && latest->second.subject == Subject::kAnswers &&
        latest->second.alert) {
      cost = &latest->second;
    }
  }
  const std::string let_in = fmt::format(
      "`{}` lets it in", release_command(options_.service, held->account, held->source));
  const std::string why = cost == nullptr ? std::string() : cost->detail.string_or("why");
  if (!held->by.empty()) {
    // What a person shut out is let in by a person.
    // Good rows are held back now: whoever shut it out is told now, and not in a week.
    const bool at_once = cost != nullptr && incident.escalations == 0;
    escalate(incident,
             fmt::format("{}{}`{}` shut out source {} by hand: {}", why, why.empty() ? "" : "; ",
                         held->by, source, let_in),
             at_once ? 0 : kAnswerWithin, tick);
    return incident.step;
  }
  if (cost == nullptr || incident.release_refused) {
    escalate(incident, fmt::format("correct source {} upstream; {}", source, let_in), kAnswerWithin,
             tick);
    return incident.step;
  }
  if (incident.escalations == 0) escalate(incident, why + ": its release is proposed", 0, tick);
  const Outcome outcome =
      propose(incident, ReleaseSource{held->source, held->account}, why, tick, "budget");
  if (!settled(outcome.status)) {
    escalate(incident, "answer the proposal: the quarantine holds back rows that break no rule",
             kAnswerWithin, tick);
    return incident.step;
  }
  if (outcome.status == Status::kOvertaken) return let_in_by_others(incident, tick);
  if (outcome.status != Status::kApplied) {
    incident.release_refused = true;
    escalate(
        incident,
        fmt::format("{}; policy keeps it: correct source {} upstream, or {}", why, source, let_in),
        0, tick);
    return incident.step;
  }
  respond(incident, "source " + source + " let in: its quarantine cost more than its budget", tick);
  return Step::kAwaitQuiet;
}

Step Ladder::propose_repair(Incident& incident, Tick& tick) {
  const Diagnosis& d = incident.diagnosis;
  constexpr std::string_view kProposal = ProposeTransform::kType;
  if (is_over(incident, tick))
    return lapse(incident, "the shift was over before it was repaired", kProposal, tick);
  follow_shift(incident, kProposal, tick);
  if (!reads_as_diagnosed(incident, tick)) {
    // A yes is for what was asked: it waits until the rows say whether that is still so.
    const bool late = escalate(
        incident, "look at the clock of `" + d.column + "`: the newest rows do not agree about it",
        kAnswerWithin, tick);
    return late
               ? lapse(incident, "the rows did not agree about the clock any more", kProposal, tick)
               : incident.step;
  }
  const std::string id = repair_id(repair_of(d.column), incident, options_.contract);
  const Outcome outcome = propose(
      incident, ProposeTransform{id, d.column, d.lag_hours, repair_expression(d), d.only_account},
      d.reason, tick);
  if (!settled(outcome.status)) {
    if (!escalate(incident, "answer the proposal; else a retrain on the rows as they come is next",
                  kAnswerWithin, tick)) {
      return incident.step;
    }
    // The response goes on without an answer, so the question must not be answered later, when it
    // would undo what came since.
    (void)lapse(incident, "nobody answered in time", kProposal, tick);
    incident.repair_refused = true;
    return Step::kCollect;
  }
  // Somebody else repaired it: then a whole window tells.
  if (outcome.status == Status::kOvertaken) return Step::kVerifyInput;
  if (outcome.status != Status::kApplied) {
    incident.repair_refused = true;
    return Step::kCollect;
  }
  begin({incident.id + "/transform", TransformInForce{d.column, id, d.lag_hours, incident.clock},
         incident.id, tick.now, outcome.made});
  incident.why = "the input is repaired: the primary of before takes over again";
  respond(incident, fmt::format("contract transform of `{}` by {:+d} h", d.column, -d.lag_hours),
          tick);
  return incident.swapped ? Step::kSwapBack : Step::kVerifyInput;
}

Step Ladder::verify_input(Incident& incident, Tick& tick) {
  const auto key =
      std::find_if(incident.keys.begin(), incident.keys.end(),
                   [](const std::string& name) { return name.starts_with("column/"); });
  const auto it =
      tick.watch.latest().find(key == incident.keys.end() ? incident.keys.front() : *key);
  // The window must lie after the repair; an hour of it before does not hide whether it works.
  if (it == tick.watch.latest().end() || it->second.from + kHour < incident.step_since) {
    const bool late =
        escalate(incident, "look why no whole window came since the repair", kAnswerWithin, tick);
    return late ? Step::kAwaitQuiet : incident.step;
  }
  // The repair does not explain what the rows show: it stays an open incident.
  if (it->second.alert) return Step::kAwaitQuiet;
  incident.recovered_at = tick.now;
  return Step::kPostmortem;
}

/// Labels that turned over: nothing is trained on them until somebody says what they are.
Step Ladder::ask_labels(Incident& incident, Tick& tick) {
  if (incident.responded_at == 0) {
    respond(incident, "nothing is learned from these labels; a person is asked", tick);
    escalate(incident, "find out who sent these labels", 0, tick);
  }
  // From the rows alone a world that turned over and labels that did are the same. A person knows.
  constexpr std::string_view kQuestion = AcceptLabels::kType;
  const Diagnosis& d = incident.diagnosis;
  if (is_quiet(incident)) {
    (void)lapse(incident, "the labels fit the scores again", kQuestion, tick);
    incident.recovered_at = tick.now;
    return Step::kPostmortem;
  }
  const Outcome answer =
      propose(incident, AcceptLabels{d.source, d.change_from},
              d.reason +
                  ": a yes says that they are right and a retrain learns from them, a no "
                  "that nothing does",
              tick);
  if (answer.status == Status::kApplied) {
    incident.diagnosis.cause = &concept_shift();
    return Step::kCollect;
  }
  if (settled(answer.status)) return Step::kAwaitQuiet;
  if (!escalate(incident, "say whether these labels are right; a retrain on them is next",
                kLabelsAtMost, tick))
    return incident.step;
  (void)lapse(incident, "nobody answered in time: these labels are taken as how the world is now",
              kQuestion, tick);
  // Nobody vouched for them: a retrain may learn from them, whose release a person sees; what
  // answers now is not changed for their sake.
  incident.swap_refused = true;
  incident.diagnosis.cause = &concept_shift();
  return Step::kCollect;
}

Step Ladder::collect(Incident& incident, Tick& tick) {
  if (is_over(incident, tick))
    return lapse(incident, "it was over before there were rows to learn from", {}, tick);
  const std::int64_t rows = tick.watch.labelled_since(incident.diagnosis.change_from);
  if (rows < options_.retrain_rows) {
    if (!escalate(incident, "see that labels come", kCollectAtMost, tick)) return incident.step;
    // A model of a quarter of the rows is weak and can still pass its gates; of fewer it is not
    // tried.
    if (rows < options_.retrain_rows / 4) {
      incident.timeline.push_back(
          {tick.now, fmt::format("{} labelled rows are too few to learn from", rows), 0});
      return Step::kAwaitQuiet;
    }
  }
  incident.retrain_started = tick.now;
  return Step::kRetrain;
}

Step Ladder::retrain(Incident& incident, Tick& tick) {
  const Outcome outcome = propose(
      incident,
      StartRetrain{incident.diagnosis.change_from, options_.retrain_rows, incident.retrain_started,
                   grounds_of(incident, {}, tick)},
      fmt::format("there are labelled rows since the change to learn from: the newest {} at most",
                  options_.retrain_rows),
      tick);
  if (outcome.status == Status::kWaiting) {
    if (!escalate(incident, "answer the proposal; else what serves stays", kAnswerWithin, tick))
      return incident.step;
    return lapse(incident, "nobody answered in time", StartRetrain::kType, tick);
  }
  if (!settled(outcome.status)) return incident.step;
  const Candidate candidate = outcome.candidate.value_or(Candidate{});
  incident.candidate = candidate.bundle;
  if (!candidate.left_out.empty())
    incident.timeline.push_back({tick.now, "the retrain: " + left_out_text(candidate.left_out), 0});
  if (!candidate.metrics.is_null()) incident.candidate_metrics = doc::to_json(candidate.metrics);
  const bool good =
      outcome.status == Status::kApplied && candidate.gates_passed && !incident.candidate.empty();
  if (!good) {
    const std::string why = why_no_candidate(outcome);
    incident.timeline.push_back(
        {tick.now, fmt::format("{}: what serves stays; a person decides", why), 0});
    escalate(incident, "look at the retrain: " + why, 0, tick);
    return Step::kAwaitQuiet;
  }
  return Step::kProve;
}

Step Ladder::promote(Incident& incident, Tick& tick) {
  constexpr std::string_view kProposal = PromoteCandidate::kType;
  if (is_over(incident, tick))
    return lapse(incident, "it was over before the candidate was released", kProposal, tick);
  // It was proven when it was proposed; while the question waits, the world may have turned again.
  const watch::Trial* trial = tick.watch.trial(incident.id + "/candidate");
  if (trial != nullptr && trial->loses(options_.most_lost, tick.watch.rows_of_chunk())) {
    return lapse(incident, "on the newest labelled rows the candidate is worse than what serves",
                 kProposal, tick);
  }
  const Outcome outcome = propose(
      incident,
      PromoteCandidate{
          incident.candidate, "primary", incident.candidate_metrics,
          grounds_of(incident, tick.watch.label_account_of_gain(incident.id + "/candidate"), tick)},
      "retrained on the newest rows since the change, past its gates, "
      "better on rows newer than those",
      tick);
  if (!settled(outcome.status)) {
    if (!escalate(incident, "answer the proposal; else what serves stays", kAnswerWithin, tick))
      return incident.step;
    return lapse(incident, "nobody answered in time", kProposal, tick);
  }
  if (outcome.status != Status::kApplied) return Step::kAwaitQuiet;
  Act act{incident.id + "/release", ReleaseInForce{outcome.before, swap_in_force() != nullptr},
          incident.id, tick.now, incident.candidate};
  // What it replaces went with the model that it was about.
  std::erase_if(state_.acts, [](const Act& old) {
    return old.is<SwapInForce>() || old.is<RecalibrationInForce>();
  });
  incident.act = act.id;
  incident.swapped = false;
  begin(std::move(act));
  respond(incident, "bounded retrain", tick);
  return Step::kVerifyAct;
}

Recalibrate Ladder::recalibration_of(Incident& incident, const Tick& tick) const {
  Recalibrate out{incident.diagnosis.offsets, grounds_of(incident, {}, tick)};
  for (double& offset : out.offsets) offset *= options_.recalibrate_share;
  // Of lost coverage: the predictions stay.
  if (out.offsets.empty()) out.offsets.assign(tick.watch.task().outputs(), 0.0);
  // Once an incident: a yes is for what was asked, however many rows come meanwhile.
  if (!incident.refit) {
    incident.refit = tick.watch.refit_interval(incident.diagnosis.change_from, out.offsets);
    if (incident.refit->rows > 0)
      incident.timeline.push_back({tick.now, text_of(*incident.refit), 0});
  }
  const watch::IntervalRefit& refit = *incident.refit;
  const stats::Conformal* served = tick.watch.interval();
  if (refit.rows == 0 || served == nullptr) return out;
  out.quantile = refit.quantile - served->quantile;
  out.interval_rows = refit.rows;
  out.interval_held = refit.held;
  out.interval_held_newer = refit.held_newer;
  return out;
}

Step Ladder::recalibrate(Incident& incident, Tick& tick) {
  const Recalibrate wanted = recalibration_of(incident, tick);
  const std::string_view what =
      wanted.moves_predictions() ? "recalibration" : "recalibration of the intervals";
  if (const std::string why = why_not_recalibrated(incident, wanted); !why.empty()) {
    incident.timeline.push_back({tick.now, why, 0});
    return Step::kAwaitQuiet;
  }
  const Outcome outcome = propose(incident, wanted, incident.diagnosis.reason, tick);
  if (!settled(outcome.status)) {
    if (!escalate(incident, "answer the proposal; else the calibration stays", kAnswerWithin, tick))
      return incident.step;
    return lapse(incident, "nobody answered in time", Recalibrate::kType, tick);
  }
  if (outcome.status != Status::kApplied) return Step::kAwaitQuiet;
  // One recalibration is in force: the sum of what was added, held against none at all.
  RecalibrationInForce sum{wanted.offsets, wanted.quantile};
  for (const Act& old : state_.acts) {
    const auto* before = old.as<RecalibrationInForce>();
    // One of another task has nothing to add.
    if (before == nullptr || before->offsets.size() != sum.offsets.size()) continue;
    for (std::size_t k = 0; k < sum.offsets.size(); ++k) sum.offsets[k] += before->offsets[k];
    sum.quantile += before->quantile;
  }
  incident.act = incident.id + "/recalibration";
  begin({incident.act, std::move(sum), incident.id, tick.now, outcome.made});
  respond(incident, what, tick);
  return Step::kVerifyAct;
}

Step Ladder::withdraw(Incident& incident, Tick& tick) {
  const Act* act = act_of(incident.act);
  if (act == nullptr) return Step::kAwaitQuiet;  // something else replaced it
  const std::string_view name = act_name(act->kind);
  const std::string by_hand =
      fmt::format("`heddle release rollback {}` goes back to the release before", options_.service);
  const Status status = take_back(incident, *act, tick);
  if (!settled(status)) {
    escalate(incident, fmt::format("answer the proposal to take the {} back; {}", name, by_hand),
             kAskAgain, tick);
    return incident.step;
  }
  if (status == Status::kApplied) {
    respond(incident, fmt::format("{} taken back", name), tick);
  } else if (status != Status::kOvertaken) {
    escalate(incident,
             fmt::format("policy does not let recovery take the {} back; {}", name, by_hand), 0,
             tick);
  }
  // It is over when what answers now is as good as it should be, on rows after this.
  incident.quiet = {{"quality/ratio", {tick.now, 0}}};
  return Step::kAwaitQuiet;
}

/// What a cause's own step can do, of one incident in one tick.
class Ladder::OwnStep final : public Response {
 public:
  OwnStep(Ladder& ladder, Incident& incident, Tick& tick)
      : ladder_(ladder), incident_(incident), tick_(tick) {}
  Micros now() const noexcept override { return tick_.now; }
  const watch::Watch& watch() const noexcept override { return tick_.watch; }
  Outcome propose(What what, std::string reason, std::string_view attempt) override {
    return ladder_.propose(incident_, std::move(what), std::move(reason), tick_, attempt);
  }
  bool escalate(std::string next, Micros deadline) override {
    return ladder_.escalate(incident_, std::move(next), deadline, tick_);
  }
  void respond(std::string_view what) override { Ladder::respond(incident_, what, tick_); }
  bool is_quiet() const override { return ladder_.is_quiet(incident_); }

 private:
  Ladder& ladder_;
  Incident& incident_;
  Tick& tick_;
};

Step Ladder::respond_itself(Incident& incident, Tick& tick) {
  OwnStep response(*this, incident, tick);
  return incident.diagnosis.cause->respond(incident, response);
}

Step Ladder::await_quiet(Incident& incident, Tick& tick) {
  if (incident.responded_at == 0) {
    const Cause& cause = *incident.diagnosis.cause;
    respond(incident, cause.while_waiting(), tick);
    if (std::string told = cause.tells(incident.diagnosis); !told.empty())
      escalate(incident, std::move(told), 0, tick);
  }
  if (is_quiet(incident)) {
    incident.recovered_at = tick.now;
    return Step::kPostmortem;
  }
  if (incident.let_in_at != 0 && tick.now >= incident.let_in_at + kAnswerWithin &&
      nothing_came_since(incident, incident.let_in_at)) {
    incident.timeline.push_back(
        {tick.now,
         "too few rows of the source came since it was let in: that it is over is not "
         "verified",
         0});
    incident.unverified = true;
    return Step::kPostmortem;
  }
  if (!escalate(incident, "decide what is to be done: it has not gone away", kStandsAfter, tick))
    return incident.step;
  incident.timeline.push_back(
      {tick.now, "it has not gone away: closed as it stands; a new change opens a new incident",
       0});
  incident.stands = true;
  return Step::kPostmortem;
}

Step Ladder::write_postmortem(Incident& incident, Tick& tick) {
  const PostmortemInput input{incident,        options_.monitor, options_.contract,
                              options_.fields, options_.service, options_.evaluation_file};
  const auto made =
      tick.effects.postmortem(input, op_id_of(incident, WritePostmortem::kType), tick.now);
  // It is written in a process of its own, and is asked for again at the next tick.
  if (!made) return incident.step;
  const Outcome outcome = propose(incident,
                                  WritePostmortem{made->page, made->addition_file,
                                                  made->addition_path, made->addition, made->proof},
                                  "page, addition and its proof on a branch for review", tick);
  return settled(outcome.status) ? Step::kClose : incident.step;
}

void Ladder::respond(Incident& incident, std::string_view what, const Tick& tick) {
  if (!incident.response.empty()) incident.response += ", then ";
  incident.response += what;
  // The time to a response is that to the first one.
  if (incident.responded_at != 0) return;
  incident.responded_at = tick.now;
  incident.rows_responded = tick.watch.rows_seen();
}

}  // namespace heddle::recover
