// The conformance suite of CEL (cel-spec tests/simple, as published with cel-go 0.14 and later), as
// far as it lies in the profile. The files are not in this repository: they are read from
// `data/cel` under $HEDDLE_SHARED, or under `shared` next to the source folder, and the test is
// skipped when neither is there. docs/expressions.md has the counts.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "expr/program.hpp"

namespace heddle::expr {
namespace {

/// Protocol buffers' text format, as much of it as the suite uses: `name: scalar`, `name { .. }`,
/// repeated names, comments, adjacent strings.
struct Field;
struct Message {
  std::vector<Field> fields;

  const Field* find(std::string_view name) const;
};
struct Field {
  std::string name;
  std::string scalar;
  Message message;
};
const Field* Message::find(std::string_view name) const {
  for (const auto& field : fields) {
    if (field.name == name) return &field;
  }
  return nullptr;
}

class TextProto {
 public:
  explicit TextProto(std::string text) : text_(std::move(text)) {}

  Message read() { return body('\0'); }
  bool failed() const { return failed_; }

 private:
  void skip() {
    while (at_ < text_.size()) {
      if (text_[at_] == '#') {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      } else if (std::string_view(" \t\r\n,;").find(text_[at_]) != std::string_view::npos) {
        ++at_;
      } else {
        return;
      }
    }
  }

  Message body(char end) {
    Message out;
    for (;;) {
      skip();
      if (at_ >= text_.size()) {
        failed_ = failed_ || end != '\0';
        return out;
      }
      if (text_[at_] == end) {
        ++at_;
        return out;
      }
      Field field;
      while (at_ < text_.size() &&
             std::string_view(" :{\n\t").find(text_[at_]) == std::string_view::npos) {
        char c = text_[at_++];
        field.name += c;
        if (c == '[') {  // the type name of an Any
          while (at_ < text_.size() && text_[at_ - 1] != ']') field.name += text_[at_++];
        }
      }
      skip();
      if (at_ < text_.size() && text_[at_] == ':') ++at_;
      skip();
      if (at_ < text_.size() && text_[at_] == '{') {
        ++at_;
        field.message = body('}');
      } else {
        field.scalar = scalar();
      }
      if (field.name.empty() || failed_) {
        failed_ = true;
        return out;
      }
      out.fields.push_back(std::move(field));
    }
  }

  std::string scalar() {
    std::string out;
    if (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\'') {
      while (at_ < text_.size() &&
             std::string_view(" \t\r\n,;}").find(text_[at_]) == std::string_view::npos)
        out += text_[at_++];
      return out;
    }
    for (skip(); at_ < text_.size() && (text_[at_] == '"' || text_[at_] == '\''); skip()) {
      const char quote = text_[at_++];
      while (at_ < text_.size() && text_[at_] != quote) {
        if (text_[at_] == '\\') {
          ++at_;
          escape(out);
        } else {
          out += text_[at_++];
        }
      }
      ++at_;
    }
    return out;
  }

  void escape(std::string& out) {
    static constexpr std::string_view kFrom = "abfnrtv\\'\"?";
    static constexpr std::string_view kTo = "\a\b\f\n\r\t\v\\'\"?";
    const char c = text_[at_++];
    if (const auto i = kFrom.find(c); i != std::string_view::npos) {
      out += kTo[i];
      return;
    }
    if (c == 'u' || c == 'U') {
      const std::size_t digits = c == 'u' ? 4 : 8;
      std::uint32_t code = 0;
      if (at_ + digits > text_.size() ||
          std::from_chars(text_.data() + at_, text_.data() + at_ + digits, code, 16).ec !=
              std::errc()) {
        failed_ = true;
        return;
      }
      at_ += digits;
      if (code < 0x80) {
        out += static_cast<char>(code);
        return;
      }
      const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
      out += static_cast<char>((more == 1 ? 0xC0 : more == 2 ? 0xE0 : 0xF0) | code >> (6 * more));
      for (int i = more - 1; i >= 0; --i) out += static_cast<char>(0x80 | (code >> (6 * i) & 0x3F));
      return;
    }
    int value = 0;
    const char* end = text_.data() + text_.size();
    if (c == 'x' || c == 'X') {
      const auto [p, code] = std::from_chars(
          text_.data() + at_, std::min<const char*>(text_.data() + at_ + 2, end), value, 16);
      at_ = static_cast<std::size_t>(p - text_.data());
      failed_ = failed_ || code != std::errc();
    } else {
      const auto [p, code] = std::from_chars(
          text_.data() + at_ - 1, std::min<const char*>(text_.data() + at_ + 2, end), value, 8);
      at_ = static_cast<std::size_t>(p - text_.data());
      failed_ = failed_ || code != std::errc();
    }
    out += static_cast<char>(value);
  }

  std::string text_;
  std::size_t at_ = 0;
  bool failed_ = false;
};

/// The expression without what is inside its strings; a string is left as `"`, with its prefix, so
/// that the text tells by itself what of the language it uses.
std::string outline(const std::string& source) {
  std::string out;
  for (std::size_t i = 0; i < source.size(); ++i) {
    const char c = source[i];
    out += c == '\'' ? '"' : c;
    if (c != '"' && c != '\'') continue;
    const bool raw = i > 0 && (source[i - 1] == 'r' || source[i - 1] == 'R');
    const std::string triple(3, c);
    const std::size_t width = source.compare(i, 3, triple) == 0 ? 3 : 1;
    const std::string end(width, c);
    for (i += width; i < source.size() && source.compare(i, width, end) != 0; ++i) {
      if (source[i] == '\\' && !raw) ++i;
    }
    i += width - 1;
  }
  return out;
}

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

/// Whether `word` stands in `text` as a whole name.
bool names(const std::string& text, std::string_view word) {
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    const bool before = at > 0 && is_word(text[at - 1]);
    const bool after = at + word.size() < text.size() && is_word(text[at + word.size()]);
    if (!before && !after) return true;
  }
  return false;
}

bool holds_unsigned(const std::string& text) {
  for (std::size_t i = 1; i < text.size(); ++i) {
    if ((text[i] != 'u' && text[i] != 'U') ||
        std::isxdigit(static_cast<unsigned char>(text[i - 1])) == 0)
      continue;
    std::size_t begin = i;
    while (begin > 0 && is_word(text[begin - 1])) --begin;
    if (std::isdigit(static_cast<unsigned char>(text[begin])) != 0) return true;
  }
  return false;
}

bool holds_index(const std::string& text) {
  std::size_t last = std::string::npos;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '[' && last != std::string::npos &&
        (is_word(text[last]) || text[last] == ')' || text[last] == ']' || text[last] == '"') &&
        !(last >= 1 && text.compare(last - 1, 2, "in") == 0 &&
          (last < 2 || !is_word(text[last - 2])))) {
      return true;
    }
    if (text[i] != ' ') last = i;
  }
  return false;
}

/// Why a case lies outside the profile, judged by its text alone and never by what our evaluator
/// says; empty when it is inside.
std::string outside(const Message& test, const std::string& section) {
  const std::string source = test.find("expr")->scalar;
  const std::string text = outline(source);
  const Field* value = test.find("value");
  const std::string kind =
      value != nullptr && !value->message.fields.empty() ? value->message.fields[0].name : "";
  if (test.find("disable_check") != nullptr) return "type checker switched off";
  if (text.find("b\"") != std::string::npos || text.find("B\"") != std::string::npos ||
      text.find("br\"") != std::string::npos || names(text, "bytes") || kind == "bytes_value") {
    return "bytes";
  }
  if (holds_unsigned(text) || names(text, "uint") || kind == "uint64_value")
    return "unsigned integers";
  for (const auto* macro : {"all", "exists", "exists_one", "map", "filter", "has"}) {
    if (text.find(fmt::format("{}(", macro)) != std::string::npos && names(text, macro))
      return "macros";
  }
  if (names(text, "dyn") || names(text, "type") || kind == "type_value")
    return "dynamic types, type values";
  if (text.find('{') != std::string::npos || kind == "map_value" || kind == "object_value")
    return "maps, messages";
  if (names(text, "math") || names(text, "strings")) return "extension libraries";
  for (const auto* function : {"format", "indexOf", "lastIndexOf", "substring", "replace", "split",
                               "join", "charAt", "trim", "reverse"}) {
    if (names(text, function)) return "extension libraries";
  }
  if (text.find("get") != std::string::npos && text.find("(\"") != std::string::npos &&
      section == "timestamp_selectors_tz")
    return "time zones";
  if (source.find("ns')") != std::string::npos || source.find("999999999Z") != std::string::npos ||
      source.find("123456789Z") != std::string::npos) {
    return "nanoseconds";
  }
  if (test.find("container") != nullptr || test.find("type_env") != nullptr)
    return "containers, protobuf declarations";
  for (const auto& field : test.fields) {
    if (field.name != "bindings") continue;
    const auto* outer = field.message.find("value");
    const auto* inner = outer == nullptr ? nullptr : outer->message.find("value");
    if (inner == nullptr || inner->message.fields.empty() ||
        inner->message.fields[0].name.find("_value") == std::string::npos ||
        inner->message.fields[0].name == "object_value" ||
        inner->message.fields[0].name == "map_value") {
      return "maps, messages";
    }
  }
  if (holds_index(text)) return "indexing";
  return {};
}

/// A value of the suite as ours; strings are borrowed from `field`.
bool datum_of(const Field& field, Datum& out, Type& type) {
  if (field.name == "int64_value") {
    out = Datum::integer(std::strtoll(field.scalar.c_str(), nullptr, 10));
    type = Type::kInt;
  } else if (field.name == "double_value") {
    out = Datum::real(std::strtod(field.scalar.c_str(), nullptr));
    type = Type::kDouble;
  } else if (field.name == "bool_value") {
    out = Datum::boolean(field.scalar == "true");
    type = Type::kBool;
  } else if (field.name == "string_value") {
    out = Datum::string(field.scalar);
    type = Type::kString;
  } else if (field.name == "null_value") {
    out = Datum::null();
    type = Type::kDyn;
  } else {
    return false;
  }
  return true;
}

bool same(const Datum& ours, const Field& theirs) {
  if (theirs.name == "list_value") {
    if (ours.kind != Datum::Kind::kList || ours.list->size != theirs.message.fields.size())
      return false;
    for (std::uint32_t i = 0; i < ours.list->size; ++i) {
      const auto& item = theirs.message.fields[i].message.fields;
      if (item.empty() || !same(ours.list->items[i], item[0])) return false;
    }
    return true;
  }
  Datum wanted;
  Type type = Type::kNull;
  if (!datum_of(theirs, wanted, type) || wanted.kind != ours.kind) return false;
  switch (wanted.kind) {
    case Datum::Kind::kDouble:
      return std::bit_cast<std::uint64_t>(wanted.d) == std::bit_cast<std::uint64_t>(ours.d) ||
             (wanted.d != wanted.d && ours.d != ours.d);
    case Datum::Kind::kString: return wanted.str() == ours.str();
    case Datum::Kind::kBool: return wanted.b == ours.b;
    case Datum::Kind::kNull: return true;
    default: return wanted.i == ours.i;
  }
}

std::string shown(const Datum& datum) {
  switch (datum.kind) {
    case Datum::Kind::kNull: return "null";
    case Datum::Kind::kError: return "error";
    case Datum::Kind::kBool: return datum.b ? "true" : "false";
    case Datum::Kind::kDouble: return fmt::format("{} (double)", datum.d);
    case Datum::Kind::kString: return fmt::format("'{}'", datum.str());
    case Datum::Kind::kList: return "a list";
    default: return fmt::format("{}", datum.i);
  }
}

/// Empty when the case gives what the suite says.
std::string run(const Message& test) {
  Environment environment;
  std::vector<Datum> row;
  for (const auto& field : test.fields) {
    if (field.name != "bindings") continue;
    const auto& value = field.message.find("value")->message.find("value")->message.fields[0];
    Datum datum;
    Type type = Type::kNull;
    if (!datum_of(value, datum, type)) return fmt::format("cannot bind a {}", value.name);
    environment.variables.push_back({field.message.find("key")->scalar, type});
    row.push_back(datum);
  }
  const bool fails = test.find("eval_error") != nullptr;
  const auto program = Program::compile(test.find("expr")->scalar, environment);
  if (!program.ok())
    return fails ? ""
                 : fmt::format("does not compile: {} ({})", program.error().message,
                               program.error().where);
  Program::Scratch scratch;
  const Datum ours = program->evaluate(row, scratch);
  if (fails) return ours.is_error() ? "" : fmt::format("gives {}, not an error", shown(ours));
  const Field* value = test.find("value");
  if (value == nullptr) return ours.is_true() ? "" : fmt::format("gives {}, not true", shown(ours));
  return same(ours, value->message.fields[0]) ? "" : fmt::format("gives {}", shown(ours));
}

/// Cases inside the profile's grammar whose answer differs on purpose: each must go on differing,
/// and has its line in docs/expressions.md.
const std::map<std::string, std::string>& deviations() {
  static const std::map<std::string, std::string> known = {
      {"lists/concatenation/list_append", "a list is a constant: it has no `+`"},
      {"lists/concatenation/list_not_commutative", "a list is a constant: it has no `+`"},
      {"lists/concatenation/list_repeat", "a list is a constant: it has no `+`"},
      {"lists/concatenation/empty_empty", "a list is a constant: it has no `+`"},
      {"lists/concatenation/left_unit", "a list is a constant: it has no `+`"},
      {"lists/concatenation/right_unit", "a list is a constant: it has no `+`"},
      {"timestamps/timestamp_range/sub_time_duration_over",
       "a duration is 64 bits of microseconds, CEL's of nanoseconds"},
      {"timestamps/timestamp_range/sub_time_duration_under",
       "a duration is 64 bits of microseconds, CEL's of nanoseconds"},
      {"timestamps/duration_range/from_string_under",
       "a duration is 64 bits of microseconds, CEL's of nanoseconds"},
      {"timestamps/duration_range/from_string_over",
       "a duration is 64 bits of microseconds, CEL's of nanoseconds"},
      {"timestamps/duration_range/add_under",
       "a duration is 64 bits of microseconds, CEL's of nanoseconds"},
      {"timestamps/duration_range/add_over",
       "a duration is 64 bits of microseconds, CEL's of nanoseconds"},
      {"timestamps/duration_range/sub_under",
       "a duration is 64 bits of microseconds, CEL's of nanoseconds"},
      {"timestamps/duration_range/sub_over",
       "a duration is 64 bits of microseconds, CEL's of nanoseconds"},
  };
  return known;
}

TEST(Conformance, OfTheSuiteWhatLiesInTheProfile) {
  const char* shared = std::getenv("HEDDLE_SHARED");
  const std::filesystem::path folder =
      std::filesystem::path(shared != nullptr ? shared : "../shared") / "data/cel";
  if (!std::filesystem::is_directory(folder)) {
    GTEST_SKIP() << "the conformance suite is not at " << folder.string()
                 << "; set HEDDLE_SHARED to a folder that has data/cel/*.textproto";
  }
  std::map<std::string, int> excluded;
  std::set<std::string> deviated;
  int passed = 0;
  int total = 0;
  std::set<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".textproto") files.insert(entry.path());
  }
  for (const auto& file : files) {
    std::stringstream text;
    text << std::ifstream(file).rdbuf();
    TextProto reader(text.str());
    const Message suite = reader.read();
    ASSERT_FALSE(reader.failed()) << file;
    for (const auto& section : suite.fields) {
      if (section.name != "section") continue;
      for (const auto& test : section.message.fields) {
        if (test.name != "test") continue;
        ++total;
        const std::string part = section.message.find("name")->scalar;
        const std::string id =
            fmt::format("{}/{}/{}", file.stem().string(), part, test.message.find("name")->scalar);
        if (const auto why = outside(test.message, part); !why.empty()) {
          ++excluded[why];
          continue;
        }
        const std::string problem = run(test.message);
        if (deviations().contains(id)) {
          deviated.insert(id);
          EXPECT_NE(problem, "")
              << id << " deviates no more: take it off the list and out of docs/expressions.md";
          continue;
        }
        EXPECT_EQ(problem, "") << id << ": " << test.message.find("expr")->scalar;
        passed += problem.empty() ? 1 : 0;
      }
    }
  }
  for (const auto& [id, why] : deviations())
    EXPECT_TRUE(deviated.contains(id)) << id << " is no case of the suite";
  fmt::print("of {} cases: {} passed, {} deviate, outside the profile:\n", total, passed,
             deviated.size());
  for (const auto& [why, count] : excluded) fmt::print("  {:4} {}\n", count, why);
  EXPECT_GT(passed, 0);
}

}  // namespace
}  // namespace heddle::expr
