#pragma once

#include <optional>
#include <string>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "evaluate/evaluate.hpp"
#include "score/calibration.hpp"
#include "spec/contract.hpp"
#include "store/store.hpp"

namespace heddle::flow {

/// Bundles made from bundles, for recovery. Pure functions of their arguments: the same call gives
/// the same digest. The new bundle's config names its base (`derived_from`), what was done
/// (`change`) and `commit`, the one whose definitions were applied then. What was made from a dirty
/// bundle is dirty.

/// The base with one transform more in its contract (one of the same id is replaced). Reference
/// predictions are recomputed.
[[nodiscard]] Result<Digest> with_transform(store::Objects& objects, const Digest& base,
                                            const spec::Transform& transform,
                                            const std::string& commit);

/// The base without the transform of this id; kNotFound when it has none.
[[nodiscard]] Result<Digest> without_transform(store::Objects& objects, const Digest& base,
                                               const std::string& id, const std::string& commit);

/// The base with this calibration in place of its own. `refit`: what its interval was fitted to,
/// the member `interval_refit` of its evaluation; none where nothing was fitted: of the base's own
/// it stays as long as the interval does. kInvalid `calibration-not-finite` unless each offset and
/// the quantile is a number; kCorrupt where they are not those of its task.
[[nodiscard]] Result<Digest> with_calibration(
    store::Objects& objects, const Digest& base, const score::Calibration& calibration,
    const std::string& commit, const std::optional<evaluate::IntervalRefit>& refit = {});

}  // namespace heddle::flow
