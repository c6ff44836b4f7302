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

bool is_same_value(const Datum& a, const Datum& b) {
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Datum::Kind::kBool: return a.b == b.b;
    case Datum::Kind::kInt: return a.i == b.i;
    case Datum::Kind::kDouble: return a.d == b.d;
    default: return true;  // both are missing: a text is its code here
  }
}

Value value_as_json(const Datum& value) {
  switch (value.kind) {
    case Datum::Kind::kBool: return value.b;
    case Datum::Kind::kInt: return value.i;
    case Datum::Kind::kDouble: return value.d;
    case Datum::Kind::kString: return value.str();
    default: return nullptr;
  }
}

/// What `value_as_json` gave; kError when it is none of the type. A text is borrowed.
Datum json_as_datum(const Value& value, Type type) {
  if (value.is_null()) return Datum::null();
  if (type == Type::kBool && value.is_bool()) return Datum::boolean(value.as_bool());
  if (type == Type::kInt && value.is_int()) return Datum::integer(value.as_int());
  if (type == Type::kString && value.is_string()) return Datum::string(value.as_string());
  if (type == Type::kDouble && value.is_number() && std::isfinite(value.as_double()))
    return Datum::real(value.as_double());
  return Datum::error();
}

}  // namespace

bool Lookup::put(std::span<const std::int64_t> key, const Datum& value) {
  const Datum kept =
      value.kind == Datum::Kind::kString ? Datum::integer(texts_.insert(value.str())) : value;
  const std::int32_t at = keys_.insert(key);
  if (static_cast<std::size_t>(at) < values_.size())
    return is_same_value(values_[static_cast<std::size_t>(at)], kept);
  values_.push_back(kept);
  return true;
}

Datum Lookup::value_at(std::int32_t at) const noexcept {
  const Datum& value = values_[static_cast<std::size_t>(at)];
  if (type_ != Type::kString || value.is_null()) return value;
  return Datum::string(texts_.values()[static_cast<std::size_t>(value.i)]);
}

Value Lookup::key_at(std::int32_t at) const {
  Value out = Value::array();
  const auto key = keys_.tuple(at);
  for (std::size_t i = 0; i < key.size(); ++i) out.push(parts_[i].key.to_value(key[i]));
  return out;
}

Result<std::int64_t> Lookup::add(const table::Table& rows, const std::string& name) {
  std::vector<table::KeyColumn> columns;
  std::vector<expr::ColumnView> views;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    columns.emplace_back(parts_[i].key, &parts_[i].key);
    views.push_back(rows.columns()[i].view());
  }
  const auto values = rows.columns()[parts_.size()].view();
  std::int64_t keyless = 0;
  std::int64_t key[kMaxInputs] = {};
  const std::span<const std::int64_t> whole(key, parts_.size());
  for (std::int64_t row = 0; row < rows.rows(); ++row) {
    bool is_whole = true;
    for (std::size_t i = 0; i < columns.size() && is_whole; ++i) {
      const auto part = columns[i].at(views[i], row);
      is_whole = part.has_value();
      key[i] = part.value_or(0);
    }
    if (!is_whole) {
      ++keyless;
      continue;
    }
    const Datum value = values.at(row);
    const auto before = values_.size();
    if (put(whole, value)) {
      if (values_.size() == before) continue;
      Value added = key_at(static_cast<std::int32_t>(before));
      added.push(value_as_json(value));
      bytes_ += doc::to_json(added).size() + 1;  // and a comma
      continue;
    }
    return Error{ErrorKind::kUnprocessable, "lookup-two-values",
                 fmt::format("lookup `{}`: the table has two values for the key {}: {} and {}",
                             name, doc::to_json(key_at(keys_.find(whole))),
                             doc::to_json(value_as_json(value_of(whole))),
                             doc::to_json(value_as_json(value))),
                 "leave one of the rows out, or add a column to the key"};
  }
  return keyless;
}

Datum Lookup::value_of(std::span<const std::int64_t> key) const noexcept {
  const std::int32_t at = keys_.find(key);
  return at < 0 ? Datum::null() : value_at(at);
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
  for (std::int32_t at = 0; static_cast<std::size_t>(at) < values_.size(); ++at) {
    Value row = key_at(at);
    std::string order = doc::to_json(row);
    row.push(value_as_json(value_at(at)));
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
      return wrong("a key of a lookup appears more than once");
  }
  return {};
}

}  // namespace heddle::feature
