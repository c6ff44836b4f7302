#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace heddle::model {

/// How a margin becomes what the training library calls the prediction.
enum class Link : std::uint8_t {
  kIdentity,
  kLogistic,  ///< 1 / (1 + exp(-margin))
  kExp,
  kSoftmax,   ///< over the margins of a row
  kOneVsAll,  ///< the logistic of each margin by itself
};

/// The layout of trees in memory. All give the same bits; which is fastest depends on the trees, the rows at a time and the CPU, and is
/// measured while loading. A layout that the model or the CPU does not admit falls back to `kInterleaved`, which admits all.
enum class Layout : std::uint8_t {
  kMeasured,
  kInterleaved,  ///< nodes as parsed; 8 rows of one tree, or 8 trees of one row, walk in lockstep
  kPerfect,      ///< trees padded to perfect ones of one depth: no child pointers
  kLanes,        ///< AVX-512 VBMI: features as byte ranks, 64 trees a register, every node compared
};

struct LoadOptions {
  /// For tests and for runs whose instructions are counted. Where it is kMeasured, the environment variable HEDDLE_TREE_LAYOUT
  /// (`interleaved`, `perfect`, `lanes`) names one instead; any other value of it changes nothing.
  Layout layout = Layout::kMeasured;
};

/// A trained model that answers: rows of floats in, margins (log odds) out. Immutable once loaded; all members may be called from any
/// number of threads. The formats, and what of each is read, are in docs/formats/model.md:
///  - XGBoost's model JSON and UBJSON (boosters `gbtree`, `dart`): margins are bit-equal to `XGBoosterPredictFromDMatrix` with
///    `output_margin`, since the same floats are added in the same order;
///  - LightGBM's text model: margins are doubles, bit-equal to `predict(raw_score=True)` on the same floats;
///  - ONNX with one TreeEnsemble or linear operator of `ai.onnx.ml`;
///  - `{"format": "heddle.logistic/1", ...}` (docs/adr/0005): standardised inputs, a mean for what is missing, weights.
class Scorer {
 public:
  virtual ~Scorer() = default;

  /// Tells the format by content. Every size is checked before memory is taken and every index while loading, so that `margins`
  /// needs no check. kCorrupt (`model-corrupt`) when the bytes are no such model or contradict themselves; kInvalid
  /// (`model-unsupported`) for what the library can write and we do not score: `gblinear`, vector leaves, linear trees.
  [[nodiscard]] static Result<std::unique_ptr<Scorer>> load(std::string_view bytes, const LoadOptions& options = {});

  /// Columns of a row.
  [[nodiscard]] virtual int features() const noexcept = 0;
  /// Margins of a row: 1 but for several classes or targets.
  [[nodiscard]] virtual int outputs() const noexcept { return 1; }
  [[nodiscard]] virtual Link link() const noexcept { return Link::kLogistic; }
  /// `xgboost`, `lightgbm`, `onnx` or `heddle.logistic/1`.
  [[nodiscard]] virtual std::string_view format() const noexcept = 0;
  /// Trees of the model; 0 for a linear one.
  [[nodiscard]] virtual int trees() const noexcept = 0;
  /// The layouts that score one row, a few and many, as `lanes, lanes, perfect`; empty for a linear model.
  [[nodiscard]] virtual std::string layouts() const { return {}; }

  /// `rows` holds n x features() floats, row-major, NaN = missing; `out` takes n x outputs() margins, rounded to float where the
  /// library's are doubles. Never allocates.
  virtual void margins(const float* rows, std::int64_t n, float* out) const noexcept = 0;
  /// The same without the rounding.
  virtual void margins(const float* rows, std::int64_t n, double* out) const noexcept = 0;

  /// What each feature contributed to the margins of one row: path-dependent TreeSHAP (Lundberg, Erion, Lee 2018, algorithm 2). `out`
  /// takes outputs() x (features() + 1) numbers, the last of each line the bias; a line sums to its margin but for rounding. The
  /// arithmetic is XGBoost's (float) or LightGBM's (double), step by step. Allocates. kInvalid: `out` has another size; or
  /// the model says nothing of how many rows reached a node (ONNX), or is too deep.
  [[nodiscard]] virtual Result<void> contributions(std::span<const float> row, std::span<double> out) const;
};

}  // namespace heddle::model
