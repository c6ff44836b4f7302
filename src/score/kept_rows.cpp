#include "score/kept_rows.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "doc/numbers.hpp"
#include "table/cell.hpp"

namespace heddle::score {
namespace {

using doc::Reader;
using doc::Schema;
using doc::Shape;
using doc::Value;

Value to_json_value(const expr::Datum& datum) {
  using Kind = expr::Datum::Kind;
  switch (datum.kind) {
    case Kind::kBool: return datum.b;
    case Kind::kInt: return datum.i;
    // JSON has no NaN, and here it means missing. Infinite numbers are written as texts.
    case Kind::kDouble: return std::isnan(datum.d) ? Value() : doc::exact_number(datum.d);
    case Kind::kString: return datum.str();
    case Kind::kTimestamp: return format_time(datum.i);
    default: return nullptr;
  }
}

/// Fills one column from kept values; strings get codes in order of first use.
class KeptColumn {
 public:
  explicit KeptColumn(const spec::Field& field) {
    column_.name = field.name;
    column_.type = field.type;
  }

  /// False: it is no value of the field.
  [[nodiscard]] bool add(const Value& written) {
    const expr::Datum raw = kept_value(written, column_.type);
    // A column may hold an infinite number, although no field takes one: the contract says so of
    // the row.
    const bool is_infinite = raw.kind == expr::Datum::Kind::kDouble && std::isinf(raw.d) &&
                             column_.type == expr::Type::kDouble;
    const expr::Datum value = is_infinite ? raw : table::as_type(column_.type, raw);
    if (value.is_error()) return false;
    const bool valid = !value.is_null();
    column_.valid.push_back(valid ? 1 : 0);
    if (column_.type == expr::Type::kString) {
      column_.codes.push_back(code_of(valid ? value.str() : ""));
    } else if (column_.type == expr::Type::kDouble) {
      column_.doubles.push_back(valid ? value.d : 0);
    } else {
      const std::int64_t integer =
          column_.type == expr::Type::kBool ? static_cast<std::int64_t>(value.b) : value.i;
      column_.ints.push_back(valid ? integer : 0);
    }
    return true;
  }

  [[nodiscard]] table::Column take() && {
    if (column_.type == expr::Type::kString)
      column_.dictionary = std::make_shared<const table::Dictionary>(std::move(texts_));
    return std::move(column_);
  }

 private:
  std::int32_t code_of(std::string_view text) {
    const auto [code, inserted] = codes_.emplace(text, static_cast<std::int32_t>(texts_.size()));
    if (inserted) texts_.push_back(code->first);
    return code->second;
  }

  table::Column column_{};
  std::vector<std::string> texts_{};
  std::map<std::string, std::int32_t> codes_{};
};

void read_margins(Reference& into, const Value& value, Reader& reader) {
  for (const auto& row : value.as_array()) {
    auto& margins = into.margins.emplace_back();
    if (row.is_null()) continue;
    margins.emplace();
    for (const auto& number : row.as_array()) {
      if (!number.is_number()) return reader.refuse("", "must hold numbers");
      margins->push_back(number.as_double());
    }
  }
}

std::optional<Value> print_margins(const Reference& from) {
  return doc::to_list(from.margins, [](const auto& row) {
    if (!row) return Value();
    return doc::to_list(*row, [](double number) { return Value(number); });
  });
}

}  // namespace

expr::Datum kept_value(const Value& value, expr::Type type) {
  const auto number = type == expr::Type::kDouble ? doc::exact_number(value) : std::nullopt;
  if (number && value.is_string()) return expr::Datum::real(*number);
  if (value.is_bool()) return expr::Datum::boolean(value.as_bool());
  if (value.is_int()) return expr::Datum::integer(value.as_int());
  if (value.is_double()) return expr::Datum::real(value.as_double());
  if (!value.is_string()) return expr::Datum::null();
  const expr::Datum text = expr::Datum::string(value.as_string());
  if (type != expr::Type::kTimestamp) return text;
  // Kept as it is, in whatever layout the contract wants its texts.
  const expr::Datum time = table::as_type(type, text);
  return time.is_error() ? text : time;
}

Result<KeptRows> keep_rows(std::span<const spec::Field> fields, const table::Table& rows) {
  KeptRows out;
  std::vector<expr::ColumnView> columns;
  for (const spec::Field& field : fields) {
    out.fields.push_back(field.name);
    HEDDLE_ASSIGN_OR_RETURN(const table::Column* column, rows.column(field.name));
    columns.push_back(column->view());
  }
  for (std::int64_t row = 0; row < rows.rows(); ++row) {
    out.rows.push_back(
        doc::to_list(columns, [row](const auto& column) { return to_json_value(column.at(row)); }));
  }
  return out;
}

Result<table::Table> table_of(const KeptRows& kept, std::span<const spec::Field> fields,
                              const doc::ObjectSchema& refused) {
  const auto corrupt = [&](const std::string& what) {
    return Error{ErrorKind::kCorrupt, refused.error_id, fmt::format("{}: {}", refused.name, what),
                 refused.error_hint};
  };
  std::vector<table::Column> columns;
  for (const auto& field : fields) {
    const auto found = std::find(kept.fields.begin(), kept.fields.end(), field.name);
    if (found == kept.fields.end())
      return corrupt(fmt::format("`fields` does not name `{}`", field.name));
    const auto at = static_cast<std::size_t>(found - kept.fields.begin());
    KeptColumn column(field);
    for (std::size_t row = 0; row < kept.rows.size(); ++row) {
      if (column.add(kept.rows[row].as_array()[at])) continue;
      return corrupt(fmt::format("`rows[{}][{}]` must be {} of `{}`, or null", row, at,
                                 expr::type_name(field.type), field.name));
    }
    columns.push_back(std::move(column).take());
  }
  return table::Table::make(std::move(columns));
}

const Schema<KeptRows>& kept_rows_schema() {
  using K = KeptRows;
  static const auto schema = [] {
    auto t = Schema<K>::record("the rows", "as a request carries them");
    t.texts("fields", &K::fields, "names of the contract's request fields, in row order");
    t.custom(
        "rows", Shape::kLists,
        "one value a field, before transforms: a text, a number, true, false or null; an infinite "
        "number is `\"Infinity\"` or `\"-Infinity\"`",
        [](K& into, const Value& value, Reader&) { into.rows = value.as_array(); },
        [](const K& from) -> std::optional<Value> {
          return Value::array(Value::Array(from.rows.begin(), from.rows.end()));
        });
    return t;
  }();
  return schema;
}

void check_kept_rows(const KeptRows& kept, Reader& reader) {
  for (const auto& row : kept.rows) {
    if (!row.is_array() || row.size() != kept.fields.size())
      return reader.refuse("rows", "must hold lists of one value a field");
  }
}

const Schema<Reference>& reference_schema() {
  using R = Reference;
  static const auto schema = [] {
    auto t = Schema<R>::record("`reference.json`", "what a bundle must answer to known rows");
    t.of_format("heddle.reference/2")
        .refused_as(ErrorKind::kCorrupt, "score-bundle", "build it again with `heddle run`");
    t.flattened(&R::kept, kept_rows_schema());
    t.custom("margins", Shape::kLists,
             "one list a row: the model's margins before the calibration, one an output of the "
             "task; null where the contract refuses the row",
             read_margins, print_margins);
    t.finally([](R& into, const Value&, Reader& reader) {
      check_kept_rows(into.kept, reader);
      if (into.kept.rows.empty())
        reader.refuse("rows", "must not be empty: nothing proves what the model should answer");
      if (into.margins.size() != into.kept.rows.size())
        reader.refuse("margins", "must have one item a row");
    });
    return t;
  }();
  return schema;
}

}  // namespace heddle::score
