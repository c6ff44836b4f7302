#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/digest.hpp"
#include "recover/action.hpp"
#include "recover/diagnosis.hpp"
#include "recover/step.hpp"
#include "watch/coverage.hpp"

namespace heddle::recover {

struct TimelineEntry {
  Micros at = 0;  ///< event time
  std::string what;
  std::uint64_t entry = 0;  ///< ledger entry, 0: none
  std::string by{};         ///< the person whose act it was; empty: recovery's
  bool operator==(const TimelineEntry&) const = default;
};

/// An action that a fault of the machine keeps from being carried out.
struct Failing {
  std::string op_id;
  std::string type;
  Step step = Step::kOpen;  ///< that proposes it
  int tries = 0;
  Micros since = 0;     ///< event time of the first try
  Micros again = 0;     ///< event time of the next one
  std::string error{};  ///< of the last one
  /// Set where no step proposes it again: it is kept, and tried until it is recorded.
  std::optional<What> record{};
  std::string reason{};
  bool operator==(const Failing&) const = default;
};

/// How the newest windows of a metric look to an incident.
struct Quiet {
  Micros seen = 0;  ///< end of the newest window that was counted
  int windows = 0;  ///< quiet ones in a row
  int whole = 0;    ///< contract alerts: windows in a row in which most of the rows broke it
  bool operator==(const Quiet&) const = default;
};

/// Share of a source's rows from which a contract fault is the source's.
inline constexpr double kWholeSource = 0.5;

/// A confirmed alert with a cause, and the staged response to it. A value: everything a restart
/// needs to go on. Stored by `incident_schema`.
struct Incident {
  std::string id;  ///< `incident-0001`, in order of opening
  Step step = Step::kOpen;
  Diagnosis diagnosis;
  std::vector<std::string> keys;       ///< alerts that belong to it, the first one opened it
  std::map<std::string, Quiet> quiet;  ///< metrics that must be quiet before it is over
  std::vector<Digest> evidence;
  std::vector<TimelineEntry> timeline;
  std::string response;  ///< what was done, in a few words
  Micros raised_at = 0;
  Micros confirmed_at = 0;
  Micros responded_at = 0;  ///< first response applied, or decided to be none; 0: not yet
  Micros recovered_at = 0;
  Micros step_since = 0;         ///< event time at which the step was entered
  std::int64_t rows_raised = 0;  ///< rows observed by then, over all traffic
  std::int64_t rows_confirmed = 0;
  std::int64_t rows_responded = 0;
  double refused_share = 0;  ///< contract alerts: of the confirming rows
  bool swapped = false;
  bool release_refused = false;  ///< of a quarantine that cost more than its budget
  bool swap_refused = false;
  bool swap_asked = false;      ///< a question about a swap waits for its answer
  int swaps = 0;                ///< done so far: each has an op_id of its own
  bool repair_refused = false;  ///< a retrain for a time shift needs this first
  bool stands = false;          ///< closed without having gone away
  bool unverified = false;      ///< closed without rows that could tell
  int reconsidered = 0;         ///< how often its response was decided anew
  Micros let_in_at = 0;         ///< its source was let in again, which later rows verify; 0: not
  int escalations = 0;          ///< of this step: how often people were told that it waits
  std::string why;              ///< the last reason to take something back or to let it be
  std::string act;              ///< id of the act that it verifies or takes back
  std::optional<Micros> clock;  ///< time shift: where the field's clock stood when it was diagnosed
  Micros compared_until = 0;    ///< latest comparison of the slots that was looked at
  std::string candidate;        ///< digest of the retrained bundle
  std::string candidate_metrics;  ///< JSON
  Micros retrain_started = 0;
  std::optional<watch::IntervalRefit> refit{};  ///< of the interval, when it was recalibrated
  std::vector<Failing> failing;                 ///< actions that are tried again later
  std::string opened_by{};                      ///< the person who opened it; empty: an alert did
  std::string acknowledged_by{};  ///< the person who knows of it: nobody is told of it again
  std::string closed_by{};        ///< the person who closed it; empty: recovery does
  Micros closed_at = 0;           ///< by that person
  bool page_due = false;          ///< closed by a person: its page is written at the next tick
  bool shut_out = false;          ///< closed by a person while its source is under its quarantine

  [[nodiscard]] bool open() const noexcept { return step != Step::kDone; }
  [[nodiscard]] const Failing* failing_as(const std::string& op_id) const;
  /// Forgets what is not tried any more once the step that proposed it is over.
  void leave_step();
  bool operator==(const Incident&) const = default;
};

}  // namespace heddle::recover
