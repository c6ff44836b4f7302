#include "telemetry/access_log.hpp"

#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/ranges.h>

#include "base/file.hpp"
#include "doc/json.hpp"
#include "ledger/tree.hpp"
#include "plane/journal.hpp"
#include "plane/segment.hpp"
#include "table/lookup.hpp"
#include "table/stream.hpp"

namespace heddle::telemetry {
namespace {

using expr::Type;

constexpr std::int64_t kChunkRows = 16'384;
constexpr std::string_view kSuffix = ".parquet";

/// The columns, in the order in which a row is hashed. `fields` comes last, and only where the
/// service asks for it.
const std::vector<table::ColumnInfo>& columns() {
  static const std::vector<table::ColumnInfo> all = {{"salt", Type::kString},
                                                     {"request_id", Type::kString},
                                                     {"row", Type::kInt},
                                                     {"arrival", Type::kTimestamp},
                                                     {"event_time", Type::kTimestamp},
                                                     {"source", Type::kString},
                                                     {"account", Type::kString},
                                                     {"slot", Type::kString},
                                                     {"route_version", Type::kInt},
                                                     {"bundle", Type::kString},
                                                     {"cohort", Type::kString},
                                                     {"micros", Type::kInt},
                                                     {"rows", Type::kInt},
                                                     {"served", Type::kInt},
                                                     {"refused", Type::kInt},
                                                     {"outcome", Type::kString},
                                                     {"rules", Type::kString},
                                                     {"repairs", Type::kString},
                                                     {"prediction", Type::kString},
                                                     {"fields", Type::kString}};
  return all;
}

std::string_view name_of(plane::RowOutcome outcome) {
  constexpr std::string_view kNames[] = {"served", "refused", "quarantined", "failed"};
  return kNames[static_cast<std::size_t>(outcome)];
}

std::string_view name_of(plane::Cohort cohort) {
  constexpr std::string_view kNames[] = {"", "canary", "baseline"};
  return kNames[static_cast<std::size_t>(cohort)];
}

doc::Value value_of(const plane::FieldValue& field) {
  using Kind = expr::Datum::Kind;
  switch (field.kind) {
    case Kind::kBool: return field.i != 0;
    case Kind::kInt: return field.i;
    case Kind::kDouble: return field.d;
    case Kind::kString: return field.s;
    case Kind::kTimestamp: return format_time(field.i);
    default: return nullptr;
  }
}

/// What is hashed of a row: a JSON array of its columns. Times are microseconds.
std::string leaf_of(std::span<const expr::ColumnView> row, std::int64_t at) {
  auto leaf = doc::Value::array();
  for (const auto& column : row) {
    const auto value = column.at(at);
    using Kind = expr::Datum::Kind;
    switch (value.kind) {
      case Kind::kInt:
      case Kind::kTimestamp: leaf.push(value.i); break;
      case Kind::kString: leaf.push(value.str()); break;
      default: leaf.push(nullptr);
    }
  }
  return doc::to_json(leaf);
}

/// The shortest text of each number, comma-separated.
std::string text_of(const std::vector<float>& prediction) {
  return fmt::format("{}", fmt::join(prediction, ","));
}

Result<std::string> make_salt() {
  unsigned char bytes[16];
  if (::getrandom(bytes, sizeof bytes, 0) != static_cast<ssize_t>(sizeof bytes)) {
    return Error{ErrorKind::kIo, "access-no-random",
                 fmt::format("no random bytes: {}", std::strerror(errno)),
                 "see the system's message"};
  }
  std::string out;
  for (const unsigned char byte : bytes) out += fmt::format("{:02x}", byte);
  return out;
}

/// Rows on their way into a file.
class Rows {
 public:
  explicit Rows(std::size_t width) { clear(width); }

  void clear(std::size_t width) {
    count_ = 0;
    columns_.assign(width, {});
    texts_.assign(width, {});
    for (std::size_t i = 0; i < width; ++i)
      columns_[i].name = columns()[i].name, columns_[i].type = columns()[i].type;
  }
  void begin() { next_ = 0, ++count_; }
  void text(std::string_view value, bool valid = true) {
    at().codes.push_back(texts_[next_].insert(value)), end(valid);
  }
  void integer(std::int64_t value) { at().ints.push_back(value), end(true); }
  [[nodiscard]] std::int64_t count() const noexcept { return count_; }

  Result<table::Table> finish() {
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (columns_[i].type == Type::kString)
        columns_[i].dictionary = std::make_shared<const table::Dictionary>(texts_[i].values());
    }
    auto made = table::Table::make(std::move(columns_));
    return made;
  }

 private:
  table::Column& at() { return columns_[next_]; }
  void end(bool valid) { columns_[next_++].valid.push_back(valid ? 1 : 0); }

  std::size_t next_ = 0;
  std::int64_t count_ = 0;
  std::vector<table::Column> columns_;
  std::vector<table::StringIndex> texts_;
};

class Conversion {
 public:
  Conversion(const AccessSource& source, table::TableWriter& writer, std::string salt)
      : source_(source),
        writer_(writer),
        salt_(std::move(salt)),
        width_(columns().size() - (source.fields ? 0 : 1)),
        rows_(width_) {
    out_.segment = source.segment;
  }

  Result<void> add(const plane::RequestRecord& request, const std::vector<std::string>& names) {
    out_.first_arrival =
        out_.requests == 0 ? request.arrival : std::min(out_.first_arrival, request.arrival);
    out_.last_arrival = std::max(out_.last_arrival, request.arrival);
    ++out_.requests;
    std::int64_t served = 0, refused = 0;
    for (const auto& row : request.rows) {
      served += row.outcome == plane::RowOutcome::kServed ? 1 : 0;
      refused += row.outcome == plane::RowOutcome::kRefused ? 1 : 0;
    }
    out_.served += served;
    out_.refused += refused;
    const std::string bundle =
        source_.bundle_of ? source_.bundle_of(request.route_version, request.slot) : std::string{};
    for (std::size_t i = 0; i < request.rows.size(); ++i) {
      const auto& row = request.rows[i];
      rows_.begin();
      rows_.text(salt_);
      rows_.text(request.request_id);
      rows_.integer(static_cast<std::int64_t>(i));
      rows_.integer(request.arrival);
      rows_.integer(request.event_time);
      rows_.text(request.source);
      rows_.text(request.account, !request.account.empty());
      rows_.text(request.slot);
      rows_.integer(static_cast<std::int64_t>(request.route_version));
      rows_.text(bundle, !bundle.empty());
      rows_.text(name_of(request.cohort), request.cohort != plane::Cohort::kNone);
      rows_.integer(request.micros);
      rows_.integer(static_cast<std::int64_t>(request.rows.size()));
      rows_.integer(served);
      rows_.integer(refused);
      add_outcome(row, bundle, names);
      if (source_.fields) rows_.text(fields_of(row, names));
      if (rows_.count() == kChunkRows) HEDDLE_TRY(flush());
    }
    return {};
  }

  /// What became of one row.
  void add_outcome(const plane::RowRecord& row, const std::string& bundle,
                   std::span<const std::string> names) {
    rows_.text(name_of(row.outcome));
    std::string rules;
    for (const auto& rule : row.rules) rules += (rules.empty() ? "" : ",") + rule;
    rows_.text(rules, !rules.empty());
    const auto repairs = source_.repairs_of ? source_.repairs_of(bundle, row, names) : std::nullopt;
    rows_.text(repairs.value_or(""), repairs.has_value());
    const bool answered = row.outcome == plane::RowOutcome::kServed && !row.prediction.empty();
    rows_.text(answered ? text_of(row.prediction) : std::string(), answered);
  }

  /// Its values, by the names of the segment's head.
  static std::string fields_of(const plane::RowRecord& row, const std::vector<std::string>& names) {
    auto fields = doc::Value::object();
    for (std::size_t f = 0; f < row.fields.size() && f < names.size(); ++f)
      fields.set(names[f], value_of(row.fields[f]));
    return doc::to_json(fields);
  }

  Result<AccessSegment> finish() {
    HEDDLE_TRY(flush());
    out_.root = tree_.root();
    return out_;
  }

 private:
  Result<void> flush() {
    if (rows_.count() == 0) return {};
    HEDDLE_ASSIGN_OR_RETURN(const auto table, rows_.finish());
    // Its columns were moved into the table.
    rows_.clear(width_);
    // Hashed as a reader will see them, from the finished columns.
    const auto views = table.views();
    for (std::int64_t i = 0; i < table.rows(); ++i)
      tree_.append(ledger::leaf_hash(leaf_of(views, i)));
    out_.rows += table.rows();
    return writer_.append(table);
  }

  const AccessSource& source_;
  table::TableWriter& writer_;
  std::string salt_;
  std::size_t width_;
  Rows rows_;
  ledger::CompactRange tree_;
  AccessSegment out_;
};

}  // namespace

std::string access_path(const std::string& folder, std::uint64_t segment) {
  return fmt::format("{}/{:08}{}", folder, segment, kSuffix);
}

std::vector<std::uint64_t> list_access(const std::string& folder) {
  std::vector<std::uint64_t> out;
  for (const auto& name : list_dir(folder)) {
    if (!name.ends_with(kSuffix)) continue;
    const auto number = std::strtoull(name.c_str(), nullptr, 10);
    // Only names that this program writes: another file that ends alike is not ours to remove.
    if (access_path(folder, number) == folder + "/" + name) out.push_back(number);
  }
  return out;
}

Result<AccessSegment> write_access(const AccessSource& source, const std::string& folder) {
  HEDDLE_TRY(make_dirs(folder));
  HEDDLE_ASSIGN_OR_RETURN(const auto reader,
                          plane::JournalReader::open(source.spool, {source.segment, 0}));
  // Without a salt, who knows a request could try out the rest of its rows against the root in the
  // ledger.
  HEDDLE_ASSIGN_OR_RETURN(auto salt, make_salt());
  auto shown = columns();
  // `fields` is the last column.
  if (!source.fields) shown.pop_back();
  HEDDLE_ASSIGN_OR_RETURN(
      const auto writer,
      table::TableWriter::open(access_path(folder, source.segment), std::move(shown)));
  Conversion conversion(source, *writer, std::move(salt));
  for (;;) {
    HEDDLE_ASSIGN_OR_RETURN(const auto record, reader->next());
    if (!record || reader->position().segment != source.segment)
      break;  // it went on into the next one
    if (const auto* request = std::get_if<plane::RequestRecord>(&*record))
      HEDDLE_TRY(conversion.add(*request, reader->fields()));
  }
  HEDDLE_ASSIGN_OR_RETURN(auto out, conversion.finish());
  // A segment without a request leaves no file.
  if (out.rows == 0) return out;
  HEDDLE_TRY(writer->finish());
  HEDDLE_TRY(writer->publish());
  return out;
}

namespace {

/// The place of a column; past the end where there is none.
std::ptrdiff_t place_of(const std::vector<table::ColumnInfo>& found, std::string_view name) {
  return std::find_if(found.begin(), found.end(),
                      [&](const auto& column) { return column.name == name; }) -
         found.begin();
}

}  // namespace

Result<void> check_access_columns(const std::vector<table::ColumnInfo>& found,
                                  const std::string& path) {
  if (place_of(found, "probability") < std::ssize(found)) {
    return Error{
        ErrorKind::kConflict, "access-version",
        fmt::format("`{}` is of `heddle.access/1`, this program reads `heddle.access/3`", path),
        "verify it with the version that wrote it, or move it away"};
  }
  // `fields` are there where the service asked for them, `repairs` not in `heddle.access/2`.
  auto expected = columns();
  std::erase_if(expected, [&](const table::ColumnInfo& column) {
    const bool may_be_absent = column.name == "fields" || column.name == "repairs";
    return may_be_absent && place_of(found, column.name) == std::ssize(found);
  });
  const bool right =
      std::equal(found.begin(), found.end(), expected.begin(), expected.end(),
                 [](const auto& a, const auto& b) { return a.name == b.name && a.type == b.type; });
  if (right) return {};
  return Error{ErrorKind::kCorrupt, "access-format",
               fmt::format("`{}` has not the columns of an access log", path),
               "see docs/formats/access-log.md"};
}

Result<AccessSegment> read_access(const std::string& folder, std::uint64_t segment) {
  const std::string path = access_path(folder, segment);
  HEDDLE_ASSIGN_OR_RETURN(const auto reader, table::TableReader::open(path));
  const auto& found = reader->columns();
  HEDDLE_TRY(check_access_columns(found, path));
  AccessSegment out;
  out.segment = segment;
  ledger::CompactRange tree;
  const auto arrival_at = static_cast<std::size_t>(place_of(found, "arrival"));
  const auto outcome_at = static_cast<std::size_t>(place_of(found, "outcome"));
  const auto row_at = static_cast<std::size_t>(place_of(found, "row"));
  for (;;) {
    HEDDLE_ASSIGN_OR_RETURN(const auto chunk, reader->next());
    if (!chunk) break;
    const auto views = chunk->views();
    for (std::int64_t i = 0; i < chunk->rows(); ++i) {
      tree.append(ledger::leaf_hash(leaf_of(views, i)));
      const auto arrival = views[arrival_at].at(i).i;
      const auto outcome = views[outcome_at].at(i).str();
      out.requests += views[row_at].at(i).i == 0 ? 1 : 0;
      out.served += outcome == "served" ? 1 : 0;
      out.refused += outcome == "refused" ? 1 : 0;
      out.first_arrival = out.rows == 0 && i == 0 ? arrival : std::min(out.first_arrival, arrival);
      out.last_arrival = std::max(out.last_arrival, arrival);
    }
    out.rows += chunk->rows();
  }
  out.root = tree.root();
  return out;
}

PastBound past_bound(const std::string& folder, std::uint64_t bytes, std::int64_t free_bytes) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> files;
  std::uint64_t total = 0;
  for (const auto segment : list_access(folder)) {
    struct stat info{};
    // Removed by hand meanwhile; the audit says so.
    if (::stat(access_path(folder, segment).c_str(), &info) != 0) continue;
    files.emplace_back(segment, static_cast<std::uint64_t>(info.st_size));
    total += files.back().second;
  }
  PastBound out{access_bytes(bytes, total, free_bytes)};
  auto& old = out.segments;
  // The newest stays, whatever the bound.
  while (old.size() + 1 < files.size() && total > out.bytes) {
    total -= files[old.size()].second;
    old.push_back(files[old.size()].first);
  }
  return out;
}

Result<void> remove_access(const std::string& folder, const std::vector<std::uint64_t>& segments) {
  for (const auto segment : segments) {
    const auto path = access_path(folder, segment);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
      return Error{ErrorKind::kIo, "access-prune",
                   fmt::format("`{}` cannot be removed: {}", path, std::strerror(errno)),
                   "see the system's message"};
    }
  }
  return {};
}

}  // namespace heddle::telemetry
