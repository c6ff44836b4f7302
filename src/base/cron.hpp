#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/clock.hpp"
#include "base/result.hpp"

namespace heddle {

/// The minutes that a crontab line names, in UTC: minute, hour, day of the month, month and day of
/// the week, each `*`, a number, a range `1-5`, a list of them, with a step `*/15`. Months and days
/// of the week may be named by three letters; Sunday is 0 and 7. As in POSIX's crontab, of a day of
/// the month and a day of the week that are both restricted either is enough. A value type.
class Cron {
 public:
  /// kInvalid `bad-schedule`: what is wrong with which field. A line that names no minute at all
  /// (February 30) is refused too.
  [[nodiscard]] static Result<Cron> parse(std::string_view line);
  /// The first minute after `after`.
  [[nodiscard]] Micros next(Micros after) const;

 private:
  Cron() = default;
  [[nodiscard]] bool has_day(Micros midnight) const;
  /// The first minute of a day from `minute` on, in minutes since midnight; none is left.
  [[nodiscard]] std::optional<int> minute_from(int minute) const;
  [[nodiscard]] std::optional<Micros> find(Micros after) const;

  // Bit i: the value i.
  std::uint64_t minutes_ = 0;
  std::uint64_t hours_ = 0;
  std::uint64_t days_ = 0;
  std::uint64_t months_ = 0;
  std::uint64_t week_days_ = 0;
  bool is_any_day_ = false;       ///< day of the month is `*`
  bool is_any_week_day_ = false;  ///< likewise
};

}  // namespace heddle
