#include "flow/source.hpp"

#include <sys/stat.h>

#include <chrono>

#include <fmt/format.h>

#include "flow/recorded.hpp"
#include "flow/step.hpp"
#include "spec/load.hpp"
#include "table/table.hpp"
#include "upstream/joiner.hpp"

namespace heddle::flow {
namespace {

using Types = std::map<std::string, table::Type, std::less<>>;

/// The files of a source of heddle.yaml, whose columns are of `types`.
Result<Source> file_source(const Definitions& definitions, const std::string& name,
                           const Types& types, const Cache& cache) {
  Source out;
  out.name = name;
  out.input = spec::input_of(*definitions.project, name);
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
  // How their text is written, where that is not usual.
  HEDDLE_ASSIGN_OR_RETURN(const std::string words, table::form_in_words(out.input, types));
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

/// The columns of a source that fields are computed from, with their types.
Types types_in(const std::string& source, const std::vector<spec::Field>& joined,
               const spec::Contract& contract) {
  Types out;
  for (const auto& field : joined) {
    const spec::Upstream& upstream = *field.upstream;
    if (upstream.source != source) continue;
    out.emplace(upstream.time, table::Type::kTimestamp);
    if (upstream.aggregate != spec::Aggregate::kCount) out.emplace(upstream.value, field.type);
    for (const auto& [name, column] : upstream.key) {
      for (const auto& own : contract.fields) {
        if (own.name == name) out.emplace(column, own.type);
      }
    }
  }
  return out;
}

/// The tables that the features look up, each once.
Result<std::vector<Source>> tables_of(const Definitions& definitions, const Cache& cache) {
  std::map<std::string, Types> types;
  for (const auto& feature : definitions.features->features) {
    if (feature.kind == spec::Feature::Kind::kLookup)
      types[feature.source].emplace(feature.value, feature.type);
  }
  std::vector<Source> out;
  for (const auto& [name, columns] : types) {
    HEDDLE_ASSIGN_OR_RETURN(auto source, file_source(definitions, name, columns, cache));
    out.push_back(std::move(source));
  }
  return out;
}

}  // namespace

Result<Source> source_of(const Definitions& definitions, const Cache& cache) {
  const spec::Contract& contract = *definitions.contract;
  Types types;
  for (const auto& field : contract.fields) types.emplace(field.name, field.type);
  HEDDLE_ASSIGN_OR_RETURN(auto out,
                          file_source(definitions, definitions.model->source, types, cache));
  HEDDLE_ASSIGN_OR_RETURN(out.tables, tables_of(definitions, cache));
  if (upstream::sources_of(contract.fields).empty()) return out;
  HEDDLE_ASSIGN_OR_RETURN(const auto columns, table::read_schema(out.input));
  out.joined = upstream::fields_to_join(contract.fields, columns);
  for (const auto& name : upstream::sources_of(out.joined)) {
    if (name == out.name) continue;
    HEDDLE_ASSIGN_OR_RETURN(
        auto source, file_source(definitions, name, types_in(name, out.joined, contract), cache));
    out.upstream.push_back(std::move(source));
  }
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
  for (const auto* others : {&source.upstream, &source.tables}) {
    for (const Source& each : *others) HEDDLE_TRY(remember(each, cache));
  }
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
  for (const Source& each : source.upstream) HEDDLE_TRY(check_unchanged(each));
  const auto parts = table::parts_of(source.input);
  const auto stamp = parts.ok() ? table::stamp_of(*parts) : Result<std::string>(parts.error());
  if (stamp.ok() && *stamp == source.stamp) return {};
  return Error{ErrorKind::kConflict, "source-changed",
               fmt::format("`{}` was written to while it was read", source.input.text()),
               "run `heddle run` again when it is complete"};
}

}  // namespace heddle::flow
