#include "table/text_form.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "table/cell.hpp"

namespace heddle::table {
namespace {

using expr::Type;

constexpr std::array<char, 4> kDelimiters = {',', ';', '\t', '|'};
constexpr std::size_t kMostRows = 2000;  ///< that are looked at

/// Cuts text into rows and cells as the CSV parser will: a quote opens a cell at its beginning
/// only, two inside one are a character.
class Cutter {
 public:
  Cutter(std::string_view text, const TextForm& form) : rest_(text), form_(form) {}

  /// The next row that is not an empty line; false at the end, or when the text ends within it.
  bool next(std::vector<std::string>& cells, bool is_whole) {
    while (!rest_.empty() && (rest_.front() == '\n' || rest_.front() == '\r'))
      rest_.remove_prefix(1);
    if (rest_.empty()) return false;
    cells.clear();
    for (;;) {
      const std::size_t end = read_cell(cells.emplace_back());
      if (end == rest_.size()) {
        rest_ = {};
        return is_whole;
      }
      const char after = rest_[end];
      rest_.remove_prefix(end + 1);
      if (after != form_.delimiter) return true;
    }
  }

  /// A quote was not closed, or text stood after it: no cells were meant so.
  [[nodiscard]] bool is_odd() const noexcept { return is_odd_; }

 private:
  bool ends_cell(char c) const { return c == form_.delimiter || c == '\n' || c == '\r'; }

  /// Where the cell ends.
  std::size_t read_cell(std::string& cell) {
    std::size_t at = 0;
    bool is_open = false;
    if (form_.quote != '\0' && !rest_.empty() && rest_[0] == form_.quote) {
      is_open = true;
      for (at = 1; at < rest_.size() && is_open; ++at) {
        if (form_.escape != '\0' && rest_[at] == form_.escape && at + 1 < rest_.size()) {
          cell.push_back(rest_[++at]);
        } else if (rest_[at] != form_.quote) {
          cell.push_back(rest_[at]);
        } else if (at + 1 < rest_.size() && rest_[at + 1] == form_.quote) {
          cell.push_back(rest_[++at]);
        } else {
          is_open = false;
        }
      }
      const bool is_more = at < rest_.size() && !ends_cell(rest_[at]);
      is_odd_ = is_odd_ || is_open || is_more;
    }
    for (; at < rest_.size() && !ends_cell(rest_[at]); ++at) cell.push_back(rest_[at]);
    return at;
  }

  std::string_view rest_;
  const TextForm& form_;
  bool is_odd_ = false;
};

/// The beginning of a file by one delimiter.
struct Cut {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
  bool is_even = true;  ///< every row has as many cells as the header
};

Cut cut(std::string_view head, bool is_whole, const TextForm& form) {
  Cut out;
  Cutter cutter(head, form);
  out.header = form.names;
  if (out.header.empty() && !cutter.next(out.header, true)) return out;
  out.is_even = !cutter.is_odd();
  std::vector<std::string> cells;
  while (out.rows.size() < kMostRows && cutter.next(cells, is_whole)) {
    out.is_even = out.is_even && !cutter.is_odd() && cells.size() == out.header.size();
    out.rows.push_back(cells);
  }
  return out;
}

/// Of a file that nobody declared the delimiter of.
Result<char> delimiter_in(const std::string& path, std::string_view head, bool is_whole,
                          TextForm form) {
  char best = ',', other = '\0', most = ',';
  std::size_t columns = 1, most_columns = 1;
  for (const char delimiter : kDelimiters) {
    form.delimiter = delimiter;
    const Cut made = cut(head, is_whole, form);
    const std::size_t there = form.names.empty()  ? made.header.size()
                              : made.rows.empty() ? 1
                                                  : made.rows.front().size();
    if (there > most_columns) most = delimiter, most_columns = there;
    if (!made.is_even || there < 2) continue;
    if (there > columns) {
      best = delimiter, columns = there, other = '\0';
    } else if (there == columns) {
      other = delimiter;
    }
  }
  if (other != '\0') {
    return Error{ErrorKind::kInvalid, "table-delimiter",
                 fmt::format("the cells of `{}` may be separated by {} or by {}: both make {} "
                             "columns",
                             path, name_of_delimiter(best), name_of_delimiter(other), columns),
                 "declare `delimiter` of its source in heddle.yaml"};
  }
  return columns > 1 ? best : most;
}

/// What Excel writes and reads before a header: `sep=;` alone in its line.
char sep_line(std::string_view head) {
  const bool is_one =
      head.size() > 5 && head.starts_with("sep=") && (head[5] == '\n' || head[5] == '\r');
  return is_one ? head[4] : '\0';
}

enum class Number { kNone, kWhole, kPoint, kComma };

/// What a cell is if it is a number in either way of writing.
Number number_in(std::string_view cell) {
  const auto is_number = [&](char decimal) {
    const auto value = cell_of_text(cell, Type::kDouble, decimal);
    return value.kind == expr::Datum::Kind::kDouble;
  };
  if (cell.find(',') != std::string_view::npos)
    return is_number(',') ? Number::kComma : Number::kNone;
  if (!is_number('.')) return Number::kNone;
  return cell.find('.') == std::string_view::npos ? Number::kWhole : Number::kPoint;
}

struct Tally {
  std::size_t none = 0, whole = 0, point = 0, comma = 0;
};

Tally tally_of(const Cut& made, std::size_t column, const std::vector<std::string>& nulls) {
  Tally out;
  for (const auto& row : made.rows) {
    if (column >= row.size()) continue;
    const std::string& cell = row[column];
    if (std::find(nulls.begin(), nulls.end(), cell) != nulls.end()) continue;
    switch (number_in(cell)) {
      case Number::kNone: ++out.none; break;
      case Number::kWhole: ++out.whole; break;
      case Number::kPoint: ++out.point; break;
      case Number::kComma: ++out.comma; break;
    }
  }
  return out;
}

bool has_decimal_commas(const Cut& made, const TextForm& form,
                        const std::map<std::string, Type, std::less<>>& types) {
  std::size_t commas = 0;
  for (std::size_t i = 0; i < made.header.size(); ++i) {
    const auto type = types.find(made.header[i]);
    const bool is_number =
        type != types.end() && (type->second == Type::kDouble || type->second == Type::kInt);
    if (!types.empty() && !is_number) continue;
    const Tally tally = tally_of(made, i, form.nulls);
    if (types.empty() && tally.none > 0) continue;
    if (tally.point > 0) return false;
    commas += tally.comma;
  }
  return commas > 0;
}

}  // namespace

std::string name_of_delimiter(char delimiter) {
  return delimiter == '\t' ? "tabs" : fmt::format("`{}`", delimiter);
}

std::string TextForm::words() const {
  std::vector<std::string> out;
  if (delimiter != ',')
    out.push_back(
        fmt::format("delimiter {}", delimiter == '\t' ? "tab" : fmt::format("`{}`", delimiter)));
  if (decimal == ',') out.emplace_back("decimal comma");
  if (quote == '\0') out.emplace_back("no quotes");
  if (quote != '"' && quote != '\0') out.push_back(fmt::format("quote `{}`", quote));
  if (escape != '\0') out.push_back(fmt::format("escape `{}`", escape));
  if (!names.empty()) out.emplace_back("no header");
  if (nulls != TextForm{}.nulls)
    out.push_back(fmt::format("missing: `{}`", fmt::join(nulls, "`, `")));
  return fmt::to_string(fmt::join(out, ", "));
}

Result<TextForm> text_form(const std::string& path, std::string_view head, bool is_whole,
                           const Form& form,
                           const std::map<std::string, Type, std::less<>>& types) {
  TextForm out;
  if (form.quote) out.quote = *form.quote;
  if (form.escape) out.escape = *form.escape;
  if (form.nulls) out.nulls = *form.nulls;
  out.names = form.names;
  if (const char sep = sep_line(head); sep != '\0') {
    out.has_sep_line = true;
    out.delimiter = sep;
    head.remove_prefix(5);
  } else if (form.delimiter) {
    out.delimiter = *form.delimiter;
  } else {
    HEDDLE_ASSIGN_OR_RETURN(out.delimiter, delimiter_in(path, head, is_whole, out));
  }
  if (form.decimal) {
    out.decimal = *form.decimal;
  } else if (out.delimiter == ';' && has_decimal_commas(cut(head, is_whole, out), out, types)) {
    out.decimal = ',';
  }
  return out;
}

Result<TextForm> csv_form(const std::string& path, const TextBytes& bytes, const Form& form,
                          const std::map<std::string, Type, std::less<>>& types) {
  Form declared = form;
  if (const auto named = format_named(path); named && named->delimiter && !declared.delimiter)
    declared.delimiter = named->delimiter;
  return text_form(path, bytes.head, bytes.is_whole, declared, types);
}

}  // namespace heddle::table
