#include "model/layout.hpp"

#include <bit>

namespace heddle::model {
namespace {

constexpr int kSide =
    8;  ///< walks side by side: enough to hide a load, few enough for the registers
constexpr std::size_t kBufferFloats = 16384;  ///< the spread rows of a block, on the stack
constexpr std::size_t kMostSlots = std::size_t{kMostFeatures} * 8 + 1;

/// Nodes of all trees in one array, children side by side, leaves lead to themselves: a walk of
/// `depth` steps ends at a leaf and has no branch to mispredict.
template <class Sum, bool kSets>
class Interleaved final : public TreeLayout<Sum> {
 public:
  explicit Interleaved(const Compiled& forest) : forest_(forest), nodes_(forest.steps.size()) {
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      const auto& step = forest.steps[i];
      nodes_[i] = {step.threshold, step.child, step.slot, step.extra};
      // A leaf of floats has room for its value itself.
      if constexpr (sizeof(Sum) == sizeof(float)) {
        if (step.child == i)
          nodes_[i].extra =
              std::bit_cast<std::uint32_t>(static_cast<float>(forest.values[step.extra]));
      }
    }
  }
  std::string_view name() const noexcept override { return "interleaved"; }

  void margins(const float* rows, std::int64_t n, Sum* out) const noexcept override {
    const std::size_t width = forest_.width();
    std::int64_t done = 0;
    // As many whole groups as the buffer holds, and 128 at most, for which `block` has sums. A row
    // too wide for any group in the buffer goes alone.
    const auto block_rows =
        static_cast<std::int64_t>(std::min<std::size_t>(128, kBufferFloats / width)) / kSide *
        kSide;
    if (block_rows > 0 && n >= kSide) {
      float slots[kBufferFloats];
      const std::int64_t whole = n / kSide * kSide;
      while (done < whole) {
        const std::int64_t count = std::min(block_rows, whole - done);
        for (std::int64_t i = 0; i < count; ++i) {
          const auto row = static_cast<std::size_t>(i);
          forest_.spread(rows + (done + i) * forest_.features, kSide,
                         slots + row / kSide * kSide * width + row % kSide);
        }
        block(slots, count, out + done * forest_.outputs);
        done += count;
      }
    }
    for (; done < n; ++done) one_row(rows + done * forest_.features, out + done * forest_.outputs);
  }

 private:
  using Step = Compiled::Step;

  [[nodiscard]] std::uint32_t next(const Step& node, float value) const noexcept {
    if constexpr (kSets) {
      // A threshold of NaN marks a test on a set of categories.
      if (node.threshold != node.threshold) {
        const std::uint32_t* const set = forest_.sets.data() + node.extra;
        const std::uint32_t code = std::min(std::bit_cast<std::uint32_t>(value), set[0]);
        return node.child + ((set[1 + code / 32] >> (code % 32)) & 1U);
      }
    }
    return node.child + static_cast<std::uint32_t>(value >= node.threshold);
  }
  [[nodiscard]] Sum value_of(const Step& leaf) const noexcept {
    if constexpr (sizeof(Sum) == sizeof(float))
      return std::bit_cast<float>(leaf.extra);
    else
      return forest_.values[leaf.extra];
  }

  void one_row(const float* row, Sum* out) const noexcept {
    float slots[kMostSlots];
    forest_.spread(row, 1, slots);
    const Step* const nodes = nodes_.data();
    for (int k = 0; k < forest_.outputs; ++k) {
      Sum sum = first_of<Sum>(forest_, k);
      std::size_t t = forest_.first_tree[static_cast<std::size_t>(k)];
      const std::size_t end = forest_.first_tree[static_cast<std::size_t>(k) + 1];
      for (; t + kSide <= end; t += kSide) {
        std::uint32_t at[kSide];
        std::int32_t depth = 0;
        for (std::size_t j = 0; j < kSide; ++j) {
          at[j] = forest_.trees[t + j].root;
          // The deepest tree sets the steps: a leaf leads to itself, so the others wait at theirs.
          depth = std::max(depth, forest_.trees[t + j].depth);
        }
        for (; depth > 0; --depth) {
#pragma GCC unroll 8
          for (std::size_t j = 0; j < kSide; ++j) {
            const Step& node = nodes[at[j]];
            at[j] = next(node, slots[node.slot]);
          }
        }
        for (std::size_t j = 0; j < kSide; ++j) sum += value_of(nodes[at[j]]);
      }
      for (; t < end; ++t) {
        std::uint32_t at = forest_.trees[t].root;
        for (std::int32_t depth = forest_.trees[t].depth; depth > 0; --depth) {
          const Step& node = nodes[at];
          at = next(node, slots[node.slot]);
        }
        sum += value_of(nodes[at]);
      }
      out[k] = finish(forest_, k, sum);
    }
  }

  /// One tree's values to the sums of a block. Inlined: a call for each tree of a row would cost
  /// as much as the tree.
  [[gnu::always_inline]] void add_tree(const auto& tree, const float* slots, std::int64_t rows,
                                       std::size_t group_size, Sum* sums) const noexcept {
    const Step* const nodes = nodes_.data();
    const float* group = slots;
    for (std::int64_t i = 0; i < rows; i += kSide, group += group_size) {
      std::uint32_t at[kSide];
      for (std::size_t j = 0; j < kSide; ++j) at[j] = tree.root;
      for (std::int32_t depth = tree.depth; depth > 0; --depth) {
#pragma GCC unroll 8
        for (std::size_t j = 0; j < kSide; ++j) {
          const Step& node = nodes[at[j]];
          at[j] = next(node, group[std::size_t{node.slot} * kSide + j]);
        }
      }
      for (std::size_t j = 0; j < kSide; ++j)
        sums[i + static_cast<std::int64_t>(j)] += value_of(nodes[at[j]]);
    }
  }

  void block(const float* slots, std::int64_t rows, Sum* out) const noexcept {
    const std::size_t group_size = kSide * forest_.width();
    const std::int64_t outputs = forest_.outputs;
    for (int k = 0; k < outputs; ++k) {
      Sum sums[128];
      for (std::int64_t i = 0; i < rows; ++i) sums[i] = first_of<Sum>(forest_, k);
      const auto* const end =
          forest_.trees.data() + forest_.first_tree[static_cast<std::size_t>(k) + 1];
      for (const auto* tree =
               forest_.trees.data() + forest_.first_tree[static_cast<std::size_t>(k)];
           tree != end; ++tree) {
        add_tree(*tree, slots, rows, group_size, sums);
      }
      for (std::int64_t i = 0; i < rows; ++i) out[i * outputs + k] = finish(forest_, k, sums[i]);
    }
  }

  const Compiled& forest_;
  std::vector<Step> nodes_;
};

}  // namespace

template <class Sum>
std::unique_ptr<TreeLayout<Sum>> make_interleaved(const Compiled& forest) {
  // Two forms, so that a forest without categories does not pay for their test at each step.
  if (forest.categorical) return std::make_unique<Interleaved<Sum, true>>(forest);
  return std::make_unique<Interleaved<Sum, false>>(forest);
}
template std::unique_ptr<TreeLayout<float>> make_interleaved(const Compiled&);
template std::unique_ptr<TreeLayout<double>> make_interleaved(const Compiled&);

}  // namespace heddle::model
