#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "spec/monitor.hpp"
#include "watch/detector.hpp"
#include "watch/finding.hpp"
#include "watch/state_bytes.hpp"

namespace heddle::watch {

/// Looks after the metrics themselves: which of them have said nothing although rows came, for
/// longer than the monitor's own definition lets them. Windows that never fill, labels that never
/// come and chunks that lose their rows before they are judged show only here. Counts go on across
/// epochs: a service that changes often is watched too. Single-threaded.
class Silence final : public Detector {
 public:
  explicit Silence(const spec::Monitor& monitor);

  void row(const SeenRow& row, std::vector<Finding>& out) override;
  void label(const plane::LabelRecord&, std::vector<Finding>&) override { ++labels_; }
  /// Metrics that are overdue, a service without a baseline, and a clock that agrees again.
  void tick(const SeenTick& tick, std::vector<Finding>& out) override;
  void set_back(Micros to, RowCounts& counts) override;
  /// A finding of `key` came: the metric that it is of has reported. Its name, which is `key` but
  /// for the runs of sources, which are one metric, `contract`; empty when it is not looked after.
  std::string report(const std::string& key);
  /// A finding, which raises and confirms, for each metric that is past its deadline at `now`.
  /// Comes again at the next call: the caller knows which alerts stand.
  [[nodiscard]] std::vector<Finding> overdue(Micros now) const;
  /// A metric that is looked after, and what it waits for.
  struct Waiting {
    std::string name;
    std::string waits_for;  ///< what makes it report, for people
    Micros deadline = 0;    ///< after `since`
    Micros since =
        INT64_MAX;          ///< event time of the first row after its last report; INT64_MAX: none
    std::int64_t rows = 0;  ///< since then
  };
  [[nodiscard]] std::vector<Waiting> metrics() const;

  void save(StateWriter& out) const override;
  void load(StateReader& in) override;

 private:
  struct Metric {
    std::string waits_for{};  ///< what makes it report, for people
    Micros deadline = 0;      ///< after `since`
    bool labelled = false;
    Micros unlabelled_deadline = 0;  ///< the same when no label at all has come
    Micros since =
        INT64_MAX;  ///< event time of the first row after its last report; INT64_MAX: no row came
    std::int64_t rows = 0;           ///< since then
    std::int64_t labels_before = 0;  ///< `labels_` at the last report
  };
  std::map<std::string, Metric> metrics_;  ///< by name
  std::int64_t labels_ = 0;
};

/// The key of the alert that says that metric `key` is silent.
[[nodiscard]] std::string silent_key(std::string_view key);
/// The finding that says that it is not, any more: two of them clear the alert.
[[nodiscard]] Finding heard_again(const std::string& key, Micros at);
/// The finding that nothing of a service is watched, and why.
[[nodiscard]] Finding unwatched(std::string_view why, Micros at);

inline constexpr std::string_view kUnwatchedKey = "silent/service";

/// The alert that event time left its clock, and the finding of a tick after it agreed again.
inline constexpr std::string_view kClockKey = "clock";
[[nodiscard]] Finding clock_jumped(std::string_view why, Micros from, Micros at);
[[nodiscard]] Finding clock_agrees(Micros at);

}  // namespace heddle::watch
