#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "expr/datum.hpp"

namespace heddle::expr {

/// A function the host adds to the language beside the built-in ones (fitted encoders,
/// `ledger.count`, dependencies learned from a snapshot). Pure, thread-safe, must not allocate when
/// used on the request path. Arguments are already checked against `arguments` (an int is promoted
/// where a double is asked); none of them is null or error unless `nullable`.
struct Function {
  std::string name;  ///< may be dotted: `ledger.count`
  std::vector<Type> arguments;
  Type result = Type::kNull;
  bool nullable = false;  ///< called with nulls too; else a null argument gives null
  std::function<Datum(std::span<const Datum>)> call;
};

/// What an expression may name: variables (their index is their place in the row) and host
/// functions. Names may be dotted
/// (`metrics.auc`, `subject.slot`); the longest dotted name that is declared wins.
struct Environment {
  struct Variable {
    std::string name;
    Type type;
  };
  std::vector<Variable> variables;
  std::vector<Function> functions;
};

/// What an expression gives for a run of rows, borrowed until the next run. Row `i` of it is row
/// `first + i` of the columns.
struct Batch {
  std::int64_t first = 0;
  std::size_t rows = 0;
  /// kNull (no row has a value), kBool, kInt, kDouble, kTimestamp or kDuration: values are packed.
  /// kDyn: `boxed` has them, texts among them.
  Type type = Type::kNull;
  const std::uint8_t* states = nullptr;  ///< of each row, a State; nullptr: all have a value
  const std::uint8_t* bools = nullptr;
  const std::int64_t* ints = nullptr;  ///< also timestamps and durations
  const double* doubles = nullptr;
  const Datum* boxed = nullptr;

  enum State : std::uint8_t { kMissing = 0, kValue = 1, kFailed = 2 };

  [[nodiscard]] Datum at(std::size_t i) const noexcept;
};

/// One compiled CEL expression in Heddle's typed profile: terminating, no I/O, no macros
/// (docs/expressions.md has the grammar and every function). Immutable and thread-safe; evaluation
/// needs a `Scratch` per thread and allocates nothing. The row path, the column path and the
/// scalar-context path give the same bits.
class Program {
 public:
  /// kInvalid with `where` = `offset N` of the source when the text does not parse or type-check:
  /// unknown names get a nearest-name hint. `expected` = kDyn accepts any type; kDouble also
  /// accepts an int expression.
  [[nodiscard]] static Result<Program> compile(std::string_view source,
                                               const Environment& environment,
                                               Type expected = Type::kDyn);

  /// Working memory of one thread; grows to the largest program it met, then never again.
  class Scratch {
   public:
    Scratch();
    ~Scratch();
    Scratch(Scratch&&) noexcept;

   private:
    friend class Program;
    struct Buffers;
    std::unique_ptr<Buffers> buffers_;
  };

  /// `row[i]` is the value of variable i of the environment. Strings in the result live as long as
  /// the row, the program and the next use of `scratch`.
  [[nodiscard]] Datum evaluate(std::span<const Datum> row, Scratch& scratch) const noexcept;

  /// Evaluates rows [begin, end) of `columns` (one a variable; a column the expression does not
  /// read may be empty) run by run, in order. The same bits as `evaluate`, row by row; what reads
  /// one text column alone is evaluated once for each of its distinct texts where they are fewer
  /// than the rows.
  void evaluate_batches(std::span<const ColumnView> columns, std::int64_t begin, std::int64_t end,
                        Scratch& scratch, const std::function<void(const Batch&)>& sink) const;
  /// Likewise; hands each result to `sink(row, datum)` in order.
  void evaluate_columns(std::span<const ColumnView> columns, std::int64_t begin, std::int64_t end,
                        Scratch& scratch,
                        const std::function<void(std::int64_t, Datum)>& sink) const;

  [[nodiscard]] Type type() const noexcept;
  /// Indexes of the variables it reads, ascending.
  [[nodiscard]] std::span<const int> variables() const noexcept;

  Program(Program&&) noexcept;
  Program& operator=(Program&&) noexcept;
  ~Program();

  struct Code;  ///< private to this module (expr/code.hpp)

 private:
  explicit Program(std::unique_ptr<const Code> code);
  [[nodiscard]] static Result<std::unique_ptr<const Code>> compile_code(
      std::string_view source, const Environment& environment, Type expected);
  std::unique_ptr<const Code> code_;
};

/// The variable and function names an expression uses, without an environment: for dependency
/// graphs. kInvalid when it does not parse.
[[nodiscard]] Result<std::vector<std::string>> names_in(std::string_view source);

}  // namespace heddle::expr
