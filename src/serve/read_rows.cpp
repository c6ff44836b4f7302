#include <limits>
#include <utility>

#include <fmt/format.h>
#include <simdjson.h>

#include "serve/json_parts.hpp"

namespace heddle::serve {
using json::element;
using json::invalid;
using json::to_id;
using json::to_time;
using json::too_many_rows;
using json::unknown_member;

namespace {

bool is_optional(std::string_view name) noexcept {
  return name == "request_id" || name == "event_time" || name == "source" || name == "explain";
}

}  // namespace

RequestReader::RequestReader() : parser_(std::make_unique<Parser>()) {}
RequestReader::~RequestReader() = default;

Result<const Rows*> RequestReader::read_rows(std::string_view body, const FieldNames& fields,
                                             std::size_t max_rows) {
  HEDDLE_ASSIGN_OR_RETURN(const auto root, parser_->object(body));
  rows_.clear();
  seen_.assign(fields.size(), 0);
  const std::size_t width = fields.size();
  bool has_rows = false;
  bool has_explain = false;
  for (const auto [name, value] : root) {
    if (name == "rows") {
      if (has_rows) return repeated(name);
      has_rows = true;
      simdjson::dom::array rows;
      if (value.get(rows) != simdjson::SUCCESS)
        return invalid("request-shape", "`rows` is not an array",
                       "send `\"rows\": [{field: value}]`");
      for (const element row : rows) {
        if (rows_.count == max_rows) return too_many_rows(max_rows);
        simdjson::dom::object cells;
        if (row.get(cells) != simdjson::SUCCESS) {
          return invalid("request-shape", fmt::format("row {} is not an object", rows_.count),
                         "each row is an object of field names and values");
        }
        const auto stamp = static_cast<std::uint32_t>(rows_.count + 1);
        rows_.values.resize((rows_.count + 1) * width);
        expr::Datum* out = rows_.values.data() + rows_.count * width;
        std::size_t expected = 0;
        for (const auto [field, cell] : cells) {
          const int at = fields.find(field, expected);
          if (at < 0) {  // refuses its row; the others are whole
            rows_.add_stray(rows_.count, kUnknownField, field);
            continue;
          }
          const auto index = static_cast<std::size_t>(at);
          if (seen_[index] == stamp) return repeated(field);
          seen_[index] = stamp;
          if (!parser_->to_datum(cell, out[index]))
            rows_.add_stray(rows_.count, kNotAScalar, field);
          expected = index + 1 < width ? index + 1 : 0;
        }
        ++rows_.count;
      }
    } else if (value.is_null() && is_optional(name)) {
      continue;  // as clients write a member that they do not set
    } else if (name == "request_id") {
      if (!rows_.request_id.empty()) return repeated(name);
      HEDDLE_ASSIGN_OR_RETURN(rows_.request_id, to_id(value, name));
    } else if (name == "event_time") {
      if (rows_.event_time.has_value()) return repeated(name);
      HEDDLE_ASSIGN_OR_RETURN(rows_.event_time, to_time(value));
    } else if (name == "source") {
      if (!rows_.source.empty()) return repeated(name);
      HEDDLE_ASSIGN_OR_RETURN(rows_.source, to_id(value, name));
    } else if (name == "explain") {
      if (std::exchange(has_explain, true)) return repeated(name);
      if (value.get(rows_.outputs[Output::kContributions].wanted) != simdjson::SUCCESS)
        return invalid("request-shape", "`explain` is neither true nor false", "send a boolean");
    } else {
      return unknown_member(name, "`rows`, `request_id`, `event_time`, `source`, `explain`");
    }
  }
  if (rows_.count == 0)
    return invalid("request-shape", "the request has no rows",
                   "send `\"rows\": [{field: value}]` with at least one row");
  return &rows_;
}

namespace {

/// None of null and of a string that is no text.
std::optional<stats::Label> to_label(const expr::Datum& value) {
  using Kind = expr::Datum::Kind;
  switch (value.kind) {
    case Kind::kBool: return value.b;
    case Kind::kInt: return static_cast<double>(value.i);
    case Kind::kDouble: return value.d;
    case Kind::kString: return std::string(value.str());
    default: return std::nullopt;
  }
}

}  // namespace

Result<std::span<const LabelIn>> RequestReader::read_labels(std::string_view body,
                                                            std::size_t max_labels) {
  HEDDLE_ASSIGN_OR_RETURN(const auto root, parser_->object(body));
  labels_.clear();
  bool has_labels = false;
  for (const auto [name, value] : root) {
    if (name != "labels") return unknown_member(name, "`labels`");
    if (has_labels) return repeated(name);
    has_labels = true;
    simdjson::dom::array items;
    if (value.get(items) != simdjson::SUCCESS)
      return invalid("request-shape", "`labels` is not an array", "send an array of objects");
    for (const element item : items) {
      if (labels_.size() == max_labels) return too_many_rows(max_labels);
      simdjson::dom::object members;
      if (item.get(members) != simdjson::SUCCESS)
        return invalid("request-shape", fmt::format("label {} is not an object", labels_.size()),
                       "each has `row_id` and `label`");
      // What is wrong with one label refuses that one; a name given twice leaves the request
      // ambiguous.
      LabelIn label;
      bool has_id = false;
      bool has_value = false;
      bool has_time = false;
      const auto note = [&label](Error error) {
        if (!label.fault.has_value()) label.fault = std::move(error);
      };
      for (const auto [key, cell] : members) {
        if (key == "row_id") {
          if (std::exchange(has_id, true)) return repeated(key);
          if (const auto id = to_id(cell, key, true); id.ok()) label.row_id = *id;
        } else if (key == "label") {
          if (std::exchange(has_value, true)) return repeated(key);
          expr::Datum given;
          if (parser_->to_datum(cell, given)) label.label = to_label(given);
        } else if (key == "event_time") {
          if (std::exchange(has_time, true)) return repeated(key);
          if (cell.is_null()) continue;
          if (auto time = to_time(cell); time.ok())
            label.event_time = *time;
          else
            note(time.error());
        } else {
          note(unknown_member(key, "`row_id`, `label`, `event_time`"));
        }
      }
      labels_.push_back(std::move(label));
    }
  }
  if (!has_labels)
    return invalid("request-shape", "the request has no `labels`",
                   "send `\"labels\": [{\"row_id\", \"label\", \"event_time\"}]`");
  return std::span<const LabelIn>(labels_);
}

Result<Micros> RequestReader::read_tick(std::string_view body) {
  HEDDLE_ASSIGN_OR_RETURN(const auto root, parser_->object(body));
  std::optional<Micros> time;
  for (const auto [name, value] : root) {
    if (name != "event_time") return unknown_member(name, "`event_time`");
    if (time.has_value()) return repeated(name);
    HEDDLE_ASSIGN_OR_RETURN(time, to_time(value));
  }
  if (!time.has_value())
    return invalid("request-shape", "the request has no `event_time`", "send `\"event_time\"`");
  return *time;
}

Result<bool> RequestReader::read_index(std::string_view body) {
  if (body.empty()) return false;
  HEDDLE_ASSIGN_OR_RETURN(const auto root, parser_->object(body));
  bool ready = false;
  for (const auto [name, value] : root) {
    if (name == "ready" && value.is_null()) continue;
    if (name != "ready") return unknown_member(name, "`ready`");
    if (value.get(ready) != simdjson::SUCCESS)
      return invalid("request-shape", "`ready` is neither true nor false", "send a boolean");
  }
  return ready;
}

}  // namespace heddle::serve
