#include "flow/cache.hpp"

#include <algorithm>
#include <filesystem>

#include "base/file.hpp"
#include "base/ids.hpp"
#include "doc/json.hpp"

namespace heddle::flow {

Digest key_of(const std::string& step, int version, const std::vector<StepInput>& inputs) {
  auto sorted = inputs;
  std::sort(sorted.begin(), sorted.end(),
            [](const StepInput& a, const StepInput& b) { return a.what < b.what; });
  Hasher hasher;
  hasher.update_field("heddle.step/1");
  hasher.update_field(step);
  hasher.update_field(fmt::to_string(version));
  for (const auto& input : sorted) {
    hasher.update_field(input.what);
    hasher.update_field(input.digest.hex());
  }
  return hasher.finish();
}

std::string Cache::directory(const Digest& key) const {
  return fmt::format("{}/steps/{}", root_, key.hex());
}

std::optional<StepRecord> Cache::find(const Digest& key) const {
  const auto text = read_file(directory(key) + "/step.json");
  if (!text.ok()) return std::nullopt;
  const auto value = doc::parse_json(*text);
  const doc::Value* outputs = value.ok() ? value->find("outputs") : nullptr;
  if (outputs == nullptr || !outputs->is_object())
    return std::nullopt;  // unreadable: computed again
  StepRecord record;
  for (const auto& [name, digest] : outputs->as_object()) {
    const auto parsed = Digest::parse(digest.is_string() ? digest.as_string() : "");
    if (!parsed.ok()) return std::nullopt;
    record.outputs[name] = *parsed;
  }
  if (const doc::Value* facts = value->find("facts")) record.facts = *facts;
  record.seconds = value->double_or("seconds");
  return record;
}

Result<std::string> Cache::begin(const std::string& step) const {
  const std::string work = fmt::format("{}/tmp/{}-{}", root_, step, uuid7());
  HEDDLE_TRY(make_dirs(work));
  return work;
}

Result<void> Cache::commit(const Digest& key, const std::string& work,
                           const StepRecord& record) const {
  doc::Value outputs = doc::Value::object();
  for (const auto& [name, digest] : record.outputs) outputs.set(name, digest.str());
  const auto value = doc::Value::object({{"format", "heddle.step-result/1"},
                                         {"outputs", std::move(outputs)},
                                         {"facts", record.facts},
                                         {"seconds", record.seconds}});
  HEDDLE_TRY(write_file_atomic(work + "/step.json", doc::to_json(value)));
  HEDDLE_TRY(make_dirs(root_ + "/steps"));
  const std::string target = directory(key);
  std::error_code code;
  std::filesystem::remove_all(target, code);  // an unreadable one
  std::filesystem::rename(work, target, code);
  if (code) {
    return Error{ErrorKind::kIo, "run-cache",
                 fmt::format("cannot publish a step's result as `{}`: {}", target, code.message()),
                 "check that the disk has space and the folder may be written"};
  }
  return fsync_dir(root_ + "/steps");
}

Result<void> Cache::sweep() const {
  std::error_code code;
  std::filesystem::remove_all(root_ + "/tmp", code);
  return make_dirs(root_ + "/tmp");
}

doc::Value Cache::last_inputs(const std::string& model) const {
  const auto text = read_file(fmt::format("{}/{}.inputs.json", root_, model));
  if (!text.ok()) return {};
  auto value = doc::parse_json(*text);
  return value.ok() ? std::move(*value) : doc::Value();
}

Result<void> Cache::remember_inputs(const std::string& model, const doc::Value& inputs) const {
  return write_file_atomic(fmt::format("{}/{}.inputs.json", root_, model), doc::to_json(inputs));
}

Result<void> Cache::write_candidate(const std::string& model, const doc::Value& candidate) const {
  return write_file_atomic(fmt::format("{}/{}.candidate.json", root_, model),
                           doc::to_json(candidate));
}

Result<doc::Value> Cache::read_candidate(const std::string& model) const {
  const std::string path = fmt::format("{}/{}.candidate.json", root_, model);
  if (!path_exists(path)) {
    return Error{ErrorKind::kNotFound, "no-candidate",
                 fmt::format("model `{}` has no candidate yet", model), "run `heddle run` first"};
  }
  HEDDLE_ASSIGN_OR_RETURN(const std::string text, read_file(path));
  return doc::parse_json(text);
}

}  // namespace heddle::flow
