#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "loadgen/load.hpp"

namespace heddle::loadgen {

/// One rate of a ramp.
struct Step {
  double rate = 0;
  Outcome outcome{};
  bool holds = false;
  std::string why{};  ///< why it does not hold
};

/// Where a server stops keeping up.
struct Knee {
  double capacity = 0;  ///< answers a second of a closed loop over the same connections
  Outcome closed{};
  std::vector<Step> steps{};  ///< rising rates
  double knee = 0;  ///< the highest rate up to which every step holds; 0: not even the lowest
};

/// Whether an open-loop outcome holds its rate: at least 99 % of what was offered is served,
/// nothing failed, and the 99th percentile from the intended time is at most `p99_limit_ns`. Empty
/// when it does, else why not.
[[nodiscard]] std::string why_not_held(const Outcome& outcome, std::int64_t p99_limit_ns);

/// Measures a closed loop, then open loops at rising shares of its rate (20 % to 120 %), each for
/// the options' duration after their warm-up, until two in a row do not hold. `progress` is called
/// after each. Errors of `run`; kUnavailable when the closed loop served nothing.
[[nodiscard]] Result<Knee> find_knee(Options options, std::int64_t p99_limit_ns,
                                     const std::function<void(const Step&)>& progress = {});

}  // namespace heddle::loadgen
