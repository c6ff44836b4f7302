#include "upstream/series.hpp"

#include <cmath>
#include <limits>

namespace heddle::upstream {

using expr::Datum;
using expr::Type;
using spec::Aggregate;

PrefixSums::PrefixSums(std::vector<double> numbers)
    : numbers_(std::move(numbers)), high_(numbers_.size() + 1), low_(numbers_.size() + 1) {
  for (std::size_t i = 0; i < numbers_.size(); ++i) {
    const double before = high_[i];
    const double sum = before + numbers_[i];
    // What `sum` lost of the two.
    const double part = sum - before;
    const double lost = (before - (sum - part)) + (numbers_[i] - part);
    // The pair anew, so that what is lost does not grow with the rows.
    const double low = low_[i] + lost;
    high_[i + 1] = sum + low;
    low_[i + 1] = low - (high_[i + 1] - sum);
  }
}

double PrefixSums::sum(Range range) const noexcept {
  const double out =
      (high_[range.end] - high_[range.begin]) + (low_[range.end] - low_[range.begin]);
  if (std::isfinite(out)) return out;
  // All the numbers before may be more than a double holds, and these few not.
  double sum = 0;
  for (std::size_t i = range.begin; i < range.end; ++i) sum += numbers_[i];
  return sum;
}

template <class Number>
Extremes<Number>::Extremes(std::vector<Number> numbers, bool largest, Number none)
    : largest_(largest), none_(none), size_(numbers.size()), tree_(2 * numbers.size(), none) {
  // Leaves stand behind the inner nodes; node i is over 2i and 2i + 1.
  std::copy(numbers.begin(), numbers.end(), tree_.begin() + static_cast<std::ptrdiff_t>(size_));
  for (std::size_t i = size_; i-- > 1;) tree_[i] = better(tree_[2 * i], tree_[2 * i + 1]);
}

template <class Number>
Number Extremes<Number>::of(Range range) const noexcept {
  Number out = none_;
  std::size_t left = range.begin + size_;
  std::size_t right = range.end + size_;
  for (; left < right; left /= 2, right /= 2) {
    if (left % 2 == 1) out = better(out, tree_[left++]);
    if (right % 2 == 1) out = better(out, tree_[--right]);
  }
  return out;
}

template class Extremes<double>;
template class Extremes<std::int64_t>;

namespace {

bool has_value(const table::Column& column, std::size_t row) {
  return column.valid.empty() || column.valid[row] != 0;
}

/// The numbers of a column with `none` where no value is.
template <class Number>
std::vector<Number> numbers_of(const table::Column& column, const std::vector<Number>& values,
                               Number none) {
  std::vector<Number> out = values;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (!has_value(column, i)) out[i] = none;
  }
  return out;
}

}  // namespace

Series::Series(Aggregate aggregate, const table::Column* column)
    : aggregate_(aggregate), counts_rows_(column == nullptr) {
  if (column == nullptr) return;
  if (aggregate == Aggregate::kLast) {
    column_ = *column;
    return;
  }
  column_.type = column->type;
  const auto rows = static_cast<std::size_t>(column->length());
  known_.resize(rows + 1);
  for (std::size_t i = 0; i < rows; ++i)
    known_[i + 1] = known_[i] + (has_value(*column, i) ? 1 : 0);
  const bool largest = aggregate == Aggregate::kMax;
  if (aggregate == Aggregate::kSum || aggregate == Aggregate::kMean) {
    sums_ = PrefixSums(numbers_of(*column, column->doubles, 0.0));
  } else if (aggregate != Aggregate::kCount && column->type == Type::kDouble) {
    constexpr double kMost = std::numeric_limits<double>::infinity();
    const double none = largest ? -kMost : kMost;
    doubles_ = Extremes<double>(numbers_of(*column, column->doubles, none), largest, none);
  } else if (aggregate != Aggregate::kCount) {
    const std::int64_t none = largest ? INT64_MIN : INT64_MAX;
    ints_ = Extremes<std::int64_t>(numbers_of(*column, column->ints, none), largest, none);
  }
}

std::int64_t Series::known(Range range) const noexcept {
  if (counts_rows_) return static_cast<std::int64_t>(range.end - range.begin);
  return known_[range.end] - known_[range.begin];
}

Datum Series::extreme(Range range) const noexcept {
  if (column_.type == Type::kDouble) return Datum::real(doubles_.of(range));
  const std::int64_t value = ints_.of(range);
  return column_.type == Type::kTimestamp ? Datum::timestamp(value) : Datum::integer(value);
}

Datum Series::of(Range range) const noexcept {
  if (aggregate_ == Aggregate::kLast) {
    if (range.begin == range.end) return Datum::null();
    return column_.view().at(static_cast<std::int64_t>(range.end - 1));
  }
  const std::int64_t count = known(range);
  if (aggregate_ == Aggregate::kCount) return Datum::integer(count);
  if (count == 0) return Datum::null();
  switch (aggregate_) {
    case Aggregate::kSum: return Datum::real(sums_.sum(range));
    case Aggregate::kMean: return Datum::real(sums_.sum(range) / static_cast<double>(count));
    default: return extreme(range);
  }
}

}  // namespace heddle::upstream
