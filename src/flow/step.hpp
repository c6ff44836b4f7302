#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "doc/schema.hpp"
#include "flow/assemble.hpp"
#include "flow/cache.hpp"
#include "flow/flow.hpp"
#include "flow/recorded.hpp"
#include "flow/source.hpp"
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
  [[nodiscard]] table::Input input() const;  ///< where the model's source has its rows
};

/// kInvalid (`refit-no-trainer`, `refit-other-trainer`) for a recipe that the model as it is
/// defined cannot be trained with.
[[nodiscard]] Result<void> check_recipe(const spec::Model& model, const Recipe& recipe);

/// The graph of one model over one source, in an order in which the steps could run one by one.
/// A recipe of the source stands in place of the search. Over recorded traffic what serves is the
/// base in any case, and one bundle is made.
[[nodiscard]] Result<std::vector<Step>> graph_of(const Definitions& definitions, const Host& host,
                                                 const Source& source);

/// What running steps share: definitions, what finished steps left, and rows that are read once. A
/// step that ran in this process hands its rows on as they are; only those of an earlier process
/// are read from its files. Thread-safe.
class Work {
 public:
  Work(const Definitions& definitions, const Host& host, const Source& source, const Cache& cache,
       const ProgressSink& progress)
      : definitions_(definitions),
        host_(host),
        source_(source),
        cache_(cache),
        progress_(progress) {}

  [[nodiscard]] const Definitions& definitions() const noexcept { return definitions_; }
  [[nodiscard]] const Host& host() const noexcept { return host_; }
  [[nodiscard]] const Source& source() const noexcept { return source_; }
  [[nodiscard]] const Cache& cache() const noexcept { return cache_; }

  void finished(const std::string& step, const Digest& key, const StepRecord& record);
  /// Of a finished step.
  [[nodiscard]] StepRecord record(const std::string& step) const;
  /// A file of a finished step, checked: see `Cache::read`.
  [[nodiscard]] Result<std::string> bytes(const std::string& step, const std::string& name) const;
  [[nodiscard]] Result<doc::Value> json(const std::string& step, const std::string& name) const;
  [[nodiscard]] Result<std::vector<float>> floats(const std::string& step,
                                                  const std::string& name) const;
  void note(const std::string& step, std::string text);
  void tell(const Progress& progress);

  using Rows = std::shared_ptr<const table::Table>;
  /// What `validate.rows` left: the accepted rows in their order, the same as they were received,
  /// before the contract's transforms, and the reference rows among these.
  [[nodiscard]] Result<Rows> accepted();
  [[nodiscard]] Result<Rows> received();
  [[nodiscard]] Result<Rows> reference();
  /// `received`: null when the contract changes nothing.
  void keep_rows(Rows accepted, Rows received, Rows reference);

  /// A matrix of `features`: `train`, `validation`, `test`.
  [[nodiscard]] Result<std::shared_ptr<const table::Matrix>> matrix(const std::string& part);
  void keep_matrix(const std::string& part, table::Matrix matrix);
  /// The task, with its classes, and the labels of the accepted rows.
  [[nodiscard]] Result<std::shared_ptr<const Labels>> labels();
  void keep_labels(Labels labels);
  /// Event times of the accepted rows, ascending; empty when they have no order.
  [[nodiscard]] Result<std::shared_ptr<const std::vector<Micros>>> times();
  /// Over recorded traffic: places of the accepted rows among those recorded.
  [[nodiscard]] Result<std::shared_ptr<const std::vector<std::int64_t>>> kept();

 private:
  struct Done {
    Digest key{};
    StepRecord record{};
  };
  [[nodiscard]] Done done(const std::string& step) const;
  [[nodiscard]] Result<Rows> rows(Rows& slot, const std::string& name);

  const Definitions& definitions_;
  const Host& host_;
  const Source& source_;
  const Cache& cache_;
  const ProgressSink& progress_;
  mutable std::mutex mutex_;
  std::mutex telling_;
  std::mutex reading_;
  std::map<std::string, Done> finished_;
  Rows accepted_;
  Rows received_;
  Rows reference_;
  std::map<std::string, std::shared_ptr<const table::Matrix>> matrices_;
  std::shared_ptr<const Labels> labels_;
  std::shared_ptr<const std::vector<Micros>> times_;
  std::shared_ptr<const std::vector<std::int64_t>> kept_;
};

/// What came of the steps that were wanted.
struct GraphRun {
  std::map<std::string, StepRecord> finished{};
  Plan plan{};  ///< as it stands afterwards
  int ran = 0;
  int cached = 0;
};

/// Runs the graph over `source`: `until` and what it needs, or all of it when that is empty. One
/// run of a state folder at a time.
[[nodiscard]] Result<GraphRun> run_graph(const Definitions& definitions, const Host& host,
                                         const Source& source, const std::string& until,
                                         const ProgressSink& progress);

/// Bounds of the time-ordered parts of the accepted rows.
struct RowSplit {
  std::int64_t rows = 0;
  std::int64_t train_end = 0;  ///< [0, train_end) is trained on
  std::int64_t validation_end =
      0;  ///< [train_end, validation_end) guides the search; the rest is the test
};
/// `split.json` of a step.
[[nodiscard]] const doc::Schema<RowSplit>& row_split_schema();

/// Files of floats: rows, columns, values, little-endian. Reading takes the bytes of one; kCorrupt
/// when they are none.
[[nodiscard]] Result<void> write_matrix(const std::string& path, const table::Matrix& matrix);
[[nodiscard]] Result<table::Matrix> matrix_of(std::string_view bytes);
[[nodiscard]] Result<void> write_floats(const std::string& path, const std::vector<float>& values);
[[nodiscard]] Result<std::vector<float>> floats_of(std::string_view bytes);
/// A file of doubles, little-endian.
[[nodiscard]] std::string_view bytes_of(const std::vector<double>& values);
[[nodiscard]] Result<std::vector<double>> doubles_of(std::string_view bytes);

}  // namespace heddle::flow
