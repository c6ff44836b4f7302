#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "flow/cache.hpp"
#include "flow/flow.hpp"
#include "spec/project.hpp"
#include "table/matrix.hpp"
#include "table/table.hpp"

namespace heddle::flow {

/// One output of another step that a step reads.
struct StepNeed {
  std::string step;
  std::string output;
};

class Work;

/// One step of the graph: what it reads, by name, and what it does. `body` gets an empty folder for
/// its files and returns its outputs; it reads other steps' results through `Work` only.
struct Step {
  std::string name;
  int version = 1;  ///< of its code: raise it when the same inputs give another result
  std::vector<StepNeed> needs{};
  std::vector<StepInput> inputs{};  ///< definitions' parts and tools it depends on
  std::function<Result<StepRecord>(Work&, const std::string& directory)> body{};
};

/// The definitions of one model's run, resolved. Borrowed from the project.
struct Definitions {
  const spec::Project* project = nullptr;
  const spec::Model* model = nullptr;
  const spec::FeatureSet* features = nullptr;
  const spec::Contract* contract = nullptr;
  const spec::Evaluation* evaluation = nullptr;
  const spec::Monitor* monitor = nullptr;

  /// kInvalid or kNotFound when a part is missing. An empty `model` names the only one.
  [[nodiscard]] static Result<Definitions> of(const spec::Project& project,
                                              const std::string& model);
  [[nodiscard]] std::string source_path() const;
};

/// The graph of one model, in an order in which the steps could run one by one.
[[nodiscard]] Result<std::vector<Step>> graph_of(const Definitions& definitions, const Host& host);

/// What running steps share: definitions, where finished steps' files are, and tables read once.
/// Thread-safe.
class Work {
 public:
  Work(const Definitions& definitions, const Host& host, const Cache& cache,
       const ProgressSink& progress)
      : definitions_(definitions), host_(host), cache_(cache), progress_(progress) {}

  [[nodiscard]] const Definitions& definitions() const noexcept { return definitions_; }
  [[nodiscard]] const Host& host() const noexcept { return host_; }
  [[nodiscard]] const Cache& cache() const noexcept { return cache_; }

  void finished(const std::string& step, const Digest& key, const StepRecord& record);
  /// Of a finished step.
  [[nodiscard]] std::string file(const std::string& step, const std::string& name) const;
  [[nodiscard]] StepRecord record(const std::string& step) const;
  void note(const std::string& step, std::string text);
  void tell(const Progress& progress);

  /// The accepted rows, in time order; read once.
  [[nodiscard]] Result<std::shared_ptr<const table::Table>> accepted();
  /// The same rows as they were received, before the contract's transforms: as a request would
  /// carry them.
  [[nodiscard]] Result<std::shared_ptr<const table::Table>> received();
  /// A matrix file of `features`: `train`, `validation`, `test`.
  [[nodiscard]] Result<std::shared_ptr<const table::Matrix>> matrix(const std::string& part);
  /// Labels of the accepted rows.
  [[nodiscard]] Result<std::shared_ptr<const std::vector<std::uint8_t>>> labels();

 private:
  const Definitions& definitions_;
  const Host& host_;
  const Cache& cache_;
  const ProgressSink& progress_;
  mutable std::mutex mutex_;
  std::mutex telling_;
  std::mutex reading_;
  std::map<std::string, std::pair<Digest, StepRecord>> finished_;
  std::shared_ptr<const table::Table> accepted_;
  std::map<std::string, std::shared_ptr<const table::Matrix>> matrices_;
  std::shared_ptr<const std::vector<std::uint8_t>> labels_;
};

/// Bounds of the time-ordered parts of the accepted rows.
struct Parts {
  std::int64_t rows = 0;
  std::int64_t train_end = 0;  ///< [0, train_end) is trained on
  std::int64_t validation_end =
      0;  ///< [train_end, validation_end) guides the search; the rest is the test

  [[nodiscard]] doc::Value to_value() const;
  [[nodiscard]] static Parts from_value(const doc::Value& value);
};

/// Files of floats: rows, columns, values, little-endian.
[[nodiscard]] Result<void> write_matrix(const std::string& path, const table::Matrix& matrix);
[[nodiscard]] Result<table::Matrix> read_matrix(const std::string& path);
[[nodiscard]] Result<void> write_floats(const std::string& path, const std::vector<float>& values);
[[nodiscard]] Result<std::vector<float>> read_floats(const std::string& path);

}  // namespace heddle::flow
