#include <cmath>

#include "doc/json.hpp"
#include "feature/code.hpp"

namespace heddle::feature {
namespace {

using doc::Value;
using expr::Type;
using spec::Feature;

constexpr const char* kFormat = "heddle.features/2";

Error malformed(const std::string& what) {
  return Error{ErrorKind::kCorrupt, "feature-malformed",
               fmt::format("the feature program is malformed: {}", what), "make the bundle anew"};
}

std::string kind_name(Feature::Kind kind) {
  switch (kind) {
    case Feature::Kind::kTargetEncoding: return "target_encoding";
    case Feature::Kind::kFrequencyEncoding: return "frequency_encoding";
    default: return "expression";
  }
}

std::span<const Value> items_of(const Value& value, std::string_view key) {
  const Value* items = value.find(key);
  if (items == nullptr || !items->is_array()) return {};
  return items->as_array();
}

}  // namespace

Value Program::to_value() const {
  const Code& code = *code_;
  Value fields = Value::array();
  for (const auto& field : code.fields)
    fields.push(Value::object({{"name", field.name}, {"type", expr::type_name(field.type)}}));
  Value features = Value::array();
  for (const auto& feature : code.definition.features) {
    Value out = Value::object({{"name", feature.name}, {"kind", kind_name(feature.kind)}});
    if (feature.kind == Feature::Kind::kExpression) {
      out.set("expression", feature.expression.text);
    } else {
      Value inputs = Value::array();
      for (const auto& input : feature.inputs) inputs.push(input);
      out.set("inputs", std::move(inputs));
    }
    if (feature.kind == Feature::Kind::kTargetEncoding) out.set("smoothing", feature.smoothing);
    if (feature.hidden) out.set("hidden", true);
    features.push(std::move(out));
  }
  // Tuples in the order of their text: the order in which training met them does not count.
  Value combinations = Value::array();
  for (const Combination& c : code.combinations) {
    std::vector<std::pair<std::string, Value>> rows;
    for (std::size_t i = 0; i < c.counts.size(); ++i) {
      Value row = Value::array();
      const auto tuple = c.tuples.tuple(static_cast<std::int32_t>(i));
      for (std::size_t k = 0; k < tuple.size(); ++k)
        row.push(code.inputs[static_cast<std::size_t>(c.inputs[k])].part.to_value(tuple[k]));
      std::string order = doc::to_json(row);
      row.push(c.counts[i]);
      row.push(c.sums[i]);
      rows.emplace_back(std::move(order), std::move(row));
    }
    std::sort(rows.begin(), rows.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    Value tuples = Value::array();
    for (auto& [order, row] : rows) tuples.push(std::move(row));
    combinations.push(std::move(tuples));
  }
  return Value::object({{"format", kFormat},
                        {"name", code.definition.identity.name},
                        {"contract", code.definition.contract},
                        {"folds", code.definition.folds},
                        {"fields", std::move(fields)},
                        {"features", std::move(features)},
                        {"rows", code.rows},
                        {"sum", code.sum},
                        {"combinations", std::move(combinations)}});
}

Result<Program> Program::from_value(const Value& value) {
  if (value.string_or("format") != kFormat)
    return malformed(
        fmt::format("its format is `{}`, not `{}`", value.string_or("format"), kFormat));
  spec::FeatureSet set;
  set.identity.kind = "FeatureSet";
  set.identity.name = value.string_or("name");
  set.contract = value.string_or("contract");
  set.folds = static_cast<int>(value.int_or("folds", 5));
  std::vector<spec::Field> fields;
  for (const auto& item : items_of(value, "fields")) {
    spec::Field field;
    field.name = item.string_or("name");
    bool known = false;
    for (const Type each :
         {Type::kBool, Type::kInt, Type::kDouble, Type::kString, Type::kTimestamp}) {
      if (expr::type_name(each) == item.string_or("type")) field.type = each, known = true;
    }
    if (!known)
      return malformed(fmt::format("field `{}` has type `{}`", field.name, item.string_or("type")));
    fields.push_back(std::move(field));
  }
  for (const auto& item : items_of(value, "features")) {
    Feature feature;
    feature.name = item.string_or("name");
    const std::string kind = item.string_or("kind");
    bool known = false;
    for (const auto each : {Feature::Kind::kExpression, Feature::Kind::kTargetEncoding,
                            Feature::Kind::kFrequencyEncoding}) {
      if (kind_name(each) == kind) feature.kind = each, known = true;
    }
    if (!known) return malformed(fmt::format("feature `{}` is of kind `{}`", feature.name, kind));
    feature.expression.text = item.string_or("expression");
    for (const auto& input : items_of(item, "inputs")) {
      if (!input.is_string())
        return malformed(fmt::format("an input of feature `{}` is no name", feature.name));
      feature.inputs.push_back(input.as_string());
    }
    feature.smoothing = item.double_or("smoothing", feature.smoothing);
    feature.hidden = item.bool_or("hidden");
    set.features.push_back(std::move(feature));
  }
  auto program = compile(set, fields);
  if (!program.ok()) return malformed(program.error().message);
  Code& code = *program->code_;
  code.rows = value.int_or("rows");
  code.sum = value.double_or("sum", std::nan(""));
  if (code.rows < 0 || !std::isfinite(code.sum)) return malformed("its counts make no sense");
  const auto combinations = items_of(value, "combinations");
  if (combinations.size() != code.combinations.size())
    return malformed("its combinations do not match its features");
  for (std::size_t c = 0; c < combinations.size(); ++c) {
    Combination& combination = code.combinations[c];
    if (!combinations[c].is_array()) return malformed("a combination is no list");
    for (const auto& row : combinations[c].as_array()) {
      const std::size_t width = combination.inputs.size();
      if (!row.is_array() || row.size() != width + 2)
        return malformed("a tuple has the wrong number of values");
      const auto& parts = row.as_array();
      if (!parts[width].is_int() || !parts[width + 1].is_number())
        return malformed("a count is no integer, or a sum no number");
      std::int64_t key[kMaxInputs];
      for (std::size_t k = 0; k < width; ++k) {
        HEDDLE_ASSIGN_OR_RETURN(
            key[k], code.inputs[static_cast<std::size_t>(combination.inputs[k])].part.insert_value(
                        parts[k]));
      }
      if (static_cast<std::size_t>(combination.tuples.insert({key, width})) !=
          combination.counts.size())
        return malformed("a tuple appears twice");
      combination.counts.push_back(parts[width].as_int());
      combination.sums.push_back(parts[width + 1].as_double());
    }
  }
  if (code.rows > 0) code.finish();
  return program;
}

}  // namespace heddle::feature
