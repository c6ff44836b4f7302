// Bodies of the data plane's requests. The first byte picks the reader; for JSON with binary
// tensors two more say how many bytes follow the JSON. What is understood keeps to its bounds. A
// reader that read much before, a new one, and other bytes behind the body: the same body is the
// same request.
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "net/http.hpp"
#include "serve/read_grpc.hpp"
#include "serve/request.hpp"

using namespace heddle::serve;  // NOLINT(google-build-using-namespace): one program
using heddle::Error;
using heddle::ErrorKind;
using heddle::expr::Datum;

namespace {

enum Kind : unsigned { kRows, kOip, kOipBinary, kGrpc, kLabels, kTick, kIndex, kKinds };
constexpr std::size_t kMostRows = 64;

void expect(bool holds) {
  if (!holds) std::abort();
}

struct Readers {
  RequestReader json;
  GrpcReader grpc;
};

struct Body {
  Kind kind;
  std::string_view bytes;
  std::size_t json_bytes;
};

bool is_inside(std::string_view text, std::string_view body) {
  return text.empty() ||
         (text.data() >= body.data() && text.data() + text.size() <= body.data() + body.size());
}

std::string said(const Error& error) {
  expect(error.kind == ErrorKind::kInvalid || error.kind == ErrorKind::kTooLarge);
  expect(!error.id.empty() && !error.message.empty() && !error.hint.empty());
  return error.id + ": " + error.message + "; " + error.hint;
}

std::string said(const Datum& value, const Body& body) {
  switch (value.kind) {
    case Datum::Kind::kNull: return "null";
    case Datum::Kind::kError: return "no text";
    case Datum::Kind::kBool: return value.b ? "true" : "false";
    case Datum::Kind::kInt: return fmt::format("{}", value.i);
    case Datum::Kind::kDouble:
      expect(!std::isnan(value.d));
      return fmt::format("x{:x}", std::bit_cast<std::uint64_t>(value.d));
    case Datum::Kind::kString:
      expect(body.kind != kGrpc || is_inside(value.str(), body.bytes));
      return fmt::format("`{}`", value.str());
    default: std::abort();
  }
}

std::array<heddle::stats::Task, 4> tasks() {
  using heddle::stats::TaskKind;
  return {heddle::stats::Task{},
          heddle::stats::Task{.kind = TaskKind::kClasses, .classes = {"late", "early"}},
          heddle::stats::Task{
              .kind = TaskKind::kClasses, .classes = {"-1", "1"}, .whole_classes = true},
          heddle::stats::Task{.kind = TaskKind::kRegression}};
}

std::string said(const Rows& rows, const FieldNames& fields, const Body& body) {
  expect(rows.count >= 1 && rows.count <= kMostRows &&
         rows.values.size() == rows.count * fields.size());
  expect(rows.timeout_us >= 0 && rows.timeout_us <= kLongestTimeoutUs);
  for (const std::string_view id : {rows.request_id, rows.source}) expect(id.empty() || is_id(id));
  if (body.kind == kGrpc)
    expect(is_inside(rows.request_id, body.bytes) && is_inside(rows.source, body.bytes));
  std::string out = fmt::format("{} `{}` `{}` `{}` {} {}", rows.count, rows.request_id, rows.source,
                                rows.model, rows.event_time.value_or(-1), rows.timeout_us);
  for (std::size_t i = 0; i < kOutputs; ++i) {
    const OutputSpec& output = rows.outputs[static_cast<Output>(i)];
    out += fmt::format(" {:d}{:d}", output.wanted, output.binary);
  }
  for (std::size_t i = 0; i < rows.count; ++i) {
    for (const Datum& value : rows.row(i, fields.size())) out += " " + said(value, body);
  }
  return out;
}

std::string read(Readers& readers, const FieldNames& fields, const Body& body) {
  switch (body.kind) {
    case kRows: {
      const auto rows = readers.json.read_rows(body.bytes, fields, kMostRows);
      return rows.ok() ? said(**rows, fields, body) : said(rows.error());
    }
    case kOip:
    case kOipBinary: {
      const auto rows = readers.json.read_oip(body.bytes, body.json_bytes, fields, kMostRows);
      return rows.ok() ? said(**rows, fields, body) : said(rows.error());
    }
    case kGrpc: {
      const auto names = readers.grpc.read_names(body.bytes);
      const auto infer = readers.grpc.read(body.bytes, fields, kMostRows);
      if (!infer.ok()) return said(infer.error());
      expect(names.ok() && names->model == infer->model && names->version == infer->version);
      expect(is_inside(infer->model, body.bytes) && is_inside(infer->version, body.bytes));
      return fmt::format("`{}` `{}` {:d} {}", infer->model, infer->version, infer->raw,
                         said(*infer->rows, fields, body));
    }
    case kLabels: {
      const auto labels = readers.json.read_labels(body.bytes, kMostRows);
      if (!labels.ok()) return said(labels.error());
      expect(labels->size() <= kMostRows);
      std::string out;
      for (const LabelIn& label : *labels) {
        for (const heddle::stats::Task& task : tasks()) {
          if (check_label(label, task).ok())
            expect(is_id(label.row_id, true) && task.code_of(label.label.value()).ok());
        }
        const std::string value = label.label ? heddle::stats::to_string(*label.label) : "none";
        out += fmt::format("`{}` {} {}\n", label.row_id, value, label.event_time.value_or(-1));
      }
      return out;
    }
    case kTick: {
      const auto time = readers.json.read_tick(body.bytes);
      return time.ok() ? fmt::format("{}", *time) : said(time.error());
    }
    default: {
      const auto ready = readers.json.read_index(body.bytes);
      return ready.ok() ? fmt::format("{}", *ready) : said(ready.error());
    }
  }
}

/// The body in memory of its own with exactly the bytes behind it that its reader may count on.
std::string read(Readers& readers, const FieldNames& fields, Body body, char behind) {
  const std::size_t padding = body.kind == kGrpc ? 0 : heddle::net::Request::kBodyPadding;
  const std::size_t size = body.bytes.size();
  const std::unique_ptr<char[]> memory(new char[size + padding]);
  if (size > 0) std::memcpy(memory.get(), body.bytes.data(), size);
  std::memset(memory.get() + size, behind, padding);
  body.bytes = {memory.get(), size};
  return read(readers, fields, body);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using heddle::expr::Type;
  static const std::vector<heddle::spec::Field> contract = {{.name = "n", .type = Type::kInt},
                                                            {.name = "x", .type = Type::kDouble},
                                                            {.name = "s", .type = Type::kString},
                                                            {.name = "t", .type = Type::kTimestamp},
                                                            {.name = "b", .type = Type::kBool}};
  static const FieldNames fields(contract);
  static Readers old;
  if (size < 3) return 0;
  Body body{static_cast<Kind>(data[0] % kKinds),
            {reinterpret_cast<const char*>(data) + 1, size - 1},
            size - 1};
  if (body.kind == kOipBinary) {
    const std::size_t raw = data[1] + std::size_t{256} * data[2];
    body.bytes.remove_prefix(2);
    body.json_bytes = raw > body.bytes.size() ? raw : body.bytes.size() - raw;
  }
  Readers fresh;
  const std::string once = read(old, fields, body, '\0');
  expect(read(fresh, fields, body, '"') == once);
  expect(read(fresh, fields, body, '0') == once);
  return 0;
}
