#include <re2/re2.h>

#include <set>

#include "base/clock.hpp"
#include "contract/code.hpp"

namespace heddle::contract {
namespace {

using expr::Datum;
using expr::Type;

/// The columns of a contract's fields in a table; label fields may be absent (nullptr).
Result<std::vector<const table::Column*>> columns_of(const Contract& contract, const table::Table& rows) {
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
      error.kind = ErrorKind::kUnprocessable;
      error.id = "contract-column-missing";
      error.message = fmt::format("the rows have no column `{}`, which the contract asks for", field.name);
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
      : from_(from), copy_codes_(field.type == Type::kString && from.type == Type::kString && !transformed) {
    column_.name = field.name;
    column_.type = field.type;
  }

  void add(std::int64_t row, const Datum& value) {
    const bool valid = !value.is_null();
    if (!valid && column_.valid.empty()) column_.valid.assign(static_cast<std::size_t>(column_.length()), 1);
    if (!column_.valid.empty() || !valid) column_.valid.push_back(valid ? 1 : 0);
    switch (column_.type) {
      case Type::kDouble: column_.doubles.push_back(valid ? value.d : 0); break;
      case Type::kString:
        if (copy_codes_) column_.codes.push_back(from_.codes[static_cast<std::size_t>(row)]);
        else column_.codes.push_back(valid ? strings_.insert(value.str()) : 0);
        break;
      case Type::kBool: column_.ints.push_back(valid && value.b ? 1 : 0); break;
      default: column_.ints.push_back(valid ? value.i : 0);
    }
  }

  table::Column finish() {
    if (column_.type == Type::kString) {
      if (strings_.size() == 0) strings_.insert("");
      column_.dictionary = copy_codes_ ? from_.dictionary : std::make_shared<const table::Dictionary>(strings_.values());
    }
    return std::move(column_);
  }

 private:
  const table::Column& from_;
  bool copy_codes_;
  table::Column column_;
  table::StringIndex strings_;
};

std::string text_of(const Datum& value) {
  switch (value.kind) {
    case Datum::Kind::kBool: return value.b ? "true" : "false";
    case Datum::Kind::kInt: return fmt::to_string(value.i);
    case Datum::Kind::kDouble: return fmt::to_string(value.d);
    case Datum::Kind::kTimestamp: return format_time(value.i);
    case Datum::Kind::kString: return std::string(value.str());
    default: return "";
  }
}

/// Rows of `view` for which `counts` holds; a string's answer is found once for each distinct value.
template <class F>
std::int64_t count_rows(const expr::ColumnView& view, const F& counts) {
  std::int64_t total = 0;
  std::map<std::int32_t, bool> of_code;
  for (std::int64_t row = 0; row < view.length; ++row) {
    const Datum value = view.at(row);
    if (view.type != Type::kString || value.is_null()) {
      total += counts(value) ? 1 : 0;
      continue;
    }
    const auto [it, fresh] = of_code.emplace(view.codes[row], false);
    if (fresh) it->second = counts(value);
    total += it->second ? 1 : 0;
  }
  return total;
}

/// Rows that repeat an earlier one in `views`. A missing value equals a missing value, but over one column it is no repeat.
std::int64_t count_repeats(std::span<const expr::ColumnView> views, std::int64_t rows) {
  std::vector<table::KeyPart> parts;
  for (const auto& view : views) parts.emplace_back(view.type);
  table::TupleIndex seen(views.size() + 1);
  std::vector<std::int64_t> key(views.size() + 1);
  std::int64_t counted = 0;
  for (std::int64_t row = 0; row < rows; ++row) {
    std::int64_t missing = 0;
    for (std::size_t i = 0; i < views.size(); ++i) {
      const auto part = parts[i].insert(views[i].at(row));
      key[i] = part.value_or(0);
      if (!part) missing |= std::int64_t{1} << i;
    }
    if (views.size() == 1 && missing != 0) continue;
    key.back() = missing;
    seen.insert(key);
    ++counted;
  }
  return counted - static_cast<std::int64_t>(seen.size());
}

Result<bool> holds(const spec::SetRule& rule, double value) {
  const auto& operands = rule.operands;
  const bool two = rule.operation == "mustBeBetween" || rule.operation == "mustNotBeBetween";
  if (operands.size() != (two ? 2u : 1u)) {
    return Error{ErrorKind::kInvalid, "contract-set-operands", fmt::format("rule `{}`: `{}` has {} operands", rule.id, rule.operation, operands.size()),
                 two ? "give it two numbers" : "give it one number"};
  }
  const double a = operands[0];
  if (rule.operation == "mustBe") return value == a;
  if (rule.operation == "mustNotBe") return value != a;
  if (rule.operation == "mustBeGreaterThan") return value > a;
  if (rule.operation == "mustBeGreaterOrEqualTo") return value >= a;
  if (rule.operation == "mustBeLessThan") return value < a;
  if (rule.operation == "mustBeLessOrEqualTo") return value <= a;
  if (rule.operation == "mustBeBetween") return value >= a && value <= operands[1];
  if (rule.operation == "mustNotBeBetween") return value < a || value > operands[1];
  return Error{ErrorKind::kInvalid, "contract-set-operation", fmt::format("rule `{}`: there is no `{}`", rule.id, rule.operation),
               "use mustBe, mustBeLessThan, mustBeBetween and their like"};
}

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
    for (std::size_t i = 0; i < rule.parts.size(); ++i) rule.parts[i] = table::KeyPart(rule.parts[i].type());
    rule.dependent_part = table::KeyPart(rule.dependent_part.type());
    all.push_back({table::TupleIndex(rule.parts.size()), {}, {}});
  }
  RowCheck check;
  check.row.resize(code.request_count);
  std::int64_t key[kMaxKey];
  for (std::int64_t row = 0; row < rows.rows(); ++row) {
    check.broken.clear();
    check.states.assign(code.rules.size(), RuleState::kUnknown);
    for (std::size_t i = 0; i < code.request_count; ++i) check.row[i] = code.check_field(i, columns[i]->cell(views[i], row), check);
    if (!check.broken.empty()) continue;
    for (std::size_t r = 0; r < all.size(); ++r) {
      DependencyCode& rule = code.dependencies[r];
      bool whole = true;
      for (std::size_t i = 0; i < rule.parts.size() && whole; ++i) {
        const auto part = rule.parts[i].insert(check.row[static_cast<std::size_t>(rule.determinant[i])]);
        whole = part.has_value();
        if (part) key[i] = *part;
      }
      const auto value = rule.dependent_part.insert(check.row[static_cast<std::size_t>(rule.dependent)]);
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
                                         [&](const TransformCode& transform) { return static_cast<std::size_t>(transform.field) == i; });
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
      if (columns[i] != nullptr) labels[i] = code.check_field(i, columns[i]->cell(views[i], row), row_check);
    }
    for (const std::uint16_t rule : row_check.broken) ++out.counts[rule];
    if (row_check.refused) {
      out.refused[static_cast<std::size_t>(row)] = 1;
      continue;
    }
    for (std::size_t k = 0; k < fields.size(); ++k) accepted[k].add(row, fields[k] < code.request_count ? row_check.row[fields[k]] : labels[fields[k]]);
  }
  std::vector<table::Column> finished;
  for (Accepted& column : accepted) finished.push_back(column.finish());
  HEDDLE_ASSIGN_OR_RETURN(out.accepted, table::Table::make(std::move(finished)));
  return out;
}

Result<std::vector<SetResult>> Contract::check_set(const table::Table& rows) const {
  std::vector<SetResult> out;
  for (const spec::SetRule& rule : code_->definition.set_rules) {
    std::int64_t count = 0;
    std::optional<expr::ColumnView> view;
    if (!rule.field.empty()) {
      HEDDLE_ASSIGN_OR_RETURN(const table::Column* column, rows.column(rule.field));
      view = column->view();
    }
    const std::set<std::string> arguments(rule.arguments.begin(), rule.arguments.end());
    if (rule.metric == "rowCount") {
      count = rows.rows();
    } else if (rule.metric == "duplicateValues") {
      std::vector<std::string> names = rule.properties;
      if (names.empty() && !rule.field.empty()) names.push_back(rule.field);
      if (names.empty()) {
        for (const auto& field : fields()) names.push_back(field.name);
      }
      std::vector<expr::ColumnView> views;
      for (const auto& name : names) {
        HEDDLE_ASSIGN_OR_RETURN(const table::Column* column, rows.column(name));
        views.push_back(column->view());
      }
      if (views.size() > 62) return Error{ErrorKind::kInvalid, "contract-set-wide", fmt::format("rule `{}` is over {} fields", rule.id, views.size()), "name at most 62"};
      count = count_repeats(views, rows.rows());
    } else if (!view) {
      return Error{ErrorKind::kInvalid, "contract-set-field", fmt::format("rule `{}`: `{}` is about a field", rule.id, rule.metric),
                   "write the rule under the property it is about"};
    } else if (rule.metric == "nullValues") {
      count = count_rows(*view, [](const Datum& value) { return value.is_null(); });
    } else if (rule.metric == "missingValues") {
      count = count_rows(*view, [&](const Datum& value) { return value.is_null() || arguments.contains(text_of(value)); });
    } else if (rule.metric == "invalidValues") {
      const RE2 pattern(rule.pattern);
      count = count_rows(*view, [&](const Datum& value) {
        if (value.is_null()) return false;
        const std::string text = text_of(value);
        return (!arguments.empty() && !arguments.contains(text)) || (!rule.pattern.empty() && !RE2::FullMatch(text, pattern));
      });
    } else {
      return Error{ErrorKind::kInvalid, "contract-set-metric", fmt::format("rule `{}`: there is no metric `{}`", rule.id, rule.metric),
                   "use nullValues, missingValues, invalidValues, duplicateValues or rowCount"};
    }
    SetResult result;
    result.rule = rule.id;
    result.effect = rule.effect;
    result.value = static_cast<double>(count);
    if (rule.percent && rule.metric != "rowCount") result.value = rows.rows() == 0 ? 0 : 100.0 * result.value / static_cast<double>(rows.rows());
    HEDDLE_ASSIGN_OR_RETURN(result.passed, holds(rule, result.value));
    result.expected = fmt::format("{} {}{}", rule.operation, fmt::join(rule.operands, " "), rule.percent ? " percent" : " rows");
    out.push_back(std::move(result));
  }
  return out;
}

}  // namespace heddle::contract
