#include "stats/unit_ratio.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "stats/scalar.hpp"

namespace heddle::stats {

std::span<const UnitRatio> known_unit_ratios() noexcept {
  static constexpr std::array kRatios{
      UnitRatio{1.609344, "miles to kilometres"},
      UnitRatio{1 / 1.609344, "kilometres to miles"},
      UnitRatio{1.852, "nautical miles to kilometres"},
      UnitRatio{1 / 1.852, "kilometres to nautical miles"},
      UnitRatio{1.852 / 1.609344, "nautical miles to miles"},
      UnitRatio{1.609344 / 1.852, "miles to nautical miles"},
      UnitRatio{0.3048, "feet to metres"},
      UnitRatio{1 / 0.3048, "metres to feet"},
      UnitRatio{0.9144, "yards to metres"},
      UnitRatio{1 / 0.9144, "metres to yards"},
      UnitRatio{2.54, "inches to centimetres"},
      UnitRatio{1 / 2.54, "centimetres to inches"},
      UnitRatio{0.45359237, "pounds to kilograms"},
      UnitRatio{1 / 0.45359237, "kilograms to pounds"},
      UnitRatio{3.785411784, "US gallons to litres"},
      UnitRatio{1 / 3.785411784, "litres to US gallons"},
      UnitRatio{3.6, "metres per second to kilometres per hour"},
      UnitRatio{1 / 3.6, "kilometres per hour to metres per second"},
      UnitRatio{12, "feet to inches"},
      UnitRatio{1.0 / 12, "inches to feet"},
      UnitRatio{24, "days to hours"},
      UnitRatio{1.0 / 24, "hours to days"},
      UnitRatio{60, "minutes to seconds"},
      UnitRatio{1.0 / 60, "seconds to minutes"},
      UnitRatio{3600, "hours to seconds"},
      UnitRatio{1.0 / 3600, "seconds to hours"},
      UnitRatio{1609.344, "miles to metres"},
      UnitRatio{1 / 1609.344, "metres to miles"},
      UnitRatio{5280, "miles to feet"},
      UnitRatio{1.0 / 5280, "feet to miles"},
      UnitRatio{3, "yards to feet"},
      UnitRatio{1.0 / 3, "feet to yards"},
      UnitRatio{30.48, "feet to centimetres"},
      UnitRatio{1 / 30.48, "centimetres to feet"},
      UnitRatio{25.4, "inches to millimetres"},
      UnitRatio{1 / 25.4, "millimetres to inches"},
      UnitRatio{453.59237, "pounds to grams"},
      UnitRatio{1 / 453.59237, "grams to pounds"},
      UnitRatio{28.349523125, "ounces to grams"},
      UnitRatio{1 / 28.349523125, "grams to ounces"},
      UnitRatio{16, "pounds to ounces"},
      UnitRatio{1.0 / 16, "ounces to pounds"},
      UnitRatio{1440, "days to minutes"},
      UnitRatio{1.0 / 1440, "minutes to days"},
      UnitRatio{86400, "days to seconds"},
      UnitRatio{1.0 / 86400, "seconds to days"},
      UnitRatio{10, "times ten"},
      UnitRatio{0.1, "a tenth"},
      UnitRatio{100, "a share to percent, metres to centimetres"},
      UnitRatio{0.01, "percent to a share, centimetres to metres"},
      UnitRatio{1000, "kilo to one"},
      UnitRatio{0.001, "one to kilo"},
      UnitRatio{1e6, "mega to one"},
      UnitRatio{1e-6, "one to mega"},
      UnitRatio{-1, "sign turned"},
  };
  return kRatios;
}

RatioEstimate estimate_ratio(std::span<const double> values, std::span<const double> expected,
                             double tolerance) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (expected[i] != 0 && std::isfinite(expected[i]) && std::isfinite(values[i]))
      ratios.push_back(values[i] / expected[i]);
  }
  RatioEstimate out;
  out.rows = ratios.size();
  if (ratios.empty()) return out;
  const auto middle = ratios.begin() + static_cast<std::ptrdiff_t>(ratios.size() / 2);
  std::nth_element(ratios.begin(), middle, ratios.end());
  out.ratio = *middle;
  const auto near = std::count_if(ratios.begin(), ratios.end(), [&](double r) {
    return std::abs(r - out.ratio) <= tolerance * std::abs(out.ratio);
  });
  out.agreement = static_cast<double>(near) / static_cast<double>(ratios.size());
  return out;
}

std::optional<UnitRatio> name_ratio(double ratio, double tolerance) {
  std::optional<UnitRatio> best;
  double distance = log1p(tolerance);
  for (const UnitRatio& known : known_unit_ratios()) {
    if (ratio / known.ratio <= 0) continue;
    const double d = std::abs(log(ratio / known.ratio));
    if (d <= distance) {
      distance = d;
      best = known;
    }
  }
  return best;
}

}  // namespace heddle::stats
