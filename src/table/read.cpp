#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/utf8.h>

#include "table/batch_file.hpp"
#include "table/cell.hpp"
#include "table/column_names.hpp"
#include "table/json_lines.hpp"
#include "table/one_file.hpp"
#include "table/stream.hpp"

namespace heddle::table {

Target BatchFile::target(std::size_t index, const ReadOptions& options) const {
  const auto wanted = options.types.find(names_[index]);
  Target out = target_of(
      *types_[index], wanted == options.types.end() ? std::nullopt : std::optional(wanted->second),
      format_ == Format::kCsv, options.as_written || options.as_text.contains(names_[index]));
  out.decimal = decimal_;
  return out;
}

namespace {

/// Bytes of a damaged file do not belong in a message.
std::string printable(std::string_view text) {
  std::string out(text.substr(0, 400));
  for (char& c : out) c = c >= 0x20 && c < 0x7f ? c : '?';
  return out;
}

}  // namespace

Error unreadable(const std::string& path, Format format, const std::string& why) {
  // A whole file that Arrow has no code for is not a damaged one.
  for (const char* word : {"implemented", "not supported", "ncrypt"}) {
    // Text formats have no encodings that could be missing: their message quotes the file, which
    // may hold such a word.
    if (is_text(format) || why.find(word) == std::string::npos) continue;
    return Error{ErrorKind::kInvalid, "table-unsupported",
                 fmt::format("`{}` is written in a way that is not read: {}", path, printable(why)),
                 "write it with common types and encodings, without encryption, or leave out the "
                 "column"};
  }
  // Arrow's word for a row that is longer than two of its blocks.
  if (why.find("straddling") != std::string::npos) {
    return Error{ErrorKind::kInvalid, "table-row-length",
                 fmt::format("`{}` has a row of more than 4 MiB", path),
                 "close the quote that makes one cell of many rows, or write Parquet"};
  }
  return Error{ErrorKind::kCorrupt, "table-unreadable",
               fmt::format("`{}` is not readable {}: {}", path, name_of(format), printable(why)),
               "copy the file again from where it came, or write it anew"};
}

Result<Format> format_of(const std::string& path, const Form& form) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) {
    return Error{ErrorKind::kNotFound, "table-missing", fmt::format("there is no file `{}`", path),
                 "check the path in `sources` of heddle.yaml"};
  }
  if (!S_ISREG(info.st_mode)) {
    return Error{ErrorKind::kInvalid, "table-no-file", fmt::format("`{}` is not a file", path),
                 "name Parquet, Arrow IPC, CSV or NDJSON files, or a folder of them"};
  }
  // Said by itself: readers call it damaged in words that help nobody.
  if (info.st_size == 0) {
    return Error{ErrorKind::kInvalid, "table-empty-file", fmt::format("`{}` is empty", path),
                 "write it again; the writer may have been cut off"};
  }
  std::optional<Format> format;
  for (const Format each : {Format::kCsv, Format::kJson, Format::kParquet, Format::kArrow}) {
    if (form.format == word_of(each)) format = each;
  }
  // A name that says a format is believed before a declaration for names that say none.
  if (const auto named = format_named(path)) format = named->format;
  if (!format) {
    return Error{
        ErrorKind::kInvalid, "table-extension",
        fmt::format("`{}` has an extension that says neither Parquet nor Arrow nor CSV nor "
                    "NDJSON",
                    path),
        "rename it to end in `.parquet`, `.arrow`, `.csv` or `.ndjson` (the last two also "
        "with `.gz` or `.zst`), or declare `format` of its source in heddle.yaml"};
  }
  if (auto other = not_a_table(path, head_of(path), *format)) return std::move(*other);
  return *format;
}

std::string_view word_of(Format format) noexcept {
  switch (format) {
    case Format::kCsv: return "csv";
    case Format::kJson: return "ndjson";
    case Format::kArrow: return "arrow";
    default: return "parquet";
  }
}

namespace {

Result<std::unique_ptr<BatchFile>> open_file(const std::string& path, Format format,
                                             const Form& form, const ReadOptions& options,
                                             bool whole) {
  arrow::util::InitializeUTF8();
  std::unique_ptr<BatchFile> out;
  if (format == Format::kCsv) {
    HEDDLE_ASSIGN_OR_RETURN(out, open_csv(path, form, options.types));
  } else if (format == Format::kArrow) {
    HEDDLE_ASSIGN_OR_RETURN(out, open_arrow(path));
  } else {
    HEDDLE_ASSIGN_OR_RETURN(out, open_parquet(path, whole));
  }
  HEDDLE_TRY(check_names(path, out->names()));
  return out;
}

Error not_read(const BatchFile& file, std::size_t index, const ReadOptions& options) {
  const auto wanted = options.types.find(file.names()[index]);
  return Error{
      ErrorKind::kInvalid, "table-type",
      fmt::format("column `{}` of `{}` has type {}, which is not read{}", file.names()[index],
                  file.path(), file.types()[index]->ToString().substr(0, 200),
                  wanted == options.types.end()
                      ? ""
                      : fmt::format(" as a {}", expr::type_name(wanted->second))),
      "leave the column out, or write it as a number, string, boolean or timestamp"};
}

/// Which columns are read, in the order asked for, and how each batch is filtered by time.
class Reading {
 public:
  static Result<Reading> open(const BatchFile& file, const ReadOptions& options) {
    Reading out;
    out.options_ = options;
    std::vector<std::string> wanted = options.columns;
    if (wanted.empty()) {
      for (std::size_t i = 0; i < file.names().size(); ++i) {
        // What a contract asks for is not left out: it is refused below, with its type.
        if (file.target(i, options).type != Type::kDyn || options.types.contains(file.names()[i]))
          wanted.push_back(file.names()[i]);
      }
    }
    if (!options.time_column.empty() &&
        std::find(wanted.begin(), wanted.end(), options.time_column) == wanted.end()) {
      // Rows are chosen by it. It is read for that alone and left out of the table.
      wanted.push_back(options.time_column);
      out.drop_time_ = true;
    }
    for (const std::string& name : wanted) {
      const auto at = std::find(file.names().begin(), file.names().end(), name);
      if (at == file.names().end()) return no_such_column(file.path(), name, file.names());
      HEDDLE_TRY(out.add(file, static_cast<std::size_t>(at - file.names().begin())));
    }
    return out;
  }

  [[nodiscard]] const std::vector<int>& fields() const {
    return fields_;
  }  ///< indexes of the file's columns
  [[nodiscard]] const std::vector<ColumnInfo>& columns() const { return columns_; }
  [[nodiscard]] bool filters() const { return !options_.time_column.empty(); }
  [[nodiscard]] int time_field() const { return filters() ? fields_[time_] : -1; }

  /// A chunk of a stream is a table of its own.
  void restart() {
    readers_.clear();
    for (std::size_t i = 0; i < columns_.size(); ++i)
      readers_.emplace_back(columns_[i].name, targets_[i]);
  }

  /// `array(i)` gives the batch's array of `fields()[i]`; `first_row`: its first row in the file,
  /// -1 when not known.
  template <class F>
  Result<void> append(std::int64_t rows, std::int64_t first_row, const F& array) {
    Selection selection{{}, true, first_row};
    if (filters()) {
      HEDDLE_TRY(choose(array(time_), rows));
      selection.all = static_cast<std::int64_t>(chosen_.size()) == rows;
      selection.chosen = chosen_;
      // A batch of another time costs the reading of its time column and no more.
      if (chosen_.empty()) return {};
    }
    for (std::size_t i = 0; i < readers_.size(); ++i) {
      if (drop_time_ && i == time_) continue;
      HEDDLE_TRY(readers_[i].append(array(i), selection));
    }
    return {};
  }

  Result<Table> finish() {
    std::vector<Column> columns;
    for (std::size_t i = 0; i < readers_.size(); ++i) {
      if (!drop_time_ || i != time_) columns.push_back(readers_[i].finish());
    }
    return Table::make(std::move(columns));
  }

 private:
  Result<void> add(const BatchFile& file, std::size_t index) {
    const std::string& name = file.names()[index];
    const Target target = file.target(index, options_);
    if (target.type == Type::kDyn) return not_read(file, index, options_);
    const auto wanted = options_.types.find(name);
    const bool stays_text = target.type == Type::kString && options_.as_text.contains(name);
    if (wanted != options_.types.end() && !options_.as_written && !stays_text &&
        !can_hold(target.type, wanted->second)) {
      return Error{ErrorKind::kUnprocessable, "column-type",
                   fmt::format("column `{}` of `{}` has type {}, the contract wants a {}", name,
                               file.path(), file.types()[index]->ToString().substr(0, 200),
                               expr::type_name(wanted->second)),
                   "write the column with its type, or correct `logicalType` of the contract"};
    }
    if (name == options_.time_column) {
      if (target.type != Type::kTimestamp) {
        return Error{
            ErrorKind::kInvalid, "table-time-type",
            fmt::format("column `{}` of `{}` has type {}, not a timestamp", name, file.path(),
                        file.types()[index]->ToString()),
            "name the column that holds when each row happened, and write it as a timestamp"};
      }
      time_ = fields_.size();
    }
    fields_.push_back(static_cast<int>(index));
    targets_.push_back(target);
    columns_.push_back({name, target.type});
    readers_.emplace_back(name, target);
    return {};
  }

  Result<void> choose(const arrow::Array& times, std::int64_t rows) {
    chosen_.clear();
    Target target = targets_[time_];
    target.strict = false;
    ColumnReader reader("", target);
    HEDDLE_TRY(reader.append(times, {}));
    const Column time = reader.finish();
    for (std::int64_t row = 0; row < rows; ++row) {
      const auto i = static_cast<std::size_t>(row);
      const bool known = time.valid.empty() || time.valid[i] != 0;
      if (!known || (time.ints[i] >= options_.time_from && time.ints[i] < options_.time_to))
        chosen_.push_back(row);
    }
    return {};
  }

  ReadOptions options_;
  std::vector<int> fields_;
  std::vector<Target> targets_;
  std::vector<ColumnInfo> columns_;
  std::vector<ColumnReader> readers_;
  std::vector<std::int64_t> chosen_;
  std::size_t time_ = 0;
  bool drop_time_ = false;
};

/// Rows of one file, batch by batch.
class Stream final : public TableReader {
 public:
  static Result<std::unique_ptr<Stream>> open(std::unique_ptr<BatchFile> file,
                                              const ReadOptions& options, bool whole) {
    HEDDLE_ASSIGN_OR_RETURN(auto reading, Reading::open(*file, options));
    std::unique_ptr<Stream> out(new Stream(std::move(file), std::move(reading), options));
    HEDDLE_TRY(out->file_->begin({.fields = out->reading_.fields(),
                                  .time_field = out->reading_.time_field(),
                                  .options = &options,
                                  .whole = whole}));
    return out;
  }

  [[nodiscard]] const std::vector<ColumnInfo>& columns() const noexcept override {
    return reading_.columns();
  }
  [[nodiscard]] const std::vector<std::string>& left_out() const noexcept override {
    return left_out_;
  }
  [[nodiscard]] bool text() const noexcept override { return file_->format() == Format::kCsv; }
  [[nodiscard]] char decimal() const noexcept override { return file_->decimal(); }

  Result<std::optional<Table>> next() override {
    try {
      reading_.restart();
      HEDDLE_ASSIGN_OR_RETURN(const bool more, read_on());
      if (!more) return std::optional<Table>{};
      HEDDLE_ASSIGN_OR_RETURN(auto table, reading_.finish());
      return std::optional<Table>(std::move(table));
    } catch (const std::exception& exception) {
      return unreadable(file_->path(), file_->format(), exception.what());
    }
  }

  Result<Table> all() {
    for (bool more = true; more;) {
      HEDDLE_ASSIGN_OR_RETURN(more, read_on());
    }
    return reading_.finish();
  }

 private:
  Stream(std::unique_ptr<BatchFile> file, Reading reading, const ReadOptions& options)
      : file_(std::move(file)), reading_(std::move(reading)) {
    if (!options.columns.empty()) return;
    for (std::size_t i = 0; i < file_->names().size(); ++i) {
      const auto& fields = reading_.fields();
      if (std::find(fields.begin(), fields.end(), static_cast<int>(i)) == fields.end())
        left_out_.push_back(file_->names()[i]);
    }
  }

  /// Appends the next batch; false after the last.
  Result<bool> read_on() {
    for (;;) {
      HEDDLE_ASSIGN_OR_RETURN(const auto batch, file_->next());
      if (batch == nullptr) return false;
      if (batch->num_rows() == 0) continue;
      const auto& place = file_->place();
      HEDDLE_TRY(reading_.append(
          batch->num_rows(), file_->knows_rows() ? row_ : -1,
          [&](std::size_t i) -> const arrow::Array& { return *batch->column(place[i]); }));
      row_ += batch->num_rows();
      return true;
    }
  }

  std::unique_ptr<BatchFile> file_;
  Reading reading_;
  std::int64_t row_ = 0;  ///< of the file, at the next batch
  std::vector<std::string> left_out_;
};

/// Arrow throws on some damaged files.
template <class F>
auto guarded(const std::string& path, Format format, const F& act) -> decltype(act()) {
  try {
    return act();
  } catch (const std::exception& exception) {
    return unreadable(path, format, exception.what());
  }
}

}  // namespace

Result<std::unique_ptr<TableReader>> open_one(const std::string& path, const Form& form,
                                              const ReadOptions& options) {
  HEDDLE_ASSIGN_OR_RETURN(const Format format, format_of(path, form));
  if (format == Format::kJson) return open_json_lines(path, form, options);
  return guarded(path, format, [&]() -> Result<std::unique_ptr<TableReader>> {
    HEDDLE_ASSIGN_OR_RETURN(auto file, open_file(path, format, form, options, false));
    HEDDLE_ASSIGN_OR_RETURN(auto stream, Stream::open(std::move(file), options, false));
    return std::unique_ptr<TableReader>(std::move(stream));
  });
}

Result<Table> read_one(const std::string& path, const Form& form, const ReadOptions& options) {
  HEDDLE_ASSIGN_OR_RETURN(const Format format, format_of(path, form));
  if (format == Format::kJson) return read_json_lines(path, form, options);
  return guarded(path, format, [&]() -> Result<Table> {
    HEDDLE_ASSIGN_OR_RETURN(auto file, open_file(path, format, form, options, true));
    HEDDLE_ASSIGN_OR_RETURN(auto stream, Stream::open(std::move(file), options, true));
    return stream->all();
  });
}

Result<std::vector<PartColumn>> columns_of_one(const std::string& path, const Form& form) {
  HEDDLE_ASSIGN_OR_RETURN(const Format format, format_of(path, form));
  if (format == Format::kJson) return columns_of_json_lines(path, form);
  return guarded(path, format, [&]() -> Result<std::vector<PartColumn>> {
    HEDDLE_ASSIGN_OR_RETURN(const auto file, open_file(path, format, form, {}, false));
    std::vector<PartColumn> out;
    for (std::size_t i = 0; i < file->names().size(); ++i)
      out.push_back(
          {file->names()[i], file->target(i, {}).type, file->types()[i]->id() == arrow::Type::NA});
    return out;
  });
}

}  // namespace heddle::table
