#include "cli/console.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "base/display_width.hpp"
#include "base/file.hpp"
#include "doc/error_format.hpp"
#include "doc/json.hpp"

namespace heddle::cli {

Console::Console(bool json, std::string document_file)
    : json_(json),
      document_file_(std::move(document_file)),
      color_(!json && ::isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr) {}

void Console::data(std::string_view text) const { fmt::print("{}\n", text); }
void Console::document(const doc::Value& value) const {
  if (document_file_.empty()) return fmt::print("{}", doc::to_json_pretty(value));
  // Who started this process finds no document, and says so.
  if (const auto kept = write_file_atomic(document_file_, doc::to_json(value)); !kept.ok())
    fmt::print(stderr, "{}\n", kept.error().str());
}
void Console::message(std::string_view text) const {
  // Where both go to one file, what was said first stands first.
  std::fflush(stdout);
  fmt::print(stderr, "{}\n", text);
}

int Console::fail(const Error& error) const {
  if (json_) {
    const auto value = doc::command_error_schema().print({error});
    fmt::print(stderr, "{}", doc::to_json_pretty(value));
    if (!document_file_.empty()) document(value);
  } else {
    fmt::print(stderr, "{}\n", error.str());
  }
  return error_kind_info(error.kind).exit_code;
}

std::string Console::paint(std::string_view code, std::string_view text) const {
  return color_ ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : std::string(text);
}

std::string format_rows(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], display_width(row[i]));
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      // Nothing behind the last cell: no line ends in spaces.
      if (i + 1 < row.size()) line += std::string(widths[i] - display_width(row[i]) + 2, ' ');
    }
    out += line + "\n";
  }
  if (!out.empty()) out.pop_back();
  return out;
}

}  // namespace heddle::cli
