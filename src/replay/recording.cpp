#include "replay/recording.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <unordered_map>

#include <fmt/format.h>

#include "expr/program.hpp"
#include "table/cell.hpp"

namespace heddle::replay {
namespace {

using expr::Type;

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

void two_digits(int value, std::string& out) {
  out.push_back(static_cast<char>('0' + value / 10 % 10));
  out.push_back(static_cast<char>('0' + value % 10));
}

void append_string(std::string_view text, std::string& out) {
  out.push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
      // Bytes above are sent as they are: the texts of a file are UTF-8.
    } else if (static_cast<unsigned char>(c) < 0x20) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

void append_time(Micros time, std::string& out) {
  if (!table::is_time(
          time)) {  // four digits cannot write its year: it is sent as it is, and refused
    append_string(format_time(time), out);
    return;
  }
  const CivilDate date = civil_date(time);
  Micros rest = time - from_civil(date);
  out.push_back('"');
  two_digits(date.year / 100, out);
  two_digits(date.year % 100, out);
  out.push_back('-');
  two_digits(date.month, out);
  out.push_back('-');
  two_digits(date.day, out);
  out.push_back('T');
  two_digits(static_cast<int>(rest / kHour), out);
  rest %= kHour;
  out.push_back(':');
  two_digits(static_cast<int>(rest / kMinute), out);
  rest %= kMinute;
  out.push_back(':');
  two_digits(static_cast<int>(rest / kSecond), out);
  if (rest % kSecond != 0) fmt::format_to(std::back_inserter(out), ".{:06}", rest % kSecond);
  out.append("Z\"");
}

void append_american_date(Micros time, std::string& out) {
  const CivilDate date = civil_date(time);
  out.push_back('"');
  two_digits(date.month, out);
  out.push_back('/');
  two_digits(date.day, out);
  out.push_back('/');
  two_digits(date.year % 100, out);
  out.push_back('"');
}

void append_value(const expr::Datum& value, std::string& out) {
  switch (value.kind) {
    case expr::Datum::Kind::kBool: out.append(value.b ? "true" : "false"); break;
    case expr::Datum::Kind::kInt: fmt::format_to(std::back_inserter(out), "{}", value.i); break;
    case expr::Datum::Kind::kDouble:
      // JSON has no infinity: it is sent as a text, which a number's field refuses as it does
      // infinity.
      if (std::isfinite(value.d))
        fmt::format_to(std::back_inserter(out), "{}", value.d);
      else
        out.append(std::isnan(value.d) ? "null" : value.d > 0 ? "\"Infinity\"" : "\"-Infinity\"");
      break;
    case expr::Datum::Kind::kTimestamp: append_time(value.i, out); break;
    case expr::Datum::Kind::kString: append_string(value.str(), out); break;
    default: out.append("null");
  }
}

Result<void> check_fault(const Fault& fault, const table::Column& column) {
  const bool number = column.type == Type::kInt || column.type == Type::kDouble;
  bool fits = true;
  switch (fault.kind) {
    case Fault::Kind::kUnit: fits = number; break;
    case Fault::Kind::kDateFormat:
    case Fault::Kind::kTimeShift: fits = column.type == Type::kTimestamp; break;
    case Fault::Kind::kUnknownCode: fits = column.type == Type::kString; break;
    default: break;  // any field can be missing; labels are no column
  }
  if (fits) return {};
  return Error{ErrorKind::kInvalid, "replay-fault-type",
               fmt::format("fault `{}` cannot touch `{}`: the column has another type", fault.name,
                           fault.field),
               "choose a field of the type the fault is about"};
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
  HEDDLE_ASSIGN_OR_RETURN(const auto target, expr::names_in(options.target));
  const auto add = [&](const std::string& name) {
    auto& columns = reading.columns;
    if (!name.empty() && std::find(columns.begin(), columns.end(), name) == columns.end())
      columns.push_back(name);
  };
  for (const auto& name : options.fields) add(name);
  for (const auto& name : target) add(name);
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

double unit_changed(double value, double factor) { return std::round(value * factor); }

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

/// A cell that has a value.
expr::Datum value_at(const table::Column& column, std::size_t i) {
  switch (column.type) {
    case Type::kBool: return expr::Datum::boolean(column.ints[i] != 0);
    case Type::kInt: return expr::Datum::integer(column.ints[i]);
    case Type::kTimestamp: return expr::Datum::timestamp(column.ints[i]);
    case Type::kDouble: return expr::Datum::real(column.doubles[i]);
    default:
      return expr::Datum::string(
          column.dictionary->views()[static_cast<std::size_t>(column.codes[i])]);
  }
}

/// What a value is once a fault touched it. `code` is what an unknown code borrows.
expr::Datum touched(const Fault& fault, const expr::Datum& value, std::int64_t row, Type type,
                    char (&code)[4]) {
  switch (fault.kind) {
    case Fault::Kind::kUnit: {
      const double changed = unit_changed(value.number(), fault.factor);
      return type == Type::kInt ? expr::Datum::integer(static_cast<std::int64_t>(changed))
                                : expr::Datum::real(changed);
    }
    case Fault::Kind::kUnknownCode:
      unknown_code(static_cast<std::uint64_t>(row), code);
      return expr::Datum::string(std::string_view(code, 4));
    case Fault::Kind::kMissing: return expr::Datum::null();
    case Fault::Kind::kTimeShift: return expr::Datum::timestamp(value.i + fault.shift);
    default: return value;
  }
}

/// The same, of a cell of a column; codes that no row had are added to `extra`.
void touch(const Fault& fault, std::int64_t row, std::size_t i, table::Column& column,
           std::vector<std::string>& extra) {
  switch (fault.kind) {
    case Fault::Kind::kUnit:
      if (column.type == Type::kInt) {
        column.ints[i] = static_cast<std::int64_t>(
            unit_changed(static_cast<double>(column.ints[i]), fault.factor));
      } else {
        column.doubles[i] = unit_changed(column.doubles[i], fault.factor);
      }
      break;
    case Fault::Kind::kTimeShift: column.ints[i] += fault.shift; break;
    case Fault::Kind::kMissing:
      column.valid.resize(static_cast<std::size_t>(column.length()), 1);
      column.valid[i] = 0;
      break;
    case Fault::Kind::kUnknownCode: {
      char code[4];
      unknown_code(static_cast<std::uint64_t>(row), code);
      column.codes[i] = static_cast<std::int32_t>(column.dictionary->views().size() + extra.size());
      extra.emplace_back(code, 4);
      break;
    }
    default: break;
  }
}

/// Puts new codes into the dictionary. Two rows may share one; a dictionary holds distinct strings.
void add_codes(const std::vector<std::string>& extra, table::Column& column) {
  // The dictionary is shared by all slices of the file: it is copied only for a fault.
  if (extra.empty()) return;
  const std::size_t known = column.dictionary->views().size();
  std::vector<std::string> values(column.dictionary->views().begin(),
                                  column.dictionary->views().end());
  std::vector<std::int32_t> place(extra.size());
  std::unordered_map<std::string, std::int32_t> seen;
  for (std::size_t e = 0; e < extra.size(); ++e) {
    const auto [it, fresh] = seen.emplace(extra[e], static_cast<std::int32_t>(values.size()));
    if (fresh) values.push_back(extra[e]);
    place[e] = it->second;
  }
  for (std::int32_t& code : column.codes) {
    if (code >= static_cast<std::int32_t>(known))
      code = place[static_cast<std::size_t>(code) - known];
  }
  column.dictionary = std::make_shared<const table::Dictionary>(std::move(values));
}

/// Whether the fault is about labels alone and touches no field.
bool about_label(Fault::Kind kind) {
  return kind == Fault::Kind::kInvertLabel || kind == Fault::Kind::kWrongLabel ||
         kind == Fault::Kind::kDropPositive;
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
  std::vector<std::uint8_t> of_code;
  for (const std::string_view value : by->dictionary->views()) {
    of_code.push_back(
        static_cast<std::uint8_t>(crc32(value) % static_cast<std::uint32_t>(options.sources)));
  }
  for (std::size_t i = 0; i < n; ++i) {
    // A row without a value is of the first source.
    if (by->valid.empty() || by->valid[i] != 0)
      sources_[i] = of_code[static_cast<std::size_t>(by->codes[i])];
  }
  return {};
}

Result<void> Recording::set_fields(const Options& options, const table::Table& picked) {
  std::vector<table::Column> columns;
  for (const std::string& field : options.fields) {
    HEDDLE_ASSIGN_OR_RETURN(const table::Column* column, picked.column(field));
    std::string prefix(1, columns.empty() ? '{' : ',');
    append_string(field, prefix);
    prefix.push_back(':');
    prefix_.push_back(std::move(prefix));
    columns.push_back(*column);
  }
  HEDDLE_ASSIGN_OR_RETURN(table_, table::Table::make(std::move(columns)));
  return {};
}

/// Marks the rows that a fault touches.
Result<void> Recording::set_fault(const Options& options, std::size_t number) {
  const Fault& fault = options.faults[number];
  if (about_label(fault.kind)) {
    if (target_ != Type::kBool) {
      return Error{ErrorKind::kInvalid, "replay-fault-label",
                   fmt::format("fault `{}` turns labels over, and the target is not true or false",
                               fault.name),
                   "leave it out"};
    }
  } else {
    const auto at = std::find(options.fields.begin(), options.fields.end(), fault.field);
    HEDDLE_ASSIGN_OR_RETURN(const table::Column* column, table_.column(fault.field));
    HEDDLE_TRY(check_fault(fault, *column));
    field_faults_.push_back(
        {static_cast<int>(number), static_cast<int>(at - options.fields.begin())});
  }
  for (std::size_t i = 0; i < times_.size(); ++i) {
    // Drawn by the row's number: a replay touches the same rows each time, however fast it is.
    if (!fault.active(times_[i], sources_[i], seeded_draw(options.seed, i))) continue;
    bits_[i] = static_cast<std::uint8_t>(bits_[i] | 1u << number);
    // The world itself changes: what became of the row is the opposite.
    if (fault.kind == Fault::Kind::kInvertLabel) labels_[i] = 1 - labels_[i];
  }
  return {};
}

Result<Recording> Recording::open(const Options& options) {
  if (options.every < 1 || options.sources < 1 || options.sources > 255 ||
      options.faults.size() > 8) {
    return Error{ErrorKind::kInvalid, "replay-options",
                 "`every` and the number of sources must be positive, faults at most 8",
                 "see `heddle replay --help`"};
  }
  if (options.time_field.empty()) {
    return Error{
        ErrorKind::kInvalid, "replay-no-time",
        "the model has no `time_field`, so its rows have no order in which they could be sent",
        "name the field that holds when each row happened as `train.time_field`"};
  }
  Recording recording;
  recording.faults_ = options.faults;
  HEDDLE_ASSIGN_OR_RETURN(const table::Table picked, recording.choose_rows(options));
  HEDDLE_TRY(recording.evaluate_target(options, picked));
  HEDDLE_TRY(recording.set_sources(options, picked));
  HEDDLE_TRY(recording.set_fields(options, picked));
  HEDDLE_TRY(recording.drop_positives(options.seed));
  // After rows were dropped: bits and labels are by the row's place.
  recording.bits_.assign(recording.times_.size(), 0);
  for (std::size_t f = 0; f < options.faults.size(); ++f)
    HEDDLE_TRY(recording.set_fault(options, f));
  return recording;
}

namespace {

/// A truth or a number; NaN of anything else: what is not known is not false.
double number_of(const expr::Datum& value) {
  using Kind = expr::Datum::Kind;
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  if (value.kind == Kind::kBool) return value.b ? 1 : 0;
  if (value.kind != Kind::kInt && value.kind != Kind::kDouble) return kNone;
  return std::isfinite(value.number()) ? value.number() : kNone;
}

}  // namespace

/// What the target says of each row.
Result<void> Recording::evaluate_target(const Options& options, const table::Table& picked) {
  HEDDLE_ASSIGN_OR_RETURN(const auto names, expr::names_in(options.target));
  std::vector<table::Column> columns;
  // In training the target is of repaired rows.
  for (const table::Column& column : picked.columns()) {
    const bool is_meant = std::find(names.begin(), names.end(), column.name) != names.end();
    if (!is_meant) {
      columns.push_back(column);
      continue;
    }
    HEDDLE_ASSIGN_OR_RETURN(auto repaired, read_column(options, picked, column.name));
    columns.push_back(std::move(repaired));
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto read, table::Table::make(std::move(columns)));
  expr::Environment environment;
  for (const table::Column& column : read.columns())
    environment.variables.push_back({column.name, column.type});
  HEDDLE_ASSIGN_OR_RETURN(const expr::Program target,
                          expr::Program::compile(options.target, environment));
  target_ = target.type();
  if (target_ != Type::kBool && target_ != Type::kString && target_ != Type::kInt &&
      target_ != Type::kDouble) {
    return Error{ErrorKind::kInvalid, "replay-target",
                 fmt::format("the target `{}` is neither true or false, a string nor a number",
                             options.target),
                 "see the target of the Model"};
  }
  labels_.resize(static_cast<std::size_t>(picked.rows()));
  std::unordered_map<std::string, std::size_t> places;
  const std::vector<expr::ColumnView> views = read.views();
  expr::Program::Scratch scratch;
  target.evaluate_columns(
      views, 0, read.rows(), scratch, [&](std::int64_t row, const expr::Datum& value) {
        double code = number_of(value);
        if (value.kind == expr::Datum::Kind::kString) {
          // Classes are numbered in the order in which rows have them; the number is only of this
          // recording.
          const auto [at, fresh] = places.try_emplace(std::string(value.str()), words_.size());
          if (fresh) words_.push_back(at->first);
          code = static_cast<double>(at->second);
        }
        if (std::isnan(code)) ++unlabelled_;
        labels_[static_cast<std::size_t>(row)] = code;
      });
  return {};
}

Result<void> Recording::drop_positives(std::uint64_t seed) {
  std::vector<std::int64_t> kept;
  for (std::size_t i = 0; i < labels_.size(); ++i) {
    const bool dropped =
        labels_[i] == 1 && std::any_of(faults_.begin(), faults_.end(), [&](const Fault& fault) {
          return fault.kind == Fault::Kind::kDropPositive &&
                 fault.active(times_[i], sources_[i], seeded_draw(seed, i));
        });
    if (!dropped) kept.push_back(static_cast<std::int64_t>(i));
  }
  if (kept.size() == labels_.size()) return {};
  table_ = table_.take(kept);
  std::size_t to = 0;
  for (const std::int64_t row : kept) {
    const auto from = static_cast<std::size_t>(row);
    times_[to] = times_[from];
    labels_[to] = labels_[from];
    sources_[to] = sources_[from];
    ++to;
  }
  times_.resize(to);
  labels_.resize(to);
  sources_.resize(to);
  return {};
}

void append_label(const stats::Label& label, std::string& out) {
  if (const auto* truth = std::get_if<bool>(&label))
    out.push_back(*truth ? '1' : '0');
  else if (const auto* number = std::get_if<double>(&label))
    fmt::format_to(std::back_inserter(out), "{}", *number);
  else
    append_string(std::get<std::string>(label), out);
}

std::optional<stats::Label> Recording::label_of(double code) const {
  if (std::isnan(code)) return std::nullopt;
  switch (target_) {
    case Type::kBool: return code != 0;
    case Type::kString: return words_[static_cast<std::size_t>(code)];
    default: return code;
  }
}

std::optional<stats::Label> Recording::label(std::int64_t row) const {
  return label_of(labels_[static_cast<std::size_t>(row)]);
}

std::optional<stats::Label> Recording::sent_label(std::int64_t row) const {
  const std::uint8_t bits = fault_bits(row);
  double code = labels_[static_cast<std::size_t>(row)];
  for (std::size_t f = 0; bits != 0 && f < faults_.size(); ++f) {
    if ((bits >> f & 1) != 0 && faults_[f].kind == Fault::Kind::kWrongLabel) code = 1 - code;
  }
  return label_of(code);
}

void Recording::append_json(std::int64_t row, std::string& out) const {
  const std::uint8_t bits = bits_[static_cast<std::size_t>(row)];
  const std::span<const table::Column> columns = table_.columns();
  for (std::size_t f = 0; f < columns.size(); ++f) {
    out.append(prefix_[f]);
    const table::Column& column = columns[f];
    const auto i = static_cast<std::size_t>(row);
    if (!column.valid.empty() && column.valid[i] == 0) {
      if (const auto text = column.malformed_text(i))
        append_string(*text, out);
      else
        out.append("null");
      continue;
    }
    expr::Datum value = value_at(column, i);
    char code[4];
    bool written = false;
    for (const FieldFault& at : field_faults_) {
      // A value that one fault took away cannot be touched by the next.
      if (at.field != static_cast<int>(f) || (bits >> at.fault & 1) == 0 || value.is_null())
        continue;
      const Fault& fault = faults_[static_cast<std::size_t>(at.fault)];
      value = touched(fault, value, row, column.type, code);
      // No value of JSON is a date in another form: its text is written in place of the value.
      if (fault.kind == Fault::Kind::kDateFormat) {
        append_american_date(value.i, out);
        written = true;
      }
    }
    if (!written) append_value(value, out);
  }
  out.push_back('}');
}

Result<table::Table> Recording::received(std::span<const std::int64_t> rows) const {
  const table::Table taken = table_.take(rows);
  std::vector<table::Column> columns(taken.columns().begin(), taken.columns().end());
  for (const FieldFault& at : field_faults_) {
    const Fault& fault = faults_[static_cast<std::size_t>(at.fault)];
    table::Column& column = columns[static_cast<std::size_t>(at.field)];
    std::vector<std::string> extra;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if ((bits_[static_cast<std::size_t>(rows[i])] >> at.fault & 1) == 0) continue;
      if (!column.valid.empty() && column.valid[i] == 0) continue;
      touch(fault, rows[i], i, column, extra);
    }
    add_codes(extra, column);
  }
  return table::Table::make(std::move(columns));
}

}  // namespace heddle::replay
