#include "cli/rows_input.hpp"

#include <CLI/CLI.hpp>

#include <fmt/ranges.h>

#include "control/applied.hpp"
#include "control/home.hpp"
#include "doc/diagnostic.hpp"
#include "spec/load.hpp"

namespace heddle::cli {

namespace {

/// The source that the service's model learns from; empty: it has none.
std::string own_source(const spec::Project& project, const std::string& service) {
  const auto served = project.services.find(service);
  if (served == project.services.end()) return {};
  const auto model = project.models.find(served->second.model);
  return model == project.models.end() ? std::string() : model->second.source;
}

}  // namespace

Result<Micros> time_option(const std::string& text, Micros fallback) {
  if (text.empty()) return fallback;
  const auto time = parse_time(text);
  if (!time)
    return Error{ErrorKind::kInvalid, "time-malformed", fmt::format("`{}` is not a time", text),
                 "write YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ"};
  return *time;
}

void add_as(CLI::App& command, std::string& as) {
  command.add_option("--as", as,
                     "the file is written as this source of heddle.yaml declares (delimiter, "
                     "encoding, ...); default: the source that the model learns from");
}

namespace {

struct SourceBytes {
  std::string stamp;
  Digest digest;
};

Result<SourceBytes> bytes_of(const spec::Project& project, const std::string& source) {
  HEDDLE_ASSIGN_OR_RETURN(const auto parts, table::parts_of(spec::input_of(project, source)));
  SourceBytes out;
  HEDDLE_ASSIGN_OR_RETURN(out.stamp, table::stamp_of(parts));
  HEDDLE_ASSIGN_OR_RETURN(out.digest, table::digest_of(parts));
  return out;
}

}  // namespace

Result<FileJoin> join_of(const spec::Project& project, const std::string& service,
                         const contract::Contract& contract, const std::string& time_field,
                         const table::Input& input) {
  FileJoin out;
  if (upstream::sources_of(contract.fields()).empty()) return out;
  HEDDLE_ASSIGN_OR_RETURN(const auto columns, table::read_schema(input));
  upstream::Joiner::Options options;
  options.project = &project;
  options.contract = &contract;
  options.fields = upstream::fields_to_join(contract.fields(), columns);
  options.time_field = time_field;
  options.own_source = own_source(project, service);
  if (options.fields.empty()) return out;
  std::map<std::string, std::string> stamps;
  for (const auto& name : upstream::sources_of(options.fields)) {
    // One that is not declared, or not there, is told by who reads it.
    if (!project.sources.contains(name)) continue;
    const auto bytes = bytes_of(project, name);
    if (!bytes.ok()) continue;
    stamps.emplace(name, bytes->stamp);
    out.sources.emplace(name, bytes->digest);
  }
  HEDDLE_ASSIGN_OR_RETURN(auto joiner, upstream::Joiner::open(options));
  // Again after they were read: the digest of a file that was still written to would be of bytes
  // that nobody read.
  for (const auto& [name, stamp] : stamps) {
    const auto parts = table::parts_of(spec::input_of(project, name));
    const auto now = parts.ok() ? table::stamp_of(*parts) : Result<std::string>(parts.error());
    if (now.ok() && *now == stamp) continue;
    return Error{ErrorKind::kConflict, "source-changed",
                 fmt::format("source `{}` was written to while it was read", name),
                 "try again when it is complete"};
  }
  out.joiner.emplace(std::move(joiner));
  return out;
}

Result<table::Input> input_as(const spec::Project& project, const std::string& service,
                              const std::string& file, const std::string& as) {
  const std::string source = as.empty() ? own_source(project, service) : as;
  const auto declared = project.sources.find(source);
  if (declared != project.sources.end()) return table::Input({file}, declared->second.form);
  if (as.empty()) return table::Input(file);
  std::vector<std::string> names;
  for (const auto& [name, unused] : project.sources) names.push_back(name);
  const std::string near = doc::nearest(as, names);
  return Error{ErrorKind::kNotFound, "unknown-name", fmt::format("there is no source `{}`", as),
               near.empty() ? fmt::format("there is `{}`", fmt::join(names, "`, `"))
                            : fmt::format("did you mean `{}`?", near)};
}

Result<table::Input> input_as(const control::Wiring& wiring, const std::string& root,
                              const std::string& service, const std::string& file,
                              const std::string& as) {
  HEDDLE_ASSIGN_OR_RETURN(const auto project,
                          control::applied_project(control::Home(root), wiring));
  return input_as(project, service, file, as);
}

}  // namespace heddle::cli
