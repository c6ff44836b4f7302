// What is worked out of an expression before there are rows: the verdicts by table, and that none
// is wrong by random expressions on random rows.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cfloat>
#include <cmath>
#include <cstdlib>
#include <random>

#include "expr/outcomes.hpp"

namespace heddle::expr {
namespace {

const Environment& outcome_environment() {
  static const Environment env = [] {
    Environment out;
    out.variables = {{"i", Type::kInt},    {"j", Type::kInt},       {"d", Type::kDouble},
                     {"s", Type::kString}, {"t", Type::kTimestamp}, {"u", Type::kDuration},
                     {"b", Type::kBool},   {"code", Type::kString}, {"share", Type::kDouble}};
    return out;
  }();
  return env;
}

/// Doubles as a row has them: finite; `code` is one of two texts, `share` between 0 and 1.
const std::vector<Domain>& domains() {
  static const std::vector<Domain> all = [] {
    std::vector<Domain> out(9);
    out[2] = {-DBL_MAX, DBL_MAX, false, {}};
    out[7].texts = {"ATL", "LAX"};
    out[8] = {0, 1, false, {}};
    return out;
  }();
  return all;
}

/// `fails at OFFSET`, `never a value`, `never true`, `never false` or nothing.
std::string verdict(const std::string& source) {
  const auto program = Program::compile(source, outcome_environment());
  // A conversion of a constant that fails is refused by the compiler itself.
  const bool is_known =
      program.ok() || program.error().message.find("always fails") != std::string::npos;
  EXPECT_TRUE(is_known) << source << ": " << program.error().message;
  const Outcomes out = outcomes_of(source, outcome_environment(), domains());
  if (!out.faults.empty()) return fmt::format("fails at {}", out.faults.front().offset);
  if (!out.may_be_value) return "never a value";
  if (program.ok() && program->type() != Type::kBool) return "";
  return !out.may_be_true ? "never true" : !out.may_be_false ? "never false" : "";
}

struct OutcomeCase {
  const char* source;
  const char* expected;
};

class Verdict : public ::testing::TestWithParam<OutcomeCase> {};
TEST_P(Verdict, OfAnExpression) {
  EXPECT_EQ(verdict(GetParam().source), GetParam().expected) << GetParam().source;
}

INSTANTIATE_TEST_SUITE_P(
    Fails, Verdict,
    ::testing::Values(
        OutcomeCase{"1 / 0", "fails at 0"}, OutcomeCase{"i / 0 > 3", "fails at 0"},
        OutcomeCase{"d > 1.0 && i % (2 - 2) == 0", "fails at 11"}, OutcomeCase{"d / 0", ""},
        OutcomeCase{"d / 0.0", ""}, OutcomeCase{"9223372036854775807 + 1", "fails at 0"},
        OutcomeCase{"-9223372036854775808 - 1", "fails at 0"},
        OutcomeCase{"9223372036854775807 * 2 > i", "fails at 0"},
        OutcomeCase{"-9223372036854775808 / -1", "fails at 0"},
        OutcomeCase{"int(1.0 / 0.0)", "fails at 0"},
        OutcomeCase{"int(sqrt(-1.0)) == 1", "fails at 0"}, OutcomeCase{"int(1e19)", "fails at 0"},
        OutcomeCase{"int(exp(1000))", "fails at 0"}, OutcomeCase{"bucket(i, 0)", "fails at 0"},
        OutcomeCase{"bucket(d, -2.5) > 1", "fails at 0"}, OutcomeCase{"bucket(d, i)", ""},
        OutcomeCase{"abs(-9223372036854775807 - 1)", "fails at 0"},
        OutcomeCase{"timestamp('2020-13-01') > t", "fails at 0"},
        OutcomeCase{"timestamp('9999-12-31') + duration('2d')", "fails at 0"},
        OutcomeCase{"timestamp(99999999999999)", "fails at 0"},
        OutcomeCase{"timestamp(abs(i) + 300000000000)", "fails at 0"},
        OutcomeCase{"duration('5 years') > u", "fails at 0"},
        OutcomeCase{"int('12a') > i", "fails at 0"}, OutcomeCase{"int('1' + 'x')", "fails at 0"},
        OutcomeCase{"double(lowerAscii('ABC'))", "fails at 0"},
        OutcomeCase{"int(string(b)) > 0", "fails at 0"},
        OutcomeCase{"double(string(t)) > 0.0", "fails at 0"},
        OutcomeCase{"timestamp(string(i)) > t", "fails at 0"}, OutcomeCase{"int(string(d))", ""},
        OutcomeCase{"int(code) > 3", "fails at 0"}, OutcomeCase{"int(s) > 3", ""},
        OutcomeCase{"b ? 1 / 0 : 2", "fails at 4"}, OutcomeCase{"is_null(i) ? 0 : 1 / i", ""},
        OutcomeCase{"b || 1 / 0 > 0", "fails at 5"},
        OutcomeCase{"i in [2, 3] && t > timestamp('2020-02-30')", "fails at 19"},
        OutcomeCase{"1 / (i * 0)", "fails at 0"}, OutcomeCase{"i / (j - j)", ""}));

INSTANTIATE_TEST_SUITE_P(
    IsAlwaysTheSame, Verdict,
    ::testing::Values(
        OutcomeCase{"null + 1", "never a value"}, OutcomeCase{"null > i", "never a value"},
        OutcomeCase{"1 == 2", "never true"}, OutcomeCase{"1 < 2", "never false"},
        OutcomeCase{"true", "never false"}, OutcomeCase{"!true", "never true"},
        OutcomeCase{"'a' < 'b'", "never false"}, OutcomeCase{"'abc'.matches('^b')", "never true"},
        OutcomeCase{"i > 5 && i < 3", "never true"}, OutcomeCase{"i > 5 || i <= 5", "never false"},
        OutcomeCase{"i > 5 || i < 5", ""}, OutcomeCase{"i > 5 && i < 6", "never true"},
        OutcomeCase{"d > 5.0 && d < 6.0", ""}, OutcomeCase{"i == 1 && i == 2", "never true"},
        OutcomeCase{"s != 'a' || s != 'b'", "never false"},
        OutcomeCase{"s == 'a' && s == 'b'", "never true"}, OutcomeCase{"s == 'a' || s == 'b'", ""},
        OutcomeCase{"s in ['a', 'b'] && s == 'c'", "never true"},
        OutcomeCase{"!(s in ['a']) || s == 'a'", "never false"},
        OutcomeCase{"i in []", "never true"}, OutcomeCase{"size(s) < 0", "never true"},
        OutcomeCase{"size(s) >= 0", "never false"}, OutcomeCase{"getMonth(t) == 12", "never true"},
        OutcomeCase{"t.getDate() == 0", "never true"},
        OutcomeCase{"t.getHours() in [24, 25]", "never true"},
        OutcomeCase{"t.getHours() <= 23", "never false"},
        OutcomeCase{"t.getDayOfWeek() == 7", "never true"},
        OutcomeCase{"t.getDayOfWeek() == 6", ""}, OutcomeCase{"u.getHours() >= 24", ""},
        OutcomeCase{"i == i", "never false"}, OutcomeCase{"d == d", "never false"},
        OutcomeCase{"s != s", "never true"}, OutcomeCase{"b && !b", "never true"},
        OutcomeCase{"b || !b", "never false"}, OutcomeCase{"is_null(i) && i > 3", "never true"},
        OutcomeCase{"i == null || i != null", "never false"},
        OutcomeCase{"is_null(i) || i > 3", ""}, OutcomeCase{"coalesce(i, 0) == null", "never true"},
        OutcomeCase{"is_null(coalesce(s, 'none'))", "never true"},
        OutcomeCase{"share > 1.0", "never true"}, OutcomeCase{"share * 100.0 > 70.0", ""},
        OutcomeCase{"share >= 70.0", "never true"}, OutcomeCase{"code == 'JFK'", "never true"},
        OutcomeCase{"code.startsWith('A') || code.startsWith('L')", "never false"},
        OutcomeCase{"abs(d) < 0.0", "never true"}, OutcomeCase{"abs(i) >= 0", "never false"},
        OutcomeCase{"i % 7 < 7", "never false"}, OutcomeCase{"i % 7 == 7", "never true"},
        OutcomeCase{"i / 2 * 2 == i", ""},
        OutcomeCase{"t > timestamp('2020-01-01') && t < timestamp('2019-01-01')", "never true"},
        OutcomeCase{"t > timestamp('2020-01-01') || t < timestamp('2021-01-01')", "never false"},
        OutcomeCase{"i > 0 ? true : false", ""},
        OutcomeCase{"i > 0 ? b || true : true", "never false"},
        OutcomeCase{"lowerAscii(s) == 'abc'", ""}, OutcomeCase{"d * 0.0 == 0.0", "never false"},
        OutcomeCase{"i + 1 > i", ""}, OutcomeCase{"i == 0.5", "never true"},
        OutcomeCase{"i != 2.5", "never false"}, OutcomeCase{"i in [0.5]", "never true"},
        OutcomeCase{"min(i, 3) > 3", "never true"}, OutcomeCase{"floor(share) > 1.0", "never true"},
        OutcomeCase{"9223372036854775807 > i || i == 9223372036854775807", ""}));

TEST(Outcomes, WhatIsNotKnownMayBeAnything) {
  // A policy's condition: its attributes have no type here.
  const Environment none;
  for (const char* source : {"attributes.rows / 0 > 3", "target == 'a'", "ledger.count('x', 3) > 2",
                             "attributes.dirty", "size(x) < 0 || !y", "-x < 3", "x in ['a']"}) {
    const Outcomes out = outcomes_of(source, none);
    EXPECT_TRUE(out.faults.empty() && out.may_be_true && out.may_be_false && out.may_be_value)
        << source;
  }
  EXPECT_EQ(outcomes_of("x > 1 && 1 / 0 > 3", none).faults.size(), 1U);
  EXPECT_FALSE(outcomes_of("x == 1 && false", none).may_be_true);
  EXPECT_TRUE(outcomes_of("x ==", none).may_be_true) << "what does not parse has every outcome";
}

TEST(Outcomes, ALongRuleIsTriedInBoundedTime) {
  // Twenty terms of three cases each are more than can be tried: nothing is claimed.
  std::string source;
  Environment env;
  for (int k = 0; k < 20; ++k) {
    env.variables.push_back({fmt::format("x{}", k), Type::kInt});
    source += fmt::format("{}(x{} > 1 || x{} < 0)", k == 0 ? "" : " && ", k, k);
  }
  EXPECT_TRUE(outcomes_of(source, env).may_be_true);
}

/// Random expressions of every type, from the variables and constants that matter at the edges.
class Author {
 public:
  explicit Author(std::uint64_t seed) : engine_(seed) {}

  std::string write(Type type, int depth) {
    if (depth == 0 || pick(5) == 0) return leaf(type);
    const auto sub = [&](Type of) { return write(of, depth - 1); };
    switch (type) {
      case Type::kBool: return condition(depth);
      case Type::kInt:
        switch (pick(9)) {
          case 0:
            return fmt::format("int({})",
                               sub(one_of({Type::kDouble, Type::kString, Type::kTimestamp})));
          case 1: return fmt::format("size({})", sub(Type::kString));
          case 2:
            return fmt::format("{}({})", word({"getMonth", "getHours", "getDate", "minute_of_day"}),
                               sub(Type::kTimestamp));
          case 3:
            return fmt::format("{}({})", word({"getHours", "getSeconds", "getMilliseconds"}),
                               sub(Type::kDuration));
          case 4: return fmt::format("bucket({}, {})", sub(number()), sub(number()));
          case 5:
            return fmt::format("{}({}, {})", word({"min", "max", "coalesce"}), sub(Type::kInt),
                               sub(Type::kInt));
          case 6: return fmt::format("abs({})", sub(Type::kInt));
          case 7:
            return fmt::format("({} ? {} : {})", sub(Type::kBool), sub(Type::kInt),
                               sub(Type::kInt));
          default:
            return fmt::format("({} {} {})", sub(Type::kInt), word({"+", "-", "*", "/", "%"}),
                               sub(Type::kInt));
        }
      case Type::kDouble:
        switch (pick(6)) {
          case 0:
            return fmt::format(
                "{}({})", word({"floor", "ceil", "round", "sqrt", "exp", "log", "log1p", "double"}),
                sub(number()));
          case 1:
            return fmt::format("{}({}, {})", word({"min", "max", "coalesce"}), sub(Type::kDouble),
                               sub(number()));
          case 2: return fmt::format("abs({})", sub(Type::kDouble));
          case 3:
            return fmt::format("({} ? {} : {})", sub(Type::kBool), sub(number()),
                               sub(Type::kDouble));
          case 4: return fmt::format("double({})", sub(Type::kString));
          default:
            return fmt::format("({} {} {})", sub(Type::kDouble), word({"+", "-", "*", "/"}),
                               sub(number()));
        }
      case Type::kString:
        switch (pick(4)) {
          case 0: return fmt::format("string({})", sub(any_type()));
          case 1:
            return fmt::format("{}({})", word({"lowerAscii", "upperAscii"}), sub(Type::kString));
          case 2: return fmt::format("coalesce({}, {})", sub(Type::kString), sub(Type::kString));
          default: return fmt::format("({} + {})", sub(Type::kString), sub(Type::kString));
        }
      case Type::kTimestamp:
        switch (pick(3)) {
          case 0: return fmt::format("timestamp({})", sub(one_of({Type::kString, Type::kInt})));
          case 1: return fmt::format("({} - {})", sub(Type::kTimestamp), sub(Type::kDuration));
          default: return fmt::format("({} + {})", sub(Type::kTimestamp), sub(Type::kDuration));
        }
      default:
        switch (pick(3)) {
          case 0: return fmt::format("({} - {})", sub(Type::kTimestamp), sub(Type::kTimestamp));
          case 1: return fmt::format("duration({})", sub(Type::kString));
          default: return fmt::format("(-{})", sub(Type::kDuration));
        }
    }
  }

  std::vector<Datum> row() {
    const std::int64_t ints[] = {0, 1, -1, 2, 3, 7, -13, 1000, INT64_MAX, INT64_MIN};
    const double doubles[] = {0.0, -0.0, 0.5, 1, 2, -2.5, 1e300, DBL_MAX, -DBL_MAX, 9.3e18};
    static const std::string_view kTexts[] = {"",    "a",   "b",          "3",   "true",
                                              "1e3", "NaN", "2001-04-10", "90s", "1"};
    const Micros times[] = {0,         986879167000000,    INT64_MIN,
                            INT64_MAX, 253402300799999999, -62135596800000000};
    const Micros spans[] = {0, 1, -1, 1500000, 86400000000, -90000000, INT64_MAX, INT64_MIN};
    const double shares[] = {0, 0.25, 1};
    std::vector<Datum> out = {
        Datum::integer(ints[pick(10)]),   Datum::integer(ints[pick(10)]),
        Datum::real(doubles[pick(10)]),   Datum::string(kTexts[pick(10)]),
        Datum::timestamp(times[pick(6)]), Datum::duration(spans[pick(8)]),
        Datum::boolean(pick(2) == 0),     Datum::string(pick(2) == 0 ? "ATL" : "LAX"),
        Datum::real(shares[pick(3)])};
    for (Datum& each : out) {
      if (pick(8) == 0) each = Datum::null();
    }
    return out;
  }

 private:
  std::string condition(int depth) {
    const auto sub = [&](Type of) { return write(of, depth - 1); };
    switch (pick(8)) {
      case 0:
        return fmt::format("({} {} {})", sub(Type::kBool), word({"&&", "||"}), sub(Type::kBool));
      case 1: return fmt::format("!{}", sub(Type::kBool));
      case 2: return fmt::format("is_null({})", sub(any_type()));
      case 3: return fmt::format("({} in ['a', 'b', '3'])", sub(Type::kString));
      case 4: return fmt::format("({} in [1, 3, null])", sub(number()));
      case 5:
        return fmt::format("{}.{}('a')", sub(Type::kString),
                           word({"startsWith", "contains", "matches"}));
      default: {
        const Type type = any_type();
        return fmt::format("({} {} {})", sub(type), word({"<", "<=", ">", ">=", "==", "!="}),
                           pick(2) == 0 ? leaf(type) : sub(type));
      }
    }
  }

  std::string leaf(Type type) {
    switch (type) {
      case Type::kBool: return word({"b", "b", "true", "false"});
      case Type::kInt:
        return word({"i", "i", "j", "0", "1", "3", "-1", "7", "9223372036854775807"});
      case Type::kDouble: return word({"d", "d", "share", "0.0", "0.5", "1.0", "-2.5", "1e300"});
      case Type::kString:
        return word({"s", "s", "code", "'a'", "'b'", "'3'", "'2001-04-10'", "'90s'"});
      case Type::kTimestamp:
        return word({"t", "t", "timestamp('2001-04-10')", "timestamp('9999-12-31')"});
      default: return word({"u", "u", "duration('90s')", "duration('1d')"});
    }
  }

  std::size_t pick(std::size_t of) { return engine_() % of; }
  std::string word(std::initializer_list<const char*> words) {
    return words.begin()[pick(words.size())];
  }
  Type one_of(std::initializer_list<Type> types) { return types.begin()[pick(types.size())]; }
  Type number() { return one_of({Type::kInt, Type::kDouble}); }
  Type any_type() {
    return one_of({Type::kBool, Type::kInt, Type::kInt, Type::kDouble, Type::kString,
                   Type::kTimestamp, Type::kDuration});
  }

  std::mt19937_64 engine_;
};

TEST(Outcomes, NothingThatIsRuledOutEverHappens) {
  const char* given = std::getenv("HEDDLE_TEST_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 20010411;
  const char* count = std::getenv("HEDDLE_TEST_CASES");
  const int cases = count != nullptr ? std::atoi(count) : 3000;
  fmt::print("seed {} (HEDDLE_TEST_SEED sets it)\n", seed);
  Author author(seed);
  Program::Scratch scratch;
  int claims = 0;
  int compiled = 0;
  for (int k = 0; k < cases; ++k) {
    const std::string source = author.write(k % 4 == 0 ? Type::kDouble : Type::kBool, 4);
    const auto program = Program::compile(source, outcome_environment());
    if (!program.ok()) continue;  // a constant that the compiler refuses by itself
    ++compiled;
    const Outcomes out = outcomes_of(source, outcome_environment(), domains());
    const bool is_bool = program->type() == Type::kBool;
    claims += !out.may_be_value || (is_bool && (!out.may_be_true || !out.may_be_false)) ? 1 : 0;
    const bool fails = !out.faults.empty() && out.faults.size() == 1 && out.faults[0].offset == 0;
    for (int r = 0; r < 40; ++r) {
      const auto row = author.row();
      const Datum value = program->evaluate(row, scratch);
      const bool has_value = !value.is_null() && !value.is_error();
      ASSERT_TRUE(out.may_be_value || !has_value) << source;
      if (!is_bool || !has_value) continue;
      ASSERT_TRUE(value.b ? out.may_be_true : out.may_be_false)
          << source << (fails ? " fails" : "");
    }
  }
  fmt::print("{} expressions, something was ruled out of {}\n", compiled, claims);
  EXPECT_GT(claims, compiled / 50);
  EXPECT_GT(compiled, cases / 3);
}

}  // namespace
}  // namespace heddle::expr
