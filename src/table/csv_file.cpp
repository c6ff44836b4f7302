#include <algorithm>

#include <arrow/csv/api.h>
#include <arrow/csv/invalid_row.h>
#include <arrow/io/interfaces.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "table/batch_file.hpp"
#include "table/csv_scan.hpp"
#include "table/text_bytes.hpp"
#include "table/text_form.hpp"

namespace heddle::table {
namespace {

constexpr std::int32_t kCsvBlock = 4 << 20;

arrow::csv::ReadOptions read_options(const TextForm& form) {
  auto read = arrow::csv::ReadOptions::Defaults();
  read.use_threads = false;  // or a row of another width does not know its number
  read.block_size = kCsvBlock;
  read.skip_rows = form.has_sep_line ? 1 : 0;
  read.column_names = form.names;  // empty: the first line has them
  return read;
}

arrow::csv::ParseOptions parse_options(const TextForm& form, std::size_t columns) {
  auto parse = arrow::csv::ParseOptions::Defaults();
  parse.delimiter = form.delimiter;
  parse.quoting = form.quote != '\0';
  if (parse.quoting) parse.quote_char = form.quote;
  parse.escaping = form.escape != '\0';
  if (parse.escaping) parse.escape_char = form.escape;
  parse.newlines_in_values = true;
  parse.ignore_empty_lines = columns != 1;  // of one column, an empty line is a missing value
  return parse;
}

std::shared_ptr<CsvScan> scan_for(const TextForm& form) {
  return std::make_shared<CsvScan>(form.delimiter, form.quote, form.escape);
}

/// A CSV: its header is read when it is opened, its rows by `begin` and `next`.
class CsvFile final : public BatchFile {
 public:
  CsvFile(std::string path, Form declared)
      : BatchFile(std::move(path), Format::kCsv), declared_(std::move(declared)) {}

  Result<void> open(const std::map<std::string, Type, std::less<>>& types) {
    HEDDLE_ASSIGN_OR_RETURN(const TextBytes bytes, open_text(path_, Format::kCsv, declared_));
    HEDDLE_ASSIGN_OR_RETURN(form_, csv_form(path_, bytes, declared_, types));
    decimal_ = form_.decimal;
    HEDDLE_TRY(read_names(bytes));
    types_.assign(names_.size(), arrow::binary());
    return check_separator();
  }

  Result<void> begin(const Wanted& wanted) override {
    auto convert = arrow::csv::ConvertOptions::Defaults();
    convert.strings_can_be_null = true;
    convert.quoted_strings_can_be_null = false;
    convert.null_values = form_.nulls;
    for (std::size_t i = 0; i < wanted.fields.size(); ++i) {
      const std::string& name = names_[static_cast<std::size_t>(wanted.fields[i])];
      convert.column_types[name] = arrow::binary();
      convert.include_columns.push_back(name);
      place_.push_back(static_cast<int>(i));
    }
    auto parse = parse_options(form_, names_.size());
    ragged_ = std::make_shared<std::optional<Error>>();
    parse.invalid_row_handler = [ragged = ragged_, path = path_,
                                 form = form_](const arrow::csv::InvalidRow& row) {
      if (!*ragged) *ragged = row_width(path, form, row);
      return arrow::csv::InvalidRowResult::Error;
    };
    HEDDLE_ASSIGN_OR_RETURN(const TextBytes bytes, open_text(path_, Format::kCsv, declared_));
    fault_ = bytes.fault;
    scan_ = scan_for(form_);
    auto made = arrow::csv::StreamingReader::Make(arrow::io::default_io_context(),
                                                  scanned(bytes.stream, scan_), read_options(form_),
                                                  parse, convert);
    if (!made.ok()) return failed(made.status().message());
    reader_ = std::move(*made);
    return {};
  }

  Result<std::shared_ptr<arrow::RecordBatch>> next() override {
    std::shared_ptr<arrow::RecordBatch> batch;
    if (const auto status = reader_->ReadNext(&batch); !status.ok())
      return failed(status.message());
    // Arrow reads ahead in a thread of its own, which is done once there is no batch any more.
    if (batch == nullptr) HEDDLE_TRY(check_quotes());
    return batch;
  }

 private:
  /// The header alone. Arrow reads the first block with it; whatever is wrong there is met again
  /// when rows are read.
  Result<void> read_names(const TextBytes& bytes) {
    fault_ = bytes.fault;
    auto parse = parse_options(form_, 0);
    parse.invalid_row_handler = [](const arrow::csv::InvalidRow&) {
      return arrow::csv::InvalidRowResult::Skip;
    };
    auto convert = arrow::csv::ConvertOptions::Defaults();
    convert.check_utf8 = false;
    auto reader = arrow::csv::StreamingReader::Make(arrow::io::default_io_context(),
                                                    scanned(bytes.stream, scan_for(form_)),
                                                    read_options(form_), parse, convert);
    if (!reader.ok()) return failed(reader.status().message());
    names_ = (*reader)->schema()->field_names();
    return {};
  }

  /// A declared delimiter that the header does not have, where it has another: the file has one
  /// column for nobody.
  Result<void> check_separator() const {
    if (names_.size() != 1 || !form_.names.empty()) return {};
    const auto at = names_[0].find_first_of(",;\t|");
    if (at == std::string::npos) return {};
    return Error{ErrorKind::kInvalid, "table-separator",
                 fmt::format("`{}` separates its columns by {}, not by {}", path_,
                             name_of_delimiter(names_[0][at]), name_of_delimiter(form_.delimiter)),
                 "correct `delimiter` of its source in heddle.yaml, or the ending of its name"};
  }

  static Error row_width(const std::string& path, const TextForm& form,
                         const arrow::csv::InvalidRow& row) {
    return {
        ErrorKind::kCorrupt, "table-row-width",
        fmt::format("`{}` has {} cells in {}, its {} {}", path, row.actual_columns,
                    row.number < 0 ? std::string("a row") : fmt::format("row {}", row.number),
                    form.names.empty() ? "header has" : "source declares", row.expected_columns),
        fmt::format("quote the cells that hold {}, quotes or line ends",
                    form.delimiter == ',' ? "commas" : name_of_delimiter(form.delimiter))};
  }

  /// A cell whose quotes are wrong may have swallowed rows, or say something else than was meant.
  Result<void> check_quotes() const {
    const auto fault = scan_->fault();
    if (fault == CsvScan::Fault::kNone) return {};
    const bool is_open = fault == CsvScan::Fault::kNotClosed;
    return Error{ErrorKind::kCorrupt, "table-quotes",
                 fmt::format("`{}` has a quoted cell in line {} that {}", path_, scan_->line(),
                             is_open ? "is not closed: the file ends inside it"
                                     : "goes on after its closing quote"),
                 is_open ? "write the file again; the writer may have been cut off"
                         : "double each quote inside a quoted cell (`\"\"`), or declare `escape: "
                           "\"\\\\\"` of its source: Spark and MySQL write a backslash"};
  }

  /// What Arrow met, by whoever saw it first.
  [[nodiscard]] Error failed(const std::string& why) const {
    if (const auto error = fault_->get()) return *error;
    if (ragged_ && *ragged_) return **ragged_;
    return unreadable(path_, format_, why);
  }

  Form declared_;
  TextForm form_;
  std::shared_ptr<std::optional<Error>> ragged_{};  ///< what a row of another width left
  std::shared_ptr<CsvScan> scan_{};
  std::shared_ptr<TextFault> fault_{};
  std::shared_ptr<arrow::RecordBatchReader> reader_{};
};

}  // namespace

Result<std::unique_ptr<BatchFile>> open_csv(const std::string& path, const Form& form,
                                            const std::map<std::string, Type, std::less<>>& types) {
  auto file = std::make_unique<CsvFile>(path, form);
  HEDDLE_TRY(file->open(types));
  return std::unique_ptr<BatchFile>(std::move(file));
}

}  // namespace heddle::table
