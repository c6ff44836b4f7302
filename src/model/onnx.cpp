#include "model/onnx.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "model/file_kind.hpp"
#include "model/forest.hpp"
#include "model/linear.hpp"
#include "model/onnx_graph.hpp"

// Operators of https://onnx.ai/onnx/operators/ (domain ai.onnx.ml, versions 1 to 3); how scores are
// added is ONNX Runtime's way (core/providers/cpu/ml/tree_ensemble_aggregator.h): leaves in the
// order of the trees, then the base value.
namespace heddle::model {
namespace {

constexpr std::int64_t kFloat = 1;  // TensorProto.DataType
constexpr std::int64_t kDouble = 11;
constexpr std::size_t kMostLeafWeights = std::size_t{1} << 26;

/// The array attribute `name` of the length `size`; an error names both.
template <class T>
Result<const std::vector<T>*> array(const OnnxNode& node, std::string_view name, std::size_t size) {
  const auto* const attribute = node.find(name);
  if (attribute == nullptr) return onnx_corrupt(fmt::format("has no `{}`", name));
  const std::vector<T>* out = nullptr;
  if constexpr (std::is_same_v<T, float>)
    out = &attribute->reals;
  else if constexpr (std::is_same_v<T, std::int64_t>)
    out = &attribute->integers;
  else
    out = &attribute->texts;
  if (out->size() != size)
    return onnx_corrupt(
        fmt::format("has {} entries of `{}` where {} belong", out->size(), name, size));
  return out;
}

std::string_view text_of(const OnnxNode& node, std::string_view name, std::string_view fallback) {
  const auto* const attribute = node.find(name);
  return attribute == nullptr ? fallback : attribute->text;
}

Result<Link> link_of(const OnnxNode& node, int outputs) {
  const std::string_view transform = text_of(node, "post_transform", "NONE");
  if (transform == "NONE") return Link::kIdentity;
  if (!node.type.ends_with("Classifier")) {
    // ONNX Runtime passes over a regressor's, and answers the sum itself.
    return onnx_unsupported(
        fmt::format("has post_transform `{}` in {}, a regressor", shown(transform), node.title()));
  }
  if (transform == "LOGISTIC") return outputs == 1 ? Link::kLogistic : Link::kOneVsAll;
  if (transform == "SOFTMAX") return Link::kSoftmax;
  return onnx_unsupported(
      fmt::format("has post_transform `{}` in {}", shown(transform), node.title()));
}

/// The labels of a classifier, as text.
Result<std::vector<std::string>> class_labels(const OnnxNode& node) {
  std::vector<std::string> labels;
  for (const std::string_view name : {"classlabels_int64s", "classlabels_ints"}) {
    const auto* const numbers = node.find(name);
    if (numbers == nullptr || !labels.empty()) continue;
    for (const std::int64_t label : numbers->integers) labels.push_back(fmt::to_string(label));
  }
  if (const auto* const texts = node.find("classlabels_strings");
      texts != nullptr && labels.empty()) {
    labels.assign(texts->texts.begin(), texts->texts.end());
  }
  if (labels.empty() || labels.size() > static_cast<std::size_t>(kMostOutputs)) {
    return onnx_corrupt(fmt::format("has {} class labels", labels.size()));
  }
  return labels;
}

/// An operator of ONNX itself; another domain's may have the same name and another meaning.
bool is_onnx(const OnnxNode& node, std::string_view type) {
  return node.type == type && (node.domain.empty() || node.domain == "ai.onnx");
}

/// What the nodes after the model made of its scores.
struct Scores {
  std::string_view tensor{};
  bool normalized = false;                 ///< divided by their sum
  const OnnxNode* transforming = nullptr;  ///< `Exp` or `Sigmoid`, after a regressor
  [[nodiscard]] bool is_like(const Scores& other) const noexcept {
    return normalized == other.normalized && transforming == other.transforming;
  }
};

/// The one model node, the width of the matrix it reads, -1 where open, and its scores as the graph
/// gives them.
class Finder {
 public:
  explicit Finder(const OnnxGraph& graph) : graph_(graph) {}

  Result<void> run() {
    if (graph_.inputs.size() != 1)
      return onnx_unsupported(
          fmt::format("has {} inputs, one matrix can be scored", graph_.inputs.size()));
    const OnnxInput& input = graph_.inputs[0];
    if (input.rank != 2)
      return onnx_unsupported(
          fmt::format("has an input that is no matrix, `{}`", shown(input.name)));
    columns = input.columns;
    is_float_ = input.type == kFloat;
    fed_ = input.name;
    for (const auto& each : graph_.nodes) {
      const bool is_model = each.domain == "ai.onnx.ml" && (each.type.starts_with("TreeEnsemble") ||
                                                            each.type.starts_with("Linear"));
      HEDDLE_TRY(is_model ? take(each) : node == nullptr ? prepare(each) : follow(each));
    }
    if (node == nullptr) return onnx_unsupported("has no tree ensemble or linear model");
    return find_given();
  }

  const OnnxNode* node = nullptr;
  std::int64_t columns = -1;
  Scores given{};

 private:
  Result<void> take(const OnnxNode& each) {
    if (node != nullptr)
      return onnx_unsupported(
          fmt::format("has several models: {} and {}", node->title(), each.title()));
    if (each.inputs.size() != 1 || each.inputs[0] != fed_) {
      return onnx_unsupported(
          fmt::format("has {} on something that is not its input", each.title()));
    }
    if (!is_float_)
      return onnx_unsupported(fmt::format("reads numbers that are no floats in {}", each.title()));
    node = &each;
    classifier_ = each.type.ends_with("Classifier");
    const std::size_t at = classifier_ ? 1 : 0;
    if (each.outputs.size() > at) scores_.push_back({each.outputs[at]});
    return {};
  }

  /// Before the model: Identity, and Cast to float.
  Result<void> prepare(const OnnxNode& each) {
    const bool casts = is_onnx(each, "Cast");
    if (!casts && !is_onnx(each, "Identity"))
      return onnx_unsupported(fmt::format("has {} before its model", each.title()));
    if (each.inputs.size() != 1 || each.inputs[0] != fed_ || each.outputs.size() != 1) {
      return onnx_unsupported(
          fmt::format("prepares its input in a way that is not followed, by {}", each.title()));
    }
    if (casts) {
      const auto* const to = each.find("to");
      if (!is_float_ || to == nullptr || to->integer != kFloat)
        return onnx_unsupported(fmt::format("casts its input by {}", each.title()));
    }
    fed_ = each.outputs[0];
    return {};
  }

  /// After it: what reads its scores, in whichever form, must keep them or change their link in a
  /// way that is known. What reads only labels is passed over.
  Result<void> follow(const OnnxNode& each) {
    const auto read = std::find_if(scores_.begin(), scores_.end(), [&](const Scores& scores) {
      return std::find(each.inputs.begin(), each.inputs.end(), scores.tensor) != each.inputs.end();
    });
    if (read == scores_.end()) return {};
    Scores made = *read;
    if (each.outputs.size() != 1 || !keeps(each, made)) {
      return onnx_unsupported(fmt::format("changes its scores by {}", each.title()));
    }
    made.tensor = each.outputs[0];
    scores_.push_back(made);
    return {};
  }

  bool keeps(const OnnxNode& each, Scores& scores) const {
    const bool is_ml = each.domain == "ai.onnx.ml";
    if (is_ml && each.type == "ZipMap") return true;
    if (is_ml && each.type == "Normalizer") {
      // A regressor's one column would become 1; the other norms give no probabilities.
      scores.normalized = true;
      return classifier_ && text_of(each, "norm", "MAX") == "L1";
    }
    if (is_onnx(each, "Exp") || is_onnx(each, "Sigmoid")) return transforms(each, scores);
    return casts_to_real(each) || is_onnx(each, "Identity") ||
           multiplies_by_one(each, scores.tensor);
  }

  /// Of a regressor's scores as it gives them, once.
  bool transforms(const OnnxNode& each, Scores& scores) const {
    const bool first = !classifier_ && scores.transforming == nullptr && !scores.normalized;
    scores.transforming = &each;
    return first;
  }

  [[nodiscard]] static bool casts_to_real(const OnnxNode& each) {
    if (!is_onnx(each, "Cast")) return false;
    const auto* const to = each.find("to");
    return to != nullptr && (to->integer == kFloat || to->integer == kDouble);
  }

  /// `Mul` by a constant of ones: onnxmltools writes it in place of a ZipMap.
  [[nodiscard]] bool multiplies_by_one(const OnnxNode& each, std::string_view scores) const {
    if (!is_onnx(each, "Mul") || each.inputs.size() != 2) return false;
    const std::string_view factor = each.inputs[each.inputs[0] == scores ? 1 : 0];
    return std::any_of(graph_.constants.begin(), graph_.constants.end(),
                       [&](const OnnxConstant& constant) {
                         return constant.name == factor && !constant.values.empty() &&
                                std::all_of(constant.values.begin(), constant.values.end(),
                                            [](double value) { return value == 1; });
                       });
  }

  /// The form of the scores that is an output of the graph. A node whose result nobody asks for
  /// says nothing of the answer.
  Result<void> find_given() {
    bool found = false;
    for (const Scores& scores : scores_) {
      if (std::find(graph_.outputs.begin(), graph_.outputs.end(), scores.tensor) ==
          graph_.outputs.end())
        continue;
      if (found && !scores.is_like(given)) {
        return onnx_unsupported(
            fmt::format("gives its scores in two forms, `{}` and `{}`: which of them answers is "
                        "not said",
                        shown(given.tensor), shown(scores.tensor)));
      }
      given = scores;
      found = true;
    }
    if (found) return {};
    return onnx_unsupported(
        fmt::format("does not give the scores of {}: its outputs are `{}`", node->title(),
                    shown(fmt::format("{}", fmt::join(graph_.outputs, "`, `")))));
  }

  const OnnxGraph& graph_;
  bool is_float_ = false;
  bool classifier_ = false;
  std::string_view fed_{};        ///< what the model node must read
  std::vector<Scores> scores_{};  ///< its scores, through the nodes that keep them
};

/// How a branch's mode becomes a split: right when x >= threshold.
struct Mode {
  std::string_view name;
  bool next_float;  ///< the threshold's own value belongs to the smaller side
  bool true_is_left;
  bool equality;
};
constexpr Mode kModes[] = {{"BRANCH_LEQ", true, true, false},   {"BRANCH_LT", false, true, false},
                           {"BRANCH_GTE", false, false, false}, {"BRANCH_GT", true, false, false},
                           {"BRANCH_EQ", false, true, true},    {"BRANCH_NEQ", false, false, true}};

struct Place {
  std::size_t tree;
  std::int32_t node;
};
struct Key {
  std::int64_t tree;
  std::int64_t node;
  bool operator==(const Key&) const = default;
};
struct KeyHash {
  std::size_t operator()(const Key& key) const noexcept {
    return static_cast<std::size_t>(static_cast<std::uint64_t>(key.tree) * 0x9E3779B97F4A7C15ULL ^
                                    static_cast<std::uint64_t>(key.node) * 0xC2B2AE3D27D4EB4FULL);
  }
};
using Places = std::unordered_map<Key, Place, KeyHash>;

/// Which comparisons with +inf were met: `x <= inf` takes +inf to the left, `x < inf` to the right.
struct Infinities {
  bool at = false;
  bool below = false;
};

/// What goes right: x >= threshold, or x > threshold where `next_float`. Missing against all else
/// is written with an infinite threshold.
Result<void> read_threshold(float value, bool next_float, Node& out, ParsedForest& forest,
                            Infinities& infinities) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  constexpr float kLargest = std::numeric_limits<float>::max();
  out.threshold = next_float ? std::nextafter(value, kInf) : value;
  if (value == kInf && next_float) {
    infinities.at = forest.capped = true;  // nothing is above it: +inf is read as the largest float
  } else if (value == kInf || (value == kLargest && next_float)) {
    infinities.below = true;
  } else if (value == -kInf && !next_float) {
    never_left(out, forest);  // everything is at or above it
    infinities.at = true;
  }
  return {};
}

/// ONNX Runtime lets several branches lead to one node; here each has one parent. The shared ones
/// are copied, with all that is below them.
class Unsharing {
 public:
  Unsharing(std::vector<Node>& nodes, std::size_t& added)
      : nodes_(nodes),
        added_(added),
        original_(nodes),
        taken_(nodes.size(), 0),
        open_(nodes.size(), 0) {}

  Result<void> run() {
    taken_[0] = 1;
    return visit(0, 0, 0);
  }

 private:
  static constexpr std::size_t kMostAdded = std::size_t{1} << 24;
  static constexpr int kDeepest = 2048;

  /// `node` is `source`, or a copy of it.
  Result<void> visit(std::size_t node, std::size_t source, int depth) {
    if (original_[source].leaf()) return {};
    if (open_[source] != 0) return onnx_corrupt("has a tree with a cycle");
    if (depth > kDeepest)
      return onnx_unsupported(fmt::format("has a tree deeper than {}", kDeepest));
    open_[source] = 1;
    HEDDLE_ASSIGN_OR_RETURN(const std::int32_t left, child(original_[source].left, depth));
    HEDDLE_ASSIGN_OR_RETURN(const std::int32_t right, child(original_[source].right, depth));
    nodes_[node].left = left;
    nodes_[node].right = right;
    open_[source] = 0;
    return {};
  }

  Result<std::int32_t> child(std::int32_t target, int depth) {
    const auto source = static_cast<std::size_t>(target);
    std::size_t node = source;
    if (taken_[source] != 0) {
      if (++added_ > kMostAdded) return onnx_unsupported("has trees that share too many nodes");
      node = nodes_.size();
      nodes_.push_back(original_[source]);
    }
    taken_[source] = 1;
    HEDDLE_TRY(visit(node, source, depth + 1));
    return static_cast<std::int32_t>(node);
  }

  std::vector<Node>& nodes_;
  std::size_t& added_;
  const std::vector<Node> original_;
  std::vector<std::uint8_t> taken_;  ///< has a parent
  std::vector<std::uint8_t> open_;   ///< on the way from the root
};

bool shares(const std::vector<Node>& nodes) {
  std::vector<std::uint8_t> parents(nodes.size(), 0);
  for (const Node& node : nodes) {
    if (node.leaf()) continue;
    for (const std::int32_t child : {node.left, node.right}) {
      if (std::exchange(parents[static_cast<std::size_t>(child)], std::uint8_t{1}) != 0)
        return true;
    }
  }
  return false;
}

Result<void> unshare(std::vector<ParsedTree>& trees) {
  std::size_t added = 0;
  for (auto& tree : trees) {
    if (shares(tree.nodes)) HEDDLE_TRY(Unsharing(tree.nodes, added).run());
  }
  return {};
}

/// The specification lets the nodes of trees be mixed. ONNX Runtime scores such a file as
/// something else, so whoever wrote it never saw it answer as it says.
Result<void> check_order(const std::vector<std::int64_t>& trees, const OnnxNode& node) {
  std::unordered_set<std::int64_t> done;
  for (std::size_t i = 1; i < trees.size(); ++i) {
    if (trees[i] == trees[i - 1]) continue;
    done.insert(trees[i - 1]);
    if (done.contains(trees[i]))
      return onnx_unsupported(fmt::format("mixes the nodes of its trees in {}", node.title()));
  }
  return {};
}

/// The root of a tree is its first node: ONNX Runtime and the converters agree on that. Then every
/// other node has a parent.
Result<void> check_roots(const std::vector<ParsedTree>& trees, const OnnxNode& node) {
  std::vector<std::uint8_t> reached;
  for (std::size_t t = 0; t < trees.size(); ++t) {
    const auto& nodes = trees[t].nodes;
    reached.assign(nodes.size(), 0);
    for (const Node& each : nodes) {
      if (each.leaf()) continue;
      reached[static_cast<std::size_t>(each.left)] = 1;
      reached[static_cast<std::size_t>(each.right)] = 1;
    }
    if (std::find(reached.begin() + 1, reached.end(), 0) == reached.end()) continue;
    return onnx_unsupported(
        fmt::format("has a tree, {}, whose first node is not its root, in {}", t, node.title()));
  }
  return {};
}

/// What the node says of the nodes of its trees: one entry each.
struct NodeArrays {
  const std::vector<std::int64_t>* trees = nullptr;
  const std::vector<std::int64_t>* numbers = nullptr;
  const std::vector<std::int64_t>* features = nullptr;
  const std::vector<std::string_view>* modes = nullptr;
  const std::vector<float>* values = nullptr;
  const std::vector<std::int64_t>* yes = nullptr;
  const std::vector<std::int64_t>* no = nullptr;
  const std::vector<std::int64_t>* missing_true = nullptr;  ///< nullptr: not said

  [[nodiscard]] std::size_t size() const noexcept { return trees->size(); }
  [[nodiscard]] bool is_missing_true(std::size_t i) const noexcept {
    return missing_true != nullptr && (*missing_true)[i] != 0;
  }
  [[nodiscard]] std::string place(std::size_t i) const {
    return fmt::format("node {} of tree {}", (*numbers)[i], (*trees)[i]);
  }
};

Result<NodeArrays> node_arrays(const OnnxNode& node) {
  NodeArrays out;
  const auto* const ids = node.find("nodes_treeids");
  if (ids == nullptr) return onnx_corrupt("has no `nodes_treeids`");
  const std::size_t size = ids->integers.size();
  out.trees = &ids->integers;
  HEDDLE_ASSIGN_OR_RETURN(out.numbers, array<std::int64_t>(node, "nodes_nodeids", size));
  HEDDLE_ASSIGN_OR_RETURN(out.features, array<std::int64_t>(node, "nodes_featureids", size));
  HEDDLE_ASSIGN_OR_RETURN(out.modes, array<std::string_view>(node, "nodes_modes", size));
  HEDDLE_ASSIGN_OR_RETURN(out.values, array<float>(node, "nodes_values", size));
  HEDDLE_ASSIGN_OR_RETURN(out.yes, array<std::int64_t>(node, "nodes_truenodeids", size));
  HEDDLE_ASSIGN_OR_RETURN(out.no, array<std::int64_t>(node, "nodes_falsenodeids", size));
  const auto* const tracks = node.find("nodes_missing_value_tracks_true");
  if (tracks == nullptr || tracks->integers.empty()) return out;
  if (tracks->integers.size() != size)
    return onnx_corrupt("has another count of `nodes_missing_value_tracks_true` than of nodes");
  out.missing_true = &tracks->integers;
  return out;
}

/// Trees of empty nodes, in the order of their first nodes, and where each node lies.
Result<std::vector<ParsedTree>> place_nodes(const NodeArrays& arrays, Places& places) {
  std::vector<ParsedTree> trees;
  std::unordered_map<std::int64_t, std::size_t> tree_of;
  places.reserve(arrays.size());
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    const auto [entry, first] = tree_of.try_emplace((*arrays.trees)[i], trees.size());
    if (first) trees.emplace_back();
    auto& nodes = trees[entry->second].nodes;
    if (!places
             .try_emplace({(*arrays.trees)[i], (*arrays.numbers)[i]},
                          Place{entry->second, static_cast<std::int32_t>(nodes.size())})
             .second) {
      return onnx_corrupt("has the same node of a tree twice");
    }
    nodes.emplace_back();
  }
  return trees;
}

/// A split by equality is one by a set of one category.
Result<void> read_equality(const NodeArrays& arrays, std::size_t i, const Mode& mode,
                           ParsedForest& forest, Node& out) {
  const float value = (*arrays.values)[i];
  // A NaN differs from every number, unless the file says where it goes.
  if (mode.name == "BRANCH_NEQ")
    out.missing_left = arrays.missing_true != nullptr && (*arrays.missing_true)[i] == 0;
  const std::uint32_t code = category_code(value, Input::kCategoryExact);
  if (code < 2) {
    return onnx_unsupported(fmt::format("compares for equality with {}, which is no category, {}",
                                        value, arrays.place(i)));
  }
  out.input = Input::kCategoryExact;
  out.members_left = true;
  out.set_begin = static_cast<std::uint32_t>(forest.categories.size());
  out.set_size = 1;
  forest.categories.push_back(code - 2);
  return {};
}

Result<void> read_split(const NodeArrays& arrays, std::size_t i, const Places& places,
                        ParsedForest& forest, Infinities& infinities, Node& out) {
  const std::int64_t tree = (*arrays.trees)[i];
  const auto* const mode =
      std::find_if(std::begin(kModes), std::end(kModes),
                   [&](const Mode& known) { return known.name == (*arrays.modes)[i]; });
  if (mode == std::end(kModes))
    return onnx_unsupported(
        fmt::format("has a branch of mode `{}`, {}", shown((*arrays.modes)[i]), arrays.place(i)));
  const auto when_true = places.find({tree, (*arrays.yes)[i]});
  const auto when_false = places.find({tree, (*arrays.no)[i]});
  if (when_true == places.end() || when_false == places.end())
    return onnx_corrupt("has a child that does not exist");
  const std::int64_t feature = (*arrays.features)[i];
  if (feature < 0 || feature >= kMostFeatures)
    return onnx_corrupt("splits on a feature that does not exist");
  out.feature = static_cast<std::int32_t>(feature);
  out.left = (mode->true_is_left ? when_true : when_false)->second.node;
  out.right = (mode->true_is_left ? when_false : when_true)->second.node;
  out.missing_left = arrays.is_missing_true(i) == mode->true_is_left;
  const float value = (*arrays.values)[i];
  if (std::isnan(value)) {
    return onnx_unsupported(
        fmt::format("splits on a threshold that is no number, {}", arrays.place(i)));
  }
  if (mode->equality) return read_equality(arrays, i, *mode, forest, out);
  return read_threshold(value, mode->next_float, out, forest, infinities);
}

/// The trees of the node, without leaf values; in the order of their first nodes.
Result<std::vector<ParsedTree>> read_nodes(const OnnxNode& node, ParsedForest& forest,
                                           Places& places) {
  HEDDLE_ASSIGN_OR_RETURN(const NodeArrays arrays, node_arrays(node));
  HEDDLE_ASSIGN_OR_RETURN(std::vector<ParsedTree> trees, place_nodes(arrays, places));
  HEDDLE_TRY(check_order(*arrays.trees, node));
  Infinities infinities;
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    if ((*arrays.modes)[i] == "LEAF") continue;
    const Place place = places.find({(*arrays.trees)[i], (*arrays.numbers)[i]})->second;
    HEDDLE_TRY(read_split(arrays, i, places, forest, infinities,
                          trees[place.tree].nodes[static_cast<std::size_t>(place.node)]));
  }
  if (infinities.below && infinities.at) {
    return onnx_unsupported("compares with +inf both by `<` and by `<=`");
  }
  HEDDLE_TRY(check_roots(trees, node));
  return trees;
}

/// The weights of leaves: for each its place, its class or target, its value.
struct LeafWeights {
  std::vector<const Place*> places{};
  std::vector<int> outputs{};
  std::vector<float> values{};
};

Result<LeafWeights> read_weights(const OnnxNode& node, std::string_view prefix, int targets,
                                 const std::vector<ParsedTree>& trees, const Places& places) {
  const auto key = [&](std::string_view name) { return fmt::format("{}_{}", prefix, name); };
  const auto* const ids = node.find(key("ids"));
  if (ids == nullptr) return onnx_corrupt(fmt::format("has no `{}`", key("ids")));
  const std::size_t count = ids->integers.size();
  HEDDLE_ASSIGN_OR_RETURN(const auto* of_trees, array<std::int64_t>(node, key("treeids"), count));
  HEDDLE_ASSIGN_OR_RETURN(const auto* of_nodes, array<std::int64_t>(node, key("nodeids"), count));
  HEDDLE_ASSIGN_OR_RETURN(const auto* values, array<float>(node, key("weights"), count));
  LeafWeights out;
  for (std::size_t w = 0; w < count; ++w) {
    const std::int64_t id = ids->integers[w];
    if (id < 0 || id >= targets)
      return onnx_corrupt("has a leaf for a class or target that does not exist");
    const auto found = places.find({(*of_trees)[w], (*of_nodes)[w]});
    if (found == places.end() ||
        !trees[found->second.tree].nodes[static_cast<std::size_t>(found->second.node)].leaf()) {
      return onnx_corrupt("has a weight for a leaf that does not exist");
    }
    out.places.push_back(&found->second);
    out.outputs.push_back(static_cast<int>(id));
    out.values.push_back((*values)[w]);
  }
  return out;
}

/// Weights of one class alone are those of a margin.
Result<bool> one_class_margin(LeafWeights& weights, const std::vector<float>& base, bool normalized,
                              const OnnxNode& node) {
  // It is the second class's, whatever number the writer gave it: converters write 0. ONNX
  // Runtime takes one base value beside 0 and has ways of its own for the rest.
  const bool second = !weights.outputs.empty() && weights.outputs.front() == 1;
  if (base.size() > (second ? 0U : 1U) || (second && normalized)) {
    return onnx_unsupported(fmt::format(
        "has weights of class {} alone beside {} in {}: what the other class has is "
        "not said",
        second ? 1 : 0,
        base.empty() ? std::string("a `Normalizer`") : fmt::format("{} base values", base.size()),
        node.title()));
  }
  std::fill(weights.outputs.begin(), weights.outputs.end(), 0);
  return true;
}

/// Whether each leaf of the first class has the negative of the second's.
bool is_mirrored(const LeafWeights& weights) {
  // Of each leaf: second less first, and how many more of the second.
  std::unordered_map<const Place*, std::pair<double, int>> sums;
  for (std::size_t w = 0; w < weights.outputs.size(); ++w) {
    auto& [sum, balance] = sums[weights.places[w]];
    sum += static_cast<double>(weights.values[w]);
    balance += weights.outputs[w] == 1 ? 1 : -1;
  }
  return std::all_of(sums.begin(), sums.end(), [](const auto& each) {
    return each.second.first == 0 && each.second.second == 0;
  });
}

/// Whether the weights of two classes say one margin: only one class has any, or each leaf of the
/// first class has the negative of the second's, and so have the base values (CatBoost). Those of
/// the first are then taken out.
Result<bool> one_margin(LeafWeights& weights, const std::vector<float>& base, bool normalized,
                        const OnnxNode& node) {
  const auto& outputs = weights.outputs;
  if (std::adjacent_find(outputs.begin(), outputs.end(), std::not_equal_to<>()) == outputs.end())
    return one_class_margin(weights, base, normalized, node);
  if (!base.empty() && !(base.size() == 2 && base[0] == -base[1])) return false;
  if (!is_mirrored(weights)) return false;
  LeafWeights second;
  for (std::size_t w = 0; w < outputs.size(); ++w) {
    if (outputs[w] != 1) continue;
    second.places.push_back(weights.places[w]);
    second.outputs.push_back(0);
    second.values.push_back(weights.values[w]);
  }
  weights = std::move(second);
  return true;
}

/// A tree whose leaves hold weights of several outputs becomes a tree for each of them.
Result<void> add_trees(const std::vector<ParsedTree>& trees, const LeafWeights& weights,
                       ParsedForest& forest) {
  std::vector<std::vector<int>> outputs_of(trees.size());
  for (std::size_t w = 0; w < weights.places.size(); ++w) {
    auto& known = outputs_of[weights.places[w]->tree];
    if (std::find(known.begin(), known.end(), weights.outputs[w]) == known.end())
      known.push_back(weights.outputs[w]);
  }
  std::vector<std::vector<std::pair<int, std::size_t>>> copies(
      trees.size());  // output, tree in the forest
  std::size_t nodes = 0;
  for (std::size_t t = 0; t < trees.size(); ++t) {
    std::sort(outputs_of[t].begin(), outputs_of[t].end());
    for (const int output : outputs_of[t]) {
      nodes += trees[t].nodes.size();
      if (nodes > kMostLeafWeights) return onnx_unsupported("has too many nodes times classes");
      copies[t].emplace_back(output, forest.trees.size());
      forest.trees.emplace_back(trees[t]).output = output;
    }
  }
  for (std::size_t w = 0; w < weights.places.size(); ++w) {
    for (const auto& [own, tree] : copies[weights.places[w]->tree]) {
      if (own != weights.outputs[w]) continue;
      forest.trees[tree].nodes[static_cast<std::size_t>(weights.places[w]->node)].value +=
          static_cast<double>(weights.values[w]);
    }
  }
  return {};
}

Result<void> read_base_values(const OnnxNode& node, bool binary, ParsedForest& forest) {
  forest.base.assign(static_cast<std::size_t>(forest.outputs), 0.0);
  const auto* const base = node.find("base_values");
  if (base == nullptr || base->reals.empty()) return {};
  const auto& reals = base->reals;
  if (binary ? reals.size() > 2 : reals.size() != forest.base.size()) {
    return onnx_corrupt("has another count of base values than of outputs");
  }
  if (binary)
    forest.base[0] = static_cast<double>(reals.back());
  else
    std::transform(reals.begin(), reals.end(), forest.base.begin(),
                   [](float value) { return static_cast<double>(value); });
  return {};
}

/// The width of the matrix, or where it is open what the trees read of it.
Result<int> count_features(const std::vector<ParsedTree>& trees, std::int64_t columns) {
  int features = 0;
  for (const auto& tree : trees) {
    for (const auto& split : tree.nodes) features = std::max(features, split.feature + 1);
  }
  if (columns < 0) return features;
  if (columns < features) return onnx_corrupt("splits on a feature that its input does not have");
  if (columns > kMostFeatures)
    return onnx_unsupported(
        fmt::format("reads {} features, at most {} can be scored", columns, kMostFeatures));
  return static_cast<int>(columns);
}

/// How many classes a classifier has, whose names are put into `classes`, or targets a regressor.
Result<int> count_targets(const OnnxNode& node, bool classifier, std::string_view attribute,
                          std::vector<std::string>& classes) {
  if (classifier) {
    HEDDLE_ASSIGN_OR_RETURN(classes, class_labels(node));
    return static_cast<int>(classes.size());
  }
  const auto* const count = node.find(attribute);
  if (count == nullptr) return 1;
  if (count->integer < 1 || count->integer > kMostOutputs)
    return onnx_corrupt(fmt::format("has {} targets", count->integer));
  return static_cast<int>(count->integer);
}

Result<void> read_aggregate(const OnnxNode& node, std::size_t trees, ParsedForest& forest) {
  const std::string_view aggregate = text_of(node, "aggregate_function", "SUM");
  if (aggregate == "SUM") return {};
  if (aggregate != "AVERAGE")
    return onnx_unsupported(
        fmt::format("has aggregate_function `{}` in {}", shown(aggregate), node.title()));
  forest.divisor = static_cast<double>(std::max<std::size_t>(1, trees));
  return {};
}

Result<ParsedForest> read_trees(const OnnxNode& node, bool classifier, const Finder& found) {
  ParsedForest forest;
  forest.format = "onnx";
  forest.base_last = true;
  for (const auto& attribute : node.attributes) {
    if (attribute.tensor) {
      return onnx_unsupported(
          fmt::format("has `{}` in {}: trees of doubles", shown(attribute.name), node.title()));
    }
  }
  Places places;
  HEDDLE_ASSIGN_OR_RETURN(auto trees, read_nodes(node, forest, places));
  HEDDLE_ASSIGN_OR_RETURN(forest.features, count_features(trees, found.columns));
  HEDDLE_ASSIGN_OR_RETURN(const int targets,
                          count_targets(node, classifier, "n_targets", forest.use.classes));
  HEDDLE_ASSIGN_OR_RETURN(LeafWeights weights, read_weights(node, classifier ? "class" : "target",
                                                            targets, trees, places));
  const auto* const base = node.find("base_values");
  bool binary = false;
  if (classifier && targets == 2) {
    HEDDLE_ASSIGN_OR_RETURN(
        binary, one_margin(weights, base == nullptr ? std::vector<float>() : base->reals,
                           found.given.normalized, node));
  }
  forest.outputs = binary ? 1 : targets;
  HEDDLE_ASSIGN_OR_RETURN(forest.link, link_of(node, forest.outputs));
  HEDDLE_TRY(add_trees(trees, weights, forest));
  HEDDLE_TRY(unshare(forest.trees));
  HEDDLE_TRY(read_aggregate(node, trees.size(), forest));
  HEDDLE_TRY(read_base_values(node, binary, forest));
  return forest;
}

/// Converters write the first class of two as the negative of the second: one margin says it all.
bool drop_mirrored_class(LinearModel& model) {
  const auto features = static_cast<std::size_t>(model.features);
  bool mirrored = model.intercepts[0] == -model.intercepts[1];
  for (std::size_t i = 0; i < features; ++i)
    mirrored = mirrored && model.weights[i] == -model.weights[features + i];
  if (!mirrored) return false;
  model.weights.erase(model.weights.begin(),
                      model.weights.begin() + static_cast<std::ptrdiff_t>(features));
  model.intercepts.erase(model.intercepts.begin());
  return true;
}

/// How wide the matrix is, by the coefficients of so many lines.
Result<int> count_columns(const std::vector<float>& coefficients, std::size_t lines,
                          std::int64_t columns) {
  if (coefficients.size() % lines != 0)
    return onnx_corrupt("has coefficients that are no whole lines");
  const std::size_t features = coefficients.size() / lines;
  if (features > static_cast<std::size_t>(kMostFeatures))
    return onnx_unsupported(
        fmt::format("reads {} features, at most {} can be scored", features, kMostFeatures));
  if (columns >= 0 && static_cast<std::size_t>(columns) != features)
    return onnx_corrupt("has another count of coefficients than of columns");
  return static_cast<int>(features);
}

Result<void> check_finite(const LinearModel& model, const OnnxNode& node) {
  for (const auto* numbers : {&model.weights, &model.intercepts}) {
    for (const double number : *numbers) {
      if (!std::isfinite(number))
        return onnx_unsupported(
            fmt::format("has a coefficient that is not finite in {}", node.title()));
    }
  }
  return {};
}

/// One for each line; 0 where the file has none.
Result<std::vector<double>> read_intercepts(const OnnxAttribute* written, std::size_t rows) {
  if (written == nullptr || written->reals.empty()) return std::vector<double>(rows, 0.0);
  if (written->reals.size() != rows)
    return onnx_corrupt("has another count of intercepts than of outputs");
  return std::vector<double>(written->reals.begin(), written->reals.end());
}

Result<LinearModel> read_linear(const OnnxNode& node, bool classifier, std::int64_t columns) {
  LinearModel out;
  const auto* const coefficients = node.find("coefficients");
  if (coefficients == nullptr || coefficients->reals.empty())
    return onnx_corrupt("has no `coefficients`");
  HEDDLE_ASSIGN_OR_RETURN(const int targets,
                          count_targets(node, classifier, "targets", out.use.classes));
  const auto* const intercepts = node.find("intercepts");
  // Two classes with one intercept have one line, whose margin is the second's.
  const bool one_line =
      classifier && targets == 2 && intercepts != nullptr && intercepts->reals.size() == 1;
  const std::size_t rows = one_line ? 1 : static_cast<std::size_t>(targets);
  HEDDLE_ASSIGN_OR_RETURN(out.features, count_columns(coefficients->reals, rows, columns));
  out.weights.assign(coefficients->reals.begin(), coefficients->reals.end());
  HEDDLE_ASSIGN_OR_RETURN(out.intercepts, read_intercepts(intercepts, rows));
  out.outputs = static_cast<int>(rows);
  const bool logistic = text_of(node, "post_transform", "NONE") == "LOGISTIC";
  if (rows == 2 && classifier && logistic && drop_mirrored_class(out)) out.outputs = 1;
  HEDDLE_TRY(check_finite(out, node));
  HEDDLE_ASSIGN_OR_RETURN(out.link, link_of(node, out.outputs));
  return out;
}

/// What the nodes after the model add to its own transform.
Result<void> apply_after(const Scores& given, int outputs, Link& link) {
  if (given.normalized && link != Link::kSoftmax && !(link == Link::kLogistic && outputs == 1)) {
    return onnx_unsupported(
        "divides its scores by their sum (`Normalizer`), which is another link than its model's");
  }
  if (given.transforming == nullptr) return {};
  if (link != Link::kIdentity)
    return onnx_unsupported(fmt::format("changes its scores by {}", given.transforming->title()));
  link = given.transforming->type == "Exp" ? Link::kExp
         : outputs == 1                    ? Link::kLogistic
                                           : Link::kOneVsAll;
  return {};
}

/// What the file says of its use, once its link is known.
void describe(const OnnxGraph& graph, const OnnxNode& node, Link link, int outputs, Use& use) {
  use.objective =
      fmt::format("{} {}", shown(node.type), shown(text_of(node, "post_transform", "NONE")));
  use.written_by =
      graph.producer.empty() ? "onnx" : fmt::format("onnx, by {}", shown(graph.producer));
  use.log_odds = link == Link::kLogistic && outputs == 1;
}

}  // namespace

Result<std::unique_ptr<Scorer>> load_onnx(std::string_view bytes, const LoadOptions& options) {
  HEDDLE_ASSIGN_OR_RETURN(const OnnxGraph graph, read_onnx_graph(bytes));
  Finder found(graph);
  HEDDLE_TRY(found.run());
  const std::string_view type = found.node->type;
  const bool classifier = type.ends_with("Classifier");
  if (!classifier && !type.ends_with("Regressor"))
    return onnx_unsupported(fmt::format("has {}", found.node->title()));
  if (type.starts_with("Linear")) {
    HEDDLE_ASSIGN_OR_RETURN(LinearModel model, read_linear(*found.node, classifier, found.columns));
    HEDDLE_TRY(apply_after(found.given, model.outputs, model.link));
    describe(graph, *found.node, model.link, model.outputs, model.use);
    return make_linear(std::move(model));
  }
  HEDDLE_ASSIGN_OR_RETURN(ParsedForest forest, read_trees(*found.node, classifier, found));
  HEDDLE_TRY(apply_after(found.given, forest.outputs, forest.link));
  describe(graph, *found.node, forest.link, forest.outputs, forest.use);
  return build_forest(std::move(forest), options);
}

}  // namespace heddle::model
