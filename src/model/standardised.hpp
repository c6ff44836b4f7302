#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "model/scorer.hpp"

namespace heddle::model {

/// The numbers of a `heddle.linear/1` model over standardised inputs; vectors hold one entry a
/// feature. margin k = intercepts[k] + sum over features in order of weights[k * features + i] *
/// ((x - mean) / scale), in double, then rounded to float; a missing x is `missing`. The link is
/// kLogistic (one output, log odds), kSoftmax (one output a class) or kIdentity (one output).
struct StandardisedLinear {
  Link link = Link::kLogistic;
  std::vector<std::string> features{};  ///< names; may be empty
  std::vector<double> mean{};
  std::vector<double> scale{};  ///< above 0
  std::vector<double> missing{};
  std::vector<double> weights{};  ///< outputs x features
  std::vector<double> intercepts{};
};

/// One line of JSON; the same numbers give the same bytes.
[[nodiscard]] std::string to_json(const StandardisedLinear& model);
/// kCorrupt when lengths differ, a number is not finite or a scale not positive.
[[nodiscard]] Result<std::unique_ptr<Scorer>> load_standardised(std::string_view bytes);

}  // namespace heddle::model
