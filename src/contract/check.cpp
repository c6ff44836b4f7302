#include <re2/re2.h>

#include "contract/code.hpp"
#include "table/cell.hpp"

namespace heddle::contract {

using expr::Datum;
using expr::Type;

RowCheck::RowCheck() : scratch(std::make_unique<Scratch>()) {}
RowCheck::~RowCheck() = default;
RowCheck::RowCheck(RowCheck&&) noexcept = default;
RowCheck& RowCheck::operator=(RowCheck&&) noexcept = default;

std::int32_t DependencyCode::find(std::span<const Datum> row) const noexcept {
  std::int64_t key[kMaxKey];
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto part = parts[i].find(row[static_cast<std::size_t>(determinant[i])]);
    if (!part) return -1;
    key[i] = *part;
  }
  return tuples.find({key, parts.size()});
}

void Contract::Code::broke(int rule, RowCheck& out) const noexcept {
  const auto index = static_cast<std::size_t>(rule);
  out.states[index] = RuleState::kBroken;
  out.broken.push_back(static_cast<std::uint16_t>(rule));
  if (rules[index].effect == RuleEffect::kRefuse) out.refused = true;
}

Datum Contract::Code::check_field(std::size_t i, const Datum& raw, RowCheck& out) const noexcept {
  const spec::Field& field = definition.fields[i];
  const FieldCode& code = fields[i];
  const Datum value = table::as_type(field.type, raw);
  const auto judge = [&](int rule, bool clean) {
    if (clean) out.states[static_cast<std::size_t>(rule)] = RuleState::kClean;
    else broke(rule, out);
  };
  if (value.is_null()) {
    if (code.required >= 0) broke(code.required, out);
    return value;
  }
  judge(code.type, !value.is_error());
  if (code.required >= 0) judge(code.required, true);
  if (value.is_error()) return {};
  std::int32_t known = -1;
  if (code.enumeration >= 0) {
    known = code.values.find(value.str());
    judge(code.enumeration, known >= 0);
  }
  if (code.range >= 0) {
    const double number = value.number();
    judge(code.range, (!field.minimum || number >= *field.minimum) && (!field.maximum || number <= *field.maximum));
  }
  if (code.pattern >= 0) {
    const bool fits = known >= 0 ? code.value_fits[static_cast<std::size_t>(known)] != 0
                                 : RE2::FullMatch(re2::StringPiece(value.s, value.size), *code.expression);
    judge(code.pattern, fits);
  }
  return value;
}

void Contract::check(std::span<const Datum> raw, RowCheck& out) const noexcept {
  const Code& code = *code_;
  out.refused = false;
  out.broken.clear();
  out.broken.reserve(code.rules.size());
  out.states.assign(code.rules.size(), RuleState::kUnknown);
  out.row.resize(code.request_count);
  for (std::size_t i = 0; i < code.request_count; ++i) out.row[i] = code.check_field(i, i < raw.size() ? raw[i] : Datum(), out);

  // The rows' own rules come after the fields' in `rules()`; expressions and dependencies alternate there.
  std::size_t next_expression = 0;
  std::size_t next_dependency = 0;
  while (next_expression < code.expressions.size() || next_dependency < code.dependencies.size()) {
    const bool expression = next_dependency == code.dependencies.size() ||
                            (next_expression < code.expressions.size() &&
                             code.expressions[next_expression].rule < code.dependencies[next_dependency].rule);
    if (expression) {
      const ExpressionCode& rule = code.expressions[next_expression++];
      const auto variables = rule.program.variables();
      // A malformed field speaks through its own rule.
      const bool malformed = std::any_of(variables.begin(), variables.end(), [&](int field) {
        return out.states[static_cast<std::size_t>(code.fields[static_cast<std::size_t>(field)].type)] == RuleState::kBroken;
      });
      if (malformed) continue;
      if (rule.program.evaluate(out.row, out.scratch->program).is_true()) {
        out.states[static_cast<std::size_t>(rule.rule)] = RuleState::kClean;
      } else {
        code.broke(rule.rule, out);
      }
      continue;
    }
    const DependencyCode& rule = code.dependencies[next_dependency++];
    const Datum& dependent = out.row[static_cast<std::size_t>(rule.dependent)];
    if (dependent.is_null()) continue;
    const std::int32_t tuple = rule.find(out.row);
    if (tuple < 0) continue;
    const auto value = rule.dependent_part.find(dependent);
    if (value && *value == rule.values[static_cast<std::size_t>(tuple)]) {
      out.states[static_cast<std::size_t>(rule.rule)] = RuleState::kClean;
    } else {
      code.broke(rule.rule, out);
    }
  }

  if (out.refused || code.transforms.empty()) return;
  if (out.scratch->strings.size() < code.transforms.size()) out.scratch->strings.resize(code.transforms.size());
  for (std::size_t i = 0; i < code.transforms.size(); ++i) {
    const TransformCode& transform = code.transforms[i];
    const auto field = static_cast<std::size_t>(transform.field);
    Datum value = table::as_type(code.definition.fields[field].type, transform.program.evaluate(out.row, out.scratch->program));
    if (value.is_error()) value = {};
    if (value.kind == Datum::Kind::kString) {
      out.scratch->strings[i].assign(value.str());
      value = Datum::string(out.scratch->strings[i]);
    }
    out.row[field] = value;
  }
}

std::optional<std::pair<double, double>> Contract::observed_expected(std::size_t rule, std::span<const Datum> raw) const {
  for (const DependencyCode& dependency : code_->dependencies) {
    if (static_cast<std::size_t>(dependency.rule) != rule) continue;
    const auto type = dependency.dependent_part.type();
    if (type != Type::kInt && type != Type::kDouble) return std::nullopt;
    std::vector<Datum> row(code_->request_count);
    for (std::size_t i = 0; i < row.size() && i < raw.size(); ++i) {
      row[i] = table::as_type(code_->definition.fields[i].type, raw[i]);
      if (row[i].is_error()) row[i] = {};
    }
    const std::int32_t tuple = dependency.find(row);
    const Datum& observed = row[static_cast<std::size_t>(dependency.dependent)];
    if (tuple < 0 || observed.is_null()) return std::nullopt;
    const doc::Value expected = dependency.dependent_part.to_value(dependency.values[static_cast<std::size_t>(tuple)]);
    return std::pair(observed.number(), expected.as_double());
  }
  return std::nullopt;
}

}  // namespace heddle::contract
