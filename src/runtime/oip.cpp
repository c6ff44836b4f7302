#include "runtime/oip.hpp"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "doc/json.hpp"

namespace heddle::runtime::oip {
namespace {

using expr::Datum;
using expr::Type;

static_assert(std::endian::native == std::endian::little, "binary tensors are little-endian");
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

/// Tensors one after the other: JSON of each into `json`, raw bytes of the binary ones into `raw`.
class Inputs {
 public:
  Inputs(std::string& json, bool binary, std::size_t rows)
      : json_(json), binary_(binary), rows_(rows) {}

  void begin(std::string_view name, std::string_view datatype, std::size_t columns) {
    if (!first_) json_ += ',';
    first_ = false;
    json_ += R"({"name":)";
    json_ += doc::to_json(doc::Value(name));
    fmt::format_to(std::back_inserter(json_), R"(,"datatype":"{}","shape":[{})", datatype, rows_);
    if (columns > 0) fmt::format_to(std::back_inserter(json_), ",{}", columns);
    json_ += ']';
    begun_ = raw.size();
    first_value_ = true;
    if (!binary_) json_ += R"(,"data":[)";
  }
  void end() {
    if (binary_)
      fmt::format_to(std::back_inserter(json_), R"(,"parameters":{{"binary_data_size":{}}}}})",
                     raw.size() - begun_);
    else
      json_ += "]}";
  }

  template <class T>
  void number(T value) {
    if (binary_) {
      raw.append(reinterpret_cast<const char*>(&value), sizeof value);
      return;
    }
    comma();
    if constexpr (std::is_floating_point_v<T>) {
      if (!std::isfinite(value)) {
        json_ += "null";  // JSON has no NaN
        return;
      }
    }
    fmt::format_to(std::back_inserter(json_), "{}", value);
  }
  void boolean(bool value) {
    if (binary_) {
      raw += value ? '\1' : '\0';
      return;
    }
    comma();
    json_ += value ? "true" : "false";
  }
  void text(std::string_view value) {
    if (binary_) {
      const auto length = static_cast<std::uint32_t>(value.size());
      raw.append(reinterpret_cast<const char*>(&length), sizeof length);
      raw.append(value);
      return;
    }
    comma();
    json_ += doc::to_json(doc::Value(value));
  }

  std::string raw;

 private:
  void comma() {
    if (!first_value_) json_ += ',';
    first_value_ = false;
  }

  std::string& json_;
  bool binary_;
  std::size_t rows_;
  std::size_t begun_ = 0;
  bool first_ = true;
  bool first_value_ = true;
};

std::string_view datatype_of(Type type) {
  switch (type) {
    case Type::kBool: return "BOOL";
    case Type::kInt: return "INT64";
    case Type::kDouble: return "FP64";
    default: return "BYTES";
  }
}

void put(Inputs& out, Type type, const Datum& value) {
  const bool there = !value.is_null() && !value.is_error();
  switch (type) {
    case Type::kBool: return out.boolean(there && value.b);
    case Type::kInt: return out.number<std::int64_t>(there ? value.i : 0);
    case Type::kDouble:
      return out.number<double>(there ? value.number() : std::numeric_limits<double>::quiet_NaN());
    case Type::kString: return out.text(there ? value.str() : std::string_view{});
    default: return out.text(there ? format_time(value.i) : std::string{});
  }
}

/// One tensor a field; a field with a missing value is followed by `NAME.missing`.
void write_fields(const Shape& shape, std::span<const Rows* const> all, Inputs& out) {
  const std::size_t width = shape.fields.size();
  const auto each = [&](std::size_t column, const auto& take) {
    for (const Rows* rows : all) {
      for (std::size_t i = 0; i < rows->count(); ++i) take(rows->fields()[i * width + column]);
    }
  };
  for (std::size_t column = 0; column < width; ++column) {
    const spec::Field& field = shape.fields[column];
    bool missing = false;
    out.begin(field.name, datatype_of(field.type), 0);
    each(column, [&](const Datum& value) {
      missing = missing || value.is_null() || value.is_error();
      put(out, field.type, value);
    });
    out.end();
    if (!missing) continue;
    out.begin(field.name + ".missing", "BOOL", 0);
    each(column, [&](const Datum& value) { out.boolean(value.is_null() || value.is_error()); });
    out.end();
  }
}

Error wrong(std::string what) {
  return Error{ErrorKind::kCorrupt, "runtime-answer",
               fmt::format("the runtime's answer cannot be used: {}", what),
               "see docs/formats/runtime.md for what it has to send"};
}

/// A JSON array's numbers, nested or flat, null as NaN; false when something else is in it or it
/// holds more than `most`.
bool flatten(const doc::Value& value, std::size_t most, int depth, std::vector<double>& out) {
  if (!value.is_array() || depth > 2) return false;
  for (const doc::Value& item : value.as_array()) {
    if (item.is_array()) {
      if (!flatten(item, most, depth + 1, out)) return false;
      continue;
    }
    if (!item.is_number() && !item.is_null()) return false;
    if (out.size() == most) return false;
    out.push_back(item.is_number() ? item.as_double() : std::numeric_limits<double>::quiet_NaN());
  }
  return true;
}

std::optional<std::size_t> binary_size(const doc::Value& tensor) {
  const doc::Value* parameters = tensor.find("parameters");
  const std::int64_t size = parameters == nullptr ? -1 : parameters->int_or("binary_data_size", -1);
  if (size < 0) return std::nullopt;
  return static_cast<std::size_t>(size);
}

/// Columns of the shape [n], [n,1] or [n,2]; 0 for another.
std::size_t columns_of(const doc::Value& tensor, std::size_t rows) {
  const doc::Value* shape = tensor.find("shape");
  if (shape == nullptr || !shape->is_array() || shape->size() < 1 || shape->size() > 2) return 0;
  const auto& sizes = shape->as_array();
  if (!sizes[0].is_int() || sizes[0].as_int() != static_cast<std::int64_t>(rows)) return 0;
  if (sizes.size() == 1) return 1;
  return sizes[1].is_int() && (sizes[1].as_int() == 1 || sizes[1].as_int() == 2)
             ? static_cast<std::size_t>(sizes[1].as_int())
             : 0;
}

}  // namespace

Body write(const Shape& shape, std::span<const Rows* const> rows, std::string_view output,
           bool binary) {
  std::size_t count = 0;
  for (const Rows* each : rows) count += each->count();
  Body body;
  body.bytes = R"({"inputs":[)";
  Inputs inputs(body.bytes, binary, count);
  if (shape.inputs == Runtime::Inputs::kFeatures) {
    inputs.begin("features", "FP32", shape.features.size());
    for (const Rows* each : rows) {
      for (const float value : each->features()) inputs.number(value);
    }
    inputs.end();
  } else {
    write_fields(shape, rows, inputs);
  }
  fmt::format_to(std::back_inserter(body.bytes),
                 R"(],"outputs":[{{"name":"{}","parameters":{{"binary_data":{}}}}}]}})", output,
                 binary);
  body.json_bytes = body.bytes.size();
  body.bytes += inputs.raw;
  return body;
}

Result<std::vector<float>> read(std::string_view body, std::size_t json_bytes,
                                std::string_view output, std::size_t rows) {
  if (json_bytes > body.size()) return wrong("its JSON is longer than its body");
  auto parsed =
      doc::parse_json(body.substr(0, json_bytes), {.max_depth = 16, .max_bytes = 64 << 20});
  if (!parsed.ok()) return wrong(parsed.error().message);
  const doc::Value* outputs = parsed->find("outputs");
  if (outputs == nullptr || !outputs->is_array()) return wrong("it has no `outputs`");
  std::size_t at = json_bytes;
  for (const doc::Value& tensor : outputs->as_array()) {
    const auto size = binary_size(tensor);
    if (size.has_value() && *size > body.size() - at)
      return wrong("a tensor is longer than the body");
    const std::string_view raw = body.substr(at, size.value_or(0));
    at += raw.size();
    if (tensor.string_or("name") != output) continue;
    const std::size_t columns = columns_of(tensor, rows);
    if (columns == 0)
      return wrong(fmt::format("`{}` has another shape than [{}], [{},1] or [{},2]", output, rows,
                               rows, rows));
    const std::string datatype = tensor.string_or("datatype");
    const std::size_t width = datatype == "FP32" ? 4 : datatype == "FP64" ? 8 : 0;
    if (width == 0)
      return wrong(fmt::format("`{}` is {}, not FP32 or FP64", output, datatype.substr(0, 20)));
    const std::size_t count = rows * columns;
    std::vector<double> values;
    if (size.has_value()) {
      if (raw.size() != count * width)
        return wrong(fmt::format("`{}` has {} bytes, its shape asks for {}", output, raw.size(),
                                 count * width));
      values.resize(count);
      for (std::size_t i = 0; i < count; ++i) {
        float narrow = 0;
        if (width == 4)
          std::memcpy(&narrow, raw.data() + 4 * i, 4), values[i] = static_cast<double>(narrow);
        else
          std::memcpy(&values[i], raw.data() + 8 * i, 8);
      }
    } else {
      const doc::Value* data = tensor.find("data");
      values.reserve(count);
      if (data == nullptr || !flatten(*data, count, 0, values) || values.size() != count)
        return wrong(fmt::format("`{}` has no {} numbers", output, count));
    }
    std::vector<float> answer(rows);
    for (std::size_t i = 0; i < rows; ++i) {
      const double value = values[i * columns + columns - 1];
      if (!std::isnan(value) && !(value >= 0 && value <= 1))
        return wrong(fmt::format("{} is no probability", value));
      answer[i] = std::isnan(value) ? kNaN : static_cast<float>(value);
    }
    return answer;
  }
  return wrong(fmt::format("it has no output `{}`", output));
}

}  // namespace heddle::runtime::oip
