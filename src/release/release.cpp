#include "release/release.hpp"

#include <algorithm>
#include <utility>

namespace heddle::release {

namespace {

constexpr std::size_t kMostAcknowledged = 64;  ///< the data plane forgets an act once a table named it

Error failure(ErrorKind kind, std::string id, std::string message, std::string hint) {
  return Error{kind, std::move(id), std::move(message), std::move(hint)};
}

}  // namespace

void Releases::approve(const Digest& bundle, std::string approval) {
  Standing& standing = bundles_[bundle];
  standing.approved = true;
  standing.approval = std::move(approval);
}

Result<void> Releases::revoke(const Digest& bundle) {
  if (bundle == primary_ || bundle == standby_ || bundle == rollback_) {
    return failure(ErrorKind::kConflict, "release-in-use", "bundle " + bundle.short_str() + " is in a slot or a rollback target",
                   "promote another bundle first");
  }
  const auto it = bundles_.find(bundle);
  if (it == bundles_.end()) {
    return failure(ErrorKind::kNotFound, "release-unknown", "bundle " + bundle.short_str() + " was never released", "");
  }
  it->second.approved = false;
  return {};
}

Result<void> Releases::servable(const Digest& bundle) const {
  const Standing known = standing(bundle);
  if (!known.approved) {
    return failure(ErrorKind::kDenied, "release-not-approved", "bundle " + bundle.short_str() + " is not approved",
                   "see `heddle approval list`");
  }
  if (!known.ready) {
    return failure(ErrorKind::kUnavailable, "release-not-ready",
                   "bundle " + bundle.short_str() + " is not loaded and checked against its reference predictions",
                   "fetch it and try again");
  }
  return {};
}

Result<void> Releases::promote(const Digest& bundle) {
  if (bundle == primary_ && !primary_.empty()) {
    return failure(ErrorKind::kConflict, "release-is-primary", "bundle " + bundle.short_str() + " is primary already", "");
  }
  HEDDLE_TRY(servable(bundle));
  if (bundle == standby_) return swap();
  rollback_ = primary_;
  primary_ = bundle;
  changed();
  return {};
}

Result<void> Releases::set_standby(const Digest& bundle) {
  if (bundle == standby_ || (bundle == primary_ && !bundle.empty())) {
    return failure(ErrorKind::kConflict, "release-in-use", "bundle " + bundle.short_str() + " is in a slot already", "");
  }
  if (!bundle.empty()) HEDDLE_TRY(servable(bundle));
  standby_ = bundle;
  changed();
  return {};
}

Result<void> Releases::swap() {
  if (standby_.empty() || primary_.empty()) {
    return failure(ErrorKind::kUnavailable, "release-no-standby", "there is no standby to swap to",
                   "release one into the standby slot first");
  }
  HEDDLE_TRY(servable(standby_));
  rollback_ = primary_;
  std::swap(primary_, standby_);
  changed();
  return {};
}

Result<void> Releases::rollback() {
  if (rollback_.empty()) {
    return failure(ErrorKind::kUnavailable, "release-no-target", "the first release has nothing to go back to",
                   "use `heddle stop` for the declared safe state");
  }
  HEDDLE_TRY(servable(rollback_));
  if (rollback_ == standby_) standby_ = primary_;
  std::swap(primary_, rollback_);
  changed();
  return {};
}

Result<void> Releases::replace(std::string_view slot, const Digest& variant) {
  const bool is_primary = slot == "primary";
  if (!is_primary && slot != "standby") {
    return failure(ErrorKind::kInvalid, "release-slot", "there is no slot `" + std::string(slot) + "`",
                   "slots are `primary` and `standby`");
  }
  Digest& place = is_primary ? primary_ : standby_;
  if (place.empty()) {
    return failure(ErrorKind::kNotFound, "release-empty-slot", "slot `" + std::string(slot) + "` is empty", "");
  }
  if (variant == primary_ || variant == standby_) {
    return failure(ErrorKind::kConflict, "release-in-use", "bundle " + variant.short_str() + " is in a slot already", "");
  }
  HEDDLE_TRY(servable(variant));
  if (is_primary) rollback_ = primary_;
  place = variant;
  changed();
  return {};
}

Result<void> Releases::quarantine(plane::QuarantinedSource source) {
  for (const auto& known : quarantined_) {
    if (known.source == source.source) {
      return failure(ErrorKind::kConflict, "release-quarantined", "source `" + source.source + "` is quarantined already", "");
    }
  }
  quarantined_.push_back(std::move(source));
  changed();
  return {};
}

Result<void> Releases::readmit(const std::string& source) {
  if (std::erase_if(quarantined_, [&](const auto& known) { return known.source == source; }) == 0) {
    return failure(ErrorKind::kNotFound, "release-not-quarantined", "source `" + source + "` is not quarantined", "");
  }
  changed();
  return {};
}

void Releases::allow_fail_over(bool allowed) {
  if (fail_over_allowed_ == allowed) return;
  fail_over_allowed_ = allowed;
  changed();
}

Result<void> Releases::acknowledge_fail_over(const std::string& act) {
  if (std::find(acknowledged_.begin(), acknowledged_.end(), act) != acknowledged_.end()) return {};
  HEDDLE_TRY(swap());
  acknowledge(act);
  return {};
}

void Releases::acknowledge(const std::string& act) {
  if (std::find(acknowledged_.begin(), acknowledged_.end(), act) != acknowledged_.end()) return;
  acknowledged_.push_back(act);
  if (acknowledged_.size() > kMostAcknowledged) acknowledged_.erase(acknowledged_.begin());
  changed();
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
  table.fail_over_allowed = fail_over_allowed_;
  table.quarantined = quarantined_;
  table.stopped = stopped_;
  table.acknowledged = acknowledged_;
  table.decision = std::move(decision);
  return table;
}

doc::Value Releases::to_value() const {
  const auto text = [](const Digest& digest) { return digest.empty() ? std::string() : digest.str(); };
  doc::Value sources = doc::Value::array();
  for (const auto& q : quarantined_) {
    sources.push(doc::Value::object({{"source", q.source}, {"rule", q.rule}, {"readmit_after", q.readmit_after}}));
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
  return doc::Value::object({{"format", "heddle.releases/1"},
                             {"service", service_},
                             {"version", static_cast<std::int64_t>(version_)},
                             {"primary", text(primary_)},
                             {"standby", text(standby_)},
                             {"rollback", text(rollback_)},
                             {"fail_over_allowed", fail_over_allowed_},
                             {"stopped", stopped_},
                             {"quarantined", std::move(sources)},
                             {"acknowledged", std::move(acts)},
                             {"bundles", std::move(bundles)}});
}

Result<Releases> Releases::from_value(const doc::Value& value) {
  const auto corrupt = [] {
    return failure(ErrorKind::kCorrupt, "release-state", "the saved releases are malformed", "run `heddle audit verify`");
  };
  if (value.string_or("format") != "heddle.releases/1") return corrupt();
  Releases out(value.string_or("service"));
  out.version_ = static_cast<std::uint64_t>(value.int_or("version"));
  for (auto [key, place] : {std::pair<std::string_view, Digest*>{"primary", &out.primary_},
                            {"standby", &out.standby_},
                            {"rollback", &out.rollback_}}) {
    const std::string text = value.string_or(key);
    if (text.empty()) continue;
    HEDDLE_ASSIGN_OR_RETURN(*place, Digest::parse(text));
  }
  out.fail_over_allowed_ = value.bool_or("fail_over_allowed");
  out.stopped_ = value.bool_or("stopped");
  const doc::Value* sources = value.find("quarantined");
  const doc::Value* acts = value.find("acknowledged");
  const doc::Value* bundles = value.find("bundles");
  for (const doc::Value* list : {sources, acts, bundles}) {
    if (list == nullptr || !list->is_array()) return corrupt();
  }
  for (const doc::Value& item : sources->as_array()) {
    out.quarantined_.push_back({item.string_or("source"), item.string_or("rule"),
                                static_cast<std::uint32_t>(item.int_or("readmit_after"))});
  }
  for (const doc::Value& item : acts->as_array()) {
    if (!item.is_string()) return corrupt();
    out.acknowledged_.push_back(item.as_string());
  }
  for (const doc::Value& item : bundles->as_array()) {
    HEDDLE_ASSIGN_OR_RETURN(const Digest digest, Digest::parse(item.string_or("bundle")));
    out.bundles_[digest] = {item.bool_or("approved"), item.bool_or("ready"), item.string_or("approval")};
  }
  return out;
}

}  // namespace heddle::release
