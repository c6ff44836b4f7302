#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>

#include "base/clock.hpp"
#include "watch/state_bytes.hpp"

namespace heddle::watch {

/// How far the clock of a field stands from the time of the event, over the newest rows as they
/// were received. A clock that is wrong, or right again, shows in every row whatever the hour, so a
/// few hundred rows tell what the hours of whole days tell later. Says nothing where rows do not
/// agree: not every timestamp is about the moment of its event. Single-threaded.
class ClockRuns {
 public:
  static constexpr std::size_t kRows = 200;  ///< of a reading
  static constexpr double kAgreement = 0.9;  ///< share of them within `kTolerance` of their median
  static constexpr Micros kTolerance =
      30 * kMinute;  ///< half of the smallest shift that is repaired

  void add(const std::string& field, Micros value, Micros event_time);
  /// Median of `field - event time`; empty before `kRows` rows, and while they do not agree.
  [[nodiscard]] std::optional<Micros> offset(const std::string& field) const;

  void save(StateWriter& out) const;
  void load(StateReader& in);

 private:
  std::map<std::string, std::deque<Micros>> newest_;
};

}  // namespace heddle::watch
