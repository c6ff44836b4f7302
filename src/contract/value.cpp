#include "contract/code.hpp"
#include "doc/json.hpp"

namespace heddle::contract {
namespace {

using doc::Value;
using expr::Type;

constexpr const char* kFormat = "heddle.contract/2";
/// Before, a pattern had to match the whole value.
constexpr const char* kFormatBefore = "heddle.contract/1";

Error malformed(const std::string& what) {
  return Error{ErrorKind::kCorrupt, "contract-malformed",
               fmt::format("the contract is malformed: {}", what), "make the bundle anew"};
}

std::string effect_name(RuleEffect effect) {
  return effect == RuleEffect::kRefuse ? "refuse" : "warn";
}
RuleEffect effect_of(const Value& value) {
  return value.string_or("effect") == "warn" ? RuleEffect::kWarn : RuleEffect::kRefuse;
}

Value texts(const std::vector<std::string>& values) {
  Value out = Value::array();
  for (const auto& value : values) out.push(value);
  return out;
}

std::vector<std::string> texts_of(const Value& value, std::string_view key) {
  std::vector<std::string> out;
  const Value* items = value.find(key);
  if (items == nullptr || !items->is_array()) return out;
  for (const auto& item : items->as_array()) {
    if (item.is_string()) out.push_back(item.as_string());
  }
  return out;
}

std::span<const Value> items_of(const Value& value, std::string_view key) {
  const Value* items = value.find(key);
  if (items == nullptr || !items->is_array()) return {};
  return items->as_array();
}

constexpr std::pair<spec::Form, const char*> kForms[] = {
    {spec::Form::kDate, "date"}, {spec::Form::kTime, "time"}, {spec::Form::kEmail, "email"},
    {spec::Form::kUuid, "uuid"}, {spec::Form::kUri, "uri"},   {spec::Form::kHostname, "hostname"},
    {spec::Form::kIpv4, "ipv4"}, {spec::Form::kIpv6, "ipv6"}, {spec::Form::kByte, "byte"}};

Value field_to_value(const spec::Field& field) {
  Value out = Value::object(
      {{"name", field.name}, {"type", expr::type_name(field.type)}, {"required", field.required}});
  if (!field.enum_values.empty()) out.set("enum", Value::array(field.enum_values));
  for (const auto& [form, name] : kForms) {
    if (form == field.form) out.set("form", name);
  }
  if (field.minimum_excluded) out.set("minimum_excluded", true);
  if (field.maximum_excluded) out.set("maximum_excluded", true);
  if (field.earliest) out.set("earliest", *field.earliest);
  if (field.latest) out.set("latest", *field.latest);
  if (field.multiple_of) out.set("multiple_of", *field.multiple_of);
  if (field.min_length) out.set("min_length", *field.min_length);
  if (field.max_length) out.set("max_length", *field.max_length);
  if (field.minimum) out.set("minimum", *field.minimum);
  if (field.maximum) out.set("maximum", *field.maximum);
  if (!field.pattern.empty()) out.set("pattern", field.pattern);
  if (field.label_time) out.set("label", true);
  if (!field.description.empty()) out.set("description", field.description);
  return out;
}

Result<spec::Field> field_of(const Value& value) {
  spec::Field out;
  out.name = value.string_or("name");
  const std::string type = value.string_or("type");
  bool known = false;
  for (const Type each :
       {Type::kBool, Type::kInt, Type::kDouble, Type::kString, Type::kTimestamp}) {
    if (expr::type_name(each) == type) out.type = each, known = true;
  }
  if (!known || out.name.empty())
    return malformed(fmt::format("field `{}` has type `{}`", out.name, type));
  out.required = value.bool_or("required");
  for (const Value& item : items_of(value, "enum")) out.enum_values.push_back(item);
  const std::string form = value.string_or("form");
  bool is_form = form.empty();
  for (const auto& [each, name] : kForms) {
    if (form == name) out.form = each, is_form = true;
  }
  if (!is_form) return malformed(fmt::format("field `{}` has the form `{}`", out.name, form));
  out.minimum_excluded = value.bool_or("minimum_excluded");
  out.maximum_excluded = value.bool_or("maximum_excluded");
  const auto integer = [&](const char* key) -> std::optional<std::int64_t> {
    const Value* found = value.find(key);
    if (found == nullptr || !found->is_int()) return std::nullopt;
    return found->as_int();
  };
  out.earliest = integer("earliest");
  out.latest = integer("latest");
  out.min_length = integer("min_length");
  out.max_length = integer("max_length");
  const auto number = [&](const char* key) -> std::optional<double> {
    const Value* found = value.find(key);
    if (found == nullptr || !found->is_number()) return std::nullopt;
    return found->as_double();
  };
  out.minimum = number("minimum");
  out.maximum = number("maximum");
  out.multiple_of = number("multiple_of");
  out.pattern = value.string_or("pattern");
  out.label_time = value.bool_or("label");
  out.description = value.string_or("description");
  return out;
}

/// Patterns of the format before, which had to match the whole value.
void match_whole(spec::Contract& contract) {
  const auto whole = [](std::string& pattern) {
    if (!pattern.empty()) pattern = fmt::format("^(?:{})$", pattern);
  };
  for (auto& field : contract.fields) whole(field.pattern);
  for (auto& rule : contract.set_rules) whole(rule.pattern);
}

/// Tuples as arrays of their components and then the dependent value, in the order of their text:
/// how they were met does not count.
Value tuples_to_value(const DependencyCode& rule) {
  struct Row {
    std::string order;
    Value value;
  };
  std::vector<Row> rows;
  for (std::size_t tuple = 0; tuple < rule.values.size(); ++tuple) {
    Row row;
    const auto key = rule.tuples.tuple(static_cast<std::int32_t>(tuple));
    for (std::size_t i = 0; i < key.size(); ++i) row.value.push(rule.parts[i].to_value(key[i]));
    row.value.push(rule.dependent_part.to_value(rule.values[tuple]));
    row.order = doc::to_json(row.value);
    rows.push_back(std::move(row));
  }
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.order < b.order; });
  Value out = Value::array();
  for (auto& row : rows) out.push(std::move(row.value));
  return out;
}

}  // namespace

Value Contract::to_value() const {
  const spec::Contract& c = code_->definition;
  Value fields = Value::array();
  for (const auto& field : c.fields) fields.push(field_to_value(field));
  Value row_rules = Value::array();
  for (const auto& rule : c.row_rules) {
    Value out = Value::object({{"id", rule.id}, {"effect", effect_name(rule.effect)}});
    if (rule.kind == spec::RowRule::Kind::kExpression) {
      out.set("expression", rule.expression.text);
    } else {
      out.set("determinant", texts(rule.determinant));
      out.set("dependent", rule.dependent);
    }
    if (!rule.description.empty()) out.set("description", rule.description);
    row_rules.push(std::move(out));
  }
  Value set_rules = Value::array();
  for (const auto& rule : c.set_rules) {
    Value out = Value::object({{"id", rule.id},
                               {"effect", effect_name(rule.effect)},
                               {"metric", rule.metric},
                               {"operation", rule.operation}});
    Value operands = Value::array();
    for (const double operand : rule.operands) operands.push(operand);
    out.set("operands", std::move(operands));
    if (rule.percent) out.set("percent", true);
    if (!rule.field.empty()) out.set("field", rule.field);
    if (!rule.properties.empty()) out.set("properties", texts(rule.properties));
    if (!rule.arguments.empty()) out.set("arguments", Value::array(rule.arguments));
    if (!rule.condition.empty()) out.set("condition", rule.condition);
    if (!rule.pattern.empty()) out.set("pattern", rule.pattern);
    set_rules.push(std::move(out));
  }
  Value transforms = Value::array();
  for (const auto& transform : c.transforms) {
    Value out = Value::object({{"id", transform.id},
                               {"field", transform.field},
                               {"expression", transform.expression.text}});
    if (!transform.reason.empty()) out.set("reason", transform.reason);
    transforms.push(std::move(out));
  }
  Value learned = Value::array();
  for (std::size_t i = 0; i < code_->learned.size(); ++i) {
    learned.push(Value::object({{"rule", code_->learned[i].rule},
                                {"conflicting", code_->learned[i].conflicting},
                                {"tuples", tuples_to_value(code_->dependencies[i])}}));
  }
  return Value::object({{"format", kFormat},
                        {"name", c.identity.name},
                        {"version", c.version},
                        {"fields", std::move(fields)},
                        {"row_rules", std::move(row_rules)},
                        {"set_rules", std::move(set_rules)},
                        {"transforms", std::move(transforms)},
                        {"learned", std::move(learned)}});
}

Result<Contract> Contract::from_value(const Value& value) {
  const std::string format = value.string_or("format");
  if (format != kFormat && format != kFormatBefore)
    return malformed(fmt::format("its format is `{}`, not `{}`", format, kFormat));
  spec::Contract c;
  c.identity.kind = "DataContract";
  c.identity.name = value.string_or("name");
  c.version = value.string_or("version");
  for (const auto& item : items_of(value, "fields")) {
    HEDDLE_ASSIGN_OR_RETURN(auto field, field_of(item));
    c.fields.push_back(std::move(field));
  }
  for (const auto& item : items_of(value, "row_rules")) {
    spec::RowRule rule;
    rule.id = item.string_or("id");
    rule.effect = effect_of(item);
    rule.kind = item.find("expression") != nullptr ? spec::RowRule::Kind::kExpression
                                                   : spec::RowRule::Kind::kDependency;
    rule.expression.text = item.string_or("expression");
    rule.determinant = texts_of(item, "determinant");
    rule.dependent = item.string_or("dependent");
    rule.description = item.string_or("description");
    c.row_rules.push_back(std::move(rule));
  }
  for (const auto& item : items_of(value, "set_rules")) {
    spec::SetRule rule;
    rule.id = item.string_or("id");
    rule.effect = effect_of(item);
    rule.metric = item.string_or("metric");
    rule.operation = item.string_or("operation");
    for (const auto& operand : items_of(item, "operands")) {
      if (!operand.is_number())
        return malformed(fmt::format("set rule `{}` has an operand that is no number", rule.id));
      rule.operands.push_back(operand.as_double());
    }
    rule.percent = item.bool_or("percent");
    rule.field = item.string_or("field");
    rule.properties = texts_of(item, "properties");
    for (const Value& argument : items_of(item, "arguments")) rule.arguments.push_back(argument);
    rule.condition = item.string_or("condition");
    rule.pattern = item.string_or("pattern");
    c.set_rules.push_back(std::move(rule));
  }
  for (const auto& item : items_of(value, "transforms")) {
    c.transforms.push_back({item.string_or("id"),
                            item.string_or("field"),
                            {item.string_or("expression"), {}},
                            item.string_or("reason")});
  }
  if (format == kFormatBefore) match_whole(c);
  auto contract = compile(
      c, [](const std::string& file, const std::string&) -> Result<std::vector<std::string>> {
        return malformed(fmt::format("it refers to `{}`", file));
      });
  if (!contract.ok()) return malformed(contract.error().message);
  Code& code = *contract->code_;
  const auto learned = items_of(value, "learned");
  if (!learned.empty() && learned.size() != code.dependencies.size())
    return malformed("what was learned does not match its rules");
  for (std::size_t i = 0; i < learned.size(); ++i) {
    DependencyCode& rule = code.dependencies[i];
    LearnedDependency report{code.rules[static_cast<std::size_t>(rule.rule)].id, 0,
                             learned[i].int_or("conflicting")};
    if (learned[i].string_or("rule") != report.rule)
      return malformed(fmt::format("`{}` was learned where `{}` is due",
                                   learned[i].string_or("rule"), report.rule));
    for (const auto& tuple : items_of(learned[i], "tuples")) {
      if (!tuple.is_array() || tuple.size() != rule.parts.size() + 1)
        return malformed(fmt::format("a tuple of `{}` has {} values", report.rule, tuple.size()));
      std::int64_t key[kMaxKey];
      for (std::size_t k = 0; k < rule.parts.size(); ++k) {
        HEDDLE_ASSIGN_OR_RETURN(key[k], rule.parts[k].insert_value(tuple.as_array()[k]));
      }
      HEDDLE_ASSIGN_OR_RETURN(const std::int64_t dependent,
                              rule.dependent_part.insert_value(tuple.as_array().back()));
      if (static_cast<std::size_t>(rule.tuples.insert({key, rule.parts.size()})) !=
          rule.values.size()) {
        return malformed(fmt::format("a tuple of `{}` appears twice", report.rule));
      }
      rule.values.push_back(dependent);
      ++report.tuples;
    }
    code.learned.push_back(std::move(report));
  }
  return contract;
}

}  // namespace heddle::contract
