#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "spec/model.hpp"

namespace heddle::train {

/// The Tree-structured Parzen Estimator (Bergstra et al. 2011, section 4) with the numbers of
/// Optuna's independent sampler: 24 candidates a dimension, gamma = min(ceil(n / 10), 25), one
/// prior kernel over the whole range, magic clip of the kernel widths, older trials beyond 25 weigh
/// less. Pure: a proposal depends on space, seed, number and history only, and its arithmetic is
/// that of stats, so that the same search gives the same trials on any machine. Thread-safe.
class Tpe {
 public:
  /// A finished trial; a search hands them in the order of their numbers.
  struct Observation {
    std::vector<double> values;  ///< one a dimension
    double loss;                 ///< finite
  };

  /// `startup`: random proposals as long as the history is shorter. kInvalid for a range without
  /// width or below 0 on a log scale.
  [[nodiscard]] static Result<Tpe> open(std::vector<spec::SearchDimension> space, std::int64_t seed,
                                        int startup);

  [[nodiscard]] std::vector<double> propose(int number, std::span<const Observation> history) const;
  /// A value as a trainer takes it: integers without a point, the rest with at most six digits.
  [[nodiscard]] std::string text(std::size_t dimension, double value) const;

 private:
  Tpe(std::vector<spec::SearchDimension> space, std::int64_t seed, int startup)
      : space_(std::move(space)), seed_(seed), startup_(startup) {}

  std::vector<spec::SearchDimension> space_;
  std::int64_t seed_;
  int startup_;
};

}  // namespace heddle::train
