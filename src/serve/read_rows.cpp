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

/// The cells of the next row, each at the place of its field. A field that the contract does not
/// have, and a value that is not a scalar, refuse their row; the others are whole.
template <class ToDatum>
Result<void> read_cells(const simdjson::dom::object& cells, const FieldNames& fields,
                        const ToDatum& to_datum, std::vector<std::uint32_t>& seen, Rows& rows) {
  const std::size_t width = fields.size();
  // Each row has a stamp of its own: what was seen need not be cleared between rows.
  const auto stamp = static_cast<std::uint32_t>(rows.count + 1);
  rows.values.resize((rows.count + 1) * width);
  expr::Datum* const out = rows.values.data() + rows.count * width;
  std::size_t expected = 0;  // clients send fields in one order: the next one is found at once
  for (const auto [field, cell] : cells) {
    const int at = fields.find(field, expected);
    if (at < 0) {
      rows.add_stray(rows.count, kUnknownField, field);
      continue;
    }
    const auto index = static_cast<std::size_t>(at);
    if (seen[index] == stamp) return repeated(field);
    seen[index] = stamp;
    if (!to_datum(cell, out[index])) rows.add_stray(rows.count, kNotAScalar, field);
    expected = index + 1 < width ? index + 1 : 0;
  }
  return {};
}

template <class ToDatum>
Result<void> read_all_rows(const element& value, const FieldNames& fields, std::size_t max_rows,
                           const ToDatum& to_datum, std::vector<std::uint32_t>& seen, Rows& rows) {
  simdjson::dom::array items;
  if (value.get(items) != simdjson::SUCCESS)
    return invalid("request-shape", "`rows` is not an array", "send `\"rows\": [{field: value}]`");
  for (const element item : items) {
    if (rows.count == max_rows) return too_many_rows(max_rows);
    simdjson::dom::object cells;
    if (item.get(cells) != simdjson::SUCCESS) {
      return invalid("request-shape", fmt::format("row {} is not an object", rows.count),
                     "each row is an object of field names and values");
    }
    HEDDLE_TRY(read_cells(cells, fields, to_datum, seen, rows));
    ++rows.count;
  }
  return {};
}

/// A member beside `rows`.
Result<void> read_beside(std::string_view name, const element& value, bool& has_explain,
                         Rows& rows) {
  if (value.is_null() && is_optional(name)) return {};  // as clients write what they do not set
  if (name == "request_id") {
    if (!rows.request_id.empty()) return repeated(name);
    HEDDLE_ASSIGN_OR_RETURN(rows.request_id, to_id(value, name));
  } else if (name == "event_time") {
    if (rows.event_time.has_value()) return repeated(name);
    HEDDLE_ASSIGN_OR_RETURN(rows.event_time, to_time(value));
  } else if (name == "source") {
    if (!rows.source.empty()) return repeated(name);
    HEDDLE_ASSIGN_OR_RETURN(rows.source, to_id(value, name));
  } else if (name == "explain") {
    if (std::exchange(has_explain, true)) return repeated(name);
    if (value.get(rows.outputs[Output::kContributions].wanted) != simdjson::SUCCESS)
      return invalid("request-shape", "`explain` is neither true nor false", "send a boolean");
  } else {
    return unknown_member(name, "`rows`, `request_id`, `event_time`, `source`, `explain`");
  }
  return {};
}

}  // namespace

RequestReader::RequestReader() : parser_(std::make_unique<Parser>()) {}
RequestReader::~RequestReader() = default;

Result<const Rows*> RequestReader::read_rows(std::string_view body, const FieldNames& fields,
                                             std::size_t max_rows) {
  HEDDLE_ASSIGN_OR_RETURN(const auto root, parser_->object(body));
  rows_.clear();
  seen_.assign(fields.size(), 0);
  const auto to_datum = [this](const element& cell, expr::Datum& out) {
    return parser_->to_datum(cell, out);
  };
  bool has_rows = false;
  bool has_explain = false;
  for (const auto [name, value] : root) {
    if (name != "rows") {
      HEDDLE_TRY(read_beside(name, value, has_explain, rows_));
      continue;
    }
    if (std::exchange(has_rows, true)) return repeated(name);
    HEDDLE_TRY(read_all_rows(value, fields, max_rows, to_datum, seen_, rows_));
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

/// The members of one label that were there already.
struct LabelMembers {
  bool id = false;
  bool value = false;
  bool time = false;
};

Error no_single_value(const element& cell) {
  return {
      ErrorKind::kUnprocessable, "label-value",
      fmt::format("the label is an {}, not a single value", cell.is_array() ? "array" : "object"),
      "a label is a number, a string, or true or false, as the model's task has it"};
}

/// A member of one label. What is wrong with a label refuses that one (`fault`); a name that is
/// given twice leaves the request ambiguous, and is an error.
template <class ToDatum>
Result<void> read_label_member(std::string_view key, const element& cell, const ToDatum& to_datum,
                               LabelMembers& seen, LabelIn& label) {
  const auto note = [&label](Error error) {
    if (!label.fault.has_value()) label.fault = std::move(error);
  };
  if (key == "row_id") {
    if (std::exchange(seen.id, true)) return repeated(key);
    if (const auto id = to_id(cell, key, true); id.ok())
      label.row_id = *id;
    else
      note({ErrorKind::kUnprocessable, "label-row-id", id.error().message, id.error().hint});
  } else if (key == "label") {
    if (std::exchange(seen.value, true)) return repeated(key);
    expr::Datum given;
    if (to_datum(cell, given))
      label.label = to_label(given);
    else
      note(no_single_value(cell));
  } else if (key == "event_time") {
    if (std::exchange(seen.time, true)) return repeated(key);
    if (cell.is_null()) return {};
    if (auto time = to_time(cell); time.ok())
      label.event_time = *time;
    else
      note(time.error());
  } else {
    note(unknown_member(key, "`row_id`, `label`, `event_time`"));
  }
  return {};
}

template <class ToDatum>
Result<void> read_all_labels(const element& value, std::size_t max_labels, const ToDatum& to_datum,
                             std::vector<LabelIn>& labels) {
  simdjson::dom::array items;
  if (value.get(items) != simdjson::SUCCESS)
    return invalid("request-shape", "`labels` is not an array", "send an array of objects");
  for (const element item : items) {
    if (labels.size() == max_labels) return too_many_rows(max_labels);
    simdjson::dom::object members;
    if (item.get(members) != simdjson::SUCCESS)
      return invalid("request-shape", fmt::format("label {} is not an object", labels.size()),
                     "each has `row_id` and `label`");
    LabelIn label;
    LabelMembers seen;
    for (const auto [key, cell] : members)
      HEDDLE_TRY(read_label_member(key, cell, to_datum, seen, label));
    labels.push_back(std::move(label));
  }
  return {};
}

}  // namespace

Result<std::span<const LabelIn>> RequestReader::read_labels(std::string_view body,
                                                            std::size_t max_labels) {
  HEDDLE_ASSIGN_OR_RETURN(const auto root, parser_->object(body));
  labels_.clear();
  const auto to_datum = [this](const element& cell, expr::Datum& out) {
    return parser_->to_datum(cell, out);
  };
  bool has_labels = false;
  for (const auto [name, value] : root) {
    if (name != "labels") return unknown_member(name, "`labels`");
    if (std::exchange(has_labels, true)) return repeated(name);
    HEDDLE_TRY(read_all_labels(value, max_labels, to_datum, labels_));
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
