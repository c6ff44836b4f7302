#include <algorithm>
#include <map>

#include "base/clock.hpp"
#include "contract/code.hpp"
#include "contract/columns.hpp"
#include "table/key_column.hpp"

// What a contract learns from rows: what depends on what, and what stands for missing values.

namespace heddle::contract {
namespace {

/// The tuples that rows of one dependency hold, and what depends on each.
class Learning {
 public:
  explicit Learning(DependencyCode& rule)
      : rule_(rule),
        dependent_(rule.dependent_part, &rule.dependent_part),
        tuples_(rule.parts.size()) {
    for (auto& part : rule_.parts) {
      part = table::KeyPart(part.type());
      determinant_.emplace_back(part, &part);
    }
    rule_.dependent_part = table::KeyPart(rule_.dependent_part.type());
  }

  void observe(std::span<const expr::ColumnView> views, std::int64_t row) {
    std::int64_t key[kMaxKey];
    // Before the value, and in any case: the numbers of texts follow from the rows and not from
    // which of them are whole.
    const bool whole = read_key(views, row, key);
    // The dependent's values are numbered in the order of the rows, whether their key is whole or
    // not.
    const auto value = dependent_.at(views[static_cast<std::size_t>(rule_.dependent)], row);
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
  bool read_key(std::span<const expr::ColumnView> views, std::int64_t row,
                std::int64_t (&key)[kMaxKey]) {
    for (std::size_t i = 0; i < determinant_.size(); ++i) {
      const auto part =
          determinant_[i].at(views[static_cast<std::size_t>(rule_.determinant[i])], row);
      if (!part) return false;
      key[i] = *part;
    }
    return true;
  }

  DependencyCode& rule_;
  std::vector<table::KeyColumn> determinant_;
  table::KeyColumn dependent_;
  table::TupleIndex tuples_;
  std::vector<std::int64_t> values_;
  std::vector<std::uint8_t> conflicts_;
};

}  // namespace

Result<void> Contract::learn(const table::Table& rows) {
  Code& code = *code_;
  HEDDLE_ASSIGN_OR_RETURN(const RepairedRows repaired, RepairedRows::of(code, rows));
  const auto columns = repaired.columns();
  code.learned.clear();
  // Nothing is to be learned, and the rows need not be looked at.
  if (code.dependencies.empty()) return {};
  std::vector<Learning> all;
  all.reserve(code.dependencies.size());
  for (DependencyCode& rule : code.dependencies) all.emplace_back(rule);
  std::vector<FieldColumn> fields;
  for (std::size_t i = 0; i < code.request_count; ++i) fields.emplace_back(code, i, *columns[i]);
  std::vector<expr::ColumnView> views(code.request_count);
  std::vector<std::uint8_t> broken;
  for (std::int64_t begin = 0; begin < rows.rows(); begin += kBlock) {
    const std::int64_t count = std::min(kBlock, rows.rows() - begin);
    broken.assign(static_cast<std::size_t>(count), 0);
    for (std::size_t i = 0; i < fields.size(); ++i) {
      fields[i].judge(begin, begin + count);
      views[i] = fields[i].view();
      if (!fields[i].any_broken()) continue;
      for (std::size_t row = 0; row < broken.size(); ++row) broken[row] |= fields[i].masks()[row];
    }
    for (Learning& each : all) {
      for (std::int64_t row = 0; row < count; ++row) {
        if (broken[static_cast<std::size_t>(row)] == 0) each.observe(views, row);
      }
    }
  }
  for (std::size_t r = 0; r < all.size(); ++r) {
    const auto rule = static_cast<std::size_t>(code.dependencies[r].rule);
    LearnedDependency report{code.rules[rule].id, 0, 0};
    all[r].finish(report);
    code.learned.push_back(std::move(report));
  }
  return {};
}

namespace {

using expr::Datum;
using expr::Type;

doc::Value value_of(const Datum& value) {
  switch (value.kind) {
    case Datum::Kind::kBool: return value.b;
    case Datum::Kind::kInt: return value.i;
    case Datum::Kind::kDouble: return value.d;
    case Datum::Kind::kTimestamp: return format_time(value.i);
    default: return std::string(value.str());
  }
}

/// The values of a field that break none of its rules.
std::vector<Datum> clean_values(FieldColumn& field, std::int64_t rows) {
  std::vector<Datum> out;
  for (std::int64_t begin = 0; begin < rows; begin += kBlock) {
    const std::int64_t count = std::min(kBlock, rows - begin);
    field.judge(begin, begin + count);
    for (std::int64_t row = 0; row < count; ++row) {
      const Datum value = field.view().at(row);
      const bool is_broken =
          field.any_broken() && field.masks()[static_cast<std::size_t>(row)] != 0;
      if (!value.is_null() && !is_broken) out.push_back(value);
    }
  }
  return out;
}

bool is_less(const Datum& a, const Datum& b) noexcept {
  switch (a.kind) {
    case Datum::Kind::kBool: return a.b < b.b;
    case Datum::Kind::kDouble: return a.d < b.d;
    case Datum::Kind::kString: return a.str() < b.str();
    default: return a.i < b.i;
  }
}

/// The lower of the two in the middle where their number is even: a value that occurs.
Datum median_of(std::vector<Datum>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
  std::nth_element(values.begin(), middle, values.end(), is_less);
  return *middle;
}

/// The most frequent; of several the least.
Datum mode_of(std::vector<Datum>& values) {
  std::sort(values.begin(), values.end(), is_less);
  Datum best;
  std::size_t most = 0;
  for (std::size_t begin = 0; begin < values.size();) {
    std::size_t end = begin + 1;
    while (end < values.size() && !is_less(values[begin], values[end])) ++end;
    if (end - begin > most) most = end - begin, best = values[begin];
    begin = end;
  }
  return best;
}

}  // namespace

bool Contract::is_imputed() const noexcept {
  return std::all_of(fields().begin(), fields().end(), [](const spec::Field& field) {
    return field.repairs.impute == spec::Impute::kNone || !field.repairs.imputed.is_null();
  });
}

Result<void> Contract::learn_imputed(const table::Table& rows) {
  Code& code = *code_;
  for (std::size_t i = 0; i < code.request_count; ++i) {
    FieldRepairs* const repairs = code.field_repairs[i].get();
    if (repairs == nullptr || !repairs->learns()) continue;
    spec::Field& field = code.definition.fields[i];
    // What was learned before must not fill the gaps of the rows that are learned from.
    repairs->set_imputed(doc::Value());
    field.repairs.imputed = doc::Value();
    HEDDLE_ASSIGN_OR_RETURN(const table::Column column, repaired(rows, field.name));
    FieldColumn judged(code, i, column);
    auto values = clean_values(judged, rows.rows());
    if (values.empty()) {
      return Error{ErrorKind::kUnprocessable, "repair-nothing-to-learn",
                   fmt::format("repair `{}-impute`: `{}` has no value in the {} rows to learn from",
                               field.name, field.name, rows.rows()),
                   "give a constant (`impute: {value: ...}`), or leave the field out"};
    }
    const bool is_median = field.repairs.impute == spec::Impute::kMedian;
    field.repairs.imputed = value_of(is_median ? median_of(values) : mode_of(values));
    repairs->set_imputed(field.repairs.imputed);
  }
  return {};
}

}  // namespace heddle::contract
