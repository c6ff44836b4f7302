// Each repair by itself, in rows and in columns; what is learned; what cannot be declared. That
// rows and columns agree over generated contracts is in columns_test.cpp.
#include "contract/repair.hpp"

#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "contract/deduplicate.hpp"
#include "doc/json.hpp"
#include "table/lookup.hpp"

namespace heddle::contract {
namespace {

using expr::Datum;
using expr::Type;
using table::Column;
using table::Table;
using testing::ElementsAre;
using testing::HasSubstr;

Result<std::vector<std::string>> no_enum_files(const std::string&, const std::string&) {
  return std::vector<std::string>{};
}

spec::Field field(Type type, spec::Repairs repairs) {
  spec::Field out{.name = "x", .type = type};
  out.repairs = std::move(repairs);
  return out;
}

Contract contract_of(spec::Field field) {
  spec::Contract definition;
  definition.identity.name = "c";
  definition.fields.push_back(std::move(field));
  return Contract::compile(definition, no_enum_files).value();
}

Column texts(const std::vector<std::string>& values) {
  Column out{.name = "x", .type = Type::kString};
  table::StringIndex index;
  for (const auto& value : values) out.codes.push_back(index.insert(value));
  out.dictionary = std::make_shared<const table::Dictionary>(index.values());
  return out;
}

Column reals(std::vector<double> values, std::vector<std::uint8_t> valid = {}) {
  Column out{.name = "x", .type = Type::kDouble};
  out.doubles = std::move(values);
  out.valid = std::move(valid);
  return out;
}

std::string show(const Contract& contract, const RowCheck& check) {
  std::string out;
  const Datum& value = check.row[0];
  switch (value.kind) {
    case Datum::Kind::kNull: out = "null"; break;
    case Datum::Kind::kString: out = fmt::format("'{}'", value.str()); break;
    case Datum::Kind::kDouble: out = fmt::format("{}", value.d); break;
    case Datum::Kind::kTimestamp: out = format_time(value.i); break;
    default: out = fmt::format("{}", value.i);
  }
  for (const auto rule : check.broken) out += " !" + contract.rules()[rule].id;
  for (const auto repair : check.repaired) out += " +" + contract.repairs()[repair].id;
  return out;
}

/// A row of the one field, as `value` and what was done to it; a table of it must say the same.
std::string repaired(const spec::Field& field, const Datum& raw) {
  const Contract contract = contract_of(field);
  RowCheck check;
  contract.check(std::span(&raw, 1), check);
  return show(contract, check);
}

TEST(Repairs, ATextBeforeItIsChecked) {
  spec::Repairs repairs{.trim = true, .nulls = {"NA", ""}};
  const auto x = field(Type::kString, repairs);
  EXPECT_EQ(repaired(x, Datum::string("SEA")), "'SEA'");
  EXPECT_EQ(repaired(x, Datum::string(" SEA\t\n")), "'SEA' +x-trim");
  EXPECT_EQ(repaired(x, Datum::string("\xC2\xA0SEA ")), "'SEA' +x-trim");
  EXPECT_EQ(repaired(x, Datum::string(" NA ")), "null +x-trim +x-nulls");
  EXPECT_EQ(repaired(x, Datum::string("   ")), "null +x-trim +x-nulls");
  EXPECT_EQ(repaired(x, Datum::string("na")), "'na'");
  EXPECT_EQ(repaired(x, Datum::null()), "null");
  EXPECT_EQ(repaired(x, Datum::integer(7)), "null !x-type");
  repairs.letter_case = spec::LetterCase::kLower;
  EXPECT_EQ(repaired(field(Type::kString, repairs), Datum::string(" S\xC3\x84 ")),
            "'s\xC3\x84' +x-trim +x-case");
  repairs.letter_case = spec::LetterCase::kUpper;
  auto upper = field(Type::kString, repairs);
  upper.enum_values = {"SEA"};
  EXPECT_EQ(repaired(upper, Datum::string("sea")), "'SEA' +x-case");
  EXPECT_EQ(repaired(upper, Datum::string("ord")), "'ORD' !x-enum +x-case");
  // A sentinel is meant in any case where the case is repaired.
  EXPECT_EQ(repaired(upper, Datum::string(" na")), "null +x-trim +x-case +x-nulls");
}

TEST(Repairs, ADecimalComma) {
  const auto x = field(Type::kDouble, {.nulls = {"k.A."}, .decimal = ","});
  EXPECT_EQ(repaired(x, Datum::string("1,5")), "1.5 +x-decimal");
  EXPECT_EQ(repaired(x, Datum::string(" -1,5 ")), "-1.5 +x-decimal");
  EXPECT_EQ(repaired(x, Datum::string("7")), "7");
  EXPECT_EQ(repaired(x, Datum::real(1.5)), "1.5");
  EXPECT_EQ(repaired(x, Datum::string("k.A.")), "null +x-nulls");
  EXPECT_EQ(repaired(x, Datum::string("")), "null");
  EXPECT_EQ(repaired(x, Datum::string("1.5")), "null !x-type");
  EXPECT_EQ(repaired(x, Datum::string("1,5 km")), "null !x-type");
}

TEST(Repairs, DatesTheFirstLayoutThatFits) {
  const auto x = field(Type::kTimestamp, {.dates = {"%d/%m/%Y", "ISO 8601"}});
  EXPECT_EQ(repaired(x, Datum::string("03/04/2001")), "2001-04-03T00:00:00Z +x-dates");
  EXPECT_EQ(repaired(x, Datum::string("2001-04-03")), "2001-04-03T00:00:00Z");
  EXPECT_EQ(repaired(x, Datum::timestamp(0)), "1970-01-01T00:00:00Z");
  EXPECT_EQ(repaired(x, Datum::string("31/02/2001")), "null !x-type");
  // Without the word ISO 8601 is not read: `%Y-%d-%m` would be another day.
  const auto swapped = field(Type::kTimestamp, {.dates = {"%Y-%d-%m"}});
  EXPECT_EQ(repaired(swapped, Datum::string("2001-04-03")), "2001-03-04T00:00:00Z +x-dates");
}

TEST(Repairs, NumbersInTheirOrder) {
  spec::Repairs repairs{.nulls = {"-999"}, .scale = 0.5, .offset = 1};
  repairs.clip_minimum = 0, repairs.clip_maximum = 10;
  repairs.impute = spec::Impute::kConstant, repairs.imputed = 3;
  auto x = field(Type::kDouble, repairs);
  x.required = true, x.minimum = 0, x.maximum = 10;
  EXPECT_EQ(repaired(x, Datum::real(4)), "3 +x-scale");
  EXPECT_EQ(repaired(x, Datum::real(2)), "2");  // nothing changed
  EXPECT_EQ(repaired(x, Datum::integer(100)), "10 +x-scale +x-clip");
  EXPECT_EQ(repaired(x, Datum::real(-999)), "3 +x-nulls +x-impute");
  EXPECT_EQ(repaired(x, Datum::string("-999")), "3 +x-nulls +x-impute");
  EXPECT_EQ(repaired(x, Datum::null()), "3 +x-impute");
  EXPECT_EQ(repaired(x, Datum::real(std::nan(""))), "3 +x-impute");
  // What is no number is no missing one: its row is refused.
  EXPECT_EQ(repaired(x, Datum::string("abc")), "null !x-type");
  EXPECT_EQ(repaired(x, Datum::real(HUGE_VAL)), "null !x-type");
}

TEST(Repairs, IntegersStayExact) {
  const auto x = field(Type::kInt, {.scale = 1000, .offset = -1});
  EXPECT_EQ(repaired(x, Datum::integer(9'007'199'254'740)), "9007199254739999 +x-scale");
  EXPECT_EQ(repaired(x, Datum::integer(INT64_MAX / 2)), "null !x-type");
}

TEST(Repairs, AColumnSaysWhatItsRowsSay) {
  auto x = field(Type::kDouble, {.nulls = {"-"}, .scale = 2});
  const Contract contract = contract_of(x);
  Column column = reals({1, 0, 0, 0}, {1, 0, 0, 0});
  column.malformed = {0, 0, 1, 2};
  column.malformed_texts =
      std::make_shared<const table::Dictionary>(std::vector<std::string>{"-", "x"});
  const auto check = contract.check_table(Table::make({column}).value()).value();
  EXPECT_THAT(check.refused, ElementsAre(0, 0, 0, 1));
  EXPECT_THAT(check.repaired, ElementsAre(1, 1));  // `-`, and the doubled 1
  EXPECT_EQ(check.accepted.columns()[0].doubles[0], 2);
  EXPECT_EQ(check.accepted.columns()[0].null_count(), 2);
}

TEST(Repairs, OfTransformsToo) {
  spec::Contract definition;
  definition.fields.push_back(field(Type::kDouble, {.scale = 2}));
  definition.transforms.push_back({"at-least-one", "x", {"x < 1.0 ? 1.0 : x", {}}, ""});
  const Contract contract = Contract::compile(definition, no_enum_files).value();
  const Table rows = Table::make({reals({0.25, 3})}).value();
  EXPECT_THAT(contract.check_table(rows).value().repaired, ElementsAre(2, 1));
  RowCheck check;
  const Datum raw = Datum::real(0.25);
  contract.check(std::span(&raw, 1), check);
  EXPECT_EQ(show(contract, check), "1 +x-scale +at-least-one");
}

TEST(Repairs, WhatIsStoredHasItsTextsRead) {
  const Contract contract =
      contract_of(field(Type::kDouble, {.nulls = {"-"}, .decimal = ",", .scale = 2}));
  const auto rows = contract.with_texts_read(Table::make({texts({"1,5", "-", "2"})}).value());
  ASSERT_TRUE(rows.ok());
  const Column& column = rows->columns()[0];
  EXPECT_EQ(column.type, Type::kDouble);
  EXPECT_THAT(column.doubles, ElementsAre(1.5, 0, 2));
  EXPECT_THAT(column.valid, ElementsAre(1, 0, 1));
  const auto check = contract.check_table(*rows).value();
  EXPECT_THAT(check.accepted.columns()[0].doubles, ElementsAre(3, 0, 4));
}

TEST(Repairs, AMedianAndAModeAreLearnedAndStored) {
  auto median = field(Type::kDouble, {.impute = spec::Impute::kMedian});
  median.maximum = 100;
  Contract contract = contract_of(median);
  // Of an even number the lower of the two; what breaks a rule teaches nothing.
  ASSERT_TRUE(
      contract.learn_imputed(Table::make({reals({4, 1, 3, 2, 999, 0}, {1, 1, 1, 1, 1, 0})}).value())
          .ok());
  EXPECT_EQ(contract.fields()[0].repairs.imputed, doc::Value(2.0));
  const std::string text = doc::to_json(contract.to_value());
  EXPECT_THAT(text, HasSubstr(R"("impute":{"learn":"median","value":2.0})"));
  const Contract back = Contract::from_value(doc::parse_json(text).value()).value();
  EXPECT_EQ(doc::to_json(back.to_value()), text);
  RowCheck check;
  const Datum none = Datum::null();
  back.check(std::span(&none, 1), check);
  EXPECT_EQ(show(back, check), "2 +x-impute");

  Contract mode = contract_of(field(Type::kString, {.impute = spec::Impute::kMode}));
  ASSERT_TRUE(mode.learn_imputed(Table::make({texts({"b", "a", "c", "b", "a"})}).value()).ok());
  EXPECT_EQ(mode.fields()[0].repairs.imputed, doc::Value("a"));  // as often as `b`, and before it
}

TEST(Repairs, NothingIsLearnedOfNothing) {
  Contract contract = contract_of(field(Type::kDouble, {.impute = spec::Impute::kMedian}));
  const auto learned = contract.learn_imputed(Table::make({reals({0, 0}, {0, 0})}).value());
  ASSERT_FALSE(learned.ok());
  EXPECT_EQ(learned.error().id, "repair-nothing-to-learn");
  EXPECT_THAT(learned.error().message, HasSubstr("`x` has no value in the 2 rows"));
}

TEST(Repairs, WhatCannotBeDeclared) {
  const auto fault = [](Type type, spec::Repairs repairs, bool label = false) {
    auto x = field(type, std::move(repairs));
    x.label_time = label;
    const auto checked = spec::check_repairs(x);
    return checked.ok() ? "none" : checked.error().id + ": " + checked.error().message;
  };
  EXPECT_EQ(fault(Type::kDouble, {.trim = true}),
            "repair-type: repair `trim` of field `x`: it is of texts, and the field is a double");
  EXPECT_THAT(fault(Type::kInt, {.letter_case = spec::LetterCase::kLower}), HasSubstr("`case`"));
  EXPECT_THAT(fault(Type::kString, {.decimal = ","}), HasSubstr("`decimal`"));
  EXPECT_THAT(fault(Type::kString, {.dates = {"%d/%m/%Y"}}), HasSubstr("`dates`"));
  EXPECT_THAT(fault(Type::kTimestamp, {.dates = {"%d/%m/%Q"}}),
              HasSubstr("date-format: repair `dates` of field `x`: `%d/%m/%Q`"));
  EXPECT_THAT(fault(Type::kString, {.scale = 2}), HasSubstr("`scale`"));
  EXPECT_THAT(fault(Type::kDouble, {.scale = 0}), HasSubstr("every value the same"));
  EXPECT_THAT(fault(Type::kInt, {.scale = 1.6}), HasSubstr("the field is an integer"));
  spec::Repairs clip;
  clip.clip_minimum = 5, clip.clip_maximum = 1;
  EXPECT_EQ(fault(Type::kDouble, clip),
            "repair-type: repair `clip` of field `x`: its minimum 5 is above its maximum 1");
  EXPECT_THAT(fault(Type::kTimestamp, clip), HasSubstr("`clip`"));
  EXPECT_THAT(fault(Type::kString, {.impute = spec::Impute::kMedian}), HasSubstr("median"));
  EXPECT_THAT(fault(Type::kInt, {.impute = spec::Impute::kConstant, .imputed = "many"}),
              HasSubstr("repair-value: "));
  EXPECT_THAT(fault(Type::kDouble, {.scale = 2}, true), HasSubstr("repair-label: field `x`"));
  EXPECT_EQ(fault(Type::kDouble, {.nulls = {"-"}, .decimal = ","}, true), "none");
}

TEST(Deduplicate, TheFirstOrTheLastInTime) {
  const auto dropped = [](bool last) {
    Deduplicator out({.key = {"x"}, .by = "at", .keep_last = last});
    const auto part = [](const std::vector<std::string>& keys, std::vector<std::int64_t> times) {
      Column at{.name = "at", .type = Type::kTimestamp};
      at.ints = std::move(times);
      Column x = texts(keys);
      if (keys.front() == "missing") x.valid = {0, 0};
      return Table::make({x, at}).value();
    };
    // In two parts, whose codes differ; rows 4 and 5 have no key.
    EXPECT_TRUE(
        out.add(part({"a", "b", "a", "a"}, {5, 1, 3, 3}), std::vector<std::int64_t>{0, 1, 2, 3})
            .ok());
    EXPECT_TRUE(
        out.add(part({"missing", "missing"}, {1, 2}), std::vector<std::int64_t>{4, 5}).ok());
    EXPECT_TRUE(out.add(part({"b", "a"}, {2, 5}), std::vector<std::int64_t>{6, 7}).ok());
    return std::move(out).finish();
  };
  EXPECT_THAT(dropped(false), ElementsAre(0, 3, 6, 7));  // 2 is the first of those at 3
  EXPECT_THAT(dropped(true), ElementsAre(0, 1, 2, 3));   // 7 is the last of those at 5
}

TEST(Deduplicate, AFieldThatIsNotThereIsNamed) {
  spec::Contract definition;
  definition.fields.push_back({.name = "x", .type = Type::kString});
  definition.deduplicate = spec::Deduplicate{.key = {"y"}, .by = "x"};
  EXPECT_EQ(Contract::compile(definition, no_enum_files).error().id, "contract-no-field");
  definition.deduplicate->key = {"x"};
  EXPECT_EQ(Contract::compile(definition, no_enum_files).error().id, "contract-deduplicate");
  definition.deduplicate->key = {};
  EXPECT_EQ(Contract::compile(definition, no_enum_files).error().id, "contract-deduplicate");
}

}  // namespace
}  // namespace heddle::contract
