#include "table/json_lines.hpp"

#include <algorithm>
#include <unordered_map>

#include <arrow/io/interfaces.h>
#include <arrow/result.h>
#include <fmt/format.h>

#include "doc/json.hpp"
#include "table/cell.hpp"
#include "table/column_names.hpp"
#include "table/lookup.hpp"
#include "table/text_bytes.hpp"

namespace heddle::table {
namespace {

using expr::Datum;

constexpr std::size_t kMostLine = 4 << 20;    ///< bytes, as of a row of CSV
constexpr std::size_t kBlock = 1 << 20;       ///< bytes read at once
constexpr std::int64_t kChunkRows = 1 << 17;  ///< as of Parquet
constexpr std::size_t kChunkBytes = 4 << 20;

/// The lines of a file, without their ends. Memory: a block and a line.
class Lines {
 public:
  static Result<Lines> open(const std::string& path, const Form& form) {
    HEDDLE_ASSIGN_OR_RETURN(auto bytes, open_text(path, Format::kJson, form));
    return Lines(path, std::move(bytes));
  }

  /// False after the last. The view is good until the next call.
  Result<bool> next(std::string_view& line) {
    for (;;) {
      const auto end = buffer_.find('\n', begin_);
      // The last line need not have an end.
      if (end != std::string::npos || (at_end_ && begin_ < buffer_.size())) {
        const auto stop = std::min(end, buffer_.size());
        line = std::string_view(buffer_).substr(begin_, stop - begin_);
        begin_ = std::min(stop + 1, buffer_.size());
        ++number_;
        // Writers leave an empty line at the end; it is counted, so that numbers are those of an
        // editor.
        if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
        return true;
      }
      if (at_end_) return false;
      if (buffer_.size() - begin_ > kMostLine) {
        return Error{
            ErrorKind::kInvalid, "table-row-length",
            fmt::format("`{}` has a row of more than 4 MiB, in line {}", path_, number_ + 1),
            "write a row a line, or Parquet"};
      }
      HEDDLE_TRY(read_block());
    }
  }
  [[nodiscard]] std::int64_t number() const noexcept { return number_; }

 private:
  Lines(std::string path, TextBytes bytes) : path_(std::move(path)), bytes_(std::move(bytes)) {}

  Result<void> read_block() {
    buffer_.erase(0, begin_);
    begin_ = 0;
    const std::size_t had = buffer_.size();
    buffer_.resize(had + kBlock);
    const auto read = bytes_.stream->Read(static_cast<std::int64_t>(kBlock), buffer_.data() + had);
    if (!read.ok()) {
      return bytes_.fault->get().value_or(Error{ErrorKind::kIo, "file-read-failed",
                                                fmt::format("cannot read `{}`", path_),
                                                "check the disk"});
    }
    buffer_.resize(had + static_cast<std::size_t>(*read));
    // The stream gives less than is asked for at its end only.
    at_end_ = *read < static_cast<std::int64_t>(kBlock);
    return {};
  }

  std::string path_;
  TextBytes bytes_;
  std::string buffer_;
  std::size_t begin_ = 0;
  std::int64_t number_ = 0;
  bool at_end_ = false;
};

Result<doc::Value> object_in(std::string_view line, const Lines& lines, const std::string& path) {
  auto value = doc::parse_json(line, {.max_depth = 64, .max_bytes = kMostLine + kBlock});
  if (value.ok() && value->is_object()) return value;
  return Error{ErrorKind::kCorrupt, "table-json-line",
               fmt::format("line {} of `{}` is no JSON object: {}", lines.number(), path,
                           value.ok() ? fmt::format("it is a {}", value->type_name())
                                      : value.error().message),
               "write one object a line; the writer may have been cut off"};
}

/// What the values of a column are, as bits.
enum Kind : unsigned { kBool = 1, kInt = 2, kReal = 4, kText = 8, kNested = 16 };

unsigned kind_of(const doc::Value& value) {
  if (value.is_null()) return 0;
  if (value.is_bool()) return kBool;
  if (value.is_int()) return kInt;
  if (value.is_double()) return kReal;
  return value.is_string() ? kText : kNested;
}

/// kDyn: lists and objects, which no column holds.
Type type_of(unsigned kinds) {
  if ((kinds & kNested) != 0) return Type::kDyn;
  if (kinds == kBool) return Type::kBool;
  if (kinds == kInt) return Type::kInt;
  if (kinds != 0 && (kinds & ~(kInt | kReal)) == 0) return Type::kDouble;
  return Type::kString;
}

struct Schema {
  std::vector<std::string> names;  ///< in the order in which rows first have them
  std::vector<unsigned> kinds;
};

/// Looks at every row: what a column is must not hang on how many rows somebody looked at.
Result<Schema> scan(const std::string& path, const Form& form) {
  Schema out;
  std::unordered_map<std::string, std::size_t> places;
  HEDDLE_ASSIGN_OR_RETURN(auto lines, Lines::open(path, form));
  std::string_view line;
  for (;;) {
    HEDDLE_ASSIGN_OR_RETURN(const bool more, lines.next(line));
    if (!more) break;
    HEDDLE_ASSIGN_OR_RETURN(const auto row, object_in(line, lines, path));
    for (const auto& [name, value] : row.as_object()) {
      const auto [place, fresh] = places.emplace(name, out.names.size());
      if (fresh) {
        out.names.push_back(name);
        out.kinds.push_back(0);
      }
      // Null adds no kind: it is a missing value of any type.
      out.kinds[place->second] |= kind_of(value);
    }
  }
  HEDDLE_TRY(check_names(path, out.names));
  return out;
}

Datum datum_of(const doc::Value& value) {
  if (value.is_bool()) return Datum::boolean(value.as_bool());
  if (value.is_int()) return Datum::integer(value.as_int());
  if (value.is_double()) return Datum::real(value.as_double());
  if (value.is_string()) return Datum::string(value.as_string());
  return value.is_null() ? Datum::null() : Datum::error();
}

/// Grows one column value by value.
class Grower {
 public:
  /// `as_text`: a text is not taken for a value of another type.
  Grower(const std::string& name, Type type, bool is_wanted, bool as_text)
      : is_wanted_(is_wanted), as_text_(as_text && type != Type::kString) {
    column_.name = name;
    column_.type = type;
  }

  void add(const doc::Value* value) {
    // Without a contract, a column of texts and numbers keeps each as it is written. With one, a
    // number is malformed there.
    const bool is_mixed = column_.type == Type::kString && !is_wanted_ && value != nullptr &&
                          !value->is_null() && !value->is_string();
    const std::string text = is_mixed ? doc::to_json(*value) : std::string();
    const bool stays = as_text_ && value != nullptr && value->is_string();
    const Datum datum = is_mixed           ? Datum::string(text)
                        : stays            ? Datum::error()
                        : value == nullptr ? Datum::null()
                                           : as_type(column_.type, datum_of(*value));
    const bool valid = !datum.is_null() && !datum.is_error();
    put(datum, valid);
    column_.valid.push_back(valid ? 1 : 0);
    column_.malformed.push_back(
        datum.is_error() ? static_cast<std::uint32_t>(malformed_texts_.insert(
                               value->is_string() ? value->as_string() : doc::to_json(*value))) +
                               1
                         : 0);
  }

  Column finish() {
    const auto none = [](const auto& flags, auto flag) {
      return std::find(flags.begin(), flags.end(), flag) == flags.end();
    };
    if (none(column_.valid, std::uint8_t{0})) column_.valid.clear();
    if (malformed_texts_.size() == 0) {
      column_.malformed.clear();
    } else {
      column_.malformed_texts = std::make_shared<const Dictionary>(malformed_texts_.values());
    }
    if (column_.type == Type::kString) {
      if (strings_.size() == 0) strings_.insert("");
      column_.dictionary = std::make_shared<const Dictionary>(strings_.values());
    }
    return std::move(column_);
  }

 private:
  void put(const Datum& datum, bool valid) {
    switch (column_.type) {
      case Type::kDouble: column_.doubles.push_back(valid ? datum.d : 0); return;
      case Type::kString:
        column_.codes.push_back(strings_.insert(valid ? datum.str() : std::string_view()));
        return;
      case Type::kBool: column_.ints.push_back(valid && datum.b ? 1 : 0); return;
      default: column_.ints.push_back(valid ? datum.i : 0);
    }
  }

  bool is_wanted_;
  bool as_text_;
  Column column_;
  StringIndex strings_;
  StringIndex malformed_texts_;
};

/// Rows of the columns that were asked for, chunk by chunk.
class Rows final : public TableReader {
 public:
  static Result<std::unique_ptr<Rows>> open(const std::string& path, const Form& form,
                                            const ReadOptions& options) {
    HEDDLE_ASSIGN_OR_RETURN(const auto schema, scan(path, form));
    HEDDLE_ASSIGN_OR_RETURN(auto lines, Lines::open(path, form));
    std::unique_ptr<Rows> out(new Rows(path, options, std::move(lines)));
    std::vector<std::string> wanted = options.columns;
    for (std::size_t i = 0; i < schema.names.size() && options.columns.empty(); ++i) {
      const bool is_read =
          type_of(schema.kinds[i]) != Type::kDyn || options.types.contains(schema.names[i]);
      (is_read ? wanted : out->left_out_).push_back(schema.names[i]);
    }
    for (const auto& name : wanted) {
      const auto at = std::find(schema.names.begin(), schema.names.end(), name);
      if (at == schema.names.end()) return no_such_column(path, name, schema.names);
      const auto kinds = schema.kinds[static_cast<std::size_t>(at - schema.names.begin())];
      const auto type = options.types.find(name);
      if (type == options.types.end() && type_of(kinds) == Type::kDyn) {
        return Error{ErrorKind::kInvalid, "table-type",
                     fmt::format("column `{}` of `{}` holds lists or objects, which are not read",
                                 name, path),
                     "leave the column out, or write it as a number, string, boolean or timestamp"};
      }
      out->columns_.push_back({name, type == options.types.end() ? type_of(kinds) : type->second});
    }
    const auto& time = options.time_column;
    if (!time.empty() &&
        std::find(schema.names.begin(), schema.names.end(), time) == schema.names.end())
      return no_such_column(path, time, schema.names);
    return out;
  }

  [[nodiscard]] const std::vector<ColumnInfo>& columns() const noexcept override {
    return columns_;
  }
  [[nodiscard]] const std::vector<std::string>& left_out() const noexcept override {
    return left_out_;
  }
  [[nodiscard]] bool text() const noexcept override { return false; }

  Result<std::optional<Table>> next() override {
    HEDDLE_ASSIGN_OR_RETURN(auto rows, read(kChunkRows, kChunkBytes));
    if (rows.rows() == 0 && at_end_) return std::optional<Table>{};
    return std::optional<Table>(std::move(rows));
  }

  Result<Table> read(std::int64_t most_rows, std::size_t most_bytes) {
    std::vector<Grower> growers;
    for (const auto& column : columns_)
      growers.emplace_back(column.name, column.type, options_.types.contains(column.name),
                           options_.as_text.contains(column.name));
    std::string_view line;
    std::int64_t rows = 0;
    std::size_t bytes = 0;
    while (rows < most_rows && bytes < most_bytes) {
      HEDDLE_ASSIGN_OR_RETURN(const bool more, lines_.next(line));
      at_end_ = !more;
      if (!more) break;
      HEDDLE_ASSIGN_OR_RETURN(const auto row, object_in(line, lines_, path_));
      bytes += line.size();
      if (!is_chosen(row)) continue;
      for (std::size_t i = 0; i < growers.size(); ++i) growers[i].add(row.find(columns_[i].name));
      ++rows;
    }
    std::vector<Column> columns;
    for (auto& grower : growers) columns.push_back(grower.finish());
    return Table::make(std::move(columns));
  }

 private:
  Rows(const std::string& path, const ReadOptions& options, Lines lines)
      : path_(path), options_(options), lines_(std::move(lines)) {}

  /// A row whose time is missing or malformed is kept: whoever checks it says so.
  bool is_chosen(const doc::Value& row) const {
    if (options_.time_column.empty()) return true;
    const auto* value = row.find(options_.time_column);
    if (value == nullptr) return true;
    const Datum time = as_type(Type::kTimestamp, datum_of(*value));
    return time.kind != Datum::Kind::kTimestamp ||
           (time.i >= options_.time_from && time.i < options_.time_to);
  }

  std::string path_;
  ReadOptions options_;
  Lines lines_;
  std::vector<ColumnInfo> columns_;
  std::vector<std::string> left_out_;
  bool at_end_ = false;
};

}  // namespace

Result<std::unique_ptr<TableReader>> open_json_lines(const std::string& path, const Form& form,
                                                     const ReadOptions& options) {
  HEDDLE_ASSIGN_OR_RETURN(auto rows, Rows::open(path, form, options));
  return std::unique_ptr<TableReader>(std::move(rows));
}

Result<Table> read_json_lines(const std::string& path, const Form& form,
                              const ReadOptions& options) {
  HEDDLE_ASSIGN_OR_RETURN(auto rows, Rows::open(path, form, options));
  return rows->read(INT64_MAX, SIZE_MAX);
}

Result<std::vector<PartColumn>> columns_of_json_lines(const std::string& path, const Form& form) {
  HEDDLE_ASSIGN_OR_RETURN(const auto schema, scan(path, form));
  std::vector<PartColumn> out;
  for (std::size_t i = 0; i < schema.names.size(); ++i)
    out.push_back({schema.names[i], type_of(schema.kinds[i]), schema.kinds[i] == 0});
  return out;
}

}  // namespace heddle::table
