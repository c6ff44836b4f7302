#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "spec/identity.hpp"
#include "stats/task.hpp"
#include "trainer/trainer.hpp"

namespace heddle::spec {

/// One dimension of the search. kLogUniform and kUniform draw doubles, kInteger whole numbers,
/// kChoice one of `choices`.
struct SearchDimension {
  enum class Kind { kUniform, kLogUniform, kInteger, kLogInteger, kChoice };
  std::string name;  ///< a parameter of the trainer
  Kind kind = Kind::kUniform;
  double low = 0;
  double high = 0;
  std::vector<double> choices{};
};

using TrainerParameters = trainer::Parameters;

struct Search {
  int trials = 20;
  int parallel = 2;  ///< P of DESIGN 12: trial k is proposed from trials 0..k-1-P
  int startup = 8;   ///< random trials before TPE
  int early_stopping_rounds = 20;
  int max_rounds = 300;
  std::int64_t rows = 0;  ///< training rows a trial uses, evenly spaced in time; 0: all
  std::vector<SearchDimension> space;
};

/// What scores a model's rows when Heddle did not train it: a worker started from files that go
/// into the bundle, or a server that is there already. Both speak the Open Inference Protocol,
/// version 2.
struct Runtime {
  enum class Kind { kProcess, kUpstream };
  enum class Inputs { kFields, kFeatures };
  enum class Sandbox { kAvailable, kFull };
  Kind kind = Kind::kProcess;
  Inputs inputs =
      Inputs::kFeatures;  ///< what is sent: the contract's fields, or the feature program's columns
  std::string output = "probability";  ///< name of the tensor that is read
  std::int64_t timeout_ms = 2000;      ///< for one answer
  std::int64_t connections = 2;        ///< batches under way at once
  double tolerance = 1e-6;  ///< of the parity check, in probability; of a regression as a
                            ///< share of the value, or of 1 where that is larger
  std::string files{};      ///< kProcess: the worker's folder, relative to the project
  std::vector<std::string>
      command{};  ///< kProcess: the program, by PATH or relative to the folder, and its arguments
  std::int64_t memory_bytes = 2ll << 30;  ///< kProcess: of all its processes
  Sandbox sandbox = Sandbox::kAvailable;  ///< kProcess: kFull: without each layer it is not started
  std::int64_t start_timeout_ms = 60'000;  ///< kProcess: until it is ready
  std::string url{};                       ///< kUpstream: `http://host:port`
  std::string model{};                     ///< kUpstream: its name there
  std::string
      token{};  ///< kUpstream: `${env:NAME}` or `${file:PATH}`, sent as a bearer token; empty: none
};

/// A trainer of the project's own (`trainer: exec`): a Python file that runs in the sandbox of
/// workers, in an environment that is locked.
struct Exec {
  struct Source {
    std::string path;
    std::string bytes;
    bool operator==(const Source&) const = default;
  };
  std::string file{};                ///< relative to the project, as all of them
  std::vector<std::string> files{};  ///< others that it imports or reads
  /// The interpreter or its environment's folder: a path, one of the project (`${project:.venv}`),
  /// `${env:NAME}`, or a name on PATH.
  std::string python{};
  std::string lock{};                                   ///< what is installed there
  Runtime::Inputs inputs = Runtime::Inputs::kFeatures;  ///< what the rows' columns are
  std::int64_t timeout_s = 600;                         ///< for one training
  /// Whether the engine may score the model where it answers what the library answers.
  bool may_use_engine = true;
  /// Of the parity with the model's own answers, as Runtime has it. Of a worker the rest.
  Runtime worker{};
  std::vector<Source> sources{};  ///< file, files and lock, as they were when this was read
};

struct Model {
  Identity identity;
  std::string features;    ///< name of the FeatureSet
  std::string source;      ///< name in heddle.yaml's sources
  std::string time_field;  ///< orders the rows; empty: `seed` does
  Micros train_from = 0;
  Micros train_to = 0;      ///< exclusive; 0: all rows. Validation and test are the last parts
  Micros train_window = 0;  ///< up to the newest row, in place of both; 0: none
  double validation_fraction = 0.15;  ///< of the rows, in order, after training
  double test_fraction = 0.15;        ///< of the rows, in order, after validation
  Expression target;                  ///< over fields, label fields included
  /// As declared, or as the type of the target says.
  stats::TaskKind task = stats::TaskKind::kBinary;
  bool is_task_declared = false;
  std::vector<std::string> classes{};  ///< of kClasses, in their order; empty: learned
  bool whole_classes = false;          ///< the declared classes are whole numbers
  std::optional<double> coverage{};    ///< of the conformal interval or set; nullopt: there is none
  std::optional<Runtime> runtime{};    ///< set: nothing is searched or trained for the primary
  std::string trainer = "xgboost";
  std::optional<Exec> exec{};    ///< of `trainer: exec`
  TrainerParameters parameters;  ///< fixed parameters, shared by all trials
  Search search;
  std::string standby_trainer{};  ///< of the simpler model of the same run; as the task has it
  TrainerParameters standby_parameters;
  std::int64_t seed = 0;

  /// What is known of the task before there are rows: learned classes are not.
  [[nodiscard]] stats::Task declared() const { return {task, classes, whole_classes}; }
};

}  // namespace heddle::spec
