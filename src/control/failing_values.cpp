#include "control/failing_values.hpp"

#include <algorithm>

#include "expr/program.hpp"

namespace heddle::control {

std::vector<std::string> fields_of_rule(const spec::Contract& contract, const std::string& rule) {
  for (const auto& row_rule : contract.row_rules) {
    if (row_rule.id != rule) continue;
    auto out = row_rule.determinant;
    // A functional dependency names its fields; an expression has them in its text.
    if (!row_rule.dependent.empty()) out.push_back(row_rule.dependent);
    const auto names = expr::names_in(row_rule.expression.text);
    if (row_rule.kind != spec::RowRule::Kind::kExpression || !names.ok()) return out;
    for (const auto& field : contract.fields) {
      if (std::find(names->begin(), names->end(), field.name) != names->end())
        out.push_back(field.name);
    }
    return out;
  }
  // `unknown-field/NAME`, `not-a-scalar/NAME`: what the contract does not have or cannot hold.
  if (const auto slash = rule.find('/'); slash != std::string::npos)
    return {rule.substr(slash + 1)};
  // `FIELD-CHECK`: the name of a field may have dashes of
  // its own, that of a check has none behind the last one.
  const auto dash = rule.rfind('-');
  const std::string of = rule.substr(0, dash);
  const bool is_field =
      dash != std::string::npos && std::any_of(contract.fields.begin(), contract.fields.end(),
                                               [&](const auto& field) { return field.name == of; });
  return is_field ? std::vector<std::string>{of} : std::vector<std::string>{};
}

std::vector<FailingValue> failing_values(const spec::Contract& contract,
                                         const RefusedRowItem& row) {
  std::vector<FailingValue> out;
  for (const auto& rule : row.rules) {
    for (const auto& field : fields_of_rule(contract, rule)) {
      const doc::Value* value = row.fields.find(field);
      out.push_back({rule, field, value == nullptr ? doc::Value() : *value});
    }
  }
  return out;
}

}  // namespace heddle::control
