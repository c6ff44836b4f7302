#include "spec/trainer_parameters.hpp"

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <limits>
#include <span>
#include <vector>

#include <fmt/format.h>

#include "doc/diagnostic.hpp"

namespace heddle::spec {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

enum class Kind { kReal, kInteger, kText };

/// A parameter that a definition may set.
struct Known {
  std::string_view name;
  std::string_view canonical;
  Kind kind = Kind::kReal;
  double low = 0;
  double high = kInf;
  bool low_open = false;     ///< `low` itself is not a value
  std::string_view words{};  ///< of text: the values, with a space between; empty: any
};

// https://xgboost.readthedocs.io/en/release_1.7.0/parameter.html: what shapes trees of `gbtree` and
// `dart` on numbers, by `hist`, `approx` or `exact`, for two classes.
constexpr Known kXgboost[] = {
    {"rounds", "rounds", Kind::kInteger, 1},
    {"eta", "eta", Kind::kReal, 0, 1, true},
    {"learning_rate", "eta", Kind::kReal, 0, 1, true},
    {"gamma", "gamma"},
    {"min_split_loss", "gamma"},
    {"max_depth", "max_depth", Kind::kInteger, 0, 512},
    {"min_child_weight", "min_child_weight"},
    {"max_delta_step", "max_delta_step"},
    {"subsample", "subsample", Kind::kReal, 0, 1, true},
    {"colsample_bytree", "colsample_bytree", Kind::kReal, 0, 1, true},
    {"colsample_bylevel", "colsample_bylevel", Kind::kReal, 0, 1, true},
    {"colsample_bynode", "colsample_bynode", Kind::kReal, 0, 1, true},
    {"lambda", "lambda"},
    {"reg_lambda", "lambda"},
    {"alpha", "alpha"},
    {"reg_alpha", "alpha"},
    {"max_leaves", "max_leaves", Kind::kInteger, 0, 1 << 24},
    {"max_bin", "max_bin", Kind::kInteger, 2, 1 << 20},
    {"num_parallel_tree", "num_parallel_tree", Kind::kInteger, 1, 1000},
    {"tree_method", "tree_method", Kind::kText, 0, 0, false, "hist approx exact"},
    {"grow_policy", "grow_policy", Kind::kText, 0, 0, false, "depthwise lossguide"},
    {"monotone_constraints", "monotone_constraints", Kind::kText},
    {"interaction_constraints", "interaction_constraints", Kind::kText},
    {"booster", "booster", Kind::kText, 0, 0, false, "gbtree dart"},
    {"rate_drop", "rate_drop", Kind::kReal, 0, 1},
    {"skip_drop", "skip_drop", Kind::kReal, 0, 1},
    {"one_drop", "one_drop", Kind::kInteger, 0, 1},
    {"sample_type", "sample_type", Kind::kText, 0, 0, false, "uniform weighted"},
    {"normalize_type", "normalize_type", Kind::kText, 0, 0, false, "tree forest"},
    {"objective", "objective", Kind::kText, 0, 0, false, "binary:logistic"},
    {"base_score", "base_score", Kind::kReal, 1e-6, 1 - 1e-6},
};

constexpr Known kLogistic[] = {
    {"l2", "l2"},
    {"max_iterations", "max_iterations", Kind::kInteger, 1, 1'000'000},
};

/// A name that XGBoost or its Python package knows, and that a definition may not set.
struct Refused {
  std::string_view name;
  std::string_view why;
  std::string_view hint;
};

constexpr std::string_view kOtherTask =
    "it belongs to objectives that a model of a bool target has no use for";
constexpr std::string_view kRemove = "remove it";
constexpr Refused kRefused[] = {
    {"num_class", "the target is a bool: two classes and one margin", kRemove},
    {"num_target", "the target is a bool: two classes and one margin", kRemove},
    {"multi_strategy", "the target is a bool: two classes and one margin", kRemove},
    {"scale_pos_weight",
     "it moves every probability away from the share of true rows, and a service answers "
     "probabilities",
     "remove it: choose another threshold where the probability is used"},
    {"eval_metric", "early stopping and the search judge by the validation log loss",
     "remove it; gates are in `evaluations/`"},
    {"disable_default_eval_metric", "early stopping judges by the validation log loss", kRemove},
    {"seed", "the trainer takes the model's own seed", "set `seed` of the Model"},
    {"random_state", "the trainer takes the model's own seed", "set `seed` of the Model"},
    {"seed_per_iteration", "the trainer takes the model's own seed", "set `seed` of the Model"},
    {"nthread", "a trial has one thread, so that equal inputs give equal bytes",
     "set `search.parallel`"},
    {"n_jobs", "a trial has one thread, so that equal inputs give equal bytes",
     "set `search.parallel`"},
    {"device", "training runs on the CPU, so that equal inputs give equal bytes", kRemove},
    {"gpu_id", "training runs on the CPU, so that equal inputs give equal bytes", kRemove},
    {"predictor", "training runs on the CPU, so that equal inputs give equal bytes", kRemove},
    {"sampling_method", "it needs a GPU", kRemove},
    {"n_estimators", "the number of trees is called `rounds` here",
     "set `search.max_rounds`, or `rounds`"},
    {"num_boost_round", "the number of trees is called `rounds` here",
     "set `search.max_rounds`, or `rounds`"},
    {"num_round", "the number of trees is called `rounds` here",
     "set `search.max_rounds`, or `rounds`"},
    {"early_stopping_rounds", "it belongs to the search", "set `search.early_stopping_rounds`"},
    {"process_type", "a model is trained from nothing, never updated in place", kRemove},
    {"updater", "`tree_method` says how trees grow", "set `tree_method`"},
    {"refresh_leaf", "a model is trained from nothing, never updated in place", kRemove},
    {"feature_selector", "it belongs to `gblinear`", "use `trainer: logistic` for a linear model"},
    {"top_k", "it belongs to `gblinear`", "use `trainer: logistic` for a linear model"},
    {"max_cat_to_onehot", "features are numbers: no split has a set of categories", kRemove},
    {"max_cat_threshold", "features are numbers: no split has a set of categories", kRemove},
    {"enable_categorical", "features are numbers: no split has a set of categories", kRemove},
    {"missing", "a missing value is NaN", kRemove},
    {"verbosity", "it changes nothing of a model", kRemove},
    {"verbose", "it changes nothing of a model", kRemove},
    {"silent", "it changes nothing of a model", kRemove},
    {"validate_parameters", "parameters are checked here", kRemove},
    {"use_rmm", "training runs on the CPU, so that equal inputs give equal bytes", kRemove},
    {"tweedie_variance_power", kOtherTask, kRemove},
    {"huber_slope", kOtherTask, kRemove},
    {"quantile_alpha", kOtherTask, kRemove},
    {"expectile_alpha", kOtherTask, kRemove},
    {"aft_loss_distribution", kOtherTask, kRemove},
    {"aft_loss_distribution_scale", kOtherTask, kRemove},
    {"lambdarank_pair_method", kOtherTask, kRemove},
    {"lambdarank_num_pair_per_sample", kOtherTask, kRemove},
    {"lambdarank_unbiased", kOtherTask, kRemove},
    {"lambdarank_bias_norm", kOtherTask, kRemove},
    {"ndcg_exp_gain", kOtherTask, kRemove},
};

/// What a definition may set of a trainer. Its code is the row of the same name in train.cpp.
struct Trainer {
  std::string_view name;
  std::span<const Known> known;
  std::span<const Refused> refused{};
};

constexpr Trainer kTrainers[] = {{"xgboost", kXgboost, kRefused}, {"logistic", kLogistic}};

/// Of a name that is none there are no parameters.
const Trainer& trainer_of(std::string_view name) {
  static constexpr Trainer kNone{"", {}};
  const auto* found = std::find_if(std::begin(kTrainers), std::end(kTrainers),
                                   [&](const Trainer& each) { return each.name == name; });
  return found == std::end(kTrainers) ? kNone : *found;
}

const Known* find(std::string_view trainer, std::string_view name) {
  const auto table = trainer_of(trainer).known;
  const auto found = std::find_if(table.begin(), table.end(),
                                  [&](const Known& known) { return known.name == name; });
  return found == table.end() ? nullptr : &*found;
}

template <class T>
bool whole(std::string_view text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

/// What values there are, for a hint.
std::string range_of(const Known& known) {
  const std::string_view kind = known.kind == Kind::kInteger ? "a whole number" : "a number";
  if (known.low_open)
    return fmt::format("it is {} above {} and at most {}", kind, known.low, known.high);
  if (known.high == kInf) return fmt::format("it is {}, {} or more", kind, known.low);
  return fmt::format("it is {} from {} to {}", kind, known.low, known.high);
}

std::optional<ParameterFault> check_number(const Known& known, std::string_view value) {
  double number = 0;
  std::int64_t integer = 0;
  bool valid = known.kind == Kind::kInteger ? whole(value, integer) : whole(value, number);
  if (known.kind == Kind::kInteger) number = static_cast<double>(integer);
  valid = valid && (known.low_open ? number > known.low : number >= known.low) &&
          number <= known.high && number < kInf;
  if (valid) return std::nullopt;
  return ParameterFault{"bad-parameter",
                        fmt::format("parameter `{}` cannot be `{}`", known.name, value),
                        range_of(known)};
}

std::optional<ParameterFault> check_text(const Known& known, std::string_view value) {
  if (known.words.empty()) return std::nullopt;
  std::vector<std::string> words;
  for (std::string_view rest = known.words; !rest.empty();) {
    const auto end = std::min(rest.find(' '), rest.size());
    words.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (std::find(words.begin(), words.end(), value) != words.end()) return std::nullopt;
  ParameterFault fault{"bad-parameter",
                       fmt::format("parameter `{}` cannot be `{}`", known.name, value),
                       fmt::format("it is `{}`", fmt::join(words, "`, `"))};
  if (known.name == "objective") {
    fault.hint =
        "the target is a bool and a service answers its probability: only `binary:logistic` gives "
        "one";
  } else if (known.name == "booster") {
    fault.hint += "; for a linear model use `trainer: logistic`";
  }
  return fault;
}

}  // namespace

std::vector<std::string> trainer_names() {
  std::vector<std::string> out;
  for (const Trainer& each : kTrainers) out.emplace_back(each.name);
  return out;
}

std::optional<ParameterFault> check_parameter(std::string_view trainer, std::string_view name,
                                              std::string_view value) {
  if (trainer_of(trainer).name.empty()) return std::nullopt;  // that is the fault, and is said
  if (const Known* const known = find(trainer, name)) {
    return known->kind == Kind::kText ? check_text(*known, value) : check_number(*known, value);
  }
  const auto refusals = trainer_of(trainer).refused;
  const auto refused = std::find_if(refusals.begin(), refusals.end(),
                                    [&](const Refused& each) { return each.name == name; });
  if (refused != refusals.end()) {
    return ParameterFault{"fixed-parameter",
                          fmt::format("parameter `{}` cannot be set: {}", name, refused->why),
                          std::string(refused->hint)};
  }
  std::vector<std::string> names;
  for (const Known& known : trainer_of(trainer).known) names.emplace_back(known.name);
  const std::string near = doc::nearest(std::string(name), names);
  return ParameterFault{"unknown-parameter",
                        fmt::format("trainer `{}` has no parameter `{}`", trainer, name),
                        near.empty() ? fmt::format("it has `{}`", fmt::join(names, "`, `"))
                                     : fmt::format("did you mean `{}`?", near)};
}

// Of XGBoost 1.7.6, 2.1.4 and 3.1.3 the trees are the same bytes with and without them; it says so
// of `dart`'s own beside `gbtree` ("are not used"), and nothing of the others.
std::vector<std::pair<std::string, ParameterFault>> unused_parameters(
    std::string_view trainer, const std::vector<SetParameter>& parameters) {
  std::vector<std::pair<std::string, ParameterFault>> out;
  if (trainer != "xgboost") return out;
  const auto value_of = [&](std::string_view name) -> std::string_view {
    const auto found = std::find_if(parameters.begin(), parameters.end(),
                                    [&](const SetParameter& each) { return each.name == name; });
    return found == parameters.end() ? std::string_view("unset") : std::string_view(found->value);
  };
  const bool is_dart = value_of("booster") == "dart";
  const auto drops = [&](std::string_view name) {
    double number = 0;
    const std::string_view value = value_of(name);
    return value.empty() || (whole(value, number) && number > 0);
  };
  const bool is_dropping = drops("rate_drop") || drops("one_drop");
  const auto is_one_of = [](std::string_view name, std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  const auto unused = [&](const std::string& name, std::string_view why, std::string hint) {
    out.emplace_back(name,
                     ParameterFault{"unused-parameter",
                                    fmt::format("parameter `{}` changes nothing: {}", name, why),
                                    std::move(hint)});
  };
  for (const auto& [name, value] : parameters) {
    const bool is_how = is_one_of(name, {"skip_drop", "sample_type", "normalize_type"});
    if (!is_dart && (is_how || is_one_of(name, {"rate_drop", "one_drop"}))) {
      unused(name, "only `booster: dart` drops trees", "set `booster: dart`, or remove it");
    } else if (is_how && !is_dropping) {
      unused(name, "no tree is dropped", "set `rate_drop` or `one_drop`, or remove it");
    } else if (value_of("tree_method") == "exact" &&
               is_one_of(name, {"max_bin", "max_leaves", "grow_policy"})) {
      unused(name, "`tree_method: exact` grows every level whole, without bins",
             "set `tree_method` to `hist` or `approx`, or remove it");
    }
  }
  return out;
}

bool is_integer_parameter(std::string_view trainer, std::string_view name) {
  const Known* const known = find(trainer, name);
  return known != nullptr && known->kind == Kind::kInteger;
}

std::string_view canonical_parameter(std::string_view trainer, std::string_view name) {
  const Known* const known = find(trainer, name);
  return known == nullptr ? name : known->canonical;
}

}  // namespace heddle::spec
