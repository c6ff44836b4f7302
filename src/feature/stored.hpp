#pragma once

#include <cstdint>
#include <vector>

#include "doc/schema.hpp"
#include "spec/contract.hpp"
#include "spec/feature_set.hpp"

namespace heddle::feature {

/// A feature program as it is stored: its definition, and what its encoders learned.
struct StoredProgram {
  spec::FeatureSet set{};  ///< name, contract, folds, features
  std::vector<spec::Field> fields{};
  std::int64_t rows = 0;
  double sum = 0;
  /// One for each distinct list of inputs: lists of the inputs' values, rows, sum.
  doc::Value combinations = doc::Value::array();
  /// One for each lookup, in the order of the features: lists of the key's values and the value.
  doc::Value lookups = doc::Value::array();
};

/// `heddle.features/2`: docs/formats/features.md. kCorrupt `feature-malformed`.
[[nodiscard]] const doc::Schema<StoredProgram>& program_schema();

}  // namespace heddle::feature
