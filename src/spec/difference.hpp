#pragma once

#include <string>
#include <vector>

#include "spec/load.hpp"

namespace heddle::spec {

/// One file of the definitions in which a work tree and a commit differ.
struct Difference {
  enum class Kind { kChanged, kOnlyInWorkTree, kOnlyInCommit };
  std::string file;
  Kind kind = Kind::kChanged;

  [[nodiscard]] std::string text()
      const;  ///< "`policies/a.yaml` is in the commit and not in the work tree"
};

/// How the definitions of a work tree differ from a commit's, compared both ways and by content:
/// the index is not asked, so a deletion counts whether it is staged, hidden by a sparse checkout,
/// or neither. Data is compared where the commit holds it as a file that a contract names.
/// kNotFound `project-not-committed` when the commit does not hold the project.
[[nodiscard]] Result<std::vector<Difference>> differences(const Loaded& work, store::Git& git,
                                                          const std::string& commit);

/// "`a` was changed, `b` is ... and 3 more", for people; empty for none.
[[nodiscard]] std::string summary(const std::vector<Difference>& differences);

}  // namespace heddle::spec
