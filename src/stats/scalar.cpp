#include "stats/scalar.hpp"

#include <bit>
#include <cstdint>
#include <limits>

// The reductions and the coefficients of exp and log are those of fdlibm:
// Copyright (C) 1993 by Sun Microsystems, Inc. All rights reserved. Developed at SunPro, a Sun
// Microsystems, Inc. business. Permission to use, copy, modify, and distribute this software is
// freely granted, provided that this notice is preserved.

#include "stats/nan.hpp"

namespace heddle::stats {

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kLn2Hi = 6.93147180369123816490e-01;
constexpr double kLn2Lo = 1.90821492927058770002e-10;
constexpr double kInvLn2 = 1.44269504088896338700e+00;

/// 2^k for k in [-1022, 1023].
double power_of_two(int k) noexcept {
  return std::bit_cast<double>(static_cast<std::uint64_t>(k + 1023) << 52);
}

}  // namespace

double exp(double x) noexcept {
  if (x != x) return kNan;
  if (x > 7.09782712893383973096e+02) return kInf;
  if (x < -7.45133219101941108420e+02) return 0;
  const int k = static_cast<int>(kInvLn2 * x + (x < 0 ? -0.5 : 0.5));
  const double hi = x - k * kLn2Hi;
  const double lo = k * kLn2Lo;
  const double r = hi - lo;
  const double t = r * r;
  const double c =
      r - t * (1.66666666666666019037e-01 +
               t * (-2.77777777770155933842e-03 +
                    t * (6.61375632143793436117e-05 +
                         t * (-1.65339022054652515390e-06 + t * 4.13813679705723846039e-08))));
  const double y = 1 - ((lo - (r * c) / (2 - c)) - hi);
  if (k > 1023) return y * 2 * power_of_two(k - 1);
  if (k >= -1022) return y * power_of_two(k);
  return y * power_of_two(k + 100) * power_of_two(-100);
}

double log(double x) noexcept {
  if (x != x || x < 0) return kNan;
  if (x == 0) return -kInf;
  if (x == kInf) return kInf;
  int k = 0;
  if (x < 2.2250738585072014e-308) {
    x *= power_of_two(54);
    k = -54;
  }
  std::uint64_t bits = std::bit_cast<std::uint64_t>(x);
  k += static_cast<int>(bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & 0xfffffffffffffULL) | 0x3ff0000000000000ULL);
  if (m > 1.41421356237309514547) {
    m *= 0.5;
    ++k;
  }
  const double f = m - 1;
  const double s = f / (2 + f);
  const double z = s * s;
  const double w = z * z;
  const double t1 = w * (3.999999999940941908e-01 +
                         w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
  const double t2 = z * (6.666666666666735130e-01 +
                         w * (2.857142874366239149e-01 +
                              w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
  const double half = 0.5 * f * f;
  return k * kLn2Hi - ((half - (s * (half + t1 + t2) + k * kLn2Lo)) - f);
}

double log1p(double x) noexcept {
  const double u = 1 + x;
  if (u == 1) return x;
  if (u == kInf) return kInf;
  return log(u) * x / (u - 1);
}

double sigmoid(double margin) noexcept {
  if (margin >= 0) return 1 / (1 + exp(-margin));
  const double e = exp(margin);
  return e / (1 + e);
}

double logit(double p) noexcept {
  constexpr double kEdge = 1e-15;
  if (p < kEdge) p = kEdge;
  if (p > 1 - kEdge) p = 1 - kEdge;
  return log(p) - log1p(-p);
}

double softplus(double x) noexcept { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }

}  // namespace heddle::stats
