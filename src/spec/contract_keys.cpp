#include "spec/kinds.hpp"

#include <cmath>

namespace heddle::spec {
namespace {

struct CustomProperty {
  std::string property;
  std::string vendor;
  doc::Value value{};
  doc::Position position{};
};

struct Quality {
  std::string id;
  std::string name;
  std::string description;
  std::string type;
  std::string metric;
  std::string engine;
  std::string unit = "rows";
  RuleEffect effect = RuleEffect::kRefuse;
  std::string operation;
  std::vector<double> operands{};
  int operators = 0;
  doc::Value implementation{};
  doc::Value arguments{};
  doc::Position position{};
};

struct Options {
  std::optional<double> minimum{};
  std::optional<double> maximum{};
  std::string pattern;
};

struct EnumValue {
  std::string value;
};

struct Property {
  Field field{};
  Options options{};
  std::vector<EnumValue> enum_values{};
  std::vector<Quality> quality{};
  std::vector<CustomProperty> custom{};
};

struct SchemaObject {
  std::string name;
  std::vector<Property> properties{};
  std::vector<Quality> quality{};
  std::vector<CustomProperty> custom{};
  doc::Position position{};
};

struct Document {
  std::string id;
  std::string name;
  std::string version;
  std::string status;
  std::vector<SchemaObject> schema{};
  std::vector<CustomProperty> custom{};
};

const std::vector<std::string> kOperators = {"mustBe",         "mustNotBe",           "mustBeGreaterThan",
                                             "mustBeLessThan", "mustBeLessOrEqualTo", "mustBeGreaterOrEqualTo",
                                             "mustBeBetween",  "mustNotBeBetween"};
const std::vector<std::string> kMetrics = {"nullValues", "missingValues", "invalidValues", "duplicateValues", "rowCount"};

const Table<CustomProperty>& custom_property_keys() {
  static const Table<CustomProperty> table = [] {
    Table<CustomProperty> t("a custom property",
                            "an extension of the standard; `vendor: heddle` is read by Heddle, others are kept");
    t.text("property", &CustomProperty::property, "its name").required();
    t.text("vendor", &CustomProperty::vendor, "`heddle` for those below");
    t.custom("value", Shape::kAny, "what it says", [](CustomProperty& into, const doc::Value& value, Reader&) {
       into.value = value;
     }).required();
    t.kept({"id", "description"});
    t.finally([](CustomProperty& into, const doc::Value& value, Reader&) { into.position = value.position(); });
    return t;
  }();
  return table;
}

const Table<Quality>& quality_keys() {
  static const Table<Quality> table = [] {
    Table<Quality> t("a quality rule", "a check of rows (`type: custom`, `engine: heddle`) or of a set of rows (`type: library`)");
    t.text("id", &Quality::id, "permanent id of the rule");
    t.text("name", &Quality::name, "the same for people");
    t.text("description", &Quality::description, "why the rule is there");
    t.text("type", &Quality::type, "who evaluates it").one_of({"library", "custom", "text", "sql"}).required();
    t.text("metric", &Quality::metric, "of `library`: what is counted").one_of(kMetrics);
    t.text("engine", &Quality::engine, "of `custom`: `heddle` is evaluated, others are kept");
    t.text("unit", &Quality::unit, "what the operator's number means").one_of({"rows", "percent"});
    t.choice("severity", &Quality::effect, {{"error", RuleEffect::kRefuse}, {"warning", RuleEffect::kWarn}},
             "`error` refuses, `warning` lets pass and says so");
    for (const auto& operation : kOperators) {
      const bool pair = operation.ends_with("Between");
      t.custom(operation, pair ? Shape::kNumbers : Shape::kNumber, pair ? "two numbers, both included" : "a number",
               [operation, pair](Quality& into, const doc::Value& value, Reader& reader) {
                 into.operation = operation;
                 ++into.operators;
                 if (!pair) {
                   into.operands = {value.as_double()};
                   return;
                 }
                 for (const auto& item : value.as_array()) into.operands.push_back(item.as_double());
                 if (into.operands.size() != 2) {
                   reader.report(value.position(), "wrong-type", fmt::format("`{}` needs two numbers", operation),
                                 "write it like `[0, 10]`");
                 }
               });
    }
    t.custom("implementation", Shape::kAny,
             "of `custom`: {expression: CEL} or {dependency: {determinant: [...], dependent: field}}",
             [](Quality& into, const doc::Value& value, Reader&) { into.implementation = value; });
    t.custom("arguments", Shape::kMap, "of `library`: missingValues, validValues, pattern, properties",
             [](Quality& into, const doc::Value& value, Reader&) { into.arguments = value; });
    t.kept({"dimension", "method", "businessImpact", "scheduler", "schedule", "tags", "customProperties",
            "authoritativeDefinitions", "query", "rule"});
    t.finally([](Quality& into, const doc::Value& value, Reader&) { into.position = value.position(); });
    return t;
  }();
  return table;
}

const Table<Property>& property_keys() {
  static const Table<Options> options = [] {
    Table<Options> t("logicalTypeOptions", "bounds on the field's values");
    t.number("minimum", &Options::minimum, "smallest value allowed (numbers)");
    t.number("maximum", &Options::maximum, "largest value allowed (numbers)");
    t.text("pattern", &Options::pattern, "RE2, the whole value must match (strings)");
    t.kept({"format", "timezone", "defaultTimezone"});
    return t;
  }();
  static const Table<EnumValue> enum_value = [] {
    Table<EnumValue> t("an enum value", "one value the field may have");
    t.text("value", &EnumValue::value, "the value").required();
    t.kept({"label", "id", "description"});
    return t;
  }();
  static const Table<Property> table = [] {
    Table<Property> t("a property", "one field of the rows");
    t.custom("name", Shape::kText, "the field's name in data and requests", [](Property& into, const doc::Value& value, Reader&) {
       into.field.name = value.as_string();
     }).required();
    t.custom("logicalType", Shape::kText, "the field's type",
             [](Property& into, const doc::Value& value, Reader&) {
               static const std::map<std::string, expr::Type> kTypes = {{"boolean", expr::Type::kBool},
                                                                        {"integer", expr::Type::kInt},
                                                                        {"number", expr::Type::kDouble},
                                                                        {"string", expr::Type::kString},
                                                                        {"timestamp", expr::Type::kTimestamp}};
               into.field.type = kTypes.at(value.as_string());
             })
        .one_of({"boolean", "integer", "number", "string", "timestamp"})
        .required();
    t.custom("required", Shape::kBoolean, "a row without it is refused",
             [](Property& into, const doc::Value& value, Reader&) { into.field.required = value.as_bool(); });
    t.custom("description", Shape::kText, "what it means",
             [](Property& into, const doc::Value& value, Reader&) { into.field.description = value.as_string(); });
    t.object("logicalTypeOptions", &Property::options, options, "bounds on the values");
    t.objects("enum", &Property::enum_values, enum_value, "the only values there are");
    t.objects("quality", &Property::quality, quality_keys(), "rules about this field");
    t.objects("customProperties", &Property::custom, custom_property_keys(),
              "vendor `heddle`: `role` (`label`: known only later), `enumFile` ({file, column})");
    t.kept({"id",
            "physicalType",
            "physicalName",
            "businessName",
            "unique",
            "primaryKey",
            "primaryKeyPosition",
            "partitioned",
            "partitionKeyPosition",
            "classification",
            "encryptedName",
            "criticalDataElement",
            "transformSourceObjects",
            "transformLogic",
            "transformDescription",
            "examples",
            "relationships",
            "tags",
            "semanticType",
            "synonyms",
            "deprecated",
            "authoritativeDefinitions"});
    t.finally([](Property& into, const doc::Value& value, Reader&) { into.field.position = value.position(); });
    return t;
  }();
  return table;
}

void read_quality(const Quality& quality, const std::string& field, Contract& contract, Reader& reader) {
  const std::string id = quality.id.empty() ? quality.name : quality.id;
  const auto need = [&](bool present, const char* key, const char* hint) {
    if (!present)
      reader.report(quality.position, "missing-key", fmt::format("a quality rule of type {} needs the key `{}`", quality.type, key),
                    hint);
    return present;
  };
  if (quality.type == "text" || quality.type == "sql") return;
  if (!need(!id.empty(), "id", "give it a permanent id: refusals name it")) return;
  if (quality.type == "library") {
    if (!need(!quality.metric.empty(), "metric", "use nullValues, missingValues, invalidValues, duplicateValues or rowCount"))
      return;
    if (quality.operators != 1) {
      reader.report(quality.position, "bad-quality",
                    fmt::format("rule `{}` has {} operators, one is needed", id, quality.operators),
                    "give it exactly one, for example `mustBeLessThan: 5`");
      return;
    }
    SetRule rule;
    rule.id = id;
    rule.metric = quality.metric;
    rule.field = field;
    rule.operation = quality.operation;
    rule.operands = quality.operands;
    rule.percent = quality.unit == "percent";
    rule.effect = quality.effect;
    rule.position = quality.position;
    rule.pattern = quality.arguments.string_or("pattern");
    const auto texts = [&](const char* key, std::vector<std::string>& into) {
      if (const doc::Value* list = quality.arguments.find(key); list != nullptr && list->is_array()) {
        for (const auto& item : list->as_array()) {
          if (item.is_string()) into.push_back(item.as_string());
        }
      }
    };
    texts("properties", rule.properties);
    texts(quality.metric == "missingValues" ? "missingValues" : "validValues", rule.arguments);
    contract.set_rules.push_back(std::move(rule));
    return;
  }
  if (quality.engine != "heddle") return;
  RowRule rule;
  rule.id = id;
  rule.effect = quality.effect;
  rule.description = quality.description;
  rule.position = quality.position;
  const doc::Value& how = quality.implementation;
  if (!need(!how.is_null(), "implementation", "add `implementation: {expression: ...}`")) return;
  const doc::Value* expression = how.is_string() ? &how : how.find("expression");
  const doc::Value* dependency = how.find("dependency");
  if (expression != nullptr && expression->is_string()) {
    rule.expression = {expression->as_string(), expression->position()};
  } else if (dependency != nullptr && dependency->is_object()) {
    rule.kind = RowRule::Kind::kDependency;
    rule.dependent = dependency->string_or("dependent");
    if (const doc::Value* list = dependency->find("determinant"); list != nullptr && list->is_array()) {
      for (const auto& item : list->as_array()) {
        if (item.is_string()) rule.determinant.push_back(item.as_string());
      }
    }
    if (rule.dependent.empty() || rule.determinant.empty()) {
      reader.report(dependency->position(), "bad-quality", fmt::format("dependency of rule `{}` is incomplete", id),
                    "write `dependency: {determinant: [origin, destination], dependent: distance}`");
      return;
    }
  } else {
    reader.report(how.position(), "bad-quality", fmt::format("rule `{}` has neither an expression nor a dependency", id),
                  "write `implementation: {expression: \"...\"}`");
    return;
  }
  contract.row_rules.push_back(std::move(rule));
}

void read_field_property(const CustomProperty& custom, Field& field, Reader& reader) {
  if (custom.vendor != "heddle") return;
  if (custom.property == "role") {
    if (custom.value == doc::Value("label")) {
      field.label_time = true;
    } else {
      reader.report(custom.value.position(), "unknown-value", "a field's `role` can only be `label`",
                    "write `value: label`, or remove it");
    }
  } else if (custom.property == "enumFile") {
    field.enum_file = custom.value.is_string() ? custom.value.as_string() : custom.value.string_or("file");
    field.enum_column = custom.value.string_or("column");
    if (field.enum_file.empty()) {
      reader.report(custom.value.position(), "wrong-type", "`enumFile` names no file",
                    "write `value: {file: airports.csv, column: iata}`");
    }
  } else {
    const std::string near = doc::nearest(custom.property, {"role", "enumFile"});
    reader.report(custom.position, "unknown-key", fmt::format("Heddle knows no property `{}` of a field", custom.property),
                  near.empty() ? "there are `role` and `enumFile`" : fmt::format("did you mean `{}`?", near));
  }
}

const Table<Transform>& transform_keys() {
  static const Table<Transform> table = [] {
    Table<Transform> t("a transform", "a repair of one field before features, in batch and request alike");
    t.text("id", &Transform::id, "permanent id").required();
    t.text("field", &Transform::field, "the field it replaces").required();
    t.expression("expression", &Transform::expression, "its new value; the row's own fields in scope").required();
    t.text("reason", &Transform::reason, "why it is there");
    return t;
  }();
  return table;
}

}  // namespace

const Object& contract_kind() {
  static const Table<SchemaObject> schema_object = [] {
    Table<SchemaObject> t("a schema object", "the rows this contract is about");
    t.text("name", &SchemaObject::name, "its name").required();
    t.objects("properties", &SchemaObject::properties, property_keys(), "the fields; their order is the order of a row").required();
    t.objects("quality", &SchemaObject::quality, quality_keys(), "rules over several fields or the whole set");
    t.objects("customProperties", &SchemaObject::custom, custom_property_keys(), "kept");
    t.kept({"id", "physicalName", "physicalType", "businessName", "description", "logicalType", "dataGranularityDescription",
            "tags", "relationships", "authoritativeDefinitions", "context", "synonyms", "deprecated"});
    t.finally([](SchemaObject& into, const doc::Value& value, Reader&) { into.position = value.position(); });
    return t;
  }();
  static const Table<Document> document = [] {
    Table<Document> t("DataContract", "what rows must be to be trained on or scored: an Open Data Contract Standard 3.2 document");
    t.text("id", &Document::id, "identifier of the contract").required();
    t.text("name", &Document::name, "the name other definitions use; without it, `id`");
    t.text("version", &Document::version, "semantic version of the contract").required();
    t.text("status", &Document::status, "where it stands").one_of({"proposed", "draft", "active", "deprecated", "retired"});
    t.objects("schema", &Document::schema, schema_object, "one object").required();
    t.objects("customProperties", &Document::custom, custom_property_keys(),
              "vendor `heddle`: `transforms` (a list of {id, field, expression, reason})");
    t.custom("apiVersion", Shape::kText, "version of the standard", [](Document&, const doc::Value&, Reader&) {})
        .one_of({"v3.2.0", "v3.1.0", "v3.0.2", "v3.0.1", "v3.0.0"})
        .required();
    t.custom("kind", Shape::kText, "the kind", [](Document&, const doc::Value&, Reader&) {}).one_of({"DataContract"}).required();
    t.kept({"tenant", "domain", "dataProduct", "tags", "description", "contractCreatedTs", "servers", "slaProperties", "team",
            "roles", "support", "price", "authoritativeDefinitions", "context"});
    return t;
  }();
  // The document is read into its own shape, then becomes a Contract: `into` is a Contract.
  static const Object kind = [] {
    Object object{document.name, document.about, document.keys};
    for (auto& key : object.keys) key.set = nullptr;
    object.finish = [](void* into, const doc::Value& value, Reader& reader) {
      Contract& contract = *static_cast<Contract*>(into);
      Document read;
      for (const auto& [name, member] : value.as_object()) {
        for (const auto& key : document.keys) {
          const bool list = key.shape == Shape::kObjects ? member.is_array() : member.is_string();
          if (key.name == name && key.set && list) key.set(&read, member, reader);
        }
      }
      contract.identity.name = read.name.empty() ? read.id : read.name;
      contract.version = read.version;
      contract.status = read.status;
      if (read.schema.size() != 1 && value.find("schema") != nullptr) {
        reader.report(value.find("schema")->position(), "bad-schema",
                      fmt::format("the contract has {} schema objects, one is needed", read.schema.size()),
                      "split the others into contracts of their own");
      }
      if (read.schema.empty()) return;
      for (auto& property : read.schema[0].properties) {
        Field field = std::move(property.field);
        field.minimum = property.options.minimum;
        field.maximum = property.options.maximum;
        field.pattern = property.options.pattern;
        for (auto& each : property.enum_values) field.enum_values.push_back(std::move(each.value));
        for (const auto& custom : property.custom) read_field_property(custom, field, reader);
        const bool numeric = field.type == expr::Type::kInt || field.type == expr::Type::kDouble;
        if (!numeric && (field.minimum || field.maximum)) {
          reader.report(field.position, "bad-field", fmt::format("field `{}` has bounds and is no number", field.name),
                        "remove minimum and maximum");
        }
        if (field.type != expr::Type::kString && !field.pattern.empty()) {
          reader.report(field.position, "bad-field", fmt::format("field `{}` has a pattern and is no string", field.name),
                        "remove the pattern");
        }
        for (const auto& quality : property.quality) read_quality(quality, field.name, contract, reader);
        contract.fields.push_back(std::move(field));
      }
      for (const auto& quality : read.schema[0].quality) read_quality(quality, "", contract, reader);
      for (const auto& custom : read.custom) {
        if (custom.vendor != "heddle") continue;
        if (custom.property != "transforms" || !custom.value.is_array()) {
          reader.report(custom.position, "unknown-key", fmt::format("Heddle knows no property `{}` of a contract", custom.property),
                        "there is `transforms`, a list");
          continue;
        }
        for (const auto& item : custom.value.as_array()) {
          Transform transform;
          reader.read(transform_keys(), item, &transform);
          contract.transforms.push_back(std::move(transform));
        }
      }
    };
    return object;
  }();
  return kind;
}

}  // namespace heddle::spec
