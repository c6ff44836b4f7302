#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "doc/value.hpp"
#include "expr/datum.hpp"
#include "spec/contract.hpp"
#include "spec/monitor.hpp"
#include "stats/binning.hpp"
#include "stats/conformal.hpp"
#include "stats/task.hpp"

namespace heddle::watch {

/// Reference windows or chunks below which a standard deviation means little: the fixed thresholds
/// count alone.
inline constexpr int kFewestChunks = 6;

/// What one distribution metric looked like in the reference: its bins, its counts, and the
/// statistic of each reference chunk (one window of event time) against the whole.
struct MetricReference {
  spec::DistributionMetric metric;
  stats::Binning binning =
      stats::Binning::hour_of_day();  ///< its first bin holds the rows without a value
  stats::Histogram reference;
  double mean = 0;  ///< of the chunks' statistic
  double sd = 0;
  int chunks = 0;

  /// max(floor, mean + sds * sd); the floor alone below `kFewestChunks`.
  [[nodiscard]] double threshold() const noexcept;
  [[nodiscard]] double statistic(const stats::Histogram& window) const;
  /// What the statistic becomes when no value of the reference comes any more and only new ones do.
  /// A metric whose threshold is not below this cannot alert on them.
  [[nodiscard]] double reach() const;
  /// The bin of a row's value; null, NaN and values of another type count as missing. nullopt for
  /// an error datum: the row says nothing of this metric (it has no prediction, for example).
  [[nodiscard]] std::optional<std::size_t> bin_of(const expr::Datum& value) const;
};

/// What a dependency of the contract was learned to be: determinant values joined by 0x1f -> the
/// dependent number.
struct DependencyReference {
  std::string rule;
  std::vector<std::string> determinant;
  std::string dependent;
  std::map<std::string, double> expected;
};

/// The baseline profile of a bundle: what its training snapshot looked like, in the windows the
/// monitor will use. Immutable; stored in the bundle as JSON (`baseline_schema`), so its
/// bytes follow from the snapshot alone.
struct Baseline {
  std::vector<MetricReference> metrics;
  std::vector<DependencyReference> dependencies;
  double ratio_mean = 0;  ///< labelled quality over reference chunks; 0 with `ratio_chunks` 0 when
                          ///< none could be had
  double ratio_sd = 0;
  int ratio_chunks = 0;
  double label_median = 0;  ///< of a regression's labels; else 0
  /// What a regression's prior shift is measured in: the median absolute deviation of its labels,
  /// or, where more than half of them are equal, their mean one. 1 for the other tasks.
  double label_scale = 1;
  /// Share of the labels that the bundle's interval held, over the reference chunks; 0 with
  /// `coverage_chunks` 0 where it has none.
  double coverage_mean = 0;
  double coverage_sd = 0;
  int coverage_chunks = 0;
};

/// The reference rows. `columns[i]` is the column `names[i]`, after the contract's transforms; all
/// of one length, as are `event_time` (microseconds, ascending) and, where the model scored the row
/// and it has a label, `margins` (`task.outputs()` a row, row-major; NaN otherwise; best from rows
/// the model did not learn from) and `codes` of the labels.
struct BaselineInput {
  std::vector<std::string> names;
  std::vector<expr::ColumnView> columns;
  std::span<const Micros> event_time;
  std::span<const float> margins;
  std::span<const double> codes;
  stats::Task task{};
  std::optional<stats::Conformal> interval{};  ///< of the bundle
};

/// kInvalid when a metric names a column that is not among the fields (`prediction` always is: a
/// number, of several classes the name of the likeliest),
/// when its kind does not read the column's type, when the reference has no row for it, and when
/// its threshold is out of its reach: each would watch nothing without a word.
[[nodiscard]] Result<Baseline> build_baseline(const spec::Monitor& monitor,
                                              const spec::Contract& contract,
                                              const BaselineInput& input);

/// What the reference is too small for, a sentence each, for people: windows that no training day
/// fills, thresholds that rest on fewer than `kFewestChunks` windows.
[[nodiscard]] std::vector<std::string> weak_points(const spec::Monitor& monitor,
                                                   const Baseline& baseline);

/// What the column `prediction` is for a row: its number; of several classes the name of the
/// likeliest one, borrowed from the task.
[[nodiscard]] expr::Datum prediction_datum(const stats::Task& task,
                                           std::span<const float> prediction);

/// The key of a dependency's row; false when a determinant is not a string or an integer.
[[nodiscard]] bool dependency_key(std::span<const expr::Datum> determinant, std::string& key);

}  // namespace heddle::watch
