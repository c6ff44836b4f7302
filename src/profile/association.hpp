#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "profile/reading.hpp"
#include "stats/task.hpp"

namespace heddle::profile {

/// The target of sampled rows.
struct Target {
  stats::TaskKind task = stats::TaskKind::kRegression;
  std::vector<double> codes{};  ///< one a row; NaN: it has none
  std::size_t classes = 0;      ///< of kBinary 2, of kClasses how many
};

/// A column of sampled rows as numbers: a number, 0 and 1, microseconds since the column's
/// earliest time; NaN where there is none, or the column has no order.
[[nodiscard]] std::vector<double> numbers_of(const table::Column& rows, const Reading& reading);
/// The same as positions of values, in the order in which they first come; -1: no value.
[[nodiscard]] std::vector<int> codes_of(const table::Column& rows);

/// What one column says of the target by itself.
struct Association {
  /// Share of the squared error, of classes of the log loss, that goes when the column is known: by
  /// means or shares in up to 32 bins, fitted to one half of the rows and judged on the other.
  double explained = 0;
  /// As the gate on one feature measures it: AUC, or the size of the rank correlation, over the
  /// sampled rows.
  double alone = 0;
  std::int64_t rows = 0;  ///< that have both
};
[[nodiscard]] Association associate(const table::Column& rows, const Reading& reading,
                                    const Target& target);

/// The target as a formula of one or two columns of numbers, equal in every row that has all.
struct Formula {
  std::vector<std::size_t> columns{};  ///< indexes of the columns given
  std::string text{};                  ///< `casual + registered`; empty: there is none
};
[[nodiscard]] Formula find_formula(std::span<const std::string> names,
                                   std::span<const std::vector<double>> columns,
                                   std::span<const double> target);

/// One column of few values that fixes another: as many pairs as values. Of sampled rows.
struct Dependency {
  std::size_t determinant = 0;
  std::size_t dependent = 0;
  std::int64_t values = 0;  ///< distinct ones of the determinant
};
[[nodiscard]] std::vector<Dependency> find_dependencies(std::span<const std::vector<int>> columns);

}  // namespace heddle::profile
