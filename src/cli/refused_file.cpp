#include "cli/refused_file.hpp"

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/clock.hpp"
#include "cli/rows_input.hpp"
#include "control/applied.hpp"
#include "control/failing_values.hpp"
#include "control/home.hpp"
#include "table/stream.hpp"

namespace heddle::cli {
namespace {

/// What `heddle score` adds to refused rows.
constexpr std::string_view kRules = "validation";
constexpr std::string_view kRepairs = "repairs";
constexpr std::string_view kBundle = "bundle";
constexpr std::array kAdded{kRules, kRepairs, kBundle};

bool is_added(std::string_view column) {
  return std::find(kAdded.begin(), kAdded.end(), column) != kAdded.end();
}

std::vector<std::string> parts_of(std::string_view list) {
  std::vector<std::string> out;
  while (!list.empty()) {
    const auto comma = std::min(list.find(','), list.size());
    out.emplace_back(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return out;
}

doc::Value value_of(const table::Column& column, std::int64_t row) {
  // What could not be read as the column's type is shown as it was written.
  if (const auto text = column.malformed_text(static_cast<std::size_t>(row)))
    return std::string(*text);
  const expr::Datum value = column.view().at(row);
  using Kind = expr::Datum::Kind;
  switch (value.kind) {
    case Kind::kBool: return value.b;
    case Kind::kInt: return value.i;
    case Kind::kDouble: return value.d;
    case Kind::kString: return std::string(value.str());
    case Kind::kTimestamp: return format_time(value.i);
    default: return nullptr;
  }
}

std::string text_in(const table::Table& rows, std::string_view name, std::int64_t row) {
  const table::Column* const column = rows.find(name);
  const auto value = column == nullptr ? doc::Value() : value_of(*column, row);
  return value.is_string() ? value.as_string() : std::string();
}

control::RefusedRowItem item_of(const spec::Contract& contract, const table::Table& rows,
                                std::int64_t row) {
  control::RefusedRowItem out;
  out.outcome = "refused";
  out.rules = parts_of(text_in(rows, kRules, row));
  out.bundle = text_in(rows, kBundle, row);
  out.repairs = parts_of(text_in(rows, kRepairs, row));
  out.fields = doc::Value::object();
  for (const auto& column : rows.columns()) {
    if (!is_added(column.name)) out.fields.set(column.name, value_of(column, row));
  }
  out.failing = control::failing_values(contract, out);
  return out;
}

}  // namespace

Result<table::Input> refused_file(const control::Wiring& wiring, const std::string& root,
                                  const RefusedFile& file) {
  HEDDLE_ASSIGN_OR_RETURN(auto input, input_as(wiring, root, file.service, file.path, file.as));
  // `heddle score` wrote the file in a form of its own; only what stands in the cells is the
  // source's.
  table::Form form;
  form.decimal = input.form.decimal;
  input.form = form;
  return input;
}

Result<std::vector<std::string>> own_columns(const table::Input& input) {
  HEDDLE_ASSIGN_OR_RETURN(const auto all, table::read_schema(input));
  std::vector<std::string> out;
  for (const auto& column : all) {
    if (!is_added(column.name)) out.push_back(column.name);
  }
  return out;
}

Result<std::string> column_of_rules(const table::Input& input) {
  HEDDLE_ASSIGN_OR_RETURN(const auto all, table::read_schema(input));
  const bool is_there = std::any_of(
      all.begin(), all.end(), [](const table::ColumnInfo& each) { return each.name == kRules; });
  return is_there ? std::string(kRules) : std::string();
}

Result<control::RefusedRowsReply> rows_of_file(const control::Wiring& wiring,
                                               const std::string& root, const RefusedFile& file,
                                               std::int64_t limit) {
  HEDDLE_ASSIGN_OR_RETURN(const auto input, refused_file(wiring, root, file));
  HEDDLE_ASSIGN_OR_RETURN(const auto rules, column_of_rules(input));
  if (rules.empty()) {
    return Error{
        ErrorKind::kUnprocessable, "rows-no-rules",
        fmt::format("`{}` has no column `{}`: it is no file of refused rows", file.path, kRules),
        "name the file that `heddle score` wrote beside its output: `NAME.refused.csv`"};
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto project,
                          control::applied_project(control::Home(root), wiring));
  const auto service = project.services.find(file.service);
  if (service == project.services.end()) {
    return Error{ErrorKind::kNotFound, "service-unknown",
                 fmt::format("no service `{}`", file.service), "see `heddle status`"};
  }
  // What is applied was checked: its names lead somewhere.
  const auto& model = project.models.at(service->second.model);
  const auto& contract = project.contracts.at(project.feature_sets.at(model.features).contract);
  control::RefusedRowsReply out;
  out.service = file.service;
  auto& items = out.rows.emplace();
  table::ReadOptions reading;
  // As they stand: the row may have been refused for how a cell is written.
  reading.as_written = true;
  HEDDLE_ASSIGN_OR_RETURN(const auto reader, table::TableReader::open(input, reading));
  const std::string name = std::filesystem::path(file.path).filename().string();
  while (std::ssize(items) < limit) {
    HEDDLE_ASSIGN_OR_RETURN(const auto rows, reader->next());
    if (!rows) break;
    for (std::int64_t row = 0; row < rows->rows() && std::ssize(items) < limit; ++row) {
      auto item = item_of(contract, *rows, row);
      item.request_id = name;
      item.row = std::ssize(items);
      items.push_back(std::move(item));
    }
  }
  return out;
}

}  // namespace heddle::cli
