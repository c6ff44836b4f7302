#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "doc/value.hpp"

namespace heddle::doc {
template <class T>
class Schema;
}  // namespace heddle::doc

namespace heddle::spec {

struct Field;

/// How the letters of a text are to be; ASCII only, as `lowerAscii` has it.
enum class LetterCase { kAny, kLower, kUpper };

/// What a missing value becomes: nothing, a constant, or what was learned from the rows to train
/// on.
enum class Impute { kNone, kConstant, kMedian, kMode };

/// The declared repairs of one field, applied to each of its values before it is checked, in the
/// order of the members: in training, in files and in requests alike.
struct Repairs {
  bool trim = false;  ///< spaces, tabs and line ends around a text are removed
  LetterCase letter_case = LetterCase::kAny;
  std::vector<std::string> nulls{};  ///< texts and values that mean "missing", in that case
  std::string decimal{};             ///< `,`: texts are numbers with a decimal comma; empty: not
  std::vector<std::string> dates{};  ///< layouts of texts (table::DateFormat), the first that fits
  std::optional<double> scale{};     ///< value * scale + offset
  std::optional<double> offset{};
  std::optional<double> clip_minimum{};  ///< below it: it
  std::optional<double> clip_maximum{};
  Impute impute = Impute::kNone;
  /// What stands where nothing does, of the field's type (a timestamp as its ISO text); null until
  /// it is learned.
  doc::Value imputed{};
  doc::Position position{};  ///< of the declaration

  [[nodiscard]] bool any() const noexcept;
  /// Whether texts are read by these repairs, and not by the reader of a file.
  [[nodiscard]] bool reads_text() const noexcept { return !decimal.empty() || !dates.empty(); }
};

/// Rows of one key are one row: the first or last of them in time. Of sets of rows only.
struct Deduplicate {
  std::vector<std::string> key{};  ///< fields; a row that lacks a part of it is nobody's duplicate
  std::string by{};                ///< a timestamp field
  bool keep_last = false;  ///< else the first; of equal times the first or last as they came
  doc::Position position{};
};

/// The keys of `repairs` and of `deduplicate` in a contract, and in a bundle.
[[nodiscard]] const doc::Schema<Repairs>& repair_keys();
[[nodiscard]] const doc::Schema<Deduplicate>& deduplicate_keys();
[[nodiscard]] const doc::Schema<Repairs>& stored_repairs();
[[nodiscard]] const doc::Schema<Deduplicate>& stored_deduplicate();

/// The first thing of a field's repairs that cannot be done: kInvalid `repair-type`,
/// `repair-value`, `repair-label` or `date-format`.
[[nodiscard]] Result<void> check_repairs(const Field& field);

/// What an object declares for all of its fields becomes the repairs of those that it goes with,
/// where they say nothing themselves.
void add_for_all(const Repairs& all, Field& field);

}  // namespace heddle::spec
