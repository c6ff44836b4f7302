#include "stats/binning.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <unordered_map>
#include <vector>

#include "stats/unit_ratio.hpp"

namespace heddle::stats {
namespace {

Histogram fill(const Binning& binning, const std::vector<double>& values) {
  Histogram h(binning.size());
  for (const double v : values) h.add(binning.bin(v));
  return h;
}

std::vector<double> normal(unsigned seed, int n, double mean) {
  std::mt19937 random(seed);
  std::normal_distribution<double> draw(mean, 1);
  std::vector<double> out;
  for (int i = 0; i < n; ++i) out.push_back(draw(random));
  return out;
}

TEST(Binning, OneOutlierNeitherHidesNorFakesAShift) {
  const auto reference = normal(1, 10000, 0);
  const Binning binning = Binning::numbers(reference);
  const Histogram ref = fill(binning, reference);
  auto same = normal(2, 10000, 0);
  auto shifted = normal(3, 10000, 0.5);
  same.push_back(1e12);
  shifted.push_back(1e12);
  EXPECT_LT(kolmogorov_smirnov(ref, fill(binning, same)), 0.03);
  // sup |Phi(x) - Phi(x - .5)| = 2 Phi(.25) - 1 = .1974
  EXPECT_NEAR(kolmogorov_smirnov(ref, fill(binning, shifted)), 0.1974, 0.02);
}

TEST(Binning, APointIsABinOfItsOwnAndSoIsEachGap) {
  const Binning b = Binning::from_points({1, 2, 5});
  EXPECT_EQ(b.size(), 8U);
  EXPECT_EQ(b.bin(NAN), Binning::kMissing);
  EXPECT_EQ(b.bin(-INFINITY), 1U);
  EXPECT_EQ(b.bin(1), 2U);
  EXPECT_EQ(b.bin(1.5), 3U);
  EXPECT_EQ(b.bin(2), 4U);
  EXPECT_EQ(b.bin(4.999), 5U);
  EXPECT_EQ(b.bin(5), 6U);
  EXPECT_EQ(b.bin(INFINITY), 7U);
}

TEST(Binning, PointsAreDistinctValuesOrQuantilesWithBothEnds) {
  EXPECT_EQ(Binning::numbers(std::vector<double>(100, 3.0)).points(), (std::vector<double>{3}));
  EXPECT_EQ(Binning::numbers(std::vector<double>{0.0, -0.0, NAN, INFINITY, -INFINITY}).points(),
            (std::vector<double>{-INFINITY, 0, INFINITY}));
  EXPECT_FALSE(std::signbit(
      Binning::numbers(std::vector<double>{-0.0}).points().at(0)));  // one value, one spelling
  EXPECT_TRUE(Binning::numbers(std::vector<double>{NAN}).points().empty());
  std::vector<double> values;
  for (int i = 0; i < 1000; ++i) values.push_back(i);
  const Binning many = Binning::numbers(values);
  EXPECT_EQ(many.points().size(), 65U);
  EXPECT_EQ(many.points().front(), 0);
  EXPECT_EQ(many.points().back(), 999);
}

TEST(Binning, CategoriesAndHours) {
  const Binning b = Binning::categories(top_categories({{"a", 5}, {"b", 7}, {"c", 5}}, 2));
  EXPECT_EQ(b.names(), (std::vector<std::string>{"b", "a"}));
  EXPECT_EQ(b.size(), 4U);
  EXPECT_EQ(b.bin("a"), 2U);
  EXPECT_EQ(b.bin("zzz"), 3U);
  EXPECT_EQ(Binning::hour_of_day().size(), 25U);
  EXPECT_EQ(Binning::hour_of_day().bin_time(-1), 24U);
  EXPECT_EQ(Binning::hour_of_day().bin_time(5LL * 3'600'000'000), 6U);
}

// Samples as src/stats/testdata/make_distances.py draws them, which has their distances from SciPy.
class Draw {
 public:
  explicit Draw(std::uint64_t seed) : state_(seed) {}

  std::vector<double> sample(const std::string& family, std::int64_t a, std::int64_t b, int rows,
                             std::uint64_t missing) {
    std::vector<double> out;
    for (int i = 0; i < rows; ++i) out.push_back(below(100) < missing ? NAN : draw(family, a, b));
    return out;
  }

 private:
  std::uint64_t below(std::uint64_t n) {  // splitmix64
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return (z ^ (z >> 31)) % n;
  }
  std::int64_t integer(std::int64_t n) {
    return static_cast<std::int64_t>(below(static_cast<std::uint64_t>(n)));
  }
  bool percent(std::int64_t share) { return integer(100) < share; }
  double draw(const std::string& family, std::int64_t a, std::int64_t b) {
    const auto low = static_cast<double>(a);
    const auto width = static_cast<double>(b);
    if (family == "constant") return low;
    if (family == "integers") return static_cast<double>(a + integer(b));
    if (family == "atom") return percent(a) ? 0 : static_cast<double>(1 + integer(b));
    if (family == "uniform") return low + static_cast<double>(below(1 << 20)) / 1048576 * width;
    if (family == "zeros") return percent(a) ? 1 : below(2) != 0 ? -0.0 : 0.0;
    if (family == "times") return static_cast<double>((a * 86400 + integer(b * 86400)) * 1'000'000);
    if (family == "boolean") return percent(a) ? 1 : 0;
    if (family == "spread") {
      const double sign = below(2) != 0 ? -1 : 1;
      return sign * std::ldexp(1, static_cast<int>(a - b + integer(2 * b + 1)));
    }
    if (family == "infinite") {
      const std::int64_t u = integer(100);
      if (u < a + b) return u < a ? -INFINITY : INFINITY;
      return static_cast<double>(below(1000)) / 8;
    }
    EXPECT_EQ(family, "humps");
    const double hump = below(2) != 0 ? low : -low;
    return hump + static_cast<double>(below(1 << 16)) / 65536 * width;
  }

  std::uint64_t state_;
};

TEST(Distances, AreSciPysUpToTheBoundThatIsStated) {
  std::ifstream file("src/stats/testdata/distances.tsv");
  std::string line;
  int cases = 0;
  while (std::getline(file, line)) {
    if (line.starts_with('#')) continue;
    SCOPED_TRACE(line);
    std::istringstream in(line);
    struct Side {
      std::string family;
      std::int64_t a = 0, b = 0;
      int rows = 0;
      std::uint64_t missing = 0;
    };
    Side x, y;
    std::uint64_t seed = 0;
    double ks = 0, variation = 0;
    for (Side* side : {&x, &y})
      in >> side->family >> side->a >> side->b >> side->rows >> side->missing;
    in >> seed >> ks >> variation;
    ASSERT_FALSE(in.fail());
    ++cases;
    const auto reference = Draw(seed).sample(x.family, x.a, x.b, x.rows, x.missing);
    const auto current = Draw(1000 + seed).sample(y.family, y.a, y.b, y.rows, y.missing);

    const Binning numbers = Binning::numbers(reference);
    const Histogram ref = fill(numbers, reference);
    const Histogram cur = fill(numbers, current);
    EXPECT_LE(ref.counts().size(), 132U);
    // Exact where every distinct value is a point; never above, and less than the heaviest gap
    // below.
    std::int64_t heaviest = 0;
    for (std::size_t gap = 1; gap < ref.counts().size(); gap += 2)
      heaviest = std::max(heaviest, ref.counts()[gap]);
    const double bound = static_cast<double>(heaviest) / static_cast<double>(ref.total());
    EXPECT_LT(bound, 1.0 / 64);
    EXPECT_LE(kolmogorov_smirnov(ref, cur), ks + 1e-12);
    EXPECT_GE(kolmogorov_smirnov(ref, cur), ks - bound - 1e-12);

    std::unordered_map<std::string, std::int64_t> counts;
    const auto name = [](double v) { return std::to_string(v == 0 ? 0.0 : v); };
    for (const double v : reference) {
      if (!std::isnan(v)) ++counts[name(v)];
    }
    const Binning categories = Binning::categories(top_categories(counts, 50));
    Histogram a(categories.size());
    Histogram b(categories.size());
    for (const double v : reference)
      a.add(std::isnan(v) ? Binning::kMissing : categories.bin(name(v)));
    for (const double v : current)
      b.add(std::isnan(v) ? Binning::kMissing : categories.bin(name(v)));
    const auto rest = [](const Histogram& h) {
      return static_cast<double>(h.counts().back()) / static_cast<double>(h.total());
    };
    EXPECT_LE(total_variation(a, b), variation + 1e-9);
    EXPECT_GE(total_variation(a, b), variation - std::min(rest(a), rest(b)) - 1e-9);
  }
  EXPECT_EQ(cases, 46);
}

TEST(Histogram, MergeCommutes) {
  Histogram a(std::vector<std::int64_t>{1, 2, 3});
  Histogram b(std::vector<std::int64_t>{4, 0, 1});
  Histogram ab = a;
  ab.merge(b);
  Histogram ba = b;
  ba.merge(a);
  EXPECT_EQ(ab, ba);
  EXPECT_EQ(ab.total(), 11);
}

TEST(Histogram, DistancesByHand) {
  const Histogram a(std::vector<std::int64_t>{5, 5, 0});
  const Histogram b(std::vector<std::int64_t>{0, 5, 5});
  EXPECT_DOUBLE_EQ(total_variation(a, b), 0.5);
  EXPECT_DOUBLE_EQ(kolmogorov_smirnov(a, b), 0.5);
  EXPECT_EQ(total_variation(a, Histogram(3)), 0);
}

TEST(LagFit, FindsEveryLagAndLeavesOtherChangesAlone) {
  std::vector<std::int64_t> hours(24);
  for (int i = 0; i < 24; ++i)
    hours[static_cast<std::size_t>(i)] = 10 + (i > 5 ? 40 * (24 - i) : i);
  const Histogram reference(hours);
  for (int lag = -11; lag <= 12; ++lag) {
    Histogram current(24);
    for (int i = 0; i < 24; ++i) {
      current.add(static_cast<std::size_t>((i + lag + 24) % 24),
                  hours[static_cast<std::size_t>(i)]);
    }
    const LagFit fit = explain_by_lag(reference, current);
    EXPECT_EQ(fit.lag, lag);
    EXPECT_EQ(fit.residual, 0);
  }
  auto half = hours;
  for (int i = 6; i < 15; ++i)
    half[static_cast<std::size_t>(i)] /= 8;  // mornings gone: no lag explains that
  EXPECT_GT(explain_by_lag(reference, Histogram(half)).residual, 0.1);
}

TEST(UnitRatio, NamesMilesToKilometresThroughRounding) {
  std::vector<double> expected, values;
  std::mt19937 random(5);
  for (int i = 0; i < 200; ++i) {
    expected.push_back(80 + random() % 2500);
    values.push_back(std::round(expected.back() * 1.609344));
  }
  const RatioEstimate fit = estimate_ratio(values, expected);
  EXPECT_NEAR(fit.ratio, 1.609344, 1e-3);
  EXPECT_EQ(fit.agreement, 1);
  EXPECT_EQ(name_ratio(fit.ratio)->name, "miles to kilometres");
}

TEST(UnitRatio, NoNameForNoChangeOrForNoise) {
  EXPECT_FALSE(name_ratio(1.0).has_value());
  EXPECT_FALSE(name_ratio(1.3).has_value());
  EXPECT_FALSE(name_ratio(0).has_value());
}

TEST(UnitRatio, UnitsOfOneKindAreNamedInBothDirections) {
  EXPECT_EQ(name_ratio(1609.344)->name, "miles to metres");
  EXPECT_EQ(name_ratio(1 / 1609.344)->name, "metres to miles");
  EXPECT_EQ(name_ratio(5280)->name, "miles to feet");
  EXPECT_EQ(name_ratio(453.6)->name, "pounds to grams");
  EXPECT_EQ(name_ratio(86400)->name, "days to seconds");
  EXPECT_EQ(name_ratio(25.4)->name, "inches to millimetres");
}

TEST(UnitRatio, EachKnownRatioHasItsInverse) {
  for (const UnitRatio& known : known_unit_ratios())
    EXPECT_TRUE(name_ratio(1 / known.ratio, 1e-9).has_value()) << known.name;
}

}  // namespace
}  // namespace heddle::stats
