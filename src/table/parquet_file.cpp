#include <algorithm>
#include <cstring>
#include <unordered_set>

#include <arrow/extension/uuid.h>
#include <arrow/io/file.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/column_page.h>
#include <parquet/column_reader.h>
#include <parquet/statistics.h>

#include "table/batch_file.hpp"

namespace heddle::table {
namespace {

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
Result<std::unique_ptr<parquet::arrow::FileReader>> open_parquet_reader(
    const std::string& path, bool whole, const std::vector<int>& without_dictionary = {}) {
  auto file = arrow::io::ReadableFile::Open(path);
  if (!file.ok()) return unreadable(path, Format::kParquet, file.status().message());
  parquet::arrow::FileReaderBuilder builder;
  auto buffers = parquet::default_reader_properties();
  if (!whole) {
    buffers.enable_buffered_stream();
    buffers.set_buffer_size(1 << 20);
  }
  if (const auto status = builder.Open(*file, buffers); !status.ok())
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
Result<void> check_int96(parquet::arrow::FileReader& file, const std::string& path, int leaf,
                         const std::string& name) {
  constexpr std::uint32_t kEpochDay = 2440588;  // the Julian day of 1970-01-01
  constexpr std::uint32_t kFirst = kEpochDay - 719162, kEnd = kEpochDay + 2932897;
  constexpr std::uint64_t kDayNanos = 86'400'000'000'000;
  auto* reader = file.parquet_reader();
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
                                 name, path, row + 1),
                     "write the column as a timestamp in microseconds, and clip it at the source"};
      }
    }
  }
  return {};
}

class ParquetFile final : public BatchFile {
 public:
  explicit ParquetFile(std::string path) : BatchFile(std::move(path), Format::kParquet) {}

  Result<void> open(bool whole) {
    HEDDLE_ASSIGN_OR_RETURN(parquet_, open_parquet_reader(path_, whole));
    std::shared_ptr<arrow::Schema> schema;
    if (const auto status = parquet_->GetSchema(&schema); !status.ok())
      return unreadable(path_, format_, status.message());
    for (int i = 0; i < schema->num_fields(); ++i) {
      names_.push_back(schema->field(i)->name());
      types_.push_back(type_of(*schema->field(i), leaf_of(i)));
    }
    return {};
  }

  Result<void> begin(const Wanted& wanted) override {
    HEDDLE_TRY(mend_dictionaries(wanted));
    const auto metadata = parquet_->parquet_reader()->metadata();
    std::vector<int> leaves;
    for (const int field : wanted.fields) {
      leaves.push_back(leaf_of(field));
      if (metadata->schema()->Column(leaves.back())->physical_type() != parquet::Type::INT96)
        continue;
      HEDDLE_TRY(
          check_int96(*parquet_, path_, leaves.back(), names_[static_cast<std::size_t>(field)]));
    }
    std::vector<int> sorted = leaves;
    std::sort(sorted.begin(), sorted.end());
    sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
    // Batches keep the file's order.
    for (const int leaf : leaves)
      place_.push_back(
          static_cast<int>(std::find(sorted.begin(), sorted.end(), leaf) - sorted.begin()));
    std::vector<int> groups;
    for (int group = 0; group < metadata->num_row_groups(); ++group) {
      const bool is_wanted =
          wanted.time_field < 0 ||
          may_hold(*metadata->RowGroup(group), leaf_of(wanted.time_field),
                   *types_[static_cast<std::size_t>(wanted.time_field)], *wanted.options);
      if (is_wanted) groups.push_back(group);
    }
    knows_rows_ = static_cast<int>(groups.size()) == metadata->num_row_groups();
    auto reader = parquet_->GetRecordBatchReader(groups, sorted);
    if (!reader.ok()) return unreadable(path_, format_, reader.status().message());
    reader_ = std::move(*reader);
    return {};
  }

  Result<std::shared_ptr<arrow::RecordBatch>> next() override {
    std::shared_ptr<arrow::RecordBatch> batch;
    if (const auto status = reader_->ReadNext(&batch); !status.ok())
      return unreadable(path_, format_, status.message());
    return batch;
  }
  [[nodiscard]] bool knows_rows() const noexcept override { return knows_rows_; }

 private:
  [[nodiscard]] int leaf_of(int field) const {
    return parquet_->manifest().schema_fields[static_cast<std::size_t>(field)].column_index;
  }

  /// What Arrow calls bytes and Parquet does not: the name of an enumerated value, as writers of
  /// Avro and Protobuf put it, and a UUID.
  [[nodiscard]] std::shared_ptr<arrow::DataType> type_of(const arrow::Field& field,
                                                         int leaf) const {
    if (leaf < 0) return field.type();
    const auto logical =
        parquet_->parquet_reader()->metadata()->schema()->Column(leaf)->logical_type();
    if (logical->is_enum() && field.type()->id() == arrow::Type::BINARY) return arrow::utf8();
    return logical->is_UUID() ? arrow::extension::uuid() : field.type();
  }

  /// Opens the file again when a column of it is not read right as a dictionary.
  Result<void> mend_dictionaries(const Wanted& wanted) {
    auto properties = parquet::default_reader_properties();
    properties.enable_buffered_stream();  // a page at a time: the first one is all that is wanted
    std::unique_ptr<parquet::ParquetFileReader> pages;
    std::vector<int> wrong;
    for (const int field : wanted.fields) {
      const int leaf = leaf_of(field);
      if (leaf < 0 || !parquet_->properties().read_dictionary(leaf)) continue;
      if (!pages) pages = parquet::ParquetFileReader::OpenFile(path_, false, properties);
      if (repeats_in_dictionary(*pages, leaf)) wrong.push_back(leaf);
    }
    if (wrong.empty()) return {};
    HEDDLE_ASSIGN_OR_RETURN(parquet_, open_parquet_reader(path_, wanted.whole, wrong));
    return {};
  }

  bool knows_rows_ = true;
  std::unique_ptr<parquet::arrow::FileReader> parquet_{};  ///< outlives what it gives
  std::shared_ptr<arrow::RecordBatchReader> reader_{};
};

}  // namespace

Result<std::unique_ptr<BatchFile>> open_parquet(const std::string& path, bool whole) {
  auto file = std::make_unique<ParquetFile>(path);
  HEDDLE_TRY(file->open(whole));
  return std::unique_ptr<BatchFile>(std::move(file));
}

}  // namespace heddle::table
