#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "expr/datum.hpp"

namespace heddle::expr {

/// Strings made while evaluating live here until the next evaluation with the same scratch; memory
/// is kept and reused.
class StringPool {
 public:
  void reset() noexcept { used_ = 0; }
  [[nodiscard]] std::string& next();

 private:
  std::vector<std::unique_ptr<std::string>> strings_;
  std::size_t used_ = 0;
};

/// One overload of a function of the language. `signature` is a letter an argument: b i d s
/// t(imestamp) u (duration) l(ist) n (int or double) a (any). Called with nulls only when
/// `nullable`; never with errors. Methods are functions whose receiver is the first argument.
struct Builtin {
  std::string_view name;
  std::string_view signature;
  Type result;
  bool nullable;
  Datum (*call)(std::span<const Datum> arguments, StringPool& pool);
};

/// Every overload; `matches` is not among them: the compiler treats it apart, so that a pattern is
/// compiled once.
[[nodiscard]] std::span<const Builtin> builtins() noexcept;

/// Arithmetic and comparison on values of known kinds; null in, null out. Integers are checked:
/// overflow and division by zero are errors. An int meets a double as a double.
[[nodiscard]] Datum add(Datum a, Datum b, StringPool& pool) noexcept;
[[nodiscard]] Datum subtract(Datum a, Datum b) noexcept;
[[nodiscard]] Datum multiply(Datum a, Datum b) noexcept;
[[nodiscard]] Datum divide(Datum a, Datum b) noexcept;
[[nodiscard]] Datum modulo(Datum a, Datum b) noexcept;
[[nodiscard]] Datum negate(Datum a) noexcept;
/// -1, 0, 1, or 2 when they cannot be ordered (NaN).
[[nodiscard]] int compare(Datum a, Datum b) noexcept;
/// Null is equal to null only; used for `==` with a null literal and for list members.
[[nodiscard]] bool equal(Datum a, Datum b) noexcept;

}  // namespace heddle::expr
