#include "flow/source.hpp"

#include <sys/stat.h>

#include <chrono>

#include <fmt/format.h>

#include "flow/recorded.hpp"
#include "flow/step.hpp"

namespace heddle::flow {
namespace {

/// How the text of the files is written, where that is not usual.
Result<std::string> found_form(const Definitions& definitions, const table::Input& input) {
  std::map<std::string, table::Type, std::less<>> types;
  for (const auto& field : definitions.contract->fields) types.emplace(field.name, field.type);
  return table::form_in_words(input, types);
}

}  // namespace

Result<Source> source_of(const Definitions& definitions, const Cache& cache) {
  Source out;
  out.name = definitions.model->source;
  out.input = definitions.input();
  const auto parts = table::parts_of(out.input);
  const auto missing = [&](const Error& error) {
    if (error.kind != ErrorKind::kNotFound) return error;
    return Error{ErrorKind::kNotFound, "source-missing",
                 fmt::format("source `{}`: {}", out.name, error.message),
                 "put the file there, or change `sources` in heddle.yaml; then run `heddle run`, "
                 "which goes on where it was"};
  };
  if (!parts.ok()) return missing(parts.error());
  auto stamp = table::stamp_of(*parts);
  if (!stamp.ok()) return missing(stamp.error());
  out.stamp = *std::move(stamp);
  const std::string named = definitions.project->sources.at(out.name).text();
  out.what = parts->size() == 1 ? fmt::format("file `{}`", named)
                                : fmt::format("{} files of `{}`", parts->size(), named);
  HEDDLE_ASSIGN_OR_RETURN(const std::string words, found_form(definitions, out.input));
  if (!words.empty()) out.what += fmt::format(" ({})", words);
  if (!words.empty() || !out.input.form.empty())
    out.form = sha256(fmt::format("{}\n{}", out.input.form.text(), words));
  if (const auto known = cache.known_source(out.name, out.stamp)) {
    out.content = *known;
    return out;
  }
  HEDDLE_ASSIGN_OR_RETURN(out.content, table::digest_of(*parts));
  HEDDLE_TRY(check_unchanged(out));
  return out;
}

Source source_of(const Recorded& recorded) {
  return {.what = "the recorded traffic",
          .content = recorded.content(),
          .recorded = &recorded,
          .recipe = &recorded.recipe};
}

Result<void> remember(const Source& source, const Cache& cache) {
  if (source.recorded != nullptr) return {};
  const auto moment_ago =
      std::chrono::system_clock::to_time_t(std::chrono::system_clock::now()) - 1;
  HEDDLE_ASSIGN_OR_RETURN(const auto parts, table::parts_of(source.input));
  for (const auto& part : parts) {
    struct stat status{};
    const bool is_settled =
        ::stat(part.path.c_str(), &status) == 0 && status.st_mtim.tv_sec < moment_ago;
    if (!is_settled) return {};
  }
  return cache.remember_source(source.name, source.stamp, source.content);
}

Result<void> check_unchanged(const Source& source) {
  if (source.recorded != nullptr) return {};
  const auto parts = table::parts_of(source.input);
  const auto stamp = parts.ok() ? table::stamp_of(*parts) : Result<std::string>(parts.error());
  if (stamp.ok() && *stamp == source.stamp) return {};
  return Error{ErrorKind::kConflict, "source-changed",
               fmt::format("`{}` was written to while it was read", source.input.text()),
               "run `heddle run` again when it is complete"};
}

}  // namespace heddle::flow
