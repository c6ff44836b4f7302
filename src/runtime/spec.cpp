#include "runtime/spec.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "base/file.hpp"

namespace heddle::runtime {
namespace {

constexpr std::string_view kFormat = "heddle.runtime/1";

Error malformed(std::string what) {
  return Error{ErrorKind::kCorrupt, "runtime-spec", fmt::format("`runtime.json`: {}", what),
               "build the bundle again with `heddle run`"};
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 200 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '~';
  });
}

/// Members are taken one by one; what is left in the end is unknown.
class Members {
 public:
  explicit Members(const doc::Value& value) : value_(value) {}

  Result<std::string> text(std::string_view key, std::string fallback) {
    const doc::Value* found = take(key);
    if (found == nullptr) return fallback;
    if (!found->is_string()) return malformed(fmt::format("`{}` is no text", key));
    return found->as_string();
  }
  Result<std::int64_t> integer(std::string_view key, std::int64_t fallback, std::int64_t least,
                               std::int64_t most) {
    const doc::Value* found = take(key);
    if (found == nullptr) return fallback;
    if (!found->is_int() || found->as_int() < least || found->as_int() > most) {
      return malformed(fmt::format("`{}` is no whole number from {} to {}", key, least, most));
    }
    return found->as_int();
  }
  const doc::Value* take(std::string_view key) {
    known_.push_back(key);
    return value_.find(key);
  }
  Result<void> end() const {
    for (const auto& [name, unused] : value_.as_object()) {
      if (std::find(known_.begin(), known_.end(), name) == known_.end())
        return malformed(fmt::format("unknown member `{}`", name));
    }
    return {};
  }

 private:
  const doc::Value& value_;
  std::vector<std::string_view> known_;
};

}  // namespace

std::string_view name_of(Runtime::Kind kind) noexcept {
  return kind == Runtime::Kind::kProcess ? "process" : "upstream";
}
std::string_view name_of(Runtime::Inputs inputs) noexcept {
  return inputs == Runtime::Inputs::kFields ? "fields" : "features";
}

namespace {

/// One of two words; true: the first.
Result<bool> read_word(Members& members, const char* key, std::string_view fallback,
                       std::string_view first, std::string_view second) {
  HEDDLE_ASSIGN_OR_RETURN(const std::string word, members.text(key, std::string(fallback)));
  if (word != first && word != second)
    return malformed(fmt::format("`{}` is neither `{}` nor `{}`", key, first, second));
  return word == first;
}

Result<void> read_command(Members& members, Runtime& out) {
  const doc::Value* command = members.take("command");
  if (command == nullptr || !command->is_array() || command->size() == 0 || command->size() > 256)
    return malformed("`command` is no list of words");
  for (const doc::Value& word : command->as_array()) {
    // A NUL would end the word where the kernel reads it.
    if (!word.is_string() || word.as_string().empty() ||
        word.as_string().find('\0') != std::string::npos)
      return malformed("`command` is no list of words");
    out.command.push_back(word.as_string());
  }
  return {};
}

Result<void> read_process(Members& members, Runtime& out) {
  HEDDLE_TRY(read_command(members, out));
  HEDDLE_ASSIGN_OR_RETURN(out.memory_bytes, members.integer("memory_bytes", out.memory_bytes,
                                                            16 << 20, std::int64_t{1} << 50));
  HEDDLE_ASSIGN_OR_RETURN(const bool available,
                          read_word(members, "sandbox", "available", "available", "full"));
  out.sandbox = available ? Runtime::Sandbox::kAvailable : Runtime::Sandbox::kFull;
  HEDDLE_ASSIGN_OR_RETURN(out.start_timeout_ms,
                          members.integer("start_timeout_ms", out.start_timeout_ms, 1, 3'600'000));
  return {};
}

Result<void> read_upstream(Members& members, Runtime& out) {
  HEDDLE_ASSIGN_OR_RETURN(out.url, members.text("url", ""));
  HEDDLE_ASSIGN_OR_RETURN(out.model, members.text("model", ""));
  HEDDLE_ASSIGN_OR_RETURN(out.token, members.text("token", ""));
  if (out.url.empty()) return malformed("`url` is missing");
  if (!is_name(out.model))
    return malformed("`model` is no name: letters, digits, `-`, `_`, `.` and `~` are");
  // Bundles are copied and kept for good.
  if (!out.token.empty() && !out.token.starts_with("${"))
    return malformed("`token` is no reference: a bundle holds no secret");
  return {};
}

}  // namespace

Result<Runtime> parse(const doc::Value& value) {
  if (!value.is_object()) return malformed("it is no object");
  Members members(value);
  Runtime out;
  HEDDLE_ASSIGN_OR_RETURN(const std::string format, members.text("format", ""));
  if (format != kFormat)
    return malformed(fmt::format("its format is `{}`, not `{}`", format, kFormat));
  HEDDLE_ASSIGN_OR_RETURN(const bool process,
                          read_word(members, "runtime", "", "process", "upstream"));
  out.kind = process ? Runtime::Kind::kProcess : Runtime::Kind::kUpstream;
  HEDDLE_ASSIGN_OR_RETURN(const bool fields,
                          read_word(members, "inputs", "", "fields", "features"));
  out.inputs = fields ? Runtime::Inputs::kFields : Runtime::Inputs::kFeatures;
  HEDDLE_ASSIGN_OR_RETURN(out.output, members.text("output", out.output));
  if (!is_name(out.output)) return malformed("`output` is no name of a tensor");
  HEDDLE_ASSIGN_OR_RETURN(out.timeout_ms,
                          members.integer("timeout_ms", out.timeout_ms, 1, 600'000));
  HEDDLE_ASSIGN_OR_RETURN(out.connections, members.integer("connections", out.connections, 1, 64));
  if (const doc::Value* tolerance = members.take("tolerance"); tolerance != nullptr) {
    if (!tolerance->is_number() || !(tolerance->as_double() >= 0 && tolerance->as_double() <= 0.1))
      return malformed("`tolerance` is no number from 0 to 0.1");
    out.tolerance = tolerance->as_double();
  }
  HEDDLE_TRY(process ? read_process(members, out) : read_upstream(members, out));
  // A member that is not known may be one that restricts the worker.
  HEDDLE_TRY(members.end());
  return out;
}

doc::Value to_value(const Runtime& runtime) {
  doc::Value value = doc::Value::object({{"format", kFormat},
                                         {"runtime", name_of(runtime.kind)},
                                         {"inputs", name_of(runtime.inputs)},
                                         {"output", runtime.output},
                                         {"timeout_ms", runtime.timeout_ms},
                                         {"connections", runtime.connections},
                                         {"tolerance", runtime.tolerance}});
  if (runtime.kind == Runtime::Kind::kProcess) {
    doc::Value command = doc::Value::array();
    for (const std::string& word : runtime.command) command.push(word);
    value.set("command", std::move(command));
    value.set("memory_bytes", runtime.memory_bytes);
    value.set("start_timeout_ms", runtime.start_timeout_ms);
    // Left out where it demands nothing: bundles of before keep their digests.
    if (runtime.sandbox == Runtime::Sandbox::kFull) value.set("sandbox", "full");
  } else {
    value.set("url", runtime.url);
    value.set("model", runtime.model);
    if (!runtime.token.empty()) value.set("token", runtime.token);
  }
  return value;
}

Result<std::string> resolve(std::string_view text, const std::string& project) {
  if (!text.starts_with("${") || !text.ends_with('}')) return std::string(text);
  const std::string_view inner = text.substr(2, text.size() - 3);
  if (inner.starts_with("env:")) {
    const std::string name(inner.substr(4));
    if (const char* value = std::getenv(name.c_str()); value != nullptr) return std::string(value);
    return Error{ErrorKind::kNotFound, "secret-not-set",
                 fmt::format("the environment has no `{}`", name),
                 "set it for the process that runs `heddle up`"};
  }
  if (inner.starts_with("project:") && !project.empty())
    return fmt::format("{}/{}", project, inner.substr(8));
  if (inner.starts_with("file:")) {
    HEDDLE_ASSIGN_OR_RETURN(auto value, read_file(std::string(inner.substr(5))));
    // Editors end a file with a newline, which is no part of a secret.
    while (value.ends_with('\n') || value.ends_with('\r')) value.pop_back();
    return value;
  }
  return Error{ErrorKind::kInvalid, "secret-form",
               fmt::format("`{}` is no reference Heddle knows", text),
               "write `${env:NAME}` or `${file:PATH}`"};
}

}  // namespace heddle::runtime
