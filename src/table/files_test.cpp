#include <filesystem>
#include <fstream>
#include <functional>

#include <arrow/api.h>
#include <arrow/extension/uuid.h>
#include <arrow/io/compressed.h>
#include <arrow/io/file.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/writer.h>
#include <arrow/util/compression.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <parquet/arrow/writer.h>

#include "base/file.hpp"
#include "table/input.hpp"
#include "table/stream.hpp"
#include "table/table.hpp"

namespace heddle::table {
namespace {

using testing::HasSubstr;
using Lines = std::vector<std::string>;

class FilesTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "files_test_" +
           testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(dir_);
    ASSERT_TRUE(make_dirs(dir_).ok());
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  [[nodiscard]] std::string path(const std::string& name) const { return dir_ + "/" + name; }
  /// Writes a file, with the folders that it needs; its path.
  std::string put(const std::string& name, std::string_view bytes) const {
    const std::string to = path(name);
    std::filesystem::create_directories(std::filesystem::path(to).parent_path());
    std::ofstream(to, std::ios::binary) << bytes;
    return to;
  }

  std::string dir_;
};

std::string packed(std::string_view text, arrow::Compression::type type) {
  const auto sink = arrow::io::BufferOutputStream::Create().ValueOrDie();
  const auto codec = arrow::util::Codec::Create(type).ValueOrDie();
  const auto stream = arrow::io::CompressedOutputStream::Make(codec.get(), sink).ValueOrDie();
  EXPECT_TRUE(stream->Write(text.data(), static_cast<std::int64_t>(text.size())).ok());
  EXPECT_TRUE(stream->Close().ok());
  return sink->Finish().ValueOrDie()->ToString();
}

std::string utf16(std::string_view ascii, bool is_big) {
  std::string out = is_big ? std::string("\xfe\xff") : std::string("\xff\xfe");
  for (const char c : ascii) {
    if (is_big) out.push_back('\0');
    out.push_back(c);
    if (!is_big) out.push_back('\0');
  }
  return out;
}

std::string lines_of(const Column& column, std::int64_t row) {
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

/// "column: cell cell", of each column.
Lines lines_of(const Table& table) {
  Lines out;
  for (const auto& column : table.columns()) {
    std::string line = column.name + ":";
    for (std::int64_t row = 0; row < column.length(); ++row) line += " " + lines_of(column, row);
    out.push_back(line);
  }
  return out;
}

/// What an input holds, read at once and in chunks, which must be the same; or its error.
Lines read(const Input& input, const ReadOptions& options = {}) {
  const auto whole = read_table(input, options);
  std::vector<Table> chunks;
  std::optional<Error> error;
  auto reader = TableReader::open(input, options);
  if (!reader.ok()) error = reader.error();
  while (!error) {
    auto chunk = (*reader)->next();
    if (!chunk.ok()) error = chunk.error();
    if (!chunk.ok() || !chunk->has_value()) break;
    chunks.push_back(std::move(**chunk));
  }
  if (!whole.ok()) {
    EXPECT_EQ(error.value_or(Error{}).id, whole.error().id);
    return {whole.error().id, whole.error().message};
  }
  EXPECT_FALSE(error.has_value()) << error->str();
  if (!chunks.empty()) {
    EXPECT_EQ(lines_of(Table::concat(chunks).value()), lines_of(*whole));
  } else {
    EXPECT_EQ(whole->rows(), 0);
  }
  return lines_of(*whole);
}

std::string error_of(const Input& input, const ReadOptions& options = {}) {
  return read(input, options).front();
}

constexpr std::string_view kRows = "n,s\n1,x\n2,\"y\nz\"\n";
const Lines kRead = {"n: '1' '2'", "s: 'x' 'y\nz'"};

TEST_F(FilesTest, TextIsReadThroughItsCompression) {
  const std::pair<const char*, arrow::Compression::type> kinds[] = {
      {"a.csv.gz", arrow::Compression::GZIP},
      {"a.csv.zst", arrow::Compression::ZSTD},
      {"a.CSV.bz2", arrow::Compression::BZ2},
      {"a.csv.lz4", arrow::Compression::LZ4_FRAME},
      {"named_otherwise.csv", arrow::Compression::GZIP}};
  for (const auto& [name, kind] : kinds)
    EXPECT_EQ(read(put(name, packed(kRows, kind))), kRead) << name;
  const auto json = packed("{\"n\":1}\n{\"n\":null}\n", arrow::Compression::ZSTD);
  EXPECT_EQ(read(put("a.ndjson.zst", json)), Lines{"n: 1 -"});
  // One file after the other in one, as `cat` and writers in parallel leave them.
  const auto gzip = [](std::string_view text) { return packed(text, arrow::Compression::GZIP); };
  EXPECT_EQ(read(put("two.csv.gz", gzip("n,s\n1,x\n") + gzip("2,\"y\nz\"\n"))), kRead);
  // A table that is read by places cannot be packed as a whole.
  EXPECT_EQ(error_of(put("a.parquet.gz", gzip("PAR1"))), "table-extension");
  EXPECT_EQ(error_of(put("a.parquet", gzip("PAR1"))), "table-format");
  EXPECT_EQ(error_of(put("tar.csv.gz", gzip(std::string(257, '\0') + "ustar"))), "table-format");
  EXPECT_EQ(error_of(put("empty.csv.gz", gzip(""))), "table-empty-file");
}

TEST_F(FilesTest, WhatIsCutOffOrDamagedInItsCompressionIsToldWithItsPlace) {
  std::string text = "n,s\n";
  for (int i = 0; i < 200'000; ++i) text += fmt::format("{},{}\n", i, i * 7919 % 10007);
  for (const auto kind : {arrow::Compression::GZIP, arrow::Compression::ZSTD}) {
    const std::string whole = packed(text, kind);
    for (const std::size_t left : {whole.size() - 1, whole.size() / 2, std::size_t{20}}) {
      const auto found = read(put("cut.csv.gz", whole.substr(0, left)));
      EXPECT_EQ(found[0], "table-compressed") << left;
      EXPECT_THAT(found[1], HasSubstr("past line ")) << left;
    }
    std::string damaged = whole;
    damaged[whole.size() / 2] ^= 0x55;
    EXPECT_THAT(error_of(put("damaged.csv.gz", damaged)),
                testing::AnyOf("table-compressed", "table-row-width", "table-quotes"));
    const std::string json_bytes = packed("{\"n\":1}\n", kind);
    const auto json = read(put("cut.ndjson.gz", json_bytes.substr(0, json_bytes.size() - 1)));
    EXPECT_EQ(json[0], "table-compressed");
  }
}

TEST_F(FilesTest, ALineWithoutEndIsRefusedInBoundedMemory) {
  // Two gigabytes of one line in two megabytes; never unpacked whole.
  const std::string block(1 << 20, 'x');
  const auto file = arrow::io::FileOutputStream::Open(path("line.csv.gz")).ValueOrDie();
  const auto codec = arrow::util::Codec::Create(arrow::Compression::GZIP, 1).ValueOrDie();
  const auto stream = arrow::io::CompressedOutputStream::Make(codec.get(), file).ValueOrDie();
  ASSERT_TRUE(stream->Write("n,s\n1,", 6).ok());
  for (int i = 0; i < 64; ++i)
    ASSERT_TRUE(stream->Write(block.data(), static_cast<std::int64_t>(block.size())).ok());
  ASSERT_TRUE(stream->Close().ok());
  EXPECT_EQ(error_of(path("line.csv.gz")), "table-row-length");
  // A sparse file: nothing but zeros after its header.
  put("sparse.csv", "n,s\n1,");
  std::filesystem::resize_file(path("sparse.csv"), std::uintmax_t{2} << 30);
  EXPECT_EQ(error_of(path("sparse.csv")), "table-row-length");
  put("sparse.ndjson", "{\"n\":1}\n{\"n\":");
  std::filesystem::resize_file(path("sparse.ndjson"), std::uintmax_t{2} << 30);
  EXPECT_EQ(error_of(path("sparse.ndjson")), "table-row-length");
}

TEST_F(FilesTest, TheDelimiterIsFoundByItsRuleOrDeclared) {
  EXPECT_EQ(read(put("a.csv", "n;s\n1;x,y\n")), (Lines{"n: '1'", "s: 'x,y'"}));
  EXPECT_EQ(read(put("a.csv", "n\ts\n1\tx;y\n")), (Lines{"n: '1'", "s: 'x;y'"}));
  EXPECT_EQ(read(put("a.csv", "n|s\n1|\"x|y\"\n")), (Lines{"n: '1'", "s: 'x|y'"}));
  EXPECT_EQ(read(put("a.tsv", "n\ts\n1\tx\n")), (Lines{"n: '1'", "s: 'x'"}));
  // Excel's first line for itself.
  EXPECT_EQ(read(put("a.csv", "sep=;\r\nn;s\r\n1;x,y\r\n")), (Lines{"n: '1'", "s: 'x,y'"}));
  EXPECT_EQ(read(put("a.csv", "sep=,\nn,s\n1,x;y\n")), (Lines{"n: '1'", "s: 'x;y'"}));
  // In quotes it is none, and commas count where rows agree on them.
  EXPECT_EQ(read(put("a.csv", "\"n;m\",s\n\"1;2\",x\n")), (Lines{"n;m: '1;2'", "s: 'x'"}));
  // Nobody can know.
  const auto both = read(put("a.csv", "a,b;c\n1,2;3\n"));
  EXPECT_EQ(both[0], "table-delimiter");
  EXPECT_THAT(both[1], HasSubstr("by `,` or by `;`: both make 2 columns"));
  Form form;
  form.delimiter = ',';
  EXPECT_EQ(read({{path("a.csv")}, form}), (Lines{"a: '1'", "b;c: '2;3'"}));
  // A row of another width is told by the delimiter that the header has.
  const auto ragged = read(put("a.csv", "n;s\n1;x\n2\n"));
  EXPECT_EQ(ragged[0], "table-row-width");
  EXPECT_THAT(ragged[1], HasSubstr("1 cells in row 3, its header has 2"));
  form.delimiter = '\t';
  EXPECT_EQ(error_of({{put("a.csv", "n;s\n1;x\n")}, form}), "table-separator");
  EXPECT_EQ(error_of(put("b.tsv", "n;s\n1;x\n")), "table-separator");
}

TEST_F(FilesTest, ADecimalCommaIsFoundByItsRuleOrDeclared) {
  ReadOptions options;
  options.types = {{"x", Type::kDouble}, {"n", Type::kInt}};
  const auto x = [&](const std::string& text, const Form& form = {}) {
    return read({{put("a.csv", text)}, form}, options).front();
  };
  EXPECT_EQ(x("x;n;s\n1,5;3;1.5\n-0,25;4;a\n;5;b\n"), "x: 1.5 -0.25 -");
  EXPECT_EQ(x("x;n;s\n1.5;3;1,5\n"), "x: 1.5") << "a text's commas say nothing";
  EXPECT_EQ(x("x;n;s\n1;3;1,5\n"), "x: 1");
  EXPECT_EQ(x("x;n;s\n1,5;3;a\n1.5;3;a\n"), "x: !1,5 1.5") << "one point is enough";
  EXPECT_EQ(x("x,n\n\"1,5\",3\n"), "x: !1,5") << "only where cells are separated by `;`";
  Form form;
  form.decimal = ',';
  EXPECT_EQ(x("x,n\n\"1,5\",\"3,0\"\n1.5,1\n", form), "x: 1.5 !1.5");
  // As it is written, whoever reads the cells is told.
  options.as_written = true;
  const auto reader = TableReader::open(put("a.csv", "x;n\n1,5;3\n"), options).value();
  EXPECT_EQ(reader->decimal(), ',');
  // Without a contract a column is numeric when each of its cells is.
  EXPECT_EQ(form_in_words(put("a.csv", "x;s\n1,5;a\n2;b\n"), {}).value(),
            "delimiter `;`, decimal comma");
  EXPECT_EQ(form_in_words(put("a.csv", "x;s\n1,5;a\nunknown;b\n"), {}).value(), "delimiter `;`");
}

TEST_F(FilesTest, EncodingsAreThoseOfTheMarkOrDeclared) {
  for (const bool is_big : {false, true})
    EXPECT_EQ(read(put("a.csv", utf16(kRows, is_big))), kRead);
  EXPECT_EQ(read(put("a.csv", packed(utf16(kRows, false), arrow::Compression::GZIP))), kRead);
  EXPECT_EQ(read(put("a.ndjson", utf16("{\"n\":1}\n", false))), Lines{"n: 1"});
  EXPECT_EQ(form_in_words(path("a.csv"), {}).value(), "gzip, UTF-16");
  // U+1F600 in two halves, and a half alone, which is no text.
  std::string pairs = utf16("s\nx\ny\n", false);
  pairs.replace(6, 2, "\x3d\xd8\x00\xde", 4);
  EXPECT_EQ(read(put("a.csv", pairs)), Lines{"s: '\xf0\x9f\x98\x80' 'y'"});
  pairs.replace(6, 4, "\x3d\xd8", 2);
  EXPECT_EQ(read(put("a.csv", pairs)), Lines{"s: !\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd 'y'"});
  EXPECT_EQ(error_of(put("a.csv", pairs + "z")), "table-cut");
  Form form;
  form.encoding = "latin-1";
  EXPECT_EQ(read({{put("a.csv", "s\nZ\xfcrich \x80\n")}, form}), Lines{"s: 'Z\u00fcrich \u0080'"});
  form.encoding = "windows-1252";
  EXPECT_EQ(read({{path("a.csv")}, form}), Lines{"s: 'Z\u00fcrich \u20ac'"});
  EXPECT_EQ(error_of({{put("a.csv", utf16(kRows, false))}, form}), "table-encoding");
  form.encoding = "utf-16";
  EXPECT_EQ(error_of({{put("a.csv", "s\nx\n")}, form}), "table-encoding");
  EXPECT_EQ(error_of(put("a.csv", std::string("s\0\n\0", 4))), "table-format");
}

TEST_F(FilesTest, QuotesEscapesHeadersAndMissingValuesAreDeclared) {
  Form form;
  form.quote = '\'';
  EXPECT_EQ(read({{put("a.csv", "a,b\n'1,2',\"\n")}, form}), (Lines{"a: '1,2'", "b: '\"'"}));
  form.quote = '\0';
  EXPECT_EQ(read({{put("a.csv", "a,b\n\"1,2\"\n")}, form}), (Lines{"a: '\"1'", "b: '2\"'"}));
  form = {};
  form.escape = '\\';
  EXPECT_EQ(read({{put("a.csv", "a,b\n\"say \\\"x, y\\\"\",\"\\\\\"\n")}, form}),
            (Lines{"a: 'say \"x, y\"'", "b: '\\'"}));
  EXPECT_EQ(error_of({{put("a.csv", "a,b\n1,\"x\\\"\n")}, form}), "table-quotes");
  form = {};
  form.names = {"a", "b"};
  EXPECT_EQ(read({{put("a.csv", "1,x\n2,y\n")}, form}), (Lines{"a: '1' '2'", "b: 'x' 'y'"}));
  EXPECT_EQ(error_of({{put("a.csv", "1,x,3\n")}, form}), "table-row-width");
  form = {};
  form.nulls = Lines{"NA", "-"};
  ReadOptions options;
  options.types = {{"n", Type::kInt}};
  EXPECT_EQ(read({{put("a.csv", "n,s\nNA,NA\n-,NULL\n\"NA\",\"NA\"\n,\n")}, form}, options),
            (Lines{"n: - - !NA -", "s: - 'NULL' 'NA' ''"}));
}

// --- Arrow IPC

std::shared_ptr<arrow::Array> made(const std::shared_ptr<arrow::ArrayBuilder>& builder) {
  return builder->Finish().ValueOrDie();
}

/// Four rows of many types.
std::shared_ptr<arrow::RecordBatch> sample_batch() {
  const auto pool = arrow::default_memory_pool();
  const auto ints = std::make_shared<arrow::Int16Builder>();
  EXPECT_TRUE(ints->AppendValues(std::vector<std::int16_t>{1, 2, 3, 4}).ok());
  const auto views = std::make_shared<arrow::StringViewBuilder>(pool);
  for (const char* text : {"a", "a text that is longer than twelve bytes", "", "b"})
    EXPECT_TRUE(views->Append(text).ok());
  const auto categories = std::make_shared<arrow::StringDictionary32Builder>();
  for (const char* text : {"x", "y", "x"}) EXPECT_TRUE(categories->Append(text).ok());
  EXPECT_TRUE(categories->AppendNull().ok());
  const auto clock =
      std::make_shared<arrow::Time64Builder>(arrow::time64(arrow::TimeUnit::NANO), pool);
  EXPECT_TRUE(
      clock->AppendValues(std::vector<std::int64_t>{0, 3'723'000'004'999, 86'399'000'000'000, 500})
          .ok());
  const auto took =
      std::make_shared<arrow::DurationBuilder>(arrow::duration(arrow::TimeUnit::MILLI), pool);
  EXPECT_TRUE(took->AppendValues(std::vector<std::int64_t>{1500, -1, 0, 60'000}).ok());
  const auto days = std::make_shared<arrow::Date64Builder>();
  EXPECT_TRUE(
      days->AppendValues(std::vector<std::int64_t>{0, 86'400'000, -86'400'000, 172'800'000}).ok());
  const auto bytes = std::make_shared<arrow::BinaryViewBuilder>(pool);
  for (const char* text : {"p", "q", "\xff", "r"}) EXPECT_TRUE(bytes->Append(text).ok());
  const auto lists =
      std::make_shared<arrow::ListBuilder>(pool, std::make_shared<arrow::Int8Builder>());
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(lists->Append().ok());
  const auto run_values = std::make_shared<arrow::DoubleBuilder>();
  EXPECT_TRUE(run_values->AppendValues(std::vector<double>{0.5, 1.5}).ok());
  const auto run_ends = std::make_shared<arrow::Int32Builder>();
  EXPECT_TRUE(run_ends->AppendValues(std::vector<std::int32_t>{3, 4}).ok());
  const auto runs =
      arrow::RunEndEncodedArray::Make(4, made(run_ends), made(run_values)).ValueOrDie();
  const auto ids = std::make_shared<arrow::FixedSizeBinaryBuilder>(arrow::fixed_size_binary(16));
  for (int i = 0; i < 4; ++i)
    EXPECT_TRUE(ids->Append(std::string(15, '\x1f') + static_cast<char>(i)).ok());
  const auto uuid = arrow::extension::uuid();
  const std::vector<std::pair<std::string, std::shared_ptr<arrow::Array>>> columns = {
      {"n", made(ints)},
      {"s", made(views)},
      {"c", made(categories)},
      {"clock", made(clock)},
      {"took", made(took)},
      {"day", made(days)},
      {"bytes", made(bytes)},
      {"list", made(lists)},
      {"run", runs},
      {"none", std::make_shared<arrow::NullArray>(4)},
      {"id", arrow::ExtensionType::WrapArray(uuid, made(ids))}};
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;
  for (const auto& [name, array] : columns) {
    fields.push_back(arrow::field(name, array->type()));
    arrays.push_back(array);
  }
  return arrow::RecordBatch::Make(arrow::schema(fields), 4, arrays);
}

std::string ipc(const arrow::RecordBatch& batch, bool is_stream, arrow::Compression::type packing) {
  auto options = arrow::ipc::IpcWriteOptions::Defaults();
  if (packing != arrow::Compression::UNCOMPRESSED)
    options.codec = arrow::util::Codec::Create(packing).ValueOrDie();
  const auto sink = arrow::io::BufferOutputStream::Create().ValueOrDie();
  const auto writer = is_stream
                          ? arrow::ipc::MakeStreamWriter(sink, batch.schema(), options).ValueOrDie()
                          : arrow::ipc::MakeFileWriter(sink, batch.schema(), options).ValueOrDie();
  EXPECT_TRUE(writer->WriteRecordBatch(batch).ok());
  EXPECT_TRUE(writer->WriteRecordBatch(*batch.Slice(1, 2)).ok());
  EXPECT_TRUE(writer->Close().ok());
  return sink->Finish().ValueOrDie()->ToString();
}

TEST_F(FilesTest, ArrowFilesAndStreamsAreReadByType) {
  ReadOptions options;
  options.types = {{"took", Type::kDouble}, {"bytes", Type::kString}};
  const Lines right = {
      "n: 1 2 3 4 2 3",
      "s: 'a' 'a text that is longer than twelve bytes' '' 'b' 'a text that is longer than twelve "
      "bytes' ''",
      "c: 'x' 'y' 'x' - 'y' 'x'",
      "clock: '00:00:00' '01:02:03.000004' '23:59:59' '00:00:00' '01:02:03.000004' "
      "'23:59:59'",
      "took: 1.5 -0.001 0 60 -0.001 0",
      "day: 1970-01-01T00:00:00Z 1970-01-02T00:00:00Z 1969-12-31T00:00:00Z "
      "1970-01-03T00:00:00Z 1970-01-02T00:00:00Z 1969-12-31T00:00:00Z",
      "bytes: 'p' 'q' !\xef\xbf\xbd 'r' 'q' !\xef\xbf\xbd",
      "run: 0.5 0.5 0.5 1.5 0.5 0.5",
      "none: - - - - - -",
      fmt::format("id: '{0}00' '{0}01' '{0}02' '{0}03' '{0}01' '{0}02'",
                  "1f1f1f1f-1f1f-1f1f-1f1f-1f1f1f1f1f")};
  for (const bool is_stream : {false, true}) {
    for (const auto packing : {arrow::Compression::UNCOMPRESSED, arrow::Compression::LZ4_FRAME,
                               arrow::Compression::ZSTD}) {
      EXPECT_EQ(read(put("a.arrow", ipc(*sample_batch(), is_stream, packing)), options), right)
          << is_stream << static_cast<int>(packing);
    }
  }
  const auto reader =
      TableReader::open(put("b.feather", read_file(path("a.arrow")).value())).value();
  EXPECT_EQ(reader->left_out(), (Lines{"took", "bytes", "list"}));
  options.columns = {"run", "n"};
  EXPECT_EQ(read(path("a.arrow"), options),
            (Lines{"run: 0.5 0.5 0.5 1.5 0.5 0.5", "n: 1 2 3 4 2 3"}));
  options.columns = {"list"};
  EXPECT_EQ(error_of(path("a.arrow"), options), "table-type");
  // Each type for a field that can never hold it.
  options.columns.clear();
  options.types = {{"clock", Type::kInt}};
  EXPECT_EQ(error_of(path("a.arrow"), options), "table-type");
  options.types = {{"took", Type::kString}};
  EXPECT_EQ(error_of(path("a.arrow"), options), "table-type");
}

TEST_F(FilesTest, ArrowFilesThatAreCutOffOrDamagedAreErrors) {
  for (const bool is_stream : {false, true}) {
    const std::string whole = ipc(*sample_batch(), is_stream, arrow::Compression::UNCOMPRESSED);
    for (std::size_t left = 8; left < whole.size(); left += 104) {
      const auto id = error_of(put("a.arrow", whole.substr(0, left)));
      EXPECT_THAT(id, testing::AnyOf("table-unreadable", "table-cut", "table-unsupported"))
          << is_stream << left;
    }
    // Never a crash, whatever a byte says.
    for (std::size_t at = 8; at < whole.size(); at += 29) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ 0xff);
      (void)read_table(put("a.arrow", damaged));
    }
  }
  EXPECT_EQ(error_of(put("a.arrow", "FEA1\0\0\0\0")), "table-format");
  EXPECT_EQ(error_of(put("a.csv", ipc(*sample_batch(), false, arrow::Compression::UNCOMPRESSED))),
            "table-format");
}

// --- Several files

TEST_F(FilesTest, AFolderIsOneTableInTheOrderOfItsNames) {
  put("t/b/part-1.csv", "n,s\n3,c\n");
  put("t/a.csv.gz", packed("n,s\n1,a\n2,b\n", arrow::Compression::GZIP));
  put("t/_SUCCESS", "");
  put("t/.a.csv.crc", "crc");
  put("t/empty.csv", "");
  put("t/_temporary/0/part.csv", "half");
  put("t/.hidden/part.csv", "half");
  const Lines right = {"n: '1' '2' '3'", "s: 'a' 'b' 'c'"};
  EXPECT_EQ(read(path("t")), right);
  EXPECT_EQ(read(path("t/")), right);
  EXPECT_EQ(read(Input({path("t/b/*.csv"), path("t/a.*")}, {})),
            (Lines{"n: '3' '1' '2'", "s: 'c' 'a' 'b'"}));
  EXPECT_EQ(error_of(Input({path("t"), path("t/a.*")}, {})), "table-file-twice");
  EXPECT_EQ(error_of(path("t/*.parquet")), "table-no-files");
  EXPECT_EQ(error_of(path("t/_temporary/1")), "table-missing");
  std::filesystem::create_directories(path("none"));
  EXPECT_EQ(error_of(path("none")), "table-no-files");
  // A name with signs of a pattern is a name where there is such a file.
  EXPECT_EQ(read(put("a[1].csv", "n\n1\n")), Lines{"n: '1'"});
  // Each file counts: bytes and names.
  const auto digest = [&] { return digest_of(parts_of(path("t")).value()).value(); };
  const auto before = digest();
  std::filesystem::rename(path("t/b"), path("t/c"));
  EXPECT_NE(digest(), before);
  std::filesystem::rename(path("t/c"), path("t/b"));
  EXPECT_EQ(digest(), before);
  put("t/b/part-1.csv", "n,s\n3,d\n");
  EXPECT_NE(digest(), before);
  EXPECT_EQ(digest_of(parts_of(path("a[1].csv")).value()).value(),
            sha256_file(path("a[1].csv")).value());
}

TEST_F(FilesTest, FilesOfOneTableHaveTheSameColumns) {
  put("t/a.csv", "n,s,old\n1,a,x\n");
  put("t/b.csv", "s,n,new\nb,2,y\n");
  const auto found = read(path("t"));
  EXPECT_EQ(found[0], "table-columns-differ");
  EXPECT_EQ(found[1],
            "the columns of `b.csv` are not those of `a.csv`: it has no `old`, and it has `new` "
            "besides");
  // What nobody asks for refuses nothing.
  ReadOptions options;
  options.columns = {"n"};
  EXPECT_EQ(read(path("t"), options), Lines{"n: '1' '2'"});
  options.columns.clear();
  options.types = {{"n", Type::kInt}};
  EXPECT_EQ(read(path("t"), options), (Lines{"n: 1 2", "s: 'a' 'b'"}));
  EXPECT_EQ(TableReader::open(path("t"), options).value()->left_out(), (Lines{"old", "new"}));
  options.types = {{"new", Type::kInt}};
  EXPECT_EQ(error_of(path("t"), options), "table-columns-differ");
  put("t/c.ndjson", "{\"n\":1,\"s\":\"c\"}\n");
  EXPECT_EQ(error_of(path("t"), options), "table-formats-differ");
  // Types that nobody declares: whole numbers widen, what has no value is of any type.
  put("j/a.ndjson", "{\"n\":1,\"x\":null,\"m\":\"a\"}\n");
  put("j/b.ndjson", "{\"n\":1.5,\"x\":true,\"m\":2}\n");
  const auto reader = TableReader::open(path("j")).value();
  EXPECT_EQ(reader->left_out(), Lines{"m"});
  EXPECT_EQ(read(path("j")), (Lines{"n: 1 1.5", "x: - true"}));
  // What pandas writes as whole numbers in one file and, with a missing value, as others in the
  // next; decimals are exact for a field of integers.
  const auto write = [&](const std::string& name, const std::shared_ptr<arrow::Array>& n) {
    std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
    const auto table = arrow::Table::Make(arrow::schema({arrow::field("n", n->type())}), {n});
    const auto sink = arrow::io::FileOutputStream::Open(path(name)).ValueOrDie();
    ASSERT_TRUE(parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), sink, 1024).ok());
    ASSERT_TRUE(sink->Close().ok());
  };
  const auto whole = std::make_shared<arrow::Int64Builder>();
  ASSERT_TRUE(whole->AppendValues(std::vector<std::int64_t>{1, 9007199254740993}).ok());
  const auto real = std::make_shared<arrow::DoubleBuilder>();
  ASSERT_TRUE(real->AppendValues(std::vector<double>{2, 2.5}).ok());
  ASSERT_TRUE(real->AppendNull().ok());
  const auto exact = std::make_shared<arrow::Decimal128Builder>(arrow::decimal128(20, 1));
  ASSERT_TRUE(exact->Append(arrow::Decimal128(30)).ok());
  write("n/a.parquet", made(whole));
  write("n/b.parquet", made(real));
  write("n/c.parquet", std::make_shared<arrow::NullArray>(1));
  options.types = {{"n", Type::kInt}};
  EXPECT_EQ(read(path("n"), options), Lines{"n: 1 9007199254740993 2 !2.5 - -"});
  options.types = {{"n", Type::kDouble}};
  EXPECT_EQ(read(path("n"), options), Lines{"n: 1 9007199254740992 2 2.5 - -"});
  EXPECT_EQ(read(path("n")), Lines{"n: 1 9007199254740992 2 2.5 - -"});
  write("n/d.parquet", made(exact));
  EXPECT_EQ(read(path("n"), options), Lines{"n: 1 9007199254740992 2 2.5 - - 3"});
  write("e/a.parquet", std::make_shared<arrow::NullArray>(1));
  std::filesystem::rename(path("n/d.parquet"), path("e/d.parquet"));
  EXPECT_EQ(read(path("e")), Lines{"n: - '3.0'"});
  // Text is written in every file as in the first.
  put("d/a.csv", "x;n\n1,5;1\n");
  put("d/b.csv", "x;n\n2;1\n2.5;1\n");
  options = {};
  options.types = {{"x", Type::kDouble}, {"n", Type::kInt}};
  EXPECT_EQ(read(path("d"), options), (Lines{"x: 1.5 2 !2.5", "n: 1 1 1"}));
}

TEST_F(FilesTest, PartitionsAreColumnsByTheContractsTypes) {
  put("t/year=2024/code=a%2Fb/part-0.csv", "n\n1\n2\n");
  put("t/year=2024/code=__HIVE_DEFAULT_PARTITION__/part-0.csv", "n\n3\n");
  put("t/year=last/code=007/part-0.csv", "n\n4\n");
  EXPECT_EQ(read(path("t")), (Lines{"n: '3' '1' '2' '4'", "year: '2024' '2024' '2024' 'last'",
                                    "code: - 'a/b' 'a/b' '007'"}));
  ReadOptions options;
  options.types = {{"year", Type::kInt}, {"n", Type::kInt}};
  options.columns = {"year", "n"};
  EXPECT_EQ(read(path("t"), options), (Lines{"year: 2024 2024 2024 !last", "n: 3 1 2 4"}));
  EXPECT_EQ(read(path("t/year=2024/*"), options).front(), "column-missing")
      << "what stands before the pattern is no partition";
  EXPECT_EQ(read(path("t/year=*"), options), (Lines{"year: 2024 2024 2024 !last", "n: 3 1 2 4"}));
  const auto schema = read_schema(path("t")).value();
  ASSERT_EQ(schema.size(), 3U);
  EXPECT_EQ(schema[1].name, "year");
  // Rows are chosen by a partition's time without opening the file.
  put("d/day=2024-01-01/a.csv", "n\n1\n");
  put("d/day=2024-01-02/a.csv", "n\n2\n");
  options = {};
  options.types = {{"day", Type::kTimestamp}};
  options.time_column = "day";
  options.time_from = parse_time("2024-01-02").value();
  EXPECT_EQ(read(path("d"), options), (Lines{"n: '2'", "day: 2024-01-02T00:00:00Z"}));
  options.time_from = parse_time("2025-01-02").value();
  EXPECT_EQ(read(path("d"), options), (Lines{"n:", "day:"}));
  // A column that is in the file too must say the same.
  put("c/year=2024/a.csv", "n,year\n1,2024\n");
  EXPECT_EQ(read(path("c")), (Lines{"n: '1'", "year: '2024'"}));
  put("c/year=2025/a.csv", "n,year\n1,2025\n2,2024\n");
  const auto clash = read(path("c"));
  EXPECT_EQ(clash[0], "table-partition-clash");
  EXPECT_THAT(clash[1], HasSubstr("`year=2025` and has a column `year` of another value in row 2"));
  put("p/year=2024/a.csv", "n\n1\n");
  put("p/b.csv", "n\n1\n");
  EXPECT_EQ(error_of(path("p")), "table-partitions-differ");
  put("k/Year=2024/a.csv", "n,year\n1,2\n");
  EXPECT_EQ(error_of(path("k")), "table-column-case");
}

TEST_F(FilesTest, TenThousandColumnsAreRead) {
  std::string text;
  for (int i = 0; i < 10'000; ++i) text += fmt::format("{}c{}", i == 0 ? "" : ",", i);
  text += "\n";
  for (int row = 0; row < 3; ++row) {
    for (int i = 0; i < 10'000; ++i) text += fmt::format("{}{}", i == 0 ? "" : ",", row);
    text += "\n";
  }
  const auto rows = read_table(put("wide.csv", text)).value();
  EXPECT_EQ(rows.columns().size(), 10'000U);
  EXPECT_EQ(rows.rows(), 3);
}

}  // namespace
}  // namespace heddle::table
