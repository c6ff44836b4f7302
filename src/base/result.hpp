#pragma once

#include <optional>
#include <utility>
#include <variant>

#include "base/error.hpp"

namespace heddle {

[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               std::string_view message);

/// For our own mistakes only, never for a user's input: prints and aborts.
#define HEDDLE_CHECK(condition, message)                                               \
  do {                                                                                 \
    if (!(condition)) ::heddle::check_failed(__FILE__, __LINE__, #condition, message); \
  } while (false)

/// Either a value or an `Error`. Dereferencing one that holds an error is our own mistake and
/// aborts.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value)
      : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Result(Error error)
      : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool ok() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }

  [[nodiscard]] T& value() & {
    HEDDLE_CHECK(ok(), error().message);
    return std::get<0>(state_);
  }
  [[nodiscard]] const T& value() const& {
    HEDDLE_CHECK(ok(), error().message);
    return std::get<0>(state_);
  }
  [[nodiscard]] T&& value() && {
    HEDDLE_CHECK(ok(), error().message);
    return std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  [[nodiscard]] const Error& error() const { return std::get<1>(state_); }
  [[nodiscard]] Error& error() { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)
  [[nodiscard]] bool ok() const noexcept { return !error_.has_value(); }
  explicit operator bool() const noexcept { return ok(); }
  [[nodiscard]] const Error& error() const { return *error_; }
  [[nodiscard]] Error& error() { return *error_; }

 private:
  std::optional<Error> error_;
};

#define HEDDLE_CONCAT_INNER(a, b) a##b
#define HEDDLE_CONCAT(a, b) HEDDLE_CONCAT_INNER(a, b)

/// Returns the error of `expr` from the enclosing function, else goes on.
#define HEDDLE_TRY(expr) HEDDLE_TRY_IMPL(HEDDLE_CONCAT(heddle_result_, __COUNTER__), expr)
#define HEDDLE_TRY_IMPL(tmp, expr)      \
  do {                                  \
    if (auto tmp = (expr); !tmp.ok()) { \
      return std::move(tmp).error();    \
    }                                   \
  } while (false)

/// `HEDDLE_ASSIGN_OR_RETURN(auto x, f())`: binds the value of `f()`, or returns its error.
#define HEDDLE_ASSIGN_OR_RETURN(decl, expr) \
  HEDDLE_ASSIGN_OR_RETURN_IMPL(HEDDLE_CONCAT(heddle_result_, __COUNTER__), decl, expr)
#define HEDDLE_ASSIGN_OR_RETURN_IMPL(tmp, decl, expr) \
  auto tmp = (expr);                                  \
  if (!tmp.ok()) return std::move(tmp).error();       \
  decl = std::move(tmp).value()

}  // namespace heddle
