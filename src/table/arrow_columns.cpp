#include "table/arrow_columns.hpp"

#include <arrow/array.h>
#include <arrow/type.h>
#include <arrow/util/float16.h>

namespace heddle::table {
namespace {

Error does_not_fit(const std::string& column) {
  return Error{ErrorKind::kInvalid, "table-value-range", fmt::format("column `{}` holds a value that does not fit 64 bits", column),
               "write it as a string, or clip it at the source"};
}

/// Microseconds a unit of time has, or 0 for nanoseconds, which divide.
std::int64_t micros_of(arrow::TimeUnit::type unit) {
  switch (unit) {
    case arrow::TimeUnit::SECOND: return kSecond;
    case arrow::TimeUnit::MILLI: return 1000;
    case arrow::TimeUnit::MICRO: return 1;
    default: return 0;
  }
}

std::int64_t floor_thousand(std::int64_t value) { return value / 1000 - (value % 1000 < 0 ? 1 : 0); }

}  // namespace

Type type_of(const arrow::DataType& type) noexcept {
  switch (type.id()) {
    case arrow::Type::BOOL: return Type::kBool;
    case arrow::Type::INT8: case arrow::Type::INT16: case arrow::Type::INT32: case arrow::Type::INT64:
    case arrow::Type::UINT8: case arrow::Type::UINT16: case arrow::Type::UINT32: case arrow::Type::UINT64: return Type::kInt;
    case arrow::Type::HALF_FLOAT: case arrow::Type::FLOAT: case arrow::Type::DOUBLE: return Type::kDouble;
    case arrow::Type::DATE32: case arrow::Type::DATE64: case arrow::Type::TIMESTAMP: return Type::kTimestamp;
    case arrow::Type::STRING: case arrow::Type::LARGE_STRING: case arrow::Type::STRING_VIEW: case arrow::Type::NA: return Type::kString;
    case arrow::Type::DICTIONARY: {
      const Type values = type_of(*static_cast<const arrow::DictionaryType&>(type).value_type());
      return values == Type::kString ? values : Type::kDyn;
    }
    default: return Type::kDyn;
  }
}

template <class To, class From>
Result<void> ColumnReader::append_values(const arrow::Array& array, std::span<const std::int64_t> chosen, bool all, std::vector<To>& out,
                                         const From& from) {
  const auto n = all ? static_cast<std::size_t>(array.length()) : chosen.size();
  const bool nulls = array.null_count() > 0;
  const std::size_t before = out.size();
  if (nulls && column_.valid.empty()) column_.valid.assign(before, 1);
  out.resize(before + n);
  if (!nulls && !column_.valid.empty()) column_.valid.resize(before + n, 1);
  for (std::size_t i = 0; i < n; ++i) {
    const std::int64_t row = all ? static_cast<std::int64_t>(i) : chosen[i];
    if (nulls) {
      const bool valid = array.IsValid(row);
      column_.valid.push_back(valid ? 1 : 0);
      if (!valid) continue;
    }
    out[before + i] = from(row);
  }
  return {};
}

template <class StringArray>
Result<void> ColumnReader::append_strings(const StringArray& array, std::span<const std::int64_t> chosen, bool all) {
  return append_values(array, chosen, all, column_.codes, [&](std::int64_t row) { return strings_.insert(array.GetView(row)); });
}

Result<void> ColumnReader::append_dictionary(const arrow::Array& array, std::span<const std::int64_t> chosen, bool all) {
  const auto& dictionary = static_cast<const arrow::DictionaryArray&>(array);
  const auto& values = *dictionary.dictionary();
  // Inserted when first used: what no row says is no value of the column.
  std::vector<std::int32_t> place(static_cast<std::size_t>(values.length()), -1);
  const auto value = [&](std::int64_t i) -> std::string_view {
    switch (values.type_id()) {
      case arrow::Type::STRING: return static_cast<const arrow::StringArray&>(values).GetView(i);
      case arrow::Type::LARGE_STRING: return static_cast<const arrow::LargeStringArray&>(values).GetView(i);
      default: return static_cast<const arrow::StringViewArray&>(values).GetView(i);
    }
  };
  bool inside = true;
  const auto code = [&](std::int64_t index) {
    if (index < 0 || index >= values.length()) {
      inside = false;
      return std::int32_t{0};
    }
    std::int32_t& at = place[static_cast<std::size_t>(index)];
    if (at < 0) at = strings_.insert(value(index));
    return at;
  };
  if (dictionary.indices()->type_id() == arrow::Type::INT32) {
    const auto* indexes = static_cast<const arrow::Int32Array&>(*dictionary.indices()).raw_values();
    HEDDLE_TRY(append_values(array, chosen, all, column_.codes, [&](std::int64_t row) { return code(indexes[row]); }));
  } else {
    HEDDLE_TRY(append_values(array, chosen, all, column_.codes, [&](std::int64_t row) { return code(dictionary.GetValueIndex(row)); }));
  }
  if (inside) return {};
  return Error{ErrorKind::kCorrupt, "table-unreadable", fmt::format("column `{}` has a code outside its dictionary", column_.name),
               "copy the file again from where it came, or write it anew"};
}

Result<void> ColumnReader::append(const arrow::Array& array, std::span<const std::int64_t> chosen, bool all) {
  const auto ints = [&](const auto& typed) {
    return append_values(array, chosen, all, column_.ints, [&](std::int64_t row) { return static_cast<std::int64_t>(typed.Value(row)); });
  };
  switch (array.type_id()) {
    case arrow::Type::BOOL: return ints(static_cast<const arrow::BooleanArray&>(array));
    case arrow::Type::INT8: return ints(static_cast<const arrow::Int8Array&>(array));
    case arrow::Type::INT16: return ints(static_cast<const arrow::Int16Array&>(array));
    case arrow::Type::INT32: return ints(static_cast<const arrow::Int32Array&>(array));
    case arrow::Type::INT64: return ints(static_cast<const arrow::Int64Array&>(array));
    case arrow::Type::UINT8: return ints(static_cast<const arrow::UInt8Array&>(array));
    case arrow::Type::UINT16: return ints(static_cast<const arrow::UInt16Array&>(array));
    case arrow::Type::UINT32: return ints(static_cast<const arrow::UInt32Array&>(array));
    case arrow::Type::UINT64: {
      const auto& typed = static_cast<const arrow::UInt64Array&>(array);
      for (std::int64_t row = 0; row < array.length(); ++row) {
        if (array.IsValid(row) && typed.Value(row) > static_cast<std::uint64_t>(INT64_MAX)) return does_not_fit(column_.name);
      }
      return ints(typed);
    }
    case arrow::Type::HALF_FLOAT: {
      const auto& typed = static_cast<const arrow::HalfFloatArray&>(array);
      return append_values(array, chosen, all, column_.doubles, [&](std::int64_t row) {
        return static_cast<double>(arrow::util::Float16::FromBits(typed.Value(row)).ToFloat());
      });
    }
    case arrow::Type::FLOAT: {
      const auto& typed = static_cast<const arrow::FloatArray&>(array);
      return append_values(array, chosen, all, column_.doubles, [&](std::int64_t row) { return static_cast<double>(typed.Value(row)); });
    }
    case arrow::Type::DOUBLE: {
      const auto& typed = static_cast<const arrow::DoubleArray&>(array);
      return append_values(array, chosen, all, column_.doubles, [&](std::int64_t row) { return typed.Value(row); });
    }
    case arrow::Type::DATE32: {
      const auto& typed = static_cast<const arrow::Date32Array&>(array);
      return append_values(array, chosen, all, column_.ints, [&](std::int64_t row) { return typed.Value(row) * kDay; });
    }
    case arrow::Type::DATE64:
    case arrow::Type::TIMESTAMP: {
      const std::int64_t factor = array.type_id() == arrow::Type::DATE64
                                      ? 1000
                                      : micros_of(static_cast<const arrow::TimestampType&>(*array.type()).unit());
      const auto* values = static_cast<const arrow::NumericArray<arrow::Int64Type>&>(static_cast<const arrow::PrimitiveArray&>(array)).raw_values();
      if (factor == 1) return append_values(array, chosen, all, column_.ints, [&](std::int64_t row) { return values[row]; });
      if (factor == 0) {
        return append_values(array, chosen, all, column_.ints, [&](std::int64_t row) { return floor_thousand(values[row]); });
      }
      bool fits = true;
      HEDDLE_TRY(append_values(array, chosen, all, column_.ints, [&](std::int64_t row) {
        std::int64_t out = 0;
        fits = fits && !__builtin_mul_overflow(values[row], factor, &out);
        return out;
      }));
      if (!fits) return does_not_fit(column_.name);
      return {};
    }
    case arrow::Type::STRING: return append_strings(static_cast<const arrow::StringArray&>(array), chosen, all);
    case arrow::Type::LARGE_STRING: return append_strings(static_cast<const arrow::LargeStringArray&>(array), chosen, all);
    case arrow::Type::STRING_VIEW: return append_strings(static_cast<const arrow::StringViewArray&>(array), chosen, all);
    case arrow::Type::DICTIONARY: return append_dictionary(array, chosen, all);
    default:  // NA: every value is missing
      return append_values(array, chosen, all, column_.codes, [](std::int64_t) { return 0; });
  }
}

Column ColumnReader::finish() {
  if (column_.type == Type::kString) {
    if (strings_.size() == 0) strings_.insert("");
    column_.dictionary = std::make_shared<const Dictionary>(strings_.values());
  }
  if (std::find(column_.valid.begin(), column_.valid.end(), 0) == column_.valid.end()) column_.valid.clear();
  return std::move(column_);
}

}  // namespace heddle::table
