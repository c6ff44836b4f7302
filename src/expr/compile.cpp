#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <re2/re2.h>

#include "doc/diagnostic.hpp"
#include "expr/builtins.hpp"
#include "expr/code.hpp"
#include "expr/names.hpp"
#include "expr/syntax.hpp"

namespace heddle::expr {

Program::Code::Code() = default;
Program::Code::~Code() = default;

namespace {

bool is_number(Type type) { return type == Type::kInt || type == Type::kDouble; }

/// Whether an argument of type `given` may stand where a letter of a builtin's signature is.
bool fits(char letter, Type given) {
  if (given == Type::kDyn) return true;  // the null literal
  switch (letter) {
    case 'b': return given == Type::kBool;
    case 'i': return given == Type::kInt;
    case 'd': return given == Type::kDouble;
    case 's': return given == Type::kString;
    case 't': return given == Type::kTimestamp;
    case 'u': return given == Type::kDuration;
    case 'l': return given == Type::kList;
    case 'n': return is_number(given);
    default: return true;
  }
}

}  // namespace

Type common_type(Type a, Type b) {
  if (a == b || b == Type::kDyn) return a;
  if (a == Type::kDyn) return b;
  return is_number(a) && is_number(b) ? Type::kDouble : Type::kNull;
}

namespace {

/// Of texts and times; kNull where it is not defined.
Type other_arithmetic(char op, Type a, Type b) {
  struct Row {
    char op;
    Type a;
    Type b;
    Type result;
  };
  static constexpr Row kOthers[] = {
      {'+', Type::kString, Type::kString, Type::kString},
      {'+', Type::kTimestamp, Type::kDuration, Type::kTimestamp},
      {'+', Type::kDuration, Type::kTimestamp, Type::kTimestamp},
      {'+', Type::kDuration, Type::kDuration, Type::kDuration},
      {'-', Type::kTimestamp, Type::kTimestamp, Type::kDuration},
      {'-', Type::kTimestamp, Type::kDuration, Type::kTimestamp},
      {'-', Type::kDuration, Type::kDuration, Type::kDuration},
  };
  for (const Row& row : kOthers) {
    if (row.op == op && row.a == a && row.b == b) return row.result;
  }
  return Type::kNull;
}

}  // namespace

Type arithmetic_type(char op, Type a, Type b) {
  // A null that is written out has every type, so the other side says it.
  if (a == Type::kDyn || b == Type::kDyn) return common_type(a, b);
  if (is_number(a) && is_number(b)) {
    if (a == Type::kInt && b == Type::kInt) return Type::kInt;
    // A remainder is defined of two integers alone.
    return op == '%' ? Type::kNull : Type::kDouble;
  }
  return other_arithmetic(op, a, b);
}

const Builtin* overload_of(std::string_view name, std::span<const Type> types) {
  // In the order of the table: the form for integers stands before the one for numbers.
  for (const Builtin& builtin : builtins()) {
    if (builtin.name != name || builtin.signature.size() != types.size()) continue;
    bool is_fitting = true;
    for (std::size_t i = 0; i < types.size(); ++i)
      is_fitting = is_fitting && fits(builtin.signature[i], types[i]);
    if (is_fitting) return &builtin;
  }
  return nullptr;
}

namespace {

using Code = Program::Code;

Error error_at(std::size_t offset, std::string id, std::string message, std::string hint = {}) {
  return {ErrorKind::kInvalid, std::move(id), std::move(message), std::move(hint),
          fmt::format("offset {}", offset)};
}

Type type_of(const Datum& datum) {
  switch (datum.kind) {
    case Datum::Kind::kBool: return Type::kBool;
    case Datum::Kind::kInt: return Type::kInt;
    case Datum::Kind::kDouble: return Type::kDouble;
    case Datum::Kind::kString: return Type::kString;
    case Datum::Kind::kTimestamp: return Type::kTimestamp;
    case Datum::Kind::kDuration: return Type::kDuration;
    case Datum::Kind::kList: return Type::kList;
    default: return Type::kDyn;
  }
}

class Compiler {
 public:
  Compiler(const Environment& environment, Code& code) : environment_(environment), code_(code) {}

  Result<Type> compile(const Node& node) {
    switch (node.kind) {
      case Node::Kind::kNull: return constant(Datum::null(), Type::kDyn);
      case Node::Kind::kBool: return constant(Datum::boolean(node.b), Type::kBool);
      case Node::Kind::kInt: return constant(Datum::integer(node.i), Type::kInt);
      case Node::Kind::kDouble: return constant(Datum::real(node.d), Type::kDouble);
      case Node::Kind::kString:
        code_.strings.push_back(node.text);
        return constant(Datum::string(code_.strings.back()), Type::kString);
      case Node::Kind::kList: return list(node);
      case Node::Kind::kName: return name(node);
      case Node::Kind::kUnary: return unary(node);
      case Node::Kind::kBinary: return binary(node);
      case Node::Kind::kAnd:
      case Node::Kind::kOr: return logical(node);
      case Node::Kind::kTernary: return ternary(node);
      case Node::Kind::kCall: return call(node);
    }
    return Type::kNull;
  }

  void emit(Op op, std::size_t index = 0, std::size_t count = 0) {
    code_.instructions.push_back(
        {op, static_cast<std::uint8_t>(count), static_cast<std::uint32_t>(index), 0});
  }
  void push() { code_.max_stack = std::max(code_.max_stack, ++depth_); }
  void pop(std::size_t count = 1) { depth_ -= count; }

  std::set<int> variables;

 private:
  Result<Type> constant(Datum value, Type type) {
    code_.constants.push_back(value);
    emit(Op::kConstant, code_.constants.size() - 1);
    push();
    return type;
  }

  Result<Type> list(const Node& node) {
    auto& items = code_.list_items.emplace_back();
    for (const auto& child : node.children) {
      const std::size_t before = code_.instructions.size();
      HEDDLE_ASSIGN_OR_RETURN(const Type type, compile(child));
      (void)type;
      pop();
      if (!fold(before, child).is_true()) {
        return error_at(child.offset, "expression-type", "a list may hold constants only",
                        "write the comparison out with `||`");
      }
      // Into the list and not onto the stack.
      items.push_back(code_.constants.back());
      code_.instructions.resize(before);
    }
    code_.lists.push_back({items.data(), static_cast<std::uint32_t>(items.size())});
    return constant(Datum::list_of(&code_.lists.back()), Type::kList);
  }

  /// Whether what the instruction does is only known with a row.
  static bool depends_on_row(Op op) {
    return op == Op::kVariable || op == Op::kHost || op == Op::kSkipIfFalse ||
           op == Op::kSkipIfTrue || op == Op::kBranch || op == Op::kJump;
  }

  /// Does what an instruction on constants does; false for one that is left to `evaluate`.
  bool run_constant(const Instruction& instruction, std::vector<Datum>& stack,
                    StringPool& pool) const {
    switch (instruction.op) {
      case Op::kConstant: stack.push_back(code_.constants[instruction.index]); return true;
      case Op::kNegate: stack.back() = negate(stack.back()); return true;
      case Op::kCall: break;
      default: return false;
    }
    const std::span<const Datum> arguments(stack.data() + stack.size() - instruction.count,
                                           instruction.count);
    // What a function gives of null or an error is up to `evaluate`.
    const bool plain = std::none_of(arguments.begin(), arguments.end(),
                                    [](const Datum& x) { return x.is_null() || x.is_error(); });
    if (!plain) return false;
    const Datum out = builtins()[instruction.index].call(arguments, pool);
    stack.resize(stack.size() - instruction.count);
    stack.push_back(out);
    return true;
  }

  /// Makes the instructions from `before` on one constant when they read nothing; true when that is
  /// what they are now.
  Datum fold(std::size_t before, const Node&) {
    for (std::size_t i = before; i < code_.instructions.size(); ++i) {
      if (depends_on_row(code_.instructions[i].op)) return Datum::boolean(false);
    }
    if (code_.instructions.size() == before + 1)
      return Datum::boolean(code_.instructions[before].op == Op::kConstant);
    std::vector<Datum> stack;
    StringPool pool;
    for (std::size_t i = before; i < code_.instructions.size(); ++i) {
      if (!run_constant(code_.instructions[i], stack, pool)) return Datum::boolean(false);
    }
    Datum value = stack.back();
    // Told at once: it would fail in every row.
    if (value.is_error()) return Datum::error();
    if (value.kind == Datum::Kind::kString) {
      // Made in a pool that ends with this function.
      code_.strings.emplace_back(value.str());
      value = Datum::string(code_.strings.back());
    }
    code_.constants.push_back(value);
    code_.instructions.resize(before);
    emit(Op::kConstant, code_.constants.size() - 1);
    return Datum::boolean(true);
  }

  Result<Type> name(const Node& node) {
    for (std::size_t i = 0; i < environment_.variables.size(); ++i) {
      // Of two variables of one name the first counts.
      if (environment_.variables[i].name != node.text) continue;
      variables.insert(static_cast<int>(i));
      emit(Op::kVariable, i);
      push();
      return environment_.variables[i].type;
    }
    std::vector<std::string> known;
    for (const auto& variable : environment_.variables) known.push_back(variable.name);
    const auto near = doc::nearest(node.text, known);
    return error_at(node.offset, "expression-unknown-name",
                    fmt::format("nothing is named `{}`", node.text),
                    near.empty() ? fmt::format("names here: {}", list_of(known))
                                 : fmt::format("did you mean `{}`?", near));
  }

  static std::string list_of(std::vector<std::string> names) {
    for (auto& name : names) name = written(name);
    return fmt::to_string(fmt::join(names, ", "));
  }

  Result<Type> unary(const Node& node) {
    const std::size_t before = code_.instructions.size();
    HEDDLE_ASSIGN_OR_RETURN(const Type type, compile(node.children[0]));
    if (node.text == "!") {
      if (type != Type::kBool && type != Type::kDyn) return wrong_type(node, "!", type, type);
      emit(Op::kNot);
      return Type::kBool;
    }
    if (!is_number(type) && type != Type::kDuration && type != Type::kDyn)
      return wrong_type(node, "-", type, type);
    emit(Op::kNegate);
    if (fold(before, node).is_error())
      return error_at(node.offset, "expression-type", "this always fails: an integer overflows");
    return type;
  }

  Error wrong_type(const Node& node, std::string_view what, Type a, Type b) {
    return error_at(
        node.offset, "expression-type",
        a == b ? fmt::format("`{}` is not defined for {}", what, type_name(a))
               : fmt::format("`{}` is not defined for {} and {}", what, type_name(a), type_name(b)),
        "convert one side: int(), double(), string(), timestamp(), duration()");
  }

  Result<Type> null_test(const Node& node, const Node& tested) {
    HEDDLE_TRY(compile(tested));
    emit(Op::kIsNull, node.text == "==" ? 1 : 0);
    return Type::kBool;
  }

  Result<Type> membership(const Node& node, Type a, Type b) {
    if (b != Type::kList && b != Type::kDyn) return wrong_type(node, "in", a, b);
    // A list holds constants, so that this is known now.
    if (b == Type::kList && node.children[1].kind == Node::Kind::kList && never_in(a)) {
      return error_at(node.offset, "expression-type",
                      fmt::format("no item of the list is a {}", type_name(a)),
                      "write the items in the type of what is looked for");
    }
    emit(Op::kIn);
    return Type::kBool;
  }

  Result<Type> comparison(const Node& node, Type a, Type b) {
    static constexpr std::pair<std::string_view, Op> kOperators[] = {
        {"==", Op::kEqual},     {"!=", Op::kNotEqual}, {"<", Op::kLess},
        {"<=", Op::kLessEqual}, {">", Op::kGreater},   {">=", Op::kGreaterEqual}};
    const Type shared = common_type(a, b);
    // Lists are equal or not; none is before another.
    const bool is_order = node.text[0] == '<' || node.text[0] == '>';
    if (shared == Type::kNull || (is_order && shared == Type::kList))
      return wrong_type(node, node.text, a, b);
    for (const auto& [text, op] : kOperators) {
      if (text == node.text) emit(op);
    }
    return Type::kBool;
  }

  Result<Type> arithmetic(const Node& node, Type a, Type b) {
    const Type type = arithmetic_type(node.text[0], a, b);
    if (type == Type::kNull) return wrong_type(node, node.text, a, b);
    switch (node.text[0]) {
      case '+': emit(Op::kAdd); break;
      case '-': emit(Op::kSubtract); break;
      case '*': emit(Op::kMultiply); break;
      case '/': emit(Op::kDivide); break;
      default: emit(Op::kModulo);
    }
    return type;
  }

  Result<Type> binary(const Node& node) {
    const std::string_view op = node.text;
    const bool is_equality = op == "==" || op == "!=";
    const Node& left = node.children[0];
    const Node& right = node.children[1];
    // Only a null that is written out asks whether a value is there; a comparison with a value that
    // is null gives null.
    if (is_equality && left.kind == Node::Kind::kNull) return null_test(node, right);
    if (is_equality && right.kind == Node::Kind::kNull) return null_test(node, left);
    HEDDLE_ASSIGN_OR_RETURN(const Type a, compile(left));
    HEDDLE_ASSIGN_OR_RETURN(const Type b, compile(right));
    pop();
    if (op == "in") return membership(node, a, b);
    if (is_equality || op[0] == '<' || op[0] == '>') return comparison(node, a, b);
    return arithmetic(node, a, b);
  }

  /// Whether no item of the list compiled last could be equal to a value of this type.
  bool never_in(Type type) const {
    const auto* list = code_.constants.back().list;
    if (list->size == 0 || type == Type::kDyn) return false;
    return std::none_of(list->items, list->items + list->size, [&](const Datum& item) {
      return item.is_null() || common_type(type, type_of(item)) != Type::kNull;
    });
  }

  Result<Type> logical(const Node& node) {
    const bool conjunction = node.kind == Node::Kind::kAnd;
    for (std::size_t i = 0; i < 2; ++i) {
      HEDDLE_ASSIGN_OR_RETURN(const Type type, compile(node.children[i]));
      if (type != Type::kBool && type != Type::kDyn)
        return wrong_type(node.children[i], node.text, type, type);
      if (i == 0) {
        skips_.push_back(code_.instructions.size());
        emit(conjunction ? Op::kSkipIfFalse : Op::kSkipIfTrue);
      }
    }
    pop();
    emit(conjunction ? Op::kAnd : Op::kOr);
    // Past the operator: what the left side decides needs no right side.
    code_.instructions[skips_.back()].index = static_cast<std::uint32_t>(code_.instructions.size());
    skips_.pop_back();
    return Type::kBool;
  }

  Result<Type> ternary(const Node& node) {
    HEDDLE_ASSIGN_OR_RETURN(const Type condition, compile(node.children[0]));
    if (condition != Type::kBool && condition != Type::kDyn)
      return wrong_type(node.children[0], "?:", condition, condition);
    const std::size_t branch = code_.instructions.size();
    emit(Op::kBranch);
    pop();
    HEDDLE_ASSIGN_OR_RETURN(const Type yes, compile(node.children[1]));
    const std::size_t to_double = code_.instructions.size();
    emit(Op::kToDouble);  // does nothing but to an int, and is kept only where the other side is a
                          // double
    const std::size_t jump = code_.instructions.size();
    emit(Op::kJump);
    pop();
    code_.instructions[branch].index = static_cast<std::uint32_t>(code_.instructions.size());
    HEDDLE_ASSIGN_OR_RETURN(const Type no, compile(node.children[2]));
    const Type type = common_type(yes, no);
    if (type == Type::kNull) return wrong_type(node, "?:", yes, no);
    if (type == Type::kDouble) {
      emit(Op::kToDouble);
    } else {
      // A jump to the next instruction stands in its place: what comes after it has its number
      // already.
      code_.instructions[to_double] = {Op::kJump, 0, static_cast<std::uint32_t>(to_double + 1), 0};
    }
    code_.instructions[jump].index = static_cast<std::uint32_t>(code_.instructions.size());
    code_.instructions[branch].second = static_cast<std::uint32_t>(code_.instructions.size());
    return type;
  }

  /// What a function takes, and what turns a text into it.
  static std::string overloads(std::string_view name, const std::vector<Type>& given) {
    static constexpr std::pair<char, std::string_view> kLetters[] = {
        {'b', "bool"},      {'i', "int"},      {'d', "double"}, {'s', "string"},
        {'t', "timestamp"}, {'u', "duration"}, {'l', "list"},   {'n', "number"}};
    std::vector<std::string> forms;
    bool time = false;
    for (const auto& builtin : builtins()) {
      if (builtin.name != name) continue;
      std::vector<std::string_view> types;
      for (const char letter : builtin.signature) {
        const auto* const found =
            std::find_if(std::begin(kLetters), std::end(kLetters),
                         [&](const auto& each) { return each.first == letter; });
        types.push_back(found == std::end(kLetters) ? "any" : found->second);
      }
      time = time || builtin.signature.starts_with('t');
      forms.push_back(fmt::format("({})", fmt::join(types, ", ")));
    }
    const bool text = time && !given.empty() && given[0] == Type::kString;
    return fmt::format("it takes {}{}", fmt::join(forms, " or "),
                       text ? "; `timestamp(x)` makes a timestamp of a text" : "");
  }

  Result<Type> call(const Node& node) {
    // A dotted function of the host: `ledger.count(...)` is a method call on a name that is no
    // variable.
    if (node.method && node.children[0].kind == Node::Kind::kName) {
      const std::string dotted = node.children[0].text + "." + node.text;
      if (has_host(dotted)) return host(node, dotted, 1);
    }
    // Before the builtins: a host's function stands in front of one of the same name.
    if (has_host(node.text)) return host(node, node.text, 0);
    if (node.text == "matches") return match(node);
    const std::size_t before = code_.instructions.size();
    std::vector<Type> types;
    for (const auto& child : node.children) {
      HEDDLE_ASSIGN_OR_RETURN(const Type type, compile(child));
      types.push_back(type);
    }
    if (const Builtin* builtin = overload_of(node.text, types); builtin != nullptr) {
      emit(Op::kCall, static_cast<std::size_t>(builtin - builtins().data()), types.size());
      pop(types.size());
      push();
      if (fold(before, node).is_error()) {
        return error_at(node.offset, "expression-type",
                        fmt::format("`{}` always fails on this constant", node.text),
                        "correct the constant; docs/expressions.md has the form");
      }
      return builtin->result;
    }
    return no_such_function(node, types);
  }

  /// No overload takes these types, or no function has the name.
  Error no_such_function(const Node& node, const std::vector<Type>& types) {
    const auto all = builtins();
    const bool named = std::any_of(
        all.begin(), all.end(), [&](const Builtin& builtin) { return builtin.name == node.text; });
    if (named) {
      std::vector<std::string_view> names;
      for (const Type type : types) names.push_back(type_name(type));
      return error_at(
          node.offset, "expression-type",
          fmt::format("`{}` is not defined for ({})", node.text, fmt::join(names, ", ")),
          overloads(node.text, types));
    }
    std::vector<std::string> known{"matches"};
    for (const auto& builtin : all) known.emplace_back(builtin.name);
    for (const auto& function : environment_.functions) known.push_back(function.name);
    const auto near = doc::nearest(node.text, known);
    return error_at(node.offset, "expression-unknown-function",
                    fmt::format("no function is named `{}`", node.text),
                    near.empty() ? "docs/expressions.md lists them all"
                                 : fmt::format("did you mean `{}`?", near));
  }

  bool has_host(const std::string& wanted) const {
    return std::any_of(environment_.functions.begin(), environment_.functions.end(),
                       [&](const Function& function) { return function.name == wanted; });
  }

  Result<Type> host(const Node& node, const std::string& wanted, std::size_t first) {
    const auto at = std::find_if(environment_.functions.begin(), environment_.functions.end(),
                                 [&](const Function& function) { return function.name == wanted; });
    const std::size_t count = node.children.size() - first;
    if (at->arguments.size() != count) {
      return error_at(
          node.offset, "expression-type",
          fmt::format("`{}` takes {} arguments, {} given", wanted, at->arguments.size(), count));
    }
    for (std::size_t i = 0; i < count; ++i) {
      HEDDLE_ASSIGN_OR_RETURN(const Type given, compile(node.children[first + i]));
      const Type asked = at->arguments[i];
      // A function of the host gets a double where it declares one.
      if (asked == Type::kDouble && given == Type::kInt) {
        emit(Op::kToDouble);
      } else if (asked != given && asked != Type::kDyn && given != Type::kDyn) {
        return error_at(
            node.children[first + i].offset, "expression-type",
            fmt::format("`{}` takes {} here, not {}", wanted, type_name(asked), type_name(given)));
      }
    }
    // A copy, since the program outlives the environment.
    code_.functions.push_back(*at);
    emit(Op::kHost, code_.functions.size() - 1, count);
    pop(count);
    push();
    return at->result;
  }

  Result<Type> match(const Node& node) {
    if (node.children.size() != 2 || node.children[1].kind != Node::Kind::kString) {
      return error_at(node.offset, "expression-type",
                      "`matches` takes a string and a pattern that is written out",
                      "write the pattern as a literal: it is compiled once");
    }
    HEDDLE_ASSIGN_OR_RETURN(const Type type, compile(node.children[0]));
    if (type != Type::kString && type != Type::kDyn) return wrong_type(node, "matches", type, type);
    re2::RE2::Options options(re2::RE2::Quiet);
    auto pattern = std::make_unique<re2::RE2>(node.children[1].text, options);
    if (!pattern->ok()) {
      return error_at(node.children[1].offset, "expression-pattern",
                      fmt::format("not a regular expression: {}", pattern->error()),
                      "the syntax is RE2's");
    }
    code_.patterns.push_back(std::move(pattern));
    emit(Op::kMatch, code_.patterns.size() - 1);
    return Type::kBool;
  }

  const Environment& environment_;
  Code& code_;
  std::size_t depth_ = 0;
  std::vector<std::size_t> skips_;
};

}  // namespace

Result<std::unique_ptr<const Program::Code>> Program::compile_code(std::string_view source,
                                                                   const Environment& environment,
                                                                   Type expected) {
  HEDDLE_ASSIGN_OR_RETURN(const auto root, parse(source));
  auto code = std::make_unique<Code>();
  Compiler compiler(environment, *code);
  HEDDLE_ASSIGN_OR_RETURN(code->type, compiler.compile(root));
  if (expected != Type::kDyn && code->type != expected && code->type != Type::kDyn) {
    // Whole numbers are numbers; no other type is converted unasked.
    if (expected == Type::kDouble && code->type == Type::kInt) {
      compiler.emit(Op::kToDouble);
      code->type = Type::kDouble;
    } else {
      return error_at(
          0, "expression-type",
          fmt::format("this gives {}, {} is needed", type_name(code->type), type_name(expected)));
    }
  }
  // Sorted and each once: callers fill only these.
  code->variables.assign(compiler.variables.begin(), compiler.variables.end());
  return std::unique_ptr<const Code>(std::move(code));
}

}  // namespace heddle::expr
