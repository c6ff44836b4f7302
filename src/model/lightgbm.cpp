#include "model/lightgbm.hpp"

#include <charconv>
#include <cmath>
#include <limits>
#include <variant>

#include "model/file_kind.hpp"

namespace heddle::model {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

Error corrupt(std::string what) {
  return Error{ErrorKind::kCorrupt, "model-corrupt", "the LightGBM model " + std::move(what),
               "the file contradicts itself or ends early: fetch it or save the model again"};
}
Error unsupported(std::string what) {
  return Error{
      ErrorKind::kInvalid, "model-unsupported", "the LightGBM model " + std::move(what),
      "Heddle scores trees with a number in each leaf (docs/formats/model.md): train such a model"};
}

/// `key=value` lines, one after another.
class Lines {
 public:
  explicit Lines(std::string_view text) : text_(text) {}
  /// The next line that is not empty; false at the end.
  bool next(std::string_view& key, std::string_view& value) {
    while (!text_.empty()) {
      const auto end = std::min(text_.find('\n'), text_.size());
      std::string_view line = text_.substr(0, end);
      text_.remove_prefix(std::min(end + 1, text_.size()));
      // Files that came over Windows.
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (line.empty()) continue;
      const auto equals = std::min(line.find('='), line.size());
      key = line.substr(0, equals);
      value = line.substr(std::min(equals + 1, line.size()));
      return true;
    }
    return false;
  }

 private:
  std::string_view text_;
};

template <class T>
bool whole(std::string_view text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

Result<int> integer(std::string_view key, std::string_view text) {
  int out = 0;
  if (!whole(text, out)) return corrupt(fmt::format("has `{}={}`", key, shown(text)));
  return out;
}

/// Numbers apart by single spaces; never more than the text has.
template <class T>
Result<void> numbers(std::string_view key, std::string_view text, std::vector<T>& out) {
  out.clear();
  while (!text.empty()) {
    const auto space = std::min(text.find(' '), text.size());
    if (space > 0) {
      T& number = out.emplace_back();
      if (!whole(text.substr(0, space), number))
        return corrupt(fmt::format("has `{}` in `{}`", shown(text.substr(0, space)), key));
    }
    text.remove_prefix(std::min(space + 1, text.size()));
  }
  return {};
}

struct TreeText {
  int leaves = -1;
  int sets = 0;
  std::vector<std::int32_t> features{};
  std::vector<std::int32_t> decisions{};
  std::vector<std::int32_t> left{};
  std::vector<std::int32_t> right{};
  std::vector<double> thresholds{};
  std::vector<double> values{};
  std::vector<double> leaf_counts{};
  std::vector<double> inner_counts{};
  std::vector<std::int32_t> set_ends{};
  std::vector<std::uint32_t> set_words{};
};

constexpr int kCategorical = 1;
constexpr int kDefaultLeft = 2;

/// The float `t` with: x <= threshold exactly when x < t, for every float x, where |x| <= kZero
/// counts as 0.
float strict_threshold(double threshold) {
  // LightGBM takes numbers within 1e-35 of 0 for 0, on both sides of the comparison.
  threshold = threshold >= 0
                  ? std::max(threshold, static_cast<double>(kZero))
                  : std::min(threshold, static_cast<double>(std::nextafter(-kZero, -kInf)));
  auto down = static_cast<float>(threshold);
  // The conversion rounds to nearest, which may be above.
  if (static_cast<double>(down) > threshold) down = std::nextafter(down, -kInf);
  return std::nextafter(down, kInf);
}

Error tree_wrong(std::size_t number, std::string_view what) {
  return corrupt(fmt::format("has a tree, {}, that {}", number, what));
}

/// Which infinite or huge thresholds were met. What splits missing from all else has one of +inf in
/// format 4, of 1e300 before.
struct Thresholds {
  bool endless = false;
  bool huge = false;

  void note(double threshold) {
    const bool is_endless = std::isinf(threshold) && threshold > 0;
    endless = endless || is_endless;
    huge = huge || (!is_endless && threshold >= std::numeric_limits<float>::max());
  }
};

/// A bit set of categories becomes a list of them.
Result<void> add_set(const TreeText& text, std::size_t number, std::size_t set,
                     ParsedForest& forest) {
  const std::int32_t begin = text.set_ends[set];
  const std::int32_t end = text.set_ends[set + 1];
  // Both come from the file: a made-up one must not read past its words.
  if (begin < 0 || end < begin || static_cast<std::size_t>(end) > text.set_words.size() ||
      (set == 0 && begin != 0)) {
    return tree_wrong(number, "has a set out of range");
  }
  const std::uint64_t bits = static_cast<std::uint64_t>(end - begin) * 32;
  for (std::uint64_t category = 0; category < bits; ++category) {
    const std::uint32_t word = text.set_words[static_cast<std::size_t>(begin) + category / 32];
    if (((word >> (category % 32)) & 1U) == 0) continue;
    if (category >= kMostCategories) return tree_wrong(number, "has a category out of range");
    forest.categories.push_back(static_cast<std::uint32_t>(category));
  }
  // Begins of sets are 32 bits wide.
  if (forest.categories.size() > (std::size_t{1} << 30)) {
    return unsupported("has too many categories");
  }
  return {};
}

/// Where each set of the tree begins in `forest.categories`, and where the last one ends.
Result<std::vector<std::uint32_t>> add_sets(const TreeText& text, std::size_t number,
                                            ParsedForest& forest) {
  std::vector<std::uint32_t> begins{static_cast<std::uint32_t>(forest.categories.size())};
  if (text.sets <= 0) return begins;
  if (text.set_ends.size() != static_cast<std::size_t>(text.sets) + 1) {
    return tree_wrong(number, "has another count of `cat_boundaries` than of sets");
  }
  for (std::size_t set = 0; set + 1 < text.set_ends.size(); ++set) {
    HEDDLE_TRY(add_set(text, number, set, forest));
    begins.push_back(static_cast<std::uint32_t>(forest.categories.size()));
  }
  return begins;
}

/// A split by a set, whose number stands in place of a threshold.
Result<void> read_set_split(double written, std::size_t number,
                            const std::vector<std::uint32_t>& set_begins, Node& node) {
  // Written as a number with a fraction, so NaN is possible: the comparison is false for it.
  if (!(written >= 0 && written + 1 < static_cast<double>(set_begins.size()))) {
    return tree_wrong(number, "splits on a set that does not exist");
  }
  const auto set = static_cast<std::size_t>(written);
  node.input = Input::kCategoryTruncated;
  node.members_left = true;
  node.missing_left = false;
  node.set_begin = set_begins[set];
  node.set_size = set_begins[set + 1] - set_begins[set];
  return {};
}

/// The split of inner node `i`; its children and cover are read already.
Result<void> read_split(const TreeText& text, std::size_t number, std::size_t i,
                        const std::vector<std::uint32_t>& set_begins, Node& node, Thresholds& met) {
  const double threshold = text.thresholds[i];
  const std::int32_t decision = text.decisions.empty() ? 0 : text.decisions[i];
  if ((decision & kCategorical) != 0) return read_set_split(threshold, number, set_begins, node);
  if (std::isnan(threshold)) {
    return unsupported(
        fmt::format("splits on a threshold that is no number, node {} of tree {}", i, number));
  }
  met.note(threshold);
  node.threshold = strict_threshold(threshold);
  const bool default_left = (decision & kDefaultLeft) != 0;
  switch ((decision >> 2) & 3) {
    case 0: node.missing_left = 0 <= threshold; break;  // no missing: a NaN counts as 0
    case 1:
      node.input = Input::kNumberZeroMissing;
      node.missing_left = default_left;
      break;
    case 2: node.missing_left = default_left; break;
    default: return tree_wrong(number, "has an unknown `decision_type`");
  }
  return {};
}

bool same_lengths(const TreeText& text, std::size_t inner) {
  return text.features.size() == inner && text.thresholds.size() == inner &&
         text.left.size() == inner && text.right.size() == inner &&
         (text.decisions.empty() || text.decisions.size() == inner);
}

bool has_counts(const TreeText& text, std::size_t inner) {
  return text.leaf_counts.size() == inner + 1 && text.inner_counts.size() == inner;
}

/// Inner node `i` of a tree; the leaves lie behind the inner nodes.
Result<void> add_inner(const TreeText& text, std::size_t number, std::size_t i, std::size_t inner,
                       const std::vector<std::uint32_t>& set_begins, const ParsedForest& forest,
                       Node& node, Thresholds& met) {
  // A child below 0 is a leaf, the complement of its number.
  const auto child = [&](std::int32_t written) {
    return written < 0 ? static_cast<std::int32_t>(inner) + ~written : written;
  };
  node.left = child(text.left[i]);
  node.right = child(text.right[i]);
  node.feature = text.features[i];
  if (node.left < 0 || node.right < 0) return tree_wrong(number, "has a child out of range");
  if (forest.covers) node.cover = text.inner_counts[i];
  return read_split(text, number, i, set_begins, node, met);
}

void set_leaf(const TreeText& text, std::size_t i, bool counted, Node& node) {
  node.value = text.values[i];
  if (counted) node.cover = text.leaf_counts[i];
}

Result<void> add_tree(const TreeText& text, std::size_t number, int outputs, ParsedForest& forest,
                      Thresholds& met) {
  if (text.leaves < 1) return tree_wrong(number, "says no `num_leaves`");
  const auto leaves = static_cast<std::size_t>(text.leaves);
  const std::size_t inner = leaves - 1;
  if (text.values.size() != leaves) {
    return tree_wrong(number, "has another count of `leaf_value` than of leaves");
  }
  if (inner > 0 && !same_lengths(text, inner)) {
    return tree_wrong(number, "has arrays of different lengths");
  }
  // Contributions need the rows of each node; predictions do not.
  if (inner > 0 && !has_counts(text, inner)) forest.covers = false;
  ParsedTree& tree = forest.trees.emplace_back();
  // Trees of one round stand side by side, one an output.
  tree.output = static_cast<int>(number % static_cast<std::size_t>(outputs));
  HEDDLE_ASSIGN_OR_RETURN(const auto set_begins, add_sets(text, number, forest));
  tree.nodes.resize(inner + leaves);
  for (std::size_t i = 0; i < inner; ++i)
    HEDDLE_TRY(add_inner(text, number, i, inner, set_begins, forest, tree.nodes[i], met));
  const bool counted = forest.covers && inner > 0;
  for (std::size_t i = 0; i < leaves; ++i) set_leaf(text, i, counted, tree.nodes[inner + i]);
  return {};
}

struct Objective {
  std::string_view name;
  Link link;
  bool log_odds = false;
};
// ObjectiveFunction::ConvertOutput of LightGBM 4.7 (testdata/make_fixtures.py holds each against
// it).
constexpr Objective kObjectives[] = {
    {"binary", Link::kLogistic, true},
    {"cross_entropy", Link::kLogistic, true},
    {"xentropy", Link::kLogistic, true},
    {"poisson", Link::kExp},
    {"gamma", Link::kExp},
    {"tweedie", Link::kExp},
    {"multiclass", Link::kSoftmax},
    {"softmax", Link::kSoftmax},
    {"multiclassova", Link::kOneVsAll},
    {"", Link::kIdentity},
    {"custom", Link::kIdentity},
    {"none", Link::kIdentity},
    {"null", Link::kIdentity},
    {"na", Link::kIdentity},
    {"regression", Link::kIdentity},
    {"regression_l1", Link::kIdentity},
    {"huber", Link::kIdentity},
    {"fair", Link::kIdentity},
    {"quantile", Link::kIdentity},
    {"mape", Link::kIdentity},
    {"lambdarank", Link::kIdentity},
    {"rank_xendcg", Link::kIdentity},
};

/// `NAME key:value ...`; a word alone, `sqrt`, squares the predictions of any objective that has
/// it.
Result<Objective> objective_of(std::string_view line) {
  const auto unknown = [&] { return unsupported(fmt::format("has objective `{}`", shown(line))); };
  std::string_view rest = line;
  const auto word = [&rest] {
    const auto end = std::min(rest.find(' '), rest.size());
    const std::string_view out = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return out;
  };
  const std::string_view name = word();
  const auto* const found =
      std::find_if(std::begin(kObjectives), std::end(kObjectives),
                   [&](const Objective& known) { return known.name == name; });
  if (found == std::end(kObjectives)) return unknown();
  while (!rest.empty()) {
    // What is not known may change what a margin means, so it is refused and not passed over.
    const std::string_view option = word();
    double sigmoid = 0;
    const bool plain =
        option.empty() || option.starts_with("num_class:") ||
        (option.starts_with("sigmoid:") && whole(option.substr(8), sigmoid) && sigmoid == 1);
    if (!plain) return unknown();  // `sqrt`, another sigmoid, or what a newer version adds
  }
  return *found;
}

/// `version=v4`: 2 to 4 are read, what LightGBM 2 to 4 write.
Result<void> check_version(std::string_view text) {
  int number = 0;
  if (!text.starts_with('v') || !whole(text.substr(1), number)) {
    return corrupt(fmt::format("has `version={}`", shown(text)));
  }
  constexpr int kNewest = 4;
  if (number <= kNewest) return {};
  return Error{
      ErrorKind::kInvalid, "model-unsupported",
      fmt::format("the LightGBM model has format version {}, newer than {}, the newest that is "
                  "known here",
                  number, kNewest),
      "save it with LightGBM 4, or use a newer Heddle: a newer file may mean something else"};
}

std::vector<std::string> split_names(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    out.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  // `Column_0 Column_1 ...`: LightGBM's own names for columns that had none.
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (out[i] != fmt::format("Column_{}", i)) return out;
  }
  return {};
}

/// After the trees the Python package notes a data frame's categories: null, [] or lists of values.
bool names_categories(std::string_view bytes) {
  constexpr std::string_view kKey = "\npandas_categorical:";
  const auto at = bytes.rfind(kKey);
  if (at == std::string_view::npos) return false;
  const std::string_view value = bytes.substr(at + kKey.size());
  return !value.starts_with("null") && !value.starts_with("[]");
}

using TreeArray =
    std::variant<std::vector<std::int32_t> TreeText::*, std::vector<double> TreeText::*,
                 std::vector<std::uint32_t> TreeText::*>;
struct TreeKey {
  std::string_view key;
  TreeArray array;
};
constexpr TreeKey kTreeKeys[] = {
    {"split_feature", &TreeText::features},  {"threshold", &TreeText::thresholds},
    {"decision_type", &TreeText::decisions}, {"left_child", &TreeText::left},
    {"right_child", &TreeText::right},       {"leaf_value", &TreeText::values},
    {"leaf_count", &TreeText::leaf_counts},  {"internal_count", &TreeText::inner_counts},
    {"cat_boundaries", &TreeText::set_ends}, {"cat_threshold", &TreeText::set_words},
};

Result<void> read_tree_line(std::string_view key, std::string_view value, TreeText& tree) {
  for (const TreeKey& known : kTreeKeys) {
    // Keys that are not listed, for example gains, do not change a score.
    if (known.key != key) continue;
    return std::visit([&](auto array) { return numbers(key, value, tree.*array); }, known.array);
  }
  if (key == "num_leaves") {
    HEDDLE_ASSIGN_OR_RETURN(tree.leaves, integer(key, value));
  } else if (key == "num_cat") {
    HEDDLE_ASSIGN_OR_RETURN(tree.sets, integer(key, value));
  } else if (key == "is_linear") {
    HEDDLE_ASSIGN_OR_RETURN(const int linear, integer(key, value));
    if (linear != 0) return unsupported("has linear trees");
  }
  return {};
}

/// What stands before the trees.
struct Head {
  int per_iteration = -1;
  int classes = -1;
  int last_feature = -2;
  bool average = false;
  std::string_view objective{};
  std::string_view version{};
  std::vector<std::string> names{};

  Result<void> read(std::string_view key, std::string_view value) {
    if (key == "num_class") {
      HEDDLE_ASSIGN_OR_RETURN(classes, integer(key, value));
    } else if (key == "num_tree_per_iteration") {
      HEDDLE_ASSIGN_OR_RETURN(per_iteration, integer(key, value));
    } else if (key == "max_feature_idx") {
      HEDDLE_ASSIGN_OR_RETURN(last_feature, integer(key, value));
    } else if (key == "objective") {
      objective = value;
    } else if (key == "average_output") {
      average = true;
    } else if (key == "version") {
      version = value;
      HEDDLE_TRY(check_version(value));
    } else if (key == "feature_names") {
      names = split_names(value);
    }
    return {};
  }

  /// Once the trees begin, or at the end of a model without any.
  Result<void> settle_outputs() {
    // Old files say it only for several classes.
    if (per_iteration < 0) per_iteration = classes;
    if (per_iteration >= 1 && per_iteration <= kMostOutputs) return {};
    return corrupt("says no `num_tree_per_iteration` before its trees, or one out of range");
  }
};

/// The trees, one after another; how many there are.
Result<std::size_t> read_trees(Lines& lines, Head& head, ParsedForest& forest) {
  std::string_view key;
  std::string_view value;
  Thresholds met;
  TreeText tree;
  std::size_t trees = 0;
  while (true) {
    if (!lines.next(key, value)) return corrupt("ends before `end of trees`");
    const bool ended = key == "end of trees";
    if (!ended && key != "Tree") {
      HEDDLE_TRY(trees > 0 ? read_tree_line(key, value, tree) : head.read(key, value));
      continue;
    }
    HEDDLE_TRY(head.settle_outputs());
    if (trees > 0) HEDDLE_TRY(add_tree(tree, trees - 1, head.per_iteration, forest, met));
    if (ended) break;
    HEDDLE_ASSIGN_OR_RETURN(const int number, integer(key, value));
    if (number < 0 || static_cast<std::size_t>(number) != trees) {
      return corrupt(fmt::format("has tree {} where tree {} was expected", number, trees));
    }
    tree = {};
    ++trees;
  }
  forest.capped = met.endless;
  if (met.endless && met.huge) {
    return unsupported("has thresholds both infinite and beyond the largest float");
  }
  return trees;
}

}  // namespace

Result<ParsedForest> parse_lightgbm(std::string_view bytes) {
  ParsedForest forest;
  forest.format = "lightgbm";
  forest.exact_double = true;
  forest.covers = true;
  Lines lines(bytes);
  Head head;
  HEDDLE_ASSIGN_OR_RETURN(const std::size_t trees, read_trees(lines, head, forest));
  if (head.last_feature < -1 || head.last_feature >= std::numeric_limits<int>::max() - 1) {
    return corrupt("says no `max_feature_idx`");
  }
  const auto outputs = static_cast<std::size_t>(head.per_iteration);
  if (trees % outputs != 0) return corrupt("has an iteration that is not whole");
  HEDDLE_ASSIGN_OR_RETURN(const Objective objective, objective_of(head.objective));
  forest.features = head.last_feature + 1;
  forest.outputs = head.per_iteration;
  forest.link = objective.link;
  forest.use = {
      .objective = std::string(head.objective),
      .written_by = head.version.empty() ? "" : fmt::format("lightgbm {}", shown(head.version)),
      .log_odds = objective.log_odds && forest.outputs == 1,
      .named_categories = names_categories(bytes),
      .feature_names = std::move(head.names)};
  if (!forest.use.feature_names.empty() &&
      forest.use.feature_names.size() != static_cast<std::size_t>(forest.features)) {
    return corrupt("has another count of feature names than of features");
  }
  if (head.average && trees > 0) forest.divisor = static_cast<double>(trees / outputs);
  forest.base.assign(outputs, 0.0);
  return forest;
}

}  // namespace heddle::model
