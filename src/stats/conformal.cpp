#include "stats/conformal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace heddle::stats {
namespace {

/// n * coverage as a real product may lie a hair above the whole number that it is: nine of ten at
/// .9 are 9, and not the 10 that ceil makes of 9.000000000000002.
std::size_t rank_of(std::size_t rows, double coverage) {
  const double exact = static_cast<double>(rows + 1) * coverage;
  const double nearest = std::round(exact);
  const bool is_whole = std::abs(exact - nearest) <= 1e-12 * exact;
  return static_cast<std::size_t>(is_whole ? nearest : std::ceil(exact));
}

constexpr double kLeastQuantile = 1e-6;
constexpr std::size_t kMostExactRows = 1'000'000'000;

bool is_coverage(double coverage) { return coverage > 0 && coverage < 1; }

}  // namespace

double conformal_score(const Task& task, std::span<const float> prediction, double code) {
  HEDDLE_CHECK(task.kind != TaskKind::kBinary, "a probability of true has no interval");
  if (task.kind == TaskKind::kRegression)
    return std::abs(code - static_cast<double>(prediction[0]));
  return 1 - static_cast<double>(prediction[static_cast<std::size_t>(code)]);
}

std::vector<double> conformal_scores(const Task& task, std::span<const float> predictions,
                                     std::span<const double> codes) {
  const std::size_t outputs = task.outputs();
  std::vector<double> scores;
  scores.reserve(codes.size());
  for (std::size_t i = 0; i < codes.size(); ++i)
    scores.push_back(conformal_score(task, predictions.subspan(i * outputs, outputs), codes[i]));
  return scores;
}

std::size_t least_conformal_rows(double coverage) {
  HEDDLE_CHECK(is_coverage(coverage), "a coverage lies between 0 and 1");
  auto rows = static_cast<std::size_t>(std::ceil(coverage / (1 - coverage)));
  // The ratio may be a row off. Past this a row more or less is below what `rank_of` takes for
  // rounding, and there would be no end to looking for the least.
  if (rows > kMostExactRows) return rows;
  while (rows > 1 && rank_of(rows - 1, coverage) <= rows - 1) --rows;
  while (rank_of(rows, coverage) > rows) ++rows;
  return rows;
}

Result<double> conformal_quantile(std::vector<double> scores, double coverage) {
  if (!is_coverage(coverage)) {
    return Error{ErrorKind::kInvalid, "interval-coverage",
                 fmt::format("an interval's coverage of {} is not between 0 and 1", coverage),
                 "declare the share of true values that intervals shall hold, for example 0.9"};
  }
  const std::size_t rank = rank_of(scores.size(), coverage);
  if (rank > scores.size()) {
    return Error{ErrorKind::kInvalid, "interval-few-rows",
                 fmt::format("{} rows are too few for intervals at a coverage of {}: it takes {}",
                             scores.size(), coverage, least_conformal_rows(coverage)),
                 "give more calibration rows, or declare a lower coverage"};
  }
  if (std::any_of(scores.begin(), scores.end(), [](double s) { return std::isnan(s); })) {
    return Error{ErrorKind::kInvalid, "interval-score",
                 "a calibration row has no prediction or no label that is a number",
                 "leave it out"};
  }
  const auto at = scores.begin() + static_cast<std::ptrdiff_t>(rank - 1);
  std::nth_element(scores.begin(), at, scores.end());
  return *at;
}

double interval_loss(double score, const Conformal& interval) noexcept {
  return score > interval.quantile ? interval.coverage * (score - interval.quantile)
                                   : (1 - interval.coverage) * (interval.quantile - score);
}

double quantile_change(TaskKind task, double from, double to, double scale) {
  if (task == TaskKind::kRegression) return (to - from) / scale;
  // Of a model that is sure of everything the quantile is 0: its logit has to be a number.
  const auto logit = [](double quantile) {
    const double inside = std::clamp(quantile, kLeastQuantile, 1 - kLeastQuantile);
    return std::log(inside / (1 - inside));
  };
  return logit(to) - logit(from);
}

Interval conformal_interval(float value, double quantile) noexcept {
  return {static_cast<double>(value) - quantile, static_cast<double>(value) + quantile};
}

std::vector<std::size_t> conformal_set(std::span<const float> probabilities, double quantile) {
  std::vector<std::size_t> out;
  for (std::size_t k = 0; k < probabilities.size(); ++k) {
    // As the score of a row is taken, so that the two agree to the last bit.
    if (1 - static_cast<double>(probabilities[k]) <= quantile) out.push_back(k);
  }
  return out;
}

bool holds(const Task& task, std::span<const float> prediction, double code, double quantile) {
  return conformal_score(task, prediction, code) <= quantile;
}

double coverage_tail(std::int64_t held, std::int64_t rows, double coverage) {
  HEDDLE_CHECK(is_coverage(coverage), "a coverage lies between 0 and 1");
  if (held >= rows) return 1;
  if (held < 0) return 0;
  // Terms from the largest of the tail down, each from the one before; they fall at least
  // geometrically below the mean. Above it the other tail is the short one.
  const auto n = static_cast<double>(rows);
  const double odds = coverage / (1 - coverage);
  const bool is_low = static_cast<double>(held) <= n * coverage;
  const std::int64_t from = is_low ? held : held + 1;
  const auto k0 = static_cast<double>(from);
  double term = std::exp(std::lgamma(n + 1) - std::lgamma(k0 + 1) - std::lgamma(n - k0 + 1) +
                         k0 * std::log(coverage) + (n - k0) * std::log1p(-coverage));
  double sum = term;
  for (std::int64_t k = from; is_low ? k > 0 : k < rows; k += is_low ? -1 : 1) {
    const auto at = static_cast<double>(k);
    term *= is_low ? at / ((n - at + 1) * odds) : (n - at) / (at + 1) * odds;
    sum += term;
    if (term < sum * 1e-17) break;
  }
  return std::clamp(is_low ? sum : 1 - sum, 0.0, 1.0);
}

}  // namespace heddle::stats
