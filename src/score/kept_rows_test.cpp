#include "score/kept_rows.hpp"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "doc/json.hpp"
#include "doc/schema_conformance.hpp"
#include "score/bundle_fixture.hpp"

namespace heddle::score {
namespace {

using expr::Type;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// As Heddle wrote it before there was a schema: the bundle's digest covers these bytes.
constexpr std::string_view kReferenceOfBefore =
    R"({"format":"heddle.reference/2","fields":["at","place","size","late","count"],)"
    R"("rows":[["2001-01-01T00:00:00Z","AMS",2.5,true,3],[null,null,"-Infinity",null,null]],)"
    R"("margins":[[0.10000000149011612,-2.0],null]})";

std::vector<spec::Field> fields() {
  std::vector<spec::Field> out;
  const std::pair<const char*, Type> all[] = {{"at", Type::kTimestamp},
                                              {"place", Type::kString},
                                              {"size", Type::kDouble},
                                              {"late", Type::kBool},
                                              {"count", Type::kInt}};
  for (const auto& [name, type] : all) {
    auto& field = out.emplace_back();
    field.name = name;
    field.type = type;
  }
  return out;
}

TEST(KeptRows, BytesOfBeforeAreReadAndWrittenAgain) {
  const auto read = reference_schema().parse_text(kReferenceOfBefore);
  ASSERT_TRUE(read.ok()) << read.error().str();
  EXPECT_EQ(doc::to_json(reference_schema().print(*read)), kReferenceOfBefore);
  ASSERT_EQ(read->margins.size(), 2U);
  EXPECT_EQ(static_cast<float>(read->margins[0]->at(0)), 0.1F);
  EXPECT_FALSE(read->margins[1]);
  doc::RecordConformance<Reference>(reference_schema(), *read).run("docs/formats/reference.md");
}

TEST(KeptRows, AreTheTableThatTheyWereMadeOf) {
  const auto read = reference_schema().parse_text(kReferenceOfBefore);
  ASSERT_TRUE(read.ok());
  const auto table = table_of(read->kept, fields(), reference_schema());
  ASSERT_TRUE(table.ok()) << table.error().str();
  EXPECT_EQ((*table->column("size"))->view().at(1).d, -kInfinity);
  EXPECT_TRUE((*table->column("place"))->view().at(1).is_null());
  EXPECT_EQ((*table->column("count"))->view().at(0).i, 3);
  const auto again = keep_rows(fields(), *table);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->fields, read->kept.fields);
  EXPECT_EQ(again->rows, read->kept.rows);
  // Some of the fields, in an order of their own.
  auto two = fields();
  two = {two[4], two[1]};
  EXPECT_EQ(table_of(read->kept, two, reference_schema())->columns().size(), 2U);
}

TEST(KeptRows, ATimeIsATimeWhateverLayoutTheContractReads) {
  using Kind = expr::Datum::Kind;
  EXPECT_EQ(kept_value("2001-04-03T05:06:07Z", Type::kTimestamp).kind, Kind::kTimestamp);
  EXPECT_EQ(kept_value("2001-04-03T05:06:07Z", Type::kString).kind, Kind::kString);
  EXPECT_EQ(kept_value("soon", Type::kTimestamp).kind, Kind::kString);
  EXPECT_EQ(kept_value(doc::Value(), Type::kTimestamp).kind, Kind::kNull);
  // A bundle whose contract reads other texts only is proven all the same.
  auto definition = fixture::repairing_contract();
  definition.fields[0].repairs.dates = {"%d.%m.%Y %H:%M"};
  fixture::MemoryObjects objects;
  const auto digest = fixture::pack(objects, 0.25, false, definition);
  ASSERT_TRUE(digest.ok()) << digest.error().str();
  const auto plan = Plan::load(*bundle::open(objects, *digest));
  ASSERT_TRUE(plan.ok()) << plan.error().str();
  RowResult result;
  Scratch scratch;
  const auto text = [](const char* each) { return expr::Datum::string(each); };
  (*plan)->score_row(std::vector{text("03.04.2001 05:06"), text(" abq"), text("100,0")}, result,
                     scratch);
  EXPECT_FALSE(result.check.refused);
  EXPECT_EQ(result.prediction.size(), 1U);
}

TEST(KeptRows, WhatIsNoRowIsRefusedWithItsPlace) {
  const std::pair<std::string, const char*> cases[] = {
      {R"("rows":[[1,2]],"margins":[[1]])", "`rows` must hold lists of one value a field"},
      {R"("rows":[null],"margins":[[1]])", "`rows` must hold lists of one value a field"},
      {R"("rows":[[1]],"margins":[["x"]])", "`margins` must hold numbers"},
      {R"("rows":[[1]],"margins":[])", "`margins` must have one item a row"},
      {R"("rows":[],"margins":[])", "`rows` must not be empty"},
  };
  for (const auto& [members, told] : cases) {
    const auto read = reference_schema().parse_text(
        R"({"format":"heddle.reference/2","fields":["count"],)" + members + "}");
    ASSERT_FALSE(read.ok()) << members;
    EXPECT_EQ(read.error().id, "score-bundle");
    EXPECT_NE(read.error().message.find(told), std::string::npos) << read.error().message;
  }
  // A value of another type is no missing value.
  const auto read = reference_schema().parse_text(
      R"({"format":"heddle.reference/2","fields":["count"],"rows":[[1],["x"]],)"
      R"("margins":[[1],[1]]})");
  ASSERT_TRUE(read.ok());
  const auto count = fields().back();
  const auto table = table_of(read->kept, std::span(&count, 1), reference_schema());
  ASSERT_FALSE(table.ok());
  EXPECT_EQ(table.error().id, "score-bundle");
  EXPECT_NE(table.error().message.find("`rows[1][0]` must be int of `count`"), std::string::npos)
      << table.error().message;
  const auto place = fields()[1];
  EXPECT_NE(table_of(read->kept, std::span(&place, 1), reference_schema())
                .error()
                .message.find("`fields` does not name `place`"),
            std::string::npos);
}

}  // namespace
}  // namespace heddle::score
