#include "spec/difference.hpp"

#include <fnmatch.h>

#include <algorithm>

namespace heddle::spec {
namespace {

constexpr std::size_t kNamed = 3;  ///< differences that a summary names

/// Whether the file on disk is what the commit holds at that path, by git's own filters.
Result<bool> same(store::Git& git, const std::string& commit, const std::string& file) {
  HEDDLE_ASSIGN_OR_RETURN(const auto entry, git.find(commit, file));
  return git.same_on_disk(entry.id, file);
}

bool is_data(const Project& project, const std::string& file) {
  return std::any_of(project.sources.begin(), project.sources.end(), [&](const auto& source) {
    const auto& paths = source.second.paths;
    return std::any_of(paths.begin(), paths.end(), [&](const std::string& path) {
      const std::string inside = path_in_project(project, path);
      // A path may be a file, a folder, or a pattern, whose `*` stays within one folder
      // (FNM_PATHNAME).
      return inside == file || file.starts_with(inside + "/") ||
             ::fnmatch(inside.c_str(), file.c_str(), FNM_PATHNAME) == 0;
    });
  });
}

}  // namespace

std::string Difference::text() const {
  switch (kind) {
    case Kind::kOnlyInWorkTree:
      return fmt::format("`{}` is in the work tree and not in the commit", file);
    case Kind::kOnlyInCommit:
      return fmt::format("`{}` is in the commit and not in the work tree", file);
    default: return fmt::format("`{}` was changed", file);
  }
}

Result<std::vector<Difference>> differences(const Loaded& work, store::Git& git,
                                            const std::string& commit) {
  HEDDLE_ASSIGN_OR_RETURN(const auto then, load_commit(git, work.project.root, commit));
  std::vector<Difference> out;
  for (const auto& [file, digest] : then.files) {
    const auto now = work.files.find(file);
    if (now != work.files.end() && now->second == digest) continue;
    // Bytes may differ where git sees the same file, for example in line ends that its filters
    // change.
    HEDDLE_ASSIGN_OR_RETURN(const bool equal, same(git, commit, file));
    if (equal) continue;
    const bool gone = now == work.files.end();
    out.push_back({file, gone ? Difference::Kind::kOnlyInCommit : Difference::Kind::kChanged});
  }
  for (const auto& [file, digest] : work.files) {
    // Data that is not in git is no definition: what was learned from it is named by its digest.
    if (then.files.contains(file) || is_data(work.project, file)) continue;
    out.push_back({file, Difference::Kind::kOnlyInWorkTree});
  }
  return out;
}

std::string summary(const std::vector<Difference>& differences) {
  std::vector<std::string> texts;
  for (const auto& each : differences) {
    if (texts.size() < kNamed) texts.push_back(each.text());
  }
  std::string out = fmt::to_string(fmt::join(texts, ", "));
  if (differences.size() > kNamed) out += fmt::format(", and {} more", differences.size() - kNamed);
  return out;
}

}  // namespace heddle::spec
