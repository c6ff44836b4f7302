#include "expr/program.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <set>

#include <re2/re2.h>

#include "expr/builtins.hpp"
#include "expr/code.hpp"
#include "expr/columns.hpp"
#include "expr/operations.hpp"
#include "expr/syntax.hpp"

namespace heddle::expr {

Program::Scratch::Scratch() : buffers_(std::make_unique<Buffers>()) {}
Program::Scratch::~Scratch() = default;
Program::Scratch::Scratch(Scratch&&) noexcept = default;

Program::Program(std::unique_ptr<const Code> code) : code_(std::move(code)) {}
Program::Program(Program&&) noexcept = default;
Program& Program::operator=(Program&&) noexcept = default;
Program::~Program() = default;

Type Program::type() const noexcept { return code_->type; }
std::span<const int> Program::variables() const noexcept { return code_->variables; }

Result<Program> Program::compile(std::string_view source, const Environment& environment,
                                 Type expected) {
  HEDDLE_ASSIGN_OR_RETURN(auto code, compile_code(source, environment, expected));
  return Program(std::move(code));
}

using Kind = Datum::Kind;

namespace {

/// What an operator of two values makes of them; an entry for each `Op`, none for other ones.
using Binary = Datum (*)(const Datum&, const Datum&, StringPool&);
constexpr std::size_t kOps = static_cast<std::size_t>(Op::kJump) + 1;

template <Op kOp>
Datum ordered(const Datum& a, const Datum& b, StringPool&) {
  return compare_by(kOp, a, b);
}

constexpr std::array<Binary, kOps> binary_operators() {
  std::array<Binary, kOps> out{};
  const auto set = [&](Op op, Binary binary) { out[static_cast<std::size_t>(op)] = binary; };
  set(Op::kAdd, [](const Datum& a, const Datum& b, StringPool& pool) { return add(a, b, pool); });
  set(Op::kSubtract, [](const Datum& a, const Datum& b, StringPool&) { return subtract(a, b); });
  set(Op::kMultiply, [](const Datum& a, const Datum& b, StringPool&) { return multiply(a, b); });
  set(Op::kDivide, [](const Datum& a, const Datum& b, StringPool&) { return divide(a, b); });
  set(Op::kModulo, [](const Datum& a, const Datum& b, StringPool&) { return modulo(a, b); });
  set(Op::kLess, ordered<Op::kLess>);
  set(Op::kLessEqual, ordered<Op::kLessEqual>);
  set(Op::kGreater, ordered<Op::kGreater>);
  set(Op::kGreaterEqual, ordered<Op::kGreaterEqual>);
  set(Op::kEqual,
      [](const Datum& a, const Datum& b, StringPool&) { return equality(a, b, false); });
  set(Op::kNotEqual,
      [](const Datum& a, const Datum& b, StringPool&) { return equality(a, b, true); });
  set(Op::kIn, [](const Datum& a, const Datum& b, StringPool&) { return member_of(a, b); });
  set(Op::kAnd, [](const Datum& a, const Datum& b, StringPool&) { return merge(a, b, false); });
  set(Op::kOr, [](const Datum& a, const Datum& b, StringPool&) { return merge(a, b, true); });
  return out;
}
constexpr std::array<Binary, kOps> kBinary = binary_operators();

bool is(const Datum& value, bool wanted) { return value.kind == Kind::kBool && value.b == wanted; }

}  // namespace

Datum Program::evaluate(std::span<const Datum> row, Scratch& scratch) const noexcept {
  auto& buffers = *scratch.buffers_;
  // As deep as the deepest program that this thread met.
  if (buffers.stack.size() < code_->max_stack) buffers.stack.resize(code_->max_stack);
  buffers.strings.reset();
  Datum* top = buffers.stack.data();  // one past the topmost value
  const Instruction* const begin = code_->instructions.data();
  const Instruction* const end = begin + code_->instructions.size();
  for (const Instruction* at = begin; at != end; ++at) {
    // One call through a table: half of what a program does.
    if (const Binary binary = kBinary[static_cast<std::size_t>(at->op)]; binary != nullptr) {
      --top;
      top[-1] = binary(top[-1], top[0], buffers.strings);
      continue;
    }
    switch (at->op) {
      case Op::kConstant: *top++ = code_->constants[at->index]; break;
      case Op::kVariable: *top++ = row[at->index]; break;
      case Op::kCall: {
        const auto& builtin = builtins()[at->index];
        top -= at->count;
        const std::span<const Datum> arguments(top, at->count);
        Datum out;
        if (!absorbed(arguments, builtin.nullable, out))
          out = builtin.call(arguments, buffers.strings);
        *top++ = out;
        break;
      }
      case Op::kHost: {
        const auto& function = code_->functions[at->index];
        top -= at->count;
        const std::span<const Datum> arguments(top, at->count);
        Datum out;
        if (!absorbed(arguments, function.nullable, out)) out = function.call(arguments);
        *top++ = out;
        break;
      }
      case Op::kMatch: match(*code_->patterns[at->index], top[-1]); break;
      case Op::kSkipIfFalse:
        // One before its target, for the loop goes on by one.
        if (is(top[-1], false)) at = begin + at->index - 1;
        break;
      case Op::kSkipIfTrue:
        if (is(top[-1], true)) at = begin + at->index - 1;
        break;
      case Op::kBranch:  // a condition that is null or an error is the whole result
        if (top[-1].kind != Kind::kBool) {
          at = begin + at->second - 1;
        } else if (!(--top)->b) {
          at = begin + at->index - 1;
        }
        break;
      case Op::kJump: at = begin + at->index - 1; break;
      default: apply_unary(*at, top[-1]);
    }
  }
  return top[-1];
}

Result<std::vector<std::string>> names_in(std::string_view source) {
  HEDDLE_ASSIGN_OR_RETURN(const auto root, parse(source));
  std::set<std::string> names;
  std::vector<const Node*> open{&root};
  while (!open.empty()) {
    const Node* node = open.back();
    open.pop_back();
    if (node->kind == Node::Kind::kName || node->kind == Node::Kind::kCall)
      names.insert(node->text);
    // Without an environment `ledger.count(x)` may be a method or a dotted function: it is named
    // both ways.
    if (node->method && node->children[0].kind == Node::Kind::kName)
      names.insert(node->children[0].text + "." + node->text);
    for (const auto& child : node->children) open.push_back(&child);
  }
  return std::vector<std::string>(names.begin(), names.end());
}

std::string_view type_name(Type type) noexcept {
  switch (type) {
    case Type::kNull: return "null";
    case Type::kBool: return "bool";
    case Type::kInt: return "int";
    case Type::kDouble: return "double";
    case Type::kString: return "string";
    case Type::kTimestamp: return "timestamp";
    case Type::kDuration: return "duration";
    case Type::kList: return "list";
    case Type::kDyn: return "any";
  }
  return "any";
}

}  // namespace heddle::expr
