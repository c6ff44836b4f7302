#include "doc/yaml.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <unordered_set>
#include <vector>

#include <yaml-cpp/yaml.h>

namespace heddle::doc {
namespace {

Position position_of(const YAML::Mark& mark) {
  return mark.is_null() ? Position{} : Position{mark.line + 1, mark.column + 1};
}

Error error_at(std::string_view file, Position at, std::string id, std::string message,
               std::string hint) {
  return Error{ErrorKind::kInvalid, std::move(id), std::move(message), std::move(hint),
               fmt::format("{}:{}:{}", file, at.line, at.column)};
}

/// YAML 1.2 core schema, section 10.3.2; octal and hexadecimal integers are read as strings: nobody
/// means them here.
Value plain_scalar(const std::string& text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL")
    return Value();
  if (text == "true" || text == "True" || text == "TRUE") return Value(true);
  if (text == "false" || text == "False" || text == "FALSE") return Value(false);
  // `from_chars` takes no `+`.
  const char* begin = text.data() + (text[0] == '+' ? 1 : 0);
  const char* end = text.data() + text.size();
  std::int64_t integer = 0;
  if (const auto [at, code] = std::from_chars(begin, end, integer);
      code == std::errc() && at == end)
    return Value(integer);
  if (text == ".inf" || text == ".Inf") return Value(std::numeric_limits<double>::infinity());
  if (text == "-.inf" || text == "-.Inf") return Value(-std::numeric_limits<double>::infinity());
  double number = 0;
  // Not `inf` and `nan`, which `from_chars` would take.
  const char first = *begin == '-' ? begin[1] : *begin;
  if ((first >= '0' && first <= '9') || first == '.') {
    if (const auto [at, code] = std::from_chars(begin, end, number);
        code == std::errc() && at == end)
      return Value(number);
  }
  return Value(text);
}

/// Turns yaml-cpp's nodes into values.
class Converter {
 public:
  Converter(std::string_view file, std::size_t text_size)
      : file_(file), room_(text_size + kRoomForAliases) {}

  Result<Value> convert(const YAML::Node& node, int depth) {
    const Position at = position_of(node.Mark());
    // Readers of values recurse too.
    if (depth > 64)
      return error_at(file_, at, "yaml-too-deep", "the document nests deeper than 64",
                      "flatten it");
    HEDDLE_TRY(spend(node.IsScalar() ? node.Scalar().size() + 1 : 1, at));
    Value value;
    switch (node.Type()) {
      case YAML::NodeType::Scalar:
        // `?` is of a plain text, `!` of one in quotes; any other tag was written.
        if (node.Tag() != "?" && node.Tag() != "!" && !node.Tag().empty()) {
          return error_at(file_, at, "yaml-tag", fmt::format("tag `{}` is not allowed", node.Tag()),
                          "write the value plainly");
        }
        value = node.Tag() == "!" ? Value(node.Scalar()) : plain_scalar(node.Scalar());
        break;
      case YAML::NodeType::Sequence:
        value = Value::array();
        for (const auto& item : node) {
          HEDDLE_ASSIGN_OR_RETURN(auto converted, convert(item, depth + 1));
          value.push(std::move(converted));
        }
        break;
      case YAML::NodeType::Map: {
        HEDDLE_ASSIGN_OR_RETURN(value, map(node, depth));
        break;
      }
      default: break;
    }
    value.set_position(at);
    return value;
  }

 private:
  /// What aliases may repeat beyond the text: ten of them, each a list of the one before twice
  /// over, stand for a thousand values, and one that holds itself for no end of them.
  static constexpr std::size_t kRoomForAliases = std::size_t{16} << 20;

  Result<void> spend(std::size_t size, Position at) {
    if (size <= room_) {
      room_ -= size;
      return {};
    }
    return error_at(file_, at, "yaml-too-large",
                    fmt::format("aliases repeat more than {} MiB of values", kRoomForAliases >> 20),
                    "write out what is meant");
  }

  Result<Value> map(const YAML::Node& node, int depth) {
    Value::Object members;
    std::unordered_set<std::string> seen;
    std::vector<YAML::Node> merged;
    bool has_merge = false;
    for (const auto& member : node) {
      const Position key_at = position_of(member.first.Mark());
      if (!member.first.IsScalar()) {
        return error_at(file_, key_at, "yaml-key", "a key must be a plain word",
                        "quote it, or use a list");
      }
      const std::string& key = member.first.Scalar();
      // Quoted, it is a key like others.
      const bool is_merge = key == "<<" && member.first.Tag() != "!";
      const bool is_repeated = is_merge ? has_merge : !seen.insert(key).second;
      has_merge = has_merge || is_merge;
      if (is_repeated) {
        return error_at(file_, key_at, "yaml-duplicate-key",
                        fmt::format("key `{}` appears twice", key), "keep one of the two");
      }
      if (is_merge) {
        HEDDLE_TRY(collect(member.second, merged));
        continue;
      }
      HEDDLE_ASSIGN_OR_RETURN(auto converted, convert(member.second, depth + 1));
      // yaml-cpp gives an empty value no place: its key says where it is missing.
      if (converted.position().line == 0) converted.set_position(key_at);
      members.emplace_back(key, std::move(converted));
    }
    // A key of the map itself counts, then one of the first map that has it.
    for (const auto& from : merged) {
      HEDDLE_ASSIGN_OR_RETURN(auto value, convert(from, depth + 1));
      for (auto& [key, member] : value.as_object()) {
        if (seen.insert(key).second) members.emplace_back(std::move(key), std::move(member));
      }
    }
    return Value(std::move(members));
  }

  /// The maps that the merge key of YAML 1.1 (`<<`) names: one or a list of them.
  Result<void> collect(const YAML::Node& node, std::vector<YAML::Node>& into) {
    if (node.IsMap()) {
      into.push_back(node);
      return {};
    }
    bool is_right = node.IsSequence();
    if (is_right) {
      for (const auto& item : node) {
        is_right = is_right && item.IsMap();
        into.push_back(item);
      }
    }
    if (is_right) return {};
    return error_at(file_, position_of(node.Mark()), "yaml-merge",
                    "`<<` merges a map or a list of maps, and this is none",
                    "name an anchor of a map, for example `<<: *defaults`");
  }

  std::string_view file_;
  std::size_t room_;
};

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

bool needs_quotes(const std::string& text) {
  // What would be read as another type needs quotes to stay a text.
  if (text.empty() || text == "<<" || !plain_scalar(text).is_string()) return true;
  if (text.front() == ' ' || text.back() == ' ' || text.back() == ':') return true;
  // Indicators, which begin no plain text (YAML 1.2, 5.3).
  if (std::string_view("-?:,[]{}#&*!|>'\"%@`").find(text.front()) != std::string_view::npos)
    return true;
  // Tabs too: before a `#` or behind a `:` they are as good as a space.
  const bool has_control = std::any_of(text.begin(), text.end(), is_control);
  return has_control || text.find(": ") != text.npos || text.find(" #") != text.npos;
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else if (is_control(c)) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string text_of(double number) {
  if (std::isinf(number)) return number > 0 ? ".inf" : "-.inf";
  return fmt::format("{}", number);
}

/// A value that takes one line: a scalar, or an empty list or object.
std::string line_of(const Value& value) {
  if (value.is_array()) return "[]";
  if (value.is_object()) return "{}";
  if (value.is_null()) return "null";
  if (value.is_bool()) return value.as_bool() ? "true" : "false";
  if (value.is_int()) return fmt::to_string(value.as_int());
  if (value.is_double()) return text_of(value.as_double());
  return needs_quotes(value.as_string()) ? quoted(value.as_string()) : value.as_string();
}

void write(std::string& out, const Value& value, int level);

/// What follows `key:` or `-`.
void write_child(std::string& out, const Value& item, int level, bool in_list) {
  if (item.size() == 0) {
    out += " " + line_of(item) + "\n";
    return;
  }
  if (!in_list || !item.is_object()) {
    out += "\n";
    write(out, item, level);
    return;
  }
  // The first key of an object stands on the line of its dash.
  std::string text;
  write(text, item, level);
  out += " " + text.substr(static_cast<std::size_t>(level) * 2);
}

void write(std::string& out, const Value& value, int level) {
  const std::string pad(static_cast<std::size_t>(level) * 2, ' ');
  if (value.is_object()) {
    for (const auto& [key, item] : value.as_object()) {
      out += pad + (needs_quotes(key) ? quoted(key) : key) + ":";
      write_child(out, item, level + 1, false);
    }
  } else if (value.is_array()) {
    for (const auto& item : value.as_array()) {
      out += pad + "-";
      write_child(out, item, level + 1, true);
    }
  }
}

}  // namespace

Result<Value> parse_yaml(std::string_view text, std::string_view file) {
  try {
    const auto documents = YAML::LoadAll(std::string(text));
    // A second document would be dropped without a word.
    if (documents.size() != 1) {
      return error_at(file, {1, 1}, "yaml-documents",
                      fmt::format("{} YAML documents, one expected", documents.size()),
                      "one definition a file");
    }
    return Converter(file, text.size()).convert(documents[0], 0);
  } catch (const YAML::ParserException& exception) {
    return error_at(file, position_of(exception.mark), "yaml-malformed", exception.msg,
                    "check indentation and quotes here");
  } catch (const YAML::Exception& exception) {
    return error_at(file, {1, 1}, "yaml-malformed", exception.msg,
                    "check the file with a YAML formatter");
  }
}

std::string to_yaml(const Value& value) {
  std::string out;
  write(out, value, 0);
  return out;
}

}  // namespace heddle::doc
