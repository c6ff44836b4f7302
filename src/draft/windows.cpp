#include "draft/windows.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "stats/binning.hpp"

namespace heddle::draft {
namespace {

using profile::Kind;

constexpr std::int64_t kEnoughRows = 200;  ///< of a window
constexpr std::int64_t kWindows = 12;      ///< that a reference should have at least
constexpr std::size_t kMostBlocks = 60;
constexpr double kSds = 3;
/// A threshold above this share of what a metric can reach would hardly ever alert.
constexpr double kMostThreshold = 0.7;
constexpr double kMostMissing = 0.5;

}  // namespace

Windows::Windows(const Decisions& decisions)
    : decisions_(decisions), rows_of_(decisions.profile->sample.rows()) {
  const std::int64_t rows = decisions.labelled();
  // So many windows give the reference a spread to learn from.
  rows_ = std::clamp<std::int64_t>(rows / kWindows, 20, 500);
  chunk_rows_ = std::clamp<std::int64_t>(rows / 40, 20, 2000);
  const Column* time = decisions.time_column();
  if (time == nullptr) {
    reason_ = "rows have no time: windows are of arrivals";
    return;
  }
  const auto& column = *time->reading.column;
  const double span = static_cast<double>(std::max<Micros>(1, column.latest - column.earliest));
  // Four whole weeks, where no shorter window has enough rows.
  duration_ = 28 * kDay;
  for (const Micros candidate : {kDay, 7 * kDay, 28 * kDay}) {
    if (static_cast<double>(rows) * static_cast<double>(candidate) / span <
        static_cast<double>(std::min(kEnoughRows, rows_)))
      continue;
    duration_ = candidate;
    break;
  }
  const double a_window = static_cast<double>(rows) * static_cast<double>(duration_) / span;
  reason_ = fmt::format("about {} rows", counted(std::llround(a_window)));
  const auto times = profile::numbers_of(*rows_of_.find(time->name()), time->reading);
  order_.resize(times.size());
  std::iota(order_.begin(), order_.end(), 0U);
  std::stable_sort(order_.begin(), order_.end(),
                   [&](std::size_t a, std::size_t b) { return times[a] < times[b]; });
  // As many blocks as the reference will have windows.
  blocks_ = static_cast<std::size_t>(std::clamp<double>(
      static_cast<double>(rows) / std::max(a_window, static_cast<double>(rows_)), 2, kMostBlocks));
}

/// How far blocks of rows that follow each other are from all rows: as the monitor will measure
/// windows, by Kolmogorov and Smirnov's distance, of categories by the total variation.
std::vector<double> Windows::distances(const Column& column) const {
  const table::Column& values = *rows_of_.find(column.name());
  const bool is_number = column.reading.type != expr::Type::kString;
  stats::Binning binning = stats::Binning::hour_of_day();
  std::vector<double> numbers;
  const auto codes = profile::codes_of(values);
  if (is_number) {
    numbers = profile::numbers_of(values, column.reading);
    binning = stats::Binning::numbers(numbers);
  }
  // More bins than there can be codes: a row has one at most, and a missing value is -1.
  const std::size_t bins = is_number ? binning.size() : codes.size() + 2;
  const auto bin_at = [&](std::size_t row) {
    return is_number ? binning.bin(numbers[row]) : static_cast<std::size_t>(codes[row] + 1);
  };
  stats::Histogram whole(bins);
  for (const std::size_t row : order_) whole.add(bin_at(row));
  std::vector<double> out;
  for (std::size_t block = 0; block < blocks_; ++block) {
    stats::Histogram part(bins);
    for (std::size_t i = block * order_.size() / blocks_; i < (block + 1) * order_.size() / blocks_;
         ++i)
      part.add(bin_at(order_[i]));
    if (part.total() == 0) continue;
    out.push_back(is_number ? stats::kolmogorov_smirnov(whole, part)
                            : stats::total_variation(whole, part));
  }
  return out;
}

std::string Windows::against(const Column& column) const {
  if (column.reading.kind == Kind::kText) return "its texts hardly ever come again";
  if (column.reading.type == expr::Type::kTimestamp && order_.empty())
    return "it is a time, which grows";
  const double missing = static_cast<double>(column.reading.missing) /
                         static_cast<double>(std::max<std::int64_t>(1, decisions_.profile->rows));
  if (missing > kMostMissing) return fmt::format("{} of the rows lack it", percent(missing));
  if (column.reading.kind == Kind::kNumberInText || column.reading.kind == Kind::kTimeInText)
    return "it is text, of which most values come once";
  if (order_.empty()) return "";
  const auto found = distances(column);
  // One block has no spread.
  if (found.size() < 2) return "";
  const double n = static_cast<double>(found.size());
  const double mean = std::accumulate(found.begin(), found.end(), 0.0) / n;
  double spread = 0;
  for (const double each : found) spread += (each - mean) * (each - mean);
  const double threshold = mean + kSds * std::sqrt(spread / (n - 1));
  if (threshold < kMostThreshold) return "";
  return fmt::format(
      "it moves with the time of year or the trend by itself (windows are {:.2f} "
      "from the whole, on average)",
      mean);
}

}  // namespace heddle::draft
