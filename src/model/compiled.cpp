#include "model/compiled.hpp"

#include <bit>
#include <cmath>
#include <limits>
#include <utility>

namespace heddle::model {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr std::size_t kMostNodes = std::size_t{1} << 28;
constexpr std::size_t kMostSetWords = std::size_t{1} << 23;

Error corrupt(std::size_t tree, std::string_view what) {
  return Error{ErrorKind::kCorrupt, "model-corrupt",
               fmt::format("tree {} of the model {}", tree, what),
               "the file contradicts itself: fetch or save the model again"};
}
/// A whole file whose numbers cannot be served: training ran away, or its base score has no margin.
Error not_finite(std::string what) {
  return Error{ErrorKind::kInvalid, "model-unsupported", "the model " + std::move(what),
               "its answers would be infinite or no numbers: train it again, with a smaller "
               "learning rate or another base score"};
}
Error too_large(std::string what) {
  return Error{ErrorKind::kInvalid, "model-unsupported", "the model " + std::move(what),
               "train a smaller model"};
}

/// Numbers slots in order of first use.
class SlotNumbers {
 public:
  explicit SlotNumbers(int features) : numbers_(static_cast<std::size_t>(features) * kWays, -1) {}
  std::uint32_t of(const Node& node, std::vector<Slot>& slots) {
    const bool high = !node.categorical() && !node.missing_left;
    std::int32_t& number = numbers_[static_cast<std::size_t>(node.feature) * kWays +
                                    static_cast<std::size_t>(node.input) * 2 + (high ? 1 : 0)];
    if (number < 0) {
      number = static_cast<std::int32_t>(slots.size());
      slots.push_back({node.feature, node.input, high});
    }
    return static_cast<std::uint32_t>(number);
  }

 private:
  static constexpr std::size_t kWays = 10;
  std::vector<std::int32_t> numbers_;
};

Result<std::uint32_t> add_set(const ParsedForest& parsed, const Node& node, std::size_t tree,
                              std::vector<std::uint32_t>& sets) {
  if (node.set_begin > parsed.categories.size() ||
      node.set_size > parsed.categories.size() - node.set_begin) {
    return corrupt(tree, "has a set of categories out of range");
  }
  const auto* const members = parsed.categories.data() + node.set_begin;
  std::uint32_t last = 2;
  for (std::uint32_t i = 0; i < node.set_size; ++i) {
    if (members[i] >= kMostCategories) return corrupt(tree, "has a category out of range");
    last = std::max(last, members[i] + 3);
  }
  const std::size_t at = sets.size();
  const std::size_t words = last / 32 + 1;
  if (at + words + 1 > kMostSetWords) return too_large("has sets of categories that are too large");
  sets.resize(at + 1 + words, node.members_left ? ~0U : 0U);  // all else
  sets[at] = last;
  const auto put = [&](std::uint32_t code, bool right) {
    std::uint32_t& word = sets[at + 1 + code / 32];
    const std::uint32_t bit = 1U << (code % 32);
    word = right ? word | bit : word & ~bit;
  };
  put(0, !node.missing_left);
  for (std::uint32_t i = 0; i < node.set_size; ++i) put(members[i] + 2, !node.members_left);
  return static_cast<std::uint32_t>(at);
}

}  // namespace

std::uint32_t category_code(float x, Input input) noexcept {
  if (x != x) return 0;
  if (input == Input::kCategoryTruncated) x = std::trunc(x);
  if (!(x >= 0 && x < static_cast<float>(kMostCategories))) return 1;
  const auto category = static_cast<std::uint32_t>(x);
  if (input == Input::kCategoryExact && static_cast<float>(category) != x) return 1;
  return category + 2;
}

bool goes_right(const ParsedForest& forest, const Node& node, float x) noexcept {
  if (forest.capped && x == kInf) x = std::numeric_limits<float>::max();
  if (node.categorical()) {
    const std::uint32_t code = category_code(x, node.input);
    if (code == 0) return !node.missing_left;
    const auto begin = forest.categories.begin() + node.set_begin;
    const bool member =
        code > 1 && std::find(begin, begin + node.set_size, code - 2) != begin + node.set_size;
    return member != node.members_left;
  }
  if (x != x || (node.input == Input::kNumberZeroMissing && std::abs(x) <= kZero))
    return !node.missing_left;
  return x >= node.threshold;
}

void never_left(Node& node, ParsedForest& forest) noexcept {
  std::swap(node.left, node.right);
  node.threshold = kInf;
  node.missing_left = !node.missing_left;
  forest.capped = true;
}

void Compiled::spread(const float* row, std::size_t stride, float* out) const noexcept {
  for (const Slot& slot : slots) {
    const float value = row[slot.feature] > highest ? highest : row[slot.feature];
    float& target = *out;
    out += stride;
    if (slot.input == Input::kNumber) {
      const float missing = slot.missing_high ? kInf : -kInf;
      target = value != value ? missing : value;
    } else if (slot.input == Input::kNumberZeroMissing) {
      const float missing = slot.missing_high ? kInf : -kInf;
      target = std::abs(value) > kZero ? value : missing;  // NaN is not above it either
    } else {
      target = std::bit_cast<float>(category_code(value, slot.input));
    }
  }
  *out = 0;
}

Result<Compiled> compile(const ParsedForest& parsed) {
  if (parsed.features < 0 || parsed.features > kMostFeatures) {
    return too_large(
        fmt::format("reads {} features, at most {} can be scored", parsed.features, kMostFeatures));
  }
  if (parsed.outputs < 1 || parsed.outputs > kMostOutputs) {
    return too_large(
        fmt::format("has {} outputs, at most {} can be scored", parsed.outputs, kMostOutputs));
  }
  Compiled out;
  out.features = parsed.features;
  out.outputs = parsed.outputs;
  out.base = parsed.base;
  out.base.resize(static_cast<std::size_t>(parsed.outputs), 0.0);
  for (const double base : out.base) {
    if (!std::isfinite(base)) {
      return not_finite("has a base score whose margin is not finite");
    }
  }
  out.base_last = parsed.base_last;
  out.divisor = parsed.divisor;
  out.highest = parsed.capped ? std::numeric_limits<float>::max() : kInf;
  std::size_t total = 0;
  for (const auto& tree : parsed.trees) total += tree.nodes.size();
  if (total > kMostNodes || parsed.trees.size() > kMostNodes)
    return too_large("has too many nodes");
  std::vector<std::vector<std::uint32_t>> by_output(static_cast<std::size_t>(parsed.outputs));
  for (std::size_t t = 0; t < parsed.trees.size(); ++t) {
    const int output = parsed.trees[t].output;
    if (output < 0 || output >= parsed.outputs)
      return corrupt(t, "adds to an output that does not exist");
    by_output[static_cast<std::size_t>(output)].push_back(static_cast<std::uint32_t>(t));
  }
  out.steps.reserve(total);
  out.trees.reserve(parsed.trees.size());
  SlotNumbers slots(parsed.features);
  std::vector<std::int32_t> source;  // of each node placed so far, its number in the parsed tree
  std::vector<std::uint8_t> seen;
  for (const auto& group : by_output) {
    out.first_tree.push_back(static_cast<std::uint32_t>(out.trees.size()));
    for (const std::size_t t : group) {
      const ParsedTree& tree = parsed.trees[t];
      const std::size_t size = tree.nodes.size();
      if (size == 0) return corrupt(t, "has no node");
      const std::size_t base = out.steps.size();
      seen.assign(size, 0);
      seen[0] = 1;
      source.assign(1, 0);
      std::int32_t depth = 0;
      std::size_t level_end = 1;
      for (std::size_t k = 0; k < source.size();
           ++k) {  // breadth first: a node's children are appended side by side
        if (k == level_end) {
          ++depth;
          level_end = source.size();
        }
        const Node& node = tree.nodes[static_cast<std::size_t>(source[k])];
        if (node.left == -1 && node.right == -1) {
          if (!std::isfinite(node.value))
            return not_finite(
                fmt::format("has a leaf that is not finite, node {} of tree {}", source[k], t));
          const auto self = static_cast<std::uint32_t>(base + k);
          out.steps.push_back({kInf, self, 0, static_cast<std::uint32_t>(out.values.size())});
          const bool weighted = tree.weight != 1;
          out.values.push_back(
              weighted ? static_cast<double>(static_cast<float>(node.value) * tree.weight)
                       : node.value);
          if (!std::isfinite(out.values.back()))
            return not_finite(
                fmt::format("has a leaf that is not finite, node {} of tree {}", source[k], t));
          continue;
        }
        for (const std::int32_t child : {node.left, node.right}) {
          if (child <= 0 || static_cast<std::size_t>(child) >= size)
            return corrupt(t, "has a child out of range");
          if (seen[static_cast<std::size_t>(child)] != 0) return corrupt(t, "reaches a node twice");
          seen[static_cast<std::size_t>(child)] = 1;
        }
        if (node.feature < 0 || node.feature >= parsed.features)
          return corrupt(t, "splits on a feature that does not exist");
        Compiled::Step step{node.threshold, static_cast<std::uint32_t>(base + source.size()),
                            slots.of(node, out.slots), 0};
        if (node.categorical()) {
          HEDDLE_ASSIGN_OR_RETURN(step.extra, add_set(parsed, node, t, out.sets));
          step.threshold = std::numeric_limits<float>::quiet_NaN();
          out.categorical = true;
        } else if (!(node.threshold > -kInf)) {
          return corrupt(t, "has a condition that is no finite number");
        }
        source.push_back(node.left);
        source.push_back(node.right);
        out.steps.push_back(step);
      }
      out.trees.push_back({static_cast<std::uint32_t>(base), depth, tree.output});
      out.depth = std::max(out.depth, depth);
    }
  }
  out.first_tree.push_back(static_cast<std::uint32_t>(out.trees.size()));
  const auto zero = static_cast<std::uint32_t>(out.slots.size());
  for (auto& step : out.steps) {
    if (step.threshold == kInf &&
        step.child == static_cast<std::uint32_t>(&step - out.steps.data()))
      step.slot = zero;
  }
  return out;
}

}  // namespace heddle::model
