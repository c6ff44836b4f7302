#include "flow/origin.hpp"

#include <map>

#include "runtime/tar.hpp"
#include "spec/difference.hpp"
#include "spec/load.hpp"

namespace heddle::flow {
namespace {

using Entry = store::Git::Entry;

/// Data of the project that git holds has to be the commit's, as definitions have to be. What git
/// does not hold is named in a bundle by its digest.
Result<void> compare_data(const spec::Project& project, store::Git& git, Origin& origin) {
  for (const auto& [name, unused] : project.sources) {
    const auto parts = table::parts_of(spec::input_of(project, name));
    if (!parts.ok()) continue;  // whoever reads the source says so
    for (const auto& part : *parts) {
      const std::string path = spec::path_in_project(project, part.path);
      if (path.empty()) continue;
      const auto entry = git.find(origin.commit, path);
      if (!entry.ok() || entry->kind != Entry::Kind::kFile) continue;
      HEDDLE_ASSIGN_OR_RETURN(const bool same, git.same_on_disk(entry->id, path));
      if (!same) origin.changes.push_back(fmt::format("`{}` was changed", path));
    }
  }
  return {};
}

/// The files of a folder as of the commit, each with its entry, by their paths in the project.
Result<void> files_under(store::Git& git, const std::string& commit, const std::string& folder,
                         std::map<std::string, Entry>& out) {
  HEDDLE_ASSIGN_OR_RETURN(const auto entries, git.list(commit, folder));
  for (const auto& entry : entries) {
    const std::string path = folder + "/" + entry.name;
    if (entry.kind == Entry::Kind::kFolder) {
      HEDDLE_TRY(files_under(git, commit, path, out));
    } else {
      out[path] = entry;
    }
  }
  return {};
}

/// The worker's program and model are packed into the bundle: its folder is compared both ways.
Result<void> compare_worker(const spec::Model& model, const spec::Project& project, store::Git& git,
                            Origin& origin) {
  if (!model.runtime || model.runtime->files.empty()) return {};
  const std::string folder = spec::path_in_project(project, model.runtime->files);
  std::map<std::string, Entry> then;
  HEDDLE_TRY(files_under(git, origin.commit, folder, then));
  HEDDLE_ASSIGN_OR_RETURN(const auto packed, runtime::packed_files(project.root + "/" + folder));
  for (const auto& [name, executable] : packed) {
    const std::string path = folder + "/" + name;
    const auto entry = then.extract(path);
    if (entry.empty()) {
      origin.changes.push_back(fmt::format("`{}` is not in the commit", path));
      continue;
    }
    HEDDLE_ASSIGN_OR_RETURN(const bool same, git.same_on_disk(entry.mapped().id, path));
    const bool mode = executable == entry.mapped().executable;
    if (!same || !mode) origin.changes.push_back(fmt::format("`{}` was changed", path));
  }
  for (const auto& [path, entry] : then) {
    if (path.find("/__pycache__/") != std::string::npos) continue;  // never packed
    origin.changes.push_back(fmt::format("`{}` is in the commit and not in the work tree", path));
  }
  return {};
}

}  // namespace

Result<Origin> origin_of(const spec::Loaded& work, store::Git& git) {
  Origin origin;
  const auto head = git.head();
  if (!head.ok()) {
    if (head.error().kind == ErrorKind::kNotFound) return origin;  // no commit yet
    return head.error();
  }
  const auto definitions = spec::differences(work, git, *head);
  if (!definitions.ok() && definitions.error().id == "project-not-committed") return origin;
  HEDDLE_TRY(definitions);
  origin.commit = *head;
  for (const auto& difference : *definitions) origin.changes.push_back(difference.text());
  HEDDLE_TRY(compare_data(work.project, git, origin));
  for (const auto& [name, model] : work.project.models) {
    HEDDLE_TRY(compare_worker(model, work.project, git, origin));
  }
  return origin;
}

}  // namespace heddle::flow
