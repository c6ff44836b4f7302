#pragma once

#include <cstdint>
#include <vector>

#include "expr/datum.hpp"
#include "spec/upstream.hpp"
#include "table/table.hpp"

namespace heddle::upstream {

/// Rows [begin, end) of a history.
struct Range {
  std::size_t begin = 0;
  std::size_t end = 0;
};

/// The sums of a list of numbers up to each place, in pairs of doubles that hold about 106 bits
/// (TwoSum: Knuth, TAOCP 2, 4.2.2, theorem B), so that the difference of two is the sum of what
/// lies between, also behind numbers that are much larger. Immutable; reading is thread-safe.
class PrefixSums {
 public:
  PrefixSums() = default;
  explicit PrefixSums(std::vector<double> numbers);

  [[nodiscard]] double sum(Range range) const noexcept;

 private:
  std::vector<double> numbers_;
  std::vector<double> high_;
  std::vector<double> low_;
};

/// The least or largest number of any range in O(log n): a segment tree, twice as long as the list.
/// Immutable; reading is thread-safe.
template <class Number>
class Extremes {
 public:
  Extremes() = default;
  /// `none`: what stands where no number is; every number is at least (or at most) it.
  Extremes(std::vector<Number> numbers, bool largest, Number none);

  [[nodiscard]] Number of(Range range) const noexcept;

 private:
  [[nodiscard]] Number better(Number a, Number b) const noexcept {
    return (largest_ ? b > a : b < a) ? b : a;
  }

  bool largest_ = false;
  Number none_{};
  std::size_t size_ = 0;
  std::vector<Number> tree_;
};

/// One column of a history, ready for what one aggregate makes of any range of its rows in at most
/// O(log n). Missing values count for nothing, except that the last row's value may be missing.
/// Immutable; reading is thread-safe.
class Series {
 public:
  /// `column`: nullptr for a `count` of rows. Else of the field's type; of a `count` of any type.
  Series(spec::Aggregate aggregate, const table::Column* column);

  /// Null where there is nothing in the range; a `count` is 0 then. A string is borrowed from the
  /// column's dictionary.
  [[nodiscard]] expr::Datum of(Range range) const noexcept;
  /// Of `last` of strings: what the codes are of.
  [[nodiscard]] const table::Column& column() const noexcept { return column_; }

 private:
  [[nodiscard]] std::int64_t known(Range range) const noexcept;
  [[nodiscard]] expr::Datum extreme(Range range) const noexcept;

  spec::Aggregate aggregate_;
  bool counts_rows_ = false;
  table::Column column_{};
  std::vector<std::int64_t> known_{};  ///< rows with a value before each place
  PrefixSums sums_{};
  Extremes<double> doubles_{};
  Extremes<std::int64_t> ints_{};
};

}  // namespace heddle::upstream
