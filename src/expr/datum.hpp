#pragma once

#include <cstdint>
#include <string_view>

#include "base/clock.hpp"

namespace heddle::expr {

/// The static types of the language (DESIGN 7). kDyn only ever types a null literal.
enum class Type : std::uint8_t {
  kNull,
  kBool,
  kInt,
  kDouble,
  kString,
  kTimestamp,
  kDuration,
  kList,
  kDyn
};

[[nodiscard]] std::string_view type_name(Type type) noexcept;

struct Datum;

/// A borrowed list; lists are constants of an expression or attributes of a scalar context.
struct ListView {
  const Datum* items = nullptr;
  std::uint32_t size = 0;
};

/// One value at run time: 24 bytes, trivially copyable. Strings and lists are borrowed: from the
/// row, the column, the context or the program's constants. kNull is "missing"; kError is "this
/// expression could not be evaluated" and carries nothing.
struct Datum {
  enum class Kind : std::uint8_t {
    kNull,
    kError,
    kBool,
    kInt,
    kDouble,
    kString,
    kTimestamp,
    kDuration,
    kList
  };

  Kind kind = Kind::kNull;
  std::uint32_t size = 0;  ///< bytes of a string
  union {
    bool b;
    std::int64_t i;  ///< also timestamp and duration, in microseconds
    double d;
    const char* s;
    const ListView* list;
  };

  constexpr Datum() : i(0) {}
  [[nodiscard]] static Datum null() { return {}; }
  [[nodiscard]] static Datum error() { return of(Kind::kError, 0); }
  [[nodiscard]] static Datum boolean(bool v) {
    Datum datum;
    datum.kind = Kind::kBool;
    datum.b = v;
    return datum;
  }
  [[nodiscard]] static Datum integer(std::int64_t v) { return of(Kind::kInt, v); }
  [[nodiscard]] static Datum timestamp(Micros v) { return of(Kind::kTimestamp, v); }
  [[nodiscard]] static Datum duration(Micros v) { return of(Kind::kDuration, v); }
  [[nodiscard]] static Datum real(double v) {
    Datum datum;
    datum.kind = Kind::kDouble;
    datum.d = v;
    return datum;
  }
  [[nodiscard]] static Datum string(std::string_view v) {
    Datum datum;
    datum.kind = Kind::kString;
    datum.size = static_cast<std::uint32_t>(v.size());
    datum.s = v.data();
    return datum;
  }
  [[nodiscard]] static Datum list_of(const ListView* v) {
    Datum datum;
    datum.kind = Kind::kList;
    datum.list = v;
    return datum;
  }

  [[nodiscard]] bool is_null() const noexcept { return kind == Kind::kNull; }
  [[nodiscard]] bool is_error() const noexcept { return kind == Kind::kError; }
  [[nodiscard]] bool is_true() const noexcept { return kind == Kind::kBool && b; }
  [[nodiscard]] std::string_view str() const noexcept { return {s, size}; }
  /// Integers and doubles as a double; the caller knows that it is one of them.
  [[nodiscard]] double number() const noexcept {
    return kind == Kind::kInt ? static_cast<double>(i) : d;
  }

 private:
  static Datum of(Kind kind, std::int64_t v) {
    Datum datum;
    datum.kind = kind;
    datum.i = v;
    return datum;
  }
};

/// A borrowed column in Arrow's layout, which every columnar source can give without copying.
/// Exactly one of the value pointers is set, by `type`: kInt, kTimestamp (us) and kDuration (us)
/// use `ints`; kBool uses `ints` (0 or 1); kDouble `doubles`; kString `codes` into `dictionary`.
/// `valid` is one byte a row, nullptr when every row has a value.
struct ColumnView {
  Type type = Type::kNull;
  std::int64_t length = 0;
  const std::int64_t* ints = nullptr;
  const double* doubles = nullptr;
  const std::int32_t* codes = nullptr;
  const std::string_view* dictionary = nullptr;
  const std::uint8_t* valid = nullptr;

  [[nodiscard]] Datum at(std::int64_t row) const noexcept {
    if (valid != nullptr && valid[row] == 0) return {};
    switch (type) {
      case Type::kBool: return Datum::boolean(ints[row] != 0);
      case Type::kInt: return Datum::integer(ints[row]);
      case Type::kTimestamp: return Datum::timestamp(ints[row]);
      case Type::kDuration: return Datum::duration(ints[row]);
      case Type::kDouble: return Datum::real(doubles[row]);
      case Type::kString: return Datum::string(dictionary[codes[row]]);
      default: return {};
    }
  }
};

}  // namespace heddle::expr
