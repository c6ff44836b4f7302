#pragma once

#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include "expr/datum.hpp"

namespace heddle::expr {

/// What a part of an expression may come out as over all rows: a superset, never too small. Either
/// its values are listed, or numbers and times (microseconds) lie between two bounds, or texts are
/// any but some. Private to this module.
struct Values {
  static constexpr double kInfinity = std::numeric_limits<double>::infinity();

  Type type = Type::kDyn;
  bool may_be_null = false;
  bool may_be_error = false;
  bool is_listed = false;  ///< `items` are all values there are
  std::vector<Datum> items{};
  double low = -kInfinity;  ///< of numbers, times and durations that are not listed
  double high = kInfinity;
  bool may_be_nan = false;
  std::vector<Datum> except{};  ///< texts, not listed, that it is not
  Type text_of = Type::kNull;   ///< texts that `string` makes of this type; kNull: others too

  [[nodiscard]] static Values listed(Type type, std::vector<Datum> items);
  [[nodiscard]] static Values between(Type type, double low, double high);
  /// Every value of the type.
  [[nodiscard]] static Values any(Type type);
  /// No value, for it always fails.
  [[nodiscard]] static Values failure(Type type);

  /// Null, an error or nothing at all.
  [[nodiscard]] bool has_none() const { return is_listed && items.empty(); }
  [[nodiscard]] bool always_fails() const { return has_none() && may_be_error; }
  [[nodiscard]] bool may_be(bool value) const;
  /// The bounds of numbers and times, listed or not; {infinity, -infinity} of none.
  [[nodiscard]] std::pair<double, double> bounds() const;
  [[nodiscard]] bool has_nan() const;
  /// Adds one outcome to those that are listed.
  void add(const Datum& outcome);
};

/// Whether numbers or times of this type have bounds.
[[nodiscard]] bool has_bounds(Type type);
/// A number or time as a bound.
[[nodiscard]] double bound_of(const Datum& datum);

/// What either may be.
[[nodiscard]] Values either(Values a, Values b);
/// Whole numbers as doubles.
[[nodiscard]] Values as_double(Values values);

/// How `a` may stand to `b`: orders of `compare` that are possible.
struct Orders {
  bool less = false;
  bool equal = false;
  bool greater = false;
  bool none = false;  ///< NaN
};
[[nodiscard]] Orders orders_of(const Values& a, const Values& b);

/// `a op b` of numbers, times and durations that are not all listed; `type` is the result's.
[[nodiscard]] Values arithmetic_of(char op, const Values& a, const Values& b, Type type);
[[nodiscard]] Values negated(const Values& a);
/// What builtin `name` may give where its arguments are not all listed.
[[nodiscard]] Values call_of(std::string_view name, const std::vector<Values>& arguments,
                             Type type);

}  // namespace heddle::expr
