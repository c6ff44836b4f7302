#include "table/table.hpp"

#include <sys/resource.h>

#include <csignal>
#include <filesystem>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.hpp"
#include "table/lookup.hpp"

namespace heddle::table {
namespace {

class TableTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "table_test_" + testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(dir_);
    ASSERT_TRUE(make_dirs(dir_).ok());
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  std::string path(const std::string& name) const { return dir_ + "/" + name; }

  std::string dir_;
};

Column ints(std::string name, std::vector<std::int64_t> values, Type type = Type::kInt) {
  Column out;
  out.name = std::move(name);
  out.type = type;
  out.ints = std::move(values);
  return out;
}

Column strings(std::string name, std::vector<std::string> dictionary, std::vector<std::int32_t> codes) {
  Column out;
  out.name = std::move(name);
  out.type = Type::kString;
  out.codes = std::move(codes);
  out.dictionary = std::make_shared<const Dictionary>(std::move(dictionary));
  return out;
}

Table sample() {
  Column distance = ints("distance", {10, 20, 0, 40});
  distance.valid = {1, 1, 0, 1};
  Column speed;
  speed.name = "speed";
  speed.type = Type::kDouble;
  speed.doubles = {0.5, -1.25, 3, 1e300};
  return Table::make({ints("date", {0, kDay, 2 * kDay, 3 * kDay}, Type::kTimestamp), distance, speed, strings("origin", {"unused", "SEA", "ORD"}, {1, 2, 2, 1}),
                      ints("late", {0, 1, 1, 0}, Type::kBool)})
      .value();
}

TEST_F(TableTest, ParquetRoundTripKeepsValuesTypesAndNulls) {
  const Table table = sample();
  ASSERT_TRUE(write_parquet(table, path("a.parquet")).ok());
  const Table back = read_table(path("a.parquet")).value();
  EXPECT_EQ(back.rows(), 4);
  EXPECT_EQ(back.content_digest(), table.content_digest());
  EXPECT_EQ(back.find("distance")->null_count(), 1);
  EXPECT_EQ(back.find("origin")->view().at(2).str(), "ORD");
  EXPECT_EQ(back.find("late")->view().at(1).is_true(), true);
  const auto schema = read_schema(path("a.parquet")).value();
  ASSERT_EQ(schema.size(), 5u);
  EXPECT_EQ(schema[0].type, Type::kTimestamp);
  EXPECT_EQ(schema[3].type, Type::kString);
}

TEST_F(TableTest, EqualRowsGiveEqualBytesWhateverTheDictionary) {
  const Table one = Table::make({strings("origin", {"SEA", "ORD"}, {0, 1, 1})}).value();
  const Table two = Table::make({strings("origin", {"x", "ORD", "SEA"}, {2, 1, 1})}).value();
  ASSERT_TRUE(write_parquet(one, path("a.parquet")).ok());
  ASSERT_TRUE(write_parquet(two, path("b.parquet")).ok());
  EXPECT_EQ(read_file(path("a.parquet")).value(), read_file(path("b.parquet")).value());
  EXPECT_EQ(one.content_digest(), two.content_digest());
  const Table other = Table::make({strings("origin", {"SEA", "ORD"}, {0, 1, 0})}).value();
  EXPECT_NE(one.content_digest(), other.content_digest());
}

TEST_F(TableTest, ColumnsAndTimesAreSelected) {
  ASSERT_TRUE(write_parquet(sample(), path("a.parquet")).ok());
  ReadOptions options;
  options.columns = {"origin", "distance"};
  options.time_column = "date";
  options.time_from = kDay;
  options.time_to = 3 * kDay;
  const Table back = read_table(path("a.parquet"), options).value();
  ASSERT_EQ(back.columns().size(), 2u);
  EXPECT_EQ(back.columns()[0].name, "origin");
  ASSERT_EQ(back.rows(), 2);
  EXPECT_EQ(back.find("distance")->view().at(0).i, 20);
  EXPECT_TRUE(back.find("distance")->view().at(1).is_null());
  options.time_from = 10 * kDay, options.time_to = 11 * kDay;
  EXPECT_EQ(read_table(path("a.parquet"), options).value().rows(), 0);
}

TEST_F(TableTest, CsvInfersTypes) {
  ASSERT_TRUE(write_file_atomic(path("a.csv"), "when,n,x,s,b\n2001-04-10 05:00:00,3,1.5,SEA,true\n2001-04-11 06:30:00,,2,,false\n").ok());
  const Table table = read_table(path("a.csv")).value();
  EXPECT_EQ(table.find("when")->type, Type::kTimestamp);
  EXPECT_EQ(table.find("when")->ints[1], parse_time("2001-04-11T06:30:00").value());
  EXPECT_EQ(table.find("n")->type, Type::kInt);
  EXPECT_EQ(table.find("n")->null_count(), 1);
  EXPECT_EQ(table.find("x")->type, Type::kDouble);
  EXPECT_TRUE(table.find("s")->view().at(1).is_null());
  EXPECT_EQ(table.find("b")->type, Type::kBool);
}

TEST_F(TableTest, BadFilesAreToldApart) {
  EXPECT_EQ(read_table(path("none.parquet")).error().kind, ErrorKind::kNotFound);
  ASSERT_TRUE(write_file_atomic(path("empty.parquet"), "").ok());
  EXPECT_EQ(read_table(path("empty.parquet")).error().id, "table-empty-file");
  ASSERT_TRUE(write_file_atomic(path("text.parquet"), "this is no Parquet file at all, is it").ok());
  EXPECT_EQ(read_table(path("text.parquet")).error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(read_schema(path("text.parquet")).error().kind, ErrorKind::kCorrupt);
  ASSERT_TRUE(write_file_atomic(path("a.xlsx"), "x").ok());
  EXPECT_EQ(read_table(path("a.xlsx")).error().id, "table-extension");
  EXPECT_EQ(read_table(dir_).error().id, "table-no-file");
  ASSERT_TRUE(write_file_atomic(path("bad.csv"), "a,b\n1,2\n1,2,3\n").ok());
  EXPECT_EQ(read_table(path("bad.csv")).error().kind, ErrorKind::kCorrupt);
}

TEST_F(TableTest, EveryFlippedByteOfAParquetFileIsAnErrorOrATable) {
  ASSERT_TRUE(write_parquet(sample(), path("a.parquet")).ok());
  const std::string bytes = read_file(path("a.parquet")).value();
  for (std::size_t i = 0; i < bytes.size(); i += 7) {
    std::string bad = bytes;
    bad[i] = static_cast<char>(bad[i] ^ 0x55);
    ASSERT_TRUE(write_file_atomic(path("b.parquet"), bad).ok());
    const auto read = read_table(path("b.parquet"));
    if (!read.ok()) {
      EXPECT_FALSE(read.error().message.empty());
    }
  }
  ASSERT_TRUE(write_file_atomic(path("c.parquet"), std::string_view(bytes).substr(0, bytes.size() / 2)).ok());
  EXPECT_EQ(read_table(path("c.parquet")).error().kind, ErrorKind::kCorrupt);
}

TEST_F(TableTest, UnknownColumnNamesTheNearest) {
  ASSERT_TRUE(write_parquet(sample(), path("a.parquet")).ok());
  ReadOptions options;
  options.columns = {"orgin"};
  const auto read = read_table(path("a.parquet"), options);
  EXPECT_EQ(read.error().id, "table-no-column");
  EXPECT_THAT(read.error().hint, testing::HasSubstr("did you mean `origin`"));
  EXPECT_NE(sample().column("distanc").error().hint.find("`distance`"), std::string::npos);
  options = {};
  options.time_column = "origin";
  EXPECT_EQ(read_table(path("a.parquet"), options).error().id, "table-time-type");
}

TEST_F(TableTest, WritingWhereThereIsNoRoomLeavesNothing) {
  EXPECT_FALSE(write_parquet(sample(), path("no/such/folder/a.parquet")).ok());
  // A limit on the size of files stands for a full disk.
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 64;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto written = write_parquet(sample(), path("a.parquet"));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().kind, ErrorKind::kIo);
  EXPECT_TRUE(list_dir(dir_).empty());
}

TEST_F(TableTest, EmptyTableKeepsItsColumns) {
  const Table none = sample().slice(0, 0);
  ASSERT_TRUE(write_parquet(none, path("a.parquet")).ok());
  const Table back = read_table(path("a.parquet")).value();
  EXPECT_EQ(back.rows(), 0);
  EXPECT_EQ(back.columns().size(), 5u);
}

TEST_F(TableTest, SliceTakeConcatAgree) {
  const Table table = sample();
  const std::vector<std::int64_t> rows = {2, 3};
  EXPECT_EQ(table.slice(2, 4).content_digest(), table.take(rows).content_digest());
  const std::vector<Table> parts = {table.slice(0, 1), table.slice(1, 3), table.slice(3, 4)};
  EXPECT_EQ(Table::concat(parts).value().content_digest(), table.content_digest());
  // Different dictionaries are merged.
  const std::vector<Table> cities = {Table::make({strings("c", {"a", "b"}, {0, 1})}).value(), Table::make({strings("c", {"b", "c"}, {0, 1})}).value()};
  const Table merged = Table::concat(cities).value();
  EXPECT_EQ(merged.find("c")->view().at(2).str(), "b");
  EXPECT_EQ(merged.find("c")->dictionary->views().size(), 3u);
  const std::vector<Table> mixed = {table, table.with_column(strings("distance", {"x"}, {0, 0, 0, 0})).value()};
  EXPECT_EQ(Table::concat(mixed).error().id, "table-type-differs");
}

TEST_F(TableTest, ShapesAreChecked) {
  EXPECT_EQ(Table::make({ints("a", {1}), ints("b", {1, 2})}).error().id, "table-ragged");
  EXPECT_EQ(Table::make({ints("a", {1}), ints("a", {1})}).error().id, "table-column-twice");
}

TEST(Lookup, ManyKeysAreExact) {
  StringIndex strings;
  TupleIndex tuples(2);
  for (int i = 0; i < 20000; ++i) {
    EXPECT_EQ(strings.insert(fmt::format("value-{}", i)), i);
    const std::int64_t tuple[] = {i % 100, i / 100};
    EXPECT_EQ(tuples.insert(tuple), i);
  }
  for (int i = 0; i < 20000; ++i) {
    EXPECT_EQ(strings.find(fmt::format("value-{}", i)), i);
    const std::int64_t tuple[] = {i % 100, i / 100};
    EXPECT_EQ(tuples.find(tuple), i);
  }
  EXPECT_EQ(strings.find("value-20000"), -1);
  EXPECT_EQ(strings.find(""), -1);
  const std::int64_t other[] = {100, 0};
  EXPECT_EQ(tuples.find(other), -1);
  EXPECT_EQ(StringIndex().find("x"), -1);
}

/// Reads the file in HEDDLE_FLIGHTS, when it is set, and says how long that took.
TEST(Measure, ReadFlights) {
  const char* file = std::getenv("HEDDLE_FLIGHTS");
  if (file == nullptr) GTEST_SKIP() << "HEDDLE_FLIGHTS is not set";
  const auto begin = system_clock().mono_ns();
  const Table table = read_table(file).value();
  const auto end = system_clock().mono_ns();
  fmt::print("{} rows in {} ms\n", table.rows(), (end - begin) / 1'000'000);
  EXPECT_GT(table.rows(), 0);
}

}  // namespace
}  // namespace heddle::table
