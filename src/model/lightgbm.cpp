#include "model/lightgbm.hpp"

#include <charconv>
#include <cmath>
#include <limits>

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
  threshold = threshold >= 0
                  ? std::max(threshold, static_cast<double>(kZero))
                  : std::min(threshold, static_cast<double>(std::nextafter(-kZero, -kInf)));
  auto down = static_cast<float>(threshold);
  if (static_cast<double>(down) > threshold) down = std::nextafter(down, -kInf);
  return std::nextafter(down, kInf);
}

Result<void> add_tree(const TreeText& text, std::size_t number, int outputs, ParsedForest& forest,
                      bool& huge_thresholds) {
  const auto wrong = [number](std::string_view what) {
    return corrupt(fmt::format("has a tree, {}, that {}", number, what));
  };
  if (text.leaves < 1) return wrong("says no `num_leaves`");
  const auto leaves = static_cast<std::size_t>(text.leaves);
  const std::size_t inner = leaves - 1;
  if (text.values.size() != leaves)
    return wrong("has another count of `leaf_value` than of leaves");
  ParsedTree& tree = forest.trees.emplace_back();
  tree.output = static_cast<int>(number % static_cast<std::size_t>(outputs));
  if (inner > 0) {
    if (text.features.size() != inner || text.thresholds.size() != inner ||
        text.left.size() != inner || text.right.size() != inner ||
        (!text.decisions.empty() && text.decisions.size() != inner)) {
      return wrong("has arrays of different lengths");
    }
    if (text.leaf_counts.size() != leaves || text.inner_counts.size() != inner)
      forest.covers = false;
  }
  const std::size_t set_offset = forest.categories.size();
  std::vector<std::uint32_t> set_begins{0};
  if (text.sets > 0) {
    if (text.set_ends.size() != static_cast<std::size_t>(text.sets) + 1)
      return wrong("has another count of `cat_boundaries` than of sets");
    for (std::size_t s = 0; s + 1 < text.set_ends.size(); ++s) {
      const std::int32_t begin = text.set_ends[s];
      const std::int32_t end = text.set_ends[s + 1];
      if (begin < 0 || end < begin || static_cast<std::size_t>(end) > text.set_words.size() ||
          (s == 0 && begin != 0))
        return wrong("has a set out of range");
      for (std::int32_t w = begin; w < end; ++w) {
        for (std::uint32_t bit = 0; bit < 32; ++bit) {
          const auto category = static_cast<std::uint64_t>(w - begin) * 32 + bit;
          if (((text.set_words[static_cast<std::size_t>(w)] >> bit) & 1U) == 0) continue;
          if (category >= kMostCategories) return wrong("has a category out of range");
          forest.categories.push_back(static_cast<std::uint32_t>(category));
        }
      }
      if (forest.categories.size() > (std::size_t{1} << 30))
        return unsupported("has too many categories");
      set_begins.push_back(static_cast<std::uint32_t>(forest.categories.size() - set_offset));
    }
  }
  tree.nodes.resize(inner + leaves);
  bool endless = false;
  bool huge = false;
  const auto child = [&](std::int32_t written) {
    return written < 0 ? static_cast<std::int32_t>(inner) + ~written : written;
  };
  for (std::size_t i = 0; i < inner; ++i) {
    Node& node = tree.nodes[i];
    node.left = child(text.left[i]);
    node.right = child(text.right[i]);
    node.feature = text.features[i];
    if (node.left < 0 || node.right < 0) return wrong("has a child out of range");
    if (forest.covers) node.cover = text.inner_counts[i];
    const double threshold = text.thresholds[i];
    const std::int32_t decision = text.decisions.empty() ? 0 : text.decisions[i];
    if ((decision & kCategorical) != 0) {
      if (!(threshold >= 0 && threshold < static_cast<double>(text.sets)))
        return wrong("splits on a set that does not exist");
      const auto set = static_cast<std::size_t>(threshold);
      node.input = Input::kCategoryTruncated;
      node.members_left = true;
      node.missing_left = false;
      node.set_begin = static_cast<std::uint32_t>(set_offset + set_begins[set]);
      node.set_size = set_begins[set + 1] - set_begins[set];
      continue;
    }
    if (std::isnan(threshold)) return wrong("has a threshold that is no number");
    // What splits missing from all else has a threshold of +inf in version 4, of 1e300 before.
    (std::isinf(threshold) && threshold > 0 ? endless : huge) |=
        threshold >= static_cast<double>(std::numeric_limits<float>::max());
    node.threshold = strict_threshold(threshold);
    switch ((decision >> 2) & 3) {
      case 0: node.missing_left = 0 <= threshold; break;  // no missing: a NaN counts as 0
      case 1:
        node.input = Input::kNumberZeroMissing;
        node.missing_left = (decision & kDefaultLeft) != 0;
        break;
      case 2: node.missing_left = (decision & kDefaultLeft) != 0; break;
      default: return wrong("has an unknown `decision_type`");
    }
  }
  forest.capped = forest.capped || endless;
  huge_thresholds = huge_thresholds || huge;
  for (std::size_t i = 0; i < leaves; ++i) {
    tree.nodes[inner + i].value = text.values[i];
    if (forest.covers && inner > 0) tree.nodes[inner + i].cover = text.leaf_counts[i];
  }
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

Result<void> read_tree_line(std::string_view key, std::string_view value, TreeText& tree) {
  if (key == "num_leaves") {
    HEDDLE_ASSIGN_OR_RETURN(tree.leaves, integer(key, value));
  } else if (key == "num_cat") {
    HEDDLE_ASSIGN_OR_RETURN(tree.sets, integer(key, value));
  } else if (key == "split_feature") {
    HEDDLE_TRY(numbers(key, value, tree.features));
  } else if (key == "threshold") {
    HEDDLE_TRY(numbers(key, value, tree.thresholds));
  } else if (key == "decision_type") {
    HEDDLE_TRY(numbers(key, value, tree.decisions));
  } else if (key == "left_child") {
    HEDDLE_TRY(numbers(key, value, tree.left));
  } else if (key == "right_child") {
    HEDDLE_TRY(numbers(key, value, tree.right));
  } else if (key == "leaf_value") {
    HEDDLE_TRY(numbers(key, value, tree.values));
  } else if (key == "leaf_count") {
    HEDDLE_TRY(numbers(key, value, tree.leaf_counts));
  } else if (key == "internal_count") {
    HEDDLE_TRY(numbers(key, value, tree.inner_counts));
  } else if (key == "cat_boundaries") {
    HEDDLE_TRY(numbers(key, value, tree.set_ends));
  } else if (key == "cat_threshold") {
    HEDDLE_TRY(numbers(key, value, tree.set_words));
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
    if (per_iteration < 0) per_iteration = classes;
    if (per_iteration >= 1 && per_iteration <= kMostOutputs) return {};
    return corrupt("says no `num_tree_per_iteration` before its trees, or one out of range");
  }
};

/// The trees, one after another; `thresholds` says what beyond the largest float was met.
Result<std::size_t> read_trees(Lines& lines, Head& head, ParsedForest& forest) {
  std::string_view key;
  std::string_view value;
  bool huge = false;
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
    if (trees > 0) HEDDLE_TRY(add_tree(tree, trees - 1, head.per_iteration, forest, huge));
    if (ended) break;
    HEDDLE_ASSIGN_OR_RETURN(const int number, integer(key, value));
    if (number < 0 || static_cast<std::size_t>(number) != trees) {
      return corrupt(fmt::format("has tree {} where tree {} was expected", number, trees));
    }
    tree = {};
    ++trees;
  }
  if (forest.capped && huge) {
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
