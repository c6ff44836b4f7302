#include "replay/wire.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <simdjson.h>

#include "replay/replayer.hpp"

namespace heddle::replay {

void write_predict(const Recording& recording, const Batch& batch, std::string_view run,
                   std::string_view source, std::string& out) {
  out.clear();
  fmt::format_to(std::back_inserter(out), "{{\"request_id\":\"{}\",\"event_time\":\"{}\"",
                 request_id(run, batch.request), format_time(batch.event_time));
  if (!source.empty()) fmt::format_to(std::back_inserter(out), ",\"source\":\"{}\"", source);
  out.append(",\"rows\":[");
  for (std::size_t i = 0; i < batch.rows.size(); ++i) {
    if (i > 0) out.push_back(',');
    recording.append_json(batch.rows[i], out);
  }
  out.append("]}");
}

void write_labels(std::span<const DueLabel> labels, std::string_view run, std::string& out) {
  out = "{\"labels\":[";
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const DueLabel& label = labels[i];
    fmt::format_to(std::back_inserter(out), "{}{{\"row_id\":\"{}#{}\",\"label\":", i > 0 ? "," : "",
                   request_id(run, label.request), label.index);
    append_label(label.label, out);
    fmt::format_to(std::back_inserter(out), ",\"event_time\":\"{}\"}}",
                   format_time(label.event_time));
  }
  out.append("]}");
}

void write_tick(Micros event_time, std::string& out) {
  out.clear();
  fmt::format_to(std::back_inserter(out), "{{\"event_time\":\"{}\"}}", format_time(event_time));
}

Error read_error(int status, std::string_view body) {
  simdjson::dom::parser dom;
  simdjson::dom::element root;
  std::string_view id = "replay-refused";
  std::string_view message;
  std::string_view hint;
  if (dom.parse(body.data(), body.size()).get(root) == simdjson::SUCCESS) {
    if (root["id"].get(id) != simdjson::SUCCESS) id = "replay-refused";
    if (root["error"].get(message) != simdjson::SUCCESS) message = {};
    if (root["hint"].get(hint) != simdjson::SUCCESS) hint = {};
  }
  ErrorKind kind = ErrorKind::kInvalid;
  for (int i = 0; i <= static_cast<int>(ErrorKind::kInternal); ++i) {
    if (error_kind_info(static_cast<ErrorKind>(i)).http_status != status) continue;
    kind = static_cast<ErrorKind>(i);
    break;
  }
  return {
      kind, std::string(id),
      message.empty() ? fmt::format("the service answered with {}", status) : std::string(message),
      std::string(hint)};
}

std::int64_t read_refused(std::string_view body) {
  simdjson::dom::parser dom;
  simdjson::dom::element root;
  std::int64_t refused = 0;
  if (dom.parse(body.data(), body.size()).get(root) != simdjson::SUCCESS ||
      root["refused"].get(refused) != simdjson::SUCCESS)
    return 0;
  return refused;
}

namespace {

/// The one number of a row's prediction; NaN: it has none.
float prediction_of(const simdjson::dom::element& row) {
  double number = 0;
  for (const char* name : {"probability", "value"}) {
    if (row[name].get(number) == simdjson::SUCCESS) return static_cast<float>(number);
  }
  simdjson::dom::object probabilities;
  if (row["probabilities"].get(probabilities) != simdjson::SUCCESS) return std::nanf("");
  double best = 0;
  for (const auto [name, probability] : probabilities) {
    if (probability.get(number) == simdjson::SUCCESS) best = std::max(best, number);
  }
  return static_cast<float>(best);
}

}  // namespace

struct AnswerReader::Parser {
  simdjson::dom::parser dom;
};

AnswerReader::AnswerReader() : parser_(std::make_unique<Parser>()) {}
AnswerReader::~AnswerReader() = default;

Result<const AnswerReader::Answer*> AnswerReader::read(std::string_view body, std::size_t rows) {
  const auto wrong = [&](std::string_view what) {
    return Error{ErrorKind::kCorrupt, "replay-answer",
                 fmt::format("the answer has {}: {}", what, body.substr(0, 200)),
                 "the data plane speaks another version: use the `heddle` it was started from"};
  };
  answer_.bundle = {};
  answer_.slot = {};
  answer_.predictions.clear();
  simdjson::dom::element root;
  if (parser_->dom.parse(body.data(), body.size()).get(root) != simdjson::SUCCESS)
    return wrong("no JSON");
  simdjson::dom::array predictions;
  if (root["predictions"].get(predictions) != simdjson::SUCCESS) return wrong("no `predictions`");
  // Absent when no row was served.
  if (root["bundle"].get(answer_.bundle) != simdjson::SUCCESS) answer_.bundle = {};
  if (root["slot"].get(answer_.slot) != simdjson::SUCCESS) answer_.slot = {};
  for (const simdjson::dom::element row : predictions)
    answer_.predictions.push_back(prediction_of(row));
  if (answer_.predictions.size() != rows) return wrong("another number of rows than the request");
  return &answer_;
}

}  // namespace heddle::replay
