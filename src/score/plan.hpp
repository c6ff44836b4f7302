#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "bundle/bundle.hpp"
#include "contract/contract.hpp"
#include "doc/value.hpp"
#include "expr/datum.hpp"
#include "feature/program.hpp"
#include "runtime/endpoint.hpp"
#include "score/calibration.hpp"
#include "score/kept_rows.hpp"
#include "stats/task.hpp"
#include "table/table.hpp"

namespace heddle::score {

/// Working memory of one thread; grows to the largest plan it met, then never again.
struct Scratch {
  Scratch();
  ~Scratch();
  Scratch(Scratch&&) noexcept;
  struct Buffers;
  std::unique_ptr<Buffers> buffers;
};

/// What became of one row. All of it is reused: no allocation at steady state.
struct RowResult {
  contract::RowCheck check;
  /// `Task::outputs()` numbers of each; both are empty when the row was refused or nothing
  /// answered.
  std::vector<float> margins;     ///< after calibration
  std::vector<float> prediction;  ///< what follows from them (Task::predict); all finite
};

/// How much of the work on a row two plans have in common; each step includes the ones before.
enum class Shared : std::uint8_t { kNothing, kCheck, kFeatures, kMargins };

/// What became of the rows of a table, in their order.
struct TableResult {
  std::size_t outputs = 1;            ///< of a row
  std::vector<std::uint8_t> refused;  ///< one a row
  /// `outputs` a row, row-major; NaN where a row was refused or nothing answered.
  std::vector<float> margins;
  std::vector<float> predictions;
};

/// Everything between a raw row and its answer, from one bundle: contract check, transforms,
/// feature program, model margins, calibration, prediction. The only path by which rows
/// are scored: data plane, flow and replay use it. Immutable; any number of threads may score, each
/// with its own scratch. A bundle with a runtime has no model of ours: `score_row` and
/// `score_table` wait for its worker or upstream, and whoever must not wait takes `prepare`,
/// `endpoint` and `finish`. Destroying such a plan stops the worker.
class Plan {
 public:
  /// Builds the plan and proves it on the bundle's `reference.json`: the margins must be equal in
  /// every bit, else kCorrupt
  /// (`score-no-parity`). kCorrupt also when a layer is malformed or layers disagree (features of
  /// program and model). With a runtime, which is started in `host`, the predictions must agree
  /// within its tolerance.
  [[nodiscard]] static Result<std::unique_ptr<const Plan>> load(const bundle::Bundle& bundle,
                                                                const runtime::Host& host = {});

  /// The same from the parts, without a parity check: for making the bundle in the first place.
  [[nodiscard]] static Result<std::unique_ptr<const Plan>> from_parts(
      const doc::Value& contract, const doc::Value& features, std::string_view model,
      const stats::Task& task = {}, const Calibration& calibration = {{0.0}, {}});
  /// The same with a runtime in place of the model; `files` are its worker's.
  [[nodiscard]] static Result<std::unique_ptr<const Plan>> from_runtime(
      const doc::Value& contract, const doc::Value& features, runtime::Runtime runtime,
      std::string_view files, const stats::Task& task, const Calibration& calibration,
      const runtime::Host& host = {});

  ~Plan();

  /// What scores the rows when it is no model of ours; null: it is.
  [[nodiscard]] const runtime::Endpoint* endpoint() const noexcept;
  /// Contract and transforms of one row, and what the runtime is to be sent of it, behind `rows`,
  /// unless the row is refused.
  void prepare(std::span<const expr::Datum> raw, RowResult& out, Scratch& scratch,
               runtime::Rows& rows) const;
  /// What the runtime answered to a prepared row, `Task::outputs()` numbers, becomes its result;
  /// empty or not finite: nothing.
  void finish(std::span<const float> answer, RowResult& out) const;

  /// `raw[i]` is what arrived for request field i.
  void score_row(std::span<const expr::Datum> raw, RowResult& out, Scratch& scratch) const noexcept;
  /// The same of a row that a person accepts, whatever rules it breaks; it is still refused where a
  /// field is malformed (`Contract::accept`).
  void score_accepted(std::span<const expr::Datum> raw, RowResult& out,
                      Scratch& scratch) const noexcept;
  /// What this plan has in common with another one, by the digests of the bundles' layers. Nothing
  /// where one was not loaded from a bundle, or has a runtime.
  [[nodiscard]] Shared shared_with(const Plan& other) const noexcept;
  /// The same answer as `score_row`'s, with what the plan that answered, of which this one is
  /// `shared_with`, left of the row: `first` is its result, not refused, and its `score_row` was
  /// the last one with this scratch. Of the result's check nothing is said. Not with a runtime.
  void score_beside(Shared shared, std::span<const expr::Datum> raw, const RowResult& first,
                    RowResult& out, Scratch& scratch) const noexcept;
  /// What each feature adds to the margin of a row that keeps the contract, then the bias
  /// (model::Scorer::contributions): `out` takes task outputs x `contribution_names().size()`
  /// numbers, all NaN for a refused row. The bias includes the calibration, so that each line sums
  /// to its calibrated margin but for rounding. kInvalid: the model cannot tell, or a runtime
  /// scores the rows.
  [[nodiscard]] Result<void> explain_row(std::span<const expr::Datum> raw, std::span<float> out,
                                         Scratch& scratch) const;
  [[nodiscard]] const std::vector<std::string>& contribution_names()
      const noexcept;  ///< the features', then `bias`

  /// Columns by name, those of `request_fields()`; more columns do no harm. The same bits as
  /// `score_row` for each row.
  [[nodiscard]] Result<TableResult> score_table(const table::Table& rows) const;

  /// What a prediction is, and a label of its rows.
  [[nodiscard]] const stats::Task& task() const noexcept { return task_; }
  [[nodiscard]] const std::optional<Conformal>& conformal() const noexcept {
    return calibration_.interval;
  }
  [[nodiscard]] const Calibration& calibration() const noexcept { return calibration_; }
  [[nodiscard]] const contract::Contract& contract() const noexcept;
  [[nodiscard]] const Digest& bundle() const noexcept { return bundle_; }
  [[nodiscard]] int feature_count() const noexcept;
  [[nodiscard]] std::int64_t reference_rows() const noexcept { return reference_rows_; }

  /// `reference.json` for rows as they would arrive (score/kept_rows.hpp). `expected_margins` are
  /// the training library's, rows x `outputs`, before calibration, NaN where the contract refuses
  /// the row; at most 1,000 rows.
  [[nodiscard]] static Result<doc::Value> make_reference(std::span<const spec::Field> fields,
                                                         const table::Table& rows,
                                                         std::span<const float> expected_margins,
                                                         std::size_t outputs = 1);

  /// What a runtime is sent of rows that keep the contract, transforms applied, with a fitted
  /// program.
  [[nodiscard]] static runtime::Shape shape_of(const contract::Contract& contract,
                                               const feature::Program& features,
                                               runtime::Runtime::Inputs inputs,
                                               const stats::Task& task);
  /// The answers to the rows of such a table, `Task::outputs()` numbers each, in batches.
  [[nodiscard]] static Result<std::vector<float>> ask(const runtime::Endpoint& endpoint,
                                                      const contract::Contract& contract,
                                                      const feature::Program& features,
                                                      const table::Table& accepted);

 private:
  struct Parts;
  /// Digests of the layers that decide what a row's answer is; empty where there is none.
  struct Sources {
    Digest contract{}, features{}, model{};
  };
  explicit Plan(std::unique_ptr<const Parts> parts);
  [[nodiscard]] static Result<std::unique_ptr<Plan>> build(const doc::Value& contract,
                                                           const doc::Value& features,
                                                           std::string_view model,
                                                           const stats::Task& task,
                                                           const Calibration& calibration);
  [[nodiscard]] static Result<std::unique_ptr<Plan>> build_external(
      const doc::Value& contract, const doc::Value& features, runtime::Runtime runtime,
      std::string_view files, const stats::Task& task, const Calibration& calibration,
      const runtime::Host& host);
  /// The rest of `score_row`, once the row is checked.
  void score_checked(RowResult& out, Scratch& scratch) const noexcept;
  void answer(std::span<const float> margins, RowResult& out) const noexcept;
  [[nodiscard]] Result<std::int64_t> prove(const Reference& reference) const;
  [[nodiscard]] Result<void> agree(runtime::Rows asked, std::span<const float> wanted) const;

  std::unique_ptr<const Parts> parts_;
  Digest bundle_{};
  Sources sources_{};
  stats::Task task_{};
  Calibration calibration_{};
  std::int64_t reference_rows_ = 0;
};

/// The margins that a prediction of the task follows from (Task::predict): log odds, logarithms of
/// probabilities, both clipped at 1e-15, or the value. NaN stays NaN.
void margins_of(const stats::Task& task, std::span<const float> prediction,
                std::span<float> margins) noexcept;

}  // namespace heddle::score
