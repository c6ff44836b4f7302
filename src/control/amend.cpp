#include "control/amend.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "doc/json.hpp"
#include "doc/yaml.hpp"

namespace heddle::control {
namespace {

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    if (end == text.npos) break;
    text.remove_prefix(end + 1);
  }
  return lines;
}

std::size_t indent_of(const std::string& line) {
  return std::min(line.find_first_not_of(' '), line.size());
}
bool is_blank(const std::string& line) {
  const auto at = line.find_first_not_of(' ');
  return at == std::string::npos || line[at] == '#';
}

/// The line of `key:` at indentation `indent` in [begin, end), or end.
std::size_t find_key(const std::vector<std::string>& lines, std::string_view key,
                     std::size_t indent, std::size_t begin, std::size_t end) {
  const std::string start = std::string(indent, ' ') + std::string(key) + ":";
  for (std::size_t i = begin; i < end; ++i) {
    if (lines[i].substr(0, start.size()) == start) return i;
  }
  return end;
}

/// One past the last line that belongs to the block that `at` heads (its items may stand at the
/// key's own indentation).
std::size_t block_end(const std::vector<std::string>& lines, std::size_t at, std::size_t indent) {
  std::size_t last = at + 1;
  for (std::size_t i = at + 1; i < lines.size(); ++i) {
    // A comment says nothing of where a block ends, whatever its indentation.
    if (is_blank(lines[i])) continue;
    const bool item = indent_of(lines[i]) == indent && lines[i][indent] == '-';
    if (indent_of(lines[i]) <= indent && !item) break;
    last = i + 1;
  }
  return last;
}

std::string join(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  return text;
}

void append_item(std::vector<std::string>& lines, std::string_view key, std::string_view addition) {
  std::size_t at = find_key(lines, key, 0, 0, lines.size());
  if (at == lines.size()) lines.push_back(std::string(key) + ":");
  const std::size_t end = block_end(lines, at, 0);
  // Two spaces for a list that has no item yet; else as its authors wrote the first one.
  std::size_t indent = 2;
  for (std::size_t i = at + 1; i < end; ++i) {
    if (!is_blank(lines[i]) && lines[i][indent_of(lines[i])] == '-') {
      indent = indent_of(lines[i]);
      break;
    }
  }
  auto item = lines_of(addition);
  const bool dashed = !item.empty() && item[0].substr(0, 2) == "- ";
  for (std::size_t i = 0; i < item.size(); ++i) {
    // Lines after the first stand below the text of the item, not below its dash.
    const std::string lead = dashed ? "" : i == 0 ? "- " : "  ";
    item[i] = std::string(indent, ' ') + lead + item[i];
  }
  lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(end), item.begin(), item.end());
}

/// Where the keys of the mapping in [begin, end) stand: what its first line says, else two deeper
/// than the key that heads it.
std::size_t indent_below(const std::vector<std::string>& lines, std::size_t begin, std::size_t end,
                         std::size_t indent) {
  for (std::size_t i = begin; i < end; ++i) {
    if (!is_blank(lines[i])) return indent_of(lines[i]);
  }
  return indent + 2;
}

/// Sets dotted keys in block style; false when a key on the way is written in flow style.
bool set_value(std::vector<std::string>& lines, std::string_view path, std::string_view addition) {
  std::size_t begin = 0, end = lines.size(), indent = 0;
  for (;;) {
    const auto dot = path.find('.');
    const std::string key(path.substr(0, dot));
    std::size_t at = find_key(lines, key, indent, begin, end);
    const bool missing = at == end;
    if (missing)
      lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(end),
                   std::string(indent, ' ') + key + ":");
    if (dot == path.npos) {
      // A value that was a block is more lines than its key's.
      const std::size_t last = missing ? at + 1 : block_end(lines, at, indent);
      lines.erase(lines.begin() + static_cast<std::ptrdiff_t>(at + 1),
                  lines.begin() + static_cast<std::ptrdiff_t>(last));
      lines[at] = std::string(indent, ' ') + key + ": " + std::string(addition);
      return true;
    }
    // Lines cannot be added below `key: {...}`; the caller does it on the parsed document.
    if (lines[at].find('{') != std::string::npos) return false;
    begin = at + 1;
    // A key that was just added heads nothing so far: the next one has to be added below it.
    end = missing ? begin : block_end(lines, at, indent);
    path.remove_prefix(dot + 1);
    indent = indent_below(lines, begin, end, indent);
  }
}

/// The file was edited into something that has no place for what is to be added.
Error not_amendable(std::string_view where) {
  return Error{
      ErrorKind::kUnprocessable, "definition-not-amendable",
      fmt::format("nothing can be added at `{}`: what stands there is no mapping or list", where),
      "add it by hand: the incident's page has the text"};
}

/// The document with one item more in its list `key`; `addition` is the item, or a list of it.
Result<doc::Value> appended_in_document(std::string_view text, std::string_view key,
                                        std::string_view addition) {
  HEDDLE_ASSIGN_OR_RETURN(auto document, doc::parse_yaml(text, "definition"));
  HEDDLE_ASSIGN_OR_RETURN(auto item, doc::parse_yaml(addition, "addition"));
  if (!document.is_object()) return not_amendable(key);
  const doc::Value* const there = document.find(key);
  if (there == nullptr || there->is_null())
    document.set(std::string(key), doc::Value::array());
  else if (!there->is_array())
    return not_amendable(key);
  doc::Value& list = *document.find(key);
  if (item.is_array()) {
    for (doc::Value& each : item.as_array()) list.push(std::move(each));
  } else {
    list.push(std::move(item));
  }
  return document;
}

/// The document with the value at dotted keys.
Result<doc::Value> set_in_document(std::string_view text, std::string_view path,
                                   std::string_view addition) {
  HEDDLE_ASSIGN_OR_RETURN(auto document, doc::parse_yaml(text, "definition"));
  HEDDLE_ASSIGN_OR_RETURN(auto value, doc::parse_yaml(addition, "addition"));
  doc::Value* at = &document;
  const auto holds_members = [&] { return at->is_object() || at->is_null(); };
  for (auto dot = path.find('.'); dot != path.npos; dot = path.find('.')) {
    const std::string key(path.substr(0, dot));
    if (!holds_members()) return not_amendable(key);
    if (at->find(key) == nullptr) at->set(key, doc::Value::object());
    at = at->find(key);
    path.remove_prefix(dot + 1);
  }
  if (!holds_members()) return not_amendable(path);
  at->set(std::string(path), std::move(value));
  return document;
}

constexpr const char* kCustom = "customProperties";

bool is_transforms(const doc::Value& custom) {
  return custom.string_or("property") == "transforms";
}

doc::Value to_value(const spec::Transform& transform) {
  return doc::Value::object({{"id", transform.id},
                             {"field", transform.field},
                             {"expression", transform.expression.text},
                             {"reason", transform.reason}});
}

/// One item of `customProperties` as YAML; strings are quoted as in JSON, which YAML reads as it
/// is.
std::string transforms_item(const std::vector<spec::Transform>& transforms) {
  std::string item = "- property: transforms\n  vendor: heddle\n  value:\n";
  for (const auto& transform : transforms) {
    const char* lead = "    - ";
    const auto value = to_value(transform);
    for (const auto& [key, text] : value.as_object()) {
      item += fmt::format("{}{}: {}\n", std::exchange(lead, "      "), key, doc::to_json(text));
    }
  }
  return item;
}

/// The list under `customProperties` that the transforms of a document or schema object stand in,
/// made where it is missing.
Result<doc::Value*> transform_list(doc::Value& holder) {
  if (!holder.is_object()) return not_amendable(kCustom);
  if (holder.find(kCustom) == nullptr) holder.set(kCustom, doc::Value::array());
  if (!holder.find(kCustom)->is_array()) return not_amendable(kCustom);
  auto& customs = holder.find(kCustom)->as_array();
  auto known = std::find_if(customs.begin(), customs.end(), is_transforms);
  if (known == customs.end()) {
    known = customs.insert(customs.end(), doc::Value::object({{"property", "transforms"},
                                                              {"vendor", "heddle"},
                                                              {"value", doc::Value::array()}}));
  }
  doc::Value* list = known->find("value");
  if (list == nullptr || !list->is_array()) return not_amendable("transforms");
  return list;
}

}  // namespace

Result<std::string> amend_transforms(std::string_view text, std::string_view object,
                                     const std::vector<spec::Transform>& transforms) {
  HEDDLE_ASSIGN_OR_RETURN(auto document, doc::parse_yaml(text, "contract"));
  auto* schema = document.find("schema");
  // A contract of one object may say its transforms at the document or
  // in the object; of several, only the object says whose they are.
  const bool is_one_object = schema == nullptr || !schema->is_array() || schema->size() <= 1;
  const auto has_transforms = [](const doc::Value& holder) {
    const auto* customs = holder.find(kCustom);
    return customs != nullptr && customs->is_array() &&
           std::any_of(customs->as_array().begin(), customs->as_array().end(), is_transforms);
  };
  doc::Value* holder = is_one_object ? &document : nullptr;
  if (schema != nullptr && schema->is_array()) {
    for (auto& item : schema->as_array()) {
      // They are added where its authors have put theirs, so that a contract keeps one list.
      if (is_one_object ? has_transforms(item) : item.string_or("name") == object) holder = &item;
    }
  }
  if (holder == nullptr) {
    return Error{ErrorKind::kNotFound, "contract-object-unknown",
                 fmt::format("the contract has no object `{}`", object)};
  }
  // The common case keeps the file as its authors wrote it.
  if (holder == &document && !has_transforms(document)) {
    if (auto amended = amend(text, "customProperties[]", transforms_item(transforms)); amended.ok())
      return amended;
  }
  HEDDLE_ASSIGN_OR_RETURN(doc::Value* const transforms_there, transform_list(*holder));
  auto& list = transforms_there->as_array();
  for (const auto& transform : transforms) {
    const auto same = std::find_if(list.begin(), list.end(), [&](const doc::Value& each) {
      return each.string_or("id") == transform.id;
    });
    if (same == list.end()) {
      list.push_back(to_value(transform));
    } else {
      *same = to_value(transform);
    }
  }
  return doc::to_yaml(document);
}

Result<std::string> amend(std::string_view text, std::string_view path, std::string_view addition) {
  // A trailing newline would become an empty line in the middle of the file.
  while (!addition.empty() && addition.back() == '\n') addition.remove_suffix(1);
  const bool appends = path.size() > 2 && path.substr(path.size() - 2) == "[]";
  const std::string_view key = appends ? path.substr(0, path.size() - 2) : path;
  HEDDLE_ASSIGN_OR_RETURN(const auto wanted, appends ? appended_in_document(text, key, addition)
                                                     : set_in_document(text, key, addition));
  auto lines = lines_of(text);
  bool is_edited = true;
  if (appends)
    append_item(lines, key, addition);
  else
    is_edited = set_value(lines, key, addition);
  // YAML can be written in ways that an edit by lines does not see. The file keeps its form and its
  // comments where the edit says what was meant; else the review shows that they are lost.
  if (is_edited) {
    std::string amended = join(lines);
    const auto read = doc::parse_yaml(amended, "definition");
    if (read.ok() && *read == wanted) return amended;
  }
  return doc::to_yaml(wanted);
}

}  // namespace heddle::control
