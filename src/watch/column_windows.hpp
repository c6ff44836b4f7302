#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "expr/datum.hpp"
#include "watch/baseline.hpp"
#include "watch/detector.hpp"
#include "watch/finding.hpp"
#include "watch/state_bytes.hpp"

namespace heddle::watch {

/// The distribution metrics of one epoch in windows of event time, aligned to the window's length.
/// A window that the epoch covers by less than nine tenths is dropped (part of a day is no day);
/// one with too few rows is joined to the next. Late rows, of a window that was closed, are left
/// out. Single-threaded.
class ColumnWindows final : public Detector {
 public:
  ColumnWindows() = default;
  explicit ColumnWindows(const spec::Monitor& monitor) {
    begin(monitor.window, monitor.window_rows, 0, 0);
  }

  void start(const Epoch& epoch) override;
  void row(const SeenRow& row, std::vector<Finding>& out) override;
  void tick(const SeenTick& tick, std::vector<Finding>& out) override;
  void set_back(Micros to, RowCounts& counts) override;
  void save(StateWriter& out) const override;
  void load(StateReader& in) override;

 private:
  void begin(Micros length, std::int64_t least_rows, std::uint64_t epoch, Micros from);

  /// `values[i]` is the value of metric i of the baseline; an error datum when the row says nothing
  /// of it. False: the row is late, its window was closed.
  bool add(const Baseline& baseline, const std::string& account, Micros event_time,
           std::span<const expr::Datum> values);
  /// Closes every window that ends at or before `watermark`. Returns the rows of those that are
  /// dropped. `several`: more than one account uses the service, so a finding says when it is seen
  /// in the rows of one alone (Finding::account).
  std::int64_t close(const Baseline& baseline, Micros watermark, bool several,
                     std::vector<Finding>& out);

  [[nodiscard]] std::int64_t open_rows() const noexcept;

  struct Window {
    std::int64_t rows = 0;
    Micros from = 0;
    std::map<std::string, std::vector<stats::Histogram>> counts;  ///< by account, a metric each
  };
  [[nodiscard]] Micros join_to_next(Window window, Micros watermark);
  void judge(const Baseline& baseline, const Window& window, Micros to, bool several,
             std::vector<Finding>& out) const;
  [[nodiscard]] Finding finding_of(const MetricReference& reference, const stats::Histogram& counts,
                                   const Window& window, Micros to) const;
  /// The account without whose rows metric `i` would not alert, or could not be told to; empty:
  /// there is none.
  [[nodiscard]] std::string only_account(const MetricReference& reference, std::size_t i,
                                         const stats::Histogram& all, const Window& window) const;

  Micros length_ = kDay;
  std::int64_t least_rows_ = 1;
  std::uint64_t epoch_ = 0;
  Micros epoch_from_ = INT64_MIN;
  std::int64_t next_ = INT64_MIN;        ///< index of the first window that is open
  std::map<std::int64_t, Window> open_;  ///< by index
};

}  // namespace heddle::watch
