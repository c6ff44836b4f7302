#include "model/forest.hpp"

#include <cmath>
#include <cstring>
#include <limits>

namespace heddle::model {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr std::size_t kBufferFloats = 16384;  ///< the spread rows of a block, on the stack; one row takes 2 * features + 1

Error corrupt(std::size_t tree, std::string_view what) {
  return Error{ErrorKind::kCorrupt, "model-corrupt", fmt::format("tree {} of the model {}", tree, what),
               "the bytes were changed after training: fetch or train the model again"};
}

}  // namespace

Result<std::unique_ptr<Scorer>> Forest::build(const ParsedForest& parsed) {
  if (parsed.features < 0 || parsed.features > kMaxFeatures) {
    return Error{ErrorKind::kInvalid, "model-unsupported",
                 fmt::format("the model reads {} features, at most {} can be scored", parsed.features, kMaxFeatures),
                 "train on fewer features"};
  }
  if (!std::isfinite(parsed.base_margin)) {
    return Error{ErrorKind::kCorrupt, "model-corrupt", "the base score of the model is no finite margin",
                 "the bytes were changed after training: fetch or train the model again"};
  }
  std::unique_ptr<Forest> forest(new Forest);
  forest->features_ = parsed.features;
  forest->base_margin_ = parsed.base_margin;
  const auto features = static_cast<std::uint32_t>(parsed.features);
  std::vector<std::int32_t> source;  // of each node placed so far, its number in the parsed tree
  std::vector<std::uint8_t> seen;
  for (std::size_t t = 0; t < parsed.trees.size(); ++t) {
    const ParsedTree& tree = parsed.trees[t];
    const std::size_t size = tree.left.size();
    if (size == 0) return corrupt(t, "has no node");
    if (tree.right.size() != size || tree.features.size() != size || tree.conditions.size() != size ||
        tree.default_left.size() != size) {
      return corrupt(t, "has arrays of different lengths");
    }
    if (forest->nodes_.size() + size > (std::size_t{1} << 30)) return corrupt(t, "makes the model too large");
    const std::size_t base = forest->nodes_.size();
    seen.assign(size, 0);
    seen[0] = 1;
    source.assign(1, 0);
    std::int32_t depth = 0;
    std::size_t level_end = 1;
    for (std::size_t k = 0; k < source.size(); ++k) {  // breadth first: a node's children are appended side by side
      if (k == level_end) {
        ++depth;
        level_end = source.size();
      }
      const auto i = static_cast<std::size_t>(source[k]);
      const float condition = tree.conditions[i];
      if (!std::isfinite(condition)) return corrupt(t, "has a condition or leaf that is no finite number");
      const auto self = static_cast<std::uint32_t>(base + k);
      if (tree.left[i] == -1 && tree.right[i] == -1) {
        forest->nodes_.push_back({kInf, self, 2 * features, condition});
        continue;
      }
      for (const std::int32_t child : {tree.left[i], tree.right[i]}) {
        if (child <= 0 || static_cast<std::size_t>(child) >= size) return corrupt(t, "has a child out of range");
        if (seen[static_cast<std::size_t>(child)] != 0) return corrupt(t, "reaches a node twice");
        seen[static_cast<std::size_t>(child)] = 1;
      }
      const std::int32_t feature = tree.features[i];
      if (feature < 0 || feature >= parsed.features) return corrupt(t, "splits on a feature that does not exist");
      const auto left = static_cast<std::uint32_t>(base + source.size());
      source.push_back(tree.left[i]);
      source.push_back(tree.right[i]);
      const auto slot = static_cast<std::uint32_t>(feature) + (tree.default_left[i] != 0 ? 0 : features);
      forest->nodes_.push_back({condition, left, slot, 0});
    }
    forest->trees_.push_back({static_cast<std::uint32_t>(base), depth});
  }
  forest->nodes_.shrink_to_fit();
  return std::unique_ptr<Scorer>(std::move(forest));
}

void Forest::spread(const float* row, std::size_t stride, float* slots) const noexcept {
  const auto features = static_cast<std::size_t>(features_);
  for (std::size_t i = 0; i < features; ++i) {
    const float value = row[i];
    const bool missing = value != value;
    slots[i * stride] = missing ? -kInf : value;
    slots[(features + i) * stride] = missing ? kInf : value;
  }
  slots[2 * features * stride] = 0;
}

void Forest::one_row(const float* row, float* out) const noexcept {
  float slots[2 * kMaxFeatures + 1];
  spread(row, 1, slots);
  const Node* const nodes = nodes_.data();
  const std::size_t count = trees_.size();
  float sum = base_margin_;
  std::size_t t = 0;
  for (; t + kLanes <= count; t += kLanes) {
    std::uint32_t at[kLanes];
    std::int32_t depth = 0;
    for (std::size_t j = 0; j < kLanes; ++j) {
      at[j] = trees_[t + j].root;
      depth = std::max(depth, trees_[t + j].depth);
    }
    for (; depth > 0; --depth) {
#pragma GCC unroll 8
      for (std::size_t j = 0; j < kLanes; ++j) {
        const Node& node = nodes[at[j]];
        at[j] = node.child + static_cast<std::uint32_t>(slots[node.slot] >= node.threshold);
      }
    }
    for (std::size_t j = 0; j < kLanes; ++j) sum += nodes[at[j]].value;
  }
  for (; t < count; ++t) {
    std::uint32_t at = trees_[t].root;
    for (std::int32_t depth = trees_[t].depth; depth > 0; --depth) {
      const Node& node = nodes[at];
      at = node.child + static_cast<std::uint32_t>(slots[node.slot] >= node.threshold);
    }
    sum += nodes[at].value;
  }
  *out = sum;
}

void Forest::block(const float* slots, std::int64_t rows, float* out) const noexcept {
  const Node* const nodes = nodes_.data();
  const std::size_t group_size = kLanes * static_cast<std::size_t>(2 * features_ + 1);
  for (std::int64_t i = 0; i < rows; ++i) out[i] = base_margin_;
  for (const Tree& tree : trees_) {
    const float* group = slots;
    for (std::int64_t i = 0; i < rows; i += kLanes, group += group_size) {
      std::uint32_t at[kLanes];
      for (std::size_t j = 0; j < kLanes; ++j) at[j] = tree.root;
      for (std::int32_t depth = tree.depth; depth > 0; --depth) {
#pragma GCC unroll 8
        for (std::size_t j = 0; j < kLanes; ++j) {
          const Node& node = nodes[at[j]];
          at[j] = node.child + static_cast<std::uint32_t>(group[std::size_t{node.slot} * kLanes + j] >= node.threshold);
        }
      }
      for (std::size_t j = 0; j < kLanes; ++j) out[i + static_cast<std::int64_t>(j)] += nodes[at[j]].value;
    }
  }
}

void Forest::margins(const float* rows, std::int64_t n, float* out) const noexcept {
  const auto width = static_cast<std::size_t>(2 * features_ + 1);
  std::int64_t done = 0;
  const auto block_rows = static_cast<std::int64_t>(std::min<std::size_t>(128, kBufferFloats / width)) / kLanes * kLanes;
  if (block_rows > 0 && n >= kLanes) {
    float slots[kBufferFloats];
    const std::int64_t whole = n / kLanes * kLanes;
    while (done < whole) {
      const std::int64_t count = std::min(block_rows, whole - done);
      for (std::int64_t i = 0; i < count; ++i) {
        const auto row = static_cast<std::size_t>(i);
        spread(rows + (done + i) * features_, kLanes, slots + row / kLanes * kLanes * width + row % kLanes);
      }
      block(slots, count, out + done);
      done += count;
    }
  }
  for (; done < n; ++done) one_row(rows + done * features_, out + done);
}

}  // namespace heddle::model
