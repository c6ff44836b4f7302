#include "contract/contract.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/allocations_fixture.hpp"
#include "base/clock.hpp"
#include "contract/stored.hpp"
#include "doc/json.hpp"
#include "doc/schema_conformance.hpp"
#include "table/lookup.hpp"

namespace heddle::contract {
namespace {

using expr::Datum;
using expr::Type;
using table::Column;
using table::Table;
using testing::ElementsAre;
using testing::HasSubstr;

spec::Field field(std::string name, Type type, bool required = true) {
  spec::Field out;
  out.name = std::move(name);
  out.type = type;
  out.required = required;
  return out;
}

spec::Contract flights() {
  spec::Contract c;
  c.identity.name = "flights";
  c.version = "1.0.0";
  c.fields.push_back(field("date", Type::kTimestamp));
  c.fields.push_back(field("distance", Type::kInt));
  c.fields.back().minimum = 10, c.fields.back().maximum = 6000;
  c.fields.push_back(field("delay", Type::kInt));
  c.fields.back().label_time = true;
  c.fields.push_back(field("origin", Type::kString));
  c.fields.back().pattern = "^[A-Z0-9]{3}$", c.fields.back().enum_file = "airports";
  c.fields.push_back(field("destination", Type::kString));
  c.fields.back().pattern = "^[A-Z0-9]{3}$", c.fields.back().enum_file = "airports";
  spec::RowRule route;
  route.id = "route-fixes-distance";
  route.kind = spec::RowRule::Kind::kDependency;
  route.determinant = {"origin", "destination"};
  route.dependent = "distance";
  spec::RowRule circle;
  circle.id = "no-circle";
  circle.expression.text = "origin != destination";
  circle.effect = RuleEffect::kWarn;
  c.row_rules = {route, circle};
  return c;
}

Result<std::vector<std::string>> airports(const std::string&, const std::string&) {
  return std::vector<std::string>{"SEA", "ORD", "JFK", "sea"};
}

Contract compiled(const spec::Contract& c = flights()) {
  return Contract::compile(c, airports).value();
}

Column strings(std::string name, const std::vector<std::string>& values) {
  table::StringIndex index;
  Column out;
  out.name = std::move(name);
  out.type = Type::kString;
  for (const auto& value : values) out.codes.push_back(index.insert(value));
  out.dictionary = std::make_shared<const table::Dictionary>(index.values());
  return out;
}

Column ints(std::string name, std::vector<std::int64_t> values, Type type = Type::kInt) {
  Column out;
  out.name = std::move(name);
  out.type = type;
  out.ints = std::move(values);
  return out;
}

/// SEA-ORD 1721 twice, ORD-JFK 740, and JFK-SEA with two distances.
Table history() {
  return Table::make({ints("date", {0, 1, 2, 3, 4}, Type::kTimestamp),
                      ints("distance", {1721, 1721, 740, 2421, 2422}),
                      strings("origin", {"SEA", "SEA", "ORD", "JFK", "JFK"}),
                      strings("destination", {"ORD", "ORD", "JFK", "SEA", "SEA"}),
                      ints("delay", {1, 2, 3, 4, 5})})
      .value();
}

std::vector<std::string> broken(const Contract& contract, const RowCheck& check) {
  std::vector<std::string> out;
  for (const auto rule : check.broken) out.push_back(contract.rules()[rule].id);
  return out;
}

RuleState state(const Contract& contract, const RowCheck& check, std::string_view id) {
  for (std::size_t i = 0; i < contract.rules().size(); ++i) {
    if (contract.rules()[i].id == id) return check.state(i);
  }
  ADD_FAILURE() << "no rule " << id;
  return RuleState::kUnknown;
}

std::vector<Datum> row(Datum date, Datum distance, const char* origin, const char* destination) {
  return {date, distance, origin == nullptr ? Datum() : Datum::string(origin),
          destination == nullptr ? Datum() : Datum::string(destination)};
}

TEST(Compile, LabelFieldsFollowTheRequest) {
  const Contract contract = compiled();
  ASSERT_EQ(contract.request_fields().size(), 4u);
  EXPECT_EQ(contract.request_fields()[2].name, "origin");
  EXPECT_EQ(contract.fields()[4].name, "delay");
}

TEST(Compile, Misuse) {
  auto c = flights();
  c.row_rules[0].determinant = {"orgin"};
  EXPECT_THAT(Contract::compile(c, airports).error().hint, HasSubstr("`origin`"));
  c = flights();
  c.row_rules[0].dependent = "delay";
  EXPECT_EQ(Contract::compile(c, airports).error().id, "contract-reads-label");
  c = flights();
  c.row_rules[1].expression.text = "origin + 1 > 2";
  EXPECT_EQ(Contract::compile(c, airports).error().id, "contract-expression");
  c = flights();
  c.fields[3].pattern = "[";
  EXPECT_EQ(Contract::compile(c, airports).error().id, "contract-pattern");
  c = flights();
  c.row_rules[1].id = "date-type";
  EXPECT_EQ(Contract::compile(c, airports).error().id, "contract-rule-twice");
  c = flights();
  c.fields[0].maximum = 3;
  EXPECT_EQ(Contract::compile(c, airports).error().id, "contract-range-type");
  c = flights();
  const auto missing = [](const std::string& file,
                          const std::string&) -> Result<std::vector<std::string>> {
    return Error{ErrorKind::kNotFound, "file-missing", file};
  };
  EXPECT_EQ(Contract::compile(c, missing).error().id, "file-missing");
}

struct Case {
  const char* name;
  std::vector<Datum> raw;
  std::vector<std::string> broken;
  bool refused;
};

TEST(Check, Table) {
  Contract contract = compiled();
  ASSERT_TRUE(contract.learn(history()).ok());
  const Datum day = Datum::timestamp(0);
  const std::vector<Case> cases = {
      {"clean", row(day, Datum::integer(1721), "SEA", "ORD"), {}, false},
      {"a number without a fraction is an integer",
       row(day, Datum::real(1721), "SEA", "ORD"),
       {},
       false},
      {"ISO date",
       row(Datum::string("2001-04-20T08:00:00"), Datum::integer(1721), "SEA", "ORD"),
       {},
       false},
      {"American date",
       row(Datum::string("04/20/01"), Datum::integer(1721), "SEA", "ORD"),
       {"date-type"},
       true},
      {"date that does not exist",
       row(Datum::string("2001-02-30"), Datum::integer(1721), "SEA", "ORD"),
       {"date-type"},
       true},
      {"no date", row(Datum(), Datum::integer(1721), "SEA", "ORD"), {"date-required"}, true},
      {"text for a number", row(day, Datum::string("1721"), "SEA", "ORD"), {"distance-type"}, true},
      {"fraction for an integer",
       row(day, Datum::real(1721.5), "SEA", "ORD"),
       {"distance-type"},
       true},
      {"bool for an integer",
       row(day, Datum::boolean(true), "SEA", "ORD"),
       {"distance-type"},
       true},
      {"NaN is missing",
       row(day, Datum::real(__builtin_nan("")), "SEA", "ORD"),
       {"distance-required"},
       true},
      {"number for a text",
       {day, Datum::integer(740), Datum::integer(5), Datum::string("JFK")},
       {"origin-type"},
       true},
      {"out of range", row(day, Datum::integer(6001), "JFK", "SEA"), {"distance-range"}, true},
      {"kilometres", row(day, Datum::integer(2770), "SEA", "ORD"), {"route-fixes-distance"}, true},
      {"tuple never seen", row(day, Datum::integer(99), "ORD", "SEA"), {}, false},
      {"tuple in conflict is not learned", row(day, Datum::integer(99), "JFK", "SEA"), {}, false},
      {"unknown code", row(day, Datum::integer(99), "SEA", "XX1"), {"destination-enum"}, true},
      {"unknown code of a wrong form",
       row(day, Datum::integer(99), "SEA", "XXXX"),
       {"destination-enum", "destination-pattern"},
       true},
      {"known code of a wrong form",
       row(day, Datum::integer(99), "sea", "ORD"),
       {"origin-pattern"},
       true},
      {"warning only", row(day, Datum::integer(99), "SEA", "SEA"), {"no-circle"}, false},
      {"short row",
       {day},
       {"distance-required", "origin-required", "destination-required", "no-circle"},
       true},
  };
  RowCheck check;
  for (const Case& each : cases) {
    contract.check(each.raw, check);
    EXPECT_EQ(broken(contract, check), each.broken) << each.name;
    EXPECT_EQ(check.refused, each.refused) << each.name;
  }
}

TEST(Check, StatesTellCleanFromUnknown) {
  Contract contract = compiled();
  ASSERT_TRUE(contract.learn(history()).ok());
  ASSERT_EQ(contract.learned().size(), 1u);
  EXPECT_EQ(contract.learned()[0].tuples, 2);
  EXPECT_EQ(contract.learned()[0].conflicting, 1);
  RowCheck check;
  contract.check(row(Datum::timestamp(0), Datum::integer(1721), "SEA", "ORD"), check);
  EXPECT_EQ(state(contract, check, "route-fixes-distance"), RuleState::kClean);
  EXPECT_EQ(state(contract, check, "distance-range"), RuleState::kClean);
  EXPECT_EQ(state(contract, check, "delay-required"), RuleState::kUnknown);
  contract.check(row(Datum::timestamp(0), Datum::integer(1721), "ORD", "SEA"), check);
  EXPECT_EQ(state(contract, check, "route-fixes-distance"), RuleState::kUnknown);
  contract.check(row(Datum::timestamp(0), Datum::integer(1), "SEA", "ORD"), check);
  EXPECT_EQ(state(contract, check, "route-fixes-distance"), RuleState::kBroken);
  contract.check(row(Datum::timestamp(0), Datum(), "SEA", "ORD"), check);
  EXPECT_EQ(state(contract, check, "distance-range"), RuleState::kUnknown);
}

TEST(Check, ObservedAndExpectedGiveTheRatio) {
  Contract contract = compiled();
  ASSERT_TRUE(contract.learn(history()).ok());
  std::size_t rule = 0;
  while (contract.rules()[rule].id != "route-fixes-distance") ++rule;
  const auto pair =
      contract.observed_expected(rule, row(Datum(), Datum::integer(2770), "SEA", "ORD"));
  ASSERT_TRUE(pair.has_value());
  EXPECT_EQ(pair->first, 2770);
  EXPECT_EQ(pair->second, 1721);
  EXPECT_FALSE(
      contract.observed_expected(rule, row(Datum(), Datum::integer(1), "ORD", "SEA")).has_value());
  EXPECT_FALSE(
      contract.observed_expected(0, row(Datum(), Datum::integer(1), "SEA", "ORD")).has_value());
}

TEST(Check, TransformsFollowTheChecksInTheirOrder) {
  auto c = flights();
  c.transforms.push_back({"back", "date", {"date - duration(\"5h\")", {}}, ""});
  c.transforms.push_back({"swap", "origin", {"destination", {}}, ""});
  c.transforms.push_back({"again", "destination", {"origin + \"!\"", {}}, ""});
  const Contract contract = compiled(c);
  std::vector<std::string> repairs;
  for (const auto& each : contract.repairs()) repairs.push_back(each.id);
  EXPECT_THAT(repairs, ElementsAre("back", "swap", "again"));
  RowCheck check;
  contract.check(row(Datum::string("2001-05-11T02:00:00"), Datum::integer(99), "SEA", "ORD"),
                 check);
  ASSERT_FALSE(check.refused);
  EXPECT_EQ(check.row[0].i, parse_time("2001-05-10T21:00:00").value());
  EXPECT_EQ(check.row[2].str(), "ORD");
  EXPECT_EQ(check.row[3].str(), "ORD!");
  contract.check(row(Datum::timestamp(0), Datum::integer(1), "SEA", "ORD"), check);
  EXPECT_TRUE(check.refused);
  EXPECT_EQ(check.row[0].i, 0) << "a refused row is not repaired";
}

TEST(Check, NothingIsAllocatedAtSteadyState) {
  auto c = flights();
  c.transforms.push_back({"back", "date", {"date - duration(\"5h\")", {}}, ""});
  c.fields[0].repairs.dates = {"%m/%d/%y", "ISO 8601"};
  c.fields[3].repairs = {.trim = true, .letter_case = spec::LetterCase::kUpper, .nulls = {"NA"}};
  Contract contract = compiled(c);
  ASSERT_TRUE(contract.learn(history()).ok());
  RowCheck check;
  const std::vector<std::vector<Datum>> rows = {
      row(Datum::string("04/20/01"), Datum::integer(1721), " sea, and a longer text ", "ORD"),
      row(Datum::string("2001-05-11T02:00:00"), Datum::integer(1721), "SEA", "ORD"),
      row(Datum::string("04/20/01"), Datum::integer(1), "SEA", "ORD"),
      {}};
  for (const auto& each : rows) contract.check(each, check);
  const auto before = fixture::allocations;
  for (int i = 0; i < 1000; ++i) contract.check(rows[static_cast<std::size_t>(i % 4)], check);
  EXPECT_EQ(fixture::allocations, before);
}

struct ValueCase {
  spec::Field of;
  Datum raw;
  const char* broken;  ///< suffix of the rule, or empty
};

spec::Field text(spec::Form form) {
  auto out = field("x", Type::kString);
  out.form = form;
  return out;
}

/// Values of the rules of a field as jsonschema 4.25.1 with its format checker judges them, where
/// JSON Schema has the rule. Three are not: .3 is a multiple of .1 (jsonschema divides doubles), an
/// e-mail address is RFC 5322's (jsonschema looks for an `@`), and `byte` is RFC 4648's.
std::vector<ValueCase> value_cases() {
  auto length = field("x", Type::kString);
  length.min_length = 2, length.max_length = 3;
  auto searched = field("x", Type::kString);
  searched.pattern = "[A-Z]{2}";
  auto whole = searched;
  whole.pattern = "^[A-Z]{2}$";
  auto fives = field("x", Type::kInt);
  fives.multiple_of = 5;
  auto tenths = field("x", Type::kDouble);
  tenths.multiple_of = 0.1;
  auto ones = field("x", Type::kDouble);
  ones.multiple_of = 1;
  auto open = field("x", Type::kDouble);
  open.minimum = 1, open.maximum = 3, open.minimum_excluded = true;
  auto codes = field("x", Type::kInt);
  codes.enum_values = {1, 3, "5"};
  auto sizes = field("x", Type::kDouble);
  sizes.enum_values = {1, 2.5};
  auto flag = field("x", Type::kBool);
  flag.enum_values = {true};
  auto day = field("x", Type::kTimestamp);
  day.form = spec::Form::kDate, day.earliest = parse_time("2020-01-01"),
  day.minimum_excluded = true, day.latest = parse_time("2021-01-01");
  auto days = field("x", Type::kTimestamp);
  days.enum_values = {"2020-01-01", "2020-01-02T00:00:00Z"};
  auto clock = text(spec::Form::kTime);
  clock.earliest = 9 * kHour, clock.latest = 17 * kHour;
  const auto str = [](const char* value) { return Datum::string(value); };
  return {
      {length, str("a"), "length"},
      {length, str("ab"), ""},
      {length, str("\u00e4\u00f6\u00fc"), ""},
      {length, str("\u00e4\u00f6\u00fc\u00df"), "length"},
      {length, str("\U0001f600"), "length"},
      {searched, str("xABy"), ""},
      {searched, str("aB"), "pattern"},
      {whole, str("xABy"), "pattern"},
      {whole, str("AB"), ""},
      {fives, Datum::integer(0), ""},
      {fives, Datum::integer(-10), ""},
      {fives, Datum::integer(7), "multiple"},
      {fives, Datum::integer(9'007'199'254'740'993), "multiple"},
      {tenths, Datum::real(0.3), ""},
      {tenths, Datum::real(0.7), ""},
      {tenths, Datum::real(1.05), "multiple"},
      {tenths, Datum::real(1e3), ""},
      {ones, Datum::real(1e15), ""},
      {ones, Datum::real(1e15 + 0.5), "multiple"},
      {open, Datum::real(1), "range"},
      {open, Datum::real(1.0000001), ""},
      {open, Datum::real(3), ""},
      {open, Datum::real(3.1), "range"},
      {codes, Datum::integer(3), ""},
      {codes, Datum::real(1), ""},
      {codes, Datum::integer(5), ""},
      {codes, Datum::integer(2), "enum"},
      {sizes, Datum::integer(1), ""},
      {sizes, Datum::real(2.5), ""},
      {sizes, Datum::real(2), "enum"},
      {flag, Datum::boolean(true), ""},
      {flag, Datum::boolean(false), "enum"},
      {day, str("2020-01-02"), ""},
      {day, str("2020-01-02T01:00:00"), "type"},
      {day, str("2020-01-01"), "range"},
      {day, str("2021-01-01T00:00:00Z"), ""},
      {day, Datum::timestamp(kDay * 19'000), "range"},
      {days, str("2020-01-02"), ""},
      {days, str("2020-01-03"), "enum"},
      {clock, str("09:00"), ""},
      {clock, str("08:59:59.999999"), "range"},
      {clock, str("17:00:00"), ""},
      {clock, str("18:30+02:00"), ""},
      {clock, str("24:00"), "type"},
      {clock, str("9:00"), "type"},
      {clock, str("17:00:00.0000001"), "type"},
      {clock, str("17:00:00.000000000"), ""},
      {clock, str("12:00:00.0000000000"), "type"},
      {clock, Datum::integer(9), "type"},
      {text(spec::Form::kEmail), str("a@b.de"), ""},
      {text(spec::Form::kEmail), str("a.b@c"), ""},
      {text(spec::Form::kEmail), str("a"), "format"},
      {text(spec::Form::kEmail), str("@b"), "format"},
      {text(spec::Form::kEmail), str("a@"), "format"},
      {text(spec::Form::kEmail), str("a b@c.d"), "format"},
      {text(spec::Form::kUuid), str("123e4567-e89b-12d3-a456-426614174000"), ""},
      {text(spec::Form::kUuid), str("123e4567e89b12d3a456426614174000"), "format"},
      {text(spec::Form::kUuid), str("123E4567-E89B-12D3-A456-42661417400G"), "format"},
      {text(spec::Form::kUri), str("http://a/b?c#d"), ""},
      {text(spec::Form::kUri), str("urn:x:y"), ""},
      {text(spec::Form::kUri), str("a/b"), "format"},
      {text(spec::Form::kUri), str("http://a b"), "format"},
      {text(spec::Form::kHostname), str("a-b.example.com"), ""},
      {text(spec::Form::kHostname), str("-a"), "format"},
      {text(spec::Form::kHostname), str("a-.b"), "format"},
      {text(spec::Form::kHostname), str("a..b"), "format"},
      {text(spec::Form::kIpv4), str("127.0.0.1"), ""},
      {text(spec::Form::kIpv4), str("256.0.0.1"), "format"},
      {text(spec::Form::kIpv4), str("01.2.3.4"), "format"},
      {text(spec::Form::kIpv6), str("::ffff:1.2.3.4"), ""},
      {text(spec::Form::kIpv6), str("1::2::3"), "format"},
      {text(spec::Form::kIpv6), str("g::"), "format"},
      {text(spec::Form::kByte), str("aGk="), ""},
      {text(spec::Form::kByte), str("aGk"), "format"},
      {text(spec::Form::kByte), str("a*k="), "format"},
  };
}

TEST(Check, EveryRuleOfAValue) {
  const auto cases = value_cases();
  for (std::size_t i = 0; i < cases.size(); ++i) {
    spec::Contract c;
    c.identity.name = "c", c.version = "1";
    c.fields = {cases[i].of};
    const Contract made = Contract::compile(c, airports).value();
    const Contract back =
        Contract::from_value(doc::parse_json(doc::to_json(made.to_value())).value()).value();
    const std::vector<std::string> wanted =
        *cases[i].broken == 0 ? std::vector<std::string>{}
                              : std::vector<std::string>{fmt::format("x-{}", cases[i].broken)};
    for (const Contract* contract : {&made, &back}) {
      RowCheck check;
      const std::vector<Datum> raw = {cases[i].raw};
      contract->check(raw, check);
      EXPECT_EQ(broken(*contract, check), wanted) << "case " << i;
    }
  }
}

TEST(Value, APatternOfTheFormatBeforeMatchesTheWholeValue) {
  spec::Contract c;
  c.identity.name = "c", c.version = "1";
  c.fields = {field("x", Type::kString)};
  c.fields[0].pattern = "[A-Z]|[A-Z]{2}";
  auto value = Contract::compile(c, airports).value().to_value();
  EXPECT_EQ(value.string_or("format"), "heddle.contract/2");
  value.set("format", "heddle.contract/1");
  const Contract before = Contract::from_value(value).value();
  RowCheck check;
  const std::vector<Datum> row = {Datum::string("ABC")};
  before.check(row, check);
  EXPECT_TRUE(check.refused);
}

TEST(CheckTable, AgreesWithTheRowsAndKeepsTheAccepted) {
  auto c = flights();
  c.transforms.push_back({"back", "date", {"date - duration(\"5h\")", {}}, ""});
  Contract contract = compiled(c);
  ASSERT_TRUE(contract.learn(history()).ok());
  Column delay = ints("delay", {7, 0, 9, 10, 11});
  delay.valid = {1, 0, 1, 1, 1};
  const Table rows =
      Table::make(
          {strings("date", {"2001-05-11", "2001-05-12", "05/13/01", "2001-05-14", "2001-05-15"}),
           ints("distance", {1721, 1721, 1721, 2770, 740}), delay, ints("noise", {1, 2, 3, 4, 5}),
           strings("origin", {"SEA", "SEA", "SEA", "SEA", "ORD"}),
           strings("destination", {"ORD", "ORD", "ORD", "ORD", "JFK"})})
          .value();
  const TableCheck check = contract.check_table(rows).value();
  EXPECT_THAT(check.refused, ElementsAre(0, 1, 1, 1, 0));
  std::map<std::string, std::int64_t> counts;
  for (std::size_t i = 0; i < check.counts.size(); ++i) {
    if (check.counts[i] != 0) counts[contract.rules()[i].id] = check.counts[i];
  }
  EXPECT_EQ(counts, (std::map<std::string, std::int64_t>{
                        {"delay-required", 1}, {"date-type", 1}, {"route-fixes-distance", 1}}));
  ASSERT_EQ(check.accepted.rows(), 2);
  EXPECT_EQ(check.accepted.find("date")->ints[0], parse_time("2001-05-10T19:00:00").value());
  EXPECT_EQ(check.accepted.find("origin")->view().at(1).str(), "ORD");
  EXPECT_EQ(check.accepted.find("noise"), nullptr);
  EXPECT_EQ(check.accepted.find("delay")->ints[1], 11);
}

TEST(CheckTable, EveryRowRefusedAndNoRows) {
  Contract contract = compiled();
  const Table rows =
      Table::make({ints("date", {0, 1}), ints("distance", {1, 2}), strings("origin", {"?", "?"}),
                   strings("destination", {"?", "?"})})
          .value();
  const TableCheck check = contract.check_table(rows).value();
  EXPECT_EQ(check.accepted.rows(), 0);
  EXPECT_THAT(check.refused, ElementsAre(1, 1));
  EXPECT_EQ(contract.check_table(rows.slice(0, 0)).value().refused.size(), 0u);
}

TEST(CheckTable, MissingColumnNamesTheNearest) {
  const Table rows = Table::make({ints("dates", {0}), ints("distance", {1})}).value();
  const auto check = compiled().check_table(rows);
  ASSERT_FALSE(check.ok());
  EXPECT_EQ(check.error().id, "column-missing");
  EXPECT_EQ(check.error().kind, ErrorKind::kUnprocessable);
  EXPECT_THAT(check.error().hint, HasSubstr("`dates`"));
}

spec::SetRule set_rule(std::string id, std::string metric, std::string name, std::string operation,
                       std::vector<double> operands, bool percent = false) {
  spec::SetRule out;
  out.id = std::move(id);
  out.metric = std::move(metric);
  out.field = std::move(name);
  out.operation = std::move(operation);
  out.operands = std::move(operands);
  out.percent = percent;
  return out;
}

TEST(CheckSet, TheFiveMetrics) {
  auto c = flights();
  c.set_rules = {set_rule("rows", "rowCount", "", "mustBeBetween", {1, 4}),
                 set_rule("nulls", "nullValues", "distance", "mustBe", {2}),
                 set_rule("missing", "missingValues", "origin", "mustBeLessThan", {50}, true),
                 set_rule("invalid", "invalidValues", "origin", "mustBeLessOrEqualTo", {1}),
                 set_rule("repeats", "duplicateValues", "", "mustBeGreaterThan", {0}),
                 set_rule("one", "duplicateValues", "distance", "mustNotBe", {1})};
  c.set_rules[2].arguments = {"n/a"};
  c.set_rules[3].arguments = {"SEA", "n/a"};
  c.set_rules[4].properties = {"origin", "distance"};
  Column distance = ints("distance", {10, 10, 0, 0, 30});
  distance.valid = {1, 1, 0, 0, 1};
  const Table rows =
      Table::make({distance, strings("origin", {"SEA", "SEA", "n/a", "n/a", "ORD"})}).value();
  const auto results = compiled(c).check_set(rows).value();
  ASSERT_EQ(results.size(), 6u);
  const std::vector<double> values = {5, 2, 40, 1, 2, 1};
  const std::vector<bool> passed = {false, true, true, true, true, false};
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(results[i].value, values[i]) << results[i].rule;
    EXPECT_EQ(results[i].passed, passed[i]) << results[i].rule;
  }
  EXPECT_EQ(results[2].expected, "mustBeLessThan 50 percent");
  c.set_rules = {set_rule("x", "rowCount", "", "mustBeBetween", {1})};
  EXPECT_EQ(compiled(c).check_set(rows).error().id, "contract-set-operands");
}

/// `validValues` and `missingValues` of every type: 1 equals 1.0, and a number the text that writes
/// it.
TEST(CheckSet, ListsOfNumbersAndBooleans) {
  spec::Contract c;
  c.identity.name = "c", c.version = "1";
  c.fields = {field("n", Type::kInt, false), field("d", Type::kDouble, false),
              field("b", Type::kBool, false), field("s", Type::kString, false)};
  const auto list = [](std::string id, std::string metric, std::string of,
                       std::vector<doc::Value> values) {
    auto rule = set_rule(std::move(id), std::move(metric), std::move(of), "mustBe", {0});
    rule.arguments = std::move(values);
    return rule;
  };
  c.set_rules = {list("missing", "missingValues", "n", {-1, 999, nullptr}),
                 list("valid", "invalidValues", "n", {1, 2.0, "3"}),
                 list("reals", "invalidValues", "d", {1, 2.5}),
                 list("flags", "invalidValues", "b", {true}),
                 list("codes", "invalidValues", "s", {1, "x"}),
                 list("big", "invalidValues", "n", {9'007'199'254'740'992})};
  Column d;
  d.name = "d", d.type = Type::kDouble, d.doubles = {1.0, 2.5, 2.0, 0, 1};
  d.valid = {1, 1, 1, 0, 1};
  Column n = ints("n", {-1, 2, 3, 9'007'199'254'740'993, 0});
  n.valid = {1, 1, 1, 1, 0};
  const Table rows = Table::make({n, d, ints("b", {1, 0, 1, 0, 1}, Type::kBool),
                                  strings("s", {"1", "x", "2", "1.0", "x"})})
                         .value();
  const auto results = compiled(c).check_set(rows).value();
  const std::vector<double> values = {2, 2, 1, 2, 2, 4};
  for (std::size_t i = 0; i < values.size(); ++i)
    EXPECT_EQ(results[i].value, values[i]) << results[i].rule;
}

TEST(Stored, TheContractIsARecord) {
  spec::Field full = field("n", Type::kInt);
  full.enum_values = {doc::Value(1)};
  full.form = spec::Form::kDate;
  full.minimum_excluded = full.maximum_excluded = full.label_time = true;
  full.earliest = full.latest = -5;
  full.multiple_of = 2;
  full.min_length = full.max_length = 3;
  full.minimum = full.maximum = 1.5;
  full.pattern = "a", full.description = "d";
  full.repairs.trim = true, full.repairs.letter_case = spec::LetterCase::kLower;
  full.repairs.nulls = {"NA"}, full.repairs.decimal = std::string(1, ','),
  full.repairs.dates = {"%d.%m.%Y"};
  full.repairs.scale = full.repairs.offset = 2;
  full.repairs.clip_minimum = full.repairs.clip_maximum = 3;
  full.repairs.impute = spec::Impute::kMedian, full.repairs.imputed = 4;
  spec::RowRule rule;
  rule.id = "r", rule.expression.text = "n > 0", rule.description = "d";
  spec::RowRule dependency;
  dependency.id = "d", dependency.kind = spec::RowRule::Kind::kDependency;
  dependency.determinant = {"n"}, dependency.dependent = "m";
  spec::SetRule set = set_rule("s", "rowCount", "n", "mustBe", {1}, true);
  set.properties = {"n"}, set.arguments = {doc::Value("x")};
  set.condition = "n > 0", set.pattern = "a";
  const StoredContract stored{"c",
                              "1",
                              {full},
                              {rule, dependency},
                              {set},
                              {{"t", "n", {"n + 1", {}}, "why"}},
                              {{"d", 2, doc::Value::array({doc::Value::array({1, 2})})}},
                              spec::Deduplicate{.key = {"n"}, .by = "t", .keep_last = true}};
  doc::RecordConformance<StoredContract>(contract_schema(), stored).run("docs/formats/contract.md");
}

TEST(Stored, ARowRuleIsOfOneKind) {
  StoredContract stored{"c", "1"};
  spec::RowRule rule;
  rule.id = "r", rule.expression.text = "n > 0";
  stored.row_rules = {rule};
  auto value = contract_schema().print(stored);
  auto& said = value.find("row_rules")->as_array()[0];
  said.set("determinant", doc::Value::array({"n"})).set("dependent", "m");
  EXPECT_EQ(contract_schema().parse(value).error().message,
            "the contract: `row_rules[0].expression` or `determinant` and `dependent` must be "
            "there, and not both");
  said.set("effect", "ignore");
  EXPECT_THAT(contract_schema().parse(value).error().message,
              HasSubstr("`ignore` is not a value of `row_rules[0].effect`"));
}

/// A shift by the column's number would take column 67 for column 3.
TEST(CheckSet, RowsOfManyColumnsDifferByWhichOneIsMissing) {
  constexpr std::size_t kColumns = 130;
  spec::Contract c;
  c.identity.name = "c", c.version = "1";
  std::vector<Column> columns;
  for (std::size_t i = 0; i < kColumns; ++i) {
    const auto name = fmt::format("c{}", i);
    c.fields.push_back(field(name, Type::kInt, false));
    columns.push_back(ints(name, {7, 7, 7, 7}));
    columns.back().valid = {1, 1, 1, 1};
  }
  columns[3].valid[0] = 0;
  columns[67].valid[1] = 0;
  columns[129].valid[2] = 0;
  columns[67].valid[3] = 0;  // repeats the second row
  c.set_rules = {set_rule("repeats", "duplicateValues", "", "mustBe", {1})};
  const auto results = compiled(c).check_set(Table::make(columns).value()).value();
  EXPECT_EQ(results[0].value, 1);
  EXPECT_TRUE(results[0].passed);
}

/// Counts and aggregates of SQLite 3.40 over the same rows.
TEST(CheckSet, WhatASqlRuleMeasures) {
  spec::Contract c;
  c.identity.name = "c", c.version = "1";
  c.fields = {field("n", Type::kInt, false), field("s", Type::kString, false)};
  const auto measure = [](std::string metric, std::string of, std::string condition) {
    auto rule = set_rule(metric + condition, metric, std::move(of), "mustBeGreaterThan", {0});
    rule.condition = std::move(condition);
    return rule;
  };
  c.set_rules = {measure("rowCount", "", "(n <= 0 || n >= 500)"),
                 measure("rowCount", "", "n != null"),
                 measure("rowCount", "", "!((s in ['a']))"),
                 measure("sum", "n", ""),
                 measure("average", "n", "s == 'a'"),
                 measure("minimum", "n", ""),
                 measure("maximum", "n", "s == 'b'"),
                 measure("maximum", "n", "s == 'z'"),
                 measure("rowCount", "", "n < 30")};
  c.set_rules.back().percent = true;
  Column n = ints("n", {0, 500, 20, 0, 30});
  n.valid = {1, 1, 1, 0, 1};
  Column s = strings("s", {"a", "b", "a", "a", ""});
  s.valid = {1, 1, 1, 1, 0};
  const auto results = compiled(c).check_set(Table::make({n, s}).value()).value();
  const std::vector<double> values = {2, 4, 1, 550, 10, 0, 500, 0, 40};
  const std::vector<bool> passed = {true, true, true, true, true, false, true, false, true};
  for (std::size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(results[i].value, values[i]) << results[i].rule;
    EXPECT_EQ(results[i].passed, passed[i]) << results[i].rule;
  }
}

TEST(Value, RoundTripIsExactAndBehavesAlike) {
  auto c = flights();
  c.transforms.push_back({"back", "date", {"date - duration(\"5h\")", {}}, "a time zone"});
  c.set_rules = {set_rule("rows", "rowCount", "", "mustBeBetween", {1, 4})};
  Contract contract = compiled(c);
  ASSERT_TRUE(contract.learn(history()).ok());
  const std::string text = doc::to_json(contract.to_value());
  const Contract back = Contract::from_value(doc::parse_json(text).value()).value();
  EXPECT_EQ(doc::to_json(back.to_value()), text);
  // The order of training rows does not reach the bytes.
  const std::vector<std::int64_t> backwards = {4, 3, 2, 1, 0};
  Contract other = compiled(c);
  ASSERT_TRUE(other.learn(history().take(backwards)).ok());
  EXPECT_EQ(doc::to_json(other.to_value()), text);
  RowCheck a;
  RowCheck b;
  const auto km = row(Datum::timestamp(0), Datum::integer(2770), "SEA", "ORD");
  contract.check(km, a);
  back.check(km, b);
  EXPECT_EQ(a.broken, b.broken);
  EXPECT_EQ(a.states, b.states);
}

TEST(Value, MalformedIsCorrupt) {
  auto value = compiled().to_value();
  value.set("format", "heddle.contract/9");
  EXPECT_EQ(Contract::from_value(value).error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(Contract::from_value(doc::Value(3)).error().kind, ErrorKind::kCorrupt);
  value = compiled().to_value();
  value.set("fields", doc::Value::array());
  EXPECT_EQ(Contract::from_value(value).error().kind, ErrorKind::kCorrupt);
}

/// Over the file in HEDDLE_FLIGHTS, when it is set: the time a row takes.
TEST(Measure, Flights) {
  const char* file = std::getenv("HEDDLE_FLIGHTS");
  if (file == nullptr) GTEST_SKIP() << "HEDDLE_FLIGHTS is not set";
  table::ReadOptions options;
  options.time_column = "date";
  options.time_to = parse_time("2001-03-01").value();
  const Table rows = table::read_table(file, options).value();
  const auto codes = [&](const std::string&,
                         const std::string&) -> Result<std::vector<std::string>> {
    std::vector<std::string> out;
    for (const char* name : {"origin", "destination"}) {
      for (const auto view : rows.find(name)->dictionary->views()) out.emplace_back(view);
    }
    return out;
  };
  Contract contract = Contract::compile(flights(), codes).value();
  auto begin = system_clock().mono_ns();
  ASSERT_TRUE(contract.learn(rows).ok());
  fmt::print("learn: {} tuples, {} in conflict, {} ns/row\n", contract.learned()[0].tuples,
             contract.learned()[0].conflicting, (system_clock().mono_ns() - begin) / rows.rows());
  begin = system_clock().mono_ns();
  const TableCheck check = contract.check_table(rows).value();
  fmt::print("check_table: {} of {} accepted, {} ns/row\n", check.accepted.rows(), rows.rows(),
             (system_clock().mono_ns() - begin) / rows.rows());
  const auto views = rows.views();
  std::vector<std::vector<Datum>> raw;
  std::vector<std::string> dates;
  for (std::int64_t i = 0; i < 1000; ++i)
    dates.push_back(format_time(rows.find("date")->ints[static_cast<std::size_t>(i)]));
  for (std::int64_t i = 0; i < 1000; ++i) {
    raw.push_back({Datum::string(dates[static_cast<std::size_t>(i)]),
                   rows.find("distance")->view().at(i), rows.find("origin")->view().at(i),
                   rows.find("destination")->view().at(i)});
  }
  RowCheck row_check;
  begin = system_clock().mono_ns();
  for (int round = 0; round < 1000; ++round) {
    for (const auto& each : raw) contract.check(each, row_check);
  }
  fmt::print("check of a request's row, date as text: {} ns\n",
             (system_clock().mono_ns() - begin) / 1'000'000);
}

}  // namespace
}  // namespace heddle::contract
