#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "serve/answer.hpp"

namespace heddle::serve {
namespace {

/// Writes outputs one after the other: the JSON of each into `json`, raw bytes of the binary ones
/// into `raw`.
class Outputs {
 public:
  Outputs(std::string& json, std::size_t rows) : json_(json), rows_(rows) {}

  void begin(std::string_view name, std::string_view datatype, std::size_t columns) {
    json_.append(first_ ? "{\"name\":\"" : ",{\"name\":\"")
        .append(name)
        .append("\",\"datatype\":\"")
        .append(datatype)
        .append("\",\"shape\":[");
    first_ = false;
    put_integer(rows_, json_);
    if (columns > 0) {
      json_.push_back(',');
      put_integer(columns, json_);
    }
    json_.push_back(']');
  }
  void json_data() { json_.append(",\"data\":["); }
  void end_json_data() { json_.append("]}"); }
  void binary(std::size_t bytes) {
    json_.append(",\"parameters\":{\"binary_data_size\":");
    put_integer(bytes, json_);
    json_.append("}}");
  }

  void floats(std::string_view name, std::size_t columns, std::span<const float> values,
              const Wanted& wanted) {
    begin(name, "FP32", columns);
    if (wanted.binary) {
      raw.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
      return binary(values.size_bytes());
    }
    json_data();
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (i > 0) json_.push_back(',');
      if (std::isfinite(values[i]))
        put_number(values[i], json_);  // JSON has no NaN
      else
        json_.append("null");
    }
    end_json_data();
  }

  std::string raw;

 private:
  std::string& json_;
  std::size_t rows_;
  bool first_ = true;
};

}  // namespace

void put_validation(const plane::RowView& row, std::string& out) {
  for (std::size_t i = 0; i < row.rules.size(); ++i) {
    if (i > 0) out.push_back(',');
    out.append(row.rules[i]);
  }
}

void put_raw_validation(std::span<const plane::RowView> rows, std::string& out) {
  for (const plane::RowView& row : rows) {
    const std::size_t at = out.size();
    out.append(4, '\0');
    put_validation(row, out);
    const auto length = static_cast<std::uint32_t>(out.size() - at - 4);
    std::memcpy(out.data() + at, &length, 4);
  }
}

void write_oip(const Answer& answer, Wanted probability, Wanted validation, Wanted contributions,
               net::Response& out) {
  const AnsweredBy& by = answer.by;
  out.status = status_of(answer.rows);
  std::string& body = out.body;
  if (out.status == 200) {
    body.push_back('{');
  } else {
    // Clients look for `error` in JSON when the status is not 200.
    probability.binary = validation.binary = contributions.binary = false;
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
  Outputs outputs(body, answer.rows.size());
  if (probability.wanted) {
    outputs.begin("probability", "FP32", 0);
    if (probability.binary) {
      for (const plane::RowView& row : answer.rows) {
        // NaN where no probability is given.
        const float number =
            row.prediction.empty() ? std::numeric_limits<float>::quiet_NaN() : row.prediction[0];
        outputs.raw.append(reinterpret_cast<const char*>(&number), sizeof number);
      }
      outputs.binary(answer.rows.size() * sizeof(float));
    } else {
      outputs.json_data();
      for (std::size_t i = 0; i < answer.rows.size(); ++i) {
        if (i > 0) body.push_back(',');
        if (answer.rows[i].outcome == plane::RowOutcome::kServed)
          put_number(answer.rows[i].prediction[0], body);
        else
          body.append("null");
      }
      outputs.end_json_data();
    }
  }
  if (validation.wanted) {
    outputs.begin("validation", "BYTES", 0);
    if (validation.binary) {
      const std::size_t before = outputs.raw.size();
      put_raw_validation(answer.rows, outputs.raw);
      outputs.binary(outputs.raw.size() - before);
    } else {
      outputs.json_data();
      for (std::size_t i = 0; i < answer.rows.size(); ++i) {
        body.append(i > 0 ? ",\"" : "\"");
        put_validation(answer.rows[i], body);
        body.push_back('"');
      }
      outputs.end_json_data();
    }
  }
  if (!answer.contributions.empty())
    outputs.floats("contributions", answer.contribution_names.size(), answer.contributions,
                   contributions);
  body.append("]}");
  if (outputs.raw.empty()) return;
  out.content_type = "application/octet-stream";
  out.headers.append(fmt::format("Inference-Header-Content-Length: {}\r\n", body.size()));
  body.append(outputs.raw);
}

}  // namespace heddle::serve
