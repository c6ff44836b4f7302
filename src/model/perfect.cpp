#include "model/layout.hpp"

#include <limits>

namespace heddle::model {
namespace {

constexpr int kSide = 8;
constexpr int kDeepestPerfect = 8;
constexpr std::size_t kBufferFloats = 16384;
constexpr std::size_t kMostSlots = std::size_t{kMostFeatures} * 4 + 1;

/// Trees padded to depth kDepth, in heap order: node i has children 2i and 2i + 1, the root is 1.
/// Below a leaf that ends early every step goes left, to a copy of it.
template <class Sum, int kDepth>
class Perfect final : public TreeLayout<Sum> {
 public:
  static constexpr std::size_t kInner = std::size_t{1} << kDepth;  ///< entry 0 is not used

  explicit Perfect(const Compiled& forest) : forest_(forest) {
    const auto zero = static_cast<std::uint32_t>(forest.slots.size());
    nodes_.assign(forest.trees.size() * kInner, {std::numeric_limits<float>::infinity(), zero});
    leaves_.resize(forest.trees.size() * kInner);
    for (std::size_t t = 0; t < forest.trees.size(); ++t) fill(t, 1, forest.trees[t].root);
  }
  std::string_view name() const noexcept override { return "perfect"; }

  void margins(const float* rows, std::int64_t n, Sum* out) const noexcept override {
    const std::size_t width = forest_.width();
    std::int64_t done = 0;
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
  struct Test {
    float threshold;
    std::uint32_t slot;
  };

  void fill(std::size_t tree, std::size_t heap, std::uint32_t at) {
    const auto& step = forest_.steps[at];
    if (heap >= kInner) {
      leaves_[tree * kInner + heap - kInner] = static_cast<Sum>(forest_.values[step.extra]);
      return;
    }
    const bool leaf = step.child == at;
    if (!leaf) nodes_[tree * kInner + heap] = {step.threshold, step.slot};
    fill(tree, 2 * heap, step.child);
    fill(tree, 2 * heap + 1, leaf ? at : step.child + 1);
  }

  void one_row(const float* row, Sum* out) const noexcept {
    float slots[kMostSlots];
    forest_.spread(row, 1, slots);
    for (int k = 0; k < forest_.outputs; ++k) {
      Sum sum = first_of<Sum>(forest_, k);
      std::size_t t = forest_.first_tree[static_cast<std::size_t>(k)];
      const std::size_t end = forest_.first_tree[static_cast<std::size_t>(k) + 1];
      for (; t + kSide <= end; t += kSide) {
        const Test* const nodes = nodes_.data() + t * kInner;
        const Sum* const leaves = leaves_.data() + t * kInner;
        std::uint32_t at[kSide];
        for (std::size_t j = 0; j < kSide; ++j) at[j] = 1;
        for (int depth = 0; depth < kDepth; ++depth) {
#pragma GCC unroll 8
          for (std::size_t j = 0; j < kSide; ++j) {
            const Test& node = nodes[j * kInner + at[j]];
            at[j] = 2 * at[j] + static_cast<std::uint32_t>(slots[node.slot] >= node.threshold);
          }
        }
        for (std::size_t j = 0; j < kSide; ++j) sum += leaves[j * kInner + at[j] - kInner];
      }
      for (; t < end; ++t) {
        std::uint32_t at = 1;
        for (int depth = 0; depth < kDepth; ++depth) {
          const Test& node = nodes_[t * kInner + at];
          at = 2 * at + static_cast<std::uint32_t>(slots[node.slot] >= node.threshold);
        }
        sum += leaves_[t * kInner + at - kInner];
      }
      out[k] = finish(forest_, k, sum);
    }
  }

  /// One tree's values to the sums of a block. Inlined: a call for each tree of a row would cost
  /// as much as the tree.
  [[gnu::always_inline]] void add_tree(std::size_t tree, const float* slots, std::int64_t rows,
                                       std::size_t group_size, Sum* sums) const noexcept {
    const Test* const nodes = nodes_.data() + tree * kInner;
    const Sum* const leaves = leaves_.data() + tree * kInner;
    const float* group = slots;
    for (std::int64_t i = 0; i < rows; i += kSide, group += group_size) {
      std::uint32_t at[kSide];
      for (std::size_t j = 0; j < kSide; ++j) at[j] = 1;
      for (int depth = 0; depth < kDepth; ++depth) {
#pragma GCC unroll 8
        for (std::size_t j = 0; j < kSide; ++j) {
          const Test& node = nodes[at[j]];
          at[j] = 2 * at[j] + static_cast<std::uint32_t>(
                                  group[std::size_t{node.slot} * kSide + j] >= node.threshold);
        }
      }
      for (std::size_t j = 0; j < kSide; ++j)
        sums[i + static_cast<std::int64_t>(j)] += leaves[at[j] - kInner];
    }
  }

  void block(const float* slots, std::int64_t rows, Sum* out) const noexcept {
    const std::size_t group_size = kSide * forest_.width();
    const std::int64_t outputs = forest_.outputs;
    for (int k = 0; k < outputs; ++k) {
      Sum sums[128];
      for (std::int64_t i = 0; i < rows; ++i) sums[i] = first_of<Sum>(forest_, k);
      const std::size_t end = forest_.first_tree[static_cast<std::size_t>(k) + 1];
      for (std::size_t t = forest_.first_tree[static_cast<std::size_t>(k)]; t < end; ++t) {
        add_tree(t, slots, rows, group_size, sums);
      }
      for (std::int64_t i = 0; i < rows; ++i) out[i * outputs + k] = finish(forest_, k, sums[i]);
    }
  }

  const Compiled& forest_;
  std::vector<Test> nodes_{};
  std::vector<Sum> leaves_{};
};

}  // namespace

template <class Sum>
std::unique_ptr<TreeLayout<Sum>> make_perfect(const Compiled& forest) {
  if (forest.categorical || forest.depth < 1 || forest.depth > kDeepestPerfect) return nullptr;
  // Every tree is filled up to the full depth: with a few deep and thin trees, the copies would
  // take many times the memory of the forest itself.
  if ((forest.trees.size() << forest.depth) > 4 * forest.steps.size() + 1024) return nullptr;
  // The depth is a constant of each form, so that the compiler knows how long a walk is.
  switch (forest.depth) {
    case 1: return std::make_unique<Perfect<Sum, 1>>(forest);
    case 2: return std::make_unique<Perfect<Sum, 2>>(forest);
    case 3: return std::make_unique<Perfect<Sum, 3>>(forest);
    case 4: return std::make_unique<Perfect<Sum, 4>>(forest);
    case 5: return std::make_unique<Perfect<Sum, 5>>(forest);
    case 6: return std::make_unique<Perfect<Sum, 6>>(forest);
    case 7: return std::make_unique<Perfect<Sum, 7>>(forest);
    default: return std::make_unique<Perfect<Sum, 8>>(forest);
  }
}
template std::unique_ptr<TreeLayout<float>> make_perfect(const Compiled&);
template std::unique_ptr<TreeLayout<double>> make_perfect(const Compiled&);

}  // namespace heddle::model
