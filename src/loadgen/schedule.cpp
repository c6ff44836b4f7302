#include "loadgen/schedule.hpp"

#include <cmath>

namespace heddle::loadgen {

Schedule::Schedule(double rate, Arrival arrival, std::uint64_t seed)
    : rate_(rate), arrival_(arrival), random_(seed) {}

std::int64_t Schedule::next() {
  if (arrival_ == Arrival::kConstant)
    // From the count each time: intervals that were rounded would add up to another rate.
    return static_cast<std::int64_t>(static_cast<double>(count_++) * 1e9 / rate_);
  // A uniform number in (0, 1] of the generator's 53 highest bits: the standard's distributions
  // differ between libraries.
  const double uniform = (static_cast<double>(random_() >> 11) + 1) / 9007199254740992.0;
  at_ns_ -= std::log(uniform) * 1e9 / rate_;
  return static_cast<std::int64_t>(at_ns_);
}

}  // namespace heddle::loadgen
