#include "profile/reading.hpp"

#include <algorithm>
#include <cctype>

namespace heddle::profile {
namespace {

using expr::Type;

/// Of a column of numbers or times, the share that may be something else: more, and it is no such
/// column.
constexpr double kOddShare = 0.05;
constexpr std::int64_t kFewestKeys = 20;  ///< rows below which differing values say nothing
constexpr std::int64_t kMostCategories = 1000;
constexpr double kRowsOfCategory = 2;  ///< a value comes at least so often, on average
constexpr double kLongText = 40;       ///< bytes, on average, of what is no code

Reading as(const ColumnProfile& column, Kind kind, Type type) {
  Reading out;
  out.column = &column;
  out.kind = kind;
  out.type = type;
  out.missing = column.missing;
  return out;
}

bool is_repeated(const ColumnProfile& column) {
  const double distinct = column.values.estimate();
  return distinct * kRowsOfCategory <= static_cast<double>(column.present()) &&
         distinct <= static_cast<double>(std::max(kMostCategories, column.present() / 20));
}

/// Texts that say nothing of numbers or times.
Reading read_words(const ColumnProfile& column) {
  const bool is_category = is_repeated(column) || (column.distinct() <= 20 && !column.is_unique());
  Reading out = as(column, is_category ? Kind::kCategory : Kind::kText, Type::kString);
  out.is_key = column.is_unique() && column.present() >= kFewestKeys &&
               column.lengths.mean < kLongText && column.missing == 0;
  return out;
}

Reading with_odd(Reading reading, std::int64_t odd, Kind kind) {
  if (odd == 0) return reading;
  reading.kind = kind;
  reading.type = Type::kString;
  reading.odd = odd;
  return reading;
}

/// `is_csv`: a reader makes of its texts what the contract says; texts of other files stay texts.
Reading read_text(const ColumnProfile& column, bool is_csv, bool decimal_comma) {
  const std::int64_t blank = column.looks_like(Look::kBlank) + column.looks_like(Look::kNan);
  const std::int64_t values = column.present() - blank;
  const std::int64_t whole = column.looks_like(Look::kInteger);
  const std::int64_t numbers = whole + column.looks_like(Look::kNumber);
  const std::int64_t times = column.looks_like(Look::kTime);
  // Words for no value do not count: nine rows in ten may lack a number.
  const std::int64_t said = values - column.looks_like(Look::kMissing);
  const auto most = [&](std::int64_t of) {
    return of > 0 && static_cast<double>(of) >= (1 - kOddShare) * static_cast<double>(said);
  };
  // Zeros before a number are part of a code: a number field would lose them.
  if (column.leading_zeros > 0 && most(numbers)) return read_words(column);
  if (most(column.looks_like(Look::kBoolean)) && column.looks_like(Look::kBoolean) == values &&
      is_csv) {
    Reading out = as(column, Kind::kBoolean, Type::kBool);
    out.missing += blank;
    return out;
  }
  if (most(numbers)) {
    Reading out = as(column, whole == numbers ? Kind::kInteger : Kind::kNumber,
                     whole == numbers ? Type::kInt : Type::kDouble);
    out.missing += blank;
    // Parquet and others have types of their own: a reader of them converts no text.
    if (!is_csv) {
      // The column's own type is text, whatever stands in it.
      out.kind = Kind::kNumberInText;
      out.type = Type::kString;
      out.odd = values - numbers;
      return out;
    }
    return with_odd(out, values - numbers, Kind::kNumberInText);
  }
  if (most(times)) {
    Reading out = as(column, Kind::kTime, Type::kTimestamp);
    out.missing += column.looks_like(Look::kBlank);
    return with_odd(out, values - times + column.looks_like(Look::kNan), Kind::kTimeInText);
  }
  if (most(column.looks_like(Look::kOtherTime))) return as(column, Kind::kOtherTime, Type::kString);
  const std::int64_t commas = column.looks_like(Look::kComma);
  if (commas > 0 && decimal_comma && commas + whole == values) {
    Reading out = as(column, Kind::kNumber, Type::kDouble);
    out.missing += blank;
    return out;
  }
  if (commas > 0 && most(commas + whole)) return as(column, Kind::kCommaNumber, Type::kString);
  return read_words(column);
}

/// Whole numbers that are all dates without dashes: 20110131.
bool are_dates(const ColumnProfile& column) {
  if (column.numbers.count < kFewestKeys || !(column.numbers.low >= 18000101) ||
      !(column.numbers.high <= 21991231))
    return false;
  const auto& values = column.values.entries();
  return values.size() >= 2 && std::all_of(values.begin(), values.end(), [](const auto& entry) {
           const std::string& text = entry.value;
           return text.size() == 8 &&
                  look_at(text.substr(0, 4) + "-" + text.substr(4, 2) + "-" + text.substr(6))
                          .look == Look::kTime;
         });
}

/// Whole numbers that count the rows: each another one, in order by one step, or without gaps.
void find_row_numbers(Reading& out) {
  const ColumnProfile& column = *out.column;
  // A key is in every row, and once.
  if (column.present() < kFewestKeys || out.missing > 0 || !column.is_unique()) return;
  const auto& steps = column.order.steps;
  out.is_row_number = column.order.is_strict && steps.is_exact() && steps.entries().size() == 1;
  const double span = column.numbers.high - column.numbers.low + 1;
  const bool is_dense = span <= 1.02 * static_cast<double>(column.present());
  const bool is_named = has_word(column.name, "id") || has_word(column.name, "key") ||
                        has_word(column.name, "index") || has_word(column.name, "uuid");
  out.is_key = out.is_row_number || is_dense || is_named;
}

}  // namespace

Reading read_column(const ColumnProfile& column, const Profile& of) {
  Reading out;
  switch (column.type) {
    case Type::kBool: out = as(column, Kind::kBoolean, Type::kBool); break;
    case Type::kInt: out = as(column, Kind::kInteger, Type::kInt); break;
    case Type::kDouble: out = as(column, Kind::kNumber, Type::kDouble); break;
    case Type::kTimestamp: out = as(column, Kind::kTime, Type::kTimestamp); break;
    default: out = read_text(column, of.text, of.decimal_comma);
  }
  // First: a column without a value has no kind.
  if (column.rows == out.missing) {
    out.kind = Kind::kEmpty;
  } else if (column.values.is_exact() && column.values.entries().size() == 1) {
    out.kind = Kind::kConstant;
  } else if (out.kind == Kind::kInteger && are_dates(column)) {
    out.kind = Kind::kOtherTime;
  } else if (out.kind == Kind::kInteger) {
    find_row_numbers(out);
  }
  return out;
}

std::vector<Reading> read_columns(const Profile& profile) {
  std::vector<Reading> out;
  for (const ColumnProfile& column : profile.columns) out.push_back(read_column(column, profile));
  return out;
}

std::string_view in_words(Kind kind) noexcept {
  switch (kind) {
    case Kind::kEmpty: return "empty";
    case Kind::kConstant: return "constant";
    case Kind::kBoolean: return "true or false";
    case Kind::kInteger: return "whole numbers";
    case Kind::kNumber: return "numbers";
    case Kind::kNumberInText: return "numbers as text";
    case Kind::kTime: return "times";
    case Kind::kTimeInText: return "times as text";
    case Kind::kOtherTime: return "dates that are not ISO 8601";
    case Kind::kCommaNumber: return "numbers with a decimal comma";
    case Kind::kCategory: return "categories";
    case Kind::kText: break;
  }
  return "text";
}

std::vector<std::string> words_of(std::string_view name) {
  std::vector<std::string> out;
  bool was_lower = false;
  bool is_open = false;
  for (const char raw : name) {
    const auto c = static_cast<unsigned char>(raw);
    if (std::isalpha(c) == 0) {
      is_open = false;
      was_lower = false;
      continue;
    }
    const bool is_upper = std::isupper(c) != 0;
    if (!is_open || (is_upper && was_lower)) out.emplace_back();
    is_open = true;
    was_lower = !is_upper;
    out.back() += static_cast<char>(std::tolower(c));
  }
  return out;
}

bool has_word(std::string_view name, std::string_view word) {
  const auto words = words_of(name);
  return std::find(words.begin(), words.end(), word) != words.end();
}

}  // namespace heddle::profile
