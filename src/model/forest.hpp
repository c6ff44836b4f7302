#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "model/scorer.hpp"

namespace heddle::model {

/// How a split reads a feature's value; NaN is missing for all of them.
enum class Input : std::uint8_t {
  kNumber,             ///< left when x < threshold
  kNumberZeroMissing,  ///< the same, and |x| <= kZero is missing too (LightGBM's missing type
                       ///< `zero`)
  kCategory,           ///< XGBoost: cut to an integer; below 0 or from 2^24 on it is no category
  kCategoryTruncated,  ///< LightGBM: cut towards 0 first, so that -0.5 is category 0
  kCategoryExact,      ///< ONNX's equality: a number that is no integer is no category
};

inline constexpr float kZero =
    1e-35F;  ///< LightGBM's kZeroThreshold: what is no larger counts as 0

/// A node of a tree as parsed, node 0 the root. A leaf has no children (-1).
struct Node {
  std::int32_t left = -1;
  std::int32_t right = -1;
  std::int32_t feature = 0;
  float threshold = 0;  ///< of numbers; may be +inf (every finite number goes left)
  Input input = Input::kNumber;
  bool missing_left = false;
  bool members_left =
      false;  ///< of categories: where members of the set go; all else goes the other way
  std::uint32_t set_begin = 0;  ///< in ParsedForest::categories
  std::uint32_t set_size = 0;
  double value = 0;  ///< of a leaf
  double cover =
      0;  ///< rows or hessian that reached the node in training; 0 where the format has none

  [[nodiscard]] bool leaf() const noexcept { return left < 0; }
  [[nodiscard]] bool categorical() const noexcept { return input >= Input::kCategory; }
};

struct ParsedTree {
  std::vector<Node> nodes{};
  int output = 0;
  float weight = 1;  ///< of `dart`: a leaf counts value * weight, rounded to float
};

/// What every format is read into. margin[k] = base[k] and the leaves of the trees of output k in
/// tree order, added one by one in float or in double (`exact_double`); with `base_last` the base
/// is added after them; `divisor` divides the sum before that.
struct ParsedForest {
  std::string_view format{};
  int features = 0;
  int outputs = 1;
  Link link = Link::kIdentity;
  Use use{};
  std::vector<double> base{};  ///< one an output
  bool base_last = false;
  bool exact_double = false;
  double divisor = 1;
  bool capped =
      false;  ///< +inf is read as the largest float: a threshold of +inf has it on its left
  bool covers = false;  ///< the nodes' covers are real: contributions can be computed
  std::vector<ParsedTree> trees{};
  std::vector<std::uint32_t> categories{};
};

inline constexpr int kMostFeatures = 4096;
inline constexpr int kMostOutputs = 1024;
inline constexpr std::uint32_t kMostCategories = 1U << 24;  ///< XGBoost's own bound, exclusive

/// The category of x under `input`: 0 for missing, 1 for none, else 2 + category.
[[nodiscard]] std::uint32_t category_code(float x, Input input) noexcept;
/// Where a value goes: the definition that every layout is held against.
[[nodiscard]] bool goes_right(const ParsedForest& forest, const Node& node, float x) noexcept;

/// Makes `node` one that no number takes to the left, missing apart: what a format writes as x <
/// -inf or x > +inf. Its children change places and +inf is the threshold; values are capped below
/// it.
void never_left(Node& node, ParsedForest& forest) noexcept;

/// Checks that every tree is one: children in range, each node reached once, features and outputs
/// in range, numbers finite; then builds the layouts and, unless `options` names one, times them.
/// kCorrupt; kInvalid (`model-unsupported`) past the bounds above.
[[nodiscard]] Result<std::unique_ptr<Scorer>> build_forest(ParsedForest parsed,
                                                           const LoadOptions& options);

}  // namespace heddle::model
