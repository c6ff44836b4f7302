#include "evaluate/evaluate.hpp"

#include <cmath>

#include "doc/json.hpp"
#include "evaluate/paired.hpp"
#include "spec/environment.hpp"

namespace heddle::evaluate {
namespace {

/// A metric that is not defined on its rows is null.
/// `slices.NAME.METRIC_min` and `_max` over the values of a slice where the metric is defined.
void add_extremes(const SliceResult& slice, Numbers& numbers) {
  for (const auto& [value, metrics] : slice.values) {
    for (const auto& [metric, number] : metrics) {
      // A value of the slice on which the metric is not defined has no extreme to offer.
      if (std::isnan(number)) continue;
      const std::string name = fmt::format("slices.{}.{}", slice.name, metric);
      const auto low = numbers.try_emplace(name + "_min", number).first;
      const auto high = numbers.try_emplace(name + "_max", number).first;
      low->second = std::min(low->second, number);
      high->second = std::max(high->second, number);
    }
  }
}

void add_group(std::string_view group, const Numbers& from, Numbers& to) {
  for (const auto& [name, number] : from) to[fmt::format("{}.{}", group, name)] = number;
}

/// The gates that always stand beside the definition's own.
std::vector<spec::Gate> leakage_gates(const Leakage& leakage, const spec::Evaluation& definition,
                                      stats::TaskKind task) {
  std::vector<spec::Gate> gates;
  // Rows without times have no order that could be violated.
  if (leakage.numbers.contains("time_order_violations"))
    gates.push_back({"leakage-time-order",
                     {"leakage.time_order_violations == 0.0", {}},
                     "no training row is later than the first held-out row"});
  gates.push_back(
      {"leakage-duplicate-rows",
       {fmt::format("leakage.duplicate_share <= {}", definition.duplicate_share_max), {}},
       "held-out rows are no copies of training rows"});
  const double bound = task == stats::TaskKind::kRegression
                           ? definition.single_feature_correlation_max
                           : definition.single_feature_auc_max;
  gates.push_back(
      {"leakage-single-feature",
       // `:#` keeps the decimal point: a bound of 1 would be an integer in the expression.
       {fmt::format("leakage.{} <= {:#}", spec::single_feature_measure(task), bound), {}},
       "no feature alone predicts the target"});
  return gates;
}

/// Few rows of several classes, or features that say nothing, cannot tell of one feature alone.
void name_untold(const Leakage& leakage, stats::TaskKind task, Absent& absent) {
  const std::string measure(spec::single_feature_measure(task));
  if (task == stats::TaskKind::kBinary || !std::isnan(leakage.numbers.at(measure))) return;
  absent.emplace("leakage." + measure, task == stats::TaskKind::kClasses
                                           ? "no two classes have ten held-out rows each"
                                           : "no feature varies over the held-out rows");
}

/// Metrics and slices of some of the rows, as gates name them.
Result<void> measure_rows(const spec::Evaluation& definition, const Predictions& predictions,
                          Evidence& evidence, Numbers& numbers) {
  HEDDLE_ASSIGN_OR_RETURN(evidence.metrics, metrics(definition, predictions));
  HEDDLE_ASSIGN_OR_RETURN(evidence.slices, slices(definition, predictions));
  evidence.confusion = confusion(predictions);
  add_group("metrics", evidence.metrics, numbers);
  for (const auto& slice : evidence.slices) add_extremes(slice, numbers);
  return {};
}

/// The extremes of slices of which no value has enough rows.
void name_empty_slices(const spec::Evaluation& definition, const Evidence& evidence,
                       std::int64_t rows, Absent& absent) {
  for (std::size_t i = 0; i < evidence.slices.size(); ++i) {
    if (!evidence.slices[i].values.empty()) continue;
    const spec::Slice& slice = definition.slices[i];
    const std::string why = fmt::format("no value of `{}` has {} of the {} held-out rows",
                                        slice.field, slice.minimum_rows, rows);
    for (const auto& [metric, number] : evidence.metrics) {
      for (const char* end : {"min", "max"})
        absent.emplace(fmt::format("slices.{}.{}_{}", slice.name, metric, end), why);
    }
  }
}

/// Holds the candidate against the base on the rows that both answer. `numbers` becomes what gates
/// on the base read: where the base has not answered every row, metrics and slices of the candidate
/// are of fewer rows too.
Result<void> measure_base(const EvaluateInput& input, BaseEvidence& base, Numbers& numbers) {
  if (!base.missing.why.empty()) return {};
  const auto& whole = input.predictions;
  const std::size_t outputs = whole.task->outputs();
  std::vector<std::int64_t> common;
  std::vector<float> of_base;
  std::vector<float> of_candidate;
  std::vector<double> labels;
  const auto add = [&](std::span<const float> margins, std::size_t row, std::vector<float>& to) {
    const auto of_row = margins.subspan(row * outputs, outputs);
    to.insert(to.end(), of_row.begin(), of_row.end());
  };
  for (std::size_t row = 0; row < whole.labels.size(); ++row) {
    // Without an answer of the base, or learned from
    // by it: such a row would favour one of the two.
    if (!std::isfinite(input.base->margins[row * outputs])) continue;
    common.push_back(static_cast<std::int64_t>(row));
    add(input.base->margins, row, of_base);
    add(whole.margins, row, of_candidate);
    labels.push_back(whole.labels[row]);
  }
  base.rows = static_cast<std::int64_t>(common.size());
  // `fails`: a base that serves and cannot be measured must not let a gate on it pass.
  if (common.empty()) {
    base.missing = {
        fmt::format("of {} held-out rows the base answers none that it has not learned from ({} "
                    "without an answer, {} learned from)",
                    input.base->margins.size(), base.refused, base.learned),
        true};
    return {};
  }
  const table::Table rows = whole.rows->take(common);
  HEDDLE_ASSIGN_OR_RETURN(
      const auto differences,
      compare(*input.definition, {whole.task, &rows, of_base, of_candidate, labels,
                                  input.base->interval, whole.interval}));
  for (const auto& each : differences) numbers["base." + each.metric] = each.base;
  base.metrics = differences;
  numbers["base.rows"] = static_cast<double>(base.rows);
  // Both answer every row: what was measured of the candidate holds as it is.
  if (common.size() == whole.labels.size()) return {};
  // Else a gate would hold a metric of all rows of the
  // candidate against one of few rows of the base.
  std::erase_if(numbers, [](const auto& item) {
    return item.first.starts_with("metrics.") || item.first.starts_with("slices.");
  });
  Evidence on_common;
  return measure_rows(*input.definition, {whole.task, &rows, of_candidate, labels, whole.interval},
                      on_common, numbers);
}

}  // namespace

Result<Evidence> evaluate(const EvaluateInput& input) {
  const spec::Evaluation& definition = *input.definition;
  Evidence evidence;
  Numbers numbers;
  HEDDLE_TRY(measure_rows(definition, input.predictions, evidence, numbers));
  evidence.standby = input.standby;
  add_group("standby", evidence.standby, numbers);
  std::vector<spec::Gate> gates;
  Absent absent = input.absent;
  // Without both sides of a split there is no leakage to look for.
  if (input.split.train_rows != nullptr) {
    HEDDLE_ASSIGN_OR_RETURN(evidence.leakage, leakage(input.split));
    add_group("leakage", evidence.leakage.numbers, numbers);
    gates = leakage_gates(evidence.leakage, definition, input.predictions.task->kind);
    name_untold(evidence.leakage, input.predictions.task->kind, absent);
  }
  gates.insert(gates.end(), definition.gates.begin(), definition.gates.end());
  gates.insert(gates.end(), input.more_gates.begin(), input.more_gates.end());
  numbers.insert(input.more_numbers.begin(), input.more_numbers.end());
  if (input.is_bounded)
    name_empty_slices(definition, evidence, input.predictions.rows->rows(), absent);
  // On its own copy: gates that do not read the base are judged on all held-out rows.
  Numbers beside_base = numbers;
  NoBase no_base;
  if (input.base != nullptr) {
    evidence.base = BaseEvidence{input.base->bundle,  input.base->missing, input.base->note, 0,
                                 input.base->refused, input.base->learned};
    HEDDLE_TRY(measure_base(input, *evidence.base, beside_base));
    no_base = evidence.base->missing;
  }
  evidence.passed = true;
  for (const auto& gate : gates) {
    HEDDLE_ASSIGN_OR_RETURN(
        auto results,
        // Each gate by itself, since the numbers that it reads depend on what it names.
        run_gates(std::span(&gate, 1), reads_base(gate) ? beside_base : numbers, no_base, absent));
    evidence.passed = evidence.passed && !results.front().failed();
    evidence.gates.push_back(std::move(results.front()));
  }
  return evidence;
}

// https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md and
// spec/predicates/test-result.md (v0.1)
std::string to_statement(const Evidence& evidence, std::span<const Resource> subjects,
                         std::span<const Resource> configuration) {
  const auto resources = [](std::span<const Resource> items) {
    doc::Value::Array out;
    for (const auto& item : items) {
      out.push_back(doc::Value::object(
          {{"name", item.name}, {"digest", doc::Value::object({{"sha256", item.digest.hex()}})}}));
    }
    return doc::Value(std::move(out));
  };
  doc::Value::Array passed;
  doc::Value::Array warned;
  doc::Value::Array failed;
  for (const auto& gate : evidence.gates) {
    // What was not judged is neither passed nor failed: in-toto has `warnedTests` for it.
    auto& list = gate.passed ? passed : gate.failed() ? failed : warned;
    list.emplace_back(gate.id);
  }
  const char* result = !evidence.passed ? "FAILED" : warned.empty() ? "PASSED" : "WARNED";
  return doc::to_canonical_json(doc::Value::object(
      {{"_type", "https://in-toto.io/Statement/v1"},
       {"subject", resources(subjects)},
       {"predicateType", "https://in-toto.io/attestation/test-result/v0.1"},
       {"predicate", doc::Value::object({{"result", result},
                                         {"configuration", resources(configuration)},
                                         {"passedTests", std::move(passed)},
                                         {"warnedTests", std::move(warned)},
                                         {"failedTests", std::move(failed)}})}}));
}

}  // namespace heddle::evaluate
