#include <re2/re2.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/clock.hpp"
#include "contract/code.hpp"
#include "table/key_column.hpp"

namespace heddle::contract {
namespace {

using expr::Datum;
using expr::Type;

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

/// The `validValues` or `missingValues` of a rule. A number in the list equals the number of a row,
/// whichever of the two is an integer, and the text of one; other values equal by their text.
class ValueList {
 public:
  explicit ValueList(const std::vector<doc::Value>& values) {
    for (const doc::Value& value : values) {
      if (value.is_string()) texts_.push_back(value.as_string());
      if (value.is_bool()) texts_.emplace_back(value.as_bool() ? "true" : "false");
      if (!value.is_number()) continue;
      numbers_.push_back(value);
      texts_.push_back(value.is_int() ? fmt::to_string(value.as_int())
                                      : fmt::to_string(value.as_double()));
    }
    std::sort(texts_.begin(), texts_.end());
  }

  [[nodiscard]] bool is_empty() const { return texts_.empty(); }

  [[nodiscard]] bool has(const Datum& value) const {
    if (value.kind == Datum::Kind::kInt || value.kind == Datum::Kind::kDouble) {
      const bool is_listed =
          std::any_of(numbers_.begin(), numbers_.end(), [&](const doc::Value& number) {
            // Both as integers: past 2^53 two of them may be one double.
            if (number.is_int() && value.kind == Datum::Kind::kInt)
              return number.as_int() == value.i;
            return number.as_double() == value.number();
          });
      if (is_listed) return true;
    }
    return std::binary_search(texts_.begin(), texts_.end(), text_of(value)) || is_same_time(value);
  }

 private:
  /// Times are written in many ways: `2020-01-01` is midnight.
  [[nodiscard]] bool is_same_time(const Datum& value) const {
    return value.kind == Datum::Kind::kTimestamp &&
           std::any_of(texts_.begin(), texts_.end(), [&](const std::string& text) {
             return parse_time(text) == std::optional(value.i);
           });
  }

  std::vector<std::string> texts_;
  std::vector<doc::Value> numbers_;
};

/// How many distinct keys there are. Keys that rise, as those of most files do, need no memory;
/// others are parted by their hashes, so that each part is counted in memory that a cache holds.
std::size_t count_distinct(const std::vector<std::int64_t>& keys) {
  bool rises = true;
  for (std::size_t i = 1; rises && i < keys.size(); ++i) rises = keys[i - 1] < keys[i];
  if (rises) return keys.size();
  constexpr std::size_t kPart = 1 << 14;
  int bits = 1;
  while ((keys.size() >> bits) > kPart) ++bits;
  const auto part_of = [bits](std::int64_t key) {
    // By the high bits of a product with 2^64 over the golden ratio: keys that are near to each
    // other part.
    return (static_cast<std::uint64_t>(key) * 0x9e3779b97f4a7c15ULL) >> (64 - bits);
  };
  std::vector<std::size_t> ends((std::size_t{1} << bits) + 1, 0);
  for (const std::int64_t key : keys) ++ends[part_of(key) + 1];
  for (std::size_t i = 1; i < ends.size(); ++i) ends[i] += ends[i - 1];
  std::vector<std::int64_t> parted(keys.size());
  // Where the next key of each part goes; afterwards the end of that part.
  std::vector<std::size_t> next(ends.begin(), ends.end() - 1);
  for (const std::int64_t key : keys) parted[next[part_of(key)]++] = key;
  std::size_t distinct = 0;
  for (std::size_t part = 0; part < next.size(); ++part) {
    const auto begin = parted.begin() + static_cast<std::ptrdiff_t>(ends[part]);
    const auto end = parted.begin() + static_cast<std::ptrdiff_t>(ends[part + 1]);
    std::sort(begin, end);
    distinct += static_cast<std::size_t>(std::unique(begin, end) - begin);
  }
  return distinct;
}

/// `count_repeats` over one column, in which missing values do not count.
std::int64_t count_repeats(const expr::ColumnView& view, std::int64_t rows) {
  table::KeyPart part(view.type);
  table::KeyColumn column(part, &part);
  std::vector<std::int64_t> keys;
  keys.reserve(static_cast<std::size_t>(rows));
  for (std::int64_t row = 0; row < rows; ++row) {
    if (const auto key = column.at(view, row)) keys.push_back(*key);
  }
  return static_cast<std::int64_t>(keys.size() - count_distinct(keys));
}

/// Rows that repeat an earlier one in `views`. A missing value equals a missing value, but over one
/// column it is no repeat.
std::int64_t count_repeats(std::span<const expr::ColumnView> views, std::int64_t rows) {
  if (views.size() == 1) return count_repeats(views.front(), rows);
  std::vector<table::KeyPart> parts;
  for (const auto& view : views) parts.emplace_back(view.type);
  // Which columns are missing: a bit each, in as many words as the columns need.
  constexpr std::size_t kBits = 63;
  const std::size_t words = (views.size() + kBits - 1) / kBits;
  table::TupleIndex seen(views.size() + words);
  std::vector<std::int64_t> key(views.size() + words);
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto missing = std::span(key).subspan(views.size());
    std::fill(missing.begin(), missing.end(), 0);
    for (std::size_t i = 0; i < views.size(); ++i) {
      const auto part = parts[i].insert(views[i].at(row));
      key[i] = part.value_or(0);
      if (!part) missing[i / kBits] |= std::int64_t{1} << (i % kBits);
    }
    seen.insert(key);
  }
  return rows - static_cast<std::int64_t>(seen.size());
}

/// An operation of the standard; `b` is the second operand of those that have two.
struct Comparison {
  std::string_view name;
  std::size_t operands;
  bool (*holds)(double value, double a, double b);
};
constexpr Comparison kComparisons[] = {
    {"mustBe", 1, [](double value, double a, double) { return value == a; }},
    {"mustNotBe", 1, [](double value, double a, double) { return value != a; }},
    {"mustBeGreaterThan", 1, [](double value, double a, double) { return value > a; }},
    {"mustBeGreaterOrEqualTo", 1, [](double value, double a, double) { return value >= a; }},
    {"mustBeLessThan", 1, [](double value, double a, double) { return value < a; }},
    {"mustBeLessOrEqualTo", 1, [](double value, double a, double) { return value <= a; }},
    {"mustBeBetween", 2, [](double value, double a, double b) { return value >= a && value <= b; }},
    {"mustNotBeBetween", 2,
     [](double value, double a, double b) { return value < a || value > b; }},
};

Result<bool> holds(const spec::SetRule& rule, double value) {
  const auto& operands = rule.operands;
  const auto* const known =
      std::find_if(std::begin(kComparisons), std::end(kComparisons),
                   [&](const Comparison& each) { return each.name == rule.operation; });
  const bool is_known = known != std::end(kComparisons);
  const std::size_t wanted = is_known ? known->operands : 1;
  if (operands.size() != wanted) {
    return Error{
        ErrorKind::kInvalid, "contract-set-operands",
        fmt::format("rule `{}`: `{}` has {} operands", rule.id, rule.operation, operands.size()),
        wanted == 2 ? "give it two numbers" : "give it one number"};
  }
  if (is_known) return known->holds(value, operands.front(), operands.back());
  return Error{ErrorKind::kInvalid, "contract-set-operation",
               fmt::format("rule `{}`: there is no `{}`", rule.id, rule.operation),
               "use mustBe, mustBeLessThan, mustBeBetween and their like"};
}

/// Measures one rule over rows.
class SetMeasure {
 public:
  SetMeasure(const spec::SetRule& rule, const SetCode& code, std::span<const spec::Field> fields,
             const table::Table& rows)
      : rule_(rule), code_(code), fields_(fields), rows_(rows) {}

  /// A count, a share in percent or an aggregate; empty for an aggregate of no value.
  Result<std::optional<double>> value() {
    HEDDLE_TRY(choose_rows());
    if (rule_.metric == "duplicateValues") return share(duplicates());
    if (rule_.metric == "rowCount") return share(chosen_count_);
    if (rule_.field.empty()) {
      return Error{ErrorKind::kInvalid, "contract-set-field",
                   fmt::format("rule `{}`: `{}` is about a field", rule_.id, rule_.metric),
                   "write the rule under the property it is about"};
    }
    HEDDLE_ASSIGN_OR_RETURN(const table::Column* column, rows_.column(rule_.field));
    const expr::ColumnView view = column->view();
    const ValueList list(rule_.arguments);
    if (rule_.metric == "nullValues")
      return share(count(view, [](const Datum& value) { return value.is_null(); }));
    if (rule_.metric == "missingValues") {
      return share(
          count(view, [&](const Datum& value) { return value.is_null() || list.has(value); }));
    }
    if (rule_.metric == "invalidValues")
      return share(count(view, [&](const Datum& value) { return is_invalid(value, list); }));
    return aggregate(view);
  }

 private:
  /// Missing values are counted by a metric of their own.
  [[nodiscard]] bool is_invalid(const Datum& value, const ValueList& list) const {
    if (value.is_null()) return false;
    return (!list.is_empty() && !list.has(value)) ||
           (code_.pattern && !RE2::PartialMatch(text_of(value), *code_.pattern));
  }

  /// Marks the rows for which the rule's condition is true.
  Result<void> choose_rows() {
    chosen_count_ = rows_.rows();
    if (!code_.condition) return {};
    chosen_.assign(static_cast<std::size_t>(rows_.rows()), 0);
    chosen_count_ = 0;
    std::vector<expr::ColumnView> views(fields_.size());
    for (const int field : code_.condition->variables()) {
      const auto i = static_cast<std::size_t>(field);
      HEDDLE_ASSIGN_OR_RETURN(const table::Column* column, rows_.column(fields_[i].name));
      views[i] = column->view();
    }
    expr::Program::Scratch scratch;
    code_.condition->evaluate_columns(
        views, 0, rows_.rows(), scratch, [&](std::int64_t row, const Datum& value) {
          chosen_[static_cast<std::size_t>(row)] = value.is_true() ? 1 : 0;
          chosen_count_ += value.is_true() ? 1 : 0;
        });
    return {};
  }

  /// Rows for which `counts` holds; a string's answer is found once for each distinct value.
  template <class F>
  std::int64_t count(const expr::ColumnView& view, const F& counts) {
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

  Result<std::int64_t> duplicates() {
    std::vector<std::string> names = rule_.properties;
    if (names.empty() && !rule_.field.empty()) names.push_back(rule_.field);
    // Of no property it is about rows that repeat as a whole.
    if (names.empty()) {
      for (const auto& field : fields_) names.push_back(field.name);
    }
    std::vector<expr::ColumnView> views;
    for (const auto& name : names) {
      HEDDLE_ASSIGN_OR_RETURN(const table::Column* column, rows_.column(name));
      views.push_back(column->view());
    }
    return count_repeats(views, rows_.rows());
  }

  [[nodiscard]] Result<std::optional<double>> share(const Result<std::int64_t>& counted) const {
    if (!counted.ok()) return counted.error();
    const auto number = static_cast<double>(*counted);
    if (!rule_.percent) return std::optional(number);
    return std::optional(rows_.rows() == 0 ? 0
                                           : 100.0 * number / static_cast<double>(rows_.rows()));
  }

  /// As SQL has it: missing values do not take part, and of nothing there is no aggregate.
  [[nodiscard]] Result<std::optional<double>> aggregate(const expr::ColumnView& view) const {
    double sum = 0;
    double low = HUGE_VAL;
    double high = -HUGE_VAL;
    std::int64_t taken = 0;
    for (std::int64_t row = 0; row < view.length; ++row) {
      const Datum value = view.at(row);
      if (value.is_null() || (code_.condition && chosen_[static_cast<std::size_t>(row)] == 0))
        continue;
      ++taken;
      sum += value.number();
      low = std::min(low, value.number());
      high = std::max(high, value.number());
    }
    if (taken == 0) return std::optional<double>();
    if (rule_.metric == "sum") return std::optional(sum);
    if (rule_.metric == "average") return std::optional(sum / static_cast<double>(taken));
    if (rule_.metric == "minimum") return std::optional(low);
    if (rule_.metric == "maximum") return std::optional(high);
    return Error{ErrorKind::kInvalid, "contract-set-metric",
                 fmt::format("rule `{}`: there is no metric `{}`", rule_.id, rule_.metric),
                 "use nullValues, missingValues, invalidValues, duplicateValues or rowCount"};
  }

  const spec::SetRule& rule_;
  const SetCode& code_;
  std::span<const spec::Field> fields_;
  const table::Table& rows_;
  std::vector<std::uint8_t> chosen_;
  std::int64_t chosen_count_ = 0;
};

std::string_view unit_of(const spec::SetRule& rule) {
  if (rule.percent) return " percent";
  const bool is_count = rule.metric.ends_with("Values") || rule.metric == "rowCount";
  return is_count ? " rows" : "";
}

/// A label field that the rule reads and the rows do not have; empty: none.
std::string absent_labels(const spec::SetRule& rule, const SetCode& code, const Contract& contract,
                          const table::Table& rows) {
  std::vector<std::string> read = rule.properties;
  if (!rule.field.empty()) read.push_back(rule.field);
  if (code.condition) {
    for (const int field : code.condition->variables())
      read.push_back(contract.fields()[static_cast<std::size_t>(field)].name);
  }
  if (read.empty() && rule.metric == "duplicateValues") {
    for (const auto& field : contract.fields()) read.push_back(field.name);
  }
  for (const auto& field : contract.fields().subspan(contract.request_fields().size())) {
    if (std::find(read.begin(), read.end(), field.name) != read.end() &&
        rows.find(field.name) == nullptr)
      return field.name;
  }
  return "";
}

}  // namespace

Result<std::vector<SetResult>> Contract::check_set(const table::Table& rows) const {
  std::vector<SetResult> out;
  const auto& rules = code_->definition.set_rules;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const spec::SetRule& rule = rules[i];
    // Recorded traffic has no label fields: what a rule says of them cannot be told of it.
    if (const auto lacking = absent_labels(rule, code_->sets[i], *this, rows); !lacking.empty()) {
      out.push_back({rule.id, rule.effect, true, 0, "", lacking});
      continue;
    }
    HEDDLE_ASSIGN_OR_RETURN(const auto value,
                            SetMeasure(rule, code_->sets[i], fields(), rows).value());
    SetResult result;
    result.rule = rule.id;
    result.effect = rule.effect;
    result.value = value.value_or(0);
    HEDDLE_ASSIGN_OR_RETURN(result.passed, holds(rule, result.value));
    // An aggregate of nothing is no number, so that nothing is true of it.
    result.passed = result.passed && value.has_value();
    result.expected =
        fmt::format("{} {}{}", rule.operation, fmt::join(rule.operands, " "), unit_of(rule));
    out.push_back(std::move(result));
  }
  return out;
}

}  // namespace heddle::contract
