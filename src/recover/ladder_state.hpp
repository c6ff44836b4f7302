#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "recover/act.hpp"
#include "recover/incident.hpp"

namespace heddle::recover {

/// A source that the data plane let in again.
struct Readmitted {
  std::string account;  ///< of the quarantine; empty: it held for all
  std::string source;
  bool operator==(const Readmitted&) const = default;
};

/// The ladder as a value: everything that a restart needs to go on.
struct LadderState {
  Micros last_tick = INT64_MIN;
  std::int64_t opened = 0;    ///< incidents there ever were
  std::uint64_t by_hand = 0;  ///< number of the last act by hand that was taken
  std::vector<Act> acts;      ///< in force, the oldest first
  int recalibrations_taken_back = 0;
  Micros recalibrate_again = INT64_MIN;  ///< no recalibration before
  /// Keys of confirmed alerts that wait out the cool-down of an incident before.
  std::vector<std::string> deferred;
  std::vector<Readmitted> readmitted;  ///< what the data plane let in, not yet taken up
  std::vector<Incident> incidents;     ///< open ones, and closed ones that cool down
  bool operator==(const LadderState&) const = default;
};

}  // namespace heddle::recover
