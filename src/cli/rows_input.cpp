#include "cli/rows_input.hpp"

#include <CLI/CLI.hpp>

#include <fmt/ranges.h>

#include "control/applied.hpp"
#include "control/home.hpp"
#include "doc/diagnostic.hpp"

namespace heddle::cli {

void add_as(CLI::App& command, std::string& as) {
  command.add_option("--as", as,
                     "the file is written as this source of heddle.yaml declares (delimiter, "
                     "encoding, ...); default: the source that the model learns from");
}

Result<table::Input> input_as(const spec::Project& project, const std::string& service,
                              const std::string& file, const std::string& as) {
  std::string source = as;
  const auto served = project.services.find(service);
  if (source.empty() && served != project.services.end()) {
    const auto model = project.models.find(served->second.model);
    if (model != project.models.end()) source = model->second.source;
  }
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
