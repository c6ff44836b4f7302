#include "flow/step.hpp"

#include <bit>
#include <cstring>
#include <filesystem>

#include "base/file.hpp"
#include "doc/json.hpp"

namespace heddle::flow {

static_assert(std::endian::native == std::endian::little, "matrix files are little-endian");

namespace {

/// A definition that a model's run needs.
struct Missing {
  std::string what;
  std::string hint;
};

/// Fills `out` for `model`; what the project has none of, all at once.
std::vector<Missing> resolve(Definitions& out, const spec::Model& model) {
  const spec::Project& project = *out.project;
  const std::string& name = model.identity.name;
  std::vector<Missing> missing;
  out.model = &model;
  if (const auto features = project.feature_sets.find(model.features);
      features == project.feature_sets.end()) {
    missing.push_back({"feature set", fmt::format("add a FeatureSet named `{}` under `features/`",
                                                  model.features)});
  } else {
    out.features = &features->second;
    const auto contract = project.contracts.find(out.features->contract);
    if (contract == project.contracts.end()) {
      missing.push_back({"contract", fmt::format("add a contract named `{}` under `contracts/`",
                                                 out.features->contract)});
    } else {
      out.contract = &contract->second;
    }
  }
  for (const auto& [each, evaluation] : project.evaluations) {
    if (evaluation.model == name) out.evaluation = &evaluation;
  }
  if (out.evaluation == nullptr) {
    missing.push_back(
        {"evaluation",
         fmt::format(
             "add an Evaluation with `model: {}` under `evaluations/`; `heddle schema Evaluation` "
             "has its keys",
             name)});
  }
  for (const auto& [each, service] : project.services) {
    const auto monitor = project.monitors.find(service.monitor);
    if (service.model == name && monitor != project.monitors.end()) out.monitor = &monitor->second;
  }
  if (out.monitor == nullptr) {
    missing.push_back(
        {"service with a monitor",
         fmt::format("add a Service with `model: {}` and `monitor` under `services/`", name)});
  }
  if (!project.sources.contains(model.source)) {
    missing.push_back(
        {"source", fmt::format("add `{}` to `sources` of heddle.yaml", model.source)});
  }
  return missing;
}

}  // namespace

std::vector<doc::Diagnostic> missing_definitions(const spec::Project& project) {
  std::vector<doc::Diagnostic> out;
  for (const auto& [name, model] : project.models) {
    Definitions definitions;
    definitions.project = &project;
    for (auto& missing : resolve(definitions, model)) {
      doc::Diagnostic diagnostic;
      diagnostic.id = "definition-missing";
      diagnostic.message =
          fmt::format("model `{}` has no {}: it cannot be planned or run", name, missing.what);
      diagnostic.file = model.identity.file;
      const auto* named = model.identity.content.find("name");
      if (named != nullptr) diagnostic.position = named->position();
      if (diagnostic.position.line < 1) diagnostic.position = {1, 1};
      diagnostic.length = static_cast<int>(name.size());
      diagnostic.hint = std::move(missing.hint);
      out.push_back(std::move(diagnostic));
    }
  }
  return out;
}

Result<Definitions> Definitions::of(const spec::Project& project, const std::string& model) {
  Definitions out;
  out.project = &project;
  if (model.empty() && project.models.size() != 1) {
    std::vector<std::string> names;
    for (const auto& [name, each] : project.models) names.push_back(name);
    return Error{ErrorKind::kInvalid, "model-unnamed",
                 names.empty() ? "the project has no model"
                               : fmt::format("the project has {} models", names.size()),
                 names.empty() ? "add one under `models/`"
                               : fmt::format("name one: `{}`", fmt::join(names, "`, `"))};
  }
  const auto found = model.empty() ? project.models.begin() : project.models.find(model);
  if (found == project.models.end()) {
    std::vector<std::string> names;
    for (const auto& [name, each] : project.models) names.push_back(name);
    return Error{ErrorKind::kNotFound, "model-unknown",
                 fmt::format("there is no model `{}`", model),
                 fmt::format("there is `{}`", fmt::join(names, "`, `"))};
  }
  const auto missing = resolve(out, found->second);
  if (!missing.empty()) {
    return Error{ErrorKind::kNotFound, "definition-missing",
                 fmt::format("model `{}` has no {}", found->first, missing.front().what),
                 missing.front().hint};
  }
  return out;
}

std::string Definitions::source_path() const {
  const std::string& path = project->sources.at(model->source);
  return std::filesystem::path(path).is_absolute() ? path : project->root + "/" + path;
}

void Work::finished(const std::string& step, const Digest& key, const StepRecord& record) {
  const std::lock_guard guard(mutex_);
  finished_[step] = {key, record};
}

std::string Work::file(const std::string& step, const std::string& name) const {
  const std::lock_guard guard(mutex_);
  const auto found = finished_.find(step);
  HEDDLE_CHECK(found != finished_.end(), "a step reads one that it does not need");
  return cache_.directory(found->second.first) + "/" + name;
}

StepRecord Work::record(const std::string& step) const {
  const std::lock_guard guard(mutex_);
  const auto found = finished_.find(step);
  HEDDLE_CHECK(found != finished_.end(), "a step reads one that it does not need");
  return found->second.second;
}

void Work::note(const std::string& step, std::string text) {
  tell({Progress::Kind::kNote, step, std::move(text), 0});
}

void Work::tell(const Progress& progress) {
  const std::lock_guard guard(telling_);
  if (progress_) progress_(progress);
}

Result<std::shared_ptr<const table::Table>> Work::accepted() {
  const std::lock_guard guard(reading_);
  if (accepted_ == nullptr) {
    HEDDLE_ASSIGN_OR_RETURN(auto rows,
                            table::read_table(file("validate.rows", "accepted.parquet")));
    accepted_ = std::make_shared<const table::Table>(std::move(rows));
  }
  return accepted_;
}

Result<std::shared_ptr<const table::Table>> Work::received() {
  const std::string path = file("validate.rows", "received.parquet");
  if (!path_exists(path)) return accepted();  // the contract has no transforms
  HEDDLE_ASSIGN_OR_RETURN(auto rows, table::read_table(path));
  return std::make_shared<const table::Table>(std::move(rows));
}

Result<std::shared_ptr<const table::Matrix>> Work::matrix(const std::string& part) {
  const std::lock_guard guard(reading_);
  auto& slot = matrices_[part];
  if (slot == nullptr) {
    HEDDLE_ASSIGN_OR_RETURN(auto matrix, read_matrix(file("features", part + ".f32")));
    slot = std::make_shared<const table::Matrix>(std::move(matrix));
  }
  return slot;
}

Result<std::shared_ptr<const std::vector<std::uint8_t>>> Work::labels() {
  const std::lock_guard guard(reading_);
  if (labels_ == nullptr) {
    HEDDLE_ASSIGN_OR_RETURN(const std::string bytes, read_file(file("split", "labels.u8")));
    labels_ = std::make_shared<const std::vector<std::uint8_t>>(bytes.begin(), bytes.end());
  }
  return labels_;
}

doc::Value Parts::to_value() const {
  return doc::Value::object(
      {{"rows", rows}, {"train_end", train_end}, {"validation_end", validation_end}});
}

Parts Parts::from_value(const doc::Value& value) {
  return {value.int_or("rows"), value.int_or("train_end"), value.int_or("validation_end")};
}

namespace {

std::string_view as_bytes(const void* data, std::size_t size) {
  return {static_cast<const char*>(data), size};
}

Error corrupt(const std::string& path) {
  return Error{ErrorKind::kCorrupt, "run-cache-corrupt", fmt::format("`{}` is damaged", path),
               "delete the folder `.heddle/runs/steps` and run `heddle run`: everything in it is "
               "computed again"};
}

}  // namespace

Result<void> write_matrix(const std::string& path, const table::Matrix& matrix) {
  std::string bytes;
  const std::int64_t head[2] = {matrix.rows, matrix.columns};
  bytes.reserve(sizeof head + matrix.values.size() * sizeof(float));
  bytes.append(as_bytes(head, sizeof head));
  bytes.append(as_bytes(matrix.values.data(), matrix.values.size() * sizeof(float)));
  return write_file_atomic(path, bytes);
}

Result<table::Matrix> read_matrix(const std::string& path) {
  HEDDLE_ASSIGN_OR_RETURN(const std::string bytes, read_file(path));
  std::int64_t head[2];
  if (bytes.size() < sizeof head) return corrupt(path);
  std::memcpy(head, bytes.data(), sizeof head);
  table::Matrix matrix;
  matrix.rows = head[0];
  matrix.columns = static_cast<int>(head[1]);
  const std::size_t count = (bytes.size() - sizeof head) / sizeof(float);
  if (head[0] < 0 || head[1] < 0 || count != static_cast<std::size_t>(head[0] * head[1]))
    return corrupt(path);
  matrix.values.resize(count);
  std::memcpy(matrix.values.data(), bytes.data() + sizeof head, count * sizeof(float));
  return matrix;
}

Result<void> write_floats(const std::string& path, const std::vector<float>& values) {
  return write_file_atomic(path, as_bytes(values.data(), values.size() * sizeof(float)));
}

Result<std::vector<float>> read_floats(const std::string& path) {
  HEDDLE_ASSIGN_OR_RETURN(const std::string bytes, read_file(path));
  if (bytes.size() % sizeof(float) != 0) return corrupt(path);
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

}  // namespace heddle::flow
