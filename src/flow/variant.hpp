#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "bundle/bundle.hpp"
#include "doc/value.hpp"
#include "jobs/jobs.hpp"
#include "spec/contract.hpp"
#include "spec/evaluation.hpp"
#include "spec/monitor.hpp"
#include "store/store.hpp"
#include "table/table.hpp"

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

/// The base with this calibration intercept (logits) in place of its own.
[[nodiscard]] Result<Digest> with_calibration(store::Objects& objects, const Digest& base,
                                              double intercept, const std::string& commit);

/// Labelled rows from before the change that a retrain is about, which neither the candidate nor
/// the base has learned from.
struct RowsBefore {
  table::Table rows{};
  std::vector<std::uint8_t> labels{};
  std::string of{};       ///< where they are from, for people
  std::string why_not{};  ///< there are none
};

struct RetrainInput {
  store::Objects* objects = nullptr;
  std::string commit{};  ///< whose definitions are applied
  Digest
      base{};  ///< its contract (with transforms), feature definitions and best parameters are used
  table::Table rows;                 ///< request fields as received, in event-time order
  std::vector<std::uint8_t> labels;  ///< 0 or 1, one a row
  std::vector<Micros>
      event_times{};  ///< one a row; empty: the model's time field. For the baseline's chunks
  const spec::Contract* contract =
      nullptr;  ///< with `monitor`: the baseline profile is rebuilt; without, the base's is kept
  const spec::Monitor* monitor = nullptr;
  std::vector<spec::Gate>
      gates{};  ///< over `metrics.*` of the held-out last part and `base.*` of the base on the same
                ///< rows; empty: a lower log loss than the base's, and an auc above 0.55
  double holdout_fraction = 0.2;  ///< the last rows in time, never trained on
  /// Who alone labelled each row, as a place in `accounts`, whose first name is empty (several did,
  /// or nobody knows); empty: not known. Where others than the one that labelled most of what is
  /// trained on labelled held-out rows too, the candidate must not clearly lose on those: gate
  /// `retrain-holds-for-other-labels`.
  std::vector<std::uint16_t> label_accounts{};
  std::vector<std::string> accounts{};
  RowsBefore before{};  ///< what came of them is evidence and no gate: the world may have changed
  std::int64_t seed = 0;
};

struct RetrainOutcome {
  Digest bundle{};       ///< empty when a gate failed
  doc::Value metrics{};  ///< {"new": {...}, "base": {...}} on the held-out rows
  doc::Value judged{};   ///< as `retrain` in the bundle's evaluation (docs/gates.md)
  bool gates_passed = false;
  std::vector<std::string> failed_gates{};
  std::int64_t train_rows = 0;
  std::int64_t holdout_rows = 0;
};

/// Refits features and model on the labelled rows; evidence, reference predictions and baseline
/// profile are rebuilt. Bounded by the rows it is given. kInvalid when there are too few rows or
/// one class only.
[[nodiscard]] Result<RetrainOutcome> retrain(const RetrainInput& input);

}  // namespace heddle::flow
