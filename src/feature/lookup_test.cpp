// Features from a reference table that the program carries: rows and columns say the same.
#include "feature/lookup.hpp"

#include <bit>
#include <cmath>
#include <map>
#include <random>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "doc/json.hpp"
#include "feature/program.hpp"

namespace heddle::feature {
namespace {

using expr::Datum;
using expr::Type;
using spec::Feature;
using table::Column;
using table::Table;

Column words(const std::string& name, const std::vector<std::string>& values) {
  Column out{.name = name, .type = Type::kString};
  table::StringIndex index;
  for (const auto& value : values) {
    out.valid.push_back(value == "-" ? 0 : 1);
    out.codes.push_back(index.insert(value));
  }
  out.dictionary = std::make_shared<const table::Dictionary>(index.values());
  return out;
}

Column reals_of(const std::string& name, const std::vector<double>& values) {
  Column out{.name = name, .type = Type::kDouble};
  for (const double value : values) {
    out.valid.push_back(value == value ? 1 : 0);
    out.doubles.push_back(value == value ? value : 0);
  }
  return out;
}

const double kNone = std::nan("");

/// `elevation` by airport, `region` (a text, for others) by airport, `tax` by region and size.
spec::FeatureSet a_set() {
  spec::FeatureSet out;
  out.identity.name = "f";
  out.contract = "c";
  out.folds = 2;
  Feature elevation{.name = "elevation", .kind = Feature::Kind::kLookup, .inputs = {"origin"}};
  elevation.source = "airports", elevation.columns = {"code"}, elevation.value = "feet";
  Feature region = elevation;
  region.name = "region", region.value = "area", region.type = Type::kString, region.hidden = true;
  Feature tax{.name = "tax", .kind = Feature::Kind::kLookup, .inputs = {"region", "size"}};
  tax.source = "taxes", tax.columns = {"area", "size"}, tax.value = "tax", tax.type = Type::kInt;
  const Feature west{.name = "west", .expression = {"region == 'west'", {}}};
  const Feature late{.name = "late", .kind = Feature::Kind::kTargetEncoding, .inputs = {"region"}};
  // In any order: each stands behind what it reads.
  out.features = {tax, west, late, elevation, region};
  return out;
}

std::vector<spec::Field> the_fields() {
  return {{.name = "origin", .type = Type::kString}, {.name = "size", .type = Type::kInt}};
}

Table some_rows() {
  Column size{.name = "size", .type = Type::kInt, .ints = {1, 2, 1, 2, 1, 1}};
  return *Table::make({words("origin", {"A", "B", "C", "X", "-", "A"}), size});
}

Program with_lookups() {
  auto program = Program::compile(a_set(), the_fields());
  EXPECT_TRUE(program.ok()) << program.error().str();
  return std::move(*program);
}

Program filled() {
  Program program = with_lookups();
  const auto needed = program.needed_tables();
  for (std::size_t i = 0; i < needed.size(); ++i) {
    const auto& each = needed[i];
    Table rows;
    if (each.feature == "elevation") {
      rows = *Table::make({words("0", {"A", "B", "C", "-"}), reals_of("1", {13, kNone, -2.5, 9})});
    } else if (each.feature == "region") {
      rows = *Table::make({words("0", {"A", "B", "A"}), words("1", {"west", "east", "west"})});
    } else {
      rows = *Table::make({words("0", {"west", "east"}),
                           {.name = "1", .type = Type::kInt, .ints = {1, 2}},
                           {.name = "2", .type = Type::kInt, .ints = {70, 80}}});
    }
    const auto keyless = program.add_to_lookup(i, rows);
    EXPECT_TRUE(keyless.ok()) << keyless.error().str();
    EXPECT_EQ(*keyless, each.feature == "elevation" ? 1 : 0);
  }
  return program;
}

/// By columns, each value as text; that rows say the same is held.
std::vector<std::string> shown(const Program& program, const std::string& feature) {
  const Table rows = some_rows();
  const Matrix matrix = program.apply(rows).value();
  const auto& names = program.feature_names();
  const auto at =
      static_cast<std::size_t>(std::find(names.begin(), names.end(), feature) - names.begin());
  std::vector<float> out(names.size());
  Program::Scratch scratch;
  std::vector<std::string> texts;
  for (std::int64_t row = 0; row < rows.rows(); ++row) {
    const Datum typed[] = {rows.columns()[0].view().at(row), rows.columns()[1].view().at(row)};
    program.apply_row(typed, out, scratch);
    for (std::size_t k = 0; k < names.size(); ++k) {
      const float column = matrix.values[static_cast<std::size_t>(row) * names.size() + k];
      EXPECT_EQ(std::bit_cast<std::uint32_t>(column), std::bit_cast<std::uint32_t>(out[k]))
          << names[k] << " of row " << row;
    }
    texts.push_back(std::isnan(out[at]) ? "-" : fmt::format("{}", out[at]));
  }
  return texts;
}

TEST(Lookups, GiveWhatTheTableSaysOfAKey) {
  Program program = filled();
  const double labels[] = {1, 0, 1, 0, 1, 1};
  ASSERT_TRUE(program.fit(some_rows(), labels).ok());
  // B has no value, X is not in the table, the fifth row has no key.
  EXPECT_THAT(shown(program, "elevation"), testing::ElementsAre("13", "-", "-2.5", "-", "-", "13"));
  EXPECT_THAT(shown(program, "tax"), testing::ElementsAre("70", "80", "-", "-", "-", "70"));
  EXPECT_THAT(shown(program, "west"), testing::ElementsAre("1", "0", "-", "-", "-", "1"));
  EXPECT_NE(shown(program, "late")[0], "-");
  // It goes with the program, and gives the same bytes and the same values.
  const auto stored = program.to_value();
  auto read = Program::from_value(stored);
  ASSERT_TRUE(read.ok()) << read.error().str();
  EXPECT_EQ(doc::to_json(read->to_value()), doc::to_json(stored));
  for (const char* name : {"elevation", "tax", "west", "late"})
    EXPECT_EQ(shown(*read, name), shown(program, name));
}

TEST(Lookups, SayWhatTheyNeed) {
  const auto needed = with_lookups().needed_tables();
  ASSERT_EQ(needed.size(), 3U);
  const auto& tax = *std::find_if(needed.begin(), needed.end(),
                                  [](const auto& each) { return each.feature == "tax"; });
  EXPECT_EQ(tax.source, "taxes");
  EXPECT_EQ(tax.columns, (std::vector<std::string>{"area", "size", "tax"}));
  EXPECT_EQ(tax.types, (std::vector<Type>{Type::kString, Type::kInt, Type::kInt}));
}

std::size_t place_of(const Program& program, const std::string& feature) {
  const auto needed = program.needed_tables();
  return static_cast<std::size_t>(
      std::find_if(needed.begin(), needed.end(),
                   [&](const auto& each) { return each.feature == feature; }) -
      needed.begin());
}

Table elevations(const std::vector<std::string>& codes, const std::vector<double>& feet) {
  return *Table::make({words("0", codes), reals_of("1", feet)});
}

TEST(Lookups, TwoValuesOfAKeyAreRefused) {
  Program program = with_lookups();
  const auto i = place_of(program, "elevation");
  const auto twice = program.add_to_lookup(i, elevations({"A", "B", "A"}, {13, 7, 14}));
  ASSERT_FALSE(twice.ok());
  EXPECT_EQ(twice.error().id, "lookup-two-values");
  EXPECT_EQ(twice.error().message,
            "lookup `elevation`: the table has two values for the key [\"A\"]: 13.0 and 14.0");
  EXPECT_EQ(with_lookups().add_to_lookup(i, elevations({"A", "A"}, {13, kNone})).error().message,
            "lookup `elevation`: the table has two values for the key [\"A\"]: 13.0 and null");
  // The same row again is no other value; of the parts of a table neither is.
  Program parts = with_lookups();
  EXPECT_TRUE(parts.add_to_lookup(i, elevations({"A", "A", "B"}, {13, 13, kNone})).ok());
  EXPECT_TRUE(parts.add_to_lookup(i, elevations({"B", "C", "A"}, {kNone, 2, 13})).ok());
  EXPECT_EQ(parts.add_to_lookup(i, elevations({"C"}, {3})).error().id, "lookup-two-values");
  EXPECT_EQ(doc::to_json(parts.to_value().find("lookups")->as_array()[i]),
            R"([["A",13.0],["B",null],["C",2.0]])");
}

TEST(Lookups, ATextWithTwoValuesIsRefused) {
  Program program = with_lookups();
  const Table rows = *Table::make({words("0", {"A", "A"}), words("1", {"west", "east"})});
  EXPECT_EQ(program.add_to_lookup(place_of(program, "region"), rows).error().message,
            "lookup `region`: the table has two values for the key [\"A\"]: \"west\" and \"east\"");
}

TEST(Lookups, ATableWithoutKeysIsRefusedWhenFeaturesAreFitted) {
  Program program = with_lookups();
  const double labels[] = {1, 0, 1, 0, 1, 1};
  const auto none = program.fit(some_rows(), labels);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().id, "lookup-empty");
  EXPECT_EQ(*program.add_to_lookup(place_of(program, "elevation"), elevations({"-"}, {3})), 1);
  EXPECT_THAT(program.fit(some_rows(), labels).error().message,
              testing::HasSubstr("lookup `elevation`: no row of source `airports` has a key in "
                                 "`code`"));
}

TEST(Lookups, TablesThatNoBundleCanCarryAreRefused) {
  Program program = with_lookups();
  const auto i = place_of(program, "elevation");
  const std::string text(1 << 20, 'x');
  Result<std::int64_t> added = std::int64_t{0};
  int rows = 0;
  while (added.ok() && rows < 100)
    added = program.add_to_lookup(i, elevations({fmt::format("{}{}", rows++, text)}, {1}));
  ASSERT_FALSE(added.ok());
  EXPECT_EQ(added.error().id, "lookup-too-large");
  EXPECT_EQ(rows, 8);
}

/// What a plain map gives for random rows over random tables, whatever the types of the key.
TEST(Lookups, AnyKeyGivesWhatAMapGives) {
  std::mt19937_64 draw(17);
  spec::FeatureSet set;
  set.identity.name = "f";
  set.folds = 2;
  Feature found{.name = "found",
                .kind = Feature::Kind::kLookup,
                .inputs = {"code", "count", "size", "flag", "time"}};
  found.source = "s", found.columns = found.inputs, found.value = "v";
  set.features = {found};
  const std::vector<spec::Field> fields{{.name = "code", .type = Type::kString},
                                        {.name = "count", .type = Type::kInt},
                                        {.name = "size", .type = Type::kDouble},
                                        {.name = "flag", .type = Type::kBool},
                                        {.name = "time", .type = Type::kTimestamp}};
  // Each part has few values, one of which is missing.
  const auto rows_of = [&](std::int64_t count) {
    std::vector<Column> columns;
    for (const auto& field : fields) {
      Column out{.name = field.name, .type = field.type};
      table::StringIndex texts;
      for (std::int64_t row = 0; row < count; ++row) {
        const auto one = static_cast<std::int64_t>(draw() % 4);
        out.valid.push_back(one == 3 && draw() % 2 == 0 ? 0 : 1);
        switch (field.type) {
          case Type::kString: out.codes.push_back(texts.insert(fmt::format("k{}", one))); break;
          case Type::kDouble:
            out.doubles.push_back(one == 0 ? (draw() % 2 == 0 ? -0.0 : 0.0) : double(one) / 3);
            break;
          case Type::kBool: out.ints.push_back(one % 2); break;
          default: out.ints.push_back(one - 1);
        }
      }
      if (field.type == Type::kString)
        out.dictionary = std::make_shared<const table::Dictionary>(texts.values());
      columns.push_back(std::move(out));
    }
    return columns;
  };
  const auto key_of = [](std::span<const Column> columns, std::int64_t row) {
    std::string key;
    for (std::size_t c = 0; c < 5; ++c) {
      const Datum part = columns[c].view().at(row);
      if (part.is_null()) return std::string();
      const double number = part.kind == Datum::Kind::kDouble ? part.d + 0.0 : 0;
      key += part.kind == Datum::Kind::kString   ? std::string(part.str())
             : part.kind == Datum::Kind::kDouble ? fmt::format("{}", number)
             : part.kind == Datum::Kind::kBool   ? fmt::format("{}", part.b)
                                                 : fmt::format("{}", part.i);
      key += "|";
    }
    return key;
  };
  auto columns = rows_of(300);
  std::map<std::string, double> due;
  std::vector<double> values;
  std::int64_t keyless = 0;
  for (std::int64_t row = 0; row < 300; ++row) {
    const std::string key = key_of(columns, row);
    const double value = due.emplace(key, double(row) + 0.5).first->second;
    values.push_back(value);
    keyless += key.empty() ? 1 : 0;
  }
  due.erase("");
  columns.push_back(reals_of("v", values));
  Program program = *Program::compile(set, fields);
  EXPECT_EQ(*program.add_to_lookup(0, *Table::make(columns)), keyless);
  const Table asked = *Table::make(rows_of(2000));
  const Matrix matrix = program.apply(asked).value();
  std::vector<float> out(1);
  Program::Scratch scratch;
  int hits = 0;
  for (std::int64_t row = 0; row < asked.rows(); ++row) {
    std::vector<Datum> typed;
    for (const auto& column : asked.columns()) typed.push_back(column.view().at(row));
    program.apply_row(typed, out, scratch);
    const auto at = due.find(key_of(asked.columns(), row));
    const float column = matrix.values[static_cast<std::size_t>(row)];
    EXPECT_EQ(std::bit_cast<std::uint32_t>(column), std::bit_cast<std::uint32_t>(out[0]));
    ASSERT_EQ(std::isnan(column), at == due.end()) << row;
    if (at == due.end()) continue;
    ASSERT_EQ(column, static_cast<float>(at->second)) << row;
    ++hits;
  }
  EXPECT_GT(hits, 200);
}

TEST(Lookups, ARetrainTakesTheTablesOfWhatServes) {
  Program program = with_lookups();
  ASSERT_TRUE(program.take_lookups(filled()).ok());
  EXPECT_EQ(shown(program, "elevation"), shown(filled(), "elevation"));
  auto other = a_set();
  other.features[3].value = "metres";
  auto changed = Program::compile(other, the_fields());
  ASSERT_TRUE(changed.ok());
  const auto taken = changed->take_lookups(filled());
  ASSERT_FALSE(taken.ok());
  EXPECT_EQ(taken.error().id, "lookup-unknown");
  EXPECT_THAT(taken.error().message, testing::HasSubstr("`elevation`"));
}

TEST(Lookups, WhatCannotBeCompiledIsTold) {
  const auto error_of = [](auto change) {
    auto set = a_set();
    change(set.features[3]);
    const auto program = Program::compile(set, the_fields());
    return program.ok() ? std::string("none") : program.error().id;
  };
  EXPECT_EQ(error_of([](Feature& f) { f.type = Type::kString; }), "feature-type");
  EXPECT_EQ(error_of([](Feature& f) { f.inputs = {"origins"}; }), "feature-unknown-name");
  EXPECT_EQ(error_of([](Feature& f) { f.inputs = {}; }), "feature-inputs");
  EXPECT_EQ(error_of([](Feature& f) { f.columns = {"a", "b"}; }), "feature-inputs");
  EXPECT_EQ(error_of([](Feature& f) { f.inputs = {"late"}; }), "feature-nested-encoder");
  EXPECT_EQ(error_of([](Feature& f) { f.inputs = {"elevation"}; }), "feature-cycle");
}

TEST(Lookups, WhatIsStoredIsReadStrictly) {
  const auto stored = filled().to_value();
  const auto error_of = [&](doc::Value lookups) {
    auto value = stored;
    value.set("lookups", std::move(lookups));
    const auto program = Program::from_value(value);
    return program.ok() ? std::string("none") : program.error().message;
  };
  const auto& good = *stored.find("lookups");
  EXPECT_EQ(error_of(good), "none");
  EXPECT_THAT(error_of(doc::Value::array()), testing::HasSubstr("do not match its features"));
  const auto with_first = [&](std::string_view json) {
    auto lookups = doc::Value::array();
    for (std::size_t i = 0; i < good.size(); ++i)
      lookups.push(i == 0 ? *doc::parse_json(json) : good.as_array()[i]);
    return error_of(std::move(lookups));
  };
  EXPECT_THAT(with_first("[[\"A\"]]"), testing::HasSubstr("wrong number of values"));
  EXPECT_THAT(with_first("7"), testing::HasSubstr("is no list"));
  EXPECT_THAT(with_first(R"([["A",1.0],["A",1.0]])"), testing::HasSubstr("more than once"));
  EXPECT_THAT(with_first(R"([[7,1.0]])"), testing::HasSubstr("a key is a"));
  EXPECT_THAT(with_first(R"([["A","high"]])"), testing::HasSubstr("of another type"));
}

}  // namespace
}  // namespace heddle::feature
