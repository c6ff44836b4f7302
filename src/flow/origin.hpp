#pragma once

#include <string>
#include <vector>

#include "spec/load.hpp"
#include "store/store.hpp"

namespace heddle::flow {

/// The commit that a work tree's definitions stand on, and what of them, of their worker's files,
/// and of the data that git holds is not that commit's.
struct Origin {
  std::string commit{};                ///< of HEAD; empty when that does not hold the project
  std::vector<std::string> changes{};  ///< in words, one a file; empty: clean, if there is a commit
  [[nodiscard]] bool dirty() const noexcept { return commit.empty() || !changes.empty(); }
};

[[nodiscard]] Result<Origin> origin_of(const spec::Loaded& work, store::Git& git);

}  // namespace heddle::flow
