#pragma once

#include <memory>
#include <vector>

#include "model/scorer.hpp"

namespace heddle::model {

/// margin[k] = intercepts[k] + sum over features in order of weights[k * features + i] * x[i], in
/// double. A missing x makes it NaN.
struct LinearModel {
  int features = 0;
  int outputs = 1;
  Link link = Link::kIdentity;
  Use use{};
  std::vector<double> weights{};
  std::vector<double> intercepts{};
};

[[nodiscard]] std::unique_ptr<Scorer> make_linear(LinearModel model);

}  // namespace heddle::model
