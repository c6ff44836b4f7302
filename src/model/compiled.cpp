#include "model/compiled.hpp"

#include <bit>
#include <cmath>
#include <limits>
#include <span>
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

namespace {

Result<void> check_limits(const ParsedForest& parsed, std::size_t nodes) {
  if (parsed.features < 0 || parsed.features > kMostFeatures) {
    return too_large(
        fmt::format("reads {} features, at most {} can be scored", parsed.features, kMostFeatures));
  }
  if (parsed.outputs < 1 || parsed.outputs > kMostOutputs) {
    return too_large(
        fmt::format("has {} outputs, at most {} can be scored", parsed.outputs, kMostOutputs));
  }
  const std::size_t bases = std::min(parsed.base.size(), static_cast<std::size_t>(parsed.outputs));
  for (const double base : std::span(parsed.base).first(bases)) {
    if (!std::isfinite(base)) return not_finite("has a base score whose margin is not finite");
  }
  if (nodes > kMostNodes || parsed.trees.size() > kMostNodes)
    return too_large("has too many nodes");
  return {};
}

/// The trees of each output, in their order.
Result<std::vector<std::vector<std::size_t>>> by_output(const ParsedForest& parsed) {
  std::vector<std::vector<std::size_t>> out(static_cast<std::size_t>(parsed.outputs));
  for (std::size_t t = 0; t < parsed.trees.size(); ++t) {
    const int output = parsed.trees[t].output;
    if (output < 0 || output >= parsed.outputs)
      return corrupt(t, "adds to an output that does not exist");
    out[static_cast<std::size_t>(output)].push_back(t);
  }
  return out;
}

/// Adds trees to a compiled forest, and checks each node on the way.
class TreeCompiler {
 public:
  TreeCompiler(const ParsedForest& parsed, Compiled& out)
      : parsed_(parsed), out_(out), slots_(parsed.features) {}

  Result<void> add(std::size_t number) {
    number_ = number;
    const ParsedTree& tree = parsed_.trees[number];
    if (tree.nodes.empty()) return corrupt(number, "has no node");
    const std::size_t base = out_.steps.size();
    seen_.assign(tree.nodes.size(), 0);
    seen_[0] = 1;
    source_.assign(1, 0);
    std::int32_t depth = 0;
    std::size_t level_end = 1;
    // Breadth first: a node's children are appended side by side.
    for (std::size_t k = 0; k < source_.size(); ++k) {
      if (k == level_end) {
        ++depth;
        level_end = source_.size();
      }
      const Node& node = tree.nodes[static_cast<std::size_t>(source_[k])];
      const bool is_leaf = node.left == -1 && node.right == -1;
      HEDDLE_TRY(is_leaf ? add_leaf(node, base + k, source_[k]) : add_split(node, base));
    }
    out_.trees.push_back({static_cast<std::uint32_t>(base), depth, tree.output});
    out_.depth = std::max(out_.depth, depth);
    return {};
  }

 private:
  Result<void> add_leaf(const Node& node, std::size_t self, std::int32_t source) {
    const float weight = parsed_.trees[number_].weight;
    const double value =
        weight != 1 ? static_cast<double>(static_cast<float>(node.value) * weight) : node.value;
    // Either may be: a weight of 0 times infinity is no number.
    if (!std::isfinite(node.value) || !std::isfinite(value))
      return not_finite(
          fmt::format("has a leaf that is not finite, node {} of tree {}", source, number_));
    out_.steps.push_back({kInf, static_cast<std::uint32_t>(self), 0,
                          static_cast<std::uint32_t>(out_.values.size())});
    out_.values.push_back(value);
    return {};
  }

  Result<void> add_split(const Node& node, std::size_t base) {
    for (const std::int32_t child : {node.left, node.right}) HEDDLE_TRY(reach(child));
    if (node.feature < 0 || node.feature >= parsed_.features)
      return corrupt(number_, "splits on a feature that does not exist");
    Compiled::Step step{node.threshold, static_cast<std::uint32_t>(base + source_.size()),
                        slots_.of(node, out_.slots), 0};
    if (node.categorical()) {
      HEDDLE_ASSIGN_OR_RETURN(step.extra, add_set(parsed_, node, number_, out_.sets));
      step.threshold = std::numeric_limits<float>::quiet_NaN();
      out_.categorical = true;
    } else if (!(node.threshold > -kInf)) {
      return corrupt(number_, "has a condition that is no finite number");
    }
    source_.push_back(node.left);
    source_.push_back(node.right);
    out_.steps.push_back(step);
    return {};
  }

  /// Each node but the root is the child of one other.
  Result<void> reach(std::int32_t child) {
    if (child <= 0 || static_cast<std::size_t>(child) >= seen_.size())
      return corrupt(number_, "has a child out of range");
    if (seen_[static_cast<std::size_t>(child)] != 0)
      return corrupt(number_, "reaches a node twice");
    seen_[static_cast<std::size_t>(child)] = 1;
    return {};
  }

  const ParsedForest& parsed_;
  Compiled& out_;
  SlotNumbers slots_;
  std::size_t number_ = 0;            ///< of the tree being added
  std::vector<std::int32_t> source_;  ///< of each node placed so far, its number in the parsed tree
  std::vector<std::uint8_t> seen_;
};

}  // namespace

Result<Compiled> compile(const ParsedForest& parsed) {
  std::size_t total = 0;
  for (const auto& tree : parsed.trees) total += tree.nodes.size();
  HEDDLE_TRY(check_limits(parsed, total));
  HEDDLE_ASSIGN_OR_RETURN(const auto groups, by_output(parsed));
  Compiled out;
  out.features = parsed.features;
  out.outputs = parsed.outputs;
  out.base = parsed.base;
  out.base.resize(static_cast<std::size_t>(parsed.outputs), 0.0);
  out.base_last = parsed.base_last;
  out.divisor = parsed.divisor;
  out.highest = parsed.capped ? std::numeric_limits<float>::max() : kInf;
  out.steps.reserve(total);
  out.trees.reserve(parsed.trees.size());
  TreeCompiler trees(parsed, out);
  for (const auto& group : groups) {
    out.first_tree.push_back(static_cast<std::uint32_t>(out.trees.size()));
    for (const std::size_t t : group) HEDDLE_TRY(trees.add(t));
  }
  out.first_tree.push_back(static_cast<std::uint32_t>(out.trees.size()));
  // A leaf is a step to itself: it compares with the 0 behind the last slot, and goes nowhere.
  const auto zero = static_cast<std::uint32_t>(out.slots.size());
  for (auto& step : out.steps) {
    if (step.threshold == kInf &&
        step.child == static_cast<std::uint32_t>(&step - out.steps.data()))
      step.slot = zero;
  }
  return out;
}

}  // namespace heddle::model
