#include "upstream/history.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/ranges.h>

#include "doc/diagnostic.hpp"
#include "table/cell.hpp"

namespace heddle::upstream {
namespace {

using expr::Datum;
using expr::Type;

constexpr std::size_t kMostKeyColumns = 8;

bool is_of_numbers(Type type) { return type == Type::kInt || type == Type::kDouble; }

/// Every column that is needed once, with the type that it is read as.
class Columns {
 public:
  explicit Columns(const History::Options& options) : options_(options) {}

  Result<void> add(const NeededColumn& column) {
    auto& names = reading_.columns;
    if (std::find(names.begin(), names.end(), column.name) == names.end())
      names.push_back(column.name);
    const Type type = type_of(column);
    // What is only counted is read in whatever type the file has it.
    if (type == Type::kDyn) return {};
    const auto [at, is_new] = reading_.types.emplace(column.name, type);
    if (is_new || at->second == type) return {};
    // One field asks for integers and another for reals: a real column serves both.
    if (is_of_numbers(at->second) && is_of_numbers(type)) {
      at->second = Type::kDouble;
      return {};
    }
    return Error{ErrorKind::kInvalid, "column-type",
                 fmt::format("column `{}` of source `{}` is read as a {} and as a {}", column.name,
                             options_.source, expr::type_name(at->second), expr::type_name(type)),
                 "let the fields that are made of it have one type"};
  }

  Result<table::ReadOptions> reading() && {
    HEDDLE_ASSIGN_OR_RETURN(const auto columns, table::read_schema(options_.input));
    std::vector<std::string> names;
    for (const auto& column : columns) names.push_back(column.name);
    for (const auto& name : reading_.columns) {
      if (std::find(names.begin(), names.end(), name) != names.end()) continue;
      const std::string near = doc::nearest(name, names);
      return Error{ErrorKind::kUnprocessable, "column-missing",
                   fmt::format("source `{}` has no column `{}`, which `upstream` names",
                               options_.source, name),
                   near.empty() ? fmt::format("its columns are `{}`", fmt::join(names, "`, `"))
                                : fmt::format("did the column change its name to `{}`?", near)};
    }
    if (options_.of_rows != nullptr) {
      for (const auto& name : options_.of_rows->text_fields()) {
        // A text stays a text for the contract to repair: read as its type it would be missing.
        if (reading_.types.contains(name)) reading_.as_text.insert(name);
      }
    }
    return std::move(reading_);
  }

 private:
  /// Rows of the contract are read by it; a mean and the like are of other types than what they are
  /// made of.
  [[nodiscard]] Type type_of(const NeededColumn& column) const {
    if (options_.of_rows == nullptr) return column.type;
    for (const auto& field : options_.of_rows->fields()) {
      if (field.name == column.name) return field.type;
    }
    return column.type;
  }

  const History::Options& options_;
  table::ReadOptions reading_{};
};

Result<table::ReadOptions> reading_of(const History::Options& options) {
  Columns columns(options);
  HEDDLE_TRY(columns.add({options.time, Type::kTimestamp}));
  for (const auto& each : options.key) HEDDLE_TRY(columns.add(each));
  for (const auto& each : options.values) HEDDLE_TRY(columns.add(each));
  return std::move(columns).reading();
}

/// A column of the rows as the contract repairs it, as values of the type that is needed.
Result<table::Column> needed(const History::Options& options, const table::Table& rows,
                             const NeededColumn& column, std::int64_t& lost) {
  table::Column from;
  if (options.of_rows != nullptr) {
    HEDDLE_ASSIGN_OR_RETURN(from, options.of_rows->repaired(rows, column.name));
  } else {
    HEDDLE_ASSIGN_OR_RETURN(const table::Column* there, rows.column(column.name));
    from = *there;
  }
  if (column.type == Type::kDyn) return from;
  if (!table::can_hold(from.type, column.type)) {
    return Error{
        ErrorKind::kUnprocessable, "column-type",
        fmt::format("column `{}` of source `{}` holds {} values, and a {} is needed", column.name,
                    options.source, expr::type_name(from.type), expr::type_name(column.type)),
        "let the field that is equal to it, or made of it, have the column's type"};
  }
  return column_as(from, column.type, lost);
}

void append(table::Column& to, const Datum& value, table::StringIndex& texts) {
  const bool is_there = !value.is_null();
  to.valid.push_back(is_there ? 1 : 0);
  switch (to.type) {
    case Type::kDouble: to.doubles.push_back(is_there ? value.d : 0); break;
    case Type::kString: to.codes.push_back(texts.insert(is_there ? value.str() : "")); break;
    case Type::kBool: to.ints.push_back(is_there && value.b ? 1 : 0); break;
    default: to.ints.push_back(is_there ? value.i : 0);
  }
}

}  // namespace

table::Column column_as(const table::Column& column, Type type, std::int64_t& lost) {
  const auto view = column.view();
  const bool has_no_other =
      column.type == type && column.malformed.empty() && type != Type::kDouble;
  if (has_no_other) return column;
  table::Column out;
  out.name = column.name;
  out.type = type;
  table::StringIndex texts;
  for (std::int64_t row = 0; row < view.length; ++row) {
    Datum value = table::as_type(type, column.cell(view, row));
    // What cannot be read counts as missing and is
    // told in a note: one bad row must not stop a run.
    if (value.is_error()) {
      ++lost;
      value = Datum::null();
    }
    append(out, value, texts);
  }
  if (type == Type::kString) {
    // A dictionary has at least one word, which the codes of missing values point to.
    if (texts.size() == 0) texts.insert("");
    out.dictionary = std::make_shared<const table::Dictionary>(texts.values());
  }
  return out;
}

namespace {

/// What is needed of a source's rows, by columns, and what of it could not be read.
struct NeededRows {
  table::Column time;
  std::vector<table::Column> keys;
  std::vector<table::Column> values;
  std::vector<std::string> notes;
};

Result<table::Table> read_rows(const History::Options& options) {
  const auto missing = [&](Error error) {
    if (error.kind == ErrorKind::kNotFound) {
      error.id = "source-missing";
      error.message = fmt::format("source `{}`: {}", options.source, error.message);
      error.hint = "put the file there, or change `sources` in heddle.yaml";
    }
    return error;
  };
  const auto reading = reading_of(options);
  if (!reading.ok()) return missing(reading.error());
  auto rows = table::read_table(options.input, *reading);
  if (!rows.ok()) return missing(rows.error());
  return rows;
}

Result<NeededRows> needed_rows(const History::Options& options) {
  HEDDLE_ASSIGN_OR_RETURN(const table::Table rows, read_rows(options));
  NeededRows out;
  const auto note = [&](std::int64_t count, const std::string& column, std::string_view what) {
    if (count > 0)
      out.notes.push_back(
          fmt::format("source `{}`: {} rows have in `{}` {}", options.source, count, column, what));
  };
  std::int64_t lost = 0;
  HEDDLE_ASSIGN_OR_RETURN(out.time, needed(options, rows, {options.time, Type::kTimestamp}, lost));
  const std::int64_t untimed = out.time.null_count();
  // Single rows without a time are noted; without any time the column is the wrong one.
  if (rows.rows() > 0 && untimed == rows.rows()) {
    return Error{ErrorKind::kUnprocessable, "upstream-no-time",
                 fmt::format("no row of source `{}` has a time that can be read in `{}`",
                             options.source, options.time),
                 "write times like `2001-04-10T05:06:07Z`, or name the column that has them"};
  }
  if (rows.rows() == 0) out.notes.push_back(fmt::format("source `{}` has no row", options.source));
  note(untimed, options.time, "no time that can be read: no row sees them");
  for (const auto& each : options.key) {
    lost = 0;
    HEDDLE_ASSIGN_OR_RETURN(auto key, needed(options, rows, each, lost));
    note(lost, each.name, "what is no value of the key's type: no row sees them");
    out.keys.push_back(std::move(key));
  }
  for (const auto& each : options.values) {
    lost = 0;
    HEDDLE_ASSIGN_OR_RETURN(auto value, needed(options, rows, each, lost));
    note(lost, each.name, "what is no value of the field's type: it counts as missing");
    out.values.push_back(std::move(value));
  }
  return out;
}

}  // namespace

Result<History> History::read(const Options& options) {
  if (options.key.size() > kMostKeyColumns) {
    return Error{
        ErrorKind::kInvalid, "bad-upstream",
        fmt::format("a key of source `{}` has {} columns", options.source, options.key.size()),
        fmt::format("at most {} are joined by", kMostKeyColumns)};
  }
  HEDDLE_ASSIGN_OR_RETURN(auto rows, needed_rows(options));
  History out;
  out.notes_ = std::move(rows.notes);
  for (const auto& each : options.key) out.parts_.emplace_back(each.type);
  const auto codes = out.number(rows.keys, rows.time);
  const auto order = out.order(codes, rows.time);
  out.times_.reserve(order.size());
  // In the order of the key and then of time, so that what was known is one range of it.
  for (const auto row : order) out.times_.push_back(rows.time.ints[static_cast<std::size_t>(row)]);
  for (auto& value : rows.values) {
    HEDDLE_ASSIGN_OR_RETURN(const auto one, table::Table::make({std::move(value)}));
    const table::Table taken = one.take(order);
    out.values_.push_back(taken.columns()[0]);
  }
  return out;
}

std::vector<std::int32_t> History::number(const std::vector<table::Column>& keys,
                                          const table::Column& time) {
  // -1: no row sees it, for it has no time or a part of its key is missing.
  std::vector<std::int32_t> codes(time.ints.size(), -1);
  std::vector<table::KeyColumn> columns;
  std::vector<expr::ColumnView> views;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    columns.emplace_back(parts_[i], &parts_[i]);
    views.push_back(keys[i].view());
  }
  // Without a key all rows have one, the number 0.
  std::vector<std::int64_t> key(std::max<std::size_t>(1, keys.size()), 0);
  keys_ = table::TupleIndex(key.size());
  for (std::size_t row = 0; row < codes.size(); ++row) {
    bool is_whole = time.valid.empty() || time.valid[row] != 0;
    for (std::size_t i = 0; i < columns.size() && is_whole; ++i) {
      const auto part = columns[i].at(views[i], static_cast<std::int64_t>(row));
      is_whole = part.has_value();
      key[i] = part.value_or(0);
    }
    if (is_whole) codes[row] = keys_.insert(key);
  }
  return codes;
}

std::vector<std::int64_t> History::order(const std::vector<std::int32_t>& codes,
                                         const table::Column& time) {
  // Rows of one key together, in the order of the file.
  std::vector<std::size_t> counts(keys_.size(), 0);
  for (const auto code : codes) {
    if (code >= 0) ++counts[static_cast<std::size_t>(code)];
  }
  ends_.resize(counts.size());
  std::partial_sum(counts.begin(), counts.end(), ends_.begin());
  std::vector<std::int64_t> order(ends_.empty() ? 0 : ends_.back());
  std::vector<std::size_t> next(ends_.size(), 0);
  for (std::size_t i = 1; i < next.size(); ++i) next[i] = ends_[i - 1];
  for (std::size_t row = 0; row < codes.size(); ++row) {
    if (codes[row] >= 0)
      order[next[static_cast<std::size_t>(codes[row])]++] = static_cast<std::int64_t>(row);
  }
  // Then by time; rows of one time stay as they are.
  const auto earlier = [&](std::int64_t a, std::int64_t b) {
    return time.ints[static_cast<std::size_t>(a)] < time.ints[static_cast<std::size_t>(b)];
  };
  for (std::size_t i = 0; i < ends_.size(); ++i) {
    const auto begin = order.begin() + static_cast<std::ptrdiff_t>(ends_[i] - counts[i]);
    const auto end = order.begin() + static_cast<std::ptrdiff_t>(ends_[i]);
    // Files are mostly in order of time already.
    if (!std::is_sorted(begin, end, earlier)) std::stable_sort(begin, end, earlier);
  }
  return order;
}

std::optional<std::int32_t> History::find(std::span<const std::int64_t> key) const noexcept {
  const std::int32_t code = keys_.find(key);
  return code < 0 ? std::nullopt : std::optional(code);
}

Range History::between(std::int32_t code, Micros from, Micros before) const noexcept {
  const auto at = static_cast<std::size_t>(code);
  const auto begin = times_.begin() + static_cast<std::ptrdiff_t>(at == 0 ? 0 : ends_[at - 1]);
  const auto end = times_.begin() + static_cast<std::ptrdiff_t>(ends_[at]);
  const auto last = std::lower_bound(begin, end, before);
  const auto first = std::min(std::lower_bound(begin, end, from), last);
  return {static_cast<std::size_t>(first - times_.begin()),
          static_cast<std::size_t>(last - times_.begin())};
}

}  // namespace heddle::upstream
