#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.hpp"

namespace heddle::profile {

/// What the text of a cell looks like.
enum class Look : std::uint8_t {
  kBlank,      ///< nothing but spaces
  kNan,        ///< `nan`, which readers of numbers take for a missing value
  kMissing,    ///< another word that people write for no value: `NA`, `?`, `None`
  kInteger,    ///< `12`, `-3`, `12.0`
  kNumber,     ///< `1.5`, `2e-3`
  kComma,      ///< a number with a decimal comma: `1,5`, `1.234,56`
  kBoolean,    ///< `true`, `False`
  kTime,       ///< a date or time as ISO 8601 writes it
  kOtherTime,  ///< a date as people write it: `31/12/2011`, `3 Jan 2012`
  kText
};
inline constexpr std::size_t kLooks = 10;

struct Seen {
  Look look = Look::kText;
  double number = 0;          ///< of kInteger, kNumber and kComma
  Micros time = 0;            ///< of kTime
  bool leading_zero = false;  ///< of kInteger: `007`
  bool is_zoned = false;      ///< of kTime: it names its offset from UTC
  int offset_minutes = 0;     ///< of kTime
  bool has_spaces = false;    ///< before or after
};

/// By the rules by which every reader of rows reads a cell (table/cell.hpp), then by those of
/// people.
[[nodiscard]] Seen look_at(std::string_view text);

/// `look` as people say it: `a whole number`.
[[nodiscard]] std::string_view in_words(Look look) noexcept;

/// The text with each letter as `a` or `A`, each digit as `9`, what else there is as it stands, and
/// `+` after what repeats: `AB-123` is `A+-9+`. `exact`: counts in place of `+`, `A{2}-9{3}`.
[[nodiscard]] std::string shape_of(std::string_view text, bool exact);

}  // namespace heddle::profile
