#include <algorithm>
#include <set>

#include "spec/kinds.hpp"
#include "spec/odcs.hpp"

namespace heddle::spec {
namespace {

using odcs::CustomProperty;

constexpr std::string_view kCleaning = "cleaning.md";

/// Whether Heddle is meant. A property that only Heddle knows and that lacks its vendor would be
/// taken for another's.
bool is_ours(const CustomProperty& custom, const std::vector<std::string>& known, Reader& reader) {
  std::string vendor = custom.vendor;
  std::transform(vendor.begin(), vendor.end(), vendor.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (vendor == "heddle") return true;
  if (vendor.empty() && std::find(known.begin(), known.end(), custom.property) != known.end()) {
    reader.not_enforced(custom.property, custom.position,
                        "add `vendor: heddle` if Heddle is meant");
  }
  return false;
}

void report_unknown(const CustomProperty& custom, const std::vector<std::string>& known,
                    std::string_view of, Reader& reader) {
  const std::string near = doc::nearest(custom.property, known);
  reader.report(custom.position, "unknown-key",
                fmt::format("Heddle knows no property `{}` of {}", custom.property, of),
                near.empty() ? fmt::format("there is `{}`", fmt::join(known, "`, `"))
                             : fmt::format("did you mean `{}`?", near));
}

bool is_object(const CustomProperty& custom, Reader& reader, std::string_view page) {
  if (custom.value.is_object()) return true;
  reader.report(
      custom.value.position(), "wrong-type",
      fmt::format("`{}` must be an object, found a {}", custom.property, custom.value.type_name()),
      fmt::format("see `docs/{}` for its keys", page));
  return false;
}

void read_field_property(const CustomProperty& custom, Field& field, Reader& reader) {
  const std::vector<std::string> known = {"role", "enumFile", "repairs", "upstream"};
  if (!is_ours(custom, known, reader)) return;
  if (custom.property == "role") {
    if (custom.value == doc::Value("label")) {
      field.label_time = true;
    } else {
      reader.report(custom.value.position(), "unknown-value",
                    "a field's `role` can only be `label`", "write `value: label`, or remove it");
    }
  } else if (custom.property == "enumFile") {
    // In short: a text alone is the file, with one value a line.
    field.enum_file =
        custom.value.is_string() ? custom.value.as_string() : custom.value.string_or("file");
    field.enum_column = custom.value.string_or("column");
    if (field.enum_file.empty()) {
      reader.report(custom.value.position(), "wrong-type", "`enumFile` names no file",
                    "write `value: {file: airports.csv, column: iata}`");
    }
  } else if (custom.property == "repairs") {
    if (is_object(custom, reader, kCleaning))
      reader.read(repair_keys(), custom.value, &field.repairs);
  } else if (custom.property == "upstream") {
    if (is_object(custom, reader, "joins.md"))
      reader.read(upstream_keys(), custom.value, &field.upstream.emplace());
  } else {
    report_unknown(custom, known, "a field", reader);
  }
}

void read_transforms(const CustomProperty& custom, Contract& contract, Reader& reader) {
  for (const auto& item : custom.value.as_array()) {
    Transform transform;
    reader.read(odcs::transform_keys(), item, &transform);
    contract.transforms.push_back(std::move(transform));
  }
}

/// What an object declares for all of its fields: how texts are written. What is of one unit or one
/// range is of one field.
void read_repairs_for_all(const CustomProperty& custom, Contract& contract, Reader& reader) {
  if (!is_object(custom, reader, kCleaning)) return;
  Repairs all;
  reader.read(repair_keys(), custom.value, &all);
  const bool is_of_values = all.scale || all.offset || all.clip_minimum || all.clip_maximum ||
                            all.impute != Impute::kNone;
  if (is_of_values) {
    reader.report(custom.value.position(), "repair-type",
                  "`scale`, `offset`, `clip` and `impute` are of one field",
                  "write them under the `customProperties` of the field");
  }
  // A field's own repairs were read before, and count where both say something.
  for (Field& field : contract.fields) add_for_all(all, field);
}

/// The properties of an object, or of a contract with one.
void read_object_properties(const std::vector<CustomProperty>& customs, std::string_view of,
                            bool is_one_object, Contract& contract, Reader& reader) {
  const std::vector<std::string> known = {"transforms", "repairs", "deduplicate"};
  for (const auto& custom : customs) {
    if (!is_ours(custom, known, reader)) continue;
    const bool is_known = std::find(known.begin(), known.end(), custom.property) != known.end();
    // The other two are objects, which is checked where they are read.
    if (!is_known || (custom.property == "transforms" && !custom.value.is_array())) {
      report_unknown(custom, known, of, reader);
      continue;
    }
    // Nobody could tell which object's fields are meant.
    if (!is_one_object) {
      reader.report(custom.position, "bad-schema",
                    fmt::format("`{}` stands over several schema objects", custom.property),
                    "write it under `customProperties` of the object whose fields it repairs");
      return;
    }
    if (custom.property == "transforms") {
      read_transforms(custom, contract, reader);
    } else if (custom.property == "repairs") {
      read_repairs_for_all(custom, contract, reader);
    } else if (is_object(custom, reader, kCleaning)) {
      reader.read(deduplicate_keys(), custom.value, &contract.deduplicate.emplace());
    }
  }
}

void read_enum(const odcs::Property& property, Field& field, Reader& reader) {
  const bool has_value =
      std::any_of(property.enum_values.begin(), property.enum_values.end(),
                  [](const odcs::EnumValue& each) { return !each.value.is_null(); });
  if (property.has_enum && !has_value) {
    reader.report(property.position, "bad-field",
                  fmt::format("the `enum` of field `{}` has no value", property.name),
                  "list the values as `{value: ...}`, or remove `enum`");
  }
  for (const auto& each : property.enum_values) {
    if (each.value.is_null()) continue;  // whether a value may be missing is what `required` says
    auto value = typed_value(field, each.value);
    if (value.ok()) {
      field.enum_values.push_back(std::move(*value));
    } else {
      reader.report(each.value.position(), value.error().id, value.error().message,
                    value.error().hint);
    }
  }
}

void read_property(const odcs::Property& property, Contract& contract, Reader& reader) {
  const auto type = odcs::type_of(property, reader);
  if (!type) {
    // Kept by name: a rule that reads it is told why rows do not have it.
    contract.unread.push_back(property.name);
    return;
  }
  Field& field = contract.fields.emplace_back();
  field.name = property.name;
  field.type = type->type;
  field.form = type->form;
  field.required = property.required.value_or(false);
  field.description = property.description;
  field.position = property.position;
  read_enum(property, field, reader);
  for (const auto& custom : property.custom) read_field_property(custom, field, reader);
  if (property.has_enum && !field.enum_file.empty()) {
    reader.report(property.position, "bad-field",
                  fmt::format("field `{}` has both `enum` and `enumFile`", field.name),
                  "keep one of the two: only one says which values there are");
  }
  odcs::read_options(property, field, reader);
}

Contract read_object(const odcs::SchemaObject& object, Reader& reader) {
  Contract contract;
  contract.object = object.name;
  for (const auto& property : object.properties) read_property(property, contract, reader);
  // After every property, since a rule may read fields that stand further down.
  odcs::QualityReader quality(object, contract, reader);
  for (const auto& property : object.properties) {
    const bool is_read = std::find(contract.unread.begin(), contract.unread.end(), property.name) ==
                         contract.unread.end();
    quality.read(property.quality, property.name, is_read);
  }
  quality.read(object.quality, "", true);
  // Last, so that rules with an id of their own have theirs.
  quality.keys();
  read_object_properties(object.custom, "a schema object", true, contract, reader);
  // A misspelt type took its field away, and was reported.
  const bool is_misread =
      std::any_of(object.properties.begin(), object.properties.end(),
                  [](const auto& property) { return property.has_unknown_type; });
  if (contract.fields.empty() && !is_misread) {
    reader.warn_once("no fields", object.position, "no-fields",
                     fmt::format("object `{}` has no field that can be read", object.name),
                     "add `properties` with a `logicalType` each: a feature set needs fields");
  }
  return contract;
}

/// Whether it is of version 2 of the standard, whose keys are others. Its earliest documents have
/// no `apiVersion`.
bool is_version_2(const doc::Value& value) {
  const doc::Value* version = value.find("apiVersion");
  if (version != nullptr && version->is_string()) {
    return version->as_string().starts_with("v2.") || version->as_string().starts_with("2.");
  }
  const bool has_old_keys = value.find("quantumName") != nullptr ||
                            value.find("datasetName") != nullptr ||
                            value.find("dataset") != nullptr;
  return version == nullptr && has_old_keys && value.find("schema") == nullptr;
}

}  // namespace

std::vector<Contract> read_contracts(const doc::Value& value, Reader& reader) {
  odcs::Document document;
  if (is_version_2(value)) {
    // One finding: each of its keys would be another.
    const doc::Value* version = value.find("apiVersion");
    reader.report(version == nullptr ? value.position() : version->position(), "unknown-value",
                  "this is a contract of version 2 of the Open Data Contract Standard, which is "
                  "not read",
                  "convert it to version 3: `dataset` became `schema`, `uuid` became `id`, "
                  "`isNullable` became `required`");
    std::vector<Contract> contracts(1);
    contracts.front().identity.name = value.string_or("uuid", value.string_or("id"));
    return contracts;
  }
  reader.read(odcs::document_keys(), value, &document);
  const std::string name = document.name.empty() ? document.id : document.name;
  const bool is_one_object = document.schema.size() == 1;
  const doc::Value* schema = value.find("schema");
  if (value.is_object() && (schema == nullptr || (schema->is_array() && schema->size() == 0))) {
    reader.warn_once("no fields", value.position(), "no-fields",
                     "the contract has no `schema`: it says nothing of rows",
                     "add `schema`: a feature set needs fields");
  }
  std::vector<Contract> contracts;
  std::set<std::string> names;
  for (const auto& object : document.schema) {
    if (!names.insert(object.name).second) {
      reader.report(object.position, "duplicate-name",
                    fmt::format("schema object `{}` appears twice", object.name),
                    "rename one of the two: other definitions name an object by it");
      continue;
    }
    contracts.push_back(read_object(object, reader));
    contracts.back().identity.name = is_one_object ? name : fmt::format("{}/{}", name, object.name);
  }
  // A document without objects is a contract all the same: it has a name that others may not take.
  if (contracts.empty()) contracts.emplace_back().identity.name = name;
  for (Contract& contract : contracts) {
    contract.version = document.version;
    contract.status = document.status;
  }
  read_object_properties(document.custom, "a contract", is_one_object, contracts.front(), reader);
  reader.finish();
  return contracts;
}

}  // namespace heddle::spec
