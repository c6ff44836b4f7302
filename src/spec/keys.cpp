#include "spec/keys.hpp"

#include <algorithm>
#include <cctype>
#include <set>

namespace heddle::spec {
namespace {

std::string_view shape_name(Shape shape) {
  switch (shape) {
    case Shape::kText: return "a string";
    case Shape::kInteger: return "an integer";
    case Shape::kNumber: return "a number";
    case Shape::kBoolean: return "true or false";
    case Shape::kDuration: return "a duration";
    case Shape::kTime: return "a date or time";
    case Shape::kExpression: return "an expression";
    case Shape::kTexts: return "a list of strings";
    case Shape::kNumbers: return "a list of numbers";
    case Shape::kObject: return "an object";
    case Shape::kObjects: return "a list of objects";
    case Shape::kMap: return "an object";
    case Shape::kAny: return "anything";
  }
  return "anything";
}

std::string article(std::string_view type) {
  const bool vowel =
      !type.empty() && std::string_view("aeio").find(type.front()) != std::string_view::npos;
  return type == "null" ? "nothing" : fmt::format("{} {}", vowel ? "an" : "a", type);
}

bool every(const doc::Value& value, bool (doc::Value::*is)() const noexcept) {
  if (!value.is_array()) return false;
  return std::all_of(value.as_array().begin(), value.as_array().end(),
                     [is](const doc::Value& item) { return (item.*is)(); });
}

bool right_type(Shape shape, const doc::Value& value) {
  switch (shape) {
    case Shape::kText:
    case Shape::kDuration:
    case Shape::kTime:
    case Shape::kExpression: return value.is_string();
    case Shape::kInteger: return value.is_int();
    case Shape::kNumber: return value.is_number();
    case Shape::kBoolean: return value.is_bool();
    case Shape::kTexts: return value.is_string() || every(value, &doc::Value::is_string);
    case Shape::kNumbers: return every(value, &doc::Value::is_number);
    case Shape::kObject:
    case Shape::kMap: return value.is_object();
    case Shape::kObjects: return every(value, &doc::Value::is_object);
    case Shape::kAny: return true;
  }
  return true;
}

int width(const doc::Value& value) {
  if (value.is_string()) return std::max(1, static_cast<int>(value.as_string().size()));
  return 1;
}

std::string joined(const std::vector<std::string>& names) {
  return fmt::format("`{}`", fmt::join(names, "`, `"));
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

doc::Position Reader::key_position(std::string_view key, doc::Position value) const {
  for (int number = value.line; number >= 1 && number > value.line - 50; --number) {
    const std::string_view content = line(number);
    for (std::size_t at = content.find(key); at != std::string_view::npos;
         at = content.find(key, at + 1)) {
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

doc::Diagnostic Reader::diagnostic(doc::Position at, std::string id, std::string message,
                                   std::string hint) const {
  doc::Diagnostic out;
  out.id = std::move(id);
  out.message = std::move(message);
  out.file = file_;
  out.position = at;
  out.hint = std::move(hint);
  return out;
}

void Reader::report(doc::Position at, std::string id, std::string message, std::string hint,
                    int length) {
  diagnostics_.push_back(diagnostic(at, std::move(id), std::move(message), std::move(hint)));
  diagnostics_.back().length = length;
}

void Reader::warn(doc::Position at, std::string id, std::string message, std::string hint) {
  report(at, std::move(id), std::move(message), std::move(hint));
  diagnostics_.back().severity = doc::Severity::kWarning;
}

void Reader::warn_once(std::string topic, doc::Position at, std::string id, std::string message,
                       std::string hint) {
  const auto [found, is_first] = once_.try_emplace(std::move(topic));
  if (!is_first) {
    ++found->second.more;
    return;
  }
  found->second.diagnostic = diagnostic(at, std::move(id), std::move(message), std::move(hint));
  found->second.diagnostic.severity = doc::Severity::kWarning;
}

void Reader::not_enforced(std::string_view key, doc::Position at, std::string instead) {
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

bool Reader::has_shape(const Key& key, const doc::Value& value) {
  if (!right_type(key.shape, value)) {
    std::string hint = fmt::format("{}: {}", key.name, key.about);
    if (value.is_number() && (key.shape == Shape::kText || key.shape == Shape::kTexts))
      hint = "put it in quotes to make it a string";
    if (value.is_string() && (key.shape == Shape::kInteger || key.shape == Shape::kNumber))
      hint = "remove the quotes, or write a plain number";
    report(value.position(), "wrong-type",
           fmt::format("`{}` must be {}, found {}", key.name, shape_name(key.shape),
                       article(value.type_name())),
           std::move(hint), width(value));
    return false;
  }
  if (key.shape == Shape::kDuration && !parse_duration(value.as_string())) {
    report(value.position(), "bad-duration", fmt::format("`{}` is no duration", value.as_string()),
           "write it like `4h`, `1d` or `250ms`", width(value));
    return false;
  }
  if (key.shape == Shape::kTime && !parse_time(value.as_string())) {
    report(value.position(), "bad-time", fmt::format("`{}` is no date or time", value.as_string()),
           "write it like `2001-02-28` or `2001-02-28T12:00:00Z`", width(value));
    return false;
  }
  if (key.at_least && value.is_number() && value.as_double() < *key.at_least) {
    report(value.position(), "out-of-range",
           fmt::format("`{}` must be at least {}", key.name, *key.at_least),
           fmt::format("{}: {}", key.name, key.about));
    return false;
  }
  if (!key.choices.empty() && value.is_string() &&
      std::find(key.choices.begin(), key.choices.end(), value.as_string()) == key.choices.end()) {
    const std::string near = doc::nearest(value.as_string(), key.choices);
    report(value.position(), "unknown-value",
           fmt::format("`{}` is no value of `{}`", value.as_string(), key.name),
           near.empty() ? fmt::format("use one of {}", joined(key.choices))
                        : fmt::format("did you mean `{}`?", near),
           width(value));
    return false;
  }
  return true;
}

/// Whether a value states anything: `false`, -1 (the standard's "no position"), nothing and an
/// empty list do not.
static bool states_something(const doc::Value& value) {
  if (value.is_null() || value == doc::Value(false) || value == doc::Value(-1) ||
      value == doc::Value(""))
    return false;
  return !(value.is_array() || value.is_object()) || value.size() > 0;
}

void Reader::read_member(const Object& object, const std::string& name, const doc::Value& member,
                         void* into) {
  const auto key = std::find_if(object.keys.begin(), object.keys.end(),
                                [&](const Key& each) { return each.name == name; });
  if (key == object.keys.end()) {
    std::vector<std::string> known;
    for (const auto& each : object.keys) known.push_back(each.name);
    const std::string near = doc::nearest(name, known);
    report(key_position(name, member.position()), "unknown-key",
           fmt::format("unknown key `{}` in {}", name, object.name),
           near.empty() ? fmt::format("the keys here are {}", joined(known))
                        : fmt::format("did you mean `{}`?", near),
           static_cast<int>(name.size()));
    return;
  }
  if (object.null_is_absent && member.is_null() && !key->is_required) return;
  if (!has_shape(*key, member)) return;
  if (key->set) {
    key->set(into, member, *this);
  } else if (key->treatment == Treatment::kReported && states_something(member)) {
    not_enforced(name, key_position(name, member.position()), key->about);
  }
}

void Reader::read(const Object& object, const doc::Value& value, void* into) {
  if (!value.is_object()) {
    report(value.position(), "wrong-type",
           fmt::format("{} must be an object, found {}", object.name, article(value.type_name())),
           object.about, width(value));
    return;
  }
  for (const auto& [name, member] : value.as_object()) read_member(object, name, member, into);
  for (const auto& key : object.keys) {
    if (key.is_required && value.find(key.name) == nullptr) {
      report(value.position(), "missing-key",
             fmt::format("{} needs the key `{}`", object.name, key.name),
             fmt::format("add `{}: ...`: {}", key.name, key.about));
    }
  }
  if (object.finish) object.finish(into, value, *this);
}

namespace {

doc::Value schema_of(const Object& object, std::set<const Object*>& open);

doc::Value schema_of(const Key& key, std::set<const Object*>& open) {
  doc::Value out = doc::Value::object();
  const auto list_of = [](doc::Value items) {
    return doc::Value::object({{"type", "array"}, {"items", std::move(items)}});
  };
  switch (key.shape) {
    case Shape::kText:
    case Shape::kExpression: out.set("type", "string"); break;
    case Shape::kInteger: out.set("type", "integer"); break;
    case Shape::kNumber: out.set("type", "number"); break;
    case Shape::kBoolean: out.set("type", "boolean"); break;
    case Shape::kDuration:
      out.set("type", "string").set("pattern", "^([0-9]+(ms|s|m|h|d))+$");
      break;
    case Shape::kTime:
      out.set("type", "string").set("pattern", "^[0-9]{4}-[0-9]{2}-[0-9]{2}");
      break;
    case Shape::kTexts: {
      const auto text = doc::Value::object({{"type", "string"}});
      out.set("anyOf", doc::Value::array({text, list_of(text)}));
      break;
    }
    case Shape::kNumbers: out = list_of(doc::Value::object({{"type", "number"}})); break;
    case Shape::kObject: out = schema_of(*key.object, open); break;
    case Shape::kObjects: out = list_of(schema_of(*key.object, open)); break;
    case Shape::kMap: out.set("type", "object"); break;
    case Shape::kAny: break;
  }
  if (!key.choices.empty()) {
    doc::Value names = doc::Value::array();
    for (const auto& name : key.choices) names.push(name);
    out.set("enum", std::move(names));
  }
  if (key.at_least) out.set("minimum", *key.at_least);
  out.set("description", key.about);
  if (key.treatment == Treatment::kReported) out.set("x-treatment", "reported");
  if (key.treatment == Treatment::kDescriptive) out.set("x-treatment", "descriptive");
  return out;
}

doc::Value schema_of(const Object& object, std::set<const Object*>& open) {
  doc::Value out = doc::Value::object({{"type", "object"}});
  if (!open.insert(&object).second) return out;
  doc::Value properties = doc::Value::object();
  doc::Value needed = doc::Value::array();
  for (const auto& key : object.keys) {
    properties.set(key.name, schema_of(key, open));
    if (key.is_required) needed.push(key.name);
  }
  out.set("properties", std::move(properties));
  if (needed.size() > 0) out.set("required", std::move(needed));
  out.set("additionalProperties", false);
  open.erase(&object);
  return out;
}

void reference_rows(const Object& object, const std::string& prefix, std::string& out) {
  for (const auto& key : object.keys) {
    if (key.shape == Shape::kAny && !key.set) continue;
    const std::string path = prefix + key.name;
    std::string about = key.about;
    if (!key.choices.empty()) about += fmt::format(" ({})", joined(key.choices));
    out += fmt::format("| `{}` | {} | {} | {} |\n", path, shape_name(key.shape),
                       key.is_required ? "yes" : "", about);
    if (key.object != nullptr)
      reference_rows(*key.object, path + (key.shape == Shape::kObjects ? "[]." : "."), out);
  }
}

}  // namespace

doc::Value schema_of(const Object& object) {
  std::set<const Object*> open;
  doc::Value out = doc::Value::object({{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                                       {"title", object.name},
                                       {"description", object.about}});
  const doc::Value body = schema_of(object, open);
  for (const auto& [key, value] : body.as_object()) out.set(key, value);
  return out;
}

std::string reference_of(const Object& object) {
  std::string out =
      fmt::format("# {}\n\n{}\n\n| key | holds | required | meaning |\n|---|---|---|---|\n",
                  object.name, object.about);
  reference_rows(object, "", out);
  return out;
}

}  // namespace heddle::spec
