#include "expr/program.hpp"

#include <algorithm>
#include <deque>
#include <set>

#include <re2/re2.h>

#include "expr/builtins.hpp"
#include "expr/code.hpp"
#include "expr/operations.hpp"
#include "expr/syntax.hpp"

namespace heddle::expr {

struct Program::Scratch::Buffers {
  std::vector<Datum> stack;
  std::vector<Datum> row;
  StringPool strings;
};

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

Datum Program::evaluate(std::span<const Datum> row, Scratch& scratch) const noexcept {
  auto& buffers = *scratch.buffers_;
  if (buffers.stack.size() < code_->max_stack) buffers.stack.resize(code_->max_stack);
  buffers.strings.reset();
  Datum* top = buffers.stack.data();  // one past the topmost value
  const Instruction* const begin = code_->instructions.data();
  const Instruction* const end = begin + code_->instructions.size();
  for (const Instruction* at = begin; at != end; ++at) {
    switch (at->op) {
      case Op::kConstant: *top++ = code_->constants[at->index]; break;
      case Op::kVariable: *top++ = row[at->index]; break;
      case Op::kAdd:
        --top;
        top[-1] = add(top[-1], top[0], buffers.strings);
        break;
      case Op::kSubtract:
        --top;
        top[-1] = subtract(top[-1], top[0]);
        break;
      case Op::kMultiply:
        --top;
        top[-1] = multiply(top[-1], top[0]);
        break;
      case Op::kDivide:
        --top;
        top[-1] = divide(top[-1], top[0]);
        break;
      case Op::kModulo:
        --top;
        top[-1] = modulo(top[-1], top[0]);
        break;
      case Op::kNegate: top[-1] = negate(top[-1]); break;
      case Op::kNot:
        if (top[-1].kind == Kind::kBool) top[-1].b = !top[-1].b;
        break;
      case Op::kLess:
      case Op::kLessEqual:
      case Op::kGreater:
      case Op::kGreaterEqual:
        --top;
        top[-1] = compare_by(at->op, top[-1], top[0]);
        break;
      case Op::kEqual:
        --top;
        top[-1] = equality(top[-1], top[0], false);
        break;
      case Op::kNotEqual:
        --top;
        top[-1] = equality(top[-1], top[0], true);
        break;
      case Op::kIsNull:
        if (!top[-1].is_error()) top[-1] = Datum::boolean(top[-1].is_null() == (at->index == 1));
        break;
      case Op::kIn:
        --top;
        top[-1] = member_of(top[-1], top[0]);
        break;
      case Op::kToDouble:
        if (top[-1].kind == Kind::kInt) top[-1] = Datum::real(static_cast<double>(top[-1].i));
        break;
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
      case Op::kMatch:
        if (top[-1].kind == Kind::kString) {
          const auto text = top[-1].str();
          top[-1] = Datum::boolean(re2::RE2::PartialMatch(
              re2::StringPiece(text.data(), text.size()), *code_->patterns[at->index]));
        }
        break;
      case Op::kSkipIfFalse:
        if (top[-1].kind == Kind::kBool && !top[-1].b) at = begin + at->index - 1;
        break;
      case Op::kSkipIfTrue:
        if (top[-1].kind == Kind::kBool && top[-1].b) at = begin + at->index - 1;
        break;
      case Op::kAnd:
        --top;
        top[-1] = merge(top[-1], top[0], false);
        break;
      case Op::kOr:
        --top;
        top[-1] = merge(top[-1], top[0], true);
        break;
      case Op::kBranch:  // a condition that is null or an error is the whole result
        if (top[-1].kind != Kind::kBool) {
          at = begin + at->second - 1;
        } else if (!(--top)->b) {
          at = begin + at->index - 1;
        }
        break;
      case Op::kJump: at = begin + at->index - 1; break;
    }
  }
  return top[-1];
}

void Program::evaluate_columns(std::span<const ColumnView> columns, std::int64_t begin,
                               std::int64_t end, Scratch& scratch,
                               const std::function<void(std::int64_t, Datum)>& sink) const {
  // The same evaluator row by row: the column path cannot differ from the row path.
  auto& row = scratch.buffers_->row;
  if (row.size() < columns.size()) row.resize(columns.size());
  for (std::int64_t i = begin; i < end; ++i) {
    for (const int variable : code_->variables) {
      const auto index = static_cast<std::size_t>(variable);
      row[index] = columns[index].at(i);
    }
    sink(i, evaluate(row, scratch));
  }
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
