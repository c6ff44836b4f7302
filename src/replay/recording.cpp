#include "replay/recording.hpp"

#include <algorithm>
#include <array>
#include <numeric>

#include <fmt/format.h>

#include "expr/program.hpp"
#include "replay/lay_fault.hpp"

namespace heddle::replay {
namespace {

using table::Type;

/// The source of requests that name none.
const std::vector<std::string> kNoSources{"default"};

/// CRC-32 (IEEE 802.3), so that a row's source is the same on every machine: std::hash promises
/// nothing.
constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int k = 0; k < 8; ++k) c = (c & 1u) != 0 ? 0xedb88320u ^ (c >> 1) : c >> 1;
    table[i] = c;
  }
  return table;
}
constexpr auto kCrcTable = make_crc_table();

/// The fields that the expressions of a replay name, the target first.
Result<std::vector<std::string>> named_fields(const Recording::Options& options) {
  std::vector<std::string> out;
  const auto add = [&](const std::string& expression, bool has_label) -> Result<void> {
    if (expression.empty()) return {};
    HEDDLE_ASSIGN_OR_RETURN(const auto names, expr::names_in(expression));
    for (const std::string& name : names) {
      // Functions are among the names, and `label` of a fault is what the target says.
      if (options.types.contains(name) && !(has_label && name == "label")) out.push_back(name);
    }
    return {};
  };
  HEDDLE_TRY(add(options.target, false));
  for (const spec::Fault& fault : options.faults) {
    for (const spec::Expression* each : {&fault.where, &fault.label, &fault.sent_label})
      HEDDLE_TRY(add(each->text, true));
  }
  return out;
}

/// The columns that are asked for, by the contract's types.
Result<table::Table> read_rows(const Recording::Options& options) {
  table::ReadOptions reading;
  reading.types = options.types;
  // Whatever the contract says of it: rows are sent in its order.
  reading.types.insert_or_assign(options.time_field, Type::kTimestamp);
  reading.as_text = options.as_text;
  // Where only the contract can read the times, rows outside are left out once they are here.
  if (!options.as_text.contains(options.time_field)) {
    reading.time_column = options.time_field;
    reading.time_from = options.from;
    reading.time_to = options.to;
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto named, named_fields(options));
  const auto add = [&](const std::string& name) {
    auto& columns = reading.columns;
    // What is computed from other sources is in no column of the file.
    if (name.empty() || options.joined_fields.contains(name)) return;
    if (std::find(columns.begin(), columns.end(), name) == columns.end()) columns.push_back(name);
  };
  for (const auto& name : options.fields) add(name);
  for (const auto& name : named) add(name);
  add(options.time_field);
  add(options.source_field);
  return table::read_table(options.file, reading);
}

/// A column of rows as the contract repairs it.
Result<table::Column> read_column(const Recording::Options& options, const table::Table& rows,
                                  const std::string& name) {
  if (options.repaired) return options.repaired(rows, name);
  HEDDLE_ASSIGN_OR_RETURN(const table::Column* column, rows.column(name));
  return *column;
}

/// The rows with what expressions name as the contract repairs it: training reads them so.
Result<table::Table> read_as_meant(const Recording::Options& options, const table::Table& rows) {
  HEDDLE_ASSIGN_OR_RETURN(const auto named, named_fields(options));
  std::vector<table::Column> columns(rows.columns().begin(), rows.columns().end());
  for (table::Column& column : columns) {
    if (std::find(named.begin(), named.end(), column.name) == named.end()) continue;
    HEDDLE_ASSIGN_OR_RETURN(column, read_column(options, rows, column.name));
  }
  return table::Table::make(std::move(columns));
}

/// Rows with times of [from, to), and those whose time is missing or malformed, as a reader of
/// times would have kept them.
table::Table in_time(table::Table rows, const table::Column& time,
                     const Recording::Options& options) {
  std::vector<std::int64_t> kept;
  for (std::int64_t row = 0; row < rows.rows(); ++row) {
    const auto i = static_cast<std::size_t>(row);
    const bool is_known = time.valid.empty() || time.valid[i] != 0;
    if (!is_known || (time.ints[i] >= options.from && time.ints[i] < options.to))
      kept.push_back(row);
  }
  // Nothing to leave out: the rows need no copy.
  if (std::ssize(kept) == rows.rows()) return rows;
  return rows.take(kept);
}

/// The event time of each row; one that is missing or malformed is that of the row before it, or
/// else of the first row that has one. Some row must.
std::vector<Micros> times_of(const table::Column& column) {
  std::vector<Micros> out = column.ints;
  // Most files have a time in each row.
  if (column.valid.empty()) return out;
  const auto first = std::find(column.valid.begin(), column.valid.end(), 1);
  HEDDLE_CHECK(first != column.valid.end(), "no row has a time");
  Micros last = column.ints[static_cast<std::size_t>(first - column.valid.begin())];
  for (std::size_t i = 0; i < out.size(); ++i) last = out[i] = column.valid[i] != 0 ? out[i] : last;
  return out;
}

/// Rows by event time; rows of one instant stay in the order of the file, and `every` counts in
/// that order.
std::vector<std::int64_t> order_of(const std::vector<Micros>& times) {
  std::vector<std::int64_t> order(times.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return times[static_cast<std::size_t>(a)] < times[static_cast<std::size_t>(b)];
  });
  return order;
}

}  // namespace

std::uint32_t crc32(std::string_view bytes) noexcept {
  std::uint32_t crc = 0xffffffffu;
  for (const char c : bytes)
    crc = kCrcTable[(crc ^ static_cast<unsigned char>(c)) & 0xffu] ^ (crc >> 8);
  return crc ^ 0xffffffffu;
}

Result<table::Table> Recording::choose_rows(const Options& options) {
  HEDDLE_ASSIGN_OR_RETURN(table::Table all, read_rows(options));
  HEDDLE_ASSIGN_OR_RETURN(table::Column time, read_column(options, all, options.time_field));
  if (options.as_text.contains(options.time_field)) {
    // The rows are others now, so their times are read again.
    all = in_time(std::move(all), time, options);
    HEDDLE_ASSIGN_OR_RETURN(time, read_column(options, all, options.time_field));
  }
  // Without any time there is no order to send rows in; a row without one has that of the row
  // before it.
  if (all.rows() > 0 && time.null_count() == all.rows()) {
    return Error{
        ErrorKind::kInvalid, "replay-no-time",
        fmt::format("no row of `{}` has a time in `{}`", options.file.text(), options.time_field),
        "replay a file whose rows say when they happened: their order is that of time"};
  }
  const std::vector<Micros> times = times_of(time);
  const std::vector<std::int64_t> order = order_of(times);
  std::vector<std::int64_t> chosen;
  chosen.reserve(order.size() / static_cast<std::size_t>(options.every) + 1);
  for (std::size_t i = 0; i < order.size(); i += static_cast<std::size_t>(options.every)) {
    const auto row = static_cast<std::size_t>(order[i]);
    // Every n-th in order of time, so that a thinned replay covers the same span.
    chosen.push_back(order[i]);
    times_.push_back(times[row]);
    if (!time.valid.empty() && time.valid[row] == 0) ++untimed_;
  }
  table::Table picked = all.take(chosen);
  if (picked.rows() == 0) {
    return Error{
        ErrorKind::kInvalid, "replay-empty",
        fmt::format("no rows of `{}` are in the time that was asked for", options.file.text()),
        "widen the time, or check the time column"};
  }
  if (options.join) return options.join(std::move(picked));
  return picked;
}

/// Rows of one value of the field come from one source, by a fixed hash.
Result<void> Recording::set_sources(const Options& options, const table::Table& picked) {
  const auto n = static_cast<std::size_t>(picked.rows());
  sources_.assign(n, 0);
  if (options.source_field.empty()) return {};
  HEDDLE_ASSIGN_OR_RETURN(const table::Column* by, picked.column(options.source_field));
  if (by->type != Type::kString) {
    return Error{ErrorKind::kInvalid, "replay-source-type",
                 fmt::format("`{}` is not a string column", options.source_field),
                 "name a string column, or none"};
  }
  const auto sources = static_cast<std::uint32_t>(std::max<std::size_t>(options.sources.size(), 1));
  std::vector<std::uint8_t> of_code;
  for (const std::string_view value : by->dictionary->views())
    // Hashed once for each distinct value, and not once for each row.
    of_code.push_back(static_cast<std::uint8_t>(crc32(value) % sources));
  for (std::size_t i = 0; i < n; ++i) {
    // A row without a value is of the first source.
    if (by->valid.empty() || by->valid[i] != 0)
      sources_[i] = of_code[static_cast<std::size_t>(by->codes[i])];
  }
  return {};
}

Result<void> Recording::mark_faults(const Options& options, const table::Table& meant) {
  bits_.assign(times_.size(), 0);
  const RecordedRows rows{meant,    times_,
                          sources_, options.sources.empty() ? kNoSources : options.sources,
                          labels_,  options.seed};
  for (std::size_t f = 0; f < options.faults.size(); ++f) {
    HEDDLE_ASSIGN_OR_RETURN(const std::int64_t touched,
                            mark_rows({options.faults[f], f}, rows, bits_));
    touched_.push_back(touched);
  }
  return {};
}

Result<void> Recording::drop_rows(const Options& options, table::Table& picked,
                                  table::Table& meant) {
  FaultBits dropping = 0;
  for (std::size_t f = 0; f < options.faults.size(); ++f) {
    if (options.faults[f].drop) dropping |= NumberedFault{options.faults[f], f}.bit();
  }
  std::vector<std::int64_t> kept;
  for (std::size_t i = 0; i < bits_.size(); ++i) {
    if ((bits_[i] & dropping) == 0) kept.push_back(static_cast<std::int64_t>(i));
  }
  if (kept.size() == bits_.size()) return {};
  if (kept.empty()) {
    return Error{ErrorKind::kInvalid, "replay-empty", "the faults leave no row to send",
                 "choose fewer faults, or a wider time"};
  }
  picked = picked.take(kept);
  meant = meant.take(kept);
  labels_.keep(kept);
  for (std::size_t to = 0; to < kept.size(); ++to) {
    const auto from = static_cast<std::size_t>(kept[to]);
    times_[to] = times_[from];
    sources_[to] = sources_[from];
    bits_[to] = bits_[from];
  }
  times_.resize(kept.size());
  sources_.resize(kept.size());
  bits_.resize(kept.size());
  return {};
}

Result<void> Recording::lay_faults(const Options& options, const table::Table& meant) {
  for (std::size_t f = 0; f < options.faults.size(); ++f) {
    const NumberedFault fault{options.faults[f], f};
    HEDDLE_TRY(lay_on_fields(fault, options.fields, bits_, fields_));
    if (!fault.fault.label.text.empty())
      HEDDLE_TRY(lay_on_labels(fault, "label", fault.fault.label, meant, bits_, labels_));
  }
  // What is said of rows begins with what became of them in the end.
  for (std::size_t f = 0; f < options.faults.size(); ++f) {
    const NumberedFault fault{options.faults[f], f};
    if (fault.fault.sent_label.text.empty()) continue;
    if (!sent_labels_) sent_labels_ = labels_;
    HEDDLE_TRY(
        lay_on_labels(fault, "sent_label", fault.fault.sent_label, meant, bits_, *sent_labels_));
  }
  return {};
}

Result<Recording> Recording::open(const Options& options) {
  if (options.every < 1 || options.sources.size() > 255) {
    return Error{ErrorKind::kInvalid, "replay-options",
                 "`every` must be positive, and a service has at most 255 sources",
                 "see `heddle replay --help`"};
  }
  if (options.faults.size() > kMostFaults) {
    return Error{
        ErrorKind::kInvalid, "replay-options",
        fmt::format("{} faults at once; a replay takes {}", options.faults.size(), kMostFaults),
        "name those that belong together: `--faults NAME,NAME`"};
  }
  if (options.time_field.empty()) {
    return Error{
        ErrorKind::kInvalid, "replay-no-time",
        "the model has no `time_field`, so its rows have no order in which they could be sent",
        "name the field that holds when each row happened as `train.time_field`"};
  }
  Recording recording;
  HEDDLE_ASSIGN_OR_RETURN(table::Table picked, recording.choose_rows(options));
  HEDDLE_ASSIGN_OR_RETURN(table::Table meant, read_as_meant(options, picked));
  HEDDLE_ASSIGN_OR_RETURN(recording.labels_, Labels::open(options.target, meant));
  HEDDLE_TRY(recording.set_sources(options, picked));
  HEDDLE_TRY(recording.mark_faults(options, meant));
  HEDDLE_TRY(recording.drop_rows(options, picked, meant));
  HEDDLE_ASSIGN_OR_RETURN(recording.fields_, SentFields::open(options.fields, picked));
  HEDDLE_TRY(recording.lay_faults(options, meant));
  HEDDLE_TRY(recording.fields_.finish());
  return recording;
}

}  // namespace heddle::replay
