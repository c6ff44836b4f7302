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

doc::Value ByHand::to_value() const {
  doc::Value going_on = doc::Value::array();
  for (const std::string& each : in_force) going_on.push(each);
  return doc::Value::object({{"kind", kind_name(kind)},
                             {"number", number},
                             {"after", after},
                             {"by", by},
                             {"text", text},
                             {"entry", entry},
                             {"incident", incident},
                             {"source", source},
                             {"account", account},
                             {"in_force", std::move(going_on)},
                             {"shut_out", shut_out}});
}

Result<ByHand> ByHand::from_value(const doc::Value& value) {
  ByHand out;
  const auto kind = std::find(kKinds.begin(), kKinds.end(), value.string_or("kind"));
  out.number = static_cast<std::uint64_t>(value.int_or("number"));
  if (kind == kKinds.end() || out.number == 0) {
    return Error{ErrorKind::kCorrupt, "recover-state", "a saved act by hand is malformed",
                 "run `heddle audit verify`"};
  }
  out.kind = static_cast<Kind>(kind - kKinds.begin());
  out.after = value.int_or("after", INT64_MIN);
  out.by = value.string_or("by");
  out.text = value.string_or("text");
  out.entry = static_cast<std::uint64_t>(value.int_or("entry"));
  out.incident = value.string_or("incident");
  out.source = value.string_or("source");
  out.account = value.string_or("account");
  out.shut_out = value.bool_or("shut_out");
  if (const doc::Value* list = value.find("in_force"); list != nullptr && list->is_array()) {
    for (const doc::Value& each : list->as_array()) {
      if (each.is_string()) out.in_force.push_back(each.as_string());
    }
  }
  return out;
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

std::string Ladder::next_id() const { return fmt::format("incident-{:04}", opened_ + 1); }

void Ladder::take(const ByHand& act) {
  if (act.number <= by_hand_) return;  // taken before a restart
  by_hand_ = act.number;
  if (act.kind == Kind::kOpen) open_by_hand(act);
  for (Incident& incident : incidents_) {
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
  ++opened_;
  incident.id = act.incident;
  incident.step = Step::kByHand;
  incident.opened_by = act.by;
  incident.diagnosis.reason = act.text;
  incident.diagnosis.source = act.source;
  incident.diagnosis.account = act.account;
  incident.diagnosis.change_from = now;
  incident.raised_at = incident.confirmed_at = incident.step_since = now;
  incidents_.push_back(std::move(incident));
}

void Ladder::note(Incident& incident, const ByHand& act) {
  const Micros now = act.after == INT64_MIN ? 0 : act.after;
  incident.timeline.push_back({now, act.line(), act.entry, act.by});
  if (act.kind == Kind::kAcknowledge) incident.acknowledged_by = act.by;
  if (act.kind != Kind::kClose) return;
  incident.closed_by = act.by;
  incident.closed_at = now;
  std::erase_if(incident.failing, [](const Failing& each) { return !each.record; });
  incident.step = Step::kDone;
  incident.step_since = now;
  incident.swap_asked = false;
  incident.page_due = true;
  incident.shut_out = act.shut_out;
  if (!incident.response.empty()) incident.response += ", then ";
  incident.response += fmt::format("closed by `{}`", act.by);
}

std::vector<std::string> Ladder::in_force(const std::string& id) const {
  std::vector<std::string> out;
  for (const Act& act : acts_) {
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
  const auto clean =
      std::find(readmitted_.begin(), readmitted_.end(), Readmitted{d.account, d.source});
  if (clean == readmitted_.end()) {
    incident.shut_out = tick.effects.quarantine_of(d.account, d.source).has_value();
    return;
  }
  if (release_source(incident, tick) == Step::kRelease) return;  // asked again at the next tick
  readmitted_.erase(clean);
  incident.shut_out = false;
}

}  // namespace heddle::recover
