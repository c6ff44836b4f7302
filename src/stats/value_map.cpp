#include "stats/value_map.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <vector>

namespace heddle::stats {
namespace {

/// Rows that show a map have to outnumber those that do not: what fewer show is not what happened.
constexpr double kMost = 0.5;

struct Scale {
  double slope;
  double offset;
  std::string_view name;
};

constexpr std::array kScales = {
    Scale{1.8, 32, "degrees Celsius to Fahrenheit"},
    Scale{1 / 1.8, -32 / 1.8, "degrees Fahrenheit to Celsius"},
    Scale{1, 273.15, "degrees Celsius to kelvin"},
    Scale{1, -273.15, "kelvin to degrees Celsius"},
    Scale{1.8, -459.67, "kelvin to degrees Fahrenheit"},
    Scale{1 / 1.8, 459.67 / 1.8, "degrees Fahrenheit to kelvin"},
};

/// Pairs of finite numbers.
std::size_t finite(std::span<const double> values, std::span<const double> expected) {
  std::size_t rows = 0;
  for (std::size_t i = 0; i < values.size(); ++i)
    rows += std::isfinite(values[i]) && std::isfinite(expected[i]) ? 1 : 0;
  return rows;
}

double agreement(const AffineMap& map, std::span<const double> values,
                 std::span<const double> expected, double tolerance) {
  std::size_t near = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double off = std::abs(map.slope * expected[i] + map.offset - values[i]);
    near += off <= tolerance * std::max(1.0, std::abs(expected[i])) ? 1 : 0;
  }
  return static_cast<double>(near) / static_cast<double>(map.rows);
}

/// The constant that was added, by the median row.
double offset_of(std::span<const double> values, std::span<const double> expected) {
  std::vector<double> differences;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i]) && std::isfinite(expected[i]))
      differences.push_back(values[i] - expected[i]);
  }
  const auto middle = differences.begin() + static_cast<std::ptrdiff_t>(differences.size() / 2);
  std::nth_element(differences.begin(), middle, differences.end());
  return *middle;
}

/// Whether `value` is `expected` on a grid: the nearest multiple of `step`, or the one below.
bool is_on_grid(double value, double expected, double step) {
  const double near = step * 1e-6;
  return std::abs(std::round(expected / step) * step - value) <= near ||
         std::abs(std::floor(expected / step) * step - value) <= near;
}

}  // namespace

std::optional<AffineMap> estimate_affine(std::span<const double> values,
                                         std::span<const double> expected, double tolerance) {
  AffineMap best;
  best.rows = finite(values, expected);
  if (best.rows == 0) return std::nullopt;
  const auto consider = [&](double slope, double offset, std::string name) {
    AffineMap map{slope, offset, 0, best.rows, std::move(name)};
    map.agreement = agreement(map, values, expected, tolerance);
    if (map.agreement > best.agreement) best = std::move(map);
  };
  for (const Scale& scale : kScales) consider(scale.slope, scale.offset, std::string(scale.name));
  const double offset = offset_of(values, expected);
  // Rows that are as expected say of no map.
  if (offset != 0) {
    consider(
        1, offset,
        fmt::format("{:.6g} {} than expected", std::abs(offset), offset > 0 ? "more" : "less"));
  }
  if (best.agreement < kMost) return std::nullopt;
  return best;
}

std::optional<Rounding> estimate_rounding(std::span<const double> values,
                                          std::span<const double> expected) {
  Rounding out;
  out.rows = finite(values, expected);
  if (out.rows == 0) return std::nullopt;
  for (int power = -2; power <= 6; ++power) {
    for (const double digit : {1.0, 2.0, 5.0}) {
      const double step = digit * std::pow(10.0, power);
      std::size_t on = 0;
      for (std::size_t i = 0; i < values.size(); ++i) {
        // What was on the grid already was not changed by it.
        on += is_on_grid(values[i], expected[i], step) && values[i] != expected[i] ? 1 : 0;
      }
      const double share = static_cast<double>(on) / static_cast<double>(out.rows);
      // Of two steps that explain as much, the finer one was used.
      if (share > out.agreement + 0.05) {
        out.agreement = share;
        out.step = step;
      }
    }
  }
  if (out.agreement < kMost) return std::nullopt;
  return out;
}

}  // namespace heddle::stats
