#include "flow/cache.hpp"

#include <algorithm>
#include <filesystem>

#include "base/file.hpp"
#include "base/ids.hpp"
#include "doc/items.hpp"
#include "doc/json.hpp"
#include "flow/documents.hpp"

namespace heddle::flow {

Digest key_of(const std::string& step, int version, const std::vector<StepInput>& inputs) {
  auto sorted = inputs;
  // The order in which a step declares its inputs says nothing: by name, the key stays when
  // somebody turns two of them.
  std::sort(sorted.begin(), sorted.end(),
            [](const StepInput& a, const StepInput& b) { return a.what < b.what; });
  Hasher hasher;
  hasher.update_field("heddle.step/1");
  hasher.update_field(step);
  // Raised with the step's own code, where the same inputs give another result.
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

namespace {

constexpr std::string_view kStepFormat = "heddle.step-result/2";
constexpr std::string_view kSourcesFormat = "heddle.sources/1";

/// Of the content, not of the bytes: a record that was parsed has the same.
Digest sum_of(const doc::Value& result) { return sha256(doc::to_canonical_json(result)); }

/// A document of the cache, or null when it is not there or cannot be read.
doc::Value document_at(const std::string& path) {
  const auto text = read_file(path);
  if (!text.ok()) return {};
  auto value = doc::parse_json(*text);
  return value.ok() ? std::move(*value) : doc::Value();
}

}  // namespace

std::optional<StepRecord> Cache::find(const Digest& key) const {
  const std::string folder = directory(key);
  const doc::Value value = document_at(folder + "/step.json");
  const doc::Value* result = value.find("result");
  if (value.string_or("format") != kStepFormat || result == nullptr ||
      // A record that was edited or cut is as if it were not there: the step runs again.
      value.string_or("sum") != sum_of(*result).str())
    return std::nullopt;
  auto record = step_record_schema().parse(*result);
  if (!record.ok()) return std::nullopt;
  for (const auto& [name, file] : record->files) {
    std::error_code failed;
    const auto bytes = std::filesystem::file_size(folder + "/" + name, failed);
    // Only sizes: `plan` must not read gigabytes. Who reads a file holds it against its digest.
    if (failed || bytes != file.bytes) return std::nullopt;
  }
  return *std::move(record);
}

Error Cache::damaged(const Digest& key, const std::string& name) const {
  std::error_code ignored;
  // At once, so that the next pass, or the next run, makes it again instead of finding the same
  // damage.
  std::filesystem::remove_all(directory(key), ignored);
  return Error{ErrorKind::kCorrupt, std::string(kCacheDamaged),
               fmt::format("`{}/{}` is not what its step wrote", directory(key), name),
               "run `heddle run` again: the step's result was removed, and is made again"};
}

Result<std::string> Cache::read(const Digest& key, const StepRecord& record,
                                const std::string& name) const {
  const auto file = record.files.find(name);
  auto bytes = read_file(directory(key) + "/" + name);
  if (file == record.files.end() || !bytes.ok() || sha256(*bytes) != file->second.digest)
    return damaged(key, name);
  return bytes;
}

Result<std::string> Cache::checked_path(const Digest& key, const StepRecord& record,
                                        const std::string& name) const {
  const auto file = record.files.find(name);
  std::string path = directory(key) + "/" + name;
  const auto digest = sha256_file(path);
  if (file == record.files.end() || !digest.ok() || *digest != file->second.digest)
    return damaged(key, name);
  return path;
}

Result<std::string> Cache::begin(const std::string& step) const {
  const std::string work = fmt::format("{}/tmp/{}-{}", root_, step, uuid7());
  HEDDLE_TRY(make_dirs(work));
  return work;
}

Result<void> Cache::commit(const Digest& key, const std::string& work, StepRecord& record) const {
  // What the body left is its result, whatever it called it: there is no second list of files.
  for (const auto& name : list_dir(work)) {
    const std::string path = work + "/" + name;
    HEDDLE_ASSIGN_OR_RETURN(const Digest digest, sha256_file(path));
    std::error_code unread;
    record.files[name] = {digest, std::filesystem::file_size(path, unread)};
  }
  // As it will be read: what JSON has no word for (NaN) is null from the start.
  HEDDLE_ASSIGN_OR_RETURN(const auto result,
                          doc::parse_json(doc::to_json(step_record_schema().print(record))));
  record.facts = *result.find("facts");
  HEDDLE_TRY(write_file_atomic(
      work + "/step.json",
      doc::to_json(doc::Value::object(
          {{"format", kStepFormat}, {"sum", sum_of(result).str()}, {"result", result}}))));
  // The rename publishes the folder whole. A kill before it leaves a folder in `tmp`, which `sweep`
  // removes.
  HEDDLE_TRY(make_dirs(root_ + "/steps"));
  const std::string target = directory(key);
  std::error_code code;
  std::filesystem::remove_all(target, code);  // a damaged one
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
  auto value = document_at(fmt::format("{}/{}.inputs.json", root_, model));
  const auto& steps = doc::members_of(&value);
  // It serves only to say why a step runs again: a damaged file costs that clause and nothing else.
  const bool is_whole = std::all_of(steps.begin(), steps.end(), [](const auto& step) {
    const auto& inputs = step.second;
    return inputs.is_object() &&
           std::all_of(inputs.as_object().begin(), inputs.as_object().end(),
                       [](const auto& input) { return input.second.is_string(); });
  });
  return value.is_object() && is_whole ? std::move(value) : doc::Value();
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
  auto value = document_at(path);
  if (value.is_object()) return value;
  return Error{ErrorKind::kCorrupt, "candidate-damaged", fmt::format("`{}` is damaged", path),
               "run `heddle run`: it writes the file anew"};
}

std::optional<Digest> Cache::known_source(const std::string& name, const std::string& stamp) const {
  const auto value = document_at(root_ + "/sources.json");
  const doc::Value* files = value.find("files");
  const doc::Value* known = files == nullptr ? nullptr : files->find(name);
  if (value.string_or("format") != kSourcesFormat || known == nullptr ||
      known->string_or("stamp") != stamp)
    return std::nullopt;
  const auto digest = Digest::parse(known->string_or("digest"));
  return digest.ok() ? std::optional(*digest) : std::nullopt;
}

Result<void> Cache::remember_source(const std::string& name, const std::string& stamp,
                                    const Digest& digest) const {
  // A run whose sources are as before writes nothing.
  if (known_source(name, stamp) == std::optional(digest)) return {};
  const std::string path = root_ + "/sources.json";
  auto value = document_at(path);
  const doc::Value* there = value.find("files");
  auto files = value.string_or("format") == kSourcesFormat && there != nullptr && there->is_object()
                   ? *there
                   : doc::Value::object();
  files.set(name, doc::Value::object({{"stamp", stamp}, {"digest", digest.str()}}));
  return write_file_atomic(
      path,
      doc::to_json(doc::Value::object({{"format", kSourcesFormat}, {"files", std::move(files)}})));
}

}  // namespace heddle::flow
