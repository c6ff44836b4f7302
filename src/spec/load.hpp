#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "doc/diagnostic.hpp"
#include "doc/value.hpp"
#include "spec/files.hpp"
#include "spec/project.hpp"

namespace heddle::spec {

/// A project and everything there is to tell about it. When `has_errors()`, `project` holds what
/// could be read and must not be run.
struct Loaded {
  Project project;
  std::vector<doc::Diagnostic> diagnostics;  ///< by file, line, column
  /// Every file that decides, with the digest of its bytes, by its path in the project: the
  /// definitions, `heddle.yaml`, `people.yaml`, and the files that contracts name. What could not
  /// be read is missing.
  std::map<std::string, Digest> files{};

  [[nodiscard]] bool has_errors() const noexcept;
  /// Over `files`, names and bytes: it changes with any of them, and when one comes or goes.
  [[nodiscard]] Digest digest() const;
};

/// Reads every definition under `root` and checks each alone and all together (names, expressions,
/// cycles, sources): all findings at once, in `diagnostics`. kNotFound only when `root` has no
/// `heddle.yaml`. Reads data files' schemas, no rows.
[[nodiscard]] Result<Loaded> load_project(const std::string& root);

/// The same as of a commit, from git's objects; neither the work tree nor any data is looked at.
/// `commit` is the full id. The project is that commit's, and clean.
[[nodiscard]] Result<Loaded> load_commit(store::Git& git, const std::string& root,
                                         const std::string& commit);

/// The same of the commit's files, wherever they were taken from it.
[[nodiscard]] Result<Loaded> load_files(const Files& files, const std::string& root,
                                        const std::string& commit);

/// Where the rows of a source are, or of a file that a definition names by its path: with paths
/// that can be opened.
[[nodiscard]] table::Input input_of(const Project& project, const std::string& named);

/// The path in the project of a file that a definition names, of a source by its name or of a file;
/// it may begin with `..`. Empty for an absolute path outside the project, and for a source of
/// several paths.
[[nodiscard]] std::string path_in_project(const Project& project, const std::string& named);

/// Contracts without a project: the file `path`, or every contract among the YAML files below the
/// folder `path`, each checked alone; their `enumFile`s are looked for beside them.
/// `project.contracts` is by file and name. kNotFound when there is none.
[[nodiscard]] Result<Loaded> load_contracts(const std::string& path);

/// One definition from memory, unchecked against others; its findings go to `diagnostics`. For
/// drafts and tests.
[[nodiscard]] Contract parse_contract(std::string_view yaml, std::string_view file,
                                      std::vector<doc::Diagnostic>& diagnostics);

/// JSON Schema (2020-12) of a kind (`kinds()` of kinds.hpp); kNotFound with the nearest kind.
[[nodiscard]] Result<doc::Value> schema(std::string_view kind);
/// The reference page of a kind (Markdown), from the same table of fields as parser and schema.
[[nodiscard]] Result<std::string> reference(std::string_view kind);

/// The values of column `column` in `file` (CSV with a header; without `column`, one value a line),
/// relative to `root` or named in the project's sources; each once, in file order. For enums.
[[nodiscard]] Result<std::vector<std::string>> load_enum(const Project& project,
                                                         const std::string& file,
                                                         const std::string& column);

}  // namespace heddle::spec
