#include "trainer/standardise.hpp"

#include <cmath>

namespace heddle::trainer {

bool solve(std::vector<double>& matrix, std::vector<double>& right) {
  const std::size_t n = right.size();
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      double sum = matrix[i * n + j];
      for (std::size_t k = 0; k < j; ++k) sum -= matrix[i * n + k] * matrix[j * n + k];
      if (i == j) {
        // Not positive definite, or not a number.
        if (!(sum > 0)) return false;
        matrix[i * n + i] = std::sqrt(sum);
      } else {
        matrix[i * n + j] = sum / matrix[j * n + j];
      }
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < i; ++k) right[i] -= matrix[i * n + k] * right[k];
    right[i] /= matrix[i * n + i];
  }
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t k = i + 1; k < n; ++k) right[i] -= matrix[k * n + i] * right[k];
    right[i] /= matrix[i * n + i];
  }
  return true;
}

void standardise(const RowsView& rows, model::StandardisedLinear& out) {
  const auto columns = static_cast<std::size_t>(rows.columns);
  out.mean.assign(columns, 0);
  out.scale.assign(columns, 0);
  std::vector<std::int64_t> present(columns, 0);
  const auto visit = [&](auto&& act) {
    const float* row = rows.features;
    for (std::int64_t r = 0; r < rows.count; ++r, row += columns) {
      for (std::size_t c = 0; c < columns; ++c) {
        if (std::isfinite(row[c])) act(c, static_cast<double>(row[c]));
      }
    }
  };
  visit([&](std::size_t c, double x) {
    out.mean[c] += x;
    ++present[c];
  });
  for (std::size_t c = 0; c < columns; ++c)
    out.mean[c] /= static_cast<double>(std::max<std::int64_t>(present[c], 1));
  visit([&](std::size_t c, double x) { out.scale[c] += (x - out.mean[c]) * (x - out.mean[c]); });
  for (std::size_t c = 0; c < columns; ++c) {
    out.scale[c] = std::sqrt(out.scale[c] / static_cast<double>(rows.count));
    // A constant column: what is left of its spread is rounding, and to divide by it would make
    // weights of noise.
    if (!(out.scale[c] > 1e-12 * (1 + std::abs(out.mean[c])))) out.scale[c] = 1;
  }
  out.missing = out.mean;
}

std::vector<double> design_of(const RowsView& rows, const model::StandardisedLinear& model) {
  const auto columns = static_cast<std::size_t>(rows.columns);
  const std::size_t n = columns + 1;
  std::vector<double> x(static_cast<std::size_t>(rows.count) * n);
  for (std::int64_t r = 0; r < rows.count; ++r) {
    double* out = x.data() + static_cast<std::size_t>(r) * n;
    const float* row = rows.features + static_cast<std::size_t>(r) * columns;
    out[0] = 1;
    for (std::size_t c = 0; c < columns; ++c)
      out[c + 1] = std::isfinite(row[c]) ? (row[c] - model.mean[c]) / model.scale[c] : 0;
  }
  return x;
}

}  // namespace heddle::trainer
