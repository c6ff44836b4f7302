#include "cli/show.hpp"

#include <algorithm>

#include "doc/json.hpp"

namespace heddle::cli {
namespace {

bool is_empty(const doc::Value& value) {
  if (value.is_null()) return true;
  if (value.is_string()) return value.as_string().empty();
  return (value.is_array() || value.is_object()) && value.size() == 0;
}

bool is_scalar(const doc::Value& value) { return !value.is_array() && !value.is_object(); }

/// `calibration_error` is read as `calibration error`.
std::string label_of(std::string name) {
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

bool is_list_of_objects(const doc::Value& value) {
  if (!value.is_array()) return false;
  const auto& items = value.as_array();
  return std::all_of(items.begin(), items.end(),
                     [](const doc::Value& item) { return item.is_object(); });
}

}  // namespace

std::string in_words(const doc::Value& value) {
  if (value.is_null()) return "none";
  if (value.is_string()) return value.as_string().empty() ? "none" : value.as_string();
  if (value.is_double()) return fmt::format("{:.6g}", value.as_double());
  if (value.is_array() &&
      std::all_of(value.as_array().begin(), value.as_array().end(), is_scalar)) {
    std::vector<std::string> words;
    for (const auto& item : value.as_array()) words.push_back(in_words(item));
    return fmt::format("{}", fmt::join(words, ", "));
  }
  return doc::to_json(value);
}

std::string beginning(std::string_view digest) {
  constexpr std::size_t kShown = 19;  // `sha256:` and twelve digits
  return std::string(digest.substr(0, kShown));
}

std::string indented(std::string_view text, int indent) {
  const std::string margin(static_cast<std::size_t>(indent) * 2, ' ');
  std::string out;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (begin > 0) out += '\n';
    // An empty line stays empty.
    if (end > begin) out += margin + std::string(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

std::string format_table(const doc::Value& list) {
  std::vector<std::string> names;
  for (const auto& item : list.as_array()) {
    for (const auto& [name, value] : item.as_object()) {
      // A column without a value in any row is left out.
      if (!is_empty(value) && std::find(names.begin(), names.end(), name) == names.end())
        names.push_back(name);
    }
  }
  std::vector<std::vector<std::string>> rows(1);
  for (const auto& name : names) {
    std::string head = label_of(name);
    std::transform(head.begin(), head.end(), head.begin(), [](char c) {
      return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    });
    rows.front().push_back(std::move(head));
  }
  for (const auto& item : list.as_array()) {
    auto& row = rows.emplace_back();
    for (const auto& name : names) {
      const auto* value = item.find(name);
      row.push_back(value == nullptr || is_empty(*value) ? "" : in_words(*value));
    }
  }
  return format_rows(rows);
}

std::string format_members(const doc::Value& object, int indent) {
  std::vector<std::vector<std::string>> lines;
  std::string below;
  for (const auto& [name, value] : object.as_object()) {
    if (is_empty(value)) continue;
    const bool is_line = is_scalar(value) || (value.is_array() && !is_list_of_objects(value));
    if (is_line) {
      lines.push_back({label_of(name), in_words(value)});
      continue;
    }
    const std::string inner =
        value.is_object() ? format_members(value, 1) : indented(format_table(value), 1);
    below += fmt::format("{}{}\n{}", below.empty() ? "" : "\n", label_of(name), inner);
  }
  std::string out = format_rows(lines);
  if (!out.empty() && !below.empty()) out += '\n';
  return indented(out + below, indent);
}

void print_next(const Console& console, const std::vector<control::NextItem>& next) {
  for (const auto& item : next)
    console.message(fmt::format("next: {}  ({})", item.command, item.why));
}

}  // namespace heddle::cli
