#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/registry.hpp"
#include "doc/value.hpp"
#include "expr/datum.hpp"
#include "stats/binning.hpp"

namespace heddle::statistic {

/// Reads the members in which a statistic keeps its bins; the first that is not as it must be is
/// remembered.
class BinsReader {
 public:
  virtual ~BinsReader() = default;
  virtual std::vector<double> numbers(std::string_view key) = 0;
  virtual std::vector<std::string> texts(std::string_view key) = 0;
  /// `key` is not `wanted`.
  virtual void refuse(std::string_view key, std::string_view wanted) = 0;
};

/// A distance in [0, 1] between the values of a column in a window and those of the reference: how
/// values fall into bins that are fixed on the reference, and how far two histograms of them are
/// apart. Rows without a value are part of each, in bin `stats::Binning::kMissing`. A constant
/// object without state; one class, one file, one row in `statistics()`.
class Statistic {
 public:
  virtual ~Statistic() = default;
  /// As a Monitor names it.
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;
  /// Of what it is, for the reference page: `numbers, times and booleans`.
  [[nodiscard]] virtual std::string_view of() const noexcept = 0;
  /// Its place among the statistics that read values of this type, 1 the most telling; 0: it does
  /// not read them.
  [[nodiscard]] virtual int reads(expr::Type type) const noexcept = 0;

  /// Bins for the values of the reference.
  [[nodiscard]] virtual stats::Binning bins(std::span<const expr::Datum> values) const = 0;
  /// Of a value that is no error; values of another type count as missing.
  [[nodiscard]] virtual std::size_t bin_of(const stats::Binning& binning,
                                           const expr::Datum& value) const = 0;
  [[nodiscard]] virtual double distance(const stats::Histogram& reference,
                                        const stats::Histogram& window) const = 0;
  /// The distance when no value of the reference comes any more and only new ones do.
  [[nodiscard]] virtual double reach(const stats::Histogram& reference) const;
  /// What a finding says besides, for a diagnosis and a page: members set in `out`.
  virtual void detail(const stats::Histogram& reference, const stats::Histogram& window,
                      doc::Value& out) const;

  /// The bins as members of a baseline's metric, and back.
  virtual void write(const stats::Binning& binning, doc::Value& out) const = 0;
  [[nodiscard]] virtual stats::Binning read(BinsReader& reader) const = 0;

  /// A window must be of whole days.
  [[nodiscard]] virtual bool needs_whole_days() const noexcept { return false; }
  /// Of a column whose values only grow, as time does, it is 1 in every window.
  [[nodiscard]] virtual bool is_one_of_growing() const noexcept { return false; }
};

/// The table of statistics.
[[nodiscard]] Registry<Statistic>& statistics();

/// Those that read a type, the most telling first.
[[nodiscard]] std::vector<const Statistic*> reading(expr::Type type);
/// The same for a hint: "`ks` or `total_variation`".
[[nodiscard]] std::string names_reading(expr::Type type);

// The rows of the table.
[[nodiscard]] const Statistic& ks();
[[nodiscard]] const Statistic& total_variation();
[[nodiscard]] const Statistic& hour_of_day();

}  // namespace heddle::statistic
