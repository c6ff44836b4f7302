#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "demo/account.hpp"
#include "doc/value.hpp"
#include "replay/recording.hpp"
#include "replay/replayer.hpp"
#include "replay/truth.hpp"
#include "spec/fault.hpp"
#include "store/store.hpp"

namespace heddle::demo {

/// What two other models would have said of the rows that Heddle served, offline: the one that was
/// first released, never updated, and the oracle: the same trainer and parameters refitted once
/// with the first `retrain_rows` served rows after each true change, in force from the row after
/// them. Both get the rows as they were received, faults and all.
struct JudgeInput {
  store::Objects* objects = nullptr;
  Digest first_release{};
  std::int64_t retrain_rows = 0;
  std::vector<Micros> true_changes{};  ///< ascending
  const replay::Recording* recording = nullptr;
  const replay::Truth* truth = nullptr;
  const replay::Replayed* replayed = nullptr;
};
[[nodiscard]] Result<std::vector<replay::ScoredRow>> judge(const JudgeInput& input);

/// Incidents as `incident.show` tells them, beside the truth: cause, rows and event time to alert,
/// confirmation and response. False is one without a fault in or shortly before it, one that takes
/// a repair back while its fault is still there, and one whose response did not pay: over the days
/// (`days`, Heddle beside the release that was never updated) from the response to the next
/// incident's, two weeks at most, log loss was higher than without. The base rate moves by itself,
/// so a prior shift is false by that alone.
[[nodiscard]] std::vector<IncidentAccount> account_incidents(
    const std::vector<doc::Value>& incidents, const replay::Truth& truth,
    const std::vector<FaultWindow>& faults, std::span<const replay::PeriodQuality> days);

/// Faults as reports show them, those of one group together: their first cause, and the event times
/// from the first row to the last, within [begin, end). By the cause they are met in one of two
/// ways: the contract refuses the rows that show it (`recover::Cause::refuses_rows`), or it is a
/// change that models have to follow, when it comes and when it goes: `true_changes`. A cause that
/// nobody diagnoses is such a change.
[[nodiscard]] std::vector<FaultWindow> fault_windows(std::span<const spec::Fault> faults,
                                                     Micros begin, Micros end);

/// After which event times the oracle is refitted, ascending; `end`: of the replay.
[[nodiscard]] std::vector<Micros> true_changes(std::span<const FaultWindow> faults, Micros end);

}  // namespace heddle::demo
