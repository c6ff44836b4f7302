#pragma once

#include <string_view>

#include "base/result.hpp"
#include "model/forest.hpp"

namespace heddle::model {

/// LightGBM's text model (`Booster.save_model`), versions 3 and 4. Splits on doubles become splits
/// on floats that send every float the same way. kInvalid: linear trees, objectives whose
/// prediction is no plain link of the raw score.
[[nodiscard]] Result<ParsedForest> parse_lightgbm(std::string_view bytes);

}  // namespace heddle::model
