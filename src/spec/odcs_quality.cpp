#include <algorithm>
#include <cctype>
#include <cmath>
#include <tuple>

#include "expr/names.hpp"
#include "expr/program.hpp"
#include "spec/environment.hpp"
#include "spec/odcs.hpp"
#include "spec/sql.hpp"

namespace heddle::spec::odcs {
namespace {

/// What a compiled contract takes: `kMaxKey` of contract/code.hpp.
constexpr std::size_t kMostDeterminants = 8;

const std::vector<std::string> kMetrics = {"nullValues", "missingValues", "invalidValues",
                                           "duplicateValues", "rowCount"};

/// What 3.0 called the metrics.
std::string metric_of(const std::string& name) {
  if (name == "duplicateCount") return "duplicateValues";
  if (name == "validValues") return "invalidValues";
  if (name == "nullCheck") return "nullValues";
  if (name == "countCheck") return "rowCount";
  return name;
}

/// 3.0's rules whose name says that no value may break them, so that they need no operator.
bool allows_none(const std::string& name) {
  return name == "nullCheck" || name == "validValues" || name == "between" || name == "minCheck" ||
         name == "maxCheck";
}

bool is_bounds(const std::string& name) {
  return name == "between" || name == "minCheck" || name == "maxCheck";
}

/// A value of the field's type as an expression writes it.
std::string literal_of(const Field& field, const doc::Value& value) {
  if (field.type == expr::Type::kTimestamp)
    return fmt::format("timestamp('{}')", value.as_string());
  if (value.is_int()) return fmt::to_string(value.as_int());
  // Without a point or an exponent it would be read as an integer.
  const std::string number = fmt::format("{}", value.as_double());
  return number.find_first_of(".e") == std::string::npos ? number + ".0" : number;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

const Field* field_of(const Contract& contract, const std::string& name) {
  const auto found = std::find_if(contract.fields.begin(), contract.fields.end(),
                                  [&](const Field& field) { return field.name == name; });
  return found == contract.fields.end() ? nullptr : &*found;
}

}  // namespace

RuleEffect QualityReader::effect_of(const Quality& quality) {
  const std::string severity = lower(quality.severity);
  if (severity == "warning" || severity == "info") return RuleEffect::kWarn;
  if (!severity.empty() && severity != "error") {
    reader_.warn_once("severity: " + severity, quality.position, "unknown-severity",
                      fmt::format("severity `{}` counts as `error`", quality.severity),
                      "write `error`, `warning` or `info`");
  }
  return RuleEffect::kRefuse;
}

bool QualityReader::is_taken(const std::string& id) const {
  // The rules that a field has by itself: `origin-type`, `origin-required` and so on.
  constexpr std::string_view kOwn[] = {"type",    "required", "enum",     "range",
                                       "pattern", "length",   "multiple", "format"};
  const auto is_own = [&](const Field& field) {
    return std::any_of(std::begin(kOwn), std::end(kOwn), [&](std::string_view each) {
      return id == fmt::format("{}-{}", field.name, each);
    });
  };
  if (std::any_of(contract_.fields.begin(), contract_.fields.end(), is_own)) return true;
  const auto same = [&](const auto& rule) { return rule.id == id; };
  return std::any_of(contract_.row_rules.begin(), contract_.row_rules.end(), same) ||
         std::any_of(contract_.set_rules.begin(), contract_.set_rules.end(), same);
}

/// The standard asks for no id, and an id needs to be unique under its property only: what is
/// refused must name one rule.
std::string QualityReader::id_of(const Quality& quality, const std::string& field,
                                 const std::string& what) const {
  const std::string about = field.empty() ? contract_.object : field;
  std::string id = !quality.id.empty() ? quality.id : quality.name;
  if (id.empty()) id = fmt::format("{}-{}", about, what);
  // A rule of another field may have it: with the field's name before it, both can stay.
  if (is_taken(id)) id = fmt::format("{}-{}", about, id);
  if (!is_taken(id)) return id;
  // Several rules of one metric under one field, for example, none of them with an id.
  int number = 2;
  while (is_taken(fmt::format("{}-{}", id, number))) ++number;
  return fmt::format("{}-{}", id, number);
}

void QualityReader::read(const std::vector<Quality>& rules, const std::string& field,
                         bool is_read) {
  std::vector<std::string> ids;
  for (const Quality& quality : rules) {
    if (!quality.id.empty() && std::find(ids.begin(), ids.end(), quality.id) != ids.end()) {
      // Read on nevertheless: one check says everything that is wrong.
      reader_.report(quality.position, "duplicate-name",
                     fmt::format("rule `{}` appears twice", quality.id), "rename one of the two");
    }
    ids.push_back(quality.id);
    const bool is_library =
        quality.type == "library" || (quality.type.empty() && !quality.metric.empty());
    if (quality.type == "text") {
      reader_.warn_once("type: text", quality.position, "not-enforced",
                        "rules of `type: text` are not enforced",
                        "write them with `type: library` or with `type: custom`, `engine: heddle`");
    } else if (!is_read) {
      // The field itself was reported, with its rules.
    } else if (is_library) {
      read_library(quality, field);
    } else if (quality.type == "sql") {
      read_sql(quality, field);
    } else if (quality.type == "custom") {
      read_custom(quality, field);
    } else {
      reader_.report(quality.position, "missing-key", "a quality rule needs a `metric` or a `type`",
                     "add `metric: nullValues` or another, or `type: text`");
    }
  }
}

/// Numbers for every operator, two where it is a range.
bool QualityReader::has_operands(const Quality& quality, const std::string& id) {
  if (quality.operators.empty()) {
    reader_.report(quality.position, "bad-quality", fmt::format("rule `{}` has no operator", id),
                   "say what its number must be, for example `mustBeLessThan: 5`");
    return false;
  }
  for (const Operator& each : quality.operators) {
    // `mustBeBetween` and `mustNotBeBetween`.
    const bool is_pair = each.name.ends_with("Between");
    const doc::Value& value = each.operand;
    const bool is_right = is_pair ? value.is_array() && value.size() == 2 &&
                                        value.as_array()[0].is_number() &&
                                        value.as_array()[1].is_number()
                                  : value.is_number();
    if (is_right && is_pair && value.as_array()[0].as_double() > value.as_array()[1].as_double()) {
      reader_.report(
          value.position(), "bad-quality",
          fmt::format("`{}` of rule `{}` has a first number above its second", each.name, id),
          "swap the two");
      return false;
    }
    if (is_right) continue;
    reader_.report(value.position(), "wrong-type",
                   fmt::format("`{}` of rule `{}` must be {}", each.name, id,
                               is_pair ? "two numbers" : "a number"),
                   is_pair ? "write it like `[0, 10]`"
                           : "what is compared is a count, a share or an aggregate");
    return false;
  }
  return true;
}

/// One set rule an operator: each must hold.
void QualityReader::add(SetRule rule, const Quality& quality) {
  const std::string id = rule.id;
  for (const Operator& each : quality.operators) {
    // The first keeps the id, so that a rule of one operator has the name that was written.
    if (&each != &quality.operators.front()) rule.id = fmt::format("{}-{}", id, each.name);
    rule.operation = each.name;
    rule.operands.clear();
    if (each.operand.is_number()) rule.operands.push_back(each.operand.as_double());
    if (each.operand.is_array()) {
      for (const auto& item : each.operand.as_array()) rule.operands.push_back(item.as_double());
    }
    contract_.set_rules.push_back(rule);
  }
}

namespace {

bool takes_argument(const SetRule& rule, const std::string& key) {
  if (key == "missingValues") return rule.metric == "missingValues";
  // Under a property, duplicates are of that property alone.
  if (key == "properties") return rule.metric == "duplicateValues" && rule.field.empty();
  return (key == "validValues" || key == "pattern") && rule.metric == "invalidValues";
}

/// The first item of a list of arguments that is of a wrong type.
const doc::Value* wrong_item(const std::string& key, const doc::Value& list) {
  for (const auto& item : list.as_array()) {
    const bool is_right =
        key == "properties" ? item.is_string() : !item.is_array() && !item.is_object();
    if (!is_right) return &item;
  }
  return nullptr;
}

}  // namespace

bool QualityReader::has_arguments(const Quality& quality, const SetRule& rule) {
  if (!quality.arguments.is_object()) return true;
  const auto bad = [&](std::string message, std::string hint) {
    reader_.report(quality.position, "bad-quality", fmt::format("rule `{}` {}", rule.id, message),
                   std::move(hint));
    return false;
  };
  for (const auto& [key, argument] : quality.arguments.as_object()) {
    if (!takes_argument(rule, key)) {
      return bad(fmt::format("has the argument `{}`, which `{}`{} does not take", key, rule.metric,
                             rule.field.empty() ? "" : " of a property"),
                 "`missingValues` takes `missingValues`, `invalidValues` takes `validValues` and "
                 "`pattern`, `duplicateValues` of an object takes `properties`");
    }
    if (key == "pattern") {
      if (argument.is_string()) continue;
      return bad("has an argument `pattern` that is no text", "write it like in the standard");
    }
    if (!argument.is_array()) {
      return bad(fmt::format("has an argument `{}` that is no list", key),
                 "write it like in the standard");
    }
    if (const auto* wrong = wrong_item(key, argument); wrong != nullptr) {
      return bad(fmt::format("has a list `{}` with an item of type {}", key, wrong->type_name()),
                 key == "properties" ? "list names of properties" : "list single values");
    }
  }
  return true;
}

void QualityReader::report_unused(const Quality& quality, std::string_view type) {
  const bool is_library = type == "library";
  const bool is_custom = type == "custom";
  const bool is_sql = type == "sql";
  const std::tuple<const char*, bool, bool> keys[] = {
      {"metric", !quality.metric.empty(), is_library},
      {"arguments", !quality.arguments.is_null(), is_library},
      {"query", !quality.query.empty(), is_sql},
      {"unit", !quality.unit.empty(), is_library || is_sql},
      {"engine", !quality.engine.empty(), is_custom},
      {"implementation", !quality.implementation.is_null(), is_custom}};
  for (const auto& [key, is_written, is_read] : keys) {
    if (!is_written || is_read) continue;
    reader_.warn_once(fmt::format("{} of {}", key, type), quality.position, "not-enforced",
                      fmt::format("`{}` of a rule of `type: {}` is not enforced", key, type),
                      "write a rule of its own for it, with the `type` that has this key");
  }
}

std::string QualityReader::bound_of(const Quality& quality, const Field& field,
                                    const std::string& id, std::string_view which) {
  const auto found =
      std::find_if(quality.custom.begin(), quality.custom.end(),
                   [&](const CustomProperty& custom) { return custom.property == which; });
  if (found == quality.custom.end()) {
    reader_.report(quality.position, "bad-quality",
                   fmt::format("rule `{}` is a `{}` without `{}`", id, quality.metric, which),
                   fmt::format("add `customProperties: [{{property: {}, value: 0}}]`, or write "
                               "bounds as `logicalTypeOptions` of the property",
                               which));
    return {};
  }
  // Whole numbers may well be bounded by a half.
  const bool is_plain = found->value.is_number() && field.type != expr::Type::kTimestamp;
  const auto value = is_plain ? Result<doc::Value>(found->value) : typed_value(field, found->value);
  // An expression has no way to write infinity.
  const bool is_finite = value.ok() && (!value->is_number() || std::isfinite(value->as_double()));
  if (is_finite) return literal_of(field, *value);
  reader_.report(
      found->value.position(), "wrong-type",
      fmt::format("`{}` of rule `{}` is not a value of field `{}`", which, id, field.name),
      "write a value of the field's type");
  return {};
}

void QualityReader::read_bounds(const Quality& quality, const std::string& field) {
  const Field* const of = field_of(contract_, field);
  const std::string id = id_of(quality, field, quality.metric);
  const auto bad = [&](std::string message, std::string hint) {
    reader_.report(quality.position, "bad-quality", fmt::format("rule `{}` {}", id, message),
                   std::move(hint));
  };
  if (of == nullptr) {
    return bad(fmt::format("is a `{}` of no field", quality.metric),
               "write it under the property it is about");
  }
  const bool has_order = of->type == expr::Type::kInt || of->type == expr::Type::kDouble ||
                         of->type == expr::Type::kTimestamp;
  if (!has_order) {
    return bad(fmt::format("bounds `{}`, which is a {}", field, expr::type_name(of->type)),
               "bounds are of numbers, dates and timestamps");
  }
  if (quality.arguments.is_object() && quality.arguments.size() > 0) {
    return bad("has `arguments`, which bounds do not take",
               "write `min` and `max` under `customProperties`");
  }
  SetRule rule;
  rule.id = id;
  // Counted are the rows outside: a missing value is not compared, so it does not count.
  rule.metric = "rowCount";
  const std::string name = expr::written(field);
  // The condition is true outside of the bounds.
  for (const auto& [which, order, other] :
       {std::tuple{"min", "<", "maxCheck"}, std::tuple{"max", ">", "minCheck"}}) {
    // `maxCheck` has no `min`, and `minCheck` no `max`.
    if (quality.metric == other) continue;
    const std::string bound = bound_of(quality, *of, id, which);
    // It was reported there.
    if (bound.empty()) return;
    rule.condition +=
        fmt::format("{}{} {} {}", rule.condition.empty() ? "" : " || ", name, order, bound);
  }
  rule.percent = quality.unit == "percent";
  rule.effect = effect_of(quality);
  rule.position = quality.position;
  add(std::move(rule), quality);
}

namespace {

/// Reports what is wrong with a rule; false, so that callers can return it.
bool refuse(Reader& reader, const Quality& quality, const std::string& id, std::string_view message,
            std::string hint) {
  reader.report(quality.position, "bad-quality", fmt::format("rule `{}` {}", id, message),
                std::move(hint));
  return false;
}

/// Whether the standard has the metric and its unit.
bool check_metric(const Quality& quality, const SetRule& rule, Reader& reader) {
  const bool is_known = is_bounds(quality.metric) ||
                        std::find(kMetrics.begin(), kMetrics.end(), rule.metric) != kMetrics.end();
  if (is_known) return true;
  const std::string near = doc::nearest(rule.metric, kMetrics);
  return refuse(
      reader, quality, rule.id,
      rule.metric.empty()
          ? "has no metric"
          : fmt::format("has the metric `{}`, which is none of the standard's", rule.metric),
      near.empty() ? fmt::format("use `{}`", fmt::join(kMetrics, "`, `"))
                   : fmt::format("did you mean `{}`?", near));
}

bool check_unit(const Quality& quality, const SetRule& rule, Reader& reader) {
  if (quality.unit.empty() || quality.unit == "rows" || quality.unit == "percent") return true;
  return refuse(reader, quality, rule.id, fmt::format("has the unit `{}`", quality.unit),
                "use `rows` or `percent`");
}

/// What the rule's arguments say of values and properties.
void read_arguments(const Quality& quality, SetRule& rule, Reader& reader) {
  const auto list = [&](const char* key) {
    const doc::Value* found = quality.arguments.find(key);
    // `has_arguments` saw that it is a list.
    return found == nullptr ? doc::Value::Array() : found->as_array();
  };
  for (const auto& item : list("properties")) rule.properties.push_back(item.as_string());
  rule.arguments = list(rule.metric == "missingValues" ? "missingValues" : "validValues");
  if (const doc::Value* pattern = quality.arguments.find("pattern"); pattern != nullptr)
    rule.pattern = read_pattern(*pattern, fmt::format("rule `{}`", rule.id), reader);
}

/// Whether the metric can be counted as it is written.
bool check_counted(const Quality& quality, const SetRule& rule, Reader& reader) {
  const bool is_of_field = rule.metric.ends_with("Values") && rule.metric != "duplicateValues";
  if (is_of_field && rule.field.empty())
    return refuse(reader, quality, rule.id, fmt::format("counts `{}` of no field", rule.metric),
                  "write it under the property it is about");
  if (rule.metric == "rowCount" && rule.percent)
    return refuse(reader, quality, rule.id, "counts all rows in percent of themselves",
                  "write `unit: rows`");
  return true;
}

/// What is valid, where the rule does not say it: what the property itself lists.
bool complete_valid_values(const Quality& quality, const Contract& contract, SetRule& rule,
                           Reader& reader) {
  if (rule.metric != "invalidValues" || !rule.arguments.empty() || !rule.pattern.empty())
    return true;
  // The field is there: `check_counted` asked for one, and rules of unread properties are skipped.
  rule.arguments = field_of(contract, rule.field)->enum_values;
  if (!rule.arguments.empty()) return true;
  return refuse(reader, quality, rule.id, "has neither `validValues` nor `pattern`",
                "write one of them under `arguments`: else every value is valid");
}

}  // namespace

void QualityReader::read_library(const Quality& written, const std::string& field) {
  Quality quality = written;
  report_unused(quality, "library");
  if (quality.operators.empty() && allows_none(quality.metric))
    quality.operators.push_back({"mustBe", doc::Value(0)});
  if (quality.operators.empty() && quality.metric == "countCheck") {
    reader_.warn_once("countCheck", quality.position, "not-enforced",
                      "a `countCheck` without an operator is not enforced: it names no number",
                      "write `metric: rowCount` and, for example, `mustBeGreaterThan: 1000`");
    return;
  }
  SetRule rule;
  rule.metric = metric_of(quality.metric);
  rule.id = id_of(quality, field, rule.metric);
  if (!check_metric(quality, rule, reader_) || !has_operands(quality, rule.id) ||
      !check_unit(quality, rule, reader_))
    return;
  if (is_bounds(quality.metric)) return read_bounds(quality, field);
  rule.field = field;
  if (!has_arguments(quality, rule)) return;
  rule.percent = quality.unit == "percent";
  rule.effect = effect_of(quality);
  rule.position = quality.position;
  read_arguments(quality, rule, reader_);
  if (!check_counted(quality, rule, reader_) ||
      !complete_valid_values(quality, contract_, rule, reader_))
    return;
  const bool is_of_rows =
      rule.metric == "duplicateValues" && field.empty() && rule.properties.empty();
  if (is_of_rows && !contract_.unread.empty()) {
    // Rows that are alike in what is read may well differ in the rest.
    reader_.warn_once(
        "duplicates of rows", quality.position, "not-enforced",
        fmt::format("rule `{}` is not enforced: it counts rows that repeat in every property, and "
                    "`{}` is not read",
                    rule.id, contract_.unread.front()),
        "name those that make a row one of its kind: `arguments: {properties: [...]}`");
    return;
  }
  add(std::move(rule), quality);
}

void QualityReader::read_sql(const Quality& quality, const std::string& field) {
  // Only what can be counted with the same result as a database does is taken; everything else says
  // why.
  const std::string id = id_of(quality, field, "sql");
  report_unused(quality, "sql");
  std::vector<std::string> objects{contract_.object};
  if (!object_.physical_name.empty()) objects.push_back(object_.physical_name);
  std::vector<std::string> names;
  for (const Field& each : contract_.fields) names.push_back(each.name);
  const auto measure = spec::read_sql(quality.query, {objects, names, field});
  std::string why = measure.ok() ? "" : measure.error().message;
  // In its own words, not in the parser's, which ends early.
  if (quality.query.empty()) why = "it has no `query`";
  if (measure.ok() && !measure->condition.empty()) {
    // Compiled here, so that a rule that cannot be counted is told like every other one.
    const auto program = expr::Program::compile(
        measure->condition, target_environment(contract_.fields), expr::Type::kBool);
    if (!program.ok())
      why = fmt::format("the query's condition cannot be read: {}", program.error().message);
  }
  if (measure.ok() && !measure->field.empty()) {
    const Field* of = field_of(contract_, measure->field);
    const bool is_number = of->type == expr::Type::kInt || of->type == expr::Type::kDouble;
    // Databases differ in what the average of integers is.
    if (!is_number || (measure->metric == "average" && of->type == expr::Type::kInt)) {
      why = fmt::format("the query has an aggregate of `{}`, which is a {}", of->name,
                        expr::type_name(of->type));
    }
  }
  if (why.empty() && !quality.unit.empty() && quality.unit != "rows")
    why = fmt::format("the rule has the unit `{}`", quality.unit);
  if (why.empty()) {
    if (!has_operands(quality, id)) return;
    SetRule rule;
    rule.id = id;
    rule.metric = measure->metric;
    rule.field = measure->field;
    rule.condition = measure->condition;
    rule.effect = effect_of(quality);
    rule.position = quality.position;
    return add(std::move(rule), quality);
  }
  const std::string hint =
      "write the rule with `type: library` or with `type: custom`, `engine: heddle`";
  // Who wrote that it must hold is not left with a warning.
  if (lower(quality.severity) == "error") {
    reader_.report(
        quality.position, "sql-not-enforced",
        fmt::format("rule `{}` is of severity error and cannot be enforced: {}", id, why),
        hint + "; or give it `severity: warning`");
    return;
  }
  reader_.warn_once("type: sql", quality.position, "not-enforced",
                    fmt::format("rule `{}` of `type: sql` is not enforced: {}", id, why), hint);
}

bool QualityReader::read_dependency(const Quality& quality, const doc::Value& dependency,
                                    RowRule& rule) {
  rule.kind = RowRule::Kind::kDependency;
  rule.dependent = dependency.string_or("dependent");
  const auto wrong = [&](std::string what) {
    reader_.report(dependency.position().line == 0 ? quality.position : dependency.position(),
                   "bad-quality", fmt::format("dependency of rule `{}` {}", rule.id, what),
                   "write `dependency: {determinant: [origin, destination], dependent: distance}`");
    return false;
  };
  const doc::Value* list = dependency.find("determinant");
  if (rule.dependent.empty() || list == nullptr || !list->is_array() || list->size() == 0)
    return wrong("is incomplete");
  if (list->size() > kMostDeterminants)
    return wrong(
        fmt::format("has {} determinants, at most {} can be", list->size(), kMostDeterminants));
  for (const auto& item : list->as_array()) {
    if (!item.is_string()) return wrong("has a determinant that is no field's name");
    rule.determinant.push_back(item.as_string());
  }
  return true;
}

void QualityReader::read_custom(const Quality& quality, const std::string& field) {
  if (lower(quality.engine) != "heddle") {
    const std::string engine = quality.engine.empty() ? "custom" : quality.engine;
    reader_.warn_once(
        "engine: " + engine, quality.position, "not-enforced",
        fmt::format("rules of `engine: {}` are not enforced", engine),
        "their engine checks them; what Heddle must keep is written with `engine: heddle`");
    return;
  }
  report_unused(quality, "custom");
  RowRule rule;
  rule.id = id_of(quality, field, "rule");
  rule.effect = effect_of(quality);
  rule.description = quality.description;
  rule.position = quality.position;
  if (!quality.operators.empty()) {
    reader_.report(quality.position, "bad-quality",
                   fmt::format("rule `{}` of `engine: heddle` has the operator `{}`", rule.id,
                               quality.operators[0].name),
                   "a row keeps it or breaks it: put the comparison into its expression");
    return;
  }
  const doc::Value& how = quality.implementation;
  if (how.is_null()) {
    reader_.report(quality.position, "missing-key",
                   "a quality rule of type custom needs the key `implementation`",
                   "add `implementation: {expression: ...}`");
    return;
  }
  // In short: a text alone is the expression.
  const doc::Value* expression = how.is_string() ? &how : how.find("expression");
  const doc::Value* dependency = how.find("dependency");
  if (expression != nullptr && expression->is_string()) {
    rule.expression = {expression->as_string(), expression->position()};
  } else if (dependency != nullptr && dependency->is_object()) {
    if (!read_dependency(quality, *dependency, rule)) return;
  } else {
    reader_.report(how.position(), "bad-quality",
                   fmt::format("rule `{}` has neither an expression nor a dependency", rule.id),
                   "write `implementation: {expression: \"...\"}`");
    return;
  }
  contract_.row_rules.push_back(std::move(rule));
}

void QualityReader::keys() {
  const auto none = [&](const std::string& metric, const std::string& id, doc::Position at) {
    SetRule rule;
    Quality named;
    named.id = id;
    // A rule of the contract's own may have that id already.
    rule.id = id_of(named, "", "");
    rule.metric = metric;
    rule.operation = "mustBe";
    rule.operands = {0};
    rule.position = at;
    return rule;
  };
  std::vector<std::string> primary;
  doc::Position at;
  bool is_whole = true;  // no part of the primary key is a property that rows do not have
  for (const Property& property : object_.properties) {
    const Field* field = field_of(contract_, property.name);
    if (field == nullptr) {
      is_whole = is_whole && !property.primary_key;
      continue;
    }
    if (property.unique) {
      SetRule rule = none("duplicateValues", property.name + "-unique", property.position);
      rule.field = property.name;
      contract_.set_rules.push_back(std::move(rule));
    }
    if (!property.primary_key) continue;
    if (primary.empty()) at = property.position;
    primary.push_back(property.name);
    if (field->required) continue;  // its row rule says so already
    SetRule rule = none("nullValues", property.name + "-primary-key", property.position);
    rule.field = property.name;
    contract_.set_rules.push_back(std::move(rule));
  }
  if (primary.empty()) return;
  if (!is_whole) {
    // The other parts alone may well repeat.
    reader_.not_enforced("primaryKey", at,
                         "a part of the key is not read: check it where the rows are made");
    return;
  }
  SetRule rule = none("duplicateValues", "primary-key", at);
  rule.properties = std::move(primary);
  contract_.set_rules.push_back(std::move(rule));
}

}  // namespace heddle::spec::odcs
