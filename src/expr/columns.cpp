#include "expr/columns.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>

#include "expr/operations.hpp"

namespace heddle::expr {

using Kind = Datum::Kind;

Datum Vector::at(std::size_t row) const noexcept {
  if (is_constant) return constant;
  if (is_boxed) return boxed[row];
  if (states != nullptr && states[row] != Batch::kValue)
    return states[row] == Batch::kFailed ? Datum::error() : Datum::null();
  switch (kind) {
    case Kind::kBool: return Datum::boolean(bools[row] != 0);
    case Kind::kInt: return Datum::integer(ints[row]);
    case Kind::kTimestamp: return Datum::timestamp(ints[row]);
    case Kind::kDuration: return Datum::duration(ints[row]);
    case Kind::kDouble: return Datum::real(doubles[row]);
    default: return {};
  }
}

Datum Batch::at(std::size_t i) const noexcept {
  if (boxed != nullptr) return boxed[i];
  if (states != nullptr && states[i] != kValue)
    return states[i] == kFailed ? Datum::error() : Datum::null();
  switch (type) {
    case Type::kBool: return Datum::boolean(bools[i] != 0);
    case Type::kInt: return Datum::integer(ints[i]);
    case Type::kTimestamp: return Datum::timestamp(ints[i]);
    case Type::kDuration: return Datum::duration(ints[i]);
    case Type::kDouble: return Datum::real(doubles[i]);
    default: return {};
  }
}

namespace {

using Code = Program::Code;

std::uint8_t state_of(const Datum& datum) {
  if (datum.is_error()) return Batch::kFailed;
  return datum.is_null() ? Batch::kMissing : Batch::kValue;
}

/// The state of a row of packed values.
std::uint8_t state_in(const Vector& v, std::size_t row) {
  return v.states == nullptr ? std::uint8_t{Batch::kValue} : v.states[row];
}

/// An error beats null beats a value.
std::uint8_t worse(std::uint8_t a, std::uint8_t b) {
  if (a == Batch::kFailed || b == Batch::kFailed) return Batch::kFailed;
  // Missing is 0 and a value 1: only of two values there is one.
  return a & b;
}

bool is_whole(Kind kind) {
  return kind == Kind::kInt || kind == Kind::kTimestamp || kind == Kind::kDuration;
}

Type type_of(Kind kind) {
  switch (kind) {
    case Kind::kBool: return Type::kBool;
    case Kind::kInt: return Type::kInt;
    case Kind::kDouble: return Type::kDouble;
    case Kind::kTimestamp: return Type::kTimestamp;
    case Kind::kDuration: return Type::kDuration;
    default: return Type::kNull;
  }
}

/// The values of a vector, and one value in every row: kernels are compiled for both.
template <class T>
struct Many {
  const T* values;
  T operator[](std::size_t row) const { return values[row]; }
};
template <class T>
struct One {
  T value;
  T operator[](std::size_t) const { return value; }
};

template <class F>
void with_ints(const Vector& v, const F& use) {
  if (v.is_constant)
    use(One<std::int64_t>{v.constant.i});
  else
    use(Many<std::int64_t>{v.ints});
}
template <class F>
void with_doubles(const Vector& v, const F& use) {
  if (v.is_constant)
    use(One<double>{v.constant.d});
  else
    use(Many<double>{v.doubles});
}
template <class F>
void with_bools(const Vector& v, const F& use) {
  if (v.is_constant)
    use(One<std::uint8_t>{static_cast<std::uint8_t>(v.constant.b ? 1 : 0)});
  else
    use(Many<std::uint8_t>{v.bools});
}

/// `a op b` of two values of one packed type.
template <class A, class B, class Out>
void compare_rows(Op op, const A& a, const B& b, std::size_t rows, Out* out) {
  const auto each = [&](auto holds) {
    for (std::size_t i = 0; i < rows; ++i) out[i] = holds(a[i], b[i]) ? 1 : 0;
  };
  switch (op) {
    case Op::kLess: return each([](auto x, auto y) { return x < y; });
    case Op::kLessEqual: return each([](auto x, auto y) { return x <= y; });
    case Op::kGreater: return each([](auto x, auto y) { return x > y; });
    case Op::kGreaterEqual: return each([](auto x, auto y) { return x >= y; });
    case Op::kEqual: return each([](auto x, auto y) { return x == y; });
    default: return each([](auto x, auto y) { return x != y; });
  }
}

/// `a op b` of doubles.
template <class A, class B>
void real_rows(Op op, const A& a, const B& b, std::size_t rows, double* out) {
  const auto each = [&](auto result) {
    for (std::size_t i = 0; i < rows; ++i) out[i] = result(a[i], b[i]);
  };
  switch (op) {
    case Op::kAdd: return each([](double x, double y) { return x + y; });
    case Op::kSubtract: return each([](double x, double y) { return x - y; });
    case Op::kMultiply: return each([](double x, double y) { return x * y; });
    default: return each([](double x, double y) { return x / y; });
  }
}

/// A number that a double and an integer both hold exactly: comparing by either is the same.
std::optional<Datum> in_kind(const Datum& number, Kind kind) {
  if (number.kind == kind) return number;
  constexpr std::int64_t kExact = std::int64_t{1} << 53;
  if (number.kind == Kind::kInt && kind == Kind::kDouble && number.i >= -kExact &&
      number.i <= kExact)
    return Datum::real(static_cast<double>(number.i));
  if (number.kind == Kind::kDouble && kind == Kind::kInt && std::fabs(number.d) <= 0x1p53 &&
      std::trunc(number.d) == number.d)
    return Datum::integer(static_cast<std::int64_t>(number.d));
  return std::nullopt;
}

/// Evaluates parts of one program over runs of rows. Every kernel of packed values has a row-wise
/// twin (`row_by_row`), which calls what rows call; a kernel may only be there where it gives the
/// same bits.
class Evaluation {
 public:
  Evaluation(const Code& code, std::span<const ColumnView> columns, ColumnScratch& scratch,
             StringPool& strings, std::span<const TextTable> tables)
      : code_(code), columns_(columns), scratch_(scratch), strings_(strings), tables_(tables) {}

  /// The value of instructions [begin, end) in rows [first, first + rows); rows <= kRun.
  const Vector& run(std::size_t begin, std::size_t end, std::int64_t first, std::size_t rows) {
    first_ = first;
    rows_ = rows;
    depth_ = 0;
    // No text of the run before is borrowed any more.
    strings_.reset();
    evaluate(begin, end, nullptr);
    return place(0);
  }

 private:
  using Active = const std::uint8_t*;  ///< which rows count; nullptr: all

  Vector& place(std::size_t depth) { return scratch_.stack[depth]; }
  VectorBuffer& buffer(std::size_t depth) { return *scratch_.buffers[depth]; }
  Vector& top() { return place(depth_ - 1); }
  /// The next place of the stack, emptied.
  Vector& push() {
    // As deep as the deepest program that this thread met, and no memory is taken after that.
    if (depth_ == scratch_.buffers.size()) {
      scratch_.buffers.push_back(std::make_unique<VectorBuffer>());
      scratch_.stack.emplace_back();
    }
    return place(depth_++) = Vector{};
  }
  std::vector<Datum>& boxes(std::size_t depth) {
    auto& boxed = buffer(depth).boxed;
    if (boxed.empty()) boxed.resize(kRun);
    return boxed;
  }

  void evaluate(std::size_t begin, std::size_t end, Active active) {
    for (std::size_t at = begin; at < end;) {
      const auto table = std::find_if(tables_.begin(), tables_.end(),
                                      [&](const TextTable& each) { return each.begin == at; });
      if (table != tables_.end()) {
        look_up(*table);
        at = table->end;
        continue;
      }
      at = step(at, active);
    }
  }

  /// Does one instruction, or a whole conjunction, disjunction or choice; the next one.
  std::size_t step(std::size_t at, Active active) {
    const Instruction& instruction = code_.instructions[at];
    switch (instruction.op) {
      case Op::kConstant: {
        Vector& out = push();
        out.is_constant = true;
        out.constant = code_.constants[instruction.index];
        return at + 1;
      }
      case Op::kVariable: load(static_cast<std::size_t>(instruction.index)); return at + 1;
      case Op::kSkipIfFalse: return logical(at, false, active);
      case Op::kSkipIfTrue: return logical(at, true, active);
      case Op::kBranch: return choose(at, active);
      case Op::kJump: return at + 1;  // to the next one: others are passed over by `choose`
      case Op::kCall:
      case Op::kHost: call(instruction, active); return at + 1;
      case Op::kMatch: {
        const re2::RE2& pattern = *code_.patterns[instruction.index];
        row_by_row(1, active, [&](std::span<const Datum> a) {
          Datum value = a[0];
          match(pattern, value);
          return value;
        });
        return at + 1;
      }
      case Op::kNegate:
      case Op::kNot:
      case Op::kIsNull:
      case Op::kToDouble: unary(instruction, active); return at + 1;
      default: binary(instruction.op, active); return at + 1;
    }
  }

  // --- what is pushed

  void load(std::size_t variable) {
    const ColumnView& column = columns_[variable];
    Vector& out = push();
    VectorBuffer& to = buffer(depth_ - 1);
    if (column.type == Type::kString) return load_texts(column, out);
    if (column.valid != nullptr) {
      const std::uint8_t* valid = column.valid + first_;
      for (std::size_t i = 0; i < rows_; ++i)
        to.states[i] = valid[i] != 0 ? 1 : 0;  // kValue, kMissing
      out.states = to.states.data();
    }
    switch (column.type) {
      case Type::kInt: out.kind = Kind::kInt; break;
      case Type::kTimestamp: out.kind = Kind::kTimestamp; break;
      case Type::kDuration: out.kind = Kind::kDuration; break;
      case Type::kDouble:
        out.kind = Kind::kDouble;
        out.doubles = column.doubles + first_;
        return;
      case Type::kBool:
        out.kind = Kind::kBool;
        for (std::size_t i = 0; i < rows_; ++i)
          to.bools[i] = column.ints[first_ + static_cast<std::int64_t>(i)] != 0 ? 1 : 0;
        out.bools = to.bools.data();
        return;
      default:
        std::fill_n(to.states.begin(), rows_, Batch::kMissing);
        out.states = to.states.data();
        return;
    }
    out.ints = column.ints + first_;
  }

  void load_texts(const ColumnView& column, Vector& out) {
    auto& boxed = boxes(depth_ - 1);
    for (std::size_t i = 0; i < rows_; ++i)
      boxed[i] = column.at(first_ + static_cast<std::int64_t>(i));
    out.is_boxed = true;
    out.boxed = boxed.data();
  }

  void look_up(const TextTable& table) {
    const ColumnView& column = columns_[static_cast<std::size_t>(table.variable)];
    // The last entry of a table stands for rows without a text.
    const std::int32_t missing =
        static_cast<std::int32_t>((table.is_boxed ? table.boxed.size() : table.states.size()) - 1);
    std::array<std::int32_t, kRun> entries;
    for (std::size_t i = 0; i < rows_; ++i) {
      const std::int64_t row = first_ + static_cast<std::int64_t>(i);
      const bool is_missing = column.valid != nullptr && column.valid[row] == 0;
      entries[i] = is_missing ? missing : column.codes[row];
    }
    Vector& out = push();
    VectorBuffer& to = buffer(depth_ - 1);
    const auto each = [&](const auto& from, auto& into) {
      for (std::size_t i = 0; i < rows_; ++i) into[i] = from[static_cast<std::size_t>(entries[i])];
    };
    if (table.is_boxed) {
      each(table.boxed, boxes(depth_ - 1));
      out.is_boxed = true;
      out.boxed = to.boxed.data();
      return;
    }
    out.kind = table.kind;
    if (column.valid != nullptr || !table.always) {
      each(table.states, to.states);
      out.states = to.states.data();
    }
    if (table.kind == Kind::kBool) {
      for (std::size_t i = 0; i < rows_; ++i)
        to.bools[i] = table.words[static_cast<std::size_t>(entries[i])] != 0 ? 1 : 0;
      out.bools = to.bools.data();
    } else if (table.kind == Kind::kDouble) {
      for (std::size_t i = 0; i < rows_; ++i)
        to.doubles[i] = std::bit_cast<double>(table.words[static_cast<std::size_t>(entries[i])]);
      out.doubles = to.doubles.data();
    } else {
      each(table.words, to.ints);
      out.ints = to.ints.data();
    }
  }

  // --- row by row

  /// Replaces `count` arguments by `call` of them, in the rows that count.
  template <class F>
  void row_by_row(std::size_t count, Active active, const F& call) {
    const std::size_t base = depth_ - count;
    if (count == 0) push();
    auto& out = boxes(base);
    auto& arguments = scratch_.arguments;
    arguments.resize(count);
    for (std::size_t i = 0; i < rows_; ++i) {
      // Such a row may fail here, and what it would give is thrown away.
      if (active != nullptr && active[i] == 0) {
        out[i] = {};
        continue;
      }
      for (std::size_t k = 0; k < count; ++k) arguments[k] = place(base + k).at(i);
      out[i] = call(std::span<const Datum>(arguments));
    }
    depth_ = base + 1;
    pack(base);
  }

  /// Boxed values of one kind are packed, but for texts and lists.
  void pack(std::size_t depth) {
    VectorBuffer& from = buffer(depth);
    Kind kind = Kind::kNull;
    bool is_one_kind = true;
    for (std::size_t i = 0; i < rows_; ++i) {
      const Datum& datum = from.boxed[i];
      from.states[i] = state_of(datum);
      if (from.states[i] != Batch::kValue) continue;
      is_one_kind = is_one_kind && (kind == Kind::kNull || kind == datum.kind);
      kind = datum.kind;
    }
    Vector out;
    if (!is_one_kind || kind == Kind::kString || kind == Kind::kList) {
      out.is_boxed = true;
      out.boxed = from.boxed.data();
      place(depth) = out;
      return;
    }
    out.kind = kind;
    out.states = from.states.data();
    for (std::size_t i = 0; i < rows_; ++i) {
      const Datum& datum = from.boxed[i];
      const bool has_value = from.states[i] == Batch::kValue;
      if (kind == Kind::kBool)
        from.bools[i] = has_value && datum.b ? 1 : 0;
      else if (kind == Kind::kDouble)
        from.doubles[i] = has_value ? datum.d : 0;
      else
        from.ints[i] = has_value ? datum.i : 0;
    }
    out.bools = from.bools.data();
    out.ints = from.ints.data();
    out.doubles = from.doubles.data();
    place(depth) = out;
  }

  void call(const Instruction& instruction, Active active) {
    if (instruction.op == Op::kHost) {
      const Function& function = code_.functions[instruction.index];
      return row_by_row(instruction.count, active, [&](std::span<const Datum> a) {
        Datum out;
        return absorbed(a, function.nullable, out) ? out : function.call(a);
      });
    }
    const Builtin& builtin = builtins()[instruction.index];
    if (builtin.name == "is_null") return unary({Op::kIsNull, 0, 1, 0}, active);
    row_by_row(instruction.count, active, [&](std::span<const Datum> a) {
      Datum out;
      return absorbed(a, builtin.nullable, out) ? out : builtin.call(a, strings_);
    });
  }

  // --- operators of one value

  void unary(const Instruction& instruction, Active active) {
    const Vector value = top();
    VectorBuffer& to = buffer(depth_ - 1);
    const bool is_packed = !value.is_boxed && !value.is_constant;
    Vector out = value;
    if (is_packed && instruction.op == Op::kIsNull) {
      is_null(value, instruction.index == 1, to, out);
    } else if (is_packed && instruction.op == Op::kNot && value.kind == Kind::kBool) {
      for (std::size_t i = 0; i < rows_; ++i) to.bools[i] = value.bools[i] == 0 ? 1 : 0;
      out.bools = to.bools.data();
    } else if (is_packed && instruction.op == Op::kToDouble) {
      // Only an integer is converted; what is a double, or has no number, stays.
      if (value.kind != Kind::kInt) return;
      for (std::size_t i = 0; i < rows_; ++i) to.doubles[i] = static_cast<double>(value.ints[i]);
      out.kind = Kind::kDouble;
      out.doubles = to.doubles.data();
    } else if (is_packed && instruction.op == Op::kNegate && value.kind == Kind::kDouble) {
      for (std::size_t i = 0; i < rows_; ++i) to.doubles[i] = -value.doubles[i];
      out.doubles = to.doubles.data();
    } else {
      return row_by_row(1, active, [&](std::span<const Datum> a) {
        Datum changed = a[0];
        apply_unary(instruction, changed);
        return changed;
      });
    }
    top() = out;
  }

  void is_null(const Vector& value, bool wanted, VectorBuffer& to, Vector& out) const {
    out = {};
    out.kind = Kind::kBool;
    for (std::size_t i = 0; i < rows_; ++i) {
      const std::uint8_t state = state_in(value, i);
      to.bools[i] = (state == Batch::kMissing) == wanted ? 1 : 0;
      to.states[i] = state == Batch::kFailed ? state : std::uint8_t{Batch::kValue};
    }
    out.bools = to.bools.data();
    out.states = to.states.data();
  }

  // --- operators of two values

  void binary(Op op, Active active) {
    const Vector a = place(depth_ - 2);
    const Vector b = place(depth_ - 1);
    Vector out;
    if (!(a.is_constant && b.is_constant) && packed(op, a, b, out)) {
      --depth_;
      top() = out;
      return;
    }
    row_by_row(2, active,
               [&](std::span<const Datum> values) { return of_row(op, values[0], values[1]); });
  }

  Datum of_row(Op op, const Datum& a, const Datum& b) {
    switch (op) {
      case Op::kAdd: return add(a, b, strings_);
      case Op::kSubtract: return subtract(a, b);
      case Op::kMultiply: return multiply(a, b);
      case Op::kDivide: return divide(a, b);
      case Op::kModulo: return modulo(a, b);
      case Op::kEqual: return equality(a, b, false);
      case Op::kNotEqual: return equality(a, b, true);
      case Op::kIn: return member_of(a, b);
      default: return compare_by(op, a, b);
    }
  }

  /// False where there is no kernel.
  bool packed(Op op, Vector a, Vector b, Vector& out) {
    if (op == Op::kIn) return is_member(a, b, out);
    const bool is_arithmetic = op >= Op::kAdd && op <= Op::kModulo;
    if (is_arithmetic) {
      if (a.holds(Kind::kInt) && b.holds(Kind::kInt)) return whole_arithmetic(op, a, b, out);
      return real_arithmetic(op, a, b, out);
    }
    return ordered(op, a, b, out);
  }

  /// The states of two operands together, in the first one's buffer.
  const std::uint8_t* states_of(const Vector& a, const Vector& b) {
    if (a.states == nullptr || b.states == nullptr)
      return a.states == nullptr ? b.states == nullptr ? nullptr : copied(b.states) : a.states;
    auto& to = buffer(depth_ - 2).states;
    for (std::size_t i = 0; i < rows_; ++i) to[i] = worse(a.states[i], b.states[i]);
    return to.data();
  }
  /// The second operand's place is free again afterwards.
  const std::uint8_t* copied(const std::uint8_t* states) {
    auto& to = buffer(depth_ - 2).states;
    std::copy_n(states, rows_, to.begin());
    return to.data();
  }

  bool ordered(Op op, Vector a, Vector b, Vector& out) {
    // A constant may stand in the other's kind where that is exact.
    for (auto [constant, other] : {std::pair{&a, &b}, std::pair{&b, &a}}) {
      if (!constant->is_constant || other->is_boxed || other->is_constant) continue;
      if (const auto same = in_kind(constant->constant, other->kind)) constant->constant = *same;
    }
    // Where the result will be: the place of the first operand.
    auto* const to = buffer(depth_ - 2).bools.data();
    const Kind kind = a.is_constant ? b.kind : a.kind;
    if (!a.holds(kind) || !b.holds(kind)) return false;
    if (is_whole(kind)) {
      with_ints(a, [&](const auto& x) {
        with_ints(b, [&](const auto& y) { compare_rows(op, x, y, rows_, to); });
      });
    } else if (kind == Kind::kDouble) {
      with_doubles(a, [&](const auto& x) {
        with_doubles(b, [&](const auto& y) { compare_rows(op, x, y, rows_, to); });
      });
    } else if (kind == Kind::kBool) {
      with_bools(a, [&](const auto& x) {
        with_bools(b, [&](const auto& y) { compare_rows(op, x, y, rows_, to); });
      });
    } else {
      return false;
    }
    out.kind = Kind::kBool;
    out.bools = to;
    out.states = states_of(a, b);
    return true;
  }

  /// Numbers as doubles, converted into the buffer of their own place.
  bool as_doubles(Vector& v, std::size_t depth) {
    if (v.holds(Kind::kDouble)) return true;
    if (!v.holds(Kind::kInt)) return false;
    if (v.is_constant) {
      v.constant = Datum::real(static_cast<double>(v.constant.i));
      return true;
    }
    auto& to = buffer(depth).doubles;
    for (std::size_t i = 0; i < rows_; ++i) to[i] = static_cast<double>(v.ints[i]);
    v.doubles = to.data();
    v.kind = Kind::kDouble;
    return true;
  }

  bool real_arithmetic(Op op, Vector a, Vector b, Vector& out) {
    if (op == Op::kModulo || !as_doubles(a, depth_ - 2) || !as_doubles(b, depth_ - 1)) return false;
    double* const to = buffer(depth_ - 2).doubles.data();
    // Of two NaNs the processor takes one operand's sign, and which one is first is the compiler's
    // choice: left to the code that rows go through.
    bool any_pair = false;
    with_doubles(a, [&](const auto& x) {
      with_doubles(b, [&](const auto& y) {
        for (std::size_t i = 0; i < rows_; ++i) any_pair |= (x[i] != x[i]) & (y[i] != y[i]);
      });
    });
    if (any_pair) return false;
    with_doubles(a, [&](const auto& x) {
      with_doubles(b, [&](const auto& y) { real_rows(op, x, y, rows_, to); });
    });
    out.kind = Kind::kDouble;
    out.doubles = to;
    out.states = states_of(a, b);
    return true;
  }

  /// `a op b` of two integers; true when it has no value.
  static bool whole_fails(Op op, std::int64_t a, std::int64_t b, std::int64_t* out) {
    switch (op) {
      case Op::kAdd: return __builtin_add_overflow(a, b, out);
      case Op::kSubtract: return __builtin_sub_overflow(a, b, out);
      case Op::kMultiply: return __builtin_mul_overflow(a, b, out);
      default:
        // The second overflows, and the processor would trap.
        if (b == 0 || (a == INT64_MIN && b == -1)) return true;
        *out = op == Op::kDivide ? a / b : a % b;
        return false;
    }
  }

  bool whole_arithmetic(Op op, const Vector& a, const Vector& b, Vector& out) {
    std::int64_t* const to = buffer(depth_ - 2).ints.data();
    std::array<std::uint8_t, kRun> fails;
    std::uint8_t any = 0;
    with_ints(a, [&](const auto& x) {
      with_ints(b, [&](const auto& y) {
        for (std::size_t i = 0; i < rows_; ++i) {
          std::int64_t value = 0;
          fails[i] = whole_fails(op, x[i], y[i], &value) ? 1 : 0;
          any |= fails[i];
          to[i] = value;
        }
      });
    });
    out.kind = Kind::kInt;
    out.ints = to;
    out.states = states_of(a, b);
    if (any == 0) return true;
    // What stands where no value is may overflow too, and does not count.
    auto& states = buffer(depth_ - 2).states;
    for (std::size_t i = 0; i < rows_; ++i) {
      const std::uint8_t state = state_in(out, i);
      states[i] = state == Batch::kValue && fails[i] != 0 ? std::uint8_t{Batch::kFailed} : state;
    }
    out.states = states.data();
    return true;
  }

  /// Integers in a list of integers; texts are looked up by distinct value, others row by row.
  bool is_member(const Vector& item, const Vector& list, Vector& out) {
    if (item.is_constant || !item.holds(Kind::kInt) || !list.holds(Kind::kList)) return false;
    const ListView& items = *list.constant.list;
    const bool is_whole_list = std::all_of(items.items, items.items + items.size,
                                           [](const Datum& d) { return d.kind == Kind::kInt; });
    if (!is_whole_list) return false;
    auto& to = buffer(depth_ - 2).bools;
    for (std::size_t i = 0; i < rows_; ++i) {
      std::uint8_t found = 0;
      for (std::uint32_t k = 0; k < items.size; ++k)
        found |= item.ints[i] == items.items[k].i ? 1 : 0;
      to[i] = found;
    }
    out.kind = Kind::kBool;
    out.bools = to.data();
    out.states = item.states;
    return true;
  }

  // --- what chooses

  /// Whether a row's answer is settled by this value alone.
  static bool settles(const Vector& v, std::size_t row, bool decides) {
    if (v.holds(Kind::kBool) && !v.is_constant)
      return (v.states == nullptr || v.states[row] == Batch::kValue) &&
             (v.bools[row] != 0) == decides;
    const Datum value = v.at(row);
    return value.kind == Kind::kBool && value.b == decides;
  }

  /// `&&` (false decides) and `||` (true decides): the right side is evaluated in the rows that the
  /// left one leaves open.
  std::size_t logical(std::size_t at, bool decides, Active active) {
    const std::size_t after = code_.instructions[at].index;
    const Vector a = top();
    std::array<std::uint8_t, kRun> open;
    if (a.holds(Kind::kBool) && !a.is_constant && a.states == nullptr) {
      const std::uint8_t left = decides ? 0 : 1;  // what does not decide
      for (std::size_t i = 0; i < rows_; ++i) open[i] = a.bools[i] == left ? 1 : 0;
    } else {
      for (std::size_t i = 0; i < rows_; ++i) open[i] = settles(a, i, decides) ? 0 : 1;
    }
    for (std::size_t i = 0; active != nullptr && i < rows_; ++i) open[i] &= active[i];
    const std::size_t count = counted(open);
    // The left side decides every row.
    if (count == 0) return after;
    evaluate(at + 1, after - 1, count == rows_ ? nullptr : open.data());
    const Vector b = top();
    // Only packed values are merged as packed ones; a boxed side may hold any kind.
    if (a.is_constant || a.is_boxed || b.is_boxed || b.is_constant) {
      row_by_row(2, active,
                 [&](std::span<const Datum> sides) { return merge(sides[0], sides[1], decides); });
      return after;
    }
    --depth_;
    merge_packed(a, b, decides);
    return after;
  }

  [[nodiscard]] std::size_t counted(const std::array<std::uint8_t, kRun>& rows) const {
    std::size_t count = 0;
    for (std::size_t i = 0; i < rows_; ++i) count += rows[i];
    return count;
  }

  void merge_packed(const Vector& a, const Vector& b, bool decides) {
    VectorBuffer& to = buffer(depth_ - 1);
    if (a.states == nullptr && b.states == nullptr && a.kind == b.kind) {
      for (std::size_t i = 0; i < rows_; ++i)
        to.bools[i] = decides ? a.bools[i] | b.bools[i] : a.bools[i] & b.bools[i];
      top() = {};
      top().kind = Kind::kBool;
      top().bools = to.bools.data();
      return;
    }
    for (std::size_t i = 0; i < rows_; ++i) {
      const std::uint8_t both = worse(state_in(a, i), state_in(b, i));
      const bool settled = settles(a, i, decides) || settles(b, i, decides);
      to.bools[i] = settled == decides ? 1 : 0;
      to.states[i] = settled ? std::uint8_t{Batch::kValue} : both;
    }
    Vector out;
    out.kind = Kind::kBool;
    out.bools = to.bools.data();
    out.states = to.states.data();
    top() = out;
  }

  /// A condition and its two sides, each evaluated in the rows that take it.
  std::size_t choose(std::size_t at, Active active) {
    const Instruction& branch = code_.instructions[at];
    const std::size_t base = depth_ - 1;
    // Neither, where the condition has no value: such a row keeps the condition's null or error.
    std::array<std::uint8_t, kRun> yes, no;
    std::size_t yes_count = 0, no_count = 0;
    for (std::size_t i = 0; i < rows_; ++i) {
      const bool counts = active == nullptr || active[i] != 0;
      yes[i] = counts && settles(place(base), i, true) ? 1 : 0;
      no[i] = counts && settles(place(base), i, false) ? 1 : 0;
      yes_count += yes[i];
      no_count += no[i];
    }
    // A side that no row takes has no value.
    const auto side = [&](std::size_t begin, std::size_t end, std::size_t count, Active rows) {
      if (count == 0) {
        push().is_constant = true;
      } else {
        evaluate(begin, end, count == rows_ ? nullptr : rows);
      }
    };
    side(at + 1, branch.index - 1, yes_count, yes.data());
    side(branch.index, branch.second, no_count, no.data());
    blend(base, yes, no);
    return branch.second;
  }

  /// The chosen side of each row in place of the condition.
  void blend(std::size_t base, const std::array<std::uint8_t, kRun>& yes,
             const std::array<std::uint8_t, kRun>& no) {
    auto& out = boxes(base);
    for (std::size_t i = 0; i < rows_; ++i) {
      const std::size_t from = yes[i] != 0 ? base + 1 : no[i] != 0 ? base + 2 : base;
      out[i] = place(from).at(i);
    }
    depth_ = base + 1;
    pack(base);
  }

  const Code& code_;
  std::span<const ColumnView> columns_;
  ColumnScratch& scratch_;
  StringPool& strings_;
  std::span<const TextTable> tables_;
  std::int64_t first_ = 0;
  std::size_t rows_ = 0;
  std::size_t depth_ = 0;
};

/// Finds `parts_of_one_variable` by the values on the stack.
class Parts {
 public:
  explicit Parts(const Code& code) : code_(code) {}

  std::vector<Part> find() {
    walk(0, code_.instructions.size());
    take(stack_.back());
    std::sort(out_.begin(), out_.end(),
              [](const Part& a, const Part& b) { return a.begin < b.begin; });
    return std::move(out_);
  }

 private:
  static constexpr int kNone = -1;
  static constexpr int kSeveral = -2;

  void walk(std::size_t begin, std::size_t end) {
    for (std::size_t at = begin; at < end;) at = step(at);
  }

  std::size_t step(std::size_t at) {
    const Instruction& instruction = code_.instructions[at];
    switch (instruction.op) {
      case Op::kConstant: stack_.push_back({at, at + 1, kNone}); break;
      case Op::kVariable:
        stack_.push_back({at, at + 1, static_cast<int>(instruction.index)});
        break;
      case Op::kSkipIfFalse:
      case Op::kSkipIfTrue:
      case Op::kJump: break;
      case Op::kNegate:
      case Op::kNot:
      case Op::kIsNull:
      case Op::kToDouble:
      case Op::kMatch: join(1, at + 1, at); break;
      case Op::kCall:
      case Op::kHost: join(instruction.count, at + 1, at); break;
      case Op::kBranch:
        walk(at + 1, instruction.index - 1);
        walk(instruction.index, instruction.second);
        join(3, instruction.second, at);
        return instruction.second;
      default: join(2, at + 1, at);
    }
    return at + 1;
  }

  /// The last `count` values become one, of what they read together.
  void join(std::size_t count, std::size_t end, std::size_t at) {
    Part whole{at, end, kNone};
    const auto first = stack_.end() - static_cast<std::ptrdiff_t>(count);
    for (auto part = first; part != stack_.end(); ++part) {
      whole.begin = std::min(whole.begin, part->begin);
      // Constants belong to whatever they stand with.
      if (part->variable == kNone || part->variable == whole.variable) continue;
      whole.variable = whole.variable == kNone ? part->variable : kSeveral;
    }
    // No table holds a value of two variables, but each of its parts may have one.
    if (whole.variable == kSeveral) std::for_each(first, stack_.end(), [&](auto& p) { take(p); });
    stack_.erase(first, stack_.end());
    stack_.push_back(whole);
  }

  void take(const Part& part) {
    // A variable alone is read faster than it is looked up.
    if (part.variable >= 0 && part.end - part.begin > 1) out_.push_back(part);
  }

  const Code& code_;
  std::vector<Part> stack_;
  std::vector<Part> out_;
};

/// One more than the largest code that rows [begin, end) use.
std::size_t used_codes(const ColumnView& column, std::int64_t begin, std::int64_t end) {
  std::int32_t most = -1;
  for (std::int64_t row = begin; row < end; ++row) {
    if (column.valid == nullptr || column.valid[row] != 0) most = std::max(most, column.codes[row]);
  }
  return static_cast<std::size_t>(most + 1);
}

void append(const Vector& values, std::size_t rows, TextTable& table) {
  for (std::size_t i = 0; i < rows; ++i) table.boxed.push_back(values.at(i));
}

/// Packs what `append` collected.
void finish(TextTable& table) {
  for (const Datum& datum : table.boxed) {
    if (state_of(datum) != Batch::kValue) continue;
    if (datum.kind == Kind::kString || datum.kind == Kind::kList ||
        (table.kind != Kind::kNull && table.kind != datum.kind)) {
      table.is_boxed = true;
      return;
    }
    table.kind = datum.kind;
  }
  for (const Datum& datum : table.boxed) {
    table.states.push_back(state_of(datum));
    const bool has_value = table.states.back() == Batch::kValue;
    std::int64_t word = has_value ? datum.i : 0;
    if (has_value && datum.kind == Kind::kBool) word = datum.b ? 1 : 0;
    if (has_value && datum.kind == Kind::kDouble) word = std::bit_cast<std::int64_t>(datum.d);
    table.words.push_back(word);
  }
  // All but the last entry, which stands for rows without a text.
  table.always = std::all_of(table.states.begin(), table.states.end() - 1,
                             [](std::uint8_t state) { return state == Batch::kValue; });
}

/// Evaluates a part for each text that may be there.
TextTable table_of(const Code& code, const Part& part, const ColumnView& column, std::size_t texts,
                   ColumnScratch& scratch, StringPool& strings) {
  const std::size_t entries = texts + 1;
  while (scratch.codes.size() < entries)
    scratch.codes.push_back(static_cast<std::int32_t>(scratch.codes.size()));
  scratch.valid.assign(entries, 1);
  // The last entry stands for rows that have no text.
  scratch.valid.back() = 0;
  std::vector<ColumnView> columns(static_cast<std::size_t>(part.variable) + 1);
  ColumnView& all = columns.back();
  all.type = Type::kString;
  all.length = static_cast<std::int64_t>(entries);
  all.codes = scratch.codes.data();
  all.dictionary = column.dictionary;
  all.valid = scratch.valid.data();
  TextTable table;
  table.begin = part.begin;
  table.end = part.end;
  table.variable = part.variable;
  // Texts made on the way to a result; those that are one are kept below.
  StringPool unkept;
  Evaluation evaluation(code, columns, scratch, unkept, {});
  for (std::size_t first = 0; first < entries; first += kRun) {
    const std::size_t rows = std::min(kRun, entries - first);
    const std::size_t before = table.boxed.size();
    append(evaluation.run(part.begin, part.end, static_cast<std::int64_t>(first), rows), rows,
           table);
    // Texts that were made live until the next run of `evaluation`.
    for (std::size_t i = before; i < table.boxed.size(); ++i) {
      if (table.boxed[i].kind != Kind::kString) continue;
      auto& kept = strings.next();
      kept.assign(table.boxed[i].str());
      table.boxed[i] = Datum::string(kept);
    }
  }
  finish(table);
  return table;
}

/// A constant in every row, for who reads packed values.
const Vector& expanded(const Vector& value, ColumnScratch& scratch) {
  if (!value.is_constant) return value;
  auto& boxed = scratch.buffers.front()->boxed;
  boxed.assign(kRun, value.constant);
  Vector out;
  out.is_boxed = true;
  out.boxed = boxed.data();
  return scratch.stack.front() = out;
}

}  // namespace

std::vector<Part> parts_of_one_variable(const Code& code) { return Parts(code).find(); }

void Program::evaluate_batches(std::span<const ColumnView> columns, std::int64_t begin,
                               std::int64_t end, Scratch& scratch,
                               const std::function<void(const Batch&)>& sink) const {
  auto& memory = scratch.buffers_->columns;
  if (!memory) memory = std::make_unique<ColumnScratch>();
  // Other rows may come with another dictionary.
  memory->tables.clear();
  memory->table_strings.reset();
  for (const Part& part : parts_of_one_variable(*code_)) {
    const ColumnView& column = columns[static_cast<std::size_t>(part.variable)];
    if (column.type != Type::kString) continue;
    const std::size_t texts = used_codes(column, begin, end);
    // A table pays only where each text comes again.
    if (2 * texts > static_cast<std::size_t>(end - begin)) continue;
    memory->tables.push_back(table_of(*code_, part, column, texts, *memory, memory->table_strings));
  }
  Evaluation evaluation(*code_, columns, *memory, memory->run_strings, memory->tables);
  for (std::int64_t first = begin; first < end;) {
    const auto rows = std::min<std::size_t>(kRun, static_cast<std::size_t>(end - first));
    const Vector& value =
        expanded(evaluation.run(0, code_->instructions.size(), first, rows), *memory);
    Batch batch;
    batch.first = first;
    batch.rows = rows;
    batch.type = value.is_boxed ? Type::kDyn : type_of(value.kind);
    batch.states = value.states;
    batch.bools = value.bools;
    batch.ints = value.ints;
    batch.doubles = value.doubles;
    batch.boxed = value.is_boxed ? value.boxed : nullptr;
    sink(batch);
    first += static_cast<std::int64_t>(rows);
  }
}

void Program::evaluate_columns(std::span<const ColumnView> columns, std::int64_t begin,
                               std::int64_t end, Scratch& scratch,
                               const std::function<void(std::int64_t, Datum)>& sink) const {
  evaluate_batches(columns, begin, end, scratch, [&](const Batch& batch) {
    for (std::size_t i = 0; i < batch.rows; ++i)
      sink(batch.first + static_cast<std::int64_t>(i), batch.at(i));
  });
}

}  // namespace heddle::expr
