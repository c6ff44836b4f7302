#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <unordered_set>

#include <arrow/csv/api.h>
#include <arrow/csv/invalid_row.h>
#include <arrow/io/file.h>
#include <arrow/record_batch.h>
#include <arrow/util/utf8.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/column_page.h>
#include <parquet/column_reader.h>
#include <parquet/statistics.h>

#include "table/arrow_columns.hpp"
#include "table/cell.hpp"
#include "table/column_names.hpp"
#include "table/csv_scan.hpp"
#include "table/file_kind.hpp"
#include "table/json_lines.hpp"
#include "table/stream.hpp"
#include "table/table.hpp"

namespace heddle::table {
namespace {

constexpr std::int32_t kCsvBlock = 4 << 20;

Result<Format> format_of(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) {
    return Error{ErrorKind::kNotFound, "table-missing", fmt::format("there is no file `{}`", path),
                 "check the path in `sources` of heddle.yaml"};
  }
  if (!S_ISREG(info.st_mode)) {
    return Error{ErrorKind::kInvalid, "table-no-file", fmt::format("`{}` is not a file", path),
                 "name one Parquet, CSV or NDJSON file"};
  }
  if (info.st_size == 0) {
    return Error{ErrorKind::kInvalid, "table-empty-file", fmt::format("`{}` is empty", path),
                 "write it again; the writer may have been cut off"};
  }
  if (is_json_lines(path)) {
    if (auto other = not_a_table(path, Format::kJson)) return std::move(*other);
    return Format::kJson;
  }
  const bool is_parquet = path.ends_with(".parquet") || path.ends_with(".pq");
  if (is_parquet || path.ends_with(".csv")) {
    const Format format = is_parquet ? Format::kParquet : Format::kCsv;
    if (auto other = not_a_table(path, format)) return std::move(*other);
    return format;
  }
  return Error{
      ErrorKind::kInvalid, "table-extension",
      fmt::format("`{}` has an extension that says neither Parquet nor CSV nor NDJSON", path),
      "rename it to end in `.parquet`, `.csv` or `.ndjson`"};
}

/// Bytes of a damaged file do not belong in a message.
std::string printable(std::string_view text) {
  std::string out(text.substr(0, 400));
  for (char& c : out) c = c >= 0x20 && c < 0x7f ? c : '?';
  return out;
}

Error unreadable(const std::string& path, Format format, const std::string& why) {
  // A whole file that Arrow has no code for is not a damaged one.
  for (const char* word : {"implemented", "not supported", "ncrypt"}) {
    if (format != Format::kParquet || why.find(word) == std::string::npos) continue;
    return Error{ErrorKind::kInvalid, "table-unsupported",
                 fmt::format("`{}` is written in a way that is not read: {}", path, printable(why)),
                 "write it with common types and encodings, without encryption, or leave out the "
                 "column"};
  }
  if (why.find("straddling") != std::string::npos) {
    return Error{ErrorKind::kInvalid, "table-row-length",
                 fmt::format("`{}` has a row of more than 4 MiB", path),
                 "close the quote that makes one cell of many rows, or write Parquet"};
  }
  return Error{ErrorKind::kCorrupt, "table-unreadable",
               fmt::format("`{}` is not readable {}: {}", path,
                           format == Format::kParquet ? "Parquet" : "CSV", printable(why)),
               "copy the file again from where it came, or write it anew"};
}

#define ARROW_OR_CORRUPT(decl, expr, path, format)                                              \
  auto HEDDLE_CONCAT(arrow_result_, __LINE__) = (expr);                                         \
  if (!HEDDLE_CONCAT(arrow_result_, __LINE__).ok()) {                                           \
    return unreadable(path, format, HEDDLE_CONCAT(arrow_result_, __LINE__).status().message()); \
  }                                                                                             \
  decl = std::move(HEDDLE_CONCAT(arrow_result_, __LINE__)).ValueUnsafe()

/// Arrow makes dictionaries of plain and of dictionary pages. Of the delta encodings, which writers
/// of Parquet's version 2 choose for strings, it makes none.
bool has_plain_pages(const parquet::FileMetaData& metadata, int leaf) {
  for (int group = 0; group < metadata.num_row_groups(); ++group) {
    const auto chunk = metadata.RowGroup(group)->ColumnChunk(leaf);  // owns the encodings
    for (const auto encoding : chunk->encodings()) {
      if (encoding != parquet::Encoding::PLAIN && encoding != parquet::Encoding::PLAIN_DICTIONARY &&
          encoding != parquet::Encoding::RLE_DICTIONARY && encoding != parquet::Encoding::RLE &&
          encoding != parquet::Encoding::BIT_PACKED)
        return false;
    }
  }
  return true;
}

/// Whether a page of a dictionary holds a text twice.
bool has_repeats(const parquet::DictionaryPage& page) {
  std::string_view bytes(reinterpret_cast<const char*>(page.data()),
                         static_cast<std::size_t>(page.size()));
  std::unordered_set<std::string_view> seen;
  for (std::int32_t i = 0; i < page.num_values() && bytes.size() >= 4; ++i) {
    std::uint32_t size = 0;
    std::memcpy(&size, bytes.data(), sizeof size);
    bytes.remove_prefix(sizeof size);
    if (!seen.insert(bytes.substr(0, size)).second) return true;
    bytes.remove_prefix(std::min<std::size_t>(size, bytes.size()));
  }
  return false;
}

/// Of a dictionary in which a text stands twice Arrow keeps one and leaves the codes as they are,
/// so that they mean other texts. DuckDB writes such for the values of an enumeration that no row
/// has.
bool repeats_in_dictionary(parquet::ParquetFileReader& file, int leaf) {
  for (int group = 0; group < file.metadata()->num_row_groups(); ++group) {
    const auto rows = file.RowGroup(group);
    if (!rows->metadata()->ColumnChunk(leaf)->has_dictionary_page()) continue;
    const auto page = rows->GetColumnPageReader(leaf)->NextPage();
    if (page != nullptr && page->type() == parquet::PageType::DICTIONARY_PAGE &&
        has_repeats(static_cast<const parquet::DictionaryPage&>(*page)))
      return true;
  }
  return false;
}

/// `whole`: every row will be wanted at once, so column chunks are read ahead; else a bounded
/// buffer a column.
Result<std::unique_ptr<parquet::arrow::FileReader>> open_parquet(
    const std::string& path, bool whole, const std::vector<int>& without_dictionary = {}) {
  ARROW_OR_CORRUPT(auto file, arrow::io::ReadableFile::Open(path), path, Format::kParquet);
  parquet::arrow::FileReaderBuilder builder;
  auto buffers = parquet::default_reader_properties();
  if (!whole) {
    buffers.enable_buffered_stream();
    buffers.set_buffer_size(1 << 20);
  }
  if (const auto status = builder.Open(std::move(file), buffers); !status.ok())
    return unreadable(path, Format::kParquet, status.message());
  parquet::ArrowReaderProperties properties(/*use_threads=*/whole);
  if (!whole) properties.set_pre_buffer(false);
  properties.set_batch_size(1 << 17);
  // As nanoseconds, Arrow's default, INT96 times past 2262 wrap around.
  properties.set_coerce_int96_timestamp_unit(arrow::TimeUnit::MICRO);
  const auto metadata = builder.raw_reader()->metadata();
  const auto* schema = metadata->schema();
  for (int i = 0; i < schema->num_columns(); ++i) {
    const auto* column = schema->Column(i);
    if (column->physical_type() == parquet::Type::BYTE_ARRAY &&
        column->logical_type()->is_string() && has_plain_pages(*metadata, i) &&
        std::find(without_dictionary.begin(), without_dictionary.end(), i) ==
            without_dictionary.end())
      properties.set_read_dictionary(i, true);
  }
  builder.properties(properties);
  std::unique_ptr<parquet::arrow::FileReader> reader;
  if (const auto status = builder.Build(&reader); !status.ok())
    return unreadable(path, Format::kParquet, status.message());
  return reader;
}

/// What an open file has, before any row is read.
struct File {
  std::string path;
  Format format = Format::kCsv;
  std::vector<std::string> names;
  std::vector<std::shared_ptr<arrow::DataType>> types;    ///< binary for every column of a CSV
  std::unique_ptr<parquet::arrow::FileReader> parquet{};  ///< outlives what it gives
};

arrow::csv::ParseOptions parse_options(std::size_t columns) {
  auto parse = arrow::csv::ParseOptions::Defaults();
  parse.newlines_in_values = true;
  parse.ignore_empty_lines = columns != 1;  // of one column, an empty line is a missing value
  return parse;
}

/// The header alone. Arrow reads the first block with it; whatever is wrong there is met again when
/// rows are read.
Result<std::vector<std::string>> csv_names(const std::string& path) {
  ARROW_OR_CORRUPT(auto file, arrow::io::ReadableFile::Open(path), path, Format::kCsv);
  const auto input = scanned(std::move(file), std::make_shared<CsvScan>());
  auto read = arrow::csv::ReadOptions::Defaults();
  read.use_threads = false;
  read.block_size = kCsvBlock;
  auto parse = parse_options(0);
  parse.invalid_row_handler = [](const arrow::csv::InvalidRow&) {
    return arrow::csv::InvalidRowResult::Skip;
  };
  auto convert = arrow::csv::ConvertOptions::Defaults();
  convert.check_utf8 = false;
  ARROW_OR_CORRUPT(const auto reader,
                   arrow::csv::StreamingReader::Make(arrow::io::default_io_context(), input, read,
                                                     parse, convert),
                   path, Format::kCsv);
  return reader->schema()->field_names();
}

/// A header without a comma that has another separator: the file has one column for nobody.
Result<void> check_separator(const std::string& path, const std::vector<std::string>& names) {
  if (names.size() != 1) return {};
  const auto at = names[0].find_first_of(";\t|");
  if (at == std::string::npos) return {};
  const char separator = names[0][at];
  return Error{ErrorKind::kInvalid, "table-separator",
               fmt::format("`{}` separates its columns by {}, not by commas", path,
                           separator == '\t' ? "tabs" : fmt::format("`{}`", separator)),
               "write it with commas, and numbers with a point"};
}

Result<File> open_file(const std::string& path, bool whole) {
  arrow::util::InitializeUTF8();
  File out;
  out.path = path;
  HEDDLE_ASSIGN_OR_RETURN(out.format, format_of(path));
  if (out.format == Format::kParquet) {
    HEDDLE_ASSIGN_OR_RETURN(out.parquet, open_parquet(path, whole));
    std::shared_ptr<arrow::Schema> schema;
    if (const auto status = out.parquet->GetSchema(&schema); !status.ok())
      return unreadable(path, out.format, status.message());
    const auto& leaves = out.parquet->manifest().schema_fields;
    const auto* columns = out.parquet->parquet_reader()->metadata()->schema();
    for (int i = 0; i < schema->num_fields(); ++i) {
      const auto& field = *schema->field(i);
      const int leaf = leaves[static_cast<std::size_t>(i)].column_index;
      // The name of an enumerated value, as writers of Avro and Protobuf put it; Arrow calls it
      // binary.
      const bool is_enum = leaf >= 0 && columns->Column(leaf)->logical_type()->is_enum();
      out.names.push_back(field.name());
      out.types.push_back(is_enum ? arrow::utf8() : field.type());
    }
  } else {
    HEDDLE_ASSIGN_OR_RETURN(out.names, csv_names(path));
    out.types.assign(out.names.size(), arrow::binary());
    HEDDLE_TRY(check_separator(path, out.names));
  }
  HEDDLE_TRY(check_names(path, out.names));
  return out;
}

Target target_in(const File& file, std::size_t index, const ReadOptions& options) {
  const auto wanted = options.types.find(file.names[index]);
  return target_of(*file.types[index],
                   wanted == options.types.end() ? std::nullopt : std::optional(wanted->second),
                   file.format == Format::kCsv, options.as_written);
}

Error not_read(const File& file, std::size_t index, const ReadOptions& options) {
  const auto wanted = options.types.find(file.names[index]);
  return Error{
      ErrorKind::kInvalid, "table-type",
      fmt::format("column `{}` of `{}` has type {}, which is not read{}", file.names[index],
                  file.path, file.types[index]->ToString().substr(0, 200),
                  wanted == options.types.end()
                      ? ""
                      : fmt::format(" as a {}", expr::type_name(wanted->second))),
      "leave the column out, or write it as a number, string, boolean or timestamp"};
}

/// Which columns are read, in the order asked for, and how each batch is filtered by time.
class Reading {
 public:
  static Result<Reading> open(const File& file, const ReadOptions& options) {
    Reading out;
    out.options_ = options;
    std::vector<std::string> wanted = options.columns;
    if (wanted.empty()) {
      for (std::size_t i = 0; i < file.names.size(); ++i) {
        // What a contract asks for is not left out: it is refused below, with its type.
        if (target_in(file, i, options).type != Type::kDyn || options.types.contains(file.names[i]))
          wanted.push_back(file.names[i]);
      }
    }
    if (!options.time_column.empty() &&
        std::find(wanted.begin(), wanted.end(), options.time_column) == wanted.end()) {
      wanted.push_back(options.time_column);
      out.drop_time_ = true;
    }
    for (const std::string& name : wanted) {
      const auto at = std::find(file.names.begin(), file.names.end(), name);
      if (at == file.names.end()) return no_such_column(file.path, name, file.names);
      HEDDLE_TRY(out.add(file, static_cast<std::size_t>(at - file.names.begin())));
    }
    return out;
  }

  [[nodiscard]] const std::vector<int>& fields() const {
    return fields_;
  }  ///< indexes of the file's columns
  [[nodiscard]] const std::vector<ColumnInfo>& columns() const { return columns_; }
  [[nodiscard]] bool filters() const { return !options_.time_column.empty(); }
  [[nodiscard]] int time_field() const { return fields_[time_]; }

  /// A chunk of a stream is a table of its own.
  void restart() {
    readers_.clear();
    for (std::size_t i = 0; i < columns_.size(); ++i)
      readers_.emplace_back(columns_[i].name, targets_[i]);
  }

  /// `array(i)` gives the batch's array of `fields()[i]`; `first_row`: its first row in the file,
  /// -1 when not known.
  template <class F>
  Result<void> append(std::int64_t rows, std::int64_t first_row, const F& array) {
    Selection selection{{}, true, first_row};
    if (filters()) {
      HEDDLE_TRY(choose(array(time_), rows));
      selection.all = static_cast<std::int64_t>(chosen_.size()) == rows;
      selection.chosen = chosen_;
      if (chosen_.empty()) return {};
    }
    for (std::size_t i = 0; i < readers_.size(); ++i) {
      if (drop_time_ && i == time_) continue;
      HEDDLE_TRY(readers_[i].append(array(i), selection));
    }
    return {};
  }

  Result<Table> finish() {
    std::vector<Column> columns;
    for (std::size_t i = 0; i < readers_.size(); ++i) {
      if (!drop_time_ || i != time_) columns.push_back(readers_[i].finish());
    }
    return Table::make(std::move(columns));
  }

 private:
  Result<void> add(const File& file, std::size_t index) {
    const std::string& name = file.names[index];
    const Target target = target_in(file, index, options_);
    if (target.type == Type::kDyn) return not_read(file, index, options_);
    const auto wanted = options_.types.find(name);
    if (wanted != options_.types.end() && !options_.as_written &&
        !can_hold(target.type, wanted->second)) {
      return Error{ErrorKind::kUnprocessable, "column-type",
                   fmt::format("column `{}` of `{}` has type {}, the contract wants a {}", name,
                               file.path, file.types[index]->ToString().substr(0, 200),
                               expr::type_name(wanted->second)),
                   "write the column with its type, or correct `logicalType` of the contract"};
    }
    if (name == options_.time_column) {
      if (target.type != Type::kTimestamp) {
        return Error{
            ErrorKind::kInvalid, "table-time-type",
            fmt::format("column `{}` of `{}` has type {}, not a timestamp", name, file.path,
                        file.types[index]->ToString()),
            "name the column that holds when each row happened, and write it as a timestamp"};
      }
      time_ = fields_.size();
    }
    fields_.push_back(static_cast<int>(index));
    targets_.push_back(target);
    columns_.push_back({name, target.type});
    readers_.emplace_back(name, target);
    return {};
  }

  Result<void> choose(const arrow::Array& times, std::int64_t rows) {
    chosen_.clear();
    Target target = targets_[time_];
    target.strict = false;
    ColumnReader reader("", target);
    HEDDLE_TRY(reader.append(times, {}));
    const Column time = reader.finish();
    for (std::int64_t row = 0; row < rows; ++row) {
      const auto i = static_cast<std::size_t>(row);
      const bool known = time.valid.empty() || time.valid[i] != 0;
      if (!known || (time.ints[i] >= options_.time_from && time.ints[i] < options_.time_to))
        chosen_.push_back(row);
    }
    return {};
  }

  ReadOptions options_;
  std::vector<int> fields_;
  std::vector<Target> targets_;
  std::vector<ColumnInfo> columns_;
  std::vector<ColumnReader> readers_;
  std::vector<std::int64_t> chosen_;
  std::size_t time_ = 0;
  bool drop_time_ = false;
};

/// False when the row group's statistics show that no row is within the times asked for.
bool may_hold(const parquet::RowGroupMetaData& group, int leaf, const arrow::DataType& type,
              const ReadOptions& options) {
  if (type.id() != arrow::Type::TIMESTAMP ||
      static_cast<const arrow::TimestampType&>(type).unit() != arrow::TimeUnit::MICRO)
    return true;
  const auto statistics = group.ColumnChunk(leaf)->statistics();
  if (statistics == nullptr || !statistics->HasMinMax() ||
      statistics->physical_type() != parquet::Type::INT64)
    return true;
  if (!statistics->HasNullCount() || statistics->null_count() > 0) return true;
  const auto& typed = static_cast<const parquet::Int64Statistics&>(*statistics);
  return typed.max() >= options.time_from && typed.min() < options.time_to;
}

/// INT96 has more days than 64 bits have microseconds: its raw days are looked at before Arrow
/// multiplies them.
Result<void> check_int96(const File& file, int leaf, const std::string& name) {
  constexpr std::uint32_t kEpochDay = 2440588;  // the Julian day of 1970-01-01
  constexpr std::uint32_t kFirst = kEpochDay - 719162, kEnd = kEpochDay + 2932897;
  constexpr std::uint64_t kDayNanos = 86'400'000'000'000;
  auto* reader = file.parquet->parquet_reader();
  std::int64_t row = 0;
  for (int group = 0; group < reader->metadata()->num_row_groups(); ++group) {
    const auto column =
        std::static_pointer_cast<parquet::Int96Reader>(reader->RowGroup(group)->Column(leaf));
    std::vector<parquet::Int96> values(4096);
    std::vector<std::int16_t> levels(values.size());
    const std::int16_t present = column->descr()->max_definition_level();
    while (column->HasNext()) {
      std::int64_t read = 0;
      const auto rows = column->ReadBatch(static_cast<std::int64_t>(values.size()), levels.data(),
                                          nullptr, values.data(), &read);
      std::int64_t next = 0;
      for (std::int64_t i = 0; i < rows; ++i, ++row) {
        if (present > 0 && levels[static_cast<std::size_t>(i)] != present) continue;
        const auto& value = values[static_cast<std::size_t>(next++)].value;
        const std::uint64_t nanos = (static_cast<std::uint64_t>(value[1]) << 32) | value[0];
        if (value[2] >= kFirst && value[2] < kEnd && nanos < kDayNanos) continue;
        return Error{ErrorKind::kInvalid, "table-value-range",
                     fmt::format("column `{}` of `{}` holds an INT96 time in row {} that is not in "
                                 "the years 1 to 9999",
                                 name, file.path, row + 1),
                     "write the column as a timestamp in microseconds, and clip it at the source"};
      }
    }
  }
  return {};
}

/// The batches of a reading, from either format.
struct Batches {
  std::shared_ptr<arrow::RecordBatchReader> reader;
  std::vector<int> place;  ///< of each column read, in a batch
  std::int64_t row = 0;    ///< of the file, at the next batch; -1 when row groups are left out
  std::shared_ptr<Error> ragged;  ///< what a row with too few or too many cells left
  std::shared_ptr<CsvScan> scan;  ///< of a CSV

  /// A cell whose quotes are wrong may have swallowed rows, or say something else than was meant.
  Result<void> check_quotes(const File& file) const {
    const auto fault = scan ? scan->fault() : CsvScan::Fault::kNone;
    if (fault == CsvScan::Fault::kNone) return {};
    const bool is_open = fault == CsvScan::Fault::kNotClosed;
    return Error{ErrorKind::kCorrupt, "table-quotes",
                 fmt::format("`{}` has a quoted cell in line {} that {}", file.path, scan->line(),
                             is_open ? "is not closed: the file ends inside it"
                                     : "goes on after its closing quote"),
                 is_open ? "write the file again; the writer may have been cut off"
                         : "double each quote inside a quoted cell: `\"\"`; Spark does with "
                           "`escape='\"'`, MySQL with `ESCAPED BY '\"'`"};
  }

  Result<std::shared_ptr<arrow::RecordBatch>> next(const File& file) {
    std::shared_ptr<arrow::RecordBatch> batch;
    if (const auto status = reader->ReadNext(&batch); !status.ok()) {
      if (ragged && !ragged->id.empty()) return *ragged;
      return unreadable(file.path, file.format, status.message());
    }
    // Arrow reads ahead in a thread of its own, which is done once there is no batch any more.
    if (batch == nullptr) HEDDLE_TRY(check_quotes(file));
    return batch;
  }
};

Result<Batches> parquet_batches(const File& file, const Reading& reading,
                                const ReadOptions& options) {
  Batches out;
  const auto leaf_of = [&](int field) {
    return file.parquet->manifest().schema_fields[static_cast<std::size_t>(field)].column_index;
  };
  const auto metadata = file.parquet->parquet_reader()->metadata();
  std::vector<int> leaves;
  for (std::size_t i = 0; i < reading.fields().size(); ++i) {
    leaves.push_back(leaf_of(reading.fields()[i]));
    if (metadata->schema()->Column(leaves.back())->physical_type() != parquet::Type::INT96)
      continue;
    HEDDLE_TRY(check_int96(file, leaves.back(), reading.columns()[i].name));
  }
  std::vector<int> sorted = leaves;
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  // Batches keep the file's order.
  for (const int leaf : leaves)
    out.place.push_back(
        static_cast<int>(std::find(sorted.begin(), sorted.end(), leaf) - sorted.begin()));
  std::vector<int> groups;
  for (int group = 0; group < metadata->num_row_groups(); ++group) {
    const bool wanted =
        !reading.filters() ||
        may_hold(*metadata->RowGroup(group), leaf_of(reading.time_field()),
                 *file.types[static_cast<std::size_t>(reading.time_field())], options);
    if (wanted) groups.push_back(group);
  }
  if (static_cast<int>(groups.size()) != metadata->num_row_groups()) out.row = -1;
  ARROW_OR_CORRUPT(out.reader, file.parquet->GetRecordBatchReader(groups, sorted), file.path,
                   file.format);
  return out;
}

/// Opens the file again when a column of it is not read right as a dictionary.
Result<void> mend_dictionaries(File& file, const Reading& reading, bool whole) {
  if (file.format != Format::kParquet) return {};
  auto properties = parquet::default_reader_properties();
  properties.enable_buffered_stream();  // a page at a time: the first one is all that is wanted
  std::unique_ptr<parquet::ParquetFileReader> pages;
  std::vector<int> wrong;
  for (const int field : reading.fields()) {
    const auto at = static_cast<std::size_t>(field);
    const int leaf = file.parquet->manifest().schema_fields[at].column_index;
    if (leaf < 0 || !file.parquet->properties().read_dictionary(leaf)) continue;
    if (!pages) pages = parquet::ParquetFileReader::OpenFile(file.path, false, properties);
    if (repeats_in_dictionary(*pages, leaf)) wrong.push_back(leaf);
  }
  if (wrong.empty()) return {};
  HEDDLE_ASSIGN_OR_RETURN(file.parquet, open_parquet(file.path, whole, wrong));
  return {};
}

Result<Batches> csv_batches(const File& file, const Reading& reading) {
  Batches out;
  auto convert = arrow::csv::ConvertOptions::Defaults();
  convert.strings_can_be_null = true;
  convert.quoted_strings_can_be_null = false;
  convert.null_values = {"", "NULL", "null"};
  for (std::size_t i = 0; i < reading.fields().size(); ++i) {
    const std::string& name = reading.columns()[i].name;
    convert.column_types[name] = arrow::binary();
    convert.include_columns.push_back(name);
    out.place.push_back(static_cast<int>(i));
  }
  auto read = arrow::csv::ReadOptions::Defaults();
  read.use_threads = false;  // or a row of another width does not know its number
  read.block_size = kCsvBlock;
  auto parse = parse_options(file.names.size());
  out.ragged = std::make_shared<Error>();
  parse.invalid_row_handler = [ragged = out.ragged,
                               path = file.path](const arrow::csv::InvalidRow& row) {
    if (!ragged->id.empty()) return arrow::csv::InvalidRowResult::Error;
    *ragged =
        Error{ErrorKind::kCorrupt, "table-row-width",
              fmt::format("`{}` has {} cells in {}, its header has {}", path, row.actual_columns,
                          row.number < 0 ? std::string("a row") : fmt::format("row {}", row.number),
                          row.expected_columns),
              "quote the cells that hold commas, quotes or line ends"};
    return arrow::csv::InvalidRowResult::Error;
  };
  ARROW_OR_CORRUPT(auto bytes, arrow::io::ReadableFile::Open(file.path), file.path, file.format);
  out.scan = std::make_shared<CsvScan>();
  const auto input = scanned(std::move(bytes), out.scan);
  auto made = arrow::csv::StreamingReader::Make(arrow::io::default_io_context(), input, read, parse,
                                                convert);
  if (!made.ok() && !out.ragged->id.empty()) return *out.ragged;
  ARROW_OR_CORRUPT(out.reader, std::move(made), file.path, file.format);
  return out;
}

Result<Batches> batches_of(const File& file, const Reading& reading, const ReadOptions& options) {
  return file.format == Format::kParquet ? parquet_batches(file, reading, options)
                                         : csv_batches(file, reading);
}

/// Appends the next batch; false after the last.
Result<bool> read_on(const File& file, Batches& batches, Reading& reading) {
  for (;;) {
    HEDDLE_ASSIGN_OR_RETURN(const auto batch, batches.next(file));
    if (batch == nullptr) return false;
    if (batch->num_rows() == 0) continue;
    HEDDLE_TRY(reading.append(
        batch->num_rows(), batches.row,
        [&](std::size_t i) -> const arrow::Array& { return *batch->column(batches.place[i]); }));
    if (batches.row >= 0) batches.row += batch->num_rows();
    return true;
  }
}

class Stream final : public TableReader {
 public:
  Stream(File file, Reading reading, Batches batches, const ReadOptions& options)
      : file_(std::move(file)), reading_(std::move(reading)), batches_(std::move(batches)) {
    if (!options.columns.empty()) return;
    for (std::size_t i = 0; i < file_.names.size(); ++i) {
      const auto& fields = reading_.fields();
      if (std::find(fields.begin(), fields.end(), static_cast<int>(i)) == fields.end())
        left_out_.push_back(file_.names[i]);
    }
  }

  [[nodiscard]] const std::vector<ColumnInfo>& columns() const noexcept override {
    return reading_.columns();
  }
  [[nodiscard]] const std::vector<std::string>& left_out() const noexcept override {
    return left_out_;
  }
  [[nodiscard]] bool text() const noexcept override { return file_.format == Format::kCsv; }

  Result<std::optional<Table>> next() override {
    try {
      reading_.restart();
      HEDDLE_ASSIGN_OR_RETURN(const bool more, read_on(file_, batches_, reading_));
      if (!more) return std::optional<Table>{};
      HEDDLE_ASSIGN_OR_RETURN(auto table, reading_.finish());
      return std::optional<Table>(std::move(table));
    } catch (const std::exception& exception) {
      return unreadable(file_.path, file_.format, exception.what());
    }
  }

 private:
  File file_;
  Reading reading_;
  Batches batches_;
  std::vector<std::string> left_out_;
};

#undef ARROW_OR_CORRUPT

/// Arrow throws on some damaged files.
template <class F>
auto guarded(const std::string& path, const F& act) -> decltype(act()) {
  try {
    return act();
  } catch (const std::exception& exception) {
    return unreadable(path, path.ends_with(".csv") ? Format::kCsv : Format::kParquet,
                      exception.what());
  }
}

}  // namespace

Result<std::unique_ptr<TableReader>> TableReader::open(const std::string& path,
                                                       const ReadOptions& options) {
  HEDDLE_ASSIGN_OR_RETURN(const Format format, format_of(path));
  if (format == Format::kJson) return open_json_lines(path, options);
  return guarded(path, [&]() -> Result<std::unique_ptr<TableReader>> {
    HEDDLE_ASSIGN_OR_RETURN(auto file, open_file(path, false));
    HEDDLE_ASSIGN_OR_RETURN(auto reading, Reading::open(file, options));
    HEDDLE_TRY(mend_dictionaries(file, reading, false));
    HEDDLE_ASSIGN_OR_RETURN(auto batches, batches_of(file, reading, options));
    return std::unique_ptr<TableReader>(
        std::make_unique<Stream>(std::move(file), std::move(reading), std::move(batches), options));
  });
}

Result<Table> read_table(const std::string& path, const ReadOptions& options) {
  HEDDLE_ASSIGN_OR_RETURN(const Format format, format_of(path));
  if (format == Format::kJson) return read_json_lines(path, options);
  return guarded(path, [&]() -> Result<Table> {
    HEDDLE_ASSIGN_OR_RETURN(auto file, open_file(path, true));
    HEDDLE_ASSIGN_OR_RETURN(auto reading, Reading::open(file, options));
    HEDDLE_TRY(mend_dictionaries(file, reading, true));
    HEDDLE_ASSIGN_OR_RETURN(auto batches, batches_of(file, reading, options));
    for (bool more = true; more;) {
      HEDDLE_ASSIGN_OR_RETURN(more, read_on(file, batches, reading));
    }
    return reading.finish();
  });
}

Result<std::vector<ColumnInfo>> read_schema(const std::string& path) {
  HEDDLE_ASSIGN_OR_RETURN(const Format format, format_of(path));
  if (format == Format::kJson) return schema_of_json_lines(path);
  return guarded(path, [&]() -> Result<std::vector<ColumnInfo>> {
    HEDDLE_ASSIGN_OR_RETURN(const auto file, open_file(path, false));
    std::vector<ColumnInfo> out;
    for (std::size_t i = 0; i < file.names.size(); ++i)
      out.push_back({file.names[i], target_in(file, i, {}).type});
    return out;
  });
}

}  // namespace heddle::table
