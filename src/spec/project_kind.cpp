#include <filesystem>

#include "base/file.hpp"
#include "spec/kinds.hpp"

namespace heddle::spec {
namespace {

const Schema<Project>& project_keys() {
  static const Schema<Project> table = [] {
    Schema<Project> t("Project", "heddle.yaml: the project's name and where its data is");
    add_head(t, "Project");
    t.text("name", &Project::name, "the project's name").required();
    t.texts("owners", &Project::owners, "who answers for it");
    t.custom("sources", Shape::kMap, "name: path of a Parquet or CSV file, relative to the project",
             [](Project& into, const doc::Value& value, Reader& reader) {
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
    t.integer("control_port", &Project::control_port, "port of the control plane");
    return t;
  }();
  return table;
}

class ProjectChecker : public Checking {
 public:
  explicit ProjectChecker(const Checking& all) : Checking(all) {}

  /// A commit holds no data: only the work tree's sources are looked for.
  void check() {
    for (const auto& [name, path] : project_.sources) {
      const bool is_absolute = std::filesystem::path(path).is_absolute();
      if (!files_.has_data() || path_exists(is_absolute ? path : project_.root + "/" + path))
        continue;
      const auto position = project_.source_positions.find(name);
      if (position == project_.source_positions.end()) continue;  // no file said so
      report("heddle.yaml", position->second, "source-missing",
             fmt::format("source `{}`: there is no file `{}`", name, path),
             "put the file there, or change the path")
          .length = static_cast<int>(path.size());
    }
  }
};

}  // namespace

Kind project_kind() {
  Kind kind;
  kind.name = "Project";
  kind.file = "heddle.yaml";
  kind.keys = &project_keys();
  kind.read = [](const DefinitionFile& file, Project& project) {
    Reader(file.text, file.path, file.diagnostics).read(project_keys(), file.value, &project);
  };
  kind.check = [](const Checking& all) { ProjectChecker(all).check(); };
  kind.visit = [](const Project&, const auto&) {};
  return kind;
}

}  // namespace heddle::spec
