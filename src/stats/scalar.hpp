#pragma once

namespace heddle::stats {

/// The one set of scalar transcendental functions. The C library picks a variant by CPU at run time
/// (with or without fused multiply-add) and the variants differ in the last bit; these use plain
/// IEEE operations only, so that training, batch, request and replay agree bit for bit on every
/// machine. Pure functions; no errno, no locale.

/// e^x, error below 1 ulp for normal results (Sun fdlibm `e_exp.c`: argument reduction by ln 2,
/// then a Remez rational). NaN for NaN; +inf above 709.78; 0 below -745.13.
[[nodiscard]] double exp(double x) noexcept;

/// ln x, error below 1 ulp (Sun fdlibm `e_log.c`). -inf for 0, NaN for negative values and NaN.
[[nodiscard]] double log(double x) noexcept;

/// ln(1 + x) without cancellation near 0 (Goldberg 1991, theorem 4). NaN below -1.
[[nodiscard]] double log1p(double x) noexcept;

/// 1 / (1 + e^-margin), in (0, 1) without overflow on either side.
[[nodiscard]] double sigmoid(double margin) noexcept;

/// ln(p / (1 - p)); `p` is clipped to [1e-15, 1 - 1e-15] first.
[[nodiscard]] double logit(double p) noexcept;

/// ln(1 + e^x): the log loss of a margin (`softplus(-m)` for a positive row, `softplus(m)` for a
/// negative one).
[[nodiscard]] double softplus(double x) noexcept;

}  // namespace heddle::stats
