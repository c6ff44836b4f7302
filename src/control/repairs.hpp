#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "bundle/bundle.hpp"
#include "evaluate/evaluate.hpp"
#include "recover/act.hpp"
#include "score/calibration.hpp"
#include "spec/contract.hpp"
#include "store/store.hpp"

namespace heddle::control {

/// Name of the evidence that says what a release does to repairs: {"of", "drops": [..], "revives":
/// [..]}.
inline constexpr std::string_view kRepairsEvidence = "repairs.json";

/// What recovery did to a bundle since `heddle run` built it (docs/adr/0026).
struct Repairs {
  std::vector<spec::Transform>
      transforms;                     ///< in its contract and not in the one it was built with
  std::vector<double> calibration{};  ///< what was added to its offsets since its model was trained
  double quantile = 0;                ///< and to that of its interval
};

/// How the calibration of a bundle differs from an earlier one's.
struct CalibrationChange {
  std::vector<double> offsets;  ///< what was added
  /// The interval of then and of now; none where one of the two has none.
  std::optional<std::pair<stats::Conformal, stats::Conformal>> intervals{};
};

/// Whether `bundle` is `ancestor`, or was made from it by repairs or retraining.
[[nodiscard]] Result<bool> descends_from(store::Objects& objects, const Digest& bundle,
                                         const Digest& ancestor);

/// The transforms of the contract of `bundle`, also those it was built with.
[[nodiscard]] Result<std::vector<spec::Transform>> transforms_of(store::Objects& objects,
                                                                 const Digest& bundle);

/// Follows `derived_from` to the bundle that was built. Where an ancestor is not there any more,
/// all that the oldest known one has counts as a repair.
[[nodiscard]] Result<Repairs> repairs_of(store::Objects& objects, const Digest& bundle);

/// The calibration of a bundle; of one that has none an offset of 0.
[[nodiscard]] Result<score::Calibration> calibration_of(const bundle::Bundle& bundle);

/// What lies between the calibration of `bundle` and that of the newest bundle on the way to it
/// that a person released (`released`, asked of each digest) or whose model was trained. What was
/// taken back is not in it. Where that bundle is not there any more, the whole offsets count, and
/// the interval since the oldest bundle that is there.
[[nodiscard]] Result<CalibrationChange> calibration_since_release(
    store::Objects& objects, const Digest& bundle,
    const std::function<Result<bool>(const Digest&)>& released);

/// `base` with `change` added to its calibration. `refit`: see `flow::with_calibration`. kConflict
/// `recalibration-other-model` when it has another number of outputs.
[[nodiscard]] Result<Digest> recalibrated(store::Objects& objects, const Digest& base,
                                          const recover::RecalibrationInForce& change,
                                          const std::string& commit,
                                          const std::optional<evaluate::IntervalRefit>& refit = {});

/// The repairs of `before` that `after` has not, a sentence each; empty: it has them all. A model
/// that was retrained from `before` was fitted to the newer labels itself: a recalibration is not
/// missing there.
[[nodiscard]] Result<std::vector<std::string>> dropped_repairs(store::Objects& objects,
                                                               const Digest& before,
                                                               const Digest& after);

/// The transforms that recovery took back on the way to `before` and that `after` has, a sentence
/// each: for example from the branch of a postmortem that is merged after its fault was over.
[[nodiscard]] Result<std::vector<std::string>> revived_repairs(store::Objects& objects,
                                                               const Digest& before,
                                                               const Digest& after);

}  // namespace heddle::control
