#include "spec/load.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <set>

#include "base/file.hpp"
#include "doc/yaml.hpp"
#include "spec/definition_count.hpp"
#include "spec/kinds.hpp"

namespace heddle::spec {
namespace {

doc::Diagnostic from_error(const Error& error, const std::string& file) {
  doc::Diagnostic diagnostic;
  diagnostic.id = error.id;
  diagnostic.message = error.message;
  diagnostic.file = file;
  diagnostic.hint = error.hint;
  // Shown where the error has no place in the file.
  diagnostic.position = {1, 1};
  // `file:line:col`
  const std::size_t column = error.where.rfind(':');
  // From the right, since a path may hold colons.
  const std::size_t line = column == std::string::npos || column == 0
                               ? std::string::npos
                               : error.where.rfind(':', column - 1);
  if (line != std::string::npos) {
    std::from_chars(error.where.data() + line + 1, error.where.data() + column,
                    diagnostic.position.line);
    std::from_chars(error.where.data() + column + 1, error.where.data() + error.where.size(),
                    diagnostic.position.column);
  }
  return diagnostic;
}

bool is_yaml(std::string_view name) { return name.ends_with(".yaml") || name.ends_with(".yml"); }

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text;
}

class Loader {
 public:
  explicit Loader(std::string root, const Files* files = nullptr) : files_(files) {
    loaded_.project.root = std::move(root);
  }

  Result<Loaded> load() {
    Project& project = loaded_.project;
    if (!there("heddle.yaml")) {
      return Error{ErrorKind::kNotFound, "project-not-found",
                   fmt::format("there is no `heddle.yaml` in `{}`", project.root),
                   "go to a project's folder, or name it with `--project DIR`"};
    }
    for (const Kind* kind : kinds().rows()) {
      if (!kind->folder().empty()) {
        load_folder(*kind);
      } else if (const std::string file(kind->file()); there(file)) {
        if (const auto value = parse(file)) kind->read(definition_file(file, *value), project);
      }
    }
    note_unread_at_top();
    note_enum_files();
    check_project(project, texts_, *files_, loaded_.diagnostics);
    // After the checks, which read the files of the trainers.
    note_trainers();
    sort();
    return std::move(loaded_);
  }

  /// One contract file of a folder without a project; `name`: relative to `root`. `must_be`:
  /// whether another kind is an error.
  Loaded contract_alone(const std::string& name, bool must_be) {
    // In a folder, YAML of other kinds is nobody's mistake; a file that was named is to be a
    // contract.
    if (const auto value = parse(name);
        value && (must_be || value->string_or("kind") == "DataContract")) {
      for (Contract& contract : contracts_of(definition_file(name, *value))) {
        // By file too: two files may hold contracts of one name, and each is checked alone.
        std::string key = fmt::format("{}:{}", name, contract.identity.name);
        loaded_.project.contracts.emplace(std::move(key), std::move(contract));
      }
      check_project(loaded_.project, texts_, *files_, loaded_.diagnostics);
    }
    sort();
    return std::move(loaded_);
  }

  /// One definition from memory.
  Contract contract_from(std::string_view yaml, std::string_view file,
                         std::vector<doc::Diagnostic>& out) {
    const std::string path(file);
    texts_[path] = yaml;
    Contract contract;
    if (auto value = doc::parse_yaml(yaml, file); value.ok()) {
      // A document always gives at least one contract, if without fields.
      contract = std::move(contracts_of(definition_file(path, *value)).front());
    } else {
      loaded_.diagnostics.push_back(from_error(value.error(), path));
    }
    sort();
    out.insert(out.end(), loaded_.diagnostics.begin(), loaded_.diagnostics.end());
    return contract;
  }

 private:
  /// A file that cannot be read is there: reading it says why.
  bool there(const std::string& file) const {
    const auto text = files_->read(file);
    return text.ok() || text.error().kind != ErrorKind::kNotFound;
  }

  void warn_unread(const std::string& file, std::string hint) {
    doc::Diagnostic diagnostic;
    diagnostic.id = "definition-not-read";
    diagnostic.severity = doc::Severity::kWarning;
    diagnostic.message = fmt::format("`{}` is not read: nothing in it counts", file);
    diagnostic.file = file;
    diagnostic.hint = std::move(hint);
    loaded_.diagnostics.push_back(std::move(diagnostic));
  }

  /// What somebody may take for a definition, a rule that denies above all, and is none: another
  /// ending, or a folder below.
  void note_unread(const std::string& path, bool is_named_so) {
    if (is_named_so) return warn_unread(path, "the ending is `.yaml` or `.yml`, in small letters");
    const auto below = files_->list(path);
    // A folder that cannot be read may hold some, so that it is told of.
    const bool holds_some =
        !below.ok() || std::any_of(below->begin(), below->end(),
                                   [](const auto& name) { return is_yaml(lower(name)); });
    if (holds_some)
      warn_unread(path, fmt::format("definitions stand in `{}` itself, not in a folder below it",
                                    path.substr(0, path.find('/'))));
  }

  void note_unread_at_top() {
    const auto names = files_->list("");
    if (!names.ok()) return;
    for (const auto& name : *names) {
      const auto small = lower(name);
      for (const Kind* kind : kinds().rows()) {
        const std::string_view file = kind->file();
        if (file.empty() || name == file) continue;
        const std::string_view stem = file.substr(0, file.rfind('.'));
        // `heddle.yml` and `Heddle.yaml`, for example.
        if (small == file || small == fmt::format("{}.yml", stem))
          warn_unread(name, fmt::format("its name is `{}`", file));
      }
    }
  }

  /// What the fields' enums are read from decides as much as the contract itself.
  void note_enum_files() {
    for (const auto& [name, contract] : loaded_.project.contracts) {
      for (const auto& field : contract.fields) {
        if (field.enum_file.empty()) continue;
        const std::string path = path_in_project(loaded_.project, field.enum_file);
        // Outside of the project, or a source of several files: it is data, which no commit holds.
        if (path.empty() || loaded_.files.contains(path)) continue;
        // One that cannot be read is reported by the check of the contract.
        if (const auto text = files_->read(path); text.ok()) loaded_.files[path] = sha256(*text);
      }
    }
  }

  /// A trainer of the project's own decides what its model is.
  void note_trainers() {
    for (const auto& [name, model] : loaded_.project.models) {
      if (!model.exec) continue;
      for (const auto& source : model.exec->sources)
        loaded_.files[source.path] = sha256(source.bytes);
    }
  }

  std::optional<doc::Value> parse(const std::string& file) {
    auto text = files_->read(file);
    if (!text.ok()) {
      loaded_.diagnostics.push_back(from_error(text.error(), file));
      return std::nullopt;
    }
    // Before it is parsed: a file with a fault decides too, and mending it changes the digest.
    loaded_.files[file] = sha256(*text);
    texts_[file] = std::move(*text);
    auto value = doc::parse_yaml(texts_[file], file);
    if (!value.ok()) {
      loaded_.diagnostics.push_back(from_error(value.error(), file));
      return std::nullopt;
    }
    return std::move(*value);
  }

  DefinitionFile definition_file(const std::string& path, const doc::Value& value) {
    return {path, texts_[path], value, files_, loaded_.diagnostics};
  }

  void load_folder(const Kind& kind) {
    const std::string folder(kind.folder());
    const auto names = files_->list(folder);
    if (!names.ok()) {
      loaded_.diagnostics.push_back(from_error(names.error(), folder));
      return;
    }
    for (const auto& name : *names) {
      const std::string path = fmt::format("{}/{}", folder, name);
      if (is_yaml(name))
        load_definition(path, kind);
      else
        note_unread(path, is_yaml(lower(name)));
    }
  }

  /// A definition may stand in the folder of another kind, when it says its own.
  void load_definition(const std::string& path, const Kind& of_folder) {
    const auto value = parse(path);
    if (!value) return;
    // Without `kind` it is of its folder's.
    const std::string name = value->string_or("kind", std::string(of_folder.name()));
    std::vector<std::string> known;
    for (const Kind* kind : kinds().rows()) {
      // A kind without a folder has one file, whose name says what it is.
      if (kind->folder().empty()) continue;
      if (kind->name() == name) return kind->read(definition_file(path, *value), loaded_.project);
      known.emplace_back(kind->name());
    }
    const std::string near = doc::nearest(name, known);
    doc::Diagnostic diagnostic;
    diagnostic.id = "unknown-kind";
    diagnostic.message = fmt::format("there is no kind `{}`", name);
    diagnostic.file = path;
    // It has a `kind`, else the folder's would have been found.
    diagnostic.position = value->find("kind")->position();
    diagnostic.length = static_cast<int>(name.size());
    diagnostic.hint = near.empty() ? fmt::format("the kinds are `{}`", fmt::join(known, "`, `"))
                                   : fmt::format("did you mean `{}`?", near);
    loaded_.diagnostics.push_back(std::move(diagnostic));
  }

  void sort() {
    auto& all = loaded_.diagnostics;
    // What a file lacks has no place in it: its beginning is shown.
    for (auto& diagnostic : all) {
      if (diagnostic.position.line < 1 || diagnostic.position.column < 1)
        diagnostic.position = {1, 1};
    }
    const auto key = [](const doc::Diagnostic& d) {
      return std::tuple(d.file, d.position.line, d.position.column, d.id, d.message);
    };
    std::stable_sort(all.begin(), all.end(),
                     [&](const auto& a, const auto& b) { return key(a) < key(b); });
    // Several checks may find the same at the same place, which is told once.
    all.erase(std::unique(all.begin(), all.end(),
                          [&](const auto& a, const auto& b) { return key(a) == key(b); }),
              all.end());
  }

  const Files* files_;
  Loaded loaded_;
  Texts texts_;
};

}  // namespace

bool Loaded::has_errors() const noexcept {
  return std::any_of(diagnostics.begin(), diagnostics.end(),
                     [](const auto& each) { return each.severity == doc::Severity::kError; });
}

Digest Loaded::digest() const {
  Hasher hasher;
  for (const auto& [file, digest] : files) {
    hasher.update_field(file);
    hasher.update_field(digest.str());
  }
  return hasher.finish();
}

Result<Loaded> load_project(const std::string& root) {
  std::error_code code;
  const auto absolute = std::filesystem::weakly_canonical(root, code);
  // Where the path cannot be resolved, what was given serves: reading it says what is wrong.
  const std::string folder = code ? root : absolute.string();
  const auto files = work_tree(folder);
  return Loader(folder, files.get()).load();
}

Result<Loaded> load_commit(store::Git& git, const std::string& root, const std::string& commit) {
  return load_files(*commit_tree(git, commit), root, commit);
}

Result<Loaded> load_files(const Files& files, const std::string& root, const std::string& commit) {
  auto loaded = Loader(root, &files).load();
  if (!loaded.ok()) {
    if (loaded.error().id != "project-not-found") return loaded;
    return Error{ErrorKind::kNotFound, "project-not-committed",
                 fmt::format("commit {} has no `heddle.yaml` of `{}`", commit.substr(0, 12), root),
                 "commit the project: `git add -A && git commit`"};
  }
  loaded->project.commit = commit;
  loaded->project.dirty = false;
  return loaded;
}

table::Input input_of(const Project& project, const std::string& named) {
  const auto source = project.sources.find(named);
  table::Input out = source == project.sources.end() ? table::Input(named) : source->second;
  for (std::string& path : out.paths) {
    if (!std::filesystem::path(path).is_absolute()) path = project.root + "/" + path;
  }
  return out;
}

std::string path_in_project(const Project& project, const std::string& named) {
  const auto source = project.sources.find(named);
  if (source != project.sources.end() && source->second.paths.size() != 1) return {};
  std::filesystem::path path(source == project.sources.end() ? named
                                                             : source->second.paths.front());
  if (path.is_absolute()) {
    path = path.lexically_relative(project.root);
    if (path.empty() || *path.begin() == "..") return {};
  }
  return path.lexically_normal().generic_string();
}

Result<Loaded> load_contracts(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code code;
  const bool is_folder = fs::is_directory(path, code);
  // Files of enums are looked for beside the contract.
  const std::string root = is_folder ? path : fs::path(path).parent_path().string();
  std::vector<std::string> names;
  if (is_folder) {
    for (fs::recursive_directory_iterator at(path, code), end; !code && at != end;
         at.increment(code)) {
      const std::string ending = at->path().extension().string();
      if (ending == ".yaml" || ending == ".yml")
        names.push_back(fs::relative(at->path(), path, code).string());
    }
    // By name, since the order of a folder differs between machines.
    std::sort(names.begin(), names.end());
  } else if (path_exists(path)) {
    names.push_back(fs::path(path).filename().string());
  }
  Loaded out;
  out.project.root = root.empty() ? "." : root;
  const auto files = work_tree(out.project.root);
  for (const auto& name : names) {
    Loaded one = Loader(out.project.root, files.get()).contract_alone(name, !is_folder);
    out.project.contracts.merge(one.project.contracts);
    out.diagnostics.insert(out.diagnostics.end(), one.diagnostics.begin(), one.diagnostics.end());
  }
  if (!out.project.contracts.empty() || !out.diagnostics.empty()) return out;
  return Error{ErrorKind::kNotFound, "contract-not-found",
               fmt::format("there is no contract in `{}`", path),
               "name a file or folder with Open Data Contract Standard YAML, or a project"};
}

Contract parse_contract(std::string_view yaml, std::string_view file,
                        std::vector<doc::Diagnostic>& diagnostics) {
  return Loader("").contract_from(yaml, file, diagnostics);
}

std::size_t definition_count(const Project& project) {
  std::size_t count = 0;
  for (const Kind* kind : kinds().rows()) kind->visit(project, [&](const Identity&) { ++count; });
  return count;
}

namespace {
Result<const ObjectSchema*> keys_of(std::string_view name) {
  if (const Kind* const kind = kinds().find(name)) return &kind->keys();
  const auto names = kinds().names();
  const std::string near = doc::nearest(name, names);
  return Error{ErrorKind::kNotFound, "unknown-kind", fmt::format("there is no kind `{}`", name),
               near.empty() ? fmt::format("the kinds are `{}`", fmt::join(names, "`, `"))
                            : fmt::format("did you mean `{}`?", near)};
}
}  // namespace

Result<doc::Value> schema(std::string_view kind) {
  HEDDLE_ASSIGN_OR_RETURN(const ObjectSchema* keys, keys_of(kind));
  return doc::schema_of(*keys);
}

Result<std::string> reference(std::string_view kind) {
  HEDDLE_ASSIGN_OR_RETURN(const ObjectSchema* keys, keys_of(kind));
  return doc::reference_of(*keys);
}

}  // namespace heddle::spec
