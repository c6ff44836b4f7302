#include <cstdlib>
#include <filesystem>
#include <limits>

#include "base/file.hpp"
#include "doc/json.hpp"
#include "runtime/tar.hpp"
#include "spec/task.hpp"
#include "train/own.hpp"
#include "train/own_parts.hpp"
#include "train/python_package.hpp"

namespace heddle::train {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFit = R"(from heddle.training.absent import say

try:
    from heddle.training.fitting import main
except ModuleNotFoundError as error:
    say(error)
main()
)";
constexpr std::string_view kServe =
    "import pathlib\n\nfrom heddle.training.serving import main\n\n"
    "main(pathlib.Path(__file__).resolve().parent)\n";
constexpr std::string_view kLock =
    "import sys\n\nfrom heddle.training import lock\n\nsys.stdout.write(lock.text())\n";

constexpr std::string_view kSignature = "from heddle.training.signatures import main\n\nmain()\n";

/// Of the package, what asks a service and what checks a ledger is of no use here.
bool is_needed(std::string_view path) { return path != "heddle/verify.py"; }

Result<void> put(const std::string& folder, std::string_view path, std::string_view bytes) {
  const std::string to = fmt::format("{}/{}", folder, path);
  HEDDLE_TRY(make_dirs(fs::path(to).parent_path().string()));
  return write_file_atomic(to, bytes);
}

}  // namespace

TemporaryFolder::TemporaryFolder() {
  std::error_code error;
  path_ = (fs::temp_directory_path(error) / "heddle-own-XXXXXX").string();
  if (::mkdtemp(path_.data()) == nullptr) path_.clear();
}
TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}
Result<void> TemporaryFolder::check() const {
  if (!path_.empty()) return {};
  return Error{ErrorKind::kIo, "own-files", "cannot make a temporary folder",
               "check the temporary folder's disk and its permissions"};
}

Result<std::string> own_files(const spec::Exec& exec) {
  const TemporaryFolder folder;
  HEDDLE_TRY(folder.check());
  const std::string& root = folder.path();
  for (const auto& [path, bytes] : python_package()) {
    if (is_needed(path)) HEDDLE_TRY(put(root, path, bytes));
  }
  for (const auto& [path, bytes] : exec.sources) HEDDLE_TRY(put(root, "project/" + path, bytes));
  HEDDLE_TRY(put(root, kFitFile, kFit));
  HEDDLE_TRY(put(root, kOwnServe, kServe));
  HEDDLE_TRY(put(root, kLockFile, kLock));
  HEDDLE_TRY(put(root, kSignatureFile, kSignature));
  return runtime::pack_folder(root);
}

Result<std::string> with_files(std::string_view tar,
                               const std::vector<std::pair<std::string, std::string>>& more) {
  const TemporaryFolder folder;
  HEDDLE_TRY(folder.check());
  const std::string root = folder.path() + "/files";
  HEDDLE_TRY(runtime::unpack(tar, root));
  for (const auto& [path, bytes] : more) HEDDLE_TRY(put(root, path, bytes));
  return runtime::pack_folder(root);
}

const doc::Schema<OwnTraining>& own_training_schema() {
  using T = OwnTraining;
  static const auto column = [] {
    auto t = doc::Schema<OwnColumn>::record("a column", "of the rows");
    t.text("name", &OwnColumn::name, "its name").filled();
    t.text("type", &OwnColumn::type, "of its values").filled();
    t.boolean("nullable", &OwnColumn::nullable, "a value may be missing");
    return t;
  }();
  static const auto schema = [] {
    auto t = doc::Schema<T>::record("`own.json`", "a training by a trainer of one's own");
    t.of_format("heddle.own-training/1")
        .refused_as(ErrorKind::kInvalid, "own-training", "start the run again");
    t.text("file", &T::file, "the trainer's").filled();
    t.text("lock", &T::lock, "what is installed").filled();
    t.text("python", &T::python, "the interpreter").filled();
    t.text("packed", &T::packed, "a tar of the files").filled();
    t.text("rows", &T::rows, "folder of the rows").filled();
    t.integer("valid_rows", &T::valid_rows, "of validation");
    t.object("task", &T::task, spec::task_schema(), "what is predicted");
    t.objects("columns", &T::columns, column, "of the rows");
    t.value("parameters", &T::parameters, doc::Shape::kMap, "of the trainer");
    t.integer("seed", &T::seed, "of what is drawn", std::numeric_limits<std::int64_t>::min());
    t.integer("timeout_s", &T::timeout_s, "for it all", 1);
    t.integer("memory_bytes", &T::memory_bytes, "of all its processes");
    t.boolean("whole_sandbox", &T::whole_sandbox, "not without each layer");
    t.boolean("verify_files", &T::verify_files, "read each installed file");
    t.boolean("may_lack", &T::may_lack, "rows may be without an answer");
    t.boolean("quotes_rows", &T::quotes_rows, "messages may be repeated");
    t.text("directory", &T::directory, "where sandboxes are");
    t.text("hidden", &T::hidden, "what is not seen");
    return t;
  }();
  return schema;
}

}  // namespace heddle::train
