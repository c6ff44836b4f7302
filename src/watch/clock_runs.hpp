#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "base/clock.hpp"
#include "plane/journal.hpp"
#include "watch/state_bytes.hpp"

namespace heddle::watch {

/// How far the clock of a field stands from the time of the event, over the newest rows as they
/// were received. A clock that is wrong, or right again, shows in every row whatever the hour, so a
/// few hundred rows tell what the hours of whole days tell later. Says nothing where rows do not
/// agree: not every timestamp is about the moment of its event. Each account has a reading of its
/// own, and the clock is where more than half of those who send stand: whoever sends most rows
/// cannot move it for the others. Single-threaded.
class ClockRuns {
 public:
  static constexpr std::size_t kRows = 200;  ///< of a reading
  static constexpr double kAgreement = 0.9;  ///< share of them within `kTolerance` of their median
  static constexpr Micros kTolerance =
      30 * kMinute;  ///< half of the smallest shift that is repaired

  /// Before the newest row: an account that fell silent has no reading any more. Longer than rows
  /// may be ahead, so that nobody makes others silent by the time that a row says.
  static constexpr Micros kRecent = plane::kFarthestAhead + kDay;

  void add(const std::string& account, const std::string& field, Micros value, Micros event_time);
  /// Median of `field - event time`; empty before `kRows` rows of an account, and while the rows of
  /// more than half of the accounts that have so many do not agree.
  [[nodiscard]] std::optional<Micros> offset(const std::string& field) const;

  void save(StateWriter& out) const;
  void load(StateReader& in);

 private:
  struct Run {
    std::deque<Micros> newest{};
    Micros last = INT64_MIN;  ///< event time of its latest row
  };
  /// Where the account's clock stands; empty while its rows do not agree.
  [[nodiscard]] static std::optional<Micros> reading(const Run& run);

  std::map<std::string, std::map<std::string, Run>> runs_;  ///< by field and account
};

}  // namespace heddle::watch
