#include "table/arrow_columns.hpp"

#include <arrow/array.h>
#include <arrow/array/array_run_end.h>
#include <arrow/memory_pool.h>
#include <arrow/scalar.h>
#include <arrow/type.h>
#include <arrow/util/float16.h>
#include <arrow/util/utf8.h>

#include "table/cell.hpp"

namespace heddle::table {
namespace {

using expr::Datum;

/// `text` with what is not UTF-8 replaced, so that it can be shown and sent.
std::string readable(std::string_view text) {
  if (arrow::util::ValidateUTF8(text)) return std::string(text);
  std::string out;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x80)
      out.push_back(c);
    else
      out.append("\xef\xbf\xbd");
  }
  return out;
}

/// Microseconds in a unit of time, or 0 for nanoseconds, which divide.
std::int64_t micros_of(const arrow::DataType& type) {
  if (type.id() == arrow::Type::DATE32) return kDay;
  if (type.id() == arrow::Type::DATE64) return 1000;
  switch (static_cast<const arrow::TimestampType&>(type).unit()) {
    case arrow::TimeUnit::SECOND: return kSecond;
    case arrow::TimeUnit::MILLI: return 1000;
    case arrow::TimeUnit::MICRO: return 1;
    default: return 0;
  }
}

std::int64_t floor_thousand(std::int64_t value) {
  // Down, also before 1970: a time is in the microsecond that holds it.
  return value / 1000 - (value % 1000 < 0 ? 1 : 0);
}

bool is_text(arrow::Type::type id) {
  return id == arrow::Type::STRING || id == arrow::Type::LARGE_STRING ||
         id == arrow::Type::STRING_VIEW;
}

/// The column type that holds every value of an Arrow type; kDyn when there is none.
Type type_of(const arrow::DataType& type) noexcept {
  if (arrow::is_integer(type.id())) return Type::kInt;
  if (arrow::is_floating(type.id())) return Type::kDouble;
  if (is_text(type.id())) return Type::kString;
  switch (type.id()) {
    case arrow::Type::BOOL: return Type::kBool;
    case arrow::Type::TIME32:
    case arrow::Type::TIME64: return Type::kString;  // as text of ISO 8601
    case arrow::Type::DATE32:
    case arrow::Type::DATE64:
    case arrow::Type::TIMESTAMP: return Type::kTimestamp;
    default: return Type::kDyn;
  }
}

/// Extensions of Arrow that mean what their storage says: JSON is text, a boolean of eight bits a
/// small number. Others mean more.
bool is_storage(const arrow::DataType& type) {
  if (type.id() != arrow::Type::EXTENSION) return false;
  const auto name = static_cast<const arrow::ExtensionType&>(type).extension_name();
  return name == "arrow.json" || name == "arrow.bool8";
}

bool is_uuid(const arrow::DataType& type) {
  return type.id() == arrow::Type::EXTENSION &&
         static_cast<const arrow::ExtensionType&>(type).extension_name() == "arrow.uuid";
}

bool is_bytes(arrow::Type::type id) {
  return id == arrow::Type::BINARY || id == arrow::Type::LARGE_BINARY ||
         id == arrow::Type::BINARY_VIEW;
}

/// Units of a second.
std::int64_t second_of(arrow::TimeUnit::type unit) {
  switch (unit) {
    case arrow::TimeUnit::SECOND: return 1;
    case arrow::TimeUnit::MILLI: return 1'000;
    case arrow::TimeUnit::MICRO: return 1'000'000;
    default: return 1'000'000'000;
  }
}

/// A time of day as ISO 8601 has it, to the microsecond; empty when it is none.
std::string clock_text(std::int64_t value, std::int64_t second) {
  const std::int64_t seconds = value / second;
  // Arrow does not hold its values to a day; what is none is told with its number.
  if (value < 0 || seconds >= 86'400) return {};
  std::string out =
      fmt::format("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
  const std::int64_t rest = value % second;
  const std::int64_t micros = second > 1'000'000 ? rest / 1000 : rest * (1'000'000 / second);
  // Whole seconds have one text, whatever the unit of the file is.
  if (micros != 0) out += fmt::format(".{:06}", micros);
  return out;
}

/// Its text is exact; a number is what that text says, and databases without booleans keep 0 and 1
/// so. No other field can hold it.
Type decimal_target(std::optional<Type> wanted) noexcept {
  if (!wanted) return Type::kString;
  const bool number = wanted == Type::kInt || wanted == Type::kDouble || wanted == Type::kBool;
  return number ? *wanted : Type::kDyn;
}

}  // namespace

namespace {

/// A type whose values are those of another one: its target is that one's.
const arrow::DataType* inner_type(const arrow::DataType& type) {
  if (type.id() == arrow::Type::DICTIONARY)
    return static_cast<const arrow::DictionaryType&>(type).value_type().get();
  if (type.id() == arrow::Type::RUN_END_ENCODED)
    return static_cast<const arrow::RunEndEncodedType&>(type).value_type().get();
  if (is_storage(type)) return static_cast<const arrow::ExtensionType&>(type).storage_type().get();
  return nullptr;
}

/// What a column of Parquet or of Arrow is read as.
Type typed_target(const arrow::DataType& type, std::optional<Type> wanted, bool as_written) {
  const bool is_number = wanted == Type::kInt || wanted == Type::kDouble;
  if (type.id() == arrow::Type::NA) return wanted.value_or(Type::kString);  // no value: of any type
  if (arrow::is_decimal(type.id())) return decimal_target(wanted);
  // Only on request: a double of a large id is another id.
  if (type.id() == arrow::Type::UINT64 && wanted == Type::kDouble) return Type::kDouble;
  // Times are often written as text. Where columns are taken as they are written, text stays text.
  if (is_text(type.id()) && wanted == Type::kTimestamp && !as_written) return Type::kTimestamp;
  // Old writers do not say that bytes are text, and nothing says what they are else.
  if (is_bytes(type.id())) return wanted == Type::kString ? Type::kString : Type::kDyn;
  // Seconds, where a number is asked for; of no other unit could it be the same in every file.
  if (type.id() == arrow::Type::DURATION) return is_number ? *wanted : Type::kDyn;
  const bool is_clock = type.id() == arrow::Type::TIME32 || type.id() == arrow::Type::TIME64;
  if (is_clock || is_uuid(type))
    return wanted.value_or(Type::kString) == Type::kString ? Type::kString : Type::kDyn;
  return type_of(type);
}

}  // namespace

Target target_of(const arrow::DataType& type, std::optional<Type> wanted, bool csv,
                 bool as_written) noexcept {
  if (const auto* inner = inner_type(type)) return target_of(*inner, wanted, csv, as_written);
  Target out;
  // With a contract, a value that does not fit is the row's fault and refused by a rule. Without
  // one it is the file's.
  out.strict = !wanted;
  if (csv)
    out.type = wanted && !as_written ? *wanted : Type::kString;
  else
    out.type = typed_target(type, wanted, as_written);
  return out;
}

Error ColumnReader::out_of_range(std::string_view what, const Selection& rows,
                                 std::int64_t row) const {
  return {
      ErrorKind::kInvalid, "table-value-range",
      fmt::format("column `{}` holds `{}`{}, which does not fit 64 bits", column_.name,
                  what.substr(0, 80),
                  rows.first_row < 0 ? "" : fmt::format(" in row {}", rows.first_row + row + 1)),
      "write it as a string, or clip it at the source"};
}

/// `from(row, out)` puts the value of a row and says what it is; `text(row)` is what a malformed
/// one says.
template <class To, class From, class Text>
Result<void> ColumnReader::fill(const arrow::Array& array, const Selection& rows,
                                std::vector<To>& out, const From& from, const Text& text) {
  // All rows are the common case, and need no list of numbers.
  const auto n = rows.all ? static_cast<std::size_t>(array.length()) : rows.chosen.size();
  const bool nulls = array.null_count() > 0;
  const std::size_t before = out.size();
  out.resize(before + n);
  auto& valid = column_.valid;
  auto& malformed = column_.malformed;
  // Masks are made when the first value is missing: most columns of most files never have one.
  if (!valid.empty()) valid.resize(before + n, 1);
  if (!malformed.empty()) malformed.resize(before + n, 0);
  for (std::size_t i = 0; i < n; ++i) {
    const std::int64_t row = rows.all ? static_cast<std::int64_t>(i) : rows.chosen[i];
    const Cell cell = nulls && !array.IsValid(row) ? Cell::kMissing : from(row, out[before + i]);
    if (cell == Cell::kValue) continue;
    if (valid.empty()) valid.assign(before + n, 1);
    valid[before + i] = 0;
    // What lies in the slot of a null is anything in Arrow; here it is always zero, so that equal
    // columns have equal bytes.
    out[before + i] = {};
    if (cell == Cell::kMissing) continue;
    const std::string what = readable(text(row));
    // Nobody asked for a type: a value that the column cannot hold is an error of the file.
    if (target_.strict && column_.type != Type::kString) return out_of_range(what, rows, row);
    if (malformed.empty()) malformed.assign(before + n, 0);
    // Plus one: 0 says that the value is well formed.
    malformed[before + i] = static_cast<std::uint32_t>(malformed_texts_.insert(what)) + 1;
  }
  return {};
}

template <class To, class From>
Result<void> ColumnReader::fill(const arrow::Array& array, const Selection& rows,
                                std::vector<To>& out, const From& from) {
  return fill(array, rows, out, from, [&](std::int64_t row) {
    const auto scalar = array.GetScalar(row);
    return scalar.ok() ? (*scalar)->ToString() : std::string("?");
  });
}

template <class Array>
Result<void> ColumnReader::append_integers(const Array& array, const Selection& rows) {
  using Value = typename Array::value_type;
  // A contract may ask for reals of an integer column.
  if (column_.type == Type::kDouble) {
    return fill(array, rows, column_.doubles, [&](std::int64_t row, double& out) {
      out = static_cast<double>(array.Value(row));
      return Cell::kValue;
    });
  }
  return fill(array, rows, column_.ints, [&](std::int64_t row, std::int64_t& out) {
    // The upper half of the unsigned 64-bit numbers has no place in a column of integers.
    const Value value = array.Value(row);
    if (!std::in_range<std::int64_t>(value)) return Cell::kMalformed;
    out = static_cast<std::int64_t>(value);
    return Cell::kValue;
  });
}

Cell ColumnReader::string_cell(std::string_view text, std::int32_t& code) {
  code = strings_.insert(text);
  // A distinct text is looked at once, when it is met first.
  if (static_cast<std::size_t>(code) == utf8_.size())
    utf8_.push_back(arrow::util::ValidateUTF8(text) ? 1 : 0);
  return utf8_[static_cast<std::size_t>(code)] != 0 ? Cell::kValue : Cell::kMalformed;
}

/// `text(row)` is read as a value of the column's type: a string as one that a request brings, else
/// as a cell of a CSV.
template <class Text>
Result<void> ColumnReader::append_cells(const arrow::Array& array, const Selection& rows,
                                        const Text& text) {
  const bool strings = is_text(array.type_id());
  const auto read = [&](std::int64_t row, auto& out, const auto& value) {
    const auto& source = text(row);
    const Datum datum = strings ? as_type(column_.type, Datum::string(source))
                                : cell_of_text(source, column_.type, target_.decimal);
    if (datum.is_null()) return Cell::kMissing;
    if (datum.is_error()) return Cell::kMalformed;
    out = value(datum);
    return Cell::kValue;
  };
  switch (column_.type) {
    case Type::kString:
      return fill(
          array, rows, column_.codes,
          [&](std::int64_t row, std::int32_t& code) {
            const auto& source = text(row);
            return string_cell(source, code);
          },
          text);
    case Type::kDouble:
      return fill(
          array, rows, column_.doubles,
          [&](std::int64_t row, double& out) {
            return read(row, out, [](const Datum& d) { return d.d; });
          },
          text);
    default:
      return fill(
          array, rows, column_.ints,
          [&](std::int64_t row, std::int64_t& out) {
            return read(row, out, [](const Datum& d) {
              // Truths are kept among the integers, as 0 and 1.
              return d.kind == Datum::Kind::kBool ? std::int64_t{d.b} : d.i;
            });
          },
          text);
  }
}

template <class Array>
Result<void> ColumnReader::append_texts(const Array& array, const Selection& rows) {
  return append_cells(array, rows, [&](std::int64_t row) { return array.GetView(row); });
}

template <class Array>
Result<void> ColumnReader::append_decimals(const Array& array, const Selection& rows) {
  return append_cells(array, rows, [&](std::int64_t row) { return array.FormatValue(row); });
}

Result<void> ColumnReader::append_times(const arrow::Array& array, const Selection& rows) {
  const std::int64_t factor = micros_of(*array.type());
  const auto scaled = [&](const auto* values) {
    return fill(array, rows, column_.ints, [&, values](std::int64_t row, std::int64_t& out) {
      // A date of the year 300,000 is written by mistake and fits no microseconds.
      return __builtin_mul_overflow(static_cast<std::int64_t>(values[row]), factor, &out)
                 ? Cell::kMalformed
                 : Cell::kValue;
    });
  };
  // Of these types DATE32 alone is 32 bits wide.
  if (array.type_id() == arrow::Type::DATE32)
    return scaled(static_cast<const arrow::Date32Array&>(array).raw_values());
  const auto* values = array.type_id() == arrow::Type::DATE64
                           ? static_cast<const arrow::Date64Array&>(array).raw_values()
                           : static_cast<const arrow::TimestampArray&>(array).raw_values();
  // Nanoseconds cannot be multiplied into microseconds.
  if (factor != 0) return scaled(values);
  return fill(array, rows, column_.ints, [&](std::int64_t row, std::int64_t& out) {
    out = floor_thousand(values[row]);
    return Cell::kValue;
  });
}

/// `index_of(row)` says which of `values` a row has.
template <class IndexOf>
Result<void> ColumnReader::append_indexed(const arrow::Array& array, const arrow::Array& distinct,
                                          const Selection& rows, const IndexOf& index_of) {
  // Each distinct value is read once, as a row of its own column would be.
  Target target = target_;
  // A dictionary may hold values that no row has: whether one is an error is said where a row has
  // it.
  target.strict = false;
  // A reader of its own, so that words that no row uses get no code in this column.
  ColumnReader reader(column_.name, target);
  HEDDLE_TRY(reader.append(distinct, {}));
  const Column values = reader.finish();
  bool inside = true;
  // A string is inserted when it is first used: what no row says is no value of the column.
  std::vector<std::int32_t> place(column_.type == Type::kString ? values.codes.size() : 0, -1);
  const auto find = [&](std::int64_t row, const auto& put) {
    const std::int64_t at = index_of(row);
    // A damaged file: reading on would read memory that is not the dictionary's.
    if (at < 0 || at >= values.length()) {
      inside = false;
      return Cell::kMissing;
    }
    const auto i = static_cast<std::size_t>(at);
    if (values.malformed_text(i)) return Cell::kMalformed;
    if (!values.valid.empty() && values.valid[i] == 0) return Cell::kMissing;
    put(i);
    return Cell::kValue;
  };
  const auto text = [&](std::int64_t row) {
    return std::string(values.malformed_text(static_cast<std::size_t>(index_of(row))).value_or(""));
  };
  const auto strings = [&](std::int64_t row, std::int32_t& code) {
    return find(row, [&](std::size_t i) {
      if (place[i] < 0)
        (void)string_cell(values.dictionary->views()[static_cast<std::size_t>(values.codes[i])],
                          place[i]);
      code = place[i];
    });
  };
  switch (column_.type) {
    case Type::kString: HEDDLE_TRY(fill(array, rows, column_.codes, strings, text)); break;
    case Type::kDouble:
      HEDDLE_TRY(fill(
          array, rows, column_.doubles,
          [&](std::int64_t row, double& out) {
            return find(row, [&](std::size_t i) { out = values.doubles[i]; });
          },
          text));
      break;
    default:
      HEDDLE_TRY(fill(
          array, rows, column_.ints,
          [&](std::int64_t row, std::int64_t& out) {
            return find(row, [&](std::size_t i) { out = values.ints[i]; });
          },
          text));
  }
  if (inside) return {};
  return Error{ErrorKind::kCorrupt, "table-unreadable",
               fmt::format("column `{}` has a code outside its dictionary", column_.name),
               "copy the file again from where it came, or write it anew"};
}

Result<void> ColumnReader::append_dictionary(const arrow::Array& array, const Selection& rows) {
  const auto& dictionary = static_cast<const arrow::DictionaryArray&>(array);
  return append_indexed(array, *dictionary.dictionary(), rows,
                        [&](std::int64_t row) { return dictionary.GetValueIndex(row); });
}

Result<void> ColumnReader::append_runs(const arrow::Array& array, const Selection& rows) {
  const auto& runs = static_cast<const arrow::RunEndEncodedArray&>(array);
  // A slice may begin within a run: the logical ends count from its own first row.
  const auto ends = runs.LogicalRunEnds(arrow::default_memory_pool());
  if (!ends.ok()) {
    return Error{ErrorKind::kCorrupt, "table-unreadable",
                 fmt::format("column `{}`: {}", column_.name, ends.status().message()),
                 "copy the file again from where it came, or write it anew"};
  }
  std::vector<std::int64_t> index(static_cast<std::size_t>(array.length()));
  std::size_t row = 0;
  const auto expand = [&](const auto* values) {
    for (std::int64_t run = 0; run < (*ends)->length(); ++run) {
      for (; row < index.size() && static_cast<std::int64_t>(row) < values[run]; ++row)
        index[row] = run;
    }
  };
  switch ((*ends)->type_id()) {
    case arrow::Type::INT16:
      expand(static_cast<const arrow::Int16Array&>(**ends).raw_values());
      break;
    case arrow::Type::INT32:
      expand(static_cast<const arrow::Int32Array&>(**ends).raw_values());
      break;
    default: expand(static_cast<const arrow::Int64Array&>(**ends).raw_values());
  }
  return append_indexed(array, *runs.LogicalValues(), rows,
                        [&](std::int64_t at) { return index[static_cast<std::size_t>(at)]; });
}

Result<void> ColumnReader::append_clock(const arrow::Array& array, const Selection& rows) {
  const bool is_short = array.type_id() == arrow::Type::TIME32;
  const std::int64_t second =
      second_of(is_short ? static_cast<const arrow::Time32Type&>(*array.type()).unit()
                         : static_cast<const arrow::Time64Type&>(*array.type()).unit());
  return append_cells(array, rows, [&](std::int64_t row) {
    const std::int64_t value =
        is_short ? std::int64_t{static_cast<const arrow::Time32Array&>(array).Value(row)}
                 : static_cast<const arrow::Time64Array&>(array).Value(row);
    const std::string text = clock_text(value, second);
    return text.empty() ? fmt::to_string(value) : text;
  });
}

Result<void> ColumnReader::append_durations(const arrow::Array& array, const Selection& rows) {
  const auto& typed = static_cast<const arrow::DurationArray&>(array);
  const std::int64_t second =
      second_of(static_cast<const arrow::DurationType&>(*array.type()).unit());
  if (column_.type == Type::kDouble) {
    return append_reals(array, rows, [&](std::int64_t row) {
      return static_cast<double>(typed.Value(row)) / static_cast<double>(second);
    });
  }
  return fill(array, rows, column_.ints, [&](std::int64_t row, std::int64_t& out) {
    // A part of a second is not rounded away where whole ones are asked for.
    if (typed.Value(row) % second != 0) return Cell::kMalformed;
    out = typed.Value(row) / second;
    return Cell::kValue;
  });
}

Result<void> ColumnReader::append_uuids(const arrow::Array& array, const Selection& rows) {
  const auto& typed = static_cast<const arrow::FixedSizeBinaryArray&>(array);
  return append_cells(array, rows, [&](std::int64_t row) {
    std::string out;
    for (const char c : typed.GetView(row)) {
      if (out.size() == 8 || out.size() == 13 || out.size() == 18 || out.size() == 23)
        out.push_back('-');
      fmt::format_to(std::back_inserter(out), "{:02x}", static_cast<unsigned char>(c));
    }
    return out;
  });
}

template <class Value>
Result<void> ColumnReader::append_reals(const arrow::Array& array, const Selection& rows,
                                        const Value& value) {
  return fill(array, rows, column_.doubles, [&](std::int64_t row, double& out) {
    out = value(row);
    return Cell::kValue;
  });
}

Result<void> ColumnReader::append_missing(const arrow::Array& array, const Selection& rows) {
  const auto missing = [](std::int64_t, auto&) { return Cell::kMissing; };
  if (column_.type == Type::kDouble) return fill(array, rows, column_.doubles, missing);
  if (column_.type == Type::kString) return fill(array, rows, column_.codes, missing);
  return fill(array, rows, column_.ints, missing);
}

Result<void> ColumnReader::append_number(const arrow::Array& array, const Selection& rows) {
  switch (array.type_id()) {
    case arrow::Type::BOOL: {
      const auto& typed = static_cast<const arrow::BooleanArray&>(array);
      return fill(array, rows, column_.ints, [&](std::int64_t row, std::int64_t& out) {
        out = typed.Value(row) ? 1 : 0;
        return Cell::kValue;
      });
    }
    case arrow::Type::INT8:
      return append_integers(static_cast<const arrow::Int8Array&>(array), rows);
    case arrow::Type::INT16:
      return append_integers(static_cast<const arrow::Int16Array&>(array), rows);
    case arrow::Type::INT32:
      return append_integers(static_cast<const arrow::Int32Array&>(array), rows);
    case arrow::Type::INT64:
      return append_integers(static_cast<const arrow::Int64Array&>(array), rows);
    case arrow::Type::UINT8:
      return append_integers(static_cast<const arrow::UInt8Array&>(array), rows);
    case arrow::Type::UINT16:
      return append_integers(static_cast<const arrow::UInt16Array&>(array), rows);
    case arrow::Type::UINT32:
      return append_integers(static_cast<const arrow::UInt32Array&>(array), rows);
    case arrow::Type::UINT64:
      return append_integers(static_cast<const arrow::UInt64Array&>(array), rows);
    default: return append_real(array, rows);
  }
}

Result<void> ColumnReader::append_real(const arrow::Array& array, const Selection& rows) {
  switch (array.type_id()) {
    case arrow::Type::HALF_FLOAT: {
      const auto& typed = static_cast<const arrow::HalfFloatArray&>(array);
      return append_reals(array, rows, [&](std::int64_t row) {
        return arrow::util::Float16::FromBits(typed.Value(row)).ToDouble();
      });
    }
    case arrow::Type::FLOAT: {
      const auto& typed = static_cast<const arrow::FloatArray&>(array);
      return append_reals(array, rows,
                          [&](std::int64_t row) { return static_cast<double>(typed.Value(row)); });
    }
    case arrow::Type::DOUBLE: {
      const auto& typed = static_cast<const arrow::DoubleArray&>(array);
      return append_reals(array, rows, [&](std::int64_t row) { return typed.Value(row); });
    }
    default: return append_missing(array, rows);  // NA: every value is missing
  }
}

Result<void> ColumnReader::append_decimal(const arrow::Array& array, const Selection& rows) {
  switch (array.type_id()) {
    case arrow::Type::DECIMAL32:
      return append_decimals(static_cast<const arrow::Decimal32Array&>(array), rows);
    case arrow::Type::DECIMAL64:
      return append_decimals(static_cast<const arrow::Decimal64Array&>(array), rows);
    case arrow::Type::DECIMAL128:
      return append_decimals(static_cast<const arrow::Decimal128Array&>(array), rows);
    default: return append_decimals(static_cast<const arrow::Decimal256Array&>(array), rows);
  }
}

Result<void> ColumnReader::append(const arrow::Array& array, const Selection& rows) {
  if (arrow::is_decimal(array.type_id())) return append_decimal(array, rows);
  switch (array.type_id()) {
    case arrow::Type::DATE32:
    case arrow::Type::DATE64:
    case arrow::Type::TIMESTAMP: return append_times(array, rows);
    case arrow::Type::STRING:
      return append_texts(static_cast<const arrow::StringArray&>(array), rows);
    case arrow::Type::LARGE_STRING:
      return append_texts(static_cast<const arrow::LargeStringArray&>(array), rows);
    case arrow::Type::STRING_VIEW:
      return append_texts(static_cast<const arrow::StringViewArray&>(array), rows);
    case arrow::Type::BINARY:
      return append_texts(static_cast<const arrow::BinaryArray&>(array), rows);
    case arrow::Type::LARGE_BINARY:
      return append_texts(static_cast<const arrow::LargeBinaryArray&>(array), rows);
    case arrow::Type::BINARY_VIEW:
      return append_texts(static_cast<const arrow::BinaryViewArray&>(array), rows);
    case arrow::Type::FIXED_SIZE_BINARY: return append_uuids(array, rows);
    case arrow::Type::TIME32:
    case arrow::Type::TIME64: return append_clock(array, rows);
    case arrow::Type::DURATION: return append_durations(array, rows);
    case arrow::Type::DICTIONARY: return append_dictionary(array, rows);
    case arrow::Type::RUN_END_ENCODED: return append_runs(array, rows);
    case arrow::Type::EXTENSION:  // `target_of` takes those that mean what their storage says
      return append(*static_cast<const arrow::ExtensionArray&>(array).storage(), rows);
    default: return append_number(array, rows);
  }
}

Column ColumnReader::finish() {
  if (column_.type == Type::kString) {
    // A column of nulls alone still has code 0, and a code needs its text.
    if (strings_.size() == 0) strings_.insert("");
    column_.dictionary = std::make_shared<const Dictionary>(strings_.values());
  }
  if (malformed_texts_.size() > 0)
    column_.malformed_texts = std::make_shared<const Dictionary>(malformed_texts_.values());
  if (std::find(column_.valid.begin(), column_.valid.end(), 0) == column_.valid.end())
    column_.valid.clear();
  return std::move(column_);
}

}  // namespace heddle::table
