#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "profile/profile.hpp"

namespace heddle::profile {

/// What a column is, as far as its values tell.
enum class Kind {
  kEmpty,     ///< no value at all
  kConstant,  ///< one value in every row that has one
  kBoolean,
  kInteger,
  kNumber,
  kNumberInText,  ///< numbers, and a few words between them, which no number field takes
  kTime,
  kTimeInText,   ///< times, and a few words between them
  kOtherTime,    ///< dates not written as ISO 8601, or as numbers: 20110131
  kCommaNumber,  ///< numbers with a decimal comma
  kCategory,     ///< texts that come again and again
  kText          ///< texts of which most come once
};

/// A column as its contract would read it. `column` is borrowed from a `Profile`.
struct Reading {
  const ColumnProfile* column = nullptr;
  Kind kind = Kind::kEmpty;
  expr::Type type = expr::Type::kString;  ///< of the contract's field
  std::int64_t missing = 0;               ///< rows without a value, read so
  std::int64_t odd = 0;                   ///< values that are not of the kind
  /// Each row has another value, and it is one that names the row rather than measures it: a text,
  /// a code, or whole numbers that number the rows.
  bool is_key = false;
  bool is_row_number = false;  ///< it ascends by the same step from row to row

  [[nodiscard]] const std::string& name() const noexcept { return column->name; }
  [[nodiscard]] bool is_number() const noexcept {
    return kind == Kind::kInteger || kind == Kind::kNumber || kind == Kind::kNumberInText;
  }
  [[nodiscard]] bool is_time() const noexcept { return kind == Kind::kTime; }
};

[[nodiscard]] Reading read_column(const ColumnProfile& column, const Profile& of);
[[nodiscard]] std::vector<Reading> read_columns(const Profile& profile);
[[nodiscard]] std::string_view in_words(Kind kind) noexcept;

/// The words of a name, in lower case: `pickupTime_UTC` is `pickup`, `time`, `utc`.
[[nodiscard]] std::vector<std::string> words_of(std::string_view name);
[[nodiscard]] bool has_word(std::string_view name, std::string_view word);

}  // namespace heddle::profile
