#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/digest.hpp"
#include "base/result.hpp"
#include "evaluate/difference.hpp"
#include "evaluate/retrain_evidence.hpp"
#include "expr/program.hpp"
#include "spec/evaluation.hpp"
#include "stats/conformal.hpp"
#include "stats/task.hpp"
#include "table/matrix.hpp"
#include "table/table.hpp"

namespace heddle::evaluate {

/// Numbers by name, in the order of their names.
using Numbers = std::map<std::string, double>;

/// What a model did on held-out rows, and what was true of them. Borrowed.
struct Predictions {
  const stats::Task* task = nullptr;
  const table::Table* rows = nullptr;  ///< the contract's fields (label fields may be among them)
  std::span<const float> margins{};    ///< rows x task outputs, calibration included
  std::span<const double> labels{};    ///< codes, one a row
  std::optional<stats::Conformal> interval{};  ///< of the model
};

/// The task's metrics (stats::metrics_of), `rows`, and the definition's own metrics: an expression
/// over what is answered, `label` and the fields (spec::metric_environment), a row where it is null
/// or an error is left out of the mean or sum (no row left: NaN, so that a gate on it fails).
/// kInvalid when one does not compile.
[[nodiscard]] Result<Numbers> metrics(const spec::Evaluation& definition,
                                      const Predictions& predictions);

/// One slice: metrics per value of its field (at least `minimum_rows` rows), values in byte order.
struct SliceResult {
  std::string name;
  std::string field;
  std::map<std::string, Numbers> values{};
  std::int64_t left_out_rows = 0;  ///< of values with too few rows, or without a value
};
[[nodiscard]] Result<std::vector<SliceResult>> slices(const spec::Evaluation& definition,
                                                      const Predictions& predictions);

/// Rows of a class that the model took for another, or for itself.
struct ConfusionCell {
  std::string label;
  std::string predicted;
  std::int64_t rows = 0;
};
/// Of several classes: the cells that have rows, by label, then by prediction; else none.
[[nodiscard]] std::vector<ConfusionCell> confusion(const Predictions& predictions);

/// Both sides of a time-ordered split. Features of the held-out side.
struct Split {
  const stats::Task* task = nullptr;
  const table::Table* train_rows = nullptr;
  const table::Table* test_rows = nullptr;
  /// Event times, one a row; both empty: rows have no order, none is checked.
  std::span<const Micros> train_times{};
  std::span<const Micros> test_times{};
  const table::Matrix* test_features = nullptr;
  std::span<const std::string> feature_names{};
  std::span<const double> test_labels{};
};
/// `time_order_violations` (training rows later than the first held-out row), `duplicate_rows`
/// (held-out rows that equal a training row in every column both have), `duplicate_share`, and how
/// well the best feature alone predicts the target, rows without it left out; `single_feature`
/// names it. Binary and classes: `single_feature_auc`, the mean over pairs of classes of max(auc, 1
/// - auc) (Hand, Till 2001), of pairs with ten rows of each; regression:
/// `single_feature_correlation`, the size of Spearman's rank correlation.
struct Leakage {
  Numbers numbers{};
  std::string single_feature{};
};
[[nodiscard]] Result<Leakage> leakage(const Split& split);

/// One gate's answer. `error` when it could not be evaluated: then it failed.
struct GateResult {
  std::string id;
  bool passed = false;
  std::string when{};  ///< its source
  std::string description{};
  Numbers values{};  ///< the names it reads, with what they were
  std::string error{};
  /// Why there is no base that its answer hangs on: it was not judged, and has neither passed nor
  /// failed. Empty: it was.
  std::string not_judged{};

  [[nodiscard]] bool failed() const noexcept { return !passed && not_judged.empty(); }
};

/// Why `base.*` has no numbers.
struct NoBase {
  std::string why{};
  bool fails = true;  ///< there is a base that could not be measured; false: nothing serves yet
};

/// What serves on the held-out rows, for the gates that read `base.*`.
struct BaseAnswers {
  std::string bundle{};          ///< its digest; empty: none
  NoBase missing{};              ///< with a `why`: there are no margins
  std::vector<float> margins{};  ///< held-out rows x task outputs; NaN: it is not compared on the
                                 ///< row
  std::optional<stats::Conformal> interval{};  ///< of the base
  std::int64_t refused = 0;                    ///< rows without an answer of the base
  std::int64_t learned = 0;                    ///< rows that the base has learned from
  std::string note{};                          ///< what is to be known of the comparison
};

/// What came of it. Its metrics, and those that gates on it read, are of the rows that both answer
/// and the base has not learned from.
struct BaseEvidence {
  std::string bundle{};
  NoBase missing{};
  std::string note{};
  std::int64_t rows = 0;
  std::int64_t refused = 0;
  std::int64_t learned = 0;
  std::vector<Difference> metrics{};
};

/// What the interval of a bundle was fitted to after it was built.
struct IntervalRefit {
  std::string incident{};  ///< in whose recovery
  std::int64_t rows = 0;   ///< the newest labelled rows, so many
  double held_before = 0;  ///< share of their labels that the interval of before held
  double held_newer = 0;   ///< share of their newer half that a fit on the older half held
  bool operator==(const IntervalRefit&) const = default;
};

struct Evidence {
  Numbers metrics{};
  std::vector<SliceResult> slices{};
  std::vector<ConfusionCell> confusion{};
  Numbers standby{};  ///< metrics of the standby; empty when there is none
  Leakage leakage{};
  std::optional<BaseEvidence> base{};  ///< nullopt: no gate reads it
  std::vector<GateResult> gates{};
  bool passed = false;                            ///< no gate failed
  std::optional<RetrainEvidence> retrain{};       ///< of a retrained bundle
  std::optional<IntervalRefit> interval_refit{};  ///< where it was fitted anew since
};

/// Names that these rows can have no number for, and why.
using Absent = std::map<std::string, std::string>;

/// Runs the gates over numbers that are named as spec::gate_environment does, or by any dotted
/// names
/// (`metrics.label_entropy`); a name that has no number here, null, NaN-compared or an error:
/// failed. `no_base` says why `base.*` has no numbers, `absent` why other names have none: a gate
/// whose answer hangs on nothing else is not judged, where nothing serves. kInvalid only when a
/// gate's text does not compile.
[[nodiscard]] Result<std::vector<GateResult>> run_gates(std::span<const spec::Gate> gates,
                                                        const Numbers& numbers,
                                                        const NoBase& no_base = {},
                                                        const Absent& absent = {});
/// Whether the gate reads `base.*`.
[[nodiscard]] bool reads_base(const spec::Gate& gate);
[[nodiscard]] bool reads_base(const spec::Evaluation& definition);

/// All of it: metrics, slices, leakage, then the three leakage gates that always stand
/// (`leakage-time-order`, `leakage-duplicate-rows`: share at most 1 in 1000,
/// `leakage-single-feature`: at most the definition's bound), then the definition's own.
struct EvaluateInput {
  const spec::Evaluation* definition = nullptr;
  Predictions predictions{};
  Split split{};                      ///< left empty (no train_rows): leakage is not looked at
  Numbers standby{};                  ///< from `metrics` of the standby on the same rows
  const BaseAnswers* base = nullptr;  ///< nullptr: no gate reads it
  /// Gates that stand beside the definition's, and numbers that no definition can name.
  std::span<const spec::Gate> more_gates{};
  Numbers more_numbers{};
  /// What these rows cannot tell: a gate on nothing else is not judged.
  Absent absent{};
  /// The rows are the few that a bound left: a slice of which no value has enough of them is absent
  /// too, and its gates do not fail.
  bool is_bounded = false;
};
[[nodiscard]] Result<Evidence> evaluate(const EvaluateInput& input);

/// What a statement is about, or was made with: a name and the hex SHA-256 of its bytes.
struct Resource {
  std::string name;
  Digest digest{};
};
/// An in-toto Statement v1 with a test-result/v0.1 predicate, canonical JSON, no timestamps:
/// subjects (model, features), the definitions it was configured by, and the ids of passed,
/// not judged (`warnedTests`) and failed gates.
[[nodiscard]] std::string to_statement(const Evidence& evidence, std::span<const Resource> subjects,
                                       std::span<const Resource> configuration);

}  // namespace heddle::evaluate
