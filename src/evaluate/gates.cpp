#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/ranges.h>

#include "evaluate/evaluate.hpp"

namespace heddle::evaluate {
namespace {

constexpr std::string_view kBasePrefix = "base.";

std::string first_part(const std::string& name) { return name.substr(0, name.find('.')); }

/// Says in `result` why a gate has no answer. `missing`: the names it reads that have no number.
void explain(GateResult& result, const std::vector<std::string>& missing, const NoBase& no_base,
             const Absent& absent) {
  const auto is_base = [](const std::string& name) { return name.starts_with(kBasePrefix); };
  // Why a name has no number, where that is nobody's fault; empty: it is a fault.
  const auto excuse = [&](const std::string& name) -> std::string {
    const auto known = absent.find(name);
    if (known != absent.end()) return known->second;
    return is_base(name) && !no_base.fails ? no_base.why : "";
  };
  std::set<std::string> excuses;
  for (const auto& name : missing) excuses.insert(excuse(name));
  // One name without an excuse is enough for a failure: the gate could not be judged for a fault.
  if (!excuses.empty() && !excuses.contains("")) {
    result.not_judged = fmt::to_string(fmt::join(excuses, "; "));
    return;
  }
  result.error = missing.empty() ? "it could not be evaluated"
                                 : fmt::format("there is no `{}`", fmt::join(missing, "`, `"));
  if (!no_base.why.empty() && std::any_of(missing.begin(), missing.end(), is_base))
    result.error += ": " + no_base.why;
}

}  // namespace

bool reads_base(const spec::Gate& gate) {
  const auto names = expr::names_in(gate.when.text);
  return names.ok() && std::any_of(names->begin(), names->end(), [](const std::string& name) {
           return name.starts_with(kBasePrefix);
         });
}

bool reads_base(const spec::Evaluation& definition) {
  return std::any_of(definition.gates.begin(), definition.gates.end(),
                     [](const spec::Gate& gate) { return reads_base(gate); });
}

namespace {

/// What gates may name: every number, and whatever they name of a group. A name of a group that has
/// no number here (a metric of a standby that does not exist) is missing, not misspelled.
std::set<std::string> names_for(std::span<const spec::Gate> gates, const Numbers& numbers) {
  std::set<std::string> groups{"base",    "constant",    "last",   "leakage",
                               "metrics", "one_feature", "slices", "standby"};
  std::set<std::string> names;
  for (const auto& [name, value] : numbers) {
    names.insert(name);
    groups.insert(first_part(name));
  }
  for (const auto& gate : gates) {
    auto used = expr::names_in(gate.when.text);
    if (!used.ok()) continue;  // `compile` says it better
    for (const auto& name : *used) {
      if (name.find('.') != std::string::npos && groups.contains(first_part(name)))
        names.insert(name);
    }
  }
  return names;
}

/// The numbers that gates read, under one set of names; null where there is none.
struct GateRow {
  expr::Environment environment{};
  std::vector<expr::Datum> values{};
};

GateRow row_of(const std::set<std::string>& names, const Numbers& numbers) {
  GateRow row;
  for (const auto& name : names) {
    row.environment.variables.push_back({name, expr::Type::kDouble});
    const auto number = numbers.find(name);
    // NaN is unknown to a gate and not a number: every comparison with it would quietly be false.
    const bool known = number != numbers.end() && !std::isnan(number->second);
    row.values.push_back(known ? expr::Datum::real(number->second) : expr::Datum::null());
  }
  return row;
}

Result<GateResult> run_gate(const spec::Gate& gate, const GateRow& row,
                            expr::Program::Scratch& scratch, const NoBase& no_base,
                            const Absent& absent) {
  auto program = expr::Program::compile(gate.when.text, row.environment, expr::Type::kBool);
  if (!program.ok()) {
    Error error = program.error();
    // An error of the whole evaluation: a gate that does not compile never gave an answer.
    error.message = fmt::format("gate `{}`: {}", gate.id, error.message);
    return error;
  }
  GateResult result{gate.id, false, gate.when.text, gate.description};
  std::vector<std::string> missing;
  for (const int index : program->variables()) {
    const auto i = static_cast<std::size_t>(index);
    const std::string& name = row.environment.variables[i].name;
    if (row.values[i].is_null()) {
      missing.push_back(name);
    } else {
      result.values[name] = row.values[i].d;
    }
  }
  const expr::Datum answer = program->evaluate(row.values, scratch);
  // Null is no pass: a gate passes only where its condition is known to hold.
  result.passed = answer.is_true();
  if (answer.is_null() || answer.is_error()) explain(result, missing, no_base, absent);
  return result;
}

}  // namespace

Result<std::vector<GateResult>> run_gates(std::span<const spec::Gate> gates, const Numbers& numbers,
                                          const NoBase& no_base, const Absent& absent) {
  const GateRow row = row_of(names_for(gates, numbers), numbers);
  std::vector<GateResult> results;
  expr::Program::Scratch scratch;
  for (const auto& gate : gates) {
    HEDDLE_ASSIGN_OR_RETURN(auto result, run_gate(gate, row, scratch, no_base, absent));
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace heddle::evaluate
