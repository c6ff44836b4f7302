#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/builder.h>
#include <arrow/io/memory.h>
#include <arrow/table.h>
#include <parquet/arrow/writer.h>

#include "base/file.hpp"
#include "table/arrow_columns.hpp"
#include "table/table.hpp"

namespace heddle::table {
namespace {

constexpr std::int64_t kGroupRows = 1 << 18;

}  // namespace

std::shared_ptr<arrow::DataType> arrow_type(Type type) {
  switch (type) {
    case Type::kBool: return arrow::boolean();
    case Type::kDouble: return arrow::float64();
    case Type::kString: return arrow::large_utf8();
    case Type::kTimestamp: return arrow::timestamp(arrow::TimeUnit::MICRO);
    default: return arrow::int64();
  }
}

namespace {

template <class Builder, class Value>
arrow::Result<std::shared_ptr<arrow::Array>> array_of(Builder builder, const Column& column,
                                                      std::int64_t begin, std::int64_t end,
                                                      const Value& value) {
  ARROW_RETURN_NOT_OK(builder.Reserve(end - begin));
  for (std::int64_t row = begin; row < end; ++row) {
    const auto i = static_cast<std::size_t>(row);
    if (!column.valid.empty() && column.valid[i] == 0) {
      ARROW_RETURN_NOT_OK(builder.AppendNull());
    } else {
      ARROW_RETURN_NOT_OK(builder.Append(value(i)));
    }
  }
  return builder.Finish();
}

arrow::Result<std::shared_ptr<arrow::Array>> strings_of(const Column& column, std::int64_t begin,
                                                        std::int64_t end) {
  arrow::LargeStringBuilder builder;
  ARROW_RETURN_NOT_OK(builder.Reserve(end - begin));
  for (std::int64_t row = begin; row < end; ++row) {
    const auto i = static_cast<std::size_t>(row);
    if (const auto text = column.malformed_text(i)) {
      ARROW_RETURN_NOT_OK(builder.Append(*text));
    } else if (!column.valid.empty() && column.valid[i] == 0) {
      ARROW_RETURN_NOT_OK(builder.AppendNull());
    } else {
      ARROW_RETURN_NOT_OK(
          builder.Append(column.dictionary->views()[static_cast<std::size_t>(column.codes[i])]));
    }
  }
  return builder.Finish();
}

}  // namespace

arrow::Result<std::shared_ptr<arrow::Array>> array_of(const Column& column, std::int64_t begin,
                                                      std::int64_t end) {
  switch (column.type) {
    case Type::kBool:
      return array_of(arrow::BooleanBuilder(), column, begin, end,
                      [&](std::size_t i) { return column.ints[i] != 0; });
    case Type::kDouble:
      return array_of(arrow::DoubleBuilder(), column, begin, end,
                      [&](std::size_t i) { return column.doubles[i]; });
    case Type::kString: return strings_of(column, begin, end);
    case Type::kTimestamp:
      return array_of(
          arrow::TimestampBuilder(arrow_type(column.type), arrow::default_memory_pool()), column,
          begin, end, [&](std::size_t i) { return column.ints[i]; });
    default:
      return array_of(arrow::Int64Builder(), column, begin, end,
                      [&](std::size_t i) { return column.ints[i]; });
  }
}

namespace {

arrow::Result<std::shared_ptr<arrow::Buffer>> encode(const Table& table) {
  arrow::FieldVector fields;
  for (const Column& column : table.columns())
    fields.push_back(arrow::field(column.name, arrow_type(column.type)));
  const auto schema = arrow::schema(fields);
  ARROW_ASSIGN_OR_RAISE(auto sink, arrow::io::BufferOutputStream::Create());
  const auto properties = parquet::WriterProperties::Builder()
                              .compression(parquet::Compression::ZSTD)
                              ->compression_level(3)
                              ->max_row_group_length(kGroupRows)
                              ->build();
  ARROW_ASSIGN_OR_RAISE(auto writer, parquet::arrow::FileWriter::Open(
                                         *schema, arrow::default_memory_pool(), sink, properties));
  for (std::int64_t begin = 0; begin < table.rows(); begin += kGroupRows) {
    const std::int64_t end = std::min(table.rows(), begin + kGroupRows);
    arrow::ArrayVector arrays;
    for (const Column& column : table.columns()) {
      ARROW_ASSIGN_OR_RAISE(auto array, array_of(column, begin, end));
      arrays.push_back(std::move(array));
    }
    ARROW_RETURN_NOT_OK(writer->WriteTable(*arrow::Table::Make(schema, arrays), kGroupRows));
  }
  ARROW_RETURN_NOT_OK(writer->Close());
  return sink->Finish();
}

}  // namespace

Result<void> write_parquet(const Table& table, const std::string& path) {
  if (table.columns().empty()) {
    return Error{ErrorKind::kInvalid, "table-no-columns",
                 fmt::format("a table without columns cannot be written to `{}`", path),
                 "give it a column"};
  }
  const auto failed = [&](const std::string& why) {
    return Error{ErrorKind::kInternal, "table-encode",
                 fmt::format("`{}` could not be encoded: {}", path, why),
                 "report this, with the types of the columns"};
  };
  try {
    const auto bytes = encode(table);
    if (!bytes.ok()) return failed(bytes.status().message());
    return write_file_atomic(path, std::string_view(reinterpret_cast<const char*>((*bytes)->data()),
                                                    static_cast<std::size_t>((*bytes)->size())));
  } catch (const std::exception& exception) {
    return failed(exception.what());
  }
}

}  // namespace heddle::table
