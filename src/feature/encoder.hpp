#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "doc/value.hpp"
#include "expr/datum.hpp"
#include "spec/feature_set.hpp"
#include "table/lookup.hpp"

namespace heddle::feature {

/// A fitted encoder over the combination of its inputs (the formulas stand at `Program`). Private to this module. Exact: two
/// combinations share a code only when every input is equal. Immutable after `finish`; reading allocates nothing.
class Encoder {
 public:
  Encoder(spec::Feature::Kind kind, double smoothing, std::vector<expr::Type> types);

  /// Fitting: `begin`, `learn` for every row, `finish`; then `cross_fitted`, until `forget_folds`.
  void begin(std::size_t folds);
  /// Counts the row and returns the code of its combination, -1 when an input is missing. `row[inputs[i]]` is input i.
  [[nodiscard]] std::int32_t learn(std::span<const expr::Datum> row, std::span<const std::size_t> inputs, std::size_t fold, std::uint8_t label,
                                   std::vector<std::int64_t>& key);
  void finish();
  /// The value of a combination from every fold but one; the prior is theirs, too.
  [[nodiscard]] expr::Datum cross_fitted(std::int32_t code, std::size_t fold) const noexcept;
  void forget_folds();

  /// The value of a row; null when an input is missing or nothing was fitted.
  [[nodiscard]] expr::Datum value(std::span<const expr::Datum> row, std::span<const std::size_t> inputs, std::vector<std::int64_t>& key) const noexcept;

  [[nodiscard]] doc::Value to_value() const;
  [[nodiscard]] Result<void> load(const doc::Value& value);

 private:
  struct Counts {
    std::int64_t rows = 0;
    std::int64_t positive = 0;
  };
  [[nodiscard]] double encode(Counts of, Counts all) const noexcept;

  spec::Feature::Kind kind_;
  double smoothing_;
  std::vector<expr::Type> types_;
  std::vector<table::StringIndex> strings_;  ///< one an input; used by string inputs
  table::TupleIndex tuples_;
  std::vector<Counts> counts_;               ///< one a combination
  Counts all_;
  std::vector<double> values_;               ///< one a combination
  double unseen_ = 0;
  bool fitted_ = false;
  std::vector<std::vector<Counts>> fold_counts_;  ///< by fold, then combination
  std::vector<Counts> fold_all_;
};

}  // namespace heddle::feature
