#include "stats/value_map.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace heddle::stats {
namespace {

const std::vector<double> kMiles{733, 1721, 2475, 187, 405, 96, 1235, 868, 614, 337};

std::vector<double> mapped(double (*map)(double)) {
  std::vector<double> out;
  for (const double value : kMiles) out.push_back(map(value));
  return out;
}

TEST(AffineMap, ScalesOfTemperatureAreNamed) {
  const std::vector<double> celsius{-12, 0, 3.5, 18, 21, 30, 37.2, -40};
  std::vector<double> fahrenheit, kelvin;
  for (const double c : celsius) {
    fahrenheit.push_back(1.8 * c + 32);
    kelvin.push_back(c + 273.15);
  }
  const auto up = estimate_affine(fahrenheit, celsius);
  ASSERT_TRUE(up);
  EXPECT_EQ(up->name, "degrees Celsius to Fahrenheit");
  EXPECT_EQ(up->slope, 1.8);
  EXPECT_EQ(up->offset, 32);
  EXPECT_EQ(up->agreement, 1);
  const auto down = estimate_affine(celsius, fahrenheit);
  ASSERT_TRUE(down);
  EXPECT_EQ(down->name, "degrees Fahrenheit to Celsius");
  const auto absolute = estimate_affine(kelvin, celsius);
  ASSERT_TRUE(absolute);
  EXPECT_EQ(absolute->name, "degrees Celsius to kelvin");
}

TEST(AffineMap, AConstantThatWasAddedIsSaidAndAFactorIsNone) {
  const auto more = estimate_affine(mapped([](double v) { return v + 1; }), kMiles);
  ASSERT_TRUE(more);
  EXPECT_EQ(more->name, "1 more than expected");
  EXPECT_EQ(more->offset, 1);
  EXPECT_EQ(estimate_affine(mapped([](double v) { return v - 250; }), kMiles)->name,
            "250 less than expected");
  EXPECT_FALSE(estimate_affine(mapped([](double v) { return v * 1.609344; }), kMiles));
  EXPECT_FALSE(estimate_affine(kMiles, kMiles)) << "nothing was added";
}

TEST(AffineMap, RowsThatAreNoNumbersDoNotCount) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(estimate_affine(std::vector{nan, nan}, std::vector{1.0, 2.0}));
  EXPECT_FALSE(estimate_affine({}, {}));
  const auto map =
      estimate_affine(std::vector{nan, 3.0, 4.0, 5.0}, std::vector{1.0, 2.0, 3.0, 4.0});
  ASSERT_TRUE(map);
  EXPECT_EQ(map->rows, 3u);
  EXPECT_EQ(map->agreement, 1);
}

TEST(Rounding, TheFinestStepThatExplainsIt) {
  const auto hundreds =
      estimate_rounding(mapped([](double v) { return std::round(v / 100) * 100; }), kMiles);
  ASSERT_TRUE(hundreds);
  EXPECT_EQ(hundreds->step, 100);
  EXPECT_EQ(hundreds->agreement, 1);
  const auto cut =
      estimate_rounding(mapped([](double v) { return std::floor(v / 50) * 50; }), kMiles);
  ASSERT_TRUE(cut) << "cut off, not rounded";
  EXPECT_EQ(cut->step, 50);
}

TEST(Rounding, NeitherAFactorNorAConstantIsOne) {
  EXPECT_FALSE(estimate_rounding(kMiles, kMiles));
  EXPECT_FALSE(estimate_rounding(mapped([](double) { return 733.0; }), kMiles));
  const auto kilometres =
      estimate_rounding(mapped([](double v) { return std::round(v * 1.609344); }), kMiles);
  EXPECT_FALSE(kilometres && kilometres->agreement > 0.5);
}

}  // namespace
}  // namespace heddle::stats
