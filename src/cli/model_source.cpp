#include "cli/model_source.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/file.hpp"
#include "cli/model_registry.hpp"
#include "doc/items.hpp"
#include "doc/json.hpp"
#include "doc/yaml.hpp"

namespace heddle::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kMostModelBytes = std::uintmax_t{512} << 20;
constexpr const char* kTrainers = "trainers/";

Result<void> check_model_size(std::uintmax_t bytes, const std::string& what) {
  if (bytes <= kMostModelBytes) return {};
  return Error{
      ErrorKind::kTooLarge, "adopt-too-large",
      fmt::format("`{}` has {} MB: a model is a part of the project's commits, and {} MB "
                  "are the most",
                  what, bytes >> 20, kMostModelBytes >> 20),
      "serve it where it is, as a `runtime` of `kind: upstream` (docs/formats/runtime.md)"};
}

Result<void> add_model_file(draft::ModelFiles& files, const std::string& path,
                            const fs::path& from) {
  std::error_code failed;
  HEDDLE_TRY(check_model_size(fs::file_size(from, failed), from.string()));
  HEDDLE_ASSIGN_OR_RETURN(auto bytes, read_file(from.string()));
  files.all.push_back({path, std::move(bytes)});
  return {};
}

/// The file that the model's own library reads, by what MLflow calls the flavor.
struct Flavor {
  const char* name;
  const char* file;  ///< the member that names it
};
constexpr Flavor kFlavors[] = {{"sklearn", "pickled_model"},
                               {"xgboost", "data"},
                               {"lightgbm", "data"},
                               {"catboost", "data"},
                               {"onnx", "data"}};

std::string mlflow_type(const std::string& mlflow) {
  // The names of MLflow's `DataType`.
  if (mlflow == "double" || mlflow == "float") return "number";
  if (mlflow == "long" || mlflow == "integer") return "integer";
  if (mlflow == "boolean" || mlflow == "string") return mlflow;
  return mlflow == "datetime" ? "timestamp" : "";
}

Error bad_signature(const std::string& described, std::string_view why) {
  return {ErrorKind::kCorrupt, "adopt-mlmodel",
          fmt::format("the signature in `{}` cannot be read: {}", described, why),
          "log the model again with MLflow, or name the model's own file"};
}

/// Columns of the signature's `inputs`, a text of JSON; none where the model has no signature, one
/// of tensors, or one of columns without names. A signature that is there and cannot be read is an
/// error: what it says would be lost.
Result<std::vector<train::SignatureFeature>> mlflow_columns(const doc::Value& mlmodel,
                                                            const std::string& described) {
  std::vector<train::SignatureFeature> out;
  const doc::Value* const signature = mlmodel.find("signature");
  if (signature == nullptr || signature->is_null()) return out;
  const doc::Value* const written = signature->is_object() ? signature->find("inputs") : nullptr;
  if (written == nullptr || !written->is_string())
    return bad_signature(described, "`inputs` must be a text of JSON");
  const auto inputs = doc::parse_json(written->as_string());
  if (!inputs.ok()) return bad_signature(described, inputs.error().message);
  if (!inputs->is_array()) return bad_signature(described, "`inputs` must be a list");
  bool is_unnamed = false;
  for (const auto& each : inputs->as_array()) {
    const doc::Value* const type = each.is_object() ? each.find("type") : nullptr;
    if (type == nullptr || !type->is_string())
      return bad_signature(described, "each of its `inputs` needs a `type`");
    // A tensor has no columns to be named.
    if (type->as_string() == "tensor") return std::vector<train::SignatureFeature>{};
    const doc::Value* const name = each.find("name");
    is_unnamed = is_unnamed || name == nullptr;
    if (name != nullptr && !name->is_string())
      return bad_signature(described, "the `name` of an input must be a text");
    if (name != nullptr) out.push_back({name->as_string(), mlflow_type(type->as_string()), {}});
  }
  if (!is_unnamed) return out;
  if (!out.empty()) return bad_signature(described, "some of its `inputs` have no `name`");
  return out;
}

/// What is opened of an MLflow model: a native flavor's file, else `MLmodel` itself, which MLflow
/// reads.
std::string mlflow_main(const doc::Value& mlmodel) {
  const doc::Value* const flavors = mlmodel.find("flavors");
  if (flavors == nullptr || !flavors->is_object()) return "";
  for (const auto& each : kFlavors) {
    const doc::Value* const found = flavors->find(each.name);
    if (found == nullptr || !found->is_object()) continue;
    const std::string file = found->string_or(each.file);
    // A path that leads out of the folder is no file of the model.
    const bool is_plain =
        !file.empty() && file.front() != '/' && file.find("..") == std::string::npos;
    if (is_plain) return file;
  }
  return flavors->find("python_function") == nullptr ? "" : "MLmodel";
}

Result<ModelSource> mlflow_folder(const fs::path& folder, const std::string& named) {
  const std::string described = (folder / "MLmodel").string();
  if (!path_exists(described)) {
    return Error{ErrorKind::kNotFound, "adopt-missing",
                 fmt::format("the folder `{}` has no file `MLmodel`: it is no MLflow model", named),
                 "name the model's file, or the folder that `mlflow` wrote"};
  }
  HEDDLE_ASSIGN_OR_RETURN(const std::string text, read_file(described));
  auto mlmodel = doc::parse_yaml(text, described);
  const std::string main = mlmodel.ok() ? mlflow_main(*mlmodel) : "";
  if (!mlmodel.ok() || main.empty()) {
    return Error{ErrorKind::kCorrupt, "adopt-mlmodel",
                 mlmodel.ok()
                     ? fmt::format("`{}` names no flavor that can be asked", described)
                     : fmt::format("`{}` cannot be read: {}", described, mlmodel.error().message),
                 "log the model again with MLflow; the flavors are sklearn, xgboost, lightgbm, "
                 "catboost, onnx and python_function"};
  }
  ModelSource out;
  HEDDLE_ASSIGN_OR_RETURN(out.columns, mlflow_columns(*mlmodel, described));
  const std::string below = std::string(kTrainers) + "model/";
  out.files.main = below + main;
  std::uintmax_t bytes = 0;
  std::error_code failed;
  std::vector<fs::path> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder, failed)) {
    // A link may lead out of the folder.
    if (entry.is_symlink() || !entry.is_regular_file()) continue;
    found.push_back(entry.path());
    bytes += entry.file_size();
  }
  HEDDLE_TRY(check_model_size(bytes, named));
  // Sorted, so that the same folder gives the same draft.
  std::sort(found.begin(), found.end());
  const bool is_whole = main == "MLmodel";
  bool has_main = false;
  for (const auto& path : found) {
    const std::string relative = path.lexically_relative(folder).string();
    has_main = has_main || relative == main;
    // Of a native flavor its file is the model; the rest describes it.
    if (!is_whole && relative != main && relative != "MLmodel") continue;
    HEDDLE_TRY(add_model_file(out.files, below + relative, path));
    if (relative != main) out.files.more.push_back(below + relative);
  }
  if (has_main) return out;
  return Error{ErrorKind::kCorrupt, "adopt-mlmodel",
               fmt::format("`{}` names `{}`, which is not there", described, main),
               "copy the whole folder, or log the model again"};
}

Result<ModelSource> single_file(const fs::path& path) {
  ModelSource out;
  const std::string name = path.filename().string();
  out.files.main = kTrainers + name;
  HEDDLE_TRY(add_model_file(out.files, out.files.main, path));
  return out;
}

Result<ModelSource> source_by_kind(const std::string& text, const std::string& tracking) {
  if (text.starts_with("models:/")) {
    HEDDLE_ASSIGN_OR_RETURN(const Downloaded model, download_model(text, tracking));
    HEDDLE_ASSIGN_OR_RETURN(auto out, mlflow_folder(model.folder(), text));
    out.origin = model.origin();
    return out;
  }
  if (text.find("://") != std::string::npos) {
    return Error{ErrorKind::kInvalid, "adopt-uri",
                 fmt::format("`{}` is no model that `init` can open", text),
                 "name a file, an MLflow folder or `models:/NAME@ALIAS`; an endpoint is served "
                 "by a Model with a `runtime` of `kind: upstream` (docs/formats/runtime.md)"};
  }
  const fs::path path(text);
  std::error_code failed;
  if (!fs::exists(path, failed)) {
    return Error{ErrorKind::kNotFound, "adopt-missing", fmt::format("there is no file `{}`", text),
                 "check the path of `--model`"};
  }
  if (fs::is_directory(path, failed)) return mlflow_folder(path, text);
  if (path.filename() == "MLmodel") return mlflow_folder(fs::absolute(path).parent_path(), text);
  return single_file(path);
}

bool is_path_taken(const ModelSource& source, const std::string& path) {
  return std::any_of(source.files.all.begin(), source.files.all.end(),
                     [&](const draft::File& each) { return each.path == path; });
}

}  // namespace

Result<ModelSource> find_model(const std::string& text, const std::string& tracking,
                               const std::vector<std::string>& modules) {
  HEDDLE_ASSIGN_OR_RETURN(auto out, source_by_kind(text, tracking));
  out.files.from = text;
  for (const auto& module : modules) {
    const std::string path = kTrainers + fs::path(module).filename().string();
    if (!path_exists(module) || is_path_taken(out, path)) {
      return Error{ErrorKind::kInvalid, "adopt-module",
                   path_exists(module) ? fmt::format("two files are called `{}`", path)
                                       : fmt::format("there is no file `{}`", module),
                   "check the path of `--module`"};
    }
    HEDDLE_TRY(add_model_file(out.files, path, module));
    out.files.more.push_back(path);
  }
  return out;
}

Result<void> complete(train::Signature& signature,
                      const std::vector<train::SignatureFeature>& columns) {
  if (columns.empty()) return {};
  std::vector<std::string> names;
  for (const auto& each : columns) names.push_back(each.name);
  if (columns.size() != signature.features.size()) {
    return Error{
        ErrorKind::kUnprocessable, "adopt-signatures-differ",
        fmt::format("the MLflow signature has {} columns, `{}`, and the model itself reads "
                    "{} features",
                    columns.size(), fmt::join(names, "`, `"), signature.features.size()),
        "log the model again with the signature of the rows that it was fitted on"};
  }
  for (std::size_t i = 0; i < columns.size(); ++i) {
    auto& feature = signature.features[i];
    // A model without names has the columns in their order.
    if (!signature.is_named) feature.name = columns[i].name;
    const auto found = std::find_if(columns.begin(), columns.end(),
                                    [&](const auto& each) { return each.name == feature.name; });
    if (found == columns.end()) {
      return Error{ErrorKind::kUnprocessable, "adopt-signatures-differ",
                   fmt::format("the model itself reads `{}`, and the MLflow signature has `{}`",
                               feature.name, fmt::join(names, "`, `")),
                   "log the model again with the signature of the rows that it was fitted on"};
    }
    if (feature.type.empty()) feature.type = found->type;
  }
  signature.is_named = true;
  std::erase(signature.unsaid, "the types of its features");
  return {};
}

std::string find_python(const std::string& wanted) {
  const char* const active = std::getenv("VIRTUAL_ENV");
  std::string path = wanted;
  if (path.empty() && active != nullptr) path = active;
  if (path.empty() && path_exists(".venv/bin/python")) path = ".venv";
  if (path.empty()) return "python3";
  const bool is_name = path.find('/') == std::string::npos && !path_exists(path);
  // A name on PATH, or a reference that is resolved where it is run.
  if (is_name || path.starts_with("${")) return path;
  std::error_code failed;
  return fs::absolute(path, failed).lexically_normal().string();
}

}  // namespace heddle::cli
