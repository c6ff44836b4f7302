#pragma once

#include <deque>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "doc/value.hpp"
#include "expr/datum.hpp"
#include "table/lookup.hpp"
#include "table/table.hpp"

namespace heddle::feature {

/// What a reference table says of each key: exact, one value a key, which may be missing. Private to
/// this module. Reading is thread-safe and allocates nothing.
class Lookup {
 public:
  /// A part of the key: the slot (a field or a feature) that it is read from.
  struct Part {
    int slot = 0;
    table::KeyPart key;
  };

  Lookup() = default;
  Lookup(std::vector<Part> parts, expr::Type type)
      : parts_(std::move(parts)), type_(type), keys_(parts_.size()) {}

  [[nodiscard]] const std::vector<Part>& parts() const noexcept { return parts_; }
  [[nodiscard]] bool is_filled() const noexcept { return is_filled_; }

  /// Takes the rows of a table: its first columns are the key, the last one the value, each of its
  /// part's type. Rows without a part of the key say nothing. kUnprocessable `lookup-two-values`
  /// where two rows of a key differ, `lookup-too-large` past a million keys. `name`: of the feature.
  [[nodiscard]] Result<void> fill(const table::Table& rows, const std::string& name);

  /// The value of a row; null where a part is missing, the table does not have the key, or has no
  /// value for it. `slots[i]` is field or feature i.
  [[nodiscard]] expr::Datum find(std::span<const expr::Datum> slots) const noexcept;
  /// The same by the key's parts.
  [[nodiscard]] expr::Datum value_of(std::span<const std::int64_t> key) const noexcept;

  /// A list of rows, each the key's values and then the value, sorted by the JSON of the key.
  [[nodiscard]] doc::Value to_value() const;
  /// Takes back what `to_value` gave; an error says what is wrong with it.
  [[nodiscard]] Result<void> from_value(const doc::Value& rows);

 private:
  /// False, where the key has another value already.
  bool put(std::span<const std::int64_t> key, const expr::Datum& value);

  std::vector<Part> parts_{};
  expr::Type type_ = expr::Type::kDouble;
  table::TupleIndex keys_{};
  std::vector<expr::Datum> values_{};  ///< of each key
  std::deque<std::string> texts_{};    ///< what text values are borrowed from
  bool is_filled_ = false;
};

}  // namespace heddle::feature
