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

bool same_rule(const plane::FailOver& a, const plane::FailOver& b) {
  return a.requests == b.requests && a.failed_share == b.failed_share &&
         a.refused_share == b.refused_share && a.most == b.most;
}

bool same_run(const CanaryRun& a, const CanaryRun& b) {
  return a.canary.bundle == b.canary.bundle && a.canary.weight == b.canary.weight &&
         a.canary.sticky == b.canary.sticky && a.canary.header == b.canary.header &&
         a.canary.header_value == b.canary.header_value && a.steps == b.steps &&
         a.started == b.started && a.stepped == b.stepped && a.stepped_at == b.stepped_at;
}

}  // namespace

std::uint32_t CanaryRun::next_weight() const noexcept {
  const auto next = std::upper_bound(steps.begin(), steps.end(), canary.weight);
  return next == steps.end() ? 0 : *next;
}

void Releases::mark_unready(Digest bundle) {
  const auto known = bundles_.find(bundle);
  if (known == bundles_.end() || !known->second.ready) return;
  known->second.ready = false;
  const plane::RouteTable before = route("");
  if (canary_.canary.bundle == bundle) canary_ = {};
  if (shadow_ == bundle) shadow_ = {};
  if (standby_ == bundle) standby_ = {};
  if (rollback_ == bundle) rollback_ = standby_;
  if (primary_ == bundle) {
    canary_ = {};
    primary_ = standby_.empty() ? rollback_ : standby_;
    standby_ = {};
    if (rollback_ == primary_) rollback_ = {};
    if (shadow_ == primary_) shadow_ = {};
  }
  const plane::RouteTable after = route("");
  if (before.primary != after.primary || before.standby != after.standby ||
      before.shadow != after.shadow || before.canary.bundle != after.canary.bundle) {
    changed();
  }
}

void Releases::approve(const Digest& bundle, std::string approval) {
  Standing& standing = bundles_[bundle];
  standing.approved = true;
  standing.approval = std::move(approval);
}

void Releases::forget_others() {
  std::erase_if(bundles_, [&](const auto& known) {
    const auto& bundle = known.first;
    return bundle != primary_ && bundle != standby_ && bundle != rollback_ && bundle != shadow_ &&
           bundle != canary_.canary.bundle;
  });
}

Result<void> Releases::revoke(const Digest& bundle) {
  const auto it = bundles_.find(bundle);
  if (it == bundles_.end()) {
    return failure(ErrorKind::kNotFound, "release-unknown",
                   "bundle " + bundle.short_str() + " was never released", "");
  }
  if (bundle == primary_ || bundle == standby_ || bundle == rollback_ ||
      bundle == canary_.canary.bundle) {
    return failure(ErrorKind::kConflict, "release-in-use",
                   "bundle " + bundle.short_str() + " is in a slot or a rollback target",
                   "promote another bundle first");
  }
  it->second.approved = false;
  return {};
}

Result<void> Releases::servable(const Digest& bundle) const {
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

void Releases::make_primary(Digest bundle) {
  canary_ = {};
  if (shadow_ == bundle) shadow_ = {};
  rollback_ = primary_;
  primary_ = bundle;
  changed();
}

Result<void> Releases::promote(Digest bundle) {
  if (bundle == primary_ && !primary_.empty()) {
    return failure(ErrorKind::kConflict, "release-is-primary",
                   "bundle " + bundle.short_str() + " is primary already",
                   "there is nothing to do; see `heddle release history`");
  }
  HEDDLE_TRY(servable(bundle));
  if (bundle == standby_) standby_ = primary_;
  make_primary(bundle);
  return {};
}

Result<void> Releases::set_standby(Digest bundle) {
  if (bundle == standby_ ||
      (!bundle.empty() && (bundle == primary_ || bundle == canary_.canary.bundle))) {
    return failure(ErrorKind::kConflict, "release-in-use",
                   bundle.empty() ? "there is no standby"
                                  : "bundle " + bundle.short_str() + " is in a slot already",
                   "see `heddle status`");
  }
  if (!bundle.empty()) HEDDLE_TRY(servable(bundle));
  if (shadow_ == bundle) shadow_ = {};
  standby_ = bundle;
  changed();
  return {};
}

Result<void> Releases::swap() {
  if (standby_.empty() || primary_.empty()) {
    return failure(ErrorKind::kUnavailable, "release-no-standby", "there is no standby to swap to",
                   "release one into the standby slot first");
  }
  return promote(standby_);
}

Result<void> Releases::rollback() {
  if (rollback_.empty()) {
    return failure(ErrorKind::kUnavailable, "release-no-target",
                   "the first release has nothing to go back to",
                   "use `heddle stop` for the declared safe state");
  }
  return promote(rollback_);
}

Result<void> Releases::replace(std::string_view slot, Digest variant) {
  const bool is_primary = slot == "primary";
  if (!is_primary && slot != "standby") {
    return failure(ErrorKind::kInvalid, "release-slot",
                   "there is no slot `" + std::string(slot) + "` whose bundle can be replaced",
                   "these are `primary` and `standby`");
  }
  if ((is_primary ? primary_ : standby_).empty()) {
    return failure(ErrorKind::kNotFound, "release-empty-slot",
                   "slot `" + std::string(slot) + "` is empty", "");
  }
  if (variant == primary_ || variant == standby_ || variant == canary_.canary.bundle) {
    return failure(ErrorKind::kConflict, "release-in-use",
                   "bundle " + variant.short_str() + " is in a slot already",
                   "see `heddle status`");
  }
  HEDDLE_TRY(servable(variant));
  if (is_primary) {
    make_primary(variant);
    return {};
  }
  if (shadow_ == variant) shadow_ = {};
  standby_ = variant;
  changed();
  return {};
}

Result<void> Releases::start_canary(Digest bundle, const CanaryPlan& plan, std::uint32_t weight,
                                    Micros at) {
  const auto& steps = plan.steps;
  const bool rising =
      std::adjacent_find(steps.begin(), steps.end(), std::greater_equal<>()) == steps.end();
  if (steps.empty() || !rising || steps.front() == 0 || steps.back() > plane::kMostCanaryWeight) {
    return failure(ErrorKind::kInvalid, "release-canary-steps",
                   "the steps of a canary rise, above 0 % and to 50 % at most",
                   "the other half of the traffic is its baseline");
  }
  if (weight == 0) weight = steps.front();
  if (std::find(steps.begin(), steps.end(), weight) == steps.end()) {
    std::string known;
    for (const std::uint32_t step : steps)
      known += fmt::format("{}{:g}%", known.empty() ? "" : ", ", step / 100.0);
    return failure(ErrorKind::kInvalid, "release-canary-weight",
                   fmt::format("{:g}% is no step of the canary", weight / 100.0),
                   "the steps are " + known);
  }
  if (primary_.empty()) {
    return failure(ErrorKind::kUnavailable, "release-no-primary",
                   "there is no primary to compare a canary with", "promote one first");
  }
  if (stopped_) {
    return failure(ErrorKind::kConflict, "release-stopped",
                   "it is stopped: a canary would answer nobody",
                   "a person clears it: `heddle resume`");
  }
  if (canary_.running()) {
    return failure(ErrorKind::kConflict, "release-canary-runs",
                   "canary " + canary_.canary.bundle.short_str() + " runs already",
                   "promote it, or end it with `heddle release abort`");
  }
  if (bundle == primary_ || bundle == standby_) {
    return failure(ErrorKind::kConflict, "release-in-use",
                   "bundle " + bundle.short_str() + " is in a slot already", "see `heddle status`");
  }
  HEDDLE_TRY(servable(bundle));
  if (shadow_ == bundle) shadow_ = {};
  changed();
  canary_.canary = {bundle, weight, plan.sticky, plan.header, plan.header_value};
  canary_.steps = steps;
  canary_.started = canary_.stepped = version_;
  canary_.stepped_at = at;
  return {};
}

Result<void> Releases::raise_canary(Micros at) {
  if (!canary_.running())
    return failure(ErrorKind::kNotFound, "release-no-canary", "no canary runs", "");
  if (stopped_) {
    return failure(ErrorKind::kConflict, "release-stopped",
                   "it is stopped: a canary would answer nobody",
                   "a person clears it: `heddle resume`");
  }
  const std::uint32_t next = canary_.next_weight();
  if (next == 0) {
    return failure(ErrorKind::kConflict, "release-canary-last-step",
                   "the canary is at its last step", "promote it to primary");
  }
  HEDDLE_TRY(servable(canary_.canary.bundle));
  changed();
  canary_.canary.weight = next;
  canary_.stepped = version_;
  canary_.stepped_at = at;
  return {};
}

Result<void> Releases::abort_canary() {
  if (!canary_.running())
    return failure(ErrorKind::kNotFound, "release-no-canary", "no canary runs", "");
  canary_ = {};
  changed();
  return {};
}

Result<void> Releases::set_shadow(Digest bundle) {
  if (bundle == shadow_ || (!bundle.empty() && (bundle == primary_ || bundle == standby_ ||
                                                bundle == canary_.canary.bundle))) {
    return failure(ErrorKind::kConflict, "release-in-use",
                   bundle.empty() ? "there is no shadow"
                                  : "bundle " + bundle.short_str() + " is in a slot already",
                   "see `heddle status`");
  }
  if (!bundle.empty() && !standing(bundle).ready) {
    return failure(ErrorKind::kUnavailable, "release-not-ready",
                   "bundle " + bundle.short_str() +
                       " is not loaded and checked against its reference predictions",
                   "fetch it and try again");
  }
  shadow_ = bundle;
  changed();
  return {};
}

Result<void> Releases::quarantine(plane::QuarantinedSource source) {
  for (const auto& known : quarantined_) {
    if (known.is(source.account, source.source)) {
      return failure(
          ErrorKind::kConflict, "release-quarantined",
          "source " + plane::source_text(source.account, source.source) + " is quarantined already",
          "see `heddle quarantine list`");
    }
  }
  quarantined_.push_back(std::move(source));
  changed();
  return {};
}

Result<void> Releases::readmit(std::string_view account, std::string_view source) {
  const auto named = [&](const auto& known) { return known.is(account, source); };
  if (std::erase_if(quarantined_, named) == 0) {
    return failure(ErrorKind::kNotFound, "release-not-quarantined",
                   "source " + plane::source_text(account, source) + " is not quarantined",
                   "see `heddle quarantine list`");
  }
  changed();
  return {};
}

void Releases::allow_fail_over(bool allowed, const plane::FailOver& rule) {
  if (fail_over_allowed_ == allowed && same_rule(fail_over_, rule)) return;
  fail_over_allowed_ = allowed;
  fail_over_ = rule;
  changed();
}

bool Releases::acknowledged(const std::string& act) const {
  return std::find(acknowledged_.begin(), acknowledged_.end(), act) != acknowledged_.end();
}

void Releases::acknowledge_fail_over(const std::string& act, const Digest& failed) {
  if (acknowledged(act)) return;
  if (!failed.empty() && failed == primary_)
    (void)swap();  // without a standby the data plane has none to stay with either
  acknowledge(act);
}

void Releases::acknowledge_canary_abort(const std::string& act, const Digest& bundle) {
  if (acknowledged(act)) return;
  if (canary_.running() && canary_.canary.bundle == bundle) canary_ = {};
  acknowledge(act);
}

void Releases::acknowledge(const std::string& act) {
  if (acknowledged(act)) return;
  acknowledge_with_next(act);
  changed();
}

void Releases::acknowledge_with_next(const std::string& act) {
  if (acknowledged(act)) return;
  acknowledged_.push_back(act);
  if (acknowledged_.size() > kMostAcknowledged) acknowledged_.erase(acknowledged_.begin());
}

void Releases::stop() {
  if (stopped_) return;
  stopped_ = true;
  changed();
}

void Releases::resume() {
  if (!stopped_) return;
  stopped_ = false;
  changed();
}

Standing Releases::standing(const Digest& bundle) const {
  const auto it = bundles_.find(bundle);
  return it == bundles_.end() ? Standing{} : it->second;
}

plane::RouteTable Releases::route(std::string decision) const {
  plane::RouteTable table;
  table.version = version_;
  table.service = service_;
  table.primary = primary_;
  table.standby = standby_;
  table.canary = canary_.canary;
  table.shadow = shadow_;
  table.fail_over_allowed = fail_over_allowed_;
  table.fail_over = fail_over_;
  table.quarantined = quarantined_;
  table.stopped = stopped_;
  table.acknowledged = acknowledged_;
  table.decision = std::move(decision);
  return table;
}

bool Releases::operator==(const Releases& other) const {
  const auto same_source = [](const plane::QuarantinedSource& a,
                              const plane::QuarantinedSource& b) {
    return a.is(b.account, b.source) && a.rule == b.rule && a.readmit_after == b.readmit_after &&
           a.by == b.by && a.reason == b.reason;
  };
  return service_ == other.service_ && version_ == other.version_ && primary_ == other.primary_ &&
         standby_ == other.standby_ && rollback_ == other.rollback_ &&
         same_run(canary_, other.canary_) && shadow_ == other.shadow_ &&
         fail_over_allowed_ == other.fail_over_allowed_ &&
         same_rule(fail_over_, other.fail_over_) && stopped_ == other.stopped_ &&
         std::equal(quarantined_.begin(), quarantined_.end(), other.quarantined_.begin(),
                    other.quarantined_.end(), same_source) &&
         acknowledged_ == other.acknowledged_ && bundles_ == other.bundles_;
}

doc::Value Releases::to_value() const {
  const auto text = [](const Digest& digest) {
    return digest.empty() ? std::string() : digest.str();
  };
  doc::Value sources = doc::Value::array();
  for (const auto& q : quarantined_) {
    sources.push(doc::Value::object({{"source", q.source},
                                     {"account", q.account},
                                     {"rule", q.rule},
                                     {"readmit_after", q.readmit_after},
                                     {"by", q.by},
                                     {"reason", q.reason}}));
  }
  doc::Value acts = doc::Value::array();
  for (const std::string& act : acknowledged_) acts.push(act);
  doc::Value bundles = doc::Value::array();
  for (const auto& [digest, standing] : bundles_) {
    bundles.push(doc::Value::object({{"bundle", digest.str()},
                                     {"approved", standing.approved},
                                     {"ready", standing.ready},
                                     {"approval", standing.approval}}));
  }
  auto canary = doc::Value::object();
  if (canary_.running()) {
    auto steps = doc::Value::array();
    for (const std::uint32_t step : canary_.steps) steps.push(step);
    canary = doc::Value::object({{"bundle", canary_.canary.bundle.str()},
                                 {"weight", canary_.canary.weight},
                                 {"sticky", canary_.canary.sticky},
                                 {"header", canary_.canary.header},
                                 {"header_value", canary_.canary.header_value},
                                 {"steps", std::move(steps)},
                                 {"started", canary_.started},
                                 {"stepped", canary_.stepped},
                                 {"stepped_at", canary_.stepped_at}});
  }
  return doc::Value::object(
      {{"format", "heddle.releases/1"},
       {"service", service_},
       {"version", static_cast<std::int64_t>(version_)},
       {"primary", text(primary_)},
       {"standby", text(standby_)},
       {"rollback", text(rollback_)},
       {"canary", canary},
       {"shadow", text(shadow_)},
       {"fail_over_allowed", fail_over_allowed_},
       {"fail_over", doc::Value::object({{"requests", fail_over_.requests},
                                         {"failed_share", fail_over_.failed_share},
                                         {"refused_share", fail_over_.refused_share},
                                         {"most", fail_over_.most}})},
       {"stopped", stopped_},
       {"quarantined", std::move(sources)},
       {"acknowledged", std::move(acts)},
       {"bundles", std::move(bundles)}});
}

Result<Releases> Releases::from_value(const doc::Value& value) {
  const auto corrupt = [] {
    return failure(ErrorKind::kCorrupt, "release-state", "the saved releases are malformed",
                   "run `heddle audit verify`");
  };
  if (value.string_or("format") != "heddle.releases/1") return corrupt();
  Releases out(value.string_or("service"));
  out.version_ = static_cast<std::uint64_t>(value.int_or("version"));
  for (auto [key, place] : {std::pair<std::string_view, Digest*>{"primary", &out.primary_},
                            {"standby", &out.standby_},
                            {"rollback", &out.rollback_},
                            {"shadow", &out.shadow_}}) {
    const std::string text = value.string_or(key);
    if (text.empty()) continue;
    HEDDLE_ASSIGN_OR_RETURN(*place, Digest::parse(text));
  }
  out.fail_over_allowed_ = value.bool_or("fail_over_allowed");
  // States written before there were canaries have neither of these.
  if (const doc::Value* rule = value.find("fail_over"); rule != nullptr) {
    out.fail_over_.requests =
        static_cast<std::uint32_t>(rule->int_or("requests", out.fail_over_.requests));
    out.fail_over_.failed_share = rule->double_or("failed_share", out.fail_over_.failed_share);
    out.fail_over_.refused_share = rule->double_or("refused_share", out.fail_over_.refused_share);
    out.fail_over_.most = static_cast<std::uint32_t>(rule->int_or("most", out.fail_over_.most));
  }
  if (const doc::Value* canary = value.find("canary"); canary != nullptr && canary->size() > 0) {
    HEDDLE_ASSIGN_OR_RETURN(out.canary_.canary.bundle, Digest::parse(canary->string_or("bundle")));
    out.canary_.canary.weight = static_cast<std::uint32_t>(canary->int_or("weight"));
    out.canary_.canary.sticky = canary->string_or("sticky");
    out.canary_.canary.header = canary->string_or("header");
    out.canary_.canary.header_value = canary->string_or("header_value");
    const doc::Value* steps = canary->find("steps");
    if (steps == nullptr || !steps->is_array()) return corrupt();
    for (const doc::Value& step : steps->as_array()) {
      if (!step.is_int()) return corrupt();
      out.canary_.steps.push_back(static_cast<std::uint32_t>(step.as_int()));
    }
    out.canary_.started = static_cast<std::uint64_t>(canary->int_or("started"));
    out.canary_.stepped = static_cast<std::uint64_t>(canary->int_or("stepped"));
    out.canary_.stepped_at = canary->int_or("stepped_at");
  }
  out.stopped_ = value.bool_or("stopped");
  const doc::Value* sources = value.find("quarantined");
  const doc::Value* acts = value.find("acknowledged");
  const doc::Value* bundles = value.find("bundles");
  for (const doc::Value* list : {sources, acts, bundles}) {
    if (list == nullptr || !list->is_array()) return corrupt();
  }
  for (const doc::Value& item : sources->as_array()) {
    out.quarantined_.push_back({item.string_or("source"), item.string_or("rule"),
                                static_cast<std::uint32_t>(item.int_or("readmit_after")),
                                item.string_or("account"), item.string_or("by"),
                                item.string_or("reason")});
  }
  for (const doc::Value& item : acts->as_array()) {
    if (!item.is_string()) return corrupt();
    out.acknowledged_.push_back(item.as_string());
  }
  for (const doc::Value& item : bundles->as_array()) {
    HEDDLE_ASSIGN_OR_RETURN(const Digest digest, Digest::parse(item.string_or("bundle")));
    out.bundles_[digest] = {item.bool_or("approved"), item.bool_or("ready"),
                            item.string_or("approval")};
  }
  return out;
}

}  // namespace heddle::release
