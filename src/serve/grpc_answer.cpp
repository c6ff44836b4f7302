#include <limits>

#include <fmt/format.h>

#include "doc/protobuf.hpp"
#include "serve/grpc_api.hpp"

namespace heddle::serve {
namespace {

using doc::ProtoWriter;

void put_parameter(ProtoWriter& writer, std::string_view name, std::string_view text) {
  writer.message(4, [&](ProtoWriter& entry) {
    entry.bytes(1, name);
    entry.message(2, [&](ProtoWriter& value) { value.bytes(3, text); });
  });
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
  const std::size_t rows = answer.rows.size();
  std::string probabilities;
  std::string validation;
  if (wanted.probability) {
    for (const plane::RowView& row : answer.rows) {
      const float number =
          row.prediction.empty() ? std::numeric_limits<float>::quiet_NaN() : row.prediction[0];
      probabilities.append(reinterpret_cast<const char*>(&number), sizeof number);
    }
    writer.message(5, [&](ProtoWriter& output) {
      output.bytes(1, "probability");
      output.bytes(2, "FP32");
      output.integer(3, rows);
      if (!wanted.raw)
        output.message(5, [&](ProtoWriter& contents) { contents.bytes(6, probabilities); });
    });
  }
  if (wanted.validation) {
    writer.message(5, [&](ProtoWriter& output) {
      output.bytes(1, "validation");
      output.bytes(2, "BYTES");
      output.integer(3, rows);
      if (wanted.raw) return;
      output.message(5, [&](ProtoWriter& contents) {
        for (const plane::RowView& row : answer.rows) {
          validation.clear();
          put_validation(row, validation);
          contents.bytes(8, validation);
        }
      });
    });
  }
  const std::string_view contributions(reinterpret_cast<const char*>(answer.contributions.data()),
                                       answer.contributions.size_bytes());
  if (!contributions.empty()) {
    writer.message(5, [&](ProtoWriter& output) {
      output.bytes(1, "contributions");
      output.bytes(2, "FP32");
      output.integer(3, rows);
      output.integer(3, answer.contribution_names.size());
      if (!wanted.raw)
        output.message(5, [&](ProtoWriter& contents) { contents.bytes(6, contributions); });
    });
  }
  if (!wanted.raw) return {};
  if (wanted.probability) writer.bytes(6, probabilities);
  if (wanted.validation) {
    validation.clear();
    put_raw_validation(answer.rows, validation);
    writer.bytes(6, validation);
  }
  if (!contributions.empty()) writer.bytes(6, contributions);
  return {};
}

}  // namespace heddle::serve
