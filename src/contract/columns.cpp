#include "contract/columns.hpp"

#include <algorithm>
#include <cmath>

#include "table/cell.hpp"

namespace heddle::contract {

using expr::Datum;
using expr::Type;

FieldColumn::FieldColumn(const Contract::Code& code, std::size_t field, const table::Column& column)
    : code_(code), field_(field), column_(column), raw_(column.view()) {
  const FieldCode& f = code.fields[field];
  const Type type = code.definition.fields[field].type;
  rules_ = {f.type, f.required, f.enumeration, f.range, f.pattern, f.length, f.multiple, f.format};
  required_ = f.required >= 0 ? kRequiredBit : Mask{0};
  range_ = f.range >= 0 ? kRangeBit : Mask{0};
  const bool has_loop = type == Type::kInt || type == Type::kDouble || type == Type::kTimestamp;
  // A loop of its own only where it gives the same as a row would: nothing is parsed or looked up.
  is_quick_ = has_loop && column.type == type && f.is_plain && f.enumeration < 0;
  row_.states.resize(code.rules.size());
  view_.type = type;
}

void FieldColumn::judge(std::int64_t begin, std::int64_t end) {
  begin_ = begin;
  rows_ = static_cast<std::size_t>(end - begin);
  any_ = 0;
  masks_.resize(rows_);
  valid_.resize(rows_);
  view_.length = end - begin;
  if (column_.type == Type::kString)
    judge_texts();
  else if (!is_quick_)
    judge_rows();
  else if (column_.type == Type::kDouble)
    judge_reals();
  else if (column_.type == Type::kInt)
    judge_integers();
  else
    judge_times();
  finish_validity();
}

void FieldColumn::finish_validity() {
  const bool all = std::find(valid_.begin(), valid_.end(), 0) == valid_.end();
  // Without it, readers of the column skip a look at each row.
  view_.valid = all ? nullptr : valid_.data();
}

Mask FieldColumn::mask_of_missing(std::size_t i) const noexcept {
  // A cell that was there and could not be read is not a missing one.
  const bool malformed = !column_.malformed.empty() && column_.malformed[at(i)] != 0;
  return malformed ? kTypeBit : required_;
}

Datum FieldColumn::ask(const Datum& raw, Mask& mask) {
  row_.broken.clear();
  const Datum value = code_.check_field(field_, raw, row_);
  mask = 0;
  for (const std::uint16_t broken : row_.broken) {
    for (std::size_t bit = 0; bit < kFieldRules; ++bit) {
      if (rules_[bit] == static_cast<int>(broken)) mask |= static_cast<Mask>(1U << bit);
    }
  }
  return value;
}

void FieldColumn::judge_texts() {
  const std::int32_t* const codes = raw_.codes + begin_;
  const bool is_time = view_.type == Type::kTimestamp;
  const bool is_text = view_.type == Type::kString;
  if (!is_text) ints_.assign(rows_, 0), doubles_.assign(rows_, 0);
  for (std::size_t i = 0; i < rows_; ++i) {
    if ((raw_.valid != nullptr && raw_.valid[at(i)] == 0) ||
        (!column_.malformed.empty() && column_.malformed[at(i)] != 0)) {
      masks_[i] = mask_of_missing(i);
      valid_[i] = 0;
      any_ |= masks_[i];
      continue;
    }
    const auto code = static_cast<std::size_t>(codes[i]);
    // A dictionary may have far more texts than these rows use.
    if (code >= texts_.size()) texts_.resize(std::max(code + 1, 2 * texts_.size()));
    Text& text = texts_[code];
    // Each distinct text is judged once.
    if (text.state == 0) {
      const Datum value = ask(Datum::string(raw_.dictionary[code]), text.mask);
      text.state = value.is_null() ? 2 : 1;
      text.value = is_time && !value.is_null() ? value.i : 0;
    }
    masks_[i] = text.mask;
    valid_[i] = text.state == 1 ? 1 : 0;
    any_ |= text.mask;
    if (is_time) ints_[i] = text.value;
  }
  view_.codes = is_text ? codes : nullptr;
  view_.dictionary = is_text ? raw_.dictionary : nullptr;
  view_.ints = ints_.data();
  view_.doubles = doubles_.data();
}

void FieldColumn::judge_rows() {
  const bool is_text = view_.type == Type::kString;
  if (is_text)
    codes_.assign(rows_, 0);
  else if (view_.type == Type::kDouble)
    doubles_.assign(rows_, 0);
  else
    ints_.assign(rows_, 0);
  for (std::size_t i = 0; i < rows_; ++i) {
    // No value of such a column is a text.
    const Datum value = ask(column_.cell(raw_, begin_ + static_cast<std::int64_t>(i)), masks_[i]);
    any_ |= masks_[i];
    valid_[i] = value.is_null() ? 0 : 1;
    if (value.is_null() || is_text) continue;
    if (view_.type == Type::kDouble)
      doubles_[i] = value.d;
    else
      ints_[i] = value.kind == Datum::Kind::kBool ? std::int64_t{value.b} : value.i;
  }
  view_.codes = codes_.data();
  view_.ints = ints_.data();
  view_.doubles = doubles_.data();
}

namespace {

/// A number's place between two bounds that may be absent, as `within` has it.
struct Bounds {
  explicit Bounds(const spec::Field& field)
      : low(field.minimum.value_or(-HUGE_VAL)),
        high(field.maximum.value_or(HUGE_VAL)),
        // Without a bound nothing is outside, an infinity neither.
        takes_low(!field.minimum || !field.minimum_excluded),
        takes_high(!field.maximum || !field.maximum_excluded) {}
  [[nodiscard]] bool inside(double number) const noexcept {
    const bool above = number > low || (number == low && takes_low);
    return above && (number < high || (number == high && takes_high));
  }
  double low, high;
  bool takes_low, takes_high;
};

}  // namespace

void FieldColumn::judge_reals() {
  const double* const values = raw_.doubles + begin_;
  const Bounds bounds(code_.definition.fields[field_]);
  for (std::size_t i = 0; i < rows_; ++i) {
    const double value = values[i];
    const bool is_number = std::isfinite(value);
    // NaN is how files write "no value"; an infinity is a value of the wrong kind.
    const Mask of_none = value != value ? required_ : kTypeBit;
    masks_[i] = is_number ? (bounds.inside(value) ? Mask{0} : range_) : of_none;
    valid_[i] = is_number ? 1 : 0;
  }
  // What stands in a cell without a value was judged too, and does not count.
  for (std::size_t i = 0; raw_.valid != nullptr && i < rows_; ++i) {
    if (raw_.valid[at(i)] != 0) continue;
    masks_[i] = mask_of_missing(i);
    valid_[i] = 0;
  }
  for (std::size_t i = 0; i < rows_; ++i) any_ |= masks_[i];
  view_.doubles = values;
}

template <class Judge>
void FieldColumn::judge_whole(const Judge& judge) {
  const std::int64_t* const values = raw_.ints + begin_;
  for (std::size_t i = 0; i < rows_; ++i) {
    masks_[i] = judge(values[i]);
    // Only a time can be none: every integer is a value of its type.
    valid_[i] = (masks_[i] & kTypeBit) == 0 ? 1 : 0;
  }
  // As in `judge_reals`.
  for (std::size_t i = 0; raw_.valid != nullptr && i < rows_; ++i) {
    if (raw_.valid[at(i)] != 0) continue;
    masks_[i] = mask_of_missing(i);
    valid_[i] = 0;
  }
  for (std::size_t i = 0; i < rows_; ++i) any_ |= masks_[i];
  view_.ints = values;
}

void FieldColumn::judge_integers() {
  const Bounds bounds(code_.definition.fields[field_]);
  const Mask range = range_;
  judge_whole([&](std::int64_t value) {
    return bounds.inside(static_cast<double>(value)) ? Mask{0} : range;
  });
}

void FieldColumn::judge_times() {
  const spec::Field& field = code_.definition.fields[field_];
  // Times are whole: a bound that is not in the range moves by one.
  const Micros low =
      field.earliest ? *field.earliest + (field.minimum_excluded ? 1 : 0) : INT64_MIN;
  const Micros high = field.latest ? *field.latest - (field.maximum_excluded ? 1 : 0) : INT64_MAX;
  const Mask range = range_;
  judge_whole([&](std::int64_t value) {
    const Mask inside = value >= low && value <= high ? Mask{0} : range;
    // An integer beyond the times that there are is none.
    return table::is_time(value) ? inside : kTypeBit;
  });
}

}  // namespace heddle::contract
