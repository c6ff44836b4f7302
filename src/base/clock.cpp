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

/// Reads exactly `digits` decimal digits at `text[at]` and moves `at` past them; -1 when they are
/// not there.
int read_digits(std::string_view text, std::size_t& at, int digits) {
  int value = 0;
  for (int i = 0; i < digits; ++i, ++at) {
    if (at >= text.size() || text[at] < '0' || text[at] > '9') return -1;
    value = value * 10 + (text[at] - '0');
  }
  return value;
}

bool take(std::string_view text, std::size_t& at, char c) {
  if (at >= text.size() || text[at] != c) return false;
  ++at;
  return true;
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
  const int year = read_digits(text, at, 4);
  if (year < 0 || !take(text, at, '-')) return std::nullopt;
  const int month = read_digits(text, at, 2);
  if (month < 1 || month > 12 || !take(text, at, '-')) return std::nullopt;
  const int day = read_digits(text, at, 2);
  static constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  if (day < 1 || day > kDays[month - 1] + (month == 2 && leap ? 1 : 0)) return std::nullopt;
  Micros time = from_civil({year, month, day});
  if (at == text.size()) return time;
  if (!take(text, at, 'T') && !take(text, at, ' ')) return std::nullopt;
  const int hour = read_digits(text, at, 2);
  if (hour < 0 || hour > 23 || !take(text, at, ':')) return std::nullopt;
  const int minute = read_digits(text, at, 2);
  if (minute < 0 || minute > 59) return std::nullopt;
  time += hour * kHour + minute * kMinute;
  if (take(text, at, ':')) {
    const int second = read_digits(text, at, 2);
    if (second < 0 || second > 59) return std::nullopt;
    time += second * kSecond;
    if (take(text, at, '.')) {
      Micros unit = kSecond / 10;
      int digits = 0;
      // Past the sixth digit the unit is 0: nanoseconds are cut off, toward the past.
      for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, ++digits, unit /= 10) {
        if (digits == 9) return std::nullopt;
        time += (text[at] - '0') * unit;
      }
      if (digits == 0) return std::nullopt;
    }
  }
  if (at == text.size()) return time;
  if (take(text, at, 'Z')) return at == text.size() ? std::optional(time) : std::nullopt;
  const char sign = text[at++];
  if (sign != '+' && sign != '-') return std::nullopt;
  const int offset_hours = read_digits(text, at, 2);
  if (offset_hours < 0 || offset_hours > 23) return std::nullopt;
  int offset_minutes = 0;
  if (at != text.size()) {  // `+05` alone is whole hours; the colon of `+05:30` may be left out
    (void)take(text, at, ':');
    offset_minutes = read_digits(text, at, 2);
  }
  if (offset_minutes < 0 || offset_minutes > 59 || at != text.size()) return std::nullopt;
  const Micros offset = offset_hours * kHour + offset_minutes * kMinute;
  return sign == '+' ? time - offset : time + offset;
}

std::optional<Micros> parse_duration(std::string_view text) noexcept {
  if (text.empty()) return std::nullopt;
  Micros total = 0;
  std::size_t at = 0;
  while (at < text.size()) {
    Micros value = 0;
    std::size_t digits = 0;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, ++digits) {
      if (digits == 12) return std::nullopt;
      value = value * 10 + (text[at] - '0');
    }
    if (digits == 0 || at == text.size()) return std::nullopt;
    Micros unit = 0;
    if (text.substr(at, 2) == "ms") {
      unit = kSecond / 1000;
      at += 2;
    } else {
      switch (text[at++]) {
        case 's': unit = kSecond; break;
        case 'm': unit = kMinute; break;
        case 'h': unit = kHour; break;
        case 'd': unit = kDay; break;
        default: return std::nullopt;
      }
    }
    Micros part = 0;
    if (__builtin_mul_overflow(value, unit, &part) || __builtin_add_overflow(total, part, &total))
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
