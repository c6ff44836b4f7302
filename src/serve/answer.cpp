#include "serve/answer.hpp"

#include <cmath>

#include <fmt/format.h>

#include "doc/json.hpp"
#include "doc/json_string.hpp"
#include "serve/output_values.hpp"

namespace heddle::serve {
namespace {

/// Ids of rules and repairs are names of definitions: nothing in them needs an escape.
void put_id_list(std::span<const std::string_view> ids, std::string& out) {
  for (std::size_t i = 0; i < ids.size(); ++i) {
    out.append(i > 0 ? ",\"" : "\"").append(ids[i]).push_back('"');
  }
}

/// What each feature added to one margin. Feature names are names of definitions.
void put_features(const Answer& answer, std::span<const float> contributions, std::string& out) {
  out.push_back('{');
  for (std::size_t i = 0; i < contributions.size(); ++i) {
    out.append(i > 0 ? ",\"" : "\"").append(answer.contribution_names[i]).append("\":");
    if (std::isfinite(contributions[i]))
      put_number(contributions[i], out);  // JSON has no infinity
    else
      out.append("null");
  }
  out.push_back('}');
}

/// Of several classes those of each margin by its class.
void put_contributions(const Answer& answer, std::size_t row, std::string& out) {
  const std::size_t width = answer.contribution_names.size();
  const std::size_t outputs = answer.task->outputs();
  const auto of_row = answer.contributions.subspan(row * outputs * width, outputs * width);
  out.append(",\"contributions\":");
  if (answer.task->kind != stats::TaskKind::kClasses) return put_features(answer, of_row, out);
  for (std::size_t k = 0; k < outputs; ++k) {
    out.push_back(k > 0 ? ',' : '{');
    doc::append_json_string(answer.task->classes[k], out);
    out.push_back(':');
    put_features(answer, of_row.subspan(k * width, width), out);
  }
  out.push_back('}');
}

/// `"label": .., "probabilities": {..}`, and with an interval `"set": [..]`.
void put_classes(const Answer& answer, const plane::RowView& row, std::string& out) {
  const stats::Task& task = *answer.task;
  put_class(task, label_of(answer, row), out);
  for (std::size_t k = 0; k < task.classes.size(); ++k) {
    out.append(k > 0 ? "," : ",\"probabilities\":{");
    doc::append_json_string(task.classes[k], out);
    out.push_back(':');
    put_number(row.prediction[k], out);
  }
  out.push_back('}');
  if (answer.conformal == nullptr) return;
  out.append(",\"set\":[");
  bool first = true;
  for (std::size_t k = 0; k < task.classes.size(); ++k) {
    if (!is_in_set(answer, row, k)) continue;
    if (!std::exchange(first, false)) out.push_back(',');
    put_class(task, task.classes[k], out);
  }
  out.push_back(']');
}

/// The name that a prediction begins with, null where there is none.
std::string_view leading_member(stats::TaskKind kind) noexcept {
  switch (kind) {
    case stats::TaskKind::kBinary: return "{\"probability\":";
    case stats::TaskKind::kClasses: return "{\"label\":";
    case stats::TaskKind::kRegression: break;
  }
  return "{\"value\":";
}

/// The value of that member, and what follows from it.
void put_prediction(const Answer& answer, const plane::RowView& row, std::string& out) {
  if (answer.task->kind == stats::TaskKind::kClasses) return put_classes(answer, row, out);
  put_number(row.prediction[0], out);
  if (answer.conformal == nullptr || answer.task->kind != stats::TaskKind::kRegression) return;
  const auto bounds = interval_of(answer, row);
  out.append(",\"lower\":");
  put_number(bounds.lower, out);
  out.append(",\"upper\":");
  put_number(bounds.upper, out);
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
    // One row that was served makes an answer of the request; the others say for themselves why
    // not.
    if (row.outcome == plane::RowOutcome::kServed) return 200;
    failed = failed || row.outcome == plane::RowOutcome::kFailed;
  }
  // A row that failed may be tried again, one that was refused is refused again.
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
  const std::string_view leading = leading_member(answer.task->kind);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const plane::RowView& row = rows[i];
    if (i > 0) body.push_back(',');
    body.append(leading);
    if (row.outcome == plane::RowOutcome::kServed) {
      put_prediction(answer, row, body);
      if (!row.rules.empty()) {
        body.append(",\"warnings\":[");
        put_id_list(row.rules, body);
        body.push_back(']');
      }
      if (!answer.contributions.empty()) put_contributions(answer, i, body);
    } else {
      body.append("null,\"validation\":[");
      put_id_list(row.rules, body);
      body.push_back(']');
    }
    if (!answer.repairs.empty() && !answer.repairs[i].empty()) {
      body.append(",\"repairs\":[");
      put_id_list(answer.repairs[i], body);
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
