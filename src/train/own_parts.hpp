#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace heddle::train {

// Between the files of `own.hpp`.

inline constexpr std::string_view kFitFile = "heddle_fit.py";
/// What `write_own_rows` writes.
inline constexpr const char* kOwnRowFiles[] = {"train.parquet", "train.labels", "valid.parquet",
                                               "valid.labels"};
inline constexpr std::string_view kLockFile = "heddle_lock.py";

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

/// The tar with more files in it.
[[nodiscard]] Result<std::string> with_files(
    std::string_view tar, const std::vector<std::pair<std::string, std::string>>& more);

}  // namespace heddle::train
