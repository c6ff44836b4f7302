#include "serve/answer.hpp"

#include <cmath>

#include <fmt/format.h>

#include "doc/json.hpp"

namespace heddle::serve {
namespace {

/// Rule ids are names of definitions: nothing in them needs an escape.
void put_rules(std::span<const std::string_view> rules, std::string& out) {
  for (std::size_t i = 0; i < rules.size(); ++i) {
    out.append(i > 0 ? ",\"" : "\"").append(rules[i]).push_back('"');
  }
}

/// Feature names are names of definitions.
void put_contributions(const Answer& answer, std::size_t row, std::string& out) {
  const std::size_t width = answer.contribution_names.size();
  out.append(",\"contributions\":{");
  for (std::size_t i = 0; i < width; ++i) {
    out.append(i > 0 ? ",\"" : "\"").append(answer.contribution_names[i]).append("\":");
    const float value = answer.contributions[row * width + i];
    if (std::isfinite(value))
      put_number(value, out);  // JSON has no infinity
    else
      out.append("null");
  }
  out.push_back('}');
}

}  // namespace

void put_number(float value, std::string& out) {
  char digits[32];
  const auto end = fmt::format_to_n(digits, sizeof digits, "{}", value);
  out.append(digits, end.size);
}

void put_integer(std::uint64_t value, std::string& out) {
  const fmt::format_int digits(value);
  out.append(digits.data(), digits.size());
}

int status_of(std::span<const plane::RowView> rows) noexcept {
  bool failed = false;
  for (const plane::RowView& row : rows) {
    if (row.outcome == plane::RowOutcome::kServed) return 200;
    failed = failed || row.outcome == plane::RowOutcome::kFailed;
  }
  return failed ? 503 : 422;
}

void write_predictions(const Answer& answer, net::Response& out) {
  const AnsweredBy& by = answer.by;
  const auto& rows = answer.rows;
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
      put_number(row.prediction[0], body);
      if (!row.rules.empty()) {
        body.append(",\"warnings\":[");
        put_rules(row.rules, body);
        body.push_back(']');
      }
      if (!answer.contributions.empty()) put_contributions(answer, i, body);
    } else {
      body.append("null,\"validation\":[");
      put_rules(row.rules, body);
      body.push_back(']');
    }
    body.push_back('}');
  }
  body.append("]}");
}

void write_error(const Error& error, net::Response& out) {
  out.status = error_kind_info(error.kind).http_status;
  out.body = doc::to_json(
      doc::Value::object({{"error", error.message}, {"id", error.id}, {"hint", error.hint}}));
}

}  // namespace heddle::serve
