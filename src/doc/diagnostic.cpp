#include "doc/diagnostic.hpp"

#include <algorithm>

#include "base/display_width.hpp"
#include "base/file.hpp"
#include "doc/json_string.hpp"

namespace heddle::doc {
namespace {

std::string_view name_of(Severity severity) {
  switch (severity) {
    case Severity::kError: return "error";
    case Severity::kWarning: return "warning";
    case Severity::kInfo: return "info";
  }
  return "error";
}

std::string line_of(const std::string& path, int line) {
  const auto text = read_file(path);
  if (!text.ok() || line < 1) return {};
  std::size_t begin = 0;
  for (int i = 1; i < line; ++i) {
    begin = text->find('\n', begin);
    if (begin == std::string::npos) return {};
    ++begin;
  }
  return text->substr(begin, text->find('\n', begin) - begin);
}

/// At most `most` bytes of it, and no half of a character.
std::string_view beginning_of(std::string_view text, std::size_t most) {
  if (text.size() <= most) return text;
  // Bytes that go on with a character begin with the bits 10.
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0U) == 0x80U) --most;
  return text.substr(0, most);
}

/// As many columns as `text` takes, its tabs kept.
std::string blank_of(std::string_view text) {
  std::string blank;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t tab = std::min(text.find('\t', begin), text.size());
    blank += std::string(display_width(text.substr(begin, tab - begin)), ' ');
    if (tab < text.size()) blank += '\t';
    begin = tab + 1;
  }
  return blank;
}

}  // namespace

std::string render_concise(const Diagnostic& diagnostic) {
  return fmt::format("{}:{}:{}: {}[{}]: {}", diagnostic.file, diagnostic.position.line,
                     diagnostic.position.column, name_of(diagnostic.severity), diagnostic.id,
                     for_terminal(diagnostic.message));
}

std::string render_full(const Diagnostic& diagnostic, const std::string& root, bool color) {
  const auto paint = [&](std::string_view code, std::string_view text) {
    return color ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : std::string(text);
  };
  const std::string_view tint = diagnostic.severity == Severity::kError ? "1;31" : "1;33";
  std::string out = fmt::format(
      "{}: {}\n", paint(tint, fmt::format("{}[{}]", name_of(diagnostic.severity), diagnostic.id)),
      paint("1", for_terminal(diagnostic.message)));
  if (!diagnostic.file.empty()) {
    out += fmt::format("  --> {}:{}:{}\n", diagnostic.file, diagnostic.position.line,
                       diagnostic.position.column);
    const std::string line = line_of(root.empty() ? diagnostic.file : root + "/" + diagnostic.file,
                                     diagnostic.position.line);
    // Without its line, where the file cannot be read any more, the place alone is told.
    if (!line.empty() && diagnostic.position.column > 0) {
      constexpr std::size_t kExcerpt = 120;
      const std::string_view excerpt = beginning_of(line, kExcerpt);
      const std::string number = fmt::to_string(diagnostic.position.line);
      // Positions count bytes.
      const auto column =
          std::min(static_cast<std::size_t>(diagnostic.position.column - 1), excerpt.size());
      const auto marked = static_cast<std::size_t>(std::max(1, diagnostic.length));
      const std::size_t length =
          std::max<std::size_t>(1, display_width(for_terminal(excerpt.substr(column, marked))));
      out += fmt::format(
          "{} | {}\n{} | {}{}{}\n", number, for_terminal(excerpt), std::string(number.size(), ' '),
          blank_of(for_terminal(excerpt.substr(0, column))), paint(tint, std::string(length, '^')),
          diagnostic.label.empty() ? "" : " " + diagnostic.label);
    }
  }
  if (!diagnostic.hint.empty()) out += "hint: " + for_terminal(diagnostic.hint) + "\n";
  if (!diagnostic.next.empty()) out += "next: " + diagnostic.next + "\n";
  return out;
}

Value to_value(const Diagnostic& diagnostic) {
  return Value::object({{"id", diagnostic.id},
                        {"severity", name_of(diagnostic.severity)},
                        {"message", diagnostic.message},
                        {"file", diagnostic.file},
                        {"line", diagnostic.position.line},
                        {"column", diagnostic.position.column},
                        {"hint", diagnostic.hint},
                        {"next", diagnostic.next}});
}

std::string nearest(std::string_view name, const std::vector<std::string>& known) {
  // `TIMESTAMP` is nearer to `timestamp` than to any other word: case does not count as a
  // difference.
  const auto same = [](char a, char b) {
    const auto folded = [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    };
    return folded(a) == folded(b);
  };
  std::string best;
  // At most a third of the name and one letter more may differ: what is farther is no hint.
  std::size_t best_distance = name.size() / 3 + 2;
  for (const auto& candidate : known) {
    // Levenshtein distance by one row of the dynamic programme.
    std::vector<std::size_t> row(candidate.size() + 1);
    for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= name.size(); ++i) {
      std::size_t diagonal = row[0];
      row[0] = i;
      for (std::size_t j = 1; j < row.size(); ++j) {
        const std::size_t substitute = diagonal + (same(name[i - 1], candidate[j - 1]) ? 0 : 1);
        diagonal = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

}  // namespace heddle::doc
