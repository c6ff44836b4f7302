#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/registry.hpp"
#include "base/result.hpp"
#include "plane/journal.hpp"
#include "spec/contract.hpp"
#include "spec/monitor.hpp"
#include "watch/alert_book.hpp"
#include "watch/baseline.hpp"
#include "watch/finding.hpp"
#include "watch/label_join.hpp"
#include "watch/state_bytes.hpp"

namespace heddle::watch {

struct WatchOptions {
  spec::Monitor monitor;
  spec::Contract contract;
  std::vector<std::string> fields;  ///< of the journal's rows, in their order
  LabelJoin::Options join{};
};

/// What became of the rows that were seen, as far as the windows of the baseline's metrics are
/// concerned. Each is counted once. Sources and rules are looked at whatever becomes of it.
struct RowCounts {
  std::int64_t taken = 0;
  std::int64_t partial = 0;      ///< of a window that the epoch covers too little of to be judged
  std::int64_t late = 0;         ///< of a window that was closed: the watermark was past it already
  std::int64_t ahead = 0;        ///< too far ahead of the watermark, or no event time at all
  std::int64_t unwatched = 0;    ///< who answered has no baseline, or is not known
  std::int64_t other_epoch = 0;  ///< answered by a release that was replaced when they came
};

/// A field as the contract means it: a timestamp may have arrived as text. Borrowed from `field`.
[[nodiscard]] expr::Datum datum_of(const plane::FieldValue& field, expr::Type type);

/// A row as it is seen, with what recovery's repairs made of its fields.
struct SeenRow {
  const plane::RequestRecord& request;
  const plane::RowRecord& row;
  const std::vector<plane::FieldValue>& fields;  ///< after the repairs
  const std::vector<std::string>& names;         ///< of the fields
  const std::vector<expr::Type>& types;          ///< of the fields, by the contract
  const stats::Task& task;                       ///< of who answered
  const Baseline* baseline;                      ///< of who answered; nullptr: there is none
  bool of_epoch;                                 ///< by a release of this epoch
  bool by_primary;                               ///< not by a standby or a canary
  RowCounts& counts;

  [[nodiscard]] bool served() const noexcept { return row.outcome == plane::RowOutcome::kServed; }
  /// Null where the row has none.
  [[nodiscard]] expr::Datum field(std::size_t i) const {
    return i < fields.size() && i < types.size() ? datum_of(fields[i], types[i])
                                                 : expr::Datum::null();
  }
  [[nodiscard]] expr::Datum field(const std::string& name) const;
};

/// A tick as detectors see it.
struct SeenTick {
  Micros at;
  const Baseline* baseline;  ///< of the route that answers; nullptr: there is none
  /// Of the route that answers; nullptr: it has none.
  const stats::Conformal* interval;
  bool is_routed;              ///< a route is known
  std::string_view unwatched;  ///< why the route has no baseline
  const LabelJoin& join;
  const AlertBook& alerts;
  const std::map<std::string, Finding>& latest;
  bool several;        ///< more than one account uses the service
  bool several_label;  ///< labels come from more than one account
  RowCounts& counts;
};

/// A new epoch: another release answers.
struct Epoch {
  std::uint64_t number;
  Micros from;  ///< its first row may come then
  RowCounts& counts;
};

/// Looks at what is recorded of a service and says what it found: metrics of windows, with the
/// threshold they are held against. One object a watch, made by its row in `detectors()`; one
/// class, one file. Deterministic in what it is given; confined to the watch's thread.
class Detector {
 public:
  virtual ~Detector() = default;
  virtual void start(const Epoch&) {}
  virtual void row(const SeenRow&, std::vector<Finding>&) {}
  virtual void label(const plane::LabelRecord&, std::vector<Finding>&) {}
  /// `now`: event time of the last tick.
  virtual void gap(const plane::GapRecord&, Micros, std::vector<Finding>&) {}
  virtual void tick(const SeenTick&, std::vector<Finding>&) {}
  /// Event time is `to` from now on, earlier than it was: what was seen belongs to times that were
  /// not.
  virtual void set_back(Micros, RowCounts&) {}
  virtual void save(StateWriter& out) const = 0;
  virtual void load(StateReader& in) = 0;
};

/// A row of the table: how a detector is made. Its name names its part of the saved state.
class DetectorKind {
 public:
  using Make = Result<std::unique_ptr<Detector>> (*)(const WatchOptions&);
  constexpr DetectorKind(std::string_view its_name, Make maker) : name_(its_name), make_(maker) {}
  [[nodiscard]] std::string_view name() const noexcept { return name_; }
  [[nodiscard]] Result<std::unique_ptr<Detector>> make(const WatchOptions& options) const {
    return make_(options);
  }

 private:
  std::string_view name_;
  Make make_;
};

/// The table of detectors, in the order in which they see a row and a tick.
[[nodiscard]] Registry<DetectorKind>& detectors();

// The rows of the table.
[[nodiscard]] const DetectorKind& column_windows();
[[nodiscard]] const DetectorKind& answers();
[[nodiscard]] const DetectorKind& source_windows();
[[nodiscard]] const DetectorKind& rule_windows();
[[nodiscard]] const DetectorKind& quality_windows();
[[nodiscard]] const DetectorKind& label_sources();
[[nodiscard]] const DetectorKind& silence();
[[nodiscard]] const DetectorKind& unrecorded();
[[nodiscard]] const DetectorKind& unknown_classes();

}  // namespace heddle::watch
