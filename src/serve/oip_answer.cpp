#include <fmt/format.h>

#include "serve/answer.hpp"
#include "serve/output_values.hpp"

namespace heddle::serve {
namespace {

/// Writes outputs one after the other: the JSON of each into `json`, raw bytes of the binary ones
/// into `raw`.
class Outputs {
 public:
  Outputs(const Answer& answer, std::string& json) : answer_(answer), json_(json) {}

  void write(Output output, bool is_binary) {
    begin(output);
    if (is_binary) {
      const std::size_t before = raw.size();
      put_raw(answer_, output, raw);
      json_.append(",\"parameters\":{\"binary_data_size\":");
      put_integer(raw.size() - before, json_);
      json_.append("}}");
    } else {
      json_.append(",\"data\":[");
      put_json(answer_, output, json_);
      json_.append("]}");
    }
  }

  std::string raw;

 private:
  void begin(Output output) {
    json_.append(first_ ? "{\"name\":\"" : ",{\"name\":\"")
        .append(name_of(output))
        .append("\",\"datatype\":\"")
        .append(name_of(datatype_of(*answer_.task, output)))
        .append("\",\"shape\":[");
    first_ = false;
    put_integer(answer_.rows.size(), json_);
    const Dimensions more = dimensions_of(answer_, output);
    for (std::size_t i = 0; i < more.count; ++i) {
      json_.push_back(',');
      put_integer(more.each[i], json_);
    }
    json_.push_back(']');
  }

  const Answer& answer_;
  std::string& json_;
  bool first_ = true;
};

}  // namespace

void put_validation(const plane::RowView& row, std::string& out) {
  for (std::size_t i = 0; i < row.rules.size(); ++i) {
    if (i > 0) out.push_back(',');
    out.append(row.rules[i]);
  }
}

void put_repairs(const Answer& answer, std::size_t row, std::string& out) {
  if (answer.repairs.empty()) return;
  bool first = true;
  for (const std::string_view id : answer.repairs[row]) {
    if (!std::exchange(first, false)) out.push_back(',');
    out.append(id);
  }
}

void write_oip(const Answer& answer, const OutputSpecs& wanted, net::Response& out) {
  const AnsweredBy& by = answer.by;
  out.status = status_of(answer.rows);
  std::string& body = out.body;
  // Clients look for `error` in JSON when the status is not 200: then nothing is binary.
  const bool is_served = out.status == 200;
  if (is_served) {
    body.push_back('{');
  } else {
    body.append(out.status == 422 ? R"({"error":"every row was refused, `validation` says why",)"
                                  : R"({"error":"the model gave no answer, try again",)");
  }
  body.append("\"model_name\":\"").append(by.model);
  body.append("\",\"model_version\":\"").append(by.bundle);
  body.append("\",\"id\":\"").append(by.request_id);
  body.append("\",\"parameters\":{\"bundle\":\"").append(by.bundle);
  body.append("\",\"slot\":\"").append(by.slot);
  body.append("\",\"route_version\":");
  put_integer(by.route_version, body);
  body.append("},\"outputs\":[");
  Outputs outputs(answer, body);
  for_each_output(answer, wanted, [&](Output output) {
    outputs.write(output, is_served && wanted[output].binary);
  });
  body.append("]}");
  if (outputs.raw.empty()) return;
  out.content_type = "application/octet-stream";
  out.headers.append(fmt::format("Inference-Header-Content-Length: {}\r\n", body.size()));
  body.append(outputs.raw);
}

}  // namespace heddle::serve
