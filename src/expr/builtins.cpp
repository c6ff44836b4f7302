#include "expr/builtins.hpp"

#include <charconv>
#include <cmath>
#include <iterator>
#include <memory>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "stats/scalar.hpp"

namespace heddle::expr {
namespace {

using Arguments = std::span<const Datum>;
using Kind = Datum::Kind;

/// Rounded down, so that a time before 1970 is in the second, hour or day that it lies in.
Micros floor_div(Micros value, Micros unit) { return value / unit - (value % unit < 0 ? 1 : 0); }
Micros in_day(Micros time) { return time % kDay + (time % kDay < 0 ? kDay : 0); }

Datum string_of(std::string_view text, StringPool& pool) {
  auto& out = pool.next();
  out.assign(text);
  return Datum::string(out);
}

/// The years 1 to 9999, as CEL bounds them. Times that arrive as data are not bounded; times that
/// are computed are.
Datum in_range(Micros time) {
  constexpr Micros kFirst = -62135596800 * kSecond;
  constexpr Micros kEnd = 253402300800 * kSecond;
  return time >= kFirst && time < kEnd ? Datum::timestamp(time) : Datum::error();
}

/// A double as an integer, or an error when it does not fit (NaN included). CEL leaves -2^63 out as
/// well.
Datum to_integer(double value) {
  if (!(value > -9223372036854775808.0 && value < 9223372036854775808.0)) return Datum::error();
  return Datum::integer(static_cast<std::int64_t>(value));
}

std::size_t characters(std::string_view text) {
  std::size_t count = 0;
  // Continuation bytes belong to the character before them.
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80 ? 1 : 0;
  return count;
}

Datum map_ascii(std::string_view text, char low, char high, int shift, StringPool& pool) {
  auto& out = pool.next();
  out.assign(text);
  for (char& c : out) {
    if (c >= low && c <= high) c = static_cast<char>(c + shift);
  }
  return Datum::string(out);
}

template <double (*F)(double)>
Datum real_function(Arguments a, StringPool&) {
  return Datum::real(F(a[0].number()));
}

double round_half_away(double x) { return std::round(x); }

Datum day_of_year(Arguments a, StringPool&) {
  static constexpr int kBefore[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
  const auto date = civil_date(a[0].i);
  const bool leap = (date.year % 4 == 0 && date.year % 100 != 0) || date.year % 400 == 0;
  // From 0, as CEL counts the days of a year.
  return Datum::integer(kBefore[date.month - 1] + date.day - 1 + (leap && date.month > 2 ? 1 : 0));
}

Datum parse_integer(Arguments a, StringPool&) {
  const auto text = a[0].str();
  std::int64_t value = 0;
  // `from_chars` takes neither spaces nor a `+`, so that neither is part of a number.
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  return code == std::errc() && end == text.data() + text.size() && !text.empty()
             ? Datum::integer(value)
             : Datum::error();
}

Datum parse_real(Arguments a, StringPool&) {
  const auto text = a[0].str();
  double value = 0;
  // `inf` and `nan` are numbers here, in any case of letters.
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  return code == std::errc() && end == text.data() + text.size() && !text.empty()
             ? Datum::real(value)
             : Datum::error();
}

Datum number_text(Arguments a, StringPool& pool) {
  char buffer[40];
  char* end = a[0].kind == Kind::kInt ? std::to_chars(buffer, buffer + sizeof buffer, a[0].i).ptr
                                      : std::to_chars(buffer, buffer + sizeof buffer, a[0].d).ptr;
  return string_of({buffer, static_cast<std::size_t>(end - buffer)}, pool);
}

Datum day_of_week(Arguments a, StringPool&) {
  const auto day = (floor_div(a[0].i, kDay) + 4) % 7;  // the epoch was a Thursday
  return Datum::integer(day < 0 ? day + 7 : day);
}
Datum hour_of_day(Arguments a, StringPool&) { return Datum::integer(in_day(a[0].i) / kHour); }

/// RFC 3339 in UTC, written in place so that nothing is allocated.
Datum time_text(Arguments a, StringPool& pool) {
  const auto date = civil_date(a[0].i);
  const Micros rest = in_day(a[0].i);
  const auto seconds = rest / kSecond;
  auto& out = pool.next();
  out.clear();
  fmt::format_to(std::back_inserter(out), "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", date.year,
                 date.month, date.day, seconds / 3600, seconds / 60 % 60, seconds % 60);
  if (rest % kSecond != 0) fmt::format_to(std::back_inserter(out), ".{:06}", rest % kSecond);
  out += 'Z';
  return Datum::string(out);
}

/// Seconds, as CEL writes a duration: `5400s`, `-0.25s`.
Datum duration_text(Arguments a, StringPool& pool) {
  auto& out = pool.next();
  out.clear();
  const Micros seconds = a[0].i / kSecond;
  const Micros rest = a[0].i % kSecond;
  // A sign of 0 seconds is lost otherwise: -0.25 s.
  fmt::format_to(std::back_inserter(out), "{}{}", a[0].i < 0 && seconds == 0 ? "-" : "", seconds);
  if (rest != 0) {
    fmt::format_to(std::back_inserter(out), ".{:06}", rest < 0 ? -rest : rest);
    while (out.back() == '0') out.pop_back();
  }
  out += 's';
  return Datum::string(out);
}

/// The spellings CEL takes.
Datum parse_bool(Arguments a, StringPool&) {
  for (const std::string_view yes : {"true", "TRUE", "True", "t", "1"}) {
    if (a[0].str() == yes) return Datum::boolean(true);
  }
  for (const std::string_view no : {"false", "FALSE", "False", "f", "0"}) {
    if (a[0].str() == no) return Datum::boolean(false);
  }
  return Datum::error();
}

/// floor(value / width) as an integer: the number of the bucket of that width, counted from 0.
Datum bucket(Arguments a, StringPool&) {
  const double width = a[1].number();
  // Also for a width that is not a number.
  if (!(width > 0)) return Datum::error();
  return to_integer(std::floor(a[0].number() / width));
}

constexpr Type kB = Type::kBool;
constexpr Type kI = Type::kInt;
constexpr Type kD = Type::kDouble;
constexpr Type kS = Type::kString;
constexpr Type kT = Type::kTimestamp;
constexpr Type kU = Type::kDuration;

const Builtin kBuiltins[] = {
    {"size", "s", kI, false,
     [](Arguments a, StringPool&) {
       return Datum::integer(static_cast<std::int64_t>(characters(a[0].str())));
     }},
    {"size", "l", kI, false,
     [](Arguments a, StringPool&) { return Datum::integer(a[0].list->size); }},
    {"startsWith", "ss", kB, false,
     [](Arguments a, StringPool&) {
       return Datum::boolean(a[0].str().substr(0, a[1].size) == a[1].str());
     }},
    {"endsWith", "ss", kB, false,
     [](Arguments a, StringPool&) {
       return Datum::boolean(a[0].size >= a[1].size &&
                             a[0].str().substr(a[0].size - a[1].size) == a[1].str());
     }},
    {"contains", "ss", kB, false,
     [](Arguments a, StringPool&) {
       return Datum::boolean(a[0].str().find(a[1].str()) != std::string_view::npos);
     }},
    {"lowerAscii", "s", kS, false,
     [](Arguments a, StringPool& pool) { return map_ascii(a[0].str(), 'A', 'Z', 32, pool); }},
    {"upperAscii", "s", kS, false,
     [](Arguments a, StringPool& pool) { return map_ascii(a[0].str(), 'a', 'z', -32, pool); }},
    {"string", "s", kS, false, [](Arguments a, StringPool&) { return a[0]; }},
    {"string", "b", kS, false,
     [](Arguments a, StringPool&) { return Datum::string(a[0].b ? "true" : "false"); }},
    {"string", "i", kS, false, number_text},
    {"string", "d", kS, false, number_text},
    {"string", "t", kS, false, time_text},
    {"string", "u", kS, false, duration_text},
    {"int", "i", kI, false, [](Arguments a, StringPool&) { return a[0]; }},
    {"int", "d", kI, false, [](Arguments a, StringPool&) { return to_integer(a[0].d); }},
    {"int", "s", kI, false, parse_integer},
    {"int", "t", kI, false,
     [](Arguments a, StringPool&) { return Datum::integer(floor_div(a[0].i, kSecond)); }},
    {"double", "n", kD, false, [](Arguments a, StringPool&) { return Datum::real(a[0].number()); }},
    {"double", "s", kD, false, parse_real},
    {"bool", "b", kB, false, [](Arguments a, StringPool&) { return a[0]; }},
    {"bool", "s", kB, false, parse_bool},
    {"timestamp", "t", kT, false, [](Arguments a, StringPool&) { return a[0]; }},
    {"timestamp", "s", kT, false,
     [](Arguments a, StringPool&) {
       const auto t = parse_time(a[0].str());
       return t ? in_range(*t) : Datum::error();
     }},
    {"timestamp", "i", kT, false,
     [](Arguments a, StringPool&) {
       std::int64_t us = 0;
       return __builtin_mul_overflow(a[0].i, kSecond, &us) ? Datum::error() : in_range(us);
     }},
    {"duration", "u", kU, false, [](Arguments a, StringPool&) { return a[0]; }},
    {"duration", "s", kU, false,
     [](Arguments a, StringPool&) {
       // CEL's durations have a sign, ours in definitions have none.
       const bool negative = a[0].size > 0 && a[0].s[0] == '-';
       const auto d = parse_duration(a[0].str().substr(negative ? 1 : 0));
       return d ? Datum::duration(negative ? -*d : *d) : Datum::error();
     }},
    {"getFullYear", "t", kI, false,
     [](Arguments a, StringPool&) { return Datum::integer(civil_date(a[0].i).year); }},
    // CEL counts months from 0, and the days of `getDayOfMonth` and `getDayOfYear` too.
    {"getMonth", "t", kI, false,
     [](Arguments a, StringPool&) { return Datum::integer(civil_date(a[0].i).month - 1); }},
    {"getDate", "t", kI, false,
     [](Arguments a, StringPool&) { return Datum::integer(civil_date(a[0].i).day); }},
    {"getDayOfMonth", "t", kI, false,
     [](Arguments a, StringPool&) { return Datum::integer(civil_date(a[0].i).day - 1); }},
    {"getDayOfWeek", "t", kI, false, day_of_week},
    {"getDayOfYear", "t", kI, false, day_of_year},
    {"getHours", "t", kI, false, hour_of_day},
    {"getMinutes", "t", kI, false,
     [](Arguments a, StringPool&) { return Datum::integer(in_day(a[0].i) / kMinute % 60); }},
    {"getSeconds", "t", kI, false,
     [](Arguments a, StringPool&) { return Datum::integer(in_day(a[0].i) / kSecond % 60); }},
    {"getMilliseconds", "t", kI, false,
     [](Arguments a, StringPool&) { return Datum::integer(in_day(a[0].i) / 1000 % 1000); }},
    {"getHours", "u", kI, false,
     [](Arguments a, StringPool&) { return Datum::integer(a[0].i / kHour); }},
    {"getMinutes", "u", kI, false,
     [](Arguments a, StringPool&) { return Datum::integer(a[0].i / kMinute); }},
    {"getSeconds", "u", kI, false,
     [](Arguments a, StringPool&) { return Datum::integer(a[0].i / kSecond); }},
    {"getMilliseconds", "u", kI, false,
     [](Arguments a, StringPool&) { return Datum::integer(a[0].i / 1000 % 1000); }},
    {"hour_of_day", "t", kI, false, hour_of_day},
    {"day_of_week", "t", kI, false, day_of_week},
    {"minute_of_day", "t", kI, false,
     [](Arguments a, StringPool&) { return Datum::integer(in_day(a[0].i) / kMinute); }},
    {"abs", "i", kI, false,
     [](Arguments a, StringPool&) {
       // Its magnitude is one more than the largest integer.
       return a[0].i == INT64_MIN ? Datum::error() : Datum::integer(a[0].i < 0 ? -a[0].i : a[0].i);
     }},
    {"abs", "d", kD, false,
     [](Arguments a, StringPool&) { return Datum::real(std::fabs(a[0].d)); }},
    {"floor", "n", kD, false,
     [](Arguments a, StringPool&) { return Datum::real(std::floor(a[0].number())); }},
    {"ceil", "n", kD, false,
     [](Arguments a, StringPool&) { return Datum::real(std::ceil(a[0].number())); }},
    {"round", "n", kD, false, real_function<round_half_away>},
    {"sqrt", "n", kD, false,
     [](Arguments a, StringPool&) { return Datum::real(std::sqrt(a[0].number())); }},
    // By `stats`: the C library's last bit depends on the machine.
    {"exp", "n", kD, false,
     [](Arguments a, StringPool&) { return Datum::real(stats::exp(a[0].number())); }},
    {"log", "n", kD, false,
     [](Arguments a, StringPool&) { return Datum::real(stats::log(a[0].number())); }},
    {"log1p", "n", kD, false,
     [](Arguments a, StringPool&) { return Datum::real(stats::log1p(a[0].number())); }},
    // With NaN the first argument comes out; `extreme` in values.cpp follows from that.
    {"min", "ii", kI, false,
     [](Arguments a, StringPool&) { return Datum::integer(std::min(a[0].i, a[1].i)); }},
    {"min", "nn", kD, false,
     [](Arguments a, StringPool&) { return Datum::real(std::min(a[0].number(), a[1].number())); }},
    {"max", "ii", kI, false,
     [](Arguments a, StringPool&) { return Datum::integer(std::max(a[0].i, a[1].i)); }},
    {"max", "nn", kD, false,
     [](Arguments a, StringPool&) { return Datum::real(std::max(a[0].number(), a[1].number())); }},
    {"bucket", "nn", kI, false, bucket},
    {"is_null", "a", kB, true,
     [](Arguments a, StringPool&) { return Datum::boolean(a[0].is_null()); }},
    {"coalesce", "ii", kI, true,
     [](Arguments a, StringPool&) { return a[0].is_null() ? a[1] : a[0]; }},
    {"coalesce", "nn", kD, true,
     [](Arguments a, StringPool&) {
       const Datum& x = a[0].is_null() ? a[1] : a[0];
       return x.is_null() ? x : Datum::real(x.number());
     }},
    {"coalesce", "ss", kS, true,
     [](Arguments a, StringPool&) { return a[0].is_null() ? a[1] : a[0]; }},
    {"coalesce", "bb", kB, true,
     [](Arguments a, StringPool&) { return a[0].is_null() ? a[1] : a[0]; }},
    {"coalesce", "uu", kU, true,
     [](Arguments a, StringPool&) { return a[0].is_null() ? a[1] : a[0]; }},
    {"coalesce", "tt", kT, true,
     [](Arguments a, StringPool&) { return a[0].is_null() ? a[1] : a[0]; }},
};

bool is_number(const Datum& a) { return a.kind == Kind::kInt || a.kind == Kind::kDouble; }

/// Null or error of an operation on two values; nullopt-like: kBool true means "go on".
Datum propagate(const Datum& a, const Datum& b) {
  if (a.is_error() || b.is_error()) return Datum::error();
  if (a.is_null() || b.is_null()) return Datum::null();
  return Datum::boolean(true);
}

template <class Checked, class Real>
Datum arithmetic(const Datum& a, const Datum& b, Checked checked, Real real) {
  if (a.kind == Kind::kInt && b.kind == Kind::kInt) {
    std::int64_t out = 0;
    return checked(a.i, b.i, &out) ? Datum::error() : Datum::integer(out);
  }
  return Datum::real(real(a.number(), b.number()));
}

}  // namespace

std::string& StringPool::next() {
  if (used_ == strings_.size()) strings_.push_back(std::make_unique<std::string>());
  return *strings_[used_++];
}

std::span<const Builtin> builtins() noexcept { return kBuiltins; }

Datum add(Datum a, Datum b, StringPool& pool) noexcept {
  if (const auto state = propagate(a, b); !state.is_true()) return state;
  if (is_number(a)) {
    return arithmetic(
        a, b, [](auto x, auto y, auto* out) { return __builtin_add_overflow(x, y, out); },
        [](double x, double y) { return x + y; });
  }
  if (a.kind == Kind::kString) {
    auto& out = pool.next();
    out.assign(a.str());
    out.append(b.str());
    return Datum::string(out);
  }
  std::int64_t out = 0;
  if (__builtin_add_overflow(a.i, b.i, &out)) return Datum::error();
  // Only a computed time is bounded; a duration may be as long as it likes.
  return a.kind == Kind::kTimestamp || b.kind == Kind::kTimestamp ? in_range(out)
                                                                  : Datum::duration(out);
}

Datum subtract(Datum a, Datum b) noexcept {
  if (const auto state = propagate(a, b); !state.is_true()) return state;
  if (is_number(a)) {
    return arithmetic(
        a, b, [](auto x, auto y, auto* out) { return __builtin_sub_overflow(x, y, out); },
        [](double x, double y) { return x - y; });
  }
  std::int64_t out = 0;
  if (__builtin_sub_overflow(a.i, b.i, &out)) return Datum::error();
  return a.kind == Kind::kTimestamp && b.kind == Kind::kDuration ? in_range(out)
                                                                 : Datum::duration(out);
}

Datum multiply(Datum a, Datum b) noexcept {
  if (const auto state = propagate(a, b); !state.is_true()) return state;
  return arithmetic(
      a, b, [](auto x, auto y, auto* out) { return __builtin_mul_overflow(x, y, out); },
      [](double x, double y) { return x * y; });
}

Datum divide(Datum a, Datum b) noexcept {
  if (const auto state = propagate(a, b); !state.is_true()) return state;
  if (a.kind == Kind::kInt && b.kind == Kind::kInt) {
    if (b.i == 0 || (a.i == INT64_MIN && b.i == -1)) return Datum::error();
    return Datum::integer(a.i / b.i);
  }
  return Datum::real(a.number() / b.number());
}

Datum modulo(Datum a, Datum b) noexcept {
  if (const auto state = propagate(a, b); !state.is_true()) return state;
  if (b.i == 0 || (a.i == INT64_MIN && b.i == -1)) return Datum::error();
  return Datum::integer(a.i % b.i);
}

Datum negate(Datum a) noexcept {
  if (a.is_null() || a.is_error()) return a;
  if (a.kind == Kind::kDouble) return Datum::real(-a.d);
  if (a.i == INT64_MIN) return Datum::error();
  return a.kind == Kind::kDuration ? Datum::duration(-a.i) : Datum::integer(-a.i);
}

namespace {

constexpr int kUnordered = 2;  ///< of `compare`: one of the two is NaN

template <class T>
int order(const T& x, const T& y) noexcept {
  if (x < y) return -1;
  return y < x ? 1 : 0;
}

int compare_reals(double a, double b) noexcept {
  if (a < b) return -1;
  if (a > b) return 1;
  return a == b ? 0 : kUnordered;
}

/// Exactly: a 64-bit integer may not be representable as a double.
int compare_mixed(std::int64_t whole, double real) noexcept {
  if (std::isnan(real)) return kUnordered;
  // Past what the cast below may be given.
  if (real >= 0x1p63) return -1;
  if (real < -0x1p63) return 1;
  const auto truncated = static_cast<std::int64_t>(real);
  const int result = order(whole, truncated);
  // Equal so far: the fraction that was cut off decides.
  return result != 0 ? result : order(0.0, real - static_cast<double>(truncated));
}

}  // namespace

int compare(Datum a, Datum b) noexcept {
  if (a.kind == Kind::kString) return order(a.str(), b.str());
  if (a.kind == Kind::kBool) return order(a.b, b.b);
  // Integers, times and durations are all 64-bit numbers.
  if (a.kind != Kind::kDouble && b.kind != Kind::kDouble) return order(a.i, b.i);
  if (a.kind == Kind::kDouble && b.kind == Kind::kDouble) return compare_reals(a.d, b.d);
  if (a.kind != Kind::kDouble) return compare_mixed(a.i, b.d);
  const int result = compare_mixed(b.i, a.d);
  return result == kUnordered ? kUnordered : -result;
}

bool equal(Datum a, Datum b) noexcept {
  if (a.is_null() || b.is_null()) return a.is_null() && b.is_null();
  if (is_number(a) != is_number(b) || (!is_number(a) && a.kind != b.kind)) return false;
  if (a.kind == Kind::kList)
    return std::equal(a.list->items, a.list->items + a.list->size, b.list->items,
                      b.list->items + b.list->size, equal);
  return compare(a, b) == 0;
}

}  // namespace heddle::expr
