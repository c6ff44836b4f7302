#include <algorithm>

#include <fmt/format.h>

#include "base/file.hpp"
#include "doc/json.hpp"
#include "train/own.hpp"

namespace heddle::train {
namespace {

std::string_view type_of(expr::Type type) {
  switch (type) {
    case expr::Type::kBool: return "boolean";
    case expr::Type::kInt: return "integer";
    case expr::Type::kDouble: return "number";
    case expr::Type::kTimestamp: return "timestamp";
    default: return "string";
  }
}

Result<void> write_part(const std::string& folder, const std::string& part,
                        const table::Table& rows, const std::vector<double>& codes) {
  if (codes.size() != static_cast<std::size_t>(rows.rows())) {
    return Error{ErrorKind::kInternal, "own-rows",
                 fmt::format("{} labels for {} rows", codes.size(), rows.rows()), "report this"};
  }
  HEDDLE_TRY(table::write_parquet(rows, folder + "/" + part + ".parquet"));
  return write_file_atomic(
      folder + "/" + part + ".labels",
      std::string_view(reinterpret_cast<const char*>(codes.data()), codes.size() * sizeof(double)));
}

}  // namespace

std::vector<OwnColumn> own_columns(const spec::Exec& exec, const std::vector<spec::Field>& fields,
                                   const std::vector<std::string>& features) {
  std::vector<OwnColumn> out;
  if (exec.inputs == spec::Runtime::Inputs::kFeatures) {
    for (const auto& name : features) out.push_back({name, "feature", true});
    return out;
  }
  for (const auto& field : fields)
    out.push_back({field.name, std::string(type_of(field.type)), !field.required});
  return out;
}

doc::Value own_parameters(const spec::TrainerParameters& parameters,
                          const std::vector<spec::SearchDimension>& space) {
  using Kind = spec::SearchDimension::Kind;
  doc::Value out = doc::Value::object();
  for (const auto& [name, text] : parameters.values) {
    auto value = doc::parse_json(text);
    doc::Value typed = value.ok() ? std::move(*value) : doc::Value(text);
    const bool is_real =
        std::any_of(space.begin(), space.end(), [&](const spec::SearchDimension& each) {
          return each.name == name &&
                 (each.kind == Kind::kUniform || each.kind == Kind::kLogUniform);
        });
    // A draw that happens to be whole is a real number still.
    if (is_real && typed.is_number()) typed = doc::Value(typed.as_double());
    out.set(name, std::move(typed));
  }
  return out;
}

Result<void> write_own_rows(const std::string& folder, const OwnRows& rows) {
  HEDDLE_TRY(make_dirs(folder));
  HEDDLE_TRY(write_part(folder, "train", rows.train, rows.train_codes));
  return write_part(folder, "valid", rows.valid, rows.valid_codes);
}

}  // namespace heddle::train
