#pragma once

namespace heddle::stats {

/// The ends of a value's split-conformal interval as floats, rounded outwards: what the interval
/// holds they still hold.
struct FloatBounds {
  float lower = 0;
  float upper = 0;
};
[[nodiscard]] FloatBounds conformal_bounds(float value, double quantile) noexcept;

}  // namespace heddle::stats
