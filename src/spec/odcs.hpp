#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "doc/schema.hpp"
#include "spec/contract.hpp"

namespace heddle::spec::odcs {

using doc::Reader;
using doc::Schema;
using doc::Shape;
using doc::Treatment;

/// An Open Data Contract Standard document (3.0.0 to 3.2.0) as it is written, before it becomes
/// contracts. Private to this module.
struct CustomProperty {
  std::string property;
  std::string vendor;
  doc::Value value{};
  doc::Position position{};
};

struct Operator {
  std::string name;
  doc::Value operand{};
};

struct Quality {
  std::string id;
  std::string name;
  std::string description;
  std::string type;
  std::string metric;
  std::string engine;
  std::string unit;
  std::string severity;
  std::string query;
  std::vector<Operator> operators{};
  doc::Value implementation{};
  doc::Value arguments{};
  std::vector<CustomProperty> custom{};
  doc::Position position{};
};

struct EnumValue {
  doc::Value value{};
};

struct Options {
  std::map<std::string, doc::Value> values{};  ///< by key, those that are written
};

struct Property {
  std::string name;
  std::string logical_type;
  std::string physical_type;
  std::string physical_name;
  std::string semantic_type;
  std::string description;
  std::optional<bool> required{};
  std::optional<bool> old_nullable{};  ///< `isNullable` and `isUnique` of 2.x
  std::optional<bool> old_unique{};
  bool unique = false;
  bool primary_key = false;
  bool has_unknown_type = false;  ///< a `logicalType` that is none: said already
  Options options{};
  std::vector<EnumValue> enum_values{};
  bool has_enum = false;  ///< `enum` is written, if with nothing in it
  std::vector<Quality> quality{};
  std::vector<CustomProperty> custom{};
  doc::Position position{};
  doc::Position physical_type_position{};
};

struct SchemaObject {
  std::string name;
  std::string physical_name;
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

/// The table of a document's keys, each with its treatment.
[[nodiscard]] const Schema<Document>& document_keys();
[[nodiscard]] const Schema<Transform>& transform_keys();

/// A field's logical type, or nothing where a row cannot hold it (nested or of no known type).
struct FieldType {
  expr::Type type = expr::Type::kString;
  Form form = Form::kAny;
};
/// By `logicalType`; without one by `physicalType`. Findings go to `reader`.
[[nodiscard]] std::optional<FieldType> type_of(const Property& property, Reader& reader);
/// `logicalTypeOptions` onto a field whose type stands.
void read_options(const Property& property, Field& field, Reader& reader);

/// A pattern as RE2 reads it; a finding at `value` when it cannot be compiled.
[[nodiscard]] std::string read_pattern(const doc::Value& value, const std::string& what,
                                       Reader& reader);

/// Quality rules of one schema object onto its contract.
class QualityReader {
 public:
  QualityReader(const SchemaObject& object, Contract& contract, Reader& reader)
      : object_(object), contract_(contract), reader_(reader) {}
  /// `field` is empty for rules of the object; `is_read`: whether rows have the field.
  void read(const std::vector<Quality>& rules, const std::string& field, bool is_read);
  /// `unique` and `primaryKey`.
  void keys();

 private:
  void read_library(const Quality& quality, const std::string& field);
  /// 3.0's `between`, `minCheck`, `maxCheck`: the values outside of the bounds are counted.
  void read_bounds(const Quality& quality, const std::string& field);
  /// The bound `which` (`min` or `max`) of such a rule as an expression writes it; empty, with a
  /// finding, where it is not there or no value of the field.
  [[nodiscard]] std::string bound_of(const Quality& quality, const Field& field,
                                     const std::string& id, std::string_view which);
  /// Whether the metric takes each argument that is written, and each is what it must be.
  bool has_arguments(const Quality& quality, const SetRule& rule);
  /// What is written beside the keys that a rule of `type` reads is dropped: it is said.
  void report_unused(const Quality& quality, std::string_view type);
  void read_sql(const Quality& quality, const std::string& field);
  void read_custom(const Quality& quality, const std::string& field);
  bool read_dependency(const Quality& quality, const doc::Value& dependency, RowRule& rule);
  void add(SetRule rule, const Quality& quality);
  [[nodiscard]] RuleEffect effect_of(const Quality& quality);
  [[nodiscard]] std::string id_of(const Quality& quality, const std::string& field,
                                  const std::string& what) const;
  [[nodiscard]] bool is_taken(const std::string& id) const;
  bool has_operands(const Quality& quality, const std::string& id);

  const SchemaObject& object_;
  Contract& contract_;
  Reader& reader_;
};

}  // namespace heddle::spec::odcs
