#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "plane/journal.hpp"
#include "spec/contract.hpp"
#include "spec/monitor.hpp"
#include "table/date_format.hpp"
#include "watch/accounts.hpp"
#include "watch/alert_book.hpp"
#include "watch/answers.hpp"
#include "watch/baseline.hpp"
#include "watch/clock_runs.hpp"
#include "watch/column_windows.hpp"
#include "watch/label_join.hpp"
#include "watch/label_sources.hpp"
#include "watch/quality_windows.hpp"
#include "watch/rule_windows.hpp"
#include "watch/silence.hpp"
#include "watch/source_windows.hpp"
#include "watch/trials.hpp"
#include "watch/unrecorded.hpp"

namespace heddle::watch {

/// What else could answer, scored beside what is served: without a repair that is in force, or with
/// a candidate. `trial` names the comparison; it begins with the first row.
struct Alternative {
  std::string trial;
  bool candidate = false;  ///< the alternative is under trial, else what is served
  /// Margins for the fields of a row as received; none when it would be refused.
  std::function<std::vector<float>(const std::vector<plane::FieldValue>&)> margins{};
  /// Of its interval, where the act changed that of what is served: then what the intervals cost
  /// (stats::interval_loss) counts with the loss of the predictions.
  std::optional<double> quantile{};
};

/// What a route version means to the watch. Two routes of one primary and one repair share an
/// epoch: windows and labelled chunks go on across them; any other change starts new ones, so that
/// no window mixes two ways of answering.
struct Route {
  std::uint64_t version = 0;
  Digest primary{};
  std::string repair{};  ///< names the contract's repairs and transforms; empty: none
  std::shared_ptr<const Baseline>
      baseline;  ///< of the primary's bundle; none: nothing is watched, which is an alert
  std::string unwatched{};  ///< why there is no baseline
  /// Applies them to the fields of a row, in place. Pure. May be empty.
  std::function<void(std::vector<plane::FieldValue>&)> apply_repair{};
  std::vector<Alternative> alternatives{};     ///< none: nothing is on trial
  stats::Task task{};                          ///< of the primary: what predictions and labels are
  std::optional<stats::Conformal> interval{};  ///< of the primary's bundle
};

/// What came of a record, in order.
struct Output {
  std::vector<Finding> findings;
  std::vector<Alert> moves;
};

/// Watches one service: takes the journal record by record and turns it into windows, metrics and
/// alerts. A deterministic function of the records and of the routes registered before they come:
/// reading the same journal again gives the same findings. Owned by the control plane, confined to
/// its thread. No I/O, no clock: time is event time.
class Watch {
 public:
  using Options = WatchOptions;
  [[nodiscard]] static Result<Watch> open(Options options);

  /// Before the route is published, and again for the known ones after a restart. Rows of a version
  /// that was never registered count as of the latest one below.
  void register_route(Route route);
  void observe(const plane::Record& record, Output& out);

  [[nodiscard]] const AlertBook& alerts() const noexcept { return alerts_; }
  [[nodiscard]] const std::map<std::string, Finding>& latest() const noexcept { return latest_; }
  [[nodiscard]] const std::optional<QualityWindows::Comparison>& comparison() const {
    return quality_->comparison();
  }
  /// What is known of a trial, from rows that were labelled since it began.
  [[nodiscard]] const Trial* trial(const std::string& name) const { return trials_.find(name); }
  /// The only account whose rows say that it loses, where several use the service.
  [[nodiscard]] std::string trial_account(const std::string& name) const {
    return accounts_.several() ? trials_.only_account(name) : std::string();
  }
  /// The only account whose labels say that it loses, or that it pays, where several send labels.
  [[nodiscard]] std::string label_account_of_loss(const std::string& trial) const {
    return several_label() ? trials_.label_account_of_loss(trial) : std::string();
  }
  [[nodiscard]] std::string label_account_of_gain(const std::string& trial) const {
    return several_label() ? trials_.label_account_of_gain(trial) : std::string();
  }
  /// Whether labels come from more than one account.
  [[nodiscard]] bool several_label() const {
    return join_.label_accounts(options_.monitor.window_rows) > 1;
  }
  /// What the interval of what is served would be, fitted to the labelled rows of the epoch from
  /// event time `from` on, with `offsets` added to their margins; `rows` 0: it has none, or there
  /// are too few of them.
  [[nodiscard]] IntervalRefit refit_interval(Micros from, std::span<const double> offsets) const;
  /// Of what is served; nullptr: it has none.
  [[nodiscard]] const stats::Conformal* interval() const;
  void keep_trials(const std::vector<std::string>& names) { trials_.keep(names); }
  /// What losses are measured by: 1 nat; of a regression the label scale of the reference.
  [[nodiscard]] double loss_scale() const;
  /// Labelled rows of the latest quality chunk; before there is one, the least a chunk may have.
  [[nodiscard]] std::int64_t rows_of_chunk() const;
  /// Where the clock of a timestamp field stands against the time of the event, now; empty when
  /// rows do not agree, or the accounts do not.
  [[nodiscard]] std::optional<Micros> clock(const std::string& field) const {
    return clocks_.offset(field);
  }
  /// Margins and labels of the labelled rows of the epoch with from <= event time < to, by who sent
  /// them as which source.
  [[nodiscard]] std::map<LabelJoin::Sender, LabelJoin::Chunk> by_sender(Micros from,
                                                                        Micros to) const {
    return join_.by_sender(from, to, epoch_);
  }
  /// Of the rows and labels in `by_sender`.
  [[nodiscard]] const stats::Task& task() const noexcept { return join_.task(); }
  [[nodiscard]] std::int64_t labelled_since(Micros from) const {
    return join_.labelled_since(from);
  }
  [[nodiscard]] const RowCounts& row_counts() const noexcept { return rows_; }
  [[nodiscard]] const LabelJoin::Counts& labels() const noexcept { return join_.counts(); }
  [[nodiscard]] std::size_t labels_waiting() const noexcept { return join_.waiting(); }
  /// By account: labels of unknown rows that gave way to newer ones.
  [[nodiscard]] const std::map<std::string, std::int64_t>& labels_given_up() const noexcept {
    return join_.given_up();
  }
  /// Share of the rows that come now which is kept for its label: 1, 1/2, 1/4 ...
  [[nodiscard]] double sample() const noexcept { return join_.sample(); }
  [[nodiscard]] const Silence& silence() const noexcept { return *silence_; }
  [[nodiscard]] const Unrecorded& unrecorded() const noexcept { return *unrecorded_; }
  [[nodiscard]] std::int64_t rows_seen() const noexcept { return rows_seen_; }
  [[nodiscard]] std::uint64_t epoch() const noexcept { return epoch_; }
  [[nodiscard]] Micros watermark() const noexcept { return watermark_; }
  /// Event time is `to` from now on, earlier than it was, as a person said. What was seen belongs
  /// to times that were not: windows, runs and rows that wait for labels begin anew; alerts stand.
  void set_back(Micros to);

  /// The state but routes and definitions (docs/formats/watch-state.md): small parts by name, each
  /// to be written when it is other than before, and pieces of the label join, written once.
  struct Change {
    std::vector<std::pair<std::string, std::string>> parts;      ///< all of them: name -> bytes
    std::optional<std::pair<std::uint64_t, std::string>> piece;  ///< number -> bytes
    std::vector<std::uint64_t> spent;                            ///< pieces that are needed no more
  };
  [[nodiscard]] Change change() const;
  /// How many rows and labels the next piece would hold.
  [[nodiscard]] std::size_t changed() const noexcept { return join_.changed(); }
  /// What `change` gave is stored; without this call the next change holds it again.
  void stored(const Change& change);
  /// From all parts and pieces that were stored. kCorrupt when they are not whole; kConflict
  /// (`watch-state-version`) when another version wrote them: nothing is restored then.
  [[nodiscard]] Result<void> restore(const std::map<std::string, std::string>& parts,
                                     const std::map<std::uint64_t, std::string>& pieces);
  /// Everything in one: two watches with equal bytes are alike.
  [[nodiscard]] std::string save() const;

 private:
  struct Named {
    const DetectorKind* kind;
    std::unique_ptr<Detector> detector;
  };
  Watch(Options options, std::vector<Named> made);
  /// The detector of this class.
  template <class D>
  [[nodiscard]] D* the() const;
  [[nodiscard]] bool load(const std::map<std::string, std::string>& parts,
                          const std::map<std::uint64_t, std::string>& pieces);
  void observe_request(const plane::RequestRecord& request, Output& out);
  [[nodiscard]] std::vector<std::uint32_t> trials_of(const Route& route);
  void read_clocks(const plane::RequestRecord& request, const plane::RowRecord& row);
  void join_row(const SeenRow& seen, std::size_t index, const Route& route,
                std::span<const std::uint32_t> trials);
  void observe_tick(Micros event_time, Output& out);
  void observe_clock(const plane::ActRecord& act, Output& out);
  void take_label(const plane::LabelRecord& label, Micros event_time);
  void enter(const Route& route, Micros event_time);
  [[nodiscard]] bool too_far_ahead(Micros event_time) const noexcept;
  void forget_what_is_ahead(Micros event_time);
  void begin_anew(Micros at);
  void settle(std::size_t from, Micros at, Output& out);
  void try_alternatives();
  /// Of the route that answers; nullptr: there is none.
  [[nodiscard]] const Baseline* baseline() const;

  Options options_;
  std::vector<expr::Type> types_;  ///< of the fields, by the contract
  std::vector<std::vector<table::DateFormat>>
      layouts_;  ///< in which it reads their times; likewise
  std::map<std::uint64_t, Route> routes_;
  std::uint64_t epoch_ = 0;
  std::uint64_t route_version_ = 0;
  std::string epoch_key_;
  Micros watermark_ = INT64_MIN;
  Micros last_row_ = INT64_MIN;  ///< latest event time of a row of the epoch
  std::int64_t rows_seen_ = 0;
  RowCounts rows_;
  LabelJoin join_;
  std::vector<Named> detectors_;  ///< in the order of the table
  // Of these, those that answer questions.
  QualityWindows* quality_;
  Silence* silence_;
  Unrecorded* unrecorded_;
  ClockRuns clocks_;
  Accounts accounts_;  ///< of the last `label_retention`
  Trials trials_;
  AlertBook alerts_;
  std::map<std::string, Finding> latest_;
  std::uint64_t next_piece_ = 0;
};

}  // namespace heddle::watch
