#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "plane/journal.hpp"
#include "spec/contract.hpp"
#include "spec/monitor.hpp"
#include "watch/alert_book.hpp"
#include "watch/baseline.hpp"
#include "watch/column_windows.hpp"
#include "watch/label_join.hpp"
#include "watch/quality_windows.hpp"
#include "watch/rule_windows.hpp"
#include "watch/silence.hpp"
#include "watch/source_windows.hpp"

namespace heddle::watch {

/// What a route version means to the watch. Two routes of one primary and one repair share an epoch: windows and labelled
/// chunks go on across them; any other change starts new ones, so that no window mixes two ways of answering.
struct Route {
  std::uint64_t version = 0;
  Digest primary{};
  std::string repair{};                       ///< names the contract's transforms in force; empty: none
  std::shared_ptr<const Baseline> baseline;   ///< of the primary's bundle; none: nothing is watched, which is an alert
  std::string unwatched{};                    ///< why there is no baseline
  /// Applies the transforms to the fields of a row, in place. Pure. May be empty.
  std::function<void(std::vector<plane::FieldValue>&)> apply_repair{};
};

/// What came of a record, in order.
struct Output {
  std::vector<Finding> findings;
  std::vector<Alert> moves;
};

/// Watches one service: takes the journal record by record and turns it into windows, metrics and alerts. A deterministic
/// function of the records and of the routes registered before they come: reading the same journal again gives the same
/// findings. Owned by the control plane, confined to its thread. No I/O, no clock: time is event time.
class Watch {
 public:
  struct Options {
    spec::Monitor monitor;
    spec::Contract contract;
    std::vector<std::string> fields;   ///< of the journal's rows, in their order
  };
  [[nodiscard]] static Result<Watch> open(Options options);

  /// Before the route is published, and again for the known ones after a restart. Rows of a version that was never
  /// registered count as of the latest one below.
  void register_route(Route route);
  void observe(const plane::Record& record, Output& out);

  /// Why `alert` (a confirmed one) stands, from it and the latest findings beside it.
  [[nodiscard]] Diagnosis diagnose(const Alert& alert) const;

  [[nodiscard]] const AlertBook& alerts() const noexcept { return alerts_; }
  [[nodiscard]] const std::map<std::string, Finding>& latest() const noexcept { return latest_; }
  [[nodiscard]] const std::optional<QualityWindows::Comparison>& comparison() const { return quality_.comparison(); }
  [[nodiscard]] std::int64_t labelled_since(Micros from) const { return join_.labelled_since(from); }
  /// Whether the route that answers has a baseline to be watched by.
  [[nodiscard]] bool watching() const;
  [[nodiscard]] const Silence& silence() const noexcept { return silence_; }
  [[nodiscard]] std::int64_t rows_seen() const noexcept { return rows_seen_; }
  [[nodiscard]] std::uint64_t epoch() const noexcept { return epoch_; }
  [[nodiscard]] Micros watermark() const noexcept { return watermark_; }

  /// The whole state but routes and definitions, as bytes (docs/formats/watch-state.md). kCorrupt on foreign bytes.
  [[nodiscard]] std::string save() const;
  [[nodiscard]] Result<void> restore(std::string_view bytes);

 private:
  Watch(Options options, RuleWindows rules);
  void observe_request(const plane::RequestRecord& request, Output& out);
  void observe_tick(Micros event_time, Output& out);
  void enter(const Route& route, Micros event_time);
  void settle(std::size_t from, Micros at, Output& out);
  void look_for_silence(const Baseline* baseline, Micros at, Output& out);

  Options options_;
  std::vector<expr::Type> types_;   ///< of the fields, by the contract
  std::map<std::uint64_t, Route> routes_;
  std::uint64_t epoch_ = 0;
  std::uint64_t route_version_ = 0;
  std::string epoch_key_;
  Micros watermark_ = INT64_MIN;
  Micros last_row_ = INT64_MIN;   ///< latest event time of a row of the epoch
  std::int64_t rows_seen_ = 0;
  LabelJoin join_;
  ColumnWindows columns_;
  SourceWindows sources_;
  QualityWindows quality_;
  RuleWindows rules_;
  Silence silence_;
  AlertBook alerts_;
  std::map<std::string, Finding> latest_;
};

}  // namespace heddle::watch
