#include "spec/files.hpp"

#include <algorithm>
#include <filesystem>

#include "base/file.hpp"

namespace heddle::spec {
namespace {

class WorkTree final : public Files {
 public:
  explicit WorkTree(std::string root) : root_(std::move(root)) {}
  Result<std::string> read(const std::string& path) const override {
    return read_file(root_ + "/" + path);
  }
  Result<std::vector<std::string>> list(const std::string& folder) const override {
    namespace fs = std::filesystem;
    const std::string path = root_ + "/" + folder;
    std::error_code code;
    // A project need not have every folder.
    if (!fs::is_directory(path, code)) return std::vector<std::string>{};
    std::vector<std::string> names;
    fs::directory_iterator at(path, code);
    for (; !code && at != fs::directory_iterator(); at.increment(code))
      names.push_back(at->path().filename().string());
    // A folder that cannot be read is not an empty one: its rules would be missing.
    if (code)
      return Error{ErrorKind::kIo, "file-io-failed",
                   fmt::format("cannot read the folder `{}`: {}", folder, code.message()),
                   "see that you may read it"};
    // The order of a folder is the file system's. Sorted, a project reads the same on every
    // machine.
    std::sort(names.begin(), names.end());
    return names;
  }
  bool has_data() const override { return true; }

 private:
  std::string root_;
};

class CommitTree final : public Files {
 public:
  CommitTree(store::Git& git, std::string commit) : git_(git), commit_(std::move(commit)) {}
  Result<std::string> read(const std::string& path) const override {
    return git_.read(commit_, path);
  }
  Result<std::vector<std::string>> list(const std::string& folder) const override {
    HEDDLE_ASSIGN_OR_RETURN(const auto entries, git_.list(commit_, folder));
    std::vector<std::string> names;
    for (const auto& entry : entries) names.push_back(entry.name);
    std::sort(names.begin(), names.end());
    return names;
  }
  bool has_data() const override { return false; }

 private:
  store::Git& git_;
  std::string commit_;
};

}  // namespace

std::unique_ptr<Files> work_tree(const std::string& root) {
  return std::make_unique<WorkTree>(root);
}

std::unique_ptr<Files> commit_tree(store::Git& git, const std::string& commit) {
  return std::make_unique<CommitTree>(git, commit);
}

}  // namespace heddle::spec
