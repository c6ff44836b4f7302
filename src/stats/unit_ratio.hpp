#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace heddle::stats {

/// A factor by which values change when somebody mistakes one unit for another. Factors are exact
/// by definition (SI brochure, 9th ed., table 8; international yard and pound agreement, 1959) or
/// rounded where the unit is.
struct UnitRatio {
  double ratio;           ///< new value / old value
  std::string_view name;  ///< `miles to kilometres`
};

/// Every known ratio, in both directions.
[[nodiscard]] std::span<const UnitRatio> known_unit_ratios() noexcept;

struct RatioEstimate {
  double ratio = 1;      ///< median of value / expected
  double agreement = 0;  ///< share of the rows within `tolerance` of it, relative
  std::size_t rows = 0;
};
/// A robust factor between what came and what was expected, row by row; rows with `expected` 0 or
/// NaN do not count.
[[nodiscard]] RatioEstimate estimate_ratio(std::span<const double> values,
                                           std::span<const double> expected,
                                           double tolerance = 0.02);

/// The known ratio nearest to `ratio` in logarithm, if it is within `tolerance` relative; never the
/// ratio 1.
[[nodiscard]] std::optional<UnitRatio> name_ratio(double ratio, double tolerance = 0.01);

}  // namespace heddle::stats
