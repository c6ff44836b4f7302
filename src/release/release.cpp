#include "release/release.hpp"

#include <algorithm>
#include <functional>
#include <utility>

#include <fmt/format.h>

namespace heddle::release {

namespace {

constexpr std::size_t kMostAcknowledged =
    64;  ///< the data plane forgets an act once a table named it

Error failure(ErrorKind kind, std::string id, std::string message, std::string hint) {
  return Error{kind, std::move(id), std::move(message), std::move(hint)};
}

}  // namespace

void Releases::mark_unready(Digest bundle) {
  const auto known = state_.bundles.find(bundle);
  // Told twice, for example by two slots that read the same damaged object, it counts once.
  if (known == state_.bundles.end() || !known->second.ready) return;
  known->second.ready = false;
  // What the data plane sees decides whether there is a new version: a lost rollback target alone
  // is no reason for one.
  const plane::RouteTable before = route("");
  if (state_.canary.canary.bundle == bundle) state_.canary = {};
  if (state_.shadow == bundle) state_.shadow = {};
  if (state_.standby == bundle) state_.standby = {};
  // After the standby was looked at: a standby that is the same bundle is gone by now, and the
  // target is then empty.
  if (state_.rollback == bundle) state_.rollback = state_.standby;
  if (state_.primary == bundle) {
    state_.canary = {};
    // The standby is warm and was scored beside the primary; the rollback target has to be loaded
    // first.
    state_.primary = state_.standby.empty() ? state_.rollback : state_.standby;
    state_.standby = {};
    // To roll back to what answers would change nothing and look as if it had.
    if (state_.rollback == state_.primary) state_.rollback = {};
    if (state_.shadow == state_.primary) state_.shadow = {};
  }
  const plane::RouteTable after = route("");
  if (before.primary != after.primary || before.standby != after.standby ||
      before.shadow != after.shadow || before.canary.bundle != after.canary.bundle) {
    changed();
  }
}

void Releases::approve(const Digest& bundle, std::string approval) {
  Standing& standing = state_.bundles[bundle];
  standing.approved = true;
  standing.approval = std::move(approval);
}

void Releases::forget_others() {
  std::erase_if(state_.bundles, [&](const auto& known) {
    const auto& bundle = known.first;
    return bundle != state_.primary && bundle != state_.standby && bundle != state_.rollback &&
           bundle != state_.shadow && bundle != state_.canary.canary.bundle;
  });
}

Result<void> Releases::revoke(const Digest& bundle) {
  const auto it = state_.bundles.find(bundle);
  if (it == state_.bundles.end()) {
    return failure(ErrorKind::kNotFound, "release-unknown",
                   "bundle " + bundle.short_str() + " was never released", "");
  }
  // A shadow is not among them: it answers nobody and needs no approval.
  if (bundle == state_.primary || bundle == state_.standby || bundle == state_.rollback ||
      bundle == state_.canary.canary.bundle) {
    return failure(ErrorKind::kConflict, "release-in-use",
                   "bundle " + bundle.short_str() + " is in a slot or a rollback target",
                   "promote another bundle first");
  }
  it->second.approved = false;
  return {};
}

Result<void> Releases::servable(const Digest& bundle) const {
  // What was never heard of is not approved, so that a digest from outside is refused with the
  // first error.
  const Standing known = standing(bundle);
  if (!known.approved) {
    return failure(ErrorKind::kDenied, "release-not-approved",
                   "bundle " + bundle.short_str() + " is not approved",
                   "see `heddle approval list`");
  }
  if (!known.ready) {
    return failure(ErrorKind::kUnavailable, "release-not-ready",
                   "bundle " + bundle.short_str() +
                       " is not loaded and checked against its reference predictions",
                   "fetch it and try again");
  }
  return {};
}

/// The canary ends first: it was compared with the primary that goes.
void Releases::make_primary(Digest bundle) {
  state_.canary = {};
  if (state_.shadow == bundle) state_.shadow = {};
  state_.rollback = state_.primary;
  state_.primary = bundle;
  changed();
}

Result<void> Releases::promote(Digest bundle) {
  // An empty digest is caught by `servable`: nobody approved it.
  if (bundle == state_.primary && !state_.primary.empty()) {
    return failure(ErrorKind::kConflict, "release-is-primary",
                   "bundle " + bundle.short_str() + " is primary already",
                   "there is nothing to do; see `heddle release history`");
  }
  HEDDLE_TRY(servable(bundle));
  // A bundle is in one slot at most, so they change places. Otherwise the standby stays as it is.
  if (bundle == state_.standby) state_.standby = state_.primary;
  make_primary(bundle);
  return {};
}

Result<void> Releases::set_standby(Digest bundle) {
  // The same one again is refused too: it would be a new version that says nothing new.
  if (bundle == state_.standby ||
      (!bundle.empty() && (bundle == state_.primary || bundle == state_.canary.canary.bundle))) {
    return failure(ErrorKind::kConflict, "release-in-use",
                   bundle.empty() ? "there is no standby"
                                  : "bundle " + bundle.short_str() + " is in a slot already",
                   "see `heddle status`");
  }
  if (!bundle.empty()) HEDDLE_TRY(servable(bundle));
  if (state_.shadow == bundle) state_.shadow = {};
  state_.standby = bundle;
  changed();
  return {};
}

Result<void> Releases::swap() {
  if (state_.standby.empty() || state_.primary.empty()) {
    return failure(ErrorKind::kUnavailable, "release-no-standby", "there is no standby to swap to",
                   "release one into the standby slot first");
  }
  return promote(state_.standby);
}

Result<void> Releases::rollback() {
  if (state_.rollback.empty()) {
    return failure(ErrorKind::kUnavailable, "release-no-target",
                   "the first release has nothing to go back to",
                   "use `heddle stop` for the declared safe state");
  }
  return promote(state_.rollback);
}

Result<void> Releases::replace(std::string_view slot, Digest variant) {
  const bool is_primary = slot == "primary";
  if (!is_primary && slot != "standby") {
    return failure(ErrorKind::kInvalid, "release-slot",
                   "there is no slot `" + std::string(slot) + "` whose bundle can be replaced",
                   "these are `primary` and `standby`");
  }
  if ((is_primary ? state_.primary : state_.standby).empty()) {
    return failure(ErrorKind::kNotFound, "release-empty-slot",
                   "slot `" + std::string(slot) + "` is empty", "");
  }
  // The variant of a slot is another bundle than what is there: an equal one changes nothing.
  if (variant == state_.primary || variant == state_.standby ||
      variant == state_.canary.canary.bundle) {
    return failure(ErrorKind::kConflict, "release-in-use",
                   "bundle " + variant.short_str() + " is in a slot already",
                   "see `heddle status`");
  }
  HEDDLE_TRY(servable(variant));
  if (is_primary) {
    make_primary(variant);
    return {};
  }
  if (state_.shadow == variant) state_.shadow = {};
  state_.standby = variant;
  changed();
  return {};
}

Result<void> Releases::start_canary(Digest bundle, const CanaryPlan& plan, std::uint32_t weight,
                                    Micros at) {
  const auto& steps = plan.steps;
  // Weights that fall or repeat would let a canary that was judged good lose traffic, or be judged
  // twice at one step.
  const bool rising =
      std::adjacent_find(steps.begin(), steps.end(), std::greater_equal<>()) == steps.end();
  if (steps.empty() || !rising || steps.front() == 0 || steps.back() > plane::kMostCanaryWeight) {
    return failure(ErrorKind::kInvalid, "release-canary-steps",
                   "the steps of a canary rise, above 0 % and to 50 % at most",
                   "the other half of the traffic is its baseline");
  }
  // 0 is "the first step"; a canary of no weight would never be judged.
  if (weight == 0) weight = steps.front();
  if (std::find(steps.begin(), steps.end(), weight) == steps.end()) {
    std::string known;
    for (const std::uint32_t step : steps)
      known += fmt::format("{}{:g}%", known.empty() ? "" : ", ", step / 100.0);
    return failure(ErrorKind::kInvalid, "release-canary-weight",
                   fmt::format("{:g}% is no step of the canary", weight / 100.0),
                   "the steps are " + known);
  }
  if (state_.primary.empty()) {
    return failure(ErrorKind::kUnavailable, "release-no-primary",
                   "there is no primary to compare a canary with", "promote one first");
  }
  if (state_.stopped) {
    return failure(ErrorKind::kConflict, "release-stopped",
                   "it is stopped: a canary would answer nobody",
                   "a person clears it: `heddle resume`");
  }
  if (state_.canary.running()) {
    return failure(ErrorKind::kConflict, "release-canary-runs",
                   "canary " + state_.canary.canary.bundle.short_str() + " runs already",
                   "promote it, or end it with `heddle release abort`");
  }
  if (bundle == state_.primary || bundle == state_.standby) {
    return failure(ErrorKind::kConflict, "release-in-use",
                   "bundle " + bundle.short_str() + " is in a slot already", "see `heddle status`");
  }
  HEDDLE_TRY(servable(bundle));
  if (state_.shadow == bundle) state_.shadow = {};
  changed();
  state_.canary.canary = {bundle, weight, plan.sticky, plan.header, plan.header_value};
  state_.canary.steps = steps;
  // After `changed`: these name the table that sends the first requests to it, by which a judgement
  // tells its rows from those before.
  state_.canary.started = state_.canary.stepped = state_.version;
  state_.canary.stepped_at = at;
  return {};
}

Result<void> Releases::raise_canary(Micros at) {
  if (!state_.canary.running())
    return failure(ErrorKind::kNotFound, "release-no-canary", "no canary runs", "");
  if (state_.stopped) {
    return failure(ErrorKind::kConflict, "release-stopped",
                   "it is stopped: a canary would answer nobody",
                   "a person clears it: `heddle resume`");
  }
  const std::uint32_t next = state_.canary.next_weight();
  if (next == 0) {
    return failure(ErrorKind::kConflict, "release-canary-last-step",
                   "the canary is at its last step", "promote it to primary");
  }
  // It was when it started. Its approval may have been taken back, or its objects lost, since.
  HEDDLE_TRY(servable(state_.canary.canary.bundle));
  changed();
  // As of this version: rows of the step before are not judged with those of this one.
  state_.canary.canary.weight = next;
  state_.canary.stepped = state_.version;
  state_.canary.stepped_at = at;
  return {};
}

Result<void> Releases::abort_canary() {
  if (!state_.canary.running())
    return failure(ErrorKind::kNotFound, "release-no-canary", "no canary runs", "");
  state_.canary = {};
  changed();
  return {};
}

Result<void> Releases::set_shadow(Digest bundle) {
  if (bundle == state_.shadow ||
      (!bundle.empty() && (bundle == state_.primary || bundle == state_.standby ||
                           bundle == state_.canary.canary.bundle))) {
    return failure(ErrorKind::kConflict, "release-in-use",
                   bundle.empty() ? "there is no shadow"
                                  : "bundle " + bundle.short_str() + " is in a slot already",
                   "see `heddle status`");
  }
  // Ready and no more: what is scored beside answers nobody, so nobody has to have said yes.
  if (!bundle.empty() && !standing(bundle).ready) {
    return failure(ErrorKind::kUnavailable, "release-not-ready",
                   "bundle " + bundle.short_str() +
                       " is not loaded and checked against its reference predictions",
                   "fetch it and try again");
  }
  state_.shadow = bundle;
  changed();
  return {};
}

void Releases::leave_only(const std::function<bool(const Digest&)>& stays) {
  const auto goes = [&](const Digest& bundle) { return !bundle.empty() && !stays(bundle); };
  // Without `changed`: this is part of a command that makes a new version itself.
  if (goes(state_.standby)) state_.standby = {};
  if (goes(state_.shadow)) state_.shadow = {};
  if (goes(state_.canary.canary.bundle)) state_.canary = {};
}

Result<void> Releases::quarantine(plane::QuarantinedSource source) {
  // By account and source: two accounts may name their sources alike.
  for (const auto& known : state_.quarantined) {
    if (known.is(source.account, source.source)) {
      return failure(
          ErrorKind::kConflict, "release-quarantined",
          "source " + plane::source_text(source.account, source.source) + " is quarantined already",
          "see `heddle quarantine list`");
    }
  }
  state_.quarantined.push_back(std::move(source));
  changed();
  return {};
}

Result<void> Releases::readmit(std::string_view account, std::string_view source) {
  const auto named = [&](const auto& known) { return known.is(account, source); };
  // A quarantine of everybody is another one than that of a single account, and stays.
  if (std::erase_if(state_.quarantined, named) == 0) {
    return failure(ErrorKind::kNotFound, "release-not-quarantined",
                   "source " + plane::source_text(account, source) + " is not quarantined",
                   "see `heddle quarantine list`");
  }
  changed();
  return {};
}

void Releases::allow_fail_over(bool allowed, const plane::FailOver& rule) {
  // Each apply asks for this. A table is signed and read anew only where something changed.
  if (state_.fail_over_allowed == allowed && state_.fail_over == rule) return;
  state_.fail_over_allowed = allowed;
  state_.fail_over = rule;
  changed();
}

bool Releases::acknowledged(const std::string& act) const {
  return std::find(state_.acknowledged.begin(), state_.acknowledged.end(), act) !=
         state_.acknowledged.end();
}

void Releases::acknowledge_fail_over(const std::string& act, const Digest& failed) {
  if (acknowledged(act)) return;
  if (!failed.empty() && failed == state_.primary)
    (void)swap();  // without a standby the data plane has none to stay with either
  acknowledge(act);
}

void Releases::acknowledge_canary_abort(const std::string& act, const Digest& bundle) {
  if (acknowledged(act)) return;
  // Another canary was started before this act was read: that one goes on.
  if (state_.canary.running() && state_.canary.canary.bundle == bundle) state_.canary = {};
  acknowledge(act);
}

void Releases::acknowledge(const std::string& act) {
  if (acknowledged(act)) return;
  acknowledge_with_next(act);
  changed();
}

void Releases::acknowledge_with_next(const std::string& act) {
  if (acknowledged(act)) return;
  state_.acknowledged.push_back(act);
  if (state_.acknowledged.size() > kMostAcknowledged)
    state_.acknowledged.erase(state_.acknowledged.begin());
}

void Releases::stop() {
  if (state_.stopped) return;
  state_.stopped = true;
  changed();
}

void Releases::resume() {
  if (!state_.stopped) return;
  state_.stopped = false;
  changed();
}

Standing Releases::standing(const Digest& bundle) const {
  const auto it = state_.bundles.find(bundle);
  return it == state_.bundles.end() ? Standing{} : it->second;
}

plane::RouteTable Releases::route(std::string decision) const {
  plane::RouteTable table;
  table.version = state_.version;
  table.service = state_.service;
  table.primary = state_.primary;
  table.standby = state_.standby;
  table.canary = state_.canary.canary;
  table.shadow = state_.shadow;
  table.fail_over_allowed = state_.fail_over_allowed;
  table.fail_over = state_.fail_over;
  table.quarantined = state_.quarantined;
  table.stopped = state_.stopped;
  table.acknowledged = state_.acknowledged;
  table.decision = std::move(decision);
  return table;
}

doc::Value Releases::to_value() const { return releases_schema().print(state_); }

Result<Releases> Releases::from_value(const doc::Value& value) {
  Releases out("");
  HEDDLE_ASSIGN_OR_RETURN(out.state_, releases_schema().parse(value));
  return out;
}

}  // namespace heddle::release
