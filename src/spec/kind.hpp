#pragma once

#include <any>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "doc/schema.hpp"
#include "spec/checking.hpp"
#include "spec/project.hpp"

namespace heddle::spec {

using doc::ObjectSchema;
using doc::Reader;
using doc::Schema;
using doc::Shape;
using doc::Treatment;

/// A file of a project while it is read.
struct DefinitionFile {
  const std::string& path;  ///< relative to the project
  const std::string& text;
  const doc::Value& value;
  const Files* files;  ///< of the project; null: there is this one alone
  std::vector<doc::Diagnostic>& diagnostics;
};

/// One kind of definition: a row of `kinds()`. Whatever is done with every kind iterates that
/// table. Constant; reading is thread-safe.
class Kind {
 public:
  Kind() = default;
  Kind(const Kind&) = delete;
  Kind& operator=(const Kind&) = delete;
  virtual ~Kind() = default;

  [[nodiscard]] virtual std::string_view name() const noexcept = 0;  ///< as `kind:` has it
  /// Its definitions stand here, one or more a file; empty: there is one, in `file()`.
  [[nodiscard]] virtual std::string_view folder() const noexcept { return {}; }
  [[nodiscard]] virtual std::string_view file() const noexcept { return {}; }
  /// The keys that a definition may have; parser, JSON Schema and reference page come from them.
  [[nodiscard]] virtual const ObjectSchema& keys() const = 0;
  /// Puts what stands in a file into the project, with a finding for each fault.
  virtual void read(const DefinitionFile& file, Project& project) const = 0;
  /// Findings about the project's definitions of this kind, alone and together with others.
  virtual void check(const Checking& all) const = 0;
  virtual void visit(const Project& project,
                     const std::function<void(const Identity&)>& visitor) const = 0;
};

/// Says which definition it is. The name stands already.
void identify(const DefinitionFile& file, std::string_view kind, Identity& identity);
/// That a definition's name can stand in a path: `bad-name` where it cannot. Not of a contract,
/// which the standard lets have any name and whose name becomes no path.
void check_name(const DefinitionFile& file, std::string_view kind, std::string_view name);
/// That the name of a definition is taken.
void report_duplicate(const DefinitionFile& file, std::string_view kind, const Identity& earlier);

/// Puts a definition that was read into its map, by its name.
template <class T>
void add_definition(const DefinitionFile& file, std::string_view kind, T definition,
                    std::map<std::string, T>& definitions) {
  identify(file, kind, definition.identity);
  const std::string name = definition.identity.name;
  if (name.empty()) return;  // missing-key says it
  if (const auto earlier = definitions.find(name); earlier != definitions.end())
    return report_duplicate(file, kind, earlier->second.identity);
  definitions.emplace(name, std::move(definition));
}

/// A kind of which a folder holds any number of definitions, each with a name: `T` has `identity`.
/// `Checker` derives from `Checking` and has `check(T&)` for each.
template <class T, class Checker>
class NamedKind : public Kind {
 public:
  using Map = std::map<std::string, T>;

  void read(const DefinitionFile& file, Project& project) const override {
    T definition;
    Reader(file.text, file.path, file.diagnostics).read(keys(), file.value, &definition);
    check_name(file, name(), definition.identity.name);
    add_definition(file, name(), std::move(definition), of(project));
  }
  void check(const Checking& all) const override {
    Checker checker(all);
    for (auto& [unused, definition] : of(all.project())) checker.check(definition);
  }
  void visit(const Project& project,
             const std::function<void(const Identity&)>& visitor) const override {
    const Map* const found = find(project);
    if (found == nullptr) return;
    for (const auto& [unused, definition] : *found) visitor(definition.identity);
  }
  /// Those of a project by name, for who knows the kind; null: it has none.
  [[nodiscard]] virtual const Map* find(const Project& project) const {
    const auto at = project.added.find(name());
    if (at == project.added.end()) return nullptr;
    // Looking for definitions to check leaves an empty map behind.
    const Map* const found = std::any_cast<Map>(&at->second);
    return found->empty() ? nullptr : found;
  }

 protected:
  /// Where a project keeps them. A kind that a program adds has no member there.
  [[nodiscard]] virtual Map& of(Project& project) const {
    const auto at = project.added.try_emplace(std::string(name()), Map()).first;
    return *std::any_cast<Map>(&at->second);
  }
};

/// A named kind of Heddle's own table: its definitions have a member of `Project`. `keys` is called
/// late, because the choices of some keys are the rows of other registries.
template <class T, class Checker>
class BuiltInKind : public NamedKind<T, Checker> {
 public:
  using Map = std::map<std::string, T>;

  BuiltInKind(std::string_view name, std::string_view folder,
              std::function<const ObjectSchema&()> keys, Map Project::* member)
      : name_(name), folder_(folder), keys_(std::move(keys)), member_(member) {}
  [[nodiscard]] std::string_view name() const noexcept override { return name_; }
  [[nodiscard]] std::string_view folder() const noexcept override { return folder_; }
  [[nodiscard]] const ObjectSchema& keys() const override { return keys_(); }
  [[nodiscard]] const Map* find(const Project& project) const override {
    return &(project.*member_);
  }

 protected:
  [[nodiscard]] Map& of(Project& project) const override { return project.*member_; }

 private:
  std::string_view name_;
  std::string_view folder_;
  std::function<const ObjectSchema&()> keys_;
  Map Project::* member_;
};

/// What every Heddle kind begins with; `read` fills the name.
template <class T>
void add_head(Schema<T>& table, const char* kind) {
  table
      .custom("apiVersion", Shape::kText, "version of the format",
              [](T&, const doc::Value&, Reader&) {})
      .one_of({"heddle/v1"})
      .required();
  table.custom("kind", Shape::kText, "the kind", [](T&, const doc::Value&, Reader&) {})
      .one_of({kind})
      .required();
  table.describes({"description"});
}

template <class T>
void add_named_head(Schema<T>& table, const char* kind) {
  add_head(table, kind);
  table
      .custom(
          "name", Shape::kText, "the name other definitions use",
          [](T& into, const doc::Value& value, Reader&) { into.identity.name = value.as_string(); })
      .required();
}

}  // namespace heddle::spec
