#pragma once

#include <cmath>
#include <string_view>

#include "base/clock.hpp"
#include "expr/datum.hpp"

namespace heddle::table {

/// The years 1 to 9999: what text can write, and so what a field can hold.
[[nodiscard]] constexpr bool is_time(Micros time) noexcept {
  return time >= -719162 * kDay && time < 2932897 * kDay;
}

/// 0 and 1 as booleans; kError of other numbers.
template <class Number>
[[nodiscard]] expr::Datum zero_or_one(Number number) noexcept {
  return number == 0 || number == 1 ? expr::Datum::boolean(number == 1) : expr::Datum::error();
}

/// `as_type` of an integer.
[[nodiscard]] inline expr::Datum integer_as(expr::Type type, const expr::Datum& raw) noexcept {
  switch (type) {
    case expr::Type::kInt: return raw;
    case expr::Type::kDouble: return expr::Datum::real(static_cast<double>(raw.i));
    case expr::Type::kBool: return zero_or_one(raw.i);
    default: return expr::Datum::error();
  }
}

/// `as_type` of a double.
[[nodiscard]] inline expr::Datum real_as(expr::Type type, const expr::Datum& raw) noexcept {
  using expr::Datum;
  using expr::Type;
  if (type != Type::kInt && type != Type::kDouble && type != Type::kBool) return Datum::error();
  if (!std::isfinite(raw.d)) return std::isnan(raw.d) ? Datum::null() : Datum::error();
  if (type == Type::kDouble) return raw;
  if (type == Type::kBool) return zero_or_one(raw.d);
  // -2^63 is also what the integers below it round to, where a double was made of one.
  const bool is_whole = std::abs(raw.d) < 0x1p63 && std::trunc(raw.d) == raw.d;
  return is_whole ? Datum::integer(static_cast<std::int64_t>(raw.d)) : Datum::error();
}

/// `as_type` of a text.
[[nodiscard]] inline expr::Datum text_as(expr::Type type, const expr::Datum& raw) noexcept {
  if (type == expr::Type::kString) return raw;
  if (type != expr::Type::kTimestamp) return expr::Datum::error();
  const auto time = parse_time(raw.str());
  return time && is_time(*time) ? expr::Datum::timestamp(*time) : expr::Datum::error();
}

/// `raw` as a value of a field of type `type`, the same for every reader of rows: files, requests,
/// tensors. kError when it is none. Exact: a number without a fraction is an integer, 0 and 1 are
/// booleans, text that is a time is a timestamp. An integer becomes the nearest double. NaN is a
/// missing value; an infinite number and a time outside the years 1 to 9999 are no values.
[[nodiscard]] inline expr::Datum as_type(expr::Type type, const expr::Datum& raw) noexcept {
  using expr::Datum;
  using expr::Type;
  switch (raw.kind) {
    case Datum::Kind::kNull: return raw;
    case Datum::Kind::kBool: return type == Type::kBool ? raw : Datum::error();
    case Datum::Kind::kInt: return integer_as(type, raw);
    case Datum::Kind::kDouble: return real_as(type, raw);
    case Datum::Kind::kString: return text_as(type, raw);
    case Datum::Kind::kTimestamp:
      return type == Type::kTimestamp && is_time(raw.i) ? raw : Datum::error();
    default: return Datum::error();
  }
}

/// Whether a column of type `column` can hold values of a field of type `field` at all, by
/// `as_type`.
[[nodiscard]] constexpr bool can_hold(expr::Type column, expr::Type field) noexcept {
  using expr::Type;
  const bool number = column == Type::kInt || column == Type::kDouble;
  switch (field) {
    case Type::kInt:
    case Type::kDouble: return number;
    case Type::kBool: return number || column == Type::kBool;
    case Type::kTimestamp: return column == Type::kTimestamp || column == Type::kString;
    default: return column == field;
  }
}

/// What the text of a CSV's cell says where `type` is wanted: text as it stands for a string; else,
/// without the spaces around it, nothing (missing), a number, `true` or `false`, a time. kError
/// when it says nothing of that type. `decimal`: what stands before a number's fraction, `.` or
/// `,`; the other one is in no number. A string is borrowed from `text`.
[[nodiscard]] expr::Datum cell_of_text(std::string_view text, expr::Type type,
                                       char decimal = '.') noexcept;

}  // namespace heddle::table
