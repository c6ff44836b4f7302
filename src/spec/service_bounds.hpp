#pragma once

#include <cstdint>
#include <string_view>

#include "spec/project.hpp"

namespace heddle::spec {

/// What the policies that are for one service say beside their rules. `check` refuses a project
/// in which two of them say the same (`policies-disagree`).
struct ServiceBounds {
  bool fail_over_allowed = false;
  FailOverRule fail_over{};
  std::int64_t retrain_max_rows = 0;   ///< 0: no policy says it
  Micros retrain_event_time_cost = 0;  ///< of event time
  RecalibrationBound recalibrate{};
  std::int64_t quarantine_good_rows = kQuarantineGoodRows;  ///< a day
};

/// Of `service`; what no policy says is the default. Should several policies say the same after
/// all, the narrowest bound counts and the longest cost.
[[nodiscard]] ServiceBounds bounds_of(const Project& project, std::string_view service);

}  // namespace heddle::spec
