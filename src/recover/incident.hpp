#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/digest.hpp"
#include "base/result.hpp"
#include "doc/value.hpp"
#include "watch/finding.hpp"

namespace heddle::recover {

/// Where an incident stands on the ladder. Each is left only by an outcome or by a fact, never by time alone.
enum class Step : std::uint8_t {
  kOpen,           ///< to be recorded
  kQuarantine,     ///< a source is to be shut out
  kAwaitReadmit,   ///< until the data plane finds it clean
  kRelease,        ///< its readmission is to be recorded
  kProposeRepair,  ///< a contract transform waits for its approval
  kSwapBack,       ///< the input is repaired: primary and standby change back
  kVerifyInput,    ///< a whole window after the repair
  kCollect,        ///< labelled rows after the change, up to the policy's bound
  kRetrain,
  kPromote,        ///< the candidate waits for its approval
  kVerifyQuality,  ///< a whole labelled chunk of the new release
  kRollBack,       ///< the new release is no better
  kRecalibrate,
  kAwaitQuiet,     ///< nothing to do but watch
  kPostmortem,
  kClose,
  kDone,
};

[[nodiscard]] std::string_view step_name(Step step) noexcept;

struct TimelineEntry {
  Micros at = 0;             ///< event time
  std::string what;
  std::uint64_t entry = 0;   ///< ledger entry, 0: none
};

/// A confirmed alert with a cause, and the staged response to it. A value: everything a restart needs to go on.
struct Incident {
  std::string id;                        ///< `incident-0001`, in order of opening
  Step step = Step::kOpen;
  watch::Diagnosis diagnosis;
  std::vector<std::string> keys;         ///< alerts that belong to it, the first one opened it
  std::vector<Digest> evidence;
  std::vector<TimelineEntry> timeline;
  std::string response;                  ///< what was done, in a few words
  Micros raised_at = 0;
  Micros confirmed_at = 0;
  Micros responded_at = 0;               ///< first response applied, or decided to be none; 0: not yet
  Micros recovered_at = 0;
  Micros step_since = 0;                 ///< event time at which the step was entered
  std::int64_t rows_raised = 0;          ///< rows observed by then, over all traffic
  std::int64_t rows_confirmed = 0;
  std::int64_t rows_responded = 0;
  double refused_share = 0;              ///< contract alerts: of the confirming rows
  bool swapped = false;
  bool swap_refused = false;
  bool repair_refused = false;           ///< a retrain for a time shift needs this first
  Micros compared_until = 0;             ///< latest comparison of the slots that was looked at
  std::string candidate;                 ///< digest of the retrained bundle
  std::string candidate_metrics;         ///< JSON
  Micros retrain_started = 0;

  [[nodiscard]] bool open() const noexcept { return step != Step::kDone; }
  [[nodiscard]] doc::Value to_value() const;
  [[nodiscard]] static Result<Incident> from_value(const doc::Value& value);
};

}  // namespace heddle::recover
