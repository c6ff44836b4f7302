#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "doc/value.hpp"
#include "expr/datum.hpp"

namespace heddle::table {

/// Distinct strings and their codes, in order of first insertion. Exact: hashes only choose where
/// to look. A value type; reading is thread-safe and never allocates.
class StringIndex {
 public:
  /// The code of `text`, inserting it when it is new.
  std::int32_t insert(std::string_view text);
  /// The code, or -1.
  [[nodiscard]] std::int32_t find(std::string_view text) const noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return values_.size(); }
  [[nodiscard]] const std::vector<std::string>& values() const noexcept { return values_; }

 private:
  struct Slot {
    std::uint64_t hash = 0;
    std::int32_t code = -1;
  };
  void grow();

  std::vector<std::string> values_;
  std::vector<Slot> slots_;
};

/// Distinct tuples of `width` integers and their codes, in order of first insertion. Exact, like
/// `StringIndex`. A value type; reading is thread-safe and never allocates.
class TupleIndex {
 public:
  explicit TupleIndex(std::size_t width = 1) : width_(width) {}
  std::int32_t insert(std::span<const std::int64_t> tuple);
  [[nodiscard]] std::int32_t find(std::span<const std::int64_t> tuple) const noexcept;
  [[nodiscard]] std::span<const std::int64_t> tuple(std::int32_t code) const noexcept {
    return {values_.data() + static_cast<std::size_t>(code) * width_, width_};
  }
  [[nodiscard]] std::size_t width() const noexcept { return width_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  void grow();

  std::size_t width_;
  std::size_t size_ = 0;
  std::vector<std::int64_t> values_;
  std::vector<std::int32_t> slots_;
};

/// One component of a key tuple: a value of one type as an integer. Strings have codes; doubles are
/// their bits (-0 is 0).
class KeyPart {
 public:
  explicit KeyPart(expr::Type type = expr::Type::kInt) : type_(type) {}
  [[nodiscard]] expr::Type type() const noexcept { return type_; }
  /// Empty for null, NaN, a value of another type and a string never inserted.
  [[nodiscard]] std::optional<std::int64_t> find(const expr::Datum& value) const noexcept;
  [[nodiscard]] std::optional<std::int64_t> insert(const expr::Datum& value);
  [[nodiscard]] doc::Value to_value(std::int64_t key) const;
  /// The key of a value that `to_value` gave; kCorrupt when it has another type.
  [[nodiscard]] Result<std::int64_t> insert_value(const doc::Value& value);

 private:
  expr::Type type_;
  StringIndex strings_;
};

}  // namespace heddle::table
