#include "stats/conformal_bounds.hpp"

#include <cmath>
#include <limits>

#include "stats/conformal.hpp"

namespace heddle::stats {

FloatBounds conformal_bounds(float value, double quantile) noexcept {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const auto [lower, upper] = conformal_interval(value, quantile);
  FloatBounds out{static_cast<float>(lower), static_cast<float>(upper)};
  if (static_cast<double>(out.lower) > lower) out.lower = std::nextafter(out.lower, -kInfinity);
  if (static_cast<double>(out.upper) < upper) out.upper = std::nextafter(out.upper, kInfinity);
  return out;
}

}  // namespace heddle::stats
