#include "contract/code.hpp"

namespace heddle::contract {
namespace {

using expr::Datum;
using expr::Type;

/// The columns of a contract's fields in a table; label fields may be absent (nullptr).
Result<std::vector<const table::Column*>> columns_of(const Contract& contract,
                                                     const table::Table& rows) {
  std::vector<const table::Column*> out;
  const std::size_t request = contract.request_fields().size();
  for (const spec::Field& field : contract.fields()) {
    if (out.size() >= request) {
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

/// Grows a typed column row by row; the dictionary of a column that stays as it is is shared.
class Accepted {
 public:
  Accepted(const spec::Field& field, const table::Column& from, bool transformed)
      : from_(from),
        copy_codes_(field.type == Type::kString && from.type == Type::kString && !transformed) {
    column_.name = field.name;
    column_.type = field.type;
  }

  void add(std::int64_t row, const Datum& value) {
    const bool valid = !value.is_null();
    if (!valid && column_.valid.empty())
      column_.valid.assign(static_cast<std::size_t>(column_.length()), 1);
    if (!column_.valid.empty() || !valid) column_.valid.push_back(valid ? 1 : 0);
    switch (column_.type) {
      case Type::kDouble: column_.doubles.push_back(valid ? value.d : 0); break;
      case Type::kString:
        if (copy_codes_)
          column_.codes.push_back(from_.codes[static_cast<std::size_t>(row)]);
        else
          column_.codes.push_back(valid ? strings_.insert(value.str()) : 0);
        break;
      case Type::kBool: column_.ints.push_back(valid && value.b ? 1 : 0); break;
      default: column_.ints.push_back(valid ? value.i : 0);
    }
  }

  table::Column finish() {
    if (column_.type == Type::kString) {
      if (strings_.size() == 0) strings_.insert("");
      column_.dictionary = copy_codes_
                               ? from_.dictionary
                               : std::make_shared<const table::Dictionary>(strings_.values());
    }
    return std::move(column_);
  }

 private:
  const table::Column& from_;
  bool copy_codes_;
  table::Column column_;
  table::StringIndex strings_;
};

}  // namespace

Result<void> Contract::learn(const table::Table& rows) {
  HEDDLE_ASSIGN_OR_RETURN(const auto columns, columns_of(*this, rows));
  Code& code = *code_;
  code.learned.clear();
  if (code.dependencies.empty()) return {};
  std::vector<expr::ColumnView> views;
  for (std::size_t i = 0; i < code.request_count; ++i) views.push_back(columns[i]->view());
  struct Learning {
    table::TupleIndex tuples;
    std::vector<std::int64_t> values;
    std::vector<std::uint8_t> conflicts;
  };
  std::vector<Learning> all;
  for (DependencyCode& rule : code.dependencies) {
    for (std::size_t i = 0; i < rule.parts.size(); ++i)
      rule.parts[i] = table::KeyPart(rule.parts[i].type());
    rule.dependent_part = table::KeyPart(rule.dependent_part.type());
    all.push_back({table::TupleIndex(rule.parts.size()), {}, {}});
  }
  RowCheck check;
  check.row.resize(code.request_count);
  std::int64_t key[kMaxKey];
  for (std::int64_t row = 0; row < rows.rows(); ++row) {
    check.broken.clear();
    check.states.assign(code.rules.size(), RuleState::kUnknown);
    for (std::size_t i = 0; i < code.request_count; ++i)
      check.row[i] = code.check_field(i, columns[i]->cell(views[i], row), check);
    if (!check.broken.empty()) continue;
    for (std::size_t r = 0; r < all.size(); ++r) {
      DependencyCode& rule = code.dependencies[r];
      bool whole = true;
      for (std::size_t i = 0; i < rule.parts.size() && whole; ++i) {
        const auto part =
            rule.parts[i].insert(check.row[static_cast<std::size_t>(rule.determinant[i])]);
        whole = part.has_value();
        if (part) key[i] = *part;
      }
      const auto value =
          rule.dependent_part.insert(check.row[static_cast<std::size_t>(rule.dependent)]);
      if (!whole || !value) continue;
      const auto tuple = static_cast<std::size_t>(all[r].tuples.insert({key, rule.parts.size()}));
      if (tuple == all[r].values.size()) {
        all[r].values.push_back(*value);
        all[r].conflicts.push_back(0);
      } else if (all[r].values[tuple] != *value) {
        all[r].conflicts[tuple] = 1;
      }
    }
  }
  for (std::size_t r = 0; r < all.size(); ++r) {
    DependencyCode& rule = code.dependencies[r];
    LearnedDependency report{code.rules[static_cast<std::size_t>(rule.rule)].id, 0, 0};
    rule.tuples = table::TupleIndex(rule.parts.size());
    rule.values.clear();
    for (std::size_t tuple = 0; tuple < all[r].values.size(); ++tuple) {
      if (all[r].conflicts[tuple] != 0) {
        ++report.conflicting;
        continue;
      }
      rule.tuples.insert(all[r].tuples.tuple(static_cast<std::int32_t>(tuple)));
      rule.values.push_back(all[r].values[tuple]);
      ++report.tuples;
    }
    code.learned.push_back(std::move(report));
  }
  return {};
}

Result<TableCheck> Contract::check_table(const table::Table& rows) const {
  HEDDLE_ASSIGN_OR_RETURN(const auto columns, columns_of(*this, rows));
  const Code& code = *code_;
  TableCheck out;
  out.refused.assign(static_cast<std::size_t>(rows.rows()), 0);
  out.counts.assign(code.rules.size(), 0);
  std::vector<expr::ColumnView> views(columns.size());
  std::vector<Accepted> accepted;
  std::vector<std::size_t> fields;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (columns[i] == nullptr) continue;
    views[i] = columns[i]->view();
    const bool transformed = std::any_of(code.transforms.begin(), code.transforms.end(),
                                         [&](const TransformCode& transform) {
                                           return static_cast<std::size_t>(transform.field) == i;
                                         });
    accepted.emplace_back(code.definition.fields[i], *columns[i], transformed);
    fields.push_back(i);
  }
  RowCheck row_check;
  std::vector<Datum> raw(code.request_count);
  std::vector<Datum> labels(columns.size());
  for (std::int64_t row = 0; row < rows.rows(); ++row) {
    for (std::size_t i = 0; i < code.request_count; ++i) raw[i] = columns[i]->cell(views[i], row);
    check(raw, row_check);
    for (std::size_t i = code.request_count; i < columns.size(); ++i) {
      if (columns[i] != nullptr)
        labels[i] = code.check_field(i, columns[i]->cell(views[i], row), row_check);
    }
    for (const std::uint16_t rule : row_check.broken) ++out.counts[rule];
    if (row_check.refused) {
      out.refused[static_cast<std::size_t>(row)] = 1;
      continue;
    }
    for (std::size_t k = 0; k < fields.size(); ++k)
      accepted[k].add(
          row, fields[k] < code.request_count ? row_check.row[fields[k]] : labels[fields[k]]);
  }
  std::vector<table::Column> finished;
  for (Accepted& column : accepted) finished.push_back(column.finish());
  HEDDLE_ASSIGN_OR_RETURN(out.accepted, table::Table::make(std::move(finished)));
  return out;
}

}  // namespace heddle::contract
