#pragma once

#include <span>

#include "base/result.hpp"
#include "model/forest.hpp"

namespace heddle::model {

/// See Scorer::contributions. `depth`: of the deepest tree.
[[nodiscard]] Result<void> explain(const ParsedForest& forest, int depth,
                                   std::span<const float> row, std::span<double> out);

}  // namespace heddle::model
