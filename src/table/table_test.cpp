#include "table/table.hpp"

#include <sys/resource.h>

#include <csignal>
#include <filesystem>

#include <arrow/api.h>
#include <arrow/extension/json.h>
#include <arrow/io/file.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <parquet/api/writer.h>
#include <parquet/arrow/writer.h>

#include "base/file.hpp"
#include "table/cell.hpp"
#include "table/lookup.hpp"
#include "table/stream.hpp"

namespace heddle::table {
namespace {

class TableTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "table_test_" +
           testing::UnitTest::GetInstance()->current_test_info()->name();
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

Column strings(std::string name, std::vector<std::string> dictionary,
               std::vector<std::int32_t> codes) {
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
  return Table::make({ints("date", {0, kDay, 2 * kDay, 3 * kDay}, Type::kTimestamp), distance,
                      speed, strings("origin", {"unused", "SEA", "ORD"}, {1, 2, 2, 1}),
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

std::string describe(const Column& column, std::int64_t row) {
  const auto value = column.cell(column.view(), row);
  switch (value.kind) {
    case expr::Datum::Kind::kNull: return "-";
    case expr::Datum::Kind::kError:
      return fmt::format("!{}", column.malformed_text(static_cast<std::size_t>(row)).value());
    case expr::Datum::Kind::kBool: return value.b ? "true" : "false";
    case expr::Datum::Kind::kInt: return fmt::to_string(value.i);
    case expr::Datum::Kind::kDouble: return fmt::to_string(value.d);
    case expr::Datum::Kind::kTimestamp: return format_time(value.i);
    default: return fmt::format("'{}'", value.str());
  }
}

std::vector<std::string> describe(const Column& column) {
  std::vector<std::string> out;
  for (std::int64_t row = 0; row < column.length(); ++row) out.push_back(describe(column, row));
  return out;
}

using Lines = std::vector<std::string>;

TEST_F(TableTest, AnObjectALineIsReadAsARequestWouldBe) {
  ASSERT_TRUE(write_file_atomic(
                  path("a.ndjson"),
                  "\xef\xbb\xbf{\"when\":\"2001-04-10T05:06:07Z\",\"n\":3,\"s\":\"001\",\"b\":1,"
                  "\"mixed\":\"x\",\"list\":[1]}\r\n\n"
                  "{\"n\":12.0,\"s\":1,\"b\":true,\"x\":2,\"mixed\":{\"a\":1},\"whole\":7}\n"
                  "{\"when\":7,\"n\":\"3\",\"s\":null,\"b\":2,\"x\":1e400}\n"
                  "{\"when\":\"NA\",\"n\":18446744073709551616,\"x\":2.5,\"s\":\"\"}")
                  .ok());
  ReadOptions options;
  options.types = {
      {"when", Type::kTimestamp}, {"n", Type::kInt}, {"s", Type::kString}, {"b", Type::kBool}};
  // 1e400 is past every double: no request could carry it, and the file says where it stands.
  const auto past = read_table(path("a.ndjson"), options);
  ASSERT_FALSE(past.ok());
  EXPECT_EQ(past.error().id, "table-json-line");
  EXPECT_NE(past.error().message.find("line 4"), std::string::npos) << past.error().message;
  std::string text = *read_file(path("a.ndjson"));
  text.replace(text.find("1e400"), 5, "1e300");
  ASSERT_TRUE(write_file_atomic(path("a.ndjson"), text).ok());
  const auto read = read_table(path("a.ndjson"), options);
  ASSERT_TRUE(read.ok()) << read.error().str();
  EXPECT_EQ(describe(*read->find("when")), (Lines{"2001-04-10T05:06:07Z", "-", "!7", "!NA"}));
  EXPECT_EQ(describe(*read->find("n")), (Lines{"3", "12", "!3", "!18446744073709551616.0"}));
  EXPECT_EQ(describe(*read->find("s")), (Lines{"'001'", "!1", "-", "''"}));
  EXPECT_EQ(describe(*read->find("b")), (Lines{"true", "true", "!2", "-"}));
  EXPECT_EQ(describe(*read->find("x")), (Lines{"-", "2", "1e+300", "2.5"}));
  EXPECT_EQ(describe(*read->find("whole")), (Lines{"-", "7", "-", "-"}));
  EXPECT_EQ(read->find("list"), nullptr) << "no column holds lists";
  EXPECT_EQ(read->find("mixed"), nullptr);
  // In chunks and by time it is the same.
  options.time_column = "when";
  options.time_from = parse_time("2001-05-01").value();
  const auto later = read_table(path("a.ndjson"), options).value();
  EXPECT_EQ(later.rows(), 3) << "rows without a time are kept";
  const auto stream = TableReader::open(path("a.ndjson"), options).value();
  EXPECT_EQ(stream->left_out(), (Lines{"mixed", "list"}));
  EXPECT_EQ(stream->next().value()->content_digest(), later.content_digest());
  EXPECT_FALSE(stream->next().value().has_value());
  const std::pair<const char*, const char*> wrong[] = {{"[1]\n", "table-json-line"},
                                                       {"{\"a\":1,\"A\":2}", "table-column-case"},
                                                       {"{\"a\":1}\n{\"a\":", "table-json-line"},
                                                       {"PAR1\x15\x04", "table-format"}};
  for (const auto& [bytes, id] : wrong) {
    ASSERT_TRUE(write_file_atomic(path("w.jsonl"), bytes).ok());
    EXPECT_EQ(read_table(path("w.jsonl")).error().id, id) << bytes;
  }
}

TEST_F(TableTest, ACsvIsReadByTheTypesThatAreWantedAndNeverByItsLooks) {
  ASSERT_TRUE(write_file_atomic(path("a.csv"),
                                "when,n,x,s,b,other\n"
                                "2001-04-10 05:00:00.123456789+0500,3,1.5,001,true,7\n"
                                "2001-04-11T06:30Z, 12.00 ,2,\"a\nb\",0,x\n"
                                ",,,,,\n"
                                "NA,NA,NA,NA,NA,NA\n"
                                "04/11/01,1.5,inf,\"\",2,\"NULL\"\n"
                                "2001-04-12,9007199254740993.0,NaN,true,1.0,NULL\n"
                                "0000-01-01,9223372036854775808,1e400,\xff,yes,\xff\n")
                  .ok());
  ReadOptions options;
  options.types = {{"when", Type::kTimestamp},
                   {"n", Type::kInt},
                   {"x", Type::kDouble},
                   {"s", Type::kString},
                   {"b", Type::kBool}};
  const Table table = read_table(path("a.csv"), options).value();
  EXPECT_EQ(describe(*table.find("when")),
            (Lines{"2001-04-10T00:00:00.123456Z", "2001-04-11T06:30:00Z", "-", "!NA", "!04/11/01",
                   "2001-04-12T00:00:00Z", "!0000-01-01"}));
  EXPECT_EQ(describe(*table.find("n")),
            (Lines{"3", "12", "-", "!NA", "!1.5", "9007199254740993", "!9223372036854775808"}));
  EXPECT_EQ(describe(*table.find("x")), (Lines{"1.5", "2", "-", "!NA", "!inf", "-", "!1e400"}));
  EXPECT_EQ(describe(*table.find("s")),
            (Lines{"'001'", "'a\nb'", "-", "'NA'", "''", "'true'", "!\xef\xbf\xbd"}));
  EXPECT_EQ(describe(*table.find("b")), (Lines{"true", "false", "-", "!NA", "!2", "true", "!yes"}));
  EXPECT_EQ(describe(*table.find("other")),
            (Lines{"'7'", "'x'", "-", "'NA'", "'NULL'", "-", "!\xef\xbf\xbd"}));
  // Cut and joined again, cells stay what they were.
  const std::vector<Table> parts = {table.slice(0, 4), table.slice(4, 7)};
  const std::vector<std::int64_t> rows = {6, 3};
  EXPECT_EQ(describe(*Table::concat(parts).value().find("x")), describe(*table.find("x")));
  EXPECT_EQ(describe(*table.take(rows).find("n")), (Lines{"!9223372036854775808", "!NA"}));
  // As written, every cell is its text.
  options.as_written = true;
  EXPECT_EQ(describe(*read_table(path("a.csv"), options).value().find("n"))[1], "' 12.00 '");
  // A time filter keeps what has no time.
  options.as_written = false;
  options.time_column = "when";
  options.time_from = parse_time("2001-04-11").value();
  EXPECT_EQ(describe(*read_table(path("a.csv"), options).value().find("n")),
            (Lines{"12", "-", "!NA", "!1.5", "9007199254740993", "!9223372036854775808"}));
}

TEST_F(TableTest, NamesOfAFileAreCheckedWhereItIsOpened) {
  const std::pair<const char*, const char*> cases[] = {
      {"a,b,a\n1,2,3\n", "table-column-twice"},
      {"k,a,b,k,k\n1,2,3,4,5\n", "table-column-twice"},
      {",a\n1,2\n", "table-column-unnamed"},
      {"a,  \n1,2\n", "table-column-unnamed"},
      {"a,Distance,distance\n1,2,3\n", "table-column-case"},
      {"a, b\n1,2\n", "table-column-spaces"},
      {"a,\"b\t\"\n1,2\n", "table-column-spaces"},
      {"a,gr\xf6\xdf"
       "e\n1,2\n",
       "table-column-encoding"}};
  for (const auto& [text, id] : cases) {
    ASSERT_TRUE(write_file_atomic(path("a.csv"), text).ok());
    ReadOptions options;
    options.columns = {"a"};  // whichever column is asked for
    EXPECT_EQ(read_table(path("a.csv"), options).error().id, id) << text;
    EXPECT_EQ(TableReader::open(path("a.csv"), options).error().id, id) << text;
    EXPECT_EQ(read_schema(path("a.csv")).error().id, id) << text;
  }
  // A byte order mark, spaces inside, dashes and umlauts are names.
  ASSERT_TRUE(write_file_atomic(path("a.csv"),
                                "\xef\xbb\xbf"
                                "a b,c-d/e,gr\xc3\xb6\xc3\x9f"
                                "e\n1,2,3\n")
                  .ok());
  EXPECT_EQ(read_schema(path("a.csv")).value()[0].name, "a b");
}

TEST_F(TableTest, ARowOfAnotherWidthIsNamed) {
  ASSERT_TRUE(write_file_atomic(path("a.csv"),
                                "a,b\n1,2\n1,2,\xff"
                                "3\n")
                  .ok());
  const auto read = read_table(path("a.csv"));
  EXPECT_EQ(read.error().id, "table-row-width");
  EXPECT_THAT(read.error().message, testing::HasSubstr("3 cells in row 3"));
  // Of one column an empty line is a missing value.
  ASSERT_TRUE(write_file_atomic(path("a.csv"), "a\n1\n\n2\n").ok());
  EXPECT_EQ(describe(*read_table(path("a.csv")).value().find("a")), (Lines{"'1'", "-", "'2'"}));
}

TEST_F(TableTest, AHeaderAloneIsATableWithoutRows) {
  for (const char* text : {"a,b\n", "a,b", "\xef\xbb\xbf\"a\",\"b\"", "a,b\r\n\r\n"}) {
    ASSERT_TRUE(write_file_atomic(path("a.csv"), text).ok());
    const auto read = read_table(path("a.csv"));
    ASSERT_TRUE(read.ok()) << text << read.error().str();
    EXPECT_EQ(read->rows(), 0) << text;
    EXPECT_EQ(read->columns().size(), 2U) << text;
  }
}

TEST_F(TableTest, QuotesThatAreWrongAreFoundAndNamedByTheirLine) {
  const auto error_of = [&](const std::string& text) {
    if (!write_file_atomic(path("a.csv"), text).ok()) return std::string("not written");
    ReadOptions options;
    options.columns = {"a"};  // whichever column is asked for
    const auto whole = read_table(path("a.csv"), options);
    std::string streamed;
    auto reader = TableReader::open(path("a.csv"), options);
    if (!reader.ok()) streamed = reader.error().id;
    while (streamed.empty()) {
      const auto chunk = (*reader)->next();
      if (!chunk.ok()) streamed = chunk.error().id;
      if (!chunk.ok() || !chunk->has_value()) break;
    }
    EXPECT_EQ(streamed, whole.ok() ? "" : whole.error().id);
    return whole.ok() ? "" : whole.error().message.substr(path("a.csv").size() + 2);
  };
  const std::string open =
      " has a quoted cell in line 3 that is not closed: the file ends inside it";
  const std::string after = " has a quoted cell in line 3 that goes on after its closing quote";
  // A file that is cut off: Arrow makes one cell of what is left.
  EXPECT_EQ(error_of("a,b\n1,2\n3,\"x\n4,5\n"), open);
  EXPECT_EQ(error_of("a,b\n1,2\n3,\"x"), open);
  EXPECT_EQ(error_of("a,b\n1,2\n3,\"x\"\""), open);
  // Backslashes before quotes, as Spark and MySQL write them, and rows that are merged.
  EXPECT_EQ(error_of("a,b\n1,2\n3,\"say \\\"x\\\"\"\n"), after);
  EXPECT_EQ(error_of("a,b\n1,2\n3,\"x\n4,\"y\"\n"), after);
  EXPECT_EQ(error_of("a,b\n1,2\n3,\"x\" \n"), after);
  // A quote within a cell that has none at its beginning is a character.
  for (const char* good :
       {"a,b\n5'11\",2\n3,x\"\n", "a,b\n\"\",\"\"\"\"\n", "\"a\",\"b\"\r\n\"1\",\"2\r\n\"\"3\"\r\n",
        "a,b\r\"1\",\"x,y\"\r", "\xef\xbb\xbf\"a\",b\n1,\"2\""})
    EXPECT_EQ(error_of(good), "") << good;
  // Wherever blocks end.
  const std::string row = "\"12345\",\"6\"\"7\"\n";
  std::string many = "a,b\n";
  while (many.size() < (4U << 20)) many += row;
  EXPECT_EQ(error_of(many), "");
  EXPECT_NE(error_of(many + "\"1\",\"2\n"), "");
  std::string one = "a,b\n1,\"";
  one.append(9U << 20, '\n');
  EXPECT_EQ(error_of(one), " has a row of more than 4 MiB");
}

/// Avro and Protobuf writers give an enumeration Parquet's type ENUM, which Arrow calls binary.
TEST_F(TableTest, NamesOfEnumeratedValuesAreStrings) {
  using parquet::schema::GroupNode;
  using parquet::schema::PrimitiveNode;
  const auto state = PrimitiveNode::Make("state", parquet::Repetition::OPTIONAL,
                                         parquet::LogicalType::Enum(), parquet::Type::BYTE_ARRAY);
  const auto root = std::static_pointer_cast<GroupNode>(
      GroupNode::Make("schema", parquet::Repetition::REQUIRED, {state}));
  const auto sink = arrow::io::FileOutputStream::Open(path("a.parquet")).ValueOrDie();
  const auto writer = parquet::ParquetFileWriter::Open(sink, root);
  auto* column = dynamic_cast<parquet::ByteArrayWriter*>(writer->AppendRowGroup()->NextColumn());
  ASSERT_NE(column, nullptr);
  const std::int16_t present[] = {1, 0, 1};
  const parquet::ByteArray values[] = {parquet::ByteArray("OPEN"), parquet::ByteArray("SHUT")};
  column->WriteBatch(3, present, nullptr, values);
  column->Close();
  writer->Close();
  ASSERT_TRUE(sink->Close().ok());
  ReadOptions options;
  options.types = {{"state", Type::kString}};
  const auto read = read_table(path("a.parquet"), options);
  ASSERT_TRUE(read.ok()) << read.error().str();
  EXPECT_EQ(describe(*read->find("state")), (Lines{"'OPEN'", "-", "'SHUT'"}));
}

/// pyarrow and DuckDB mark a column of JSON as such; its values are texts.
TEST_F(TableTest, TextThatIsMarkedAsJsonIsText) {
  arrow::StringBuilder builder;
  ASSERT_TRUE(builder.AppendValues({"{}", "[1]"}).ok());
  ASSERT_TRUE(builder.AppendNull().ok());
  const auto texts = builder.Finish().ValueOrDie();
  const auto json = arrow::extension::json();
  const auto rows = arrow::Table::Make(arrow::schema({arrow::field("note", json)}),
                                       {arrow::ExtensionType::WrapArray(json, texts)});
  const auto sink = arrow::io::FileOutputStream::Open(path("a.parquet")).ValueOrDie();
  const auto kept = parquet::ArrowWriterProperties::Builder().store_schema()->build();
  ASSERT_TRUE(parquet::arrow::WriteTable(*rows, arrow::default_memory_pool(), sink, 1024,
                                         parquet::default_writer_properties(), kept)
                  .ok());
  ASSERT_TRUE(sink->Close().ok());
  ReadOptions options;
  options.types = {{"note", Type::kString}};
  const auto read = read_table(path("a.parquet"), options);
  ASSERT_TRUE(read.ok()) << read.error().str();
  EXPECT_EQ(describe(*read->find("note")), (Lines{"'{}'", "'[1]'", "-"}));
}

TEST_F(TableTest, StringsInEveryEncodingAreRead) {
  using parquet::schema::GroupNode;
  using parquet::schema::PrimitiveNode;
  for (const auto encoding : {parquet::Encoding::PLAIN, parquet::Encoding::DELTA_BYTE_ARRAY,
                              parquet::Encoding::DELTA_LENGTH_BYTE_ARRAY}) {
    const auto state =
        PrimitiveNode::Make("state", parquet::Repetition::REQUIRED, parquet::LogicalType::String(),
                            parquet::Type::BYTE_ARRAY);
    const auto root = std::static_pointer_cast<GroupNode>(
        GroupNode::Make("schema", parquet::Repetition::REQUIRED, {state}));
    const auto sink = arrow::io::FileOutputStream::Open(path("a.parquet")).ValueOrDie();
    parquet::WriterProperties::Builder properties;
    properties.disable_dictionary()->encoding(encoding);
    const auto writer = parquet::ParquetFileWriter::Open(sink, root, properties.build());
    auto* column = dynamic_cast<parquet::ByteArrayWriter*>(writer->AppendRowGroup()->NextColumn());
    ASSERT_NE(column, nullptr);
    const parquet::ByteArray values[] = {parquet::ByteArray("OPEN"), parquet::ByteArray("OPENED")};
    column->WriteBatch(2, nullptr, nullptr, values);
    column->Close();
    writer->Close();
    ASSERT_TRUE(sink->Close().ok());
    const auto read = read_table(path("a.parquet"));
    ASSERT_TRUE(read.ok()) << read.error().str();
    EXPECT_EQ(describe(*read->find("state")), (Lines{"'OPEN'", "'OPENED'"}));
  }
}

/// DuckDB writes an empty text for each value of an enumeration that no row has.
TEST_F(TableTest, ADictionaryWithATextTwiceIsReadByItsCodes) {
  using parquet::schema::GroupNode;
  using parquet::schema::PrimitiveNode;
  const auto state = PrimitiveNode::Make("state", parquet::Repetition::REQUIRED,
                                         parquet::LogicalType::String(), parquet::Type::BYTE_ARRAY);
  const auto root = std::static_pointer_cast<GroupNode>(
      GroupNode::Make("schema", parquet::Repetition::REQUIRED, {state}));
  const auto sink = arrow::io::FileOutputStream::Open(path("a.parquet")).ValueOrDie();
  const auto writer = parquet::ParquetFileWriter::Open(sink, root);
  auto* column = dynamic_cast<parquet::ByteArrayWriter*>(writer->AppendRowGroup()->NextColumn());
  ASSERT_NE(column, nullptr);
  const parquet::ByteArray a("aa"), b("bb"), c("cc"), d("dd");
  const parquet::ByteArray values[] = {a, b, c, d, c};
  column->WriteBatch(5, nullptr, nullptr, values);
  column->Close();
  writer->Close();
  ASSERT_TRUE(sink->Close().ok());
  // Arrow writes each text once, so the second is made equal to the first in the bytes.
  std::string bytes = read_file(path("a.parquet")).value();
  const std::string second("\2\0\0\0bb", 6);
  ASSERT_NE(bytes.find(second), std::string::npos);
  bytes.replace(bytes.find(second), second.size(), std::string("\2\0\0\0aa", 6));
  ASSERT_TRUE(write_file_atomic(path("a.parquet"), bytes).ok());
  const auto read = read_table(path("a.parquet"));
  ASSERT_TRUE(read.ok()) << read.error().str();
  EXPECT_EQ(describe(*read->find("state")), (Lines{"'aa'", "'aa'", "'cc'", "'dd'", "'cc'"}));
}

TEST_F(TableTest, WhatIsNoTableIsNamed) {
  using namespace std::string_literals;
  const std::pair<std::string, const char*> cases[] = {
      {"PK\x03\x04\x14\0"s, "a zip archive or a workbook of Excel"},
      {"\xfd"
       "7zXZ\0\0"s,
       "compressed with xz"},
      {"ARROW1\0\0\xff"s, "Arrow IPC"},
      {"Obj\x01\x04"s, "an Avro file"},
      {"version https://git-lfs.github.com/spec/v1\n"s, "a Git LFS pointer: the rows are not here"},
      {"<!DOCTYPE html><html>"s, "a web page"},
      {"{\"a\": 1}\n{\"a\": 2}\n"s, "JSON"},
      {"a\0,\0b\0\n\0"s, "text in UTF-16 without a mark"},
  };
  for (const auto& [bytes, what] : cases) {
    ASSERT_TRUE(write_file_atomic(path("a.csv"), bytes).ok());
    const auto read = read_schema(path("a.csv"));
    EXPECT_EQ(read.error().id, "table-format") << what;
    EXPECT_EQ(read.error().message, fmt::format("`{}` is not CSV: it is {}", path("a.csv"), what));
  }
  ASSERT_TRUE(write_parquet(sample(), path("a.parquet")).ok());
  std::filesystem::rename(path("a.parquet"), path("a.csv"));
  EXPECT_THAT(read_table(path("a.csv")).error().message, testing::EndsWith("it is Parquet"));
  ASSERT_TRUE(write_file_atomic(path("a.parquet"), "PARE\x04\x01").ok());
  EXPECT_THAT(read_table(path("a.parquet")).error().message,
              testing::HasSubstr("encrypted Parquet"));
  for (const char* header : {"PARENT_ID,FEA1", "PAR1,PAR2", "BZh1,ARROW1"}) {
    ASSERT_TRUE(write_file_atomic(path("a.csv"), std::string(header) + "\n1,2\n").ok());
    EXPECT_TRUE(read_table(path("a.csv")).ok()) << header;
  }
}

TEST_F(TableTest, BadFilesAreToldApart) {
  EXPECT_EQ(read_table(path("none.parquet")).error().kind, ErrorKind::kNotFound);
  ASSERT_TRUE(write_file_atomic(path("empty.parquet"), "").ok());
  EXPECT_EQ(read_table(path("empty.parquet")).error().id, "table-empty-file");
  ASSERT_TRUE(
      write_file_atomic(path("text.parquet"), "this is no Parquet file at all, is it").ok());
  EXPECT_EQ(read_table(path("text.parquet")).error().id, "table-format");
  EXPECT_EQ(read_schema(path("text.parquet")).error().id, "table-format");
  ASSERT_TRUE(write_file_atomic(path("short.parquet"), "PAR1PAR1").ok());
  EXPECT_EQ(read_table(path("short.parquet")).error().id, "table-unreadable");
  ASSERT_TRUE(write_file_atomic(path("a.xlsx"), "x").ok());
  EXPECT_EQ(read_table(path("a.xlsx")).error().id, "table-extension");
  EXPECT_EQ(read_table("/dev/null").error().id, "table-no-file");
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
  ASSERT_TRUE(
      write_file_atomic(path("c.parquet"), std::string_view(bytes).substr(0, bytes.size() / 2))
          .ok());
  EXPECT_EQ(read_table(path("c.parquet")).error().kind, ErrorKind::kCorrupt);
}

TEST_F(TableTest, UnknownColumnNamesTheNearest) {
  ASSERT_TRUE(write_parquet(sample(), path("a.parquet")).ok());
  ReadOptions options;
  options.columns = {"orgin"};
  const auto read = read_table(path("a.parquet"), options);
  EXPECT_EQ(read.error().id, "column-missing");
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
  const std::vector<Table> cities = {Table::make({strings("c", {"a", "b"}, {0, 1})}).value(),
                                     Table::make({strings("c", {"b", "c"}, {0, 1})}).value()};
  const Table merged = Table::concat(cities).value();
  EXPECT_EQ(merged.find("c")->view().at(2).str(), "b");
  EXPECT_EQ(merged.find("c")->dictionary->views().size(), 3u);
  const std::vector<Table> mixed = {
      table, table.with_column(strings("distance", {"x"}, {0, 0, 0, 0})).value()};
  EXPECT_EQ(Table::concat(mixed).error().id, "table-type-differs");
}

TEST_F(TableTest, ShapesAreChecked) {
  EXPECT_EQ(Table::make({ints("a", {1}), ints("b", {1, 2})}).error().id, "table-ragged");
  EXPECT_EQ(Table::make({ints("a", {1}), ints("a", {1})}).error().id, "table-column-twice");
}

TEST(Cells, OneMeaningForEveryReader) {
  using expr::Datum;
  const Micros kFirst = *parse_time("0001-01-01"), kEnd = *parse_time("9999-12-31") + kDay;
  const auto kind = [](Type type, const Datum& raw) { return as_type(type, raw).kind; };
  EXPECT_EQ(as_type(Type::kBool, Datum::integer(1)).b, true);
  EXPECT_EQ(as_type(Type::kBool, Datum::real(0)).b, false);
  EXPECT_EQ(kind(Type::kBool, Datum::integer(2)), Datum::Kind::kError);
  EXPECT_EQ(kind(Type::kBool, Datum::real(0.5)), Datum::Kind::kError);
  EXPECT_EQ(as_type(Type::kInt, Datum::real(-7)).i, -7);
  EXPECT_EQ(kind(Type::kInt, Datum::real(0x1p63)), Datum::Kind::kError);
  EXPECT_EQ(kind(Type::kInt, Datum::real(-0x1p63)), Datum::Kind::kError)
      << "what -2^63 - 1 rounds to";
  EXPECT_EQ(cell_of_text("-9223372036854775808", Type::kInt).i, INT64_MIN);
  EXPECT_EQ(cell_of_text("-9223372036854775809", Type::kInt).kind, Datum::Kind::kError);
  for (const Type type : {Type::kInt, Type::kDouble, Type::kBool}) {
    EXPECT_EQ(kind(type, Datum::real(std::nan(""))), Datum::Kind::kNull);
    EXPECT_EQ(kind(type, Datum::real(INFINITY)), Datum::Kind::kError);
    EXPECT_EQ(kind(type, Datum::string("1")), Datum::Kind::kError);
  }
  EXPECT_EQ(kind(Type::kString, Datum::integer(1)), Datum::Kind::kError);
  // Times: the years 1 to 9999, whatever they were written as.
  EXPECT_EQ(as_type(Type::kTimestamp, Datum::timestamp(kFirst)).i, kFirst);
  EXPECT_EQ(kind(Type::kTimestamp, Datum::timestamp(kFirst - 1)), Datum::Kind::kError);
  EXPECT_EQ(kind(Type::kTimestamp, Datum::timestamp(kEnd)), Datum::Kind::kError);
  EXPECT_EQ(kind(Type::kTimestamp, Datum::string("0001-01-01T00:00:00+01:00")),
            Datum::Kind::kError);
  EXPECT_EQ(kind(Type::kTimestamp, Datum::string("0000-12-31T23:00:00-01:00")),
            Datum::Kind::kTimestamp);
  EXPECT_EQ(kind(Type::kTimestamp, Datum::integer(0)), Datum::Kind::kError);
  EXPECT_EQ(cell_of_text("-12", Type::kInt).i, -12);
  EXPECT_EQ(cell_of_text("+12", Type::kInt).i, 12);
  EXPECT_EQ(cell_of_text("1e3", Type::kInt).i, 1000);
  EXPECT_EQ(cell_of_text("1e-400", Type::kDouble).d, 0);
  EXPECT_EQ(cell_of_text("TRUE", Type::kBool).b, true);
  EXPECT_EQ(cell_of_text("", Type::kString).str(), "");
  for (const char* text : {"0x1", "one", "1 2", "1,000", "+-1", "--1", "1.5", "-"}) {
    EXPECT_EQ(cell_of_text(text, Type::kInt).kind, Datum::Kind::kError) << text;
  }
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
