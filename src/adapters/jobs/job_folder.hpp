#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/file.hpp"
#include "base/result.hpp"
#include "jobs/jobs.hpp"

namespace heddle::adapters {

/// The folder of one runner, which holds those of its jobs and goes with it. Movable.
class JobRoot {
 public:
  /// A new one below `parent`. Those of runners that are not there any more are removed.
  [[nodiscard]] static Result<JobRoot> make(const std::string& parent);
  JobRoot(JobRoot&& other) noexcept;
  ~JobRoot();

  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  JobRoot(std::string path, FileLock lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  std::string path_;
  FileLock lock_;  ///< says that its runner is there
};

/// The working folder of one job, with its inputs in it; it goes with this object. Movable. `peek`
/// may be called while the job runs.
class JobFolder {
 public:
  [[nodiscard]] static Result<JobFolder> make(const std::string& root, const jobs::Job& job,
                                              store::Objects& objects);
  JobFolder(JobFolder&& other) noexcept;
  ~JobFolder();

  [[nodiscard]] std::string path() const { return base_ + "/files"; }
  [[nodiscard]] std::string log() const { return base_ + "/log"; }
  /// Puts the program beside the folder and returns its path.
  [[nodiscard]] Result<std::string> place_program(const Digest& program, store::Objects& objects);
  [[nodiscard]] Result<std::string> peek(std::string_view output) const;
  /// What the job has left becomes objects. No link that it made is followed.
  [[nodiscard]] Result<std::map<std::string, Digest>> take(const jobs::Job& job,
                                                           store::Objects& objects) const;

 private:
  explicit JobFolder(std::string base) : base_(std::move(base)) {}
  std::string base_;
};

}  // namespace heddle::adapters
