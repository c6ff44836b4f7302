// What a lookup of a feature set may say: docs/joins.md.
#include "spec/spec_fixture.hpp"
#include "table/table.hpp"

namespace heddle::spec {
namespace {

class LookupTest : public SpecTest {
 protected:
  void SetUp() override {
    SpecTest::SetUp();
    put("data/airports.csv", "code,feet,area\n");
    change("heddle.yaml", "sources:\n", "sources:\n  airports: data/airports.csv\n");
  }
  /// The findings with this feature among the others, without where they stand.
  std::string found(const std::string& feature) {
    const std::string before = *read_file(root_ + "/features/f.yaml");
    change("features/f.yaml", "features:\n", "features:\n  - " + feature + "\n");
    std::string out;
    for (const auto& each : findings()) {
      const auto at = each.find(": ") + 2;
      out += (out.empty() ? "" : "\n") + each.substr(at);
    }
    put("features/f.yaml", before);
    return out;
  }
};

TEST_F(LookupTest, IsReadWhole) {
  change("features/f.yaml", "features:\n",
         "features:\n  - {name: tax, lookup: {source: airports, key: {region: area, place: code}, "
         "value: feet, type: integer}}\n  - {name: region, hidden: true, lookup: {source: "
         "airports, key: {place: code}, value: area, type: string}}\n");
  EXPECT_EQ(findings(), Lines{});
  const auto loaded = load_project(root_);
  const auto& features = loaded->project.feature_sets.at("f").features;
  const auto tax = std::find_if(features.begin(), features.end(),
                                [](const Feature& each) { return each.name == "tax"; });
  ASSERT_NE(tax, features.end());
  EXPECT_EQ(tax->kind, Feature::Kind::kLookup);
  EXPECT_EQ(tax->source, "airports");
  EXPECT_EQ(tax->inputs, (Lines{"place", "region"}));
  EXPECT_EQ(tax->columns, (Lines{"code", "area"}));
  EXPECT_EQ(tax->value, "feet");
  EXPECT_EQ(tax->type, expr::Type::kInt);
  // It stands behind what it reads.
  EXPECT_TRUE(std::any_of(features.begin(), tax,
                          [](const Feature& each) { return each.name == "region"; }));
}

TEST_F(LookupTest, WhatCannotBeIsToldWithItsFeature) {
  EXPECT_EQ(found("{name: x, lookup: {source: airports, key: {place: code}, value: feet}}"), "");
  EXPECT_EQ(found("{name: x, lookup: {key: {place: code}, value: feet}}"),
            "error[missing-key]: a lookup needs the key `source`");
  EXPECT_EQ(found("{name: x, lookup: {source: airports, key: {}, value: feet}}"),
            "error[bad-feature]: a lookup has a key of 0 parts");
  EXPECT_EQ(
      found("{name: x, lookup: {source: airports, key: {a: a, b: b, c: c, d: d, e: e, f: f, g: "
            "g, h: h, i: i}, value: feet}}"),
      "error[bad-feature]: a lookup has a key of 9 parts");
  EXPECT_EQ(found("{name: x, lookup: {source: airports, key: {place: 7}, value: feet}}"),
            "error[bad-feature]: `key` of a lookup names no column for `place`");
  EXPECT_EQ(found("{name: x, lookup: {source: airport, key: {place: code}, value: feet}}"),
            "error[unknown-name]: lookup `x` names the source `airport`, which is none");
  EXPECT_EQ(found("{name: x, lookup: {source: airports, key: {place: icao}, value: feet}}"),
            "error[column-missing]: lookup `x` names column `icao`, which source `airports` does "
            "not have");
  EXPECT_EQ(found("{name: x, lookup: {source: airports, key: {place: code}, value: metres}}"),
            "error[column-missing]: lookup `x` names column `metres`, which source `airports` does "
            "not have");
  EXPECT_EQ(
      found("{name: x, lookup: {source: airports, key: {place: code}, value: area, type: string}}"),
      "error[bad-feature]: feature `x` is a string, a model needs numbers");
  EXPECT_EQ(found("{name: x, lookup: {source: airports, key: {late: code}, value: feet}}"),
            "error[reads-label]: feature `x` looks up by `late`, which is known only after the "
            "answer");
  EXPECT_EQ(found("{name: x, lookup: {source: airports, key: {plaice: code}, value: feet}}"),
            "error[unknown-name]: feature `x` names `plaice`, which is no field of contract `c`");
  EXPECT_EQ(found("{name: x, lookup: {source: airports, key: {place_late: code}, value: feet}}"),
            "error[bad-feature]: feature `x` looks up by `place_late`, which is encoded");
  EXPECT_EQ(found("{name: x, target_encoding: {inputs: [place_late]}}"),
            "error[bad-feature]: feature `x` encodes `place_late`, which is encoded");
  EXPECT_EQ(found("{name: x, lookup: {source: airports, key: {place: code}, value: code}}"),
            "error[column-type]: lookup `x` reads column `code` of source `airports` as a double "
            "and as a string");
  EXPECT_EQ(found("{name: x, expression: size + 1, lookup: {source: airports, key: {place: code}, "
                  "value: feet}}"),
            "error[bad-feature]: feature `x` is computed in 2 ways, one is needed");
  EXPECT_EQ(
      found("{name: since, hidden: true, expression: at - at}\n  - {name: x, lookup: {source: "
            "airports, key: {since: code}, value: feet}}"),
      "error[bad-feature]: lookup `x` has the duration `since` in its key");
}

TEST_F(LookupTest, TypesOfColumnsAreThoseOfTheFile) {
  table::Column code{.name = "code", .type = table::Type::kInt, .ints = {1}};
  table::Column feet{.name = "feet", .type = table::Type::kTimestamp, .ints = {0}};
  ASSERT_TRUE(
      table::write_parquet(*table::Table::make({code, feet}), root_ + "/data/a.parquet").ok());
  change("heddle.yaml", "airports: data/airports.csv", "airports: data/a.parquet");
  EXPECT_EQ(found("{name: x, lookup: {source: airports, key: {place: code}, value: code, type: "
                  "string}, hidden: true}"),
            "error[column-type]: lookup `x` reads column `code` of source `airports`, a int, as a "
            "string");
  EXPECT_EQ(found("{name: x, lookup: {source: airports, key: {size: code}, value: feet}}"),
            "error[column-type]: lookup `x` reads column `feet` of source `airports`, a timestamp, "
            "as a double");
  EXPECT_EQ(found("{name: x, lookup: {source: airports, key: {size: code}, value: code, type: "
                  "integer}}"),
            "");
}

}  // namespace
}  // namespace heddle::spec
