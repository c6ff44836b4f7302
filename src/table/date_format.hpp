#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"

namespace heddle::table {

/// A layout of dates and times that is not ISO 8601, in the directives of `strptime`: `%Y` `%y`
/// `%m` `%b` `%B` `%d` `%H` `%I` `%p` `%M` `%S` `%f` `%z` `%%`. Month names are English, in any
/// case of letters. `%y` is of 1969 to 2068, as POSIX has it. Days, months and hours have one or
/// two digits. A space stands for any number of spaces and tabs; other signs stand for themselves.
/// Without `%z` a time is UTC. Immutable; any number of threads may parse.
class DateFormat {
 public:
  /// kInvalid `date-format`: a directive that is not known or appears twice, or a day that the
  /// layout does not fix. `ISO 8601` is `parse_time`'s own layout.
  [[nodiscard]] static Result<DateFormat> compile(std::string_view layout);

  /// Nothing where the text is not of the layout, or no day of the calendar. Allocates nothing.
  [[nodiscard]] std::optional<Micros> parse(std::string_view text) const noexcept;

  /// The time in this layout, so that `parse` gives it again: in UTC, in full digits. Nothing where
  /// the layout leaves a part of it out, for example the second.
  [[nodiscard]] std::optional<std::string> format(Micros time) const;

  /// Whether it is the layout in which times are read anyway.
  [[nodiscard]] bool is_iso() const noexcept { return parts_.empty(); }

 private:
  /// A directive by its letter, or a sign to stand as it is (`is_sign`).
  struct Part {
    char letter;
    bool is_sign;
  };
  std::vector<Part> parts_{};  ///< empty: ISO 8601
};

}  // namespace heddle::table
