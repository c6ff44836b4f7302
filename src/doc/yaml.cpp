#include "doc/yaml.hpp"

#include <charconv>
#include <cmath>
#include <limits>

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
  const char* begin = text.data() + (text[0] == '+' ? 1 : 0);
  const char* end = text.data() + text.size();
  std::int64_t integer = 0;
  if (const auto [at, code] = std::from_chars(begin, end, integer);
      code == std::errc() && at == end)
    return Value(integer);
  if (text == ".inf" || text == ".Inf") return Value(std::numeric_limits<double>::infinity());
  if (text == "-.inf" || text == "-.Inf") return Value(-std::numeric_limits<double>::infinity());
  double number = 0;
  const char first = *begin == '-' ? begin[1] : *begin;
  if ((first >= '0' && first <= '9') || first == '.') {
    if (const auto [at, code] = std::from_chars(begin, end, number);
        code == std::errc() && at == end)
      return Value(number);
  }
  return Value(text);
}

Result<Value> convert(const YAML::Node& node, std::string_view file, int depth) {
  const Position at = position_of(node.Mark());
  if (depth > 64)
    return error_at(file, at, "yaml-too-deep", "the document nests deeper than 64", "flatten it");
  Value value;
  switch (node.Type()) {
    case YAML::NodeType::Scalar:
      if (node.Tag() != "?" && node.Tag() != "!" && !node.Tag().empty()) {
        return error_at(file, at, "yaml-tag", fmt::format("tag `{}` is not allowed", node.Tag()),
                        "write the value plainly");
      }
      value = node.Tag() == "!" ? Value(node.Scalar()) : plain_scalar(node.Scalar());
      break;
    case YAML::NodeType::Sequence:
      value = Value::array();
      for (const auto& item : node) {
        HEDDLE_ASSIGN_OR_RETURN(auto converted, convert(item, file, depth + 1));
        value.push(std::move(converted));
      }
      break;
    case YAML::NodeType::Map:
      value = Value::object();
      for (const auto& member : node) {
        const Position key_at = position_of(member.first.Mark());
        if (!member.first.IsScalar()) {
          return error_at(file, key_at, "yaml-key", "a key must be a plain word",
                          "quote it, or use a list");
        }
        if (value.find(member.first.Scalar()) != nullptr) {
          return error_at(file, key_at, "yaml-duplicate-key",
                          fmt::format("key `{}` appears twice", member.first.Scalar()),
                          "keep one of the two");
        }
        HEDDLE_ASSIGN_OR_RETURN(auto converted, convert(member.second, file, depth + 1));
        if (converted.position().line == 0) converted.set_position(key_at);
        value.set(member.first.Scalar(), std::move(converted));
      }
      break;
    default: break;
  }
  value.set_position(at);
  return value;
}

bool needs_quotes(const std::string& text) {
  if (text.empty() || !plain_scalar(text).is_string()) return true;
  if (text.front() == ' ' || text.back() == ' ' || text.back() == ':') return true;
  if (std::string_view("-?:,[]{}#&*!|>'\"%@`").find(text.front()) != std::string_view::npos)
    return true;
  return text.find(": ") != text.npos || text.find(" #") != text.npos ||
         text.find('\n') != text.npos;
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out + "\"";
}

void write(std::string& out, const Value& value, int level) {
  const std::string pad(static_cast<std::size_t>(level) * 2, ' ');
  const auto child = [&](const Value& item, bool in_list) {
    if (item.size() > 0) {
      if (in_list && item.is_object()) {
        std::string text;
        write(text, item, level + 1);
        out += " " + text.substr(static_cast<std::size_t>(level + 1) * 2);
      } else {
        out += "\n";
        write(out, item, level + 1);
      }
      return;
    }
    out += ' ';
    if (item.is_array()) out += "[]";
    if (item.is_object()) out += "{}";
    if (item.is_null()) out += "null";
    if (item.is_bool()) out += item.as_bool() ? "true" : "false";
    if (item.is_int()) out += fmt::to_string(item.as_int());
    if (item.is_double()) {
      const double number = item.as_double();
      out += std::isinf(number) ? (number > 0 ? ".inf" : "-.inf") : fmt::format("{}", number);
    }
    if (item.is_string())
      out += needs_quotes(item.as_string()) ? quoted(item.as_string()) : item.as_string();
    out += "\n";
  };
  if (value.is_object()) {
    for (const auto& [key, item] : value.as_object()) {
      out += pad + (needs_quotes(key) ? quoted(key) : key) + ":";
      child(item, false);
    }
  } else if (value.is_array()) {
    for (const auto& item : value.as_array()) {
      out += pad + "-";
      child(item, true);
    }
  }
}

}  // namespace

Result<Value> parse_yaml(std::string_view text, std::string_view file) {
  try {
    const auto documents = YAML::LoadAll(std::string(text));
    if (documents.size() != 1) {
      return error_at(file, {1, 1}, "yaml-documents",
                      fmt::format("{} YAML documents, one expected", documents.size()),
                      "one definition a file");
    }
    // yaml-cpp resolves aliases silently; a definition that uses them is refused by their text.
    return convert(documents[0], file, 0);
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
