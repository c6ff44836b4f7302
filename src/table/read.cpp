#include <sys/stat.h>

#include <arrow/csv/api.h>
#include <arrow/io/file.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/statistics.h>

#include "doc/diagnostic.hpp"
#include "table/arrow_columns.hpp"
#include "table/stream.hpp"
#include "table/table.hpp"

namespace heddle::table {
namespace {

enum class Format { kParquet, kCsv };

Result<Format> format_of(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    return Error{ErrorKind::kNotFound, "table-missing", fmt::format("there is no file `{}`", path), "check the path in `sources` of heddle.yaml"};
  }
  if (!S_ISREG(info.st_mode)) {
    return Error{ErrorKind::kInvalid, "table-no-file", fmt::format("`{}` is not a file", path), "name one Parquet or CSV file"};
  }
  if (info.st_size == 0) {
    return Error{ErrorKind::kInvalid, "table-empty-file", fmt::format("`{}` is empty", path), "write it again; the writer may have been cut off"};
  }
  if (path.ends_with(".parquet") || path.ends_with(".pq")) return Format::kParquet;
  if (path.ends_with(".csv")) return Format::kCsv;
  return Error{ErrorKind::kInvalid, "table-extension", fmt::format("`{}` has an extension that says neither Parquet nor CSV", path),
               "rename it to end in `.parquet` or `.csv`"};
}

Error unreadable(const std::string& path, Format format, const std::string& why) {
  return Error{ErrorKind::kCorrupt, "table-unreadable",
               fmt::format("`{}` is not readable {}: {}", path, format == Format::kParquet ? "Parquet" : "CSV", why.substr(0, 400)),
               "copy the file again from where it came, or write it anew"};
}

Error no_such_column(const std::string& path, const std::string& name, const std::vector<std::string>& names) {
  const std::string near = doc::nearest(name, names);
  return Error{ErrorKind::kNotFound, "table-no-column", fmt::format("`{}` has no column `{}`", path, name),
               near.empty() ? fmt::format("there are `{}`", fmt::join(names, "`, `"))
                            : fmt::format("did you mean `{}`? there are `{}`", near, fmt::join(names, "`, `"))};
}

#define ARROW_OR_CORRUPT(decl, expr, path, format)                              \
  auto HEDDLE_CONCAT(arrow_result_, __LINE__) = (expr);                         \
  if (!HEDDLE_CONCAT(arrow_result_, __LINE__).ok()) {                           \
    return unreadable(path, format, HEDDLE_CONCAT(arrow_result_, __LINE__).status().message()); \
  }                                                                             \
  decl = std::move(HEDDLE_CONCAT(arrow_result_, __LINE__)).ValueUnsafe()

/// Which columns are read, in the order asked for, and how each batch is filtered by time.
class Reading {
 public:
  static Result<Reading> open(const std::string& path, const ReadOptions& options, const arrow::Schema& schema) {
    Reading out;
    out.options_ = options;
    out.path_ = path;
    std::vector<std::string> names;
    for (const auto& field : schema.fields()) names.push_back(field->name());
    std::vector<std::string> wanted = options.columns.empty() ? names : options.columns;
    if (!options.time_column.empty() && std::find(wanted.begin(), wanted.end(), options.time_column) == wanted.end()) {
      wanted.push_back(options.time_column);
      out.drop_time_ = true;
    }
    for (const std::string& name : wanted) {
      const auto at = std::find(names.begin(), names.end(), name);
      if (at == names.end()) return no_such_column(path, name, names);
      const auto index = static_cast<int>(at - names.begin());
      const auto& type = *schema.field(index)->type();
      const Type read_as = type_of(type);
      if (read_as == Type::kDyn) {
        return Error{ErrorKind::kInvalid, "table-type", fmt::format("column `{}` of `{}` has type {}, which is not read", name, path, type.ToString()),
                     "leave the column out, or write it as a number, string, boolean or timestamp"};
      }
      if (name == options.time_column) {
        if (read_as != Type::kTimestamp) {
          return Error{ErrorKind::kInvalid, "table-time-type", fmt::format("column `{}` of `{}` has type {}, not a timestamp", name, path, type.ToString()),
                       "name the column that holds when each row happened"};
        }
        out.time_ = out.fields_.size();
      }
      out.fields_.push_back(index);
      out.readers_.emplace_back(name, read_as);
      out.names_.push_back(name);
    }
    return out;
  }

  [[nodiscard]] const std::vector<int>& fields() const { return fields_; }  ///< indexes into the schema
  [[nodiscard]] bool filters() const { return !options_.time_column.empty(); }
  [[nodiscard]] int time_field() const { return fields_[time_]; }

  /// `array(i)` gives the batch's array of `fields()[i]`.
  template <class F>
  Result<void> append(std::int64_t rows, const F& array) {
    bool all = true;
    chosen_.clear();
    if (filters()) {
      ColumnReader reader("", Type::kTimestamp);
      HEDDLE_TRY(reader.append(array(time_), {}, true));
      const Column time = reader.finish();
      for (std::int64_t row = 0; row < rows; ++row) {
        const auto i = static_cast<std::size_t>(row);
        if (!time.valid.empty() && time.valid[i] == 0) continue;
        if (time.ints[i] >= options_.time_from && time.ints[i] < options_.time_to) chosen_.push_back(row);
      }
      all = static_cast<std::int64_t>(chosen_.size()) == rows;
      if (chosen_.empty()) return {};
    }
    for (std::size_t i = 0; i < readers_.size(); ++i) {
      if (drop_time_ && i == time_) continue;
      HEDDLE_TRY(readers_[i].append(array(i), chosen_, all));
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
  ReadOptions options_;
  std::string path_;
  std::vector<int> fields_;
  std::vector<std::string> names_;
  std::vector<ColumnReader> readers_;
  std::vector<std::int64_t> chosen_;
  std::size_t time_ = 0;
  bool drop_time_ = false;
};

/// `whole`: every row will be wanted at once, so column chunks are read ahead; else a bounded buffer a column.
Result<std::unique_ptr<parquet::arrow::FileReader>> open_parquet(const std::string& path, bool whole = true) {
  ARROW_OR_CORRUPT(auto file, arrow::io::ReadableFile::Open(path), path, Format::kParquet);
  parquet::arrow::FileReaderBuilder builder;
  auto buffers = parquet::default_reader_properties();
  if (!whole) {
    buffers.enable_buffered_stream();
    buffers.set_buffer_size(1 << 20);
  }
  if (const auto status = builder.Open(std::move(file), buffers); !status.ok()) return unreadable(path, Format::kParquet, status.message());
  parquet::ArrowReaderProperties properties(/*use_threads=*/whole);
  if (!whole) properties.set_pre_buffer(false);
  properties.set_batch_size(1 << 17);
  const auto* schema = builder.raw_reader()->metadata()->schema();
  for (int i = 0; i < schema->num_columns(); ++i) {
    const auto* column = schema->Column(i);
    if (column->physical_type() == parquet::Type::BYTE_ARRAY && column->logical_type()->is_string()) properties.set_read_dictionary(i, true);
  }
  builder.properties(properties);
  std::unique_ptr<parquet::arrow::FileReader> reader;
  if (const auto status = builder.Build(&reader); !status.ok()) return unreadable(path, Format::kParquet, status.message());
  return reader;
}

/// False when the row group's statistics show that no row is within the times asked for.
bool may_hold(const parquet::RowGroupMetaData& group, int leaf, const arrow::DataType& type, const ReadOptions& options) {
  if (type.id() != arrow::Type::TIMESTAMP || static_cast<const arrow::TimestampType&>(type).unit() != arrow::TimeUnit::MICRO) return true;
  const auto statistics = group.ColumnChunk(leaf)->statistics();
  if (statistics == nullptr || !statistics->HasMinMax() || statistics->physical_type() != parquet::Type::INT64) return true;
  const auto& typed = static_cast<const parquet::Int64Statistics&>(*statistics);
  return typed.max() >= options.time_from && typed.min() < options.time_to;
}

Result<Table> read_parquet(const std::string& path, const ReadOptions& options) {
  HEDDLE_ASSIGN_OR_RETURN(const auto reader, open_parquet(path));
  std::shared_ptr<arrow::Schema> schema;
  if (const auto status = reader->GetSchema(&schema); !status.ok()) return unreadable(path, Format::kParquet, status.message());
  HEDDLE_ASSIGN_OR_RETURN(auto reading, Reading::open(path, options, *schema));
  const auto leaf_of = [&](int field) { return reader->manifest().schema_fields[static_cast<std::size_t>(field)].column_index; };
  std::vector<int> leaves;
  for (const int field : reading.fields()) leaves.push_back(leaf_of(field));
  std::vector<int> sorted = leaves;
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  std::vector<int> place;  // of each field in a batch: batches keep the file's order
  for (const int leaf : leaves) place.push_back(static_cast<int>(std::find(sorted.begin(), sorted.end(), leaf) - sorted.begin()));
  const auto metadata = reader->parquet_reader()->metadata();
  std::vector<int> groups;
  for (int group = 0; group < metadata->num_row_groups(); ++group) {
    const bool wanted = !reading.filters() || may_hold(*metadata->RowGroup(group), leaf_of(reading.time_field()),
                                                       *schema->field(reading.time_field())->type(), options);
    if (wanted) groups.push_back(group);
  }
  ARROW_OR_CORRUPT(const auto batches, reader->GetRecordBatchReader(groups, sorted), path, Format::kParquet);
  for (;;) {
    std::shared_ptr<arrow::RecordBatch> batch;
    if (const auto status = batches->ReadNext(&batch); !status.ok()) return unreadable(path, Format::kParquet, status.message());
    if (batch == nullptr) break;
    HEDDLE_TRY(reading.append(batch->num_rows(), [&](std::size_t i) -> const arrow::Array& { return *batch->column(place[i]); }));
  }
  return reading.finish();
}

arrow::csv::ConvertOptions csv_options() {
  auto convert = arrow::csv::ConvertOptions::Defaults();
  convert.strings_can_be_null = true;
  convert.quoted_strings_can_be_null = false;
  convert.null_values = {"", "NULL", "null"};
  return convert;
}

Result<Table> read_csv(const std::string& path, const ReadOptions& options) {
  ARROW_OR_CORRUPT(auto file, arrow::io::ReadableFile::Open(path), path, Format::kCsv);
  ARROW_OR_CORRUPT(const auto reader,
                   arrow::csv::TableReader::Make(arrow::io::default_io_context(), file, arrow::csv::ReadOptions::Defaults(),
                                                 arrow::csv::ParseOptions::Defaults(), csv_options()),
                   path, Format::kCsv);
  ARROW_OR_CORRUPT(const auto table, reader->Read(), path, Format::kCsv);
  if (table->num_rows() == 0) {  // without values its columns have no types, and the message would be about those
    return Error{ErrorKind::kUnprocessable, "table-no-rows", fmt::format("`{}` has a header and no rows", path), "write it again with its rows"};
  }
  HEDDLE_ASSIGN_OR_RETURN(auto reading, Reading::open(path, options, *table->schema()));
  arrow::TableBatchReader batches(*table);
  for (;;) {
    std::shared_ptr<arrow::RecordBatch> batch;
    if (const auto status = batches.ReadNext(&batch); !status.ok()) return unreadable(path, Format::kCsv, status.message());
    if (batch == nullptr) break;
    HEDDLE_TRY(reading.append(batch->num_rows(), [&](std::size_t i) -> const arrow::Array& { return *batch->column(reading.fields()[i]); }));
  }
  return reading.finish();
}

Result<std::shared_ptr<arrow::Schema>> schema_of(const std::string& path, Format format) {
  std::shared_ptr<arrow::Schema> schema;
  if (format == Format::kParquet) {
    HEDDLE_ASSIGN_OR_RETURN(const auto reader, open_parquet(path));
    if (const auto status = reader->GetSchema(&schema); !status.ok()) return unreadable(path, format, status.message());
    return schema;
  }
  ARROW_OR_CORRUPT(auto file, arrow::io::ReadableFile::Open(path), path, format);
  ARROW_OR_CORRUPT(const auto reader,
                   arrow::csv::StreamingReader::Make(arrow::io::default_io_context(), file, arrow::csv::ReadOptions::Defaults(),
                                                     arrow::csv::ParseOptions::Defaults(), csv_options()),
                   path, format);
  return reader->schema();
}

/// What both streams share: a fresh `Reading` a chunk.
class Stream : public TableReader {
 public:
  Stream(std::string path, Format format, ReadOptions options) : path_(std::move(path)), format_(format), options_(std::move(options)) {}

  [[nodiscard]] const std::vector<ColumnInfo>& columns() const noexcept override { return columns_; }
  [[nodiscard]] bool text() const noexcept override { return format_ == Format::kCsv; }

  Result<std::optional<Table>> next() override {
    try {
      for (;;) {
        std::shared_ptr<arrow::RecordBatch> batch;
        if (const auto status = batches_->ReadNext(&batch); !status.ok()) return unreadable(path_, format_, status.message());
        if (batch == nullptr) return std::optional<Table>{};
        if (batch->num_rows() == 0) continue;
        HEDDLE_ASSIGN_OR_RETURN(auto reading, Reading::open(path_, options_, *schema_));
        HEDDLE_TRY(reading.append(batch->num_rows(), [&](std::size_t i) -> const arrow::Array& { return *batch->column(place_[i]); }));
        HEDDLE_ASSIGN_OR_RETURN(auto table, reading.finish());
        return std::optional<Table>(std::move(table));
      }
    } catch (const std::exception& exception) {
      return unreadable(path_, format_, exception.what());
    }
  }

 protected:
  Result<void> describe() {
    HEDDLE_ASSIGN_OR_RETURN(const auto reading, Reading::open(path_, options_, *schema_));
    for (const int field : reading.fields()) columns_.push_back({schema_->field(field)->name(), type_of(*schema_->field(field)->type())});
    return {};
  }

  std::string path_;
  Format format_;
  ReadOptions options_;
  std::shared_ptr<arrow::Schema> schema_;
  std::shared_ptr<arrow::RecordBatchReader> batches_;
  std::vector<int> place_;  ///< of each column in a batch
  std::vector<ColumnInfo> columns_;
};

class ParquetStream final : public Stream {
 public:
  using Stream::Stream;

  Result<void> open() {
    HEDDLE_ASSIGN_OR_RETURN(file_, open_parquet(path_, false));
    if (const auto status = file_->GetSchema(&schema_); !status.ok()) return unreadable(path_, format_, status.message());
    HEDDLE_TRY(describe());
    std::vector<int> leaves;
    for (const auto& column : columns_) {
      leaves.push_back(file_->manifest().schema_fields[static_cast<std::size_t>(schema_->GetFieldIndex(column.name))].column_index);
    }
    std::vector<int> sorted = leaves;
    std::sort(sorted.begin(), sorted.end());
    sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
    for (const int leaf : leaves) place_.push_back(static_cast<int>(std::find(sorted.begin(), sorted.end(), leaf) - sorted.begin()));
    std::vector<int> groups(static_cast<std::size_t>(file_->parquet_reader()->metadata()->num_row_groups()));
    for (std::size_t i = 0; i < groups.size(); ++i) groups[i] = static_cast<int>(i);
    ARROW_OR_CORRUPT(batches_, file_->GetRecordBatchReader(groups, sorted), path_, format_);
    return {};
  }

 private:
  std::unique_ptr<parquet::arrow::FileReader> file_;  ///< outlives what it gave
};

class CsvStream final : public Stream {
 public:
  using Stream::Stream;

  Result<void> open() {
    HEDDLE_ASSIGN_OR_RETURN(const auto found, schema_of(path_, format_));
    auto convert = csv_options();
    auto read = arrow::csv::ReadOptions::Defaults();
    read.block_size = 4 << 20;
    auto parse = arrow::csv::ParseOptions::Defaults();
    parse.newlines_in_values = true;
    arrow::FieldVector fields;
    for (const auto& field : found->fields()) {
      convert.column_types[field->name()] = arrow::utf8();
      fields.push_back(arrow::field(field->name(), arrow::utf8()));
    }
    schema_ = arrow::schema(std::move(fields));
    HEDDLE_TRY(describe());
    ARROW_OR_CORRUPT(auto file, arrow::io::ReadableFile::Open(path_), path_, format_);
    ARROW_OR_CORRUPT(batches_, arrow::csv::StreamingReader::Make(arrow::io::default_io_context(), file, read, parse, convert), path_, format_);
    for (const auto& column : columns_) place_.push_back(schema_->GetFieldIndex(column.name));
    return {};
  }
};

#undef ARROW_OR_CORRUPT

}  // namespace

Result<std::unique_ptr<TableReader>> TableReader::open(const std::string& path, std::vector<std::string> columns) {
  HEDDLE_ASSIGN_OR_RETURN(const Format format, format_of(path));
  ReadOptions options;
  options.columns = std::move(columns);
  try {
    if (format == Format::kParquet) {
      auto stream = std::make_unique<ParquetStream>(path, format, std::move(options));
      HEDDLE_TRY(stream->open());
      return std::unique_ptr<TableReader>(std::move(stream));
    }
    auto stream = std::make_unique<CsvStream>(path, format, std::move(options));
    HEDDLE_TRY(stream->open());
    return std::unique_ptr<TableReader>(std::move(stream));
  } catch (const std::exception& exception) {
    return unreadable(path, format, exception.what());
  }
}

Result<Table> read_table(const std::string& path, const ReadOptions& options) {
  HEDDLE_ASSIGN_OR_RETURN(const Format format, format_of(path));
  try {
    return format == Format::kParquet ? read_parquet(path, options) : read_csv(path, options);
  } catch (const std::exception& exception) {
    return unreadable(path, format, exception.what());
  }
}

Result<std::vector<ColumnInfo>> read_schema(const std::string& path) {
  HEDDLE_ASSIGN_OR_RETURN(const Format format, format_of(path));
  try {
    HEDDLE_ASSIGN_OR_RETURN(const auto schema, schema_of(path, format));
    std::vector<ColumnInfo> out;
    for (const auto& field : schema->fields()) out.push_back({field->name(), type_of(*field->type())});
    return out;
  } catch (const std::exception& exception) {
    return unreadable(path, format, exception.what());
  }
}

}  // namespace heddle::table
