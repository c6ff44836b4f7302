// Every way to evaluate must agree bit for bit: values from a row, from columns, and written into
// the source as constants (folded while compiling). Over every overload of every function and every
// operator, on seeded random and extreme values.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <new>
#include <random>

#include "base/allocations_fixture.hpp"
#include "expr/builtins.hpp"
#include "expr/program.hpp"

namespace heddle::expr {
namespace {

using Kind = Datum::Kind;

bool same_bits(const Datum& a, const Datum& b) {
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Kind::kNull:
    case Kind::kError: return true;
    case Kind::kBool: return a.b == b.b;
    case Kind::kString: return a.str() == b.str();
    case Kind::kDouble:
      return std::bit_cast<std::uint64_t>(a.d) == std::bit_cast<std::uint64_t>(b.d);
    case Kind::kList: return equal(a, b);
    default: return a.i == b.i;
  }
}

std::string show(const Datum& datum) {
  switch (datum.kind) {
    case Kind::kNull: return "null";
    case Kind::kError: return "error";
    case Kind::kBool: return datum.b ? "true" : "false";
    case Kind::kDouble:
      return fmt::format("{} ({:#x})", datum.d, std::bit_cast<std::uint64_t>(datum.d));
    case Kind::kString: return fmt::format("'{}'", datum.str());
    case Kind::kList: return "a list";
    default: return fmt::format("{}", datum.i);
  }
}

class Draw {
 public:
  explicit Draw(std::uint64_t seed) : engine_(seed) {}

  Datum value(Type type) {
    switch (type) {
      case Type::kBool: return Datum::boolean((engine_() & 1) != 0);
      case Type::kInt: return Datum::integer(integer());
      case Type::kDouble: return Datum::real(real());
      case Type::kTimestamp:
        return Datum::timestamp(pick<Micros>(
            {0, -1, 1, INT64_MIN, INT64_MAX, 986879167000000, -62135596800000000,
             253402300799999999, 951782400000000,
             static_cast<Micros>(engine_() % 200000000000000000ULL) - 60000000000000000}));
      case Type::kDuration:
        return Datum::duration(pick<Micros>(
            {0, 1, -1, 1500000, -90000000, 86400000000, static_cast<Micros>(engine_() >> 20)}));
      default: return Datum::string(kWords[engine_() % std::size(kWords)]);
    }
  }
  std::uint64_t operator()() { return engine_(); }

  static constexpr std::string_view kWords[] = {
      "",           "a",   "true",         "-12",
      "1e3",        "NaN", "h\xC3\xA9llo", "2001-04-10T05:06:07Z",
      "2001-02-30", "90s", "ABC xyz",      "a longer text than fits into itself"};

 private:
  template <class T>
  T pick(std::initializer_list<T> from) {
    return from.begin()[engine_() % from.size()];
  }
  std::int64_t integer() {
    return pick<std::int64_t>({0, 1, -1, 2, 7, -13, 1000, INT64_MAX, INT64_MIN,
                               std::int64_t{1} << 53, static_cast<std::int64_t>(engine_())});
  }
  double real() {
    constexpr double kInf = std::numeric_limits<double>::infinity();
    return pick<double>({0.0, -0.0, 0.5, -2.5, 3, 1e300, -1e-310, kInf, -kInf, std::nan(""),
                         9007199254740993.0, 9.3e18,
                         static_cast<double>(static_cast<std::int64_t>(engine_())) / 1e12});
  }

  std::mt19937_64 engine_;
};

/// The value as source text; empty when it has no spelling as a constant.
std::string written(const Datum& value) {
  switch (value.kind) {
    case Kind::kNull: return "null";
    case Kind::kBool: return value.b ? "true" : "false";
    case Kind::kInt: return fmt::format("({})", value.i);
    case Kind::kDouble:
      if (!std::isfinite(value.d)) return fmt::format("double('{}')", value.d);
      return std::fabs(value.d) < 1e15 && value.d == std::floor(value.d)
                 ? fmt::format("({:.1f})", value.d)
                 : fmt::format("({:.17e})", value.d);
    case Kind::kString: return fmt::format("'{}'", value.str());
    case Kind::kTimestamp:
      if (value.i < -62135596800000000 || value.i >= 253402300800000000)
        return {};  // data may hold it, a constant may not
      return fmt::format("timestamp('{}')", format_time(value.i));
    case Kind::kDuration:
      if (value.i % 1000 != 0) return {};
      return fmt::format("duration('{}{}ms')", value.i < 0 ? "-" : "", std::abs(value.i / 1000));
    default: return {};
  }
}

/// A source with variables `x` and `y` of these types.
struct Subject {
  std::string source;  ///< with {0} and {1} where the values go
  std::vector<Type> types;
};

std::vector<Subject> subjects() {
  std::vector<Subject> out;
  const auto types_of = [](char letter) -> std::vector<Type> {
    switch (letter) {
      case 'b': return {Type::kBool};
      case 'i': return {Type::kInt};
      case 'd': return {Type::kDouble};
      case 's': return {Type::kString};
      case 't': return {Type::kTimestamp};
      case 'u': return {Type::kDuration};
      case 'n': return {Type::kInt, Type::kDouble};
      case 'a':
        return {Type::kBool,   Type::kInt,       Type::kDouble,
                Type::kString, Type::kTimestamp, Type::kDuration};
      default: return {};
    }
  };
  for (const auto& builtin : builtins()) {
    if (builtin.signature == "l") continue;  // lists are no columns; expr_test has them
    for (const Type first : types_of(builtin.signature[0])) {
      if (builtin.signature.size() == 1) {
        out.push_back({fmt::format("{}({{0}})", builtin.name), {first}});
        continue;
      }
      for (const Type second : types_of(builtin.signature[1]))
        out.push_back({fmt::format("{}({{0}}, {{1}})", builtin.name), {first, second}});
    }
  }
  constexpr Type kAll[] = {Type::kBool,   Type::kInt,       Type::kDouble,
                           Type::kString, Type::kTimestamp, Type::kDuration};
  for (const Type a : kAll) {
    for (const Type b : kAll) {
      for (const auto* op :
           {"+", "-", "*", "/", "%", "<", "<=", ">", ">=", "==", "!=", "&&", "||"}) {
        out.push_back({fmt::format("{{0}} {} {{1}}", op), {a, b}});
      }
    }
    out.push_back({"-{0}", {a}});
    out.push_back({"!{0}", {a}});
    out.push_back({"{0} ? 1 : 2.5", {a}});
    out.push_back({"{0} in [{0}, null]", {a}});
    out.push_back({"{0} == null", {a}});
  }
  out.push_back({"{0}.matches(r'^h.l+o$|\\d')", {Type::kString}});
  return out;
}

TEST(Agreement, RowsColumnsAndConstants) {
  const char* given = std::getenv("HEDDLE_TEST_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 20010410;
  fmt::print("seed {} (HEDDLE_TEST_SEED sets it)\n", seed);
  Draw draw(seed);
  constexpr std::int64_t kRows = 160;
  std::size_t compiled = 0;
  std::size_t folded = 0;
  std::size_t errors = 0;
  for (const auto& subject : subjects()) {
    Environment environment;
    environment.variables.push_back({"x", subject.types[0]});
    if (subject.types.size() == 2) environment.variables.push_back({"y", subject.types[1]});
    const std::string source = fmt::format(fmt::runtime(subject.source), "x", "y");
    const auto program = Program::compile(source, environment);
    if (!program.ok()) {
      // Not defined for these types, or a list of variables: refused with a reason, never something
      // else.
      EXPECT_EQ(program.error().id, "expression-type") << source;
      continue;
    }
    ++compiled;
    std::vector<std::vector<Datum>> rows;
    std::vector<std::vector<std::int64_t>> ints(2);
    std::vector<std::vector<double>> doubles(2);
    std::vector<std::vector<std::string_view>> dictionary(2);
    std::vector<std::vector<std::int32_t>> codes(2);
    std::vector<std::vector<std::uint8_t>> valid(2);
    for (std::int64_t k = 0; k < kRows; ++k) {
      auto& row = rows.emplace_back();
      for (std::size_t v = 0; v < subject.types.size(); ++v) {
        const bool missing = draw() % 8 == 0;
        const Datum value = draw.value(subject.types[v]);
        row.push_back(missing ? Datum::null() : value);
        valid[v].push_back(missing ? 0 : 1);
        ints[v].push_back(value.kind == Kind::kBool     ? (value.b ? 1 : 0)
                          : value.kind == Kind::kString ? 0
                                                        : value.i);
        doubles[v].push_back(value.kind == Kind::kDouble ? value.d : 0);
        dictionary[v].push_back(value.kind == Kind::kString ? value.str() : std::string_view());
        codes[v].push_back(static_cast<std::int32_t>(k));
      }
    }
    std::vector<ColumnView> columns;
    for (std::size_t v = 0; v < subject.types.size(); ++v) {
      columns.push_back({subject.types[v], kRows, ints[v].data(), doubles[v].data(),
                         codes[v].data(), dictionary[v].data(), valid[v].data()});
    }
    Program::Scratch by_row, by_column, by_constant;
    std::int64_t next = 0;
    program->evaluate_columns(columns, 0, kRows, by_column, [&](std::int64_t k, Datum from_column) {
      ASSERT_EQ(k, next++);
      const auto& row = rows[static_cast<std::size_t>(k)];
      const Datum from_row = program->evaluate(row, by_row);
      const auto where = [&] {
        return fmt::format("{} with x = {}, y = {}", source, show(row[0]),
                           row.size() > 1 ? show(row[1]) : "-");
      };
      EXPECT_TRUE(same_bits(from_row, from_column))
          << where() << ": row " << show(from_row) << ", column " << show(from_column);
      errors += from_row.is_error() ? 1 : 0;
      // The same with the values written out. What always fails is refused when it is compiled.
      const std::string x = written(row[0]);
      const std::string y = row.size() > 1 ? written(row[1]) : "0";
      if (x.empty() || y.empty() || row[0].is_null() || (row.size() > 1 && row[1].is_null()))
        return;
      const auto constant =
          Program::compile(fmt::format(fmt::runtime(subject.source), x, y), environment);
      if (!constant.ok()) {
        EXPECT_TRUE(from_row.is_error())
            << where() << ": " << constant.error().message << " but row " << show(from_row);
        return;
      }
      ++folded;
      const Datum from_constant = constant->evaluate(row, by_constant);
      EXPECT_TRUE(same_bits(from_row, from_constant))
          << where() << ": row " << show(from_row) << ", constant " << show(from_constant);
    });
    EXPECT_EQ(next, kRows) << source;
    if (HasFailure()) break;
  }
  fmt::print("{} programs, {} rows each, {} also as constants, {} errors among the answers\n",
             compiled, kRows, folded, errors);
  EXPECT_GT(compiled, builtins().size());
}

/// Three-state logic against the table it is defined by, exhaustively over two and three operands.
TEST(Agreement, LogicIsKleenesWithErrorAbsorbed) {
  Environment environment;
  environment.variables = {{"a", Type::kBool}, {"b", Type::kBool}, {"c", Type::kBool}};
  const Datum states[] = {Datum::boolean(false), Datum::boolean(true), Datum::null(),
                          Datum::error()};
  const auto both = [](const Datum& x, const Datum& y, bool decides) {
    for (const auto& side : {x, y}) {
      if (side.kind == Kind::kBool && side.b == decides) return Datum::boolean(decides);
    }
    if (x.is_error() || y.is_error()) return Datum::error();
    return x.is_null() || y.is_null() ? Datum::null() : Datum::boolean(!decides);
  };
  const auto choose = [](const Datum& x, const Datum& y, const Datum& z) {
    return x.kind != Kind::kBool ? x : x.b ? y : z;
  };
  const auto compile = [&](const char* source) {
    return std::move(*Program::compile(source, environment));
  };
  const auto conjunction = compile("a && b");
  const auto disjunction = compile("a || b");
  const auto mixed = compile("a && b || !c");
  const auto ternary = compile("a ? b : c");
  Program::Scratch scratch;
  for (const auto& a : states) {
    for (const auto& b : states) {
      for (const auto& c : states) {
        const Datum row[] = {a, b, c};
        const auto what = fmt::format("{} {} {}", show(a), show(b), show(c));
        const Datum inverse = c.kind == Kind::kBool ? Datum::boolean(!c.b) : c;
        EXPECT_TRUE(same_bits(conjunction.evaluate(row, scratch), both(a, b, false))) << what;
        EXPECT_TRUE(same_bits(disjunction.evaluate(row, scratch), both(a, b, true))) << what;
        EXPECT_TRUE(same_bits(mixed.evaluate(row, scratch), both(both(a, b, false), inverse, true)))
            << what;
        EXPECT_TRUE(same_bits(ternary.evaluate(row, scratch), choose(a, b, c))) << what;
      }
    }
  }
}

/// Once the scratch has met a row, evaluating allocates nothing: every function, strings that are
/// made included.
TEST(Agreement, EvaluationAllocatesNothing) {
  Draw draw(7);
  for (const auto& subject : subjects()) {
    Environment environment;
    environment.variables.push_back({"x", subject.types[0]});
    if (subject.types.size() == 2) environment.variables.push_back({"y", subject.types[1]});
    const auto program =
        Program::compile(fmt::format(fmt::runtime(subject.source), "x", "y"), environment);
    if (!program.ok()) continue;
    std::vector<std::vector<Datum>> rows;
    for (int k = 0; k < 40; ++k) {
      auto& row = rows.emplace_back();
      for (const Type type : subject.types) row.push_back(draw.value(type));
    }
    Program::Scratch scratch;
    for (const auto& row : rows) (void)program->evaluate(row, scratch);
    const std::size_t before = fixture::allocations;
    for (const auto& row : rows) (void)program->evaluate(row, scratch);
    EXPECT_EQ(fixture::allocations - before, 0u) << subject.source;
  }
}

/// Prints what a typical rule costs; the bound is loose, because machines are shared.
TEST(Agreement, CostOfARule) {
  Environment environment;
  environment.variables = {
      {"distance", Type::kInt}, {"origin", Type::kString}, {"date", Type::kTimestamp}};
  const Datum row[] = {Datum::integer(612), Datum::string("SEA"),
                       Datum::timestamp(986879167000000)};
  for (const char* source :
       {"distance > 500", "distance >= 0 && distance <= 6000", "origin != 'LAX' && distance < 3000",
        "date.getHours() * 60 + date.getMinutes()", "origin in ['ATL', 'LAX', 'SEA']",
        "origin.matches('^[A-Z]{3}$')"}) {
    const auto program = Program::compile(source, environment);
    ASSERT_TRUE(program.ok()) << program.error().message;
    Program::Scratch scratch;
    double best = 1e9;
    for (int round = 0; round < 5; ++round) {
      constexpr int kTimes = 20000;
      const auto start = std::chrono::steady_clock::now();
      for (int k = 0; k < kTimes; ++k) ASSERT_FALSE(program->evaluate(row, scratch).is_error());
      best = std::min(
          best, std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start)
                        .count() /
                    kTimes);
    }
    fmt::print("{:6.1f} ns  {}\n", best, source);
    EXPECT_LT(best, 5000) << source;
  }
}

}  // namespace
}  // namespace heddle::expr
