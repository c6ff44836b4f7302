#include <cmath>
#include <set>

#include "evaluate/evaluate.hpp"

namespace heddle::evaluate {
namespace {

std::string first_part(const std::string& name) { return name.substr(0, name.find('.')); }

}  // namespace

expr::Environment gate_environment(const spec::Evaluation& definition) {
  std::set<std::string> metrics{"accuracy", "auc", "calibration_error", "log_loss", "rows"};
  for (const auto& metric : definition.metrics) metrics.insert(metric.name);
  std::set<std::string> names{"leakage.duplicate_rows", "leakage.duplicate_share",
                              "leakage.single_feature_auc", "leakage.time_order_violations"};
  for (const auto& metric : metrics) {
    names.insert("metrics." + metric);
    names.insert("standby." + metric);
    for (const auto& slice : definition.slices) {
      names.insert(fmt::format("slices.{}.{}_min", slice.name, metric));
      names.insert(fmt::format("slices.{}.{}_max", slice.name, metric));
    }
  }
  expr::Environment environment;
  for (const auto& name : names) environment.variables.push_back({name, expr::Type::kDouble});
  return environment;
}

Result<std::vector<GateResult>> run_gates(std::span<const spec::Gate> gates,
                                          const Numbers& numbers) {
  std::set<std::string> groups{"leakage", "metrics", "slices", "standby"};
  std::set<std::string> names;
  for (const auto& [name, value] : numbers) {
    names.insert(name);
    groups.insert(first_part(name));
  }
  // A name of a group that has no number here (a metric of a standby that does not exist) is
  // missing, not misspelled.
  for (const auto& gate : gates) {
    auto used = expr::names_in(gate.when.text);
    if (!used.ok()) continue;  // `compile` says it better
    for (const auto& name : *used) {
      if (name.find('.') != std::string::npos && groups.contains(first_part(name)))
        names.insert(name);
    }
  }
  expr::Environment environment;
  std::vector<expr::Datum> row;
  for (const auto& name : names) {
    environment.variables.push_back({name, expr::Type::kDouble});
    const auto number = numbers.find(name);
    const bool known = number != numbers.end() && !std::isnan(number->second);
    row.push_back(known ? expr::Datum::real(number->second) : expr::Datum::null());
  }
  std::vector<GateResult> results;
  expr::Program::Scratch scratch;
  for (const auto& gate : gates) {
    auto program = expr::Program::compile(gate.when.text, environment, expr::Type::kBool);
    if (!program.ok()) {
      Error error = program.error();
      error.message = fmt::format("gate `{}`: {}", gate.id, error.message);
      return error;
    }
    GateResult result{gate.id, false, gate.when.text, gate.description};
    std::string missing;
    for (const int index : program->variables()) {
      const auto i = static_cast<std::size_t>(index);
      const std::string& name = environment.variables[i].name;
      if (row[i].is_null()) {
        missing += (missing.empty() ? "`" : ", `") + name + "`";
      } else {
        result.values[name] = row[i].d;
      }
    }
    const expr::Datum answer = program->evaluate(row, scratch);
    result.passed = answer.is_true();
    if (answer.is_null() || answer.is_error()) {
      result.error =
          missing.empty() ? "it could not be evaluated" : fmt::format("there is no {}", missing);
    }
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace heddle::evaluate
