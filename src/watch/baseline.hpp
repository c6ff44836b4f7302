#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "doc/value.hpp"
#include "expr/datum.hpp"
#include "spec/contract.hpp"
#include "spec/monitor.hpp"
#include "stats/binning.hpp"

namespace heddle::watch {

/// What one distribution metric looked like in the reference: its bins, its counts, and the statistic of each reference
/// chunk (one window of event time) against the whole.
struct MetricReference {
  spec::DistributionMetric metric;
  stats::Binning binning = stats::Binning::hour_of_day();
  stats::Histogram reference;
  double mean = 0;   ///< of the chunks' statistic
  double sd = 0;
  int chunks = 0;

  /// max(floor, mean + sds * sd); the floor alone below 6 chunks, where a standard deviation means little.
  [[nodiscard]] double threshold() const noexcept;
  [[nodiscard]] double statistic(const stats::Histogram& window) const;
  /// The bin of a value; false when the value has none (null, of another type, malformed).
  [[nodiscard]] bool bin_of(const expr::Datum& value, std::size_t& bin) const;
};

/// What a dependency of the contract was learned to be: determinant values joined by 0x1f -> the dependent number.
struct DependencyReference {
  std::string rule;
  std::vector<std::string> determinant;
  std::string dependent;
  std::map<std::string, double> expected;
};

/// The baseline profile of a bundle: what its training snapshot looked like, in the windows the monitor will use. Immutable;
/// stored in the bundle as JSON (docs/formats/baseline.md), so its bytes follow from the snapshot alone.
struct Baseline {
  std::vector<MetricReference> metrics;
  std::vector<DependencyReference> dependencies;
  double ratio_mean = 0;    ///< labelled quality over reference chunks; 0 with `ratio_chunks` 0 when none could be had
  double ratio_sd = 0;
  int ratio_chunks = 0;

  [[nodiscard]] doc::Value to_value() const;
  [[nodiscard]] static Result<Baseline> from_value(const doc::Value& value);
};

/// The reference rows. `columns[i]` is the column `names[i]`, after the contract's transforms; all of one length, as are
/// `event_time` (microseconds, ascending) and, where the model scored the row and it has a label, `margins` (NaN otherwise;
/// best from rows the model did not learn from) and `labels`.
struct BaselineInput {
  std::vector<std::string> names;
  std::vector<expr::ColumnView> columns;
  std::span<const Micros> event_time;
  std::span<const float> margins;
  std::span<const std::uint8_t> labels;
};

/// kInvalid when the monitor names a column that is not among the fields (`prediction` always is).
[[nodiscard]] Result<Baseline> build_baseline(const spec::Monitor& monitor, const spec::Contract& contract,
                                              const BaselineInput& input);

/// The key of a dependency's row; false when a determinant is not a string or an integer.
[[nodiscard]] bool dependency_key(std::span<const expr::Datum> determinant, std::string& key);

}  // namespace heddle::watch
