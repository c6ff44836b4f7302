#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

namespace heddle::stats {

/// value = slope * expected + offset, as several rows show it.
struct AffineMap {
  double slope = 1;
  double offset = 0;
  double agreement = 0;  ///< share of the rows that lie on it
  std::size_t rows = 0;
  std::string name{};  ///< `degrees Celsius to Fahrenheit`, `1 more than expected`
};

/// The map with an offset that most rows lie on: one between scales of temperature (exact by
/// definition: SI brochure, 9th ed., 2.3.1; NIST SP 811, B.8), or a constant that was added. Its
/// offset is never 0. nullopt: rows lie on none, or there are none. `tolerance` is relative to the
/// expected value, 1 at least. Spans of one length.
[[nodiscard]] std::optional<AffineMap> estimate_affine(std::span<const double> values,
                                                       std::span<const double> expected,
                                                       double tolerance = 1e-3);

/// Values that are the expected ones rounded, or cut off, to multiples of `step`.
struct Rounding {
  double step = 1;
  double agreement = 0;  ///< share of the rows
  std::size_t rows = 0;
};

/// The smallest step of 1, 2 and 5 times powers of ten (.01 to a million) that most rows show;
/// nullopt: none. Spans of one length.
[[nodiscard]] std::optional<Rounding> estimate_rounding(std::span<const double> values,
                                                        std::span<const double> expected);

}  // namespace heddle::stats
