#include "serve/tensor.hpp"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include <fmt/format.h>
#include <simdjson.h>

namespace heddle::serve {
namespace {

struct DatatypeInfo {
  std::string_view name;
  std::size_t size;
};
constexpr std::array<DatatypeInfo, 14> kDatatypes = {{{"BOOL", 1},
                                                      {"UINT8", 1},
                                                      {"UINT16", 2},
                                                      {"UINT32", 4},
                                                      {"UINT64", 8},
                                                      {"INT8", 1},
                                                      {"INT16", 2},
                                                      {"INT32", 4},
                                                      {"INT64", 8},
                                                      {"FP16", 2},
                                                      {"BF16", 2},
                                                      {"FP32", 4},
                                                      {"FP64", 8},
                                                      {"BYTES", 0}}};

static_assert(std::endian::native == std::endian::little, "tensors are little-endian");

template <class T>
T load(const char* at) noexcept {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

expr::Datum real(double value) noexcept {
  // Binary tensors have no null; clients send NaN for a missing number.
  return std::isnan(value) ? expr::Datum::null() : expr::Datum::real(value);
}

/// Past the integers of the language a double is nearest.
expr::Datum unsigned_integer(std::uint64_t value) noexcept {
  return value <= static_cast<std::uint64_t>(INT64_MAX)
             ? expr::Datum::integer(static_cast<std::int64_t>(value))
             : expr::Datum::real(static_cast<double>(value));
}

/// Whether an integer fits a numeric datatype; a real one takes any.
bool holds(Datatype datatype, std::int64_t value) noexcept {
  switch (datatype) {
    case Datatype::kUint8: return std::in_range<std::uint8_t>(value);
    case Datatype::kUint16: return std::in_range<std::uint16_t>(value);
    case Datatype::kUint32: return std::in_range<std::uint32_t>(value);
    case Datatype::kUint64: return value >= 0;
    case Datatype::kInt8: return std::in_range<std::int8_t>(value);
    case Datatype::kInt16: return std::in_range<std::int16_t>(value);
    case Datatype::kInt32: return std::in_range<std::int32_t>(value);
    case Datatype::kBool: return value == 0 || value == 1;
    case Datatype::kBytes: return false;
    default: return true;
  }
}

expr::Datum element(Datatype datatype, const char* at) noexcept {
  switch (datatype) {
    case Datatype::kBool: return expr::Datum::boolean(*at != 0);
    case Datatype::kUint8: return expr::Datum::integer(load<std::uint8_t>(at));
    case Datatype::kUint16: return expr::Datum::integer(load<std::uint16_t>(at));
    case Datatype::kUint32: return expr::Datum::integer(load<std::uint32_t>(at));
    case Datatype::kUint64: return unsigned_integer(load<std::uint64_t>(at));
    case Datatype::kInt8: return expr::Datum::integer(load<std::int8_t>(at));
    case Datatype::kInt16: return expr::Datum::integer(load<std::int16_t>(at));
    case Datatype::kInt32: return expr::Datum::integer(load<std::int32_t>(at));
    case Datatype::kInt64: return expr::Datum::integer(load<std::int64_t>(at));
    case Datatype::kFp16: return real(from_fp16(load<std::uint16_t>(at)));
    case Datatype::kBf16: return real(from_bf16(load<std::uint16_t>(at)));
    case Datatype::kFp32: return real(static_cast<double>(load<float>(at)));
    case Datatype::kFp64: return real(load<double>(at));
    case Datatype::kBytes: break;
  }
  return expr::Datum::null();
}

}  // namespace

expr::Datum bytes_element(std::string_view bytes) noexcept {
  // An error and no null: what is not text is malformed, and the contract says so of the row.
  return simdjson::validate_utf8(bytes) ? expr::Datum::string(bytes) : expr::Datum::error();
}

std::optional<Datatype> datatype_of(std::string_view name) noexcept {
  // What clients send of most fields is found at once.
  for (const Datatype usual : {Datatype::kBytes, Datatype::kInt64, Datatype::kFp64}) {
    if (name_of(usual) == name) return usual;
  }
  for (std::size_t i = 0; i < kDatatypes.size(); ++i) {
    if (kDatatypes[i].name == name) return static_cast<Datatype>(i);
  }
  return std::nullopt;
}

std::string_view name_of(Datatype datatype) noexcept {
  return kDatatypes[static_cast<std::size_t>(datatype)].name;
}
std::size_t size_of(Datatype datatype) noexcept {
  return kDatatypes[static_cast<std::size_t>(datatype)].size;
}

Datatype datatype_of(expr::Type type) noexcept {
  switch (type) {
    case expr::Type::kBool: return Datatype::kBool;
    case expr::Type::kInt: return Datatype::kInt64;
    case expr::Type::kDouble: return Datatype::kFp64;
    default: return Datatype::kBytes;
  }
}

double from_fp16(std::uint16_t bits) noexcept {
  const int exponent = (bits >> 10) & 0x1f;
  const double fraction = bits & 0x3ff;
  double value = 0;
  // Subnormal: no hidden bit (IEEE 754-2008, 3.4).
  if (exponent == 0)
    value = std::ldexp(fraction, -24);
  else if (exponent == 31)
    value = fraction == 0 ? std::numeric_limits<double>::infinity()
                          : std::numeric_limits<double>::quiet_NaN();
  else
    value = std::ldexp(1024 + fraction, exponent - 25);
  return (bits & 0x8000) != 0 ? -value : value;
}

double from_bf16(std::uint16_t bits) noexcept {
  return static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16));
}

Error TensorRows::wrong_data(std::string_view name, std::string_view what) {
  return Error{ErrorKind::kInvalid, "oip-data", fmt::format("input `{}` has {}", shown(name), what),
               "data holds one value a row, in the datatype that the input names"};
}

void TensorRows::begin(const FieldNames& fields, std::size_t max_rows, Rows& rows) {
  fields_ = &fields;
  rows_ = &rows;
  max_rows_ = max_rows;
  expected_ = 0;
  seen_.assign(fields.size(), 0);
  unknown_.clear();
  rows.clear();
}

Result<TensorRows::Input> TensorRows::input(std::string_view name, std::string_view datatype,
                                            std::span<const std::int64_t> shape) {
  const int at = fields_->find(name, expected_);
  const std::size_t column = at < 0 ? fields_->size() : static_cast<std::size_t>(at);
  if (at < 0) {
    // All are counted as wrong; a few names are enough to see what happened.
    if (unknown_.size() < kMostStray) unknown_.emplace_back(shown(name));
  } else {
    if (seen_[column] != 0) return repeated(name);
    seen_[column] = 1;
    // Clients send fields in the same order each time: the next one is looked for behind the last.
    expected_ = column + 1 < fields_->size() ? column + 1 : 0;
  }
  const auto known = datatype_of(datatype);
  if (!known.has_value()) {
    return Error{ErrorKind::kInvalid, "oip-datatype",
                 fmt::format("input `{}` is of datatype `{}`", shown(name), shown(datatype)),
                 "use BYTES, BOOL, INT8 to INT64, UINT8 to UINT64, FP16, BF16, FP32 or FP64"};
  }
  if ((shape.size() != 1 && shape.size() != 2) || shape[0] < 1 ||
      (shape.size() == 2 && shape[1] != 1)) {
    return Error{ErrorKind::kInvalid, "oip-shape",
                 fmt::format("input `{}` is not of shape [n] or [n,1]", shown(name)),
                 "send one value a row"};
  }
  const auto n = static_cast<std::uint64_t>(shape[0]);
  // Before any memory is taken for them.
  if (n > max_rows_) {
    return Error{ErrorKind::kTooLarge, "request-too-many-rows",
                 fmt::format("the request has more than {} rows", max_rows_),
                 "send them in several requests"};
  }
  // The first tensor says how many rows there are. A field that no tensor has stays null.
  if (rows_->count == 0) {
    rows_->count = static_cast<std::size_t>(n);
    rows_->values.assign(rows_->count * fields_->size(), expr::Datum::null());
  } else if (rows_->count != n) {
    return Error{
        ErrorKind::kInvalid, "oip-shape",
        fmt::format("input `{}` has {} rows, others have {}", shown(name), n, rows_->count),
        "send the same number of rows in each tensor"};
  }
  return Input{column, *known, name};
}

bool TensorRows::put(const Input& input, std::size_t row, const expr::Datum& value) noexcept {
  using Kind = expr::Datum::Kind;
  // A value of an unknown input is checked all the same, and goes nowhere.
  expr::Datum none;
  expr::Datum& out =
      input.column < fields_->size() ? rows_->values[row * fields_->size() + input.column] : none;
  out = value;
  switch (value.kind) {
    case Kind::kNull: return true;
    case Kind::kError:
    case Kind::kString: return input.datatype == Datatype::kBytes;
    case Kind::kBool: return input.datatype == Datatype::kBool;
    case Kind::kInt:
      if (input.datatype == Datatype::kBool) {
        out = expr::Datum::boolean(value.i != 0);
        return value.i == 0 || value.i == 1;
      }
      return holds(input.datatype, value.i);
    case Kind::kDouble:
      if (std::isnan(value.d)) out = expr::Datum::null();
      if (input.datatype >= Datatype::kFp16 && input.datatype <= Datatype::kFp64) return true;
      // Clients whose numbers are all doubles send 400.0 for an integer.
      if (input.datatype == Datatype::kBool || input.datatype == Datatype::kBytes ||
          std::trunc(value.d) != value.d)
        return false;
      // Past that a conversion is undefined.
      if (std::abs(value.d) < 0x1p63) {
        out = expr::Datum::integer(static_cast<std::int64_t>(value.d));
        return holds(input.datatype, out.i);
      }
      return input.datatype == Datatype::kUint64 && value.d > 0 && value.d < 0x1p64;
    default: return false;
  }
}

bool TensorRows::put_unsigned(const Input& input, std::size_t row, std::uint64_t value) noexcept {
  // Not through a double: the largest integers round to 2^64, which is none.
  if (input.column < fields_->size())
    rows_->values[row * fields_->size() + input.column] = unsigned_integer(value);
  return input.datatype == Datatype::kUint64 ||
         (input.datatype >= Datatype::kFp16 && input.datatype <= Datatype::kFp64);
}

Result<void> TensorRows::put_raw(const Input& input, std::string_view bytes) {
  const std::size_t width = fields_->size();
  const bool known = input.column < width;
  // Bytes of an unknown input are checked, so that those behind them are read at their place, and
  // not kept.
  const auto store = [&, out = rows_->values.data() + input.column](std::size_t i,
                                                                    const expr::Datum& value) {
    if (known) out[i * width] = value;
  };
  if (const std::size_t size = size_of(input.datatype); size > 0) {
    if (bytes.size() != rows_->count * size)
      return wrong_data(input.name, fmt::format("{} bytes where its shape needs {}", bytes.size(),
                                                rows_->count * size));
    for (std::size_t i = 0; i < rows_->count; ++i)
      store(i, element(input.datatype, bytes.data() + i * size));
    return {};
  }
  for (std::size_t i = 0; i < rows_->count; ++i) {
    if (bytes.size() < 4) return wrong_data(input.name, "fewer values than its shape says");
    const std::size_t length = load<std::uint32_t>(bytes.data());
    if (length > bytes.size() - 4) return wrong_data(input.name, "a value that ends past its data");
    const std::string_view text = bytes.substr(4, length);
    store(i, bytes_element(text));
    bytes.remove_prefix(4 + length);
  }
  if (!bytes.empty()) return wrong_data(input.name, "more values than its shape says");
  return {};
}

void TensorRows::finish() {
  for (std::size_t row = 0; row < rows_->count && !unknown_.empty(); ++row) {
    for (const std::string& name : unknown_) rows_->add_stray(row, kUnknownField, name);
  }
}

}  // namespace heddle::serve
