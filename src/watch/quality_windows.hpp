#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "spec/monitor.hpp"
#include "watch/baseline.hpp"
#include "watch/coverage.hpp"
#include "watch/detector.hpp"
#include "watch/finding.hpp"
#include "watch/label_join.hpp"
#include "watch/prior_shift.hpp"
#include "watch/state_bytes.hpp"

namespace heddle::watch {

/// Labelled quality of one epoch in chunks of event time: the ratio of stats::quality_ratio (blind
/// to prior shift), the refitted offsets (which are where prior shift shows), and the coverage of
/// the intervals, if there are any. A chunk is judged
/// once the labels of its last row are due; with too few labels it widens. Single-threaded.
class QualityWindows final : public Detector {
 public:
  /// What the latest chunk says of the two models, on the rows both scored.
  struct Comparison {
    double primary_loss = 0;  ///< mean of stats::row_loss
    double standby_loss = 0;
    std::int64_t rows = 0;
    Micros to = 0;
    double z =
        0;  ///< paired_z of the differences primary - standby: above kPairedZ the standby is better
    /// The account without whose labels the standby is not better by as much as that, where several
    /// send labels; empty: there is none.
    std::string label_account{};
    std::string only_account{};  ///< the one without whose rows the standby is not better, where
                                 ///< several use the service and it is; else empty
  };

  explicit QualityWindows(const spec::Monitor& monitor)
      : metric_(monitor.quality),
        label_delay_(monitor.label_delay),
        is_watched_(monitor.labelled_quality) {}

  void start(const Epoch& epoch) override;
  void tick(const SeenTick& tick, std::vector<Finding>& out) override;
  [[nodiscard]] bool started() const noexcept { return from_ != INT64_MAX; }
  [[nodiscard]] std::uint64_t epoch() const noexcept { return epoch_; }
  /// Judges every chunk whose labels are due at `watermark`; `quiet` says that no column alert
  /// stands (a prior shift is told apart from a broken input by that); `several`: more than one
  /// account uses the service, so a finding says when it is seen in the rows of one alone
  /// (Finding::account), and `several_label` the same of who labels (Finding::label_account).
  void close(const LabelJoin& join, const Baseline& baseline, const stats::Conformal* interval,
             Micros watermark, bool quiet, bool several, bool several_label,
             std::vector<Finding>& out);
  [[nodiscard]] const std::optional<Comparison>& comparison() const noexcept { return comparison_; }

  void save(StateWriter& out) const override;
  void load(StateReader& in) override;

 private:
  void judge(const stats::Task& task, const LabelJoin::Chunk& chunk, const Baseline& baseline,
             Micros to, bool quiet, std::vector<Finding>& out);
  void name_accounts(const LabelJoin& join, std::span<Finding> findings) const;
  void name_label_accounts(const LabelJoin& join, std::span<Finding> findings);
  [[nodiscard]] static std::string only_one(const stats::Task& task,
                                            const LabelJoin::Chunks& accounts, std::int64_t least,
                                            const Finding& finding);
  void judge_prior(const stats::Task& task, const Baseline& baseline, const Finding& quality,
                   bool quiet, std::vector<Finding>& out);
  void judge_coverage(const LabelJoin::Chunk& chunk, const stats::Task& task,
                      const Baseline& baseline, const stats::Conformal& interval, bool quiet,
                      std::vector<Finding>& out);
  [[nodiscard]] std::string who_favours_standby(const stats::Task& task,
                                                const LabelJoin::Chunks& accounts) const;

  spec::QualityMetric metric_;
  Micros label_delay_;
  bool is_watched_;
  std::uint64_t epoch_ = 0;
  Micros from_ = INT64_MAX;  ///< start of the open chunk
  Micros to_ = INT64_MAX;
  bool last_above_ = false;
  std::vector<ChunkOffsets> chunks_;     ///< the newest, as many as prior shift is judged by
  std::vector<ChunkCoverage> coverage_;  ///< the same of coverage
  std::optional<Comparison> comparison_;
};

}  // namespace heddle::watch
