#include "contract/written.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "base/clock.hpp"
#include "contract/contract.hpp"

namespace heddle::contract {
namespace {

using expr::Type;

TEST(WrittenRows, AreReadAsTheSameValues) {
  spec::Contract definition;
  definition.identity.name = "rows";
  definition.version = "1.0.0";
  definition.fields = {{.name = "at", .type = Type::kTimestamp},
                       {.name = "size", .type = Type::kDouble},
                       {.name = "count", .type = Type::kInt},
                       {.name = "plain", .type = Type::kDouble}};
  definition.fields[0].repairs.dates = {"%d.%m.%Y", "%d.%m.%Y %H:%M:%S"};
  definition.fields[1].repairs.decimal = ",";
  definition.fields[2].repairs.decimal = ",";
  table::Column at{.name = "at", .type = Type::kTimestamp};
  table::Column size{.name = "size", .type = Type::kDouble};
  table::Column count{.name = "count", .type = Type::kInt};
  table::Column plain{.name = "plain", .type = Type::kDouble};
  const Micros day = *parse_time("2001-04-03T00:00:00Z");
  const double numbers[] = {0.1, -1.5e300, std::nextafter(1.0, 2.0), 7, 5e-324};
  for (int i = 0; i < 5; ++i) {
    at.ints.push_back(day + i * 3 * kHour);
    size.doubles.push_back(numbers[i]);
    count.ints.push_back(i == 0 ? INT64_MIN : i);
    plain.doubles.push_back(0.5);
  }
  at.ints[4] += 1;  // a part of a second, for which no layout has room
  at.valid = {1, 1, 0, 1, 1};
  const auto rows = *table::Table::make({at, size, count, plain});
  const auto written = written_rows(definition.fields, rows);
  ASSERT_TRUE(written.ok()) << written.error().str();
  EXPECT_EQ(written->unwritable, (std::vector<std::uint8_t>{0, 0, 0, 0, 1}));
  const auto text = [&](const char* name, std::int64_t row) {
    return written->rows.find(name)->view().at(row).str();
  };
  EXPECT_EQ(text("at", 0), "03.04.2001") << "the first layout that holds it";
  EXPECT_EQ(text("at", 1), "03.04.2001 03:00:00");
  EXPECT_EQ(text("size", 0), "0,1");
  EXPECT_EQ(written->rows.find("plain")->type, Type::kDouble);
  const auto contract = Contract::compile(definition, {}).value();
  RowCheck check;
  for (std::int64_t row = 0; row < 4; ++row) {
    std::vector<expr::Datum> raw;
    for (const auto& field : definition.fields)
      raw.push_back(written->rows.find(field.name)->view().at(row));
    contract.check(raw, check);
    EXPECT_FALSE(check.refused) << row;
    const auto i = static_cast<std::size_t>(row);
    if (at.valid[i] != 0)
      EXPECT_EQ(check.row[0].i, at.ints[i]);
    else
      EXPECT_TRUE(check.row[0].is_null());
    EXPECT_EQ(check.row[1].d, size.doubles[i]);
    EXPECT_EQ(check.row[2].i, count.ints[i]);
  }
}

}  // namespace
}  // namespace heddle::contract
