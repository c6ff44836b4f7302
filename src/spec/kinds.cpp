#include "spec/kinds.hpp"

namespace heddle::spec {

void identify(const DefinitionFile& file, std::string_view kind, Identity& identity) {
  identity.kind = kind;
  identity.file = file.path;
  identity.digest = sha256(file.text);
  identity.content = file.value;
}

void report_duplicate(const DefinitionFile& file, std::string_view kind, const Identity& earlier) {
  doc::Diagnostic diagnostic;
  const doc::Value* name = file.value.find("name");
  diagnostic.id = "duplicate-name";
  diagnostic.message =
      fmt::format("{} `{}` is defined in `{}` already", kind, earlier.name, earlier.file);
  diagnostic.file = file.path;
  diagnostic.position = name != nullptr ? name->position() : file.value.position();
  diagnostic.hint = "rename one of the two";
  file.diagnostics.push_back(std::move(diagnostic));
}

Registry<Kind>& kinds() {
  static Registry<Kind> table({&project_kind(), &people_kind(), &contract_kind(),
                               &feature_set_kind(), &model_kind(), &evaluation_kind(),
                               &policy_kind(), &monitor_kind(), &service_kind(), &fault_kind()});
  return table;
}

void check_project(Project& project, const Texts& texts, const Files& files,
                   std::vector<doc::Diagnostic>& diagnostics) {
  const Checking all(project, texts, files, diagnostics);
  for (const Kind* kind : kinds().rows()) kind->check(all);
}

}  // namespace heddle::spec
