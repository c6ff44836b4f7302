#include <fmt/format.h>
#include <gtest/gtest.h>

#include "expr/names.hpp"
#include "expr/program.hpp"

namespace heddle::expr {
namespace {

const Environment& environment() {
  static const Environment env = [] {
    Environment out;
    out.variables = {{"i", Type::kInt},
                     {"d", Type::kDouble},
                     {"s", Type::kString},
                     {"t", Type::kTimestamp},
                     {"b", Type::kBool},
                     {"n", Type::kInt},
                     {"metrics.auc", Type::kDouble},
                     {"in", Type::kInt},
                     {"fl\xC3\xBCge a-b/c", Type::kInt}};
    out.functions.push_back({"ledger.count",
                             {Type::kString, Type::kDouble},
                             Type::kInt,
                             false,
                             [](std::span<const Datum> a) {
                               return Datum::integer(static_cast<std::int64_t>(a[1].d) + a[0].size);
                             }});
    return out;
  }();
  return env;
}

std::string text_of(const Datum& datum) {
  switch (datum.kind) {
    case Datum::Kind::kNull: return "null";
    case Datum::Kind::kError: return "error";
    case Datum::Kind::kBool: return datum.b ? "true" : "false";
    case Datum::Kind::kInt: return fmt::format("{}", datum.i);
    case Datum::Kind::kDouble: return fmt::format("{}d", datum.d);
    case Datum::Kind::kString: return "'" + std::string(datum.str()) + "'";
    case Datum::Kind::kTimestamp: return format_time(datum.i);
    case Datum::Kind::kDuration: return fmt::format("{}us", datum.i);
    case Datum::Kind::kList: return "list";
  }
  return "";
}

/// i = 7, d = 2.5, s = "héllo", t = 2001-04-10T05:06:07Z, b = true, n = null, metrics.auc = 0.7,
/// `in` = 3, `flüge a-b/c` = 4
std::vector<Datum> row() {
  return {Datum::integer(7),
          Datum::real(2.5),
          Datum::string("h\xC3\xA9llo"),
          Datum::timestamp(*parse_time("2001-04-10T05:06:07Z")),
          Datum::boolean(true),
          Datum::null(),
          Datum::real(0.7),
          Datum::integer(3),
          Datum::integer(4)};
}

std::string evaluate(const std::string& source) {
  const auto program = Program::compile(source, environment());
  if (!program.ok()) return program.error().id + " " + program.error().where;
  Program::Scratch scratch;
  const auto values = row();
  return text_of(program->evaluate(values, scratch));
}

TEST(Expressions, NamesAreWrittenAsTheyAreRead) {
  for (const char* name :
       {"a", "metrics.auc", "_x1", "in", "true", "null", "a b", "1a", "a.", "a-b", "a.b c",
        "gr\xC3\xB6\xC3\x9F"
        "e"}) {
    const auto names = names_in(written(name));
    ASSERT_TRUE(names.ok()) << name;
    EXPECT_EQ(*names, std::vector<std::string>{name});
  }
  EXPECT_EQ(written("metrics.auc"), "metrics.auc");
  EXPECT_EQ(written("in"), "`in`");
  EXPECT_EQ(Program::compile("s.getHours()", environment()).error().hint,
            "it takes (timestamp) or (duration); `timestamp(x)` makes a timestamp of a text");
  // A character that is no ASCII is shown whole.
  const auto error = Program::compile("fl\xC3\xBCge", environment()).error();
  EXPECT_EQ(error.message, "`\xC3\xBC` has no meaning here");
}

struct Case {
  const char* source;
  const char* expected;
};

class Evaluates : public ::testing::TestWithParam<Case> {};

TEST_P(Evaluates, AsWritten) {
  EXPECT_EQ(evaluate(GetParam().source), GetParam().expected) << GetParam().source;
}

INSTANTIATE_TEST_SUITE_P(
    Table, Evaluates,
    ::testing::Values(
        Case{"`i` + 1", "8"}, Case{"`in` in [3]", "true"}, Case{"`fl\xC3\xBCge a-b/c` * 2", "8"},
        Case{"`metrics.auc` == metrics.`auc`", "true"}, Case{"`t`.getHours()", "5"},
        Case{"size(`s`)", "5"}, Case{"1 + 2 * 3", "7"}, Case{"(1 + 2) * 3", "9"},
        Case{"7 / 2", "3"}, Case{"-7 / 2", "-3"}, Case{"-7 % 3", "-1"}, Case{"7 / 2.0", "3.5d"},
        Case{"1 / 0", "error"}, Case{"9223372036854775807 + 1", "error"},
        Case{"-9223372036854775808", "-9223372036854775808"}, Case{"i + d", "9.5d"},
        Case{"i > 6.5", "true"}, Case{"i == 7.0", "true"},
        Case{"9007199254740993 == 9007199254740992.0", "false"},
        Case{"'a' + \"b\" + r'\\n'", "'ab\\n'"}, Case{"'\\u00e9' == 'é'", "true"},
        Case{"size(s)", "5"}, Case{"s.size()", "5"},
        Case{"s.startsWith('h') && s.endsWith('lo') && s.contains('ll')", "true"},
        Case{"s.matches('^h.l+o$')", "true"}, Case{"'AbC'.lowerAscii()", "'abc'"},
        Case{"i in [1, 7, 9]", "true"}, Case{"s in ['a', 'b']", "false"}, Case{"i in []", "false"},
        Case{"t.getHours()", "5"}, Case{"t.getHours() * 60 + t.getMinutes()", "306"},
        Case{"t.getDayOfWeek()", "2"}, Case{"t.getMonth()", "3"}, Case{"t.getDayOfYear()", "99"},
        Case{"t - duration('5h')", "2001-04-10T00:06:07Z"},
        Case{"t - timestamp('2001-04-10')", "18367000000us"},
        Case{"t - timestamp('2001-04-10') > duration('5h')", "true"},
        Case{"duration('-90s').getSeconds()", "-90"}, Case{"i > 3 ? 'yes' : 'no'", "'yes'"},
        Case{"b ? 1 : 2.5", "1d"}, Case{"!b ? 1 : 2", "2"}, Case{"b ? (i > 9 ? 1 : 2) : 3", "2"},
        Case{"n + 1", "null"}, Case{"n == 1", "null"}, Case{"n == null", "true"},
        Case{"i != null", "true"}, Case{"is_null(n)", "true"}, Case{"coalesce(n, 4)", "4"},
        Case{"n > 1 ? 1 : 2", "null"}, Case{"false && n > 1", "false"},
        Case{"n > 1 && false", "false"}, Case{"true || 1 / 0 > 1", "true"},
        Case{"1 / 0 > 1 || true", "true"}, Case{"1 / 0 > 1 && true", "error"},
        Case{"n > 1 || false", "null"}, Case{"!(n > 1)", "null"}, Case{"metrics.auc > 0.6", "true"},
        Case{"ledger.count('ab', 3)", "5"}, Case{"min(i, 3)", "3"}, Case{"max(d, 3)", "3d"},
        Case{"abs(-2.5)", "2.5d"}, Case{"round(2.5)", "3d"}, Case{"bucket(i, 2)", "3"},
        Case{"int('12') + int(2.9)", "14"}, Case{"double('1e3')", "1000d"},
        Case{"string(1.5) + string(true)", "'1.5true'"}, Case{"1 < 2 && 2 < 3 || false", "true"},
        Case{"1 // a comment\n + 2", "3"}, Case{"0x1F", "31"}, Case{"hour_of_day(t) * 60", "300"},
        Case{"day_of_week(t)", "2"}, Case{"minute_of_day(t)", "306"},
        Case{"string(t)", "'2001-04-10T05:06:07Z'"}, Case{"string(duration('-1500ms'))", "'-1.5s'"},
        Case{"string(duration('-250ms'))", "'-0.25s'"}, Case{"string(duration('1h'))", "'3600s'"},
        Case{"t + duration('4000000d')", "error"}, Case{"size([1, 2])", "2"},
        Case{"[1, 2.0] == [1.0, 2]", "true"}, Case{"1e-400", "0d"}, Case{"i in ['x', 7]", "true"},
        Case{"i in [7.0]", "true"}, Case{"n in [1]", "null"}, Case{"bool('t') ? 1 : 0", "1"}));

INSTANTIATE_TEST_SUITE_P(
    Refused, Evaluates,
    ::testing::Values(
        Case{"``", "expression-syntax offset 0"}, Case{"i + `a", "expression-syntax offset 4"},
        Case{"`a\n`", "expression-syntax offset 0"},
        Case{"`size`(s)", "expression-syntax offset 6"},
        Case{"`nothing`", "expression-unknown-name offset 0"},
        Case{"fl\xC3\xBCge", "expression-syntax offset 2"}, Case{"", "expression-syntax offset 0"},
        Case{"1 +", "expression-syntax offset 3"}, Case{"(1", "expression-syntax offset 2"},
        Case{"1 2", "expression-syntax offset 2"}, Case{"'abc", "expression-syntax offset 0"},
        Case{"a # b", "expression-syntax offset 2"}, Case{"1u", "expression-syntax offset 1"},
        Case{"0x-5", "expression-syntax offset 0"}, Case{"0x", "expression-syntax offset 0"},
        Case{"9223372036854775808", "expression-syntax offset 0"},
        Case{"nam + 1", "expression-unknown-name offset 0"},
        Case{"i + s", "expression-type offset 0"}, Case{"!i", "expression-type offset 0"},
        Case{"i && b", "expression-type offset 0"},
        Case{"getHour(t)", "expression-unknown-function offset 0"},
        Case{"s.matches('(')", "expression-pattern offset 10"},
        Case{"s.matches(s)", "expression-type offset 0"},
        Case{"duration('5')", "expression-type offset 0"},
        Case{"i in ['7']", "expression-type offset 0"}, Case{"1e400", "expression-syntax offset 0"},
        Case{"[i]", "expression-type offset 1"}, Case{"i[0]", "expression-syntax offset 1"},
        Case{"b ? 1 : 'a'", "expression-type offset 0"},
        Case{"ledger.count('a')", "expression-type offset 0"}));

TEST(Expression, NestingIsBounded) {
  EXPECT_EQ(evaluate(std::string(70, '(') + "1" + std::string(70, ')')).substr(0, 17),
            "expression-syntax");
  EXPECT_EQ(evaluate(std::string(5000, '-') + "1").substr(0, 17), "expression-syntax");
  // Chains are no nesting, but everything that walks the tree recurses over them.
  const auto chain = [](int count, const char* link) {
    std::string out = "1";
    for (int k = 1; k < count; ++k) out += link;
    return out;
  };
  EXPECT_EQ(evaluate(chain(200, "+1")), "200");
  EXPECT_EQ(evaluate(chain(7000, "+1")), "expression-syntax offset 0");
  EXPECT_EQ(evaluate("s" + chain(1000, ".upperAscii()").substr(1)), "expression-syntax offset 0");
}

TEST(Expression, ExpectedTypeAndHints) {
  EXPECT_EQ(Program::compile("i + 1", environment(), Type::kDouble)->type(), Type::kDouble);
  EXPECT_EQ(Program::compile("i + 1", environment(), Type::kBool).error().id, "expression-type");
  EXPECT_EQ(Program::compile("metrics.acu > 1", environment()).error().hint,
            "did you mean `metrics.auc`?");
  EXPECT_EQ(*names_in("a.b > 1 && f(c) < d"), (std::vector<std::string>{"a.b", "c", "d", "f"}));
}

/// Columns and rows agree bit for bit on random values, nulls among them.
TEST(Expression, ColumnsAndRowsAgree) {
  const unsigned seed = 20011;
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::uint64_t state = seed;
  const auto draw = [&] { return state = state * 6364136223846793005ULL + 1442695040888963407ULL; };
  constexpr std::int64_t kRows = 500;
  std::vector<std::int64_t> ints, times, bools;
  std::vector<double> doubles;
  std::vector<std::int32_t> codes;
  std::vector<std::uint8_t> valid;
  const std::vector<std::string_view> words{"", "abc", "h\xC3\xA9", "ABC"};
  for (std::int64_t k = 0; k < kRows; ++k) {
    ints.push_back(static_cast<std::int64_t>(draw() >> 56) - 128);
    times.push_back(static_cast<std::int64_t>(draw() >> 14));
    bools.push_back(static_cast<std::int64_t>(draw() >> 63));
    doubles.push_back(static_cast<double>(static_cast<std::int64_t>(draw() >> 40)) / 1000.0 - 8000);
    codes.push_back(static_cast<std::int32_t>(draw() >> 62));
    valid.push_back(static_cast<std::uint8_t>(draw() >> 61 != 0));
  }
  std::vector<ColumnView> columns(7);
  columns[0] = {Type::kInt, kRows, ints.data(), nullptr, nullptr, nullptr, valid.data()};
  columns[1] = {Type::kDouble, kRows, nullptr, doubles.data(), nullptr, nullptr, valid.data()};
  columns[2] = {Type::kString, kRows, nullptr, nullptr, codes.data(), words.data(), valid.data()};
  columns[3] = {Type::kTimestamp, kRows, times.data(), nullptr, nullptr, nullptr, valid.data()};
  columns[4] = {Type::kBool, kRows, bools.data(), nullptr, nullptr, nullptr, valid.data()};
  columns[5] = {Type::kInt, kRows, ints.data(), nullptr, nullptr, nullptr, nullptr};
  columns[6] = {Type::kDouble, kRows, nullptr, doubles.data(), nullptr, nullptr, nullptr};
  for (const char* source :
       {"i + n * 2 - d / 3", "s + string(n)", "t.getHours() * 60 + t.getMinutes()",
        "b && i > n || d < 0.5", "log(abs(d)) + exp(d / 10000)", "i % (n + 1)", "coalesce(i, n)",
        "s.lowerAscii() == 'abc' ? i : d", "t - duration('90m') > timestamp('1980-01-01')",
        "i in [1, 2, 3] || is_null(s)", "min(i, n) + max(d, i) + bucket(d, 7)",
        "size(s) + t.getDayOfYear()"}) {
    const auto program = Program::compile(source, environment());
    ASSERT_TRUE(program.ok()) << source << " " << program.error().str();
    Program::Scratch scratch, other;
    std::int64_t seen = 0;
    program->evaluate_columns(columns, 0, kRows, scratch, [&](std::int64_t k, Datum datum) {
      std::vector<Datum> values;
      for (const auto& column : columns) values.push_back(column.at(k));
      EXPECT_EQ(text_of(datum), text_of(program->evaluate(values, other)))
          << source << " row " << k;
      ++seen;
    });
    EXPECT_EQ(seen, kRows);
  }
}

}  // namespace
}  // namespace heddle::expr
