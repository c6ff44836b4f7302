#include <fmt/format.h>

#include "doc/protobuf.hpp"
#include "serve/grpc_api.hpp"
#include "serve/output_values.hpp"

namespace heddle::serve {
namespace {

using doc::ProtoWriter;

void put_parameter(ProtoWriter& writer, std::string_view name, std::string_view text) {
  writer.message(4, [&](ProtoWriter& entry) {
    entry.bytes(1, name);
    entry.message(2, [&](ProtoWriter& value) { value.bytes(3, text); });
  });
}

/// Values by the member of `InferTensorContents` that holds their datatype.
void put_contents(const Answer& answer, Output output, ProtoWriter& contents) {
  std::string raw;
  switch (datatype_of(*answer.task, output)) {
    case Datatype::kFp32: put_raw(answer, output, raw); return contents.bytes(6, raw);
    case Datatype::kBool:
      // A packed varint of 0 or 1 is that byte.
      put_raw(answer, output, raw);
      return contents.bytes(1, raw);
    case Datatype::kInt64:
      for (const plane::RowView& row : answer.rows)
        contents.integer(3, static_cast<std::uint64_t>(whole_label(answer, row)));
      return;
    default:
      return each_text(answer, output, [&](std::string_view text) { contents.bytes(8, text); });
  }
}

/// Why no row was served.
Error not_served(const Answer& answer) {
  if (status_of(answer.rows) == 503)
    return {ErrorKind::kUnavailable, std::string(kNoAnswer), "the model gave no answer",
            "try again"};
  std::string rules;
  put_validation(answer.rows.front(), rules);
  return {ErrorKind::kUnprocessable, "row-refused",
          fmt::format("every row was refused, the first by {}", rules), "see the contract"};
}

}  // namespace

void write_stream(const Result<void>& done, std::string_view response, std::string& out) {
  ProtoWriter writer(out);
  if (done.ok())
    writer.bytes(2, response);
  else
    writer.bytes(1, status_text(done.error()));
}

std::string status_text(const Error& error) {
  return fmt::format("{}; {} ({})", error.message, error.hint, error.id);
}

Result<void> write_grpc(const Answer& answer, const GrpcWanted& wanted, std::string& out) {
  if (status_of(answer.rows) != 200) return not_served(answer);
  ProtoWriter writer(out);
  writer.bytes(1, answer.by.model);
  writer.bytes(2, answer.by.bundle);
  writer.bytes(3, answer.by.request_id);
  put_parameter(writer, "bundle", answer.by.bundle);
  put_parameter(writer, "slot", answer.by.slot);
  writer.message(4, [&](ProtoWriter& entry) {
    entry.bytes(1, "route_version");
    entry.message(2, [&](ProtoWriter& value) { value.integer(2, answer.by.route_version); });
  });
  for_each_output(answer, wanted.outputs, [&](Output output) {
    writer.message(5, [&](ProtoWriter& tensor) {
      tensor.bytes(1, name_of(output));
      tensor.bytes(2, name_of(datatype_of(*answer.task, output)));
      tensor.integer(3, answer.rows.size());
      const Dimensions more = dimensions_of(answer, output);
      for (std::size_t i = 0; i < more.count; ++i) tensor.integer(3, more.each[i]);
      if (!wanted.raw)
        tensor.message(5, [&](ProtoWriter& contents) { put_contents(answer, output, contents); });
    });
  });
  if (!wanted.raw) return {};
  std::string raw;
  for_each_output(answer, wanted.outputs, [&](Output output) {
    raw.clear();
    put_raw(answer, output, raw);
    writer.bytes(6, raw);
  });
  return {};
}

}  // namespace heddle::serve
