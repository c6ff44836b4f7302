#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "runtime/once.hpp"

namespace heddle::train {

// Between the files of `own.hpp`.

inline constexpr std::string_view kFitFile = "heddle_fit.py";
/// What `write_own_rows` writes.
inline constexpr const char* kOwnRowFiles[] = {"train.parquet", "train.labels", "valid.parquet",
                                               "valid.labels"};
inline constexpr std::string_view kLockFile = "heddle_lock.py";
inline constexpr std::string_view kSignatureFile = "heddle_signature.py";

/// A folder that goes with it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] Result<void> check() const;

 private:
  std::string path_;
};

/// A program of the helper's, as it is started in the sandbox.
[[nodiscard]] runtime::Once in_sandbox(const std::string& python, std::string_view program);
/// A missing interpreter is the definition's matter, not a worker's.
[[nodiscard]] Error without_python(const std::string& python, const Error& error);

/// The tar with more files in it.
[[nodiscard]] Result<std::string> with_files(
    std::string_view tar, const std::vector<std::pair<std::string, std::string>>& more);

}  // namespace heddle::train
