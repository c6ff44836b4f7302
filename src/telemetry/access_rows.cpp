#include "telemetry/access_rows.hpp"

#include <algorithm>
#include <charconv>

#include "doc/items.hpp"
#include "doc/json.hpp"
#include "table/stream.hpp"
#include "telemetry/access_log.hpp"

namespace heddle::telemetry {
namespace {

/// The columns of a chunk by their names.
class AccessChunk {
 public:
  explicit AccessChunk(const table::Table& rows) : rows_(rows) {}

  [[nodiscard]] expr::Datum at(std::string_view name, std::int64_t row) const {
    const table::Column* const column = rows_.find(name);
    return column == nullptr ? expr::Datum::null() : column->view().at(row);
  }
  [[nodiscard]] std::string text(std::string_view name, std::int64_t row) const {
    const auto value = at(name, row);
    return value.kind == expr::Datum::Kind::kString ? std::string(value.str()) : std::string();
  }
  [[nodiscard]] std::int64_t number(std::string_view name, std::int64_t row) const {
    const auto value = at(name, row);
    return value.is_null() ? 0 : value.i;
  }

 private:
  const table::Table& rows_;
};

std::vector<std::string> parts_of(std::string_view list) {
  std::vector<std::string> out;
  while (!list.empty()) {
    const auto comma = std::min(list.find(','), list.size());
    out.emplace_back(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return out;
}

/// What `name_of` of access_log.cpp wrote.
plane::RowOutcome outcome_named(std::string_view name) {
  using plane::RowOutcome;
  return name == "served"        ? RowOutcome::kServed
         : name == "refused"     ? RowOutcome::kRefused
         : name == "quarantined" ? RowOutcome::kQuarantined
                                 : RowOutcome::kFailed;
}

plane::Cohort cohort_named(std::string_view name) {
  return name == "canary"     ? plane::Cohort::kCanary
         : name == "baseline" ? plane::Cohort::kBaseline
                              : plane::Cohort::kNone;
}

/// The shortest texts of floats read back are the same floats.
std::vector<float> prediction_of(std::string_view list) {
  std::vector<float> out;
  for (const auto& part : parts_of(list)) {
    float number = 0;
    std::from_chars(part.data(), part.data() + part.size(), number);
    out.push_back(number);
  }
  return out;
}

/// A time was written as the text of one, and is read as one that was sent.
plane::FieldValue field_of(const doc::Value& value) {
  using Kind = expr::Datum::Kind;
  plane::FieldValue out;
  if (value.is_bool()) {
    out.kind = Kind::kBool, out.i = value.as_bool() ? 1 : 0;
  } else if (value.is_int()) {
    out.kind = Kind::kInt, out.i = value.as_int();
  } else if (value.is_double()) {
    out.kind = Kind::kDouble, out.d = value.as_double();
  } else if (value.is_string()) {
    out.kind = Kind::kString, out.s = value.as_string();
  }
  return out;
}

Result<void> add_fields(std::string_view written, AccessRequest& out, plane::RowRecord& row) {
  if (written.empty()) return {};
  HEDDLE_ASSIGN_OR_RETURN(const auto fields, doc::parse_json(written));
  const bool first = out.fields.empty();
  for (const auto& [name, value] : doc::members_of(&fields)) {
    if (first) out.fields.push_back(name);
    row.fields.push_back(field_of(value));
  }
  return {};
}

Result<void> add_row(const AccessChunk& chunk, std::int64_t at, AccessRequest& out) {
  auto& request = out.request;
  const auto index = static_cast<std::size_t>(chunk.number("row", at));
  if (index == 0) {
    out = {.segment = out.segment};
    request.request_id = chunk.text("request_id", at);
    request.source = chunk.text("source", at);
    request.account = chunk.text("account", at);
    request.arrival = chunk.number("arrival", at);
    request.event_time = chunk.number("event_time", at);
    request.slot = chunk.text("slot", at);
    request.route_version = static_cast<std::uint64_t>(chunk.number("route_version", at));
    request.cohort = cohort_named(chunk.text("cohort", at));
    request.micros = static_cast<std::uint32_t>(chunk.number("micros", at));
    out.bundle = chunk.text("bundle", at);
  }
  // They are written in their order: another one is no log of ours.
  if (index != request.rows.size()) {
    return Error{ErrorKind::kCorrupt, "access-format",
                 fmt::format("segment {} of the access log lacks rows of `{}`", out.segment,
                             request.request_id),
                 "see `heddle audit verify`"};
  }
  auto& row = request.rows.emplace_back();
  row.outcome = outcome_named(chunk.text("outcome", at));
  row.rules = parts_of(chunk.text("rules", at));
  row.prediction = prediction_of(chunk.text("prediction", at));
  auto& repairs = out.repairs.emplace_back();
  if (!chunk.at("repairs", at).is_null()) repairs = parts_of(chunk.text("repairs", at));
  return add_fields(chunk.text("fields", at), out, row);
}

/// A request of one segment.
Result<std::optional<AccessRequest>> find_in(const std::string& folder, std::uint64_t segment,
                                             std::string_view request_id) {
  HEDDLE_ASSIGN_OR_RETURN(const auto reader,
                          table::TableReader::open(access_path(folder, segment)));
  HEDDLE_TRY(check_access_columns(reader->columns(), access_path(folder, segment)));
  AccessRequest out{.segment = segment};
  for (;;) {
    HEDDLE_ASSIGN_OR_RETURN(const auto rows, reader->next());
    if (!rows) break;
    const table::Column& ids = *rows->find("request_id");
    const auto& texts = ids.dictionary->views();
    const auto known = std::find(texts.begin(), texts.end(), request_id);
    if (known == texts.end()) continue;
    const auto code = static_cast<std::int32_t>(known - texts.begin());
    const AccessChunk chunk(*rows);
    for (std::int64_t i = 0; i < rows->rows(); ++i) {
      if (ids.codes[static_cast<std::size_t>(i)] == code) HEDDLE_TRY(add_row(chunk, i, out));
    }
  }
  if (out.request.rows.empty()) return std::optional<AccessRequest>();
  return std::optional(std::move(out));
}

}  // namespace

Result<std::optional<AccessRequest>> find_access_request(const std::string& folder,
                                                         std::string_view request_id) {
  const auto segments = list_access(folder);
  for (auto segment = segments.rbegin(); segment != segments.rend(); ++segment) {
    HEDDLE_ASSIGN_OR_RETURN(auto found, find_in(folder, *segment, request_id));
    if (found) return found;
  }
  return std::optional<AccessRequest>();
}

}  // namespace heddle::telemetry
