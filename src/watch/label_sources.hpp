#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "spec/monitor.hpp"
#include "watch/detector.hpp"
#include "watch/finding.hpp"
#include "watch/label_join.hpp"
#include "watch/state_bytes.hpp"

namespace heddle::watch {

/// How far the labels of one account are from those of the others on rows that are alike.
struct LabelDistance {
  /// Weighted root mean square, over strata, of the difference between the shares of each kind of
  /// label (root of half the sum of squares: of two kinds the difference of the shares of one),
  /// less what chance adds; 0 when chance alone explains it.
  double effect = 0;
  double standard_error = 0;  ///< of its square, where there is no difference
  double at_least = 0;        ///< the effect less four standard errors
  std::int64_t rows = 0;      ///< of the account, in strata that both have rows in
  int strata = 0;
};

/// One row to compare labels on. Rows of one `stratum` are alike.
struct StratumRow {
  std::uint64_t stratum = 0;
  bool own = false;        ///< labelled by the account; else by another
  std::int32_t label = 0;  ///< its kind
};

/// Pearson's chi-squared of each stratum's table of account and label, by its N - 1 form (Campbell
/// 2007), without a direction, so that labels that are turned over do not cancel. Strata with less
/// than five rows of either side say nothing.
[[nodiscard]] LabelDistance label_distance(std::vector<StratumRow> rows);

/// Where several accounts send labels they are held against each other, in chunks of event time
/// that end when labels are due: on the same rows (`labels/same-rows`: the share that two
/// contradict each other about), and on rows that are alike, which means of one source, sender,
/// eighth of a chunk and quarter of the scores, or class that is likeliest
/// (`labels/like-rows`: `LabelDistance::at_least`). Kinds of labels are the classes; of a
/// regression the quarters of the labels of those rows. Who is right is not known. Accounts that
/// label no rows of one kind are not compared. Single-threaded.
class LabelSources final : public Detector {
 public:
  explicit LabelSources(const spec::Monitor& monitor)
      : duration_(monitor.quality.chunk_duration),
        delay_(monitor.label_delay),
        retention_(monitor.label_retention),
        least_rows_(monitor.window_rows),
        is_watched_(monitor.labelled_quality) {}

  void tick(const SeenTick& tick, std::vector<Finding>& out) override {
    if (is_watched_) close(tick.join, tick.at, out);
  }

  void set_back(Micros to, RowCounts& counts) override;

  /// Judges every chunk whose labels are due at `watermark`.
  void close(const LabelJoin& join, Micros watermark, std::vector<Finding>& out);

  void save(StateWriter& out) const override;
  void load(StateReader& in) override;

 private:
  [[nodiscard]] Finding on_same_rows(const LabelJoin& join,
                                     std::span<const LabelJoin::Labelled> rows) const;
  [[nodiscard]] Finding on_like_rows(const LabelJoin& join,
                                     std::span<const LabelJoin::Labelled> rows) const;

  Micros duration_;
  Micros delay_;
  Micros retention_;
  std::int64_t least_rows_;
  bool is_watched_;
  Micros from_ = INT64_MIN;  ///< of the open chunk
  Micros to_ = INT64_MIN;
};

}  // namespace heddle::watch
