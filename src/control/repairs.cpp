#include "control/repairs.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "contract/stored.hpp"
#include "flow/variant.hpp"
#include "recover/act.hpp"
#include "score/calibration.hpp"

namespace heddle::control {
namespace {

constexpr double kSameOffset = 1e-9;  ///< two sums of the same terms may differ by rounding

/// A bundle and those it was derived from, newest first.
Result<std::vector<bundle::Bundle>> ancestry(store::Objects& objects, const Digest& digest) {
  std::vector<bundle::Bundle> chain;
  HEDDLE_ASSIGN_OR_RETURN(auto opened, bundle::open(objects, digest));
  for (;;) {
    chain.push_back(std::move(opened));
    const Digest from = chain.back().config().derived_from;
    if (from.empty()) return chain;
    auto older = bundle::open(objects, from);
    // It may have been deleted since; its descendants are whole without it.
    if (!older.ok() && older.error().kind == ErrorKind::kNotFound) return chain;
    if (!older.ok()) return older.error();
    opened = *std::move(older);
  }
}

Result<std::vector<spec::Transform>> transforms_of(const bundle::Bundle& bundle) {
  HEDDLE_ASSIGN_OR_RETURN(const auto contract, bundle.json(bundle::kContract));
  HEDDLE_ASSIGN_OR_RETURN(auto stored, contract::contract_schema().parse(contract));
  return std::move(stored.transforms);
}

/// Whether it is in the list, under whatever id: an id says who wrote it, not what it does.
bool has(const std::vector<spec::Transform>& list, const spec::Transform& wanted) {
  return std::any_of(list.begin(), list.end(), [&](const spec::Transform& each) {
    return each.field == wanted.field && each.expression.text == wanted.expression.text;
  });
}

std::string sentence(const spec::Transform& transform) {
  return fmt::format("transform `{}` of `{}`: {}", transform.id, transform.field,
                     transform.expression.text);
}

/// One less the other; where they are of different models, one.
std::vector<double> difference_of(std::vector<double> one, const std::vector<double>& other) {
  for (std::size_t k = 0; k < one.size() && one.size() == other.size(); ++k) one[k] -= other[k];
  return one;
}

bool is_same_calibration(const Repairs& one, const Repairs& other) {
  const auto rest = difference_of(one.calibration, other.calibration);
  return std::abs(one.quantile - other.quantile) <= kSameOffset &&
         std::all_of(rest.begin(), rest.end(),
                     [](double offset) { return std::abs(offset) <= kSameOffset; });
}

/// What was added since the newest in `chain` that was built, retrained, or is `released`. Where
/// the chain ends before one of them, the whole offsets count.
Result<CalibrationChange> calibration_along(
    const std::vector<bundle::Bundle>& chain,
    const std::function<Result<bool>(const Digest&)>& released) {
  HEDDLE_ASSIGN_OR_RETURN(const auto now, calibration_of(chain.front()));
  CalibrationChange out{now.offsets};
  const auto since = [&](const score::Calibration& start) {
    if (start.interval && now.interval) out.intervals = std::pair{*start.interval, *now.interval};
  };
  for (const auto& each : chain) {
    bool is_start = each.config().is_retrained() || each.config().derived_from.empty();
    if (!is_start) {
      HEDDLE_ASSIGN_OR_RETURN(is_start, released(each.digest()));
    }
    if (!is_start) continue;
    HEDDLE_ASSIGN_OR_RETURN(const auto start, calibration_of(each));
    out.offsets = difference_of(now.offsets, start.offsets);
    since(start);
    return out;
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto oldest, calibration_of(chain.back()));
  since(oldest);
  return out;
}

Result<Repairs> repairs_along(const std::vector<bundle::Bundle>& chain) {
  Repairs repairs;
  const bool root_is_known = chain.back().config().derived_from.empty();
  std::vector<spec::Transform> built;
  if (root_is_known) {
    HEDDLE_ASSIGN_OR_RETURN(built, transforms_of(chain.back()));
  }
  HEDDLE_ASSIGN_OR_RETURN(repairs.transforms, transforms_of(chain.front()));
  std::erase_if(repairs.transforms, [&](const spec::Transform& each) { return has(built, each); });
  // The offsets count from where the model was trained: built, or retrained since.
  HEDDLE_ASSIGN_OR_RETURN(auto change,
                          calibration_along(chain, [](const Digest&) { return false; }));
  repairs.calibration = std::move(change.offsets);
  if (change.intervals)
    repairs.quantile = change.intervals->second.quantile - change.intervals->first.quantile;
  return repairs;
}

/// Whether the model of the newest in `chain` was retrained from `before` or from what came of it.
bool is_refitted(const std::vector<bundle::Bundle>& chain, const Digest& before) {
  bool retrained = false;
  for (const auto& each : chain) {
    if (each.digest() == before) return retrained;
    retrained = retrained || each.config().is_retrained();
  }
  return false;
}

}  // namespace

Result<score::Calibration> calibration_of(const bundle::Bundle& bundle) {
  if (!bundle.has(bundle::kCalibration)) return score::Calibration{{0.0}, {}};
  HEDDLE_ASSIGN_OR_RETURN(const auto value, bundle.json(bundle::kCalibration));
  return score::calibration_schema().parse(value);
}

Result<bool> descends_from(store::Objects& objects, const Digest& bundle, const Digest& ancestor) {
  if (bundle == ancestor) return true;
  HEDDLE_ASSIGN_OR_RETURN(const auto chain, ancestry(objects, bundle));
  return std::any_of(chain.begin(), chain.end(), [&](const bundle::Bundle& each) {
    return each.digest() == ancestor || each.config().derived_from == ancestor;
  });
}

Result<std::vector<spec::Transform>> transforms_of(store::Objects& objects, const Digest& bundle) {
  HEDDLE_ASSIGN_OR_RETURN(const auto opened, bundle::open(objects, bundle));
  return transforms_of(opened);
}

Result<Repairs> repairs_of(store::Objects& objects, const Digest& bundle) {
  HEDDLE_ASSIGN_OR_RETURN(const auto chain, ancestry(objects, bundle));
  return repairs_along(chain);
}

Result<CalibrationChange> calibration_since_release(
    store::Objects& objects, const Digest& bundle,
    const std::function<Result<bool>(const Digest&)>& released) {
  HEDDLE_ASSIGN_OR_RETURN(const auto chain, ancestry(objects, bundle));
  return calibration_along(chain, released);
}

Result<std::vector<std::string>> revived_repairs(store::Objects& objects, const Digest& before,
                                                 const Digest& after) {
  std::vector<std::string> revived;
  HEDDLE_ASSIGN_OR_RETURN(const auto chain, ancestry(objects, before));
  HEDDLE_ASSIGN_OR_RETURN(const auto opened, bundle::open(objects, after));
  HEDDLE_ASSIGN_OR_RETURN(const auto coming, transforms_of(opened));
  HEDDLE_ASSIGN_OR_RETURN(const auto there, transforms_of(chain.front()));
  for (std::size_t i = 0; i + 1 < chain.size(); ++i) {
    const auto& change = chain[i].config().change;
    if (!change || change->kind != bundle::Change::Kind::kTransformWithdrawn) continue;
    HEDDLE_ASSIGN_OR_RETURN(const auto older, transforms_of(chain[i + 1]));
    for (const auto& transform : older) {
      if (transform.id != change->id || has(there, transform) || !has(coming, transform)) continue;
      revived.push_back(sentence(transform));
    }
  }
  return revived;
}

Result<std::vector<std::string>> dropped_repairs(store::Objects& objects, const Digest& before,
                                                 const Digest& after) {
  std::vector<std::string> dropped;
  HEDDLE_ASSIGN_OR_RETURN(const auto repairs, repairs_of(objects, before));
  HEDDLE_ASSIGN_OR_RETURN(const auto chain, ancestry(objects, after));
  HEDDLE_ASSIGN_OR_RETURN(const auto there, transforms_of(chain.front()));
  HEDDLE_ASSIGN_OR_RETURN(const auto own, repairs_along(chain));
  for (const auto& transform : repairs.transforms) {
    if (has(there, transform)) continue;
    dropped.push_back(sentence(transform));
  }
  const Repairs none{{}, std::vector<double>(repairs.calibration.size(), 0.0)};
  const bool is_recalibrated = !is_same_calibration(repairs, none);
  const bool is_same = is_same_calibration(repairs, own);
  if (is_recalibrated && !is_same && !is_refitted(chain, before)) {
    recover::Act act;
    act.kind = recover::RecalibrationInForce{repairs.calibration, repairs.quantile};
    dropped.push_back(recover::act_text(act));
  }
  return dropped;
}

Result<Digest> recalibrated(store::Objects& objects, const Digest& base,
                            const recover::RecalibrationInForce& change, const std::string& commit,
                            const std::optional<evaluate::IntervalRefit>& refit) {
  const auto& added = change.offsets;
  HEDDLE_ASSIGN_OR_RETURN(const auto opened, bundle::open(objects, base));
  HEDDLE_ASSIGN_OR_RETURN(const auto value, opened.json(bundle::kCalibration));
  HEDDLE_ASSIGN_OR_RETURN(auto calibration, score::calibration_schema().parse(value));
  auto& offsets = calibration.offsets;
  if (offsets.size() != added.size()) {
    return Error{ErrorKind::kConflict, "recalibration-other-model",
                 fmt::format("a recalibration of {} outputs does not fit bundle {}, which has {}",
                             added.size(), base.short_str(), offsets.size()),
                 "another model serves by now: it is recalibrated when its own labels say so"};
  }
  for (std::size_t k = 0; k < offsets.size(); ++k) offsets[k] += added[k];
  if (calibration.interval) calibration.interval->quantile += change.quantile;
  return flow::with_calibration(objects, base, calibration, commit, refit);
}

}  // namespace heddle::control
