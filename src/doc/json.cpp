#include "doc/json.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <unordered_set>

#include <nlohmann/json.hpp>

#include "doc/json_string.hpp"

namespace heddle::doc {
namespace {

/// Builds a `Value` from nlohmann's SAX events, so that depth and equal keys are bounded while
/// reading.
class Builder : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Builder(JsonLimits limits) : limits_(limits) {}

  bool null() override { return add(Value()); }
  bool boolean(bool value) override { return add(Value(value)); }
  bool number_integer(number_integer_t value) override {
    return add(Value(static_cast<std::int64_t>(value)));
  }
  bool number_unsigned(number_unsigned_t value) override {
    // As a double it is near to what was meant; wrapped around it would be negative.
    if (value > static_cast<number_unsigned_t>(INT64_MAX))
      return add(Value(static_cast<double>(value)));
    return add(Value(static_cast<std::int64_t>(value)));
  }
  bool number_float(number_float_t value, const string_t&) override { return add(Value(value)); }
  bool string(string_t& value) override { return add(Value(std::move(value))); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(Value(Value::Object{})); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(Value(Value::Array{})); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    if (repeated(name)) {
      error_ =
          Error{ErrorKind::kInvalid, "json-duplicate-key",
                fmt::format("key `{}` appears twice", name.substr(0, 100)), "keep one of the two"};
      return false;
    }
    keys_.back() = std::move(name);
    return true;
  }
  bool parse_error(std::size_t, const std::string&,
                   const nlohmann::json::exception& exception) override {
    std::string text = exception.what();
    // What stands before the place are the library's own words.
    const auto at = text.find("at line");
    error_ = Error{ErrorKind::kInvalid, "json-malformed",
                   "malformed JSON " + (at == text.npos ? text : text.substr(at)),
                   "check the text with a JSON formatter"};
    return false;
  }

  Value take() { return std::move(root_); }
  Error error() const { return error_; }

 private:
  static constexpr std::size_t kFew = 16;
  bool add(Value value) {
    if (stack_.empty()) {
      root_ = std::move(value);
    } else if (stack_.back().is_array()) {
      stack_.back().as_array().push_back(std::move(value));
    } else {
      stack_.back().as_object().emplace_back(std::move(keys_.back()), std::move(value));
    }
    return true;
  }
  /// Whether the innermost object has this key. A wide object is looked up by hash: one of a
  /// megabyte has 100,000 keys, and reading it must not take their square.
  bool repeated(const std::string& name) {
    const auto& members = stack_.back().as_object();
    // Few keys are compared faster than they are hashed.
    if (members.size() < kFew) return stack_.back().find(name) != nullptr;
    auto& seen = wide_.back();
    if (seen.empty()) {
      for (const auto& member : members) seen.insert(member.first);
    }
    return !seen.insert(name).second;
  }
  bool open(Value value) {
    if (stack_.size() >= limits_.max_depth) {
      error_ = Error{ErrorKind::kTooLarge, "json-too-deep",
                     fmt::format("JSON nests deeper than {}", limits_.max_depth),
                     "flatten the document"};
      return false;
    }
    stack_.push_back(std::move(value));
    keys_.emplace_back();
    wide_.emplace_back();
    return true;
  }
  bool close() {
    Value value = std::move(stack_.back());
    stack_.pop_back();
    keys_.pop_back();
    wide_.pop_back();
    return add(std::move(value));
  }

  JsonLimits limits_;
  std::vector<Value> stack_;
  std::vector<std::string> keys_;
  std::vector<std::unordered_set<std::string>>
      wide_;  ///< keys of an object on the stack that has `kFew` or more
  Value root_;
  Error error_{ErrorKind::kInvalid, "json-malformed", "malformed JSON"};
};

void write_double(std::string& out, double value) {
  // JSON has no word for infinities and NaN.
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  char buffer[40];
  // The shortest text that reads back as the same number.
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  const std::string_view text(buffer, static_cast<std::size_t>(end - buffer));
  out += text;
  if (text.find_first_of(".en") == text.npos)
    out += ".0";  // stays a number with a fraction when read back
}

enum class Style { kLine, kPretty, kCanonical };

void write(std::string& out, const Value& value, Style style, int level);

/// A new line in pretty text; nothing in the others.
void break_line(std::string& out, Style style, int level) {
  if (style == Style::kPretty) out += "\n" + std::string(static_cast<std::size_t>(level) * 2, ' ');
}

void write_array(std::string& out, const Value& value, Style style, int level) {
  out += '[';
  bool first = true;
  for (const auto& item : value.as_array()) {
    if (!first) out += ',';
    first = false;
    break_line(out, style, level + 1);
    write(out, item, style, level + 1);
  }
  if (!first) break_line(out, style, level);
  out += ']';
}

/// In canonical text members are sorted (RFC 8785): equal values have equal bytes, and digests.
void write_object(std::string& out, const Value& value, Style style, int level) {
  std::vector<const Value::Member*> members;
  for (const auto& member : value.as_object()) members.push_back(&member);
  if (style == Style::kCanonical) {
    std::sort(members.begin(), members.end(),
              [](const auto* a, const auto* b) { return a->first < b->first; });
  }
  out += '{';
  bool first = true;
  for (const auto* member : members) {
    if (!first) out += ',';
    first = false;
    break_line(out, style, level + 1);
    append_json_string(member->first, out);
    out += style == Style::kPretty ? ": " : ":";
    write(out, member->second, style, level + 1);
  }
  if (!first) break_line(out, style, level);
  out += '}';
}

void write(std::string& out, const Value& value, Style style, int level) {
  if (value.is_null()) {
    out += "null";
  } else if (value.is_bool()) {
    out += value.as_bool() ? "true" : "false";
  } else if (value.is_int()) {
    out += fmt::format_int(value.as_int()).c_str();
  } else if (value.is_double()) {
    write_double(out, value.as_double());
  } else if (value.is_string()) {
    append_json_string(value.as_string(), out);
  } else if (value.is_array()) {
    write_array(out, value, style, level);
  } else {
    write_object(out, value, style, level);
  }
}

}  // namespace

Result<Value> parse_json(std::string_view text, JsonLimits limits) {
  if (text.size() > limits.max_bytes) {
    return Error{ErrorKind::kTooLarge, "json-too-large",
                 fmt::format("JSON of {} bytes, the limit is {}", text.size(), limits.max_bytes)};
  }
  Builder builder(limits);
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &builder)) return builder.error();
  return builder.take();
}

std::string to_json(const Value& value) {
  std::string out;
  write(out, value, Style::kLine, 0);
  return out;
}
std::string to_json_pretty(const Value& value) {
  std::string out;
  write(out, value, Style::kPretty, 0);
  return out + "\n";
}
std::string to_canonical_json(const Value& value) {
  std::string out;
  write(out, value, Style::kCanonical, 0);
  return out;
}

}  // namespace heddle::doc
