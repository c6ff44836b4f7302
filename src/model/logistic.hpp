#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "model/scorer.hpp"

namespace heddle::model {

/// The numbers of a `heddle.logistic/1` model; vectors hold one entry a feature. margin = intercept
/// + sum over features in order of weight * ((x - mean) / scale), in double, then rounded to float;
/// a missing x is `missing`.
struct LogisticWeights {
  std::vector<std::string> features{};  ///< names; may be empty
  std::vector<double> mean{};
  std::vector<double> scale{};  ///< above 0
  std::vector<double> missing{};
  std::vector<double> weights{};
  double intercept = 0;
};

/// One line of JSON; the same weights give the same bytes.
[[nodiscard]] std::string to_json(const LogisticWeights& weights);
/// kCorrupt when lengths differ, a number is not finite or a scale not positive.
[[nodiscard]] Result<std::unique_ptr<Scorer>> load_logistic(std::string_view bytes);

}  // namespace heddle::model
