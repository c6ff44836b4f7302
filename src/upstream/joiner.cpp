#include "upstream/joiner.hpp"

#include <algorithm>
#include <map>

#include "spec/load.hpp"
#include "upstream/history.hpp"

namespace heddle::upstream {
namespace {

using expr::Datum;
using expr::Type;
using spec::Aggregate;
using spec::Field;

/// a - b, or the first of all times.
Micros less(Micros a, Micros b) {
  Micros out = 0;
  // A difference below the first time is that: everything has happened since.
  return __builtin_sub_overflow(a, b, &out) ? INT64_MIN : out;
}

/// How the column of a field is needed: what is counted may be of any type.
NeededColumn value_of(const Field& field) {
  const bool is_count = field.upstream->aggregate == Aggregate::kCount;
  return {field.upstream->value, is_count ? Type::kDyn : field.type};
}

}  // namespace

std::vector<Field> fields_to_join(std::span<const Field> fields,
                                  std::span<const table::ColumnInfo> columns) {
  std::vector<Field> out;
  for (const Field& field : fields) {
    const bool is_there = std::any_of(columns.begin(), columns.end(), [&](const auto& column) {
      return column.name == field.name;
    });
    // Rows that bring the column themselves keep it.
    if (field.upstream && !is_there) out.push_back(field);
  }
  return out;
}

std::set<std::string> sources_of(std::span<const Field> fields) {
  std::set<std::string> out;
  for (const Field& field : fields) {
    if (field.upstream) out.insert(field.upstream->source);
  }
  return out;
}

struct Joiner::Parts {
  /// One field: the history that it is made of, and the column of it.
  struct Joined {
    Field field;
    std::size_t history = 0;
    Series series;
  };

  const contract::Contract* contract = nullptr;
  std::string time_field{};
  std::vector<History::Options> histories_of{};
  std::vector<History> histories{};
  std::vector<Joined> joined{};
  std::vector<Field> fields{};
  std::set<std::string> reads{};

  [[nodiscard]] Type type_of(const std::string& field) const {
    for (const Field& each : contract->fields()) {
      if (each.name == field) return each.type;
    }
    return Type::kDyn;
  }
  /// The place of the history that has the rows of a field; a new one where none has.
  std::size_t history_of(const Options& options, const Field& field);
  [[nodiscard]] Result<table::Column> compute(
      const Joined& joined, const std::map<std::string, table::Column>& read) const;
};

std::size_t Joiner::Parts::history_of(const Options& options, const Field& field) {
  const spec::Upstream& upstream = *field.upstream;
  History::Options wanted;
  wanted.source = upstream.source;
  wanted.time = upstream.time;
  for (const auto& [name, column] : upstream.key) wanted.key.push_back({column, type_of(name)});
  const NeededColumn value = value_of(field);
  const auto goes_with = [&](const History::Options& there) {
    // A column that is only counted is read as it is, which may be another way.
    const bool differs =
        std::any_of(there.values.begin(), there.values.end(), [&](const NeededColumn& each) {
          return each.name == value.name && each.type != value.type;
        });
    return there.source == wanted.source && there.time == wanted.time && there.key == wanted.key &&
           !differs;
  };
  auto at = std::find_if(histories_of.begin(), histories_of.end(), goes_with);
  if (at == histories_of.end()) {
    wanted.input = spec::input_of(*options.project, upstream.source);
    if (upstream.source == options.own_source) wanted.of_rows = options.contract;
    at = histories_of.insert(histories_of.end(), std::move(wanted));
  }
  if (!value.name.empty() &&
      // A count of rows needs no column.
      std::find(at->values.begin(), at->values.end(), value) == at->values.end())
    at->values.push_back(value);
  return static_cast<std::size_t>(at - histories_of.begin());
}

Joiner::Joiner(std::unique_ptr<const Parts> parts) : parts_(std::move(parts)) {}
Joiner::Joiner(Joiner&&) noexcept = default;
Joiner::~Joiner() = default;

Result<Joiner> Joiner::open(const Options& options) {
  // What was known then needs a then: without a time every row would see its own future.
  if (options.time_field.empty() && !options.fields.empty()) {
    return Error{
        ErrorKind::kInvalid, "bad-upstream",
        fmt::format("`upstream` of field `{}` asks what was known at a row's time, and the "
                    "model has no `time_field`",
                    options.fields.front().name),
        "add `train.time_field` to the model"};
  }
  for (const auto& source : sources_of(options.fields)) {
    if (options.project->sources.contains(source)) continue;
    return Error{
        ErrorKind::kNotFound, "source-missing",
        fmt::format("there is no source `{}`, from which `upstream` fields are computed", source),
        "add it to `sources` of heddle.yaml, or give the rows these columns"};
  }
  auto parts = std::make_unique<Parts>();
  parts->contract = options.contract;
  parts->time_field = options.time_field;
  parts->fields = options.fields;
  std::vector<std::size_t> places;
  for (const Field& field : options.fields) places.push_back(parts->history_of(options, field));
  for (const auto& each : parts->histories_of) {
    HEDDLE_ASSIGN_OR_RETURN(auto history, History::read(each));
    parts->histories.push_back(std::move(history));
  }
  for (std::size_t i = 0; i < options.fields.size(); ++i) {
    const Field& field = options.fields[i];
    const auto& values = parts->histories_of[places[i]].values;
    const NeededColumn value = value_of(field);
    const auto at = std::find(values.begin(), values.end(), value);
    const table::Column* const column =
        value.name.empty()
            ? nullptr
            : &parts->histories[places[i]].value(static_cast<std::size_t>(at - values.begin()));
    parts->joined.push_back({field, places[i], Series(field.upstream->aggregate, column)});
    for (const auto& [name, unused] : field.upstream->key) parts->reads.insert(name);
    parts->reads.insert(options.time_field);
  }
  return Joiner(std::move(parts));
}

std::span<const Field> Joiner::fields() const noexcept { return parts_->fields; }
const std::set<std::string>& Joiner::reads() const noexcept { return parts_->reads; }

std::vector<std::string> Joiner::notes() const {
  std::vector<std::string> out;
  std::map<std::string, std::vector<std::string>> fields;
  for (const Field& field : parts_->fields) fields[field.upstream->source].push_back(field.name);
  for (const auto& [source, names] : fields)
    out.push_back(fmt::format("`{}`: computed from source `{}`", fmt::join(names, "`, `"), source));
  for (const History& history : parts_->histories)
    out.insert(out.end(), history.notes().begin(), history.notes().end());
  return out;
}

namespace {

/// The column of a field, filled row by row.
class Filling {
 public:
  Filling(const Field& field, const Series& series, std::int64_t rows) {
    const auto count = static_cast<std::size_t>(rows);
    out_.name = field.name;
    out_.type = field.type;
    out_.valid.assign(count, 0);
    // Null in each row until a value is found, with zeros below: equal columns have equal bytes.
    if (field.type == Type::kDouble) {
      out_.doubles.assign(count, 0);
    } else if (field.type == Type::kString) {
      out_.codes.assign(count, 0);
      codes_ = &series.column();
      out_.dictionary = codes_->dictionary;
    } else {
      out_.ints.assign(count, 0);
    }
  }

  void set(std::size_t row, Range range, const Datum& value) {
    if (value.is_null()) return;
    out_.valid[row] = 1;
    switch (out_.type) {
      case Type::kDouble: out_.doubles[row] = value.number(); break;
      // A text is the newest row's: its code there is its code here.
      case Type::kString: out_.codes[row] = codes_->codes[range.end - 1]; break;
      case Type::kBool: out_.ints[row] = value.b ? 1 : 0; break;
      default: out_.ints[row] = value.i;
    }
  }
  table::Column finish() && { return std::move(out_); }

 private:
  table::Column out_;
  const table::Column* codes_ = nullptr;
};

}  // namespace

Result<table::Column> Joiner::Parts::compute(
    const Joined& one, const std::map<std::string, table::Column>& read) const {
  const History& history = histories[one.history];
  const spec::Upstream& upstream = *one.field.upstream;
  const table::Column& time = read.at(time_field);
  std::vector<table::KeyColumn> columns;
  std::vector<expr::ColumnView> views;
  for (std::size_t i = 0; i < upstream.key.size(); ++i) {
    columns.emplace_back(history.key_parts()[i]);
    views.push_back(read.at(upstream.key[i].first).view());
  }
  std::vector<std::int64_t> key(std::max<std::size_t>(1, columns.size()), 0);
  Filling out(one.field, one.series, time.length());
  for (std::size_t row = 0; row < time.ints.size(); ++row) {
    // A row without a time, or without a part of its key, has no history: its value is missing.
    bool is_whole = time.valid.empty() || time.valid[row] != 0;
    for (std::size_t i = 0; i < columns.size() && is_whole; ++i) {
      const auto part = columns[i].at(views[i], static_cast<std::int64_t>(row));
      is_whole = part.has_value();
      key[i] = part.value_or(0);
    }
    const auto code = is_whole ? history.find(key) : std::nullopt;
    Range range;
    if (code) {
      // `time` + `delay` < t and >= t - `window`, both sides less `delay`.
      const Micros before = less(time.ints[row], upstream.known_after());
      const Micros from = upstream.window ? less(before, *upstream.window) : INT64_MIN;
      range = history.between(*code, from, before);
    }
    out.set(row, range, one.series.of(range));
  }
  return std::move(out).finish();
}

Result<std::vector<table::Column>> Joiner::columns(const table::Table& rows) const {
  std::map<std::string, table::Column> read;
  for (const auto& name : parts_->reads) {
    // As training reads them, so that a key that a repair changes joins the same rows.
    auto repaired = parts_->contract->repaired(rows, name);
    if (!repaired.ok()) {
      Error error = repaired.error();
      error.kind = ErrorKind::kUnprocessable;
      error.id = "column-missing";
      error.message = fmt::format("the rows have no column `{}`, by which `{}` is computed", name,
                                  parts_->fields.front().name);
      return error;
    }
    std::int64_t lost = 0;
    const Type type = parts_->type_of(name);
    // Not counted here: the contract tells of the rows' own values.
    read.emplace(name, column_as(*repaired, type == Type::kDyn ? repaired->type : type, lost));
  }
  std::vector<table::Column> out;
  for (const auto& one : parts_->joined) {
    HEDDLE_ASSIGN_OR_RETURN(auto column, parts_->compute(one, read));
    out.push_back(std::move(column));
  }
  return out;
}

Result<table::Table> Joiner::join(table::Table rows) const {
  if (parts_->joined.empty()) return rows;
  HEDDLE_ASSIGN_OR_RETURN(auto joined, columns(rows));
  std::vector<table::Column> all(rows.columns().begin(), rows.columns().end());
  for (auto& column : joined) all.push_back(std::move(column));
  return table::Table::make(std::move(all));
}

}  // namespace heddle::upstream
