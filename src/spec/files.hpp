#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "store/store.hpp"

namespace heddle::spec {

/// Where a project's definitions are read from. Paths are relative to the project. Reading is
/// thread-safe.
class Files {
 public:
  virtual ~Files() = default;
  /// kNotFound when there is no such file.
  [[nodiscard]] virtual Result<std::string> read(const std::string& path) const = 0;
  /// Names in `folder`, sorted; empty when there is no such folder.
  [[nodiscard]] virtual Result<std::vector<std::string>> list(const std::string& folder) const = 0;
  /// Data lies beside the definitions and can be looked at. A commit has none: what `sources` name
  /// is data, and the commit counts wherever that lies.
  [[nodiscard]] virtual bool has_data() const = 0;
};

/// The files of a folder on disk.
[[nodiscard]] std::unique_ptr<Files> work_tree(const std::string& root);

/// The files of one commit, read from git's objects. `git` must outlive it.
[[nodiscard]] std::unique_ptr<Files> commit_tree(store::Git& git, const std::string& commit);

}  // namespace heddle::spec
