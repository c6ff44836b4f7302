#include "spec/kinds.hpp"

#include <algorithm>

namespace heddle::spec {

namespace {

/// Folders and files are named after definitions; a file's name has at most 255 bytes, and what is
/// added to it must fit too.
constexpr std::size_t kLongestName = 64;

bool can_name_a_file(std::string_view name) {
  return name.size() <= kLongestName && name.front() != '.' && name.front() != '-' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.';
         });
}

}  // namespace

void check_name(const DefinitionFile& file, std::string_view kind, std::string_view name) {
  if (name.empty() || can_name_a_file(name)) return;  // missing-key says it of an empty one
  const doc::Value* written = file.value.find("name");
  doc::Diagnostic diagnostic;
  diagnostic.id = "bad-name";
  diagnostic.message =
      fmt::format("{} cannot be the name of a {}",
                  name.size() <= kLongestName ? fmt::format("{:?}", name)
                                              : fmt::format("a text of {} bytes", name.size()),
                  kind);
  diagnostic.file = file.path;
  diagnostic.position = written != nullptr ? written->position() : file.value.position();
  diagnostic.hint = fmt::format(
      "files are named after it: letters, digits and `-`, `_`, `.`, at most {}, not with a `.` or "
      "`-` first",
      kLongestName);
  file.diagnostics.push_back(std::move(diagnostic));
}

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
