#pragma once

#include <string>
#include <vector>

#include "spec/identity.hpp"

namespace heddle::spec {

/// One feature: an expression over the contract's fields and earlier features (a dotted name is not
/// needed), or a fitted encoder.
struct Feature {
  enum class Kind { kExpression, kTargetEncoding, kFrequencyEncoding };
  std::string name;
  Kind kind = Kind::kExpression;
  Expression expression{};            ///< kExpression: numeric or bool result; null is "missing"
  std::vector<std::string> inputs{};  ///< encoders: fields or features whose combination is encoded
  double smoothing = 20;              ///< target encoding: weight of the prior, in rows
  bool hidden = false;                ///< computed for others, not given to the model
  doc::Position position{};
};

struct FeatureSet {
  Identity identity;
  std::string contract;  ///< name
  std::vector<Feature> features;
  int folds = 5;  ///< time-ordered folds of the cross-fitted encoders
};

}  // namespace heddle::spec
