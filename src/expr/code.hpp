#pragma once

#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "expr/builtins.hpp"
#include "expr/program.hpp"

namespace re2 {
class RE2;
}

namespace heddle::expr {

/// What a program is made of: instructions for a stack of values. Private to this module.
enum class Op : std::uint8_t {
  kConstant,
  kVariable,
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kModulo,
  kNegate,
  kNot,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kEqual,
  kNotEqual,
  kIsNull,  ///< index 1: is null, 0: is not
  kIn,
  kToDouble,
  kCall,         ///< builtin `index` on `count` arguments
  kHost,         ///< host function `index` on `count` arguments
  kMatch,        ///< pattern `index`
  kSkipIfFalse,  ///< go to `index` when the top is false; it stays
  kSkipIfTrue,
  kAnd,
  kOr,
  kBranch,  ///< take the condition: false goes to `index`; null or error stays and goes to `second`
  kJump,
};

struct Instruction {
  Op op;
  std::uint8_t count = 0;
  std::uint32_t index = 0;
  std::uint32_t second = 0;
};

struct Program::Code {
  Type type = Type::kDyn;
  std::vector<Instruction> instructions;
  std::vector<Datum> constants;
  std::deque<std::string> strings;  ///< what constants borrow
  std::deque<std::vector<Datum>> list_items;
  std::deque<ListView> lists;
  std::vector<std::unique_ptr<re2::RE2>> patterns;
  std::vector<Function> functions;
  std::vector<int> variables;
  std::size_t max_stack = 0;

  Code();
  ~Code();
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
};

/// The type both sides of a ternary, a comparison or a coalesce share; kNull when there is none.
[[nodiscard]] Type common_type(Type a, Type b);
/// The type of `a op b`; kNull where it is not defined.
[[nodiscard]] Type arithmetic_type(char op, Type a, Type b);
/// The overload of a builtin that takes arguments of these types; nullptr when there is none.
[[nodiscard]] const Builtin* overload_of(std::string_view name, std::span<const Type> types);

}  // namespace heddle::expr
