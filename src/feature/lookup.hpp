#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "doc/value.hpp"
#include "expr/datum.hpp"
#include "table/lookup.hpp"
#include "table/table.hpp"

namespace heddle::feature {

/// What a reference table says of each key: exact, one value for a key, which may be missing. A
/// value type. Private to this module. Reading is thread-safe and allocates nothing.
class Lookup {
 public:
  /// A part of the key: the slot (a field or a feature) that it is read from.
  struct Part {
    int slot = 0;
    table::KeyPart key;
  };

  Lookup(std::vector<Part> parts, expr::Type type)
      : parts_(std::move(parts)), type_(type), keys_(parts_.size()) {}

  [[nodiscard]] const std::vector<Part>& parts() const noexcept { return parts_; }
  /// Keys that it has.
  [[nodiscard]] std::size_t size() const noexcept { return values_.size(); }
  /// Bytes of the JSON of the rows that were added.
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

  /// Adds the rows of a table, or of a part of one: its first columns are the key, the last one is
  /// the value, each of the type that is due. Returns how many rows lack a part of the key, and so
  /// say nothing. kUnprocessable `lookup-two-values` when two rows of a key differ. `name`: of the
  /// feature.
  [[nodiscard]] Result<std::int64_t> add(const table::Table& rows, const std::string& name);

  /// The value for a row; null where a part is missing, the table does not have the key, or has no
  /// value for it. `slots[i]` is field or feature i. A text is borrowed.
  [[nodiscard]] expr::Datum find(std::span<const expr::Datum> slots) const noexcept;
  /// The same by the key's parts.
  [[nodiscard]] expr::Datum value_of(std::span<const std::int64_t> key) const noexcept;

  /// A list of rows, each the key's values and then the value, sorted by the JSON of the key.
  [[nodiscard]] doc::Value to_value() const;
  /// Adds what `to_value` gave; an error says what is wrong with it.
  [[nodiscard]] Result<void> from_value(const doc::Value& rows);

 private:
  /// False when the key has another value already.
  bool put(std::span<const std::int64_t> key, const expr::Datum& value);
  /// The value of key `at`.
  [[nodiscard]] expr::Datum value_at(std::int32_t at) const noexcept;
  /// The values of key `at`, as a list.
  [[nodiscard]] doc::Value key_at(std::int32_t at) const;

  std::vector<Part> parts_;
  expr::Type type_;
  table::TupleIndex keys_;
  table::StringIndex texts_{};         ///< the distinct text values
  std::vector<expr::Datum> values_{};  ///< of each key; of a text its code in `texts_`
  std::size_t bytes_ = 0;
};

}  // namespace heddle::feature
