#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "doc/schema.hpp"
#include "doc/value.hpp"
#include "runtime/once.hpp"
#include "spec/contract.hpp"
#include "spec/model.hpp"
#include "stats/task.hpp"
#include "table/table.hpp"

namespace heddle::train {

// Trainers of one's own (docs/own-trainer.md): a Python file of the project, run in the sandbox of
// workers. `python/heddle/training` is the other side of it.

/// A column of the rows that a trainer gets.
struct OwnColumn {
  std::string name{};
  std::string type{};  ///< `feature` (float), or the contract's: `number`, `integer`, `boolean`,
                       ///< `string`, `timestamp`
  bool nullable = true;
};

/// One training, as a process of its own can read it: `heddle.own-training/1`.
struct OwnTraining {
  std::string file{};    ///< the trainer's
  std::string lock{};    ///< the file that says what is installed
  std::string python{};  ///< as the definition has it
  std::string packed{};  ///< path of a tar: `own_files`
  std::string rows{};    ///< folder that `write_own_rows` wrote
  std::int64_t valid_rows = 0;
  stats::Task task{};
  std::vector<OwnColumn> columns{};
  doc::Value parameters = doc::Value::object();
  std::int64_t seed = 0;
  std::int64_t timeout_s = 600;
  std::int64_t memory_bytes = 0;
  bool whole_sandbox = false;
  bool verify_files = false;  ///< read each installed file, and not what is said to be installed
  bool may_lack = false;      ///< a row that the model does not take has no answer, NaN
  bool quotes_rows = true;    ///< messages of the trainer's may be repeated: they can hold values
  std::string directory{};    ///< of the sandbox: where workers' folders are
  std::string hidden{};       ///< what is not to be seen
};
[[nodiscard]] const doc::Schema<OwnTraining>& own_training_schema();

/// What came of it.
struct OwnFitted {
  std::string returned{};            ///< the class of what the trainer returned
  std::string python{};              ///< the interpreter
  doc::Value packages{};             ///< [{name, version, sha256}], those installed
  std::vector<float> predictions{};  ///< of the validation rows, `outputs()` numbers each
  std::string engine_format{};       ///< a form that the engine may read; empty: none
  std::string engine_model{};
  std::string no_engine{};     ///< why there is none
  std::string worker_files{};  ///< a tar with `kOwnServe`: what a worker starts from
  doc::Value adopted{};        ///< of a model that was there: its signature; else null
  runtime::Layers layers{};    ///< of the sandbox that it ran in
};

/// The program of a worker, in its files.
inline constexpr std::string_view kOwnServe = "heddle_serve.py";

/// The helper, the project's files and the programs that run them, as a tar.
[[nodiscard]] Result<std::string> own_files(const spec::Exec& exec);
/// The columns that a definition's rows have.
[[nodiscard]] std::vector<OwnColumn> own_columns(const spec::Exec& exec,
                                                 const std::vector<spec::Field>& fields,
                                                 const std::vector<std::string>& features);
/// Parameters with their types. `space` says which of them are real numbers, however they look.
[[nodiscard]] doc::Value own_parameters(const spec::TrainerParameters& parameters,
                                        const std::vector<spec::SearchDimension>& space);

/// Rows with their labels' codes, of training and validation, for `OwnTraining::rows`.
struct OwnRows {
  table::Table train{};
  std::vector<double> train_codes{};
  table::Table valid{};
  std::vector<double> valid_codes{};
};
[[nodiscard]] Result<void> write_own_rows(const std::string& folder, const OwnRows& rows);

/// Runs the trainer. Errors have ids `own-*`: `own-raised` (with file, line and the last lines),
/// `own-environment`, `own-package`, `own-returned`, `own-answers`, `own-memory`, `own-disk`,
/// `own-outside`, `own-deadline`, `own-ended`, `own-python`; kUnavailable `runtime-sandbox`.
[[nodiscard]] Result<OwnFitted> fit_own(const OwnTraining& training, const runtime::LineSink& said);

/// What is installed in a trainer's environment, as its lock is to say it.
[[nodiscard]] Result<std::string> lock_of(const spec::Exec& exec, const std::string& directory,
                                          const std::string& hidden);

}  // namespace heddle::train
