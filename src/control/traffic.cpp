#include "control/traffic.hpp"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <unordered_map>

#include "plane/journal.hpp"
#include "plane/segment.hpp"
#include "table/cell.hpp"
#include "watch/label_join.hpp"
#include "watch/label_opinion.hpp"

namespace heddle::control {
namespace {

constexpr std::int64_t kLabelsPerRow = 20;  ///< kept for rows that were not met yet

/// A served row, its values in the order of the fields that are wanted.
struct Row {
  std::string id;
  Micros event_time = 0;
  std::vector<plane::FieldValue> values{};
  stats::Label label{};
  std::uint16_t label_account = 0;  ///< who alone says so; 0: several do, or nobody knows
};

struct Said {
  watch::OpinionOf<std::optional<stats::Label>> opinion{};
  std::uint64_t segment = 0;  ///< where it was read: of labels of one time the last one counts
};

/// Collects labelled rows segment by segment, the newest first: a label comes after its row, so it
/// is known when the row is met.
class Collector {
 public:
  Collector(std::string spool, const std::vector<spec::Field>& fields,
            const TrafficSelection& selection)
      : spool_(std::move(spool)),
        fields_(fields),
        selection_(selection),
        most_labels_(selection.limit > INT64_MAX / kLabelsPerRow
                         ? SIZE_MAX
                         : static_cast<std::size_t>(selection.limit * kLabelsPerRow)) {}

  /// False: the segment is not there any more, and nor is what came before it.
  Result<bool> read(std::uint64_t segment) {
    HEDDLE_ASSIGN_OR_RETURN(const auto reader, plane::JournalReader::open(spool_, {segment, 0}));
    std::vector<Row> served;
    for (bool first = true;; first = false) {
      auto record = reader->next();
      if (!record.ok()) {
        // It was removed meanwhile, by age: what came before it is gone as well.
        if (record.error().kind == ErrorKind::kNotFound) return false;
        return record.error();
      }
      const auto position = reader->position();
      // The reader goes on into the next segment by itself; that one was read before this.
      if (!*record || position.segment != segment || position > selection_.end) break;
      // Fields are those of the segment: a contract that changed began another.
      if (first) find_fields(reader->fields());
      if (auto* request = std::get_if<plane::RequestRecord>(&**record)) {
        take_in(*request, served);
      } else if (const auto* label = std::get_if<plane::LabelRecord>(&**record)) {
        take_in(*label, segment);
      }
    }
    join(served);
    return true;
  }

  [[nodiscard]] std::int64_t found() const noexcept {
    return static_cast<std::int64_t>(rows_.size());
  }
  [[nodiscard]] std::int64_t incomplete() const noexcept { return incomplete_; }
  [[nodiscard]] const std::map<std::string, std::int64_t>& unknown_classes() const noexcept {
    return unknown_classes_;
  }
  [[nodiscard]] const std::string& lacks() const noexcept { return lacks_; }
  /// Which of the fields any row of the journal could have.
  [[nodiscard]] const std::vector<bool>& recorded() const noexcept { return recorded_; }
  [[nodiscard]] const std::string& account(std::uint16_t number) const {
    return names_.name(number);
  }
  [[nodiscard]] std::vector<Row> take_rows() && { return std::move(rows_); }

 private:
  void find_fields(const std::vector<std::string>& names) {
    places_.clear();
    whole_ = true;
    recorded_.resize(fields_.size(), false);
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      const auto at = std::find(names.begin(), names.end(), fields_[i].name);
      places_.push_back(at == names.end() ? SIZE_MAX
                                          : static_cast<std::size_t>(at - names.begin()));
      if (at != names.end()) {
        recorded_[i] = true;
      } else if (whole_) {
        whole_ = false;
        absent_ = fields_[i].name;
      }
    }
  }

  void take_in(plane::RequestRecord& request, std::vector<Row>& served) const {
    if (request.event_time < selection_.from || request.event_time >= selection_.to) return;
    for (std::size_t i = 0; i < request.rows.size(); ++i) {
      auto& row = request.rows[i];
      // A label of a row that was refused says nothing of an answer.
      if (row.outcome != plane::RowOutcome::kServed) continue;
      Row kept{fmt::format("{}#{}", request.request_id, i), request.event_time};
      for (const std::size_t place : places_) {
        kept.values.push_back(place < row.fields.size() ? std::move(row.fields[place])
                                                        : plane::FieldValue{});
      }
      served.push_back(std::move(kept));
    }
  }

  void take_in(const plane::LabelRecord& label, std::uint64_t segment) {
    // What became known later would let a replay learn from its future.
    if (label.event_time > selection_.until) return;
    const auto value = typed(label.label);
    if (!value) {
      note_unknown_class(label);
      return;
    }
    const auto known = labels_.find(label.row_id);
    // The newest were read first: those left out are older than twenty for each row wanted.
    if (known == labels_.end() && labels_.size() >= most_labels_) return;
    Said& kept = known == labels_.end() ? labels_[label.row_id] : known->second;
    auto& opinion = kept.opinion;
    const std::uint16_t account = names_.number(label.account);
    const bool same_time = opinion.has_label() && account == opinion.by &&
                           label.event_time == opinion.time && kept.segment == segment;
    if (same_time) opinion.label = value;
    opinion.add(value, label.event_time, account);
    kept.segment = segment;
  }

  /// Whose row it is is not met yet.
  void note_unknown_class(const plane::LabelRecord& label) {
    const auto code = selection_.task.code_of(label.label);
    // A label of no class and of no type is somebody's mistake, and no new class.
    if (code.ok() || code.error().id != "label-class-unknown") return;
    if (unknown_.size() < most_labels_)
      unknown_.try_emplace(label.row_id, stats::to_string(label.label));
  }

  /// A row that nobody gave a class of the task, and somebody another one.
  void count_unknown_class(const std::string& row_id) {
    const auto at = unknown_.find(row_id);
    if (at == unknown_.end()) return;
    if (unknown_classes_.size() < watch::kMostUnknownClasses ||
        unknown_classes_.contains(at->second))
      ++unknown_classes_[at->second];
    unknown_.erase(at);
  }

  /// In the one form that the task has for it; nullopt: it is no label of it.
  std::optional<stats::Label> typed(const stats::Label& label) const {
    const auto code = selection_.task.code_of(label);
    if (!code.ok()) return std::nullopt;
    return selection_.task.label_of(*code);
  }

  void join(std::vector<Row>& served) {
    // Backwards within the segment too, so that all rows are met from the newest to the oldest.
    for (auto row = served.rbegin(); row != served.rend(); ++row) {
      const auto label = labels_.find(row->id);
      if (label == labels_.end()) count_unknown_class(row->id);
      if (label == labels_.end() || !label->second.opinion.stands()) continue;
      if (selection_.every_field && !whole_) {
        ++incomplete_;
        lacks_ = absent_;
        continue;
      }
      const auto& opinion = label->second.opinion;
      row->label = *opinion.label;
      row->label_account = opinion.confirmed() ? std::uint16_t{0} : opinion.by;
      // An id that was used twice is of its first row, the one met last.
      const auto [at, fresh] = taken_.try_emplace(row->id, rows_.size());
      if (fresh) {
        rows_.push_back(std::move(*row));
      } else {
        rows_[at->second] = std::move(*row);
      }
    }
  }

  std::string spool_;
  const std::vector<spec::Field>& fields_;
  const TrafficSelection& selection_;
  std::size_t most_labels_;
  std::vector<std::size_t> places_;  ///< of the fields in this segment; SIZE_MAX: not there
  bool whole_ = true;                ///< this segment has all of them
  std::string absent_;               ///< one that it has not
  std::vector<bool> recorded_;
  std::unordered_map<std::string, Said> labels_;
  std::unordered_map<std::string, std::string> unknown_;  ///< class of a label that is none, by row
  std::map<std::string, std::int64_t> unknown_classes_;   ///< rows of them
  watch::Names names_;                                    ///< of label accounts
  std::unordered_map<std::string, std::size_t> taken_;
  std::vector<Row> rows_;
  std::int64_t incomplete_ = 0;
  std::string lacks_;
};

/// Fills column after column from the rows; strings get codes in order of first use.
class ColumnBuilder {
 public:
  /// A text that is no value of its field stays one where the field has repairs, and any text where
  /// they read it otherwise than we do.
  explicit ColumnBuilder(const spec::Field& field)
      : keeps_text_(field.repairs.any() && field.type != expr::Type::kString),
        reads_text_(field.repairs.reads_text()) {
    column_.name = field.name;
    column_.type = field.type;
  }

  void add(const plane::FieldValue& value) {
    using Kind = expr::Datum::Kind;
    bool stays = keeps_text_ && value.kind == Kind::kString;
    if (stays && !reads_text_) stays = table::as_type(column_.type, value.datum()).is_error();
    if (keeps_text_)
      column_.malformed.push_back(stays ? static_cast<std::uint32_t>(code_of(value.s)) + 1 : 0);
    put(stays ? plane::FieldValue{} : value);
  }

  table::Column finish() {
    // No mask means that every value is there.
    if (std::find(column_.valid.begin(), column_.valid.end(), std::uint8_t{0}) ==
        column_.valid.end())
      column_.valid.clear();
    if (column_.type == expr::Type::kString)
      column_.dictionary = std::make_shared<const table::Dictionary>(std::move(words_));
    else if (words_.empty())
      column_.malformed.clear();
    else
      column_.malformed_texts = std::make_shared<const table::Dictionary>(std::move(words_));
    return std::move(column_);
  }

 private:
  void put(const plane::FieldValue& value) {
    using Kind = expr::Datum::Kind;
    bool valid = true;
    switch (column_.type) {
      case expr::Type::kString:
        valid = value.kind == Kind::kString;
        // A code is needed in any case; that of the empty text stands where there is no value.
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
        // A boolean is 0 or 1 in a column of integers, as the table has it.
        valid = value.kind == Kind::kInt || value.kind == Kind::kBool;
        column_.ints.push_back(value.i);
    }
    column_.valid.push_back(valid ? 1 : 0);
  }

  std::int32_t code_of(const std::string& word) {
    const auto [at, added] = codes_.try_emplace(word, static_cast<std::int32_t>(words_.size()));
    if (added) words_.push_back(word);
    return at->second;
  }

  bool keeps_text_;
  bool reads_text_;
  table::Column column_;
  std::vector<std::string> words_;  ///< of the column, or of what is malformed in it
  std::unordered_map<std::string, std::int32_t> codes_;
};

}  // namespace

Result<std::vector<double>> LabelledRows::codes(const stats::Task& task) const {
  std::vector<double> out;
  for (const stats::Label& label : labels) {
    HEDDLE_ASSIGN_OR_RETURN(const double code, task.code_of(label));
    out.push_back(code);
  }
  return out;
}

Result<LabelledRows> read_labelled_rows(const std::string& spool,
                                        const std::vector<spec::Field>& fields,
                                        const TrafficSelection& selection) {
  struct Segment {
    std::uint64_t number = 0;
    std::uint64_t bytes = 0;
  };
  std::vector<Segment> segments;
  std::uint64_t total = 0;
  HEDDLE_ASSIGN_OR_RETURN(const auto numbers, plane::list_segments(spool));
  for (const std::uint64_t number : numbers) {
    if (number > selection.end.segment) break;
    std::error_code gone;
    const auto size = std::filesystem::file_size(plane::segment_path(spool, number), gone);
    segments.push_back({number, gone ? 0 : size});
    total += segments.back().bytes;
  }
  const std::uint64_t most = std::min(total, selection.most_bytes);
  LabelledRows out;
  Collector collector(spool, fields, selection);
  for (auto segment = segments.rbegin(); segment != segments.rend(); ++segment) {
    // The newest segment is read in any case; then as many as the bound has room for.
    const bool bounded =
        out.bytes > 0 && segment->bytes > selection.most_bytes - std::min(out.bytes, most);
    if (bounded || collector.found() >= selection.limit) {
      out.is_all = false;
      break;
    }
    HEDDLE_ASSIGN_OR_RETURN(const bool there, collector.read(segment->number));
    if (!there) break;
    out.bytes += segment->bytes;
    if (selection.progress) selection.progress(out.bytes, most, collector.found());
  }
  out.incomplete = collector.incomplete();
  out.unknown_classes = collector.unknown_classes();
  out.lacks = collector.lacks();
  const auto recorded = collector.recorded();
  auto rows = std::move(collector).take_rows();
  // Names of accounts by their number, as far as a row uses them.
  for (const auto& row : rows) {
    while (out.accounts.size() <= row.label_account)
      out.accounts.push_back(collector.account(static_cast<std::uint16_t>(out.accounts.size())));
  }
  // They were met from the newest to the oldest; rows of one time keep the order in which they
  // came.
  std::reverse(rows.begin(), rows.end());
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.event_time < b.event_time; });
  // The newest are how the world is now; the first after a change may still be of its onset.
  if (static_cast<std::int64_t>(rows.size()) > selection.limit)
    rows.erase(rows.begin(), rows.end() - selection.limit);

  std::vector<table::Column> columns;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    // A field that was never recorded has no column: one of nulls would look as if senders left it
    // out.
    if (i >= recorded.size() || !recorded[i]) continue;
    ColumnBuilder builder(fields[i]);
    for (const auto& row : rows) builder.add(row.values[i]);
    columns.push_back(builder.finish());
  }
  HEDDLE_ASSIGN_OR_RETURN(out.rows, table::Table::make(std::move(columns)));
  for (const auto& row : rows) {
    out.labels.push_back(row.label);
    out.label_accounts.push_back(row.label_account);
    out.event_times.push_back(row.event_time);
  }
  return out;
}

namespace {

/// The served rows of one segment, in the order in which they came.
class ServedSegment {
 public:
  ServedSegment(const std::vector<spec::Field>& fields, Micros from, Micros to)
      : fields_(fields), from_(from), to_(to) {}

  std::vector<Row> rows{};
  std::int64_t incomplete = 0;

  /// False: the segment was removed meanwhile, and nor is what came before it there.
  Result<bool> read(const std::string& spool, std::uint64_t segment) {
    HEDDLE_ASSIGN_OR_RETURN(const auto reader, plane::JournalReader::open(spool, {segment, 0}));
    for (bool first = true;; first = false) {
      auto record = reader->next();
      if (!record.ok() && record.error().kind == ErrorKind::kNotFound) return false;
      if (!record.ok()) return record.error();
      if (!*record || reader->position().segment != segment) return true;
      if (first) find_fields(reader->fields());
      if (auto* request = std::get_if<plane::RequestRecord>(&**record)) take_in(*request);
    }
  }

 private:
  void find_fields(const std::vector<std::string>& names) {
    for (const auto& field : fields_) {
      const auto at = std::find(names.begin(), names.end(), field.name);
      is_whole_ = is_whole_ && at != names.end();
      places_.push_back(static_cast<std::size_t>(at - names.begin()));
    }
  }

  void take_in(plane::RequestRecord& request) {
    if (request.event_time < from_ || request.event_time >= to_) return;
    for (std::size_t i = 0; i < request.rows.size(); ++i) {
      auto& row = request.rows[i];
      if (row.outcome != plane::RowOutcome::kServed) continue;
      if (!is_whole_) {
        ++incomplete;
        continue;
      }
      Row kept{fmt::format("{}#{}", request.request_id, i), request.event_time};
      for (const std::size_t place : places_) {
        kept.values.push_back(place < row.fields.size() ? std::move(row.fields[place])
                                                        : plane::FieldValue{});
      }
      rows.push_back(std::move(kept));
    }
  }

  const std::vector<spec::Field>& fields_;
  Micros from_;
  Micros to_;
  std::vector<std::size_t> places_{};
  bool is_whole_ = true;  ///< the segment has all of the fields
};

}  // namespace

Result<ServedRows> read_served_rows(const std::string& spool,
                                    const std::vector<spec::Field>& fields, Micros from, Micros to,
                                    std::int64_t limit) {
  HEDDLE_ASSIGN_OR_RETURN(auto segments, plane::list_segments(spool));
  ServedRows out;
  std::vector<Row> rows;  // the newest first
  for (; !segments.empty() && std::ssize(rows) < limit; segments.pop_back()) {
    ServedSegment segment(fields, from, to);
    HEDDLE_ASSIGN_OR_RETURN(const bool is_there, segment.read(spool, segments.back()));
    if (!is_there) break;
    out.incomplete += segment.incomplete;
    rows.insert(rows.end(), std::make_move_iterator(segment.rows.rbegin()),
                std::make_move_iterator(segment.rows.rend()));
  }
  out.is_all = segments.empty() && std::ssize(rows) <= limit;
  if (std::ssize(rows) > limit) rows.resize(static_cast<std::size_t>(limit));
  std::reverse(rows.begin(), rows.end());
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.event_time < b.event_time; });
  std::vector<table::Column> columns;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    ColumnBuilder builder(fields[i]);
    for (const auto& row : rows) builder.add(row.values[i]);
    columns.push_back(builder.finish());
  }
  HEDDLE_ASSIGN_OR_RETURN(out.rows, table::Table::make(std::move(columns)));
  for (auto& row : rows) {
    out.ids.push_back(std::move(row.id));
    out.event_times.push_back(row.event_time);
  }
  return out;
}

}  // namespace heddle::control
