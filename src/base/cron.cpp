#include "base/cron.hpp"

#include <array>
#include <charconv>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace heddle {
namespace {

using Names = std::span<const std::string_view>;

constexpr std::array<std::string_view, 12> kMonthNames{"jan", "feb", "mar", "apr", "may", "jun",
                                                       "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> kWeekDayNames{"sun", "mon", "tue", "wed",
                                                        "thu", "fri", "sat"};
/// Within it every line that ever fits has fitted: February 29 is eight years away at most.
constexpr int kMostDays = 366 * 9;
constexpr int kMinutesOfDay = 24 * 60;

struct CronField {
  std::string_view name;
  int low;
  int high;
  Names names{};
  int first_name = 0;  ///< value of the first of them
};
constexpr std::array<CronField, 5> kFields{{{"minute", 0, 59},
                                            {"hour", 0, 23},
                                            {"day of the month", 1, 31},
                                            {"month", 1, 12, kMonthNames, 1},
                                            {"day of the week", 0, 7, kWeekDayNames, 0}}};

Error bad_schedule(std::string message) {
  return {ErrorKind::kInvalid, "bad-schedule", std::move(message),
          "write minute, hour, day of the month, month and day of the week: `30 2 * * *` is each "
          "day at 02:30 UTC"};
}

std::vector<std::string_view> split(std::string_view text, std::string_view at) {
  std::vector<std::string_view> out;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find_first_of(at, begin), text.size());
    out.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

std::optional<int> number_of(std::string_view text, const CronField& field) {
  std::string lower;
  for (const char c : text)
    lower.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
  // A name before a number: neither can be the other.
  for (std::size_t i = 0; i < field.names.size(); ++i) {
    if (field.names[i] == lower) return field.first_name + static_cast<int>(i);
  }
  int value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (value < field.low || value > field.high) return std::nullopt;
  return value;
}

/// `*`, `5`, `1-5`, `*/15`, `1-31/2`: adds the values.
Result<void> add_item(std::string_view item, const CronField& field, std::uint64_t& bits) {
  const auto wrong = [&] {
    return bad_schedule(
        fmt::format("`{}` is no {}: from {} to {}", item, field.name, field.low, field.high));
  };
  const auto slash = item.find('/');
  int step = 1;
  if (slash != std::string_view::npos) {
    const std::string_view text = item.substr(slash + 1);
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), step);
    if (failed != std::errc() || end != text.data() + text.size() || step < 1) return wrong();
  }
  const std::string_view range = item.substr(0, slash);
  int low = field.low;
  int high = field.high;
  if (range != "*") {
    const auto dash = range.find('-');
    const auto first = number_of(range.substr(0, dash), field);
    if (!first) return wrong();
    low = high = *first;
    if (dash != std::string_view::npos) {
      const auto last = number_of(range.substr(dash + 1), field);
      if (!last || *last < low) return wrong();
      high = *last;
    } else if (slash != std::string_view::npos) {
      high = field.high;
    }
  }
  for (int value = low; value <= high; value += step) bits |= std::uint64_t{1} << value;
  return {};
}

}  // namespace

Result<Cron> Cron::parse(std::string_view line) {
  std::vector<std::string_view> words;
  for (const std::string_view word : split(line, " \t")) {
    if (!word.empty()) words.push_back(word);
  }
  if (words.size() != kFields.size())
    return bad_schedule(fmt::format("`{}` has {} fields, a schedule five", line, words.size()));
  Cron out;
  const std::array<std::uint64_t*, 5> bits{&out.minutes_, &out.hours_, &out.days_, &out.months_,
                                           &out.week_days_};
  for (std::size_t i = 0; i < words.size(); ++i) {
    for (const std::string_view item : split(words[i], ","))
      HEDDLE_TRY(add_item(item, kFields[i], *bits[i]));
  }
  // Sunday has two numbers.
  if ((out.week_days_ >> 7 & 1) != 0) out.week_days_ |= 1;
  out.is_any_day_ = words[2].starts_with('*');
  out.is_any_week_day_ = words[4].starts_with('*');
  if (!out.find(0)) return bad_schedule(fmt::format("`{}` names no day that there is", line));
  return out;
}

bool Cron::has_day(Micros midnight) const {
  const CivilDate date = civil_date(midnight);
  if ((months_ >> date.month & 1) == 0) return false;
  const bool is_day = (days_ >> date.day & 1) != 0;
  // 1970-01-01 was a Thursday.
  const bool is_week_day = (week_days_ >> (((midnight / kDay + 4) % 7 + 7) % 7) & 1) != 0;
  // As cron has it: where both days are restricted,
  // either one will do; else the restricted one counts.
  return is_any_day_ || is_any_week_day_ ? is_day && is_week_day : is_day || is_week_day;
}

std::optional<int> Cron::minute_from(int minute) const {
  for (; minute < kMinutesOfDay; ++minute) {
    // The rest of an hour that does not fit is passed over at once.
    if ((hours_ >> minute / 60 & 1) == 0) {
      minute += 59 - minute % 60;
      continue;
    }
    if ((minutes_ >> minute % 60 & 1) != 0) return minute;
  }
  return std::nullopt;
}

std::optional<Micros> Cron::find(Micros after) const {
  // Rounded down, also before 1970.
  Micros midnight = after - ((after % kDay) + kDay) % kDay;
  int minute = static_cast<int>((after - midnight) / kMinute) + 1;
  for (int i = 0; i < kMostDays; ++i, midnight += kDay, minute = 0) {
    if (!has_day(midnight)) continue;
    if (const auto found = minute_from(minute)) return midnight + *found * kMinute;
  }
  return std::nullopt;
}

Micros Cron::next(Micros after) const {
  const auto found = find(after);
  HEDDLE_CHECK(found.has_value(), "a schedule without a time was parsed");
  return *found;
}

}  // namespace heddle
