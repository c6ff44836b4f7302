#pragma once

#include <cstdint>
#include <random>

namespace heddle::loadgen {

enum class Arrival : std::uint8_t { kConstant, kPoisson };

/// When requests are meant to leave: at a constant distance, or as a Poisson process (exponential
/// distances by inversion). Fixed by rate and seed before the first answer is seen, so that a slow
/// server cannot thin out the requests that would have met its slowness (coordinated omission). A
/// value type.
class Schedule {
 public:
  /// `rate` requests a second, above 0.
  Schedule(double rate, Arrival arrival, std::uint64_t seed);
  /// ns from the start of the next request; never falls. The first of a constant schedule is at 0.
  [[nodiscard]] std::int64_t next();

 private:
  double rate_;
  Arrival arrival_;
  std::mt19937_64 random_;
  double at_ns_ = 0;         ///< of Poisson
  std::uint64_t count_ = 0;  ///< of constant: by multiplication, so that rounding does not add up
};

}  // namespace heddle::loadgen
