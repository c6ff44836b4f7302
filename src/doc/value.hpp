#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace heddle::doc {

/// Where a value stands in its source; line and column count from 1, 0 means unknown.
struct Position {
  int line = 0;
  int column = 0;
};

/// One value of a YAML or JSON document, with the place it was read from. A value type; objects
/// keep the order of their keys. Integers and floating-point numbers are told apart, as the text
/// wrote them.
class Value {
 public:
  using Array = std::vector<Value>;
  using Member = std::pair<std::string, Value>;
  using Object = std::vector<Member>;

  Value() = default;                                      // null
  Value(std::nullptr_t) {}                                // NOLINT(google-explicit-constructor)
  Value(bool value) : data_(value) {}                     // NOLINT(google-explicit-constructor)
  Value(int value) : data_(std::int64_t{value}) {}        // NOLINT(google-explicit-constructor)
  Value(long value) : data_(std::int64_t{value}) {}       // NOLINT(google-explicit-constructor)
  Value(long long value) : data_(std::int64_t{value}) {}  // NOLINT(google-explicit-constructor)
  Value(unsigned value) : data_(std::int64_t{value}) {}   // NOLINT(google-explicit-constructor)
  Value(unsigned long value)
      : data_(static_cast<std::int64_t>(value)) {}       // NOLINT(google-explicit-constructor)
  Value(double value) : data_(value) {}                  // NOLINT(google-explicit-constructor)
  Value(std::string value) : data_(std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Value(std::string_view value)
      : data_(std::string(value)) {}                       // NOLINT(google-explicit-constructor)
  Value(const char* value) : data_(std::string(value)) {}  // NOLINT(google-explicit-constructor)
  Value(Array value) : data_(std::move(value)) {}          // NOLINT(google-explicit-constructor)
  Value(Object value) : data_(std::move(value)) {}         // NOLINT(google-explicit-constructor)
  /// `Value::object({{"a", 1}, {"b", "x"}})`.
  [[nodiscard]] static Value object(Object members = {}) { return Value(std::move(members)); }
  [[nodiscard]] static Value array(Array items = {}) { return Value(std::move(items)); }

  [[nodiscard]] bool is_null() const noexcept {
    return std::holds_alternative<std::monostate>(data_);
  }
  [[nodiscard]] bool is_bool() const noexcept { return std::holds_alternative<bool>(data_); }
  [[nodiscard]] bool is_int() const noexcept { return std::holds_alternative<std::int64_t>(data_); }
  [[nodiscard]] bool is_double() const noexcept { return std::holds_alternative<double>(data_); }
  [[nodiscard]] bool is_number() const noexcept { return is_int() || is_double(); }
  [[nodiscard]] bool is_string() const noexcept {
    return std::holds_alternative<std::string>(data_);
  }
  [[nodiscard]] bool is_array() const noexcept { return std::holds_alternative<Array>(data_); }
  [[nodiscard]] bool is_object() const noexcept { return std::holds_alternative<Object>(data_); }
  [[nodiscard]] std::string_view type_name()
      const noexcept;  ///< null, boolean, integer, number, string, array, object

  /// These abort on another type: ask first, or use the `_or` forms.
  [[nodiscard]] bool as_bool() const { return std::get<bool>(data_); }
  [[nodiscard]] std::int64_t as_int() const { return std::get<std::int64_t>(data_); }
  [[nodiscard]] double as_double() const;  ///< integers convert
  [[nodiscard]] const std::string& as_string() const { return std::get<std::string>(data_); }
  [[nodiscard]] const Array& as_array() const { return std::get<Array>(data_); }
  [[nodiscard]] Array& as_array() { return std::get<Array>(data_); }
  [[nodiscard]] const Object& as_object() const { return std::get<Object>(data_); }
  [[nodiscard]] Object& as_object() { return std::get<Object>(data_); }

  /// The member `key`, or nullptr when there is none or this is no object. The last of equal keys
  /// never arises: parsers refuse them.
  [[nodiscard]] const Value* find(std::string_view key) const noexcept;
  [[nodiscard]] Value* find(std::string_view key) noexcept;
  [[nodiscard]] std::string string_or(std::string_view key, std::string_view fallback = {}) const;
  [[nodiscard]] std::int64_t int_or(std::string_view key, std::int64_t fallback = 0) const;
  [[nodiscard]] double double_or(std::string_view key, double fallback = 0) const;
  [[nodiscard]] bool bool_or(std::string_view key, bool fallback = false) const;
  /// Sets or replaces member `key`; a null value becomes an object first.
  Value& set(std::string key, Value value);
  /// Appends to an array; a null value becomes an array first.
  Value& push(Value value);
  [[nodiscard]] std::size_t size() const noexcept;  ///< items or members; 0 for scalars

  [[nodiscard]] Position position() const noexcept { return position_; }
  void set_position(Position position) noexcept { position_ = position; }
  /// Equal content; positions do not count, the order of keys does.
  [[nodiscard]] bool operator==(const Value& other) const { return data_ == other.data_; }

 private:
  std::variant<std::monostate, bool, std::int64_t, double, std::string, Array, Object> data_;
  Position position_{};
};

}  // namespace heddle::doc
