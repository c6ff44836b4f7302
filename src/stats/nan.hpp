#pragma once

#include <limits>

namespace heddle::stats {

/// What a statistic is that cannot be computed.
inline constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

}  // namespace heddle::stats
