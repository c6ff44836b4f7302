#pragma once

#include <vector>

#include "model/standardised.hpp"
#include "trainer/trainer.hpp"

namespace heddle::trainer {

/// Fills mean, scale and missing of a linear model from its training rows: means over the rows that
/// have a value, and standard deviations with the missing ones at the mean; a constant column has
/// scale 1.
void standardise(const RowsView& rows, model::StandardisedLinear& out);

/// The rows as the model sees them: count x (columns + 1) numbers, the first of each line 1.
[[nodiscard]] std::vector<double> design_of(const RowsView& rows,
                                            const model::StandardisedLinear& model);

/// Solves `matrix` x = `right` for a symmetric positive definite matrix (lower triangle, n x n,
/// row-major) by Cholesky's decomposition, in place; false when it is not positive definite.
[[nodiscard]] bool solve(std::vector<double>& matrix, std::vector<double>& right);

}  // namespace heddle::trainer
