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
#include <optional>
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
std::string spelled(const Datum& value) {
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

std::uint64_t seed_of_test() {
  const char* given = std::getenv("HEDDLE_TEST_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 20010410;
  fmt::print("seed {} (HEDDLE_TEST_SEED sets it)\n", seed);
  return seed;
}

TEST(Agreement, RowsColumnsAndConstants) {
  Draw draw(seed_of_test());
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
      const std::string x = spelled(row[0]);
      const std::string y = row.size() > 1 ? spelled(row[1]) : "0";
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

/// Writes programs at random: expressions of a type over two variables of each type, one text
/// column of few distinct values and one of many.
class Writer {
 public:
  explicit Writer(Draw& draw) : draw_(draw) {}

  std::string of(Type type, int depth) {
    if (depth == 0 || draw_() % 7 == 0) return leaf(type);
    if (draw_() % 8 == 0) {
      const std::string condition = of(Type::kBool, depth - 1);
      return fmt::format("({} ? {} : {})", condition, of(type, depth - 1), of(type, depth - 1));
    }
    if (type != Type::kBool && draw_() % 8 == 0)
      return fmt::format("coalesce({}, {})", of(type, depth - 1), of(type, depth - 1));
    switch (type) {
      case Type::kBool: return truth(depth - 1);
      case Type::kInt: return whole(depth - 1);
      case Type::kDouble: return real(depth - 1);
      case Type::kTimestamp:
        return form(depth - 1, {"{t} + {u}", "{t} - {u}", "timestamp({i})", "timestamp({s})"});
      case Type::kDuration:
        return form(depth - 1, {"{t} - {t}", "{u} + {u}", "-{u}", "duration({s})"});
      default:
        return form(depth - 1, {"{s} + {s}", "lowerAscii({s})", "string({i})", "string({d})",
                                "string({t})", "upperAscii({s})"});
    }
  }

 private:
  std::string leaf(Type type) {
    if (draw_() % 40 == 0) return "null";
    if (draw_() % 3 == 0) {
      const std::string constant = spelled(draw_.value(type));
      if (!constant.empty()) return constant;
    }
    const char* letter = type == Type::kBool        ? "b"
                         : type == Type::kInt       ? "i"
                         : type == Type::kDouble    ? "d"
                         : type == Type::kTimestamp ? "t"
                         : type == Type::kDuration  ? "u"
                                                    : "s";
    return fmt::format("{}{}", letter, draw_() % 2);
  }
  std::string truth(int depth) {
    return form(depth, {"{b} && {b}",
                        "{b} || {b}",
                        "!{b}",
                        "{i} < {i}",
                        "{i} <= {d}",
                        "{d} > {d}",
                        "{d} >= {i}",
                        "{d} == {d}",
                        "{i} != {i}",
                        "{s} == {s}",
                        "{s} < {s}",
                        "{t} < {t}",
                        "{u} >= {u}",
                        "{b} == {b}",
                        "is_null({s})",
                        "is_null({d})",
                        "({i}) == null",
                        "({s}) != null",
                        "{i} in [0, 7, -13, null]",
                        "{i} in [1, 2, 1000]",
                        "{d} in [0.5, 3]",
                        "{s} in ['a', 'ABC xyz']",
                        "({s}).matches('^[a-z0-9]')",
                        "startsWith({s}, {s})",
                        "contains({s}, 'a')",
                        "{t} != {t}",
                        "odd({i})"});
  }
  std::string whole(int depth) {
    return form(depth, {"{i} + {i}", "{i} - {i}", "{i} * {i}", "{i} / {i}", "{i} % {i}", "-{i}",
                        "size({s})", "hour_of_day({t})", "abs({i})", "min({i}, {i})", "int({d})",
                        "int({s})", "bucket({d}, 2.5)", "getMonth({t})", "day_of_week({t})"});
  }
  std::string real(int depth) {
    return form(depth, {"{d} + {d}", "{d} - {i}", "{i} * {d}", "{d} / {d}", "-{d}", "double({i})",
                        "floor({d})", "sqrt({d})", "exp({d})", "max({d}, {i})", "double({s})",
                        "half({d})", "log1p({d})"});
  }
  /// One of the forms, its places filled.
  std::string form(int depth, std::initializer_list<const char*> forms) {
    const std::string_view chosen = forms.begin()[draw_() % forms.size()];
    std::string out = "(";
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      if (chosen[i] != '{') {
        out += chosen[i];
        continue;
      }
      const char letter = chosen[i + 1];
      out += of(letter == 'b'   ? Type::kBool
                : letter == 'i' ? Type::kInt
                : letter == 'd' ? Type::kDouble
                : letter == 't' ? Type::kTimestamp
                : letter == 'u' ? Type::kDuration
                                : Type::kString,
                depth);
      i += 2;
    }
    return out + ")";
  }

  Draw& draw_;
};

/// Columns of every type, and the same as rows.
struct Columns {
  static constexpr std::int64_t kRows = 2700;  ///< two whole runs and a part of one
  static constexpr Type kTypes[] = {Type::kBool,      Type::kBool,      Type::kInt,
                                    Type::kInt,       Type::kDouble,    Type::kDouble,
                                    Type::kTimestamp, Type::kTimestamp, Type::kDuration,
                                    Type::kDuration,  Type::kString,    Type::kString};
  static constexpr const char* kNames[] = {"b0", "b1", "i0", "i1", "d0", "d1",
                                           "t0", "t1", "u0", "u1", "s0", "s1"};
  Environment environment;
  std::vector<std::vector<Datum>> rows{static_cast<std::size_t>(kRows)};
  std::vector<std::vector<std::int64_t>> ints{std::size(kTypes)};
  std::vector<std::vector<double>> doubles{std::size(kTypes)};
  std::vector<std::vector<std::int32_t>> codes{std::size(kTypes)};
  std::vector<std::vector<std::string>> texts{std::size(kTypes)};
  std::vector<std::vector<std::string_view>> dictionary{std::size(kTypes)};
  std::vector<std::vector<std::uint8_t>> valid{std::size(kTypes)};
  std::vector<ColumnView> views;

  explicit Columns(Draw& draw) {
    for (std::size_t v = 0; v < std::size(kTypes); ++v) {
      environment.variables.push_back({kNames[v], kTypes[v]});
      fill(draw, v, v + 1 == std::size(kTypes));
    }
    environment.functions.push_back(
        {"odd", {Type::kInt}, Type::kBool, false, [](std::span<const Datum> a) {
           return Datum::boolean(a[0].i % 2 != 0);
         }});
    // Answers of several kinds, and none.
    environment.functions.push_back(
        {"half", {Type::kDouble}, Type::kDouble, true, [](std::span<const Datum> a) {
           if (a[0].is_null()) return Datum::real(0.5);
           return a[0].d < 0    ? Datum::error()
                  : a[0].d == 0 ? Datum::null()
                                : Datum::real(a[0].d / 2);
         }});
  }

 private:
  void fill(Draw& draw, std::size_t v, bool distinct) {
    const Type type = kTypes[v];
    const bool never_missing = draw() % 4 == 0;
    texts[v].assign(std::begin(Draw::kWords), std::end(Draw::kWords));
    if (distinct) {
      for (std::int64_t k = 0; k < kRows; ++k) texts[v].push_back(fmt::format("{}", draw() >> 50));
    }
    dictionary[v].assign(texts[v].begin(), texts[v].end());
    for (auto& row : rows) {
      Datum value = draw.value(type);
      codes[v].push_back(static_cast<std::int32_t>(draw() % texts[v].size()));
      if (type == Type::kString)
        value = Datum::string(dictionary[v][static_cast<std::size_t>(codes[v].back())]);
      const bool missing = !never_missing && draw() % 8 == 0;
      valid[v].push_back(missing ? 0 : 1);
      ints[v].push_back(type == Type::kBool ? (value.b ? 1 : 0) : value.i);
      doubles[v].push_back(value.d);
      row.push_back(missing ? Datum::null() : value);
    }
    views.push_back({type, kRows, ints[v].data(), doubles[v].data(), codes[v].data(),
                     dictionary[v].data(), never_missing ? nullptr : valid[v].data()});
  }
};

TEST(Agreement, GeneratedProgramsOverRowsAndColumns) {
  Draw draw(seed_of_test());
  constexpr int kPrograms = 1500;
  int compiled = 0;
  std::int64_t counts[3] = {};  // of values, nulls, errors
  std::optional<Columns> columns;
  for (int n = 0; n < kPrograms; ++n) {
    if (n % 100 == 0) columns.emplace(draw);
    constexpr Type kResults[] = {Type::kBool,   Type::kBool,      Type::kInt,     Type::kDouble,
                                 Type::kString, Type::kTimestamp, Type::kDuration};
    const std::string source =
        Writer(draw).of(kResults[draw() % std::size(kResults)], 1 + static_cast<int>(draw() % 5));
    const auto program = Program::compile(source, columns->environment);
    if (!program.ok()) continue;  // what always fails, or is of no known type
    ++compiled;
    const auto begin = static_cast<std::int64_t>(draw() % 3 * 700);
    const auto end =
        begin + static_cast<std::int64_t>(draw() % 4 == 0 ? 9 : Columns::kRows - begin);
    Program::Scratch by_row, by_column;
    std::int64_t next = begin;
    program->evaluate_columns(
        columns->views, begin, end, by_column, [&](std::int64_t k, Datum from_column) {
          ASSERT_EQ(k, next++);
          const Datum from_row =
              program->evaluate(columns->rows[static_cast<std::size_t>(k)], by_row);
          ++counts[from_row.is_error() ? 2 : from_row.is_null() ? 1 : 0];
          ASSERT_TRUE(same_bits(from_row, from_column))
              << source << " in row " << k << ": row " << show(from_row) << ", column "
              << show(from_column);
        });
    ASSERT_EQ(next, end) << source;
    if (HasFailure()) return;
  }
  fmt::print("{} programs of {} compiled; {} values, {} nulls, {} errors\n", compiled, kPrograms,
             counts[0], counts[1], counts[2]);
  EXPECT_GT(compiled, kPrograms / 2);
  EXPECT_GT(counts[1], 0);
  EXPECT_GT(counts[2], 0);
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

/// Prints what the same rules cost over columns.
TEST(Agreement, CostOfARuleOverColumns) {
  constexpr std::int64_t kRows = 100'000;
  Environment environment;
  environment.variables = {
      {"distance", Type::kInt}, {"origin", Type::kString}, {"date", Type::kTimestamp}};
  std::vector<std::int64_t> distances, dates;
  std::vector<std::int32_t> codes;
  const std::vector<std::string_view> airports = {"SEA", "LAX", "ATL", "JFK", "ORD"};
  for (std::int64_t i = 0; i < kRows; ++i) {
    distances.push_back(i * 7919 % 4000);
    dates.push_back(986879167000000 + i * 60000000);
    codes.push_back(static_cast<std::int32_t>(i * 31 % 5));
  }
  const ColumnView columns[] = {
      {Type::kInt, kRows, distances.data()},
      {Type::kString, kRows, nullptr, nullptr, codes.data(), airports.data()},
      {Type::kTimestamp, kRows, dates.data()}};
  for (const char* source :
       {"distance > 500", "distance >= 0 && distance <= 6000", "origin != 'LAX' && distance < 3000",
        "date.getHours() * 60 + date.getMinutes()", "origin in ['ATL', 'LAX', 'SEA']",
        "origin.matches('^[A-Z]{3}$')"}) {
    const auto program = Program::compile(source, environment);
    ASSERT_TRUE(program.ok()) << program.error().message;
    Program::Scratch scratch;
    double best = 1e9;
    std::int64_t values = 0;
    for (int round = 0; round < 5; ++round) {
      const auto start = std::chrono::steady_clock::now();
      program->evaluate_batches(columns, 0, kRows, scratch, [&](const Batch& batch) {
        values += static_cast<std::int64_t>(batch.rows);
      });
      best = std::min(
          best, std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start)
                        .count() /
                    static_cast<double>(kRows));
    }
    EXPECT_EQ(values, 5 * kRows);
    fmt::print("{:6.2f} ns  {}\n", best, source);
    EXPECT_LT(best, 5000) << source;
  }
}

}  // namespace
}  // namespace heddle::expr
