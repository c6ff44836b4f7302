#include <dlfcn.h>
#include <xgboost/c_api.h>

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <mutex>

#include "train/trainers.hpp"

namespace heddle::train {
namespace {

/// The functions of the C API that training needs, by name and with their own types.
struct Library {
  decltype(&XGBGetLastError) last_error = nullptr;
  decltype(&XGBSetGlobalConfig) set_global_config = nullptr;
  decltype(&XGDMatrixCreateFromDense) matrix_create = nullptr;
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

Result<void> fill(const Library& library, const RowsView& rows,
                  const std::vector<std::string>& names, void** matrix) {
  const std::string array = array_interface(rows.features, rows.count, rows.columns);
  if (library.matrix_create(array.c_str(), R"({"missing": NaN, "nthread": 1})", matrix) != 0)
    return failed(library, "read the rows");
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

}  // namespace

Result<std::vector<float>> xgboost_margins(std::string_view model, std::span<const float> features,
                                           std::int64_t rows, std::int64_t columns) {
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
      R"({"type": 1, "training": false, "iteration_begin": 0, "iteration_end": 0, "strict_shape": false})";
  if (library.booster_predict(booster.raw, matrix.raw, kMargins, &shape, &dimensions, &values) != 0)
    return failed(library, "predict");
  bst_ulong count = 1;
  for (bst_ulong i = 0; i < dimensions; ++i) count *= shape[i];
  if (count != static_cast<bst_ulong>(rows)) {
    return Error{ErrorKind::kInvalid, "train-margins",
                 fmt::format("XGBoost gives {} margins for {} rows", count, rows),
                 "a model of one margin a row is needed"};
  }
  return std::vector<float>(values, values + rows);
}

Result<Trained> train_xgboost(const TrainInput& input) {
  HEDDLE_ASSIGN_OR_RETURN(const Library* opened, open_library());
  const Library& library = *opened;
  (void)library.set_global_config(R"({"verbosity": 0})");
  Handle train(library.matrix_free);
  Handle validation(library.matrix_free);
  Handle booster(library.booster_free);
  HEDDLE_TRY(fill(library, input.train, input.feature_names, &train.raw));
  const bool early = input.validation.count > 0 && input.early_stopping_rounds > 0;
  if (early) HEDDLE_TRY(fill(library, input.validation, input.feature_names, &validation.raw));
  void* const matrices[2] = {train.raw, validation.raw};
  if (library.booster_create(matrices, early ? 2 : 1, &booster.raw) != 0)
    return failed(library, "make a booster");

  spec::TrainerParameters parameters;
  parameters.values = {{"booster", "gbtree"},
                       {"tree_method", "hist"},
                       {"objective", "binary:logistic"},
                       {"base_score", "0.5"},
                       {"verbosity", "0"}};
  int max_rounds = input.max_rounds;
  for (const auto& parameter : input.parameters.values) {
    if (parameter.first != "rounds") {
      parameters.values.push_back(parameter);
      continue;
    }
    const std::string& text = parameter.second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), max_rounds);
    if (error != std::errc() || end != text.data() + text.size() || max_rounds < 1) {
      return Error{ErrorKind::kInvalid, "train-parameter",
                   fmt::format("trainer `xgboost` cannot take `rounds` = `{}`", text),
                   "it is the number of trees: 1 or more"};
    }
  }
  // What reproducibility rests on is not for a definition to change.
  for (const auto& [name, value] : std::initializer_list<std::pair<std::string, std::string>>{
           {"nthread", "1"},
           {"seed", std::to_string(input.seed & 0x7fffffff)},
           {"eval_metric", "logloss"}}) {
    parameters.values.emplace_back(name, value);
  }
  for (const auto& [name, value] : parameters.values) {
    if (library.booster_set_param(booster.raw, name.c_str(), value.c_str()) != 0) {
      return failed(library, fmt::format("take parameter `{}` = `{}`", name, value));
    }
  }

  int best = 0;
  int rounds = 0;
  double best_loss = std::numeric_limits<double>::infinity();
  for (; rounds < max_rounds; ++rounds) {
    if (library.booster_update(booster.raw, rounds, train.raw) != 0)
      return failed(library, "train");
    if (!early) continue;
    void* watched[1] = {validation.raw};
    const char* names[1] = {"validation"};
    const char* line = nullptr;
    if (library.booster_eval(booster.raw, rounds, watched, names, 1, &line) != 0)
      return failed(library, "evaluate a round");
    const double loss = parse_loss(line);
    if (loss < best_loss) {
      best_loss = loss;
      best = rounds;
    } else if (rounds - best >= input.early_stopping_rounds) {
      ++rounds;
      break;
    }
  }

  Trained trained;
  trained.rounds = early ? best + 1 : rounds;
  Handle sliced(library.booster_free);
  void* kept = booster.raw;
  if (trained.rounds < rounds) {
    if (library.booster_slice(booster.raw, 0, trained.rounds, 1, &sliced.raw) != 0)
      return failed(library, "cut the model at its best round");
    kept = sliced.raw;
  }
  bst_ulong size = 0;
  const char* bytes = nullptr;
  if (library.booster_save(kept, R"({"format": "json"})", &size, &bytes) != 0)
    return failed(library, "write the model");
  trained.model.assign(bytes, size);
  return trained;
}

}  // namespace heddle::train
