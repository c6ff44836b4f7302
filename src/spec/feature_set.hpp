#pragma once

#include <string>
#include <vector>

#include "expr/datum.hpp"
#include "spec/identity.hpp"

namespace heddle::spec {

/// One feature: an expression over the contract's fields and earlier features (a dotted name is not
/// needed), a fitted encoder, or what a reference table says of a key.
struct Feature {
  enum class Kind { kExpression, kTargetEncoding, kFrequencyEncoding, kLookup };
  std::string name;
  Kind kind = Kind::kExpression;
  Expression expression{};            ///< kExpression: numeric or bool result; null is "missing"
  std::vector<std::string> inputs{};  ///< encoders: fields or features whose combination is
                                      ///< encoded; kLookup: those that make up the key
  double smoothing = 20;              ///< target encoding: weight of the prior, in rows
  bool hidden = false;                ///< computed for others, not given to the model
  doc::Position position{};
  std::string source{};                   ///< kLookup: of heddle.yaml
  std::vector<std::string> columns{};     ///< kLookup: of the source, one for each of `inputs`
  std::string value{};                    ///< kLookup: the column that is looked up
  expr::Type type = expr::Type::kDouble;  ///< kLookup: of `value`
};

struct FeatureSet {
  Identity identity;
  std::string contract;  ///< name
  std::vector<Feature> features;
  int folds = 5;  ///< time-ordered folds of the cross-fitted encoders
};

}  // namespace heddle::spec
