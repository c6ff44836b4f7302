#include "replay/lay_fault.hpp"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "expr/program.hpp"

namespace heddle::replay {
namespace {

using expr::Datum;

Error misfit(const spec::Fault& fault, std::string what, std::string hint) {
  return Error{ErrorKind::kInvalid, "replay-fault",
               fmt::format("fault `{}`: {}", fault.identity.name, what), std::move(hint),
               fault.identity.file};
}

/// An expression that is asked of single rows: those that a fault touches lie anywhere.
class RowExpression {
 public:
  static Result<RowExpression> open(const spec::Fault& fault, std::string_view what,
                                    const spec::Expression& expression,
                                    const expr::Environment& environment, expr::Type expected) {
    auto program = expr::Program::compile(expression.text, environment, expected);
    if (!program.ok()) {
      const Error& error = program.error();
      return misfit(fault, fmt::format("`{}`: {}", what, error.message),
                    error.hint.empty() ? "`docs/expressions.md` has the language" : error.hint);
    }
    return RowExpression(std::move(*program), environment.variables.size());
  }

  /// `value_of(i)`: what variable `i` holds in the row. Strings in the result live as long as those
  /// of the row, and until the next row.
  template <class ValueOf>
  Datum evaluate(const ValueOf& value_of) {
    // Only what the expression reads: a row may have hundreds of columns.
    for (const int i : program_.variables())
      row_[static_cast<std::size_t>(i)] = value_of(static_cast<std::size_t>(i));
    return program_.evaluate(row_, scratch_);
  }

 private:
  RowExpression(expr::Program program, std::size_t variables)
      : program_(std::move(program)), row_(variables) {}

  expr::Program program_;
  expr::Program::Scratch scratch_;
  std::vector<Datum> row_;
};

/// `label` and every recorded column: variable 0, and i + 1 of column i.
expr::Environment environment_of(const table::Table& recorded, expr::Type label) {
  expr::Environment environment;
  environment.variables.push_back({"label", label});
  for (const table::Column& column : recorded.columns())
    environment.variables.push_back({column.name, column.type});
  return environment;
}

/// Values of that environment, in one row.
auto values_in(const Labels& labels, const std::vector<expr::ColumnView>& views, std::size_t row) {
  return [&labels, &views, row](std::size_t variable) {
    return variable == 0 ? labels.value(row)
                         : views[variable - 1].at(static_cast<std::int64_t>(row));
  };
}

/// By place, whether the fault touches a source's rows.
std::vector<bool> touched_sources(const spec::Fault& fault, std::span<const std::string> names) {
  // A fault that names no source is of every source.
  std::vector<bool> out(names.size(), fault.sources.empty());
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (std::find(fault.sources.begin(), fault.sources.end(), names[i]) != fault.sources.end())
      out[i] = true;
  }
  return out;
}

Result<std::size_t> field_of(const spec::Fault& fault, std::string_view key,
                             const std::string& name, std::span<const std::string> names) {
  const auto at = std::find(names.begin(), names.end(), name);
  if (at != names.end()) return static_cast<std::size_t>(at - names.begin());
  return misfit(fault, fmt::format("`{}` names `{}`, which no request carries", key, name),
                "see `heddle check`");
}

/// What a fault does to the fields of a row, compiled for the fields there are.
class FieldChanges {
 public:
  static Result<FieldChanges> open(const spec::Fault& fault, std::span<const std::string> names,
                                   const SentFields& fields) {
    FieldChanges out;
    expr::Environment environment;
    for (std::size_t i = 0; i < names.size(); ++i) {
      environment.variables.push_back({names[i], fields.column(i).type});
      out.views_.push_back(fields.column(i).view());
    }
    for (const auto& [name, expression] : fault.change) {
      HEDDLE_ASSIGN_OR_RETURN(const std::size_t field, field_of(fault, "change", name, names));
      HEDDLE_ASSIGN_OR_RETURN(RowExpression opened,
                              RowExpression::open(fault, fmt::format("change.{}", name), expression,
                                                  environment, expr::Type::kDyn));
      out.changes_.emplace_back(field, std::move(opened));
    }
    out.sent_.resize(out.changes_.size());
    for (const std::string& name : fault.missing) {
      HEDDLE_ASSIGN_OR_RETURN(const std::size_t field, field_of(fault, "missing", name, names));
      out.missing_.push_back(field);
    }
    for (const auto& [name, other] : fault.rename) {
      HEDDLE_ASSIGN_OR_RETURN(const std::size_t field, field_of(fault, "rename", name, names));
      out.renamed_.emplace_back(field, other);
    }
    return out;
  }

  [[nodiscard]] bool none() const noexcept {
    return changes_.empty() && missing_.empty() && renamed_.empty();
  }

  void lay_on(std::size_t row, SentFields& fields) {
    // All of them before the first is sent: they read the row as it stands before this fault.
    for (std::size_t i = 0; i < changes_.size(); ++i) {
      sent_[i] = changes_[i].second.evaluate(
          [&](std::size_t field) { return views_[field].at(static_cast<std::int64_t>(row)); });
    }
    for (std::size_t i = 0; i < changes_.size(); ++i) fields.set(changes_[i].first, row, sent_[i]);
    // After the changes, which may read a field that is then
    // left out; a renamed field carries its changed value.
    for (const std::size_t field : missing_) fields.leave_out(field, row);
    for (const auto& [field, name] : renamed_) fields.rename(field, row, name);
  }

 private:
  std::vector<expr::ColumnView> views_;  ///< of each field; a row is read before it is changed
  std::vector<std::pair<std::size_t, RowExpression>> changes_;
  std::vector<Datum> sent_;
  std::vector<std::size_t> missing_;
  std::vector<std::pair<std::size_t, std::string>> renamed_;
};

}  // namespace

Result<std::int64_t> mark_rows(const NumberedFault& numbered, const RecordedRows& rows,
                               std::span<FaultBits> bits) {
  const spec::Fault& fault = numbered.fault;
  const std::vector<bool> sources = touched_sources(fault, rows.source_names);
  std::optional<RowExpression> where;
  if (!fault.where.text.empty()) {
    HEDDLE_ASSIGN_OR_RETURN(
        RowExpression opened,
        RowExpression::open(fault, "where", fault.where,
                            environment_of(rows.table, rows.labels.type()), expr::Type::kBool));
    where.emplace(std::move(opened));
  }
  const std::vector<expr::ColumnView> views = rows.table.views();
  std::int64_t touched = 0;
  for (std::size_t row = 0; row < bits.size(); ++row) {
    if (rows.times[row] < fault.from || rows.times[row] >= fault.to) continue;
    if (!sources[rows.sources[row]]) continue;
    // Drawn by the row's number: a replay touches the same rows each time, however fast it is.
    const double draw = seeded_draw(rows.seed, row);
    if (draw < fault.share_from || draw >= fault.share_to) continue;
    if (where && !where->evaluate(values_in(rows.labels, views, row)).is_true()) continue;
    bits[row] |= numbered.bit();
    ++touched;
  }
  return touched;
}

Result<void> lay_on_fields(const NumberedFault& numbered, std::span<const std::string> names,
                           std::span<const FaultBits> bits, SentFields& fields) {
  HEDDLE_ASSIGN_OR_RETURN(FieldChanges changes, FieldChanges::open(numbered.fault, names, fields));
  if (changes.none()) return {};
  for (std::size_t row = 0; row < bits.size(); ++row) {
    if ((bits[row] & numbered.bit()) != 0) changes.lay_on(row, fields);
  }
  fields.settle();
  return {};
}

Result<void> lay_on_labels(const NumberedFault& numbered, std::string_view key,
                           const spec::Expression& expression, const table::Table& recorded,
                           std::span<const FaultBits> bits, Labels& labels) {
  HEDDLE_ASSIGN_OR_RETURN(
      RowExpression changed,
      RowExpression::open(numbered.fault, key, expression, environment_of(recorded, labels.type()),
                          labels.type()));
  const std::vector<expr::ColumnView> views = recorded.views();
  for (std::size_t row = 0; row < bits.size(); ++row) {
    if ((bits[row] & numbered.bit()) == 0) continue;
    labels.set(row, changed.evaluate(values_in(labels, views, row)));
  }
  return {};
}

}  // namespace heddle::replay
