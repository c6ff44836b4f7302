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
    if (column_.type == Type::kString && copy_codes_) {
      column_.codes.push_back(from_.codes[static_cast<std::size_t>(row)]);
    } else if (valid) {
      add_value(value);
    } else {
      add_missing();
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
  void add_value(const Datum& value) {
    switch (column_.type) {
      case Type::kDouble: column_.doubles.push_back(value.d); break;
      case Type::kString: column_.codes.push_back(strings_.insert(value.str())); break;
      case Type::kBool: column_.ints.push_back(value.b ? 1 : 0); break;
      default: column_.ints.push_back(value.i);
    }
  }

  void add_missing() {
    switch (column_.type) {
      case Type::kDouble: column_.doubles.push_back(0); break;
      case Type::kString: column_.codes.push_back(0); break;
      default: column_.ints.push_back(0);
    }
  }

  const table::Column& from_;
  bool copy_codes_;
  table::Column column_;
  table::StringIndex strings_;
};

}  // namespace

namespace {

/// The tuples that rows of one dependency hold, and what depends on each.
class Learning {
 public:
  explicit Learning(DependencyCode& rule) : rule_(rule), tuples_(rule.parts.size()) {
    for (auto& part : rule_.parts) part = table::KeyPart(part.type());
    rule_.dependent_part = table::KeyPart(rule_.dependent_part.type());
  }

  void observe(std::span<const Datum> row) {
    std::int64_t key[kMaxKey];
    const bool whole = read_key(row, key);
    // The dependent's values are numbered in the order of the rows, whether their key is whole or
    // not.
    const auto value = rule_.dependent_part.insert(row[static_cast<std::size_t>(rule_.dependent)]);
    if (!whole || !value) return;
    const auto tuple = static_cast<std::size_t>(tuples_.insert({key, rule_.parts.size()}));
    if (tuple == values_.size()) {
      values_.push_back(*value);
      conflicts_.push_back(0);
    } else if (values_[tuple] != *value) {
      conflicts_[tuple] = 1;
    }
  }

  /// Gives the rule the tuples that always had one value.
  void finish(LearnedDependency& report) {
    rule_.tuples = table::TupleIndex(rule_.parts.size());
    rule_.values.clear();
    for (std::size_t tuple = 0; tuple < values_.size(); ++tuple) {
      if (conflicts_[tuple] != 0) {
        ++report.conflicting;
        continue;
      }
      rule_.tuples.insert(tuples_.tuple(static_cast<std::int32_t>(tuple)));
      rule_.values.push_back(values_[tuple]);
      ++report.tuples;
    }
  }

 private:
  /// False at the first part that is missing.
  bool read_key(std::span<const Datum> row, std::int64_t (&key)[kMaxKey]) {
    for (std::size_t i = 0; i < rule_.parts.size(); ++i) {
      const auto part = rule_.parts[i].insert(row[static_cast<std::size_t>(rule_.determinant[i])]);
      if (!part) return false;
      key[i] = *part;
    }
    return true;
  }

  DependencyCode& rule_;
  table::TupleIndex tuples_;
  std::vector<std::int64_t> values_;
  std::vector<std::uint8_t> conflicts_;
};

bool is_transformed(const std::vector<TransformCode>& transforms, std::size_t field) {
  return std::any_of(transforms.begin(), transforms.end(), [&](const TransformCode& each) {
    return static_cast<std::size_t>(each.field) == field;
  });
}

}  // namespace

Result<void> Contract::learn(const table::Table& rows) {
  HEDDLE_ASSIGN_OR_RETURN(const auto columns, columns_of(*this, rows));
  Code& code = *code_;
  code.learned.clear();
  if (code.dependencies.empty()) return {};
  std::vector<expr::ColumnView> views;
  for (std::size_t i = 0; i < code.request_count; ++i) views.push_back(columns[i]->view());
  std::vector<Learning> all;
  for (DependencyCode& rule : code.dependencies) all.emplace_back(rule);
  RowCheck check;
  check.row.resize(code.request_count);
  for (std::int64_t row = 0; row < rows.rows(); ++row) {
    check.broken.clear();
    check.states.assign(code.rules.size(), RuleState::kUnknown);
    for (std::size_t i = 0; i < code.request_count; ++i)
      check.row[i] = code.check_field(i, columns[i]->cell(views[i], row), check);
    if (!check.broken.empty()) continue;
    for (Learning& each : all) each.observe(check.row);
  }
  for (std::size_t r = 0; r < all.size(); ++r) {
    const auto rule = static_cast<std::size_t>(code.dependencies[r].rule);
    LearnedDependency report{code.rules[rule].id, 0, 0};
    all[r].finish(report);
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
    accepted.emplace_back(code.definition.fields[i], *columns[i],
                          is_transformed(code.transforms, i));
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
