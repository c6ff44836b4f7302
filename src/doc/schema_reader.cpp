#include "doc/schema_reader.hpp"

#include <algorithm>
#include <cctype>
#include <optional>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "base/digest.hpp"
#include "doc/schema_words.hpp"

namespace heddle::doc {
namespace {

std::string article(std::string_view type) {
  const bool vowel =
      !type.empty() && std::string_view("aeio").find(type.front()) != std::string_view::npos;
  return type == "null" ? "nothing" : fmt::format("{} {}", vowel ? "an" : "a", type);
}

bool every(const Value& value, bool (Value::*is)() const noexcept) {
  if (!value.is_array()) return false;
  return std::all_of(value.as_array().begin(), value.as_array().end(),
                     [is](const Value& item) { return (item.*is)(); });
}

bool right_type(Shape shape, const Value& value) {
  switch (shape) {
    case Shape::kText:
    case Shape::kDuration:
    case Shape::kTime:
    case Shape::kDigest:
    case Shape::kExpression: return value.is_string();
    case Shape::kInteger: return value.is_int();
    case Shape::kNumber: return value.is_number();
    case Shape::kBoolean: return value.is_bool();
    case Shape::kTexts: return value.is_string() || every(value, &Value::is_string);
    case Shape::kDigests: return every(value, &Value::is_string);
    case Shape::kIntegers: return every(value, &Value::is_int);
    case Shape::kNumbers: return every(value, &Value::is_number);
    case Shape::kLists:
      return value.is_array() &&
             std::all_of(value.as_array().begin(), value.as_array().end(),
                         [](const Value& item) { return item.is_array() || item.is_null(); });
    case Shape::kObject:
    case Shape::kMap: return value.is_object();
    case Shape::kObjects: return every(value, &Value::is_object);
    case Shape::kAny: return true;
  }
  return true;
}

int width(const Value& value) {
  if (value.is_string()) return std::max(1, static_cast<int>(value.as_string().size()));
  return 1;
}

bool is_digest(const Value& value) {
  return !value.as_string().empty() && Digest::parse(value.as_string()).ok();
}

/// Every number of the value: itself, or the items of a list.
std::vector<double> numbers_in(const Value& value) {
  if (value.is_number()) return {value.as_double()};
  std::vector<double> numbers;
  if (value.is_array()) {
    for (const auto& item : value.as_array()) {
      if (item.is_number()) numbers.push_back(item.as_double());
    }
  }
  return numbers;
}

/// What is wrong with the value of a key.
struct Fault {
  std::string id;
  std::string message;
  std::string hint;
};

std::string about(const Key& key) { return fmt::format("{}: {}", key.name, key.about); }

/// YAML makes a number of a text without quotes, and a text of a number with them.
std::string type_hint(const Key& key, const Value& value) {
  const bool wants_text = key.shape == Shape::kText || key.shape == Shape::kTexts;
  if (value.is_number() && wants_text) return "put it in quotes to make it a string";
  const bool wants_number = key.shape == Shape::kInteger || key.shape == Shape::kNumber;
  if (value.is_string() && wants_number) {
    const std::string& text = value.as_string();
    // YAML's own words for what is no number; they are read as the texts that they look like.
    const bool is_no_number = text.size() > 3 && text.find('.') != std::string::npos &&
                              text.find_first_of("0123456789") == std::string::npos;
    return is_no_number ? "write a finite number: `.nan` and `.inf` are none"
                        : "remove the quotes, or write a plain number";
  }
  return about(key);
}

/// A definition may give one text where a list of them is meant; a stored record is always a list.
std::optional<Fault> type_fault(const ObjectSchema& object, const Key& key, const Value& value,
                                const std::string& name) {
  const bool text_for_list = object.is_record && key.shape == Shape::kTexts && value.is_string();
  if (right_type(key.shape, value) && !text_for_list) return std::nullopt;
  return Fault{"wrong-type",
               fmt::format("`{}` must be {}, found {}", name, shape_name(key.shape),
                           article(value.type_name())),
               type_hint(key, value)};
}

bool are_digests(const Key& key, const Value& value) {
  // An empty text is how a record writes that there is no digest.
  if (key.shape == Shape::kDigest) return value.as_string().empty() || is_digest(value);
  return std::all_of(value.as_array().begin(), value.as_array().end(), is_digest);
}

/// About the span of times that can be written (years 1 to 9999).
constexpr Micros kLongestDuration = Micros{10'000} * 365 * kDay;

/// The text of a value whose type is right.
std::optional<Fault> form_fault(const Key& key, const Value& value, const std::string& name) {
  if (key.shape == Shape::kDuration) {
    const auto duration = parse_duration(value.as_string());
    if (!duration)
      return Fault{"bad-duration", fmt::format("`{}` is not a duration", value.as_string()),
                   "write it like `4h`, `1d` or `250ms`"};
    // Durations are added to each other and to times: the sum of a few must fit into 64 bits.
    if (*duration > kLongestDuration)
      return Fault{"bad-duration",
                   fmt::format("`{}` is longer than 10,000 years", value.as_string()),
                   fmt::format("write at most `{}d`", kLongestDuration / kDay)};
  }
  if (key.shape == Shape::kTime && !parse_time(value.as_string()))
    return Fault{"bad-time", fmt::format("`{}` is not a date or time", value.as_string()),
                 "write it like `2001-02-28` or `2001-02-28T12:00:00Z`"};
  if ((key.shape == Shape::kDigest || key.shape == Shape::kDigests) && !are_digests(key, value))
    return Fault{"digest-malformed", fmt::format("`{}` must be {}", name, shape_name(key.shape)),
                 "a digest is `sha256:` and 64 lower-case hex digits"};
  // Only texts and digests can be asked to be filled.
  if (key.is_filled && value.as_string().empty())
    return Fault{"empty-value", fmt::format("`{}` must not be empty", name), about(key)};
  return std::nullopt;
}

std::optional<Fault> choice_fault(const Key& key, const Value& value, const std::string& name) {
  if (key.choices.empty() || !value.is_string()) return std::nullopt;
  const std::string& text = value.as_string();
  if (std::find(key.choices.begin(), key.choices.end(), text) != key.choices.end())
    return std::nullopt;
  const std::string near = nearest(text, key.choices);
  return Fault{"unknown-value", fmt::format("`{}` is not a value of `{}`", text, name),
               near.empty() ? fmt::format("use one of {}", joined(key.choices))
                            : fmt::format("did you mean `{}`?", near)};
}

}  // namespace

std::string_view Reader::line(int number) const {
  std::size_t begin = 0;
  for (int i = 1; i < number; ++i) {
    begin = text_.find('\n', begin);
    if (begin == std::string_view::npos) return {};
    ++begin;
  }
  return text_.substr(begin, text_.find('\n', begin) - begin);
}

Position Reader::key_position(std::string_view key, Position value) const {
  // The key stands before its value: on the same line, or above it where the value is a block.
  for (int number = value.line; number >= 1 && number > value.line - 50; --number) {
    const std::string_view content = line(number);
    for (std::size_t at = content.find(key); at != std::string_view::npos;
         at = content.find(key, at + 1)) {
      // What stands behind the value's beginning is part of it.
      if (number == value.line && static_cast<int>(at) + 1 > value.column) break;
      std::size_t after = at + key.size();
      if (after < content.size() && (content[after] == '"' || content[after] == '\'')) ++after;
      const bool starts =
          at == 0 || (std::isalnum(static_cast<unsigned char>(content[at - 1])) == 0 &&
                      content[at - 1] != '_');
      if (starts && after < content.size() && content[after] == ':')
        return {number, static_cast<int>(at) + 1};
    }
  }
  return value;
}

Diagnostic Reader::diagnostic(Position at, std::string id, std::string message,
                              std::string hint) const {
  Diagnostic out;
  out.id = std::move(id);
  out.message = std::move(message);
  out.file = file_;
  out.position = at;
  out.hint = std::move(hint);
  return out;
}

void Reader::report(Position at, std::string id, std::string message, std::string hint,
                    int length) {
  diagnostics_.push_back(diagnostic(at, std::move(id), std::move(message), std::move(hint)));
  diagnostics_.back().length = length;
}

void Reader::warn_once(std::string topic, Position at, std::string id, std::string message,
                       std::string hint) {
  const auto [found, is_first] = once_.try_emplace(std::move(topic));
  if (!is_first) {
    ++found->second.more;
    return;
  }
  // Kept until `finish`, when it is known how often it came.
  found->second.diagnostic = diagnostic(at, std::move(id), std::move(message), std::move(hint));
  found->second.diagnostic.severity = Severity::kWarning;
}

void Reader::not_enforced(std::string_view key, Position at, std::string instead) {
  warn_once(std::string(key), at, "not-enforced", fmt::format("`{}` is not enforced", key),
            std::move(instead));
}

void Reader::finish() {
  for (auto& [topic, once] : once_) {
    if (once.more > 0)
      once.diagnostic.message +=
          fmt::format(", here and in {} more",
                      once.more == 1 ? "one place" : fmt::format("{} places", once.more));
    diagnostics_.push_back(std::move(once.diagnostic));
  }
  once_.clear();
}

std::string Reader::path_to(std::string_view key) const {
  if (key.empty() || path_.empty()) return path_.empty() ? std::string(key) : path_;
  return fmt::format("{}.{}", path_, key);
}

std::string Reader::named(const ObjectSchema& object, std::string_view key) const {
  return object.is_record ? path_to(key) : std::string(key);
}

void Reader::refuse(std::string_view key, std::string_view what) {
  report({}, "bad-value", fmt::format("`{}` {}", path_to(key), what), "");
}

void Reader::refuse_unknown(std::string_view key) {
  report({}, "unknown-key", fmt::format("unknown member `{}`", path_to(key)), "");
}

bool Reader::in_bounds(const ObjectSchema& object, const Key& key, const Value& value) {
  const auto outside = [&](std::string_view side, double bound) {
    report(value.position(), "out-of-range",
           fmt::format("`{}` must be at {} {}", named(object, key.name), side, bound), about(key));
    return false;
  };
  // Written so that a NaN, which is neither, is outside.
  for (const double number : numbers_in(value)) {
    if (key.at_least && !(number >= *key.at_least)) return outside("least", *key.at_least);
    if (key.at_most && !(number <= *key.at_most)) return outside("most", *key.at_most);
  }
  return true;
}

bool Reader::has_shape(const ObjectSchema& object, const Key& key, const Value& value) {
  if (key.may_be_null && value.is_null()) return true;
  const auto refused = [&](std::optional<Fault> fault) {
    if (!fault) return false;
    report(value.position(), std::move(fault->id), std::move(fault->message),
           std::move(fault->hint), width(value));
    return true;
  };
  const auto name = named(object, key.name);
  // One finding a value: what is of another type has no form, and what has none has no bounds.
  return !refused(type_fault(object, key, value, name)) && !refused(form_fault(key, value, name)) &&
         in_bounds(object, key, value) && !refused(choice_fault(key, value, name));
}

namespace {

/// Whether a value states anything: `false`, -1 (the standard's "no position"), nothing and an
/// empty list do not.
bool states_something(const Value& value) {
  if (value.is_null() || value == Value(false) || value == Value(-1) || value == Value(""))
    return false;
  return !(value.is_array() || value.is_object()) || value.size() > 0;
}

}  // namespace

void Reader::unknown_key(const ObjectSchema& object, const std::string& name, const Value& member) {
  std::vector<std::string> known;
  for (const auto& each : object.keys) known.push_back(each.name);
  const std::string near = nearest(name, known);
  report(key_position(name, member.position()), "unknown-key",
         object.is_record ? fmt::format("unknown member `{}`", path_to(name))
                          : fmt::format("unknown key `{}` in {}", name, object.name),
         near.empty() ? fmt::format("the keys here are {}", joined(known))
                      : fmt::format("did you mean `{}`?", near),
         static_cast<int>(name.size()));
}

void Reader::read_member(const ObjectSchema& object, const std::string& name, const Value& member,
                         void* into) {
  if (name == "format" && !object.format.empty()) return;  // it was the first thing looked at
  const auto key = std::find_if(object.keys.begin(), object.keys.end(),
                                [&](const Key& each) { return each.name == name; });
  const bool is_other = key == object.keys.end() && !object.others_about.empty();
  if (is_other) return;  // `finish` reads it
  if (key == object.keys.end()) return unknown_key(object, name, member);
  // A key that is required and null is not absent but wrong.
  if (object.null_is_absent && member.is_null() && !key->is_required) return;
  if (!has_shape(object, *key, member)) return;
  if (key->set) {
    const auto path = std::exchange(path_, path_to(name));
    key->set(into, member, *this);
    path_ = path;
  } else if (key->treatment == Treatment::kReported && states_something(member)) {
    not_enforced(name, key_position(name, member.position()), key->about);
  }
}

bool Reader::has_format(const ObjectSchema& object, const Value& value) {
  if (object.format.empty()) return true;
  const Value* found = value.find("format");
  if (found != nullptr && found->is_string() && found->as_string() == object.format) return true;
  report(value.position(), "wrong-format",
         found != nullptr && found->is_string()
             ? fmt::format("its format is `{}`, this Heddle reads `{}`", found->as_string(),
                           object.format)
             : fmt::format("it has no format, this Heddle reads `{}`", object.format),
         object.about);
  return false;
}

void Reader::read_item(const ObjectSchema& object, const Value& value, std::size_t index,
                       void* into) {
  const auto path = std::exchange(path_, fmt::format("{}[{}]", path_, index));
  read(object, value, into);
  path_ = path;
}

void Reader::read_named(const ObjectSchema& object, const Value& value, std::string_view name,
                        void* into) {
  const auto path = std::exchange(path_, path_to(name));
  read(object, value, into);
  path_ = path;
}

void Reader::read(const ObjectSchema& object, const Value& value, void* into) {
  if (!value.is_object()) {
    const bool has_path = object.is_record && !path_.empty();
    const auto what = has_path ? fmt::format("`{}`", path_) : object.name;
    report(value.position(), "wrong-type",
           fmt::format("{} must be an object, found {}", what, article(value.type_name())),
           object.about, width(value));
    return;
  }
  if (!has_format(object, value)) return;
  for (const auto& [name, member] : value.as_object()) read_member(object, name, member, into);
  for (const auto& key : object.keys) {
    if (!key.is_required || value.find(key.name) != nullptr) continue;
    report(value.position(), "missing-key",
           object.is_record ? fmt::format("`{}` is missing", path_to(key.name))
                            : fmt::format("{} needs the key `{}`", object.name, key.name),
           fmt::format("add `{}: ...`: {}", key.name, key.about));
  }
  // In any case: what concerns several keys is told with what is wrong with each.
  if (object.finish) object.finish(into, value, *this);
}

Error error_of(const ObjectSchema& object, const std::vector<Diagnostic>& diagnostics) {
  const auto& first = diagnostics.front();
  const auto more = diagnostics.size() - 1;
  const bool is_unknown = first.id == "unknown-key" && !object.unknown_id.empty();
  return Error{object.error_kind, is_unknown ? object.unknown_id : object.error_id,
               fmt::format("{}: {}{}", object.name, first.message,
                           more == 0 ? "" : fmt::format(", and {} more", more)),
               object.error_hint.empty() ? first.hint : object.error_hint};
}

Value print(const ObjectSchema& object, const void* from) {
  Value::Object members;
  members.reserve(object.keys.size() + 1);
  if (!object.format.empty()) members.emplace_back("format", object.format);
  for (const auto& key : object.keys) {
    if (!key.get) continue;
    auto value = key.get(from);
    if (value && !(key.blank && *key.blank == *value))
      members.emplace_back(key.name, std::move(*value));
  }
  Value out = Value::object(std::move(members));
  if (object.print_others) object.print_others(from, out);
  return out;
}

}  // namespace heddle::doc
