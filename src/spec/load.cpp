#include "spec/load.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <set>

#include "base/file.hpp"
#include "doc/yaml.hpp"
#include "spec/check.hpp"
#include "spec/kinds.hpp"

namespace heddle::spec {
namespace {

using KindTable = const Object& (*)();
const std::vector<std::pair<std::string, KindTable>>& kind_tables() {
  static const std::vector<std::pair<std::string, KindTable>> tables = {
      {"Project", project_kind},        {"People", people_kind},   {"DataContract", contract_kind},
      {"FeatureSet", feature_set_kind}, {"Model", model_kind},     {"Evaluation", evaluation_kind},
      {"Policy", policy_kind},          {"Monitor", monitor_kind}, {"Service", service_kind}};
  return tables;
}

/// Where definitions are, and what each folder is for.
constexpr std::pair<std::string_view, std::string_view> kFolders[] = {
    {"contracts", "DataContract"}, {"features", "FeatureSet"}, {"models", "Model"},
    {"evaluations", "Evaluation"}, {"policies", "Policy"},     {"monitors", "Monitor"},
    {"services", "Service"}};

doc::Diagnostic from_error(const Error& error, const std::string& file) {
  doc::Diagnostic diagnostic;
  diagnostic.id = error.id;
  diagnostic.message = error.message;
  diagnostic.file = file;
  diagnostic.hint = error.hint;
  diagnostic.position = {1, 1};
  // `file:line:col`
  const std::size_t column = error.where.rfind(':');
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
    ProjectFile file;
    if (const auto value = parse("heddle.yaml")) {
      read("heddle.yaml", "Project", project_kind(), *value, &file);
      project.name = file.name;
      project.sources = file.sources;
      project.control_port = file.control_port;
      for (const auto& [name, path] : file.sources) {
        if (!files_->has_data()) break;
        const std::string full =
            std::filesystem::path(path).is_absolute() ? path : project.root + "/" + path;
        if (path_exists(full)) continue;
        doc::Diagnostic diagnostic;
        diagnostic.id = "source-missing";
        diagnostic.message = fmt::format("source `{}`: there is no file `{}`", name, path);
        diagnostic.file = "heddle.yaml";
        diagnostic.position = file.source_positions[name];
        diagnostic.length = static_cast<int>(path.size());
        diagnostic.hint = "put the file there, or change the path";
        loaded_.diagnostics.push_back(std::move(diagnostic));
      }
    }
    if (there("people.yaml")) {
      PeopleFile people;
      if (const auto value = parse("people.yaml")) {
        read("people.yaml", "People", people_kind(), *value, &people);
        project.people = std::move(people.people);
        project.service_accounts = std::move(people.service_accounts);
      }
    }
    for (const auto& [folder, kind] : kFolders) {
      const auto names = files_->list(std::string(folder));
      if (!names.ok()) {
        loaded_.diagnostics.push_back(from_error(names.error(), std::string(folder)));
        continue;
      }
      for (const auto& name : *names) {
        const std::string path = fmt::format("{}/{}", folder, name);
        if (is_yaml(name))
          load_definition(path, kind);
        else
          note_unread(path, is_yaml(lower(name)));
      }
    }
    note_unread_at_top();
    note_enum_files();
    check_project(project, texts_, *files_, loaded_.diagnostics);
    sort();
    return std::move(loaded_);
  }

  /// One contract file of a folder without a project; `name`: relative to `root`. `must_be`:
  /// whether another kind is an error.
  Loaded contract_alone(const std::string& name, bool must_be) {
    if (const auto value = parse(name);
        value && (must_be || value->string_or("kind") == "DataContract")) {
      for (Contract& contract : contracts_of(name, *value)) {
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
    texts_[std::string(file)] = yaml;
    Contract contract;
    if (auto value = doc::parse_yaml(yaml, file); value.ok()) {
      contract = std::move(contracts_of(std::string(file), *value).front());
    } else {
      loaded_.diagnostics.push_back(from_error(value.error(), std::string(file)));
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
      for (const char* known : {"people", "heddle"}) {
        const auto small = lower(name);
        const bool is_near =
            small == std::string(known) + ".yaml" || small == std::string(known) + ".yml";
        if (is_near && name != std::string(known) + ".yaml")
          warn_unread(name, fmt::format("its name is `{}.yaml`", known));
      }
    }
  }

  /// What the fields' enums are read from decides as much as the contract itself.
  void note_enum_files() {
    for (const auto& [name, contract] : loaded_.project.contracts) {
      for (const auto& field : contract.fields) {
        if (field.enum_file.empty()) continue;
        const std::string path = path_in_project(loaded_.project, field.enum_file);
        if (path.empty() || loaded_.files.contains(path)) continue;
        if (const auto text = files_->read(path); text.ok()) loaded_.files[path] = sha256(*text);
      }
    }
  }

  std::optional<doc::Value> parse(const std::string& file) {
    auto text = files_->read(file);
    if (!text.ok()) {
      loaded_.diagnostics.push_back(from_error(text.error(), file));
      return std::nullopt;
    }
    loaded_.files[file] = sha256(*text);
    texts_[file] = std::move(*text);
    auto value = doc::parse_yaml(texts_[file], file);
    if (!value.ok()) {
      loaded_.diagnostics.push_back(from_error(value.error(), file));
      return std::nullopt;
    }
    return std::move(*value);
  }

  void read(const std::string& file, std::string_view, const Object& table, const doc::Value& value,
            void* into) {
    Reader reader(texts_[file], file, loaded_.diagnostics);
    reader.read(table, value, into);
  }

  template <class T>
  void identify(T& definition, std::string_view kind, const std::string& file,
                const doc::Value& value) {
    definition.identity.kind = kind;
    definition.identity.file = file;
    definition.identity.digest = sha256(texts_[file]);
    definition.identity.content = value;
  }

  std::vector<Contract> contracts_of(const std::string& file, const doc::Value& value) {
    Reader reader(texts_[file], file, loaded_.diagnostics);
    auto contracts = read_contracts(value, reader);
    for (Contract& contract : contracts) {
      const std::string name = contract.identity.name;
      identify(contract, "DataContract", file, value);
      contract.identity.name = name;
    }
    return contracts;
  }

  template <class T>
  void add(std::map<std::string, T>& map, std::string_view kind, const Object& table,
           const std::string& file, const doc::Value& value) {
    T definition;
    identify(definition, kind, file, value);
    read(file, kind, table, value, &definition);
    add(map, kind, file, value, std::move(definition));
  }

  template <class T>
  void add(std::map<std::string, T>& map, std::string_view kind, const std::string& file,
           const doc::Value& value, T definition) {
    const std::string name = definition.identity.name;
    if (name.empty()) return;
    if (const auto other = map.find(name); other != map.end()) {
      doc::Diagnostic diagnostic;
      diagnostic.id = "duplicate-name";
      diagnostic.message = fmt::format("{} `{}` is defined in `{}` already", kind, name,
                                       other->second.identity.file);
      diagnostic.file = file;
      diagnostic.position =
          value.find("name") != nullptr ? value.find("name")->position() : value.position();
      diagnostic.hint = "rename one of the two";
      loaded_.diagnostics.push_back(std::move(diagnostic));
      return;
    }
    map.emplace(name, std::move(definition));
  }

  void load_definition(const std::string& file, std::string_view folder_kind) {
    const auto value = parse(file);
    if (!value) return;
    Project& project = loaded_.project;
    const std::string kind = value->string_or("kind", folder_kind);
    if (kind == "DataContract") {
      for (Contract& contract : contracts_of(file, *value)) {
        add(project.contracts, kind, file, *value, std::move(contract));
      }
    } else if (kind == "FeatureSet")
      add(project.feature_sets, kind, feature_set_kind(), file, *value);
    else if (kind == "Model")
      add(project.models, kind, model_kind(), file, *value);
    else if (kind == "Evaluation")
      add(project.evaluations, kind, evaluation_kind(), file, *value);
    else if (kind == "Policy")
      add(project.policies, kind, policy_kind(), file, *value);
    else if (kind == "Monitor")
      add(project.monitors, kind, monitor_kind(), file, *value);
    else if (kind == "Service")
      add(project.services, kind, service_kind(), file, *value);
    else {
      std::vector<std::string> known;
      for (const auto& [folder, name] : kFolders) known.emplace_back(name);
      const std::string near = doc::nearest(kind, known);
      doc::Diagnostic diagnostic;
      diagnostic.id = "unknown-kind";
      diagnostic.message = fmt::format("there is no kind `{}`", kind);
      diagnostic.file = file;
      diagnostic.position = value->find("kind")->position();
      diagnostic.length = static_cast<int>(kind.size());
      diagnostic.hint = near.empty() ? fmt::format("the kinds are `{}`", fmt::join(known, "`, `"))
                                     : fmt::format("did you mean `{}`?", near);
      loaded_.diagnostics.push_back(std::move(diagnostic));
    }
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
  const std::string folder = code ? root : absolute.string();
  const auto files = work_tree(folder);
  return Loader(folder, files.get()).load();
}

Result<Loaded> load_commit(store::Git& git, const std::string& root, const std::string& commit) {
  const auto files = commit_tree(git, commit);
  auto loaded = Loader(root, files.get()).load();
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

std::string path_in_project(const Project& project, const std::string& named) {
  const auto source = project.sources.find(named);
  std::filesystem::path path(source == project.sources.end() ? named : source->second);
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
  const std::string root = is_folder ? path : fs::path(path).parent_path().string();
  std::vector<std::string> names;
  if (is_folder) {
    for (fs::recursive_directory_iterator at(path, code), end; !code && at != end;
         at.increment(code)) {
      const std::string ending = at->path().extension().string();
      if (ending == ".yaml" || ending == ".yml")
        names.push_back(fs::relative(at->path(), path, code).string());
    }
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

const std::vector<std::string>& kinds() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const auto& [name, table] : kind_tables()) out.push_back(name);
    return out;
  }();
  return names;
}

namespace {
Result<const Object*> table_of(std::string_view kind) {
  for (const auto& [name, table] : kind_tables()) {
    if (name == kind) return &table();
  }
  const std::string near = doc::nearest(kind, kinds());
  return Error{ErrorKind::kNotFound, "unknown-kind", fmt::format("there is no kind `{}`", kind),
               near.empty() ? fmt::format("the kinds are `{}`", fmt::join(kinds(), "`, `"))
                            : fmt::format("did you mean `{}`?", near)};
}
}  // namespace

Result<doc::Value> schema(std::string_view kind) {
  HEDDLE_ASSIGN_OR_RETURN(const Object* table, table_of(kind));
  return schema_of(*table);
}

Result<std::string> reference(std::string_view kind) {
  HEDDLE_ASSIGN_OR_RETURN(const Object* table, table_of(kind));
  return reference_of(*table);
}

}  // namespace heddle::spec
