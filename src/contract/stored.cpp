#include "contract/stored.hpp"

#include <utility>

#include "contract/definition.hpp"

namespace heddle::contract {
namespace {

using doc::Reader;
using doc::Schema;
using doc::Shape;
using doc::Value;
using expr::Type;
using spec::Form;
using spec::RuleEffect;

const std::vector<std::pair<std::string, RuleEffect>>& effects() {
  static const std::vector<std::pair<std::string, RuleEffect>> names = {
      {"refuse", RuleEffect::kRefuse}, {"warn", RuleEffect::kWarn}};
  return names;
}

/// A list of values of whatever type, left out where it is empty.
template <class T>
void values(Schema<T>& t, const char* key, std::vector<Value> T::* member, const char* about) {
  t.custom(
       key, Shape::kAny, about,
       [member](T& into, const Value& value, Reader& reader) {
         if (!value.is_array()) return reader.refuse("", "must be a list");
         into.*member = value.as_array();
       },
       [member](const T& from) -> std::optional<Value> { return Value::array(from.*member); })
      .optional();
}

const Schema<spec::Field>& field_schema() {
  using Field = spec::Field;
  static const auto schema = [] {
    auto t = Schema<Field>::record("the field", "a field of the rows");
    t.text("name", &Field::name, "its name").filled();
    t.choice("type", &Field::type,
             {{"bool", Type::kBool},
              {"int", Type::kInt},
              {"double", Type::kDouble},
              {"string", Type::kString},
              {"timestamp", Type::kTimestamp}},
             "its type");
    t.boolean("required", &Field::required, "a row must have it");
    values(t, "enum", &Field::enum_values,
           "all values, of the field's type; timestamps as ISO strings");
    t.choice("form", &Field::form,
             {{"date", Form::kDate},
              {"time", Form::kTime},
              {"email", Form::kEmail},
              {"uuid", Form::kUuid},
              {"uri", Form::kUri},
              {"hostname", Form::kHostname},
              {"ipv4", Form::kIpv4},
              {"ipv6", Form::kIpv6},
              {"byte", Form::kByte}},
             "what its values are beyond their type")
        .optional();
    t.boolean("minimum_excluded", &Field::minimum_excluded, "also of `earliest`").optional();
    t.boolean("maximum_excluded", &Field::maximum_excluded, "also of `latest`").optional();
    t.micros("earliest", &Field::earliest,
             "microseconds since 1970; of times of day since midnight");
    t.micros("latest", &Field::latest, "likewise");
    t.number("multiple_of", &Field::multiple_of, "values are whole multiples of it");
    t.integer("min_length", &Field::min_length, "Unicode code points");
    t.integer("max_length", &Field::max_length, "Unicode code points");
    t.number("minimum", &Field::minimum, "of numbers");
    t.number("maximum", &Field::maximum, "of numbers");
    t.text("pattern", &Field::pattern, "RE2, found anywhere").optional();
    t.boolean("label", &Field::label_time, "known only later, absent in requests").optional();
    t.text("description", &Field::description, "for people").optional();
    t.object("repairs", &Field::repairs, spec::stored_repairs(),
             "what is done to a value before it is checked, in this order")
        .optional();
    t.object("upstream", &Field::upstream, spec::stored_upstream(),
             "how it is computed for rows that do not bring it (docs/joins.md)");
    return t;
  }();
  return schema;
}

/// Of an expression, or of a dependency: which of them the members say.
const Schema<spec::RowRule>& row_rule_schema() {
  using Rule = spec::RowRule;
  using Kind = Rule::Kind;
  static const auto schema = [] {
    auto t = Schema<Rule>::record("the rule", "a rule of a row");
    t.text("id", &Rule::id, "its id").filled();
    t.choice("effect", &Rule::effect, effects(), "what a row that breaks it meets");
    t.custom(
         "expression", Shape::kText, "true where a row keeps it",
         [](Rule& into, const Value& value, Reader&) {
           into.kind = Kind::kExpression;
           into.expression.text = value.as_string();
         },
         [](const Rule& from) -> std::optional<Value> {
           if (from.kind != Kind::kExpression) return std::nullopt;
           return from.expression.text;
         })
        .optional();
    t.texts("determinant", &Rule::determinant, "in place of it: fields that fix `dependent`")
        .optional();
    t.text("dependent", &Rule::dependent, "the field that they fix").optional();
    t.text("description", &Rule::description, "for people").optional();
    t.finally([](Rule& into, const Value& value, Reader& reader) {
      const bool is_expression = value.find("expression") != nullptr;
      into.kind = is_expression ? Kind::kExpression : Kind::kDependency;
      const bool is_dependency = !into.determinant.empty() && !into.dependent.empty();
      if (is_expression == is_dependency)
        reader.refuse("expression", "or `determinant` and `dependent` must be there, and not both");
    });
    return t;
  }();
  return schema;
}

const Schema<spec::SetRule>& set_rule_schema() {
  using Rule = spec::SetRule;
  static const auto schema = [] {
    auto t = Schema<Rule>::record("the rule", "a rule of a set of rows");
    t.text("id", &Rule::id, "its id").filled();
    t.choice("effect", &Rule::effect, effects(), "what a set that breaks it meets");
    t.text("metric", &Rule::metric,
           "of the standard's library; of `sql` also `average`, `sum`, `minimum`, `maximum`")
        .filled();
    t.text("operation", &Rule::operation, "`mustBe` and its like").filled();
    t.numbers("operands", &Rule::operands, "what the metric is compared with");
    t.boolean("percent", &Rule::percent, "percent of the rows").optional();
    t.text("field", &Rule::field, "of which field").optional();
    t.texts("properties", &Rule::properties, "of which fields together").optional();
    values(t, "arguments", &Rule::arguments, "strings, numbers and booleans");
    t.text("condition", &Rule::condition, "an expression over all fields: other rows do not count")
        .optional();
    t.text("pattern", &Rule::pattern, "RE2, found anywhere").optional();
    return t;
  }();
  return schema;
}

const Schema<spec::Transform>& transform_schema() {
  using spec::Transform;
  static const auto schema = [] {
    auto t = Schema<Transform>::record("the transform", "a repair of a field");
    t.text("id", &Transform::id, "its id").filled();
    t.text("field", &Transform::field, "the field").filled();
    t.expression("expression", &Transform::expression, "its value");
    t.text("reason", &Transform::reason, "for people").optional();
    return t;
  }();
  return schema;
}

const Schema<StoredLearning>& learning_schema() {
  static const auto schema = [] {
    auto t = Schema<StoredLearning>::record("what was learned", "of a dependency");
    t.text("rule", &StoredLearning::rule, "the rule's id").filled();
    t.integer("conflicting", &StoredLearning::conflicting, "tuples that were not learned");
    t.custom(
        "tuples", Shape::kAny,
        "arrays of the determinant's values and then the dependent one, sorted by their JSON",
        [](StoredLearning& into, const Value& value, Reader& reader) {
          if (!value.is_array()) return reader.refuse("", "must be a list");
          into.tuples = value;
        },
        [](const StoredLearning& from) -> std::optional<Value> { return from.tuples; });
    return t;
  }();
  return schema;
}

}  // namespace

const Schema<StoredContract>& contract_schema() {
  using Stored = StoredContract;
  static const auto schema = [] {
    auto t = Schema<Stored>::record("the contract", "a compiled contract, self-contained");
    t.of_format("heddle.contract/2")
        .refused_as(ErrorKind::kCorrupt, "contract-malformed", "make the bundle anew");
    t.text("name", &Stored::name, "of the contract");
    t.text("version", &Stored::version, "of the contract");
    t.objects("fields", &Stored::fields, field_schema(), "in row order, label fields last");
    t.objects("row_rules", &Stored::row_rules, row_rule_schema(), "rules of a row");
    t.objects("set_rules", &Stored::set_rules, set_rule_schema(), "rules of a set of rows");
    t.objects("transforms", &Stored::transforms, transform_schema(), "repairs, in their order");
    t.object("deduplicate", &Stored::deduplicate, spec::stored_deduplicate(),
             "of the rows of one key one stays; of sets of rows only");
    t.objects("learned", &Stored::learned, learning_schema(),
              "one for each dependency, in the rules' order");
    return t;
  }();
  return schema;
}

Result<spec::Contract> definition_of(const Value& stored) {
  HEDDLE_ASSIGN_OR_RETURN(auto read, contract_schema().parse(stored));
  spec::Contract out;
  out.identity.name = std::move(read.name);
  out.version = std::move(read.version);
  out.fields = std::move(read.fields);
  out.row_rules = std::move(read.row_rules);
  out.set_rules = std::move(read.set_rules);
  out.transforms = std::move(read.transforms);
  out.deduplicate = std::move(read.deduplicate);
  return out;
}

}  // namespace heddle::contract
