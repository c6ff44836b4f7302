#include "base/clock.hpp"

#include <fmt/format.h>

#include <chrono>
#include <ctime>

namespace heddle {
namespace {

class SystemClock final : public Clock {
 public:
  Micros wall() const override {
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
  std::int64_t mono_ns() const override {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
};

Micros floor_days(Micros time) { return time / kDay - (time % kDay < 0 ? 1 : 0); }

bool is_digit_at(std::string_view text, std::size_t at) {
  return at < text.size() && text[at] >= '0' && text[at] <= '9';
}

/// Reads exactly `digits` decimal digits at `text[at]` and moves `at` past them; -1 when they are
/// not there.
int read_digits(std::string_view text, std::size_t& at, int digits) {
  int value = 0;
  for (int i = 0; i < digits; ++i, ++at) {
    if (!is_digit_at(text, at)) return -1;
    value = value * 10 + (text[at] - '0');
  }
  return value;
}

/// Reads a number of two digits from `least` to `most`; -1 when it is none.
int read_pair(std::string_view text, std::size_t& at, int least, int most) {
  if (!is_digit_at(text, at) || !is_digit_at(text, at + 1)) return -1;
  const int value = (text[at] - '0') * 10 + (text[at + 1] - '0');
  at += 2;
  return value >= least && value <= most ? value : -1;
}

bool take(std::string_view text, std::size_t& at, char c) {
  if (at >= text.size() || text[at] != c) return false;
  ++at;
  return true;
}

int days_in_month(int year, int month) {
  static constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return kDays[month - 1] + (month == 2 && leap ? 1 : 0);
}

/// `2001-02-28` as the beginning of that day.
std::optional<Micros> read_date(std::string_view text, std::size_t& at) {
  // Exactly four digits: ISO 8601 wants an agreement between the parties for more.
  const int year = read_digits(text, at, 4);
  if (year < 0 || !take(text, at, '-')) return std::nullopt;
  const int month = read_pair(text, at, 1, 12);
  if (month < 0 || !take(text, at, '-')) return std::nullopt;
  const int day = read_pair(text, at, 1, days_in_month(year, month));
  if (day < 0) return std::nullopt;
  return from_civil({year, month, day});
}

/// The one to nine digits behind the point of a second.
std::optional<Micros> read_fraction(std::string_view text, std::size_t& at) {
  Micros value = 0;
  Micros unit = kSecond / 10;
  int digits = 0;
  // Past the sixth digit the unit is 0: nanoseconds are cut off, toward the past.
  for (; is_digit_at(text, at); ++at, ++digits, unit /= 10) {
    if (digits == 9) return std::nullopt;
    value += (text[at] - '0') * unit;
  }
  if (digits == 0) return std::nullopt;
  return value;
}

/// `23:59`, `23:59:59` or `23:59:59.5`, since midnight.
std::optional<Micros> read_time_of_day(std::string_view text, std::size_t& at) {
  const int hour = read_pair(text, at, 0, 23);
  if (hour < 0 || !take(text, at, ':')) return std::nullopt;
  const int minute = read_pair(text, at, 0, 59);
  if (minute < 0) return std::nullopt;
  const Micros time = hour * kHour + minute * kMinute;
  if (!take(text, at, ':')) return time;
  // A leap second, 60, is refused: it has no place of its own in microseconds since 1970.
  const int second = read_pair(text, at, 0, 59);
  if (second < 0) return std::nullopt;
  if (!take(text, at, '.')) return time + second * kSecond;
  const auto fraction = read_fraction(text, at);
  if (!fraction) return std::nullopt;
  return time + second * kSecond + *fraction;
}

/// `Z`, `+05:30`, `+0530` or `+05`: how far a time is ahead of UTC.
std::optional<Micros> read_offset(std::string_view text, std::size_t& at) {
  if (take(text, at, 'Z')) return 0;
  // The caller has seen that there is a character.
  const char sign = text[at++];
  if (sign != '+' && sign != '-') return std::nullopt;
  const int hours = read_pair(text, at, 0, 23);
  if (hours < 0) return std::nullopt;
  int minutes = 0;
  if (at != text.size()) {  // `+05` alone is whole hours; the colon of `+05:30` may be left out
    (void)take(text, at, ':');
    minutes = read_pair(text, at, 0, 59);
  }
  if (minutes < 0) return std::nullopt;
  const Micros offset = hours * kHour + minutes * kMinute;
  return sign == '+' ? offset : -offset;
}

/// The unit at `text[at]`, moving `at` past it; 0 when it is none.
Micros take_unit(std::string_view text, std::size_t& at) {
  // Before `m`: `5ms` would be five minutes and an `s`.
  if (text.substr(at, 2) == "ms") {
    at += 2;
    return kSecond / 1000;
  }
  switch (text[at++]) {
    case 's': return kSecond;
    case 'm': return kMinute;
    case 'h': return kHour;
    case 'd': return kDay;
    default: return 0;
  }
}

}  // namespace

const Clock& system_clock() {
  static const SystemClock clock;
  return clock;
}

// Days to civil and back: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms" (2013).
CivilDate civil_date(Micros time) noexcept {
  const std::int64_t z = floor_days(time) + 719468;
  const std::int64_t era = (z >= 0 ? z : z - 146096) / 146097;
  const auto doe = static_cast<unsigned>(z - era * 146097);
  const unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  const unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  const unsigned mp = (5 * doy + 2) / 153;
  const int month = static_cast<int>(mp < 10 ? mp + 3 : mp - 9);
  const auto year =
      static_cast<int>(static_cast<std::int64_t>(yoe) + era * 400) + (month <= 2 ? 1 : 0);
  return {year, month, static_cast<int>(doy - (153 * mp + 2) / 5 + 1)};
}

Micros from_civil(CivilDate date) noexcept {
  const int y = date.year - (date.month <= 2 ? 1 : 0);
  const int era = (y >= 0 ? y : y - 399) / 400;
  const auto yoe = static_cast<unsigned>(y - era * 400);
  const auto month = static_cast<unsigned>(date.month);
  const unsigned doy =
      (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + static_cast<unsigned>(date.day) - 1;
  const unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
  return (static_cast<std::int64_t>(era) * 146097 + static_cast<std::int64_t>(doe) - 719468) * kDay;
}

std::string format_date(Micros time) {
  const auto date = civil_date(time);
  return fmt::format("{:04}-{:02}-{:02}", date.year, date.month, date.day);
}

std::string format_time(Micros time) {
  const Micros rest = time % kDay + (time % kDay < 0 ? kDay : 0);
  const Micros seconds = rest / kSecond;
  std::string text = fmt::format("{}T{:02}:{:02}:{:02}", format_date(time), seconds / 3600,
                                 seconds / 60 % 60, seconds % 60);
  if (rest % kSecond != 0) text += fmt::format(".{:06}", rest % kSecond);
  return text + "Z";
}

std::optional<Micros> parse_time(std::string_view text) noexcept {
  std::size_t at = 0;
  const auto day = read_date(text, at);
  if (!day || at == text.size()) return day;
  // RFC 3339, section 5.6, allows a space in place of the `T`.
  if (!take(text, at, 'T') && !take(text, at, ' ')) return std::nullopt;
  const auto since_midnight = read_time_of_day(text, at);
  if (!since_midnight) return std::nullopt;
  const Micros time = *day + *since_midnight;
  if (at == text.size()) return time;  // without an offset it is UTC
  const auto offset = read_offset(text, at);
  if (!offset || at != text.size()) return std::nullopt;
  return time - *offset;
}

std::optional<Micros> parse_duration(std::string_view text) noexcept {
  if (text.empty()) return std::nullopt;
  Micros total = 0;
  std::size_t at = 0;
  while (at < text.size()) {
    Micros value = 0;
    std::size_t digits = 0;
    for (; is_digit_at(text, at); ++at, ++digits) {
      // Twelve digits fit 64 bits before the unit is looked at.
      if (digits == 12) return std::nullopt;
      value = value * 10 + (text[at] - '0');
    }
    if (digits == 0 || at == text.size()) return std::nullopt;
    const Micros unit = take_unit(text, at);
    Micros part = 0;
    if (unit == 0 || __builtin_mul_overflow(value, unit, &part) ||
        __builtin_add_overflow(total, part, &total))
      return std::nullopt;
  }
  return total;
}

std::string format_duration(Micros duration) {
  if (duration < 0) return "-" + format_duration(-duration);
  if (duration < kSecond) return fmt::format("{}ms", duration / 1000);
  if (duration < kMinute) return fmt::format("{}s", duration / kSecond);
  if (duration < kHour) return fmt::format("{}m", duration / kMinute);
  if (duration < kDay) {
    const auto minutes = duration / kMinute % 60;
    return minutes == 0 ? fmt::format("{}h", duration / kHour)
                        : fmt::format("{}h {}m", duration / kHour, minutes);
  }
  const auto hours = duration / kHour % 24;
  return hours == 0 ? fmt::format("{}d", duration / kDay)
                    : fmt::format("{}d {}h", duration / kDay, hours);
}

}  // namespace heddle
