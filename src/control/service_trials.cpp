// What recovery did is held against what would be served without it: the alternatives that the
// watch scores beside the traffic.
#include <algorithm>

#include "base/log.hpp"
#include "bundle/bundle.hpp"
#include "control/repairs.hpp"
#include "control/service_control.hpp"
#include "doc/json.hpp"
#include "flow/variant.hpp"

namespace heddle::control {

Result<Digest> ServiceControl::without(const recover::Act& act) {
  return std::visit(
      recover::overloaded{
          [&](const recover::TransformInForce& repair) {
            return flow::without_transform(*parts_.objects, releases().primary(), repair.transform,
                                           parts_.project->commit);
          },
          [&](const recover::RecalibrationInForce& recalibration) {
            auto opposite = recalibration;
            for (double& offset : opposite.offsets) offset = -offset;
            opposite.quantile = -opposite.quantile;
            return recalibrated(*parts_.objects, releases().primary(), opposite,
                                parts_.project->commit);
          },
          [&](const recover::SwapInForce&) { return Result<Digest>(releases().standby()); },
          [&](const recover::ReleaseInForce& release) { return Digest::parse(release.before); }},
      act.kind);
}

Result<watch::Alternative> ServiceControl::alternative_of(std::string trial, bool candidate,
                                                          const Digest& bundle) {
  // Loaded once: an alternative stays on trial over many route tables.
  auto& plan = plans_[bundle];
  if (!plan) {
    HEDDLE_ASSIGN_OR_RETURN(const auto opened, bundle::open(*parts_.objects, bundle));
    if (opened.has(bundle::kRuntime)) {
      return Error{ErrorKind::kInvalid, "trial-runtime",
                   fmt::format("bundle {} is scored by a runtime, not beside the traffic",
                               bundle.short_str()),
                   "it is verified by its quality windows alone"};
    }
    HEDDLE_ASSIGN_OR_RETURN(plan, score::Plan::load(opened));
  }
  struct Scoring {
    std::vector<expr::Datum> raw;
    score::RowResult result;
    score::Scratch scratch;
  };
  // The watch copies what it is given; the working memory is one.
  auto working = std::make_shared<Scoring>();
  return watch::Alternative{std::move(trial), candidate,
                            [plan, working](const std::vector<plane::FieldValue>& fields) {
                              working->raw.clear();
                              for (const auto& field : fields)
                                working->raw.push_back(field.datum());
                              plan->score_row(working->raw, working->result, working->scratch);
                              return working->result.margins;
                            }};
}

Result<void> ServiceControl::try_alternatives() {
  if (releases().primary().empty()) return {};
  // A route table that changed for another reason, a quarantine for example, is a new route to the
  // watch: what is on trial goes on there.
  std::vector<std::string> wanted{fmt::to_string(releases().version()), releases().primary().str(),
                                  releases().standby().str()};
  for (const auto& act : ladder_->acts()) wanted.push_back(act.id);
  for (const auto& [trial, bundle] : ladder_->candidates()) wanted.push_back(trial + "=" + bundle);
  if (wanted == on_trial_) return {};
  on_trial_ = wanted;
  std::vector<std::string> names;
  std::vector<std::tuple<std::string, bool, Digest>> alternatives;
  const bool on_standby =
      std::any_of(ladder_->acts().begin(), ladder_->acts().end(),
                  [](const auto& act) { return act.template is<recover::SwapInForce>(); });
  std::string recalibration;  // that changed the interval
  for (const auto& act : ladder_->acts()) {
    const auto* changed = act.as<recover::RecalibrationInForce>();
    if (changed != nullptr && changed->quantile != 0) recalibration = act.id;
    // The calibration is of the primary that waits, not of the standby that took over.
    if (on_standby && act.is<recover::RecalibrationInForce>()) continue;
    auto bundle = without(act);
    // A release by hand may have left nothing of the act to be without.
    if (!bundle.ok() || bundle->empty() || *bundle == releases().primary()) continue;
    alternatives.emplace_back(act.id, false, *bundle);
  }
  for (const auto& [trial, text] : ladder_->candidates()) {
    HEDDLE_ASSIGN_OR_RETURN(const auto bundle, Digest::parse(text));
    alternatives.emplace_back(trial, true, bundle);
  }
  auto known = watched_->of(releases().primary(), releases().version());
  if (!known.ok()) return {};  // not watched, which is an alert of its own (know_route)
  watch::Route route = *std::move(known);
  std::map<Digest, std::shared_ptr<const score::Plan>> used;
  for (const auto& [name, candidate, bundle] : alternatives) {
    auto alternative = alternative_of(name, candidate, bundle);
    if (!alternative.ok()) {
      log::warn("{} is not tried: {}", name, alternative.error().message);
      continue;
    }
    names.push_back(name);
    used[bundle] = plans_[bundle];
    // What changed of the intervals pays, or not, by what they hold and how wide they are.
    if (const auto& interval = plans_[bundle]->conformal(); interval && name == recalibration)
      alternative->quantile = interval->quantile;
    route.alternatives.push_back(*std::move(alternative));
  }
  // Those that are tried no more go: a plan holds a whole model.
  plans_ = std::move(used);
  watch_->keep_trials(names);
  watch_->register_route(std::move(route));
  return {};
}

}  // namespace heddle::control
