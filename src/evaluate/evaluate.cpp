#include "evaluate/evaluate.hpp"

#include <cmath>

#include "doc/json.hpp"

namespace heddle::evaluate {
namespace {

/// A metric that is not defined on its rows is null.
doc::Value to_value(const Numbers& numbers) {
  doc::Value value = doc::Value::object();
  for (const auto& [name, number] : numbers)
    value.set(name, std::isfinite(number) ? doc::Value(number) : doc::Value());
  return value;
}

/// `slices.NAME.METRIC_min` and `_max` over the values of a slice where the metric is defined.
void add_extremes(const SliceResult& slice, Numbers& numbers) {
  for (const auto& [value, metrics] : slice.values) {
    for (const auto& [metric, number] : metrics) {
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

}  // namespace

Result<Evidence> evaluate(const EvaluateInput& input) {
  const spec::Evaluation& definition = *input.definition;
  Evidence evidence;
  HEDDLE_ASSIGN_OR_RETURN(evidence.metrics, metrics(definition, input.predictions));
  HEDDLE_ASSIGN_OR_RETURN(evidence.slices, slices(definition, input.predictions));
  evidence.standby = input.standby;
  std::vector<spec::Gate> gates;
  if (input.split.train_rows != nullptr) {
    HEDDLE_ASSIGN_OR_RETURN(evidence.leakage, leakage(input.split));
    const bool timed = evidence.leakage.numbers.contains("time_order_violations");
    if (timed)
      gates.push_back({"leakage-time-order",
                       {"leakage.time_order_violations == 0.0", {}},
                       "no training row is later than the first held-out row"});
    gates.push_back({"leakage-duplicate-rows",
                     {"leakage.duplicate_share <= 0.001", {}},
                     "held-out rows are no copies of training rows"});
    gates.push_back(
        {"leakage-single-feature",
         {fmt::format("leakage.single_feature_auc <= {:#}", definition.single_feature_auc_max), {}},
         "no feature alone predicts the target"});
  }
  gates.insert(gates.end(), definition.gates.begin(), definition.gates.end());
  Numbers numbers;
  add_group("metrics", evidence.metrics, numbers);
  add_group("standby", evidence.standby, numbers);
  add_group("leakage", evidence.leakage.numbers, numbers);
  for (const auto& slice : evidence.slices) add_extremes(slice, numbers);
  HEDDLE_ASSIGN_OR_RETURN(evidence.gates, run_gates(gates, numbers));
  evidence.passed = true;
  for (const auto& gate : evidence.gates) evidence.passed = evidence.passed && gate.passed;
  return evidence;
}

doc::Value Evidence::to_value() const {
  doc::Value value = doc::Value::object({{"format", "heddle.evaluation/1"},
                                         {"passed", passed},
                                         {"metrics", evaluate::to_value(metrics)}});
  if (!standby.empty()) value.set("standby", evaluate::to_value(standby));
  doc::Value::Array slice_values;
  for (const auto& slice : slices) {
    doc::Value values = doc::Value::object();
    for (const auto& [name, numbers] : slice.values) values.set(name, evaluate::to_value(numbers));
    slice_values.push_back(doc::Value::object({{"name", slice.name},
                                               {"field", slice.field},
                                               {"left_out_rows", slice.left_out_rows},
                                               {"values", std::move(values)}}));
  }
  value.set("slices", std::move(slice_values));
  if (!leakage.numbers.empty()) {
    doc::Value found = evaluate::to_value(leakage.numbers);
    found.set("single_feature", leakage.single_feature);
    value.set("leakage", std::move(found));
  }
  doc::Value::Array gate_values;
  for (const auto& gate : gates) {
    doc::Value item = doc::Value::object({{"id", gate.id},
                                          {"passed", gate.passed},
                                          {"when", gate.when},
                                          {"values", evaluate::to_value(gate.values)}});
    if (!gate.description.empty()) item.set("description", gate.description);
    if (!gate.error.empty()) item.set("error", gate.error);
    gate_values.push_back(std::move(item));
  }
  value.set("gates", std::move(gate_values));
  return value;
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
  doc::Value::Array failed;
  for (const auto& gate : evidence.gates) (gate.passed ? passed : failed).emplace_back(gate.id);
  return doc::to_canonical_json(doc::Value::object(
      {{"_type", "https://in-toto.io/Statement/v1"},
       {"subject", resources(subjects)},
       {"predicateType", "https://in-toto.io/attestation/test-result/v0.1"},
       {"predicate", doc::Value::object({{"result", evidence.passed ? "PASSED" : "FAILED"},
                                         {"configuration", resources(configuration)},
                                         {"passedTests", std::move(passed)},
                                         {"warnedTests", doc::Value::array()},
                                         {"failedTests", std::move(failed)}})}}));
}

}  // namespace heddle::evaluate
