// Event time that left its clock: what the data plane says of it, and the way back that a person
// signs.
#include <algorithm>

#include "base/log.hpp"
#include "control/service_control.hpp"

namespace heddle::control {

Result<void> ServiceControl::follow_clock(const plane::ActRecord& act) {
  if (act.act == "clock-jump") {
    clock_jump_ = ClockJump{act.id, act.event_time, act.reason};
    policy::Proposal proposal;
    proposal.action = "clock.jump";
    proposal.op_id = fmt::format("{}/{}/{}", service_.identity.name, proposal.action, act.id);
    proposal.target = "service/" + service_.identity.name;
    proposal.actor = {policy::ActorType::kSystem, "system:data-plane"};
    proposal.attributes = doc::Value::object({{"jump", act.id}, {"clock", act.target}});
    proposal.event_time = act.event_time;
    proposal.reason = act.reason;
    HEDDLE_TRY(parts_.policy->act(proposal, [](store::Txn&) { return Result<void>(); }));
    return {};
  }
  if (act.act != "clock-set") return {};
  const bool back = act.event_time < watch_->watermark();
  // Decisions go back in time by a person's word alone, whatever stands in a journal.
  if (back && !releases().acknowledged(act.id)) {
    log::error("service `{}`: event time is not set back to {}: nobody signed that",
               service_.identity.name, format_time(act.event_time));
    return {};
  }
  clock_jump_.reset();
  if (!back) return {};
  // Every clock that is ahead of the new time would wait for it: the
  // watch, the ladder, the canary's looks, and work that is due.
  watch_->set_back(act.event_time);
  ladder_->set_back(act.event_time);
  last_tick_ = watermark_ = act.event_time;
  snapshot_day_ = INT64_MIN;  // the next tick saves it
  next_look_ = std::min(next_look_, act.event_time);
  told_at_ = std::min(told_at_, act.event_time);
  works_.due_by(act.event_time);
  return {};
}

Result<Asked> ServiceControl::set_clock(const std::string& jump, const std::string& reason,
                                        const policy::Actor& actor) {
  if (!clock_jump_) {
    return Error{ErrorKind::kConflict, "clock-agrees",
                 fmt::format("event time of `{}` and its clock agree", service_.identity.name),
                 "there is nothing to set: `heddle status` has the event time"};
  }
  // A person who looked at one jump must not confirm the next one.
  if (jump != clock_jump_->id) {
    return Error{ErrorKind::kConflict, "clock-other-jump",
                 fmt::format("it is about the jump `{}`, the one that stands is `{}`",
                             jump.substr(0, 100), clock_jump_->id),
                 "look at it again: `heddle status`"};
  }
  policy::Proposal proposal;
  proposal.action = "clock.set";
  proposal.op_id = fmt::format("{}/{}/{}", service_.identity.name, proposal.action, jump);
  proposal.target = "service/" + service_.identity.name;
  proposal.actor = actor;
  proposal.attributes = doc::Value::object({{"service", service_.identity.name}, {"jump", jump}});
  proposal.event_time = last_tick_ == INT64_MIN ? 0 : last_tick_;
  proposal.reason = fmt::format("{} ({})", reason, clock_jump_->reason);
  return asked_by_hand(std::move(proposal), {}, "", false);
}

}  // namespace heddle::control
