#pragma once

#include <functional>
#include <map>
#include <string>
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

/// One kind of definition. Whatever is done with every kind iterates `kind_table()`.
struct Kind {
  std::string name;    ///< as `kind:` has it
  std::string folder;  ///< its definitions stand here; empty: there is one, in `file`
  std::string file;
  const ObjectSchema* keys = nullptr;
  std::function<void(const DefinitionFile&, Project&)> read;
  /// Findings about the project's definitions of this kind, alone and together with others.
  std::function<void(const Checking&)> check;
  std::function<void(const Project&, const std::function<void(const Identity&)>&)> visit;
};

/// Says which definition it is. The name stands already.
void identify(const DefinitionFile& file, std::string_view kind, Identity& identity);
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

/// The kind of the definitions `definitions`: by default one a file of its folder, read by `keys`.
/// `Checker` has `check(T&)` for each.
template <class T, class Checker>
Kind definition_kind(std::string name, std::string folder, const ObjectSchema& keys,
                     std::map<std::string, T> Project::* definitions) {
  Kind kind;
  kind.name = name;
  kind.folder = std::move(folder);
  kind.keys = &keys;
  kind.read = [name, &keys, definitions](const DefinitionFile& file, Project& project) {
    T definition;
    Reader(file.text, file.path, file.diagnostics).read(keys, file.value, &definition);
    add_definition(file, name, std::move(definition), project.*definitions);
  };
  kind.check = [definitions](const Checking& all) {
    Checker checker(all);
    for (auto& [unused, definition] : all.project().*definitions) checker.check(definition);
  };
  kind.visit = [definitions](const Project& project, const auto& visitor) {
    for (const auto& [unused, definition] : project.*definitions) visitor(definition.identity);
  };
  return kind;
}

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
