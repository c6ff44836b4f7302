// Steps of a model whose trainer is a program of the project's own.
#include <algorithm>
#include <bit>
#include <cmath>
#include <filesystem>
#include <limits>

#include "base/file.hpp"
#include "doc/json.hpp"
#include "flow/bodies.hpp"
#include "flow/own.hpp"
#include "flow/recorded.hpp"
#include "model/scorer.hpp"
#include "model/task_link.hpp"
#include "score/plan.hpp"
#include "spec/task.hpp"
#include "stats/quality.hpp"
#include "train/train.hpp"

namespace heddle::flow {
namespace {

using spec::Runtime;

/// How one side's answers to the validation rows lie to the model's own.
struct Parity {
  std::int64_t rows = 0;
  std::int64_t equal = 0;  ///< rows whose answers are the same floats
  double largest = 0;      ///< difference, as the tolerance is meant
  double tolerance = 0;

  [[nodiscard]] bool holds() const noexcept { return largest <= tolerance; }
  [[nodiscard]] std::string text() const {
    return equal == rows ? fmt::format("equal on all {} validation rows", rows)
                         : fmt::format("within {:.2g} on {} validation rows, {} of them equal",
                                       largest, rows, equal);
  }
  [[nodiscard]] doc::Value value() const {
    return doc::Value::object({{"rows", rows},
                               {"equal", equal},
                               {"largest_difference", largest},
                               {"tolerance", tolerance}});
  }
};

Parity compare(const stats::Task& task, std::span<const float> wanted, std::span<const float> got,
               double tolerance) {
  Parity out;
  out.tolerance = tolerance;
  const std::size_t outputs = task.outputs();
  out.rows = static_cast<std::int64_t>(wanted.size() / outputs);
  for (std::size_t at = 0; at < wanted.size(); at += outputs) {
    bool is_equal = true;
    for (std::size_t i = at; i < at + outputs; ++i) {
      const bool is_same =
          std::bit_cast<std::uint32_t>(wanted[i]) == std::bit_cast<std::uint32_t>(got[i]);
      is_equal = is_equal && (is_same || wanted[i] == got[i]);
      // A value's unit may be anything: the share counts, as for a runtime.
      const double scale = task.kind == stats::TaskKind::kRegression
                               ? std::max(1.0, std::abs(static_cast<double>(wanted[i])))
                               : 1.0;
      const double difference =
          std::abs(static_cast<double>(wanted[i]) - static_cast<double>(got[i])) / scale;
      out.largest = std::isnan(difference) ? std::numeric_limits<double>::infinity()
                                           : std::max(out.largest, difference);
    }
    out.equal += is_equal ? 1 : 0;
  }
  return out;
}

/// `wanted` of the rows with their labels, evenly spaced; all when it is 0.
Result<void> take_part(table::Table& rows, std::vector<double>& codes, std::int64_t wanted) {
  if (wanted <= 0 || wanted >= rows.rows()) return {};
  const auto at = train::evenly_spaced(rows.rows(), wanted);
  rows = rows.take(at);
  std::vector<double> kept;
  kept.reserve(at.size());
  for (const std::int64_t row : at) kept.push_back(codes[static_cast<std::size_t>(row)]);
  codes = std::move(kept);
  return {};
}

std::vector<double> part(const std::vector<double>& codes, std::int64_t begin, std::int64_t end) {
  return {codes.begin() + begin, codes.begin() + end};
}

Result<train::OwnRows> rows_of(Work& work, std::int64_t wanted) {
  const spec::Exec& exec = *work.definitions().model->exec;
  HEDDLE_ASSIGN_OR_RETURN(const RowSplit parts, split_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto labels, work.labels());
  train::OwnRows out;
  if (exec.inputs == Runtime::Inputs::kFeatures) {
    HEDDLE_ASSIGN_OR_RETURN(const auto program, program_of(work));
    const std::vector<std::string> names(program.feature_names().begin(),
                                         program.feature_names().end());
    HEDDLE_ASSIGN_OR_RETURN(const auto train, work.matrix("train"));
    HEDDLE_ASSIGN_OR_RETURN(const auto valid, work.matrix("validation"));
    out.train = columns_of(*train, names);
    out.valid = columns_of(*valid, names);
  } else {
    HEDDLE_ASSIGN_OR_RETURN(const auto contract, contract_of(work));
    HEDDLE_ASSIGN_OR_RETURN(const auto accepted, work.accepted());
    HEDDLE_ASSIGN_OR_RETURN(
        out.train, fields_of(accepted->slice(0, parts.train_end), contract.request_fields()));
    HEDDLE_ASSIGN_OR_RETURN(out.valid,
                            fields_of(accepted->slice(parts.train_end, parts.validation_end),
                                      contract.request_fields()));
  }
  out.train_codes = part(labels->codes, 0, parts.train_end);
  out.valid_codes = part(labels->codes, parts.train_end, parts.validation_end);
  HEDDLE_TRY(take_part(out.train, out.train_codes, wanted));
  const std::int64_t of_valid = wanted > 0 ? std::max<std::int64_t>(wanted / 2, 1) : 0;
  HEDDLE_TRY(take_part(out.valid, out.valid_codes, of_valid));
  return out;
}

/// Why the engine cannot score this file in place of the model; empty: it can.
std::string unfit(const Result<std::unique_ptr<model::Scorer>>& scorer, const stats::Task& task,
                  const std::vector<std::string>& names) {
  if (!scorer.ok()) return scorer.error().message;
  const model::Scorer& loaded = **scorer;
  // Any of these would give answers, to other questions than the model was asked.
  if (static_cast<std::size_t>(loaded.features()) != names.size())
    return fmt::format("it reads {} features, there are {}", loaded.features(), names.size());
  if (const auto checked = model::check_task(loaded, task); !checked.ok())
    return checked.error().message;
  const auto& use = loaded.use();
  if (use.named_categories) return "it reads categories, whose codes the engine does not know";
  if (!use.feature_names.empty() && use.feature_names != names)
    return "it names its features otherwise than the feature set does";
  return {};
}

std::vector<float> predictions_of(const model::Scorer& scorer, const table::Matrix& matrix,
                                  const stats::Task& task) {
  std::vector<float> out(static_cast<std::size_t>(matrix.rows) * task.outputs());
  scorer.margins(matrix.values.data(), matrix.rows, out.data());
  for (std::size_t at = 0; at < out.size(); at += task.outputs()) {
    const auto row = std::span(out).subspan(at, task.outputs());
    task.predict(row, row);
  }
  return out;
}

/// Who scores the model, and what was found of it.
struct Chosen {
  bool by_engine = false;
  std::string why{};
  Parity parity{};
  std::vector<float> margins{};  ///< of validation and test rows
};

Result<Chosen> try_engine(Work& work, const train::OwnFitted& fitted) {
  const spec::Exec& exec = *work.definitions().model->exec;
  Chosen chosen;
  // The engine is tried in this order of cost: what is written, what the trainer left, what the
  // file says, and last every validation row.
  if (!exec.may_use_engine) {
    chosen.why = "the Model asks for a worker";
    return chosen;
  }
  if (fitted.engine_format.empty()) {
    chosen.why = fitted.no_engine;
    return chosen;
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto labels, work.labels());
  HEDDLE_ASSIGN_OR_RETURN(const auto program, program_of(work));
  const std::vector<std::string> names(program.feature_names().begin(),
                                       program.feature_names().end());
  const auto scorer = model::Scorer::load(fitted.engine_model);
  chosen.why = unfit(scorer, labels->task, names);
  if (!chosen.why.empty()) return chosen;
  HEDDLE_ASSIGN_OR_RETURN(const auto validation, work.matrix("validation"));
  HEDDLE_ASSIGN_OR_RETURN(const auto test, work.matrix("test"));
  chosen.parity =
      compare(labels->task, fitted.predictions, predictions_of(**scorer, *validation, labels->task),
              exec.worker.tolerance);
  if (!chosen.parity.holds()) {
    chosen.why = fmt::format(
        "the engine's answers differ by up to {:.3g} from the model's own, "
        "more than the tolerance of {:.3g}",
        chosen.parity.largest, exec.worker.tolerance);
    return chosen;
  }
  // Only a file whose answers were compared takes the worker's place.
  chosen.by_engine = true;
  chosen.why = fmt::format("as {}: {}", fitted.engine_format, chosen.parity.text());
  const std::size_t outputs = labels->task.outputs();
  const auto first = static_cast<std::size_t>(validation->rows) * outputs;
  chosen.margins.resize(first + static_cast<std::size_t>(test->rows) * outputs);
  (*scorer)->margins(validation->values.data(), validation->rows, chosen.margins.data());
  (*scorer)->margins(test->values.data(), test->rows, chosen.margins.data() + first);
  return chosen;
}

/// The runtime of a worker that answers with the model.
Runtime worker_of(const spec::Exec& exec, const stats::Task& task) {
  Runtime out = exec.worker;
  out.kind = Runtime::Kind::kProcess;
  out.inputs = exec.inputs;
  out.output = spec::output_name(task.kind);
  out.command = {exec.python, std::string(train::kOwnServe)};
  return out;
}

/// Starts the worker as a data plane would, and asks it for the validation and test rows.
Result<std::vector<float>> ask_worker(Work& work, const Runtime& runtime,
                                      const train::OwnFitted& fitted) {
  HEDDLE_ASSIGN_OR_RETURN(const auto contract, contract_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto program, program_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto rows, work.accepted());
  HEDDLE_ASSIGN_OR_RETURN(const RowSplit parts, split_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto labels, work.labels());
  const auto endpoint = runtime::Endpoint::start(
      runtime, score::Plan::shape_of(contract, program, runtime.inputs, labels->task),
      fitted.worker_files, host_of(work));
  if (!endpoint.ok()) {
    // A worker that ends while it loads its model is the model's fault; everything else is not.
    if (endpoint.error().id != "runtime-exited") return endpoint.error();
    return Error{ErrorKind::kUnprocessable, "own-not-loaded",
                 fmt::format("what the trainer returned, a `{}`, cannot be loaded again: {}",
                             fitted.returned, endpoint.error().message),
                 "a worker starts from the pickled model in a new process: load it there by hand"};
  }
  HEDDLE_ASSIGN_OR_RETURN(auto answers, score::Plan::ask(**endpoint, contract, program,
                                                         rows->slice(parts.train_end, parts.rows)));
  const auto none =
      std::find_if(answers.begin(), answers.end(), [](float each) { return std::isnan(each); });
  if (none == answers.end()) return answers;
  return Error{ErrorKind::kUnprocessable, "runtime-no-answer",
               fmt::format("the model gives no answer for accepted row {}",
                           parts.train_end + (none - answers.begin()) /
                                                 static_cast<std::int64_t>(labels->task.outputs())),
               "it must answer every row that the contract accepts, missing values included"};
}

Result<void> use_worker(Work& work, const std::string& directory, const train::OwnFitted& fitted,
                        Chosen& chosen, StepRecord& record) {
  const spec::Exec& exec = *work.definitions().model->exec;
  HEDDLE_ASSIGN_OR_RETURN(const auto labels, work.labels());
  const Runtime runtime = worker_of(exec, labels->task);
  // The pickled model, in a new process: what is released is what is compared.
  HEDDLE_ASSIGN_OR_RETURN(const auto answers, ask_worker(work, runtime, fitted));
  chosen.parity =
      compare(labels->task, fitted.predictions, std::span(answers).first(fitted.predictions.size()),
              exec.worker.tolerance);
  if (!chosen.parity.holds()) {
    return Error{ErrorKind::kUnprocessable, "own-worker-differs",
                 fmt::format("loaded again in a worker, the model answers the validation rows "
                             "otherwise than it did when it was trained, by up to {:.3g}",
                             chosen.parity.largest),
                 "what it answers must follow from the row alone: look for state that is not "
                 "pickled, or randomness at prediction"};
  }
  chosen.margins = stats::margins_of(labels->task, answers);
  HEDDLE_ASSIGN_OR_RETURN(record.outputs["files"],
                          write_output(directory, "files.tar", fitted.worker_files));
  HEDDLE_ASSIGN_OR_RETURN(record.outputs["runtime"],
                          write_json(directory, "runtime.json", runtime::to_value(runtime)));
  record.outputs["model"] = sha256(record.outputs["runtime"].str() + record.outputs["files"].str());
  return {};
}

/// `trainer.json`: what trained the model, where, and who answers with it.
doc::Value evidence_of(const spec::Exec& exec, const train::OwnFitted& fitted,
                       const Chosen& chosen) {
  doc::Value::Array sources;
  for (const auto& source : exec.sources) {
    sources.push_back(
        doc::Value::object({{"path", source.path}, {"digest", sha256(source.bytes).str()}}));
  }
  auto out = doc::Value::object(
      {{"format", "heddle.trainer/1"},
       {"file", exec.file},
       {"sources", std::move(sources)},
       {"environment",
        doc::Value::object({{"python", fitted.python}, {"packages", fitted.packages}})},
       {"sandbox", runtime::text_of(fitted.layers)},
       {"returned", fitted.returned},
       {"scored_by", chosen.by_engine ? "engine" : "worker"},
       {"why", chosen.why},
       {"parity", chosen.parity.value()}});
  if (!fitted.adopted.is_null()) out.set("adopted", fitted.adopted);
  return out;
}

}  // namespace

table::Table columns_of(const table::Matrix& matrix, const std::vector<std::string>& names) {
  std::vector<table::Column> columns;
  for (int c = 0; c < matrix.columns; ++c) {
    table::Column column;
    column.name = names[static_cast<std::size_t>(c)];
    column.type = table::Type::kDouble;
    column.doubles.reserve(static_cast<std::size_t>(matrix.rows));
    for (std::int64_t r = 0; r < matrix.rows; ++r)
      column.doubles.push_back(static_cast<double>(matrix.row(r)[c]));
    columns.push_back(std::move(column));
  }
  return std::move(*table::Table::make(std::move(columns)));
}

Result<table::Table> fields_of(const table::Table& rows, std::span<const spec::Field> fields) {
  std::vector<table::Column> columns;
  for (const auto& field : fields) {
    HEDDLE_ASSIGN_OR_RETURN(const table::Column* column, rows.column(field.name));
    columns.push_back(*column);
  }
  return table::Table::make(std::move(columns));
}

Result<train::OwnTraining> prepare_own(Work& work, const std::string& folder, std::int64_t wanted) {
  HEDDLE_ASSIGN_OR_RETURN(const auto rows, rows_of(work, wanted));
  return prepare_own_rows(work, folder, *work.definitions().model->exec, rows);
}

Result<train::OwnTraining> prepare_own_rows(Work& work, const std::string& folder,
                                            const spec::Exec& exec, const train::OwnRows& rows) {
  const Definitions& d = work.definitions();
  HEDDLE_ASSIGN_OR_RETURN(const auto contract, contract_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto program, program_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto labels, work.labels());
  HEDDLE_TRY(make_dirs(folder));
  HEDDLE_TRY(train::write_own_rows(folder, rows));
  HEDDLE_ASSIGN_OR_RETURN(const auto packed, train::own_files(exec));
  HEDDLE_TRY(write_file_atomic(folder + "/files.tar", packed));
  std::error_code error;
  const std::string at = std::filesystem::absolute(folder, error).string();
  train::OwnTraining out;
  out.file = exec.file;
  out.lock = exec.lock;
  out.python = exec.python;
  out.packed = at + "/files.tar";
  out.rows = at;
  out.valid_rows = rows.valid.rows();
  out.task = labels->task;
  const auto fields = contract.request_fields();
  out.columns =
      train::own_columns(exec, {fields.begin(), fields.end()},
                         {program.feature_names().begin(), program.feature_names().end()});
  out.seed = d.model->seed;
  out.timeout_s = exec.timeout_s;
  out.memory_bytes = exec.worker.memory_bytes;
  out.whole_sandbox = exec.worker.sandbox == Runtime::Sandbox::kFull;
  const runtime::Host host = host_of(work);
  out.directory = std::filesystem::absolute(host.directory, error).string();
  // A trainer has no business with keys, tokens and the ledger.
  out.hidden = d.project->root + "/.heddle";
  // A recovery's outcome is written down for good, and rows are not.
  out.quotes_rows = work.source().recorded == nullptr;
  return out;
}

Digest digest_of_own(const spec::Exec& exec, const train::OwnTraining& training) {
  train::OwnTraining of_content = training;
  // Places differ from run to run and say nothing of what is trained.
  of_content.packed = of_content.rows = of_content.directory = of_content.hidden = "own";
  Hasher hasher;
  hasher.update_field(doc::to_canonical_json(train::own_training_schema().print(of_content)));
  for (const auto& source : exec.sources) {
    hasher.update_field(source.path);
    hasher.update_field(source.bytes);
  }
  return hasher.finish();
}

Result<StepRecord> run_own_train(Work& work, const std::string& directory) {
  const Definitions& d = work.definitions();
  HEDDLE_ASSIGN_OR_RETURN(const auto written, work.json("search", "best.json"));
  HEDDLE_ASSIGN_OR_RETURN(const auto best, bundle::search_schema().parse(written));
  const std::string folder = directory + "/own";
  HEDDLE_ASSIGN_OR_RETURN(auto training, prepare_own(work, folder, 0));
  training.parameters = train::own_parameters(best.parameters, d.model->search.space);
  training.verify_files = true;
  auto fitted = train::fit_own(
      training, [&](std::string_view line) { work.note("train", std::string(line)); });
  std::error_code ignored;
  // The rows are large and can be written again; the record of the step needs none of it.
  std::filesystem::remove_all(folder, ignored);
  HEDDLE_TRY(fitted);
  HEDDLE_ASSIGN_OR_RETURN(Chosen chosen, try_engine(work, *fitted));
  StepRecord record;
  if (chosen.by_engine) {
    HEDDLE_ASSIGN_OR_RETURN(record.outputs["model"],
                            write_output(directory, "model.json", fitted->engine_model));
  } else {
    HEDDLE_TRY(use_worker(work, directory, *fitted, chosen, record));
  }
  HEDDLE_TRY(write_floats(directory + "/margins.f32", chosen.margins));
  HEDDLE_ASSIGN_OR_RETURN(
      record.outputs["trainer"],
      write_json(directory, "trainer.json", evidence_of(*d.model->exec, *fitted, chosen)));
  record.facts = how_schema().print({d.model->trainer, best.parameters, 0, d.model->seed});
  HEDDLE_ASSIGN_OR_RETURN(record.outputs["how"], write_json(directory, "how.json", record.facts));
  work.note("train",
            chosen.by_engine
                ? fmt::format("a `{}`, scored by the engine {}", fitted->returned, chosen.why)
                : fmt::format("a `{}`, scored by a worker ({}): {}", fitted->returned, chosen.why,
                              chosen.parity.text()));
  return record;
}

}  // namespace heddle::flow
