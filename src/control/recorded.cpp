#include "control/recorded.hpp"

#include <algorithm>
#include <deque>
#include <filesystem>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "plane/segment.hpp"

namespace heddle::control {
namespace {

std::uint64_t bytes_of(const std::string& spool, std::uint64_t segment) {
  std::error_code gone;
  const auto size = std::filesystem::file_size(plane::segment_path(spool, segment), gone);
  return gone ? 0 : size;
}

/// Calls `take` with each record of one segment until it says false. One that was removed
/// meanwhile has none.
Result<void> each_record(
    const std::string& spool, std::uint64_t segment,
    const std::function<bool(const plane::Record&, const plane::JournalReader&)>& take) {
  HEDDLE_ASSIGN_OR_RETURN(const auto reader, plane::JournalReader::open(spool, {segment, 0}));
  for (;;) {
    const auto record = reader->next();
    if (!record.ok() && record.error().kind == ErrorKind::kNotFound) return {};
    if (!record.ok()) return record.error();
    if (!*record || reader->position().segment != segment || !take(**record, *reader)) return {};
  }
}

doc::Value value_of(const plane::FieldValue& field) {
  switch (field.kind) {
    case expr::Datum::Kind::kBool: return field.i != 0;
    case expr::Datum::Kind::kInt: return field.i;
    case expr::Datum::Kind::kDouble: return field.d;
    case expr::Datum::Kind::kString: return field.s;
    case expr::Datum::Kind::kTimestamp: return format_time(field.i);
    default: return nullptr;
  }
}

std::string_view outcome_word(plane::RowOutcome outcome) {
  switch (outcome) {
    case plane::RowOutcome::kRefused: return "refused";
    case plane::RowOutcome::kFailed: return "failed";
    default: return "quarantined";
  }
}

RefusedRowItem refused_row(const plane::RequestRecord& request, std::size_t index,
                           const std::vector<std::string>& names) {
  const plane::RowRecord& row = request.rows[index];
  auto fields = doc::Value::object();
  for (std::size_t i = 0; i < row.fields.size() && i < names.size(); ++i)
    fields.set(names[i], value_of(row.fields[i]));
  return {.request_id = request.request_id,
          .row = static_cast<std::int64_t>(index),
          .event_time = format_time(request.event_time),
          .source = request.source,
          .account = request.account,
          .outcome = std::string(outcome_word(row.outcome)),
          .rules = row.rules,
          .slot = request.slot,
          .route_version = request.route_version,
          .fields = std::move(fields)};
}

/// The newest `limit` of one segment, oldest first.
Result<std::deque<RefusedRowItem>> refused_of(const std::string& spool, std::uint64_t segment,
                                              const RefusedQuery& query, std::size_t limit) {
  const std::string& source = query.source;
  std::deque<RefusedRowItem> newest;
  HEDDLE_TRY(each_record(spool, segment,
                         [&](const plane::Record& record, const plane::JournalReader& reader) {
                           const auto* request = std::get_if<plane::RequestRecord>(&record);
                           if (request == nullptr || (!source.empty() && request->source != source))
                             return true;
                           for (std::size_t i = 0; i < request->rows.size(); ++i) {
                             if (request->rows[i].outcome == plane::RowOutcome::kServed) continue;
                             RefusedRowItem row = refused_row(*request, i, reader.fields());
                             if (query.settled.contains(row.id())) continue;
                             newest.push_back(std::move(row));
                             if (newest.size() > limit) newest.pop_front();
                           }
                           return true;
                         }));
  return newest;
}

std::optional<Micros> time_of(const plane::Record& record) {
  return std::visit(
      [](const auto& item) -> std::optional<Micros> {
        if constexpr (requires { item.event_time; }) return item.event_time;
        return std::nullopt;
      },
      record);
}

/// Whether no record of a segment before this one can be of `from` or later: a row is at most
/// `kFarthestAhead` ahead of the ticks before it.
Result<bool> begins_before(const std::string& spool, std::uint64_t segment, Micros from) {
  std::optional<Micros> first;
  HEDDLE_TRY(each_record(spool, segment, [&](const plane::Record& record, const auto&) {
    if (const auto* tick = std::get_if<plane::TickRecord>(&record)) first = tick->event_time;
    return !first;
  }));
  return first && *first + plane::kFarthestAhead < from;
}

}  // namespace

std::string RefusedRowItem::id() const { return fmt::format("{}#{}", request_id, row); }

Result<RefusedRows> read_refused_rows(const std::string& spool, const RefusedQuery& query,
                                      std::uint64_t most_bytes) {
  const std::size_t limit = query.limit;
  HEDDLE_ASSIGN_OR_RETURN(auto segments, plane::list_segments(spool));
  std::erase_if(segments, [&](std::uint64_t segment) { return segment >= query.before; });
  std::deque<RefusedRowItem> newest;
  std::uint64_t read = 0;
  while (!segments.empty() && newest.size() < limit) {
    const std::uint64_t bytes = bytes_of(spool, segments.back());
    if (read > 0 && read + bytes > most_bytes) break;
    HEDDLE_ASSIGN_OR_RETURN(auto found,
                            refused_of(spool, segments.back(), query, limit - newest.size()));
    newest.insert(newest.begin(), std::move_iterator(found.begin()),
                  std::move_iterator(found.end()));
    segments.pop_back();
    read += std::max<std::uint64_t>(bytes, 1);
  }
  RefusedRows out;
  out.rows.assign(std::move_iterator(newest.begin()), std::move_iterator(newest.end()));
  if (!segments.empty() && newest.size() < limit) out.before = segments.back() + 1;
  return out;
}

Result<std::vector<RecordedRequest>> find_requests(const std::string& spool,
                                                   std::string_view request_id) {
  HEDDLE_ASSIGN_OR_RETURN(const auto segments, plane::list_segments(spool));
  std::vector<RecordedRequest> out;
  for (auto segment = segments.rbegin(); segment != segments.rend() && out.empty(); ++segment) {
    HEDDLE_TRY(each_record(spool, *segment,
                           [&](const plane::Record& record, const plane::JournalReader& reader) {
                             const auto* request = std::get_if<plane::RequestRecord>(&record);
                             if (request != nullptr && request->request_id == request_id)
                               out.push_back({*segment, *request, reader.fields()});
                             return true;
                           }));
  }
  return out;
}

Result<void> read_recorded(const std::string& spool, Micros from, Micros to,
                           plane::JournalPosition end,
                           const std::function<bool(const plane::Record&)>& sink) {
  HEDDLE_ASSIGN_OR_RETURN(auto segments, plane::list_segments(spool));
  std::erase_if(segments, [&](std::uint64_t segment) { return segment > end.segment; });
  // From the newest back to the first one that may have such records.
  std::size_t first = segments.size();
  for (bool all = false; first > 0 && !all;) {
    --first;
    HEDDLE_ASSIGN_OR_RETURN(all, begins_before(spool, segments[first], from));
  }
  bool wanted = true;
  for (; first < segments.size() && wanted; ++first) {
    HEDDLE_TRY(each_record(spool, segments[first],
                           [&](const plane::Record& record, const plane::JournalReader& reader) {
                             wanted = wanted && reader.position() <= end;
                             const auto time = time_of(record);
                             if (wanted && (!time || (*time >= from && *time < to)))
                               wanted = sink(record);
                             return wanted;
                           }));
  }
  return {};
}

}  // namespace heddle::control
