#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/result.hpp"

namespace heddle::cli {

/// Files of a model of a tracking server in a temporary folder, which goes with it.
class Downloaded {
 public:
  Downloaded(std::shared_ptr<const std::filesystem::path> folder, std::string origin)
      : folder_(std::move(folder)), origin_(std::move(origin)) {}
  [[nodiscard]] const std::filesystem::path& folder() const noexcept { return *folder_; }
  [[nodiscard]] const std::string& origin() const noexcept { return origin_; }

 private:
  std::shared_ptr<const std::filesystem::path> folder_;
  std::string origin_;  ///< `version 3 of fraud at http://...`
};

/// `models:/NAME@ALIAS`, `models:/NAME/VERSION` or `models:/NAME/latest` of the MLflow server at
/// `tracking`, else at MLFLOW_TRACKING_URI; with MLFLOW_TRACKING_TOKEN as its bearer token where
/// that is set. Files that the server keeps itself (`mlflow-artifacts:`) come over HTTP; those of a
/// path of this machine are copied. Bounded as `find_model` says. Errors: kInvalid `adopt-uri`,
/// `adopt-tracking`; kNotFound `adopt-registry-unknown`; kUnavailable `adopt-registry`;
/// kUnprocessable `adopt-store`.
[[nodiscard]] Result<Downloaded> download_model(const std::string& uri,
                                                const std::string& tracking);

}  // namespace heddle::cli
