#include "control/work_inputs.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

#include <fmt/format.h>

#include "base/file.hpp"
#include "bundle/bundle.hpp"
#include "control/applied.hpp"
#include "control/compare.hpp"
#include "control/postmortem.hpp"
#include "control/work_files.hpp"
#include "doc/json.hpp"
#include "jobs/jobs.hpp"
#include "plane/segment.hpp"

namespace heddle::control {
namespace {

namespace fs = std::filesystem;

/// A file of a commit, and the object in the worker's folder that has its bytes.
struct TakenFile {
  std::string path{};
  Digest digest{};
};
/// Values of an enum that lie in a file of data, which no commit has.
struct TakenEnum {
  std::string file{};
  std::string column{};
  std::vector<std::string> values{};
};
struct Taken {
  std::vector<TakenFile> files{};
  std::vector<TakenEnum> enums{};
};

const doc::Schema<Taken>& taken_schema() {
  static const auto file = [] {
    auto t = doc::Schema<TakenFile>::record("a file", "of the definitions");
    t.text("path", &TakenFile::path, "in the project; it may begin with `..`").filled();
    t.digest("digest", &TakenFile::digest, "of its bytes").filled();
    return t;
  }();
  static const auto read_enum = [] {
    auto t = doc::Schema<TakenEnum>::record("an enum", "of a contract");
    t.text("file", &TakenEnum::file, "as the contract names it").filled();
    t.text("column", &TakenEnum::column, "of the file; empty: each line is a value");
    t.texts("values", &TakenEnum::values, "as the file has them");
    return t;
  }();
  static const auto schema = [] {
    auto t = doc::Schema<Taken>::record("`definitions/index.json`", "the files of a commit");
    t.of_format("heddle.definitions/1")
        .refused_as(ErrorKind::kCorrupt, "work-definitions", "ask for the work anew");
    t.objects("files", &Taken::files, file, "that decide what the project is");
    t.objects("enums", &Taken::enums, read_enum, "that were read from data");
    return t;
  }();
  return schema;
}

/// The files of a commit as they were taken from it.
class FilesTaken final : public spec::Files {
 public:
  FilesTaken(std::string dir, const Taken& taken) : dir_(std::move(dir)) {
    // By digest, so that no path of a commit is a path
    // in the worker's folder: one may begin with `..`.
    for (const auto& file : taken.files) files_.emplace(file.path, file.digest);
  }
  Result<std::string> read(const std::string& path) const override {
    const auto found = files_.find(path);
    if (found != files_.end()) return read_file(dir_ + "/" + found->second.hex());
    return Error{ErrorKind::kNotFound, "file-not-found", fmt::format("there is no `{}`", path)};
  }
  Result<std::vector<std::string>> list(const std::string& folder) const override {
    const std::string prefix = folder.empty() ? "" : folder + "/";
    std::set<std::string> names;
    for (const auto& [path, unused] : files_) {
      if (path.starts_with(prefix))
        names.insert(path.substr(prefix.size(), path.find('/', prefix.size()) - prefix.size()));
    }
    return std::vector<std::string>(names.begin(), names.end());
  }
  bool has_data() const override { return false; }

 private:
  std::string dir_;
  std::map<std::string, Digest> files_{};
};

/// Segments that are read, the newest first, with their sizes; those that went meanwhile have none.
Result<std::vector<std::pair<std::uint64_t, std::uint64_t>>> segments_of(const std::string& spool,
                                                                         const WorkNeeds& needs) {
  HEDDLE_ASSIGN_OR_RETURN(const auto numbers, plane::list_segments(spool));
  std::vector<std::pair<std::uint64_t, std::uint64_t>> out;
  std::uint64_t bytes = 0;
  for (auto number = numbers.rbegin(); number != numbers.rend(); ++number) {
    if (*number > needs.end.segment) continue;
    // One more than fits: who reads says that there was more.
    if (bytes > needs.most_bytes) break;
    std::error_code gone;
    const auto size = fs::file_size(plane::segment_path(spool, *number), gone);
    if (gone) continue;
    out.emplace_back(*number, size);
    bytes += size;
  }
  return out;
}

/// One field for each enum that contracts read from a file.
std::vector<const spec::Field*> fields_of_enums(const spec::Project& project) {
  std::map<std::pair<std::string, std::string>, const spec::Field*> found;
  for (const auto& [unused, contract] : project.contracts) {
    for (const auto& field : contract.fields) {
      if (!field.enum_file.empty())
        found.emplace(std::pair{field.enum_file, field.enum_column}, &field);
    }
  }
  std::vector<const spec::Field*> out;
  for (const auto& [unused, field] : found) out.push_back(field);
  return out;
}

void fill_enums(const Taken& taken, spec::Project& project) {
  for (auto& [unused, contract] : project.contracts) {
    for (auto& field : contract.fields) {
      const auto values =
          std::find_if(taken.enums.begin(), taken.enums.end(), [&](const TakenEnum& each) {
            return each.file == field.enum_file && each.column == field.enum_column;
          });
      if (field.enum_file.empty() || values == taken.enums.end()) continue;
      field.enum_values.assign(values->values.begin(), values->values.end());
    }
  }
}

}  // namespace

Result<WorkNeeds> needs_of(std::string_view command, std::string_view request) {
  WorkNeeds needs;
  if (command == "retrain") {
    HEDDLE_ASSIGN_OR_RETURN(const auto asked, retrain_request_schema().parse_text(request));
    needs.commit = asked.commit;
    needs.bundles = {asked.base};
    return needs;
  }
  if (command == "compare") {
    HEDDLE_ASSIGN_OR_RETURN(const auto asked, ComparisonRequest::schema().parse_text(request));
    needs.bundles = {asked.base, asked.candidate};
    needs.end = {asked.segment, asked.offset};
    needs.most_bytes = kMostCompared;
    return needs;
  }
  if (command == "postmortem") {
    HEDDLE_ASSIGN_OR_RETURN(const auto asked, PostmortemRequest::schema().parse_text(request));
    needs.commit = asked.commit;
    for (const auto& route : asked.routes) needs.bundles.push_back(route.primary);
    needs.end = {asked.segment, asked.offset};
    return needs;
  }
  return Error{ErrorKind::kInvalid, "work-unknown", fmt::format("there is no work `{}`", command),
               "it is of another version of the program"};
}

Result<void> WorkInputs::add(const std::string& path, std::string_view bytes) {
  HEDDLE_ASSIGN_OR_RETURN(inputs_[path], objects_.put(bytes));
  return {};
}

Result<void> WorkInputs::add_definitions(store::Git& git, const std::string& root,
                                         const std::string& commit) {
  HEDDLE_ASSIGN_OR_RETURN(const auto loaded, load_applied(git, root, commit));
  Taken taken;
  for (const spec::Field* field : fields_of_enums(loaded.project)) {
    auto values = spec::load_enum(loaded.project, field->enum_file, field->enum_column);
    // One that is not there is the worker's to tell.
    if (values.ok())
      taken.enums.push_back({field->enum_file, field->enum_column, *std::move(values)});
  }
  for (const auto& [path, unused] : loaded.files) {
    HEDDLE_ASSIGN_OR_RETURN(const auto bytes, git.read(commit, path));
    HEDDLE_ASSIGN_OR_RETURN(const auto digest, objects_.put(bytes));
    inputs_[fmt::format("{}/{}", kWorkDefinitions, digest.hex())] = digest;
    taken.files.push_back({path, digest});
  }
  return add(fmt::format("{}/index.json", kWorkDefinitions),
             doc::to_json(taken_schema().print(taken)));
}

Result<void> WorkInputs::add_bundle(store::Objects& from, const Digest& bundle) {
  if (bundle.empty()) return {};
  auto parts = bundle::parts(from, bundle);
  // The worker says what is missing, where a person reads it.
  if (!parts.ok()) return {};
  if (const auto opened = bundle::open(from, bundle);
      opened.ok() && !opened->config().lineage.held_out.empty())
    parts->push_back(opened->config().lineage.held_out);
  for (const Digest& part : *parts) {
    const std::string path = fmt::format("{}/{}", kWorkBlobs, part.hex());
    if (inputs_.contains(path)) continue;
    const auto bytes = from.get(part);
    if (!bytes.ok() && bytes.error().kind == ErrorKind::kIo) return bytes.error();
    if (bytes.ok()) HEDDLE_TRY(add(path, *bytes));
  }
  return {};
}

Result<void> WorkInputs::add_journal(const std::string& spool, const WorkNeeds& needs,
                                     const std::string& folder) {
  HEDDLE_ASSIGN_OR_RETURN(const auto numbers, plane::list_segments(spool));
  HEDDLE_ASSIGN_OR_RETURN(const auto segments, segments_of(spool, needs));
  for (const auto& [number, unused] : segments) {
    std::string path = plane::segment_path(spool, number);
    if (number == numbers.back()) {
      // The newest segment is still written: a digest of it would not hold a moment later.
      const std::string copy = folder + "/newest.seg";
      std::error_code failed;
      fs::copy_file(path, copy, fs::copy_options::overwrite_existing, failed);
      if (failed)
        return Error{ErrorKind::kIo, "work-journal",
                     fmt::format("cannot copy `{}`: {}", path, failed.message()),
                     "check the disk and its permissions"};
      path = copy;
    }
    const auto digest = objects_.add_file(path);
    // It was removed meanwhile, by age: what came before it is gone as well.
    if (!digest.ok() && digest.error().kind == ErrorKind::kNotFound) return {};
    HEDDLE_TRY(digest);
    inputs_[plane::segment_path(kWorkJournal, number)] = *digest;
  }
  return {};
}

std::uint64_t journal_bytes(const std::string& spool, const WorkNeeds& needs) {
  std::uint64_t bytes = 0;
  const auto segments = segments_of(spool, needs);
  if (!segments.ok()) return 0;  // whoever gathers them says why
  for (const auto& [unused, size] : *segments) bytes += size;
  return bytes;
}

Result<spec::Loaded> load_definitions(const std::string& dir, const std::string& commit) {
  const std::string folder = fmt::format("{}/{}", dir, kWorkDefinitions);
  HEDDLE_ASSIGN_OR_RETURN(const auto text, read_file(folder + "/index.json"));
  HEDDLE_ASSIGN_OR_RETURN(const auto taken, taken_schema().parse_text(text));
  HEDDLE_ASSIGN_OR_RETURN(const auto state, jobs::state_here());
  const std::string root = fs::path(state).parent_path().string();
  HEDDLE_ASSIGN_OR_RETURN(auto loaded, spec::load_files(FilesTaken(folder, taken), root, commit));
  fill_enums(taken, loaded.project);
  if (!loaded.has_errors()) return loaded;
  return Error{
      ErrorKind::kCorrupt, "work-definitions",
      fmt::format("the definitions of commit {} were taken and have errors", commit.substr(0, 12)),
      "ask for the work anew"};
}

}  // namespace heddle::control
