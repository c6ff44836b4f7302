#include "profile/look.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <re2/re2.h>

#include "table/cell.hpp"

namespace heddle::profile {
namespace {

using expr::Datum;
using expr::Type;

std::string_view trimmed(std::string_view text) noexcept {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// What pandas, R, SAS and people write where there is no value. Compared without case.
bool is_missing_word(std::string_view text) {
  static constexpr std::string_view kWords[] = {
      "na", "n/a", "#n/a", "#na",     "<na>",    "null",   "none", "nil",     "-",      "--",
      "?",  ".",   "..",   "missing", "unknown", "#null!", "nat",  "1.#qnan", "#div/0!"};
  // None of them is longer, and most texts are.
  if (text.size() > 8) return false;
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::find(std::begin(kWords), std::end(kWords), lower) != std::end(kWords);
}

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// `1,5`, `-1.234,56`, `1 234,5`: a comma once, and before it points or spaces that part thousands.
std::optional<double> comma_number(std::string_view text) {
  static const re2::RE2 kForm(R"([+-]?(\d{1,3}([. ]\d{3})+|\d+),\d+)");
  if (!re2::RE2::FullMatch(text, kForm)) return std::nullopt;
  std::string plain;
  for (const char c : text) {
    if (c == ',') plain += '.';
    if (is_digit(c) || c == '-') plain += c;
  }
  double out = 0;
  std::from_chars(plain.data(), plain.data() + plain.size(), out);
  return out;
}

/// Dates that are none of ISO 8601's: three groups of digits, or a month by its name.
bool is_other_time(std::string_view text) {
  static const re2::RE2 kForm(
      R"((?i)(\d{1,4}[/.\-]\d{1,2}[/.\-]\d{1,4}|)"
      R"(\d{1,2}[ \-](jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[ \-,]+\d{2,4}|)"
      R"((jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]* \d{1,2},? \d{4}))"
      R"(([ T]+\d{1,2}[:.]\d{2}.*)?)");
  return re2::RE2::FullMatch(text, kForm);
}

/// The offset that the text of a time ends with, in minutes.
void read_offset(std::string_view text, Seen& out) {
  const auto time = text.find(':');
  // A date alone has a `-` and no offset.
  if (time == std::string_view::npos) return;
  if (text.back() == 'Z' || text.back() == 'z') {
    out.is_zoned = true;
    return;
  }
  const auto sign = text.find_last_of("+-");
  // The last sign of `2001-04-30T05:06` belongs to the date.
  if (sign == std::string_view::npos || sign < time) return;
  out.is_zoned = true;
  int digits = 0;
  int count = 0;
  for (const char c : text.substr(sign + 1)) {
    if (!is_digit(c)) continue;
    digits = digits * 10 + (c - '0');
    ++count;
  }
  // `+02` is hours alone.
  const int minutes = count <= 2 ? digits * 60 : digits / 100 * 60 + digits % 100;
  out.offset_minutes = text[sign] == '-' ? -minutes : minutes;
}

bool is_whole_text(std::string_view text) noexcept {
  return text.find_first_of(".eEnN") == std::string_view::npos;
}

/// Whether the text is a number, as the readers of rows take it.
bool look_for_number(std::string_view text, Seen& out) {
  const Datum number = table::cell_of_text(text, Type::kDouble);
  if (number.kind != Datum::Kind::kDouble) return false;
  out.number = number.d;
  out.look = is_whole_text(text) && table::cell_of_text(text, Type::kInt).kind == Datum::Kind::kInt
                 ? Look::kInteger
                 : Look::kNumber;
  std::string_view digits = text;
  if (digits.starts_with('-') || digits.starts_with('+')) digits.remove_prefix(1);
  // `007` is a code: as a number it would lose its zeros.
  out.leading_zero = out.look == Look::kInteger && digits.size() > 1 && digits.front() == '0';
  return true;
}

bool look_for_time(std::string_view text, Seen& out) {
  // Cheaper than a look at every text for a time.
  if (text.size() < 8 || !is_digit(text.front())) return false;
  const Datum time = table::cell_of_text(text, Type::kTimestamp);
  if (time.kind != Datum::Kind::kTimestamp) return false;
  out.look = Look::kTime;
  out.time = time.i;
  read_offset(text, out);
  return true;
}

}  // namespace

Seen look_at(std::string_view text) {
  Seen out;
  const std::string_view inner = trimmed(text);
  out.has_spaces = inner.size() != text.size();
  if (inner.empty()) {
    out.look = Look::kBlank;
    return out;
  }
  if (table::cell_of_text(inner, Type::kDouble).is_null()) {
    out.look = Look::kNan;
    return out;
  }
  // Before numbers and words: `-` and `.` are neither.
  if (is_missing_word(inner)) {
    out.look = Look::kMissing;
    return out;
  }
  const bool may_be_number = is_digit(inner.front()) || inner.front() == '-' ||
                             inner.front() == '+' || inner.front() == '.';
  if (may_be_number && (look_for_number(inner, out) || look_for_time(inner, out))) return out;
  if (may_be_number) {
    if (const auto number = comma_number(inner)) {
      out.look = Look::kComma;
      out.number = *number;
      return out;
    }
  }
  if (table::cell_of_text(inner, Type::kBool).kind == Datum::Kind::kBool) {
    out.look = Look::kBoolean;
    // Long texts are no dates, and the pattern is dear.
  } else if (inner.size() <= 40 && is_other_time(inner)) {
    out.look = Look::kOtherTime;
  }
  return out;
}

std::string_view in_words(Look look) noexcept {
  switch (look) {
    case Look::kBlank: return "blank";
    case Look::kNan: return "no number";
    case Look::kMissing: return "a word for no value";
    case Look::kInteger: return "a whole number";
    case Look::kNumber: return "a number";
    case Look::kComma: return "a number with a decimal comma";
    case Look::kBoolean: return "true or false";
    case Look::kTime: return "a time";
    case Look::kOtherTime: return "a date that is not written as ISO 8601";
    case Look::kText: break;
  }
  return "text";
}

std::string shape_of(std::string_view text, bool exact) {
  const auto class_of = [](char c) {
    if (is_digit(c)) return '9';
    if (c >= 'a' && c <= 'z') return 'a';
    if (c >= 'A' && c <= 'Z') return 'A';
    return c;
  };
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const char kind = class_of(text[i]);
    std::size_t end = i + 1;
    while (end < text.size() && class_of(text[end]) == kind) ++end;
    out += kind;
    const bool is_class = kind == '9' || kind == 'a' || kind == 'A';
    if (exact && is_class)
      out += "{" + std::to_string(end - i) + "}";
    else if (end - i > 1)
      out += '+';
    i = end;
  }
  return out;
}

}  // namespace heddle::profile
