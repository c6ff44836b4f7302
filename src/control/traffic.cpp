#include "control/traffic.hpp"

#include <algorithm>
#include <deque>

#include "plane/journal.hpp"

namespace heddle::control {
namespace {

struct Row {
  Micros event_time = 0;
  std::vector<plane::FieldValue> fields;
  double label = 0;
  Micros labelled_at = INT64_MIN;  ///< INT64_MIN: no label yet
};

/// Fills column after column from the rows; strings get codes in order of first use.
class ColumnBuilder {
 public:
  explicit ColumnBuilder(const spec::Field& field) {
    column_.name = field.name;
    column_.type = field.type;
  }

  void add(const plane::FieldValue& value) {
    using Kind = expr::Datum::Kind;
    bool valid = true;
    switch (column_.type) {
      case expr::Type::kString:
        valid = value.kind == Kind::kString;
        column_.codes.push_back(valid ? code_of(value.s) : code_of({}));
        break;
      case expr::Type::kDouble:
        valid = value.kind == Kind::kDouble || value.kind == Kind::kInt;
        column_.doubles.push_back(value.kind == Kind::kInt ? static_cast<double>(value.i)
                                                           : value.d);
        break;
      case expr::Type::kTimestamp: {
        const auto parsed =
            value.kind == Kind::kString ? parse_time(value.s) : std::optional<Micros>(value.i);
        valid =
            parsed.has_value() && (value.kind == Kind::kString || value.kind == Kind::kTimestamp);
        column_.ints.push_back(valid ? *parsed : 0);
        break;
      }
      default:
        valid = value.kind == Kind::kInt || value.kind == Kind::kBool;
        column_.ints.push_back(value.i);
    }
    column_.valid.push_back(valid ? 1 : 0);
  }

  table::Column finish() {
    if (std::find(column_.valid.begin(), column_.valid.end(), std::uint8_t{0}) ==
        column_.valid.end())
      column_.valid.clear();
    if (column_.type == expr::Type::kString)
      column_.dictionary = std::make_shared<const table::Dictionary>(std::move(words_));
    return std::move(column_);
  }

 private:
  std::int32_t code_of(const std::string& word) {
    const auto [at, added] = codes_.try_emplace(word, static_cast<std::int32_t>(words_.size()));
    if (added) words_.push_back(word);
    return at->second;
  }

  table::Column column_;
  std::vector<std::string> words_;
  std::unordered_map<std::string, std::int32_t> codes_;
};

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

}  // namespace

Result<doc::Value> read_refused_rows(const std::string& spool, const std::string& source,
                                     std::size_t limit) {
  HEDDLE_ASSIGN_OR_RETURN(const auto reader, plane::JournalReader::open(spool));
  std::deque<doc::Value> newest;
  for (;;) {
    HEDDLE_ASSIGN_OR_RETURN(const auto record, reader->next());
    if (!record) break;
    const auto* request = std::get_if<plane::RequestRecord>(&*record);
    if (request == nullptr || (!source.empty() && request->source != source)) continue;
    for (std::size_t i = 0; i < request->rows.size(); ++i) {
      const auto& row = request->rows[i];
      if (row.outcome == plane::RowOutcome::kServed) continue;
      auto rules = doc::Value::array();
      for (const auto& rule : row.rules) rules.push(rule);
      auto fields = doc::Value::object();
      for (std::size_t f = 0; f < row.fields.size() && f < reader->fields().size(); ++f) {
        fields.set(reader->fields()[f], value_of(row.fields[f]));
      }
      newest.push_back(doc::Value::object(
          {{"request_id", request->request_id},
           {"row", i},
           {"event_time", format_time(request->event_time)},
           {"source", request->source},
           {"account", request->account},
           {"outcome", row.outcome == plane::RowOutcome::kRefused  ? "refused"
                       : row.outcome == plane::RowOutcome::kFailed ? "failed"
                                                                   : "quarantined"},
           {"rules", std::move(rules)},
           {"fields", std::move(fields)}}));
      if (newest.size() > limit) newest.pop_front();
    }
  }
  auto rows = doc::Value::array();
  for (auto& row : newest) rows.push(std::move(row));
  return rows;
}

Result<LabelledRows> read_labelled_rows(const std::string& spool,
                                        const std::vector<spec::Field>& fields,
                                        const TrafficSelection& selection) {
  HEDDLE_ASSIGN_OR_RETURN(const auto reader, plane::JournalReader::open(spool));
  std::vector<Row> rows;
  std::unordered_map<std::string, std::size_t> by_id;
  for (;;) {
    HEDDLE_ASSIGN_OR_RETURN(auto record, reader->next());
    if (!record) break;
    if (auto* request = std::get_if<plane::RequestRecord>(&*record)) {
      if (request->event_time < selection.from) continue;
      for (std::size_t i = 0; i < request->rows.size(); ++i) {
        if (request->rows[i].outcome != plane::RowOutcome::kServed) continue;
        by_id.try_emplace(fmt::format("{}#{}", request->request_id, i), rows.size());
        rows.push_back({request->event_time, std::move(request->rows[i].fields)});
      }
    } else if (const auto* label = std::get_if<plane::LabelRecord>(&*record)) {
      if (label->event_time > selection.until || (label->label != 0 && label->label != 1)) continue;
      const auto at = by_id.find(label->row_id);
      if (at == by_id.end() || label->event_time < rows[at->second].labelled_at) continue;
      rows[at->second].label = label->label;
      rows[at->second].labelled_at = label->event_time;
    }
  }
  std::erase_if(rows, [](const Row& row) { return row.labelled_at == INT64_MIN; });
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.event_time < b.event_time; });
  // The newest are how the world is now; the first after a change may still be of its onset.
  if (static_cast<std::int64_t>(rows.size()) > selection.limit)
    rows.erase(rows.begin(), rows.end() - selection.limit);

  LabelledRows out;
  std::vector<table::Column> columns;
  for (const auto& field : fields) {
    const auto& names = reader->fields();
    const auto at = std::find(names.begin(), names.end(), field.name);
    if (at == names.end()) continue;
    const auto index = static_cast<std::size_t>(at - names.begin());
    ColumnBuilder builder(field);
    for (const auto& row : rows)
      builder.add(index < row.fields.size() ? row.fields[index] : plane::FieldValue{});
    columns.push_back(builder.finish());
  }
  HEDDLE_ASSIGN_OR_RETURN(out.rows, table::Table::make(std::move(columns)));
  for (const auto& row : rows) {
    out.labels.push_back(row.label == 1 ? 1 : 0);
    out.event_times.push_back(row.event_time);
  }
  return out;
}

}  // namespace heddle::control
