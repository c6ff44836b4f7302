// What the ladder asks for, carried out: the outcome in the timeline, and what a fault of the
// machine keeps back tried again.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "recover/ladder.hpp"

namespace heddle::recover {

namespace {

using Status = Outcome::Status;

constexpr int kMostTries = 6;
constexpr Micros kFirstPause = 5 * kMinute;  ///< of event time; each pause is four times the last
constexpr Micros kLongestPause = kDay;

Micros pause_after(int tries) {
  Micros pause = kFirstPause;
  for (int i = 1; i < tries && pause < kLongestPause; ++i) pause *= 4;
  return std::min(pause, kLongestPause);
}

/// What says in the ledger what happened. Without it nothing else could be carried out either, so
/// it is not given up.
bool is_record(const What& what) {
  return std::visit(
      overloaded{[](const OpenIncident&) { return true; }, [](const Escalate&) { return true; },
                 [](const Lapse&) { return true; }, [](const CloseIncident&) { return true; },
                 [](const auto&) { return false; }},
      what);
}

/// Of these, those that no step proposes again.
bool is_said_once(const What& what) {
  return std::holds_alternative<Escalate>(what) || std::holds_alternative<Lapse>(what);
}

Failing& failing_of(Incident& incident, const Action& action, Micros now) {
  const auto at = std::find_if(incident.failing.begin(), incident.failing.end(),
                               [&](const Failing& each) { return each.op_id == action.op_id; });
  if (at != incident.failing.end()) return *at;
  Failing first{action.op_id, std::string(action.type()), incident.step};
  first.since = now;
  // No step comes back to it, so all that is needed to try again is kept.
  if (is_said_once(action.what)) {
    first.record = action.what;
    first.reason = action.reason;
  }
  return incident.failing.emplace_back(std::move(first));
}

}  // namespace

std::string Ladder::op_id_of(const Incident& incident, std::string_view type) {
  return fmt::format("{}/{}/{}", incident.id, type, incident.reconsidered + 1);
}

Outcome Ladder::propose(Incident& incident, What what, std::string reason, Tick& tick,
                        std::string_view attempt) {
  const std::string_view type = type_of(what);
  Action action;
  // The same act has the same id at every tick and after a restart: it is applied once.
  action.op_id = attempt.empty() ? op_id_of(incident, type)
                                 : fmt::format("{}/{}/{}", incident.id, type, attempt);
  action.incident = incident.id;
  action.target = target_of(what, incident.id, options_.service);
  action.what = std::move(what);
  action.evidence = incident.evidence;
  action.reason = std::move(reason);
  action.event_time = tick.now;
  return carry_out(incident, std::move(action), tick);
}

Outcome Ladder::carry_out(Incident& incident, Action action, Tick& tick) {
  if (const Failing* failing = incident.failing_as(action.op_id);
      failing != nullptr && tick.now < failing->again) {
    Outcome later;
    later.status = Status::kRunning;
    return later;
  }
  Result<Outcome> result = tick.effects.perform(action);
  Outcome outcome;
  if (result.ok()) {
    outcome = *std::move(result);
    std::erase_if(incident.failing,
                  [&](const Failing& each) { return each.op_id == action.op_id; });
  } else {
    outcome = failed_try(incident, action, result.error(), tick);
  }
  if (settled(outcome.status) && !std::holds_alternative<WritePostmortem>(action.what) &&
      !std::holds_alternative<RetryLater>(action.what)) {
    incident.timeline.push_back(
        {tick.now,
         fmt::format("{} {}: {}", action.type(), status_name(outcome.status),
                     outcome.note.empty() ? action.reason : outcome.note),
         outcome.entry});
  }
  tick.performed.push_back({std::move(action), outcome});
  return outcome;
}

/// A disk that is full may have room again, and a part that is down may come back: tried again,
/// with longer and longer pauses, and a person is asked when that did not help.
Outcome Ladder::failed_try(Incident& incident, const Action& action, const Error& error,
                           Tick& tick) {
  Outcome outcome;
  outcome.note = error.message;
  // That a try failed could not be recorded either; a record of that would fail as well.
  if (std::holds_alternative<RetryLater>(action.what)) {
    outcome.status = Status::kFailed;  // the timeline has it
    return outcome;
  }
  Failing& failing = failing_of(incident, action, tick.now);
  const int tries = ++failing.tries;
  failing.error = error.message;
  failing.again = tick.now + pause_after(tries);
  const bool is_last = tries >= kMostTries && !is_record(action.what);
  if (tries < kMostTries) {
    incident.timeline.push_back(
        {tick.now,
         fmt::format("{} could not be carried out: {}; it is tried again at {}", action.type(),
                     error.message, format_time(failing.again)),
         0});
  }
  // A copy: what is said of it may fail as well, and be added to the list.
  const RetryLater entry{std::string(action.type()), tries, error.message,
                         is_last ? 0 : failing.again};
  const Micros since = failing.since;
  // Records are tried on for ever: the ledger need not hold each of those tries.
  if (tries <= kMostTries) {
    (void)propose(incident, entry, fmt::format("`{}`: {}", action.type(), error.message), tick,
                  fmt::format("{}/{}", action.op_id.substr(incident.id.size() + 1), tries));
  }
  outcome.status = is_last ? Status::kFailed : Status::kRunning;
  if (!is_last) return outcome;
  std::erase_if(incident.failing, [&](const Failing& each) { return each.op_id == action.op_id; });
  outcome.note =
      fmt::format("{}; tried {} times since {}", error.message, tries, format_time(since));
  tell(incident,
       fmt::format("`{}` failed {} times: {}; do it by hand, or decide what is done instead",
                   action.type(), tries, error.message),
       tick, "/errors");
  return outcome;
}

void Ladder::record_again(Incident& incident, Tick& tick) {
  const std::vector<Failing> all = incident.failing;  // trying one changes the list
  for (const Failing& each : all) {
    if (!each.record || tick.now < each.again) continue;
    Action action;
    action.op_id = each.op_id;
    action.incident = incident.id;
    action.target = target_of(*each.record, incident.id, options_.service);
    action.what = *each.record;
    action.evidence = incident.evidence;
    action.reason = each.reason;
    action.event_time = tick.now;
    (void)carry_out(incident, std::move(action), tick);
  }
}

}  // namespace heddle::recover
