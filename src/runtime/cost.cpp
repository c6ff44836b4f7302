#include "runtime/cost.hpp"

#include <algorithm>

namespace heddle::runtime {

void CostModel::add(std::size_t rows, std::int64_t ns) noexcept {
  seen_[next_] = {static_cast<double>(rows), static_cast<double>(std::max<std::int64_t>(ns, 0))};
  next_ = (next_ + 1) % kKept;
  count_ = std::min(count_ + 1, kKept);
  const auto n = static_cast<double>(count_);
  double rows_sum = 0, ns_sum = 0, square_sum = 0, cross_sum = 0;
  for (std::size_t i = 0; i < count_; ++i) {
    rows_sum += seen_[i].rows;
    ns_sum += seen_[i].ns;
    square_sum += seen_[i].rows * seen_[i].rows;
    cross_sum += seen_[i].rows * seen_[i].ns;
  }
  const double mean_rows = rows_sum / n;
  const double mean_ns = ns_sum / n;
  const double square =
      n * square_sum - rows_sum * rows_sum;  // whole numbers: exactly 0 for one size
  const double cross = n * cross_sum - rows_sum * ns_sum;
  if (square <=
      0) {  // one size: all of the cost is taken to be the rows', so that a batch grows with care
    a_ = 0;
    b_ = mean_rows > 0 ? mean_ns / mean_rows : 0;
    return;
  }
  b_ = std::max(0.0, cross / square);
  a_ = std::max(0.0, mean_ns - b_ * mean_rows);
}

std::size_t CostModel::rows_within(std::int64_t ns, std::size_t most) const noexcept {
  if (!known() || most <= 1) return 1;
  const double left = static_cast<double>(ns) - a_;
  if (left <= 0) return 1;
  if (b_ * static_cast<double>(most) <= left) return most;
  return std::max<std::size_t>(1, static_cast<std::size_t>(left / b_));
}

std::size_t take(std::span<const std::size_t> waiting, std::size_t fit, std::size_t most) noexcept {
  std::size_t taken = 0;
  std::size_t rows = 0;
  const std::size_t bound = std::min(fit, most);
  while (taken < waiting.size() && (taken == 0 || rows + waiting[taken] <= bound))
    rows += waiting[taken++];
  return taken;
}

}  // namespace heddle::runtime
