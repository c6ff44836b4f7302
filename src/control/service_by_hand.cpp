// What people do about incidents and sources by hand: a decision in the ledger, and in the same
// transaction what the ladder takes from it.
#include <algorithm>

#include "base/ids.hpp"
#include "control/act_attributes.hpp"
#include "control/outbox.hpp"
#include "control/requester.hpp"
#include "control/service_control.hpp"
#include "control/stored_rows.hpp"
#include "doc/diagnostic.hpp"
#include "doc/json.hpp"
#include "recover/cause.hpp"
#include "recover/stored.hpp"

namespace heddle::control {
namespace {

using Kind = recover::ByHand::Kind;

constexpr std::string_view kByHand =
    "by-hand";  ///< collection: until the ladder that took it is saved
constexpr std::string_view kDefaultSource = "default";  ///< of requests that name none

std::string key_of(const std::string& service, std::uint64_t number) {
  return fmt::format("{}/{:010}", service, number);
}

std::string_view action_of(Kind kind) {
  switch (kind) {
    case Kind::kOpen: return "incident.open";
    case Kind::kAcknowledge: return "incident.acknowledge";
    case Kind::kComment: return "incident.comment";
    case Kind::kClose: return "incident.close";
    case Kind::kQuarantine: return "source.quarantine";
    case Kind::kRelease: return "source.release";
  }
  return "";
}

Kind kind_of(std::string_view action) {
  for (const Kind kind :
       {Kind::kOpen, Kind::kAcknowledge, Kind::kClose, Kind::kQuarantine, Kind::kRelease}) {
    if (action_of(kind) == action) return kind;
  }
  return Kind::kComment;
}

bool is_about_source(Kind kind) { return kind == Kind::kQuarantine || kind == Kind::kRelease; }

/// What people are told of an incident that a person opened.
doc::Value told_of_opened(const std::string& service, const recover::ByHand& act,
                          Micros event_time) {
  return doc::Value::object(
      {{"kind", "incident"},
       {"incident", act.incident},
       {"service", service},
       {"cause", recover::unknown_cause().name()},
       {"event_time", format_time(event_time)},
       {"text", act.line()},
       {"next", fmt::format("heddle incident show {}/{}", service, act.incident)}});
}

Error unknown_name(const char* id, std::string_view what, const std::string& given,
                   std::vector<std::string> known) {
  const auto near = doc::nearest(given, known);
  return {ErrorKind::kNotFound, id, fmt::format("there is no {} `{}`", what, given.substr(0, 100)),
          near.empty() ? fmt::format("there are: {}", fmt::join(known, ", "))
                       : fmt::format("did you mean `{}`?", near)};
}

}  // namespace

const recover::Incident* ServiceControl::watched_incident(const std::string& id) const {
  const auto& all = ladder_->incidents();
  const auto at =
      std::find_if(all.begin(), all.end(), [&](const auto& each) { return each.id == id; });
  return at == all.end() ? nullptr : &*at;
}

Result<void> ServiceControl::check_by_hand(const recover::ByHand& what) const {
  if (!what.source.empty()) {
    auto sources = service_.sources;
    // Requests that name no source are of this one, which no definition lists.
    sources.emplace_back(kDefaultSource);
    std::vector<std::string> accounts;
    for (const auto& account : parts_.project->service_accounts) accounts.push_back(account.name);
    const auto in = [](const std::vector<std::string>& list, const std::string& name) {
      return std::find(list.begin(), list.end(), name) != list.end();
    };
    // What is under quarantine can be let in, also when the definitions have forgotten it.
    if (what.kind != Kind::kRelease && !in(sources, what.source))
      return unknown_name("source-unknown", "source", what.source, std::move(sources));
    if (what.kind != Kind::kRelease && !what.account.empty() && !in(accounts, what.account))
      return unknown_name("account-unknown", "service account", what.account, std::move(accounts));
  }
  const bool needs_open = what.kind == Kind::kAcknowledge || what.kind == Kind::kClose;
  if (!needs_open) return {};
  const auto* incident = watched_incident(what.incident);
  if (incident == nullptr || !incident->open()) {
    return Error{
        ErrorKind::kConflict, "incident-closed", fmt::format("`{}` is closed", what.incident),
        fmt::format("`heddle incident comment {} --reason TEXT` adds to it", what.incident)};
  }
  // Who acknowledged it answers for it: a second name would leave nobody.
  if (what.kind == Kind::kAcknowledge && !incident->acknowledged_by.empty()) {
    return Error{
        ErrorKind::kConflict, "incident-acknowledged",
        fmt::format("`{}` was acknowledged by `{}`", what.incident, incident->acknowledged_by),
        fmt::format("`heddle incident comment {} --reason TEXT` adds to it", what.incident)};
  }
  return {};
}

Result<ByHandReply> ServiceControl::act_by_hand(const recover::ByHand& what,
                                                const policy::Actor& actor, bool again) {
  // Before a decision is recorded: what cannot be done is not an act, and asks nobody.
  HEDDLE_TRY(check_by_hand(what));
  policy::Proposal proposal;
  proposal.action = action_of(what.kind);
  // Each time is an act of its own: a person may say the same thing twice and mean it.
  proposal.op_id = fmt::format("{}/{}/{}", service_.identity.name, proposal.action, uuid7());
  proposal.target = is_about_source(what.kind) ? "source/" + what.source
                    : what.kind == Kind::kOpen ? "service/" + service_.identity.name
                                               : "incident/" + what.incident;
  proposal.actor = actor;
  proposal.attributes = doc::Value::object({{"service", service_.identity.name},
                                            {"by_hand", true},
                                            {"text", what.text},
                                            {"incident", what.incident},
                                            {"source", what.source},
                                            {"account", what.account}});
  // Recovery's have a rule and a number of clean rows. A person's has neither: it ends by a person.
  if (what.kind == Kind::kQuarantine) {
    proposal.attributes.set("rule", "");
    proposal.attributes.set("readmit_after", 0);
  }
  // People act in the time that the watch has come to, so that a replay puts it at the same place.
  proposal.event_time = last_tick_ == INT64_MIN ? 0 : last_tick_;
  proposal.reason = what.text;
  proposal.incident = what.incident;
  // Of the last one before this: a higher one afterwards says that it was kept.
  const auto number = by_hand_.empty() ? ladder_->by_hand() : by_hand_.back().number;
  HEDDLE_ASSIGN_OR_RETURN(auto asked, asked_by_hand(std::move(proposal), {}, "", again));
  ByHandReply out;
  out.applied = asked.applied;
  out.entry = asked.entry;
  // It waits for an approval, and is carried out when that is given.
  if (!asked.applied) {
    out.approval = std::move(asked.approval);
    out.reason = std::move(asked.reason);
    return out;
  }
  out.service = service_.identity.name;
  if (is_about_source(what.kind)) {
    out.source = what.source;
    out.account = what.account;
    auto& next = out.next.emplace();
    if (what.kind == Kind::kQuarantine) {
      next.push_back({recover::release_command(service_.identity.name, what.account, what.source),
                      "it does not end by itself: a person lets the source in"});
    }
    return out;
  }
  const bool is_kept = !by_hand_.empty() && by_hand_.back().number > number;
  out.incident = is_kept ? by_hand_.back().incident : what.incident;
  const auto* incident = watched_incident(*out.incident);
  out.state = recover::step_name(incident == nullptr ? recover::Step::kDone : incident->step);
  out.in_force = is_kept ? by_hand_.back().in_force : std::vector<std::string>{};
  return out;
}

Result<recover::ByHand> ServiceControl::by_hand_of(const policy::Proposal& proposal) {
  recover::ByHand act;
  act.kind = kind_of(proposal.action);
  act.number = (by_hand_.empty() ? ladder_->by_hand() : by_hand_.back().number) + 1;
  act.after = ladder_->last_tick();
  act.by = proposal.actor.id;
  HEDDLE_ASSIGN_OR_RETURN(act.text, text_in(proposal, "text"));
  HEDDLE_ASSIGN_OR_RETURN(act.source, text_in(proposal, "source"));
  HEDDLE_ASSIGN_OR_RETURN(act.account, text_in(proposal, "account"));
  HEDDLE_ASSIGN_OR_RETURN(act.incident, text_in(proposal, "incident"));
  if (act.kind == Kind::kOpen) act.incident = ladder_->next_id();
  // Who closes an incident is told what of it stays in force.
  if (act.kind != Kind::kClose) return act;
  act.in_force = ladder_->in_force(act.incident);
  const auto* incident = watched_incident(act.incident);
  if (incident == nullptr || incident->diagnosis.source.empty()) return act;
  const auto& d = incident->diagnosis;
  for (const auto& held : releases().quarantined()) {
    const bool is_about_it =
        held.source == d.source && (d.account.empty() || held.holds(d.account, d.source));
    if (!is_about_it) continue;
    // A quarantine by the recovery itself. One of a person ends by a person.
    act.shut_out = act.shut_out || (held.by.empty() && held.is(d.account, d.source));
    act.in_force.push_back(fmt::format(
        "quarantine of source {}, {}", plane::source_text(held.account, held.source),
        held.readmit_after == 0 ? std::string("until a person lets it in")
                                : fmt::format("until {} clean rows", held.readmit_after)));
  }
  return act;
}

Result<policy::Decision> ServiceControl::carry_out_by_hand(const policy::Proposal& given) {
  policy::Proposal proposal = given;
  HEDDLE_ASSIGN_OR_RETURN(recover::ByHand act, by_hand_of(proposal));
  if (act.kind == Kind::kOpen) proposal.incident = act.incident;
  // Closed and let go by the ladder: a comment still goes to its row, and changes nothing else.
  const bool is_over = !is_about_source(act.kind) && act.kind != Kind::kOpen &&
                       watched_incident(act.incident) == nullptr;
  const auto keep = [&](store::Txn& txn) -> Result<void> {
    // The decision's own entry, which the engine has appended by now.
    HEDDLE_ASSIGN_OR_RETURN(const auto entries, txn.log_size());
    act.entry = entries - 1;
    if (is_over) return note_closed_incident(txn, act);
    if (act.kind == Kind::kClose) {
      // Nobody shall say yes to what the incident wanted.
      const auto prefix = fmt::format("{}/{}/", service_.identity.name, act.incident);
      HEDDLE_TRY(parts_.policy->void_stale(txn, [&](const policy::Approval& approval) {
        return approval.op_id.starts_with(prefix)
                   ? fmt::format("`{}` closed {}", act.by, act.incident)
                   : std::string();
      }));
    }
    if (act.kind == Kind::kOpen) {
      HEDDLE_TRY(parts_.outbox->put(
          txn, fmt::format("incident/{}/{}", service_.identity.name, act.incident),
          told_of_opened(service_.identity.name, act, proposal.event_time)));
    }
    return txn.put(kByHand, key_of(service_.identity.name, act.number),
                   doc::to_json(recover::by_hand_schema().print(act)));
  };
  policy::Decision decision;
  if (is_about_source(act.kind)) {
    HEDDLE_ASSIGN_OR_RETURN(
        decision, decisions_->change_releases(
                      proposal,
                      [&](release::Releases& next) -> Result<void> {
                        if (act.kind == Kind::kRelease)
                          return next.readmit(act.account, act.source);
                        return next.quarantine({act.source, "", 0, act.account, act.by, act.text});
                      },
                      keep, decisions_->kept_until_approved(given)));
  } else {
    // Asked before the answer came: it may have been closed since.
    HEDDLE_TRY(check_by_hand(act));
    proposal.binds = decisions_->binds_of(proposal);
    HEDDLE_ASSIGN_OR_RETURN(
        decision, decisions_->act(proposal, keep, {}, decisions_->kept_until_approved(given)));
  }
  // A repeated one was taken by the ladder when it was done.
  if (!decision.applied || decision.repeated || is_over) return decision;
  decisions_->note();
  by_hand_.push_back(act);
  take_by_hand();
  return decision;
}

Result<void> ServiceControl::note_closed_incident(store::Txn& txn,
                                                  const recover::ByHand& act) const {
  const auto key = service_.identity.name + "/" + act.incident;
  HEDDLE_ASSIGN_OR_RETURN(const auto row, txn.get(kClosedIncidents, key));
  if (!row) {
    return Error{ErrorKind::kNotFound, "incident-unknown",
                 fmt::format("there is no incident `{}`", act.incident),
                 "see `heddle incident list`"};
  }
  auto parsed = recover::incident_schema().parse_text(*row);
  if (!parsed.ok()) return in_row(kClosedIncidents, key, std::move(parsed.error()));
  auto& incident = *parsed;
  incident.timeline.push_back(
      {act.after == INT64_MIN ? 0 : act.after, act.line(), act.entry, act.by});
  return txn.put(kClosedIncidents, key, doc::to_json(recover::incident_schema().print(incident)));
}

void ServiceControl::take_by_hand() {
  for (const auto& act : by_hand_) {
    // After a restart the journal is read again from the snapshot: an act waits for the tick after
    // which it was done.
    if (act.after <= ladder_->last_tick()) ladder_->take(act);
  }
}

Result<void> ServiceControl::restore_by_hand(store::Txn& txn) {
  HEDDLE_TRY(
      each_row(txn, kByHand, service_.identity.name + "/", recover::by_hand_schema(),
               [&](auto, auto, recover::ByHand act) { by_hand_.push_back(std::move(act)); }));
  take_by_hand();
  return {};
}

Result<void> ServiceControl::drop_by_hand(store::Txn& txn) const {
  for (const auto& act : by_hand_) {
    // The snapshot that is being saved has taken it, so it need not be taken again.
    if (act.number <= ladder_->by_hand())
      HEDDLE_TRY(txn.erase(kByHand, key_of(service_.identity.name, act.number)));
  }
  return {};
}

}  // namespace heddle::control
