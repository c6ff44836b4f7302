#include <re2/re2.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/clock.hpp"
#include "contract/code.hpp"
#include "contract/form.hpp"
#include "table/cell.hpp"

namespace heddle::contract {

using expr::Datum;
using expr::Type;

RowCheck::RowCheck() : scratch(std::make_unique<Scratch>()) {}
RowCheck::~RowCheck() = default;
RowCheck::RowCheck(RowCheck&&) noexcept = default;

std::int32_t DependencyCode::find(std::span<const Datum> row) const noexcept {
  std::int64_t key[kMaxKey];
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto part = parts[i].find(row[static_cast<std::size_t>(determinant[i])]);
    // No learned tuple has this value.
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

namespace {

template <class Number, class Bound>
bool inside(const spec::Field& field, Number number, const Bound& low, const Bound& high) noexcept {
  const bool above = !low || number > *low || (number == *low && !field.minimum_excluded);
  return above && (!high || number < *high || (number == *high && !field.maximum_excluded));
}

/// Whether a value lies between the bounds of its field; `text` times of day are turned into their
/// microseconds.
bool within(const spec::Field& field, const Datum& value) noexcept {
  if (value.kind == Datum::Kind::kInt || value.kind == Datum::Kind::kDouble)
    return inside(field, value.number(), field.minimum, field.maximum);
  if (value.kind == Datum::Kind::kTimestamp)
    return inside(field, value.i, field.earliest, field.latest);
  // It is a time of day: another text is refused by its type's rule before.
  return inside(field, *spec::parse_time_of_day(value.str()), field.earliest, field.latest);
}

/// By the remainder where the step is a whole number, which is exact. A decimal step has no exact
/// double: .3 is a multiple of .1 although the quotient is not 3, so the quotient may be off by
/// what two roundings make.
bool is_multiple(const Datum& value, double step) noexcept {
  if (std::trunc(step) == step) {
    if (value.kind == Datum::Kind::kInt && step < 0x1p63)
      return value.i % static_cast<std::int64_t>(step) == 0;
    return std::fmod(value.number(), step) == 0;
  }
  const double quotient = value.number() / step;
  return std::abs(quotient - std::nearbyint(quotient)) <=
         4 * std::numeric_limits<double>::epsilon() * std::abs(quotient);
}

/// Whether an enumeration that is not of texts holds a value.
bool has_key(const FieldCode& code, const spec::Field& field, const Datum& value) noexcept {
  const auto key = table::KeyPart(field.type).find(value);
  return key && std::binary_search(code.keys.begin(), code.keys.end(), *key);
}

bool fits_pattern(const FieldCode& code, std::int32_t known, const Datum& value) noexcept {
  if (known >= 0) return code.value_fits[static_cast<std::size_t>(known)] != 0;
  return RE2::PartialMatch(re2::StringPiece(value.s, value.size), *code.expression);
}

}  // namespace

bool differ(const Datum& a, const Datum& b) noexcept {
  if (a.kind != b.kind) return true;
  switch (a.kind) {
    case Datum::Kind::kNull:
    case Datum::Kind::kError: return false;
    case Datum::Kind::kBool: return a.b != b.b;
    case Datum::Kind::kDouble: return a.d != b.d;
    case Datum::Kind::kString: return a.str() != b.str();
    default: return a.i != b.i;
  }
}

void Contract::Code::check_more(std::size_t i, const Datum& value, RowCheck& out) const noexcept {
  const spec::Field& field = definition.fields[i];
  const FieldCode& code = fields[i];
  const auto judge = [&](int rule, bool is_clean) {
    if (is_clean)
      out.states[static_cast<std::size_t>(rule)] = RuleState::kClean;
    else
      broke(rule, out);
  };
  if (code.length >= 0) {
    const std::int64_t length = length_of(value.str());
    judge(code.length, (!field.min_length || length >= *field.min_length) &&
                           (!field.max_length || length <= *field.max_length));
  }
  if (code.multiple >= 0) judge(code.multiple, is_multiple(value, *field.multiple_of));
  if (code.format >= 0) judge(code.format, has_form(field.form, value));
}

Datum Contract::Code::check_field(std::size_t i, const Datum& raw, RowCheck& out) const noexcept {
  const spec::Field& field = definition.fields[i];
  const FieldCode& code = fields[i];
  Datum value = table::as_type(field.type, raw);
  const auto judge = [&](int rule, bool is_clean) {
    if (is_clean)
      out.states[static_cast<std::size_t>(rule)] = RuleState::kClean;
    else
      broke(rule, out);
  };
  if (value.is_null()) {
    if (code.required >= 0) broke(code.required, out);
    return value;
  }
  // A date is a timestamp at midnight, a time of day is text: another value is of the wrong type.
  const bool is_day =
      !code.is_plain && (field.form == spec::Form::kDate || field.form == spec::Form::kTime);
  if (is_day && !value.is_error() && !has_form(field.form, value)) value = Datum::error();
  judge(code.type, !value.is_error());
  if (code.required >= 0) judge(code.required, true);
  // Nothing can be asked of it, so that the other rules stay unknown.
  if (value.is_error()) return {};
  // The place of a text in the enumeration; whether that one fits the pattern was worked out
  // before.
  std::int32_t known = -1;
  if (code.enumeration >= 0) {
    if (field.type == Type::kString) known = code.values.find(value.str());
    judge(code.enumeration, field.type == Type::kString ? known >= 0 : has_key(code, field, value));
  }
  if (code.range >= 0) judge(code.range, within(field, value));
  if (code.pattern >= 0) judge(code.pattern, fits_pattern(code, known, value));
  if (!code.is_plain) check_more(i, value, out);
  return value;
}

void Contract::Code::check_expression(const ExpressionCode& rule, RowCheck& out) const noexcept {
  const auto variables = rule.program.variables();
  // A malformed field speaks through its own rule.
  const bool malformed = std::any_of(variables.begin(), variables.end(), [&](int field) {
    return out.states[static_cast<std::size_t>(fields[static_cast<std::size_t>(field)].type)] ==
           RuleState::kBroken;
  });
  if (malformed) return;
  // Null and an error break it: it could not be shown to hold.
  if (rule.program.evaluate(out.row, out.scratch->program).is_true()) {
    out.states[static_cast<std::size_t>(rule.rule)] = RuleState::kClean;
  } else {
    broke(rule.rule, out);
  }
}

void Contract::Code::check_dependency(const DependencyCode& rule, RowCheck& out) const noexcept {
  const Datum& dependent = out.row[static_cast<std::size_t>(rule.dependent)];
  // Whether it may be missing is the matter of `required`.
  if (dependent.is_null()) return;
  const std::int32_t tuple = rule.find(out.row);
  if (tuple < 0) return;  // never learned: nobody knows what belongs to it
  const auto value = rule.dependent_part.find(dependent);
  if (value && *value == rule.values[static_cast<std::size_t>(tuple)]) {
    out.states[static_cast<std::size_t>(rule.rule)] = RuleState::kClean;
  } else {
    broke(rule.rule, out);
  }
}

void Contract::Code::check_row_rules(RowCheck& out) const noexcept {
  // The rows' own rules come after the fields' in `rules()`; expressions and dependencies alternate
  // there.
  std::size_t next_expression = 0;
  std::size_t next_dependency = 0;
  while (next_expression < expressions.size() || next_dependency < dependencies.size()) {
    const bool expression =
        next_dependency == dependencies.size() ||
        (next_expression < expressions.size() &&
         expressions[next_expression].rule < dependencies[next_dependency].rule);
    if (expression)
      check_expression(expressions[next_expression++], out);
    else
      check_dependency(dependencies[next_dependency++], out);
  }
}

void Contract::Code::transform(RowCheck& out) const noexcept {
  if (out.scratch->strings.size() < transforms.size())
    out.scratch->strings.resize(transforms.size());
  for (std::size_t i = 0; i < transforms.size(); ++i) {
    const TransformCode& transform = transforms[i];
    const auto field = static_cast<std::size_t>(transform.field);
    Datum value = table::as_type(definition.fields[field].type,
                                 transform.program.evaluate(out.row, out.scratch->program));
    // The row was accepted, and features know what missing is.
    if (value.is_error()) value = {};
    // The program's strings live until its next run, the row's as long as the row.
    if (value.kind == Datum::Kind::kString) {
      out.scratch->strings[i].assign(value.str());
      value = Datum::string(out.scratch->strings[i]);
    }
    if (differ(out.row[field], value))
      out.repaired.push_back(static_cast<std::uint16_t>(transform.repair));
    out.row[field] = value;
  }
}

Datum Contract::Code::repair(std::size_t i, const Datum& raw, RowCheck& out) const noexcept {
  const FieldRepairs* const repairs_of_field = field_repairs[i].get();
  if (repairs_of_field == nullptr) return raw;
  Made made = 0;
  const Datum value =
      repairs_of_field->apply(raw, FieldRepairs::Upto::kAll, out.scratch->repaired[i], made);
  // A bit for each repair that changed it; the lowest is taken away each time.
  for (unsigned rest = made; rest != 0; rest &= rest - 1) {
    out.repaired.push_back(static_cast<std::uint16_t>(
        repairs_of_field->number(static_cast<std::size_t>(__builtin_ctz(rest)))));
  }
  return value;
}

void Contract::check(std::span<const Datum> raw, RowCheck& out) const noexcept {
  const Code& code = *code_;
  out.refused = false;
  out.broken.clear();
  out.broken.reserve(code.rules.size());
  out.states.assign(code.rules.size(), RuleState::kUnknown);
  out.repaired.clear();
  out.row.resize(code.request_count);
  if (code.is_repairing) {
    out.repaired.reserve(code.repairs.size());
    // Never made smaller: what `row` borrows stays where it is.
    if (out.scratch->repaired.size() < code.request_count)
      out.scratch->repaired.resize(code.request_count);
  }
  // One call of `check_field`, so that the compiler puts it here: fields are most of a check.
  for (std::size_t i = 0; i < code.request_count; ++i) {
    Datum value = i < raw.size() ? raw[i] : Datum();
    if (code.is_repairing) [[unlikely]]
      value = code.repair(i, value, out);
    out.row[i] = code.check_field(i, value, out);
  }

  code.check_row_rules(out);
  // Transforms are written for rows that keep the rules.
  if (!out.refused && !code.transforms.empty()) code.transform(out);
}

bool Contract::accept(RowCheck& check) const noexcept {
  const Code& code = *code_;
  // What is malformed is no value that a model could be given.
  for (std::size_t i = 0; i < code.request_count; ++i) {
    const auto type = static_cast<std::size_t>(code.fields[i].type);
    if (check.states[type] == RuleState::kBroken) return false;
  }
  // `check` did not transform what it refused.
  if (check.refused && !code.transforms.empty()) code.transform(check);
  check.refused = false;
  return true;
}

std::optional<std::pair<double, double>> Contract::observed_expected(
    std::size_t rule, std::span<const Datum> raw) const {
  for (const DependencyCode& dependency : code_->dependencies) {
    if (static_cast<std::size_t>(dependency.rule) != rule) continue;
    const auto type = dependency.dependent_part.type();
    if (type != Type::kInt && type != Type::kDouble) return std::nullopt;
    std::vector<Datum> row(code_->request_count);
    RowCheck repaired;
    repaired.scratch->repaired.resize(row.size());
    for (std::size_t i = 0; i < row.size() && i < raw.size(); ++i) {
      row[i] = table::as_type(code_->definition.fields[i].type, code_->repair(i, raw[i], repaired));
      if (row[i].is_error()) row[i] = {};
    }
    const std::int32_t tuple = dependency.find(row);
    const Datum& observed = row[static_cast<std::size_t>(dependency.dependent)];
    if (tuple < 0 || observed.is_null()) return std::nullopt;
    const doc::Value expected =
        dependency.dependent_part.to_value(dependency.values[static_cast<std::size_t>(tuple)]);
    return std::pair(observed.number(), expected.as_double());
  }
  return std::nullopt;
}

}  // namespace heddle::contract
