#include <dlfcn.h>
#include <xgboost/c_api.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <initializer_list>
#include <limits>
#include <mutex>

#include "trainer/trainer.hpp"

namespace heddle::trainer {
namespace {

using stats::TaskKind;
using Kind = Parameter::Kind;

constexpr double kInf = std::numeric_limits<double>::infinity();

/// What is the task's own.
struct Objective {
  TaskKind task;
  std::string_view name;    ///< the default
  std::string_view metric;  ///< the task's loss, as XGBoost names it
};
constexpr Objective kObjectives[] = {
    {TaskKind::kBinary, "binary:logistic", "logloss"},
    {TaskKind::kClasses, "multi:softprob", "mlogloss"},
    {TaskKind::kRegression, "reg:squarederror", "mae"},
};

// https://xgboost.readthedocs.io/en/release_1.7.0/parameter.html: what shapes trees of `gbtree` and
// `dart` on numbers, by `hist`, `approx` or `exact`.
constexpr std::array kTrees = std::to_array<Parameter>({
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
    {"booster", "booster", Kind::kText, 0, 0, false, "gbtree dart",
     "for a linear model use `trainer: logistic` or `trainer: ridge`"},
    {"rate_drop", "rate_drop", Kind::kReal, 0, 1},
    {"skip_drop", "skip_drop", Kind::kReal, 0, 1},
    {"one_drop", "one_drop", Kind::kInteger, 0, 1},
    {"sample_type", "sample_type", Kind::kText, 0, 0, false, "uniform weighted"},
    {"normalize_type", "normalize_type", Kind::kText, 0, 0, false, "tree forest"},
});
constexpr Parameter kBinaryOnly[] = {
    {"objective", "objective", Kind::kText, 0, 0, false, "binary:logistic",
     "the target is a bool and a service answers its probability, which no other gives"},
    {"base_score", "base_score", Kind::kReal, 1e-6, 1 - 1e-6},
};
constexpr Parameter kClassesOnly[] = {
    {"objective", "objective", Kind::kText, 0, 0, false, "multi:softprob",
     "the target is a class and a service answers a probability of each, which no other gives"},
};
// Both answer the target itself, without a link: its mean, or its median.
constexpr Parameter kRegressionOnly[] = {
    {"objective", "objective", Kind::kText, 0, 0, false, "reg:squarederror reg:absoluteerror",
     "a service answers the value itself, and others go through a link"},
    {"base_score", "base_score", Kind::kReal, -kInf},
};

constexpr std::string_view kOtherTask = "it belongs to objectives that no task here has";
constexpr std::string_view kRemove = "remove it";
constexpr std::array kRefused = std::to_array<RefusedParameter>({
    {"num_class", "the model's classes say it", kRemove},
    {"num_target", "a model has one target", kRemove},
    {"multi_strategy", "a model has one target", kRemove},
    {"scale_pos_weight",
     "it moves every probability away from the share of true rows, and a service answers "
     "probabilities",
     "remove it: choose another threshold where the probability is used"},
    {"eval_metric", "early stopping and the search judge by the task's loss on the validation rows",
     "remove it; gates are in `evaluations/`"},
    {"disable_default_eval_metric", "early stopping judges by the task's loss", kRemove},
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
    {"feature_selector", "it belongs to `gblinear`",
     "use `trainer: logistic` or `trainer: ridge` for a linear model"},
    {"top_k", "it belongs to `gblinear`",
     "use `trainer: logistic` or `trainer: ridge` for a linear model"},
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
});
constexpr RefusedParameter kRefusedOfClasses[] = {
    {"base_score", "every class would begin with the same score, which changes no probability",
     kRemove},
};

const Objective& objective_of(TaskKind task) {
  return *std::find_if(std::begin(kObjectives), std::end(kObjectives),
                       [&](const Objective& each) { return each.task == task; });
}

template <class T>
std::vector<T> joined(std::span<const T> first, std::span<const T> second) {
  std::vector<T> out(first.begin(), first.end());
  out.insert(out.end(), second.begin(), second.end());
  return out;
}

/// The functions of the C API that training needs, by name and with their own types.
struct Library {
  decltype(&XGBGetLastError) last_error = nullptr;
  decltype(&XGBSetGlobalConfig) set_global_config = nullptr;
  decltype(&XGDMatrixCreateFromDense) matrix_create = nullptr;
  decltype(&XGProxyDMatrixCreate) proxy_create = nullptr;
  decltype(&XGProxyDMatrixSetDataDense) proxy_set_dense = nullptr;
  decltype(&XGQuantileDMatrixCreateFromCallback) bins_create = nullptr;
  decltype(&XGDMatrixSetFloatInfo) matrix_set_float_info = nullptr;
  decltype(&XGDMatrixSetStrFeatureInfo) matrix_set_feature_info = nullptr;
  decltype(&XGDMatrixFree) matrix_free = nullptr;
  decltype(&XGBoosterCreate) booster_create = nullptr;
  decltype(&XGBoosterFree) booster_free = nullptr;
  decltype(&XGBoosterSetParam) booster_set_param = nullptr;
  decltype(&XGBoosterUpdateOneIter) booster_update = nullptr;
  decltype(&XGBoosterEvalOneIter) booster_eval = nullptr;
  decltype(&XGBoosterSlice) booster_slice = nullptr;
  decltype(&XGBoosterSaveModelToBuffer) booster_save = nullptr;
  decltype(&XGBoosterLoadModelFromBuffer) booster_load = nullptr;
  decltype(&XGBoosterPredictFromDMatrix) booster_predict = nullptr;
};

template <class Function>
bool find(void* handle, const char* name, Function& out) {
  out = reinterpret_cast<Function>(dlsym(handle, name));
  return out != nullptr;
}

Result<const Library*> open_library() {
  static std::mutex mutex;
  static Library library;
  static bool open = false;
  const std::lock_guard lock(mutex);
  if (open) return &library;
  const char* chosen = std::getenv("HEDDLE_XGBOOST_LIBRARY");
  void* handle = nullptr;
  for (const char* name : {chosen, "libxgboost.so.0", "libxgboost.so"}) {
    if (name != nullptr && (handle = dlopen(name, RTLD_NOW | RTLD_LOCAL)) != nullptr) break;
  }
  const auto unavailable = [](const char* why) {
    return Error{
        ErrorKind::kUnavailable, "train-xgboost-missing",
        fmt::format("libxgboost could not be opened: {}", why == nullptr ? "not found" : why),
        "install it with `apt-get install libxgboost0`, or name it in `HEDDLE_XGBOOST_LIBRARY`"};
  };
  if (handle == nullptr) return unavailable(dlerror());
  Library& l = library;
  const bool complete = find(handle, "XGBGetLastError", l.last_error) &&
                        find(handle, "XGBSetGlobalConfig", l.set_global_config) &&
                        find(handle, "XGDMatrixCreateFromDense", l.matrix_create) &&
                        find(handle, "XGProxyDMatrixCreate", l.proxy_create) &&
                        find(handle, "XGProxyDMatrixSetDataDense", l.proxy_set_dense) &&
                        find(handle, "XGQuantileDMatrixCreateFromCallback", l.bins_create) &&
                        find(handle, "XGDMatrixSetFloatInfo", l.matrix_set_float_info) &&
                        find(handle, "XGDMatrixSetStrFeatureInfo", l.matrix_set_feature_info) &&
                        find(handle, "XGDMatrixFree", l.matrix_free) &&
                        find(handle, "XGBoosterCreate", l.booster_create) &&
                        find(handle, "XGBoosterFree", l.booster_free) &&
                        find(handle, "XGBoosterSetParam", l.booster_set_param) &&
                        find(handle, "XGBoosterUpdateOneIter", l.booster_update) &&
                        find(handle, "XGBoosterEvalOneIter", l.booster_eval) &&
                        find(handle, "XGBoosterSlice", l.booster_slice) &&
                        find(handle, "XGBoosterSaveModelToBuffer", l.booster_save) &&
                        find(handle, "XGBoosterLoadModelFromBuffer", l.booster_load) &&
                        find(handle, "XGBoosterPredictFromDMatrix", l.booster_predict);
  if (!complete)
    return unavailable(
        dlerror());  // stays open: a library that ran its constructors is not unloaded
  open = true;
  return &library;
}

/// A handle of the C API with the function that frees it.
template <class Free>
class Handle {
 public:
  explicit Handle(Free free) : free_(free) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() {
    if (raw != nullptr) free_(raw);
  }
  void* raw = nullptr;

 private:
  Free free_;
};
template <class Free>
Handle(Free) -> Handle<Free>;

Error failed(const Library& library, std::string_view what) {
  std::string text = library.last_error();
  const auto end = text.find("Stack trace");  // XGBoost appends one; its first lines are the reason
  if (end != std::string::npos) text.resize(end);
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return Error{ErrorKind::kInvalid, "train-xgboost-failed",
               fmt::format("XGBoost could not {}: {}", what, text),
               "check the parameters of the model definition"};
}

/// Borrows the features.
std::string array_interface(const float* features, std::int64_t rows, std::int64_t columns) {
  return fmt::format(R"({{"data": [{}, true], "shape": [{}, {}], "typestr": "<f4", "version": 3}})",
                     reinterpret_cast<std::uintptr_t>(features), rows, columns);
}

/// Gives the library all rows in one batch, each time that it asks from the start.
class OneBatch {
 public:
  OneBatch(const Library& library, const std::string& array) : library_(library), array_(array) {}

  Result<void> bins(int most, void** matrix) {
    if (library_.proxy_create(&proxy_.raw) != 0) return failed(library_, "read the rows");
    const std::string config =
        fmt::format(R"({{"missing": NaN, "nthread": 1, "max_bin": {}}})", most);
    if (library_.bins_create(this, proxy_.raw, nullptr, &OneBatch::reset, &OneBatch::next,
                             config.c_str(), matrix) != 0)
      return failed(library_, "read the rows");
    return {};
  }

 private:
  static void reset(void* self) { static_cast<OneBatch*>(self)->given_ = false; }
  static int next(void* self) {
    auto& batch = *static_cast<OneBatch*>(self);
    if (batch.given_) return 0;
    batch.given_ = true;
    // A failure leaves the proxy empty, which the library then reports by itself.
    (void)batch.library_.proxy_set_dense(batch.proxy_.raw, batch.array_.c_str());
    return 1;
  }

  const Library& library_;
  const std::string& array_;
  Handle<decltype(Library::matrix_free)> proxy_{library_.matrix_free};
  bool given_ = false;
};

/// `bins`: keep which of so many bins a value is in and not the value, which is all that `hist`
/// reads of it: a tenth of the memory. 0: keep the values.
Result<void> fill(const Library& library, const RowsView& rows,
                  const std::vector<std::string>& names, int bins, void** matrix) {
  const std::string array = array_interface(rows.features, rows.count, rows.columns);
  if (bins > 0) {
    HEDDLE_TRY(OneBatch(library, array).bins(bins, matrix));
  } else if (library.matrix_create(array.c_str(), R"({"missing": NaN, "nthread": 1})", matrix) !=
             0) {
    return failed(library, "read the rows");
  }
  std::vector<float> labels(rows.labels, rows.labels + rows.count);
  if (library.matrix_set_float_info(*matrix, "label", labels.data(), labels.size()) != 0)
    return failed(library, "read the labels");
  std::vector<const char*> pointers;
  for (const auto& name : names) pointers.push_back(name.c_str());
  if (!names.empty() && library.matrix_set_feature_info(*matrix, "feature_name", pointers.data(),
                                                        pointers.size()) != 0) {
    return failed(library, "take the feature names");
  }
  return {};
}

/// `[3]\tvalidation-logloss:0.5321`.
double parse_loss(std::string_view line) {
  const auto colon = line.rfind(':');
  if (colon == std::string_view::npos) return std::numeric_limits<double>::quiet_NaN();
  return std::strtod(std::string(line.substr(colon + 1)).c_str(), nullptr);
}

/// One model in training, with the library's handles.
class Training {
 public:
  Training(const Library& library, const Input& input) : library_(library), input_(input) {}

  Result<Fitted> run() {
    (void)library_.set_global_config(R"({"verbosity": 0})");
    HEDDLE_TRY(fill(library_, input_.train, input_.feature_names, bins(), &train_.raw));
    if (early_)
      HEDDLE_TRY(fill(library_, input_.validation, input_.feature_names, 0, &validation_.raw));
    void* const matrices[2] = {train_.raw, validation_.raw};
    if (library_.booster_create(matrices, early_ ? 2 : 1, &booster_.raw) != 0)
      return failed(library_, "make a booster");
    HEDDLE_TRY(set_parameters());
    HEDDLE_TRY(boost());
    return save();
  }

 private:
  /// How many bins `hist` is to have; 0 where training reads the values themselves: `approx` and
  /// `exact` do, and `dart` predicts rows anew when it drops trees.
  [[nodiscard]] int bins() const {
    int most = 256;  // XGBoost's default
    for (const auto& [name, value] : input_.parameters.values) {
      if ((name == "tree_method" && value != "hist") || (name == "booster" && value != "gbtree"))
        return 0;
      if (name == "max_bin") most = static_cast<int>(*parse_integer(value));
    }
    return most;
  }

  /// The mean of the target: from a constant far from it the first trees would only find it.
  [[nodiscard]] std::string base_score() const {
    if (input_.task.kind != TaskKind::kRegression) return "0.5";
    double mean = 0;
    for (std::int64_t row = 0; row < input_.train.count; ++row)
      mean += input_.train.labels[row] / static_cast<double>(input_.train.count);
    return fmt::format("{}", static_cast<float>(mean));
  }

  Result<void> set_parameters() {
    Parameters parameters;
    parameters.values = {{"booster", "gbtree"},
                         {"tree_method", "hist"},
                         {"objective", std::string(objective_.name)},
                         {"base_score", base_score()},
                         {"verbosity", "0"}};
    if (input_.task.kind == TaskKind::kClasses)
      parameters.values.emplace_back("num_class", fmt::to_string(input_.task.outputs()));
    for (const auto& parameter : input_.parameters.values) {
      if (parameter.first == "rounds") {
        most_ = static_cast<int>(*parse_integer(parameter.second));
      } else {
        parameters.values.push_back(parameter);
      }
    }
    // What reproducibility rests on is not for a definition to change.
    for (const auto& [name, value] : std::initializer_list<std::pair<std::string, std::string>>{
             {"nthread", "1"},
             {"seed", std::to_string(input_.seed & 0x7fffffff)},
             {"eval_metric", std::string(objective_.metric)}}) {
      parameters.values.emplace_back(name, value);
    }
    for (const auto& [name, value] : parameters.values) {
      if (library_.booster_set_param(booster_.raw, name.c_str(), value.c_str()) != 0)
        return failed(library_, fmt::format("take parameter `{}` = `{}`", name, value));
    }
    return {};
  }

  Result<void> boost() {
    double best_loss = std::numeric_limits<double>::infinity();
    for (; rounds_ < most_; ++rounds_) {
      if (library_.booster_update(booster_.raw, rounds_, train_.raw) != 0)
        return failed(library_, "train");
      if (!early_) continue;
      void* watched[1] = {validation_.raw};
      const char* names[1] = {"validation"};
      const char* line = nullptr;
      if (library_.booster_eval(booster_.raw, rounds_, watched, names, 1, &line) != 0)
        return failed(library_, "evaluate a round");
      const double loss = parse_loss(line);
      if (loss < best_loss) {
        best_loss = loss;
        best_ = rounds_;
      } else if (rounds_ - best_ >= input_.early_stopping_rounds) {
        ++rounds_;
        break;
      }
    }
    return {};
  }

  Result<Fitted> save() {
    Fitted fitted;
    fitted.rounds = early_ ? best_ + 1 : rounds_;
    Handle sliced(library_.booster_free);
    void* kept = booster_.raw;
    if (fitted.rounds < rounds_) {
      if (library_.booster_slice(booster_.raw, 0, fitted.rounds, 1, &sliced.raw) != 0)
        return failed(library_, "cut the model at its best round");
      kept = sliced.raw;
    }
    bst_ulong size = 0;
    const char* bytes = nullptr;
    if (library_.booster_save(kept, R"({"format": "json"})", &size, &bytes) != 0)
      return failed(library_, "write the model");
    fitted.model.assign(bytes, size);
    return fitted;
  }

  const Library& library_;
  const Input& input_;
  const Objective& objective_ = objective_of(input_.task.kind);
  const bool early_ = input_.validation.count > 0 && input_.early_stopping_rounds > 0;
  Handle<decltype(Library::matrix_free)> train_{library_.matrix_free};
  Handle<decltype(Library::matrix_free)> validation_{library_.matrix_free};
  Handle<decltype(Library::booster_free)> booster_{library_.booster_free};
  int most_ = input_.max_rounds;
  int best_ = 0;
  int rounds_ = 0;
};

// Of XGBoost 1.7.6, 2.1.4 and 3.1.3 the trees are the same bytes with and without them; it says so
// of `dart`'s own beside `gbtree` ("are not used"), and nothing of the others.
std::vector<std::pair<std::string, ParameterFault>> unused_of(
    const std::vector<SetParameter>& parameters) {
  std::vector<std::pair<std::string, ParameterFault>> out;
  const auto value_of = [&](std::string_view name) -> std::string_view {
    const auto found = std::find_if(parameters.begin(), parameters.end(),
                                    [&](const SetParameter& each) { return each.name == name; });
    return found == parameters.end() ? std::string_view("unset") : std::string_view(found->value);
  };
  const bool is_dart = value_of("booster") == "dart";
  const auto drops = [&](std::string_view name) {
    const std::string_view value = value_of(name);
    return value.empty() || parse_real(value).value_or(0) > 0;
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

/// Gradient boosting by libxgboost's C API, `hist` on one thread. The library is opened with dlopen
/// at the first call and kept (linking it costs every start of the program 5 ms); without it
/// members answer kUnavailable with the package to install.
class Xgboost final : public Trainer {
 public:
  std::string_view name() const noexcept override { return "xgboost"; }
  bool does(TaskKind) const noexcept override { return true; }
  std::span<const Parameter> parameters(TaskKind task) const override {
    static const auto binary = joined<Parameter>(kTrees, kBinaryOnly);
    static const auto classes = joined<Parameter>(kTrees, kClassesOnly);
    static const auto regression = joined<Parameter>(kTrees, kRegressionOnly);
    return task == TaskKind::kBinary ? binary : task == TaskKind::kClasses ? classes : regression;
  }
  std::span<const RefusedParameter> refused(TaskKind task) const override {
    static const auto of_classes = joined<RefusedParameter>(kRefused, kRefusedOfClasses);
    if (task == TaskKind::kClasses) return of_classes;
    return kRefused;
  }
  std::vector<std::pair<std::string, ParameterFault>> unused(
      const std::vector<SetParameter>& parameters) const override {
    return unused_of(parameters);
  }
  Result<Fitted> train(const Input& input) const override {
    HEDDLE_ASSIGN_OR_RETURN(const Library* library, open_library());
    return Training(*library, input).run();
  }
  Result<std::optional<std::vector<float>>> margins(std::string_view model,
                                                    std::span<const float> features,
                                                    std::int64_t rows,
                                                    std::int64_t columns) const override;
};

}  // namespace

Result<std::optional<std::vector<float>>> Xgboost::margins(std::string_view model,
                                                           std::span<const float> features,
                                                           std::int64_t rows,
                                                           std::int64_t columns) const {
  HEDDLE_ASSIGN_OR_RETURN(const Library* opened, open_library());
  const Library& library = *opened;
  if (rows <= 0 || columns <= 0 || features.size() != static_cast<std::size_t>(rows * columns)) {
    return Error{ErrorKind::kInternal, "train-margins",
                 fmt::format("{} numbers for {} rows of {}", features.size(), rows, columns)};
  }
  Handle matrix(library.matrix_free);
  Handle booster(library.booster_free);
  const std::string array = array_interface(features.data(), rows, columns);
  if (library.matrix_create(array.c_str(), R"({"missing": NaN, "nthread": 1})", &matrix.raw) != 0)
    return failed(library, "read the rows");
  if (library.booster_create(nullptr, 0, &booster.raw) != 0)
    return failed(library, "make a booster");
  (void)library.booster_set_param(booster.raw, "nthread", "1");
  if (library.booster_load(booster.raw, model.data(), model.size()) != 0)
    return failed(library, "read the model");
  const bst_ulong* shape = nullptr;
  bst_ulong dimensions = 0;
  const float* values = nullptr;
  constexpr const char* kMargins =
      R"({"type": 1, "training": false, "iteration_begin": 0, "iteration_end": 0, )"
      R"("strict_shape": false})";
  if (library.booster_predict(booster.raw, matrix.raw, kMargins, &shape, &dimensions, &values) != 0)
    return failed(library, "predict");
  bst_ulong count = 1;
  for (bst_ulong i = 0; i < dimensions; ++i) count *= shape[i];
  return std::optional(std::vector<float>(values, values + count));
}

const Trainer& xgboost_trainer() {
  static const Xgboost row;
  return row;
}

}  // namespace heddle::trainer
