#include "feature/stored.hpp"

#include <limits>

namespace heddle::feature {
namespace {

using doc::Reader;
using doc::Schema;
using doc::Shape;
using doc::Value;
using expr::Type;
using spec::Feature;
using Kind = spec::Feature::Kind;

const Schema<spec::Field>& field_schema() {
  using Field = spec::Field;
  static const auto schema = [] {
    auto t = Schema<Field>::record("the field", "a field that the program reads");
    t.text("name", &Field::name, "its name").filled();
    std::vector<std::pair<std::string, Type>> types;
    for (const Type each :
         {Type::kBool, Type::kInt, Type::kDouble, Type::kString, Type::kTimestamp})
      types.emplace_back(expr::type_name(each), each);
    t.choice("type", &Field::type, std::move(types), "its type");
    return t;
  }();
  return schema;
}

/// Which members there are follows from the kind.
void check_feature(Feature& into, const Value& value, Reader& reader) {
  const auto must = [&](std::string_view key, bool is_there) {
    if (is_there == (value.find(key) != nullptr)) return;
    reader.refuse(key, is_there ? "is missing" : "is of another kind of feature");
  };
  must("expression", into.kind == Kind::kExpression);
  must("inputs", into.kind != Kind::kExpression);
  must("smoothing", into.kind == Kind::kTargetEncoding);
  for (const char* key : {"source", "columns", "value", "type"})
    must(key, into.kind == Kind::kLookup);
}

const Schema<Feature>& feature_schema() {
  static const auto schema = [] {
    auto t = Schema<Feature>::record("the feature", "one feature");
    t.text("name", &Feature::name, "its name").filled();
    t.choice("kind", &Feature::kind,
             {{"expression", Kind::kExpression},
              {"target_encoding", Kind::kTargetEncoding},
              {"frequency_encoding", Kind::kFrequencyEncoding},
              {"lookup", Kind::kLookup}},
             "what it is");
    t.custom(
         "expression", Shape::kText, "of `expression`: its text",
         [](Feature& into, const Value& value, Reader&) {
           into.expression.text = value.as_string();
         },
         [](const Feature& from) -> std::optional<Value> {
           if (from.kind != Kind::kExpression) return std::nullopt;
           return from.expression.text;
         })
        .optional();
    t.custom(
         "inputs", Shape::kTexts, "of an encoding or a lookup: fields and features that it reads",
         [](Feature& into, const Value& value, Reader&) {
           into.inputs =
               doc::list_of<std::string>(value, [](const Value& item) { return item.as_string(); });
         },
         [](const Feature& from) -> std::optional<Value> {
           if (from.kind == Kind::kExpression) return std::nullopt;
           return doc::to_list(from.inputs, [](const std::string& input) { return Value(input); });
         })
        .optional();
    t.custom(
         "smoothing", Shape::kNumber, "of `target_encoding`: rows that the mean of all counts for",
         [](Feature& into, const Value& value, Reader&) { into.smoothing = value.as_double(); },
         [](const Feature& from) -> std::optional<Value> {
           if (from.kind != Kind::kTargetEncoding) return std::nullopt;
           return from.smoothing;
         })
        .optional();
    t.text("source", &Feature::source, "of `lookup`: the source that its table was read from")
        .optional();
    t.texts("columns", &Feature::columns, "of `lookup`: the table's, one for each of `inputs`")
        .optional();
    t.text("value", &Feature::value, "of `lookup`: the column that is looked up").optional();
    t.custom(
         "type", Shape::kText, "of `lookup`: `bool`, `int`, `double` or `string`",
         [](Feature& into, const Value& value, Reader& reader) {
           for (const Type each : {Type::kBool, Type::kInt, Type::kDouble, Type::kString}) {
             if (value.as_string() == expr::type_name(each)) {
               into.type = each;
               return;
             }
           }
           reader.refuse("", "is no type of a lookup");
         },
         [](const Feature& from) -> std::optional<Value> {
           if (from.kind != Kind::kLookup) return std::nullopt;
           return std::string(expr::type_name(from.type));
         })
        .optional();
    t.boolean("hidden", &Feature::hidden, "other features read it, the model does not").optional();
    t.finally(check_feature);
    return t;
  }();
  return schema;
}

}  // namespace

const Schema<StoredProgram>& program_schema() {
  using Stored = StoredProgram;
  static const auto definition = [] {
    auto t = Schema<spec::FeatureSet>::record("the feature set", "its definition");
    t.custom(
        "name", Shape::kText, "of the feature set",
        [](spec::FeatureSet& into, const Value& value, Reader&) {
          into.identity.kind = "FeatureSet";
          into.identity.name = value.as_string();
        },
        [](const spec::FeatureSet& from) -> std::optional<Value> { return from.identity.name; });
    t.text("contract", &spec::FeatureSet::contract, "its contract");
    t.integer("folds", &spec::FeatureSet::folds, "of the cross-fitting");
    return t;
  }();
  static const auto schema = [] {
    auto t = Schema<Stored>::record("the feature program", "features with what they learned");
    t.of_format("heddle.features/2")
        .refused_as(ErrorKind::kCorrupt, "feature-malformed", "make the bundle anew");
    t.flattened(&Stored::set, definition);
    t.objects("fields", &Stored::fields, field_schema(), "what it reads, in row order");
    t.objects_as(
        "features", feature_schema(), "in the order they are computed",
        [](const Stored& from) -> const std::vector<Feature>& { return from.set.features; },
        [](Stored& into, std::vector<Feature> items) { into.set.features = std::move(items); });
    t.integer("rows", &Stored::rows, "training rows; 0 before fitting");
    t.number("sum", &Stored::sum, "of their labels (0 or 1, of a regression the number)")
        .between(std::numeric_limits<double>::lowest(), std::numeric_limits<double>::max());
    t.custom(
        "combinations", Shape::kAny,
        "one for each distinct list of `inputs`, in order of first use: arrays of the inputs' "
        "values, rows, sum of the labels, sorted by the JSON of the values",
        [](Stored& into, const Value& value, Reader& reader) {
          if (!value.is_array()) return reader.refuse("", "must be a list");
          into.combinations = value;
        },
        [](const Stored& from) -> std::optional<Value> { return from.combinations; });
    t.custom(
         "lookups", Shape::kAny,
         "one for each `lookup`, in the order of the features: arrays of the key's values and then "
         "the value, sorted by the JSON of the key",
         [](Stored& into, const Value& value, Reader& reader) {
           if (!value.is_array()) return reader.refuse("", "must be a list");
           into.lookups = value;
         },
         [](const Stored& from) -> std::optional<Value> { return from.lookups; })
        .optional();
    return t;
  }();
  return schema;
}

}  // namespace heddle::feature
