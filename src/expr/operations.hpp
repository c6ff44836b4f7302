#pragma once

#include <cstdint>
#include <span>

#include <re2/re2.h>

#include "expr/builtins.hpp"
#include "expr/code.hpp"

namespace heddle::expr {

// How null and error go through operators: what rows meet (`Program::evaluate`) and what is worked
// out beforehand (`outcomes_of`) cannot differ. Private to this module.

/// Why a call need not happen: an error among the arguments, or a null where nulls are not taken.
[[nodiscard]] inline bool absorbed(std::span<const Datum> arguments, bool nullable, Datum& out) {
  bool null = false;
  for (const auto& argument : arguments) {
    if (argument.is_error()) {
      out = Datum::error();
      return true;
    }
    null = null || argument.is_null();
  }
  if (!null || nullable) return false;
  out = Datum::null();
  return true;
}

[[nodiscard]] inline Datum compare_by(Op op, const Datum& a, const Datum& b) {
  if (a.is_error() || b.is_error()) return Datum::error();
  if (a.is_null() || b.is_null()) return Datum::null();
  const int order = compare(a, b);
  switch (op) {
    case Op::kLess: return Datum::boolean(order == -1);
    case Op::kLessEqual: return Datum::boolean(order == -1 || order == 0);
    case Op::kGreater: return Datum::boolean(order == 1);
    default: return Datum::boolean(order == 1 || order == 0);
  }
}

[[nodiscard]] inline Datum equality(const Datum& a, const Datum& b, bool negated) {
  if (a.is_error() || b.is_error()) return Datum::error();
  if (a.is_null() || b.is_null()) return Datum::null();
  return Datum::boolean(equal(a, b) != negated);
}

[[nodiscard]] inline Datum member_of(const Datum& item, const Datum& list) {
  if (item.is_error() || list.is_error()) return Datum::error();
  if (item.is_null() || list.is_null()) return Datum::null();
  for (std::uint32_t i = 0; i < list.list->size; ++i) {
    if (equal(item, list.list->items[i])) return Datum::boolean(true);
  }
  return Datum::boolean(false);
}

/// `decides` is the value that settles it alone: false for &&, true for ||. An error or null on one
/// side is absorbed when the other side decides.
[[nodiscard]] inline Datum merge(const Datum& a, const Datum& b, bool decides) {
  const auto settled = [&](const Datum& x) {
    return x.kind == Datum::Kind::kBool && x.b == decides;
  };
  if (settled(a) || settled(b)) return Datum::boolean(decides);
  if (a.is_error() || b.is_error()) return Datum::error();
  if (a.is_null() || b.is_null()) return Datum::null();
  return Datum::boolean(!decides);
}

/// What an operator of one value makes of it, in place. Null and errors stay what they are.
inline void apply_unary(const Instruction& instruction, Datum& value) {
  switch (instruction.op) {
    case Op::kNegate: value = negate(value); break;
    case Op::kNot:
      if (value.kind == Datum::Kind::kBool) value.b = !value.b;
      break;
    case Op::kIsNull:
      if (!value.is_error()) value = Datum::boolean(value.is_null() == (instruction.index == 1));
      break;
    default:  // kToDouble
      if (value.kind == Datum::Kind::kInt) value = Datum::real(static_cast<double>(value.i));
  }
}

inline void match(const re2::RE2& pattern, Datum& value) {
  if (value.kind != Datum::Kind::kString) return;
  const auto text = value.str();
  value =
      Datum::boolean(re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), pattern));
}

}  // namespace heddle::expr
