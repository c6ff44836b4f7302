#include "serve/answer.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "doc/json.hpp"

namespace heddle::serve {
namespace {

void put_number(float value, std::string& out) {
  char digits[32];
  const auto end = fmt::format_to_n(digits, sizeof digits, "{}", value);
  out.append(digits, end.size);
}

void put_integer(std::uint64_t value, std::string& out) {
  const fmt::format_int digits(value);
  out.append(digits.data(), digits.size());
}

int status_of(std::span<const plane::RowView> rows) {
  const bool served = std::any_of(rows.begin(), rows.end(), [](const plane::RowView& row) { return row.outcome == plane::RowOutcome::kServed; });
  return served ? 200 : 422;
}

/// Rule ids are names of definitions: nothing in them needs an escape.
void put_rules(std::span<const std::string_view> rules, std::string& out) {
  for (std::size_t i = 0; i < rules.size(); ++i) {
    out.append(i > 0 ? ",\"" : "\"").append(rules[i]).push_back('"');
  }
}

}  // namespace

void write_predictions(const AnsweredBy& by, std::span<const plane::RowView> rows, net::Response& out) {
  out.status = status_of(rows);
  std::string& body = out.body;
  body.append("{\"request_id\":\"").append(by.request_id);
  body.append("\",\"bundle\":\"").append(by.bundle);
  body.append("\",\"slot\":\"").append(by.slot);
  body.append("\",\"route_version\":");
  put_integer(by.route_version, body);
  body.append(",\"predictions\":[");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const plane::RowView& row = rows[i];
    body.append(i > 0 ? ",{\"probability\":" : "{\"probability\":");
    if (row.outcome == plane::RowOutcome::kServed) {
      put_number(row.probability, body);
      if (!row.rules.empty()) {
        body.append(",\"warnings\":[");
        put_rules(row.rules, body);
        body.push_back(']');
      }
    } else {
      body.append("null,\"validation\":[");
      put_rules(row.rules, body);
      body.push_back(']');
    }
    body.push_back('}');
  }
  body.append("]}");
}

void write_oip(const AnsweredBy& by, std::span<const plane::RowView> rows, bool probability, bool validation, net::Response& out) {
  out.status = status_of(rows);
  std::string& body = out.body;
  body.append("{\"model_name\":\"").append(by.model);
  body.append("\",\"model_version\":\"").append(by.bundle);
  body.append("\",\"id\":\"").append(by.request_id);
  body.append("\",\"parameters\":{\"bundle\":\"").append(by.bundle);
  body.append("\",\"slot\":\"").append(by.slot);
  body.append("\",\"route_version\":");
  put_integer(by.route_version, body);
  body.append("},\"outputs\":[");
  if (probability) {
    body.append("{\"name\":\"probability\",\"datatype\":\"FP32\",\"shape\":[");
    put_integer(rows.size(), body);
    body.append("],\"data\":[");
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (i > 0) body.push_back(',');
      if (rows[i].outcome == plane::RowOutcome::kServed) put_number(rows[i].probability, body);
      else body.append("null");
    }
    body.append("]}");
  }
  if (validation) {
    body.append(probability ? ",{" : "{").append("\"name\":\"validation\",\"datatype\":\"BYTES\",\"shape\":[");
    put_integer(rows.size(), body);
    body.append("],\"data\":[");
    for (std::size_t i = 0; i < rows.size(); ++i) {
      body.append(i > 0 ? ",\"" : "\"");
      for (std::size_t k = 0; k < rows[i].rules.size(); ++k) {
        if (k > 0) body.push_back(',');
        body.append(rows[i].rules[k]);
      }
      body.push_back('"');
    }
    body.append("]}");
  }
  body.append("]}");
}

void write_error(const Error& error, net::Response& out) {
  out.status = error_kind_info(error.kind).http_status;
  out.body = doc::to_json(doc::Value::object({{"error", error.message}, {"id", error.id}, {"hint", error.hint}}));
}

}  // namespace heddle::serve
