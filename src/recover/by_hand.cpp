// What people do by hand, and what the ladder makes of it.
#include "recover/by_hand.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plane/route.hpp"
#include "recover/ladder.hpp"

namespace heddle::recover {

namespace {

using Kind = ByHand::Kind;

constexpr std::array<std::string_view, 6> kKinds{"open",  "acknowledge", "comment",
                                                 "close", "quarantine",  "release"};

/// Whether a quarantine of `account` is about rows of this incident; empty, of either: everybody's.
bool is_of_source(const Incident& incident, const std::string& account, const std::string& source) {
  return incident.diagnosis.source == source &&
         (account.empty() || incident.diagnosis.account.empty() ||
          account == incident.diagnosis.account);
}

}  // namespace

std::string_view kind_name(Kind kind) noexcept { return kKinds[static_cast<std::size_t>(kind)]; }

std::string release_command(std::string_view service, std::string_view account,
                            std::string_view source) {
  return fmt::format("heddle quarantine release {} {}{}{} --reason TEXT", service, source,
                     account.empty() ? "" : " --account ", account);
}

std::string ByHand::line() const {
  switch (kind) {
    case Kind::kOpen: return fmt::format("opened by `{}`: {}", by, text);
    case Kind::kAcknowledge: return fmt::format("acknowledged by `{}`: {}", by, text);
    case Kind::kComment: return fmt::format("comment by `{}`: {}", by, text);
    case Kind::kClose:
      return fmt::format(
          "closed by `{}`: {}{}", by, text,
          in_force.empty() ? "" : fmt::format("; stays in force: {}", fmt::join(in_force, "; ")));
    case Kind::kQuarantine:
      return fmt::format("source {} shut out by `{}`: {}", plane::source_text(account, source), by,
                         text);
    case Kind::kRelease:
      return fmt::format("source {} let in by `{}`: {}", plane::source_text(account, source), by,
                         text);
  }
  return text;
}

std::string Ladder::next_id() const { return fmt::format("incident-{:04}", state_.opened + 1); }

void Ladder::take(const ByHand& act) {
  if (act.number <= state_.by_hand) return;  // taken before a restart
  state_.by_hand = act.number;
  if (act.kind == Kind::kOpen) open_by_hand(act);
  for (Incident& incident : state_.incidents) {
    // An act about a source names no incident: it is noted in each open one about rows of that
    // source.
    const bool is_meant = act.incident.empty()
                              ? incident.open() && is_of_source(incident, act.account, act.source)
                              : incident.id == act.incident;
    if (is_meant) note(incident, act);
  }
}

/// It waits for a person: nobody knows when what a person saw is over but a person. Alerts do not
/// join it, so that what they are of gets its own response.
void Ladder::open_by_hand(const ByHand& act) {
  const Micros now = act.after == INT64_MIN ? 0 : act.after;
  Incident incident;
  ++state_.opened;
  incident.id = act.incident;
  incident.step = Step::kByHand;
  incident.opened_by = act.by;
  incident.diagnosis.reason = act.text;
  incident.diagnosis.source = act.source;
  incident.diagnosis.account = act.account;
  incident.diagnosis.change_from = now;
  incident.raised_at = incident.confirmed_at = incident.step_since = now;
  state_.incidents.push_back(std::move(incident));
}

void Ladder::note(Incident& incident, const ByHand& act) {
  const Micros now = act.after == INT64_MIN ? 0 : act.after;
  incident.timeline.push_back({now, act.line(), act.entry, act.by});
  if (act.kind == Kind::kAcknowledge) incident.acknowledged_by = act.by;
  if (act.kind != Kind::kClose) return;
  incident.closed_by = act.by;
  incident.closed_at = now;
  // What was to be tried again is not done any more; what has to be recorded still is.
  std::erase_if(incident.failing, [](const Failing& each) { return !each.record; });
  incident.step = Step::kDone;
  incident.step_since = now;
  incident.swap_asked = false;
  // The page is written at the next tick: there is no `Effects` here.
  incident.page_due = true;
  incident.shut_out = act.shut_out;
  if (!incident.response.empty()) incident.response += ", then ";
  incident.response += fmt::format("closed by `{}`", act.by);
}

std::vector<std::string> Ladder::in_force(const std::string& id) const {
  std::vector<std::string> out;
  for (const Act& act : state_.acts) {
    if (act.incident == id) out.push_back(act_text(act));
  }
  return out;
}

/// What of an incident is left to do after a person closed it: its page, and the release of a
/// source that the data plane lets in once its rows are clean.
void Ladder::follow_closed(Incident& incident, Tick& tick) {
  if (incident.page_due && write_postmortem(incident, tick) == Step::kClose)
    incident.page_due = false;
  if (!incident.shut_out) return;
  const Diagnosis& d = incident.diagnosis;
  const auto clean = std::find(state_.readmitted.begin(), state_.readmitted.end(),
                               Readmitted{d.account, d.source});
  if (clean == state_.readmitted.end()) {
    incident.shut_out = tick.effects.quarantine_of(d.account, d.source).has_value();
    return;
  }
  if (release_source(incident, tick) == Step::kRelease) return;  // asked again at the next tick
  state_.readmitted.erase(clean);
  incident.shut_out = false;
}

}  // namespace heddle::recover
