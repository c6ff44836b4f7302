#include "model/onnx.hpp"

#include <cmath>
#include <limits>
#include <unordered_map>

#include "model/forest.hpp"
#include "model/linear.hpp"
#include "model/onnx_graph.hpp"

// Operators of https://onnx.ai/onnx/operators/ (domain ai.onnx.ml, versions 1 to 3); how scores are added is ONNX Runtime's way
// (core/providers/cpu/ml/tree_ensemble_aggregator.h): leaves in the order of the trees, then the base value.
namespace heddle::model {
namespace {

constexpr std::int64_t kFloat = 1;
constexpr std::size_t kMostLeafWeights = std::size_t{1} << 26;

/// The array attribute `name` of the length `size`; an error names both.
template <class T>
Result<const std::vector<T>*> array(const OnnxNode& node, std::string_view name, std::size_t size) {
  const auto* const attribute = node.find(name);
  if (attribute == nullptr) return onnx_corrupt(fmt::format("has no `{}`", name));
  const std::vector<T>* out = nullptr;
  if constexpr (std::is_same_v<T, float>) out = &attribute->reals;
  else if constexpr (std::is_same_v<T, std::int64_t>) out = &attribute->integers;
  else out = &attribute->texts;
  if (out->size() != size) return onnx_corrupt(fmt::format("has {} entries of `{}` where {} belong", out->size(), name, size));
  return out;
}

std::string_view text_of(const OnnxNode& node, std::string_view name, std::string_view fallback) {
  const auto* const attribute = node.find(name);
  return attribute == nullptr ? fallback : attribute->text;
}

Result<Link> link_of(const OnnxNode& node, int outputs) {
  const std::string_view transform = text_of(node, "post_transform", "NONE");
  if (transform == "NONE") return Link::kIdentity;
  if (transform == "LOGISTIC") return outputs == 1 ? Link::kLogistic : Link::kOneVsAll;
  if (transform == "SOFTMAX") return Link::kSoftmax;
  return onnx_unsupported(fmt::format("has post_transform `{}`", transform.substr(0, 40)));
}

Result<int> class_count(const OnnxNode& node) {
  std::size_t count = 0;
  for (const std::string_view name : {"classlabels_int64s", "classlabels_ints"}) {
    if (const auto* const labels = node.find(name)) count = std::max(count, labels->integers.size());
  }
  if (const auto* const labels = node.find("classlabels_strings")) count = std::max(count, labels->texts.size());
  if (count < 1 || count > static_cast<std::size_t>(kMostOutputs)) return onnx_corrupt(fmt::format("has {} class labels", count));
  return static_cast<int>(count);
}

/// How a branch's mode becomes a split: right when x >= threshold.
struct Mode {
  std::string_view name;
  bool next_float;    ///< the threshold's own value belongs to the smaller side
  bool true_is_left;
  bool equality;
};
constexpr Mode kModes[] = {{"BRANCH_LEQ", true, true, false}, {"BRANCH_LT", false, true, false},  {"BRANCH_GTE", false, false, false},
                           {"BRANCH_GT", true, false, false}, {"BRANCH_EQ", false, true, true},   {"BRANCH_NEQ", false, false, true}};

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
    return static_cast<std::size_t>(static_cast<std::uint64_t>(key.tree) * 0x9E3779B97F4A7C15ULL ^ static_cast<std::uint64_t>(key.node) * 0xC2B2AE3D27D4EB4FULL);
  }
};
using Places = std::unordered_map<Key, Place, KeyHash>;

/// The trees of the node, without leaf values; in the order of their first nodes.
Result<std::vector<ParsedTree>> read_nodes(const OnnxNode& node, ParsedForest& forest, Places& places) {
  const auto* const ids = node.find("nodes_treeids");
  if (ids == nullptr) return onnx_corrupt("has no `nodes_treeids`");
  const std::size_t size = ids->integers.size();
  HEDDLE_ASSIGN_OR_RETURN(const auto* numbers, array<std::int64_t>(node, "nodes_nodeids", size));
  HEDDLE_ASSIGN_OR_RETURN(const auto* features, array<std::int64_t>(node, "nodes_featureids", size));
  HEDDLE_ASSIGN_OR_RETURN(const auto* modes, array<std::string_view>(node, "nodes_modes", size));
  HEDDLE_ASSIGN_OR_RETURN(const auto* values, array<float>(node, "nodes_values", size));
  HEDDLE_ASSIGN_OR_RETURN(const auto* yes, array<std::int64_t>(node, "nodes_truenodeids", size));
  HEDDLE_ASSIGN_OR_RETURN(const auto* no, array<std::int64_t>(node, "nodes_falsenodeids", size));
  const auto* const tracks = node.find("nodes_missing_value_tracks_true");
  const bool has_tracks = tracks != nullptr && !tracks->integers.empty();
  if (has_tracks && tracks->integers.size() != size) return onnx_corrupt("has another count of `nodes_missing_value_tracks_true` than of nodes");
  std::vector<ParsedTree> trees;
  std::unordered_map<std::int64_t, std::size_t> tree_of;
  places.reserve(size);
  for (std::size_t i = 0; i < size; ++i) {
    const auto [entry, first] = tree_of.try_emplace(ids->integers[i], trees.size());
    if (first) trees.emplace_back();
    auto& nodes = trees[entry->second].nodes;
    if (!places.try_emplace({ids->integers[i], (*numbers)[i]}, Place{entry->second, static_cast<std::int32_t>(nodes.size())}).second) {
      return onnx_corrupt("has the same node of a tree twice");
    }
    nodes.emplace_back();
  }
  // The root of a tree is its first node: ONNX Runtime and the converters agree on that.
  for (std::size_t i = 0; i < size; ++i) {
    if ((*modes)[i] == "LEAF") continue;
    const Place place = places.find({ids->integers[i], (*numbers)[i]})->second;
    Node& out = trees[place.tree].nodes[static_cast<std::size_t>(place.node)];
    const auto* const mode = std::find_if(std::begin(kModes), std::end(kModes), [&](const Mode& known) { return known.name == (*modes)[i]; });
    if (mode == std::end(kModes)) return onnx_unsupported(fmt::format("has a node of mode `{}`", (*modes)[i].substr(0, 40)));
    const auto when_true = places.find({ids->integers[i], (*yes)[i]});
    const auto when_false = places.find({ids->integers[i], (*no)[i]});
    if (when_true == places.end() || when_false == places.end()) return onnx_corrupt("has a child that does not exist");
    if ((*features)[i] < 0 || (*features)[i] >= kMostFeatures) return onnx_corrupt("splits on a feature that does not exist");
    out.feature = static_cast<std::int32_t>((*features)[i]);
    out.left = (mode->true_is_left ? when_true : when_false)->second.node;
    out.right = (mode->true_is_left ? when_false : when_true)->second.node;
    const bool missing_true = has_tracks && tracks->integers[i] != 0;
    out.missing_left = missing_true == mode->true_is_left;
    const float value = (*values)[i];
    if (!std::isfinite(value)) return onnx_corrupt("has a split on a number that is not finite");
    if (mode->equality) {
      if (mode->name == "BRANCH_NEQ") out.missing_left = has_tracks ? !missing_true : false;  // a NaN differs from every number
      const std::uint32_t code = category_code(value, Input::kCategoryExact);
      if (code < 2) return onnx_unsupported("compares for equality with a number that is no category");
      out.input = Input::kCategoryExact;
      out.members_left = true;
      out.set_begin = static_cast<std::uint32_t>(forest.categories.size());
      out.set_size = 1;
      forest.categories.push_back(code - 2);
    } else {
      out.threshold = mode->next_float ? std::nextafter(value, std::numeric_limits<float>::infinity()) : value;
    }
  }
  return trees;
}

Result<ParsedForest> read_trees(const OnnxNode& node, bool classifier, std::int64_t columns) {
  ParsedForest forest;
  forest.format = "onnx";
  forest.base_last = true;
  for (const auto& attribute : node.attributes) {
    if (attribute.tensor) return onnx_unsupported(fmt::format("has `{}`: trees of doubles", attribute.name.substr(0, 40)));
  }
  Places places;
  HEDDLE_ASSIGN_OR_RETURN(auto trees, read_nodes(node, forest, places));
  for (const auto& tree : trees) {
    for (const auto& split : tree.nodes) forest.features = std::max(forest.features, split.feature + 1);
  }
  if (columns >= 0) {
    if (columns < forest.features) return onnx_corrupt("splits on a feature that its input does not have");
    if (columns > kMostFeatures) return onnx_unsupported(fmt::format("reads {} features, at most {} can be scored", columns, kMostFeatures));
    forest.features = static_cast<int>(columns);
  }
  const std::string prefix = classifier ? "class" : "target";
  const auto* const ids = node.find(prefix + "_ids");
  if (ids == nullptr) return onnx_corrupt(fmt::format("has no `{}_ids`", prefix));
  const std::size_t weights = ids->integers.size();
  HEDDLE_ASSIGN_OR_RETURN(const auto* weight_trees, array<std::int64_t>(node, prefix + "_treeids", weights));
  HEDDLE_ASSIGN_OR_RETURN(const auto* weight_nodes, array<std::int64_t>(node, prefix + "_nodeids", weights));
  HEDDLE_ASSIGN_OR_RETURN(const auto* weight_values, array<float>(node, prefix + "_weights", weights));
  int targets = 1;
  if (classifier) {
    HEDDLE_ASSIGN_OR_RETURN(targets, class_count(node));
  } else if (const auto* const count = node.find("n_targets")) {
    if (count->integer < 1 || count->integer > kMostOutputs) return onnx_corrupt(fmt::format("has {} targets", count->integer));
    targets = static_cast<int>(count->integer);
  }
  for (const std::int64_t id : ids->integers) {
    if (id < 0 || id >= targets) return onnx_corrupt("has a leaf for a class or target that does not exist");
  }
  // Two classes of which only one has weights: one margin, for the second class, whatever its number.
  const bool binary = classifier && targets == 2 && std::adjacent_find(ids->integers.begin(), ids->integers.end(), std::not_equal_to<>()) == ids->integers.end();
  forest.outputs = binary ? 1 : targets;
  HEDDLE_ASSIGN_OR_RETURN(forest.link, link_of(node, forest.outputs));

  // A tree whose leaves hold weights of several outputs becomes a tree for each of them.
  std::vector<std::vector<std::pair<int, std::size_t>>> copies(trees.size());  // output, tree in the forest
  std::size_t nodes = 0;
  std::vector<std::vector<int>> outputs_of(trees.size());
  std::vector<const Place*> place_of(weights);
  for (std::size_t w = 0; w < weights; ++w) {
    const auto found = places.find({(*weight_trees)[w], (*weight_nodes)[w]});
    if (found == places.end() || !trees[found->second.tree].nodes[static_cast<std::size_t>(found->second.node)].leaf()) {
      return onnx_corrupt("has a weight for a leaf that does not exist");
    }
    place_of[w] = &found->second;
    auto& known = outputs_of[found->second.tree];
    const int output = binary ? 0 : static_cast<int>(ids->integers[w]);
    if (std::find(known.begin(), known.end(), output) == known.end()) known.push_back(output);
  }
  for (std::size_t t = 0; t < trees.size(); ++t) {
    std::sort(outputs_of[t].begin(), outputs_of[t].end());
    for (std::size_t c = 0; c < outputs_of[t].size(); ++c) {
      nodes += trees[t].nodes.size();
      if (nodes > kMostLeafWeights) return onnx_unsupported("has too many nodes times classes");
      copies[t].emplace_back(outputs_of[t][c], forest.trees.size());
      ParsedTree& copy = forest.trees.emplace_back(trees[t]);
      copy.output = outputs_of[t][c];
    }
  }
  for (std::size_t w = 0; w < weights; ++w) {
    const int output = binary ? 0 : static_cast<int>(ids->integers[w]);
    for (const auto& [own, tree] : copies[place_of[w]->tree]) {
      if (own == output) forest.trees[tree].nodes[static_cast<std::size_t>(place_of[w]->node)].value += static_cast<double>((*weight_values)[w]);
    }
  }
  const std::string_view aggregate = text_of(node, "aggregate_function", "SUM");
  if (aggregate == "AVERAGE") forest.divisor = static_cast<double>(std::max<std::size_t>(1, trees.size()));
  else if (aggregate != "SUM") return onnx_unsupported(fmt::format("has aggregate_function `{}`", aggregate.substr(0, 40)));
  forest.base.assign(static_cast<std::size_t>(forest.outputs), 0.0);
  if (const auto* const base = node.find("base_values"); base != nullptr && !base->reals.empty()) {
    const auto& reals = base->reals;
    if (binary) {
      if (reals.size() > 2) return onnx_corrupt("has another count of base values than of outputs");
      forest.base[0] = static_cast<double>(reals.back());
    } else {
      if (reals.size() != forest.base.size()) return onnx_corrupt("has another count of base values than of outputs");
      std::transform(reals.begin(), reals.end(), forest.base.begin(), [](float value) { return static_cast<double>(value); });
    }
  }
  return forest;
}

Result<LinearModel> read_linear(const OnnxNode& node, bool classifier, std::int64_t columns) {
  LinearModel out;
  const auto* const coefficients = node.find("coefficients");
  if (coefficients == nullptr || coefficients->reals.empty()) return onnx_corrupt("has no `coefficients`");
  out.outputs = 1;
  if (classifier) {
    HEDDLE_ASSIGN_OR_RETURN(out.outputs, class_count(node));
  } else if (const auto* const targets = node.find("targets")) {
    if (targets->integer < 1 || targets->integer > kMostOutputs) return onnx_corrupt(fmt::format("has {} targets", targets->integer));
    out.outputs = static_cast<int>(targets->integer);
  }
  const auto* const intercepts = node.find("intercepts");
  const auto lines = static_cast<std::size_t>(out.outputs);
  const bool one_line = classifier && lines == 2 && intercepts != nullptr && intercepts->reals.size() == 1;
  std::size_t rows = one_line ? 1 : lines;
  if (coefficients->reals.size() % rows != 0) return onnx_corrupt("has coefficients that are no whole lines");
  const std::size_t features = coefficients->reals.size() / rows;
  if (features > static_cast<std::size_t>(kMostFeatures)) return onnx_unsupported(fmt::format("reads {} features, at most {} can be scored", features, kMostFeatures));
  if (columns >= 0 && static_cast<std::size_t>(columns) != features) return onnx_corrupt("has another count of coefficients than of columns");
  out.features = static_cast<int>(features);
  out.weights.assign(coefficients->reals.begin(), coefficients->reals.end());
  out.intercepts.assign(rows, 0.0);
  if (intercepts != nullptr && !intercepts->reals.empty()) {
    if (intercepts->reals.size() != rows) return onnx_corrupt("has another count of intercepts than of outputs");
    out.intercepts.assign(intercepts->reals.begin(), intercepts->reals.end());
  }
  if (rows == 2 && classifier && text_of(node, "post_transform", "NONE") == "LOGISTIC") {
    // Converters write the first class as the negative of the second: one margin says it all.
    bool mirrored = out.intercepts[0] == -out.intercepts[1];
    for (std::size_t i = 0; i < features; ++i) mirrored = mirrored && out.weights[i] == -out.weights[features + i];
    if (mirrored) {
      out.weights.erase(out.weights.begin(), out.weights.begin() + static_cast<std::ptrdiff_t>(features));
      out.intercepts.erase(out.intercepts.begin());
      rows = 1;
    }
  }
  out.outputs = static_cast<int>(rows);
  for (const auto* numbers : {&out.weights, &out.intercepts}) {
    for (const double number : *numbers) {
      if (!std::isfinite(number)) return onnx_corrupt("has a coefficient that is no finite number");
    }
  }
  HEDDLE_ASSIGN_OR_RETURN(out.link, link_of(node, out.outputs));
  return out;
}

/// The one model node and the width of the matrix it reads, -1 where open.
struct Found {
  const OnnxNode* node = nullptr;
  std::int64_t columns = -1;
};

Result<Found> find_model(const OnnxGraph& graph) {
  Found out;
  if (graph.inputs.size() != 1) return onnx_unsupported(fmt::format("has {} inputs, one matrix can be scored", graph.inputs.size()));
  const OnnxInput& input = graph.inputs[0];
  if (input.rank != 2) return onnx_unsupported("has an input that is no matrix");
  out.columns = input.columns;
  bool is_float = input.type == kFloat;
  std::string_view fed = input.name;  // what the model node must read, through Identity and Cast
  for (const auto& node : graph.nodes) {
    const bool model = node.domain == "ai.onnx.ml" && (node.type.starts_with("TreeEnsemble") || node.type.starts_with("Linear"));
    if (model) {
      if (out.node != nullptr) return onnx_unsupported("has several models");
      if (node.inputs.size() != 1 || node.inputs[0] != fed) return onnx_unsupported("has a model on something that is not its input");
      if (!is_float) return onnx_unsupported("reads numbers that are no floats");
      out.node = &node;
    } else if (node.type == "Identity" || node.type == "Cast") {
      if (out.node != nullptr) continue;  // after the model: labels and probabilities, which margins do not need
      if (node.inputs.size() != 1 || node.inputs[0] != fed || node.outputs.size() != 1) return onnx_unsupported("prepares its input in a way that is not followed");
      if (node.type == "Cast") {
        const auto* const to = node.find("to");
        if (!is_float || to == nullptr || to->integer != kFloat) return onnx_unsupported("casts its input");
      }
      fed = node.outputs[0];
    } else if (out.node == nullptr || !(node.domain == "ai.onnx.ml" && (node.type == "ZipMap" || node.type == "Normalizer"))) {
      return onnx_unsupported(fmt::format("has a node `{}`", node.type.substr(0, 40)));
    }
  }
  if (out.node == nullptr) return onnx_unsupported("has no tree ensemble or linear model");
  return out;
}

}  // namespace

Result<std::unique_ptr<Scorer>> load_onnx(std::string_view bytes, const LoadOptions& options) {
  HEDDLE_ASSIGN_OR_RETURN(const OnnxGraph graph, read_onnx_graph(bytes));
  HEDDLE_ASSIGN_OR_RETURN(const Found found, find_model(graph));
  const std::string_view type = found.node->type;
  const bool classifier = type.ends_with("Classifier");
  if (!classifier && !type.ends_with("Regressor")) return onnx_unsupported(fmt::format("has a node `{}`", type.substr(0, 40)));
  if (type.starts_with("Linear")) {
    HEDDLE_ASSIGN_OR_RETURN(LinearModel model, read_linear(*found.node, classifier, found.columns));
    return make_linear(std::move(model));
  }
  HEDDLE_ASSIGN_OR_RETURN(ParsedForest forest, read_trees(*found.node, classifier, found.columns));
  return build_forest(std::move(forest), options);
}

}  // namespace heddle::model
