#pragma once

#include <span>
#include <vector>

#include "expr/outcomes.hpp"
#include "expr/program.hpp"
#include "spec/contract.hpp"
#include "spec/evaluation.hpp"
#include "spec/feature_set.hpp"
#include "spec/model.hpp"

namespace heddle::spec {

/// What the expressions of each use may name. One place, so that `heddle check` and the part that
/// runs them agree. Variables are in row order.

/// Row rules and transforms: the fields a request carries (label fields left out).
[[nodiscard]] expr::Environment request_environment(std::span<const Field> fields);
/// The target: every field, label fields too.
[[nodiscard]] expr::Environment target_environment(std::span<const Field> fields);
/// Faults: `label`, of the type of the target (kNull: it is not known, and cannot be named), and
/// every field.
[[nodiscard]] expr::Environment fault_environment(std::span<const Field> fields, expr::Type label);
/// Metrics of the project's own: what is answered and what was true, then the request's fields and
/// label fields. binary: `probability` (double), `label` (int 0 or 1); classes:
/// `probabilities.CLASS` (double), `predicted` and `label` (string, or int where the classes are
/// whole numbers); regression: `value` and `label` (double).
[[nodiscard]] expr::Environment metric_environment(std::span<const Field> fields,
                                                   const stats::Task& task);
/// The part of it that is not of the fields.
[[nodiscard]] expr::Environment answer_environment(const stats::Task& task);
/// Gates: `metrics.NAME`, `standby.NAME`, `base.NAME`, `slices.SLICE.METRIC_min` and `_max` of the
/// metrics of the model's task, `leakage.time_order_violations`, `leakage.duplicate_rows`,
/// `leakage.duplicate_share` and `leakage.` with `single_feature_measure`; all double.
[[nodiscard]] expr::Environment gate_environment(const Evaluation& evaluation, const Model& model);
/// What says how well one feature alone predicts the target: `single_feature_auc`, of a regression
/// `single_feature_correlation`.
[[nodiscard]] std::string_view single_feature_measure(stats::TaskKind task) noexcept;
/// Monitor rules: the request's fields and `event_time`.
[[nodiscard]] expr::Environment monitor_environment(std::span<const Field> fields);

/// What the variables of such an environment may hold. `is_accepted`: in rows that kept the
/// contract, so that its bounds and enums hold; else in any row.
[[nodiscard]] std::vector<expr::Domain> row_domains(const expr::Environment& environment,
                                                    std::span<const Field> fields,
                                                    bool is_accepted);
/// The same of a metric's own expression.
[[nodiscard]] std::vector<expr::Domain> metric_domains(const expr::Environment& environment,
                                                       std::span<const Field> fields,
                                                       const stats::Task& task);
/// Of a gate's numbers: the ranges of built-in metrics and checks. A metric that the evaluation
/// computes by an expression takes any value, if it has a built-in one's name too.
[[nodiscard]] std::vector<expr::Domain> gate_domains(const expr::Environment& gates,
                                                     const Evaluation& evaluation);

}  // namespace heddle::spec
