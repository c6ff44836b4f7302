#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

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

/// What a model file says of its use, beside its numbers. Whoever serves the model holds it against
/// what it has: a name, a label or a link that differs means another answer than the training
/// library's.
struct Use {
  std::string objective{};  ///< as the file names it; of ONNX the node and its transform
  std::string
      written_by{};  ///< library and version, as `xgboost 3.4.1`; empty where the file is silent
  bool log_odds = false;  ///< one margin a row, the log odds of the positive class
  bool named_categories =
      false;  ///< categories had names, and only the training frame knows their codes
  std::vector<std::string> feature_names{};  ///< empty, or one a feature
  std::vector<std::string>
      classes{};  ///< labels, if the file has any; of two the second is positive
};

/// The layout of trees in memory. All give the same bits; which is fastest depends on the trees,
/// the rows at a time and the CPU, and is measured while loading. A layout that the model or the
/// CPU does not admit falls back to `kInterleaved`, which admits all.
enum class Layout : std::uint8_t {
  kMeasured,
  kInterleaved,  ///< nodes as parsed; 8 rows of one tree, or 8 trees of one row, walk in lockstep
  kPerfect,      ///< trees padded to perfect ones of one depth: no child pointers
  kLanes,        ///< AVX-512 VBMI: features as byte ranks, 64 trees a register, every node compared
};

struct LoadOptions {
  /// For tests and for runs whose instructions are counted. Where it is kMeasured, the environment
  /// variable HEDDLE_TREE_LAYOUT
  /// (`interleaved`, `perfect`, `lanes`) names one instead; any other value of it changes nothing.
  Layout layout = Layout::kMeasured;
};

/// A trained model that answers: rows of floats in, margins (log odds) out. Immutable once loaded;
/// all members may be called from any number of threads. The formats, and what of each is read, are
/// in docs/formats/model.md:
///  - XGBoost's model JSON and UBJSON (boosters `gbtree`, `dart`): margins are bit-equal to
///  `XGBoosterPredictFromDMatrix` with
///    `output_margin`, since the same floats are added in the same order;
///  - LightGBM's text model: margins are doubles, bit-equal to `predict(raw_score=True)` on the
///  same floats;
///  - ONNX with one TreeEnsemble or linear operator of `ai.onnx.ml`;
///  - `{"format": "heddle.linear/1", ...}` (docs/adr/0005): standardised inputs, a mean for what is
///  missing, weights.
class Scorer {
 public:
  virtual ~Scorer() = default;

  /// Tells the format by content. Every size is checked before memory is taken and every index
  /// while loading, so that `margins` needs no check. kInvalid (`model-format`) when the file is
  /// another kind of file, which is named; kCorrupt (`model-corrupt`) when it contradicts itself or
  /// ends early; kInvalid (`model-unsupported`) for what the library can write and we do not score:
  /// `gblinear`, vector leaves, linear trees, a version newer than those we know, a model cut at no
  /// best iteration.
  [[nodiscard]] static Result<std::unique_ptr<Scorer>> load(std::string_view bytes,
                                                            const LoadOptions& options = {});

  /// Columns of a row.
  [[nodiscard]] virtual int features() const noexcept = 0;
  /// Margins of a row: 1 but for several classes or targets.
  [[nodiscard]] virtual int outputs() const noexcept { return 1; }
  [[nodiscard]] virtual Link link() const noexcept { return Link::kLogistic; }
  [[nodiscard]] virtual const Use& use() const noexcept = 0;
  /// `xgboost`, `lightgbm`, `onnx` or `heddle.linear/1`.
  [[nodiscard]] virtual std::string_view format() const noexcept = 0;
  /// Trees of the model; 0 for a linear one.
  [[nodiscard]] virtual int trees() const noexcept = 0;
  /// The layouts that score one row, a few and many, as `lanes, lanes, perfect`; empty for a linear
  /// model.
  [[nodiscard]] virtual std::string layouts() const { return {}; }

  /// `rows` holds n x features() floats, row-major, NaN = missing; `out` takes n x outputs()
  /// margins, rounded to float where the library's are doubles. Never allocates.
  virtual void margins(const float* rows, std::int64_t n, float* out) const noexcept = 0;
  /// The same without the rounding.
  virtual void margins(const float* rows, std::int64_t n, double* out) const noexcept = 0;

  /// What each feature contributed to the margins of one row: path-dependent TreeSHAP (Lundberg,
  /// Erion, Lee 2018, algorithm 2). `out` takes outputs() x (features() + 1) numbers, the last of
  /// each line the bias; a line sums to its margin but for rounding. The arithmetic is XGBoost's
  /// (float) or LightGBM's (double), step by step. Allocates. kInvalid: `out` has another size; or
  /// the model says nothing of how many rows reached a node (ONNX), or is too deep.
  [[nodiscard]] virtual Result<void> contributions(std::span<const float> row,
                                                   std::span<double> out) const;
};

}  // namespace heddle::model
