#include "expr/values.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>

#include "base/clock.hpp"
#include "expr/builtins.hpp"

namespace heddle::expr {
namespace {

constexpr double kLargestInt = 9223372036854775807.0;
constexpr double kFirstTime = -62135596800e6;  ///< of the year 1, what computed times begin with
constexpr double kLastTime = 253402300800e6 - 1;

bool is_whole(Type type) { return type != Type::kDouble; }

/// Bounds of whole numbers past 2^53 are widened, for a double may have rounded them.
double below(Type type, double value) {
  return is_whole(type) && std::abs(value) > 0x1p53 ? std::nextafter(value, -Values::kInfinity)
                                                    : value;
}
double above(Type type, double value) { return -below(type, -value); }

/// `low` to `high` as far as the type reaches; what lies beyond is an error.
Values within(Type type, double low, double high, double first, double last) {
  low = below(type, low);
  high = above(type, high);
  Values out = Values::between(type, std::max(low, first), std::min(high, last));
  // A part of the results may still be right.
  out.may_be_error = low < first || high > last;
  // All of them lie beyond.
  if (out.low > out.high) return Values::failure(type);
  return out;
}

Values in_type(Type type, double low, double high) {
  switch (type) {
    case Type::kTimestamp: return within(type, low, high, kFirstTime, kLastTime);
    case Type::kDouble: return Values::between(type, low, high);
    default: return within(type, low, high, -kLargestInt - 1, kLargestInt);
  }
}

struct Span {
  double low = Values::kInfinity;
  double high = -Values::kInfinity;
  bool has_nan = false;

  void take(double value) {
    if (std::isnan(value)) {
      has_nan = true;
      return;
    }
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

Values from(Type type, const Span& span) {
  Values out = span.low > span.high ? Values::listed(type, {}) : in_type(type, span.low, span.high);
  out.may_be_nan = span.has_nan;
  // Nothing but NaN, or something the bounds do not tell.
  if (span.has_nan) {
    out.is_listed = false;
    out.low = -Values::kInfinity, out.high = Values::kInfinity;
  }
  return out;
}

/// Quotients of whole numbers: by 0 there is none.
Values whole_quotient(std::pair<double, double> a, std::pair<double, double> b, Type type) {
  if (b.first == 0 && b.second == 0) return Values::failure(type);
  const double reach = std::max(std::abs(a.first), std::abs(a.second));
  Span span;
  if (b.first <= 0 && b.second >= 0) {
    // By 1 or -1 at the least: no quotient is larger than the dividend.
    span.take(-reach), span.take(reach);
  } else {
    for (const double x : {a.first, a.second}) {
      for (const double y : {b.first, b.second}) span.take(std::trunc(x / y));
    }
  }
  Values out = from(type, span);
  out.may_be_error = out.may_be_error || (b.first <= 0 && b.second >= 0);
  return out;
}

Values remainder(std::pair<double, double> a, std::pair<double, double> b, Type type) {
  if (b.first == 0 && b.second == 0) return Values::failure(type);
  const double reach = std::max(std::abs(b.first), std::abs(b.second)) - 1;
  // It has the sign of the left and is no larger.
  const double low = a.first >= 0 ? 0 : std::max(-reach, a.first);
  const double high = a.second <= 0 ? 0 : std::min(reach, a.second);
  Values out = in_type(type, low, high);
  // The smallest integer by -1 overflows too.
  out.may_be_error = (b.first <= 0 && b.second >= 0) || a.first <= -kLargestInt;
  return out;
}

/// A function that never falls: its bounds are those of its argument.
Values rising(const Values& argument, Type type, double (*f)(double)) {
  const auto [low, high] = argument.bounds();
  Span span;
  span.has_nan = argument.has_nan();
  span.take(f(low)), span.take(f(high));
  return from(type, span);
}

Values whole_part(const Values& argument, Type type) {
  const auto [low, high] = argument.bounds();
  if (low > high) return Values::failure(type);  // nothing but NaN
  Values out = within(type, std::trunc(low), std::trunc(high), -kLargestInt - 1, kLargestInt);
  out.may_be_error = out.may_be_error || argument.has_nan();
  return out;
}

Values bucket_of(const Values& value, const Values& width, Type type) {
  const auto [narrow, wide] = width.bounds();
  // No width is above 0.
  if (!(wide > 0)) return Values::failure(type);
  const auto [low, high] = value.bounds();
  Span span;
  // A width of 0 or less fails, so that the others begin above it.
  const double least = narrow > 0 ? narrow : 0;
  for (const double x : {low, high}) {
    for (const double y : {least, wide}) span.take(std::floor(x / y));
  }
  // 0 / 0 and the like tell nothing of the bounds.
  if (span.has_nan) span = {-kLargestInt, kLargestInt};
  Values out = in_type(type, span.low, span.high);
  out.may_be_error = out.may_be_error || !(narrow > 0) || value.has_nan() || width.has_nan();
  return out;
}

/// Results of the functions of times, and others whose values are few.
struct Reach {
  std::string_view name;
  double low;
  double high;
};
// Years: 64 bits of microseconds reach about 292,000 of them from 1970.
constexpr Reach kOfTimes[] = {{"getFullYear", -300000, 300000},
                              {"getMonth", 0, 11},
                              {"getDate", 1, 31},
                              {"getDayOfMonth", 0, 30},
                              {"getDayOfWeek", 0, 6},
                              {"day_of_week", 0, 6},
                              {"getDayOfYear", 0, 365},
                              {"getHours", 0, 23},
                              {"hour_of_day", 0, 23},
                              {"getMinutes", 0, 59},
                              {"getSeconds", 0, 59},
                              {"getMilliseconds", 0, 999},
                              {"minute_of_day", 0, 1439}};

Values part_of_duration(std::string_view name, const Values& argument, Type type) {
  const auto [low, high] = argument.bounds();
  // With the sign of the duration.
  if (name == "getMilliseconds") return Values::between(type, -999, 999);
  const Micros unit = name == "getHours" ? kHour : name == "getMinutes" ? kMinute : kSecond;
  const auto divisor = static_cast<double>(unit);
  return in_type(type, std::trunc(below(type, low) / divisor),
                 std::trunc(above(type, high) / divisor));
}

Values absolute(const Values& x, Type type) {
  const auto [low, high] = x.bounds();
  const double least = low <= 0 && high >= 0 ? 0 : std::min(std::abs(low), std::abs(high));
  Values out = in_type(type, least, std::max(std::abs(low), std::abs(high)));
  out.may_be_nan = x.has_nan();
  return out;
}

/// Functions that never fall.
struct Rising {
  std::string_view name;
  double (*f)(double);
};
constexpr Rising kRising[] = {{"floor", [](double v) { return std::floor(v); }},
                              {"ceil", [](double v) { return std::ceil(v); }},
                              {"round", [](double v) { return std::round(v); }},
                              {"sqrt", [](double v) { return std::sqrt(v); }}};

/// A conversion that keeps the number.
Values same_bounds(const Values& x, Type type) {
  Values out = x;
  out.type = type;
  out.is_listed = false;
  std::tie(out.low, out.high) = x.bounds();
  out.may_be_nan = x.has_nan();
  return out;
}

bool keeps_number(std::string_view name) {
  return name == "int" || name == "double" || name == "timestamp" || name == "duration";
}

/// A time as whole seconds, or back; nothing of another conversion.
std::optional<Values> in_seconds(std::string_view name, const Values& x, Type type) {
  const auto [low, high] = x.bounds();
  if (name == "int" && x.type == Type::kTimestamp)
    return in_type(type, std::floor(low / 1e6), std::floor(high / 1e6));
  if (name == "timestamp" && x.type == Type::kInt) return in_type(type, low * 1e6, high * 1e6);
  return std::nullopt;
}

/// Of a number or a time.
Values of_number(std::string_view name, const Values& x, Type type) {
  if (name == "abs") return absolute(x, type);
  for (const Rising& each : kRising) {
    if (each.name == name) return rising(x, type, each.f);
  }
  if (const auto seconds = in_seconds(name, x, type)) return *seconds;
  if (name == "int" && x.type == Type::kDouble) return whole_part(x, type);
  if (keeps_number(name) && has_bounds(type)) return same_bounds(x, type);
  // exp, log, log1p: how exactly they round is not told here.
  Values out = Values::any(type);
  if (name == "string") out.text_of = x.type;
  // This much holds however it rounds.
  if (name == "exp") out.low = 0;
  return out;
}

Values extreme(bool is_min, const Values& a, const Values& b, Type type) {
  const auto [a_low, a_high] = a.bounds();
  const auto [b_low, b_high] = b.bounds();
  Values out = is_min ? Values::between(type, std::min(a_low, b_low), std::min(a_high, b_high))
                      : Values::between(type, std::max(a_low, b_low), std::max(a_high, b_high));
  // With NaN the first of the two comes out.
  if (!a.has_nan() && !b.has_nan()) return out;
  out = Values::between(type, std::min(a_low, b_low), std::max(a_high, b_high));
  out.may_be_nan = a.has_nan();
  return out;
}

/// Whether one of the listed values lies where `open` does; no whole number is a half.
bool may_hold_one_of(const Values& open, const Values& listed) {
  if (open.is_listed || !listed.is_listed) return true;
  return std::any_of(listed.items.begin(), listed.items.end(), [&](const Datum& item) {
    const double value = bound_of(item);
    if (std::isnan(value)) return false;
    // `i == 0.5` is never true of an integer.
    if (is_whole(open.type) && std::floor(value) != value) return false;
    return below(open.type, open.low) <= value && value <= above(open.type, open.high);
  });
}

/// Whether a text that `string` makes of `from` is never one of `to`: a time is no number, and no
/// number is a time.
bool never_converts(Type from, Type to) {
  const bool is_number = from == Type::kInt || from == Type::kDouble;
  if (to == Type::kTimestamp) return is_number || from == Type::kDuration;
  if (to == Type::kDuration) return from == Type::kTimestamp;
  return from == Type::kTimestamp || from == Type::kDuration;
}

}  // namespace

bool has_bounds(Type type) {
  return type == Type::kInt || type == Type::kDouble || type == Type::kTimestamp ||
         type == Type::kDuration;
}

double bound_of(const Datum& datum) {
  return datum.kind == Datum::Kind::kDouble ? datum.d : static_cast<double>(datum.i);
}

Values Values::listed(Type type, std::vector<Datum> items) {
  Values out;
  out.type = type;
  out.is_listed = true;
  out.items = std::move(items);
  return out;
}

Values Values::between(Type type, double low, double high) {
  Values out;
  out.type = type;
  out.low = low;
  out.high = high;
  return out;
}

Values Values::any(Type type) {
  if (type == Type::kBool) return listed(type, {Datum::boolean(false), Datum::boolean(true)});
  Values out = between(type, -kInfinity, kInfinity);
  if (type == Type::kDouble) out.may_be_nan = true;
  if (has_bounds(type) && type != Type::kDouble) {
    out.low = -kLargestInt - 1;
    out.high = kLargestInt;
  }
  return out;
}

Values Values::failure(Type type) {
  Values out = listed(type, {});
  out.may_be_error = true;
  return out;
}

bool Values::may_be(bool value) const {
  // What is not listed may be either.
  if (!is_listed) return true;
  return std::any_of(items.begin(), items.end(), [&](const Datum& item) {
    return item.kind == Datum::Kind::kBool && item.b == value;
  });
}

std::pair<double, double> Values::bounds() const {
  if (!is_listed) return {low, high};
  std::pair out{kInfinity, -kInfinity};
  for (const Datum& item : items) {
    const double value = bound_of(item);
    if (std::isnan(value)) continue;
    out = {std::min(out.first, below(type, value)), std::max(out.second, above(type, value))};
  }
  return out;
}

bool Values::has_nan() const {
  if (!is_listed) return may_be_nan;
  return std::any_of(items.begin(), items.end(), [](const Datum& item) {
    return item.kind == Datum::Kind::kDouble && std::isnan(item.d);
  });
}

void Values::add(const Datum& outcome) {
  const auto is_same = [&](const Datum& item) {
    if (item.kind != outcome.kind || !equal(item, outcome)) return false;
    // 0.0 and -0.0 are equal and have other quotients.
    return item.kind != Datum::Kind::kDouble || std::signbit(item.d) == std::signbit(outcome.d);
  };
  if (outcome.is_error()) {
    may_be_error = true;
  } else if (outcome.is_null()) {
    may_be_null = true;
  } else if (std::none_of(items.begin(), items.end(), is_same)) {
    items.push_back(outcome);
  }
}

Values as_double(Values values) {
  values.type = Type::kDouble;
  for (Datum& item : values.items) {
    if (item.kind == Datum::Kind::kInt) item = Datum::real(static_cast<double>(item.i));
  }
  return values;
}

namespace {

/// The type of both: whole numbers beside real ones are real.
void share_type(Values& a, Values& b) {
  if (a.type == Type::kDyn) a.type = b.type;
  if (a.type == Type::kInt && b.type == Type::kDouble) a = as_double(std::move(a));
  if (a.type == Type::kDouble && b.type == Type::kInt) b = as_double(std::move(b));
}

/// The values of `from` in place of those of `to`, which has none.
void take_values(const Values& from, Values& to) {
  to.is_listed = from.is_listed;
  to.items = from.items;
  to.low = from.low, to.high = from.high;
  to.may_be_nan = from.may_be_nan;
  to.except = from.except;
  to.text_of = from.text_of;
}

/// `to` becomes the bounds that hold both.
void span_both(const Values& from, Values& to) {
  const bool bounded = has_bounds(to.type);
  const auto [a_low, a_high] = bounded ? to.bounds() : std::pair{to.low, to.high};
  const auto [b_low, b_high] = bounded ? from.bounds() : std::pair{from.low, from.high};
  to.may_be_nan = to.has_nan() || from.has_nan();
  to.low = std::min(a_low, b_low), to.high = std::max(a_high, b_high);
  to.is_listed = false;
  to.items.clear();
  to.except.clear();
}

/// Orders of all pairs of listed values.
Orders orders_of_items(const Values& a, const Values& b) {
  Orders out;
  for (const Datum& x : a.items) {
    for (const Datum& y : b.items) {
      const int order = compare(x, y);
      out.less = out.less || order == -1;
      out.equal = out.equal || order == 0;
      out.greater = out.greater || order == 1;
      out.none = out.none || order == 2;
    }
  }
  return out;
}

/// Whether texts are never equal: every one that is listed is one that the open ones are not.
bool is_excluded(const Values& open, const Values& listed) {
  const auto in_except = [&](const Datum& item) {
    return std::any_of(open.except.begin(), open.except.end(),
                       [&](const Datum& each) { return equal(each, item); });
  };
  return listed.is_listed && std::all_of(listed.items.begin(), listed.items.end(), in_except);
}

/// Of whole numbers past 2^53 equal bounds may stand for others.
bool is_blurred(double x, double y) { return x == y && std::abs(x) > 0x1p53; }

Orders orders_of_bounds(const Values& a, const Values& b) {
  Orders out;
  const auto [a_low, a_high] = a.bounds();
  const auto [b_low, b_high] = b.bounds();
  out.less = a_low < b_high || is_blurred(a_low, b_high);
  out.greater = a_high > b_low || is_blurred(a_high, b_low);
  out.equal = a_low <= b_high && b_low <= a_high && may_hold_one_of(a, b) && may_hold_one_of(b, a);
  out.none = a.has_nan() || b.has_nan();
  return out;
}

double computed(char op, double x, double y) {
  switch (op) {
    case '+': return x + y;
    case '-': return x - y;
    case '*': return x * y;
    default: return x / y;
  }
}

/// Around 0 a quotient has no bound.
Span span_of(char op, std::pair<double, double> a, std::pair<double, double> b) {
  Span span;
  for (const double x : {a.first, a.second}) {
    for (const double y : {b.first, b.second}) span.take(computed(op, x, y));
  }
  span.has_nan = span.has_nan || (op == '/' && b.first <= 0 && b.second >= 0);
  return span;
}

}  // namespace

Values either(Values a, Values b) {
  share_type(a, b);
  a.may_be_null = a.may_be_null || b.may_be_null;
  a.may_be_error = a.may_be_error || b.may_be_error;
  if (b.has_none()) return a;
  if (a.has_none()) {
    take_values(b, a);
    return a;
  }
  // A text of either: what it converts to is not known.
  if (a.text_of != b.text_of) a.text_of = Type::kNull;
  constexpr std::size_t kMost = 64;
  if (a.is_listed && b.is_listed && a.items.size() + b.items.size() <= kMost) {
    for (const Datum& item : b.items) a.add(item);
    return a;
  }
  span_both(b, a);
  return a;
}

Orders orders_of(const Values& a, const Values& b) {
  if (a.is_listed && b.is_listed) return orders_of_items(a, b);
  if (a.has_none() || b.has_none()) return {};
  // Texts, one of them not listed.
  if (!has_bounds(a.type) || !has_bounds(b.type))
    return {true, !is_excluded(a, b) && !is_excluded(b, a), true, false};
  return orders_of_bounds(a, b);
}

Values arithmetic_of(char op, const Values& a, const Values& b, Type type) {
  if (!has_bounds(type)) return Values::any(type);
  if (a.has_none() || b.has_none()) return Values::listed(type, {});
  if (op == '/' && type == Type::kInt) return whole_quotient(a.bounds(), b.bounds(), type);
  if (op == '%') return remainder(a.bounds(), b.bounds(), type);
  Span span = span_of(op, a.bounds(), b.bounds());
  span.has_nan = span.has_nan || a.has_nan() || b.has_nan();
  return from(type, span);
}

Values negated(const Values& a) {
  if (!has_bounds(a.type)) return Values::any(a.type);
  const auto [low, high] = a.bounds();
  Values out = in_type(a.type, -high, -low);
  out.may_be_nan = a.has_nan();
  return out;
}

namespace {

/// A text as another type: it need not be one.
Values parsed(const Values& text, Type type) {
  // `int(string(t))` of a time fails in every row.
  if (text.text_of != Type::kNull && never_converts(text.text_of, type))
    return Values::failure(type);
  Values out = Values::any(type);
  out.may_be_error = true;
  // As `in_range` bounds what is computed.
  if (type == Type::kTimestamp) out.low = kFirstTime, out.high = kLastTime;
  return out;
}

const Reach* reach_of(std::string_view name) {
  for (const Reach& reach : kOfTimes) {
    if (reach.name == name) return &reach;
  }
  return nullptr;
}

}  // namespace

Values call_of(std::string_view name, const std::vector<Values>& arguments, Type type) {
  const Values& x = arguments.front();
  const bool is_none = std::any_of(arguments.begin(), arguments.end(),
                                   [](const Values& each) { return each.has_none(); });
  if (is_none) return Values::listed(type, {});
  // Sizes have 32 bits.
  if (name == "size") return Values::between(type, 0, 0x1p32);
  const Reach* const reach = x.type == Type::kTimestamp ? reach_of(name) : nullptr;
  if (reach != nullptr) return Values::between(type, reach->low, reach->high);
  if (x.type == Type::kDuration && name.starts_with("get")) return part_of_duration(name, x, type);
  if (name == "bucket") return bucket_of(x, arguments[1], type);
  if (name == "min" || name == "max") return extreme(name == "min", x, arguments[1], type);
  if (has_bounds(x.type) && arguments.size() == 1) return of_number(name, x, type);
  return keeps_number(name) || name == "bool" ? parsed(x, type) : Values::any(type);
}

}  // namespace heddle::expr
