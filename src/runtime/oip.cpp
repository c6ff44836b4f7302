#include "runtime/oip.hpp"

#include <bit>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "doc/json.hpp"

namespace heddle::runtime::oip {
namespace {

using expr::Datum;
using expr::Type;

static_assert(std::endian::native == std::endian::little, "binary tensors are little-endian");

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

}  // namespace heddle::runtime::oip
