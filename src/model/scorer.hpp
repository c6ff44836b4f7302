#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace heddle::model {

/// A trained model that answers: rows of floats in, margins (log odds) out. Immutable once loaded; `margins` may be called from
/// any number of threads. Two formats:
///  - XGBoost's own model JSON, as `XGBoosterSaveModel` writes it: booster `gbtree`, objective `binary:logistic` (or `reg:logistic`,
///    `binary:logitraw`, `reg:squarederror`), numerical splits with default directions. Scored by our own engine; margins are bit-equal to
///    `XGBoosterPredictFromDMatrix` with `output_margin`, since float additions happen in the same order.
///  - `{"format": "heddle.logistic/1", ...}` (docs/adr/0005): standardised inputs, a mean for what is missing, weights.
class Scorer {
 public:
  virtual ~Scorer() = default;

  /// Tells the format by the JSON. Every index is checked while loading, so that `margins` needs no check. kCorrupt when the
  /// bytes are no such model or contradict themselves; kInvalid (`model-unsupported`) for what XGBoost can write and we
  /// do not score: categorical splits, several classes or targets, `dart`, `gblinear`.
  [[nodiscard]] static Result<std::unique_ptr<Scorer>> load(std::string_view bytes);

  /// Columns of a row.
  [[nodiscard]] virtual int features() const noexcept = 0;
  /// `xgboost` or `heddle.logistic/1`.
  [[nodiscard]] virtual std::string_view format() const noexcept = 0;
  /// Trees of the model; 0 for a linear one.
  [[nodiscard]] virtual int trees() const noexcept = 0;

  /// `rows` holds n x features() floats, row-major, NaN = missing; `out` takes n margins. Never allocates.
  virtual void margins(const float* rows, std::int64_t n, float* out) const noexcept = 0;
};

}  // namespace heddle::model
