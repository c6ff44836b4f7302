#include <filesystem>

#include "base/file.hpp"
#include "spec/kinds.hpp"

namespace heddle::spec {
namespace {

/// heddle.yaml as it is written.
struct ProjectFile {
  std::string name;
  std::vector<std::string> owners{};
  std::map<std::string, std::string> sources{};
  std::map<std::string, doc::Position> source_positions{};
  int control_port = 8010;
};

const Schema<ProjectFile>& project_keys() {
  static const Schema<ProjectFile> table = [] {
    Schema<ProjectFile> t("Project", "heddle.yaml: the project's name and where its data is");
    add_head(t, "Project");
    t.text("name", &ProjectFile::name, "the project's name").required();
    t.texts("owners", &ProjectFile::owners, "who answers for it");
    t.custom("sources", Shape::kMap,
             "name: path of a Parquet, CSV or NDJSON file, relative to the project",
             [](ProjectFile& into, const doc::Value& value, Reader& reader) {
               for (const auto& [name, path] : value.as_object()) {
                 if (!path.is_string()) {
                   reader.report(path.position(), "wrong-type",
                                 fmt::format("source `{}` must be a path", name),
                                 "write `NAME: data/FILE.parquet`");
                   continue;
                 }
                 into.sources[name] = path.as_string();
                 into.source_positions[name] = path.position();
               }
             });
    t.integer("control_port", &ProjectFile::control_port, "port of the control plane");
    return t;
  }();
  return table;
}

/// A commit holds no data: only the work tree's sources are looked for.
void check_sources(const ProjectFile& written, const DefinitionFile& file,
                   const std::string& root) {
  if (file.files == nullptr || !file.files->has_data()) return;
  for (const auto& [name, path] : written.sources) {
    const bool is_absolute = std::filesystem::path(path).is_absolute();
    if (path_exists(is_absolute ? path : root + "/" + path)) continue;
    doc::Diagnostic diagnostic;
    diagnostic.id = "source-missing";
    diagnostic.message = fmt::format("source `{}`: there is no file `{}`", name, path);
    diagnostic.file = file.path;
    diagnostic.position = written.source_positions.at(name);
    diagnostic.length = static_cast<int>(path.size());
    diagnostic.hint = "put the file there, or change the path";
    file.diagnostics.push_back(std::move(diagnostic));
  }
}

}  // namespace

Kind project_kind() {
  Kind kind;
  kind.name = "Project";
  kind.file = "heddle.yaml";
  kind.keys = &project_keys();
  kind.read = [](const DefinitionFile& file, Project& project) {
    ProjectFile written;
    Reader(file.text, file.path, file.diagnostics).read(project_keys(), file.value, &written);
    check_sources(written, file, project.root);
    project.name = std::move(written.name);
    project.sources = std::move(written.sources);
    project.control_port = written.control_port;
  };
  kind.check = [](const Checking&) {};
  kind.visit = [](const Project&, const auto&) {};
  return kind;
}

}  // namespace heddle::spec
