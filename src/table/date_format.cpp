#include "table/date_format.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "table/cell.hpp"

namespace heddle::table {
namespace {

constexpr std::string_view kIso = "ISO 8601";
constexpr std::string_view kDirectives = "YymbBdHIpMSfz";

constexpr std::array<std::string_view, 12> kMonths = {
    "january", "february", "march",     "april",   "may",      "june",
    "july",    "august",   "september", "october", "november", "december"};

Error bad(std::string_view layout, std::string what) {
  return Error{ErrorKind::kInvalid, "date-format",
               fmt::format("`{}` is no layout of dates: {}", layout, what),
               "write it in the directives of strptime, for example `%d.%m.%Y %H:%M`; they are "
               "%Y %y %m %b %B %d %H %I %p %M %S %f %z %%"};
}

bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }

char lower_case(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool begins_with(std::string_view text, std::string_view small) noexcept {
  return text.size() >= small.size() &&
         std::equal(small.begin(), small.end(), text.begin(),
                    [](char a, char b) { return a == lower_case(b); });
}

/// A text that is taken from the front, part by part.
class Scan {
 public:
  explicit Scan(std::string_view text) : text_(text) {}

  [[nodiscard]] bool at_end() const noexcept { return text_.empty(); }
  bool take(char sign) noexcept {
    if (text_.empty() || text_.front() != sign) return false;
    text_.remove_prefix(1);
    return true;
  }
  bool take_blanks() noexcept {
    const std::size_t before = text_.size();
    while (!text_.empty() && is_blank(text_.front())) text_.remove_prefix(1);
    return text_.size() < before;
  }
  /// A number of `fewest` to `most` digits; -1: there is none.
  int number(int fewest, int most) noexcept {
    int out = 0;
    int digits = 0;
    for (; digits < most && !text_.empty() && text_.front() >= '0' && text_.front() <= '9';
         ++digits) {
      out = out * 10 + (text_.front() - '0');
      text_.remove_prefix(1);
    }
    return digits < fewest ? -1 : out;
  }
  /// Microseconds of one to nine digits behind the point of a second; -1: there are none.
  Micros fraction() noexcept {
    Micros out = 0;
    Micros unit = kSecond / 10;
    int digits = 0;
    for (; digits < 9 && !text_.empty() && text_.front() >= '0' && text_.front() <= '9';
         ++digits, unit /= 10) {
      out += (text_.front() - '0') * unit;
      text_.remove_prefix(1);
    }
    return digits == 0 ? -1 : out;
  }
  /// 1 to 12 of a month's name; 0: it is none.
  int month(bool is_short) noexcept {
    for (std::size_t i = 0; i < kMonths.size(); ++i) {
      const std::string_view name = is_short ? kMonths[i].substr(0, 3) : kMonths[i];
      if (!begins_with(text_, name)) continue;
      text_.remove_prefix(name.size());
      return static_cast<int>(i) + 1;
    }
    return 0;
  }
  /// 0 of AM, 12 of PM; -1: neither.
  int half() noexcept {
    const int out = begins_with(text_, "am") ? 0 : begins_with(text_, "pm") ? 12 : -1;
    if (out >= 0) text_.remove_prefix(2);
    return out;
  }
  /// How far a time is ahead of UTC: `Z`, `+05:30`, `+0530` or `+05`.
  std::optional<Micros> offset() noexcept {
    if (take('Z')) return 0;
    const bool is_behind = take('-');
    if (!is_behind && !take('+')) return std::nullopt;
    const int hours = number(2, 2);
    const bool has_colon = take(':');
    const bool has_minutes = has_colon || !(text_.empty() || is_blank(text_.front()));
    const int minutes = has_minutes ? number(2, 2) : 0;
    if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return std::nullopt;
    const Micros ahead = hours * kHour + minutes * kMinute;
    return is_behind ? -ahead : ahead;
  }

 private:
  std::string_view text_;
};

/// What the directives of a layout say, put together at the end.
struct Moment {
  int year = -1, month = 0, day = 0, hour = 0, half = -1, minute = 0, second = 0;
  Micros fraction = 0, offset = 0;

  /// False where the text is not of the directive.
  bool read(char directive, Scan& scan) noexcept {
    switch (directive) {
      case 'Y': return (year = scan.number(4, 4)) >= 0;
      case 'y': return read_short_year(scan);
      case 'm': return (month = scan.number(1, 2)) > 0;
      case 'b': return (month = scan.month(true)) > 0;
      case 'B': return (month = scan.month(false)) > 0;
      case 'd': return (day = scan.number(1, 2)) > 0;
      case 'H': return (hour = scan.number(1, 2)) >= 0 && hour <= 23;
      case 'I': return (hour = scan.number(1, 2)) >= 1 && hour <= 12;
      case 'p': return (half = scan.half()) >= 0;
      case 'M': return (minute = scan.number(1, 2)) >= 0 && minute <= 59;
      case 'S': return (second = scan.number(1, 2)) >= 0 && second <= 59;
      case 'f': return (fraction = scan.fraction()) >= 0;
      default: return read_offset(scan);
    }
  }

  [[nodiscard]] std::optional<Micros> time() const noexcept {
    if (month > 12 || day > 31) return std::nullopt;
    const Micros date = from_civil({year, month, day});
    const CivilDate back = civil_date(date);
    if (back.month != month || back.day != day) return std::nullopt;  // 30 February
    const int hours = half < 0 ? hour : hour % 12 + half;             // 12 AM is midnight
    const Micros out =
        date + hours * kHour + minute * kMinute + second * kSecond + fraction - offset;
    return is_time(out) ? std::optional(out) : std::nullopt;
  }

 private:
  bool read_short_year(Scan& scan) noexcept {
    const int two = scan.number(2, 2);
    year = two >= 69 ? 1900 + two : 2000 + two;
    return two >= 0;
  }
  bool read_offset(Scan& scan) noexcept {
    const auto ahead = scan.offset();
    offset = ahead.value_or(0);
    return ahead.has_value();
  }
};

/// What a directive says of a time, in UTC.
void put(char directive, Micros time, std::string& out) {
  const CivilDate date = civil_date(time);
  const Micros of_day = time - from_civil(date);
  const auto hour = static_cast<int>(of_day / kHour);
  const auto month = kMonths[static_cast<std::size_t>(date.month - 1)];
  switch (directive) {
    case 'Y': out += fmt::format("{:04}", date.year); break;
    case 'y': out += fmt::format("{:02}", date.year % 100); break;
    case 'm': out += fmt::format("{:02}", date.month); break;
    case 'b': out += month.substr(0, 3); break;
    case 'B': out += month; break;
    case 'd': out += fmt::format("{:02}", date.day); break;
    case 'H': out += fmt::format("{:02}", hour); break;
    case 'I': out += fmt::format("{:02}", hour % 12 == 0 ? 12 : hour % 12); break;
    case 'p': out += hour < 12 ? "AM" : "PM"; break;
    case 'M': out += fmt::format("{:02}", of_day % kHour / kMinute); break;
    case 'S': out += fmt::format("{:02}", of_day % kMinute / kSecond); break;
    case 'f': out += fmt::format("{:06}", of_day % kSecond); break;
    default: out += "+0000";
  }
}

}  // namespace

Result<DateFormat> DateFormat::compile(std::string_view layout) {
  DateFormat out;
  if (layout == kIso) return out;
  std::string seen;
  const auto has = [&](std::string_view any) {
    return seen.find_first_of(any) != std::string::npos;
  };
  for (std::size_t i = 0; i < layout.size(); ++i) {
    if (layout[i] != '%') {
      out.parts_.push_back({layout[i], true});
      continue;
    }
    if (++i == layout.size()) return bad(layout, "a `%` stands at its end");
    const char letter = layout[i];
    if (letter == '%') {
      out.parts_.push_back({'%', true});
      continue;
    }
    if (kDirectives.find(letter) == std::string_view::npos)
      return bad(layout, fmt::format("there is no `%{}`", letter));
    if (has(std::string_view(&letter, 1)))
      return bad(layout, fmt::format("`%{}` appears twice", letter));
    seen += letter;
    out.parts_.push_back({letter, false});
  }
  if (!has("Yy") || !has("mbB") || !has("d"))
    return bad(layout, "it fixes no day: year, month and day have to be in it");
  if (has("I") != has("p")) return bad(layout, "`%I` and `%p` go together");
  for (const std::string_view both : {"Yy", "mb", "mB", "bB", "HI"}) {
    if (has(both.substr(0, 1)) && has(both.substr(1)))
      return bad(layout, fmt::format("`%{}` and `%{}` say the same", both[0], both[1]));
  }
  return out;
}

std::optional<std::string> DateFormat::format(Micros time) const {
  if (!is_time(time)) return std::nullopt;
  std::string out;
  for (const Part& part : parts_) {
    if (part.is_sign)
      out += part.letter;
    else
      put(part.letter, time, out);
  }
  if (parts_.empty()) out = format_time(time);
  if (parse(out) != time) return std::nullopt;
  return out;
}

std::optional<Micros> DateFormat::parse(std::string_view text) const noexcept {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  if (parts_.empty()) {
    const auto time = parse_time(text);
    return time && is_time(*time) ? time : std::nullopt;
  }
  Scan scan(text);
  Moment moment;
  for (const Part& part : parts_) {
    const bool fits = !part.is_sign           ? moment.read(part.letter, scan)
                      : is_blank(part.letter) ? scan.take_blanks()
                                              : scan.take(part.letter);
    if (!fits) return std::nullopt;
  }
  return scan.at_end() ? moment.time() : std::nullopt;
}

}  // namespace heddle::table
