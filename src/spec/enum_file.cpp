#include <algorithm>
#include <set>

#include "base/clock.hpp"
#include "base/file.hpp"
#include "spec/load.hpp"
#include "table/stream.hpp"

namespace heddle::spec {
namespace {

/// Values in the order of the file, each once.
class Values {
 public:
  void add(std::string_view value) {
    if (seen_.emplace(value).second) values_.emplace_back(value);
  }
  Result<std::vector<std::string>> finish(const std::string& path) {
    if (!values_.empty()) return std::move(values_);
    return Error{ErrorKind::kInvalid, "enum-empty", fmt::format("`{}` holds no value", path),
                 "a field with an empty enum would refuse every row"};
  }

 private:
  std::set<std::string, std::less<>> seen_;
  std::vector<std::string> values_;
};

/// A value of a column as the text that a CSV would have; `typed_value` reads it as a row's cell.
std::string text_of(const expr::Datum& value) {
  switch (value.kind) {
    case expr::Datum::Kind::kBool: return value.b ? "true" : "false";
    case expr::Datum::Kind::kInt: return fmt::to_string(value.i);
    // The shortest text that reads back as the same number.
    case expr::Datum::Kind::kDouble: return fmt::to_string(value.d);
    case expr::Datum::Kind::kTimestamp: return format_time(value.i);
    default: return std::string(value.str());
  }
}

/// A column of a table, read by the reader that reads rows: what a row says is compared with what
/// stands here.
Result<void> read_column(const table::Input& file, const std::string& column, Values& out) {
  table::ReadOptions options;
  options.columns = {column};
  auto opened = table::TableReader::open(file, options);
  if (!opened.ok()) return opened.error();
  for (;;) {
    HEDDLE_ASSIGN_OR_RETURN(const auto chunk, (*opened)->next());
    if (!chunk) return {};
    const table::Column& values = chunk->columns()[0];
    const auto view = values.view();
    for (std::int64_t row = 0; row < view.length; ++row) {
      const auto value = values.cell(view, row);
      if (value.is_error()) {
        return Error{
            ErrorKind::kInvalid, "enum-encoding",
            fmt::format("column `{}` of `{}` holds text that is not UTF-8", column, file.text()),
            "save the file as UTF-8, or declare the `encoding` of its source"};
      }
      // A missing value is no value of the enum: whether one may be missing is what `required`
      // says.
      if (!value.is_null()) out.add(text_of(value));
    }
  }
}

void read_lines(std::string_view text, Values& out) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // a byte order mark
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    // Files from Windows end their lines in `\r\n`. An empty line is no value.
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) out.add(line);
  }
}

}  // namespace

Result<std::vector<std::string>> load_enum(const Project& project, const std::string& file,
                                           const std::string& column) {
  const auto source = project.sources.find(file);
  const std::string path = source == project.sources.end() ? file : source->second.text();
  const table::Input input = input_of(project, file);
  const auto parts = table::parts_of(input);
  // A pattern without a file is told like a file that is not there; what else is wrong has its own
  // message.
  if (!parts.ok() && parts.error().kind != ErrorKind::kNotFound) return parts.error();
  const bool is_there = parts.ok() && std::all_of(parts->begin(), parts->end(), [](const auto& p) {
                          return path_exists(p.path);
                        });
  if (!is_there) {
    return Error{ErrorKind::kNotFound, "file-missing",
                 fmt::format("there is no file `{}` to read the enum from", path),
                 "put the file there, or change `enumFile`"};
  }
  Values values;
  // Without a column it is a text of one value a line, whatever its name ends in.
  if (column.empty()) {
    HEDDLE_ASSIGN_OR_RETURN(const std::string text, read_file(input.paths.front()));
    read_lines(text, values);
  } else {
    HEDDLE_TRY(read_column(input, column, values));
  }
  return values.finish(path);
}

}  // namespace heddle::spec
