#include <algorithm>

#include "contract/columns.hpp"

namespace heddle::contract {
namespace {

/// The columns of a contract's fields in a table; label fields may be absent (nullptr).
Result<std::vector<const table::Column*>> columns_of(const Contract::Code& code,
                                                     const table::Table& rows) {
  std::vector<const table::Column*> out;
  for (const spec::Field& field : code.definition.fields) {
    // Label fields stand behind those of a request, and rows without labels are checked too.
    if (out.size() >= code.request_count) {
      out.push_back(rows.find(field.name));
      continue;
    }
    auto column = rows.column(field.name);
    if (!column.ok()) {
      Error error = column.error();
      error.message =
          fmt::format("the rows have no column `{}`, which the contract asks for", field.name);
      return error;
    }
    out.push_back(*column);
  }
  return out;
}

}  // namespace

Result<RepairedRows> RepairedRows::of(const Contract::Code& code, const table::Table& rows) {
  RepairedRows out;
  HEDDLE_ASSIGN_OR_RETURN(out.columns_, columns_of(code, rows));
  out.counts_.assign(code.repairs.size(), 0);
  for (std::size_t i = 0; i < out.columns_.size(); ++i) {
    const FieldRepairs* const repairs = code.field_repairs[i].get();
    if (repairs == nullptr || out.columns_[i] == nullptr) continue;
    out.repaired_.push_back(std::make_unique<const table::Column>(
        repaired_column(*repairs, *out.columns_[i], code.definition.fields[i].type,
                        FieldRepairs::Upto::kAll, out.counts_)));
    out.columns_[i] = out.repaired_.back().get();
  }
  return out;
}

Result<table::Table> Contract::with_texts_read(const table::Table& rows) const {
  const Code& code = *code_;
  if (!code.is_repairing) return rows;
  std::vector<table::Column> columns(rows.columns().begin(), rows.columns().end());
  std::vector<std::int64_t> ignored(code.repairs.size(), 0);
  for (auto& column : columns) {
    const auto& fields = code.definition.fields;
    const auto field = std::find_if(fields.begin(), fields.end(), [&](const spec::Field& each) {
      return each.name == column.name;
    });
    if (field == fields.end()) continue;
    const auto* repairs =
        code.field_repairs[static_cast<std::size_t>(field - fields.begin())].get();
    if (repairs == nullptr) continue;
    column = repaired_column(*repairs, column, field->type, FieldRepairs::Upto::kText, ignored);
  }
  return table::Table::make(std::move(columns));
}

Result<table::Column> Contract::repaired(const table::Table& rows, std::string_view name) const {
  HEDDLE_ASSIGN_OR_RETURN(const table::Column* column, rows.column(name));
  const auto& fields = code_->definition.fields;
  const auto field = std::find_if(fields.begin(), fields.end(),
                                  [&](const spec::Field& each) { return each.name == name; });
  if (field == fields.end()) return *column;
  const auto* repairs =
      code_->field_repairs[static_cast<std::size_t>(field - fields.begin())].get();
  if (repairs == nullptr) return *column;
  std::vector<std::int64_t> ignored(code_->repairs.size(), 0);
  return repaired_column(*repairs, *column, field->type, FieldRepairs::Upto::kAll, ignored);
}

}  // namespace heddle::contract
