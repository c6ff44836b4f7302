#include "feature/lookup.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "doc/json.hpp"
#include "feature/code.hpp"
#include "table/cell.hpp"
#include "table/key_column.hpp"

namespace heddle::feature {
namespace {

using doc::Value;
using expr::Datum;
using expr::Type;

/// A table that travels in every bundle, and is read whole.
constexpr std::int32_t kMostLookupKeys = 1'000'000;

bool is_same_value(const Datum& a, const Datum& b) {
  if (a.kind != b.kind) return false;
  if (a.kind == Datum::Kind::kString) return a.str() == b.str();
  if (a.kind == Datum::Kind::kDouble) return a.d == b.d;
  return a.kind == Datum::Kind::kBool ? a.b == b.b : a.i == b.i;
}

Value value_as_json(const Datum& value) {
  switch (value.kind) {
    case Datum::Kind::kBool: return value.b;
    case Datum::Kind::kInt: return value.i;
    case Datum::Kind::kDouble: return value.d;
    case Datum::Kind::kString: return std::string(value.str());
    default: return nullptr;
  }
}

/// What `value_as_json` gave; kError where it is none of the type. A text is borrowed.
Datum json_as_datum(const Value& value, Type type) {
  if (value.is_null()) return Datum::null();
  switch (type) {
    case Type::kBool: return value.is_bool() ? Datum::boolean(value.as_bool()) : Datum::error();
    case Type::kInt: return value.is_int() ? Datum::integer(value.as_int()) : Datum::error();
    case Type::kDouble:
      return value.is_number() && std::isfinite(value.as_double()) ? Datum::real(value.as_double())
                                                                   : Datum::error();
    case Type::kString: return value.is_string() ? Datum::string(value.as_string()) : Datum::error();
    default: return Datum::error();
  }
}

}  // namespace

bool Lookup::put(std::span<const std::int64_t> key, const Datum& value) {
  const auto at = static_cast<std::size_t>(keys_.insert(key));
  if (at < values_.size()) return is_same_value(values_[at], value);
  if (value.kind == Datum::Kind::kString) {
    texts_.emplace_back(value.str());
    values_.push_back(Datum::string(texts_.back()));
  } else {
    values_.push_back(value);
  }
  return true;
}

Result<void> Lookup::fill(const table::Table& rows, const std::string& name) {
  keys_ = table::TupleIndex(parts_.size());
  values_.clear();
  texts_.clear();
  std::vector<table::KeyColumn> columns;
  std::vector<expr::ColumnView> views;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    parts_[i].key = table::KeyPart(parts_[i].key.type());
    views.push_back(rows.columns()[i].view());
  }
  for (auto& part : parts_) columns.emplace_back(part.key, &part.key);
  const table::Column& last = rows.columns()[parts_.size()];
  const auto value_view = last.view();
  std::int64_t key[kMaxInputs] = {};
  for (std::int64_t row = 0; row < rows.rows(); ++row) {
    bool is_whole = true;
    for (std::size_t i = 0; i < columns.size() && is_whole; ++i) {
      const auto part = columns[i].at(views[i], row);
      is_whole = part.has_value();
      key[i] = part.value_or(0);
    }
    if (!is_whole) continue;
    const std::span<const std::int64_t> whole(key, parts_.size());
    Datum value = table::as_type(type_, last.cell(value_view, row));
    // What is no value of the type is missing: the reader of a file says no more of it.
    if (value.is_error()) value = Datum::null();
    if (!put(whole, value)) {
      auto shown = Value::array();
      for (std::size_t i = 0; i < parts_.size(); ++i) shown.push(parts_[i].key.to_value(key[i]));
      return Error{ErrorKind::kUnprocessable, "lookup-two-values",
                   fmt::format("lookup `{}`: the table has two values for the key {}: {} and {}",
                               name, doc::to_json(shown), doc::to_json(value_as_json(value_of(whole))),
                               doc::to_json(value_as_json(value))),
                   "leave one of the rows out, or add a column to the key"};
    }
    if (std::ssize(values_) > kMostLookupKeys) {
      return Error{ErrorKind::kUnprocessable, "lookup-too-large",
                   fmt::format("lookup `{}`: the table has more than {} keys", name,
                               kMostLookupKeys),
                   "it travels in every bundle: let clients send the value, by `upstream` of a "
                   "field (docs/joins.md)"};
    }
  }
  is_filled_ = true;
  return {};
}

Datum Lookup::value_of(std::span<const std::int64_t> key) const noexcept {
  const std::int32_t at = keys_.find(key);
  return at < 0 ? Datum::null() : values_[static_cast<std::size_t>(at)];
}

Datum Lookup::find(std::span<const Datum> slots) const noexcept {
  std::int64_t key[kMaxInputs];
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const auto part = parts_[i].key.find(slots[static_cast<std::size_t>(parts_[i].slot)]);
    if (!part) return Datum::null();
    key[i] = *part;
  }
  return value_of({key, parts_.size()});
}

Value Lookup::to_value() const {
  std::vector<std::pair<std::string, Value>> rows;
  for (std::size_t at = 0; at < values_.size(); ++at) {
    Value row = Value::array();
    const auto key = keys_.tuple(static_cast<std::int32_t>(at));
    for (std::size_t i = 0; i < key.size(); ++i) row.push(parts_[i].key.to_value(key[i]));
    std::string order = doc::to_json(row);
    row.push(value_as_json(values_[at]));
    rows.emplace_back(std::move(order), std::move(row));
  }
  std::sort(rows.begin(), rows.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  Value out = Value::array();
  for (auto& [order, row] : rows) out.push(std::move(row));
  return out;
}

Result<void> Lookup::from_value(const Value& rows) {
  const auto wrong = [](std::string what) {
    return Error{ErrorKind::kCorrupt, "feature-malformed", std::move(what), "make the bundle anew"};
  };
  if (!rows.is_array()) return wrong("a lookup is no list");
  keys_ = table::TupleIndex(parts_.size());
  values_.clear();
  texts_.clear();
  for (const auto& row : rows.as_array()) {
    if (!row.is_array() || row.size() != parts_.size() + 1)
      return wrong("a row of a lookup has the wrong number of values");
    std::int64_t key[kMaxInputs];
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      HEDDLE_ASSIGN_OR_RETURN(key[i], parts_[i].key.insert_value(row.as_array()[i]));
    }
    const Datum value = json_as_datum(row.as_array()[parts_.size()], type_);
    if (value.is_error()) return wrong("a lookup's value is of another type");
    const auto before = values_.size();
    if (!put({key, parts_.size()}, value) || values_.size() == before)
      return wrong("a key of a lookup appears twice");
  }
  is_filled_ = true;
  return {};
}

}  // namespace heddle::feature
