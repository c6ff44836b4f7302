#include <set>

#include <fmt/format.h>

#include "doc/schema_reader.hpp"
#include "doc/schema_words.hpp"

namespace heddle::doc {

std::string_view shape_name(Shape shape) {
  switch (shape) {
    case Shape::kText: return "a string";
    case Shape::kInteger: return "an integer";
    case Shape::kNumber: return "a number";
    case Shape::kBoolean: return "true or false";
    case Shape::kDuration: return "a duration";
    case Shape::kTime: return "a date or time";
    case Shape::kExpression: return "an expression";
    case Shape::kDigest: return "a digest";
    case Shape::kTexts: return "a list of strings";
    case Shape::kIntegers: return "a list of integers";
    case Shape::kDigests: return "a list of digests";
    case Shape::kNumbers: return "a list of numbers";
    case Shape::kLists: return "a list of lists";
    case Shape::kObject: return "an object";
    case Shape::kObjects: return "a list of objects";
    case Shape::kMap: return "an object";
    case Shape::kAny: return "anything";
  }
  return "anything";
}

std::string joined(const std::vector<std::string>& names) {
  return fmt::format("`{}`", fmt::join(names, "`, `"));
}

namespace {

constexpr std::string_view kDigestPattern = "sha256:[0-9a-f]{64}";

Value list_of(Value items) {
  return Value::object({{"type", "array"}, {"items", std::move(items)}});
}

Value of_type(std::string_view type) { return Value::object({{"type", type}}); }

Value schema_of(const ObjectSchema& object, std::set<const ObjectSchema*>& open);

/// What the shape alone says of a value.
Value shape_schema(const ObjectSchema& object, const Key& key,
                   std::set<const ObjectSchema*>& open) {
  switch (key.shape) {
    case Shape::kText:
    case Shape::kExpression: return of_type("string");
    case Shape::kInteger: return of_type("integer");
    case Shape::kNumber: return of_type("number");
    case Shape::kBoolean: return of_type("boolean");
    case Shape::kDuration: return of_type("string").set("pattern", "^([0-9]+(ms|s|m|h|d))+$");
    case Shape::kTime: return of_type("string").set("pattern", "^[0-9]{4}-[0-9]{2}-[0-9]{2}");
    case Shape::kDigest:
      return of_type("string").set("pattern", key.is_filled
                                                  ? fmt::format("^{}$", kDigestPattern)
                                                  : fmt::format("^({})?$", kDigestPattern));
    case Shape::kTexts:
      if (object.is_record) return list_of(of_type("string"));
      return Value::object(
          {{"anyOf", Value::array({of_type("string"), list_of(of_type("string"))})}});
    case Shape::kIntegers: return list_of(of_type("integer"));
    case Shape::kNumbers: return list_of(of_type("number"));
    case Shape::kLists: return list_of(Value::object({{"type", Value::array({"array", "null"})}}));
    case Shape::kDigests:
      return list_of(of_type("string").set("pattern", fmt::format("^{}$", kDigestPattern)));
    case Shape::kObject: return schema_of(*key.object, open);
    case Shape::kObjects: return list_of(schema_of(*key.object, open));
    case Shape::kMap: return of_type("object");
    case Shape::kAny: break;
  }
  return Value::object();
}

Value schema_of(const ObjectSchema& object, const Key& key, std::set<const ObjectSchema*>& open) {
  Value out = shape_schema(object, key, open);
  if (!key.choices.empty()) {
    Value names = Value::array();
    for (const auto& name : key.choices) names.push(name);
    out.set("enum", std::move(names));
  }
  // Of a list they are its items' bounds.
  Value& bounded = key.shape == Shape::kIntegers ? *out.find("items") : out;
  if (key.at_least) bounded.set("minimum", *key.at_least);
  if (key.at_most) bounded.set("maximum", *key.at_most);
  if (key.is_filled && key.shape == Shape::kText) out.set("minLength", 1);
  if (key.may_be_null) out = Value::object({{"anyOf", Value::array({out, of_type("null")})}});
  out.set("description", key.about);
  if (key.treatment == Treatment::kReported) out.set("x-treatment", "reported");
  if (key.treatment == Treatment::kDescriptive) out.set("x-treatment", "descriptive");
  return out;
}

Value schema_of(const ObjectSchema& object, std::set<const ObjectSchema*>& open) {
  Value out = Value::object({{"type", "object"}});
  // A schema that holds itself is just an object there.
  if (!open.insert(&object).second) return out;
  Value properties = Value::object();
  Value needed = Value::array();
  if (!object.format.empty()) {
    properties.set("format", Value::object({{"const", object.format}}));
    needed.push("format");
  }
  for (const auto& key : object.keys) {
    properties.set(key.name, schema_of(object, key, open));
    if (key.is_required) needed.push(key.name);
  }
  out.set("properties", std::move(properties));
  if (needed.size() > 0) out.set("required", std::move(needed));
  if (object.others_about.empty()) out.set("additionalProperties", false);
  // Only inside of itself: beside it, it is described again.
  open.erase(&object);
  return out;
}

void reference_rows(const ObjectSchema& object, const std::string& prefix, std::string& out) {
  for (const auto& key : object.keys) {
    if (key.shape == Shape::kAny && !key.set) continue;
    const std::string path = prefix + key.name;
    std::string about = key.about;
    if (!key.choices.empty()) about += fmt::format(" ({})", joined(key.choices));
    out += fmt::format("| `{}` | {}{} | {} | {} |\n", path, shape_name(key.shape),
                       key.may_be_null ? " or null" : "", key.is_required ? "yes" : "", about);
    if (key.object != nullptr)
      reference_rows(*key.object, path + (key.shape == Shape::kObjects ? "[]." : "."), out);
  }
  if (!object.others_about.empty())
    out += fmt::format("| `{}...` | anything | | {} |\n", prefix, object.others_about);
}

}  // namespace

Value schema_of(const ObjectSchema& object) {
  std::set<const ObjectSchema*> open;
  Value out = Value::object({{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                             {"title", object.name},
                             {"description", object.about}});
  const Value body = schema_of(object, open);
  for (const auto& [key, value] : body.as_object()) out.set(key, value);
  return out;
}

std::string reference_of(const ObjectSchema& object) {
  return fmt::format("# {}\n\n{}\n\n{}", object.name, object.about, key_table(object));
}

std::string key_table(const ObjectSchema& object) {
  std::string out = "| key | holds | required | meaning |\n|---|---|---|---|\n";
  if (!object.format.empty())
    out += fmt::format("| `format` | a string | yes | `{}` |\n", object.format);
  reference_rows(object, "", out);
  return out;
}

}  // namespace heddle::doc
