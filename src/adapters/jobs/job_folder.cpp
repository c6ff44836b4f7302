#include "adapters/jobs/job_folder.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>

namespace heddle::adapters {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "runner-";
constexpr int kTries = 10;

Error job_error(std::string_view what, const std::string& path, const std::error_code& why) {
  return Error{ErrorKind::kIo, "job-folder",
               fmt::format("cannot {} `{}`: {}", what, path, why.message()),
               "check the disk and its permissions"};
}

/// A folder below `parent` that nobody else has.
Result<std::string> own_folder(const std::string& parent, std::string_view prefix) {
  std::string path = fmt::format("{}/{}XXXXXX", parent, prefix);
  if (::mkdtemp(path.data()) != nullptr) return path;
  return job_error("make", path, {errno, std::generic_category()});
}

void remove(const std::string& path) {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

/// A killed runner leaves its folder, and no lock on it.
void sweep(const std::string& parent) {
  for (const auto& name : list_dir(parent)) {
    if (!name.starts_with(kPrefix)) continue;
    const std::string path = parent + "/" + name;
    // Held until it is gone: whoever made it meanwhile makes another one.
    if (const auto lock = FileLock::acquire(path + "/lock"); lock.ok()) remove(path);
  }
}

/// Every file below `folder`, by its path from `from`; links are none.
Result<std::vector<std::string>> files_below(const std::string& folder, const std::string& from) {
  std::vector<std::string> files;
  std::error_code failed;
  fs::recursive_directory_iterator at(folder, failed), end;
  for (; !failed && at != end; at.increment(failed)) {
    if (at->symlink_status(failed).type() == fs::file_type::regular)
      files.push_back(at->path().lexically_relative(from).generic_string());
  }
  // A folder that the job did not make holds nothing.
  if (failed && failed != std::errc::no_such_file_or_directory)
    return job_error("read", folder, failed);
  return files;
}

/// Whether a file stands there and no part of its path below `folder` is a link: a job must not
/// have a file of this machine's taken for its output.
bool is_own_file(const std::string& folder, const std::string& path) {
  std::string at = folder;
  std::error_code ignored;
  const fs::path parts(path);
  if (parts.empty() || parts.is_absolute()) return false;
  for (auto part = parts.begin(); part != parts.end(); ++part) {
    if (*part == "..") return false;
    at += "/" + part->string();
    const auto type = fs::symlink_status(at, ignored).type();
    const bool is_last = std::next(part) == parts.end();
    if (type != (is_last ? fs::file_type::regular : fs::file_type::directory)) return false;
  }
  return true;
}

}  // namespace

Result<JobRoot> JobRoot::make(const std::string& parent) {
  HEDDLE_TRY(make_dirs(parent));
  sweep(parent);
  for (int tries = 0;; ++tries) {
    HEDDLE_ASSIGN_OR_RETURN(auto path, own_folder(parent, kPrefix));
    auto lock = FileLock::acquire(path + "/lock");
    if (lock.ok()) return JobRoot(std::move(path), std::move(*lock));
    // Another one has swept it away before it was locked.
    if (tries == kTries) return lock.error();
  }
}

JobRoot::JobRoot(JobRoot&& other) noexcept
    : path_(std::exchange(other.path_, {})), lock_(std::move(other.lock_)) {}
JobRoot::~JobRoot() {
  if (!path_.empty()) remove(path_);
}

Result<JobFolder> JobFolder::make(const std::string& root, const jobs::Job& job,
                                  store::Objects& objects) {
  HEDDLE_ASSIGN_OR_RETURN(auto base, own_folder(root, ""));
  JobFolder folder(std::move(base));
  HEDDLE_TRY(make_dirs(folder.path()));
  for (const auto& [path, digest] : job.inputs) {
    const std::string to = folder.path() + "/" + path;
    HEDDLE_TRY(make_dirs(fs::path(to).parent_path().string()));
    HEDDLE_TRY(objects.place(digest, to));
  }
  // A job need not make the folders of its outputs.
  for (const std::string& path : job.outputs)
    HEDDLE_TRY(make_dirs(fs::path(folder.path() + "/" + path).parent_path().string()));
  return folder;
}

JobFolder::JobFolder(JobFolder&& other) noexcept : base_(std::exchange(other.base_, {})) {}
JobFolder::~JobFolder() {
  if (!base_.empty()) remove(base_);
}

Result<std::string> JobFolder::place_program(const Digest& program, store::Objects& objects) {
  const std::string path = base_ + "/program";
  HEDDLE_TRY(objects.place(program, path));
  if (::chmod(path.c_str(), 0500) == 0) return path;
  return job_error("make executable", path, {errno, std::generic_category()});
}

Result<std::string> JobFolder::peek(std::string_view output) const {
  if (output == jobs::kLog) return read_file(log());
  const std::string path(output);
  if (is_own_file(this->path(), path)) return read_file(this->path() + "/" + path);
  return Error{ErrorKind::kNotFound, "job-output", fmt::format("`{}` is not there yet", path),
               "ask again while the job runs"};
}

Result<std::map<std::string, Digest>> JobFolder::take(const jobs::Job& job,
                                                      store::Objects& objects) const {
  std::map<std::string, Digest> taken;
  HEDDLE_ASSIGN_OR_RETURN(taken[std::string(jobs::kLog)], objects.add_file(log()));
  for (const std::string& output : job.outputs) {
    std::vector<std::string> files{output};
    if (output.ends_with('/')) {
      HEDDLE_ASSIGN_OR_RETURN(files, files_below(path() + "/" + output, path()));
    }
    for (const std::string& file : files) {
      // An input is in the store already, and a link is no output.
      if (job.inputs.contains(file) || !is_own_file(path(), file)) continue;
      HEDDLE_ASSIGN_OR_RETURN(taken[file], objects.add_file(path() + "/" + file));
    }
  }
  return taken;
}

}  // namespace heddle::adapters
