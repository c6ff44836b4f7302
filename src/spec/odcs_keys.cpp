#include "spec/kinds.hpp"
#include "spec/odcs.hpp"

namespace heddle::spec::odcs {
namespace {

/// Once a file, where a physical name is another than the name.
void report_physical_name(const std::string& name, const std::string& physical,
                          const doc::Value& value, Reader& reader) {
  if (physical.empty() || physical == name) return;
  const doc::Position at = value.find("physicalName")->position();
  reader.not_enforced("physicalName", reader.key_position("physicalName", at),
                      "rows come from `sources` of heddle.yaml; columns and requests go by `name`");
}

const Schema<CustomProperty>& custom_property_keys() {
  static const Schema<CustomProperty> table = [] {
    Schema<CustomProperty> t(
        "a custom property",
        "an extension of the standard; `vendor: heddle` is read, others are kept");
    t.null_is_absent = true;
    t.text("property", &CustomProperty::property, "its name").required();
    t.text("vendor", &CustomProperty::vendor, "`heddle`: read by Heddle; another: kept as written");
    t.custom("value", Shape::kAny, "what it says",
             [](CustomProperty& into, const doc::Value& value, Reader&) { into.value = value; });
    t.describes({"id", "description"});
    t.finally([](CustomProperty& into, const doc::Value& value, Reader&) {
      into.position = value.position();
    });
    return t;
  }();
  return table;
}

/// 3.0 writes `validValues: [...]` beside the rule, from 3.1 on it stands under `arguments`.
void set_argument(Quality& into, const std::string& key, const doc::Value& value) {
  // Where both stand, the one that is written first counts.
  if (into.arguments.find(key) == nullptr) into.arguments.set(key, value);
}

const Schema<Quality>& quality_keys() {
  static const Schema<Quality> table = [] {
    Schema<Quality> t("a quality rule",
                      "a check of rows (`type: custom`, `engine: heddle`) or of a set of rows");
    t.null_is_absent = true;
    t.text("id", &Quality::id,
           "id of the rule; without it `name`, else the field's name and the metric");
    t.text("name", &Quality::name, "the id where there is no `id`");
    t.text("description", &Quality::description, "why the rule is there");
    t.text(
         "type", &Quality::type,
         "`library`: counted; `sql`: counted where the query can be read; `custom`: by its engine; "
         "`text`: reported. Without it, `library` where there is a metric")
        .one_of({"library", "custom", "text", "sql"});
    t.text("metric", &Quality::metric,
           "of `library`: `nullValues`, `missingValues`, `invalidValues`, `duplicateValues`, "
           "`rowCount`; another is refused");
    t.custom("rule", Shape::kText,
             "what 3.0 calls `metric`; also `duplicateCount`; `nullCheck` and `validValues`, which "
             "allow none where they have no operator; `between`, `minCheck`, `maxCheck` with `min` "
             "and `max` among `customProperties`; `countCheck`, which is reported where it has no "
             "operator",
             [](Quality& into, const doc::Value& value, Reader&) {
               // The newer key counts where both are there.
               if (into.metric.empty()) into.metric = value.as_string();
             });
    t.text("engine", &Quality::engine,
           "of `custom`: `heddle` (in any case of letters) is evaluated, another is reported");
    t.text("unit", &Quality::unit,
           "`rows` or `percent`, what the operator's number means; another is refused");
    t.text(
        "severity", &Quality::severity,
        "`error` refuses, `warning` and `info` let pass and say so; another counts as `error` and "
        "is reported");
    // They come in the order in which they are written: the first keeps the id of the rule.
    for (const auto& [operation, about] : std::vector<std::pair<std::string, std::string>>{
             {"mustBe", "a number"},
             {"mustNotBe", "a number"},
             {"mustBeGreaterThan", "a number"},
             {"mustBeGreaterOrEqualTo", "a number"},
             {"mustBeLessThan", "a number"},
             {"mustBeLessOrEqualTo", "a number"},
             {"mustBeBetween", "two numbers, both included"},
             {"mustNotBeBetween", "two numbers, both included"}}) {
      t.custom(operation, Shape::kAny, about + "; of several operators each must hold",
               [name = operation](Quality& into, const doc::Value& value, Reader&) {
                 into.operators.push_back({name, value});
               });
    }
    t.custom(
        "arguments", Shape::kMap,
        "of `library`: `missingValues`, `validValues`, `pattern`, `properties`; others are refused",
        [](Quality& into, const doc::Value& value, Reader&) {
          for (const auto& [key, argument] : value.as_object()) {
            set_argument(into, key, argument);
          }
        });
    t.custom("validValues", Shape::kAny, "of 3.0's rule `validValues`; now `arguments.validValues`",
             [](Quality& into, const doc::Value& value, Reader&) {
               set_argument(into, "validValues", value);
             });
    t.text(
        "query", &Quality::query,
        "of `sql`: one COUNT, AVG, SUM, MIN or MAX over this object's rows with simple conditions; "
        "another is reported, or refused with `severity: error`");
    t.custom(
        "implementation", Shape::kAny,
        "of `engine: heddle`: {expression: CEL} or {dependency: {determinant: [...], dependent: "
        "field}}",
        [](Quality& into, const doc::Value& value, Reader&) { into.implementation = value; });
    t.reported("scheduler", "rules are checked by each `heddle run`, whatever the scheduler");
    t.reported("schedule", "rules are checked by each `heddle run`, whatever the schedule");
    t.objects("customProperties", &Quality::custom, custom_property_keys(),
              "of 3.0's `between`, `minCheck`, `maxCheck`: `min` and `max`; others are kept as "
              "written");
    t.describes({"dimension", "method", "businessImpact", "tags", "authoritativeDefinitions"});
    t.finally(
        [](Quality& into, const doc::Value& value, Reader&) { into.position = value.position(); });
    return t;
  }();
  return table;
}

const Schema<Options>& option_keys() {
  static const Schema<Options> table = [] {
    Schema<Options> t("logicalTypeOptions", "bounds on the field's values");
    t.null_is_absent = true;
    const auto option = [&t](const char* key, Shape shape, const char* about) {
      t.custom(key, shape, about, [key](Options& into, const doc::Value& value, Reader&) {
        into.values[key] = value;
      });
    };
    option("minimum", Shape::kAny,
           "smallest value: a number, or a date, time or timestamp as text");
    option("maximum", Shape::kAny, "largest value: a number, or a date, time or timestamp as text");
    option("exclusiveMinimum", Shape::kAny,
           "values must be above it; `true` (3.0): above `minimum`");
    option("exclusiveMaximum", Shape::kAny,
           "values must be below it; `true` (3.0): below `maximum`");
    option("multipleOf", Shape::kNumber, "values must be a whole multiple of it (numbers)");
    option("minLength", Shape::kInteger, "fewest characters (strings; Unicode code points)");
    option("maxLength", Shape::kInteger, "most characters (strings; Unicode code points)");
    option("pattern", Shape::kText,
           "regular expression, found anywhere in the value unless `^` and `$` say otherwise "
           "(strings); "
           "one that RE2 cannot compile is refused");
    option(
        "format", Shape::kText,
        "strings: `email`, `uuid`, `uri`, `hostname`, `ipv4`, `ipv6`, `byte` are enforced, others "
        "reported; numbers: `i8` to `u128`, `f32`, `f64` are enforced, others reported; times: a "
        "layout of ISO 8601 is read like every other, another layout is refused");
    // What importers of databases write beside the standard's own keys.
    for (const char* key : {"precision", "scale"}) {
      option(key, Shape::kInteger,
             "digits of a decimal in a database: write `minimum`, `maximum` or `multipleOf`");
      t.treated(Treatment::kReported);
    }
    option("timezone", Shape::kBoolean, "a time without a zone is read as UTC");
    t.treated(Treatment::kReported);
    option("defaultTimezone", Shape::kText,
           "a time without a zone is read as UTC: convert at the source");
    t.treated(Treatment::kReported);
    // Of arrays, objects, maps and vectors: the property itself is reported, since rows are flat.
    for (const char* key : {"minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties",
                            "required", "dimensions", "elementType", "distanceMetric", "normalized",
                            "embeddingModel", "embeddingModelVersion"}) {
      option(key, Shape::kAny, "of nested types and vectors, which are reported as a whole");
      t.treated(Treatment::kReported);
    }
    return t;
  }();
  return table;
}

/// Keys of 2.x that contracts of 3.0 still have. Where the new key is there too, both must agree.
void read_old_keys(Property& into, const doc::Value& value, Reader& reader) {
  const auto rename = [&](const char* old, const char* name, bool is_set, bool other) {
    const doc::Position at = value.find(old)->position();
    reader.warn_once(old, reader.key_position(old, at), "old-key",
                     fmt::format("`{}` is a key of version 2 of the standard: it is read as "
                                 "`{}: {}`",
                                 old, name, is_set),
                     fmt::format("write `{}`", name));
    const doc::Value* present = value.find(name);
    if (present == nullptr || present->is_null() || is_set == other) return;
    reader.report(at, "bad-field",
                  fmt::format("`{}` of property `{}` contradicts its `{}`", old, into.name, name),
                  fmt::format("keep `{}` only", name));
  };
  // After both keys were read, in whatever order they stand.
  if (into.old_nullable) {
    rename("isNullable", "required", !*into.old_nullable, into.required.value_or(false));
    into.required = !*into.old_nullable;
  }
  if (into.old_unique) {
    rename("isUnique", "unique", *into.old_unique, into.unique);
    into.unique = *into.old_unique;
  }
}

const Schema<Property>& property_keys() {
  static const Schema<EnumValue> enum_value = [] {
    Schema<EnumValue> t("an enum value", "one value the field may have");
    t.custom("value", Shape::kAny, "the value, of the field's type",
             [](EnumValue& into, const doc::Value& value, Reader&) { into.value = value; })
        .required();
    t.describes(
        {"label", "id", "description", "tags", "customProperties", "authoritativeDefinitions"});
    return t;
  }();
  static const Schema<Property> table = [] {
    Schema<Property> t("a property", "one field of the rows");
    t.null_is_absent = true;
    t.text("name", &Property::name, "the field's name in data and requests").required();
    t.text("logicalType", &Property::logical_type,
           "the field's type; `object`, `array`, `map`, `vector` are reported: a row is flat")
        .one_of({"string", "date", "timestamp", "time", "number", "integer", "object", "array",
                 "boolean", "map", "vector"});
    t.custom("physicalType", Shape::kText,
             "the type where there is no `logicalType`; else `logicalType` and its options are "
             "enforced, `physicalType` is not",
             [](Property& into, const doc::Value& value, Reader& reader) {
               into.physical_type = value.as_string();
               into.physical_type_position = reader.key_position("physicalType", value.position());
             })
        .treated(Treatment::kReported);
    t.custom(
        "required", Shape::kBoolean, "a row without it is refused",
        [](Property& into, const doc::Value& value, Reader&) { into.required = value.as_bool(); });
    t.custom("isNullable", Shape::kBoolean, "what 2.x called it: `false` is `required: true`",
             [](Property& into, const doc::Value& value, Reader&) {
               into.old_nullable = value.as_bool();
             });
    t.custom("isUnique", Shape::kBoolean, "what 2.x called `unique`",
             [](Property& into, const doc::Value& value, Reader&) {
               into.old_unique = value.as_bool();
             });
    t.boolean("unique", &Property::unique,
              "no value twice in a set of rows; a single request cannot know");
    t.boolean("primaryKey", &Property::primary_key,
              "of all fields with it together: no values twice and none missing in a set of rows");
    t.custom("primaryKeyPosition", Shape::kInteger,
             "the fields of a primary key are taken together, in whatever order",
             [](Property&, const doc::Value&, Reader&) {});
    t.text("description", &Property::description, "what it means");
    t.treated(Treatment::kDescriptive);
    t.object("logicalTypeOptions", &Property::options, option_keys(), "bounds on the values");
    t.objects("enum", &Property::enum_values, enum_value,
              "the only values there are, each `{value: ...}`");
    t.objects("quality", &Property::quality, quality_keys(), "rules about this field");
    t.objects("customProperties", &Property::custom, custom_property_keys(),
              "vendor `heddle`: `role` (`label`: known only later), `enumFile` ({file, column}), "
              "`repairs` (what is done to a value before it is checked), `upstream` (how it is "
              "computed for rows that do not bring it)");
    t.text(
         "semanticType", &Property::semantic_type,
         "`column`, `dimension`: a field of the rows; `measure`: computed from many rows, reported")
        .one_of({"column", "measure", "dimension"});
    t.text("physicalName", &Property::physical_name, "columns and requests are read by `name`")
        .treated(Treatment::kReported);
    t.reported("partitioned", "how a source is partitioned has no effect on its rows");
    t.reported("partitionKeyPosition", "how a source is partitioned has no effect on its rows");
    t.reported("classification",
               "Heddle treats all fields alike: leave out of features what must not be used");
    t.reported("encryptedName", "columns are read by `name`, encrypted ones are not looked for");
    t.reported("relationships", "a row is checked alone, not against another table");
    for (const char* key : {"items", "properties", "map"}) {
      t.custom(key, Shape::kAny, "of nested types, which are reported as a whole: a row is flat",
               [](Property&, const doc::Value&, Reader&) {})
          .treated(Treatment::kReported);
    }
    t.describes({"id", "tags", "authoritativeDefinitions", "businessName", "criticalDataElement",
                 "transformSourceObjects", "transformLogic", "transformDescription", "examples",
                 "synonyms", "deprecated"});
    t.finally([](Property& into, const doc::Value& value, Reader& reader) {
      into.position = value.position();
      const doc::Value* name = value.find("name");
      // An empty text satisfies `required`.
      if (name != nullptr && name->is_string() && name->as_string().empty())
        reader.report(name->position(), "bad-name", "a property's name is empty",
                      "write the column's name");
      const doc::Value* type = value.find("logicalType");
      // A type that is written and was not taken: its finding stands already.
      into.has_unknown_type = into.logical_type.empty() && type != nullptr && !type->is_null();
      read_old_keys(into, value, reader);
      const doc::Value* enumeration = value.find("enum");
      into.has_enum = enumeration != nullptr && enumeration->is_array();
      report_physical_name(into.name, into.physical_name, value, reader);
    });
    return t;
  }();
  return table;
}

const Schema<SchemaObject>& schema_object_keys() {
  static const Schema<SchemaObject> table = [] {
    Schema<SchemaObject> t("a schema object", "rows of one kind");
    t.null_is_absent = true;
    t.text("name", &SchemaObject::name,
           "its name; where a contract has several objects, another definition names "
           "`CONTRACT/OBJECT`")
        .required();
    t.text("physicalName", &SchemaObject::physical_name,
           "rows come from `sources` of heddle.yaml; a `sql` rule may name the object so");
    t.treated(Treatment::kReported);
    t.objects("properties", &SchemaObject::properties, property_keys(),
              "the fields; their order is the order of a row");
    t.objects("quality", &SchemaObject::quality, quality_keys(),
              "rules over several fields or the whole set");
    t.objects("customProperties", &SchemaObject::custom, custom_property_keys(),
              "vendor `heddle`: `transforms`, `repairs` of all its fields, `deduplicate`");
    t.reported("relationships", "a row is checked alone, not against another table");
    t.reported("context",
               "what it tells an agent is not enforced: write constraints as policy rules");
    t.describes({"id", "description", "tags", "authoritativeDefinitions", "physicalType",
                 "businessName", "logicalType", "dataGranularityDescription", "synonyms",
                 "deprecated"});
    t.finally([](SchemaObject& into, const doc::Value& value, Reader& reader) {
      into.position = value.position();
      report_physical_name(into.name, into.physical_name, value, reader);
    });
    return t;
  }();
  return table;
}

/// The versions of the standard that are read. Older ones have another shape, newer ones may mean
/// other things.
constexpr std::string_view kVersions[] = {"v3.0.0", "v3.0.1", "v3.0.2", "v3.1.0", "v3.2.0"};

void check_version(Document&, const doc::Value& value, Reader& reader) {
  const std::string& version = value.as_string();
  if (std::find(std::begin(kVersions), std::end(kVersions), version) != std::end(kVersions)) return;
  reader.report(value.position(), "unknown-value",
                fmt::format("version `{}` of the Open Data Contract Standard is not read", version),
                fmt::format("Heddle reads {}: convert the contract to one of them",
                            fmt::join(kVersions, ", ")),
                static_cast<int>(version.size()));
}

}  // namespace

const Schema<Transform>& transform_keys() {
  static const Schema<Transform> table = [] {
    Schema<Transform> t("a transform",
                        "a repair of one field before features, in batch and request alike");
    t.text("id", &Transform::id, "permanent id").required();
    t.text("field", &Transform::field, "the field it replaces").required();
    t.expression("expression", &Transform::expression,
                 "its new value; the row's own fields in scope")
        .required();
    t.text("reason", &Transform::reason, "why it is there");
    return t;
  }();
  return table;
}

const Schema<Document>& document_keys() {
  static const Schema<Document> table = [] {
    Schema<Document> t(
        "DataContract",
        "what rows must be to be trained on or scored: an Open Data Contract Standard "
        "document, 3.0.0 to 3.2.0");
    t.null_is_absent = true;
    t.text("id", &Document::id, "identifier of the contract").required();
    t.text("name", &Document::name, "the name other definitions use; without it, `id`");
    t.text("version", &Document::version, "version of the contract").required();
    t.text("status", &Document::status, "where it stands");
    t.treated(Treatment::kDescriptive);
    t.objects("schema", &Document::schema, schema_object_keys(),
              "the objects; of several, another definition names one as `CONTRACT/OBJECT`");
    t.objects("customProperties", &Document::custom, custom_property_keys(),
              "vendor `heddle`: `transforms` (a list of {id, field, expression, reason}), "
              "`repairs`, `deduplicate`");
    t.custom("apiVersion", Shape::kText, "version of the standard; others are refused",
             check_version)
        .required();
    t.custom("kind", Shape::kText, "the kind", [](Document&, const doc::Value&, Reader&) {})
        .one_of({"DataContract"})
        .required();
    t.reported("servers", "rows come from `sources` of heddle.yaml");
    t.reported("slaProperties",
               "freshness, retention and the like are not measured: a Monitor watches a service");
    t.reported("slaDefaultElement", "service levels are not measured: a Monitor watches a service");
    t.reported("roles", "who may do what stands in people.yaml and the policies");
    t.reported("context",
               "what it tells an agent is not enforced: write constraints as policy rules");
    // `type: tables` of 2.x stands in the standard's first examples of 3.0.
    t.describes({"type", "tenant", "domain", "dataProduct", "tags", "description",
                 "contractCreatedTs", "team", "support", "price", "authoritativeDefinitions"});
    return t;
  }();
  return table;
}

}  // namespace heddle::spec::odcs
