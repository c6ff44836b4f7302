#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "expr/datum.hpp"
#include "table/table.hpp"

namespace heddle::replay {

/// The request fields of every row as they are sent: recorded values, and what faults made of them.
/// Faults are laid on by one thread, each followed by `settle`, and `finish` ends it; from then on
/// it is immutable, and reading is thread-safe. Fields and rows are numbered from 0.
class SentFields {
 public:
  /// The fields `names` of recorded rows. kUnprocessable when one is no column.
  [[nodiscard]] static Result<SentFields> open(std::span<const std::string> names,
                                               const table::Table& recorded);

  /// The field as a service understands it by now: a value of another type is malformed. Until
  /// `finish`.
  [[nodiscard]] const table::Column& column(std::size_t field) const noexcept {
    return fields_[field].column;
  }
  /// What is sent from now on. Null and an error are sent as null. Strings are copied.
  void set(std::size_t field, std::size_t row, const expr::Datum& value);
  void leave_out(std::size_t field, std::size_t row);
  void rename(std::size_t field, std::size_t row, const std::string& name);
  /// After the last `set` of a fault: `column` has what was set.
  void settle();
  [[nodiscard]] Result<void> finish();

  /// The row as one JSON object. A malformed cell of the recording is sent as the text that stands
  /// there.
  void append_json(std::size_t row, std::string& out) const;
  /// Rows as they are understood: what is left out or renamed has no value, what is of another type
  /// is malformed.
  [[nodiscard]] table::Table received(std::span<const std::int64_t> rows) const {
    return table_.take(rows);
  }

 private:
  /// Texts by number, for a dictionary that grows; of equal ones the first counts.
  class Texts {
   public:
    Texts() = default;
    explicit Texts(const table::Dictionary* known);
    [[nodiscard]] std::size_t place_of(std::string text);
    [[nodiscard]] const std::string& at(std::size_t place) const { return texts_[place]; }
    [[nodiscard]] const std::vector<std::string>& all() const noexcept { return texts_; }

   private:
    std::vector<std::string> texts_;
    std::map<std::string, std::size_t, std::less<>> places_;
  };
  struct Field {
    table::Column column;    ///< moved to the table by `finish`
    std::string key;         ///< `"date":`
    Texts values{};          ///< of a string column, once something was set
    Texts malformed{};       ///< of malformed cells, likewise
    bool has_grown = false;  ///< one of the two, since `settle`
    /// How each row is sent, as `kAsHeld`, `kLeftOut`, or kTexts + the place of its JSON in `sent`.
    /// Empty: all as held.
    std::vector<std::uint32_t> forms{};
    Texts sent{};
    /// 1 + the place in `keys` of what each row's field is called; empty, 0: `key`.
    std::vector<std::uint8_t> names{};
    Texts keys{};
  };
  static constexpr std::uint32_t kAsHeld = 0;
  static constexpr std::uint32_t kLeftOut = 1;
  static constexpr std::uint32_t kTexts = 2;

  static void set_form(Field& field, std::size_t row, std::uint32_t form);
  /// `held`: a value of the column's type, null, or an error: `text` stands there.
  static void hold(Field& field, std::size_t row, const expr::Datum& held, std::string_view text);
  static void hold_value(Field& field, std::size_t row, const expr::Datum& value);
  static void append_held(const table::Column& column, std::size_t row, std::string& out);
  static void take_renamed(Field& field);

  std::vector<Field> fields_;
  table::Table table_;
};

}  // namespace heddle::replay
