#include "flow/step.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/file.hpp"
#include "doc/json.hpp"
#include "spec/load.hpp"
#include "spec/task.hpp"

namespace heddle::flow {

static_assert(std::endian::native == std::endian::little, "matrix files are little-endian");

namespace {

/// Of files whose digest is right: another program wrote them under that digest.
Error corrupt(std::string_view what) {
  return Error{ErrorKind::kCorrupt, "run-cache-corrupt", fmt::format("cached result: {}", what),
               "delete the folder `.heddle/runs/steps` and run `heddle run`: everything in it is "
               "computed again"};
}

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
  // Without the feature set nobody knows which contract is meant, so that is not told as missing
  // too.
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
    // The baseline is made for this monitor; of several services of one model the last by name
    // counts.
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
      // Without a place of its own, the beginning of the file is shown.
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
  // Which one is meant is never guessed: a run of the wrong model costs its whole search.
  if (model.empty() && project.models.size() != 1) {
    std::vector<std::string> names;
    for (const auto& [name, each] : project.models) names.push_back(name);
    return Error{ErrorKind::kInvalid, "model-unnamed",
                 names.empty() ? "the project has no model"
                               : fmt::format("the project has {} models", names.size()),
                 names.empty() ? "add one under `models/`"
                               : fmt::format("name one, for example `--model {}`: there are `{}`",
                                             names.front(), fmt::join(names, "`, `"))};
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
    return Error{ErrorKind::kInvalid, "definition-missing",
                 fmt::format("model `{}` has no {}", found->first, missing.front().what),
                 missing.front().hint};
  }
  return out;
}

table::Input Definitions::input() const { return spec::input_of(*project, model->source); }

void Work::finished(const std::string& step, const Digest& key, const StepRecord& record) {
  const std::lock_guard guard(mutex_);
  finished_[step] = {key, record};
}

Work::Done Work::done(const std::string& step) const {
  const std::lock_guard guard(mutex_);
  const auto found = finished_.find(step);
  // The scheduler starts a step when all that it declares has finished. To read another one would
  // be a race, and a key that lacks an input.
  HEDDLE_CHECK(found != finished_.end(), "a step reads one that it does not need");
  return found->second;
}

StepRecord Work::record(const std::string& step) const { return done(step).record; }

Result<std::string> Work::bytes(const std::string& step, const std::string& name) const {
  const Done from = done(step);
  return cache_.read(from.key, from.record, name);
}

Result<doc::Value> Work::json(const std::string& step, const std::string& name) const {
  HEDDLE_ASSIGN_OR_RETURN(const std::string text, bytes(step, name));
  return doc::parse_json(text);
}

Result<std::vector<float>> Work::floats(const std::string& step, const std::string& name) const {
  HEDDLE_ASSIGN_OR_RETURN(const std::string text, bytes(step, name));
  return floats_of(text);
}

void Work::note(const std::string& step, std::string text) {
  tell({Progress::Kind::kNote, step, std::move(text), 0});
}

void Work::tell(const Progress& progress) {
  // A lock of its own: a slow sink must not hold up steps that read.
  const std::lock_guard guard(telling_);
  if (progress_) progress_(progress);
}

Result<Work::Rows> Work::rows(Rows& slot, const std::string& name) {
  if (slot == nullptr) {
    const Done from = done("validate.rows");
    // Parquet is opened by its path, so the bytes are held against their digest first.
    HEDDLE_ASSIGN_OR_RETURN(const std::string path,
                            cache_.checked_path(from.key, from.record, name));
    HEDDLE_ASSIGN_OR_RETURN(auto read, table::read_table(path));
    slot = std::make_shared<const table::Table>(std::move(read));
  }
  return slot;
}

Result<Work::Rows> Work::accepted() {
  const std::lock_guard guard(reading_);
  return rows(accepted_, "accepted.parquet");
}

Result<Work::Rows> Work::received() {
  const std::lock_guard guard(reading_);
  // Without transforms the rows are accepted as they came.
  if (!record("validate.rows").files.contains("received.parquet"))
    return rows(accepted_, "accepted.parquet");
  return rows(received_, "received.parquet");
}

Result<Work::Rows> Work::reference() {
  const std::lock_guard guard(reading_);
  return rows(reference_, "reference.parquet");
}

void Work::keep_rows(Rows accepted, Rows received, Rows reference) {
  const std::lock_guard guard(reading_);
  accepted_ = std::move(accepted);
  received_ = std::move(received);
  reference_ = std::move(reference);
}

Result<std::shared_ptr<const table::Matrix>> Work::matrix(const std::string& part) {
  const std::lock_guard guard(reading_);
  auto& slot = matrices_[part];
  if (slot == nullptr) {
    HEDDLE_ASSIGN_OR_RETURN(const std::string text, bytes("features", part + ".f32"));
    HEDDLE_ASSIGN_OR_RETURN(auto matrix, matrix_of(text));
    slot = std::make_shared<const table::Matrix>(std::move(matrix));
  }
  return slot;
}

void Work::keep_matrix(const std::string& part, table::Matrix matrix) {
  const std::lock_guard guard(reading_);
  matrices_[part] = std::make_shared<const table::Matrix>(std::move(matrix));
}

Result<std::shared_ptr<const Labels>> Work::labels() {
  const std::lock_guard guard(reading_);
  if (labels_ == nullptr) {
    HEDDLE_ASSIGN_OR_RETURN(const auto task, json("split", "task.json"));
    HEDDLE_ASSIGN_OR_RETURN(const std::string text, bytes("split", "labels.f64"));
    Labels read;
    HEDDLE_ASSIGN_OR_RETURN(read.task, spec::task_schema().parse(task));
    HEDDLE_ASSIGN_OR_RETURN(read.codes, doubles_of(text));
    labels_ = std::make_shared<const Labels>(std::move(read));
  }
  return labels_;
}

Result<std::shared_ptr<const std::vector<std::int64_t>>> Work::kept() {
  const std::lock_guard guard(reading_);
  if (kept_ == nullptr) {
    HEDDLE_ASSIGN_OR_RETURN(const std::string text, bytes("validate.rows", "kept.i64"));
    // Places index the recorded rows below: one that is out of range would read past them.
    std::vector<std::int64_t> places(text.size() / sizeof(std::int64_t));
    std::memcpy(places.data(), text.data(), places.size() * sizeof(std::int64_t));
    const std::int64_t rows = source_.recorded->rows.rows();
    const bool is_whole = text.size() % sizeof(std::int64_t) == 0 &&
                          std::all_of(places.begin(), places.end(), [&](std::int64_t place) {
                            return place >= 0 && place < rows;
                          });
    if (!is_whole) return corrupt("a place of a row is none");
    kept_ = std::make_shared<const std::vector<std::int64_t>>(std::move(places));
  }
  return kept_;
}

Result<std::shared_ptr<const std::vector<Micros>>> Work::times() {
  {
    const std::lock_guard guard(reading_);
    // The lock is given back in between, because `kept` and `accepted` take it. Two threads may
    // do the same work then.
    if (times_ != nullptr) return times_;
  }
  std::vector<Micros> out;
  if (source_.recorded != nullptr) {
    HEDDLE_ASSIGN_OR_RETURN(const auto places, kept());
    for (const auto place : *places)
      out.push_back(source_.recorded->event_times[static_cast<std::size_t>(place)]);
  } else if (!definitions_.model->time_field.empty()) {
    HEDDLE_ASSIGN_OR_RETURN(const auto rows, accepted());
    HEDDLE_ASSIGN_OR_RETURN(const table::Column* column,
                            rows->column(definitions_.model->time_field));
    // The contract makes the time field a timestamp, which is held as integers.
    out = column->ints;
  }
  const std::lock_guard guard(reading_);
  times_ = std::make_shared<const std::vector<Micros>>(std::move(out));
  return times_;
}

void Work::keep_labels(Labels labels) {
  const std::lock_guard guard(reading_);
  labels_ = std::make_shared<const Labels>(std::move(labels));
}

const doc::Schema<RowSplit>& row_split_schema() {
  static const auto schema = [] {
    auto t = doc::Schema<RowSplit>::record("the split", "rows of each part");
    t.refused_as(ErrorKind::kCorrupt, "step-output", "run `heddle run` again");
    t.integer("rows", &RowSplit::rows, "all of them");
    t.integer("train_end", &RowSplit::train_end, "row after the last one that is trained on", 1);
    t.integer("validation_end", &RowSplit::validation_end, "row after the last one of validation");
    t.finally([](RowSplit& into, const doc::Value&, doc::Reader& reader) {
      // Each of the three parts has a row at least: metrics of none would be numbers without a
      // meaning.
      if (into.train_end >= into.validation_end || into.validation_end >= into.rows)
        reader.refuse("train_end", "must be below `validation_end`, and that below `rows`");
    });
    return t;
  }();
  return schema;
}

namespace {

std::string_view as_bytes(const void* data, std::size_t size) {
  return {static_cast<const char*>(data), size};
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

Result<table::Matrix> matrix_of(std::string_view bytes) {
  std::int64_t head[2];
  if (bytes.size() < sizeof head) return corrupt("a matrix has another size than its head says");
  std::memcpy(head, bytes.data(), sizeof head);
  table::Matrix matrix;
  matrix.rows = head[0];
  matrix.columns = static_cast<int>(head[1]);
  // The head is held against the size before anything is allocated by it.
  const std::size_t count = (bytes.size() - sizeof head) / sizeof(float);
  if (head[0] < 0 || head[1] < 0 || count != static_cast<std::size_t>(head[0] * head[1]))
    return corrupt("a matrix has another size than its head says");
  matrix.values.resize(count);
  std::memcpy(matrix.values.data(), bytes.data() + sizeof head, count * sizeof(float));
  return matrix;
}

Result<void> write_floats(const std::string& path, const std::vector<float>& values) {
  return write_file_atomic(path, as_bytes(values.data(), values.size() * sizeof(float)));
}

std::string_view bytes_of(const std::vector<double>& values) {
  return as_bytes(values.data(), values.size() * sizeof(double));
}

Result<std::vector<double>> doubles_of(std::string_view bytes) {
  if (bytes.size() % sizeof(double) != 0) return corrupt("a list of numbers ends inside one");
  std::vector<double> values(bytes.size() / sizeof(double));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

Result<std::vector<float>> floats_of(std::string_view bytes) {
  if (bytes.size() % sizeof(float) != 0) return corrupt("a list of floats ends inside one");
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

}  // namespace heddle::flow
