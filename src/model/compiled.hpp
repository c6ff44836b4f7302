#pragma once

#include <cstdint>
#include <vector>

#include "model/forest.hpp"

namespace heddle::model {

/// A value of a row as splits want it: a feature read in one of these ways. Missing is -inf for
/// nodes that send it left and +inf for those that send it right, so that a step is one load and
/// one compare whatever the default direction.
struct Slot {
  std::int32_t feature = 0;
  Input input = Input::kNumber;
  bool missing_high = false;
};

/// The trees of a model, checked and ordered by output (within one in their own order), ready to be
/// laid out. Immutable; shared by the layouts.
struct Compiled {
  struct Step {
    float threshold;  ///< right when slot >= threshold; +inf at a leaf; NaN for a set of categories
    std::uint32_t child;  ///< the left one, the right one is next to it; a leaf: itself
    std::uint32_t slot;
    std::uint32_t extra;  ///< a leaf: its number in `values`; a set: its place in `sets`
  };
  struct Tree {
    std::uint32_t root;
    std::int32_t depth;
    std::int32_t output;
  };

  int features = 0;
  int outputs = 1;
  std::vector<double> base{};
  bool base_last = false;
  double divisor = 1;
  float highest = 0;  ///< values above it are read as it
  int depth = 0;      ///< of the deepest tree
  bool categorical = false;
  std::vector<Slot> slots{};  ///< in use; one more follows that is always 0, for leaves
  std::vector<Step> steps{};
  std::vector<Tree> trees{};
  std::vector<std::uint32_t> first_tree{};  ///< outputs + 1: the trees of each output
  std::vector<double> values{};             ///< of leaves, weights applied
  std::vector<std::uint32_t>
      sets{};  ///< each: the last code that has a bit of its own, then the bits: 1 goes right

  [[nodiscard]] std::size_t width() const noexcept { return slots.size() + 1; }
  /// Writes a row's slots, `stride` floats apart. A category is its code, as bits.
  void spread(const float* row, std::size_t stride, float* out) const noexcept;
};

/// See build_forest for the errors.
[[nodiscard]] Result<Compiled> compile(const ParsedForest& parsed);

}  // namespace heddle::model
