#include "model/xgboost.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "doc/json.hpp"
#include "model/file_kind.hpp"

namespace heddle::model {
namespace {

struct Objective {
  std::string_view name;
  Link link;
  enum class Base { kProbability, kMargin, kExp } base;
  bool log_odds = false;
};
// ObjFunction::ProbToMargin of each objective, and what its predictions are. Compared with
// XGBoost 1.6 to 3.4 (testdata/xgboost_base_scores.json): no link changed, only how a base score is
// bounded.
constexpr Objective kObjectives[] = {
    {"binary:logistic", Link::kLogistic, Objective::Base::kProbability, true},
    {"reg:logistic", Link::kLogistic, Objective::Base::kProbability, true},
    {"binary:logitraw", Link::kIdentity, Objective::Base::kMargin, true},
    {"reg:squarederror", Link::kIdentity, Objective::Base::kMargin},
    {"reg:linear", Link::kIdentity, Objective::Base::kMargin},
    {"reg:squaredlogerror", Link::kIdentity, Objective::Base::kMargin},
    {"reg:pseudohubererror", Link::kIdentity, Objective::Base::kMargin},
    {"reg:absoluteerror", Link::kIdentity, Objective::Base::kMargin},
    {"reg:quantileerror", Link::kIdentity, Objective::Base::kMargin},
    {"reg:expectileerror", Link::kIdentity, Objective::Base::kMargin},
    {"reg:gamma", Link::kExp, Objective::Base::kExp},
    {"reg:tweedie", Link::kExp, Objective::Base::kExp},
    {"count:poisson", Link::kExp, Objective::Base::kExp},
    {"survival:cox", Link::kExp, Objective::Base::kExp},
    {"survival:aft", Link::kExp, Objective::Base::kExp},
    {"rank:pairwise", Link::kIdentity, Objective::Base::kMargin},
    {"rank:ndcg", Link::kIdentity, Objective::Base::kMargin},
    {"rank:map", Link::kIdentity, Objective::Base::kMargin},
    {"multi:softmax", Link::kSoftmax, Objective::Base::kMargin},
    {"multi:softprob", Link::kSoftmax, Objective::Base::kMargin},
};

template <class T>
Result<T> number(std::string_view text, std::string_view name) {
  T out{};
  if (!parse_number(text, out))
    return xgboost_corrupt(fmt::format("has `{}` = `{}`", name, shown(text)));
  return out;
}

/// One number, or from 3.1 on a list of them in brackets.
Result<std::vector<float>> base_scores(std::string_view text) {
  std::vector<float> out;
  if (text.size() > 2 && text.front() == '[' && text.back() == ']')
    text = text.substr(1, text.size() - 2);
  while (true) {
    const auto comma = text.find(',');
    HEDDLE_ASSIGN_OR_RETURN(const float score, number<float>(text.substr(0, comma), "base_score"));
    out.push_back(score);
    if (comma == std::string_view::npos) return out;
    text.remove_prefix(comma + 1);
  }
}

/// From 3.2 on a logistic base score is bounded before the logarithm; older versions wrote none
/// outside (0, 1) and took it as it is.
bool bounds_base_score(const std::vector<std::int32_t>& version) {
  return version.size() >= 2 && (version[0] > 3 || (version[0] == 3 && version[1] >= 2));
}

Result<double> base_margin(const Objective& objective, float score, bool bounded) {
  switch (objective.base) {
    case Objective::Base::kProbability: {
      constexpr float kLeast = 1e-6F;  // XGBoost's kRtEps
      const bool valid = bounded ? score >= 0 && score <= 1 : score > 0 && score < 1;
      if (!valid) return xgboost_corrupt("has a base score that is no probability");
      if (bounded) score = std::min(std::max(score, kLeast), 1.0F - kLeast);
      // As LogisticRegression::ProbToMargin does, in single precision.
      return static_cast<double>(-std::log(1.0F / score - 1.0F));
    }
    case Objective::Base::kExp:
      if (!(score > 0)) {
        return xgboost_unsupported(fmt::format(
            "has objective `{}` and base score {}, whose logarithm is no number: its margins are "
            "infinite",
            objective.name, score));
      }
      return static_cast<double>(std::log(score));
    default: return static_cast<double>(score);
  }
}

Error tree_corrupt(std::size_t tree, std::string_view what) {
  return xgboost_corrupt(fmt::format("has a tree, {}, that {}", tree, what));
}

/// Set `number` of a tree to the node that it belongs to; its categories begin at `offset`.
Result<void> give_set(const XgboostTree& from, std::size_t number, std::size_t offset,
                      std::size_t tree, ParsedTree& to) {
  const std::int32_t node = from.category_nodes[number];
  const std::int32_t begin = from.category_segments[number];
  const std::int32_t size = from.category_sizes[number];
  const std::size_t categories = from.categories.size();
  if (node < 0 || static_cast<std::size_t>(node) >= to.nodes.size() ||
      !to.nodes[static_cast<std::size_t>(node)].categorical())
    return tree_corrupt(tree, "has a set for a node that has none");
  if (begin < 0 || size < 0 || static_cast<std::size_t>(begin) > categories ||
      static_cast<std::size_t>(size) > categories - static_cast<std::size_t>(begin))
    return tree_corrupt(tree, "has a set out of range");
  Node& out = to.nodes[static_cast<std::size_t>(node)];
  out.set_begin = static_cast<std::uint32_t>(offset + static_cast<std::size_t>(begin));
  out.set_size = static_cast<std::uint32_t>(size);
  return {};
}

Result<void> read_sets(const XgboostTree& from, std::size_t tree, ParsedForest& forest,
                       ParsedTree& to) {
  const std::size_t sets = from.category_nodes.size();
  if (from.category_segments.size() != sets || from.category_sizes.size() != sets)
    return tree_corrupt(tree, "has sets of different counts");
  const std::size_t offset = forest.categories.size();
  for (const std::int32_t category : from.categories) {
    if (category < 0) return tree_corrupt(tree, "has a category below 0");
    forest.categories.push_back(static_cast<std::uint32_t>(category));
  }
  // A node holds the place of its set in 32 bits.
  if (forest.categories.size() > (std::size_t{1} << 30))
    return xgboost_unsupported("has too many categories");
  for (std::size_t s = 0; s < sets; ++s) HEDDLE_TRY(give_set(from, s, offset, tree, to));
  return {};
}

/// A split of missing against all else is written as a condition of -inf (3.4), which no number is
/// below.
Result<void> read_condition(Node& node, std::size_t tree, std::size_t number,
                            ParsedForest& forest) {
  if (node.categorical() || std::isfinite(node.threshold)) return {};
  if (std::isnan(node.threshold)) {
    return xgboost_unsupported(
        fmt::format("splits on a condition that is no number, node {} of tree {}", number, tree));
  }
  // Every float is below +inf but +inf itself, which XGBoost does not take as a value.
  if (node.threshold < 0) never_left(node, forest);
  return {};
}

bool has_one_length(const XgboostTree& from) {
  const std::size_t size = from.left.size();
  return from.right.size() == size && from.features.size() == size &&
         from.conditions.size() == size && from.default_left.size() == size &&
         (from.split_type.empty() || from.split_type.size() == size);
}

Result<void> read_tree(const XgboostTree& from, std::size_t tree, ParsedForest& forest) {
  ParsedTree& to = forest.trees.emplace_back();
  const std::size_t size = from.left.size();
  if (!has_one_length(from)) {
    return tree_corrupt(tree, "has arrays of different lengths");
  }
  // A tree without covers still scores; only contributions need them.
  if (from.covers.size() != size) forest.covers = false;
  to.nodes.resize(size);
  for (std::size_t i = 0; i < size; ++i) {
    Node& node = to.nodes[i];
    node.left = from.left[i];
    node.right = from.right[i];
    node.feature = from.features[i];
    node.missing_left = from.default_left[i] != 0;
    if (!from.split_type.empty() && from.split_type[i] != 0) node.input = Input::kCategory;
    if (from.covers.size() == size) node.cover = static_cast<double>(from.covers[i]);
    if (node.left == -1 && node.right == -1) {
      node.value = static_cast<double>(from.conditions[i]);
    } else {
      if (node.left < 0) return tree_corrupt(tree, "has a child out of range");
      node.threshold = from.conditions[i];
      HEDDLE_TRY(read_condition(node, tree, i, forest));
    }
  }
  return read_sets(from, tree, forest, to);
}

/// What the library is called in messages: `xgboost 3.4.1`.
std::string written_by(const std::vector<std::int32_t>& version) {
  return version.empty() ? "" : fmt::format("xgboost {}", fmt::join(version, "."));
}

Result<void> check_version(const std::vector<std::int32_t>& version) {
  if (version.size() < 2) return {};  // files before 1.0 say none
  if (version[0] < kNewestXgboost[0]) return {};
  if (version[0] == kNewestXgboost[0] && version[1] <= kNewestXgboost[1]) return {};
  return Error{
      ErrorKind::kInvalid, "model-unsupported",
      fmt::format("the model was written by {}, newer than {}.{}, the newest whose files are "
                  "known here",
                  written_by(version), kNewestXgboost[0], kNewestXgboost[1]),
      fmt::format("save it with XGBoost {}.{} or older, or use a newer Heddle: a newer file "
                  "may mean something else",
                  kNewestXgboost[0], kNewestXgboost[1])};
}

/// Early stopping leaves the best round and all the trees after it. The library answers both ways:
/// `XGBClassifier.predict` stops at the best round, `Booster.predict` does not.
Result<void> check_best(const XgboostParts& parts, int outputs) {
  if (parts.best_iteration.empty()) return {};
  HEDDLE_ASSIGN_OR_RETURN(const auto best,
                          number<std::int32_t>(parts.best_iteration, "best_iteration"));
  std::int32_t parallel = 1;
  if (!parts.parallel_trees.empty()) {
    HEDDLE_ASSIGN_OR_RETURN(parallel,
                            number<std::int32_t>(parts.parallel_trees, "num_parallel_tree"));
  }
  if (parallel < 1) return xgboost_corrupt("has no tree in a round");
  if (best < 0) return {};  // XGBoost 1.x notes one of -1 where there are no rounds
  const auto round = static_cast<std::size_t>(outputs) * static_cast<std::size_t>(parallel);
  const std::size_t rounds = parts.trees.size() / round;
  if (static_cast<std::size_t>(best) + 1 >= rounds) return {};
  return Error{
      ErrorKind::kInvalid, "model-unsupported",
      fmt::format("the XGBoost model has {} rounds and says that its best is the first {} "
                  "(`best_iteration` = {}): which of them answer is not said",
                  rounds, best + 1, best),
      fmt::format(
          "choose: save the best with `booster[:{}].save_model(\"model.json\")`, or keep all with "
          "`booster.set_attr(best_iteration=None)` and save",
          best + 1)};
}

/// What `text` begins with that JSON does not have; empty when it is JSON.
std::string_view bare_word(std::string_view text) {
  for (const std::string_view word : {"NaN", "-Infinity", "Infinity"}) {
    if (text.starts_with(word)) return word;
  }
  return {};
}

/// Python's JSON with its bare `NaN` and infinities as null.
std::string without_bare_words(std::string_view json) {
  std::string out;
  bool in_string = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    // An escaped quote does not end the string.
    if (in_string && c == '\\' && i + 1 < json.size()) {
      out.push_back(c);
      out.push_back(json[++i]);
      continue;
    }
    if (c == '"') in_string = !in_string;
    const std::string_view word = in_string ? "" : bare_word(json.substr(i));
    if (word.empty()) {
      out.push_back(c);
      continue;
    }
    out.append("null");
    i += word.size() - 1;
  }
  return out;
}

/// What the scikit-learn wrapper noted of itself. To 1.7 that is all its parameters: the labels in
/// the order of the classes, and which number it took for a missing value. From 2.0 on neither is
/// in the file.
Result<void> read_wrapper(const std::string& text, Use& use) {
  if (text.empty()) return {};
  const auto noted = doc::parse_json(without_bare_words(text));
  if (!noted.ok()) return xgboost_corrupt("has an attribute `scikit_learn` that is no JSON");
  const doc::Value* const missing = noted->find("missing");
  if (missing != nullptr && missing->is_number()) {
    return Error{ErrorKind::kInvalid, "model-unsupported",
                 fmt::format("the XGBoost model says that {} is a missing value (`missing` of its "
                             "scikit-learn wrapper), and here it is a number like others",
                             missing->as_double()),
                 "let the feature program make null of it, then save without the note: "
                 "`model.get_booster().save_model(\"model.json\")`"};
  }
  const doc::Value* const classes = noted->find("classes_");
  if (classes == nullptr || !classes->is_array()) return {};
  for (const doc::Value& label : classes->as_array()) {
    use.classes.push_back(label.is_string()   ? label.as_string()
                          : label.is_number() ? fmt::format("{}", label.as_double())
                                              : doc::to_json(label));
  }
  return {};
}

Result<void> read_bases(const XgboostParts& parts, const Objective& objective,
                        ParsedForest& forest) {
  HEDDLE_ASSIGN_OR_RETURN(const auto scores, base_scores(parts.base_score));
  if (scores.size() != 1 && scores.size() != static_cast<std::size_t>(forest.outputs)) {
    return xgboost_corrupt("has another count of base scores than of outputs");
  }
  const bool bounded = bounds_base_score(parts.version);
  for (int k = 0; k < forest.outputs; ++k) {
    const float score = scores[scores.size() == 1 ? 0 : static_cast<std::size_t>(k)];
    HEDDLE_ASSIGN_OR_RETURN(const double margin, base_margin(objective, score, bounded));
    forest.base.push_back(margin);
  }
  return {};
}

/// `num_class` or `num_target`, whichever is above 1.
Result<int> count_outputs(const XgboostParts& parts) {
  int outputs = 1;
  for (const auto* text : {&parts.num_class, &parts.num_target}) {
    if (text->empty()) continue;
    HEDDLE_ASSIGN_OR_RETURN(const auto count, number<std::int32_t>(*text, "num_class"));
    if (count < 0) return xgboost_corrupt("has a count of classes below 0");
    if (count > 1 && outputs > 1)
      return xgboost_unsupported("has several classes and several targets");
    if (count > 1) outputs = count;
  }
  if (outputs > kMostOutputs) {
    return xgboost_unsupported(
        fmt::format("has {} outputs, at most {} can be scored", outputs, kMostOutputs));
  }
  return outputs;
}

}  // namespace

Error xgboost_corrupt(std::string what) {
  return Error{ErrorKind::kCorrupt, "model-corrupt", "the XGBoost model " + std::move(what),
               "the file contradicts itself or ends early: fetch it or save the model again"};
}
Error xgboost_unsupported(std::string what) {
  return Error{ErrorKind::kInvalid, "model-unsupported", "the XGBoost model " + std::move(what),
               "Heddle scores boosters `gbtree` and `dart` with a number in each leaf: train such "
               "a one (docs/formats/model.md)"};
}

template <class T>
bool parse_number(std::string_view text, T& out) {
  while (!text.empty() &&
         (text.back() == ' ' || text.back() == '\n' || text.back() == '\r' || text.back() == '\t'))
    text.remove_suffix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}
template bool parse_number(std::string_view, float&);
template bool parse_number(std::string_view, double&);
template bool parse_number(std::string_view, std::int32_t&);

std::vector<std::int32_t>* XgboostTree::integers(std::string_view key) noexcept {
  if (key == "left_children") return &left;
  if (key == "right_children") return &right;
  if (key == "split_indices") return &features;
  if (key == "default_left") return &default_left;
  if (key == "split_type") return &split_type;
  if (key == "categories") return &categories;
  if (key == "categories_nodes") return &category_nodes;
  if (key == "categories_segments") return &category_segments;
  if (key == "categories_sizes") return &category_sizes;
  return nullptr;
}
std::vector<float>* XgboostTree::floats(std::string_view key) noexcept {
  if (key == "split_conditions") return &conditions;
  if (key == "sum_hessian") return &covers;
  return nullptr;
}

std::string* XgboostParts::parameter(std::string_view name) noexcept {
  if (name == "base_score") return &base_score;
  if (name == "num_class") return &num_class;
  if (name == "num_feature") return &num_feature;
  if (name == "num_target") return &num_target;
  if (name == "num_parallel_tree") return &parallel_trees;
  return nullptr;
}

std::string* XgboostParts::attribute(std::string_view name) noexcept {
  if (name == "best_iteration") return &best_iteration;
  if (name == "scikit_learn") return &wrapper;
  return nullptr;
}

namespace {

/// The objective, once all parts that every model has are there.
Result<const Objective*> objective_of(const XgboostParts& parts) {
  if (parts.booster.empty()) return xgboost_corrupt("has no booster of trees");
  if (parts.booster != "gbtree" && parts.booster != "dart")
    return xgboost_unsupported(fmt::format("has booster `{}`", shown(parts.booster)));
  if (parts.vector_leaves)
    return xgboost_unsupported("has a vector in each leaf (`multi_output_tree`)");
  if (!parts.has_trees || parts.base_score.empty() || parts.num_feature.empty() ||
      parts.objective.empty()) {
    return xgboost_corrupt("lacks `trees`, `base_score`, `num_feature` or `objective`");
  }
  const auto* const objective =
      std::find_if(std::begin(kObjectives), std::end(kObjectives),
                   [&](const Objective& known) { return known.name == parts.objective; });
  if (objective == std::end(kObjectives))
    return xgboost_unsupported(fmt::format("has objective `{}`", shown(parts.objective)));
  return objective;
}

/// Whether what is said of the trees fits their count.
Result<void> check_trees(const XgboostParts& parts, int outputs) {
  const std::size_t trees = parts.trees.size();
  if (!parts.tree_info.empty() && parts.tree_info.size() != trees)
    return xgboost_corrupt("has another count of `tree_info` than of trees");
  if (trees == 0) {
    // XGBoost answers with the base score as it stands, whatever the objective makes of it.
    return Error{ErrorKind::kInvalid, "model-unsupported",
                 "the XGBoost model has no trees: it was saved before it was trained",
                 "train it for one round or more, then save it"};
  }
  if (parts.tree_info.empty() && outputs > 1)
    return xgboost_corrupt("has several outputs and no `tree_info`");
  // Trees that were added by `gbtree` to a model of `dart` have no weight of their own: it is 1.
  if (parts.weight_drop.size() > trees)
    return xgboost_corrupt("has more weights (`weight_drop`) than trees");
  return {};
}

}  // namespace

Result<ParsedForest> xgboost_forest(XgboostParts parts) {
  HEDDLE_TRY(check_version(parts.version));
  HEDDLE_ASSIGN_OR_RETURN(const Objective* objective, objective_of(parts));
  ParsedForest forest;
  forest.format = "xgboost";
  forest.link = objective->link;
  forest.covers = true;
  HEDDLE_ASSIGN_OR_RETURN(forest.features, number<std::int32_t>(parts.num_feature, "num_feature"));
  HEDDLE_ASSIGN_OR_RETURN(forest.outputs, count_outputs(parts));
  if (forest.link == Link::kLogistic && forest.outputs > 1)
    forest.link = Link::kOneVsAll;  // several labels
  if (forest.outputs > 1 && parts.objective == "reg:expectileerror") {
    // Its targets are increments, each through a softplus.
    return xgboost_unsupported("has objective `reg:expectileerror` with several expectiles");
  }
  HEDDLE_TRY(read_bases(parts, *objective, forest));
  HEDDLE_TRY(check_best(parts, forest.outputs));
  forest.use = {.objective = parts.objective,
                .written_by = written_by(parts.version),
                .log_odds = objective->log_odds && forest.outputs == 1,
                .named_categories = parts.named_categories,
                .feature_names = std::move(parts.feature_names)};
  if (!forest.use.feature_names.empty() &&
      forest.use.feature_names.size() != static_cast<std::size_t>(forest.features)) {
    return xgboost_corrupt("has another count of feature names than of features");
  }
  HEDDLE_TRY(read_wrapper(parts.wrapper, forest.use));
  HEDDLE_TRY(check_trees(parts, forest.outputs));
  forest.trees.reserve(parts.trees.size());
  for (std::size_t t = 0; t < parts.trees.size(); ++t) {
    HEDDLE_TRY(read_tree(parts.trees[t], t, forest));
    parts.trees[t] = {};  // not both forms at once
    if (!parts.tree_info.empty()) forest.trees[t].output = parts.tree_info[t];
    if (t < parts.weight_drop.size()) forest.trees[t].weight = parts.weight_drop[t];
  }
  return forest;
}

}  // namespace heddle::model
