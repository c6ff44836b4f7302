#include "bundle/reference.hpp"

#include "doc/json.hpp"

namespace heddle::bundle {
namespace {

constexpr std::string_view kFormat = "heddle.reference/1";

Error corrupt(std::string_view what) {
  return Error{ErrorKind::kCorrupt, "reference-corrupt", fmt::format("the reference predictions are unreadable: {}", what),
               "build the bundle again with `heddle run`"};
}

}  // namespace

std::string Reference::to_json() const {
  doc::Value names = doc::Value::array();
  for (const auto& field : fields) names.push(field);
  doc::Value numbers = doc::Value::array();
  for (const float margin : margins) numbers.push(static_cast<double>(margin));
  return doc::to_json(doc::Value::object(
      {{"format", kFormat}, {"fields", std::move(names)}, {"rows", doc::Value(rows)}, {"margins", std::move(numbers)}}));
}

Result<Reference> Reference::parse(std::string_view json) {
  const auto value = doc::parse_json(json);
  if (!value.ok()) return corrupt(value.error().message);
  const doc::Value* names = value->find("fields");
  const doc::Value* rows = value->find("rows");
  const doc::Value* margins = value->find("margins");
  if (value->string_or("format") != kFormat) return corrupt(fmt::format("its format is not `{}`", kFormat));
  if (names == nullptr || rows == nullptr || margins == nullptr || !names->is_array() || !rows->is_array() || !margins->is_array()) {
    return corrupt("a part is missing");
  }
  Reference reference;
  for (const auto& name : names->as_array()) {
    if (!name.is_string()) return corrupt("a field has no name");
    reference.fields.push_back(name.as_string());
  }
  for (const auto& row : rows->as_array()) {
    if (!row.is_array() || row.size() != names->size()) return corrupt("a row has another number of values than fields");
    reference.rows.push_back(row);
  }
  for (const auto& margin : margins->as_array()) {
    if (!margin.is_number()) return corrupt("a margin is no number");
    reference.margins.push_back(static_cast<float>(margin.as_double()));
  }
  if (reference.margins.size() != reference.rows.size()) return corrupt("there are not as many margins as rows");
  return reference;
}

}  // namespace heddle::bundle
